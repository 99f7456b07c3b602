//! Requests whose broker, or whoever has them, ends before they are answered.

use super::*;
use crate::wire::message::ENDED_UNANSWERED;
use crate::wire::{ANSWER_GRACE, MAX_OWN_ABSENCE};

const ASKED: u32 = 10;
const MANY: u32 = 11;
const LONG: Duration = Duration::from_secs(600);

fn many(max_wait: Option<Duration>) -> RequestKind {
    RequestKind::RequestMany(ReplyLimits { max_messages: None, max_wait })
}

impl Stage {
    /// Asks both: one answer, and several. Both are with whoever was asked.
    fn asked(kinds: [RequestKind; 2]) -> (Self, [Subject; 2]) {
        let mut stage = Self::ready();
        let subjects = [(ASKED, kinds[0]), (MANY, kinds[1])].map(|(token, kind)| {
            let subject = Subject::parse("svc").expect("valid");
            let message = Message { subject, payload: Payload::NIL, headers: Headers::default() };
            let request = Request { kind, message, timeout: LONG, wait_for_interest: false, ttl: None };
            stage.client.request(stage.now, Some(token), request);
            let ops = stage.ops();
            let (ack, publication) = match ops.as_slice() {
                [ClientOp::Publish { ack: Some(ack), publication }] => (Some(*ack), publication),
                [ClientOp::Request { publication, .. }] => (None, publication),
                _ => panic!("{ops:?}"),
            };
            if let Some(id) = ack {
                let reply = Reply::Published { count: 1 };
                stage.client.handle_op(stage.now, ServerOp::Ack { id, reply });
            }
            publication.headers.reply.clone().expect("it wants an answer")
        });
        (stage, subjects)
    }

    /// Asks for several answers alone. Returns its acknowledgement as well.
    fn asked_many(kind: RequestKind) -> (Self, AckId, Subject) {
        let mut stage = Self::ready();
        let subject = Subject::parse("svc").expect("valid");
        let message = Message { subject, payload: Payload::NIL, headers: Headers::default() };
        let request = Request { kind, message, timeout: LONG, wait_for_interest: false, ttl: None };
        stage.client.request(stage.now, Some(MANY), request);
        let ops = stage.ops();
        let [ClientOp::Publish { ack: Some(id), publication }] = ops.as_slice() else { panic!("{ops:?}") };
        let reply = Reply::Published { count: 1 };
        stage.client.handle_op(stage.now, ServerOp::Ack { id: *id, reply });
        (stage, *id, publication.headers.reply.clone().expect("it wants answers"))
    }

    fn answer(&mut self, subject: &Subject) {
        let publication = Publication::chunk(
            "1".into(),
            0,
            true,
            Message { subject: subject.clone(), payload: Payload::NIL, headers: Headers::default() },
        );
        let pattern = Pattern::parse(&self.inbox()).expect("valid");
        self.client.handle_op(self.now, ServerOp::Deliver { pattern, publication });
    }

    /// A gateway says in the place of an answer that there will be none.
    fn say_ended(&mut self, subject: &Subject) {
        let message =
            Message { subject: subject.clone(), payload: Payload::NIL, headers: Headers::ended_unanswered() };
        let pattern = Pattern::parse(&self.inbox()).expect("valid");
        let publication = Publication::whole(message);
        self.client.handle_op(self.now, ServerOp::Deliver { pattern, publication });
    }

    /// Time passes. Returns who failed, and with what code.
    fn failed_after(&mut self, time: Duration) -> Vec<(u32, String)> {
        self.now += time;
        self.client.handle_timeout(self.now);
        let failed = |event| match event {
            ClientEvent::Failed(token, error) => {
                Some((token, crate::base::Failure::from(error).code.to_string()))
            }
            _ => None,
        };
        self.news().into_iter().filter_map(failed).collect()
    }

    /// The broker ends, and another one is there so much later.
    fn replace_broker(&mut self, after: Duration) {
        self.lose();
        self.now += after.saturating_sub(Duration::from_secs(1));
        self.client.handle_timeout(self.now);
        self.instance = Some("second");
        self.sign_in();
    }
}

const MOMENT: Duration = Duration::from_millis(1);

#[test]
fn requests_whose_broker_ended_fail_when_whoever_has_them_does_not_answer_soon() {
    for away in [1, 4, 40].map(Duration::from_secs) {
        let (mut stage, _) = Stage::asked([RequestKind::Request, many(None)]);
        stage.replace_broker(away);
        let grace = ANSWER_GRACE + away.min(MAX_OWN_ABSENCE);
        assert_eq!(stage.failed_after(grace - MOMENT), []);
        let epipe = |token| (token, "EPIPE".to_owned());
        assert_eq!(stage.failed_after(MOMENT), [epipe(ASKED), epipe(MANY)]);
        assert_eq!(stage.client.usage().requests, 0);
    }
}

#[test]
fn who_has_a_request_may_answer_it_over_the_next_broker() {
    let (mut stage, [asked, many]) = Stage::asked([RequestKind::Request, many(None)]);
    stage.replace_broker(Duration::from_secs(1));
    assert_eq!(stage.failed_after(Duration::from_secs(1)), []);
    stage.answer(&asked);
    stage.answer(&many);
    assert_eq!(stage.news().len(), 2);
    // More may come after an answer, but nobody knows of the others.
    assert_eq!(stage.failed_after(ANSWER_GRACE - MOMENT), []);
    assert_eq!(stage.failed_after(MOMENT), [(MANY, "EPIPE".to_owned())]);
}

#[test]
fn a_link_that_breaks_alone_ends_no_request() {
    let (mut stage, [asked, _]) = Stage::asked([RequestKind::Request, many(None)]);
    for _ in 0..3 {
        stage.lose();
        stage.sign_in();
    }
    assert_eq!(stage.failed_after(Duration::from_secs(60)), []);
    stage.answer(&asked);
    assert_eq!(stage.news().len(), 1);
}

#[test]
fn a_request_s_own_time_is_not_made_longer_by_the_end_of_its_broker() {
    let (mut stage, _) = Stage::asked([RequestKind::Request, many(None)]);
    stage.now += LONG - Duration::from_secs(2);
    stage.replace_broker(Duration::from_secs(1));
    let ended = stage.failed_after(Duration::from_secs(1));
    assert_eq!(ended, [(ASKED, "408".to_owned())], "and what had several answers has ended");
}

#[test]
fn several_answers_do_not_end_in_order_while_there_is_no_connection() {
    let (mut stage, _) = Stage::asked([RequestKind::Request, many(Some(Duration::from_secs(5)))]);
    let [_, subject] = Stage::asked([RequestKind::Request, many(None)]).1;
    stage.answer(&subject);
    stage.news();
    stage.lose();
    assert_eq!(stage.failed_after(Duration::from_secs(5)), [(MANY, "408".to_owned())]);
}

#[test]
fn several_answers_fail_when_who_gives_them_ends_unless_a_silence_is_their_end() {
    let max_wait = Some(Duration::from_secs(5));
    for (wait, answers, is_told) in
        [(None, 0, true), (None, 2, true), (max_wait, 0, true), (max_wait, 2, false)]
    {
        let (mut stage, ack, subject) = Stage::asked_many(many(wait));
        (0..answers).for_each(|_| stage.answer(&subject));
        stage.news();
        let error = OpError { message: "ended".to_owned(), code: Some(ENDED_UNANSWERED) };
        stage.client.handle_op(stage.now, ServerOp::Ack { id: ack, reply: Reply::Error(error) });
        let told = if is_told { vec![(MANY, "EPIPE".to_owned())] } else { vec![] };
        assert_eq!(stage.failed_after(Duration::ZERO), told);
        assert_eq!(stage.client.usage().requests, usize::from(!is_told));
        if !is_told {
            stage.now += Duration::from_secs(5);
            stage.client.handle_timeout(stage.now);
            assert_eq!(stage.news(), [ClientEvent::Ended(MANY)]);
        }
        assert_eq!(stage.client.usage().acks, 0);
    }
}

#[test]
fn a_request_for_many_of_which_a_gateway_says_that_it_has_ended_waits_for_others_for_a_moment() {
    for (max_wait, answers) in [(None, 0), (None, 2), (Some(Duration::from_secs(1)), 0)] {
        let (mut stage, _, place) = Stage::asked_many(many(max_wait));
        stage.say_ended(&place);
        assert_eq!(stage.news(), []);
        for _ in 0..answers {
            stage.now += ANSWER_GRACE / 2;
            stage.client.handle_timeout(stage.now);
            stage.answer(&place);
        }
        let answered = stage.news().len();
        stage.now += ANSWER_GRACE;
        stage.client.handle_timeout(stage.now);
        let subject = "svc".to_owned();
        let why = ClientError::EndedUnanswered { what: many(None).name(), subject };
        assert_eq!((answered, stage.news()), (answers, vec![ClientEvent::Failed(MANY, why)]));
    }
    // Who has said how long a silence is the end, and has an answer, goes on as without that.
    let (mut stage, _, place) = Stage::asked_many(many(Some(Duration::from_secs(1))));
    stage.answer(&place);
    stage.say_ended(&place);
    assert_eq!(stage.news().len(), 1);
    stage.now += Duration::from_secs(1);
    stage.client.handle_timeout(stage.now);
    assert_eq!(stage.news(), [ClientEvent::Ended(MANY)]);
}

/// One that was answered over the next broker ended in order when its own time was over, before the silence
/// that it wanted, or failed after the whole of it.
#[test]
fn after_an_answer_over_the_next_broker_only_a_whole_silence_is_the_end() {
    let wait = Duration::from_secs(5);
    for (asked_before, is_answered) in [(Duration::ZERO, false), (LONG - wait, false), (Duration::ZERO, true)]
    {
        let (mut stage, _, place) = Stage::asked_many(many(Some(wait)));
        if is_answered {
            stage.answer(&place);
        }
        stage.now += asked_before;
        stage.replace_broker(Duration::from_secs(1));
        stage.answer(&place);
        stage.news();
        // Another broker's end begins the wait for a moment anew, and an answer ends that as well.
        stage.replace_broker(Duration::from_secs(1));
        assert_eq!(stage.failed_after(Duration::from_secs(1)), []);
        stage.answer(&place);
        assert_eq!(stage.news().len(), 1);
        stage.now += wait - MOMENT;
        stage.client.handle_timeout(stage.now);
        assert_eq!(stage.news(), [], "{asked_before:?}, {is_answered}");
        stage.now += MOMENT;
        stage.client.handle_timeout(stage.now);
        assert_eq!(stage.news(), [ClientEvent::Ended(MANY)], "{asked_before:?}, {is_answered}");
    }
}

#[test]
fn after_an_answer_of_another_one_who_was_asked_a_whole_silence_is_the_end() {
    let wait = Duration::from_secs(1);
    let (mut stage, _, place) = Stage::asked_many(many(Some(wait)));
    stage.say_ended(&place);
    stage.now += wait;
    stage.client.handle_timeout(stage.now);
    stage.answer(&place);
    assert_eq!(stage.news().len(), 1);
    stage.now += wait;
    stage.client.handle_timeout(stage.now);
    assert_eq!(stage.news(), [ClientEvent::Ended(MANY)]);
}
