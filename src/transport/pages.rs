//! Pages of the application's at a broker's port: it answers what is asked below its paths. Each question
//! costs its thread a call, so whoever asks too often is refused before.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::http::ErrorResponse;
use crate::base::{Allowance, network_of};
use crate::link::PageRequest;

/// Who asks the application, with a number for the answer.
type Ask = dyn Fn(u64, PageRequest) + Send + Sync;

/// The paths that the application answers, and what it has been asked.
pub struct Pages {
    paths: Vec<String>,
    ask: Box<Ask>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    asked: u64,
    waiting: HashMap<u64, oneshot::Sender<Bytes>>,
    askers: Askers,
}

/// What each address may ask, of IPv6 each /64; over a Unix socket all together.
#[derive(Default)]
struct Askers(HashMap<Option<IpAddr>, Allowance>);

impl Askers {
    fn may_ask(&mut self, now: Instant, address: Option<IpAddr>) -> bool {
        let network = address.map(network_of);
        if self.0.len() >= MAX_ASKERS && !self.0.contains_key(&network) {
            self.0.retain(|_, allowance| !allowance.is_even(now));
            if self.0.len() >= MAX_ASKERS {
                return false;
            }
        }
        self.0.entry(network).or_insert(Allowance::new(QUESTION_BURST, QUESTIONS_PER_SECOND)).take(now)
    }
}

impl Pages {
    /// Returns those with exactly these paths; one that ends in `/*` stands for all below it, too.
    pub fn new(paths: Vec<String>, ask: impl Fn(u64, PageRequest) + Send + Sync + 'static) -> Self {
        Self { paths, ask: Box::new(ask), open: Mutex::default() }
    }

    /// Whether it is the application that answers there.
    pub(super) fn has(&self, path: &str) -> bool {
        self.paths.iter().any(|own| match own.strip_suffix("/*") {
            Some(root) => {
                path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            None => own == path,
        })
    }

    /// Resolves with the whole response to whoever asks from `client`, or with why the application does not
    /// answer.
    pub(super) async fn answer(
        &self,
        now: Instant,
        client: Option<IpAddr>,
        request: PageRequest,
    ) -> Result<Bytes, ErrorResponse> {
        let (sender, receiver) = oneshot::channel();
        let number = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            if !open.askers.may_ask(now, client) {
                return Err(ErrorResponse::TOO_OFTEN);
            }
            if open.waiting.len() >= MAX_WAITING {
                return Err(ErrorResponse::BUSY);
            }
            open.asked += 1;
            let number = open.asked;
            open.waiting.insert(number, sender);
            number
        };
        // Also when its connection is given up.
        let _waiting = Waiting { pages: self, number };
        (self.ask)(number, request);
        receiver.await.map_err(|_| ErrorResponse::BUSY)
    }

    /// Takes the application's answer.
    pub fn handle_answer(&self, number: u64, response: Bytes) {
        let waiting = self.open.lock().unwrap_or_else(PoisonError::into_inner).waiting.remove(&number);
        // Who asked may be gone.
        let _ = waiting.map(|sender| sender.send(response));
    }
}

/// A question without its answer.
struct Waiting<'a> {
    pages: &'a Pages,
    number: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.pages.open.lock().unwrap_or_else(PoisonError::into_inner).waiting.remove(&self.number);
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").field("paths", &self.paths).finish_non_exhaustive()
    }
}

/// Questions that the application may have at once.
const MAX_WAITING: usize = 64;
/// Questions of one address at once: a page of the monitor loads some.
const QUESTION_BURST: u32 = 100;
/// The same, in the long run.
const QUESTIONS_PER_SECOND: u32 = 20;
/// Addresses that have asked lately; others are refused.
const MAX_ASKERS: usize = 4096;

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    fn request() -> PageRequest {
        let (method, target) = ("GET".to_owned(), "/metrics".to_owned());
        PageRequest { method, target, headers: Vec::new(), address: String::new(), body: String::new() }
    }

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_path_with_a_star_stands_for_all_below_it() {
        let pages = Pages::new(vec!["/monitor/*".into()], |_, _| {});
        assert!(pages.has("/monitor") && pages.has("/monitor/") && pages.has("/monitor/api/overview"));
        assert!(!pages.has("/monitors") && !pages.has("/") && !pages.has("/metrics"));
    }

    #[test]
    fn a_question_gets_its_own_answer_and_one_that_is_given_up_leaves_nothing() {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let numbers = asked.clone();
        let pages = Pages::new(vec!["/metrics".into()], move |number, _| {
            numbers.lock().expect("sound").push(number);
        });
        assert!(pages.has("/metrics") && !pages.has("/metrics/more") && !pages.has("/"));
        let ask = || pages.answer(Instant::now(), None, request());
        let (mut one, mut two) = (pin!(ask()), Box::pin(ask()));
        assert!(poll(one.as_mut()).is_pending() && poll(two.as_mut()).is_pending());
        drop(two);
        assert_eq!(pages.open.lock().expect("sound").waiting.len(), 1);
        let first = asked.lock().expect("sound")[0];
        pages.handle_answer(first + 1, Bytes::from_static(b"late"));
        pages.handle_answer(first, Bytes::from_static(b"mine"));
        assert_eq!(poll(one.as_mut()), Poll::Ready(Ok(Bytes::from_static(b"mine"))));
        assert!(pages.open.lock().expect("sound").waiting.is_empty());
    }

    #[test]
    fn there_are_only_so_many_at_once() {
        let pages = Pages::new(Vec::new(), |_, _| {});
        let ask = || Box::pin(pages.answer(Instant::now(), None, request()));
        let mut open: Vec<_> = (0..MAX_WAITING).map(|_| ask()).collect();
        assert!(open.iter_mut().all(|one| poll(one.as_mut()).is_pending()));
        assert_eq!(poll(ask().as_mut()), Poll::Ready(Err(ErrorResponse::BUSY)));
    }

    #[test]
    fn who_asks_too_often_does_not_reach_the_application_and_others_do() {
        let asked = Arc::new(Mutex::new(0));
        let count = asked.clone();
        let pages = Pages::new(Vec::new(), move |_, _| *count.lock().expect("sound") += 1);
        let start = Instant::now();
        let ask = |host: u32, millis: u64| {
            let (now, client) = (start + Duration::from_millis(millis), IpAddr::from(host.to_be_bytes()));
            let mut asking = Box::pin(pages.answer(now, Some(client), request()));
            let refused = Poll::Ready(Err(ErrorResponse::TOO_OFTEN));
            poll(asking.as_mut()) != refused
        };
        let asked_by_now = || std::mem::take(&mut *asked.lock().expect("sound"));
        for _ in 0..5000 {
            ask(1, 0);
        }
        assert_eq!(asked_by_now(), QUESTION_BURST);
        assert!(ask(2, 0), "another address");
        for millis in 0..=5000 {
            ask(1, millis);
        }
        assert_eq!(asked_by_now(), 1 + 5 * QUESTIONS_PER_SECOND);
        let hosts = u32::try_from(MAX_ASKERS).expect("few");
        assert!((10..10 + hosts - 2).all(|host| ask(host, 5000)));
        assert!(
            ask(5, 5000) && !ask(6, 5000),
            "one has not asked for long and is forgotten, the others are not"
        );
        assert!(ask(6, 60_000));
    }
}
