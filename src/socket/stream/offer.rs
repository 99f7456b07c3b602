//! How two ends find out that both speak the stream, and what each takes: in the headers of `connect` and of
//! its answer.

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::Windows;
use super::assembly::FIRST;
use crate::base::Entropy;
use crate::socket::SocketConfig;
use crate::wire::{Headers, json};

/// What one end says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// What the other end is to put into its frames.
    pub tag: u64,
    /// In an answer the client's tag, in a resume the server's: proof that the other end is meant.
    pub answers: Option<u64>,
    /// What it takes.
    pub windows: Windows,
    /// Bytes of a message in pieces that may come unasked; `None`: it takes none in pieces.
    pub first: Option<u64>,
    /// Whether it takes data with a time.
    pub takes_times: bool,
    /// Several may take it: what goes into their frames is the tag joined with that of each.
    pub joins: bool,
}

impl Offer {
    /// Returns what an end with these settings says.
    pub fn new(tag: u64, answers: Option<u64>, config: &SocketConfig) -> Self {
        let windows = Windows::of_config(config);
        Self { tag, answers, windows, first: Some(FIRST as u64), takes_times: true, joins: false }
    }

    /// Returns whether it takes messages in pieces that begin as ours do.
    pub fn takes_pieces(&self) -> bool {
        self.first.is_some_and(|first| first >= FIRST as u64)
    }

    /// Returns what the end with that tag is to put into its frames.
    pub fn tag_for(&self, other: u64) -> u64 {
        if self.joins { joint_tag(self.tag, other) } else { self.tag }
    }

    /// Reads it. A malformed one counts as none; what a later version adds is ignored.
    pub fn of_headers(headers: &Headers) -> Option<Self> {
        let stream = json::member(headers.json.as_ref()?.as_str(), "stream")?;
        let (mut version, mut tag, mut answers, mut windows, mut first) = (None, None, None, None, None);
        let (mut takes_times, mut joins) = (false, false);
        for (name, value) in json::members(stream) {
            match name.raw() {
                r#""v""# => version = number(value),
                r#""tag""# => tag = number(value),
                r#""for""# => answers = Some(number(value)?),
                r#""first""# => first = Some(number(value)?),
                r#""join""# => joins = json::is_truthy(value),
                r#""ttl""# => takes_times = json::is_truthy(value),
                r#""window""# => windows = Windows::from_items(json::items(value).map(number)),
                _ => {}
            }
        }
        version.filter(|version| *version >= VERSION)?;
        Some(Self { tag: tag.filter(|tag| *tag > 0)?, answers, windows: windows?, first, takes_times, joins })
    }
}

/// An integer that JavaScript holds exactly.
fn number(value: &str) -> Option<u64> {
    value.parse().ok().filter(|number| *number < 1 << 53)
}

/// An offer as it stands in the headers of a `connect`, and of its answer.
#[derive(Debug, Clone, Copy)]
pub struct OfferHeader<'a> {
    /// What is offered.
    pub offer: Offer,
    /// In an answer: which server accepts.
    pub server: Option<&'a str>,
}

impl From<Offer> for OfferHeader<'_> {
    fn from(offer: Offer) -> Self {
        Self { offer, server: None }
    }
}

impl Serialize for Offer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        OfferHeader::from(*self).serialize(serializer)
    }
}

impl Serialize for OfferHeader<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { offer: own, server } = self;
        let mut offer = serializer.serialize_struct("Offer", 8)?;
        offer.serialize_field("v", &VERSION)?;
        offer.serialize_field("tag", &own.tag)?;
        offer.serialize_field("window", &own.windows.to_list())?;
        match server {
            Some(server) => offer.serialize_field("server", server)?,
            None => offer.skip_field("server")?,
        }
        match &own.first {
            Some(first) => offer.serialize_field("first", first)?,
            None => offer.skip_field("first")?,
        }
        match own.takes_times {
            true => offer.serialize_field("ttl", &1)?,
            false => offer.skip_field("ttl")?,
        }
        match own.joins {
            true => offer.serialize_field("join", &1)?,
            false => offer.skip_field("join")?,
        }
        match &own.answers {
            Some(answers) => offer.serialize_field("for", answers)?,
            None => offer.skip_field("for")?,
        }
        offer.end()
    }
}

/// Where an end draws its tags from.
pub struct TagSource(Box<dyn Entropy>);

impl TagSource {
    /// Tags from this source.
    pub fn new(source: Box<dyn Entropy>) -> Self {
        Self(source)
    }

    /// Returns 53 random bits, not 0.
    pub fn draw(&mut self) -> u64 {
        draw_tag(self.0.as_mut())
    }
}

/// Returns 53 random bits, not 0.
pub fn draw_tag(source: &mut dyn Entropy) -> u64 {
    (source.below((1 << 53) - 1) as u64) + 1
}

/// Returns the tag of what two ends say that were joined by a question to several: no other one can know it.
pub fn joint_tag(question: u64, answer: u64) -> u64 {
    match question ^ answer {
        0 => question,
        tag => tag,
    }
}

impl std::fmt::Debug for TagSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TagSource")
    }
}

/// The only one so far. An end that knows a later one is answered with it.
const VERSION: u64 = 1;

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::base::SeededEntropy;
    use crate::wire::Json;

    fn headers(stream: &Value) -> Headers {
        let json = Json::from_value(&serde_json::json!({ "id": "x", "stream": stream }));
        Headers::default().with_json(Some(json))
    }

    #[test]
    fn what_one_end_offers_the_other_reads_and_what_is_malformed_is_no_offer() {
        let offer = Offer::new(7, Some(9), &SocketConfig::default());
        let good = serde_json::to_value(offer).expect("an object");
        let joining = Offer { joins: true, ..offer };
        let value = serde_json::to_value(joining).expect("an object");
        assert_eq!(Offer::of_headers(&headers(&value)), Some(joining));
        assert_eq!([offer.tag_for(9), joining.tag_for(9), joining.tag_for(7)], [7, 14, 7], "never 0");
        assert_eq!(Offer::of_headers(&headers(&good)), Some(offer));
        let with = |name: &str, value: Value| {
            let mut stream = good.clone();
            stream[name] = value;
            Offer::of_headers(&headers(&stream))
        };
        assert_eq!(with("v", 2.into()), Some(offer), "a later version is answered with this one");
        assert_eq!(with("later", "x".into()), Some(offer));
        for (name, value) in [
            ("v", 0.into()),
            ("tag", 0.into()),
            ("tag", "7".into()),
            ("tag", (1_u64 << 53).into()),
            ("tag", 1.5.into()),
            ("for", Value::Null),
            ("first", "x".into()),
            ("window", serde_json::json!([1, 2, 3])),
            ("window", serde_json::json!([1, 2, 3, 4, 5, -6])),
        ] {
            assert_eq!(with(name, value.clone()), None, "{name}: {value}");
        }
        assert_eq!(Offer::of_headers(&Headers::default()), None);
    }

    #[test]
    fn tags_are_never_0_and_fit_a_number_of_javascript() {
        let mut source = SeededEntropy::new(1);
        assert!((0..1000).map(|_| draw_tag(&mut source)).all(|tag| (1..1 << 53).contains(&tag)));
    }
}
