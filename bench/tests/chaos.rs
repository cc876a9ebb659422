//! Small storms: the promises are kept, and a check that finds a broken one says which, with the seed.

mod common;

use std::process::Output;

use common::{json, run, text};

/// A storm of two seconds over four clients, which leaves nothing behind.
fn storm(more: &[&str]) -> Output {
    let mut args = vec!["chaos", "--clients", "4", "--seconds", "2", "--every", "300"];
    args.extend(more);
    let (output, left) = run(&args);
    assert_eq!(left, Vec::<String>::new());
    output
}

#[test]
fn a_storm_breaks_no_promise() {
    let output = storm(&["--seed", "7", "--server-kills", "1", "--json"]);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let json = json(&output);
    assert_eq!(json["holds"], true);
    assert!(json["tally"]["heard"].as_u64().unwrap() > 0, "{json}");
    let count = |what: &str| json["counts"][what].as_u64().unwrap_or(0);
    assert!(count("kill") + count("kill_at_point") > 0, "{json}");
    assert!(count("stop") + count("stop_at_point") > 0, "{json}");
    assert_eq!(count("server_kill") + count("server_kill_at_point"), 1);
}

#[test]
fn every_way_to_spoil_a_storm_is_found() {
    let ways = [
        ("loss", "missing"),
        ("dup", "twice"),
        ("reorder", "out of order"),
        ("change", "changed"),
        ("invent", "nobody has sent"),
        ("direct", "acknowledged"),
    ];
    for (spoil, word) in ways {
        let output = storm(&["--seed", "3", "--rate", "200", "--spoil", spoil]);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(1), "{spoil}: {out}{err}");
        assert!(err.contains("seed 3"), "{err}");
        assert!(out.contains(word) && out.contains("What was done"), "{spoil}: {out}");
    }
}

#[test]
fn a_seed_is_a_schedule() {
    let schedule = |seed: &str| {
        let output = storm(&["--seed", seed, "--schedule"]);
        assert!(output.status.success());
        text(&output.stdout)
    };
    assert_eq!(schedule("5"), schedule("5"));
    assert_ne!(schedule("5"), schedule("6"));
}
