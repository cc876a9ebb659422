//! `halyard who`: who is in a room, or in all of them.

use super::connect::{NickArgs, connect};
use super::exit::{Exit, Result};
use super::json::Line;
use super::out::{Out, note};
use super::place::Place;
use super::values::name;
use super::visible::visible;

/// List who is in a room, a nick a line; without -r, who is in any room: room and nick, separated by a tab
///
/// Looking does not enter the room. Exit code 1 if nobody is there.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The room
    #[arg(long, short, value_parser = name)]
    room: Option<String>,
    /// Print JSON Lines: v, type, room, nick, client
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    nick: NickArgs,
}

pub(crate) fn run(place: Place, args: &Args) -> Result {
    let client = connect(&args.nick.options(place, "who"))?;
    let rooms = match &args.room {
        Some(room) => vec![room.clone()],
        None => client.list()?.into_iter().map(|room| room.name).collect(),
    };
    let mut found = Vec::new();
    for room in rooms {
        let members = client.who_in(&room)?;
        found.extend(members.into_iter().map(|member| (room.clone(), member)));
    }
    client.quit()?;
    let mut out = Out::new();
    for (room, member) in &found {
        out.line(&if args.json {
            Line::member(room, member).to_text()
        } else if args.room.is_some() {
            visible(&member.nick).into_owned()
        } else {
            format!("{}\t{}", visible(room), visible(&member.nick))
        })?;
    }
    if found.is_empty() {
        note(&match &args.room {
            Some(room) => format!("nobody is in {}", visible(room)),
            None => "nobody is in any room".to_owned(),
        });
        return Ok(Exit::Negative.into());
    }
    Ok(Exit::Done.into())
}
