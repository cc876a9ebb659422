//! What the book says to type into a shell does something, on a server of one's own.

use std::fs;
use std::path::Path;
use std::process::Command;

use halyard_book::{Block, lines, pages};

use crate::util::Place;

/// Subcommands of `halyard` that end by themselves, or that the test can end.
const CHEAP: &[&str] = &["say", "dm", "tail", "who", "rooms", "run", "ls", "top", "completions", "man"];
/// What may stand beside them in a block.
const BESIDE: &[&str] = &["printf", "echo", "mkdir", "man"];

/// What a terminal has and a test has not: somebody called bob, a `tail` that is watched elsewhere, a pager.
const AROUND: &str = r#"
follow() {
  command halyard "$@" 2> "$HOME/err.$#" &
  until grep -q follows "$HOME/err.$#"; do kill -0 $!; sleep 0.05; done
}
halyard() { if [ "$1" = tail ]; then follow "$@"; else command halyard "$@"; fi; }
man() { cat; }
follow tail -r lobby --nick bob > /dev/null
trap 'kill $(jobs -p); wait || true' EXIT
"#;

fn is_cheap(block: &Block) -> bool {
    let commands = lines(&block.body);
    let cheap = |words: &Vec<String>| match words[0].as_str() {
        "halyard" => words.get(1).is_some_and(|command| CHEAP.contains(&command.as_str())),
        other => BESIDE.contains(&other),
    };
    block.language == "sh" && commands.iter().all(cheap) && commands.iter().any(|words| words[0] == "halyard")
}

#[test]
fn what_the_book_says_to_type_can_be_typed() {
    let mut seen = 0;
    for page in pages() {
        for block in page.blocks().into_iter().filter(is_cheap) {
            seen += 1;
            let (place, home) = (Place::served(), tempfile::tempdir().unwrap());
            let program = Path::new(env!("CARGO_BIN_EXE_halyard")).parent().unwrap().to_owned();
            let path = std::env::var_os("PATH").unwrap_or_default();
            let path = std::iter::once(program).chain(std::env::split_paths(&path));
            let said = Command::new("timeout")
                .args(["60", "bash", "-e", "-c", &format!("{AROUND}{}", block.body)])
                .env("PATH", std::env::join_paths(path).unwrap())
                .env("HALYARD_SERVER", place.name.as_str())
                .env("USER", "ann")
                .env("HOME", home.path())
                .current_dir(home.path())
                .output()
                .unwrap();
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let (out, err) = (text(&said.stdout), text(&said.stderr));
            assert!(said.status.success(), "{}:{}: {}\n{out}{err}", page.name, block.line, said.status);
            let written = fs::read_dir(home.path()).unwrap().any(|entry| entry.unwrap().path().is_dir());
            assert!(!out.is_empty() || written, "{}:{} did nothing: {err}", page.name, block.line);
        }
    }
    assert!(seen >= 3, "{seen} blocks");
}
