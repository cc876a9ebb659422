//! The server that a measurement talks to: a process of its own, under a name of its own.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, atomic};
use std::time::{Duration, Instant};

use halyard_client::{ClientOptions, ConnectError, ServerName, session};
use halyard_ring::Wait;
use halyard_server::{Config, Pin, Server};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::child::{self, Child};
use crate::failure::{Failure, While as _};

/// What the server is started with; the rest is the server's default.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Needs {
    pub(crate) clients: u32,
    pub(crate) rooms: u32,
    /// How its threads wait, as [`Wait`] writes it.
    pub(crate) wait: String,
    pub(crate) broadcasters: Option<usize>,
    /// Processors for the broadcasters; `None` leaves it to the server, an empty list to the scheduler.
    pub(crate) pin: Option<Vec<usize>>,
    /// Records go in the order in which they lie in the control ring, however many one client has among them.
    pub(crate) in_ring_order: bool,
    /// To how many clients the router delivers by itself; see `Config::direct`.
    pub(crate) direct: Option<u32>,
}

/// A running server process.
pub(crate) struct Host {
    child: Child,
    name: ServerName,
    /// Another program: it ends on a signal, not when its input does.
    foreign: bool,
}

/// Measurements drive many clients from few threads, which have no time for heartbeats meanwhile; that their process has
/// ended is seen without.
const HANG: Duration = Duration::from_secs(3600);
/// How long another program may take until it answers.
const STARTING: Duration = Duration::from_secs(20);

impl Host {
    /// Starts a server under a name that no other has: this program as a server, or the program `bin`.
    pub(crate) fn start(needs: &Needs, bin: Option<&Path>) -> Result<Self, Failure> {
        static COUNT: atomic::AtomicU32 = atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name =
            ServerName::new(&format!("bench-{}-{count}", std::process::id())).doing("naming a server")?;
        let Some(bin) = bin else { return Self::start_as(name, needs, None) };
        let mut command = Command::new(bin);
        command.args(["--name", name.as_str(), "--wait", &needs.wait, "--log", "warn"]);
        command.args(["--clients", &needs.clients.to_string(), "--rooms", &needs.rooms.to_string()]);
        if needs.in_ring_order {
            command.args(["--quantum", &u32::MAX.to_string()]);
        }
        if let Some(broadcasters) = needs.broadcasters {
            command.args(["--broadcasters", &broadcasters.to_string()]);
        }
        if let Some(direct) = needs.direct {
            command.args(["--direct", &direct.to_string()]);
        }
        if let Some(cpus) = &needs.pin {
            let list: Vec<String> = cpus.iter().map(ToString::to_string).collect();
            command.args(["--pin", &if list.is_empty() { "no".to_owned() } else { list.join(",") }]);
        }
        let host = Self { child: Child::spawn(command, "server")?, name, foreign: true };
        host.await_answer()?;
        Ok(host)
    }

    /// Starts this program as a server under this name. Clients are dropped after `hang` without a sign of life, or
    /// after the server's default.
    pub(crate) fn start_as(name: ServerName, needs: &Needs, hang: Option<Duration>) -> Result<Self, Failure> {
        let mut child = Child::start(&["server"])?;
        let order = (name.to_string(), needs, hang);
        child.order(&serde_json::to_string(&order).doing("writing an order")?)?;
        child.expect("ready")?;
        Ok(Self { child, name, foreign: false })
    }

    fn await_answer(&self) -> Result<(), Failure> {
        let begun = Instant::now();
        loop {
            match session::connect(&ClientOptions::new(self.name.clone(), "first")) {
                Ok(_) => return Ok(()),
                Err(ConnectError::NoServer { .. }) if begun.elapsed() < STARTING => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(error) => return Err(Failure::broke("connecting to the server", error)),
            }
        }
    }

    pub(crate) fn name(&self) -> &ServerName {
        &self.name
    }

    /// The server's process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Its process: to look after it, and to give it orders such as `fault POINT:kill@N`.
    pub(crate) fn process(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Ends it in good order: it drains, says goodbye, removes its names.
    pub(crate) fn stop(self) -> Result<(), Failure> {
        if self.foreign {
            let pid = i32::try_from(self.child.pid()).doing("ending the server")?;
            kill(Pid::from_raw(pid), Signal::SIGTERM).doing("ending the server")?;
        }
        self.child.finish()
    }
}

/// The child's side of [`Host`]: serves until its standard input ends, which it also does when the parent dies.
pub(crate) fn child() -> Result<(), Failure> {
    // A signal from the terminal goes to all of a group; the parent decides when the server is to end.
    let ignored = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&ignored)).doing("handling signals")?;
    }
    raise_file_limit();
    let order = child::next_order()?.unwrap_or_default();
    let (name, needs, hang): (String, Needs, Option<Duration>) =
        serde_json::from_str(&order).doing("reading an order")?;
    let mut config = Config {
        name: ServerName::new(&name).doing("reading an order")?,
        clients_max: needs.clients,
        rooms_max: needs.rooms,
        wait: needs.wait.parse::<Wait>().doing("reading an order")?,
        hang: HANG,
        ..Config::default()
    };
    if needs.in_ring_order {
        config.quantum = u32::MAX;
    }
    if let Some(broadcasters) = needs.broadcasters {
        config.broadcasters = broadcasters;
    }
    if let Some(hang) = hang {
        config.heartbeat = (hang / 8).min(config.heartbeat);
        config.hang = hang;
    }
    if let Some(direct) = needs.direct {
        config.direct = direct;
    }
    match needs.pin {
        None => {}
        Some(cpus) if cpus.is_empty() => config.pin = Pin::No,
        Some(cpus) => config.pin = Pin::Cpus(cpus),
    }
    let server = Server::start(config).doing("starting the server")?;
    child::reply("ready")?;
    let mut leaked = Vec::new();
    while let Some(order) = child::next_order()? {
        if let Some(bytes) = order.strip_prefix("leak ") {
            // For the soak that shows that it finds a leak.
            leaked.push(vec![1u8; bytes.parse().doing("reading an order")?]);
        } else {
            child::fault(&order)?;
        }
    }
    server.stop();
    Ok(())
}

/// Lets this process open as many files as it may: every client costs a few.
pub(crate) fn raise_file_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        // If it cannot be had, whoever needs one file too many says so.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}
