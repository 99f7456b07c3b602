//! The fabric client, and a broker that says anything.

use std::time::Instant;

use arbitrary::{Result, Unstructured};
use selvedge::base::{LinkInfo, SeededEntropy};
use selvedge::client::{
    Client, ClientConfig, ClientEvent, ClientUsage, ReplyLimits, Request, RequestKind, SessionState,
};
use selvedge::wire::{ClientOp, ServerOp};

use super::messages;

/// A whole life: what was asked is answered at most once, and nothing is kept after the end.
pub fn life(data: &[u8]) {
    let mut client = Client::<u32>::new(ClientConfig::default(), Box::new(SeededEntropy::new(1)));
    let mut watch = Watch::default();
    let mut now = Instant::now();
    let mut u = Unstructured::new(data);
    // The end of the data is the end of the life.
    let _ = live(&mut u, &mut now, &mut client, &mut watch);
    client.close(now, std::time::Duration::MAX);
    watch.drain(&mut client);
    let patterns = client.usage().patterns;
    assert_eq!(client.usage(), ClientUsage { patterns, ..ClientUsage::default() });
}

#[derive(Default)]
struct Watch {
    /// Questions by token: still open, or settled.
    open: Vec<bool>,
    acks: Vec<selvedge::wire::AckId>,
    closed: bool,
}

fn live(
    u: &mut Unstructured<'_>,
    now: &mut Instant,
    client: &mut Client<u32>,
    watch: &mut Watch,
) -> Result<()> {
    while !u.is_empty() {
        match u.int_in_range(0..=15)? {
            0 => client.connect(),
            1 => client.handle_link_up(*now, LinkInfo::default()),
            2 => client.handle_link_down(*now, "down".to_owned()),
            3 | 4 => client.handle_op(*now, ServerOp::Info(messages::info(u)?.into())),
            5..=7 => {
                // Mostly an answer to what was asked.
                let id = if !watch.acks.is_empty() && u.ratio(9, 10)? {
                    watch.acks.swap_remove(u.choose_index(watch.acks.len())?)
                } else {
                    messages::ack(u)?
                };
                client.handle_op(*now, ServerOp::Ack { id, reply: messages::reply(u)? });
            }
            8 => {
                let op = ServerOp::Deliver {
                    pattern: messages::pattern(u)?,
                    publication: messages::publication(u)?,
                };
                client.handle_op(*now, op);
            }
            9 => {
                let mut publication = messages::publication(u)?;
                let key = u.int_in_range(0..=9_u8)?;
                let subject = format!("{}.{key}", client.inbox());
                publication.subject = selvedge::subject::Subject::parse(&subject).expect("valid");
                let pattern = format!("{}.*", client.inbox());
                let pattern = selvedge::subject::Pattern::parse(&pattern).expect("valid");
                client.handle_op(*now, ServerOp::Deliver { pattern, publication });
            }
            10 | 11 => ask(u, *now, client, watch)?,
            12 => {
                *now += messages::duration(u)?;
                if client.poll_timeout().is_some_and(|at| at <= *now) {
                    client.handle_timeout(*now);
                }
            }
            13 => client.subscribe(
                *now,
                u.int_in_range(1000..=1005)?,
                messages::pattern(u)?,
                selvedge::client::SubscriptionKind::Shared(None),
            ),
            14 => client.unsubscribe(u.int_in_range(1000..=1005)?),
            _ => match u.int_in_range(0..=4)? {
                0 => client.disconnect(),
                1 => client.drop_link(),
                2 if u.ratio(1, 5)? => client.close(*now, std::time::Duration::MAX),
                _ => client.publish_or_keep(messages::message(u)?),
            },
        }
        watch.drain(client);
    }
    Ok(())
}

fn ask(u: &mut Unstructured<'_>, now: Instant, client: &mut Client<u32>, watch: &mut Watch) -> Result<()> {
    let many = ReplyLimits {
        max_messages: u.arbitrary::<Option<u8>>()?.map(u32::from),
        max_wait: Some(messages::duration(u)?),
    };
    let kinds = [
        RequestKind::Publish,
        RequestKind::Request,
        RequestKind::Command,
        RequestKind::RequestMany(many),
        RequestKind::Interest,
    ];
    let kind = *u.choose(&kinds)?;
    let message = messages::message(u)?;
    let (timeout, wait_for_interest) = (messages::duration(u)?, u.arbitrary()?);
    let token = u32::try_from(watch.open.len()).expect("few");
    if token < 1000 {
        watch.open.push(true);
        client.request(now, Some(token), Request { kind, message, timeout, wait_for_interest, ttl: None });
    }
    Ok(())
}

impl Watch {
    fn drain(&mut self, client: &mut Client<u32>) {
        let _ = (client.poll_dial(), client.poll_drop());
        for index in 0.. {
            let Some(op) = client.poll_op() else { break };
            assert!(index < 100_000, "it never ends");
            match op {
                ClientOp::Publish { ack: Some(id), .. }
                | ClientOp::Request { ack: id, .. }
                | ClientOp::Subscribe { ack: Some(id), .. }
                | ClientOp::WaitForInterest { ack: id, .. } => self.acks.push(id),
                _ => {}
            }
        }
        self.acks.drain(..self.acks.len().saturating_sub(64));
        for index in 0.. {
            let Some(event) = client.poll_event() else { break };
            assert!(index < 100_000, "it never ends");
            self.take(event);
        }
        assert_eq!(client.usage().outputs, 0);
    }

    fn take(&mut self, event: ClientEvent<u32>) {
        let settled = match event {
            ClientEvent::Session(SessionState::Closed) => {
                assert!(!std::mem::replace(&mut self.closed, true), "closed twice");
                return;
            }
            // A reply may be one of many.
            ClientEvent::Reply { token, .. } if token < 1000 => {
                assert!(self.open[token as usize], "an answer to a question that is settled");
                return;
            }
            ClientEvent::Published { token, .. }
            | ClientEvent::Ended(token)
            | ClientEvent::Interest(token, _)
            | ClientEvent::Failed(token, _) => token,
            _ => return,
        };
        if settled < 1000 {
            assert!(std::mem::replace(&mut self.open[settled as usize], false), "settled twice");
        }
    }
}
