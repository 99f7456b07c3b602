//! Who signs in: names and secrets, and the signature of a server's nonce.

use std::fmt;

use ring::signature::{Ed25519KeyPair, KeyPair};

use crate::base::{Code, Failure};
use crate::wire::nats::{Credentials, Seed, SignIn};

/// What a client may show to be let in. Its secrets are in no text.
#[derive(Clone, Default)]
pub struct NatsUser {
    /// A token.
    pub token: Option<String>,
    /// A name.
    pub user: Option<String>,
    /// The password to it.
    pub password: Option<String>,
    /// The seed of a user's key, `SU…`.
    pub nkey: Option<String>,
    /// A user with a JWT: the text of a `.creds` file, or its path. A file is read at every sign-in.
    pub credentials: Option<String>,
}

impl fmt::Debug for NatsUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsUser").field("user", &self.user).finish_non_exhaustive()
    }
}

impl NatsUser {
    /// Returns this one, with what it does not say from `other`.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            token: self.token.or(other.token),
            user: self.user.or(other.user),
            password: self.password.or(other.password),
            nkey: self.nkey.or(other.nkey),
            credentials: self.credentials.or(other.credentials),
        }
    }

    /// Returns what is wrong with it, if anything.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        match (&self.nkey, &self.credentials) {
            (Some(nkey), _) if Seed::read(nkey).is_none() => Err("nkey is not the seed of a user"),
            (_, Some(text)) if is_text(text) && Credentials::read(text).is_none() => {
                Err("credentials are malformed")
            }
            _ => Ok(()),
        }
    }

    /// Returns what to show to a server that has sent `nonce`. Reads files.
    pub(super) fn sign_in(&self, nonce: Option<&str>) -> Result<SignIn, Failure> {
        let Self { token, user, password, .. } = self.clone();
        let plain = SignIn { token, user, password, ..SignIn::default() };
        if let Some(source) = &self.credentials {
            let text = if is_text(source) {
                source.clone()
            } else {
                std::fs::read_to_string(source).map_err(|error| {
                    Failure::new(Code::Refused, format!("credentials cannot be read: {error}"))
                })?
            };
            let credentials = Credentials::read(&text)
                .ok_or_else(|| Failure::new(Code::Refused, "credentials are malformed"))?;
            let (_, signature) = signed(&credentials.seed, nonce)?;
            return Ok(SignIn { jwt: Some(credentials.jwt), signature: Some(signature), ..plain });
        }
        let Some(seed) = self.nkey.as_deref().and_then(Seed::read) else { return Ok(plain) };
        let (public, signature) = signed(&seed, nonce)?;
        Ok(SignIn { nkey: Some(public), signature: Some(signature), ..plain })
    }
}

fn is_text(credentials: &str) -> bool {
    credentials.contains("BEGIN NATS USER JWT")
}

/// Returns the name of the public key, and the signature in base64url.
fn signed(seed: &Seed, nonce: Option<&str>) -> Result<(String, String), Failure> {
    let unusable = |_| Failure::new(Code::Refused, "the user's key cannot be used");
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed.0).map_err(unusable)?;
    let signature = pair.sign(nonce.unwrap_or_default().as_bytes());
    Ok((Seed::public_name(pair.public_key().as_ref()), base64url(signature.as_ref())))
}

/// Encodes without padding.
fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..=group.len() {
            out.push(char::from(DIGITS[(bits >> (18 - 6 * place) & 63) as usize]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pair of NATS' own documentation.
    const SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
    const PUBLIC: &str = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";

    #[test]
    fn a_seed_signs_under_its_public_name() {
        let user = NatsUser { nkey: Some(SEED.into()), ..NatsUser::default() };
        assert_eq!(user.check(), Ok(()));
        let shown = user.sign_in(Some("nonce")).expect("signed");
        assert_eq!(shown.nkey.as_deref(), Some(PUBLIC));
        assert_eq!(shown.signature.expect("there").len(), 86);
        let wrong = NatsUser { nkey: Some(PUBLIC.into()), ..NatsUser::default() };
        assert!(wrong.check().is_err());
        assert!(!format!("{user:?}").contains("SUAC"));
    }

    #[test]
    fn credentials_are_text_or_a_file_that_may_come_later() {
        let file = NatsUser { credentials: Some("/nowhere/at/all.creds".into()), ..NatsUser::default() };
        assert_eq!(file.check(), Ok(()));
        assert_eq!(file.sign_in(None).map(|_| ()).expect_err("no file").code, Code::Refused);
        let text =
            NatsUser { credentials: Some("-----BEGIN NATS USER JWT-----".into()), ..NatsUser::default() };
        assert!(text.check().is_err());
    }

    #[test]
    fn base64_has_no_padding() {
        for (bytes, text) in
            [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("\u{3ff}", "z78")]
        {
            assert_eq!(base64url(bytes.as_bytes()), text);
        }
    }
}
