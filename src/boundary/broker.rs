//! An embedded broker: reads the replies to what it asks, and writes its events.

use bytes::Bytes;

use super::kinds::{BrokerCommandKind, BrokerEventKind as Kind};
use super::record_reader::{RecordReader, malformed};
use super::{BrokerEvent, EventBuffer};
use crate::base::{Failure, Handle};
use crate::broker::{Action, AuthRequest, AuthRequestId, Decision, PeerId, UpstreamState};
use crate::link::{ListenAddress, PageRequest};
use crate::wire::{Json, OpError};

/// A reply to a broker's request.
#[derive(Debug)]
pub enum AuthReply {
    /// The user, or why they are refused.
    User(AuthRequestId, Result<Json, OpError>),
    /// Whether an action is allowed.
    Permission(AuthRequestId, Decision),
}

/// Reads the body of a reply.
pub(super) fn read(kind: BrokerCommandKind, record: &mut RecordReader<'_>) -> Result<AuthReply, Failure> {
    let (request, what) = (record.u64()?, record.u8()?);
    match kind {
        BrokerCommandKind::UserFound => {
            let text = record.str()?;
            let user = if what == 1 {
                let json = Json::parse(Bytes::copy_from_slice(text.as_bytes()));
                Ok(json.map_err(|_| malformed("a user is not JSON"))?)
            } else {
                Err(OpError { message: text.to_owned(), code: u16::try_from(record.u32()?).ok() })
            };
            Ok(AuthReply::User(request, user))
        }
        BrokerCommandKind::PermissionDecided => {
            let decision = match what {
                0 => Decision::Denied,
                1 => Decision::Allowed,
                _ => Decision::Failed,
            };
            Ok(AuthReply::Permission(request, decision))
        }
    }
}

/// Writes the head and the body of a record.
pub(super) fn write(out: &mut EventBuffer, broker: Handle, event: BrokerEvent) {
    match event {
        BrokerEvent::Ready(address) => {
            state(out, broker, 1, None, &address.map_or_else(String::new, |address| address_json(&address)));
        }
        BrokerEvent::Drained => state(out, broker, 2, None, ""),
        BrokerEvent::Closed => state(out, broker, 4, None, ""),
        BrokerEvent::Failed(failure) => state(out, broker, 5, Some(&failure), ""),
        BrokerEvent::Upstream(UpstreamState::Ready) => state(out, broker, 6, None, ""),
        BrokerEvent::Upstream(UpstreamState::Connecting(why)) => state(out, broker, 7, why.as_ref(), ""),
        BrokerEvent::Auth(request) => auth_request(out, broker, request),
        BrokerEvent::Page(number, request) => page_request(out, broker, number, request),
    }
}

fn page_request(out: &mut EventBuffer, broker: Handle, number: u64, request: PageRequest) {
    let PageRequest { method, target, headers, address, body } = request;
    let headers: Vec<_> = headers.into_iter().map(|(name, value)| [name, value]).collect();
    out.head(Kind::PageRequest, broker);
    out.number(number);
    let text = serde_json::json!({
        "method": method,
        "target": target,
        "headers": headers,
        "address": address,
        "body": body,
    });
    out.str(&text.to_string());
}

fn state(out: &mut EventBuffer, broker: Handle, state: u8, failure: Option<&Failure>, text: &str) {
    out.head(Kind::BrokerState, broker);
    out.u8(state);
    out.opt_failure(failure);
    out.str(text);
}

fn auth_request(out: &mut EventBuffer, broker: Handle, request: AuthRequest) {
    match request {
        AuthRequest::Authenticate { request, peer, connection } => {
            out.head(Kind::AuthenticateRequest, broker);
            asked(out, request, peer);
            let headers: Vec<_> = connection.headers.iter().map(|(name, value)| [name, value]).collect();
            let certificate = connection.certificate.map(|shown| {
                serde_json::json!({
                    "fingerprint256": shown.fingerprint256,
                    "subjectAltNames": shown.alternative_names,
                })
            });
            let text = serde_json::json!({
                "id": connection.id,
                "address": connection.address,
                "headers": headers,
                "certificate": certificate,
            });
            out.str(&text.to_string());
        }
        AuthRequest::Authorize { request, peer, action, subject } => {
            out.head(Kind::AuthorizeRequest, broker);
            asked(out, request, peer);
            out.u8(u8::from(action == Action::Subscribe));
            out.str(&subject);
        }
        AuthRequest::Disconnected(peer) => {
            out.head(Kind::ConnectionGone, broker);
            out.number(peer.serial());
        }
    }
}

fn asked(out: &mut EventBuffer, request: AuthRequestId, peer: PeerId) {
    out.u64(request);
    out.number(peer.serial());
}

/// Returns the address of a listener, as JSON text.
pub(super) fn address_json(address: &ListenAddress) -> String {
    let value = match address {
        ListenAddress::Net(address) => serde_json::json!({
            "address": address.ip().to_string(),
            "family": if address.is_ipv4() { "IPv4" } else { "IPv6" },
            "port": address.port(),
        }),
        ListenAddress::Unix(path) => {
            serde_json::json!({ "address": path.to_string_lossy(), "family": "Unix", "port": 0 })
        }
    };
    value.to_string()
}
