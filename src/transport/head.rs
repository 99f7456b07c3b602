//! The head of an HTTP request or answer, read within a bound, and nothing of what follows it is lost.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::LinkError;
use super::stream::BoxedStream;
use super::target::Target;
use super::tls;

/// Reads into `bytes` up to the empty line that ends a head; gives the head's length. `None` when it is too
/// long. What came behind the head is in `bytes` too.
pub(super) async fn read_head(
    stream: &mut BoxedStream,
    bytes: &mut Vec<u8>,
) -> Result<Option<usize>, LinkError> {
    loop {
        // Only what is new can end the head, so that a client that sends byte by byte costs a step each.
        let seen = bytes.len().saturating_sub(HEAD_END.len() - 1);
        let room = MAX_HEAD_BYTES - bytes.len();
        if room == 0 {
            return Ok(None);
        }
        let mut limited = (&mut *stream).take(room as u64);
        if limited.read_buf(bytes).await? == 0 {
            return Err(LinkError::Closed);
        }
        if let Some(end) = bytes[seen..].windows(HEAD_END.len()).position(|window| window == HEAD_END) {
            return Ok(Some(seen + end + HEAD_END.len()));
        }
        if !bytes[0].is_ascii_uppercase() {
            return Err(LinkError::PeerMisbehaved("not http".into()));
        }
    }
}

/// The answer of a server, or of a proxy.
pub(super) struct UpgradeResponse {
    pub(super) code: u16,
    pub(super) reason: String,
    fields: Vec<(String, String)>,
    /// Bytes that came behind its head.
    pub(super) rest: Vec<u8>,
}

impl UpgradeResponse {
    /// Returns the first field of this name, which is in lower case.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns what an answer that grants nothing means.
    pub(super) fn refusal(&self) -> LinkError {
        let wants_tls =
            self.code == 426 && self.field("upgrade").is_some_and(|value| value.starts_with("TLS/"));
        if wants_tls {
            return LinkError::Tls(tls::required());
        }
        let body = String::from_utf8_lossy(&self.rest[..self.rest.len().min(MAX_BODY_BYTES)]);
        let text = format!("http {} {} {}", self.code, self.reason, body.trim());
        LinkError::Refused(text.trim_end().to_owned())
    }
}

/// Sends a request for an upgrade with `fields`, lines of their own, and the application's; reads the
/// answer's head.
pub(super) async fn ask(
    stream: &mut BoxedStream,
    target: &Target,
    query: &str,
    fields: &str,
) -> Result<UpgradeResponse, LinkError> {
    let Target { authority, path, headers, .. } = target;
    let mut request =
        format!("GET {path}{query} HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\n{fields}")
            .into_bytes();
    for (name, value) in headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            request.extend_from_slice(part);
        }
    }
    request.extend_from_slice(b"\r\n");
    exchange(stream, &request).await
}

/// Sends a whole request; reads the answer's head.
pub(super) async fn exchange(stream: &mut BoxedStream, request: &[u8]) -> Result<UpgradeResponse, LinkError> {
    stream.write_all(request).await?;
    stream.flush().await?;
    let mut bytes = Vec::with_capacity(MAX_HEAD_BYTES);
    let length = match read_head(stream, &mut bytes).await {
        Ok(Some(length)) => length,
        Ok(None) => return Err(LinkError::Refused("the answer's head is too long".into())),
        Err(_) if bytes.first() == Some(&TLS_ALERT) => return Err(LinkError::Tls(tls::required())),
        Err(error) => return Err(error),
    };
    let rest = bytes.split_off(length);
    let mut parsed = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut answer = httparse::Response::new(&mut parsed);
    let code = match answer.parse(&bytes) {
        Ok(httparse::Status::Complete(_)) => answer.code.unwrap_or_default(),
        _ => return Err(LinkError::Refused("the answer is not http".into())),
    };
    let fields = answer.headers.iter().map(|field| {
        (field.name.to_ascii_lowercase(), String::from_utf8_lossy(field.value).trim().to_owned())
    });
    Ok(UpgradeResponse {
        code,
        reason: answer.reason.unwrap_or_default().to_owned(),
        fields: fields.collect(),
        rest,
    })
}

const HEAD_END: &[u8] = b"\r\n\r\n";
/// Longest head in bytes, cookies included.
pub(super) const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Most headers of a head.
pub(super) const MAX_HEADERS: usize = 64;
/// Bytes of a refusal's body that are shown.
const MAX_BODY_BYTES: usize = 200;
/// The first byte of a TLS server's answer to what is no TLS.
const TLS_ALERT: u8 = 0x15;
