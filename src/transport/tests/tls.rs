//! Over TLS: both protocols, who is trusted, who is who, and what happens when one side speaks none.

use super::*;
use crate::base::Code;
use crate::transport::tls::{
    ClientTls, ClientTlsOptions, PeerCertificate, ServerTls, ServerTlsOptions, TlsVersion,
};
use std::sync::Arc;

macro_rules! pem {
    ($name:literal) => {
        include_str!(concat!("../../../tests/data/tls/", $name, ".pem")).to_owned()
    };
}

fn shown(cert: String, key: String) -> ServerTlsOptions {
    ServerTlsOptions { cert, key, ..ServerTlsOptions::default() }
}

fn server() -> ServerTlsOptions {
    shown(pem!("server"), pem!("server.key"))
}

fn secured(options: ServerTlsOptions) -> (AcceptOptions, Arc<ServerTls>) {
    let tls = Arc::new(ServerTls::new(options).expect("usable"));
    (AcceptOptions { tls: Some(tls.clone()), ..AcceptOptions::default() }, tls)
}

fn trusting() -> ClientTlsOptions {
    ClientTlsOptions { ca: Some(pem!("ca")), ..ClientTlsOptions::default() }
}

fn securely(address: &str, wire: Protocol, tls: &ClientTlsOptions) -> DialOptions {
    let port = address.rsplit(':').next().expect("a port");
    DialOptions {
        address: format!("https://localhost:{port}"),
        wire,
        tls: Some(ClientTls::new(tls).expect("usable")),
        ..to(address)
    }
}

/// Returns why dialling fails; `None` if it does not.
async fn failure(accept: AcceptOptions, tls: ClientTlsOptions) -> Option<(Code, String)> {
    let (address, _accepted) = listen_once(accept).await;
    let dialed = dial(&securely(&address, Protocol::Selvedge, &tls)).await;
    dialed.err().map(|error| (error.code(), error.to_string()))
}

#[tokio::test]
async fn both_languages_go_over_tls_of_both_versions() {
    for wire in [Protocol::Conat, Protocol::Selvedge] {
        for min_version in [TlsVersion::V1_2, TlsVersion::V1_3] {
            let (accept, _) = secured(ServerTlsOptions { min_version, ..server() });
            let (mut client, mut broker) =
                linked_by(accept, |address| securely(address, wire, &trusting())).await;
            converse(&mut client, &mut broker).await;
            carry_much(&mut client, &mut broker).await;
        }
    }
}

#[tokio::test]
async fn a_client_believes_only_what_it_was_told_to() {
    let other = ClientTlsOptions { ca: Some(pem!("other-ca")), ..ClientTlsOptions::default() };
    let expired = shown(pem!("expired"), pem!("expired.key"));
    let elsewhere = || shown(pem!("elsewhere"), pem!("elsewhere.key"));
    for (server, client, expected) in [
        (server(), trusting(), None),
        (server(), other, Some(Code::TlsUntrusted)),
        (expired, trusting(), Some(Code::TlsExpired)),
        (elsewhere(), trusting(), Some(Code::TlsName)),
        (elsewhere(), ClientTlsOptions { server_name: Some("elsewhere.example".into()), ..trusting() }, None),
        (elsewhere(), ClientTlsOptions { skip_verification: true, ..ClientTlsOptions::default() }, None),
    ] {
        let got = failure(secured(server).0, client).await;
        assert_eq!(got.as_ref().map(|(code, _)| *code), expected, "{got:?}");
    }
}

#[tokio::test]
async fn a_client_is_known_by_its_certificate() {
    let asking = ServerTlsOptions { request_cert: true, ca: Some(pem!("ca")), ..server() };
    let identity = Some((pem!("client"), pem!("client.key")));
    let ada = ClientTlsOptions { identity, ..trusting() };
    let (address, accepted) = listen_once(secured(asking.clone()).0).await;
    let mut client = dial(&securely(&address, Protocol::Selvedge, &ada)).await.expect("dialled");
    let (mut broker, handshake) = accepted.await.expect("no panic").expect("accepted");
    let PeerCertificate { fingerprint256, alternative_names, .. } = handshake.tls.expect("a certificate");
    assert_eq!(alternative_names, ["DNS:ada.users.example", "URI:spiffe://example/ada"]);
    assert_eq!(fingerprint256.len(), 32 * 3 - 1);
    assert!(handshake.address.is_some());
    converse(&mut client, &mut broker).await;

    let (code, text) = failure(secured(asking.clone()).0, trusting()).await.expect("refused");
    assert_eq!(code, Code::TlsClientCertificate, "{text}");
    let strict = ServerTlsOptions { ca: Some(pem!("other-ca")), ..asking.clone() };
    let (code, text) = failure(secured(strict).0, ada).await.expect("refused");
    assert_eq!(code, Code::TlsClientCertificate, "{text}");

    let lenient = ServerTlsOptions { allow_anonymous: true, ..asking };
    let (address, accepted) = listen_once(secured(lenient).0).await;
    let _client = dial(&securely(&address, Protocol::Selvedge, &trusting())).await.expect("dialled");
    assert_eq!(accepted.await.expect("no panic").expect("accepted").1.tls, None);
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_who_comes_next_and_who_is_in_stays_in() {
    let (accept, tls) = secured(server());
    let again = accept.clone();
    let (mut client, mut broker) =
        linked_by(accept, |address| securely(address, Protocol::Selvedge, &trusting())).await;
    tls.replace("rubbish".into(), pem!("elsewhere.key"), None).expect_err("not usable");
    tls.replace(pem!("elsewhere"), pem!("server.key"), None).expect_err("not its key");
    assert_eq!(failure(again.clone(), trusting()).await, None, "nothing was replaced yet");
    tls.replace(pem!("elsewhere"), pem!("elsewhere.key"), None).expect("usable");
    assert_eq!(failure(again, trusting()).await.expect("refused").0, Code::TlsName);
    converse(&mut client, &mut broker).await;
}

#[tokio::test]
async fn whoever_speaks_tls_alone_is_told() {
    let (address, accepted) = listen_once(secured(server()).0).await;
    let plain = DialOptions { wire: Protocol::Best, ..to(&address) };
    let error = dial(&plain).await.map(drop).expect_err("a TLS port");
    assert_eq!(error.code(), Code::TlsRequired, "{error}");
    assert!(matches!(accepted.await.expect("no panic").map(drop), Err(LinkError::Refused(_))));
    let got = failure(AcceptOptions::default(), trusting()).await.expect("a plain port");
    assert_eq!(got.0, Code::TlsPlain, "{}", got.1);
}

#[tokio::test]
async fn one_deadline_is_for_tls_and_http_together() {
    let (accept, _) = secured(server());
    let brief = AcceptOptions { handshake_timeout: Duration::from_millis(150), ..accept };
    // Silent from the start, amid TLS, and after TLS.
    let (address, accepted) = listen_once(brief.clone()).await;
    let mute = TcpStream::connect(&address).await.expect("connected");
    assert!(matches!(accepted.await.expect("no panic").map(drop), Err(LinkError::Silent)));
    drop(mute);
    let (address, accepted) = listen_once(brief.clone()).await;
    let mut mute = TcpStream::connect(&address).await.expect("connected");
    mute.write_all(&[0x16, 3, 1, 1, 0]).await.expect("open");
    assert!(matches!(accepted.await.expect("no panic").map(drop), Err(LinkError::Silent)));
    let (address, accepted) = listen_once(brief).await;
    let stream = TcpStream::connect(&address).await.expect("connected");
    let tls = ClientTls::new(&trusting()).expect("usable");
    let stream = crate::transport::tls::connect(Box::new(stream), &tls, "localhost").await.expect("TLS");
    assert!(matches!(accepted.await.expect("no panic").map(drop), Err(LinkError::Silent)));
    drop(stream);
}

#[test]
fn certificates_and_keys_that_cannot_be_used_are_refused_at_once() {
    for options in [
        shown("".into(), pem!("server.key")),
        shown(pem!("server"), "".into()),
        shown(pem!("server"), pem!("client.key")),
        shown(pem!("server.key"), pem!("server.key")),
        ServerTlsOptions { request_cert: true, ..server() },
        ServerTlsOptions { request_cert: true, ca: Some("rubbish".into()), ..server() },
    ] {
        let failure = ServerTls::new(options).map(drop).expect_err("not usable");
        assert_eq!(failure.code, Code::InvalidArgument);
        assert!(!failure.message.contains("BEGIN"), "{failure}");
    }
    for ca in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let options = ClientTlsOptions { ca: Some(ca.into()), ..ClientTlsOptions::default() };
        assert!(ClientTls::new(&options).is_err(), "{ca}");
    }
}
