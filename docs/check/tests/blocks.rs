//! Every code block is of a kind that something checks.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use halyard_book::{EXAMPLES, Workspace, commands, pages, root};

/// Programs of the system that the book may name.
const TOOLS: &[&str] = &["cc", "cd", "echo", "jq", "make", "man", "mkdir", "printf", "seq", "true"];
/// The client that the protocol's page builds in the line before.
const BUILT: &str = "./chat";

/// The kinds of blocks, and what checks them. A page is named where the check is of that page alone.
const KINDS: &[(&str, &[&str], &str)] = &[
    (
        "sh",
        &[],
        "this file, and tests of the programs: tests/book.rs of each and their command lines' unit tests",
    ),
    ("rust", &[], "rustdoc, by src/lib.rs: compiled and run"),
    ("rust,no_run", &[], "rustdoc, by src/lib.rs: compiled"),
    ("c", &["docs/protocol.md"], "server/tests/from_the_page: compiled, and run against a server"),
    ("toml", &["docs/chat.md"], "the chat's configuration reads it"),
    ("lab", &["docs/labs/language.md"], "docs/lab/tests/book.rs: the lab's language"),
    ("json", &[], "this file"),
    // A screen, a drawing, a grammar: nothing that runs.
    ("text", &[], "nothing"),
];

#[test]
fn every_block_is_of_a_kind_that_is_checked() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for page in pages() {
        for block in page.blocks() {
            seen += 1;
            let place = format!("{}:{}", page.name, block.line);
            match KINDS.iter().find(|(language, ..)| *language == block.language) {
                None => wrong.push(format!(
                    "{place}: a block of `{}`; say what it is and have it checked, or say `text`",
                    block.language
                )),
                Some((language, only, by)) if !only.is_empty() && !only.contains(&page.name.as_str()) => {
                    wrong.push(format!("{place}: `{language}` is checked in {only:?} alone, by {by}"));
                }
                Some(_) => {}
            }
            if block.language == "json"
                && let Err(error) = serde_json::from_str::<serde_json::Value>(&block.body)
            {
                wrong.push(format!("{place}: {error}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 30, "{seen} blocks");
}

#[test]
fn every_rust_block_is_among_the_examples_that_rustdoc_gets() {
    let mut seen = 0;
    for page in pages() {
        for block in page.blocks().iter().filter(|block| block.language.starts_with("rust")) {
            seen += 1;
            let place = format!("{}, line {}:", page.name, block.line);
            assert!(EXAMPLES.contains(&place) && EXAMPLES.contains(&block.body), "{place} is left out");
        }
    }
    assert_eq!(EXAMPLES.matches("```rust").count(), seen);
    assert!(seen >= 2, "{seen} examples");
}

#[test]
fn every_shell_block_can_be_read_by_a_shell() {
    let mut seen = 0;
    for page in pages() {
        for block in page.blocks().iter().filter(|block| block.language == "sh") {
            seen += 1;
            let mut shell = Command::new("bash")
                .arg("-n")
                .stdin(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("bash starts");
            shell.stdin.take().expect("piped").write_all(block.body.as_bytes()).expect("bash reads");
            let said = shell.wait_with_output().expect("bash ends");
            let text = String::from_utf8_lossy(&said.stderr);
            assert!(
                said.status.success(),
                "{}:{}: an indented block or one of `sh` is read as commands, and bash says: {text}",
                page.name,
                block.line
            );
        }
    }
    assert!(seen > 20, "{seen} blocks");
}

#[test]
fn every_command_is_one_that_there_is() {
    let workspace = Workspace::read();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for shown in commands() {
        seen += 1;
        let first = shown.words[0].as_str();
        let said = if first == "cargo" {
            // In running text `cargo test` alone names a command.
            if shown.named && shown.words.len() < 3 { Ok(()) } else { workspace.understands(&shown.words) }
        } else if first.starts_with(".ci/") {
            match fs::metadata(root().join(first)) {
                Ok(file) if file.permissions().mode() & 0o111 != 0 => Ok(()),
                Ok(_) => Err("it cannot be executed".to_owned()),
                Err(error) => Err(error.to_string()),
            }
        } else if workspace.program(first).is_some() || TOOLS.contains(&first) || first == BUILT {
            Ok(())
        } else {
            Err("a command that nobody knows: name a program of this workspace, or add a tool to TOOLS"
                .to_owned())
        };
        if let Err(error) = said {
            wrong.push(format!("{}: {}: {error}", shown.place, shown.words.join(" ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 80, "{seen} commands");
}
