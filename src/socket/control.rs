//! The few values that the engine itself reads and writes: acks, resend requests and their replies, server
//! ids.

use bytes::Bytes;
use rmpv::Value;
use serde::Serialize;

use super::{CloseReason, Data, OfferHeader};
use crate::base::Code;
use crate::wire::message::headers::SEQ;
use crate::wire::{Encoding, Headers, Item, Json, Payload, SocketCommand, json};

/// The data of a `socket` command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Control {
    /// `{socket: {emitted: n}}`, with `resumed: true` after an absence that the peer does not know of (ours;
    /// originals ignore it).
    Ack { upto: u64, resumed: bool },
    /// `{socket: {missing: [seq, …]}}`
    Missing(Vec<u64>),
}

impl Control {
    pub(super) fn encode(&self) -> Payload {
        let body = match self {
            Self::Ack { upto, resumed: false } => map([("emitted", (*upto).into())]),
            Self::Ack { upto, resumed: true } => map([("emitted", (*upto).into()), ("resumed", true.into())]),
            Self::Missing(seqs) => {
                map([("missing", Value::Array(seqs.iter().copied().map(Value::from).collect()))])
            }
        };
        encode(&map([("socket", body)]))
    }

    pub(super) fn decode(payload: &Payload) -> Option<Self> {
        let value = decode(payload)?;
        let body = field(&value, "socket")?;
        if let Some(upto) = field(body, "emitted") {
            let resumed = field(body, "resumed").and_then(Value::as_bool) == Some(true);
            return upto.as_u64().map(|upto| Self::Ack { upto, resumed });
        }
        let seqs = field(body, "missing")?.as_array()?;
        (seqs.len() <= MAX_LIST)
            .then(|| seqs.iter().map(Value::as_u64).collect::<Option<_>>())?
            .map(Self::Missing)
    }
}

/// Encodes `{emitted: n}`: the reply to an ack.
pub(super) fn ack_reply(upto: u64) -> Payload {
    encode(&map([("emitted", Value::from(upto))]))
}

/// Returns `{error: text}`.
pub(super) fn error(text: &str) -> Payload {
    encode(&map([("error", Value::from(text))]))
}

/// Returns `{id: text}`, a server's reply to a status request.
pub(super) fn server_id(id: &str) -> Payload {
    encode(&map([("id", Value::from(id))]))
}

/// Returns the id in such a reply.
pub(super) fn decode_server_id(payload: &Payload) -> Option<String> {
    field(&decode(payload)?, "id")?.as_str().map(str::to_owned)
}

/// Returns a bare string.
pub(super) fn text(text: &str) -> Payload {
    encode(&Value::from(text))
}

/// Returns whether the payload is that string.
pub(super) fn is_text(payload: &Payload, text: &str) -> bool {
    decode(payload).is_some_and(|value| value.as_str() == Some(text))
}

/// Encodes the reply to a resend request: `[{encoding, raw, headers}, …]`.
pub(super) fn encode_resent(messages: &[Data]) -> Payload {
    let element = |data: &Data| {
        let mut headers =
            data.json.as_ref().map_or_else(|| Value::Map(Vec::new()), |json| from_json(json.to_value()));
        if !headers.is_map() {
            // Anything else has no place for the number; Conat's wire cannot carry it in the first place
            // either.
            headers = Value::Map(Vec::new());
        }
        if let Value::Map(entries) = &mut headers {
            entries.push((SEQ.into(), data.seq.into()));
        }
        let raw = Value::Binary(data.payload.raw.to_vec());
        map([("encoding", data.payload.encoding.0.into()), ("raw", raw), ("headers", headers)])
    };
    encode(&Value::Array(messages.iter().map(element).collect()))
}

/// Decodes the messages in such a reply; `None` when it is none (or reports that there is nothing any more).
pub(super) fn decode_resent(payload: &Payload) -> Option<Vec<Data>> {
    let Value::Array(elements) = decode(payload)? else { return None };
    elements.into_iter().map(resent_element).collect()
}

fn resent_element(element: Value) -> Option<Data> {
    let encoding = Encoding(u8::try_from(field(&element, "encoding")?.as_u64()?).ok()?);
    let headers = field(&element, "headers")?.as_map()?;
    let is_seq = |key: &Value| key.as_str() == Some(SEQ);
    let seq = headers.iter().find(|(key, _)| is_seq(key))?.1.as_u64()?;
    let rest: Vec<_> = headers.iter().filter(|(key, _)| !is_seq(key)).cloned().collect();
    let json = (!rest.is_empty()).then(|| Json::from_value(&to_json(Value::Map(rest))));
    let raw = take_field(element, "raw")
        .and_then(|raw| if let Value::Binary(raw) = raw { Some(raw) } else { None })?;
    let payload = Payload { encoding, raw: Bytes::from(raw) };
    Some(Data::new(seq, Item { payload, json }))
}

fn encode(value: &Value) -> Payload {
    let mut raw = Vec::new();
    // Writing to a Vec cannot fail; were it to, the peer would see an empty payload and refuse it.
    let _ = rmpv::encode::write_value(&mut raw, value);
    Payload::msgpack(raw)
}

fn decode(payload: &Payload) -> Option<Value> {
    match payload.encoding {
        Encoding::MSGPACK => {
            rmpv::decode::read_value_with_max_depth(&mut payload.raw.as_ref(), MAX_DEPTH).ok()
        }
        Encoding::JSON => serde_json::from_slice(&payload.raw).ok().map(from_json),
        _ => None,
    }
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
}

fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.as_map()?.iter().find(|(key, _)| key.as_str() == Some(name)).map(|(_, value)| value)
}

fn take_field(value: Value, name: &str) -> Option<Value> {
    let Value::Map(entries) = value else { return None };
    entries.into_iter().find(|(key, _)| key.as_str() == Some(name)).map(|(_, value)| value)
}

fn from_json(value: serde_json::Value) -> Value {
    use serde_json::Value as J;
    match value {
        J::Null => Value::Nil,
        J::Bool(flag) => flag.into(),
        J::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => number.into(),
            (None, Some(number)) => number.into(),
            _ => number.as_f64().into_iter().map(Value::from).next().unwrap_or(Value::Nil),
        },
        J::String(text) => text.into(),
        J::Array(elements) => Value::Array(elements.into_iter().map(from_json).collect()),
        J::Object(entries) => {
            Value::Map(entries.into_iter().map(|(key, value)| (key.into(), from_json(value))).collect())
        }
    }
}

fn to_json(value: Value) -> serde_json::Value {
    use serde_json::Value as J;
    match value {
        Value::Nil | Value::Ext(..) | Value::Binary(_) => J::Null,
        Value::Boolean(flag) => flag.into(),
        Value::Integer(number) => {
            number.as_i64().map(J::from).or_else(|| number.as_u64().map(J::from)).unwrap_or(J::Null)
        }
        Value::F32(number) => f64::from(number).into(),
        Value::F64(number) => number.into(),
        Value::String(text) => text.into_str().map_or(J::Null, J::String),
        Value::Array(elements) => elements.into_iter().map(to_json).collect(),
        Value::Map(entries) => entries
            .into_iter()
            .filter_map(|(key, value)| Some((key.as_str()?.to_owned(), to_json(value))))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}

/// In the headers of a connect request: the socket was attached before. A server that does not know it must
/// not start it anew, since the client's numbers do not start anew either. Original servers ignore it.
pub(super) const RESUME: &str = "resume";

/// Returns whether a connect request resumes a socket.
pub(super) fn is_resume(headers: &Headers) -> bool {
    resume(headers) == Some(true)
}

/// Returns the value in a connect request; `None`: absent, as from original clients.
pub(super) fn resume(headers: &Headers) -> Option<bool> {
    match member(headers, RESUME)? {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// A member of the headers' object, as it stands there.
fn member<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    json::member(headers.json.as_ref()?.as_str(), name)
}

/// In the headers of `connect`, of its reply and of `close`: the incarnation of the socket that is meant, of
/// those that have the same id. Original peers ignore it.
const EPOCH: &str = "epoch";
/// In the headers of `close` and of a refusal: why.
const SERVER: &str = "server";
const STREAM: &str = "stream";
const FOR: &str = "for";
const CODE: &str = "code";
const RETRY: &str = "retry";
/// In the headers of `close`, of a client that closed before it knew who had accepted it: how many messages
/// it had written, and why it closed, in its words.
const WRITTEN: &str = "written";
const MESSAGE: &str = "message";
/// In the headers of `close`: how many messages the application has handled. The last report, which nothing
/// can overtake.
const EMITTED: &str = "emitted";
/// In the headers of `close`: the whole listener is leaving, and not only this socket is closed.
const DRAINING: &str = "draining";

/// The headers of a `connect`, and (without id and `resume`) of its answer.
#[derive(Default, Serialize)]
pub(super) struct Greeting<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resume: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) epoch: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stream: Option<OfferHeader<'a>>,
}

/// Returns the incarnation that a `connect` or its reply is about.
pub(super) fn epoch(headers: &Headers) -> Option<u64> {
    member(headers, EPOCH)?.parse().ok()
}

/// Returns the headers' object with the epoch in it, if there is one.
pub(super) fn with_epoch(mut json: serde_json::Value, epoch: Option<u64>) -> serde_json::Value {
    if let Some(epoch) = epoch {
        json[EPOCH] = epoch.into();
    }
    json
}

/// Makes the headers that report a later incarnation in the place of this one; `None`: of one that has no
/// epoch.
pub(super) fn superseded(epoch: Option<u64>) -> Headers {
    let json = serde_json::json!({ EPOCH: epoch, CODE: Code::Superseded.as_str() });
    Headers::default().with_json(Some(Json::from_value(&json)))
}

/// Returns whether a `close` or a refusal reports that.
pub(super) fn is_superseded(headers: &Headers) -> bool {
    let code = member(headers, CODE).and_then(json::text);
    code.is_some_and(|code| code == Code::Superseded.as_str())
}

/// Returns why the server refuses a `connect`, if a `close` says that.
pub(super) fn refusal(headers: &Headers) -> Option<CloseReason> {
    let code = member(headers, CODE).and_then(json::text)?;
    if code == Code::Limit.as_str() {
        Some(CloseReason::NoRoom)
    } else {
        (code == Code::NotPermitted.as_str()).then_some(CloseReason::NotTheUser)
    }
}

/// Returns the headers of a `close`.
pub(super) fn closing(id: Option<&str>, epoch: Option<u64>, handled: u64, is_leaving: bool) -> Headers {
    let mut json = with_epoch(serde_json::json!({ EMITTED: handled }), epoch);
    if is_leaving {
        json[DRAINING] = true.into();
    }
    if let Some(id) = id {
        json["id"] = id.into();
    }
    Headers::default().with_command(Some(SocketCommand::Close)).with_json(Some(Json::from_value(&json)))
}

/// Returns whether a `close` says that its listener is leaving.
pub(super) fn is_leaving(headers: &Headers) -> bool {
    member(headers, DRAINING) == Some("true")
}

/// Returns whether a `close` is for another incarnation of the socket than this one.
pub(super) fn is_for_another(headers: &Headers, own: Option<u64>) -> bool {
    match (own, member(headers, EPOCH)) {
        (Some(own), Some(epoch)) => epoch.parse() != Ok(own),
        _ => false,
    }
}

/// Returns what tells other incarnations of a socket which one this is, and at which server.
pub(super) fn identity(server: &str, epoch: Option<u64>) -> Json {
    Json::from_value(&with_epoch(serde_json::json!({ SERVER: server }), epoch))
}

/// Returns the server in an identity.
pub(super) fn server(headers: &Headers) -> Option<String> {
    let server = json::text(member(headers, SERVER)?)?;
    (!server.contains('.')).then(|| server.into_owned())
}

/// Returns the server that accepts, as an accept says it.
pub(super) fn accepting_server(headers: &Headers) -> Option<String> {
    let server = json::text(json::member(member(headers, STREAM)?, SERVER)?)?;
    (!server.contains('.')).then(|| server.into_owned())
}

/// Adds the incarnation that a `connect` is about to a `close` that answers it.
pub(super) fn with_epoch_of(headers: Headers, connect: &Headers) -> Headers {
    let json = headers.json.as_ref().map_or_else(|| serde_json::json!({}), Json::to_value);
    headers.with_json(Some(Json::from_value(&with_epoch(json, epoch(connect)))))
}

/// Adds whom a `close` is for: the tag that its frames, or its `connect`, bore.
pub(super) fn with_tag(headers: Headers, tag: Option<u64>) -> Headers {
    let Some(tag) = tag else { return headers };
    let mut json = headers.json.as_ref().map_or_else(|| serde_json::json!({}), Json::to_value);
    json[FOR] = tag.into();
    headers.with_json(Some(Json::from_value(&json)))
}

/// Whom a `close` is for, if it says so.
pub(super) fn tag(headers: &Headers) -> Option<u64> {
    member(headers, FOR)?.parse().ok()
}

/// A `close` that says why.
pub(super) fn code(code: Code) -> Headers {
    Headers::default().with_json(Some(Json::from_value(&serde_json::json!({ CODE: code.as_str() }))))
}

/// Adds what a client says that closes before it knows whether it was accepted, when it had written so much.
pub(super) fn closed_before(headers: Headers, reason: &CloseReason, written: usize) -> Headers {
    let mut json = headers.json.as_ref().map_or_else(|| serde_json::json!({}), Json::to_value);
    json[WRITTEN] = written.into();
    with_reason(headers.with_json(Some(Json::from_value(&json))), reason)
}

/// Adds why a socket is closed, if the peer is told.
pub(super) fn with_reason(headers: Headers, reason: &CloseReason) -> Headers {
    let (code, message) = (reason.code(), reason.message_to_peer());
    if code.is_empty() {
        return headers;
    }
    let mut json = headers.json.as_ref().map_or_else(|| serde_json::json!({}), Json::to_value);
    json[CODE] = code.into();
    json[MESSAGE] = message.into();
    headers.with_json(Some(Json::from_value(&json)))
}

/// Returns why the peer closes, if it says that its whole listener is leaving.
pub(super) fn leaving_reason(headers: &Headers) -> Option<CloseReason> {
    let text = |name| member(headers, name).and_then(json::text).unwrap_or_default();
    is_leaving(headers).then(|| CloseReason::of_close(&text(CODE), &text(MESSAGE)).of_leaving())
}

/// Why a client closes that never said anything to this end, and how many messages it had written. One that
/// says neither has gone on elsewhere, or is older than this: what is here is no whole.
pub(super) fn reason_before(headers: &Headers) -> (CloseReason, u64) {
    let text = |name| member(headers, name).and_then(json::text);
    let written = member(headers, WRITTEN).and_then(|text| text.parse().ok());
    match (text(CODE), written) {
        (None, None) => (CloseReason::Lost("its client goes on elsewhere, or has closed"), 0),
        (code, written) => {
            let message = text(MESSAGE).unwrap_or_default();
            (CloseReason::of_close(&code.unwrap_or_default(), &message), written.unwrap_or(0))
        }
    }
}

/// A `close` that answers the `connect` of a socket that is to ask elsewhere, and why.
pub(super) fn turned_away(code: Code, epoch: Option<u64>) -> Headers {
    let json = with_epoch(serde_json::json!({ CODE: code.as_str(), RETRY: true }), epoch);
    Headers::default().with_json(Some(Json::from_value(&json)))
}

/// Returns whether a `close` says to ask elsewhere.
pub(super) fn is_turned_away(headers: &Headers) -> bool {
    headers.json.as_ref().is_some_and(|json| json.to_value().get(RETRY) == Some(&true.into()))
}

/// How many messages the peer had handled when it closed, if it says so.
pub(super) fn handled(headers: &Headers) -> Option<u64> {
    headers.json.as_ref()?.to_value().get(EMITTED)?.as_u64()
}

/// Deepest value that is read. A stack overflow cannot be caught.
const MAX_DEPTH: usize = 64;
/// Longest list of missing numbers that is looked at. Honest receivers ask for at most 1000.
const MAX_LIST: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn control_messages_have_the_original_s_bytes() {
        // conat.md section 11.
        assert_eq!(
            &*Control::Ack { upto: 1, resumed: false }.encode().raw,
            b"\x81\xa6socket\x81\xa7emitted\x01"
        );
        assert_eq!(&*ack_reply(1).raw, b"\x81\xa7emitted\x01");
        assert_eq!(&*text("connected").raw, b"\xa9connected");
        assert_eq!(decode_server_id(&server_id("7tGHtxAKss")).as_deref(), Some("7tGHtxAKss"));
    }

    #[test]
    fn control_messages_of_the_wrong_shape_are_none() {
        for raw in [
            &b"\xc0"[..],
            b"\x81\xa6socket\xc0",
            b"\x81\xa6socket\x81\xa7emitted\xff",
            b"\x81\xa6socket\x81\xa7missing\x91\xa1x",
            b"\xc1",
            b"",
        ] {
            assert_eq!(Control::decode(&Payload::msgpack(raw.to_vec())), None, "{raw:x?}");
        }
        let deep = [vec![0x91; 100_000], vec![0xc0]].concat();
        assert_eq!(Control::decode(&Payload::msgpack(deep)), None);
        assert_eq!(Control::decode(&Payload::msgpack(b"\xdd\xff\xff\xff\xff".to_vec())), None);
    }

    #[test]
    fn resent_messages_keep_payload_encoding_and_headers() {
        let headers =
            Json::parse(Bytes::from_static(br#"{"a":[1,-2,1.5,null,"x"],"b":{"c":true}}"#)).expect("json");
        let messages = [
            Data::new(
                7,
                Item {
                    payload: Payload { encoding: Encoding::JSON, raw: Bytes::from_static(b"{}") },
                    json: Some(headers),
                },
            ),
            Data::new(1 << 40, Item { payload: Payload::NIL, json: None }),
        ];
        assert_eq!(decode_resent(&encode_resent(&messages)).expect("list"), messages);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(raw in prop::collection::vec(any::<u8>(), 0..200)) {
            let payload = Payload::msgpack(raw);
            let _ = (Control::decode(&payload), decode_resent(&payload), decode_server_id(&payload));
        }

        #[test]
        fn control_messages_round_trip(seqs in prop::collection::vec(any::<u64>(), 0..50)) {
            let control = Control::Missing(seqs);
            prop_assert_eq!(Control::decode(&control.encode()), Some(control));
        }
    }
}
