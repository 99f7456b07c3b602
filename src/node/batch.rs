//! Reads batches: what JavaScript wants, packed into one byte string (`docs/internals/boundary.md`,
//! "Commands").

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::options::{SocketOptions, milliseconds};
use crate::base::{Code, Failure, Handle};
use crate::broker::{AuthRequestId, Decision};
use crate::client::{ReplyLimits, Request, RequestKind};
use crate::endpoint::{Command, SocketRequest};
use crate::subject::{Pattern, Subject};
use crate::wire::conat::split_json;
use crate::wire::{Encoding, Headers, Json, Message, Messages, OpError, Payload};

/// One record: a command, or a reply to a broker.
#[derive(Debug)]
pub enum Record {
    /// A client, in any case the one that it names.
    Fabric(Command),
    /// A broker: an answer to what it asked.
    Broker(AuthReply),
    /// A Sockety connection: its operations, not read yet.
    Sockety(Bytes),
}

/// An answer to a broker's request.
#[derive(Debug)]
pub enum AuthReply {
    /// The user, or why they are refused.
    User(AuthRequestId, Result<Json, OpError>),
    /// Whether an action is allowed.
    Permission(AuthRequestId, Decision),
}

/// Calls `visit` with each command and its client or broker. What `lib` writes is well-formed; a record that
/// is not is a bug, left out, and the first such is reported.
pub fn read_batch(batch: &[u8], mut visit: impl FnMut(Handle, Record)) -> Result<(), Failure> {
    let (mut rest, mut outcome) = (batch, Ok(()));
    while !rest.is_empty() {
        let mut head = RecordReader(rest);
        let length = head.u32()? as usize;
        let (record, next) = head.0.split_at_checked(length).ok_or_else(truncated)?;
        rest = next;
        let mut record = RecordReader(record);
        let kind = record.u8()?;
        let client = record.u32()?;
        let order = match kind {
            30 | 31 => record.answer(kind).map(Record::Broker),
            60 => Ok(Record::Sockety(Bytes::copy_from_slice(record.0))),
            _ => record.command(kind).map(Record::Fabric),
        };
        match order {
            Ok(order) => visit(client, order),
            Err(failure) => outcome = outcome.and(Err(failure)),
        }
    }
    outcome
}

struct RecordReader<'a>(&'a [u8]);

impl<'a> RecordReader<'a> {
    fn command(&mut self, kind: u8) -> Result<Command, Failure> {
        Ok(match kind {
            1 => self.publish()?,
            2 => self.request()?,
            3 => Command::Cancel(self.u32()?),
            4 => self.subscribe()?,
            5 => Command::Unsubscribe(self.u32()?),
            6 => self.interest()?,
            7 | 8 => self.open_socket(kind)?,
            9 | 44 => {
                let sockets = vec![self.u32()?];
                Command::SocketWrite { sockets, batches: self.messages()?, volatile: kind == 44 }
            }
            10 | 47 => {
                let count = self.u32()?;
                let sockets = (0..count).map(|_| self.u32()).collect::<Result<_, _>>()?;
                Command::SocketWrite { sockets, batches: self.messages()?, volatile: kind == 47 }
            }
            11 => self.socket_request()?,
            12 => Command::Consumed { socket: self.u32()?, count: self.u32()?.into() },
            13 => Command::SocketDisconnect(self.u32()?),
            14 => Command::SocketReconnect(self.u32()?),
            15 => Command::SocketClose(self.u32()?),
            16 => Command::SocketEnd { ticket: self.u32()?, socket: self.u32()?, timeout: self.duration()? },
            17 => Command::ServerChosen { socket: self.u32()?, id: self.opt_str()?.map(str::to_owned) },
            18 => Command::ListenerClose(self.u32()?),
            19 => {
                Command::ListenerEnd { ticket: self.u32()?, listener: self.u32()?, timeout: self.duration()? }
            }
            20 => Command::Connect,
            21 => Command::Disconnect,
            22 => Command::Close,
            23 => Command::DropTransport,
            50 => Command::PublishMany { subject: Subject::parse(self.str()?)?, batches: self.messages()? },
            45 => Command::Collect(self.u32()?),
            46 => Command::ListenerRetire(self.u32()?),
            24 => self.list(RequestKind::Sync)?,
            25 => self.list(RequestKind::Cluster)?,
            other => return Err(internal(format!("unknown command {other}"))),
        })
    }

    fn answer(&mut self, kind: u8) -> Result<AuthReply, Failure> {
        let (request, what) = (self.u64()?, self.u8()?);
        if kind == 31 {
            let decision = match what {
                1 => Decision::Allowed,
                0 => Decision::Denied,
                _ => Decision::Failed,
            };
            return Ok(AuthReply::Permission(request, decision));
        }
        let text = self.str()?;
        let user = if what == 1 {
            Json::parse(Bytes::copy_from_slice(text.as_bytes())).map_err(|_| internal("a user is not JSON"))
        } else {
            let code = self.u32()?;
            return Ok(AuthReply::User(
                request,
                Err(OpError { message: text.to_owned(), code: u16::try_from(code).ok() }),
            ));
        };
        Ok(AuthReply::User(request, Ok(user?)))
    }

    fn publish(&mut self) -> Result<Command, Failure> {
        let (ticket, timeout, wait_for_interest) = (self.ticket()?, self.duration()?, self.u8()? & 1 != 0);
        let message = self.message()?;
        if ticket.is_none() && !wait_for_interest {
            return Ok(Command::Publish(message));
        }
        let request = Request { kind: RequestKind::Publish, message, timeout, wait_for_interest };
        Ok(Command::Request { ticket, request })
    }

    fn request(&mut self) -> Result<Command, Failure> {
        let (ticket, timeout, wait_for_interest) = (self.ticket()?, self.duration()?, self.u8()? & 1 != 0);
        let kind = self.answers()?;
        let request = Request { kind, message: self.message()?, timeout, wait_for_interest };
        Ok(Command::Request { ticket, request })
    }

    fn socket_request(&mut self) -> Result<Command, Failure> {
        let (ticket, socket, timeout) = (self.u32()?, self.u32()?, self.duration()?);
        let wait_for_interest = self.u8()? & 1 != 0;
        let kind = self.answers()?;
        let (json, payload) = (self.json()?, self.payload()?);
        Ok(Command::SocketRequest(SocketRequest {
            ticket,
            socket,
            kind,
            timeout,
            payload,
            json,
            wait_for_interest,
        }))
    }

    /// Reads the messages to the end of the record. They share one copy of it.
    fn messages(&mut self) -> Result<Vec<Messages>, Failure> {
        let raw = Bytes::copy_from_slice(std::mem::take(&mut self.0));
        Messages::split(&raw).ok_or_else(|| {
            Failure::new(Code::InvalidArgument, "malformed messages, or headers that are not JSON")
        })
    }

    /// Returns how many answers are wanted.
    fn answers(&mut self) -> Result<RequestKind, Failure> {
        let (max_messages, max_wait) = (self.u32()?, self.u32()?);
        Ok(match max_messages {
            0 => RequestKind::Request,
            _ => RequestKind::RequestMany(ReplyLimits {
                max_messages: (max_messages != ABSENT).then_some(max_messages),
                max_wait: (max_wait != 0).then(|| milliseconds(max_wait.into())),
            }),
        })
    }

    fn subscribe(&mut self) -> Result<Command, Failure> {
        let (subscription, ticket) = (self.u32()?, self.ticket()?);
        let pattern = Pattern::parse(self.str()?)?;
        let queue = self.opt_str()?.map(Arc::from);
        Ok(Command::Subscribe { subscription, ticket, pattern, queue })
    }

    fn interest(&mut self) -> Result<Command, Failure> {
        let (ticket, timeout) = (self.ticket()?, self.duration()?);
        let message = Message {
            subject: Subject::parse(self.str()?)?,
            payload: Payload::NIL,
            headers: Headers::default(),
        };
        let request = Request { kind: RequestKind::Interest, message, timeout, wait_for_interest: false };
        Ok(Command::Request { ticket, request })
    }

    fn list(&mut self, kind: RequestKind) -> Result<Command, Failure> {
        let (ticket, timeout) = (self.ticket()?, self.duration()?);
        // Only shown when it fails.
        let subject = Subject::parse(kind.name())?;
        let message = Message { subject, payload: Payload::NIL, headers: Headers::default() };
        Ok(Command::Request { ticket, request: Request { kind, message, timeout, wait_for_interest: false } })
    }

    fn open_socket(&mut self, kind: u8) -> Result<Command, Failure> {
        let (handle, subject) = (self.u32()?, self.str()?.to_owned());
        let options =
            SocketOptions::parse(std::str::from_utf8(self.0).map_err(|_| internal("options are not text"))?)?;
        let config = options.config();
        let id = options.id;
        Ok(if kind == 7 {
            Command::Listen { listener: handle, subject, id, config }
        } else {
            Command::SocketConnect { socket: handle, subject, id, config }
        })
    }

    fn message(&mut self) -> Result<Message, Failure> {
        let subject = Subject::parse(self.str()?)?;
        // An application may speak the sockets' protocol by hand.
        let headers = self.json()?.map_or_else(Headers::default, split_json);
        Ok(Message { subject, headers, payload: self.payload()? })
    }

    fn json(&mut self) -> Result<Option<Json>, Failure> {
        let Some(text) = self.opt_str()? else { return Ok(None) };
        let json = Json::parse(Bytes::copy_from_slice(text.as_bytes()));
        json.map(Some)
            .map_err(|error| Failure::new(Code::InvalidArgument, format!("headers are not JSON: {error}")))
    }

    /// Reads the rest of the record, copied because JavaScript reuses its buffer.
    fn payload(&mut self) -> Result<Payload, Failure> {
        let encoding = Encoding(self.u8()?);
        Ok(Payload { encoding, raw: Bytes::copy_from_slice(std::mem::take(&mut self.0)) })
    }

    fn ticket(&mut self) -> Result<Option<Handle>, Failure> {
        Ok(Some(self.u32()?).filter(|ticket| *ticket != 0))
    }

    fn duration(&mut self) -> Result<Duration, Failure> {
        Ok(milliseconds(self.u32()?.into()))
    }

    fn str(&mut self) -> Result<&'a str, Failure> {
        self.opt_str()?.ok_or_else(|| internal("a text is absent"))
    }

    fn opt_str(&mut self) -> Result<Option<&'a str>, Failure> {
        let length = self.u32()?;
        if length == ABSENT {
            return Ok(None);
        }
        let (text, rest) = self.0.split_at_checked(length as usize).ok_or_else(truncated)?;
        self.0 = rest;
        std::str::from_utf8(text).map(Some).map_err(|_| internal("a text is not UTF-8"))
    }

    fn u32(&mut self) -> Result<u32, Failure> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or_else(truncated)?;
        self.0 = rest;
        Ok(u32::from_le_bytes(*bytes))
    }

    fn u64(&mut self) -> Result<u64, Failure> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or_else(truncated)?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*bytes))
    }

    fn u8(&mut self) -> Result<u8, Failure> {
        let (byte, rest) = self.0.split_first().ok_or_else(truncated)?;
        self.0 = rest;
        Ok(*byte)
    }
}

fn truncated() -> Failure {
    internal("a record is truncated")
}

fn internal(message: impl ToString) -> Failure {
    Failure::new(Code::Internal, format!("malformed batch: {}", message.to_string()))
}

/// As a length: no text. As a count: no limit.
const ABSENT: u32 = u32::MAX;
