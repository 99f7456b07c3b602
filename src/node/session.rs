//! The state of one copy of `lib` in one JavaScript environment: its event queue, its wake, its clients and
//! brokers.

use std::cell::RefCell;
use std::collections::HashMap;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use napi::bindgen_prelude::Function;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Status};

use super::options::{BrokerOptions, ClientOptions, Dial};
use super::sockety::SocketySystem;
use super::sockety_options::{SocketyConnectOptions, SocketyListenOptions};
use super::uv_poll::UvPoll;
use crate::base::{Code, Failure, Handle, OsEntropy};
use crate::boundary::{AuthReply, BrokerEvent, EventBuffer, HostEvent, Record, read_batch};
use crate::endpoint::{Command, Endpoint, EndpointConfig};
use crate::runtime::{
    Acceptor, BrokerHandle, Dialer, DriverHandle, Drivers, EventQueue, OpenPort, PortEvent, Submission,
    UpstreamReport, drive_upstream, open_port, own_fabric, tasks,
};
use crate::transport::pipe::PipeEnd;
use crate::transport::timer::now;
use crate::transport::{NatsRemote, Pages, Registration, Remote};

/// Wakes JavaScript. Weak: it does not keep the process alive until it is referenced.
type Wake = ThreadsafeFunction<(), (), (), Status, false, true>;

/// One session. Lives on the thread of its environment.
pub struct Session {
    id: u32,
    pub(super) events: Arc<EventQueue>,
    /// Taken out when the environment ends, so that the function is released on its own thread.
    wake: Arc<Mutex<Option<Wake>>>,
    clients: Drivers<Endpoint>,
    brokers: HashMap<Handle, RunningBroker>,
    /// Sockety's connections and servers.
    pub(super) sockety: SocketySystem,
    /// Connections of the application's own HTTP servers.
    pub(super) pipes: HashMap<Handle, PipeEnd>,
    /// Handles of accepted sockets.
    handles: Arc<AtomicU32>,
    /// Used again for every buffer.
    buffer: EventBuffer,
    /// This thread's own state of the connections of its clients.
    readiness: Readiness,
}

/// Whether the event loop watches connections.
enum Readiness {
    /// It may; no client has one yet.
    May,
    On(UvPoll),
    /// It may not, or cannot.
    Off,
}

/// A broker, and the port that it holds, if any.
struct RunningBroker {
    handle: Arc<BrokerHandle>,
    acceptor: Arc<Acceptor>,
    port: Option<OpenPort>,
}

thread_local! {
    /// Dropped by the hook of its environment only: `process.exit()` runs no hooks, and a thread that ends
    /// has no state left for what sessions wake.
    static SESSIONS: ManuallyDrop<RefCell<HashMap<u32, Session>>> = ManuallyDrop::default();
}

/// Does something with a session of this thread.
pub fn with_session<R>(id: u32, act: impl FnOnce(&mut Session) -> R) -> Option<R> {
    SESSIONS.with(|sessions| sessions.borrow_mut().get_mut(&id).map(act))
}

/// Has the clients of a session read what has arrived.
fn poll_ready(session: u32) {
    with_session(session, |session| session.poll_ready());
}

/// Opens a session, which ends with its environment.
pub fn open(env: &Env, wake: &Function<'_, (), ()>, watches: bool) -> napi::Result<u32> {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let function: Wake =
        wake.build_threadsafe_function::<()>().callee_handled::<false>().weak::<true>().build()?;
    let wake = Arc::new(Mutex::new(Some(function)));
    let caller = wake.clone();
    let events = Arc::new(EventQueue::new(move || {
        if let Some(wake) = &*caller.lock().unwrap_or_else(PoisonError::into_inner) {
            // Refused only while the environment ends: then nothing is listening.
            let _ = wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }));
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let handles = EndpointConfig::default().handles;
    let (clients, brokers, pipes) = (Drivers::default(), HashMap::new(), HashMap::new());
    let readiness = if watches { Readiness::May } else { Readiness::Off };
    let session = Session {
        id,
        events,
        wake,
        clients,
        brokers,
        sockety: SocketySystem::new(handles.clone()),
        pipes,
        handles,
        buffer: EventBuffer::with_clock(now),
        readiness,
    };
    SESSIONS.with(|sessions| sessions.borrow_mut().insert(id, session));
    env.add_env_cleanup_hook(id, |id| drop(SESSIONS.with(|sessions| sessions.borrow_mut().remove(&id))))?;
    Ok(id)
}

impl Session {
    /// Starts a client.
    pub fn open_client(&mut self, env: &Env, handle: Handle, options: &ClientOptions) -> Result<(), Failure> {
        let dialer = match (options.dial()?, options.broker) {
            (Some(Dial::Nats(nats)), _) => {
                Dialer::Nats(Arc::new(NatsRemote::new(nats, self.registration(env, handle))))
            }
            (Some(Dial::Server(dial)), _) => {
                Dialer::Remote(Arc::new(Remote::new(dial).with_registration(self.registration(env, handle))))
            }
            (None, Some(broker)) => Dialer::InProcess(self.broker(broker)?, options.identity()),
            (None, None) => Dialer::InProcess(own_fabric(), options.identity()),
        };
        let config = EndpointConfig {
            client: options.config()?,
            handles: self.handles.clone(),
            ..EndpointConfig::default()
        };
        let first = options.auto_connect().then_some(Command::Connect);
        let endpoint = Endpoint::new(config, Box::new(OsEntropy));
        self.clients
            .insert(handle, DriverHandle::spawn(handle, endpoint, dialer, self.events.clone(), first));
        Ok(())
    }

    /// Has the connections of a client watched by the event loop, too.
    pub(super) fn registration(&mut self, env: &Env, client: Handle) -> Option<Registration> {
        if let Readiness::May = self.readiness {
            self.readiness = UvPoll::open(env, self.id, poll_ready).map_or(Readiness::Off, Readiness::On);
        }
        let Readiness::On(readiness) = &self.readiness else { return None };
        Some(readiness.registration(client))
    }

    /// Starts a connection of Sockety.
    pub fn connect_sockety(
        &mut self,
        env: &Env,
        handle: Handle,
        options: &SocketyConnectOptions,
    ) -> Result<(), Failure> {
        let registration = self.registration(env, handle);
        self.sockety.connect(handle, options, registration, &self.events)
    }

    /// Starts a server of Sockety. An event reports that it listens, or why it does not.
    pub fn listen_sockety(&mut self, server: Handle, options: &SocketyListenOptions) -> Result<(), Failure> {
        self.sockety.listen(server, options, &self.events)
    }

    /// Starts a broker. An event reports that it is ready, or why it is not.
    pub fn open_broker(&mut self, handle: Handle, options: &BrokerOptions) -> Result<(), Failure> {
        let (mut accept, upstream) = options.prepare()?;
        let pages = options.pages();
        if !pages.is_empty() {
            let events = self.events.clone();
            let ask = move |number, request| {
                events.put([HostEvent::Broker(handle, BrokerEvent::Page(number, request))]);
            };
            accept.pages = Some(Arc::new(Pages::new(pages, ask)));
        }
        let broker = BrokerHandle::start(options.config(), Some((handle, self.events.clone())));
        let acceptor = Acceptor::new(broker.clone(), accept);
        if let Some(upstream) = upstream {
            let (acceptor, events) = (acceptor.clone(), self.events.clone());
            drive_upstream(broker.clone(), NatsRemote::new(upstream, None), move |report| match report {
                UpstreamReport::State(state) => {
                    events.put([HostEvent::Broker(handle, BrokerEvent::Upstream(state))]);
                }
                UpstreamReport::Overdue(is_overdue) => acceptor.set_overdue(is_overdue),
            });
        }
        let port = options.listen().map(|place| {
            let (acceptor, broker, events) = (acceptor.clone(), broker.clone(), self.events.clone());
            let report = move |event| {
                let event = match event {
                    PortEvent::Ready(address) => BrokerEvent::Ready(Some(address)),
                    PortEvent::Closed => BrokerEvent::Closed,
                    PortEvent::Failed(failure) => {
                        broker.close();
                        BrokerEvent::Failed(failure)
                    }
                };
                events.put([HostEvent::Broker(handle, event)]);
            };
            open_port(place, move |connection| acceptor.accept(connection), report)
        });
        if port.is_none() {
            self.events.put([HostEvent::Broker(handle, BrokerEvent::Ready(None))]);
        }
        self.brokers.insert(handle, RunningBroker { handle: broker, acceptor, port });
        Ok(())
    }

    /// Returns the acceptor of a broker.
    pub fn acceptor(&self, handle: Handle) -> Result<&Arc<Acceptor>, Failure> {
        let broker = self.brokers.get(&handle);
        broker
            .map(|broker| &broker.acceptor)
            .ok_or_else(|| Failure::new(Code::Closed, "the broker is closed"))
    }

    /// Drains a broker: it accepts no new connections, and closes the open ones. An event reports that they
    /// have gone.
    pub fn drain_broker(&mut self, handle: Handle, spread: Duration) {
        let Some(broker) = self.brokers.get(&handle) else { return };
        broker.acceptor.set_draining(true);
        let events = self.events.clone();
        broker.handle.drain(spread, move || events.put([HostEvent::Broker(handle, BrokerEvent::Drained)]));
    }

    /// Stops a broker.
    pub fn close_broker(&mut self, handle: Handle) {
        let Some(broker) = self.brokers.remove(&handle) else { return };
        broker.handle.close();
        // With a port, the close is reported once the port is free again.
        if broker.port.is_none() {
            self.events.put([HostEvent::Broker(handle, BrokerEvent::Closed)]);
        }
    }

    /// Returns the broker, unless it was stopped.
    pub fn running_broker(&self, handle: Handle) -> Option<(Arc<BrokerHandle>, Arc<Acceptor>)> {
        self.brokers.get(&handle).map(|broker| (broker.handle.clone(), broker.acceptor.clone()))
    }

    /// Takes over a batch of commands. Returns the bytes that the engine has not taken yet.
    pub fn submit(&mut self, batch: &[u8]) -> Result<usize, Failure> {
        let Self { clients, brokers, sockety, .. } = self;
        let mut fabric = Submission::new(clients);
        let mut malformed = None;
        let outcome = read_batch(batch, |handle, record| match record {
            Record::Fabric(command) => {
                let closes = matches!(command, Command::Close(_));
                fabric.push(handle, command, closes);
            }
            Record::Broker(reply) => {
                if let Some(broker) = brokers.get(&handle) {
                    answer(&broker.handle, reply);
                }
            }
            Record::Sockety(record) => {
                if let Err(failure) = sockety.submit(handle, record) {
                    malformed.get_or_insert(failure);
                }
            }
        });
        fabric.flush();
        sockety.detach();
        malformed.map_or(outcome, Err).map(|()| self.waiting())
    }

    /// Reads what has come for clients, as long as that does not hold JavaScript up: their tasks have been
    /// woken, too.
    pub(super) fn poll_ready(&mut self) {
        let Self { readiness: Readiness::On(readiness), clients, sockety, .. } = self else { return };
        let until = now() + MAX_INLINE_READ;
        readiness.poll_ready(|client| {
            if now() < until && !clients.read_ready(client) {
                sockety.connections.read_ready(client);
            }
        });
    }

    /// Returns the number of bytes that the engine has not processed yet.
    pub fn waiting(&self) -> usize {
        self.clients.weight() + self.sockety.connections.weight()
    }

    /// Returns the same of one client.
    pub fn queued(&self, client: Handle) -> usize {
        self.clients.weight_of(client)
    }

    /// Returns what is open, as JSON text: for checks that nothing stays behind.
    pub fn counts(&self) -> String {
        let stats: Vec<_> = self.brokers.values().map(|broker| broker.handle.stats()).collect();
        serde_json::json!({
            "tasks": tasks(),
            "clients": self.clients.len(),
            "brokers": self.brokers.len(),
            "socketyConnections": self.sockety.connections.len(),
            "connections": stats.iter().map(|stats| stats.connections).sum::<usize>(),
            "subscriptions": stats.iter().map(|stats| stats.subscriptions).sum::<usize>(),
            "waits": stats.iter().map(|stats| stats.waits).sum::<usize>(),
            "waitingBytes": self.waiting(),
        })
        .to_string()
    }

    /// Packs what happened; calls `visit` with the buffer if there is anything in it.
    pub fn drain<R>(&mut self, visit: impl FnOnce(&EventBuffer) -> R) -> Option<R> {
        let Self { events, buffer, sockety, .. } = self;
        buffer.clear();
        events.take(MAX_DRAIN_EVENTS, MAX_DRAIN_BYTES, |event| {
            sockety.handle_event(&event, events);
            buffer.put(event);
        });
        let result = (!buffer.bytes.is_empty()).then(|| visit(buffer));
        buffer.big.clear();
        result
    }

    /// Returns whether the engine keeps the event loop alive.
    pub fn hold(&self, env: &Env, on: bool) {
        let wake = self.wake.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(wake) = &*wake else { return };
        // SAFETY: we are on the thread of the environment that made the function, and it has not been
        // released: it is still in `wake`.
        unsafe {
            if on {
                napi::sys::napi_ref_threadsafe_function(env.raw(), wake.raw());
            } else {
                napi::sys::napi_unref_threadsafe_function(env.raw(), wake.raw());
            }
        }
    }

    fn broker(&self, handle: Handle) -> Result<Arc<BrokerHandle>, Failure> {
        let broker = self.running_broker(handle).map(|(broker, _)| broker);
        broker.ok_or_else(|| Failure::new(Code::Closed, "the broker is closed"))
    }
}

/// Brings an answer to the broker that asked.
fn answer(broker: &BrokerHandle, reply: AuthReply) {
    broker.with(|machine, now| match reply {
        AuthReply::User(request, user) => machine.handle_user(now, request, user),
        AuthReply::Permission(request, decision) => machine.handle_decision(now, request, decision),
    });
}

impl Drop for Session {
    fn drop(&mut self) {
        self.events.close();
        self.brokers.values().for_each(|broker| broker.handle.close());
        self.pipes.values().for_each(|pipe| pipe.end(false));
        self.wake.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// No further client is looked at after this time.
const MAX_INLINE_READ: Duration = Duration::from_millis(2);
/// Events in one buffer.
const MAX_DRAIN_EVENTS: usize = 512;
const MAX_DRAIN_BYTES: usize = 1024 * 1024;
