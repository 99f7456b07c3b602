//! Reads sources: which paths they name.

use std::fs;
use std::path::Path;

/// Returns the path behind each `crate::`; of `crate::{a, b::{c, d}}` these are `a`, `b::c` and `b::d`.
pub fn imports(code: &str) -> Vec<String> {
    paths_in("crate", code)
}

pub fn paths_in(root: &str, code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for rest in code.split(&format!("{root}::")).skip(1) {
        expand(rest, "", &mut found);
    }
    found
}

/// Appends the paths that begin at the front of `code`, each behind `prefix`. Returns what follows them.
pub fn expand<'a>(mut code: &'a str, prefix: &str, found: &mut Vec<String>) -> &'a str {
    if let Some(mut list) = code.strip_prefix('{') {
        loop {
            list = list.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
            if list.is_empty() || list.starts_with('}') {
                return list.strip_prefix('}').unwrap_or_default();
            }
            let rest = expand(list, prefix, found);
            // Whatever is no path (`as name`) is passed over.
            list = if rest.len() < list.len() {
                rest
            } else {
                &list[list.chars().next().map_or(1, char::len_utf8)..]
            };
        }
    }
    let end = code.find(|c| !is_word(c)).unwrap_or(code.len());
    let word = &code[..end];
    code = &code[end..];
    let path = match (prefix, word) {
        (_, "self") => prefix.to_owned(),
        ("", word) => word.to_owned(),
        _ => format!("{prefix}::{word}"),
    };
    match code.strip_prefix("::").filter(|rest| rest.starts_with(|c: char| c == '{' || is_word(c))) {
        Some(rest) => expand(rest, &path, found),
        None => {
            if !word.is_empty() {
                found.push(path);
            }
            code
        }
    }
}

/// Returns whether the code names a crate as a path (`tokio::…`), an import (`use tokio;`) or an attribute
/// (`#[napi]`).
pub fn names_crate(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + name.len()..]);
        let alone = !before.ends_with(is_word) && !after.starts_with(is_word);
        alone && (after.starts_with("::") || before.ends_with("use ") || before.ends_with("#["))
    })
}

pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

pub fn without_comments(code: &str) -> String {
    code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// Every source file: its path below the root, and its code.
pub fn sources(root: &Path) -> Vec<(String, String)> {
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
