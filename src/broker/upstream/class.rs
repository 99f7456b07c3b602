//! Which way a subscription takes, and what a subject says about that.

use crate::subject::Pattern;
use crate::wire::{Subscription, SubscriptionClass};

/// The way of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::broker) enum Class {
    /// It has one owner. While he is here, what is published here need not leave.
    Direct,
    /// Everybody who wants it gets it.
    Plain,
    /// One member of a group gets it, whichever broker he is at: the fabric above chooses.
    Group,
    /// It is none of the fabric's above.
    Local,
}

impl Class {
    /// Returns the way of a subscription to a valid `pattern`.
    pub(in crate::broker) fn of(pattern: &Pattern, subscription: &Subscription) -> Self {
        let text = pattern.as_str();
        // A tap there would end all 503.
        if pattern.is_silent() || is_local(text) {
            return Self::Local;
        }
        let queue = subscription.queue.as_deref().unwrap_or_default();
        match subscription.class {
            _ if subscription.exclusive.is_some() && has_one_owner(text) => Self::Direct,
            SubscriptionClass::Direct if has_one_owner(text) => Self::Direct,
            SubscriptionClass::Direct | SubscriptionClass::Plain => Self::Plain,
            // Only where a group makes no sense: a wrong guess would hand its messages out twice.
            SubscriptionClass::Shared if is_drawn(queue) && is_inbox(text) => Self::Direct,
            SubscriptionClass::Shared if is_drawn(queue) && has_one_owner(text) => Self::Plain,
            SubscriptionClass::Shared => Self::Group,
        }
    }
}

/// Returns whether a subject, or a pattern, has one owner by its shape: an inbox, or a subject of a socket.
pub(in crate::broker) fn has_one_owner(text: &str) -> bool {
    let mut tokens = text.rsplit('.');
    let (last, id, kind) = (tokens.next(), tokens.next(), tokens.next());
    let is_name = |token: &str| !matches!(token, "*" | ">");
    let is_socket = match (last, id, kind) {
        (Some(id), Some("client"), _) => is_name(id),
        (Some(socket), Some(id), Some("server")) => {
            socket != ">" && is_name(id) && !matches!(id, "~" | "status" | "rooms")
        }
        _ => false,
    };
    is_socket || is_inbox(text)
}

/// Returns whether clients must not use it: the fabric above takes it for a command, or gateways talk there.
pub(in crate::broker) fn is_reserved(text: &str, allows_some: bool) -> bool {
    let first = first_token(text);
    first == "_SV" || (!allows_some && (first.starts_with('$') || matches!(first, "_R_" | "_GR_")))
}

/// Returns whether it is the business of one broker.
pub(in crate::broker) fn is_local(text: &str) -> bool {
    text.strip_prefix("sys.conat").is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn is_inbox(text: &str) -> bool {
    first_token(text).starts_with("_INBOX")
}

fn first_token(text: &str) -> &str {
    text.split('.').next().unwrap_or_default()
}

/// Returns whether a queue has the form of one that nobody named: ten letters and digits in Conat's programs,
/// a UUID in ours.
fn is_drawn(queue: &str) -> bool {
    let is_short = queue.len() == 10 && queue.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_short || (queue.len() == 32 && queue.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Claim;

    #[test]
    fn a_subscription_goes_by_what_its_client_says_and_by_its_shape() {
        use SubscriptionClass::{Direct, Plain, Shared};
        let drawn = "0123456789abcdef0123456789abcdef";
        for (text, queue, class, way) in [
            ("_INBOX.a.*", drawn, Direct, Class::Direct),
            ("_INBOX.a.*", "aB3dE6gH9j", Shared, Class::Direct),
            ("_INBOX.a.*", "workers", Shared, Class::Group),
            ("chat.client.x", drawn, Direct, Class::Direct),
            ("chat.client.x", drawn, Plain, Class::Plain),
            ("chat.client.x", "aB3dE6gH9j", Shared, Class::Plain),
            ("chat.server.s1.*", drawn, Shared, Class::Plain),
            ("chat.server.s1.*", drawn, Direct, Class::Direct),
            ("chat.server.~.*", "selvedge", Shared, Class::Group),
            ("chat.server.status", drawn, Direct, Class::Plain),
            ("chat.server.rooms.*", drawn, Direct, Class::Plain),
            ("chat.client.*", drawn, Direct, Class::Plain),
            ("news", drawn, Plain, Class::Plain),
            ("news", drawn, Direct, Class::Plain),
            ("news", "aB3dE6gH9j", Shared, Class::Group),
            (">", drawn, Plain, Class::Local),
            ("sys.conat.>", drawn, Plain, Class::Local),
            ("sys.conatx", drawn, Plain, Class::Plain),
        ] {
            let pattern = Pattern::parse(text).expect("valid");
            let (queue, exclusive) = (Some(queue.into()), None);
            let subscription = Subscription { pattern: text.into(), queue, class, exclusive };
            assert_eq!(Class::of(&pattern, &subscription), way, "{text} {class:?}");
            let exclusive = Subscription { exclusive: Some(Claim::Fresh), ..subscription };
            assert!(!has_one_owner(text) || Class::of(&pattern, &exclusive) == Class::Direct, "{text}");
        }
    }

    #[test]
    fn what_nats_takes_for_a_command_is_for_no_client() {
        for (text, strict, lenient) in [
            ("$JS.API.STREAM.DELETE.x", true, false),
            ("_R_.x", true, false),
            ("_GR_.x", true, false),
            ("_SV.watch", true, true),
            ("_SVx", false, false),
            ("a.$JS", false, false),
        ] {
            assert_eq!((is_reserved(text, false), is_reserved(text, true)), (strict, lenient), "{text}");
        }
    }
}
