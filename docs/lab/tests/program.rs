//! The program as students and graders use it, real processes included.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn lab(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_halyard-lab"))
        .args(args)
        .current_dir(dir)
        .env_remove("HALYARD_LAB_DIR")
        .output()
        .expect("the program starts")
}

/// `clean`, where the compiled loom is kept in `cache`: the other tests want to keep theirs.
fn clean(dir: &Path, cache: &Path, loom: bool) -> Output {
    Command::new(env!("CARGO_BIN_EXE_halyard-lab"))
        .args(["clean", "--json"])
        .args(loom.then_some("--loom"))
        .current_dir(dir)
        .env("HALYARD_LAB_CACHE", cache)
        .output()
        .expect("the program starts")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(output)))
}

/// A folder with every starter.
fn started() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let output = lab(dir.path(), &["start", "."]);
    assert!(output.status.success(), "{}", text(&output));
    dir
}

fn solve(dir: &Path, folder: &str, file: &str) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("solutions").join(folder).join(file);
    fs::copy(from, dir.join(folder).join(file)).unwrap();
}

#[test]
fn a_failing_answer_names_a_seed_that_replays_the_failure() {
    let dir = started();
    let failed = lab(dir.path(), &["check", "1", "--json"]);
    assert_eq!(failed.status.code(), Some(1), "{}", text(&failed));
    let report = json(&failed);
    assert_eq!(report["passed"], false);
    let problem = &report["files"][0]["problem"];
    let seed = problem["seed"].as_str().expect("a seed");
    let replayed = lab(dir.path(), &["run", "1", "--seed", seed]);
    assert_eq!(replayed.status.code(), Some(1));
    let rule = format!("violated: {}", problem["rule"].as_str().unwrap());
    assert!(text(&replayed).contains(&rule), "{}", text(&replayed));
    let page = dir.path().join("page.html");
    let schedule = problem["schedule"].as_str().expect("a schedule");
    let traced = lab(dir.path(), &["trace", "1", "--schedule", schedule, "-o", page.to_str().unwrap()]);
    assert!(traced.status.success() && text(&traced).contains(&rule), "{}", text(&traced));
    assert!(fs::read_to_string(page).unwrap().contains("producer.2"));
}

#[test]
fn real_processes_bear_out_what_the_simulator_found() {
    let dir = started();
    for (folder, file) in
        [("02-bounded-buffer", "buffer.lab"), ("05-kill-9", "crash.lab"), ("05-kill-9", "robust.lab")]
    {
        solve(dir.path(), folder, file);
    }
    for lab_number in ["2", "5"] {
        let passed = lab(dir.path(), &["check", lab_number, "--json"]);
        assert_eq!(passed.status.code(), Some(0), "{}", text(&passed));
        let report = json(&passed);
        assert!(report["files"][0]["notes"].to_string().contains("3 runs with real processes"), "{report}");
    }
    let progress = json(&lab(dir.path(), &["progress", "--json"]));
    assert_eq!(progress["passed"], 2);
}

#[test]
fn a_deadlock_of_real_processes_is_seen_and_nothing_is_left_behind() {
    let dir = started();
    let output = lab(dir.path(), &["run", "2", "--rounds", "1", "--processes", "1", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let run = &json(&output)["processes"][0];
    assert_eq!(run["violation"][0], "deadlock", "{run}");
    let cleaned = json(&clean(dir.path(), dir.path(), true));
    assert_eq!(cleaned["removed"], serde_json::json!([]));
}

#[test]
fn a_script_that_cannot_be_read_says_where_and_what_to_do() {
    let dir = started();
    let file = dir.path().join("01-unguarded-ring/ring.lab");
    fs::write(&file, "ring 8\nthread producer * 2 {\n  wiat empty\n}\n").unwrap();
    let failed = lab(dir.path(), &["check", "1"]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(text(&failed).contains("line 3, column 3") && text(&failed).contains("did you mean `wait`?"));
    let run = lab(dir.path(), &["run", "1"]);
    assert_eq!(run.status.code(), Some(2), "{}", text(&run));
    assert!(text(&run).contains("3 |   wiat empty"), "{}", text(&run));
}

#[test]
fn outside_a_folder_of_answers_it_says_how_to_make_one() {
    let dir = tempfile::tempdir().unwrap();
    let output = lab(dir.path(), &["check", "1"]);
    assert_eq!(output.status.code(), Some(66));
    assert!(text(&output).contains("halyard-lab start DIR"), "{}", text(&output));
    let full = started();
    let again = lab(full.path(), &["start", "."]);
    assert_eq!(again.status.code(), Some(2), "answers must not be written over");
}

#[test]
fn hints_come_one_by_one_and_the_explanation_after_an_attempt() {
    let dir = started();
    assert_eq!(lab(dir.path(), &["reveal", "1"]).status.code(), Some(2));
    for count in [1, 2, 3, 3] {
        let hints = json(&lab(dir.path(), &["hint", "1", "--json"]));
        assert_eq!(hints["hints"].as_array().unwrap().len(), count);
    }
    lab(dir.path(), &["check", "1", "--no-real"]);
    assert_eq!(lab(dir.path(), &["reveal", "1"]).status.code(), Some(0));
}

#[test]
fn a_rust_exercise_runs_and_shows_what_it_does_without_judging_it() {
    let dir = started();
    for (number, shown) in [
        ("7", "shared: a store to one takes the line"),
        ("8", "round 5: 200000 items taken"),
        ("9", "violated: identity"),
        ("10", "your bench says that they were quicker"),
    ] {
        let output = lab(dir.path(), &["run", number]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        assert!(text(&output).contains(shown), "lab {number}: {}", text(&output));
    }
    solve(dir.path(), "09-backpressure", "sender.rs");
    let first = json(&lab(dir.path(), &["run", "9", "--json"]));
    assert!(!first.to_string().contains("violated"), "{first}");
    let other = json(&lab(dir.path(), &["run", "9", "--seed", "2", "--json"]));
    assert_ne!(first["shown"], other["shown"], "the seed changes the run");
    let again = json(&lab(dir.path(), &["run", "9", "--seed", "2", "--json"]));
    assert_eq!(other, again, "the same seed is the same run");
    let progress = json(&lab(dir.path(), &["progress", "--json"]));
    assert_eq!(progress["labs"][8]["attempts"], 0, "a run is no attempt");
}

#[test]
fn a_rust_exercise_that_does_not_compile_or_panics_says_so_in_a_run() {
    let dir = started();
    let file = dir.path().join("07-false-sharing/cursors.rs");
    fs::write(&file, "pub struct Cursors;").unwrap();
    let output = lab(dir.path(), &["run", "7"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("mend what rustc says"), "{}", text(&output));
    let file = dir.path().join("10-tails/tails.rs");
    let starter = fs::read_to_string(&file).unwrap();
    fs::write(
        &file,
        starter.replace(
            "let first = clock.now();",
            "let first = clock.now(); let n: u64 = \"x\".parse().unwrap();",
        ),
    )
    .unwrap();
    let output = lab(dir.path(), &["run", "10"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("crash") && text(&output).contains("unwrap"), "{}", text(&output));
    for option in [["--rounds", "3"], ["--processes", "1"], ["--kill", "2"]] {
        let output = lab(dir.path(), &[&["run", "9"], &option[..]].concat());
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output).contains(option[0]), "{}", text(&output));
    }
    assert_eq!(lab(dir.path(), &["run", "9", "--seed", "x1"]).status.code(), Some(2));
}

#[test]
fn clean_removes_the_compiled_loom_if_asked_to_and_nothing_that_only_has_its_place() {
    let dir = started();
    let cache = tempfile::tempdir().unwrap();
    let models = cache.path().join("halyard-lab-models");
    fs::create_dir_all(models.join("target")).unwrap();
    fs::write(models.join("Cargo.toml"), "[package]\nname = \"somebody-elses\"\n").unwrap();
    assert!(json(&clean(dir.path(), cache.path(), true))["removed_folder"].is_null());
    assert!(models.is_dir());
    fs::write(models.join("Cargo.toml"), "[package]\nname = \"halyard-lab-models\"\n").unwrap();
    assert!(json(&clean(dir.path(), cache.path(), false))["removed_folder"].is_null());
    assert!(models.is_dir());
    let cleaned = json(&clean(dir.path(), cache.path(), true));
    assert_eq!(cleaned["removed_folder"].as_str(), models.to_str());
    assert!(!models.exists() && cache.path().is_dir());
}

#[test]
fn who_stops_reading_ends_the_program_quietly() {
    let dir = started();
    let mut child = Command::new(env!("CARGO_BIN_EXE_halyard-lab"))
        .args(["run", "1", "--seed", "1", "--json"])
        .current_dir(dir.path())
        .env_remove("HALYARD_LAB_DIR")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.stderr.is_empty(), "{}", text(&output));
}
