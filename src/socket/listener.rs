//! The server's side of a subject: answers who serves it, and sorts what clients send to their sockets.

mod known_sockets;
mod subscriptions;

pub use known_sockets::Entry;
pub use subscriptions::ListenerPart;

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use known_sockets::{Claim, KnownSockets};
use subscriptions::Subscriptions;

use super::admission::{Population, SocketOwner, StrangerAdmission};
use super::stream::Offer;
use super::{Output, SocketConfig, SocketEvent, State, Tag, TagKind, control};
use crate::base::Code;
use crate::subject::{InvalidSubject, Pattern, Subject};
use crate::wire::{Headers, Json, Message, Origin, Payload, SocketCommand};

/// Listens on one subject (or pattern) for one server.
#[derive(Debug)]
pub struct Listener {
    id: String,
    subscriptions: Subscriptions,
    state: State,
    /// Takes no new clients.
    retired: bool,
    sockets: KnownSockets,
    /// Incarnations of sockets that were superseded, latest last: a late connect of one must not take the
    /// place back.
    superseded: VecDeque<(String, u64)>,
    /// Sockets that have ended, latest last, with the latest attempt to connect each: the fabric may still
    /// bring that one again.
    ended: VecDeque<(String, Entry)>,
    /// Clients whose own subject is awaited; the latest connect request of each.
    arriving: HashMap<String, Arrival>,
    population: Population,
    /// Sockets that were accepted at once, and whose clients are not known to have heard of it.
    unproven: usize,
    /// The broker notes in each connect request whose it is.
    has_origins: bool,
    admission: StrangerAdmission,
    number: u32,
    outputs: VecDeque<Output>,
}

/// A client whose own subject is awaited.
#[derive(Debug)]
struct Arrival {
    tag: Tag,
    /// The latest.
    connect: Message,
    /// Whose the latest is.
    origin: Option<Origin>,
    /// Whose the first was.
    owner: SocketOwner,
}

/// The caller's next step with a message from a client.
#[derive(Debug, PartialEq)]
pub enum ListenerAction {
    /// It has been dealt with.
    Done,
    /// It is for this socket.
    Socket(u32, Message),
    /// The client has been made anew under the same id: supersede this socket, then hand the message in
    /// again.
    Supersede(u32, Message),
    /// Make a socket, call [`Listener::insert`], and give it the connect request.
    Accept {
        /// The id that the client chose.
        id: String,
        /// Where the client listens.
        client: Subject,
        /// The connect request.
        connect: Message,
        /// The client's incarnation.
        epoch: Option<u64>,
        /// What the client says of itself, if it speaks the stream.
        offer: Option<Offer>,
        /// Whose it is, if the broker tells.
        origin: Option<Origin>,
        /// It is not known whether the client's own subject is there.
        is_unproven: bool,
    },
}

impl Listener {
    /// Starts to listen on `subject` as the server `id`: the first outputs subscribe.
    pub fn new(subject: &str, id: String, config: &SocketConfig) -> Result<Self, InvalidSubject> {
        Self::make(subject, id, config, false)
    }

    /// The same, in the place of whoever has the same id; it loses it to whoever comes later.
    pub fn new_exclusive(subject: &str, id: String, config: &SocketConfig) -> Result<Self, InvalidSubject> {
        Self::make(subject, id, config, true)
    }

    fn make(
        subject: &str,
        id: String,
        config: &SocketConfig,
        exclusive: bool,
    ) -> Result<Self, InvalidSubject> {
        let invalid = || InvalidSubject::Subscribe(subject.to_owned());
        if subject.ends_with('>') || id.contains('.') {
            return Err(invalid());
        }
        let patterns = (subject, id.as_str());
        let subscriptions = Subscriptions::new(patterns, exclusive, config).map_err(|_| invalid())?;
        let outputs = subscriptions.begin().collect();
        let (sockets, arriving) = (KnownSockets::default(), HashMap::new());
        Ok(Self {
            id,
            subscriptions,
            state: State::Connecting,
            retired: false,
            sockets,
            superseded: VecDeque::new(),
            ended: VecDeque::new(),
            arriving,
            population: Population::new(config),
            unproven: 0,
            has_origins: false,
            admission: StrangerAdmission::default(),
            number: 0,
            outputs,
        })
    }

    /// Notes whether its broker notes in each connect request whose it is.
    pub fn set_has_origins(&mut self, has_origins: bool) {
        self.has_origins = has_origins;
    }

    /// Notes that one of the subscriptions is confirmed.
    pub fn handle_subscribed(&mut self) {
        self.subscriptions.confirm();
        if self.subscriptions.are_confirmed() && self.state == State::Connecting {
            self.set_state(State::Ready);
        }
    }

    /// Handles the return of the fabric, with every subscription.
    pub fn handle_fabric_up(&mut self) {
        if self.state == State::Disconnected {
            self.set_state(if self.subscriptions.are_confirmed() { State::Ready } else { State::Connecting });
        }
    }

    /// Handles the loss of the fabric.
    pub fn handle_fabric_down(&mut self) {
        if matches!(self.state, State::Ready | State::Connecting) {
            self.set_state(State::Disconnected);
        }
    }

    /// Handles a request to `S.server.status`.
    pub fn handle_status(&mut self, now: Instant, message: &Message) {
        // Also of one that takes no new clients: who asked before nobody asks it any more is sent on at once.
        let serves = matches!(self.state, State::Ready | State::Connecting);
        let user = message.headers.origin().filter(|_| self.has_origins).map(|origin| origin.number);
        if !self.admission.may_answer_search(now, user) {
            return;
        }
        if let Some(subject) = message.headers.reply.clone().filter(|_| serves) {
            let payload = control::server_id(&self.id);
            self.outputs.push_back(Output::Respond(Message {
                subject,
                payload,
                headers: Headers::default(),
            }));
        }
    }

    /// Handles a question to whoever listens, on `S.server.~.*`: the client is accepted at once, and has to
    /// say something afterwards.
    pub fn handle_question(&mut self, now: Instant, message: Message) -> ListenerAction {
        let id = message.subject.last_token();
        let base = message.subject.as_str().strip_suffix(id).and_then(|text| text.strip_suffix("~."));
        let subject = base.and_then(|base| Subject::join(&[base, &self.id, ".", id]).ok());
        let is_question =
            message.headers.command == Some(SocketCommand::Connect) && !control::is_resume(&message.headers);
        match subject.filter(|_| is_question) {
            Some(subject) => self.handle(now, Message { subject, ..message }, true),
            None => ListenerAction::Done,
        }
    }

    /// Handles a message to `S.server.<id>.*`.
    pub fn handle_message(&mut self, now: Instant, message: Message) -> ListenerAction {
        self.handle(now, message, false)
    }

    fn handle(&mut self, now: Instant, message: Message, is_for_anyone: bool) -> ListenerAction {
        if self.state == State::Closed {
            return ListenerAction::Done;
        }
        let id = message.subject.last_token();
        let connects = message.headers.command == Some(SocketCommand::Connect);
        let epoch = if connects { control::epoch(&message.headers) } else { None };
        if let Some(entry) = self.sockets.get_mut(id).filter(|entry| !connects || entry.epoch == epoch) {
            let claim = if connects { entry.claim(&message.headers, self.has_origins) } else { Claim::Owner };
            if claim != Claim::Owner {
                let client = self.client_subject(&message.subject).filter(|_| claim == Claim::Stranger);
                if let Some(client) = client {
                    self.refuse(now, client, Code::NotPermitted, &message.headers);
                }
                return ListenerAction::Done;
            }
            entry.attempt = entry.attempt.max(message.headers.attempt().filter(|_| connects));
            return ListenerAction::Socket(entry.socket, message);
        }
        // Also beside a newer incarnation, which it must not supersede.
        if connects && self.is_of_ended(id, epoch, &message.headers) {
            return ListenerAction::Done;
        }
        let entry = self.sockets.get(id).map(|entry| (entry.socket, entry.epoch));
        let Some(client) = self.client_subject(&message.subject) else { return ListenerAction::Done };
        let is_old =
            epoch.is_some_and(|epoch| self.superseded.iter().any(|old| old.1 == epoch && old.0 == id));
        match &message.headers.command {
            Some(SocketCommand::Connect) if is_old => {
                let tag = offered(&message.headers);
                self.say_close(now, client, control::with_tag(control::superseded(epoch), tag));
            }
            Some(SocketCommand::Connect) if is_for_anyone || !control::is_resume(&message.headers) => {
                let id = id.to_owned();
                match entry {
                    _ if self.retired => self.say_close(now, client, turned_away(&message)),
                    Some((socket, old)) => {
                        self.remember(id, old);
                        return ListenerAction::Supersede(socket, message);
                    }
                    None if is_for_anyone => return self.accept_at_once(now, id, client, message, epoch),
                    None => self.arrive(now, id, client, message),
                }
            }
            Some(SocketCommand::Connect) if entry.is_some() => {
                let tag = offered(&message.headers);
                self.say_close(now, client, control::with_tag(control::superseded(epoch), tag));
            }
            Some(SocketCommand::Close) => self.handle_close_of_arriving(id, &message.headers),
            _ => {
                // It believes in a socket that we do not have: say so, rather than let it write into nothing.
                let tag = if connects { offered(&message.headers) } else { message.headers.attempt() };
                let epoch = epoch.or(message.headers.attempt().filter(|_| !connects));
                let json = epoch.map(|_| control::with_epoch(serde_json::json!({}), epoch));
                let json = json.as_ref().map(Json::from_value);
                let headers = Headers::default().with_json(json);
                self.say_close(now, client, control::with_tag(headers, tag));
            }
        }
        ListenerAction::Done
    }

    /// Returns whether another one gets what this one gets: the same subject and id.
    pub fn is_beside(&self, other: &Self) -> bool {
        self.subscriptions.are_beside(&other.subscriptions)
    }

    /// Returns whether what comes is for one of two that get it: it has the socket, or takes new ones while
    /// the other one does not have it either.
    pub fn goes_before(&self, other: &Self, message: &Message) -> bool {
        self.knows(message) || (other.retired && !self.retired && !other.knows(message))
    }

    /// Returns whether it takes questions to whoever listens, and the other one gets the same ones.
    pub fn shares_questions(&self, other: &Self) -> bool {
        !self.retired
            && self.state != State::Closed
            && self.subscriptions.are_one_member(&other.subscriptions)
    }

    /// Returns whether it has a socket with this id.
    pub fn has_socket(&self, id: &str) -> bool {
        self.sockets.get(id).is_some()
    }

    fn knows(&self, message: &Message) -> bool {
        let (id, headers) = (message.subject.last_token(), &message.headers);
        let connects = headers.command == Some(SocketCommand::Connect);
        let epoch = if connects { control::epoch(headers) } else { None };
        self.sockets.get(id).is_some_and(|entry| !connects || entry.epoch == epoch)
            || (connects && self.is_of_ended(id, epoch, headers))
    }

    /// Returns the socket that data on this subject is for.
    pub fn socket_of(&mut self, subject: &Subject) -> Option<u32> {
        if self.state == State::Closed {
            return None;
        }
        self.sockets.find(subject)
    }

    /// Tells one who has no socket here, unless strangers have been told enough.
    fn say_close(&mut self, now: Instant, client: Subject, headers: Headers) {
        if !self.admission.may_answer_stray(now) {
            return;
        }
        self.push_close(client, headers);
    }

    /// Tells the client of a `connect` that it gets no socket, and why.
    fn refuse(&mut self, now: Instant, client: Subject, code: Code, connect: &Headers) {
        let why = control::with_epoch_of(control::code(code), connect);
        self.say_close(now, client, control::with_tag(why, offered(connect)));
    }

    fn push_close(&mut self, client: Subject, headers: Headers) {
        let headers = headers.with_command(Some(SocketCommand::Close));
        self.outputs.push_back(Output::Publish(Message { subject: client, payload: Payload::NIL, headers }));
    }

    /// Returns whether a connect request is on behalf of a socket that has ended since. A client that is
    /// still there, and knows no better, sends it again with a higher number; an original client, which does
    /// not report resuming, may begin anew under the same id.
    fn is_of_ended(&self, id: &str, epoch: Option<u64>, headers: &Headers) -> bool {
        let is_late = |ended: &Entry| ended.epoch == epoch && headers.attempt() <= ended.attempt;
        headers.attempt().is_some()
            && self.ended.iter().any(|(ended, entry)| ended == id && is_late(entry))
            && control::resume(headers) == Some(false)
    }

    fn remember(&mut self, id: String, epoch: Option<u64>) {
        if let Some(epoch) = epoch {
            self.superseded.push_back((id, epoch));
        }
        if self.superseded.len() > MAX_SUPERSEDED {
            self.superseded.pop_front();
        }
    }

    /// Handles that the client's own subject is subscribed, or was not in time; then the client is forgotten.
    pub fn handle_interest(&mut self, tag: Tag, there: bool) -> ListenerAction {
        let Some(id) = self.arriving.iter().find(|(_, arrival)| arrival.tag == tag).map(|(id, _)| id.clone())
        else {
            return ListenerAction::Done;
        };
        let Some(Arrival { connect, origin, owner, .. }) = self.arriving.remove(&id) else {
            return ListenerAction::Done;
        };
        self.population.leave_arriving(owner);
        match self.client_subject(&connect.subject).filter(|_| there) {
            Some(client) => {
                let epoch = control::epoch(&connect.headers);
                let offer = Offer::of_headers(&connect.headers);
                ListenerAction::Accept { id, client, connect, epoch, offer, origin, is_unproven: false }
            }
            None => ListenerAction::Done,
        }
    }

    /// Directs messages of the client `id` to `socket`.
    pub fn insert(&mut self, id: String, entry: Entry) {
        self.population.enter(entry.owner());
        self.unproven += usize::from(entry.is_unproven);
        if let Some(old) = self.sockets.insert(id, entry) {
            self.forget(&old);
        }
    }

    fn forget(&mut self, entry: &Entry) {
        self.population.leave(entry.owner());
        self.unproven -= usize::from(entry.is_unproven);
    }

    /// Notes that the client of this socket has heard of it.
    pub fn handle_proven(&mut self, id: &str) {
        self.unproven -= usize::from(self.sockets.prove(id));
    }

    /// Forgets the socket of client `id`, which is closed.
    pub fn remove(&mut self, id: &str) {
        let ended = self.sockets.remove(id);
        if let Some((_, entry)) = &ended {
            self.forget(entry);
        }
        self.ended.extend(ended);
        if self.ended.len() > MAX_ENDED {
            self.ended.pop_front();
        }
    }

    /// Returns its sockets, in the order of their creation.
    pub fn sockets(&self) -> Vec<u32> {
        self.sockets.handles()
    }

    /// Clients whose own subject is awaited: at most 10 000.
    pub fn arriving(&self) -> usize {
        self.arriving.len()
    }

    /// Takes no new clients from now on: it is about to end. Nobody asks it any more, and who has done so is
    /// told to ask another one.
    pub fn retire(&mut self) {
        if self.retired || self.state == State::Closed {
            return;
        }
        self.retired = true;
        self.outputs.extend(self.subscriptions.retire());
        let mut arriving: Vec<Arrival> = self.arriving.drain().map(|(_, arrival)| arrival).collect();
        arriving.sort_unstable_by_key(|arrival| arrival.tag);
        for Arrival { connect, owner, .. } in arriving {
            self.population.leave_arriving(owner);
            if let Some(client) = self.client_subject(&connect.subject) {
                self.push_close(client, turned_away(&connect));
            }
        }
    }

    /// Stops listening. Its sockets are for the caller to close.
    pub fn close(&mut self) {
        if self.state != State::Closed {
            self.forget_arriving();
            self.outputs.extend(self.subscriptions.end(self.retired));
            self.set_state(State::Closed);
        }
    }

    /// Returns the next output.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Retries one of the subscriptions that was not confirmed in time.
    pub fn handle_unconfirmed(&mut self, part: ListenerPart) {
        if self.state != State::Closed && !(self.retired && part != ListenerPart::Sockets) {
            self.outputs.extend(self.subscriptions.again(part));
        }
    }

    /// Handles that it may not be asked by the question to whoever listens: it serves without.
    pub fn handle_questions_refused(&mut self) {
        self.subscriptions.give_up_questions();
        self.handle_subscribed();
    }

    /// Returns what comes on this pattern of its own.
    pub fn part_of(&self, pattern: &Pattern) -> ListenerPart {
        self.subscriptions.part_of(pattern)
    }

    fn forget_arriving(&mut self) {
        for (_, arrival) in self.arriving.drain() {
            self.population.leave_arriving(arrival.owner);
        }
    }

    fn forget_oldest_arriving(&mut self, user: Option<u64>) {
        let own = self.arriving.iter().filter(|(_, arrival)| arrival.owner.user == user);
        let oldest = own.min_by_key(|(_, arrival)| arrival.tag).map(|(id, _)| id.clone());
        if let Some(arrival) = oldest.and_then(|id| self.arriving.remove(&id)) {
            self.population.leave_arriving(arrival.owner);
        }
    }

    /// Accepts a client whose own subject is subscribed, for all that is known: it was before the question.
    fn accept_at_once(
        &mut self,
        now: Instant,
        id: String,
        client: Subject,
        connect: Message,
        epoch: Option<u64>,
    ) -> ListenerAction {
        let offer = Offer::of_headers(&connect.headers);
        let is_expected = self.arriving.contains_key(&id);
        if is_expected || self.unproven >= MAX_UNPROVEN || offer.is_none() {
            self.arrive(now, id, client, connect);
            return ListenerAction::Done;
        }
        let origin = connect.headers.origin().filter(|_| self.has_origins);
        if !self.population.has_room(SocketOwner::of(origin.as_ref())) {
            let why = control::turned_away(Code::Limit, epoch);
            self.say_close(now, client, control::with_tag(why, offer.map(|offer| offer.tag)));
            return ListenerAction::Done;
        }
        ListenerAction::Accept { id, client, connect, epoch, offer, origin, is_unproven: true }
    }

    fn arrive(&mut self, now: Instant, id: String, client: Subject, connect: Message) {
        let origin = connect.headers.origin().filter(|_| self.has_origins);
        if let Some(arrival) = self.arriving.get_mut(&id) {
            let latest = &arrival.connect.headers;
            let is_late = control::epoch(&connect.headers) == control::epoch(latest)
                && connect.headers.attempt() < latest.attempt();
            if !is_late {
                (arrival.connect, arrival.origin) = (connect, origin);
            }
            return;
        }
        let owner = SocketOwner::of(origin.as_ref());
        match self.population.check_arrival(owner) {
            Ok(()) => {}
            Err(Some(greedier)) => self.forget_oldest_arriving(greedier),
            Err(None) => return,
        }
        if !self.population.has_room(owner) {
            return self.refuse(now, client, Code::Limit, &connect.headers);
        }
        self.population.enter_arriving(owner);
        self.number = self.number.wrapping_add(1);
        let tag = Tag { kind: TagKind::Interest, number: self.number };
        self.arriving.insert(id, Arrival { tag, connect, origin, owner });
        self.outputs.push_back(Output::AwaitInterest { tag, subject: client, timeout: ARRIVAL_TIMEOUT });
    }

    /// Forgets a client that closes before it was accepted.
    fn handle_close_of_arriving(&mut self, id: &str, close: &Headers) {
        let is_of = |arrival: &Arrival| {
            control::tag(close).is_none_or(|tag| offered(&arrival.connect.headers) == Some(tag))
        };
        if self.arriving.get(id).is_some_and(is_of)
            && let Some(arrival) = self.arriving.remove(id)
        {
            self.population.leave_arriving(arrival.owner);
        }
    }

    /// Converts `<S>.server.<server>.<socket>` to `<S>.client.<socket>`.
    fn client_subject(&self, subject: &Subject) -> Option<Subject> {
        let id = subject.last_token();
        let base = subject.as_str().strip_suffix(id)?.strip_suffix('.')?;
        let base = base.strip_suffix(self.id.as_str())?.strip_suffix(".server.")?;
        Subject::join(&[base, ".client.", id]).ok()
    }

    fn set_state(&mut self, state: State) {
        self.state = state;
        self.outputs.push_back(Output::Event(SocketEvent::State(state)));
    }
}

/// Tells the client of a `connect` to ask elsewhere.
fn turned_away(connect: &Message) -> Headers {
    let headers = control::turned_away(Code::Draining, control::epoch(&connect.headers));
    control::with_tag(headers, offered(&connect.headers))
}

/// The tag that a `connect` offers.
fn offered(headers: &Headers) -> Option<u64> {
    Offer::of_headers(headers).map(|offer| offer.tag)
}

/// The time that a new client's own subject may take to be subscribed (conat.md section 6). Other clients are
/// not held up meanwhile.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(5);
/// Sockets that were accepted at once, and whose clients may not have heard of it: others are accepted when
/// their subject is there.
const MAX_UNPROVEN: usize = 10_000;
/// Superseded incarnations that are remembered.
const MAX_SUPERSEDED: usize = 256;
/// Ended sockets that are remembered.
const MAX_ENDED: usize = 256;

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests;
