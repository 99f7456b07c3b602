//! How long a published message is worth reading: `CN-TTL` in its headers, in milliseconds, as left when it
//! left its publisher. It stands before all others, so that who delivers a message looks at one place.

use std::time::Duration;

use super::Json;

/// How headers with it begin.
const BEGINNING: &str = r#"{"CN-TTL":"#;

/// Returns the headers with this time before all others; those that are no object give way.
pub fn with_ttl(json: Option<&Json>, left: Duration) -> Json {
    let others = json.and_then(|json| json.as_str().strip_prefix('{')).map_or("}", str::trim_ascii_start);
    let comma = if others.starts_with('}') { "" } else { "," };
    let text = format!("{BEGINNING}{}{comma}{others}", left.as_millis());
    // It is JSON, since the others are.
    Json::trusted(text.into())
}

/// Takes the time out of headers that begin with it: returns it, and the others if there are any.
pub fn split_ttl(json: &Json) -> Option<(Duration, Option<Json>)> {
    let rest = json.as_str().strip_prefix(BEGINNING)?;
    let (digits, rest) = rest.split_at(rest.find(|next: char| !next.is_ascii_digit())?);
    let left = Duration::from_millis(digits.parse::<u32>().ok()?.into());
    let others = match rest.as_bytes() {
        [b'}'] => None,
        [b',', ..] => Some(Json::trusted(format!("{{{}", &rest[1..]).into())),
        _ => return None,
    };
    Some((left, others))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text.to_owned().into()).expect("JSON")
    }

    #[test]
    fn the_time_stands_first_and_comes_out_again() {
        for others in [None, Some(r#"{"a":1}"#), Some(r#"{"n":{"CN-TTL":3},"b":[]}"#)] {
            let with = with_ttl(others.map(json).as_ref(), Duration::from_millis(250));
            assert!(with.as_str().starts_with(r#"{"CN-TTL":250"#), "{}", with.as_str());
            let (left, rest) = split_ttl(&with).expect("a time");
            assert_eq!((left.as_millis(), rest.as_ref().map(Json::as_str)), (250, others));
        }
        let empty = with_ttl(Some(&json("{ }")), Duration::from_secs(1));
        assert_eq!(empty.as_str(), r#"{"CN-TTL":1000}"#);
        assert_eq!(with_ttl(Some(&json("[1]")), Duration::ZERO).as_str(), r#"{"CN-TTL":0}"#);
    }

    #[test]
    fn what_is_no_time_is_a_header_like_others() {
        let texts = [
            r#"{"a":1,"CN-TTL":5}"#,
            r#"{"CN-TTL":"5"}"#,
            r#"{"CN-TTL":-5}"#,
            r#"{"CN-TTL":5.5}"#,
            r#"{"CN-TTL":99999999999}"#,
            r#"{"CN-TTL":5 }"#,
            "null",
        ];
        for text in texts {
            assert!(split_ttl(&json(text)).is_none(), "{text}");
        }
    }
}
