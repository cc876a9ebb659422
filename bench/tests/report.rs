//! What reads results: pages, exports and comparisons of files that the program itself wrote.

mod common;

use std::path::Path;

use common::{run, text};

/// Measures something short and saves it.
fn measured(path: &Path, rounds: &str) {
    let path = path.to_str().unwrap();
    let args = ["chat", "--rate", "0", "--rounds", rounds, "--time", "4", "--save", path];
    let (output, _) = run(&args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("p50 / floor"), "the table comes, too");
}

#[test]
fn a_saved_run_becomes_a_page_percentile_files_csv_and_a_plot() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    measured(Path::new(&at("chat.json")), "2");
    let (output, _) = run(&[
        "report",
        &at("chat.json"),
        "-o",
        &at("page.html"),
        "--csv",
        &at("all.csv"),
        "--hgrm",
        &at("hgrm"),
    ]);
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    let page = std::fs::read_to_string(at("page.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("<polyline"));
    assert!(page.contains("--save") && page.contains("The stages of a message"), "command and stages");
    assert!(!page.contains("http://") && !page.contains("https://"), "nothing is fetched");
    assert!(std::fs::read_to_string(at("all.csv")).unwrap().contains("chat.adaptive.loop"));
    assert!(std::fs::read_dir(at("hgrm")).unwrap().count() >= 5);
    let (output, _) = run(&["report", &at("chat.json")]);
    // How far the axis reaches depends on how many samples a busy machine let it take.
    assert!(text(&output.stdout).contains('│') && text(&output.stdout).contains("0 % "), "{output:?}");
}

#[test]
fn a_run_is_the_same_as_itself_and_strange_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    measured(Path::new(&at("chat.json")), "5");
    let (output, _) = run(&["compare", &at("chat.json"), &at("chat.json")]);
    assert!(output.status.success(), "{output:?}");
    assert!(text(&output.stdout).contains("0 better, 0 worse"), "{}", text(&output.stdout));
    std::fs::write(at("other.json"), "{\"v\":1}").unwrap();
    for args in [&["compare", &at("chat.json"), &at("other.json")][..], &["report", &at("other.json")]] {
        let (output, _) = run(args);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(text(&output.stderr).contains("other.json"), "{output:?}");
    }
    let (output, _) = run(&["report", &at("missing.json")]);
    assert_eq!(output.status.code(), Some(2));
}
