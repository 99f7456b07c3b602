//! Does one scenario for so many messages, and nothing else: what scripts/instructions.mjs runs under
//! valgrind. Without arguments it lists the scenarios.

mod scenarios;

fn main() {
    // `cargo bench` adds flags of its own.
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    match &arguments[..] {
        [] => scenarios::names().into_iter().for_each(|name| println!("{name}")),
        [name, messages] => {
            let mut work = scenarios::prepare(name).expect("a name from the list");
            work(messages.parse().expect("how many messages"));
            // What is kept in the end is counted as well.
            std::mem::forget(work);
        }
        _ => panic!("usage: work [SCENARIO MESSAGES]"),
    }
}
