//! The functions that `lib/engine/native.ts` calls.

use bytes::Bytes;
use napi::Env;
use napi::bindgen_prelude::{BufferSlice, Function};
use napi_derive::napi;

use super::broker_queries;
use super::failure::JsFailure;
use super::options::{BrokerOptions, ClientOptions, defaults as engine_defaults};
use super::session;
use super::spare_memory;
use super::tls_options::ServerTlsSettings;
use crate::base::{Code, Entropy, Failure, OsEntropy};
use crate::boundary::{Big, milliseconds, parse};
use crate::runtime::{set_give_back, start_log};
use crate::subject::{Pattern, Subject};
use crate::transport::tls::{self, PeerCertificate, ServerTlsOptions};

/// Opens a session, once for each copy of `lib` in an environment. `wake` is called when events wait.
/// `watches`: whether the event loop of the environment may be asked to watch connections.
#[napi(catch_unwind)]
pub fn open(env: &Env, wake: Function<'_, (), ()>, watches: bool) -> napi::Result<u32> {
    start_log();
    set_give_back(spare_memory::give_back);
    session::open(env, &wake, watches)
}

/// Sets whether the session keeps the event loop alive.
#[napi(catch_unwind)]
pub fn hold(env: &Env, session: u32, on: bool) {
    session::with_session(session, |session| session.hold(env, on));
}

/// Takes over a batch of commands; copies it. Returns the bytes that the engine has not taken yet.
#[napi(catch_unwind)]
pub fn submit(session: u32, batch: &[u8]) -> napi::Result<f64> {
    let outcome = session::with_session(session, |session| session.submit(batch));
    let outcome = outcome.unwrap_or(Ok(0)).map(|bytes| bytes as f64);
    outcome.map_err(|failure| napi::Error::from_reason(failure.message))
}

/// Returns what happened since: `null`, or the buffer followed by the payloads that were too big for it.
#[napi(catch_unwind)]
pub fn drain<'env>(env: &'env Env, session: u32) -> napi::Result<Option<Vec<BufferSlice<'env>>>> {
    let drained = session::with_session(session, |session| {
        session.drain(|buffer| {
            let first = BufferSlice::copy_from(env, &buffer.bytes);
            let big = buffer.big.iter().map(|big| big_buffer(env, big));
            std::iter::once(first).chain(big).collect::<napi::Result<Vec<_>>>()
        })
    });
    drained.flatten().transpose()
}

/// Starts a client.
#[napi(catch_unwind)]
pub fn client_open(env: &Env, session: u32, handle: u32, options: String) -> Option<JsFailure> {
    answer(session::with_session(session, |session| {
        session.open_client(env, handle, &ClientOptions::parse(&options)?)
    }))
}

/// Starts an embedded broker.
#[napi(catch_unwind)]
pub fn broker_open(session: u32, handle: u32, options: String) -> Option<JsFailure> {
    answer(session::with_session(session, |session| {
        session.open_broker(handle, &BrokerOptions::parse(&options)?)
    }))
}

/// Checks the options of an embedded broker as `broker_open` does, and starts nothing.
#[napi(catch_unwind)]
pub fn broker_check(options: String) -> Option<JsFailure> {
    answer(Some(BrokerOptions::parse(&options).and_then(|options| options.prepare().map(|_| ()))))
}

/// Gives a broker another certificate for the handshakes to come.
#[napi(catch_unwind)]
pub fn broker_secure(session: u32, handle: u32, options: String) -> Option<JsFailure> {
    answer(session::with_session(session, |session| {
        let ServerTlsOptions { cert, key, ca, .. } = parse::<ServerTlsSettings>(&options)?.options();
        let tls = session.acceptor(handle)?.tls();
        let tls = tls.ok_or_else(|| Failure::new(Code::InvalidArgument, "the broker does not speak TLS"))?;
        tls.replace(cert, key, ca)
    }))
}

/// Starts a Sockety connection.
#[napi(catch_unwind)]
pub fn sockety_connect(env: &Env, session: u32, handle: u32, options: String) -> Option<JsFailure> {
    answer(session::with_session(session, |session| session.connect_sockety(env, handle, &parse(&options)?)))
}

/// Starts a Sockety server.
#[napi(catch_unwind)]
pub fn sockety_listen(session: u32, handle: u32, options: String) -> Option<JsFailure> {
    answer(session::with_session(session, |session| session.listen_sockety(handle, &parse(&options)?)))
}

/// Stops a Sockety server from listening. Its connections go on.
#[napi(catch_unwind)]
pub fn sockety_close_server(session: u32, handle: u32) {
    session::with_session(session, |session| session.sockety.close_server(handle));
}

/// Returns the bytes that wait for a client's connection, which takes no more.
#[napi(catch_unwind)]
pub fn client_queued(session: u32, handle: u32) -> f64 {
    session::with_session(session, |session| session.queued(handle)).unwrap_or(0) as f64
}

/// Returns the bytes that wait to be sent on a Sockety connection and have not been taken over by the system.
#[napi(catch_unwind)]
pub fn sockety_unsent(session: u32, handle: u32) -> f64 {
    let unsent = |session: &mut session::Session| session.sockety.connections.weight_of(handle);
    session::with_session(session, unsent).unwrap_or(0) as f64
}

/// Copies a buffer for the next batch, which refers to it by the number that is returned.
#[napi(catch_unwind)]
pub fn sockety_attach(session: u32, bytes: &[u8]) -> f64 {
    session::with_session(session, |session| session.sockety.attach(bytes)).unwrap_or(0) as f64
}

/// Copies a buffer that any batch may refer to by the number that is returned, until it is released. The
/// collector of garbage knows of its size.
#[napi(catch_unwind)]
pub fn sockety_keep(env: &Env, session: u32, bytes: &[u8]) -> napi::Result<u32> {
    let number = session::with_session(session, |session| session.sockety.keep(bytes)).unwrap_or(0);
    env.adjust_external_memory(i64::try_from(bytes.len()).unwrap_or(i64::MAX))?;
    Ok(number)
}

/// Releases such a buffer.
#[napi(catch_unwind)]
pub fn sockety_release(env: &Env, session: u32, number: u32) -> napi::Result<()> {
    let size = session::with_session(session, |session| session.sockety.release(number)).unwrap_or(0);
    env.adjust_external_memory(-i64::try_from(size).unwrap_or(i64::MAX))?;
    Ok(())
}

/// Sets the certificates (PEM) that clients trust by default. Only the first call of a process counts.
#[napi(catch_unwind)]
pub fn trust(certificates: String) {
    tls::trust(&certificates);
}

/// Hands a connection of an HTTP server to a broker: where it comes from, its certificate if it was verified,
/// whether its server listens on loopback, its request.
#[napi(catch_unwind)]
pub fn pipe_open(
    session: u32,
    handle: u32,
    broker: u32,
    address: Option<String>,
    certificate: Option<&[u8]>,
    is_to_loopback: bool,
    head: &[u8],
) -> Option<JsFailure> {
    answer(session::with_session(session, |session| {
        let address = address.and_then(|address| address.parse().ok());
        let certificate = certificate.and_then(PeerCertificate::from_der);
        session.open_pipe(handle, broker, address, certificate, is_to_loopback, head)
    }))
}

/// Hands over what the connection has received; copied.
#[napi(catch_unwind)]
pub fn pipe_bring(session: u32, handle: u32, bytes: &[u8]) {
    session::with_session(session, |session| session.bring(handle, bytes));
}

/// Reports that so many bytes of its output have been written.
#[napi(catch_unwind)]
pub fn pipe_wrote(session: u32, handle: u32, count: u32) {
    session::with_session(session, |session| session.wrote(handle, count as usize));
}

/// Reports the end of a pipe's connection.
#[napi(catch_unwind)]
pub fn pipe_end(session: u32, handle: u32, orderly: bool) {
    session::with_session(session, |session| session.end_pipe(handle, orderly));
}

/// Drains an embedded broker: it accepts no new connections, and closes the open ones within so many
/// milliseconds.
#[napi(catch_unwind)]
pub fn broker_drain(session: u32, handle: u32, spread: f64) {
    session::with_session(session, |session| session.drain_broker(handle, milliseconds(spread)));
}

/// Stops an embedded broker.
#[napi(catch_unwind)]
pub fn broker_close(session: u32, handle: u32) {
    session::with_session(session, |session| session.close_broker(handle));
}

/// Sends a query to an embedded broker, as JSON both ways. `null` when it is closed.
#[napi(catch_unwind)]
pub fn broker_query(session: u32, handle: u32, query: String) -> Option<String> {
    session::with_session(session, |session| {
        let (broker, acceptor) = session.running_broker(handle)?;
        Some(broker_queries::answer(&broker, &acceptor, &query))
    })?
}

/// Answers a request for a page at a broker's port, with the whole response.
#[napi(catch_unwind)]
pub fn broker_answer(session: u32, handle: u32, request: u32, response: &[u8]) {
    session::with_session(session, |session| {
        if let Ok(acceptor) = session.acceptor(handle) {
            acceptor.handle_page_answer(u64::from(request), Bytes::copy_from_slice(response));
        }
    });
}

/// Returns whether one can publish to it.
#[napi(catch_unwind)]
pub fn check_subject(text: String) -> bool {
    Subject::parse(&text).is_ok()
}

/// Returns whether one can subscribe to it.
#[napi(catch_unwind)]
pub fn check_pattern(text: String) -> bool {
    Pattern::parse(&text).is_ok()
}

/// Returns whether the pattern stands for the subject.
#[napi(catch_unwind)]
pub fn matches(pattern: String, subject: String) -> bool {
    Pattern::parse(&pattern).is_ok_and(|pattern| pattern.matches(&subject))
}

/// Returns a fresh id: 32 hex digits from the operating system's source.
#[napi(catch_unwind)]
pub fn random_id() -> String {
    OsEntropy.id()
}

/// Returns what is open in a session, as JSON text: `{tasks, clients, brokers, connections, subscriptions,
/// waits, waitingBytes}`. For tests.
#[napi(catch_unwind)]
pub fn counts(session: u32) -> String {
    session::with_session(session, |session| session.counts()).unwrap_or_default()
}

/// Returns the engine's defaults by struct and option, as JSON text.
#[napi(catch_unwind)]
pub fn defaults() -> String {
    engine_defaults()
}

/// Returns a payload as a buffer of its own; without a copy if nobody else has it.
fn big_buffer<'env>(env: &'env Env, big: &Big) -> napi::Result<BufferSlice<'env>> {
    let bytes = match big {
        Big::Shared(bytes) => return BufferSlice::copy_from(env, bytes),
        Big::Own(bytes) => bytes.clone(),
    };
    let (start, length) = (bytes.as_ptr().cast_mut(), bytes.len());
    // SAFETY: the bytes live until JavaScript has let go of the buffer. It may write to it: `Big::Own` says
    // that nobody else looks at this range.
    unsafe { BufferSlice::from_external(env, start, length, bytes, |_, bytes| drop(bytes)) }
}

fn answer(outcome: Option<Result<(), Failure>>) -> Option<JsFailure> {
    let ended = || Err(Failure::new(Code::Closed, "this JavaScript environment has ended"));
    outcome.unwrap_or_else(ended).err().map(JsFailure::from)
}
