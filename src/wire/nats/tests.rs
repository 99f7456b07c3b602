//! The client's end against a server that is a model: it speaks the protocol, answers in order, and knows
//! what it permits.

mod model;
mod moves;
mod operations;
mod properties;

use super::nkey::{Credentials, Seed};
use super::*;

#[test]
fn every_word_of_a_server_is_read() {
    let read = |text: &'static str| ServerFrame::read(text.as_bytes());
    assert_eq!(read("PING\r\n"), Ok(ServerFrame::Ping));
    assert_eq!(read("PONG\r\n"), Ok(ServerFrame::Pong));
    assert_eq!(read("+OK\r\n"), Ok(ServerFrame::Ok));
    assert_eq!(read("INFO {\"a\":1} \r\n"), Ok(ServerFrame::Info("{\"a\":1}")));
    assert_eq!(read("-ERR 'Stale Connection'\r\n"), Ok(ServerFrame::Error("Stale Connection")));
    let plain = Delivery { subject: b"a.b", sid: 7, reply: None, headers: b"", payload: b"hi" };
    assert_eq!(read("MSG a.b 7 2\r\nhi\r\n"), Ok(ServerFrame::Message(plain)));
    let with_reply = Delivery { reply: Some(b"r"), ..plain };
    assert_eq!(read("MSG a.b 7 r 2\r\nhi\r\n"), Ok(ServerFrame::Message(with_reply)));
    let with_headers = Delivery { headers: b"NATS/1.0\r\n\r\n", ..with_reply };
    assert_eq!(read("HMSG a.b 7 r 12 14\r\nNATS/1.0\r\n\r\nhi\r\n"), Ok(ServerFrame::Message(with_headers)));
    for bad in [
        "",
        "PING",
        "PING\n",
        "ping\r\n",
        "HTTP/1.1 400 Bad Request\r\n",
        "SSH-2.0-x\r\n",
        "MSG a 1\r\n\r\n",
        "MSG a b c d e 1\r\n\r\n",
        "MSG a 1 -1\r\n\r\n",
        "MSG a 1 9223372036854775808\r\n\r\n",
        "MSG a x 0\r\n\r\n",
        "HMSG a 1 5 3\r\nabc\r\n",
        "HMSG a 1 3\r\nabc\r\n",
        "MSG a 1 3\r\nabcd\r\n",
        "MSG a 1 3\r\nabcxy",
        "INFO\r\n",
        "-ERRx\r\n",
    ] {
        assert!(ServerFrame::read(bad.as_bytes()).is_err(), "{bad:?}");
    }
}

#[test]
fn nothing_is_waited_for_beyond_its_bound() {
    let length = |bytes: &[u8]| frame_length(bytes, 1000);
    assert_eq!(length(b"MSG a 1 1000\r\n"), Ok(Some(1016)));
    assert_eq!(length(b"MSG a 1 1001\r\n"), Err(DecodeError("message too large")));
    assert!(length(b"HMSG a 1 4 9999999999999999\r\n").is_err());
    assert!(length(b"MSG a 1 99999999999999999999999999\r\n").is_err());
    assert_eq!(length(&vec![b'x'; 8 * 1024 - 1]), Ok(None));
    assert!(length(&vec![b'x'; 8 * 1024]).is_err());
    let mut info = b"INFO ".to_vec();
    info.resize(MAX_INFO_BYTES - 1, b' ');
    assert_eq!(length(&info), Ok(None));
    info.push(b' ');
    assert!(length(&info).is_err());
    assert!(length(b"PING\n").is_err());
}

#[test]
fn a_server_says_what_it_can() {
    let info = |text: &str| ServerInfo::read(text).expect(text);
    let new = info(r#"{"server_id":"N","version":"2.11.0","headers":true,"max_payload":1048576,"x":[1]}"#);
    assert!(new.is_supported() && new.has_traces());
    let old = info(r#"{"version":"2.9.10","headers":true,"max_payload":1048576}"#);
    assert!(old.is_supported() && !old.has_traces());
    assert!(!info(r#"{"version":"2.8.4","headers":true,"max_payload":1}"#).is_supported());
    assert!(!info(r#"{"version":"2.15.1","max_payload":1}"#).is_supported(), "no headers");
    for bad in ["", "{}", "[]", r#"{"max_payload":-1}"#, r#"{"max_payload":"1"}"#] {
        assert!(ServerInfo::read(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_refusal_says_what_it_is_about() {
    let of = |text: &str| Refusal::read(text);
    assert_eq!(of(r#"Permissions Violation for Publish to "a.b""#), Refusal::Publish("a.b".into()));
    let with_queue = r#"Permissions Violation for Subscription to "a.>" using queue "q""#;
    assert_eq!(of(with_queue), Refusal::Subscribe("a.>".into()));
    assert_eq!(
        of(r#"Permissions Violation for Subscription to "a" (sid "2")"#),
        Refusal::Subscribe("a".into())
    );
    assert_eq!(of("Permissions Violation for Publish with Reply of \"x\""), Refusal::Publish("x".into()));
    assert_eq!(of("Invalid Subject"), Refusal::Dropped);
    assert_eq!(of("maximum subscriptions exceeded"), Refusal::SubscriptionLimit);
    assert_eq!(of("Authorization Violation"), Refusal::SignIn);
    assert_eq!(of("User Authentication Expired"), Refusal::SignIn);
    assert_eq!(of("maximum connections exceeded"), Refusal::ConnectionLimit);
    assert_eq!(of("Slow Consumer"), Refusal::SlowConsumer);
    assert_eq!(of("Stale Connection"), Refusal::Stale);
    assert_eq!(of("Parser Error"), Refusal::Other);
}

/// A seed of NATS' own documentation.
const SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";

#[test]
fn a_seed_is_a_users_and_whole() {
    assert!(Seed::read(SEED).is_some() && Seed::read(&format!(" {SEED}\n")).is_some());
    for bad in
        ["", "SU", &SEED[1..], &SEED.replace("SUAC", "SAAC"), &SEED.replace('V', "W"), &SEED.repeat(3), "é"]
    {
        assert!(Seed::read(bad).is_none(), "{bad}");
    }
    let public = Seed::public_name(&[0; 32]);
    assert!(public.starts_with('U') && public.len() == 56, "{public}");
}

#[test]
fn a_file_of_credentials_has_two_parts() {
    let file = format!(
        "-----BEGIN NATS USER JWT-----\r\nab.c\r\nd\r\n------END NATS USER JWT------\r\n\n*** IMPORTANT ***\n\
        -----BEGIN USER NKEY SEED-----\n{SEED}\n------END USER NKEY SEED------\n"
    );
    let read = Credentials::read(&file).expect("whole");
    assert!(read.jwt == "ab.cd" && Some(read.seed) == Seed::read(SEED));
    assert!(Credentials::read(&file.replace("SEED-----", "X-----")).is_none());
    assert!(Credentials::read("").is_none() && Credentials::read(SEED).is_none());
}
