//! `halyard chat`: talking in line mode.

mod input;
mod screen;
mod talk;

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::{io, thread};

use halyard_client::{Client, ClientOptions, ConnectError, ServerName};
use halyard_server::{Config, Server, StartError};

use super::connect::{LEAVE_TIMEOUT, NickArgs};
use super::exit::{Ended, Exit, Failure, Result};
use super::lines::Lines;
use super::out::note;
use super::say::name;
use super::show::plural;
use super::signals;
use super::visible::visible;
use talk::{Input, Talk};

/// What waits between the threads that read and the one that shows.
const INPUTS: usize = 256;

/// Talk in a room, a line at a time; /help lists the commands
///
/// If no server of that name runs, this chat hosts one for as long as it lasts, and says so.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The room to begin in
    #[arg(default_value = "lobby", value_parser = name)]
    room: String,
    #[command(flatten)]
    nick: NickArgs,
}

pub(crate) fn run(server: ServerName, args: Args) -> Result {
    let options = args.nick.options(server, "");
    let (client, host) = connect_or_host(&options)?;
    let client = Arc::new(client);
    if client.nick() != options.nick() {
        note(&format!(
            "the nick {} is taken: you are {} (/nick changes that)",
            options.nick(),
            client.nick()
        ));
    }
    let ended = talk(&client, &args.room);
    let left = client.quit_within(LEAVE_TIMEOUT);
    if let Some(server) = host {
        let others = server.stats().clients;
        server.stop();
        if others > 0 {
            let who = plural(others as u64, "other client", "other clients");
            note(&format!("the server that this chat hosted has ended; {who} lost it"));
        }
    }
    let exit = ended?;
    left?;
    Ok(exit)
}

fn talk(client: &Arc<Client>, room: &str) -> Result {
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
    Talk::new(client, room)?.run(&all)
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<()> {
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

/// Connects, to a server of this process if there is no other.
fn connect_or_host(options: &ClientOptions) -> Result<(Client, Option<Server>)> {
    let mut host = None;
    // Several chats may start at once: one of them gets the name, the others find its server the next time round.
    for _ in 0..100 {
        match Client::connect(options) {
            Err(ConnectError::NoServer { .. }) if host.is_none() => {}
            Err(error) => return Err(error.into()),
            Ok(client) => return Ok((client, host)),
        }
        let name = options.server().clone();
        match Server::start(Config { name: name.clone(), ..Config::default() }) {
            Ok(server) => {
                note(&format!("no server \"{name}\" is running: this chat hosts it while it lasts"));
                host = Some(server);
            }
            Err(StartError::Held { .. }) => thread::sleep(std::time::Duration::from_millis(20)),
            Err(error) => return Err(Ended::with(Exit::TryAgain, visible(&error.to_string())).into()),
        }
    }
    Err(ConnectError::NoServer { server: options.server().clone() }.into())
}
