//! The wall between the rooms: nothing imports from a room below its own, and tokio and napi stay where they
//! belong.

mod circles;
mod code;

use std::{collections::HashSet, fs, path::Path};

use code::{imports, is_word, names_crate, paths_in, sources, without_comments};

/// Top down. Rooms on one floor do not know each other. A room that is not here fails the test.
const FLOORS: [&[&str]; 10] = [
    &["base"],
    &["subject"],
    &["wire"],
    &["link"],
    &["socket", "client", "broker", "sockety"],
    &["endpoint"],
    &["boundary"],
    &["transport"],
    &["runtime"],
    &["node"],
];
/// Rooms that may import from fewer rooms than all those above them.
const NARROW: [(&str, &[&str]); 3] = [
    ("transport", &["base", "subject", "wire", "link"]),
    ("link", &["base", "wire"]),
    ("sockety", &["base", "wire", "link"]),
];
/// Parts of a room that know only these other parts of it: protocols do not know each other. What NATS
/// carries for sockets is the body of our own frames.
const WITHIN: [(&str, &[&str]); 4] = [
    ("wire/conat", &["wire/message"]),
    ("wire/fabric", &["wire/message"]),
    ("wire/nats", &["wire/message", "wire/fabric"]),
    ("wire/sockety", &["wire/message"]),
];
/// Foreign crates, and the only rooms that may name them.
const FENCED: [(&str, &[&str]); 14] = [
    ("tokio", &["transport", "runtime"]),
    ("tokio_tungstenite", &["transport"]),
    ("async_nats", &["transport"]),
    ("httparse", &["transport"]),
    ("mio", &["transport"]),
    ("ring", &["base", "transport"]),
    ("rmpv", &["socket"]),
    ("rustls", &["transport"]),
    ("socket2", &["transport"]),
    ("tokio_rustls", &["transport"]),
    ("tracing_subscriber", &["runtime"]),
    ("libloading", &["node"]),
    ("napi", &["node"]),
    ("napi_derive", &["node"]),
];

#[test]
fn every_import_goes_up_and_every_crate_stays_in_its_room() {
    let mut faults = Vec::new();
    for (path, code) in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let room = path.split('/').next().unwrap_or_default().trim_end_matches(".rs");
        if room == "lib" {
            continue; // the list of rooms
        }
        let Some(floor) = FLOORS.iter().position(|floor| floor.contains(&room)) else {
            faults.push(format!("{path}: unknown room '{room}'"));
            continue;
        };
        let above = FLOORS[..floor].concat();
        let allowed = NARROW.iter().find(|(name, _)| *name == room).map_or(&above[..], |(_, rooms)| rooms);
        let imports = imports(&code);
        for import in imports.iter().map(|path| path.split("::").next().unwrap_or_default()) {
            if import != room && !allowed.contains(&import) {
                faults.push(format!("{path}: {room} must not import from {import}"));
            }
        }
        if let Some((part, others)) = WITHIN.iter().find(|(part, _)| path.starts_with(&format!("{part}/"))) {
            let in_room = imports.iter().map(|path| path.replace("::", "/"));
            for import in in_room.filter(|import| import.starts_with(&format!("{room}/"))) {
                let is_in = |part: &str| import == part || import.starts_with(&format!("{part}/"));
                if !is_in(part) && !others.iter().any(|other| is_in(other)) {
                    faults.push(format!("{path}: {part} must not import {import}"));
                }
            }
        }
        for (name, rooms) in FENCED {
            if !rooms.contains(&room) && names_crate(&code, name) {
                faults.push(format!("{path}: {name} belongs in {}", rooms.join(" and ")));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn only_the_timer_waits_for_time() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let names_time = |path: &String| path == "time" || path.starts_with("time::");
    let faults: Vec<String> = sources(&root)
        .into_iter()
        .filter(|(path, _)| path != TIMER && !path.contains("/tests"))
        .filter(|(_, code)| paths_in("tokio", code).iter().any(names_time))
        .map(|(path, _)| {
            format!("{path}: when something is due is decided by a machine; {TIMER} waits for it")
        })
        .collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
    let code = "use tokio::{sync::Notify, time::{sleep, timeout}};\ntokio::select!{}";
    assert!(paths_in("tokio", code).iter().any(names_time), "the search sees nested imports");
    assert!(!paths_in("tokio", "use tokio::{io, net::TcpStream};").iter().any(names_time));
}

/// The clock and the timers.
const TIMER: &str = "transport/timer.rs";

#[test]
fn every_source_file_is_part_of_the_crate() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let all = sources(&root);
    let is_named = |path: &str| {
        let stem = path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
        stem == "lib" || stem == "mod" || all.iter().any(|(_, code)| names_module(code, stem))
    };
    let dead: Vec<_> = all.iter().map(|(path, _)| path).filter(|path| !is_named(path)).collect();
    assert!(dead.is_empty(), "no `mod` names these files: {dead:?}");
}

/// Returns whether the code has `mod name;`, or a module whose `path` is that file.
fn names_module(code: &str, name: &str) -> bool {
    code.contains(&format!("mod {name};")) || code.contains(&format!("path = \"{name}.rs\""))
}

#[test]
fn the_wall_sees_every_form_of_an_import() {
    let code = without_comments(
        "use crate::wire::Op; // crate::node\nuse crate::{\n  subject::{Subject, Pattern},\n  socket::Seq,\n};\nfn f() -> crate::client::Id {}",
    );
    let found = ["wire::Op", "subject::Subject", "subject::Pattern", "socket::Seq", "client::Id"];
    assert_eq!(imports(&code), found);
    let nested =
        "use crate::wire::{self, message::{Json, headers::{SEQ, self}}, fabric};\ncrate::wire::split(raw)";
    let found = ["wire", "wire::message::Json", "wire::message::headers::SEQ", "wire::message::headers"];
    assert_eq!(imports(nested), [&found[..], &["wire::fabric", "wire::split"]].concat());
    assert!(names_crate("use tokio::time;", "tokio") && names_crate("#[napi(catch_unwind)]", "napi"));
    assert!(!names_crate("let tokio_like = my_tokio::x;", "tokio"));
}

#[test]
fn the_codes_of_errors_are_in_one_table_and_each_is_used() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let table = fs::read_to_string(root.join("base/code.rs")).expect("the table is there");
    let rows: Vec<(&str, &str)> = table
        .lines()
        .filter_map(|line| line.trim().strip_suffix("\",")?.split_once(" = \""))
        .filter(|(name, _)| name.chars().all(is_word))
        .collect();
    let mut faults = Vec::new();
    let mut used: HashSet<&(&str, &str)> = HashSet::new();
    for (path, code) in sources(&root) {
        let product = code.split("#[cfg(test)]").next().unwrap_or_default();
        if path == "base/code.rs" || path.contains("tests") {
            continue;
        }
        used.extend(rows.iter().filter(|(name, _)| names_code(product, name)));
        let texts = rows.iter().filter(|(_, text)| product.contains(&format!("\"{text}\"")));
        faults.extend(texts.map(|(name, text)| format!("{path}: {text} is Code::{name}")));
    }
    faults.extend(
        rows.iter().filter(|row| !used.contains(row)).map(|(name, _)| format!("nobody has Code::{name}")),
    );
    assert!(rows.len() > 25, "{rows:?}");
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

fn names_code(code: &str, name: &str) -> bool {
    code.match_indices(&format!("Code::{name}"))
        .any(|(at, found)| !code[at + found.len()..].starts_with(is_word))
}

#[test]
fn unsafe_code_is_in_the_node_room_only_and_says_why_it_is_sound() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut faults = Vec::new();
    let mut blocks = 0;
    for (path, _) in sources(&root) {
        let text = fs::read_to_string(root.join(&path)).expect("a source is UTF-8 text");
        for line in unsafe_lines(&text) {
            blocks += 1;
            if !path.starts_with("node/") {
                faults.push(format!("{path}:{line}: unsafe belongs in node"));
            }
            if !is_explained(&text, line) {
                faults.push(format!("{path}:{line}: unsafe without a SAFETY line above"));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
    assert!(blocks > 0, "the search finds none; there is one in node/session.rs");
}

#[test]
fn the_wall_sees_unsafe_code_and_its_reasons() {
    let text =
        "// unsafe in words\nlet a = is_unsafe;\n// SAFETY: because.\nunsafe { f() }\n\nunsafe fn g() {}\n";
    assert_eq!(unsafe_lines(text), [4, 6]);
    assert!(is_explained(text, 4) && !is_explained(text, 6));
}

#[test]
fn names_and_comments_keep_their_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut faults = Vec::new();
    for folder in ["src", "tests", "benches", "fuzz/src", "fuzz/fuzz_targets"] {
        for (path, code) in sources(&root.join(folder)) {
            let text = fs::read_to_string(root.join(folder).join(&path)).expect("a source is UTF-8 text");
            for (index, line) in text.lines().enumerate() {
                if line.trim_start().starts_with("//") && line.chars().count() > MAX_WIDTH {
                    faults.push(format!("{folder}/{path}:{}: a comment wider than {MAX_WIDTH}", index + 1));
                }
            }
            faults.extend(changing_questions(&code).map(|name| {
                format!(
                    "{folder}/{path}: {name} changes what it asks about: call it try_{name}, or what it does"
                )
            }));
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn files_are_named_after_things_and_not_after_doing() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let stem = |path: &str| path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs").to_owned();
    let is_doing = |path: &String| stem(path).ends_with("ing") && !THINGS.contains(&&*stem(path));
    let all = sources(&root).into_iter().map(|(path, _)| path);
    let faults: Vec<String> = all.filter(|path| !path.contains("/tests") && is_doing(path)).collect();
    assert!(faults.is_empty(), "what do these files hold? {faults:?}");
    assert!(is_doing(&"broker/machine/authorizing.rs".to_owned()) && !is_doing(&"a/binding.rs".to_owned()));
}

/// Names that end like it, and are things: one half of a connection, and what a socket is bound to.
const THINGS: [&str; 3] = ["binding", "incoming", "outgoing"];

#[test]
fn a_question_that_changes_something_is_seen() {
    let code = "pub fn is_open(SELF) -> bool {\nfn has_room<T>(\n  SELF,\nfn is_free(&self)\nfn this(SELF)";
    let code = &code.replace("SELF", "&mut self");
    assert_eq!(changing_questions(code).collect::<Vec<_>>(), ["is_open", "has_room"]);
}

/// Names of methods that read as questions and take `&mut self`.
fn changing_questions(code: &str) -> impl Iterator<Item = &str> {
    code.split("fn ").skip(1).filter_map(|rest| {
        let name = rest.split(|c| !is_word(c)).next()?;
        let receiver = rest.split_once('(')?.1.trim_start();
        let is_question = ["is_", "has_", "takes_", "can_"].iter().any(|prefix| name.starts_with(prefix));
        (is_question && receiver.starts_with("&mut self")).then_some(name)
    })
}

/// Columns of a comment; code is wrapped by rustfmt at the same width.
const MAX_WIDTH: usize = 110;

/// Lines (from 1) with the keyword, outside of comments, lint names and texts.
fn unsafe_lines(text: &str) -> Vec<usize> {
    let has = |line: &str| {
        let code = line.split("//").next().unwrap_or_default();
        let mut words = code.split(|c| !is_word(c));
        !code.contains('"') && !code.trim_start().starts_with("#!") && words.any(|word| word == "unsafe")
    };
    text.lines().enumerate().filter(|(_, line)| has(line)).map(|(index, _)| index + 1).collect()
}

/// Returns whether the comment right above line `line` (from 1) gives the reason.
fn is_explained(text: &str, line: usize) -> bool {
    let above: Vec<&str> = text.lines().take(line - 1).collect();
    let comment = above.iter().rev().take_while(|line| line.trim_start().starts_with("//"));
    comment.into_iter().any(|line| line.trim_start().starts_with("// SAFETY: "))
}
