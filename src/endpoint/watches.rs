//! The ends that the sockets of an endpoint watch, each once, however many sockets share it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::base::Handle;
use crate::socket::WatchedEnd;
use crate::subject::Subject;
use crate::wire::{Presence, PresenceChange, WatchRequest};

/// All watches, in a fixed order, so that a simulated run replays.
#[derive(Debug, Default)]
pub(super) struct Watches {
    ends: BTreeMap<EndKey, Entry>,
    by_id: HashMap<u64, EndKey>,
    next_id: u64,
}

/// Which end, and its subject; that of a server without the socket.
pub(super) type EndKey = (WatchedEnd, Arc<str>);

#[derive(Debug)]
struct Entry {
    id: u64,
    /// As the broker is asked: of a server's end any of its sockets'.
    subject: Arc<str>,
    /// What the broker of this connection, or of the last one, said of it last.
    presence: Option<Presence>,
    /// The broker cannot tell of it: what is known was found out.
    is_unknown: bool,
    /// Nor can it reach it for now, wherever it is. Not of an end that is known to be away.
    is_unreachable: bool,
    /// It was in the process of the latest broker, whatever has become of it since.
    was_in_broker: bool,
    /// In order.
    sockets: Vec<Handle>,
}

/// What became of an end, and whose business that is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) end: WatchedEnd,
    pub(super) presence: Presence,
    /// About how many sockets are told of it.
    pub(super) crowd: u64,
    /// The broker could not reach it until now.
    pub(super) is_reachable_again: bool,
    pub(super) sockets: Vec<Handle>,
}

impl Watches {
    /// Lets a socket watch an end. Returns what to ask of the broker, if that is new, or what is known.
    pub(super) fn begin(
        &mut self,
        socket: Handle,
        end: WatchedEnd,
        subject: &Subject,
    ) -> (Option<WatchRequest>, Option<Presence>) {
        let key = key(end, subject);
        if let Some(entry) = self.ends.get_mut(&key) {
            if let Err(at) = entry.sockets.binary_search(&socket) {
                entry.sockets.insert(at, socket);
                let known = if entry.is_unreachable { Some(Presence::Unreachable) } else { entry.presence };
                return (None, known);
            }
            return (None, None);
        }
        let id = self.next_id;
        self.next_id += 1;
        let subject: Arc<str> = subject.as_str().into();
        let request = WatchRequest { id, subject: Some(subject.clone()) };
        self.by_id.insert(id, key.clone());
        let sockets = vec![socket];
        let entry = Entry {
            id,
            subject,
            presence: None,
            is_unknown: false,
            is_unreachable: false,
            was_in_broker: false,
            sockets,
        };
        self.ends.insert(key, entry);
        (Some(request), None)
    }

    /// Ends the watch of a socket. Returns what to ask of the broker, if it was the last one.
    pub(super) fn end(&mut self, socket: Handle, end: WatchedEnd, subject: &Subject) -> Option<WatchRequest> {
        let key = key(end, subject);
        let entry = self.ends.get_mut(&key)?;
        let at = entry.sockets.binary_search(&socket).ok()?;
        entry.sockets.remove(at);
        if !entry.sockets.is_empty() {
            return None;
        }
        let Entry { id, .. } = self.ends.remove(&key)?;
        self.by_id.remove(&id);
        Some(WatchRequest { id, subject: None })
    }

    /// Returns what to ask of a broker that knows nothing. What lived in the process of the previous one is
    /// gone for good if `instance_changed`.
    pub(super) fn renew(&mut self, instance_changed: bool) -> (Vec<WatchRequest>, Vec<Notice>) {
        let (mut requests, mut gone) = (Vec::new(), Vec::new());
        for ((end, _), entry) in &mut self.ends {
            requests.push(WatchRequest { id: entry.id, subject: Some(entry.subject.clone()) });
            entry.presence = None;
            (entry.is_unknown, entry.is_unreachable) = (false, false);
            let is_gone = instance_changed && std::mem::take(&mut entry.was_in_broker);
            if is_gone && *end == WatchedEnd::Peer {
                let (presence, crowd, sockets) = (Presence::Gone, 1, entry.sockets.clone());
                gone.push(Notice { end: *end, presence, crowd, is_reachable_again: false, sockets });
            }
        }
        (requests, gone)
    }

    /// Takes what the broker says. `None` if nobody wants to know any more.
    pub(super) fn handle_change(&mut self, change: PresenceChange) -> Option<Notice> {
        let PresenceChange { id, presence, crowd } = change;
        let key = self.by_id.get(&id)?;
        let entry = self.ends.get_mut(key)?;
        entry.is_unknown = matches!(presence, Presence::Unknown | Presence::Unreachable);
        let is_away = entry.presence.is_some_and(is_absence);
        let is_unreachable = presence == Presence::Unreachable && !is_away;
        let was_unreachable = std::mem::replace(&mut entry.is_unreachable, is_unreachable);
        let is_reachable_again = was_unreachable && !is_unreachable;
        // Whoever is gone from the broker, which then cannot tell any more, is still gone.
        if !entry.is_unknown {
            entry.presence = Some(presence);
        }
        if matches!(presence, Presence::Here | Presence::HereInBroker) {
            entry.was_in_broker = presence == Presence::HereInBroker;
        }
        // The broker counts watches, and knows nothing of how many sockets stand behind each.
        let crowd = crowd.saturating_mul(entry.sockets.len() as u64);
        // Whoever is known to be away is given up in its time.
        let presence = if entry.is_unknown && !entry.is_unreachable { Presence::Unknown } else { presence };
        Some(Notice { end: key.0, presence, crowd, is_reachable_again, sockets: entry.sockets.clone() })
    }

    /// Notes what was found out without the broker. Returns whose business that is.
    pub(super) fn note(&mut self, key: &EndKey, presence: Presence) -> Vec<Handle> {
        let Some(entry) = self.ends.get_mut(key) else { return Vec::new() };
        entry.presence = Some(presence);
        entry.sockets.clone()
    }

    /// Whether the broker cannot tell of this end.
    pub(super) fn is_unknown(&self, key: &EndKey) -> bool {
        self.ends.get(key).is_some_and(|entry| entry.is_unknown)
    }

    /// Returns what the broker said of an end last, if that is that it is not there.
    pub(super) fn absence_of(&self, key: &EndKey) -> Option<Presence> {
        self.ends.get(key)?.presence.filter(|presence| is_absence(*presence))
    }

    /// Returns the end of a watch that the broker cannot tell of any more, and whether it is away.
    pub(super) fn untold(&self, id: u64) -> Option<(EndKey, bool)> {
        let key = self.by_id.get(&id).filter(|key| self.is_unknown(key))?;
        Some((key.clone(), self.absence_of(key).is_some()))
    }

    /// Returns whose business an end is.
    pub(super) fn sockets_of(&self, key: &EndKey) -> &[Handle] {
        self.ends.get(key).map_or(&[], |entry| &entry.sockets)
    }

    /// Returns how many ends are watched.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }
}

fn is_absence(presence: Presence) -> bool {
    matches!(presence, Presence::Absent | Presence::Cut | Presence::Left | Presence::Silent)
}

pub(super) fn key(end: WatchedEnd, subject: &Subject) -> EndKey {
    let text = subject.as_str();
    // `….server.<server>.<socket>`: a server is watched once for all of its sockets.
    let is_server = text.rsplit('.').nth(2) == Some("server");
    let cut = text.rfind('.').filter(|_| end == WatchedEnd::Peer && is_server);
    (end, text[..cut.unwrap_or(text.len())].into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(text: &str) -> Subject {
        Subject::parse(text).expect("valid")
    }

    #[test]
    fn a_server_is_watched_once_for_all_of_its_sockets_and_a_client_by_itself() {
        let mut watches = Watches::default();
        let (first, known) = watches.begin(1, WatchedEnd::Peer, &subject("s.server.srv.a"));
        let first = first.expect("asked");
        assert_eq!((first.subject.as_deref(), known), (Some("s.server.srv.a"), None));
        let change = PresenceChange { id: first.id, presence: Presence::Here, crowd: 1 };
        assert_eq!(watches.handle_change(change).expect("wanted").sockets, [1]);
        let second = watches.begin(2, WatchedEnd::Peer, &subject("s.server.srv.b"));
        assert_eq!(second, (None, Some(Presence::Here)), "what is known is told");
        assert!(watches.begin(3, WatchedEnd::Peer, &subject("s.client.c")).0.is_some());
        assert!(watches.begin(4, WatchedEnd::Peer, &subject("s.client.d")).0.is_some());
        assert_eq!(watches.end(1, WatchedEnd::Peer, &subject("s.server.srv.a")), None);
        let last = watches.end(2, WatchedEnd::Peer, &subject("s.server.srv.b")).expect("the last one");
        assert_eq!((last.id, last.subject, watches.len()), (first.id, None, 2));
        assert_eq!(watches.handle_change(change), None);
    }

    #[test]
    fn what_lived_in_a_broker_that_is_another_one_now_is_gone() {
        for (presence, ends_first, changed, is_gone) in [
            (Presence::HereInBroker, false, true, true),
            (Presence::HereInBroker, true, true, true),
            (Presence::HereInBroker, false, false, false),
            (Presence::Here, false, true, false),
        ] {
            let mut watches = Watches::default();
            let (request, _) = watches.begin(1, WatchedEnd::Peer, &subject("s.server.srv.a"));
            let id = request.as_ref().expect("asked").id;
            watches.handle_change(PresenceChange { id, presence, crowd: 1 });
            if ends_first {
                watches.handle_change(PresenceChange { id, presence: Presence::Cut, crowd: 1 });
            }
            let (requests, gone) = watches.renew(changed);
            assert_eq!((requests, gone.len()), (Vec::from_iter(request), usize::from(is_gone)));
        }
    }
}
