//! How much of what was sent to a peer it has not read: the operating systems at both ends hold megabytes,
//! and whatever is in there stands before all that comes later, whoever sent it. So a peer is asked every now
//! and then whether it has read so far, and is sent no more than a window beyond that.

use std::collections::VecDeque;

/// The messages that are under way to one peer.
#[derive(Debug, Default)]
pub struct ReadWindow {
    /// Sent and not known to be read.
    unread: u64,
    /// Those of them that no mark covers.
    unmarked: u64,
    /// Each mark, and the messages between it and the one before.
    marks: VecDeque<(u64, u64)>,
}

impl ReadWindow {
    /// Notes that so many messages were sent. Returns whether to ask the peer to say when it has read them.
    pub fn note_sent(&mut self, messages: u32) -> bool {
        self.unread += u64::from(messages);
        self.unmarked += u64::from(messages);
        self.unmarked >= MARK_INTERVAL
    }

    /// Notes the mark that was sent; `None`: this peer cannot be asked, and nothing of it is counted.
    pub fn note_mark(&mut self, mark: Option<u64>) {
        match mark {
            Some(mark) => self.marks.push_back((mark, std::mem::take(&mut self.unmarked))),
            None => *self = Self::default(),
        }
    }

    /// Handles the peer's word that it has read up to a mark.
    pub fn handle_read(&mut self, up_to: u64) {
        while let Some(&(mark, messages)) = self.marks.front()
            && mark <= up_to
        {
            self.marks.pop_front();
            self.unread -= messages;
        }
    }

    /// Returns whether the peer may be sent more. If several senders wait for their turns, each has to wait
    /// behind whatever is under way, and less may be.
    pub fn has_room(&self, is_contended: bool) -> bool {
        self.unread < if is_contended { MAX_UNREAD_OF_MANY } else { MAX_UNREAD }
    }
}

/// Messages that may be under way to a peer. Too low: a distant peer waits for its own answers. Too high:
/// whoever writes to a peer that somebody floods waits behind all of them.
const MAX_UNREAD: u64 = 8192;
/// The same while several senders wait for their turns.
const MAX_UNREAD_OF_MANY: u64 = 2048;
/// Messages from one mark to the next.
const MARK_INTERVAL: u64 = 512;

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends as long as there is room, a mark wherever one is wanted. Returns how much that was.
    fn fill(window: &mut ReadWindow, marks: &mut u64, is_contended: bool) -> u64 {
        let mut sent = 0;
        while window.has_room(is_contended) {
            sent += 1;
            if window.note_sent(1) {
                *marks += 1;
                window.note_mark(Some(*marks));
            }
        }
        sent
    }

    #[test]
    fn no_more_is_under_way_than_a_window() {
        let (mut window, mut marks) = (ReadWindow::default(), 0);
        assert_eq!(fill(&mut window, &mut marks, false), MAX_UNREAD);
        window.handle_read(1);
        assert_eq!(fill(&mut window, &mut marks, false), MARK_INTERVAL);
        assert_eq!(fill(&mut window, &mut marks, true), 0, "others wait: first what is under way is read");
        window.handle_read(marks - 1);
        assert_eq!(fill(&mut window, &mut marks, true), MAX_UNREAD_OF_MANY - MARK_INTERVAL);
        window.handle_read(marks);
        assert!(window.unread < MARK_INTERVAL, "only what no mark covers: {window:?}");
    }

    #[test]
    fn a_bundle_counts_for_all_its_messages_and_a_word_about_nothing_for_none() {
        let mut window = ReadWindow::default();
        assert!(window.note_sent(10_000));
        window.note_mark(Some(1));
        assert!(!window.has_room(false));
        window.handle_read(0);
        assert!(!window.has_room(false));
        window.handle_read(7);
        window.handle_read(7);
        assert!(window.has_room(true));
    }

    #[test]
    fn a_peer_that_cannot_be_asked_has_room() {
        let mut window = ReadWindow::default();
        assert!(window.note_sent(1_000_000));
        window.note_mark(None);
        assert!(window.has_room(true));
    }
}
