//! The other gateways of the fabric above: which of them is at what clients here have asked, and that one was
//! killed, which tells nobody.
//!
//! Each says a word now and then, with what its clients owe for a moment already. Of one that falls silent
//! the fabric above knows whether its connection still is: only that it is not counts as its end.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use crate::subject::{Pattern, Subject};
use crate::wire::{ANSWER_GRACE, GatewayWord};

/// What this gateway knows of the others, and has to tell them.
#[derive(Debug)]
pub(super) struct Fellows {
    name: Arc<str>,
    gateways: BTreeMap<Arc<str>, Gateway>,
    /// What was asked from here, by where the answer comes to.
    asked: HashMap<Subject, Asked, RandomState>,
    /// Oldest first, with those that have their answers.
    recent: VecDeque<(Instant, Subject)>,
    /// What clients here were asked from elsewhere: when, and by what inbox the client is known.
    holds: HashMap<Subject, (Instant, Pattern), RandomState>,
    /// Oldest first, with those that are answered.
    untold: VecDeque<(Instant, Subject)>,
    moved: Vec<Subject>,
    ends: Vec<End>,
    is_new: bool,
    /// Others know that members of groups are here.
    has_said_serves: bool,
    /// `None` while there is nobody to say it to.
    says_at: Option<Instant>,
}

#[derive(Debug)]
struct Gateway {
    heard_at: Instant,
    serves: bool,
    looks_at: Instant,
}

#[derive(Debug)]
struct Asked {
    at: Instant,
    holders: Vec<(Arc<str>, Pattern)>,
    /// Whoever had it may have ended: it is looked for.
    is_sought: bool,
}

/// What a gateway that has ended may have had.
#[derive(Debug)]
struct End {
    at: Instant,
    by_inbox: BTreeMap<String, Vec<Subject>>,
    /// Nobody else has said to have it.
    unclaimed: Vec<Subject>,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Tell the others.
    Say(GatewayWord),
    /// Look whether this one is connected.
    Look(Arc<str>),
    /// Nobody answers there any more, unless the client with this inbox does so at another gateway.
    Ended(Option<Pattern>, Vec<Subject>),
}

impl Fellows {
    pub(super) fn new(name: String) -> Self {
        Self {
            name: name.into(),
            gateways: BTreeMap::new(),
            asked: HashMap::default(),
            recent: VecDeque::new(),
            holds: HashMap::default(),
            untold: VecDeque::new(),
            moved: Vec::new(),
            ends: Vec::new(),
            is_new: true,
            has_said_serves: false,
            says_at: None,
        }
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The fabric above is there, perhaps again: what was said meanwhile was not heard.
    pub(super) fn handle_ready(&mut self, now: Instant) {
        (self.is_new, self.says_at) = (true, Some(now));
        let silence = self.silence();
        self.gateways.values_mut().for_each(|gateway| gateway.looks_at = now + silence);
        self.tell_all_again();
    }

    pub(super) fn handle_loss(&mut self) {
        self.says_at = None;
    }

    /// A member of a group is here: others know that at once.
    pub(super) fn handle_joined(&mut self, now: Instant) {
        if !self.has_said_serves {
            self.says_at = self.says_at.map(|at| at.min(now));
        }
    }

    /// A client here has asked something that nobody here was given.
    pub(super) fn note_asked(&mut self, now: Instant, place: &Subject) {
        if self.asked.len() >= MAX_PLACES {
            return;
        }
        self.asked.insert(place.clone(), Asked { at: now, holders: Vec::new(), is_sought: false });
        self.recent.push_back((now, place.clone()));
        if self.recent.len() > 2 * self.asked.len() + MIN_COMPACTED {
            let asked = &self.asked;
            self.recent.retain(|(at, place)| asked.get(place).is_some_and(|asked| asked.at == *at));
        }
    }

    /// Forgets what was asked from here, but of clients here. Returns where the answers would have come to.
    pub(super) fn take_asked(&mut self) -> Vec<Subject> {
        let is_beyond = |asked: &Asked| !asked.holders.iter().any(|(holder, _)| *holder == self.name);
        let beyond = self.asked.extract_if(|_, asked| is_beyond(asked));
        let mut places: Vec<Subject> = beyond.map(|(place, _)| place).collect();
        places.sort_unstable();
        places
    }

    /// A client here was given what was asked from elsewhere.
    pub(super) fn note_held(&mut self, now: Instant, place: &Subject, inbox: &Pattern) {
        if let Some(asked) = self.asked.get_mut(place) {
            asked.hold(&self.name, inbox);
        } else if self.holds.len() < MAX_PLACES
            && self.holds.insert(place.clone(), (now, inbox.clone())).is_none()
        {
            self.untold.push_back((now, place.clone()));
        }
    }

    /// An answer comes by, or what stands for one.
    pub(super) fn handle_answer(&mut self, place: &Subject) {
        if !self.asked.is_empty() {
            self.asked.remove(place);
        }
        if !self.holds.is_empty() {
            self.holds.remove(place);
        }
    }

    /// Whoever owes an answer is at another gateway by now.
    pub(super) fn handle_moved(&mut self, place: Subject) {
        self.asked.remove(&place);
        if self.holds.remove(&place).is_some() && self.moved.len() < MAX_PLACES {
            self.moved.push(place);
        }
    }

    /// Takes what another gateway says.
    pub(super) fn handle_word(&mut self, now: Instant, word: GatewayWord) {
        let GatewayWord { from, is_new, is_last, serves, holds, moved } = word;
        if from == self.name {
            return;
        }
        let is_known = self.gateways.contains_key(&from);
        if !is_known && self.gateways.len() >= MAX_GATEWAYS {
            return;
        }
        let gateway = Gateway { heard_at: now, serves, looks_at: now + self.silence() };
        self.gateways.insert(from.clone(), gateway);
        for (inbox, places) in holds {
            for place in places {
                if let Some(asked) = self.asked.get_mut(&place) {
                    asked.hold(&from, &inbox);
                }
            }
        }
        for place in moved {
            self.asked.remove(&place);
        }
        if is_last {
            return self.end(now, &from, true);
        }
        if is_new {
            self.tell_all_again();
        }
        // What it has said before was not heard here.
        self.is_new |= !is_known && !is_new;
    }

    /// It is known whether a gateway that is silent is connected.
    pub(super) fn handle_look(&mut self, now: Instant, name: &Arc<str>, is_there: bool) {
        let is_silent =
            self.gateways.get(name).is_some_and(|gateway| gateway.heard_at + self.silence() <= now);
        if is_silent && !is_there && self.says_at.is_some() {
            self.end(now, name, false);
        }
    }

    fn end(&mut self, now: Instant, name: &Arc<str>, is_in_order: bool) {
        let claimed_within = self.claimed_within();
        let Some(gateway) = self.gateways.remove(name) else { return };
        let mut by_inbox: BTreeMap<String, Vec<Subject>> = BTreeMap::new();
        let mut unclaimed = Vec::new();
        // By then it would have said what it has.
        let silent_since = gateway.heard_at.checked_sub(claimed_within);
        let may_have = |at: Instant| silent_since.is_none_or(|since| at >= since);
        for (place, asked) in &mut self.asked {
            if asked.holders.is_empty() {
                if gateway.serves && !is_in_order && may_have(asked.at) {
                    asked.is_sought = true;
                    unclaimed.push(place.clone());
                }
                continue;
            }
            let inbox =
                asked.holders.iter().find(|(holder, _)| holder == name).map(|(_, inbox)| inbox.clone());
            asked.holders.retain(|(holder, _)| holder != name);
            if let Some(inbox) = inbox.filter(|_| asked.holders.is_empty()) {
                asked.is_sought = true;
                by_inbox.entry(inbox.as_str().to_owned()).or_default().push(place.clone());
            }
        }
        by_inbox.values_mut().for_each(|places| places.sort_unstable());
        unclaimed.sort_unstable();
        if !by_inbox.is_empty() || !unclaimed.is_empty() {
            // Its clients may be back elsewhere until then, and others say what they have.
            let at = (gateway.heard_at + ANSWER_GRACE).max(now + claimed_within);
            self.ends.push(End { at, by_inbox, unclaimed });
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let says_at = self.says_at?;
        let looks = self.gateways.values().map(|gateway| gateway.looks_at);
        looks.chain(self.ends.iter().map(|end| end.at)).chain([says_at]).min()
    }

    /// Returns what is to be done now. `serves`: members of groups are here.
    pub(super) fn handle_timeout(&mut self, now: Instant, serves: bool) -> Vec<Step> {
        let mut steps = Vec::new();
        let Some(says_at) = self.says_at else { return steps };
        if says_at <= now {
            self.says_at = Some(now + self.pause());
            self.forget_old(now);
            self.has_said_serves = serves;
            steps.extend(self.words(now.checked_sub(MIN_AGE), serves).into_iter().map(Step::Say));
        }
        let silence = self.silence();
        for (name, gateway) in &mut self.gateways {
            if gateway.looks_at <= now {
                gateway.looks_at = now + silence;
                steps.push(Step::Look(name.clone()));
            }
        }
        for end in self.ends.extract_if(.., |end| end.at <= now) {
            let asked = &mut self.asked;
            let mut open = |places: Vec<Subject>| -> Vec<Subject> {
                let is_open =
                    |place: &Subject| asked.get(place).is_some_and(|asked| asked.holders.is_empty());
                let open: Vec<Subject> = places.into_iter().filter(is_open).collect();
                open.iter().for_each(|place| drop(asked.remove(place)));
                open
            };
            for (inbox, places) in end.by_inbox {
                steps.push(Step::Ended(Pattern::parse(&inbox).ok(), open(places)));
            }
            steps.push(Step::Ended(None, open(end.unclaimed)));
        }
        steps.retain(|step| !matches!(step, Step::Ended(_, places) if places.is_empty()));
        steps
    }

    /// Returns the pause between two words, on average: with many gateways a longer one, for whatever one
    /// says all others hear.
    fn pace(&self) -> Duration {
        PACE.max(SHARE * u32::try_from(self.gateways.len()).unwrap_or(u32::MAX))
    }

    /// Returns the pause of this one, which is none of the others': those who were ready at one moment do not
    /// speak together for long.
    fn pause(&self) -> Duration {
        let place = self.name.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        self.pace().mul_f64(1.0 - PACE_SPREAD + 2.0 * PACE_SPREAD * f64::from(place % 1000) / 1000.0)
    }

    /// After so long without a word it is looked whether a gateway is connected, and as often again.
    fn silence(&self) -> Duration {
        self.pace() * 5 / 2
    }

    /// A gateway that has a request has said so by then.
    fn claimed_within(&self) -> Duration {
        MIN_AGE + self.pace().mul_f64(1.0 + PACE_SPREAD) + UNDER_WAY
    }

    /// Returns the last message of a gateway that ends.
    pub(super) fn last_words(&mut self) -> Vec<GatewayWord> {
        if self.says_at.take().is_none() {
            return Vec::new();
        }
        let latest = self.untold.back().map(|(at, _)| *at);
        let mut words = self.words(latest, false);
        words.last_mut().into_iter().for_each(|word| word.is_last = true);
        words
    }

    /// Returns one word at least, with what was asked until then and is not told yet.
    fn words(&mut self, until: Option<Instant>, serves: bool) -> Vec<GatewayWord> {
        let blank = || GatewayWord { from: self.name.clone(), serves, ..GatewayWord::default() };
        let (mut words, mut word, mut bytes) = (Vec::new(), blank(), 0);
        (word.is_new, word.moved) = (std::mem::take(&mut self.is_new), std::mem::take(&mut self.moved));
        let mut by_inbox: BTreeMap<&str, (&Pattern, Vec<Subject>)> = BTreeMap::new();
        let due = self.untold.iter().take_while(|(at, _)| until.is_some_and(|until| *at <= until)).count();
        let untold: Vec<(Instant, Subject)> = self.untold.drain(..due).collect();
        for (at, place) in &untold {
            let Some((_, inbox)) = self.holds.get(place).filter(|(held, _)| held == at) else { continue };
            by_inbox.entry(inbox.as_str()).or_insert_with(|| (inbox, Vec::new())).1.push(place.clone());
        }
        for (inbox, places) in by_inbox.into_values() {
            let mut part = Vec::new();
            for place in places {
                bytes += inbox.as_str().len() + place.as_str().len();
                part.push(place);
                if bytes > MAX_WORD_BYTES {
                    word.holds.push((inbox.clone(), std::mem::take(&mut part)));
                    words.push(std::mem::replace(&mut word, blank()));
                    bytes = 0;
                }
            }
            if !part.is_empty() {
                word.holds.push((inbox.clone(), part));
            }
        }
        words.push(word);
        words
    }

    /// Somebody has not heard what was told so far.
    fn tell_all_again(&mut self) {
        let holds = self.holds.iter().map(|(place, (at, _))| (*at, place.clone()));
        let mut untold: Vec<(Instant, Subject)> = holds.collect();
        untold.sort_unstable();
        self.untold = untold.into();
    }

    /// Forgets what no gateway has said to have for long, and, where room is scarce, what is old.
    fn forget_old(&mut self, now: Instant) {
        let is_old = |at: Instant, most| now.saturating_duration_since(at) > most;
        while self.recent.front().is_some_and(|(at, _)| is_old(*at, UNCLAIMED_FOR)) {
            let Some((at, place)) = self.recent.pop_front() else { break };
            let is_unclaimed = |asked: &Asked| asked.at == at && asked.holders.is_empty() && !asked.is_sought;
            if self.asked.get(&place).is_some_and(is_unclaimed) {
                self.asked.remove(&place);
            }
        }
        if self.asked.len() > MAX_PLACES / 2 {
            self.asked.retain(|_, asked| !is_old(asked.at, OLD));
        }
        if self.holds.len() > MAX_PLACES / 2 {
            self.holds.retain(|_, (at, _)| !is_old(*at, OLD));
        }
    }
}

impl Asked {
    fn hold(&mut self, gateway: &Arc<str>, inbox: &Pattern) {
        if self.holders.len() < MAX_HOLDERS && !self.holders.iter().any(|(other, _)| other == gateway) {
            self.holders.push((gateway.clone(), inbox.clone()));
        }
    }
}

/// Between two messages of one gateway, where there are few.
const PACE: Duration = Duration::from_millis(400);
/// Between two messages of any gateways, where there are many.
const SHARE: Duration = Duration::from_millis(10);
/// By how much of it the pause of one gateway may be longer or shorter.
const PACE_SPREAD: f64 = 0.1;
/// What is answered sooner is not told.
const MIN_AGE: Duration = Duration::from_millis(100);
/// A word takes no longer.
const UNDER_WAY: Duration = Duration::from_millis(160);
/// What no gateway has said to have is forgotten: a client of the fabric above may be at it.
const UNCLAIMED_FOR: Duration = Duration::from_secs(10);
/// What is older makes room, once half of it is taken.
const OLD: Duration = Duration::from_secs(60);
/// Gateways that are known. Of further ones nobody is told.
const MAX_GATEWAYS: usize = 256;
/// Answers that are remembered, in each direction. Whoever waits for further ones is not told.
const MAX_PLACES: usize = 16_384;
/// Gateways that may have one request: of members of several groups, each is given it.
const MAX_HOLDERS: usize = 16;
/// Names in one word.
const MAX_WORD_BYTES: usize = 32 * 1024;
const MIN_COMPACTED: usize = 1024;

#[cfg(test)]
mod tests;
