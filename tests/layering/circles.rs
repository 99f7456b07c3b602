//! Files import each other in one direction only.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::code::{expand, is_word, sources};

#[test]
fn no_files_import_each_other_in_a_circle() {
    let all = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let circle = circle(&all);
    assert!(circle.is_empty(), "these import each other in a circle: {}", circle.join(" -> "));
}

#[test]
fn a_circle_is_seen() {
    let files = |list: &[(&str, &str)]| -> Vec<(String, String)> {
        list.iter().map(|(path, code)| (path.to_string(), code.to_string())).collect()
    };
    let tree = [
        ("a/mod.rs", "mod b; mod c; mod d;"),
        ("a/b.rs", "use super::c::{C, d};"),
        ("a/c.rs", "use crate::a::d::D;"),
        ("a/d.rs", "use super::super::a::b::B;"),
        ("e.rs", "use crate::a::b::B;"),
    ];
    assert_eq!(circle(&files(&tree)), ["a/b.rs", "a/c.rs", "a/d.rs", "a/b.rs"]);
    // A part may use what its own module has.
    let whole = [("a.rs", "mod b; use b::B;"), ("a/b.rs", "use super::A; use crate::a::A;")];
    assert!(circle(&files(&whole)).is_empty());
    assert!(circle(&files(&tree[..3])).is_empty());
}

/// Returns the files of a circle, the first one again at its end; of none, nothing.
fn circle(files: &[(String, String)]) -> Vec<String> {
    let modules: BTreeMap<Vec<&str>, &str> =
        files.iter().map(|(path, _)| (module_of(path), path.as_str())).collect();
    let arrows: BTreeMap<&str, BTreeSet<&str>> = files
        .iter()
        .filter(|(path, _)| !path.contains("tests"))
        .map(|(path, code)| (path.as_str(), targets(&module_of(path), code, &modules)))
        .collect();
    let mut done = BTreeSet::new();
    for file in arrows.keys() {
        let mut way = Vec::new();
        if walk(file, &arrows, &mut way, &mut done) {
            return way.into_iter().map(str::to_owned).collect();
        }
    }
    Vec::new()
}

/// Walks on from `file`. Returns whether the way, from its first file, has come back to that.
fn walk<'a>(
    file: &'a str,
    arrows: &BTreeMap<&'a str, BTreeSet<&'a str>>,
    way: &mut Vec<&'a str>,
    done: &mut BTreeSet<&'a str>,
) -> bool {
    if let Some(start) = way.iter().position(|before| *before == file) {
        way.drain(..start);
        way.push(file);
        return true;
    }
    if !done.insert(file) {
        return false;
    }
    way.push(file);
    if arrows.get(file).into_iter().flatten().any(|next| walk(next, arrows, way, done)) {
        return true;
    }
    way.pop();
    false
}

/// Returns the files that `code` names, but for those which the file at `module` is a part of.
fn targets<'a>(module: &[&str], code: &str, modules: &BTreeMap<Vec<&'a str>, &'a str>) -> BTreeSet<&'a str> {
    paths(module, code)
        .iter()
        .filter_map(|path| {
            let path: Vec<&str> = path.split("::").collect();
            let known = (1..=path.len()).rev().find(|len| modules.contains_key(&path[..*len]))?;
            (!module.starts_with(&path[..known])).then(|| modules[&path[..known]])
        })
        .collect()
}

/// Returns the paths behind `crate::` and `super::`, from the root of the crate.
fn paths(module: &[&str], code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (root, above) in [("crate::", module.len()), ("super::", 1)] {
        for (at, _) in code.match_indices(root) {
            if code[..at].ends_with(|c| is_word(c) || c == ':') {
                continue;
            }
            let (mut rest, mut above) = (&code[at + root.len()..], above);
            while let Some(further) = rest.strip_prefix("super::") {
                (rest, above) = (further, above + 1);
            }
            let prefix = module[..module.len().saturating_sub(above)].join("::");
            expand(rest, &prefix, &mut found);
        }
    }
    found
}

fn module_of(path: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
    if matches!(parts.last(), Some(&("mod" | "lib"))) {
        parts.pop();
    }
    parts
}
