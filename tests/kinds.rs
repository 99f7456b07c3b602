//! One table of the kinds that cross the boundary (`src/boundary/kinds.rs`): what JavaScript reads, and what
//! the documentation explains, are those.
//!
//! `npm run kinds` writes `lib/engine/kinds.ts` anew.

use std::collections::HashSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use selvedge::boundary::kinds::{COMMANDS, EVENTS, OPERATIONS, Table};

const WRITES: &str = "WRITE_KINDS";
const HEAD: &str = "// Written by `npm run kinds` from src/boundary/kinds.rs; tests/kinds.rs compares the two.\n\
    // A kind is the number of its system, then its own: one byte each (docs/internals/boundary.md).\n";

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Returns the words of a name like `SocketWrite`.
fn words(name: &str, join: char) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(join);
        }
        words.extend(letter.to_lowercase());
    }
    words
}

fn typescript() -> String {
    let mut text = HEAD.to_owned();
    for (title, tables) in [("Commands", COMMANDS), ("Events", EVENTS)] {
        for (system, rows) in tables {
            let _ = write!(text, "\n// {title} of system {} ({system:?})\n", *system as u8);
            for (name, number) in *rows {
                let constant = words(name, '_').to_uppercase();
                let _ = writeln!(text, "export const {constant} = 0x{:02x}{number:02x}", *system as u8);
            }
        }
    }
    for (system, rows) in OPERATIONS {
        let _ = write!(text, "\n// Operations of {system:?}\n");
        for (name, number) in *rows {
            let _ = writeln!(text, "export const {} = {number}", words(name, '_').to_uppercase());
        }
    }
    text
}

#[test]
fn javascript_has_the_kinds_of_the_engine() {
    let path = file("lib/engine/kinds.ts");
    if std::env::var_os(WRITES).is_some() {
        std::fs::write(&path, typescript()).expect("written");
    }
    let found = std::fs::read_to_string(&path).expect("lib/engine/kinds.ts is there");
    assert_eq!(found, typescript(), "run `npm run kinds`");
}

#[test]
fn no_name_and_no_number_stands_for_two_kinds() {
    let tables = || COMMANDS.iter().chain(EVENTS).chain(OPERATIONS);
    let names: Vec<_> = tables().flat_map(|(_, rows)| rows.iter().map(|(name, _)| *name)).collect();
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "{names:?}");
    for (system, rows) in tables() {
        let numbers: HashSet<_> = rows.iter().map(|(_, number)| *number).collect();
        assert_eq!(numbers.len(), rows.len(), "{system:?}");
    }
}

#[test]
fn every_kind_has_its_row_in_the_documentation_and_every_row_its_kind() {
    let page = std::fs::read_to_string(file("docs/internals/boundary.md")).expect("the page is there");
    for (title, tables) in [("## Commands", COMMANDS), ("## Events", EVENTS)] {
        let section = page.split(title).nth(1).expect("the section is there").split("\n## ").next();
        let rows: Vec<_> = section
            .into_iter()
            .flat_map(str::lines)
            .filter_map(|line| line.strip_prefix("| ")?.split(" |").next())
            .filter(|name| *name != "name" && !name.starts_with("---"))
            .map(str::to_owned)
            .collect();
        assert_eq!(sorted(rows), sorted(names(tables)), "the rows below {title:?}");
    }
}

fn names(tables: &[Table]) -> Vec<String> {
    tables.iter().flat_map(|(_, rows)| rows.iter().map(|(name, _)| words(name, ' '))).collect()
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}
