//! A broker's end of one connection: [`ServerOp`] to frames, frames to [`ClientOp`].

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::codec::{End, PacketCodec, RawEvent};
use super::json::{Text, push_string, push_u64};
use super::packet::{push_ack_start, push_event_start, push_invalid_namespace};
use super::publication::{RawPublish, push_chunk};
use super::reply::{push_error, push_reply};
use super::rpc;
use super::{
    ATTACHMENT_SLACK_BYTES, DecodeError, Frames, Limits, MAX_JSON_DEPTH, MAX_TEXT_BYTES, Packet, PacketKind,
};
use crate::subject::Subject;
use crate::wire::message::json;
use crate::wire::message::{
    AckId, Chunk, ClientOp, Info, OpError, ServerOp, Subscription, SubscriptionClass,
};

/// Speaks for a broker.
pub type ServerCodec = PacketCodec<ServerEnd>;

/// What a broker keeps of the conversation.
#[derive(Debug, Default)]
pub struct ServerEnd {
    /// Operations that were asked as a list and are answered with one.
    lists: HashSet<u64>,
    /// Asks for the acknowledgement of the next `info`; those below were asked.
    next_info: u64,
    /// The subject of the last publish: most of the time the next one has the same. And which chunk it was.
    last_subject: Option<Subject>,
    last_chunk: Option<Arc<Chunk>>,
}

impl ServerCodec {
    /// Returns a codec for clients whose payloads have at most `max_payload` bytes.
    pub fn new(max_payload: usize) -> Self {
        let limits = Limits {
            text: MAX_TEXT_BYTES,
            depth: MAX_JSON_DEPTH,
            attachments: max_payload.saturating_add(ATTACHMENT_SLACK_BYTES),
            is_lenient: false,
        };
        Self::with_limits(limits, ServerEnd::default())
    }
}

impl ServerEnd {
    fn handle_event(
        &mut self,
        packet: Packet<'_>,
        attachments: &[Bytes],
        into: &mut Vec<ClientOp>,
        frames: &mut Frames,
    ) -> Result<(), DecodeError> {
        let ack = packet.ack.map(AckId);
        if let Some(publish) = compact_publish(packet.data) {
            into.push(self.publish(ack, publish, attachments)?);
            return Ok(());
        }
        let event = RawEvent::parse(packet.data)?;
        let argument = event.argument.map(RawValue::get).unwrap_or("null");
        let op = match (&*event.name.0, ack) {
            ("publish", _) => {
                let publish = serde_json::from_str(argument)
                    .map_err(|_| DecodeError::Misbehaved("malformed publish"))?;
                Some(self.publish(ack, publish, attachments)?)
            }
            ("subscribe", _) => {
                let (items, list) = items(argument).ok_or(DecodeError::Misbehaved("malformed subscribe"))?;
                self.remember_list(ack, list)?;
                let subscriptions = items.into_iter().map(Subscription::from).collect();
                Some(ClientOp::Subscribe { ack, subscriptions, list })
            }
            ("unsubscribe", _) => {
                let (items, list) =
                    items(argument).ok_or(DecodeError::Misbehaved("malformed unsubscribe"))?;
                self.remember_list(ack, list)?;
                let patterns = items.into_iter().map(|item| item.subject.into()).collect();
                Some(ClientOp::Unsubscribe { ack, patterns, list, drain: false })
            }
            ("subscriptions", ack) => ack.map(|ack| ClientOp::Subscriptions { ack }),
            ("cluster", ack) => ack.map(|ack| ClientOp::Cluster { ack }),
            ("wait-for-interest", ack) => {
                let (subject, timeout) =
                    interest(argument).ok_or(DecodeError::Misbehaved("malformed wait-for-interest"))?;
                ack.map(|ack| ClientOp::WaitForInterest { ack, subject, timeout })
            }
            ("stats", _) => event.read().and_then(|argument| stats(&argument)),
            (name, Some(AckId(id))) => {
                frames.push_text(|out| {
                    push_ack_start(out, id);
                    out.put_slice(rpc::answer_to(name).unwrap_or(b"[{\"error\":\"unknown event\"}]"));
                });
                None
            }
            (_, None) => None,
        };
        into.extend(op);
        Ok(())
    }

    fn publish(
        &mut self,
        ack: Option<AckId>,
        publish: RawPublish<'_>,
        attachments: &[Bytes],
    ) -> Result<ClientOp, DecodeError> {
        let text = publish.subject.get();
        if !text.starts_with('"') {
            return Err(DecodeError::Misbehaved("malformed publish"));
        }
        // Without escapes, and only then, this is the whole string.
        let plain = text.get(1..text.len() - 1).unwrap_or_default();
        let subject = match self.last_subject.take().filter(|last| last.as_str() == plain) {
            Some(subject) => Some(subject),
            None => serde_json::from_str::<Text>(text).ok().and_then(|text| Subject::parse(&text.0).ok()),
        };
        let Some(subject) = subject else {
            return Ok(ClientOp::PublishRefused { ack, error: OpError::text("Error: invalid subject") });
        };
        self.last_subject = Some(subject.clone());
        Ok(ClientOp::Publish {
            ack,
            publication: publish.chunk.resolve(subject, attachments, &mut self.last_chunk)?,
        })
    }

    fn remember_list(&mut self, ack: Option<AckId>, list: bool) -> Result<(), DecodeError> {
        if let Some(AckId(id)) = ack {
            if !list {
                self.lists.remove(&id);
            } else if self.lists.len() < MAX_LISTS {
                self.lists.insert(id);
            } else {
                return Err(DecodeError::Misbehaved("too many lists of subscriptions unanswered"));
            }
        }
        Ok(())
    }
}

impl End for ServerEnd {
    type Out = ServerOp;
    type In = ClientOp;

    fn encode(&mut self, op: ServerOp, frames: &mut Frames) {
        match op {
            ServerOp::Deliver { pattern, publication } if publication.is_bundle() => {
                publication.for_each_single(|publication| {
                    self.encode(ServerOp::Deliver { pattern: pattern.clone(), publication }, frames);
                });
            }
            ServerOp::Deliver { pattern, publication } => {
                frames.push_text(|out| {
                    push_event_start(out, 1, None);
                    out.put_u8(b'[');
                    push_string(out, pattern.as_str());
                    out.put_slice(b",{\"subject\":");
                    push_string(out, publication.subject.as_str());
                    out.put_slice(b",\"data\":[");
                    push_chunk(out, &publication);
                    out.put_slice(b"]}]");
                });
                frames.push_binary(publication.payload.raw);
            }
            ServerOp::Ack { id: AckId(id), reply } => {
                let list = !self.lists.is_empty() && self.lists.remove(&id);
                frames.push_text(|out| {
                    push_ack_start(out, id);
                    push_reply(out, &reply, list);
                });
            }
            ServerOp::Info(info) => {
                let id = self.next_info;
                self.next_info += 1;
                frames.push_text(|out| {
                    push_event_start(out, 0, Some(id));
                    push_info(out, &info);
                });
            }
            ServerOp::Permission { message, subject, kind } => frames.push_text(|out| {
                push_event_start(out, 0, None);
                out.put_slice(b"[\"permission\",{\"message\":");
                push_string(out, &message);
                out.put_slice(b",\"subject\":");
                push_string(out, &subject);
                out.put_slice(b",\"type\":");
                push_string(out, &kind);
                out.put_slice(b"}]");
            }),
            // A disconnect packet would say no more, and Socket.IO's clients do not come back after one.
            ServerOp::Closing { .. } | ServerOp::Superseded { .. } => {}
            // Asked for by nobody who speaks this protocol.
            ServerOp::Watched(_) => {}
        }
    }

    fn handle_packet(
        &mut self,
        packet: Packet<'_>,
        attachments: &[Bytes],
        into: &mut Vec<ClientOp>,
        frames: &mut Frames,
    ) -> Result<(), DecodeError> {
        if packet.namespace != "/" {
            if packet.kind == PacketKind::Connect {
                frames.push_text(|out| push_invalid_namespace(out, packet.namespace));
            }
            return Ok(());
        }
        match packet.kind {
            PacketKind::Event => self.handle_event(packet, attachments, into, frames),
            PacketKind::Ack => {
                let id = packet.ack.ok_or(DecodeError::Misbehaved("acknowledgement without an id"))?;
                into.extend((id < self.next_info).then_some(ClientOp::InfoReceived));
                Ok(())
            }
            PacketKind::Disconnect => Err(DecodeError::Disconnected),
            PacketKind::Connect => Err(DecodeError::Misbehaved("connected twice")),
            PacketKind::ConnectError => Err(DecodeError::Misbehaved("connect error from a client")),
        }
    }
}

/// Reads a publish in its usual form in one pass: without white space around its name.
fn compact_publish(data: &str) -> Option<RawPublish<'_>> {
    serde_json::from_str(data.strip_prefix("[\"publish\",")?.strip_suffix(']')?).ok()
}

/// Reads one item, or a list of them, and returns which it was.
fn items(argument: &str) -> Option<(Vec<RawItem>, bool)> {
    if argument.starts_with('[') {
        Some((json::read(argument)?, true))
    } else {
        Some((vec![json::read(argument)?], false))
    }
}

#[derive(Deserialize)]
struct RawItem {
    subject: String,
    /// Of any type: what is no string is no queue, and the broker refuses it.
    #[serde(default)]
    queue: Value,
}

impl From<RawItem> for Subscription {
    fn from(item: RawItem) -> Self {
        Self {
            pattern: item.subject.into(),
            queue: item.queue.as_str().map(Arc::from),
            class: SubscriptionClass::Shared,
            exclusive: None,
        }
    }
}

fn interest(argument: &str) -> Option<(Arc<str>, Duration)> {
    let value: Value = json::read(argument)?;
    let millis = match value.get("timeout") {
        None | Some(Value::Null) => 0.0,
        Some(timeout) => timeout.as_f64()?,
    };
    // JavaScript has one kind of number; an hour is beyond what any broker waits.
    let timeout = Duration::from_secs_f64(millis.clamp(0.0, 3_600_000.0) / 1000.0);
    Some((value.get("subject")?.as_str()?.into(), timeout))
}

/// Statistics of a shape that we do not know are nothing to end a connection for.
fn stats(argument: &Value) -> Option<ClientOp> {
    let received = argument.get("recv0")?;
    Some(ClientOp::Stats {
        messages: received.get("messages")?.as_u64()?,
        bytes: received.get("bytes")?.as_u64()?,
    })
}

fn push_info(out: &mut BytesMut, info: &Info) {
    out.put_slice(b"[\"info\",{\"max_payload\":");
    push_u64(out, info.max_payload as u64);
    out.put_slice(b",\"id\":");
    push_string(out, &info.id);
    if let Some(name) = &info.cluster_name {
        out.put_slice(b",\"clusterName\":");
        push_string(out, name);
    }
    out.put_slice(b",\"user\":");
    match &info.user {
        Ok(user) => out.put_slice(user.as_bytes()),
        Err(error) => push_error(out, error),
    }
    out.put_slice(b"}]");
}

/// Lists of subscriptions that have not been answered. A client sends one after each reconnect.
const MAX_LISTS: usize = 1024;
