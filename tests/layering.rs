//! The wall between the rooms: nothing imports from a room below its own, and tokio and napi stay where they
//! belong.

use std::{fs, path::Path};

/// Top down. Rooms on one floor do not know each other. A room that is not here fails the test.
const FLOORS: [&[&str]; 8] = [
    &["base"],
    &["subject"],
    &["wire"],
    &["socket", "client", "broker"],
    &["endpoint"],
    &["transport"],
    &["runtime"],
    &["node"],
];
/// Rooms that may import from fewer rooms than all those above them.
const NARROW: [(&str, &[&str]); 1] = [("transport", &["base", "subject", "wire"])];
/// Foreign crates, and the only rooms that may name them.
const FENCED: [(&str, &[&str]); 9] = [
    ("tokio", &["transport", "runtime"]),
    ("tokio_tungstenite", &["transport"]),
    ("mio", &["transport"]),
    ("rustls", &["transport"]),
    ("socket2", &["transport"]),
    ("tokio_rustls", &["transport"]),
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
        for import in imports(&code) {
            if import != room && !allowed.contains(&import) {
                faults.push(format!("{path}: {room} must not import from {import}"));
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
fn the_wall_sees_every_form_of_an_import() {
    let code = without_comments(
        "use crate::wire::Op; // crate::node\nuse crate::{\n  subject::{Subject, Pattern},\n  socket::Seq,\n};\nfn f() -> crate::client::Id {}",
    );
    assert_eq!(imports(&code), ["wire", "subject", "socket", "client"]);
    assert!(names_crate("use tokio::time;", "tokio") && names_crate("#[napi(catch_unwind)]", "napi"));
    assert!(!names_crate("let tokio_like = my_tokio::x;", "tokio"));
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

/// Returns what follows each `crate::`; of `crate::{a, b::{c, d}}` it is `a` and `b`.
fn imports(code: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for rest in code.split("crate::").skip(1) {
        let mut depth = 0;
        let mut expected = true;
        for (at, c) in rest.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => {
                    depth -= 1;
                    expected = false;
                }
                ',' if depth == 1 => expected = true,
                _ if expected && is_word(c) => {
                    found.push(rest[at..].split(|c| !is_word(c)).next().unwrap_or_default());
                    expected = false;
                }
                _ => {}
            }
            if depth <= 0 && !expected {
                break;
            }
        }
    }
    found
}

/// Returns whether the code names a crate as a path (`tokio::…`), an import (`use tokio;`) or an attribute
/// (`#[napi]`).
fn names_crate(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + name.len()..]);
        let alone = !before.ends_with(is_word) && !after.starts_with(is_word);
        alone && (after.starts_with("::") || before.ends_with("use ") || before.ends_with("#["))
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn without_comments(code: &str) -> String {
    code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// Every source file: its path below the root, and its code.
fn sources(root: &Path) -> Vec<(String, String)> {
    let mut folders = vec![root.to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("src/ can be listed") {
            let path = entry.expect("an entry can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name =
                    path.strip_prefix(root).expect("it is in src/").to_string_lossy().replace('\\', "/");
                let code = fs::read_to_string(&path).expect("a source is UTF-8 text");
                found.push((name, without_comments(&code)));
            }
        }
    }
    found.sort();
    found
}
