//! `halyard completions` and `halyard man`: made of the command line itself, so that they are always true.

use std::io;
use std::path::PathBuf;

use clap_complete::Shell;

use super::command;
use super::exit::{Exit, Failure, Result};
use super::out::Out;

/// Print a completion script for a shell
///
/// For bash: halyard completions bash > ~/.local/share/bash-completion/completions/halyard
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Print the manual page, or write the pages of all subcommands into a folder
///
/// To read it: halyard man | man -l -
#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// Write halyard.1, halyard-chat.1 and so on into this folder
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

pub(crate) fn completions(args: &CompletionsArgs) -> Result {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "halyard", &mut script);
    print(&script)
}

pub(crate) fn man(args: &ManArgs) -> Result {
    let failed = |error: io::Error| Failure::Io("write the manual", error);
    if let Some(folder) = &args.folder {
        clap_mangen::generate_to(command(), folder).map_err(failed)?;
        return Ok(Exit::Done.into());
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command()).render(&mut page).map_err(failed)?;
    print(&page)
}

fn print(bytes: &[u8]) -> Result {
    Out::new().raw(&String::from_utf8_lossy(bytes))?;
    Ok(Exit::Done.into())
}
