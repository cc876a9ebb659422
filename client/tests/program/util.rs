//! A server name of one's own, and programs that are watched line by line and never outlive their test.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use halyard_client::{Client, ClientOptions, ServerName};
use halyard_ring::{RingName, list_names, remove_dead};
use halyard_server::{Config, Server};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Far longer than anything takes: a wait that reaches it has failed.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// A server name that nothing else uses. When it is dropped, nothing of that name may be left in /dev/shm.
pub(crate) struct Place {
    pub(crate) name: ServerName,
    server: Option<Server>,
}

impl Place {
    /// A name without a server.
    pub(crate) fn empty() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("program-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self { name: ServerName::new(&name).unwrap(), server: None }
    }

    /// A name with a server, in this process.
    pub(crate) fn served() -> Self {
        Self::served_with(Config::default())
    }

    pub(crate) fn served_with(config: Config) -> Self {
        let mut place = Self::empty();
        let config = Config { name: place.name.clone(), ..config };
        place.server = Some(Server::start(config).unwrap());
        place
    }

    /// A command line of the program, for this server, as the user "ann".
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_halyard"));
        command.args(args).env("HALYARD_SERVER", self.name.as_str()).env("USER", "ann").env("TZ", "UTC");
        command.env_remove("NO_COLOR").env("TERM", "xterm");
        command
    }

    /// Starts the program with these arguments.
    pub(crate) fn start(&self, args: &[&str]) -> Running {
        Running::start(self.command(args))
    }

    /// Runs the program to its end with this input.
    pub(crate) fn run(&self, args: &[&str], input: impl AsRef<[u8]>) -> Ended {
        let mut running = self.start(args);
        running.write(input);
        running.close();
        running.end()
    }

    /// A client of the library in this process.
    pub(crate) fn client(&self, nick: &str) -> Client {
        Client::connect(&ClientOptions::new(self.name.clone(), nick)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let ours = format!("{}.", self.name);
        let names = list_names().unwrap().into_iter().map(|name| name.to_string());
        names.filter(|name| name.starts_with(&ours)).collect()
    }

    /// Waits until nothing of this name is left.
    pub(crate) fn await_clean(&self) {
        let end = Instant::now() + LONG;
        while !self.names().is_empty() {
            assert!(Instant::now() < end, "left in /dev/shm: {:?}", self.names());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.server.take());
        if thread::panicking() {
            // A test that has failed may leave what the killed left; no other test shall find it.
            for name in self.names() {
                let _ = remove_dead(&RingName::new(&name).unwrap());
            }
        } else {
            self.await_clean();
        }
    }
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    /// Checks the exit code.
    #[track_caller]
    pub(crate) fn with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    pub(crate) fn out_lines(&self) -> Vec<&str> {
        self.out.lines().collect()
    }
}

/// What a program writes, line by line as it comes.
pub(crate) struct Stream {
    lines: Receiver<String>,
    seen: String,
}

impl Stream {
    fn of(source: impl std::io::Read + Send + 'static) -> Self {
        let (send, lines) = channel();
        thread::spawn(move || {
            let mut source = BufReader::new(source);
            let mut line = Vec::new();
            while source.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
                if send.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
                line.clear();
            }
        });
        Self { lines, seen: String::new() }
    }

    /// The next line that holds `what`; earlier ones are passed over.
    #[track_caller]
    pub(crate) fn await_line(&mut self, what: &str) -> String {
        let end = Instant::now() + LONG;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen += &line;
                    if line.contains(what) {
                        return line.trim_end_matches('\n').to_owned();
                    }
                }
                Err(why) => panic!("no line with {what:?} ({why}); there was:\n{}", self.seen),
            }
        }
    }

    /// Everything until the end, what was seen before included.
    fn rest(mut self) -> String {
        while let Ok(line) = self.lines.recv_timeout(LONG) {
            self.seen += &line;
        }
        self.seen
    }
}

/// A program that runs. Dropping it kills it.
pub(crate) struct Running {
    child: Child,
    input: Option<ChildStdin>,
    pub(crate) out: Stream,
    pub(crate) err: Stream,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = Stream::of(child.stdout.take().unwrap());
        let err = Stream::of(child.stderr.take().unwrap());
        Self { input: child.stdin.take(), child, out, err }
    }

    /// Writes to its standard input. A program that has ended meanwhile takes nothing; its end shows that.
    pub(crate) fn write(&mut self, input: impl AsRef<[u8]>) {
        let pipe = self.input.as_mut().unwrap();
        let _ = pipe.write_all(input.as_ref()).and_then(|()| pipe.flush());
    }

    pub(crate) fn type_line(&mut self, line: &str) {
        self.write(format!("{line}\n"));
    }

    /// Ends its standard input.
    pub(crate) fn close(&mut self) {
        self.input = None;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        let end = Instant::now() + 2 * LONG;
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None if Instant::now() < end => thread::sleep(Duration::from_millis(2)),
                None => panic!("it does not end"),
            }
        };
        let empty = || Stream { lines: channel().1, seen: String::new() };
        let (out, err) =
            (std::mem::replace(&mut self.out, empty()), std::mem::replace(&mut self.err, empty()));
        Ended { code: status.code(), out: out.rest(), err: err.rest() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The line without its time stamp: `<ann> hi` of `[12:01] <ann> hi`.
pub(crate) fn untimed(line: &str) -> &str {
    let is_time = line.starts_with('[') && line.get(6..8) == Some("] ");
    assert!(is_time, "{line:?} has no time");
    &line[8..]
}
