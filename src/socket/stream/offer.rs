//! How two ends find out that both speak the stream, and what each takes: in the headers of `connect` and of
//! its answer.

use serde_json::Value;

use super::Windows;
use crate::base::Entropy;
use crate::socket::SocketConfig;
use crate::wire::Headers;

/// What one end says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// What the other end is to put into its frames.
    pub tag: u64,
    /// In an answer the client's tag, in a resume the server's: proof that the other end is meant.
    pub answers: Option<u64>,
    /// What it takes.
    pub windows: Windows,
}

impl Offer {
    /// Returns what an end with these settings says.
    pub fn new(tag: u64, answers: Option<u64>, config: &SocketConfig) -> Self {
        Self { tag, answers, windows: Windows::of_config(config) }
    }

    /// Reads it. One that is malformed is none; what a later version adds is passed over.
    pub fn of_headers(headers: &Headers) -> Option<Self> {
        let value = headers.json.as_ref()?.to_value();
        let stream = value.get(STREAM)?;
        let number = |name: &str| stream.get(name).and_then(Value::as_u64).filter(|number| *number < 1 << 53);
        number("v").filter(|version| *version >= VERSION)?;
        let list: Vec<u64> =
            stream.get("window")?.as_array()?.iter().map(Value::as_u64).collect::<Option<_>>()?;
        Some(Self {
            tag: number("tag").filter(|tag| *tag > 0)?,
            answers: if stream.get("for").is_some() { Some(number("for")?) } else { None },
            windows: Windows::from_list(list.try_into().ok()?),
        })
    }

    /// Writes it into the headers of a `connect`, or of its answer.
    pub fn write_to(&self, json: &mut Value) {
        let mut stream = serde_json::json!({
            "v": VERSION, "tag": self.tag, "window": self.windows.to_list(),
        });
        if let Some(answers) = self.answers {
            stream["for"] = answers.into();
        }
        json[STREAM] = stream;
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

impl std::fmt::Debug for TagSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TagSource")
    }
}

const STREAM: &str = "stream";
/// The only one so far. An end that knows a later one is answered with it.
const VERSION: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SeededEntropy;
    use crate::wire::Json;

    fn headers(stream: &Value) -> Headers {
        let json = Json::from_value(&serde_json::json!({ "id": "x", "stream": stream }));
        Headers { json: Some(json), ..Headers::default() }
    }

    #[test]
    fn what_one_end_offers_the_other_reads_and_what_is_malformed_is_no_offer() {
        let offer = Offer::new(7, Some(9), &SocketConfig::default());
        let mut json = serde_json::json!({});
        offer.write_to(&mut json);
        assert_eq!(Offer::of_headers(&headers(&json["stream"])), Some(offer));
        let good = json["stream"].clone();
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
