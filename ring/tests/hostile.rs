//! Processes that may write a ring's files and mean no good: truncation, bytes that make no sense, a full /dev/shm.
//!
//! Each test starts this program again as its children; `child_entry` is where those begin.

#[path = "processes/child.rs"]
mod child;
#[path = "hostile/full.rs"]
mod full;
#[path = "hostile/scribbled.rs"]
mod scribbled;
#[path = "hostile/truncated.rs"]
mod truncated;
#[path = "hostile/words.rs"]
mod words;

/// A child begins here. Started by the test runner itself it does nothing.
#[test]
fn child_entry() {
    let Some((role, words)) = child::role() else { return };
    match role.as_str() {
        "full" => full::play(&words),
        "sweep" => full::sweep(),
        "swept" => full::swept(),
        "starved" => scribbled::starve(&words),
        "blind" => scribbled::play(&words),
        _ => truncated::play(&role, &words),
    }
}
