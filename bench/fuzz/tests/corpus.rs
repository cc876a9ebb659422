//! Every target over its corpus, its seeds, and a seeded run of mutations of both. `HALYARD_FUZZ_SEED` makes it another
//! run, `HALYARD_FUZZ_TIMES` one that is so many times as long.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use halyard_fuzz::mutate::{Random, mutate};
use halyard_fuzz::{Target, targets};

/// Far longer than any input takes: one that takes so long never ends.
const FOREVER: Duration = Duration::from_secs(90);

/// Runs the target on each input. What makes it panic, or run for ever, is kept where it can be found.
fn run_all(target: Target, inputs: impl Iterator<Item = Vec<u8>>) -> usize {
    let kept = std::env::temp_dir().join(format!("halyard-fuzz-{}-{}", target.name, std::process::id()));
    let (begun, beat) = channel::<Option<Vec<u8>>>();
    let watch = kept.clone();
    let watcher = thread::spawn(move || {
        let mut now = Vec::new();
        loop {
            match beat.recv_timeout(FOREVER) {
                Ok(Some(input)) => now = input,
                Ok(None) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    let _ = fs::write(&watch, &now);
                    let _ =
                        writeln!(std::io::stderr(), "{} never ends: see {}", target.name, watch.display());
                    std::process::abort();
                }
            }
        }
    });
    let mut count = 0;
    for input in inputs {
        let _ = begun.send(Some(input.clone()));
        let result = std::panic::catch_unwind(|| (target.run)(&input));
        if let Err(panic) = result {
            fs::write(&kept, &input).unwrap();
            eprintln!("{} fails on {}: {}", target.name, kept.display(), input.escape_ascii());
            std::panic::resume_unwind(panic);
        }
        count += 1;
    }
    let _ = begun.send(None);
    watcher.join().unwrap();
    count
}

fn corpus(target: Target) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
    let mut paths: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// What the environment says, for a longer run or another one.
fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect(variable))
}

fn check(name: &str) {
    let target = targets().into_iter().find(|target| target.name == name).unwrap();
    let mut known = corpus(target);
    assert!(!known.is_empty(), "no corpus");
    known.extend((target.seeds)());
    assert_eq!(run_all(target, known.iter().cloned()), known.len());
    let mut random = Random(number("HALYARD_FUZZ_SEED", 1));
    // Half of the mutations are of what is known; the other half of what came of that, never far from it.
    let mut grown = known.clone();
    let mutations = u64::from(target.mutations) * number("HALYARD_FUZZ_TIMES", 1);
    let mutations = (0..mutations).map(|_| {
        let (one, other) = (random.below(known.len()), random.below(known.len()));
        let from = if random.below(2) == 0 { &known } else { &grown };
        let mut input = from[one].clone();
        mutate(&mut random, &mut input, &known[other]);
        grown[one].clone_from(if random.below(4) == 0 { &known[one] } else { &input });
        input
    });
    run_all(target, mutations);
}

#[test]
fn any_bytes_as_a_segment_are_refused_or_a_ring_that_does_no_harm() {
    check("segment");
}

#[test]
fn a_ring_whose_words_are_overwritten_answers_every_call() {
    check("slots");
}

#[test]
fn any_bytes_as_a_record_are_checked_before_they_are_believed() {
    check("record");
}

#[test]
fn fragments_in_any_order_make_whole_texts_or_none() {
    check("fragments");
}

#[test]
fn any_bytes_as_a_log_are_refused_by_line_or_understood() {
    check("log");
}

#[test]
fn any_records_in_a_reply_ring_leave_the_session_whole() {
    check("replies");
}

#[test]
fn any_records_in_the_control_ring_leave_the_server_at_work() {
    check("commands");
    halyard_fuzz::commands::stop();
}

#[test]
fn every_target_has_a_binary_and_every_binary_a_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz_targets");
    let mut binaries: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    let mut names: Vec<String> = targets().iter().map(|target| target.name.to_owned()).collect();
    binaries.sort();
    names.sort();
    assert_eq!(binaries, names);
}
