//! The texts that keys and credentials are kept in: base 32 with a checksum, and files of two armoured parts.

/// The secret part of a user's Ed25519 key.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed(pub [u8; 32]);

/// A user that an account vouches for, as a `.creds` file has it.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// What the account signed.
    pub jwt: String,
    /// Of the user's key.
    pub seed: Seed,
}

impl Seed {
    /// Reads `SU…`, a user's seed. Says nothing of what is wrong: it is a secret.
    pub fn read(text: &str) -> Option<Self> {
        let bytes = decode(text.trim_ascii())?;
        let (content, checksum) = bytes.split_last_chunk::<2>()?;
        let [first, second, key @ ..] = content else { return None };
        // Five bits say that it is a seed, the next five whose.
        let (prefix, kind) = (first & 0xf8, (first & 0x07) << 5 | (second & 0xf8) >> 3);
        let is_user = prefix == SEED && kind == USER && crc(content) == u16::from_le_bytes(*checksum);
        is_user.then(|| key.try_into().ok().map(Self))?
    }

    /// Returns how the public key that belongs to it is written: `U…`.
    pub fn public_name(public: &[u8]) -> String {
        let mut bytes = vec![USER];
        bytes.extend_from_slice(public);
        bytes.extend(crc(&bytes).to_le_bytes());
        encode(&bytes)
    }
}

impl Credentials {
    /// Reads the text of a `.creds` file.
    pub fn read(text: &str) -> Option<Self> {
        let jwt = part(text, "NATS USER JWT")?;
        let seed = Seed::read(&part(text, "USER NKEY SEED")?)?;
        Some(Self { jwt, seed })
    }
}

/// Returns what stands between the lines of dashes around a part.
fn part(text: &str, name: &str) -> Option<String> {
    let behind = text.split_once(&format!("BEGIN {name}"))?.1.split_once('\n')?.1;
    let lines = behind.lines().map(str::trim_ascii).take_while(|line| !line.starts_with("---"));
    let joined: String = lines.collect();
    (!joined.is_empty()).then_some(joined)
}

fn decode(text: &str) -> Option<Vec<u8>> {
    if text.len() > MAX_KEY_CHARS {
        return None;
    }
    let (mut out, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for byte in text.bytes() {
        let digit = DIGITS.iter().position(|&digit| digit == byte)?;
        bits = bits << 5 | u32::try_from(digit).ok()?;
        count += 5;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 0xff).to_le_bytes()[0]);
        }
    }
    Some(out)
}

fn encode(bytes: &[u8]) -> String {
    let (mut out, mut bits, mut count) = (String::new(), 0_u32, 0);
    for &byte in bytes {
        bits = (bits << 8 | u32::from(byte)) & 0xffff;
        count += 8;
        while count >= 5 {
            count -= 5;
            out.push(char::from(DIGITS[(bits >> count & 31) as usize]));
        }
    }
    if count > 0 {
        out.push(char::from(DIGITS[(bits << (5 - count) & 31) as usize]));
    }
    out
}

/// CRC-16 of XMODEM.
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, &byte| {
        (0..8).fold(
            crc ^ u16::from(byte) << 8,
            |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
            },
        )
    })
}

/// `S`, and `U`.
const SEED: u8 = 18 << 3;
const USER: u8 = 20 << 3;
const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// A seed has 58.
const MAX_KEY_CHARS: usize = 100;
