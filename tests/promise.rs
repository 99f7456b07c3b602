//! The promise is printed where users read it, word for word.

use std::path::Path;

/// As decided; a change here is a change of what the project is.
const PROMISE: &str = "while both endpoints live and the session is not declared broken, every accepted message is delivered exactly once and in order; `send()` resolves when the peer's endpoint has taken it; if the session breaks, both sides are told, with the messages not known to be delivered. Volatile messages: at most once, in order among the delivered. Request: at most once per attempt unless the caller asks for retry with an idempotency id. Broadcast: per-socket promise, no global order.";

#[test]
fn the_readme_and_the_page_on_reliability_carry_the_promise_word_for_word() {
    for name in ["README.md", "docs/internals/reliability.md"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let text = std::fs::read_to_string(path).expect("the page is there");
        // Lines may be broken anywhere, and quoted.
        let words = text.replace("\n> ", " ").split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.to_lowercase().contains(&PROMISE.to_lowercase()), "{name} must say: {PROMISE}");
    }
}

/// Not kept: what a fuzzer leaves where it ran.
const MADE_BY_A_FUZZER: &str = "fuzz/artifacts";

#[test]
fn every_test_that_the_page_on_reliability_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page =
        std::fs::read_to_string(root.join("docs/internals/reliability.md")).expect("the page is there");
    let mut named = 0;
    for code in page.split('`').skip(1).step_by(2) {
        let is_path =
            ["tests/", "__test__/", "src/", "scripts/", "fuzz/"].iter().any(|start| code.starts_with(start));
        if is_path && !code.contains('*') && code != MADE_BY_A_FUZZER {
            let path = code.split([' ', ':']).next().unwrap_or_default();
            assert!(root.join(path).exists(), "docs/internals/reliability.md names {path}");
            named += 1;
        }
    }
    assert!(named > 20, "{named}");
}
