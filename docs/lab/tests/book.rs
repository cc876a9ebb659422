//! What the book says is true: its links lead somewhere, its commands exist, its scripts can be read.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn clone() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The pages: all of docs but the lab's own texts, and the two pages at the top.
fn pages() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("docs/lab") {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    let mut found = vec![clone().join("README.md"), clone().join("CONTRIBUTING.md")];
    walk(&clone().join("docs"), &mut found);
    assert!(found.len() > 15, "the pages are there: {found:?}");
    found
}

/// The fenced blocks of a page, with their language.
fn blocks(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => open = Some((language.to_owned(), String::new())),
            (Some(_), Some(_)) => found.extend(open.take()),
            (None, Some((_, body))) => *body += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    found
}

/// What stands in round brackets behind `]`.
fn links(text: &str) -> Vec<String> {
    let mut outside = String::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("```") {
            inside = !inside;
        } else if !inside && !line.starts_with("    ") {
            outside += line;
            outside.push('\n');
        }
    }
    outside.split("](").skip(1).filter_map(|rest| rest.split(')').next()).map(str::to_owned).collect()
}

/// A heading as forges and mdBook write it into links.
fn anchor(heading: &str) -> String {
    let kept = |c: char| c.is_alphanumeric() || c == ' ' || c == '-' || c == '_';
    heading
        .trim()
        .to_lowercase()
        .chars()
        .filter(|c| kept(*c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut broken = Vec::new();
    let mut seen = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for link in links(&text) {
            if link.starts_with("http://") || link.starts_with("https://") {
                continue;
            }
            seen += 1;
            let (file, fragment) = link.split_once('#').map_or((link.as_str(), None), |(f, a)| (f, Some(a)));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let there = target.exists()
                && fragment.is_none_or(|fragment| {
                    let text = fs::read_to_string(&target).unwrap_or_default();
                    text.lines()
                        .any(|line| line.starts_with('#') && anchor(line.trim_start_matches('#')) == fragment)
                });
            if !there {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
    assert!(seen > 40, "{seen} links were looked at");
}

#[test]
fn every_command_of_the_lab_that_the_book_shows_exists() {
    let mut shown = BTreeSet::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for rest in text.split("halyard-lab ").skip(1) {
            let word: String = rest.chars().take_while(char::is_ascii_lowercase).collect();
            let flags = rest.lines().next().unwrap_or("").split('`').next().unwrap_or("").split_whitespace();
            let flags: Vec<String> = flags
                .filter(|part| part.starts_with("--"))
                .map(|flag| flag.trim_end_matches(|c: char| !c.is_ascii_lowercase()).to_owned())
                .collect();
            if !word.is_empty() && !rest.starts_with("-- ") {
                shown.insert((word, flags));
            }
        }
    }
    assert!(shown.len() >= 8, "{shown:?}");
    for (command, flags) in shown {
        let output =
            Command::new(env!("CARGO_BIN_EXE_halyard-lab")).args([&command, "--help"]).output().unwrap();
        assert!(output.status.success(), "the book shows `halyard-lab {command}`, which does not exist");
        let help = String::from_utf8_lossy(&output.stdout);
        for flag in flags.iter().filter(|flag| flag.len() > 2) {
            assert!(help.contains(flag.as_str()), "`halyard-lab {command}` has no {flag}");
        }
    }
}

#[test]
fn every_script_in_the_book_can_be_read() {
    let mut seen = 0;
    for page in pages() {
        for (language, body) in blocks(&fs::read_to_string(&page).unwrap()) {
            if language == "lab" {
                seen += 1;
                halyard_lab::script::compile(&body, &[("items", 2), ("total", 4)])
                    .unwrap_or_else(|error| panic!("{}", error.show(&page.display().to_string(), &body)));
            }
        }
    }
    assert!(seen > 0);
}

#[test]
fn every_chapter_and_every_lab_is_in_the_contents() {
    let docs = clone().join("docs");
    let summary = fs::read_to_string(docs.join("SUMMARY.md")).unwrap();
    let listed: BTreeSet<PathBuf> = links(&summary).into_iter().map(|link| docs.join(link)).collect();
    let missing: Vec<_> = pages()
        .into_iter()
        .filter(|page| page.starts_with(docs.join("concepts")) || page.starts_with(docs.join("labs")))
        .filter(|page| !listed.contains(page))
        .collect();
    assert!(missing.is_empty(), "not in docs/SUMMARY.md: {missing:?}");
}
