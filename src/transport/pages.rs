//! Pages of the application's at a broker's port: it answers what is asked below its paths.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::oneshot;

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

    /// Resolves with the whole response; `None`: there is no room for the question, or nobody answers it.
    pub(super) async fn answer(&self, request: PageRequest) -> Option<Bytes> {
        let (sender, receiver) = oneshot::channel();
        let number = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            if open.waiting.len() >= MAX_WAITING {
                return None;
            }
            open.asked += 1;
            let number = open.asked;
            open.waiting.insert(number, sender);
            number
        };
        // Also when its connection is given up.
        let _waiting = Waiting { pages: self, number };
        (self.ask)(number, request);
        receiver.await.ok()
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

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
        let (mut one, mut two) = (pin!(pages.answer(request())), Box::pin(pages.answer(request())));
        assert!(poll(one.as_mut()).is_pending() && poll(two.as_mut()).is_pending());
        drop(two);
        assert_eq!(pages.open.lock().expect("sound").waiting.len(), 1);
        let first = asked.lock().expect("sound")[0];
        pages.handle_answer(first + 1, Bytes::from_static(b"late"));
        pages.handle_answer(first, Bytes::from_static(b"mine"));
        assert_eq!(poll(one.as_mut()), Poll::Ready(Some(Bytes::from_static(b"mine"))));
        assert!(pages.open.lock().expect("sound").waiting.is_empty());
    }

    #[test]
    fn there_are_only_so_many_at_once() {
        let pages = Pages::new(Vec::new(), |_, _| {});
        let mut open: Vec<_> = (0..MAX_WAITING).map(|_| Box::pin(pages.answer(request()))).collect();
        assert!(open.iter_mut().all(|one| poll(one.as_mut()).is_pending()));
        assert_eq!(poll(pin!(pages.answer(request())).as_mut()), Poll::Ready(None));
    }
}
