//! Data with a time: never handed out late, never more than once, all else as if it were not there.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use selvedge::base::Few;
use selvedge::endpoint::Command;
use selvedge::socket::{Consumed, SocketConfig, SocketEvent, StaleData};
use selvedge::wire::{Item, Messages, Payload};

use crate::app::{Sock, parse, payload};
use crate::net::{Faults, QUIET};
use crate::socket::{MINUTE, SECOND, pair};
use crate::world::World;

/// What the two ends of a socket say and hear, where data may have a time.
#[derive(Default)]
pub struct Timeline {
    /// What was written, by its number in its payload: its time, and what became of it.
    written: BTreeMap<u64, Written>,
    /// What the writer's socket still calls by a number, in order.
    numbered: Vec<u64>,
    acked: u64,
    /// What waits for the reader.
    unread: VecDeque<Unread>,
    is_reading: bool,
    /// The latest that the reader was handed.
    latest: u64,
    /// The other end knows nothing of times: what has left comes as if it had none.
    is_old: bool,
    /// How long the reader takes for each, in ms, at most.
    slowness: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Written {
    ttl: Option<Duration>,
    until: Option<Instant>,
    bytes: u64,
    read: bool,
    /// Dropped by the reader; and the writer was told so.
    dropped: bool,
    told: bool,
    stale: Option<bool>,
}

struct Unread {
    tag: Option<u64>,
    until: Option<Instant>,
    /// As its socket calls it, if it has a time.
    number: Option<u64>,
}

impl World {
    /// Writes a message, with a time or without one.
    fn write_line(&mut self, sock: Sock, size: usize, ttl: Option<Duration>) {
        let now = self.clock(sock.0);
        let Some(line) = &mut self.line else { return };
        let tag = line.written.len() as u64 + 1;
        let payload = payload(1, tag, size);
        let bytes = payload.raw.len() as u64;
        let until = ttl.map(|ttl| now + ttl);
        line.written.insert(tag, Written { ttl, until, bytes, ..Written::default() });
        line.numbered.push(tag);
        let (sockets, volatile) = (vec![sock.1], false);
        let command = match ttl {
            Some(ttl) => {
                let item = Item { payload, json: None };
                Command::SocketWriteTimed { sockets, item, volatile, ttl }
            }
            None => {
                let batches = Few::One(Messages::one(payload, None));
                Command::SocketWrite { sockets: sockets.into(), batches, volatile }
            }
        };
        self.command(sock.0, command);
    }

    /// Returns whether the event was for a socket of a timeline.
    pub(crate) fn take_line_event(&mut self, sock: Sock, event: &SocketEvent) -> bool {
        let now = self.clock(sock.0);
        let Some(line) = &mut self.line else { return false };
        let verdict = match event {
            SocketEvent::Stale(stale) => line.handle_stale(now, *stale),
            SocketEvent::Dropped(number) => line.handle_told(*number),
            SocketEvent::Acked { messages, bytes } => line.handle_acked(*messages, *bytes),
            SocketEvent::Timed { item, until, number } => line.handle_timed(now, item, *until, *number),
            SocketEvent::Data(batch) => batch.items().try_for_each(|item| {
                let tag = parse(&item.payload).map(|(_, tag)| tag);
                line.unread.push_back(Unread { tag, until: None, number: None });
                let written = tag.and_then(|tag| line.written.get(&tag));
                if written.is_some_and(|written| line.is_old || written.ttl.is_none()) {
                    Ok(())
                } else {
                    Err(format!("{tag:?} came as if it had no time"))
                }
            }),
            SocketEvent::Undelivered(_) => Err("nothing closes here".to_owned()),
            _ => return false,
        };
        if let Err(what) = verdict {
            self.blame(format_args!("{sock:?}: {what}"));
        }
        self.read_on(sock);
        true
    }

    /// The reader takes what waits, one by one.
    fn read_on(&mut self, sock: Sock) {
        let Some(line) = self.line.as_mut().filter(|line| !line.is_reading && !line.unread.is_empty()) else {
            return;
        };
        line.is_reading = true;
        let slowness = line.slowness;
        let delay = if slowness == 0 { Duration::ZERO } else { self.dice.millis(0, slowness) };
        self.after(delay, move |world| {
            let now = world.clock(sock.0);
            let Some(line) = &mut world.line else { return };
            line.is_reading = false;
            let Some(next) = line.unread.pop_front() else { return };
            let is_late = next.number.is_some() && next.until.is_none_or(|until| until <= now);
            if let Err(what) = line.read(&next, is_late) {
                world.blame(format_args!("{sock:?}: {what}"));
            }
            if let Some(number) = next.number.filter(|_| is_late && next.until.is_some()) {
                world.command(sock.0, Command::SocketDropped { socket: sock.1, number });
            }
            world.command(sock.0, Command::Consumed { socket: sock.1, counts: Consumed::data(1) });
            world.read_on(sock);
        });
    }

    /// What must hold when everything has come to rest.
    fn check_line(&mut self, what: &str) {
        let Some(line) = self.line.take() else { return };
        let mut wrong = Vec::new();
        for (tag, written) in &line.written {
            let Written { ttl, read, dropped, told, stale, .. } = *written;
            let fates = [read, dropped, stale.is_some()].into_iter().filter(|is| *is).count();
            // What had left may have come after all: its writer gave it up.
            let is_one = fates == 1 || (stale == Some(true) && fates == 2);
            let is_sound = if ttl.is_none() { read && fates == 1 } else { is_one && dropped == told };
            if !is_sound {
                wrong.push(format!("{what}: {tag}: {written:?}"));
            }
        }
        if line.acked != line.numbered.len() as u64 {
            wrong.push(format!("{what}: {} of {} are handled", line.acked, line.numbered.len()));
        }
        wrong.iter().for_each(|wrong| self.blame(wrong));
    }
}

impl Timeline {
    fn tag_of(&self, number: u64) -> Result<u64, String> {
        let at = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        at.and_then(|at| self.numbered.get(at)).copied().ok_or(format!("there is no message {number}"))
    }

    fn handle_stale(&mut self, now: Instant, stale: StaleData) -> Result<(), String> {
        let tag = self.tag_of(stale.number)?;
        if stale.number <= self.acked {
            return Err(format!("{tag} is stale, and was handled"));
        }
        if !stale.had_left {
            self.numbered.retain(|other| *other != tag);
        }
        let Some(written) = self.written.get_mut(&tag) else { return Err("never written".to_owned()) };
        if written.until.is_none_or(|until| until > now) || written.bytes != stale.bytes as u64 {
            return Err(format!("{tag} is stale too early, or not itself: {written:?} {stale:?}"));
        }
        if written.stale.replace(stale.had_left).is_some() || (written.read && !stale.had_left) {
            return Err(format!("{tag} is stale once more, or was read: {written:?}"));
        }
        Ok(())
    }

    fn handle_told(&mut self, number: u64) -> Result<(), String> {
        let tag = self.tag_of(number)?;
        let written = self.written.get_mut(&tag).ok_or("never written")?;
        if !written.dropped || std::mem::replace(&mut written.told, true) {
            return Err(format!("{tag} was not dropped, or that was told: {written:?}"));
        }
        Ok(())
    }

    fn handle_acked(&mut self, total: u64, bytes: u64) -> Result<(), String> {
        let newly = self.acked + 1..=total;
        for number in newly {
            let tag = self.tag_of(number)?;
            let written = self.written[&tag];
            let is_handled = written.read || (written.dropped && written.told) || written.stale == Some(true);
            if !is_handled {
                return Err(format!("{tag} counts as handled: {written:?}"));
            }
        }
        self.acked = total;
        let of = |tag: &u64| self.written[tag];
        let handled = self.numbered[..usize::try_from(total).unwrap_or(0)].iter().map(of);
        let expected: u64 =
            handled.filter(|written| written.stale.is_none()).map(|written| written.bytes).sum();
        if bytes == expected { Ok(()) } else { Err(format!("{bytes} bytes are handled, not {expected}")) }
    }

    fn handle_timed(
        &mut self,
        now: Instant,
        item: &Item,
        until: Option<Instant>,
        number: u64,
    ) -> Result<(), String> {
        let tag = parse(&item.payload).map(|(_, tag)| tag);
        self.unread.push_back(Unread { tag, until, number: Some(number) });
        let Some(tag) = tag else {
            let is_expired = until.is_none() && item.payload == Payload::NIL;
            return if is_expired { Ok(()) } else { Err("a payload that nobody wrote".to_owned()) };
        };
        let ttl =
            self.written.get(&tag).and_then(|written| written.ttl).ok_or(format!("{tag} has no time"))?;
        if until.is_none_or(|until| until > now + ttl) { Err(format!("{tag} has more time")) } else { Ok(()) }
    }

    fn read(&mut self, next: &Unread, is_late: bool) -> Result<(), String> {
        let Some(tag) = next.tag else { return Ok(()) };
        if std::mem::replace(&mut self.latest, tag) >= tag {
            return Err(format!("{tag} came out of order"));
        }
        let written = self.written.get_mut(&tag).ok_or("never written")?;
        if written.read || written.dropped || written.stale == Some(false) {
            return Err(format!("{tag} came although: {written:?}"));
        }
        (written.read, written.dropped) = (!is_late, is_late);
        Ok(())
    }
}

fn timeline(seed: u64, config: &SocketConfig, slowness: u64) -> (World, Sock, Sock) {
    let (mut world, near, far) = pair(seed, config);
    world.line = Some(Timeline { slowness, is_old: !config.stream, ..Timeline::default() });
    (world, near, far)
}

fn finish(mut world: World, what: &str) {
    world.net.faults = QUIET;
    world.run_for(2 * MINUTE);
    world.check_line(what);
    world.come_to_rest();
    world.assert_right(what);
}

#[test]
fn whatever_is_lost_late_or_slow_data_with_a_time_is_handed_out_in_time_or_not_at_all() {
    for seed in 0..150 {
        for stream in [true, false] {
            let config = SocketConfig { stream, ..SocketConfig::default() };
            let (mut world, near, _) = timeline(1000 + seed, &config, seed % 3 * 40);
            let faults = Faults { loss: 0.2, duplicate: 0.1, reorder: 0.1, ..QUIET };
            world.net.faults = if stream || seed % 2 == 0 { faults } else { QUIET };
            for round in 0..60 {
                let ttl = world.dice.chance(0.6).then(|| world.dice.millis(1, 400));
                let size = if world.dice.chance(0.05) { 300_000 } else { 10 };
                world.write_line(near, size, ttl);
                if round % 20 == 7 {
                    world.attach(near, false);
                }
                if round % 20 == 14 {
                    world.attach(near, true);
                }
                let pause = world.dice.millis(0, 60);
                world.run_for(pause);
            }
            world.attach(near, true);
            finish(world, &format!("seed {seed}, stream {stream}"));
        }
    }
}

#[test]
fn what_waits_while_the_other_end_is_away_is_given_up_in_time_and_makes_room() {
    for stream in [true, false] {
        let config = SocketConfig { stream, max_queue: 4, ..SocketConfig::default() };
        let (mut world, near, _) = timeline(7, &config, 0);
        world.run_for(SECOND);
        world.attach(near, false);
        for _ in 0..10 {
            (0..4).for_each(|_| world.write_line(near, 10, Some(Duration::from_millis(200))));
            world.run_for(Duration::from_millis(250));
        }
        world.write_line(near, 10, None);
        world.write_line(near, 10, Some(MINUTE));
        world.attach(near, true);
        world.run_for(SECOND);
        let line = world.line.as_ref().expect("a line");
        let stale = line.written.values().filter(|written| written.stale == Some(false)).count();
        assert_eq!((stale, line.numbered.len(), line.acked), (40, 2, 2));
        finish(world, "makes room");
    }
}
