//! The command lines that the book shows, program by program.

use clap::Parser;
use clap::error::ErrorKind;

use crate::cargo::Workspace;
use crate::page::pages;
use crate::shell::lines;

/// A command line as somebody reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The program's name and its arguments.
    pub words: Vec<String>,
    /// Page and line.
    pub place: String,
    /// Whether it stands in running text: there `halyard inspect` names a command and need not be a whole one.
    pub named: bool,
}

/// Every command line in the book's shell blocks, and those in its text that begin with a program's name.
///
/// # Panics
/// If the pages cannot be read or cargo does not tell what is in the workspace.
#[must_use]
pub fn commands() -> Vec<Shown> {
    let workspace = Workspace::read();
    let mut found = Vec::new();
    for page in pages() {
        for block in page.blocks().into_iter().filter(|block| block.language == "sh") {
            let place = format!("{}:{}", page.name, block.line);
            found.extend(shown(&block.body, &place, false));
        }
        for (span, line) in page.spans() {
            let first = span.split_whitespace().next().unwrap_or_default();
            if first == "cargo" || first.starts_with(".ci/") || workspace.program(first).is_some() {
                // `chat [ROOM]…`: any number of rooms.
                let span = span.replace(['[', ']', '…'], "");
                found.extend(shown(&span, &format!("{}:{line}", page.name), true));
            }
        }
    }
    found
}

/// The command lines of a text in which they stand indented, with what they do behind two spaces or more: a help text.
///
/// # Panics
/// If cargo does not tell what is in the workspace.
#[must_use]
pub fn commands_in(text: &str, place: &str) -> Vec<Shown> {
    let workspace = Workspace::read();
    let mut found = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("  ")) {
        let command = line.trim().split("   ").next().unwrap_or_default();
        for shown in shown(command, place, false) {
            if workspace.program(&shown.words[0]).is_some() {
                found.push(shown);
            }
        }
    }
    found
}

fn shown(text: &str, place: &str, named: bool) -> impl Iterator<Item = Shown> {
    lines(text).into_iter().map(move |words| Shown { words, place: place.to_owned(), named })
}

/// Parses every command line of `program` that the book shows, and `more`, with the definition of its command line.
/// Returns how many there were.
///
/// # Errors
/// What the program does not understand, one a line.
///
/// # Panics
/// If the pages cannot be read or cargo does not tell what is in the workspace.
pub fn understood<P: Parser>(program: &str, more: Vec<Shown>) -> Result<usize, String> {
    let workspace = Workspace::read();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for shown in commands().into_iter().chain(more) {
        let Some(words) = workspace.started(&shown.words, program) else { continue };
        // A name alone is a name.
        if shown.named && words.len() == 1 {
            continue;
        }
        seen += 1;
        let Err(error) = P::try_parse_from(&words) else { continue };
        let fine = match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => true,
            ErrorKind::MissingRequiredArgument
            | ErrorKind::MissingSubcommand
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => shown.named,
            _ => false,
        };
        if !fine {
            let error = error.to_string();
            let first = error.lines().next().unwrap_or_default();
            wrong.push(format!("{}: {}: {first}", shown.place, words.join(" ")));
        }
    }
    if wrong.is_empty() { Ok(seen) } else { Err(wrong.join("\n")) }
}
