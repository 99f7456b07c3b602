//! A second kind of machine: lines of text over plain bytes, with a heartbeat of its own. It has nothing to
//! do with a fabric, and needs nothing but what every machine gets.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::base::{Chunk, Failure, LinkInfo, Machine, Urgent, Weigh};
use crate::boundary::HostEvent;
use crate::link::PipeEvent;
use crate::transport::{ByteLink, Link, LinkError};

/// Sends lines, tells lines, and once it is told to, an empty one now and then.
#[derive(Default)]
struct Lines {
    incoming: BytesMut,
    outgoing: VecDeque<Bytes>,
    events: VecDeque<LinesEvent>,
    requests: VecDeque<LinkRequest>,
    beat_at: Option<Instant>,
    /// Lines that the application has not handled; with `MAX_UNHANDLED` of them nothing is read.
    unhandled: usize,
    is_closed: bool,
}

#[derive(Debug)]
enum LinesCommand {
    Connect,
    Send(&'static str),
    Handled,
    /// From now on it sends a heartbeat.
    Beat,
    Close,
    Fail,
}

#[derive(Debug, PartialEq)]
enum LinesEvent {
    Line(Bytes),
    Unreachable(Failure),
    /// The last.
    Closed,
}

/// No test depends on it: they wait for the lines.
const BEAT: Duration = Duration::from_millis(1);
const MAX_UNHANDLED: usize = 2;

impl Urgent for LinesCommand {}

impl Weigh for LinesCommand {
    fn weight(&self) -> usize {
        if let Self::Send(line) = self { line.len() } else { 1 }
    }
}

impl Lines {
    fn close(&mut self) {
        if !std::mem::replace(&mut self.is_closed, true) {
            self.beat_at = None;
            self.requests.push_back(LinkRequest::Close(Duration::from_secs(5)));
            self.events.push_back(LinesEvent::Closed);
        }
    }
}

impl Machine for Lines {
    type Command = LinesCommand;
    type Event = LinesEvent;
    type Input = Chunk;
    type Output = Bytes;

    fn handle_command(&mut self, now: Instant, command: LinesCommand) {
        match command {
            LinesCommand::Connect => self.requests.push_back(LinkRequest::Dial),
            LinesCommand::Send(line) => self.outgoing.push_back(Bytes::from_static(line.as_bytes())),
            LinesCommand::Beat => self.beat_at = Some(now + BEAT),
            LinesCommand::Handled => self.unhandled -= 1,
            LinesCommand::Close => self.close(),
            LinesCommand::Fail => panic!("as it does in this test"),
        }
    }

    fn handle_link(&mut self, _: Instant, event: LinkEvent) {
        match event {
            LinkEvent::Up(LinkInfo { .. }) | LinkEvent::Closed => {}
            LinkEvent::Unreachable(failure) => self.events.push_back(LinesEvent::Unreachable(failure)),
            LinkEvent::Down(_) => self.close(),
        }
    }

    fn handle_input(&mut self, _: Instant, input: Chunk) {
        let Chunk::Bytes(bytes) = input else { return self.close() };
        self.incoming.extend_from_slice(&bytes);
        while let Some(end) = self.incoming.iter().position(|byte| *byte == b'\n') {
            let line = self.incoming.split_to(end + 1).freeze();
            self.unhandled += 1;
            self.events.push_back(LinesEvent::Line(line));
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.outgoing.push_back(Bytes::from_static(b"\n"));
        self.beat_at = Some(now + BEAT);
    }

    fn poll_output(&mut self) -> Option<Bytes> {
        self.outgoing.pop_front()
    }

    fn poll_event(&mut self) -> Option<LinesEvent> {
        self.events.pop_front()
    }

    fn poll_link(&mut self) -> Option<LinkRequest> {
        self.requests.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.beat_at
    }

    fn is_reading(&self) -> bool {
        self.unhandled < MAX_UNHANDLED
    }

    fn is_last(event: &LinesEvent) -> bool {
        *event == LinesEvent::Closed
    }

    fn panicked() -> LinesEvent {
        LinesEvent::Closed
    }
}

impl Reporting for Lines {
    fn report(handle: Handle, event: LinesEvent) -> HostEvent {
        HostEvent::Pipe(
            handle,
            match event {
                LinesEvent::Line(line) => PipeEvent::Bytes(line),
                LinesEvent::Unreachable(failure) => PipeEvent::Bytes(failure.code.to_string().into()),
                LinesEvent::Closed => PipeEvent::End,
            },
        )
    }
}

/// JavaScript's side: the queue, and a wake that can be waited for.
struct Host {
    events: Arc<EventQueue>,
    woken: Receiver<()>,
}

impl Host {
    fn new() -> Self {
        let (wake, woken): (Sender<()>, _) = channel();
        let events = Arc::new(EventQueue::new(move || {
            // Nobody waits any more at the end of a test.
            let _ = wake.send(());
        }));
        Self { events, woken }
    }

    /// Waits until the machine has told so many events.
    fn told(&self, count: usize) -> Vec<PipeEvent> {
        let mut told = Vec::new();
        while told.len() < count {
            self.woken.recv_timeout(Duration::from_secs(10)).expect("told in time");
            let mut before = usize::MAX;
            while before != told.len() {
                before = told.len();
                self.events.take(512, usize::MAX, |event| {
                    let HostEvent::Pipe(HANDLE, event) = event else { panic!("{event:?}") };
                    told.push(event);
                });
            }
        }
        assert_eq!(told.len(), count, "{told:?}");
        told
    }
}

const HANDLE: Handle = 7;

/// Connects to the other end of a stream, once.
struct Once(std::sync::Mutex<Option<DuplexStream>>);

impl Connector<Bytes, Chunk> for Once {
    fn connect(&self) -> Connecting<Bytes, Chunk> {
        let stream = self.0.lock().expect("unpoisoned").take();
        Box::pin(async {
            stream.map(|stream| ByteLink::boxed(Box::new(stream), &[])).ok_or(LinkError::Silent)
        })
    }
}

fn dialled(host: &Host) -> (DriverHandle<Lines>, DuplexStream) {
    let (near, far) = duplex(1024);
    let connector = Once(std::sync::Mutex::new(Some(near)));
    let first = Some(LinesCommand::Connect);
    (DriverHandle::spawn(HANDLE, Lines::default(), connector, host.events.clone(), first), far)
}

fn line(text: &'static str) -> PipeEvent {
    PipeEvent::Bytes(Bytes::from_static(text.as_bytes()))
}

async fn read(stream: &mut DuplexStream, wanted: &str) {
    let mut bytes = vec![0; wanted.len()];
    stream.read_exact(&mut bytes).await.expect("open");
    assert_eq!(String::from_utf8_lossy(&bytes), wanted);
}

#[test]
fn commands_leave_what_comes_is_told_and_deadlines_are_kept() {
    let host = Host::new();
    let (driver, mut far) = dialled(&host);
    driver.put([LinesCommand::Send("a\n"), LinesCommand::Send("b\n"), LinesCommand::Beat]);
    threads::block_on(async {
        // Nothing more is asked of it: the rest is its heartbeat.
        read(&mut far, "a\nb\n\n\n").await;
        far.write_all(b"one\ntw").await.expect("open");
    });
    assert_eq!(host.told(1), [line("one\n")]);
    threads::block_on(far.write_all(b"o\n")).expect("open");
    assert_eq!(host.told(1), [line("two\n")]);
}

#[test]
fn what_is_not_welcome_stays_with_the_stream_until_a_command_makes_room() {
    let host = Host::new();
    let (driver, mut far) = dialled(&host);
    threads::block_on(far.write_all(b"1\n2\n")).expect("open");
    assert_eq!(host.told(2), [line("1\n"), line("2\n")]);
    // The stream holds 1024 bytes, and nobody reads them: no more since it was told what made it full.
    threads::block_on(far.write_all(&[b'x'; 1024])).expect("open");
    let more = Pin::new(&mut far).poll_write(&mut Context::from_waker(Waker::noop()), b"\n");
    assert!(more.is_pending(), "{more:?}");
    driver.put([LinesCommand::Handled]);
    threads::block_on(far.write_all(b"\n")).expect("open");
    let [PipeEvent::Bytes(long)] = &host.told(1)[..] else { panic!("one line") };
    assert_eq!(long.len(), 1025);
}

/// A link whose other end has to settle what was sent before it takes more: full although all is flushed.
struct Settling {
    stream: BoxedLink<Bytes, Chunk>,
    unsettled: usize,
}

impl Link for Settling {
    type Out = Bytes;
    type In = Chunk;

    fn poll_recv(&mut self, cx: &mut Context<'_>, into: &mut Vec<Chunk>) -> Poll<Result<(), LinkError>> {
        std::task::ready!(self.stream.poll_recv(cx, into))?;
        self.unsettled = 0;
        Poll::Ready(Ok(()))
    }

    fn feed(&mut self, bytes: Bytes) -> Result<(), LinkError> {
        self.unsettled += 1;
        self.stream.feed(bytes)
    }

    fn is_full(&self) -> bool {
        self.unsettled >= 2
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.stream.poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.stream.poll_close(cx)
    }
}

/// 16 384 requests to a frozen server of NATS held the engine's thread for good.
#[test]
fn a_link_that_is_full_until_it_has_read_something_is_read() {
    let host = Host::new();
    let (near, mut far) = duplex(1024);
    let link = Settling { stream: ByteLink::boxed(Box::new(near), &[]), unsettled: 0 };
    let driver = DriverHandle::accept(HANDLE, Lines::default(), Box::new(link), host.events.clone());
    driver.put(["1\n", "2\n", "3\n", "4\n", "5\n"].map(LinesCommand::Send));
    threads::block_on(async {
        read(&mut far, "1\n2\n").await;
        far.write_all(b"settled\n").await.expect("open");
        read(&mut far, "3\n4\n").await;
    });
    driver.put([LinesCommand::Close]);
    threads::block_on(async {
        far.write_all(b"settled\n").await.expect("open");
        read(&mut far, "5\n").await;
    });
    drop(far);
    assert_eq!(host.told(3), [line("settled\n"), line("settled\n"), PipeEvent::End]);
}

#[test]
fn the_last_event_follows_when_what_was_sent_last_has_left() {
    let host = Host::new();
    let (driver, mut far) = dialled(&host);
    driver.put([LinesCommand::Beat]);
    threads::block_on(read(&mut far, "\n"));
    driver.put([LinesCommand::Send("bye\n"), LinesCommand::Close]);
    let mut rest = String::new();
    threads::block_on(far.read_to_string(&mut rest)).expect("orderly");
    assert!(rest.ends_with("bye\n"), "{rest:?}");
    drop(far);
    assert_eq!(host.told(1), [PipeEvent::End]);
    driver.put([LinesCommand::Send("late\n")]);
}

#[test]
fn an_accepted_connection_is_up_from_the_start_and_its_end_is_told() {
    let host = Host::new();
    let (near, mut far) = duplex(1024);
    let link = ByteLink::boxed(Box::new(near), b"early\n");
    let driver = DriverHandle::accept(HANDLE, Lines::default(), link, host.events.clone());
    assert_eq!(host.told(1), [line("early\n")], "what was read before");
    driver.put([LinesCommand::Send("hello\n")]);
    threads::block_on(async {
        read(&mut far, "hello\n").await;
        far.shutdown().await.expect("open");
    });
    assert_eq!(host.told(1), [PipeEvent::End]);
}

#[test]
fn a_link_that_cannot_be_had_is_told_by_its_code() {
    let host = Host::new();
    let (driver, _far) = dialled(&host);
    driver.put([LinesCommand::Connect]);
    assert_eq!(host.told(1), [line("ETIMEDOUT")]);
}

#[test]
fn a_panic_of_one_machine_is_its_end_and_nothing_else() {
    let host = Host::new();
    let (driver, _far) = dialled(&host);
    let other = Host::new();
    let (neighbour, mut far) = dialled(&other);
    driver.put([LinesCommand::Fail]);
    assert_eq!(host.told(1), [PipeEvent::End]);
    neighbour.put([LinesCommand::Send("still here\n")]);
    threads::block_on(read(&mut far, "still here\n"));
}
