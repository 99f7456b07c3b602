//! What is found, and what looking costs.

use super::*;
use proptest::prelude::*;

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).expect(text)
}

fn matches(interest: &Interest<usize>, subject: &str) -> Vec<String> {
    let mut found = Vec::new();
    interest.for_each_match(subject, |pattern, _| found.push(pattern.to_string()));
    found.sort();
    found
}

#[test]
fn removing_one_pattern_leaves_its_longer_neighbour() {
    // conat.md 10.14: after set("a.b"), set("a.b.c"), delete("a.b"), the original still matched a.b.
    let mut interest = Interest::new();
    for text in ["a.b", "a.b.c", "__proto__.x"] {
        interest.get_or_insert_with(&pattern(text), || 1);
    }
    assert_eq!(interest.remove(&pattern("a.b")), Some(1));
    assert_eq!(interest.remove(&pattern("a.b")), None);
    assert!(matches(&interest, "a.b").is_empty());
    assert_eq!(matches(&interest, "a.b.c"), ["a.b.c"]);
    assert_eq!(interest.len(), 2);
}

#[test]
fn removing_everything_leaves_nothing_behind() {
    let mut interest = Interest::new();
    let patterns = ["a.b.c", "a.*.c", "a.>", ">", "*"];
    for text in patterns {
        interest.get_or_insert_with(&pattern(text), || 1);
    }
    for text in patterns {
        interest.remove(&pattern(text));
    }
    assert!(interest.is_empty() && interest.index.literals.is_empty() && interest.index.rest.is_empty());
}

/// The steps of one look.
fn steps(interest: &Interest<usize>, subject: &str) -> u64 {
    let before = interest.steps();
    interest.for_each_match(subject, |_, _| {});
    interest.steps() - before
}

#[test]
fn patterns_that_nearly_match_cost_no_more_than_their_shapes() {
    let mut interest = Interest::new();
    let near = |text: &str| format!("{text}.{}.b", vec!["a"; 500].join("."));
    let subject = near("own.a.a.a.a.a.a.a.a.a").replace(".b", ".a");
    for n in 0..512 {
        let wild = |bit: u32| if n >> bit & 1 == 1 { "*" } else { "a" };
        let beginning: Vec<_> = (0..9).map(wild).collect();
        interest.get_or_insert_with(&pattern(&near(&format!("own.{}", beginning.join(".")))), || 1);
    }
    // All arrangements of up to nine stars, of 4.5 on average; a walk over the tokens took 260 000 steps.
    let all = steps(&interest, &subject);
    assert_eq!(all, 1 + 511 + 9 * 256);
    for n in 0..2000 {
        interest.get_or_insert_with(&pattern(&near(&format!("own.*.a.a.a.a.a.a.a.x{n}"))), || 1);
    }
    assert_eq!(steps(&interest, &subject), all, "more patterns of the same shapes cost nothing");
    assert_eq!(steps(&interest, "own.a"), 1, "nor do shapes that cannot match");
}

proptest! {
    #[test]
    fn a_look_takes_as_many_steps_as_the_shapes_of_all_patterns_cost_at_most(
        patterns in prop::collection::vec("([ab*]\\.){0,5}([ab*>])", 0..60),
        subject in "([ab]\\.){0,6}[ab]",
    ) {
        let patterns: Vec<Pattern> = patterns.iter().filter_map(|text| Pattern::parse(text).ok()).collect();
        let mut interest = Interest::new();
        for pattern in &patterns {
            interest.get_or_insert_with(pattern, || 1);
        }
        let shapes: std::collections::HashSet<Shape> = patterns.iter().map(Shape::of).collect();
        let bound = 1 + shapes.iter().map(|shape| shape.cost() as u64).sum::<u64>();
        prop_assert!(steps(&interest, &subject) <= bound);
    }

    #[test]
    fn matches_come_in_a_fixed_order(
        patterns in prop::collection::hash_set("([ab*]\\.){0,3}([ab*>])", 0..20),
        subject in "([ab]\\.){0,3}[ab]",
    ) {
        let mut interest = Interest::new();
        for text in &patterns {
            interest.get_or_insert_with(&pattern(text), || 1);
        }
        let mut found = Vec::new();
        interest.for_each_match(&subject, |pattern, _| found.push(pattern.to_string()));
        let mut sorted = found.clone();
        // Literal, `*`, `>`: as if these two were the last letters.
        sorted.sort_by_key(|text| text.replace('*', "y").replace('>', "z"));
        prop_assert_eq!(found, sorted);
    }

    #[test]
    fn a_route_is_what_a_walk_finds_however_often_it_is_asked_for_and_whatever_changes_between(
        patterns in prop::collection::vec("([ab*]\\.){0,2}([ab*>])", 1..12),
        steps in prop::collection::vec((any::<prop::sample::Index>(), 0..4_u8, "([ab]\\.){0,2}[ab]"), 0..60),
    ) {
        let mut interest = Interest::new();
        for (index, what, text) in steps {
            let pattern = Pattern::parse(&patterns[index.index(patterns.len())]).expect("valid");
            match what {
                0 => *interest.get_or_insert_with(&pattern, || 0) += 1,
                1 => drop(interest.remove(&pattern)),
                _ => {}
            }
            let subject = Subject::parse(&text).expect("valid");
            let mut walked = Vec::new();
            interest.for_each_match(&text, |pattern, value| walked.push((pattern.clone(), *value)));
            for _ in 0..3 {
                let route = interest.route(&subject);
                let routed: Vec<_> = interest.on(&route).map(|(pattern, value)| (pattern.clone(), *value)).collect();
                prop_assert_eq!(&routed, &walked);
            }
        }
    }

    #[test]
    fn it_finds_what_a_walk_over_all_patterns_finds(
        patterns in prop::collection::hash_set("([ab*]\\.){0,3}([ab*>])", 0..20),
        removed in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
        subject in "([ab>]\\.){0,4}[ab]",
    ) {
        let mut all: Vec<Pattern> = patterns.iter().filter_map(|text| Pattern::parse(text).ok()).collect();
        let mut interest = Interest::new();
        for pattern in &all {
            interest.get_or_insert_with(pattern, || 0);
        }
        for index in removed {
            if !all.is_empty() {
                let gone = all.swap_remove(index.index(all.len()));
                prop_assert!(interest.remove(&gone).is_some());
            }
        }
        let mut naive: Vec<String> = all.iter().filter(|p| p.matches(&subject)).map(Pattern::to_string).collect();
        naive.sort();
        prop_assert_eq!(matches(&interest, &subject), naive);
    }
}
