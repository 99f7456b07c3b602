//! Subscriptions that one connection has to itself: the newest takes the place of the one before.

use std::collections::HashMap;
use std::time::Instant;

use super::error::Refusal;
use super::peer_id::PeerId;
use crate::subject::Pattern;
use crate::wire::Claim;

/// Who has each pattern, by which token.
///
/// Tokens grow, also over a restart of the broker, and of whoever comes back with one: so who was there
/// later is known whoever comes back first.
#[derive(Debug, Default)]
pub(super) struct Exclusives {
    by_pattern: HashMap<Pattern, Holder>,
    latest: u64,
    /// What the clock said when it was first looked at, in milliseconds since 1970, and when that was.
    clock: Option<(u64, Instant)>,
}

/// Who has a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Holder {
    /// The connection.
    pub(super) peer: PeerId,
    /// Its token.
    pub(super) token: u64,
}

/// A claim that was granted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Granted {
    /// The token of whoever has the pattern now.
    pub(super) token: u64,
    /// Who had it, if that is somebody else. By the same token it is an older connection of the same.
    pub(super) before: Option<Holder>,
}

impl Exclusives {
    /// Takes the place of whoever has the pattern, or says that somebody else took it later. `started` is
    /// what the clock said when the broker was made.
    pub(super) fn claim(
        &mut self,
        (now, started): (Instant, u64),
        pattern: &Pattern,
        peer: PeerId,
        claim: Claim,
    ) -> Result<Granted, Refusal> {
        let present = self.by_pattern.get(pattern).copied();
        let (milliseconds, at) = *self.clock.get_or_insert((started, now));
        let passed = u64::try_from(now.saturating_duration_since(at).as_millis()).unwrap_or(0);
        let clock = milliseconds.saturating_add(passed).min(MAX_CLOCK);
        let ahead = (clock + MAX_AHEAD) << TOKENS_A_MILLISECOND_BITS;
        let token = match claim {
            Claim::Returning(token) if token <= ahead.max(self.latest) => {
                if present.is_some_and(|holder| holder.token > token) {
                    return Err(Refusal::Superseded);
                }
                token
            }
            // What no broker can have given would stand before all that are given from now on.
            Claim::Returning(_) | Claim::Fresh => (clock << TOKENS_A_MILLISECOND_BITS).max(self.latest + 1),
        };
        self.latest = self.latest.max(token);
        self.by_pattern.insert(pattern.clone(), Holder { peer, token });
        Ok(Granted { token, before: present.filter(|holder| holder.peer != peer) })
    }

    /// Returns the connection that has a pattern to itself.
    pub(super) fn holder(&self, pattern: &Pattern) -> Option<PeerId> {
        self.by_pattern.get(pattern).map(|holder| holder.peer)
    }

    /// Notes that a connection has a pattern no more.
    pub(super) fn release(&mut self, pattern: &Pattern, peer: PeerId) {
        if self.by_pattern.get(pattern).is_some_and(|holder| holder.peer == peer) {
            self.by_pattern.remove(pattern);
        }
    }
}

/// More than two a microsecond need no clock.
const TOKENS_A_MILLISECOND_BITS: u32 = 11;
/// In the year 10000: JavaScript and JSON hold what is below 2^53, and the tokens of that are twice as long.
const MAX_CLOCK: u64 = 1 << 48;
/// Milliseconds by which another broker's clock may be ahead: a day.
const MAX_AHEAD: u64 = 24 * 3600 * 1000;

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use std::time::Duration;

    use super::*;

    const FIRST: PeerId = PeerId { serial: 1, slot: 0 };
    const SECOND: PeerId = PeerId { serial: 2, slot: 1 };

    #[test]
    fn fresh_wins_returning_never_takes_back_and_the_same_takes_its_own_place() {
        let (mut exclusives, now) = (Exclusives::default(), Instant::now());
        let mine = Pattern::parse("s.server.main.*").expect("valid");
        let mut claim = |peer, claim| exclusives.claim((now, 1000), &mine, peer, claim);
        let old = claim(FIRST, Claim::Fresh).expect("free");
        assert_eq!(old, Granted { token: 1000 << 11, before: None });
        let new = claim(SECOND, Claim::Fresh).expect("fresh wins");
        assert_eq!(new.before, Some(Holder { peer: FIRST, token: old.token }));
        assert!(new.token > old.token);
        assert_eq!(claim(FIRST, Claim::Returning(old.token)), Err(Refusal::Superseded));
        let again = PeerId { serial: 3, slot: 2 };
        let back = claim(again, Claim::Returning(new.token)).expect("the latest");
        assert_eq!(
            back,
            Granted { token: new.token, before: Some(Holder { peer: SECOND, token: new.token }) }
        );
        exclusives.release(&mine, SECOND);
        assert!(exclusives.claim((now, 0), &mine, FIRST, Claim::Returning(old.token)).is_err(), "not theirs");
        exclusives.release(&mine, again);
        assert_eq!(
            exclusives.claim((now, 0), &mine, FIRST, Claim::Returning(old.token)).map(|one| one.before),
            Ok(None)
        );
    }

    #[test]
    fn a_broker_that_was_restarted_knows_whoever_was_there_later() {
        let (mut exclusives, now) = (Exclusives::default(), Instant::now());
        let mine = Pattern::parse("s.server.main.*").expect("valid");
        let later = now + Duration::from_secs(60);
        exclusives.claim((now, 5), &mine, FIRST, Claim::Returning(7 << 30)).expect("nobody is there");
        let fresh = exclusives.claim((later, 5), &mine, SECOND, Claim::Fresh).expect("fresh wins");
        assert_eq!(fresh.token, (7 << 30) + 1, "whatever its clock says");
        assert!(exclusives.claim((later, u64::MAX), &mine, SECOND, Claim::Fresh).is_ok());
    }

    #[test]
    fn a_token_that_nobody_gave_is_not_in_the_way_of_those_that_are_given() {
        let (mut exclusives, now) = (Exclusives::default(), Instant::now());
        let mine = Pattern::parse("s.server.main.*").expect("valid");
        let mut claim = |peer, claim| exclusives.claim((now, 5), &mine, peer, claim);
        for round in 0..1000 {
            let forged = claim(FIRST, Claim::Returning(u64::MAX - round)).expect("as good as a new one");
            assert!(forged.token <= (5 << 11) + 2 * round, "{round}: {forged:?}");
            assert!(forged.before.is_none_or(|before| before.token < forged.token), "who was there is told");
            let fresh = claim(SECOND, Claim::Fresh).expect("fresh wins");
            assert!(fresh.token > forged.token);
            let back = claim(SECOND, Claim::Returning(fresh.token)).expect("its own");
            assert_eq!(back, Granted { token: fresh.token, before: None });
            assert_eq!(claim(FIRST, Claim::Returning(forged.token)), Err(Refusal::Superseded));
        }
    }
}
