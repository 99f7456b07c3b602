//! What a server's `-ERR` is about.

/// A refusal, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// A publish to this subject is not permitted.
    Publish(String),
    /// A subscription to this pattern is not permitted, or no longer.
    Subscribe(String),
    /// The client has as many subscriptions as it may have.
    SubscriptionLimit,
    /// Something of what was sent was not taken, and nothing else follows from that.
    Dropped,
    /// Who this is was not believed, or is not any more. The connection ends.
    SignIn,
    /// There are as many connections as there may be. The connection ends.
    ConnectionLimit,
    /// The client does not read fast enough. The connection ends.
    SlowConsumer,
    /// The client gave no sign of life. The connection ends.
    Stale,
    /// Any other: the connection ends.
    Other,
}

impl Refusal {
    /// Reads the text of an `-ERR`.
    pub fn read(text: &str) -> Self {
        let lower = text.to_ascii_lowercase();
        let is = |beginning: &str| lower.starts_with(beginning);
        let quoted = || text.split('"').nth(1).unwrap_or_default().to_owned();
        match () {
            () if is("permissions violation for publish") => Self::Publish(quoted()),
            () if is("permissions violation for subscription") => Self::Subscribe(quoted()),
            () if is("permissions violation") || is("invalid subject") || is("invalid publish subject") => {
                Self::Dropped
            }
            () if is("maximum subscriptions exceeded") => Self::SubscriptionLimit,
            () if is("authorization") || is("user authentication") || is("account authentication") => {
                Self::SignIn
            }
            () if is("maximum connections exceeded") || is("maximum account") => Self::ConnectionLimit,
            () if is("slow consumer") => Self::SlowConsumer,
            () if is("stale connection") => Self::Stale,
            () => Self::Other,
        }
    }
}
