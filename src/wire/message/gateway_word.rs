//! What the gateways onto one fabric tell each other there.

use std::sync::Arc;

use super::{Encoding, Json, Payload};
use crate::subject::{Pattern, Subject};

/// What a gateway says of itself, again and again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GatewayWord {
    /// Its name, which is drawn anew by each.
    pub from: Arc<str>,
    /// It does not know what others have said so far.
    pub is_new: bool,
    /// It says nothing more.
    pub is_last: bool,
    /// Members of groups are at it.
    pub serves: bool,
    /// Where answers go that its clients owe, by the inbox of the client.
    pub holds: Vec<(Pattern, Vec<Subject>)>,
    /// Those of them that are not its business any more: their clients have moved.
    pub moved: Vec<Subject>,
}

impl GatewayWord {
    /// Returns its form on the wire.
    pub fn to_payload(&self) -> Payload {
        let texts =
            |places: &[Subject]| places.iter().map(|place| place.as_str().into()).collect::<Vec<String>>();
        let holds =
            self.holds.iter().map(|(inbox, places)| (inbox.as_str().to_owned(), texts(places).into()));
        let holds: serde_json::Map<String, serde_json::Value> = holds.collect();
        let word = serde_json::json!({
            "from": &*self.from,
            "new": self.is_new,
            "last": self.is_last,
            "serves": self.serves,
            "holds": holds,
            "moved": texts(&self.moved),
        });
        Payload { encoding: Encoding::JSON, raw: word.to_string().into() }
    }

    /// Reads it, unless it is none. What it does not know it passes over.
    pub fn read(payload: &Payload) -> Option<Self> {
        let value =
            Json::parse(payload.raw.clone()).ok().filter(|_| payload.encoding == Encoding::JSON)?.to_value();
        let is = |name: &str| value.get(name) == Some(&serde_json::Value::Bool(true));
        let places = |list: &serde_json::Value| -> Vec<Subject> {
            let texts = list.as_array().into_iter().flatten().filter_map(serde_json::Value::as_str);
            texts.filter_map(|text| Subject::parse(text).ok()).collect()
        };
        let holds = value.get("holds").and_then(serde_json::Value::as_object);
        let holds = holds.into_iter().flatten();
        let from = value.get("from")?.as_str().filter(|from| Subject::parse(from).is_ok())?;
        Some(Self {
            from: from.into(),
            is_new: is("new"),
            is_last: is("last"),
            serves: is("serves"),
            holds: holds
                .filter_map(|(inbox, list)| Some((Pattern::parse(inbox).ok()?, places(list))))
                .collect(),
            moved: value.get("moved").map(places).unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_said_and_what_is_none_is_not() {
        let subject = |text: &str| Subject::parse(text).expect("valid");
        let word = GatewayWord {
            from: "g1".into(),
            is_new: true,
            is_last: false,
            serves: true,
            holds: vec![(Pattern::parse("_INBOX.a.*").expect("valid"), vec![subject("_INBOX.b.1")])],
            moved: vec![subject("_INBOX.b.2")],
        };
        assert_eq!(GatewayWord::read(&word.to_payload()), Some(word));
        for text in ["", "1", "[]", "{}", r#"{"from":1}"#, r#"{"from":"a b"}"#] {
            let payload = Payload { encoding: Encoding::JSON, raw: text.into() };
            assert_eq!(GatewayWord::read(&payload), None, "{text}");
        }
    }
}
