//! `halyard chat`: the application on a terminal, line mode elsewhere.

pub(crate) mod app;
mod host;
mod input;
mod missed;
mod screen;
mod talk;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::{io, thread};

use halyard_client::Client;

use super::config;
use super::connect::{LEAVE_TIMEOUT, NickArgs};
use super::exit::{Failure, Result};
use super::lines::Lines;
use super::out::note;
use super::place::Place;
use super::signals;
use super::values::name;
use host::Host;
use talk::{Input, Talk};

/// What waits between the threads that read and the one that shows.
const INPUTS: usize = 256;

/// Talk in rooms; /help lists commands and keys
///
/// On a terminal this is an application with a window a room; with --plain, without a terminal or with TERM=dumb it
/// is one room, a line at a time.
///
/// If no server of that name runs, this chat hosts one for as long as it lasts, and says so. When a server goes, /host
/// makes this chat the next one.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The rooms to begin in [default: lobby, or what the configuration says]
    #[arg(value_parser = name, value_name = "ROOM")]
    rooms: Vec<String>,
    /// A line at a time, as without a terminal
    #[arg(long)]
    plain: bool,
    /// The configuration file [default: ~/.config/halyard/config.toml]; line mode takes nick, rooms and the format of
    /// the time in front of messages from it: `[view]`, `time = "%H:%M"`, "" for none
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    nick: NickArgs,
}

pub(crate) fn run(place: Place, args: Args) -> Result {
    let config = config::load(args.config.as_deref())?;
    let mut nick = args.nick;
    nick.nick = nick.nick.or_else(|| config.nick.as_ref().map(|nick| nick.0.clone()));
    let options = nick.options(place.clone(), "");
    let rooms = match (args.rooms, &config.rooms) {
        (rooms, _) if !rooms.is_empty() => rooms,
        (_, rooms) if !rooms.is_empty() => rooms.iter().map(|room| room.0.clone()).collect(),
        _ => vec!["lobby".to_owned()],
    };
    let plain = args.plain || !is_terminal();
    if plain && rooms.len() > 1 {
        note(&format!("line mode is in one room at a time: {}", rooms[0]));
    }
    let host = Arc::new(Host::new(place));
    let client = Arc::new(host.connect(&options)?);
    let mut notes = Vec::new();
    if host.is_hosting() {
        notes.push(host.to_string());
    }
    if client.nick() != options.nick() {
        notes.push(format!(
            "the nick {} is taken: you are {} (/nick changes that)",
            options.nick(),
            client.nick()
        ));
    }
    let ended = if plain {
        notes.iter().for_each(|text| note(text));
        talk(&client, &host, &rooms[0], &config.view.time.0)
    } else {
        app::run(&client, &host, options.server().as_str(), &rooms, config, notes)
    };
    let left = client.quit_within(LEAVE_TIMEOUT);
    host.end();
    let exit = ended?;
    left?;
    Ok(exit)
}

/// Whether somebody sits at a terminal that can do more than lines.
pub(crate) fn is_terminal() -> bool {
    let obeys = std::env::var_os("TERM").is_some_and(|term| term != "dumb" && !term.is_empty());
    obeys && io::stdin().is_terminal() && io::stdout().is_terminal()
}

fn talk(client: &Arc<Client>, host: &Host, room: &str, time: &str) -> Result {
    let (inputs, all) = sync_channel(INPUTS);
    let interrupts = inputs.clone();
    signals::on_end(move |_| {
        // If the chat has ended by itself, there is nobody to tell.
        let _ = interrupts.send(Input::Interrupt);
    })?;
    let typed = inputs.clone();
    spawn("halyard-input", move || read_lines(&typed))?;
    let events = Arc::clone(client);
    spawn("halyard-events", move || {
        for event in events.events() {
            if inputs.send(Input::Event(event)).is_err() {
                return;
            }
        }
        let _ = inputs.send(Input::Over);
    })?;
    Talk::new(client, host, room, time)?.run(&all)
}

pub(crate) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<()> {
    let started = thread::Builder::new().name(name.to_owned()).spawn(run);
    started.map(|_| ()).map_err(|error| Failure::Io("start a thread", error))
}

fn read_lines(inputs: &SyncSender<Input>) {
    let mut lines = Lines::new(io::stdin().lock());
    loop {
        let (input, more) = match lines.next() {
            Ok(Some(line)) => (Input::Line(line.text), true),
            Ok(None) => (Input::End, false),
            Err(error) => (Input::Broken(error), false),
        };
        if inputs.send(input).is_err() || !more {
            return;
        }
    }
}
