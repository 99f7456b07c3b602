//! The headers of a message: the reserved ones stand apart from the application's.

use std::fmt;
use std::num::NonZeroU64;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::{Json, json};
use crate::base::Code;
use crate::subject::Subject;

/// The headers of a message. The reserved ones stand apart from the application's, so that a link in memory
/// and our own frames need no JSON for them; protocols that write them into one object join and split them.
///
/// What a request and a message in the middle of a socket have stands here; what few messages have is
/// [`FurtherHeaders`], which is read and written as if it stood here, too, and takes no room where there is
/// none of it: messages are moved from station to station.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Headers {
    /// `CN-SocketSeq`: 1, 2, 3 …
    seq: Option<NonZeroU64>,
    /// `CN-SocketConnectAttempt`: 1, 2, 3 …
    attempt: Option<NonZeroU64>,
    /// `CN-Reply`: where an answer goes.
    pub reply: Option<Subject>,
    /// The others.
    pub further: Further,
}

/// The headers that few messages have.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FurtherHeaders {
    /// `CN-SocketCmd`.
    pub command: Option<SocketCommand>,
    /// A reserved header is there with a value that it must not have. It stays in `json`, as it came.
    pub malformed: bool,
    /// The application's headers: any JSON value, normally an object. `None` when there are none.
    pub json: Option<Json>,
}

/// [`FurtherHeaders`], if there are any.
#[derive(Clone, Default)]
pub struct Further(Option<Box<FurtherHeaders>>);

impl Deref for Headers {
    type Target = FurtherHeaders;

    fn deref(&self) -> &FurtherHeaders {
        self.further.0.as_deref().unwrap_or(&NONE)
    }
}

/// To read, `Deref` does: this makes room.
impl DerefMut for Headers {
    fn deref_mut(&mut self) -> &mut FurtherHeaders {
        self.further.0.get_or_insert_default()
    }
}

impl fmt::Debug for Further {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_deref().unwrap_or(&NONE).fmt(f)
    }
}

/// Room for none is none.
impl PartialEq for Further {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_deref().unwrap_or(&NONE) == other.0.as_deref().unwrap_or(&NONE)
    }
}

static NONE: FurtherHeaders = FurtherHeaders { command: None, malformed: false, json: None };

impl Headers {
    /// Returns headers of a socket's message: its number, and the incarnation or the tag. 0 is none.
    pub fn numbered(seq: Option<u64>, attempt: Option<u64>) -> Self {
        let (seq, attempt) = (seq.and_then(NonZeroU64::new), attempt.and_then(NonZeroU64::new));
        Self { seq, attempt, ..Self::default() }
    }

    /// Returns `CN-SocketSeq`.
    pub fn seq(&self) -> Option<u64> {
        self.seq.map(NonZeroU64::get)
    }

    /// Returns `CN-SocketConnectAttempt`.
    pub fn attempt(&self) -> Option<u64> {
        self.attempt.map(NonZeroU64::get)
    }

    /// Sets `CN-SocketSeq`.
    pub fn set_seq(&mut self, seq: Option<u64>) {
        self.seq = seq.and_then(NonZeroU64::new);
    }

    /// Sets `CN-SocketConnectAttempt`.
    pub fn set_attempt(&mut self, attempt: Option<u64>) {
        self.attempt = attempt.and_then(NonZeroU64::new);
    }

    /// Returns these headers with that one in place of theirs.
    pub fn with_reply(mut self, reply: Option<Subject>) -> Self {
        self.reply = reply;
        self
    }

    /// Returns these headers with that command in place of theirs.
    pub fn with_command(mut self, command: Option<SocketCommand>) -> Self {
        if command.is_some() || self.further.0.is_some() {
            self.command = command;
        }
        self
    }

    /// Returns these headers, malformed or not.
    pub fn with_malformed(mut self, malformed: bool) -> Self {
        if malformed || self.further.0.is_some() {
            self.malformed = malformed;
        }
        self
    }

    /// Returns these headers with those of the application in place of theirs.
    pub fn with_json(mut self, json: Option<Json>) -> Self {
        if json.is_some() || self.further.0.is_some() {
            self.json = json;
        }
        self
    }

    /// Takes out the application's headers.
    pub fn take_json(&mut self) -> Option<Json> {
        self.further.0.as_mut().and_then(|further| further.json.take())
    }

    /// Returns whether there are no headers at all.
    pub fn is_empty(&self) -> bool {
        self.seq.is_none() && self.attempt.is_none() && self.has_numbers_only()
    }

    /// Returns about how many bytes they take beside their own place: their texts, and the place in which the
    /// further ones stand.
    pub fn bytes(&self) -> usize {
        let reply = self.reply.as_ref().map_or(0, |reply| reply.as_str().len());
        let Some(further) = self.further.0.as_deref() else { return reply };
        let json = further.json.as_ref().map_or(0, |json| json.as_bytes().len());
        let command = further.command.as_ref().map_or(0, |command| command.as_str().len());
        reply + size_of::<FurtherHeaders>() + json + command
    }

    /// Returns whether no header is set but its number and its incarnation, as in the middle of a socket.
    pub fn has_numbers_only(&self) -> bool {
        self.reply.is_none() && self.further.0.as_deref().is_none_or(|further| *further == NONE)
    }

    /// Returns those of what stands in the place of an answer that nobody will give. Whoever does not know
    /// it sees the answer of a service that has failed.
    pub fn ended_unanswered() -> Self {
        let json = serde_json::json!({
            "error": "who was asked has ended",
            "code": Code::BrokenPipe.as_str(),
            ENDED_HEADER: true,
        });
        Self::default().with_json(Some(Json::from_value(&json)))
    }

    /// Returns whether these are of that.
    pub fn is_ended_unanswered(&self) -> bool {
        let marks = |json: &Json| {
            let value = serde_json::from_slice::<serde_json::Value>(json.as_bytes());
            value.is_ok_and(|value| value.get(ENDED_HEADER) == Some(&serde_json::Value::Bool(true)))
        };
        let holds = |json: &&Json| {
            let mark = ENDED_HEADER.as_bytes();
            json.as_bytes().windows(mark.len()).any(|part| part == mark)
        };
        self.json.as_ref().filter(holds).is_some_and(marks)
    }

    /// Returns whether any of the reserved headers is set.
    pub fn has_reserved(&self) -> bool {
        self.reply.is_some() || self.command.is_some() || self.seq.is_some() || self.attempt.is_some()
    }

    /// Notes in a `connect` of a socket, or in a question who serves, whose connection it came over, whatever
    /// it says itself, or that nobody knows: a member behind all others, so that it is the one that counts.
    /// A user that does not fit is left out, and so is all else where there is no room.
    pub fn stamp_origin(&mut self, origin: Option<OriginStamp<'_>>) {
        let fields = self.json.as_ref().map_or("", members_text);
        let comma = if fields.trim_ascii().is_empty() { "" } else { "," };
        // Members of an object, and one more: JSON as before.
        let with = |fields: &str, comma: &str, origin: &str| {
            Json::trusted(["{", fields, comma, "\"", ORIGIN, "\":", origin, "}"].concat().into())
        };
        let stamped = |origin: &str| Some(with(fields, comma, origin)).filter(Json::fits_headers);
        let nameless = || origin.as_ref().map_or_else(|| "null".to_owned(), OriginStamp::without_user);
        let json = origin
            .and_then(|origin| stamped(&origin.with_user()?))
            .or_else(|| stamped(&nameless()))
            .unwrap_or_else(|| with("", "", &nameless()));
        self.json = Some(json);
    }

    /// Returns what [`Self::stamp_origin`] has noted. To be believed only if the own broker does that.
    /// Brokers that know nothing of users write the number alone.
    pub fn origin(&self) -> Option<Origin> {
        let origin = json::member(self.json.as_ref()?.as_str(), ORIGIN)?;
        if let Ok(number) = origin.parse() {
            return Some(Origin { number, user: None, network: None });
        }
        let mut items = json::items(origin);
        let number = items.next()?.parse().ok()?;
        let user = items.next().filter(|user| *user != NO_USER);
        let user = user.and_then(|user| Json::parse(user.to_owned().into()).ok());
        let network = items.next().and_then(|network| network.parse().ok());
        Some(Origin { number, user, network })
    }

    /// Returns whether a server accepts a publish with these headers. It ends the connection over others, so
    /// they have to be refused where they are accepted from an application.
    pub fn are_accepted(&self) -> bool {
        self.json.as_ref().is_none_or(Json::fits_headers)
    }
}

/// What stands within the braces of an object; nothing for what is none.
fn members_text(json: &Json) -> &str {
    let text = json.as_str().trim_ascii();
    text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or_default()
}

/// Whose connection a `connect` of a socket came over, by the word of a broker.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// What the broker tells users apart by, or connections without one.
    pub number: u64,
    /// The user.
    pub user: Option<Json>,
    /// What the broker tells networks apart by, of those that are not its own machine.
    pub network: Option<u32>,
}

/// What a broker notes of where a message came from.
#[derive(Debug, Clone, Copy)]
pub struct OriginStamp<'a> {
    /// As [`Origin::number`].
    pub number: u64,
    /// The user, if it is to be told.
    pub user: Option<&'a Json>,
    /// As [`Origin::network`].
    pub network: Option<u32>,
}

impl OriginStamp<'_> {
    fn with_user(&self) -> Option<String> {
        let user = self.user?.as_str();
        Some(self.network.map_or_else(
            || format!("[{},{user}]", self.number),
            |network| format!("[{},{user},{network}]", self.number),
        ))
    }

    fn without_user(&self) -> String {
        // That nobody knows them is known, whatever else there is room for.
        let user = self.user.map(Json::as_str).filter(|user| *user == "null").unwrap_or(NO_USER);
        self.network.map_or_else(
            || format!("[{}]", self.number),
            |network| format!("[{},{user},{network}]", self.number),
        )
    }
}

/// The value of `CN-SocketCmd`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocketCommand {
    /// A client attaches.
    Connect,
    /// A server of the newer dialect answers a connect.
    Connected,
    /// Either side closes.
    Close,
    /// Keep-alive.
    Ping,
    /// Progress and resend requests of the reliable channel.
    Socket,
    /// Something we do not know.
    Other(Arc<str>),
}

impl SocketCommand {
    /// Returns its form on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Connect => "connect",
            Self::Connected => "connected",
            Self::Close => "close",
            Self::Ping => "ping",
            Self::Socket => "socket",
            Self::Other(name) => name,
        }
    }

    /// Converts from the wire. Never fails: the receiver of an unknown command replies with an error.
    pub fn from_name(name: &str) -> Self {
        match name {
            "connect" => Self::Connect,
            "connected" => Self::Connected,
            "close" => Self::Close,
            "ping" => Self::Ping,
            "socket" => Self::Socket,
            other => Self::Other(other.into()),
        }
    }
}

/// Longest application headers of a message in bytes of JSON, in every protocol.
pub const MAX_HEADERS_BYTES: usize = 896 * 1024;

/// Deepest nesting of arrays and objects in application headers.
pub const MAX_HEADERS_DEPTH: usize = 62;

/// What the names of all reserved headers begin with. They are reserved in every protocol; Conat's writes
/// them.
pub const PREFIX: &str = "CN-";
/// Name of [`Headers::reply`].
pub const REPLY: &str = "CN-Reply";
/// Name of [`Headers::command`].
pub const COMMAND: &str = "CN-SocketCmd";
/// Name of [`Headers::origin`].
pub const ORIGIN: &str = "CN-SocketOrigin";
/// Stands for a user that did not fit.
const NO_USER: &str = "false";
/// Name of [`Headers::seq`].
pub const SEQ: &str = "CN-SocketSeq";
/// Name of [`Headers::attempt`].
pub const ATTEMPT: &str = "CN-SocketConnectAttempt";
/// Name of what marks [`Headers::ended_unanswered`].
const ENDED_HEADER: &str = "CN-Ended";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_the_broker_says_whatever_the_headers_say() {
        let user = Json::parse(r#"{"name":"ann\ud800"}"#.into()).expect("json");
        let stamp = Origin { number: 12, user: Some(user.clone()), network: Some(99) };
        let noted = OriginStamp { number: 12, user: Some(&user), network: Some(99) };
        for text in [
            None,
            Some("{}"),
            Some(" { } "),
            Some(r#"{"id":"a"}"#),
            Some(r#"{"CN-SocketOrigin":7,"id":"a"}"#),
            Some(r#"{"CN-SocketOrigin":[7,{"name":"root"}],"id":"a"}"#),
            Some(r#"{"\u0043N-SocketOrigin":7}"#),
            Some(r#"{"CN-SocketOrigin":7,"id":"a\ud800"}"#),
            Some("[7]"),
            Some("null"),
        ] {
            let json = text.map(|text| Json::parse(text.to_owned().into()).expect("json"));
            let mut headers = Headers::default().with_json(json);
            headers.stamp_origin(Some(noted));
            assert_eq!(headers.origin().as_ref(), Some(&stamp), "{text:?}");
            let is_kept = text.is_some_and(|text| text.contains("\"id\":\"a\""));
            let id = headers.json.as_ref().map(|json| json.to_value()["id"].clone());
            assert!(!is_kept || id == Some("a".into()), "{headers:?}");
            headers.stamp_origin(None);
            assert_eq!(headers.origin(), None, "{text:?}");
        }
        let large = format!(r#"{{"x":"{}","CN-SocketOrigin":7}}"#, "x".repeat(MAX_HEADERS_BYTES - 30));
        let json = Json::parse(large.into()).ok();
        let nobody = Json::from_value(&serde_json::Value::Null);
        for (user, told) in [(&user, None), (&nobody, Some(nobody.clone()))] {
            let mut headers = Headers::default().with_json(json.clone());
            headers.stamp_origin(Some(OriginStamp { user: Some(user), ..noted }));
            assert_eq!(
                headers.origin(),
                Some(Origin { user: told, ..stamp.clone() }),
                "the rest has no room"
            );
        }
    }

    #[test]
    fn a_user_that_is_too_large_or_too_deep_is_left_out_and_the_rest_of_a_connect_stays() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let large = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
        for (text, is_told) in [
            (large(MAX_HEADERS_BYTES / 2), true),
            (large(MAX_HEADERS_BYTES), false),
            (nested(MAX_HEADERS_DEPTH - 2), true),
            (nested(MAX_HEADERS_DEPTH - 1), false),
        ] {
            let user = Json::parse(text.into()).expect("json");
            let json = Json::parse(r#"{"id":"a"}"#.into()).ok();
            let mut headers = Headers::default().with_json(json);
            headers.stamp_origin(Some(OriginStamp { number: 12, user: Some(&user), network: None }));
            let user = is_told.then_some(user);
            assert_eq!(headers.origin(), Some(Origin { number: 12, user, network: None }));
            assert_eq!(headers.json.as_ref().map(|json| json.to_value()["id"].clone()), Some("a".into()));
        }
    }

    #[test]
    fn a_broker_that_knows_nothing_of_users_names_none() {
        let json = Json::parse(r#"{"CN-SocketOrigin":[7,"root"],"CN-SocketOrigin":12}"#.into()).ok();
        let headers = Headers::default().with_json(json);
        assert_eq!(headers.origin(), Some(Origin { number: 12, user: None, network: None }));
    }
}
