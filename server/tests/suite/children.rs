//! Client processes: this test program starts itself again, with a script in the environment.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use halyard_ring::chat::{Kind, Record, ServerName, reply_ring};
use halyard_ring::{Beat, Ring, RingOptions};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Client, Hello};

const SERVER: &str = "HALYARD_TEST_SERVER";
const NICK: &str = "HALYARD_TEST_NICK";
const ROLE: &str = "HALYARD_TEST_ROLE";

/// A client in a process of its own. It is killed when dropped.
pub(crate) struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Process {
    /// Starts a client that plays `role` (see [`plays_its_role`]) and waits until it says that it is ready.
    pub(crate) fn start(server: &ServerName, nick: &str, role: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "children::plays_its_role", "--nocapture", "--test-threads=1"])
            .envs([(SERVER, server.as_str()), (NICK, nick), (ROLE, role)])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut process = Self { child, output };
        process.wait_for("ready");
        process
    }

    /// Reads the child's output up to a line that contains `word`, and returns that line.
    pub(crate) fn wait_for(&mut self, word: &str) -> String {
        let mut line = String::new();
        while self.output.read_line(&mut line).unwrap() > 0 {
            if line.contains(word) {
                return line;
            }
            line.clear();
        }
        panic!("the child ended before it said {word:?}");
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// Waits for its end and says how that was.
    pub(crate) fn end(mut self) -> std::process::ExitStatus {
        self.child.wait().unwrap()
    }

    /// Waits for its end. True if it ended well.
    pub(crate) fn join(mut self) -> bool {
        let mut rest = Vec::new();
        self.output.read_to_end(&mut rest).unwrap();
        self.child.wait().unwrap().success()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn announce(word: &str) {
    // Not println!, whose line could wait in a buffer of the test harness.
    let mut out = std::io::stdout();
    out.write_all(format!("\n{word}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// What a child does; without a role in the environment, nothing.
#[test]
fn plays_its_role() {
    let (Ok(server), Ok(nick), Ok(role)) = (std::env::var(SERVER), std::env::var(NICK), std::env::var(ROLE))
    else {
        return;
    };
    if role == "stillborn" {
        // Dies before its HELLO: the server never hears of it.
        let name = reply_ring(&ServerName::new(&server).unwrap(), &nick).unwrap();
        let _ring = Ring::<Record>::create(&name, &RingOptions::spsc(32)).unwrap();
        announce("ready");
        client_stops();
        return;
    }
    let name = ServerName::new(&server).unwrap();
    match role.as_str() {
        "serve-mortal" => return crate::hostile::serve_without_the_guard(name),
        "serve-patient" => return crate::hostile::serve_without_renewal(name),
        // `nick` says for how long, and over what.
        "scribble" => return crate::scribbler::scribble(&nick),
        "sit" => return crate::intruders::sit(&name, &nick),
        "half-texts" => return crate::intruders::flood_with_half_texts(&name, &nick),
        // `nick` says as whom.
        "flood-as" => return crate::flooders::flood_as(&name, &nick),
        "flood-hellos" => return crate::flooders::flood_hellos(&name),
        "flood" => return crate::flooders::flood(&name, &nick),
        "flood-forged" => return crate::flooders::flood_under_a_forged_entry(&name, &nick),
        // A server that was killed while it made its control ring anew.
        "half-renewed" => {
            let next = halyard_ring::chat::control_ring(&name).next().unwrap();
            let _ring = Ring::<Record>::create(&next, &RingOptions::mpsc(16)).unwrap();
            return announce("ready");
        }
        _ => {}
    }
    if let Some(origin) = role.strip_prefix("mimic-") {
        // Claims an origin, and to have said as much as can be.
        let mut client = Hello::new(&name, &nick).with_origin(origin.parse().unwrap());
        client.join("lobby");
        let mut text = client.command(Kind::Say, "", "hush");
        text.number = 1 << 63;
        client.push(&text);
        client.ok(text.command);
        return announce("ready");
    }
    let mut client = Client::connect(&name, &nick);
    client.join("lobby");
    match role.as_str() {
        // Reads and beats until the server closes its ring.
        "member" => {
            announce("ready");
            while !client.ring.is_closed() {
                client.read(Duration::from_millis(20));
            }
            while client.read(Duration::ZERO).is_some() {}
        }
        // Does not read, and does not fall to what it would find.
        "deaf" => {
            announce("ready");
            std::thread::sleep(Duration::from_secs(60));
        }
        // Stops in the middle of writing a command, then tries to finish it when told to go on.
        "claimant" => {
            let record = client.command(Kind::Say, "", "from the claimant");
            let mut claim = client.control.try_claim().unwrap();
            claim.write_prefix(&record, record.used());
            announce("ready");
            client_stops();
            let voided = claim.publish().is_err();
            assert!(voided, "the claim was not passed over");
            client.push(&record);
            client.ok(record.command);
            announce("published");
            while !client.ring.is_closed() {
                client.ring.beat(Beat::Creator);
                client.read(Duration::from_millis(20));
            }
        }
        role => panic!("no role {role:?}"),
    }
}

/// Stops this process until somebody continues it.
fn client_stops() {
    nix::sys::signal::raise(Signal::SIGSTOP).unwrap();
}
