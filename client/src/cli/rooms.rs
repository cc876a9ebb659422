//! `halyard rooms`: the rooms and how many are in each.

use super::connect::{NickArgs, connect};
use super::exit::{Exit, Result};
use super::json::Line;
use super::out::{Out, note};
use super::place::Place;
use super::visible::visible;

/// List the rooms: name and number of members, separated by a tab
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print JSON Lines: v, type, room, members
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    nick: NickArgs,
}

pub(crate) fn run(place: Place, args: &Args) -> Result {
    let client = connect(&args.nick.options(place, "rooms"))?;
    let rooms = client.list()?;
    client.quit()?;
    let mut out = Out::new();
    for room in &rooms {
        out.line(&if args.json {
            Line::room(room).to_text()
        } else {
            format!("{}\t{}", visible(&room.name), room.members)
        })?;
    }
    if rooms.is_empty() {
        note("there are no rooms: the first to join one creates it");
    }
    Ok(Exit::Done.into())
}
