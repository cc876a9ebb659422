//! `halyard demo`: a server and five clients, each a process of its own, hold a short conversation; then its times
//! are shown.

pub(crate) mod histogram;
mod ledger;
mod part;
mod play;
mod script;
mod show;
mod stage;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use halyard_client::ServerName;

use super::exit::{Exit, Result};
use super::out::Out;
use super::signals;

/// Watch a server and five clients, each a process of its own, talk; then see how long it took
///
/// Takes about five seconds, needs nothing, leaves nothing. Exits with 1 if a line was lost, doubled or out of order.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// The hidden subcommand that the demo's own processes run
#[derive(Debug, clap::Args)]
pub(crate) struct PartArgs {
    /// The demo's server
    server_name: ServerName,
    /// A player's nick; without it this is the server
    nick: Option<String>,
}

pub(crate) fn run_part(args: PartArgs) -> Result {
    let well = match args.nick {
        None => part::serve(args.server_name),
        Some(nick) => part::play(args.server_name, &nick),
    };
    Ok(if well { Exit::Done } else { Exit::Negative }.into())
}

pub(crate) fn run() -> Result {
    let signal = Arc::new(AtomicI32::new(0));
    let caught = Arc::clone(&signal);
    signals::on_end(move |signal| caught.store(signal, Ordering::Relaxed))?;
    let name =
        ServerName::new(&format!("demo-{}", std::process::id())).expect("a word and a number make a name");
    play::perform(name, signal, Out::new())?;
    Ok(Exit::Done.into())
}
