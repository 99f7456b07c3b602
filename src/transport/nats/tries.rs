//! One look for a server that takes us: each server at each of its addresses, and how long each may take, so
//! that all of it is over in time and one that says nothing hides no other.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::address::Server;
use super::servers::shuffled;
use crate::transport::LinkError;

pub(super) struct Tries {
    servers: VecDeque<Server>,
    /// Of the server that was named last, and are to be tried.
    addresses: Vec<String>,
    deadline: Instant,
    /// What says most of why there is no link.
    error: Option<LinkError>,
}

impl Tries {
    pub(super) fn new(now: Instant, servers: Vec<Server>) -> Self {
        let servers = servers.into();
        Self { servers, addresses: Vec::new(), deadline: now + ALL_TIMEOUT, error: None }
    }

    /// Returns the next server, and how long finding its addresses may take.
    pub(super) fn next_server(&mut self, now: Instant) -> Option<(Server, Duration)> {
        self.addresses.clear();
        let limit = self.limit(now)?;
        self.servers.pop_front().map(|server| (server, limit))
    }

    /// These are its addresses. They are tried by chance: a name stands for several that are alike.
    pub(super) fn add_addresses(&mut self, addresses: &[String]) {
        self.addresses = shuffled(addresses);
    }

    /// Returns the next address, and how long it may take.
    pub(super) fn next_address(&mut self, now: Instant) -> Option<(String, Duration)> {
        let limit = self.limit(now)?;
        self.addresses.pop().map(|address| (address, limit))
    }

    /// Takes note of a try that came to nothing.
    pub(super) fn handle_failure(&mut self, (host, port): &Server, error: LinkError) {
        tracing::debug!(host, port, %error, "no link to this server");
        if self.error.as_ref().is_none_or(|before| meaning(&error) >= meaning(before)) {
            self.error = Some(error);
        }
    }

    /// Returns why there is no link.
    pub(super) fn into_error(self) -> LinkError {
        // An address has at least one server.
        self.error.unwrap_or(LinkError::Closed)
    }

    /// What is left of the time, shared among those that are left.
    fn limit(&self, now: Instant) -> Option<Duration> {
        let rest = self.deadline.saturating_duration_since(now);
        let left = u32::try_from(self.addresses.len() + self.servers.len()).unwrap_or(u32::MAX);
        (!rest.is_zero()).then(|| (rest / left.max(1)).max(MIN_TIMEOUT).min(rest))
    }
}

/// How much an error says: what a server has said counts more than that it has said nothing, and that more
/// than that nobody is there.
fn meaning(error: &LinkError) -> u8 {
    match error {
        LinkError::Denied(_) | LinkError::Tls(_) => 4,
        LinkError::PeerMisbehaved(_) | LinkError::Refused(_) => 3,
        LinkError::Silent => 2,
        LinkError::Closed => 1,
        LinkError::Io(_) => 0,
    }
}

/// For all of them.
const ALL_TIMEOUT: Duration = Duration::from_secs(10);
/// For one, however many there are: enough for a far one that speaks TLS.
const MIN_TIMEOUT: Duration = Duration::from_secs(2);

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> Vec<Server> {
        names.iter().map(|name| ((*name).to_owned(), 4222)).collect()
    }

    /// How often something is tried while everything is silent, and what that takes.
    fn all_silent(servers: usize, addresses: usize) -> (usize, Duration) {
        let start = Instant::now();
        let (mut now, mut tries) = (start, Tries::new(start, named(&vec!["name"; servers])));
        let mut count = 0;
        while let Some((server, _)) = tries.next_server(now) {
            tries.add_addresses(&vec!["address".to_owned(); addresses]);
            while let Some((_, limit)) = tries.next_address(now) {
                now += limit;
                count += 1;
                tries.handle_failure(&server, LinkError::Silent);
            }
        }
        assert!(matches!(tries.into_error(), LinkError::Silent));
        (count, now - start)
    }

    #[test]
    fn silent_servers_are_told_of_in_ten_seconds_however_many_there_are() {
        let ten = Duration::from_secs(10);
        for (servers, addresses, tried) in [(1, 1, 1), (1, 2, 2), (2, 1, 2), (3, 1, 3), (2, 2, 4), (30, 3, 5)]
        {
            let (count, taken) = all_silent(servers, addresses);
            assert_eq!(count, tried, "{servers} servers with {addresses} addresses");
            assert!(taken <= ten && taken > ten - Duration::from_millis(1), "{taken:?}");
        }
    }

    #[test]
    fn each_address_of_a_name_is_tried_and_the_error_is_the_one_that_says_most() {
        let now = Instant::now();
        let refused = || LinkError::Io(std::io::ErrorKind::ConnectionRefused.into());
        for silent in 0..3 {
            let mut tries = Tries::new(now, named(&["name"]));
            let (server, _) = tries.next_server(now).expect("one");
            tries.add_addresses(&["a", "b", "c"].map(str::to_owned));
            let mut tried = Vec::new();
            while let Some((address, _)) = tries.next_address(now) {
                let error = if tried.len() == silent { LinkError::Silent } else { refused() };
                tried.push(address);
                tries.handle_failure(&server, error);
            }
            tried.sort();
            assert_eq!(tried, ["a", "b", "c"]);
            assert!(matches!(tries.into_error(), LinkError::Silent));
        }
        assert!(matches!(Tries::new(now, Vec::new()).into_error(), LinkError::Closed));
    }
}
