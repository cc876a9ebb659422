//! What reads results: pages, exports and comparisons of files that the program itself wrote, now or once.

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
    assert!(page.contains("chat --rate 0") && page.contains("The stages of a message"), "command and stages");
    assert!(!page.contains("http://") && !page.contains("https://"), "nothing is fetched");
    assert!(std::fs::read_to_string(at("all.csv")).unwrap().contains("chat.adaptive.loop"));
    assert!(std::fs::read_dir(at("hgrm")).unwrap().count() >= 5);
}

/// Seven rounds of 24,000 samples and more, as they were saved once: what is drawn of them does not depend on how busy the
/// machine is that runs the tests.
const RECORDED: &str = "tests/recorded/chat.json";

#[test]
fn a_recorded_run_is_plotted_on_the_percentile_axis_to_its_last_sample() {
    let (output, _) = run(&["report", RECORDED]);
    assert!(output.status.success(), "{output:?}");
    let plot = text(&output.stdout);
    let axis = plot.lines().find(|line| line.contains("90 %")).unwrap_or_default();
    let ticks: Vec<&str> = axis.split_whitespace().filter(|word| *word != "%").collect();
    // 263,856 samples of the longest: more than five nines of them, fewer than six.
    assert_eq!(ticks, ["0", "90", "99", "99.9", "99.99", "99.999"], "{plot}");
    assert!(plot.starts_with("$ halyard-bench chat --rate 0 --rounds 7 --time 200"), "{plot}");
    for (letter, label) in [('a', "bare relay of 4 threads, adaptive"), ('f', "reply ring to receiver")] {
        assert!(plot.contains(&format!("          {letter} {label}\n")), "{plot}");
    }
    let columns: Vec<&str> =
        plot.lines().filter_map(|line| line.split_once('│')).map(|(_, row)| row).collect();
    assert_eq!(columns.len(), 18, "{plot}");
    // Some curve begins at the left edge, and the slowest one reaches the right edge at the top.
    assert!(columns.iter().any(|row| row.starts_with('d')), "{plot}");
    assert!(columns[1].ends_with('d') || columns[1].ends_with('*'), "{plot}");
}

#[test]
fn a_recorded_run_becomes_the_same_page_and_files_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let args = ["report", RECORDED, "-o", &at("page.html"), "--csv", &at("all.csv"), "--hgrm", &at("hgrm")];
    let (output, _) = run(&args);
    assert!(output.status.success(), "{output:?}");
    let page = std::fs::read_to_string(at("page.html")).unwrap();
    assert_eq!(page.matches("<polyline").count(), 6, "a curve for each latency");
    assert_eq!(page.matches("class=\"bar").count(), 6, "and a bar");
    for part in [
        ">99.999 %</text>",
        "class=\"floor\"",
        "bar floor",
        "AMD EPYC, 2 cores (virtual machine), Linux 6.18",
        "halyard-bench chat --rate 0 --rounds 7 --time 200</code>",
        "prefers-color-scheme: dark",
        "@media print",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert_eq!(std::fs::read_to_string(at("all.csv")).unwrap().lines().count(), 1 + 6 * 7);
    let loops = std::fs::read_to_string(at("hgrm/chat_chat_adaptive_loop.hgrm")).unwrap();
    assert!(loops.contains("Total count    =       169819"), "{loops}");
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
