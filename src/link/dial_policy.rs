//! Decides how a client reaches a server whose protocols it does not know: first our own protocol on a bare
//! connection, then whatever the server grants inside a WebSocket. Remembers what it found out.

use std::time::Duration;

/// Which protocol to speak.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Ours where the server speaks it, else Conat's.
    #[default]
    Best,
    /// Conat's.
    Conat,
    /// Ours; a server that does not speak it is refused.
    Selvedge,
}

/// One way to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// Ask for our own protocol on a bare connection. The server has so long to decide.
    Bare(Duration),
    /// Ask for a WebSocket, and in it for what the server knows.
    WebSocket,
}

/// What is tried, and in which order, with one server.
#[derive(Debug)]
pub struct DialPolicy {
    protocol: Protocol,
    connect_timeout: Duration,
    /// The address allows nothing else, or the server refused our protocol on a bare connection and granted a
    /// WebSocket.
    needs_websocket: bool,
    /// The bare attempt of this dialing has failed.
    is_fallback: bool,
}

impl DialPolicy {
    /// Creates the policy for a server that nothing is known about. All attempts of one dialing have
    /// `connect_timeout` together.
    pub fn new(protocol: Protocol, needs_websocket: bool, connect_timeout: Duration) -> Self {
        Self { protocol, connect_timeout, needs_websocket, is_fallback: false }
    }

    /// Returns what to try first.
    pub fn begin(&mut self) -> Attempt {
        self.is_fallback = false;
        if self.protocol == Protocol::Conat || self.needs_websocket {
            return Attempt::WebSocket;
        }
        // A server that neither takes nor refuses the request must not use up all the time there is.
        Attempt::Bare(MAX_BARE_WAIT.min(self.connect_timeout / 2))
    }

    /// Returns what to try after `attempt` has failed. `is_final`: it would fail the same way again, as TLS
    /// does.
    pub fn handle_failure(&mut self, attempt: Attempt, is_final: bool) -> Option<Attempt> {
        let is_fallback = matches!(attempt, Attempt::Bare(_)) && !is_final;
        self.is_fallback = is_fallback;
        is_fallback.then_some(Attempt::WebSocket)
    }

    /// Takes note that an attempt has led to a link.
    pub fn handle_success(&mut self) {
        self.needs_websocket |= self.is_fallback;
    }
}

/// How long a server may think about our own protocol on a bare connection.
const MAX_BARE_WAIT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(20);
    const BARE: Attempt = Attempt::Bare(MAX_BARE_WAIT);

    #[test]
    fn our_own_protocol_comes_first_then_a_websocket_and_what_a_server_needs_is_remembered() {
        let mut policy = DialPolicy::new(Protocol::Best, false, TIMEOUT);
        assert_eq!(policy.begin(), BARE);
        assert_eq!(policy.handle_failure(BARE, false), Some(Attempt::WebSocket));
        assert_eq!(policy.handle_failure(Attempt::WebSocket, false), None);
        assert_eq!(policy.begin(), BARE, "a server that was down may speak anything");
        assert_eq!(policy.handle_failure(BARE, false), Some(Attempt::WebSocket));
        policy.handle_success();
        assert_eq!(policy.begin(), Attempt::WebSocket);
    }

    #[test]
    fn a_server_that_speaks_our_protocol_is_asked_for_it_again() {
        let mut policy = DialPolicy::new(Protocol::Selvedge, false, TIMEOUT);
        for _ in 0..2 {
            assert_eq!(policy.begin(), BARE);
            policy.handle_success();
        }
    }

    #[test]
    fn failures_that_would_come_again_end_the_dialing() {
        let mut policy = DialPolicy::new(Protocol::Best, false, TIMEOUT);
        let attempt = policy.begin();
        assert_eq!(policy.handle_failure(attempt, true), None);
    }

    #[test]
    fn some_servers_are_asked_for_a_websocket_at_once() {
        assert_eq!(DialPolicy::new(Protocol::Conat, false, TIMEOUT).begin(), Attempt::WebSocket);
        assert_eq!(DialPolicy::new(Protocol::Best, true, TIMEOUT).begin(), Attempt::WebSocket);
        assert_eq!(DialPolicy::new(Protocol::Selvedge, true, TIMEOUT).begin(), Attempt::WebSocket);
    }

    #[test]
    fn half_of_a_short_time_is_left_for_the_websocket() {
        let mut policy = DialPolicy::new(Protocol::Best, false, Duration::from_secs(2));
        assert_eq!(policy.begin(), Attempt::Bare(Duration::from_secs(1)));
    }
}
