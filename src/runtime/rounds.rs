//! Rounds: tasks that come in crowds (handshakes of strangers, connections that end) do so much of their
//! work, then everybody else has a turn, and the network is looked at, before they go on.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;

use super::threads;

/// Shared by those of one crowd.
#[derive(Debug)]
pub(super) struct Rounds {
    max_steps: usize,
    round: Mutex<Round>,
}

#[derive(Debug, Default)]
struct Round {
    number: u64,
    steps: usize,
}

impl Rounds {
    /// So many steps a round; the last one may go beyond.
    pub(super) const fn new(max_steps: usize) -> Self {
        Self { max_steps, round: Mutex::new(Round { number: 0, steps: 0 }) }
    }

    /// Drives work to its end. It costs so many steps whenever it is polled.
    pub(super) async fn drive<F: Future>(&self, cost: usize, work: F) -> F::Output {
        let mut work = pin!(work);
        let mut sent_back_in = None;
        poll_fn(|cx| {
            if self.has_turn(cost, &mut sent_back_in) {
                return work.as_mut().poll(cx);
            }
            threads::end_turn(cx);
            Poll::Pending
        })
        .await
    }

    /// Who is sent back comes again when all others have had their turn: then the next round begins.
    fn has_turn(&self, cost: usize, sent_back_in: &mut Option<u64>) -> bool {
        let mut round = self.round.lock().unwrap_or_else(PoisonError::into_inner);
        if sent_back_in.take() == Some(round.number) {
            *round = Round { number: round.number + 1, steps: 0 };
        }
        if round.steps >= self.max_steps {
            *sent_back_in = Some(round.number);
            return false;
        }
        round.steps += cost;
        true
    }
}

/// Steps of handshakes in a round: most take some microseconds, those that sign for TLS up to a millisecond.
pub(super) const HANDSHAKES: usize = 16;

/// What connections that end in one round may take from the tables of a broker, in entries: some
/// milliseconds.
pub(super) const ENTRIES: usize = 2048;

/// Operations that are dropped in one round, in all: more than can be made meanwhile.
pub(super) const DROPS: usize = 16 * 1024;

#[cfg(all(test, unix, not(feature = "shuttle")))]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    fn on_one_worker<F: Future<Output = ()> + Send + 'static>(test: F) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a thread");
        runtime.block_on(runtime.spawn(test)).expect("no panic");
    }

    #[test]
    fn a_neighbour_waits_for_one_round_of_a_crowd_only() {
        on_one_worker(async {
            let (turn, steps) = (Arc::new(Rounds::new(HANDSHAKES)), Arc::new(AtomicUsize::new(0)));
            // What is said over it is there at once.
            let (mut near, mut far) = UnixStream::pair().expect("two descriptors");
            let seen = steps.clone();
            let neighbour = tokio::spawn(async move {
                far.read_u8().await.expect("said");
                seen.load(Ordering::Relaxed)
            });
            // It waits for the network by now.
            tokio::task::yield_now().await;
            let crowd: Vec<_> = (0..1000)
                .map(|_| {
                    let (turn, steps) = (turn.clone(), steps.clone());
                    tokio::spawn(async move {
                        let step = || {
                            steps.fetch_add(1, Ordering::Relaxed);
                        };
                        turn.drive(1, async { step() }).await;
                    })
                })
                .collect();
            near.write_u8(1).await.expect("open");
            let waited = neighbour.await.expect("no panic");
            assert!(waited < 500, "{waited} steps");
            for one in crowd {
                one.await.expect("each has its turn");
            }
            assert_eq!(steps.load(Ordering::Relaxed), 1000);
        });
    }

    #[test]
    fn who_is_sent_back_and_gives_up_holds_nobody_up() {
        on_one_worker(async {
            let turn = Rounds::new(HANDSHAKES);
            for _ in 0..HANDSHAKES {
                turn.drive(1, async {}).await;
            }
            let given_up = async {
                tokio::select! { biased; () = turn.drive(1, async {}) => true, () = async {} => false }
            };
            assert!(!given_up.await, "sent back");
            turn.drive(1, async {}).await;
        });
    }

    #[test]
    fn a_task_that_ends_its_turn_lets_those_go_first_who_wait_for_the_network() {
        on_one_worker(async {
            let (near, mut far) = UnixStream::pair().expect("two descriptors");
            let turns = Arc::new(AtomicUsize::new(0));
            let seen = turns.clone();
            let neighbour = tokio::spawn(async move {
                far.read_u8().await.expect("said");
                seen.load(Ordering::Relaxed)
            });
            tokio::task::yield_now().await;
            let busy = tokio::spawn(poll_fn(move |cx| {
                let count = turns.fetch_add(1, Ordering::Relaxed);
                // Says it in its first turn: the neighbour can have its own from then on.
                if count == 0 {
                    near.try_write(&[1]).expect("room");
                }
                if count == 1000 {
                    return Poll::Ready(());
                }
                threads::end_turn(cx);
                Poll::Pending
            }));
            let waited = neighbour.await.expect("no panic");
            busy.await.expect("no panic");
            assert!(waited < 30, "{waited} turns");
        });
    }
}
