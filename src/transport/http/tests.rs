//! Requests as clients, pages and strangers send them.

use super::*;

const UPGRADE: &str = "Host: localhost:1\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn verdict(line: &str, headers: &str) -> Negotiation {
    let options = AcceptOptions {
        allowed_origins: vec!["https://good.example".into()],
        check_host: true,
        ..AcceptOptions::default()
    };
    let text = format!("{line} HTTP/1.1\r\n{headers}\r\n");
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut request = httparse::Request::new(&mut headers);
    request.parse(text.as_bytes()).expect(&text);
    judge(&request, &options, options.check_host)
}

#[test]
fn a_proper_request_is_upgraded_with_the_key_of_the_rfc() {
    for origin in ["", "Origin: https://good.example\r\n"] {
        let line = "GET /conat/?EIO=4&transport=websocket";
        let Negotiation::WebSocket(text) = verdict(line, &format!("{UPGRADE}{origin}")) else {
            panic!("{origin}")
        };
        assert!(text.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    }
}

#[test]
fn our_own_language_has_the_same_door() {
    let own = "Host: localhost\r\nConnection: Upgrade\r\nUpgrade: selvedge/1\r\n";
    for line in ["GET /conat/", "GET /conat", "GET /conat/?EIO=4&transport=websocket"] {
        assert_eq!(verdict(line, own), Negotiation::Own, "{line}");
    }
    for (line, headers, expected) in [
        ("GET /other/", own.to_owned(), ErrorResponse::NOT_FOUND),
        ("POST /conat/", own.to_owned(), ErrorResponse::BAD_METHOD),
        ("GET /conat/", own.replace("localhost", "evil.example"), ErrorResponse::BAD_HOST),
        ("GET /conat/", format!("{own}Origin: https://evil.example\r\n"), ErrorResponse::BAD_ORIGIN),
        (
            "GET /conat/",
            own.replace("Connection: Upgrade", "Connection: close"),
            ErrorResponse::BAD_TRANSPORT,
        ),
        ("GET /conat/", own.replace("/1", "/2"), ErrorResponse::BAD_TRANSPORT),
    ] {
        assert_eq!(verdict(line, &headers), Negotiation::Refused(expected), "{line} {headers}");
    }
}

#[test]
fn every_other_request_is_told_why_not() {
    let good = "GET /conat/?EIO=4&transport=websocket";
    let with = |more: &str| format!("{UPGRADE}{more}");
    for (line, headers, expected) in [
        ("GET /healthz", String::new(), ErrorResponse::HEALTHY),
        ("GET /other/?EIO=4&transport=websocket", with(""), ErrorResponse::NOT_FOUND),
        ("GET /conat/?EIO=4&transport=polling&t=x", with(""), ErrorResponse::BAD_TRANSPORT),
        ("POST /conat/?EIO=4&transport=polling", with(""), ErrorResponse::BAD_TRANSPORT),
        ("GET /conat/", with(""), ErrorResponse::BAD_TRANSPORT),
        ("GET /conat/?EIO=3&transport=websocket", with(""), ErrorResponse::BAD_VERSION),
        ("POST /conat/?EIO=4&transport=websocket", with(""), ErrorResponse::BAD_METHOD),
        (good, "Host: 127.0.0.1\r\n".into(), ErrorResponse::NO_UPGRADE),
        (good, UPGRADE.replace(": 13", ": 8"), ErrorResponse::NO_UPGRADE),
        (good, UPGRADE.replace("dGhl", ""), ErrorResponse::BAD_REQUEST),
        (good, with("Origin: https://good.example.evil\r\n"), ErrorResponse::BAD_ORIGIN),
        (good, with("Origin: null\r\n"), ErrorResponse::BAD_ORIGIN),
        (good, with("Host: localhost\r\n"), ErrorResponse::BAD_REQUEST),
        (good, UPGRADE.replace("localhost", "localhost.evil"), ErrorResponse::BAD_HOST),
        (good, UPGRADE.replace("Host", "Not-Host"), ErrorResponse::BAD_HOST),
    ] {
        assert_eq!(verdict(line, &headers), Negotiation::Refused(expected), "{line} {headers}");
    }
    for host in ["localhost", "LOCALHOST:3000", "127.0.0.1:1", "127.9.9.9", "[::1]:5", "[::1]"] {
        assert!(host_name(host).is_some_and(is_loopback), "{host}");
    }
    let longest_port = "localhost:65535";
    assert_eq!(host_name(longest_port), Some("localhost"));
    for host in [
        "",
        "localhost:x",
        "localhost:80@evil.example",
        "localhost:80:80",
        "localhost:99999",
        "localhost:",
        "a b",
        "[::1",
        "[::1]evil",
        "[::1]:80@evil",
        "[localhost]",
        "evil.example/localhost",
        "localhost:+1",
    ] {
        assert_eq!(host_name(host), None, "{host}");
    }
}

#[test]
fn an_upgrade_has_no_body_and_comes_from_a_client_that_knows_upgrades() {
    let own = "Host: localhost\r\nConnection: Upgrade\r\nUpgrade: selvedge/1\r\n";
    let line = "GET /conat/";
    assert_eq!(verdict(line, &format!("{own}Content-Length: 0\r\n")), Negotiation::Own);
    for more in [
        "Content-Length: 5",
        "Content-Length: 00",
        "Transfer-Encoding: identity",
        "Content-Length: 0\r\nContent-Length: 0",
    ] {
        let expected = Negotiation::Refused(ErrorResponse::BAD_REQUEST);
        assert_eq!(verdict(line, &format!("{own}{more}\r\n")), expected, "{more}");
    }
    for line in ["POST /conat/", "POST /monitor/login", "GET /nothing", "GET /healthz"] {
        let two = "Host: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n";
        assert_eq!(verdict(line, two), Negotiation::Refused(ErrorResponse::BAD_REQUEST), "{line}");
    }
    let options = AcceptOptions::default();
    let answer =
        |head: &str| super::super::accept::answer_to_head(head.as_bytes(), &options).unwrap_or_default();
    assert_eq!(answer(&format!("GET /conat/ HTTP/1.1\r\n{own}\r\n")), "", "this is how it is done");
    assert!(answer(&format!("GET /conat/ HTTP/1.0\r\n{own}\r\n")).contains(" 400 "));
    assert!(answer(&format!("GET /conat/ HTTP/1.1\r\n{own}X: y\nZ: z\r\n\r\n")).contains(" 400 "));
    let head = answer("HEAD /healthz HTTP/1.1\r\n\r\n");
    assert!(head.contains(" 200 ") && head.contains("Content-Length: 2\r\n") && head.ends_with("\r\n\r\n"));
}

#[test]
fn a_health_check_is_told_when_to_go_elsewhere() {
    let options = AcceptOptions::default();
    let ask = || {
        let mut headers = [httparse::EMPTY_HEADER; 1];
        let mut request = httparse::Request::new(&mut headers);
        request.parse(b"GET /healthz HTTP/1.1\r\n\r\n").expect("well formed");
        judge(&request, &options, options.check_host)
    };
    assert_eq!(ask(), Negotiation::Refused(ErrorResponse::HEALTHY));
    options.draining.store(true, Ordering::Relaxed);
    assert_eq!(ask(), Negotiation::Refused(ErrorResponse::DRAINING));
}

#[test]
fn who_comes_while_the_broker_drains_is_sent_elsewhere() {
    let options = AcceptOptions::default();
    let answer = |upgrade: &str| {
        let head = format!("GET /conat/?EIO=4&transport=websocket HTTP/1.1\r\n{upgrade}\r\n");
        super::super::accept::answer_to_head(head.as_bytes(), &options).unwrap_or_default()
    };
    let own = "Host: localhost\r\nConnection: Upgrade\r\nUpgrade: selvedge/1\r\n";
    options.draining.store(true, Ordering::Relaxed);
    for upgrade in [own, UPGRADE] {
        assert!(answer(upgrade).starts_with("HTTP/1.1 503 "), "{upgrade}");
    }
}

#[test]
fn names_that_are_allowed_exclude_all_others_but_loopback_where_that_is_meant() {
    let own = "Connection: Upgrade\r\nUpgrade: selvedge/1\r\n";
    for (check_host, host, is_in) in [
        (false, "App.example:443", true),
        (false, "localhost", false),
        (false, "evil.app.example", false),
        (true, "app.example", true),
        (true, "localhost:1", true),
        (true, "evil.example", false),
    ] {
        let allowed_hosts = vec!["app.example".to_owned()];
        let options = AcceptOptions { check_host, allowed_hosts, ..AcceptOptions::default() };
        let text = format!("GET /conat/ HTTP/1.1\r\nHost: {host}\r\n{own}\r\n");
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut request = httparse::Request::new(&mut headers);
        request.parse(text.as_bytes()).expect(&text);
        assert_eq!(
            judge(&request, &options, options.check_host) == Negotiation::Own,
            is_in,
            "{check_host} {host}"
        );
    }
}
