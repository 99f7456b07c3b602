//! Two ends over a network that cuts, delays and breaks, from a seed.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use selvedge::base::{Code, Failure, LinkEvent, Machine};
use selvedge::sockety::{Command, Config, Content, DraftFile, OutgoingMessage, OutgoingStream, Part};
use uuid::Uuid;

use super::app::{App, Received, message};
use crate::dice::Dice;

/// Bytes that the network holds in one direction.
const PIPE_BYTES: usize = 40_000;

struct World {
    dice: Dice,
    ends: [End; 2],
    /// What is under way to each end.
    pipes: [Pipe; 2],
    /// Whether it broke down by our doing.
    is_cut: bool,
}

struct End {
    app: App,
    /// By action, what was sent.
    sent: BTreeMap<String, Sent>,
    /// Messages of which parts have not been written.
    unwritten: Vec<Unwritten>,
    /// Messages that were looked at: how many.
    answered: usize,
    last_number: u32,
    /// Requests that wait.
    requests: BTreeMap<u32, Uuid>,
    marks: u32,
}

#[derive(Default)]
struct Pipe {
    bytes: VecDeque<u8>,
    has_ended: bool,
}

#[derive(Debug, Clone, Default)]
struct Sent {
    data: Vec<u8>,
    stream: Option<Vec<u8>>,
    files: Vec<Vec<u8>>,
    /// Given up.
    is_aborted: bool,
}

struct Unwritten {
    action: String,
    number: u32,
    /// Pieces, last one first.
    stream: Option<Vec<Vec<u8>>>,
    files: VecDeque<(u32, Vec<Vec<u8>>)>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let windows = [dice.pick(&[20_000, 200_000]), dice.pick(&[20_000, 200_000])];
        let channels = [dice.pick(&[1, 2, 16, 256, 257, 4096]), dice.pick(&[1, 5, 4096])];
        let end = |at: usize| {
            let mut app = App::new(Config {
                max_unread_bytes: windows[at],
                max_received_channels: channels[at],
                ..Config::default()
            });
            app.is_eager = false;
            End {
                app,
                sent: BTreeMap::new(),
                unwritten: Vec::new(),
                answered: 0,
                last_number: 0,
                requests: BTreeMap::new(),
                marks: 0,
            }
        };
        Self { ends: [end(0), end(1)], pipes: Default::default(), dice, is_cut: false }
    }

    /// One thing happens somewhere.
    fn step(&mut self) {
        let at = self.dice.below(2);
        match self.dice.below(10) {
            0 | 1 => self.carry(at),
            2..=4 => self.deliver(at),
            5 => self.ends[at].write(&mut self.dice),
            6 | 7 => self.ends[at].read(&mut self.dice),
            8 => self.ends[at].answer(&mut self.dice),
            _ => {
                let millis = self.dice.millis(0, 500);
                self.pass(millis);
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        for end in &mut self.ends {
            let until = end.app.now + time;
            end.app.wait_until(until);
        }
    }

    /// What an end has said gets on its way, as long as there is room.
    fn carry(&mut self, from: usize) {
        let pipe = &mut self.pipes[1 - from];
        while pipe.bytes.len() < PIPE_BYTES {
            let Some(bytes) = self.ends[from].app.machine.poll_output() else { break };
            pipe.bytes.extend(bytes);
        }
        let app = &mut self.ends[from].app;
        app.drain();
        if !app.requests.is_empty() && !pipe.has_ended {
            pipe.bytes.extend(std::iter::from_fn(|| app.machine.poll_output()).flatten());
            pipe.has_ended = true;
            app.link(LinkEvent::Closed);
        }
    }

    /// Some of what is under way arrives, cut anywhere.
    fn deliver(&mut self, to: usize) {
        let end = &mut self.ends[to];
        if !end.app.machine.is_reading() || end.app.closed.is_some() {
            return;
        }
        let pipe = &mut self.pipes[to];
        let most = self.dice.pick(&[1, 7, 300, 5000, 100_000]);
        let length = pipe.bytes.len().min(1 + self.dice.below(most));
        let chunk: Vec<u8> = pipe.bytes.drain(..length).collect();
        if !chunk.is_empty() {
            end.app.feed(&chunk);
        } else if pipe.has_ended {
            end.app.end();
        }
    }

    /// The connection breaks; what is under way is lost, or one direction of it.
    fn cut(&mut self) {
        self.is_cut = true;
        for end in &mut self.ends {
            end.app.link(LinkEvent::Down(Failure::new(Code::ConnectionReset, "reset")));
        }
    }

    /// Everything that can still happen does.
    fn come_to_rest(&mut self) {
        for _ in 0..20_000 {
            for at in [0, 1] {
                self.carry(at);
                self.deliver(at);
                self.ends[at].read_all();
                self.ends[at].answer(&mut self.dice);
                self.ends[at].write_all();
            }
            let is_idle = |end: &End| end.unwritten.is_empty() && end.answered == end.app.messages.len();
            let is_empty = self.pipes.iter().all(|pipe| pipe.bytes.is_empty());
            if is_empty && self.ends.iter().all(is_idle) && !self.try_output() {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    fn try_output(&mut self) -> bool {
        [0, 1].into_iter().any(|at| {
            let before = self.pipes[1 - at].bytes.len();
            self.carry(at);
            self.pipes[1 - at].bytes.len() > before
        })
    }

    /// What came is what was sent; all of it, if nothing broke.
    fn assert_right(&self, seed: u64, is_all: bool) {
        for (end, peer) in [(&self.ends[0], &self.ends[1]), (&self.ends[1], &self.ends[0])] {
            for got in &end.app.messages {
                let sent = &peer.sent[&key(got)];
                let is_aborted = got.aborted.is_some();
                assert!(!is_all || is_aborted == sent.is_aborted, "seed {seed}: {got:?}");
                assert!(!is_all || is_aborted || got.is_whole(), "seed {seed}: {}", key(got));
                is_part(&got.data, &sent.data, got.is_whole());
                if let Some(stream) = &got.stream {
                    is_part(&stream.bytes, sent.stream.as_ref().expect("sent one"), stream.has_ended);
                }
                for ((_, size, contents), file) in got.files.iter().zip(&sent.files) {
                    assert_eq!(*size, file.len() as u64);
                    is_part(&contents.bytes, file, contents.has_ended);
                }
            }
            if is_all {
                let unanswered = end.requests.keys().filter(|request| {
                    !end.app.replies.iter().any(|(answered, _, _)| answered == *request)
                        && !end
                            .app
                            .messages
                            .iter()
                            .any(|got| got.answers.is_some_and(|(answered, _)| answered == **request))
                });
                // A message that was given up is not always seen, nor its answer.
                let aborted = |end: &End| end.sent.values().filter(|sent| sent.is_aborted).count();
                assert!(unanswered.count() <= aborted(end) + aborted(peer), "seed {seed}");
                let whole = end.app.messages.len();
                assert!(whole + aborted(peer) >= peer.sent.len(), "seed {seed}");
                let mut flushed = end.app.flushed.clone();
                flushed.sort_unstable();
                flushed.dedup();
                assert_eq!(flushed.len(), end.app.flushed.len(), "seed {seed}: no mark twice");
            }
        }
    }
}

fn is_part(got: &[u8], sent: &[u8], is_all: bool) {
    assert!(sent.starts_with(got) && (!is_all || got.len() == sent.len()));
}

/// Every message has an action of its own; a response is known by its id.
fn key(got: &Received) -> String {
    got.answers.map_or_else(|| got.action.clone(), |_| got.id.to_string())
}

impl End {
    /// Sends something new, or more of something.
    fn write(&mut self, dice: &mut Dice) {
        if !self.app.is_open || self.app.machine.is_closing() {
            return;
        }
        if self.unwritten.is_empty() || dice.chance(0.4) {
            let fresh = u8::try_from(self.sent.len() % 256).expect("a byte");
            let request = if dice.chance(0.5) { self.fresh_number() } else { 0 };
            let id = Uuid::from_u128((u128::from(self.last_number) << 64) | u128::from(fresh) | 1 << 127);
            let action = format!("m{}", self.sent.len());
            let mut message = OutgoingMessage { request, ..message(id, &action) };
            if request != 0 {
                self.requests.insert(request, id);
            }
            self.send(dice, &mut message, action);
            self.app.command(Command::Send(message));
        } else {
            let at = dice.below(self.unwritten.len());
            if dice.chance(0.02) {
                let unwritten = self.unwritten.swap_remove(at);
                self.sent.get_mut(&unwritten.action).expect("sent").is_aborted = true;
                self.app.command(Command::Abort(unwritten.number));
            } else {
                self.write_one(at);
            }
        }
    }

    /// Gives `message` a body.
    fn send(&mut self, dice: &mut Dice, message: &mut OutgoingMessage, key: String) {
        let mut sent = Sent::default();
        let mut unwritten =
            Unwritten { action: key.clone(), number: 0, stream: None, files: VecDeque::new() };
        let blob = |dice: &mut Dice| {
            let most = dice.pick(&[1, 10, 1000, 9000, 60_000]);
            let (length, first) = (dice.below(most), dice.below(251));
            (first..first + length).map(|at| (at % 251).to_le_bytes()[0]).collect::<Vec<u8>>()
        };
        if dice.chance(0.5) {
            sent.data = blob(dice);
            message.data = sent.data.clone().into();
        }
        for index in 0..dice.pick(&[0, 0, 0, 1, 3]) {
            let content = blob(dice);
            let name = format!("f{index}").into();
            let size = content.len() as u64;
            let follows = dice.chance(0.5);
            let whole = || Content::Whole(content.clone().into());
            let source = if follows { Content::Follows } else { whole() };
            message.files.push(DraftFile { name, size, content: source });
            if follows {
                unwritten.files.push_back((index, pieces(dice, &content)));
            }
            sent.files.push(content);
        }
        if dice.chance(0.2) {
            let content = blob(dice);
            unwritten.stream = Some(pieces(dice, &content));
            sent.stream = Some(content);
            message.stream = OutgoingStream::Open;
        }
        if unwritten.stream.is_some() || !unwritten.files.is_empty() {
            message.number = self.fresh_number();
            unwritten.number = message.number;
            self.unwritten.push(unwritten);
        }
        self.marks += 1;
        message.mark = self.marks;
        self.sent.insert(key, sent);
    }

    /// Writes the next piece of a message, or the end of a part.
    fn write_one(&mut self, at: usize) {
        let Unwritten { number, stream, files, .. } = &mut self.unwritten[at];
        let number = *number;
        let (part, pieces) = match (files.front_mut(), &mut *stream) {
            (Some((index, pieces)), _) => (Part::File(*index), pieces),
            (None, Some(pieces)) => (Part::Stream, pieces),
            (None, None) => unreachable!("it is removed with its last part"),
        };
        let command = match pieces.pop() {
            Some(bytes) => Command::Write { number, part, bytes: Bytes::from(bytes), mark: 0 },
            None => {
                match part {
                    Part::Stream => *stream = None,
                    _ => drop(files.pop_front()),
                }
                Command::End { number, part, mark: 0 }
            }
        };
        if stream.is_none() && files.is_empty() {
            self.unwritten.swap_remove(at);
        }
        self.app.command(command);
    }

    fn write_all(&mut self) {
        if self.app.machine.is_closing() {
            self.unwritten.clear();
        }
        while !self.unwritten.is_empty() {
            self.write_one(0);
        }
    }

    /// Reads a little of something.
    fn read(&mut self, dice: &mut Dice) {
        let unread: Vec<u32> = self.unread().collect();
        if let Some(number) = (!unread.is_empty()).then(|| dice.pick(&unread)) {
            let part = dice.pick(&[Part::Data, Part::Stream, Part::File(0), Part::File(1), Part::File(2)]);
            let most = dice.pick(&[10, 1000, 100_000]);
            let bytes = 1 + dice.below(most) as u64;
            self.app.read(number, part, bytes);
        }
    }

    fn read_all(&mut self) {
        for number in self.unread().collect::<Vec<_>>() {
            for part in [Part::Data, Part::Stream, Part::File(0), Part::File(1), Part::File(2)] {
                self.app.read(number, part, 1 << 40);
            }
        }
    }

    fn unread(&self) -> impl Iterator<Item = u32> + '_ {
        let unread = |got: &&Received| got.number != 0 && !got.is_whole();
        self.app.messages.iter().filter(unread).map(|got| got.number)
    }

    /// Answers the next message that wants it.
    fn answer(&mut self, dice: &mut Dice) {
        let Some(got) = self.app.messages.get(self.answered) else { return };
        self.answered += 1;
        if !got.expects_response || self.app.machine.is_closing() {
            return;
        }
        let id = got.id;
        if dice.chance(0.5) {
            return self.app.command(Command::FastReply { id, code: 5, mark: 0 });
        }
        let own = Uuid::from_u128((u128::from(self.fresh_number()) << 64) | 1 << 126);
        let mut response = OutgoingMessage { parent: Some(id), ..message(own, "") };
        self.send(dice, &mut response, own.to_string());
        self.app.command(Command::Send(response));
    }

    fn fresh_number(&mut self) -> u32 {
        self.last_number += 1;
        self.last_number
    }
}

/// Cuts content into pieces, last one first.
fn pieces(dice: &mut Dice, mut content: &[u8]) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    while !content.is_empty() {
        let most = dice.pick(&[10, 1000, 30_000]);
        let (piece, rest) = content.split_at(content.len().min(1 + dice.below(most)));
        pieces.push(piece.to_vec());
        content = rest;
    }
    pieces.reverse();
    pieces
}

fn seeds() -> u64 {
    std::env::var("SELVEDGE_SIM_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(150)
}

#[test]
fn what_arrives_is_what_was_sent_however_it_is_cut_and_however_slowly_it_is_read() {
    let (mut messages, mut aborted, mut full) = (0, 0, 0);
    for seed in 0..seeds() {
        let mut world = World::new(seed);
        for _ in 0..1500 {
            world.step();
            full += world.ends.iter().filter(|end| !end.app.machine.is_reading()).count();
        }
        world.come_to_rest();
        world.assert_right(seed, true);
        assert!(world.ends.iter().all(|end| end.app.closed.is_none()), "seed {seed}");
        messages += world.ends.iter().map(|end| end.app.messages.len()).sum::<usize>();
        aborted +=
            world.ends.iter().flat_map(|end| &end.app.messages).filter(|got| got.aborted.is_some()).count();
    }
    println!("{messages} messages, {aborted} of them aborted; {full} steps with a full window");
    assert!(messages > 1000 && aborted > 5 && full > 1000, "the world does what it is for");
}

#[test]
fn a_cut_in_the_middle_loses_no_more_than_what_was_under_way_and_ends_both_sides() {
    for seed in 0..seeds() {
        let mut world = World::new(seed);
        let steps = 100 + world.dice.below(1500);
        (0..steps).for_each(|_| world.step());
        world.cut();
        world.ends.iter_mut().for_each(End::read_all);
        world.assert_right(seed, false);
        world.pass(Duration::from_secs(3600));
        for end in &world.ends {
            assert!(end.app.closed.is_some() && end.app.is_finished, "seed {seed}");
            let open = end.app.messages.iter().filter(|got| !got.is_whole() && got.aborted.is_none());
            assert_eq!(open.count(), 0, "seed {seed}: every message is whole, or known not to be");
        }
    }
}

#[test]
fn an_orderly_close_brings_everything_that_was_sent_before_it() {
    for seed in 0..seeds() {
        let mut world = World::new(seed);
        let steps = 100 + world.dice.below(1000);
        (0..steps).for_each(|_| world.step());
        // Whoever closes has written everything.
        world.ends[0].write_all();
        if !world.ends[0].app.is_open {
            continue;
        }
        let sent: Vec<String> = world.ends[0].sent.keys().cloned().collect();
        world.ends[0].app.command(Command::Close);
        for _ in 0..20_000 {
            for at in [0, 1] {
                world.carry(at);
                world.deliver(at);
                world.ends[at].read_all();
            }
            if world.ends[1].app.is_finished {
                break;
            }
        }
        let peer = &world.ends[1].app;
        assert!(peer.closed == Some(None) && peer.is_finished && peer.go_aways == 1, "seed {seed}");
        for action in sent {
            let is_aborted = world.ends[0].sent[&action].is_aborted;
            let got = peer.messages.iter().find(|got| key(got) == action);
            assert!(is_aborted || got.is_some_and(Received::is_whole), "seed {seed}: {action}");
        }
    }
}
