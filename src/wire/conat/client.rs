//! A client's end: [`ClientOp`] to frames, frames to [`ServerOp`].

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::Value;

use super::codec::{End, PacketCodec, RawEvent};
use super::json::{push_string, push_u64};
use super::packet::{push_ack_start, push_event_start};
use super::publication::{RawDelivery, push_chunk};
use super::reply::{Outstanding, parse_error, parse_reply};
use super::{
    ATTACHMENT_SLACK_BYTES, DELIVERY_SLACK_BYTES, DELIVERY_SLACK_LEVELS, DecodeError, Frames, Limits,
    MAX_JSON_DEPTH, MAX_TEXT_BYTES, Packet, PacketKind,
};
use crate::subject::{Pattern, Subject};
use crate::wire::message::json;
use crate::wire::message::{AckId, Chunk, ClientOp, Info, Json, ServerOp, Subscription};

/// Speaks for a client. Acknowledges `info` by itself.
pub type ClientCodec = PacketCodec<ClientEnd>;

/// What a client keeps of the conversation.
#[derive(Debug, Default)]
pub struct ClientEnd {
    outstanding: Outstanding,
    /// The names of the last delivery: most of the time the next one has the same.
    last_pattern: Option<Pattern>,
    last_subject: Option<Subject>,
    last_chunk: Option<Arc<Chunk>>,
}

impl ClientCodec {
    /// Returns a codec for a server whose packets have at most `max_payload` bytes.
    pub fn new(max_payload: usize) -> Self {
        let limits = Limits {
            text: MAX_TEXT_BYTES + DELIVERY_SLACK_BYTES,
            depth: MAX_JSON_DEPTH + DELIVERY_SLACK_LEVELS,
            attachments: max_payload.saturating_add(ATTACHMENT_SLACK_BYTES),
            is_lenient: true,
        };
        Self::with_limits(limits, ClientEnd::default())
    }
}

impl ClientEnd {
    fn handle_event(
        &mut self,
        packet: Packet<'_>,
        attachments: &[Bytes],
        into: &mut Vec<ServerOp>,
        frames: &mut Frames,
    ) -> Result<(), DecodeError> {
        if packet.ack.is_none()
            && let Some((name, delivery)) = compact_delivery(packet.data)
        {
            return self.handle_delivery(name, delivery, attachments, into);
        }
        let event = RawEvent::parse(packet.data)?;
        if packet.ack.is_none() {
            let delivery =
                event.argument.and_then(|argument| serde_json::from_str::<RawDelivery>(argument.get()).ok());
            if let Some(delivery) = delivery {
                return self.handle_delivery(&event.name.0, delivery, attachments, into);
            }
        }
        match &*event.name.0 {
            "info" => into.push(ServerOp::Info(info(&event)?.into())),
            "permission" => into.extend(event.read().and_then(|argument| permission(&argument))),
            name => tracing::debug!(name, "ignored an event that is unknown or malformed"),
        }
        if let Some(id) = packet.ack {
            frames.push_text(|out| {
                push_ack_start(out, id);
                out.put_slice(b"[]");
            });
        }
        Ok(())
    }

    fn handle_delivery(
        &mut self,
        name: &str,
        delivery: RawDelivery<'_>,
        attachments: &[Bytes],
        into: &mut Vec<ServerOp>,
    ) -> Result<(), DecodeError> {
        let pattern = self.last_pattern.take().filter(|last| last.as_str() == name);
        let subject = self.last_subject.take().filter(|last| last.as_str() == delivery.subject.0);
        let (Some(pattern), Some(subject)) = (
            pattern.or_else(|| Pattern::parse(name).ok()),
            subject.or_else(|| Subject::parse(&delivery.subject.0).ok()),
        ) else {
            // Other brokers check names by other rules; a name that we do not know how to handle is not worth
            // the connection.
            tracing::debug!("dropped a delivery with an invalid subject or pattern");
            return Ok(());
        };
        self.last_pattern = Some(pattern.clone());
        self.last_subject = Some(subject.clone());
        let publication = delivery.chunk.resolve(subject, attachments, &mut self.last_chunk)?;
        into.push(ServerOp::Deliver { pattern, publication });
        Ok(())
    }
}

impl End for ClientEnd {
    type Out = ClientOp;
    type In = ServerOp;

    fn encode(&mut self, op: ClientOp, frames: &mut Frames) {
        if !op.is_sendable() {
            return;
        }
        self.outstanding.insert(&op);
        match op {
            ClientOp::Publish { publication, .. } if publication.is_bundle() => {
                publication.for_each_single(|publication| {
                    self.encode(ClientOp::Publish { ack: None, publication }, frames);
                });
            }
            // This protocol always tells the count.
            ClientOp::Request { ack, publication } => {
                self.encode(ClientOp::Publish { ack: Some(ack), publication }, frames);
            }
            ClientOp::Publish { ack, publication } => {
                frames.push_text(|out| {
                    push_event_start(out, 1, ack.map(|AckId(id)| id));
                    out.put_slice(b"[\"publish\",[");
                    push_string(out, publication.subject.as_str());
                    out.put_u8(b',');
                    push_chunk(out, &publication);
                    out.put_slice(b"]]");
                });
                frames.push_binary(publication.payload.raw);
            }
            ClientOp::Subscribe { ack, subscriptions, list } => push_event(frames, ack, "subscribe", |out| {
                push_items(out, &subscriptions, list, push_subscription);
            }),
            ClientOp::Unsubscribe { ack, patterns, list, drain: _ } => {
                push_event(frames, ack, "unsubscribe", |out| {
                    push_items(out, &patterns, list, |out, pattern| {
                        out.put_slice(b"{\"subject\":");
                        push_string(out, pattern);
                        out.put_u8(b'}');
                    });
                })
            }
            ClientOp::Subscriptions { ack } => {
                push_event(frames, Some(ack), "subscriptions", |out| out.put_slice(b"null"));
            }
            ClientOp::Cluster { ack } => frames.push_text(|out| {
                push_event_start(out, 0, Some(ack.0));
                out.put_slice(b"[\"cluster\"]");
            }),
            ClientOp::WaitForInterest { ack, subject, timeout } => {
                push_event(frames, Some(ack), "wait-for-interest", |out| {
                    out.put_slice(b"{\"subject\":");
                    push_string(out, &subject);
                    out.put_slice(b",\"timeout\":");
                    push_u64(out, u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
                    out.put_u8(b'}');
                });
            }
            ClientOp::Stats { messages, bytes } => push_event(frames, None, "stats", |out| {
                out.put_slice(b"{\"recv0\":{\"messages\":");
                push_u64(out, messages);
                out.put_slice(b",\"bytes\":");
                push_u64(out, bytes);
                out.put_slice(b"}}");
            }),
            // `info` was acknowledged when it came; a refusal is made by a decoder and has no form here. The
            // protocol has no word for the others.
            ClientOp::InfoReceived
            | ClientOp::PublishRefused { .. }
            | ClientOp::Watch(_)
            | ClientOp::Sockets(_)
            | ClientOp::Leaving => {}
        }
    }

    fn handle_packet(
        &mut self,
        packet: Packet<'_>,
        attachments: &[Bytes],
        into: &mut Vec<ServerOp>,
        frames: &mut Frames,
    ) -> Result<(), DecodeError> {
        if packet.namespace != "/" {
            return Err(DecodeError::Misbehaved("packet for a namespace that was not joined"));
        }
        match packet.kind {
            PacketKind::Event => self.handle_event(packet, attachments, into, frames),
            PacketKind::Ack => {
                let id = packet.ack.ok_or(DecodeError::Misbehaved("acknowledgement without an id"))?;
                if let Some(asked) = self.outstanding.take(id) {
                    into.push(ServerOp::Ack { id: AckId(id), reply: parse_reply(asked, packet.data) });
                }
                Ok(())
            }
            PacketKind::Disconnect => Err(DecodeError::Disconnected),
            PacketKind::ConnectError => Err(DecodeError::Refused(packet.refusal())),
            PacketKind::Connect => Err(DecodeError::Misbehaved("connected twice")),
        }
    }
}

/// Reads a delivery in its usual form in one pass: `["name",{…}]` without white space or escapes before the
/// object.
fn compact_delivery(data: &str) -> Option<(&str, RawDelivery<'_>)> {
    let (name, rest) = data.strip_prefix("[\"")?.split_once('"')?;
    let argument = rest.strip_prefix(',')?.strip_suffix(']')?;
    if name.contains('\\') || !argument.starts_with("{\"subject\":") {
        return None;
    }
    Some((name, serde_json::from_str(argument).ok()?))
}

fn info(event: &RawEvent<'_>) -> Result<Info, DecodeError> {
    let malformed = DecodeError::Misbehaved("malformed info");
    let Some(mut argument) = event.read::<Value>() else { return Err(malformed) };
    let max_payload = argument.get("max_payload").and_then(Value::as_u64).unwrap_or(DEFAULT_MAX_PAYLOAD);
    let string = |name: &str| argument.get(name).and_then(Value::as_str).map(str::to_owned);
    let (id, cluster_name) = (string("id"), string("clusterName"));
    let user = argument.get_mut("user").map(Value::take).unwrap_or_default();
    // As its text: not all that JavaScript has in a user is a value here.
    let text = event.argument.and_then(|argument| json::member(argument.get(), "user")).unwrap_or("null");
    Ok(Info {
        max_payload: usize::try_from(max_payload).unwrap_or(usize::MAX),
        id: id.ok_or(malformed)?,
        cluster_name,
        instance: None,
        large: None,
        max_message: None,
        monitor: None,
        user: parse_error(&user).map_or_else(|| Ok(Json::trusted(text.to_owned().into())), Err),
    })
}

fn permission(argument: &Value) -> Option<ServerOp> {
    let string = |name: &str| argument.get(name)?.as_str().map(str::to_owned);
    Some(ServerOp::Permission {
        message: string("message").unwrap_or_default(),
        subject: string("subject")?,
        kind: string("type")?,
    })
}

fn push_event(frames: &mut Frames, ack: Option<AckId>, name: &str, argument: impl FnOnce(&mut BytesMut)) {
    frames.push_text(|out| {
        push_event_start(out, 0, ack.map(|AckId(id)| id));
        out.put_slice(b"[\"");
        out.put_slice(name.as_bytes());
        out.put_slice(b"\",");
        argument(out);
        out.put_u8(b']');
    });
}

fn push_items<T>(out: &mut BytesMut, items: &[T], list: bool, push: impl Fn(&mut BytesMut, &T)) {
    if list {
        out.put_u8(b'[');
    }
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.put_u8(b',');
        }
        push(out, item);
    }
    if list {
        out.put_u8(b']');
    }
}

fn push_subscription(out: &mut BytesMut, subscription: &Subscription) {
    out.put_slice(b"{\"subject\":");
    push_string(out, &subscription.pattern);
    if let Some(queue) = &subscription.queue {
        out.put_slice(b",\"queue\":");
        push_string(out, queue);
    }
    out.put_u8(b'}');
}

/// The largest payload until a server announces another (Conat's rule).
const DEFAULT_MAX_PAYLOAD: u64 = 1_000_000;
