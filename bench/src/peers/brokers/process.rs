//! A broker's server: a process of its own with a private socket or port, started for a round and ended after it.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use nix::sys::signal::Signal;
use serde::Deserialize;
use tempfile::TempDir;

use super::Broker;
use super::client::{Address, Connection};
use crate::child::Child;
use crate::failure::{Failure, While as _};
use crate::interrupt;

/// How long a server may take until it answers, and until it has ended.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server. It ends when this goes, or when this process is killed.
pub(super) struct Server {
    broker: Broker,
    child: Child,
    address: Address,
    /// Its socket or its port file, its log; goes with it.
    _folder: TempDir,
}

/// The program's path, if it is on PATH.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

impl Broker {
    /// What the program says about itself, such as its version.
    pub(super) fn version(self, program: &Path) -> Result<String, Failure> {
        let output = Command::new(program).arg("--version").stdin(Stdio::null()).output();
        let output = output.doing(format_args!("asking {} for its version", program.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.lines().next().unwrap_or_default().trim().to_owned())
    }

    /// As its documentation would have it for speed on one machine, keeping nothing on disk.
    fn arguments(self, folder: &Path) -> Vec<String> {
        let text = |path: PathBuf| path.display().to_string();
        let words: Vec<&str> = match self {
            Self::Redis => vec!["--port", "0", "--save", "", "--appendonly", "no", "--daemonize", "no"],
            // -1: a port that nobody has, which it writes into a file.
            Self::Nats => vec!["--addr", "127.0.0.1", "--port", "-1"],
        };
        let mut arguments: Vec<String> = words.into_iter().map(String::from).collect();
        let more = match self {
            Self::Redis => [
                ("--unixsocket", text(folder.join("redis.sock"))),
                ("--logfile", text(folder.join("log"))),
                ("--dir", text(folder.to_owned())),
            ],
            Self::Nats => [
                ("--ports_file_dir", text(folder.to_owned())),
                ("--log", text(folder.join("log"))),
                ("--store_dir", text(folder.to_owned())),
            ],
        };
        arguments.extend(more.into_iter().flat_map(|(option, value)| [option.to_owned(), value]));
        arguments
    }
}

impl Server {
    pub(super) fn start(broker: Broker, program: &Path) -> Result<Self, Failure> {
        let doing = format!("starting {}", program.display());
        let folder = tempfile::Builder::new().prefix("halyard-bench-").tempdir().doing(&doing)?;
        let arguments = broker.arguments(folder.path());
        let mut child = Child::become_program(program, &arguments, broker.name())?;
        let begun = Instant::now();
        let address = loop {
            interrupt::check()?;
            if let Some(status) = child.ended()? {
                let log = fs::read_to_string(folder.path().join("log")).unwrap_or_default();
                let last = log.lines().last().unwrap_or("it says nothing about why");
                return Err(Failure::broke(doing, format_args!("{status}: {last}")));
            }
            if let Some(address) = broker.address(folder.path(), child.pid()) {
                break address;
            }
            if begun.elapsed() > PATIENCE {
                return Err(Failure::broke(doing, "it does not answer"));
            }
            thread::sleep(Duration::from_millis(2));
        };
        Ok(Self { broker, child, address, _folder: folder })
    }

    pub(super) fn connect(&self) -> Result<Connection, Failure> {
        Connection::open(self.broker, &self.address)
    }

    /// Ends it in good order.
    pub(super) fn stop(mut self) -> Result<(), Failure> {
        self.child.signal(Signal::SIGTERM)?;
        let begun = Instant::now();
        while self.child.ended()?.is_none() {
            if begun.elapsed() > PATIENCE {
                // Dropped, it is killed.
                return Err(Failure::broke(format_args!("ending {}", self.broker.name()), "it goes on"));
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

/// What NATS writes about its ports, as far as it is needed.
#[derive(Deserialize)]
struct Ports {
    nats: Vec<String>,
}

impl Broker {
    /// Where it can be reached, as soon as it can be.
    fn address(self, folder: &Path, pid: u32) -> Option<Address> {
        match self {
            Self::Redis => {
                let path = folder.join("redis.sock");
                UnixStream::connect(&path).ok().map(|_| Address::Socket(path))
            }
            Self::Nats => {
                let text = fs::read_to_string(folder.join(format!("nats-server_{pid}.ports"))).ok()?;
                // Half of the file, if it is being written.
                let ports: Ports = serde_json::from_str(&text).ok()?;
                let port = ports.nats.first()?.rsplit(':').next()?.parse().ok()?;
                TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok().map(|_| Address::Port(port))
            }
        }
    }
}
