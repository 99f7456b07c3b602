//! Nothing is given out before it is read, and whoever does not read makes the peer wait.

use selvedge::base::Machine;
use selvedge::sockety::{Budget, Command, Config, Part};

use super::app::App;
use super::{SECOND, hex};

const ID: &str = "00112233445546778899aabbccddeeff";

fn reader(max_unread_bytes: usize) -> App {
    let mut app = App::new(Config { max_unread_bytes, ..Config::default() });
    app.is_eager = false;
    app.feed(&hex(&format!("e3 23 13 00 {ID} 01 61")));
    app
}

fn stream(bytes: usize) -> Vec<u8> {
    [&[0x78][..], &bytes.to_le_bytes()[..3], &vec![b's'; bytes]].concat()
}

#[test]
fn a_body_is_given_out_as_it_is_read() {
    let mut app = reader(1 << 20);
    app.feed(&stream(10_000));
    let (number, got) =
        (app.messages[0].number, |app: &App| app.messages[0].stream.clone().expect("a stream"));
    assert_eq!(got(&app).bytes.len(), 0);
    app.read(number, Part::Stream, 3000);
    assert_eq!(got(&app).bytes.len(), 3000);
    app.read(number, Part::Stream, 10_000);
    assert_eq!(got(&app).bytes.len(), 10_000);
    app.feed(&stream(5000));
    assert_eq!(got(&app).bytes.len(), 13_000);
    app.feed(b"\x80");
    assert!(!got(&app).has_ended);
    app.read(number, Part::Stream, 2000);
    assert!(got(&app).has_ended && got(&app).bytes.len() == 15_000);
}

#[test]
fn a_full_window_stops_reading_until_there_is_room() {
    let mut app = reader(10_000);
    let number = app.messages[0].number;
    app.feed(&stream(5000));
    assert!(app.machine.is_reading());
    app.feed(&stream(5000));
    assert!(!app.machine.is_reading());
    app.read(number, Part::Stream, 1000);
    assert!(app.machine.is_reading());
    app.feed(&stream(5000));
    assert!(!app.machine.is_reading());
    app.command(Command::Discard { number, part: None });
    assert!(app.machine.is_reading());
    app.feed(&stream(50_000));
    assert!(app.machine.is_reading(), "nobody wants it");
    app.feed(b"\x80");
    assert_eq!(app.closed, None);
}

#[test]
fn small_pieces_count_with_what_they_cost_and_keep_nothing_else_alive() {
    let mut app = App::new(Config { max_unread_bytes: 100_000, ..Config::default() });
    app.is_eager = false;
    app.feed(b"\xe3");
    let one = hex(&format!("22 13 00 {ID} 01 61 70 01 62 80"));
    let mut count = 0;
    while app.machine.is_reading() {
        app.feed(&one);
        count += 1;
    }
    assert!((100..300).contains(&count), "{count} unread messages of one byte");
    let last = app.messages.len() - 1;
    for at in 0..=last {
        app.read(app.messages[at].number, Part::Stream, 1);
    }
    assert!(app.machine.is_reading() && app.messages.iter().all(super::app::Received::is_whole));
}

#[test]
fn who_reads_slowly_is_not_disturbed_and_who_reads_nothing_is_told_in_the_end() {
    let mut app = reader(10_000);
    let number = app.messages[0].number;
    app.read(number, Part::Stream, 1);
    app.feed(&stream(20_000));
    app.wait_until(app.now + 1000 * SECOND);
    assert_eq!(app.closed, None, "its peer cannot say anything meanwhile");
    app.sent();
    app.read(number, Part::Stream, 20_000);
    assert!(app.machine.is_reading());
    app.wait_until(app.now + 59 * SECOND);
    assert_eq!(app.closed, None, "time begins anew");
    let mut app = reader(10_000);
    app.feed(&stream(20_000));
    app.wait_until(app.now + 59 * SECOND);
    assert_eq!(app.closed, None);
    app.wait_until(app.now + SECOND);
    let ended = r#"message 00 "a" ? stream … aborted with the connection"#;
    let why = "closed: 20512 bytes of messages wait unread: read them, or call discard()";
    assert_eq!(app.describe(), format!("{ended}; {why}"));
}

#[test]
fn lengths_that_are_announced_cost_nothing() {
    let mut app = App::new(Config::default());
    app.is_eager = false;
    app.feed(b"\xe3");
    for channel in 0..4096_u16 {
        // 2^48 - 1 bytes of data, 2^24 - 1 files, and a packet of 4 GiB.
        app.feed(&(0x1000 | channel).to_be_bytes());
        app.feed(&hex(&format!("23 1e f0 {ID} 01 61 ffffffffffff ffffff ffff")));
    }
    app.feed(&hex("ec ffffffff 61"));
    assert_eq!(app.closed, None);
    assert!(app.machine.is_reading());
}

#[test]
fn connections_of_one_server_share_a_budget_and_each_has_room_for_a_little() {
    let budget = Budget::new(1 << 20);
    let open = || {
        let mut app = App::opened_within(&budget);
        app.is_eager = false;
        app.feed(&hex(&format!("23 13 00 {ID} 01 61")));
        app
    };
    let (mut hog, mut neighbour, mut waiting) = (open(), open(), open());
    waiting.feed(&stream(300_000));
    assert!(waiting.machine.is_reading());
    (0..8).for_each(|_| hog.feed(&stream(100_000)));
    assert!(budget.held() >= 1_100_000 && !hog.machine.is_reading());
    neighbour.feed(&stream(200_000));
    assert!(neighbour.machine.is_reading(), "there is room for a little");
    neighbour.feed(&stream(100_000));
    assert!(!neighbour.machine.is_reading());
    // This one learns of it by looking. Its peer is not silent: it is not heard.
    assert!(!waiting.machine.is_reading());
    waiting.wait_until(waiting.now + 70 * SECOND);
    assert!(waiting.closed.as_ref().is_some_and(Option::is_some), "nobody reads anything of it");
    neighbour.wait_until(neighbour.now + 50 * SECOND);
    neighbour.read(neighbour.messages[0].number, Part::Stream, 30_000);
    neighbour.wait_until(neighbour.now + 70 * SECOND);
    assert!(neighbour.closed.is_none() && !neighbour.machine.is_reading(), "it is being read, slowly");
    drop((hog, waiting));
    assert!(neighbour.machine.is_reading(), "others have made room");
    let beat = neighbour.machine.poll_timeout().expect("looks again");
    assert!(beat <= neighbour.now + SECOND);
    neighbour.wait_until(neighbour.now + SECOND);
    neighbour.feed(&stream(200_000));
    drop(neighbour);
    assert_eq!(budget.held(), 0, "all is given back");
}

#[test]
fn unfinished_headers_count_and_are_short_while_there_is_no_room() {
    let budget = Budget::new(1 << 20);
    let mut hog = App::opened_within(&budget);
    hog.is_eager = false;
    hog.feed(&hex(&format!("23 13 00 {ID} 01 61")));
    hog.feed(&stream(1 << 20));
    let mut stranger = App::opened_within(&budget);
    let before = budget.held();
    // Half of a header with a long action, on one channel and then on another.
    let half = [&hex(&format!("02 {ID} ffff"))[..], &[b'a'; 40_000]].concat();
    let packet = [&[0x28][..], &half.len().to_le_bytes()[..3], &half].concat();
    stranger.feed(&packet);
    assert!(stranger.closed.is_none() && budget.held() > before + 40_000);
    stranger.feed(&[&[0x01][..], &packet].concat());
    let text = "closed: unfinished headers of more than 65536 bytes";
    assert_eq!((stranger.describe(), budget.held()), (text.to_owned(), before));
}
