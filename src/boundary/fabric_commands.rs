//! Reads the commands to a client.

use std::sync::Arc;

use super::SocketOptions;
use super::kinds::FabricCommandKind as Kind;
use super::milliseconds;
use super::record_reader::{ABSENT, RecordReader, malformed};
use crate::base::{Failure, Few};
use crate::client::{ReplyLimits, Request, RequestKind};
use crate::endpoint::Command;
use crate::socket::{AnswerLimits, AskTerms, Consumed};
use crate::subject::{Pattern, Subject};
use crate::wire::conat::split_json;
use crate::wire::stream::CancelReason;
use crate::wire::{Headers, Message, Messages, Payload};

/// Reads the body of a command.
pub(super) fn read(kind: Kind, record: &mut RecordReader<'_>) -> Result<Command, Failure> {
    Ok(match kind {
        Kind::ClientConnect => Command::Connect,
        Kind::ClientDisconnect => Command::Disconnect,
        Kind::ClientClose => Command::Close(record.duration()?),
        Kind::DropTransport => Command::DropTransport,
        Kind::SyncSubscriptions => list(record, RequestKind::Sync)?,
        Kind::Cluster => list(record, RequestKind::Cluster)?,
        Kind::ClientLeave => Command::Leave,
        Kind::TellSockets => {
            let text = record.str()?;
            Command::TellSockets(serde_json::from_str(text).map_err(malformed)?)
        }
        Kind::Cancel => Command::Cancel(record.u32()?),
        Kind::Publish => publish(record)?,
        Kind::PublishTimed => publish_timed(record)?,
        Kind::PublishMany => {
            Command::PublishMany { subject: Subject::parse(record.str()?)?, batches: record.messages()? }
        }
        Kind::Request => request(record)?,
        Kind::Subscribe => subscribe(record)?,
        Kind::Unsubscribe => Command::Unsubscribe(record.u32()?),
        Kind::BoundUnread => {
            Command::BoundUnread { subscription: record.u32()?, most: record.u32()? as usize }
        }
        Kind::Drain => Command::Drain { ticket: record.u32()?, subscription: record.u32()? },
        Kind::WaitForInterest => interest(record)?,
        Kind::Listen => {
            let (listener, subject, options) = open(record)?;
            let (exclusive, config) = (options.exclusive, options.config());
            Command::Listen { listener, subject, id: options.id, exclusive, config }
        }
        Kind::ListenerRetire => Command::ListenerRetire(record.u32()?),
        Kind::ListenerClose => Command::ListenerClose(record.u32()?),
        Kind::ListenerEnd => Command::ListenerEnd {
            ticket: record.u32()?,
            listener: record.u32()?,
            timeout: record.duration()?,
        },
        Kind::SocketConnect => {
            let (socket, subject, options) = open(record)?;
            Command::SocketConnect { socket, subject, config: options.config(), id: options.id }
        }
        Kind::SocketWrite => write(record, false)?,
        Kind::SocketWriteVolatile => write(record, true)?,
        Kind::SocketWriteTimed => write_timed(record)?,
        Kind::SocketDropped => Command::SocketDropped { socket: record.u32()?, number: record.number()? },
        Kind::Broadcast => broadcast(record, false)?,
        Kind::BroadcastVolatile => broadcast(record, true)?,
        Kind::SocketAsk => socket_ask(record)?,
        Kind::Consumed => Command::Consumed {
            socket: record.u32()?,
            counts: Consumed {
                data: record.u32()?.into(),
                requests: record.u32()?.into(),
                answers: record.u32()?.into(),
            },
        },
        Kind::SocketCancel => Command::SocketCancel {
            socket: record.u32()?,
            key: record.number()?,
            reason: CancelReason::from_number(record.u8()?),
        },
        Kind::SocketDisconnect => Command::SocketDisconnect(record.u32()?),
        Kind::SocketReconnect => Command::SocketReconnect(record.u32()?),
        Kind::SocketClose => {
            Command::SocketClose { socket: record.u32()?, abort: record.opt_str()?.map(str::to_owned) }
        }
        Kind::SocketGiveUp => Command::SocketGiveUp(record.u32()?),
        Kind::SocketEnd => {
            Command::SocketEnd { ticket: record.u32()?, socket: record.u32()?, timeout: record.duration()? }
        }
        Kind::ServerChosen => {
            Command::ServerChosen { socket: record.u32()?, id: record.opt_str()?.map(str::to_owned) }
        }
        Kind::Collect => Command::Collect(record.u32()?),
    })
}

fn publish(record: &mut RecordReader<'_>) -> Result<Command, Failure> {
    let (ticket, timeout, wait_for_interest) = (record.ticket()?, record.duration()?, flag(record)?);
    let message = message(record)?;
    if ticket.is_none() && !wait_for_interest {
        return Ok(Command::Publish(message));
    }
    let kind = RequestKind::Publish;
    Ok(Command::Request { ticket, request: Request { kind, message, timeout, wait_for_interest, ttl: None } })
}

fn publish_timed(record: &mut RecordReader<'_>) -> Result<Command, Failure> {
    let (ticket, timeout, wait_for_interest) = (record.ticket()?, record.duration()?, flag(record)?);
    let (kind, ttl) = (RequestKind::Publish, Some(record.duration()?));
    let message = message(record)?;
    Ok(Command::Request { ticket, request: Request { kind, message, timeout, wait_for_interest, ttl } })
}

fn request(record: &mut RecordReader<'_>) -> Result<Command, Failure> {
    let (ticket, timeout, wait_for_interest) = (record.ticket()?, record.duration()?, flag(record)?);
    let kind = reply_limits(record)?;
    let request = Request { kind, message: message(record)?, timeout, wait_for_interest, ttl: None };
    Ok(Command::Request { ticket, request })
}

fn socket_ask(record: &mut RecordReader<'_>) -> Result<Command, Failure> {
    let (socket, wait_for_interest) = (record.u32()?, flag(record)?);
    let many = match reply_limits(record)? {
        RequestKind::RequestMany(ReplyLimits { max_messages, max_wait }) => {
            Some(AnswerLimits { max_messages, max_wait })
        }
        _ => None,
    };
    let terms = AskTerms { many, wait_for_interest };
    match record.messages()?.into_iter().next() {
        Some(Messages::One(question)) => Ok(Command::SocketAsk { socket, question, terms }),
        _ => Err(malformed("a request is absent")),
    }
}

/// Reads how many replies are wanted.
fn reply_limits(record: &mut RecordReader<'_>) -> Result<RequestKind, Failure> {
    let (max_messages, max_wait) = (record.u32()?, record.u32()?);
    Ok(match max_messages {
        0 => RequestKind::Request,
        _ => RequestKind::RequestMany(ReplyLimits {
            max_messages: (max_messages != ABSENT).then_some(max_messages),
            max_wait: (max_wait != 0).then(|| milliseconds(max_wait.into())),
        }),
    })
}

fn subscribe(record: &mut RecordReader<'_>) -> Result<Command, Failure> {
    let (subscription, ticket) = (record.u32()?, record.ticket()?);
    let pattern = Pattern::parse(record.str()?)?;
    let queue = record.opt_str()?.map(Arc::from);
    Ok(Command::Subscribe { subscription, ticket, pattern, queue })
}

fn interest(record: &mut RecordReader<'_>) -> Result<Command, Failure> {
    let (ticket, timeout) = (record.ticket()?, record.duration()?);
    let subject = Subject::parse(record.str()?)?;
    let message = Message { subject, payload: Payload::NIL, headers: Headers::default() };
    let request =
        Request { kind: RequestKind::Interest, message, timeout, wait_for_interest: false, ttl: None };
    Ok(Command::Request { ticket, request })
}

fn list(record: &mut RecordReader<'_>, kind: RequestKind) -> Result<Command, Failure> {
    let (ticket, timeout) = (record.ticket()?, record.duration()?);
    // Only shown when it fails.
    let subject = Subject::parse(kind.name())?;
    let message = Message { subject, payload: Payload::NIL, headers: Headers::default() };
    Ok(Command::Request {
        ticket,
        request: Request { kind, message, timeout, wait_for_interest: false, ttl: None },
    })
}

fn open(record: &mut RecordReader<'_>) -> Result<(u32, String, SocketOptions), Failure> {
    Ok((record.u32()?, record.str()?.to_owned(), SocketOptions::parse(record.text()?)?))
}

fn write(record: &mut RecordReader<'_>, volatile: bool) -> Result<Command, Failure> {
    let sockets = Few::One(record.u32()?);
    Ok(Command::SocketWrite { sockets, batches: record.messages()?, volatile })
}

fn write_timed(record: &mut RecordReader<'_>) -> Result<Command, Failure> {
    let (volatile, ttl, count) = (flag(record)?, record.duration()?, record.u32()?);
    let sockets = (0..count).map(|_| record.u32()).collect::<Result<_, _>>()?;
    match record.messages()?.into_iter().next() {
        Some(Messages::One(item)) => Ok(Command::SocketWriteTimed { sockets, item, volatile, ttl }),
        _ => Err(malformed("data is absent")),
    }
}

fn broadcast(record: &mut RecordReader<'_>, volatile: bool) -> Result<Command, Failure> {
    let count = record.u32()?;
    let sockets = Few::Many((0..count).map(|_| record.u32()).collect::<Result<_, _>>()?);
    Ok(Command::SocketWrite { sockets, batches: record.messages()?, volatile })
}

fn message(record: &mut RecordReader<'_>) -> Result<Message, Failure> {
    let subject = Subject::parse(record.str()?)?;
    // An application may speak the sockets' protocol by hand.
    let headers = record.json()?.map_or_else(Headers::default, split_json);
    Ok(Message { subject, headers, payload: record.payload()? })
}

fn flag(record: &mut RecordReader<'_>) -> Result<bool, Failure> {
    Ok(record.u8()? & 1 != 0)
}
