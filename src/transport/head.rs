//! Reads the head of an HTTP request or answer, within a bound, and nothing of what follows it is lost.

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::LinkError;

/// Reads into `bytes` up to the empty line that ends a head; gives the head's length. `None` when it is too long. What came
/// behind the head is in `bytes` too.
pub(super) async fn read_head(
    stream: &mut TcpStream,
    bytes: &mut Vec<u8>,
) -> Result<Option<usize>, LinkError> {
    loop {
        // Only what is new can end the head, so that a visitor who sends byte by byte costs a step for each.
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

const HEAD_END: &[u8] = b"\r\n\r\n";
/// Longest head in bytes, cookies included.
pub(super) const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Most headers of a head.
pub(super) const MAX_HEADERS: usize = 64;
