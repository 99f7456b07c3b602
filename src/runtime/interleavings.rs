//! The queues between threads under shuttle's scheduler: every test runs thousands of interleavings, and one
//! in which a thread waits for ever is a deadlock that shuttle reports, with the schedule that leads there.
//!
//! `cargo test --no-default-features --features shuttle --lib interleavings`

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use shuttle::future::block_on;
use shuttle::sync::{Condvar, Mutex};
use shuttle::thread;

use super::actor::{Actor, Behaviour};
use super::{BrokerHandle, EventQueue, Mailbox};
use crate::boundary::{BrokerEvent, HostEvent};
use crate::broker::{BrokerConfig, DisconnectReason};
use crate::endpoint::{Command, Event};
use crate::socket::SocketEvent;
use crate::subject::{Pattern, Subject};
use crate::wire::{
    ClientOp, Encoding, Headers, Json, Message, Messages, Payload, Publication, ServerOp, Subscription,
    SubscriptionClass,
};

/// Interleavings a test.
const SCHEDULES: usize = 3000;
/// Threads may be put off so often in one of them.
const DEPTH: usize = 3;

fn explore(test: fn()) {
    shuttle::check_random(test, SCHEDULES);
    shuttle::check_pct(test, SCHEDULES, DEPTH);
}

/// Takes what is there, as `ClientTask` does: in its task, or one command on the thread of the writer.
struct Reader {
    taken: Vec<u32>,
    wanted: usize,
}

impl Reader {
    fn actor(wanted: usize) -> Arc<Actor<Self>> {
        Arc::new(Actor::new(Self { taken: Vec::new(), wanted }))
    }

    fn take(&mut self, most: usize, mailbox: &Mailbox<Command>, cx: &Context<'_>) -> bool {
        let mut commands = Vec::new();
        mailbox.take(cx.waker(), most, usize::MAX, &mut commands);
        let tickets =
            commands.iter().map(|command| if let Command::Cancel(ticket) = command { *ticket } else { 0 });
        self.taken.extend(tickets);
        !commands.is_empty()
    }
}

impl Behaviour for Reader {
    type Command = Command;

    fn poll(&mut self, mailbox: &Mailbox<Command>, cx: &mut Context<'_>) -> Poll<()> {
        while self.take(2, mailbox, cx) {}
        if self.taken.len() >= self.wanted || mailbox.is_abandoned() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    fn run_commands(&mut self, mailbox: &Mailbox<Command>, cx: &mut Context<'_>) {
        self.take(1, mailbox, cx);
        if self.taken.len() >= self.wanted || !mailbox.is_empty() {
            cx.waker().wake_by_ref();
        }
    }

    fn run_incoming(&mut self, mailbox: &Mailbox<Command>, cx: &mut Context<'_>) {
        self.run_commands(mailbox, cx);
    }
}

#[test]
fn commands_reach_a_reader_that_is_about_to_sleep_and_keep_their_order() {
    explore(|| {
        let reader = Reader::actor(4);
        let writer = thread::spawn({
            let reader = reader.clone();
            move || {
                reader.put([Command::Cancel(1), Command::Cancel(2), Command::Cancel(3)]);
                reader.put([]);
                reader.put([Command::Cancel(4)]);
            }
        });
        let ended = block_on(reader.run()).expect("no panic").expect("still there");
        writer.join().expect("the writer ends");
        assert_eq!((ended.taken, reader.weight()), (vec![1, 2, 3, 4], 0));
    });
}

#[test]
fn a_thread_that_looks_while_others_write_and_read_takes_nothing_from_them_and_keeps_the_order() {
    explore(|| {
        let reader = Reader::actor(3);
        let looker = thread::spawn({
            let reader = reader.clone();
            move || (0..3).for_each(|_| reader.read_ready())
        });
        let writer = thread::spawn({
            let reader = reader.clone();
            move || (1..=3).for_each(|n| reader.put([Command::Cancel(n)]))
        });
        let ended = block_on(reader.run()).expect("no panic").expect("still there");
        [looker, writer].into_iter().for_each(|thread| thread.join().expect("it ends"));
        assert_eq!((ended.taken, reader.weight()), (vec![1, 2, 3], 0));
    });
}

#[test]
fn a_reader_whose_writer_is_gone_wakes_up_and_stops() {
    explore(|| {
        let reader = Reader::actor(usize::MAX);
        let writer = thread::spawn({
            let reader = reader.clone();
            move || {
                reader.put([Command::Connect]);
                reader.abandon();
            }
        });
        block_on(reader.run()).expect("no panic");
        writer.join().expect("the writer ends");
    });
}

/// JavaScript: sleeps until it is woken, then drains until there is nothing.
#[derive(Default)]
struct JavaScript {
    woken: Mutex<bool>,
    wake: Condvar,
}

impl JavaScript {
    fn queue(self: &Arc<Self>) -> Arc<EventQueue> {
        let javascript = self.clone();
        Arc::new(EventQueue::new(move || {
            *javascript.woken.lock().expect("unpoisoned") = true;
            javascript.wake.notify_one();
        }))
    }

    fn read(&self, queue: &EventQueue, wanted: usize, mut visit: impl FnMut(HostEvent)) {
        let mut taken = 0;
        while taken < wanted {
            let mut woken = self.woken.lock().expect("unpoisoned");
            while !*woken {
                woken = self.wake.wait(woken).expect("unpoisoned");
            }
            *woken = false;
            drop(woken);
            loop {
                let before = taken;
                queue.take(2, usize::MAX, |news| {
                    taken += 1;
                    visit(news);
                });
                if taken == before {
                    break;
                }
            }
        }
    }
}

#[test]
fn news_wakes_javascript_however_it_falls_between_two_drains() {
    explore(|| {
        let javascript = Arc::new(JavaScript::default());
        let queue = javascript.queue();
        let tasks: Vec<_> = (0..2)
            .map(|task| {
                let queue = queue.clone();
                thread::spawn(move || {
                    for number in 0..3 {
                        queue.put([HostEvent::Broker(task * 10 + number, BrokerEvent::Closed)]);
                    }
                })
            })
            .collect();
        let mut seen = Vec::new();
        javascript.read(&queue, 6, |news| {
            if let HostEvent::Broker(number, BrokerEvent::Closed) = news {
                seen.push(number);
            }
        });
        tasks.into_iter().for_each(|task| task.join().expect("the task ends"));
        for task in 0..2 {
            let own: Vec<u32> = seen.iter().copied().filter(|number| number / 10 == task).collect();
            assert_eq!(own, [task * 10, task * 10 + 1, task * 10 + 2], "in the order of each task");
        }
    });
}

/// Returns an event that fills the queue by itself.
fn heavy() -> HostEvent {
    let payload = Payload { encoding: Encoding::MSGPACK, raw: Bytes::from_static(&[0; 33 * 1024 * 1024]) };
    HostEvent::Fabric(1, Event::Socket(1, SocketEvent::Data(Messages::one(payload, None))))
}

/// Waits for room before each of its events. Returns how many it queued.
async fn report_when_there_is_room(queue: &EventQueue, count: usize) {
    for _ in 0..count {
        poll_fn(|cx| if queue.poll_room(cx.waker()) { Poll::Ready(()) } else { Poll::Pending }).await;
        queue.put([heavy()]);
    }
}

#[test]
fn tasks_that_found_the_queue_full_go_on_when_javascript_has_read() {
    explore(|| {
        let javascript = Arc::new(JavaScript::default());
        let queue = javascript.queue();
        let tasks: Vec<_> = (0..2)
            .map(|_| {
                let queue = queue.clone();
                thread::spawn(move || block_on(report_when_there_is_room(&queue, 2)))
            })
            .collect();
        javascript.read(&queue, 4, |_| ());
        tasks.into_iter().for_each(|task| task.join().expect("the task ends"));
    });
}

#[test]
fn tasks_that_wait_for_room_go_on_when_the_environment_ends() {
    explore(|| {
        let queue = Arc::new(EventQueue::new(|| ()));
        let task = thread::spawn({
            let queue = queue.clone();
            move || block_on(report_when_there_is_room(&queue, 3))
        });
        queue.close();
        task.join().expect("the task ends");
        let mut left = 0;
        queue.take(9, usize::MAX, |_| left += 1);
        assert_eq!(left, 0, "a closed queue keeps nothing");
    });
}

fn null() -> Json {
    Json::from_value(&serde_json::Value::Null)
}

fn publish() -> ClientOp {
    let publication = Publication::chunk(
        "1".into(),
        0,
        true,
        Message {
            subject: Subject::parse("a").expect("valid"),
            payload: Payload::NIL,
            headers: Headers::default(),
        },
    );
    ClientOp::Publish { ack: None, publication }
}

/// Runs a peer's task, as `PeerTask` does: counts deliveries until it has seen `wanted`, or the broker wants
/// it gone.
async fn serve(
    broker: &BrokerHandle,
    peer: crate::broker::PeerId,
    wanted: usize,
) -> (usize, Option<DisconnectReason>) {
    let (mut seen, mut outgoing) = (0, Vec::new());
    poll_fn(|cx| {
        broker.register(peer, cx.waker());
        loop {
            let closed = broker.with(|machine, _| {
                machine.take_outbox(peer, &mut outgoing);
                machine.close_reason(peer)
            });
            let is_idle = outgoing.is_empty();
            seen += outgoing.drain(..).filter(|op| matches!(op, ServerOp::Deliver { .. })).count();
            if closed.is_some() || seen >= wanted {
                return Poll::Ready((seen, closed));
            }
            if is_idle {
                return Poll::Pending;
            }
        }
    })
    .await
}

#[test]
fn what_is_published_wakes_the_task_of_whoever_listens() {
    explore(|| {
        let broker = Arc::new(BrokerHandle::new(BrokerConfig::default(), None));
        let listener = broker.with(|machine, now| {
            let peer = machine.attach(now, null());
            let pattern = Pattern::parse("a").expect("valid").as_str().into();
            let subscriptions = vec![Subscription {
                pattern,
                queue: Some("q".into()),
                class: SubscriptionClass::Shared,
                exclusive: None,
            }];
            machine.handle_op(now, peer, ClientOp::Subscribe { ack: None, subscriptions, list: false });
            peer
        });
        let publishers: Vec<_> = (0..2)
            .map(|_| {
                let broker = broker.clone();
                thread::spawn(move || {
                    let peer = broker.with(|machine, now| machine.attach(now, null()));
                    for _ in 0..2 {
                        broker.with(|machine, now| machine.handle_op(now, peer, publish()));
                    }
                    broker.detach(peer);
                })
            })
            .collect();
        let (seen, _) = block_on(serve(&broker, listener, 4));
        publishers.into_iter().for_each(|publisher| publisher.join().expect("the publisher ends"));
        assert_eq!(seen, 4);
    });
}

#[test]
fn a_broker_that_closes_wakes_the_tasks_of_its_peers() {
    explore(|| {
        let broker = Arc::new(BrokerHandle::new(BrokerConfig::default(), None));
        let peer = broker.with(|machine, now| machine.attach(now, null()));
        let task = thread::spawn({
            let broker = broker.clone();
            move || {
                let (_, closed) = block_on(serve(&broker, peer, usize::MAX));
                broker.detach(peer);
                closed
            }
        });
        broker.close();
        assert_eq!(task.join().expect("the task ends"), Some(DisconnectReason::ShutDown));
        assert!(broker.is_closed() && broker.with(|machine, _| machine.peers().is_empty()));
    });
}
