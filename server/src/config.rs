//! What a server is started with.

use std::path::PathBuf;
use std::time::Duration;

use halyard_ring::chat::{FRAGS_MAX, SCHEMA, ServerName};
use halyard_ring::{CAPACITY_MAX, Group, OWNERS_MAX, RingOptions, Wait, cpus};

/// Smallest reply ring that a client may bring: the longest text has to fit whole.
pub(crate) const REPLY_CAPACITY_MIN: u32 = (FRAGS_MAX as u32).next_power_of_two();

/// Smallest window of commands under way: clients of the library send so many without asking.
const WINDOW_MIN: u32 = 64;

/// Entries of the control ring's owner table beyond one for each client: for those that connect, to be refused in
/// words instead of at the door.
const OWNERS_SPARE: u32 = 64;

/// Which processors the broadcasters are bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pin {
    /// None: the scheduler decides.
    No,
    /// One each, from the last processor that this process may use downwards, over and over.
    Auto,
    /// These, the first broadcaster to the first, over and over.
    Cpus(Vec<usize>),
}

/// What a server is started with. Every field has a default.
///
/// ```
/// use std::time::Duration;
/// use halyard_server::Config;
/// let config = Config { broadcasters: 2, hang: Duration::from_secs(30), ..Config::default() };
/// # assert_eq!(config.check(), Ok(()));
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    /// The server's name, by which clients find it.
    pub name: ServerName,
    /// The group whose members may connect, too; by default only this process's user may.
    pub group: Option<Group>,
    /// How many broadcaster threads, at least 1.
    pub broadcasters: usize,
    /// Which processors they are bound to.
    pub pin: Pin,
    /// Most clients at once.
    pub clients_max: u32,
    /// Most rooms at once.
    pub rooms_max: u32,
    /// Most members of one room; no bound of its own by default.
    pub room_members_max: u32,
    /// Most commands that a client may have sent and not seen answered. While others wait, what goes beyond is refused.
    pub window: u32,
    /// Records of one client that are carried out before others' that came behind them, where several send at once. A
    /// client that sends far more than the others has so many of them carried out in a millisecond, or twice what each of the others has.
    pub quantum: u32,
    /// Records that the control ring holds, a power of two; 256 bytes each.
    pub control_capacity: u32,
    /// How long a client may take to write a record that it has begun before the others are served past it.
    pub grace: Duration,
    /// How often clients must stamp their heartbeat.
    pub heartbeat: Duration,
    /// How old a client's heartbeat may grow before its session is ended. At least twice `heartbeat`.
    pub hang: Duration,
    /// When clients should send a command again that was not answered.
    pub retry: Duration,
    /// How long texts wait, after a server took over from one that died, for the dead one's clients to be in their rooms
    /// again. As soon as they are, nothing waits; 0: nothing ever does.
    pub rejoin: Duration,
    /// How long a process is not let in again whose session was ended for flooding.
    pub bar: Duration,
    /// The longest time that a client with the policy *block* may ask its records to wait.
    pub block_max: Duration,
    /// The most bytes that records waiting for all clients together may take, under the policies *block* and *spill*.
    pub spill_total: u64,
    /// The most HELLOs that may wait at once for their reply rings to be opened.
    pub hellos_max: u32,
    /// The most records that may wait for one client, under the policies *block* and *spill*; 248 bytes each.
    pub spill_max: u32,
    /// The most messages that are kept for each room, to be told again by HISTORY; 0 for none.
    pub history: u32,
    /// The most bytes that the kept messages of all rooms may take together.
    pub history_bytes: usize,
    /// To at most how many clients of one broadcaster the router delivers by itself, while that broadcaster is idle; 0:
    /// it leaves everything to the broadcasters.
    pub direct: u32,
    /// How router and broadcasters wait for work.
    pub wait: Wait,
    /// Where to append the audit lines, if anywhere.
    pub audit: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: ServerName::default(),
            group: None,
            broadcasters: default_broadcasters(cpus().len()),
            pin: Pin::Auto,
            clients_max: 1000,
            rooms_max: 1000,
            room_members_max: u32::MAX,
            window: 1024,
            quantum: 32,
            control_capacity: 4096,
            grace: Duration::from_millis(5),
            heartbeat: Duration::from_millis(500),
            hang: Duration::from_secs(10),
            retry: Duration::from_secs(1),
            rejoin: Duration::from_secs(1),
            bar: Duration::from_secs(10),
            block_max: Duration::from_secs(5),
            spill_max: 16_384,
            spill_total: 256 << 20,
            hellos_max: 256,
            history: 200,
            history_bytes: 16 << 20,
            direct: default_direct(cpus().len()),
            wait: Wait::adaptive(),
            audit: None,
        }
    }
}

/// A quarter of the processors, since clients need theirs, but no more than 8: one broadcaster feeds millions of
/// records a second.
fn default_broadcasters(cpus: usize) -> usize {
    (cpus / 4).clamp(1, 8)
}

/// With fewer than four processors router and broadcaster share them with the clients: handing work over gains nothing.
/// With more, a large fan-out is better done by others while the router goes on.
fn default_direct(cpus: usize) -> u32 {
    if cpus < 4 { u32::MAX } else { 64 }
}

impl Config {
    /// Checks that the values make sense together.
    ///
    /// # Errors
    /// Says which value is wrong and what would be right.
    pub fn check(&self) -> Result<(), String> {
        let clients_limit = OWNERS_MAX - OWNERS_SPARE;
        if !(1..=256).contains(&self.broadcasters) {
            return Err(format!("{} broadcasters: 1 to 256 are possible", self.broadcasters));
        }
        if !(1..=clients_limit).contains(&self.clients_max) {
            return Err(format!("{} clients: 1 to {clients_limit} are possible", self.clients_max));
        }
        if !(1..=1_000_000).contains(&self.rooms_max) {
            return Err(format!("{} rooms: 1 to 1000000 are possible", self.rooms_max));
        }
        if self.room_members_max == 0 {
            return Err("0 members of a room: at least 1 is needed".to_owned());
        }
        if self.hellos_max == 0 {
            return Err("0 HELLOs at once: at least 1 is needed".to_owned());
        }
        if self.quantum == 0 {
            return Err("a quantum of 0: at least 1 command of a client has its turn".to_owned());
        }
        if self.window < WINDOW_MIN {
            return Err(format!("window {}: at least {WINDOW_MIN} commands are needed", self.window));
        }
        if !self.control_capacity.is_power_of_two() || !(16..=CAPACITY_MAX).contains(&self.control_capacity) {
            return Err(format!(
                "control ring capacity {}: a power of two from 16 to {CAPACITY_MAX} is needed",
                self.control_capacity
            ));
        }
        if self.heartbeat < Duration::from_millis(1) || self.hang < 2 * self.heartbeat {
            return Err(format!(
                "heartbeat {:?} and hang {:?}: a heartbeat is at least 1 ms, and hang at least twice that",
                self.heartbeat, self.hang
            ));
        }
        if self.spill_max < REPLY_CAPACITY_MIN {
            return Err(format!(
                "spill {}: at least {REPLY_CAPACITY_MIN} records are needed",
                self.spill_max
            ));
        }
        self.pins().map(|_| ())
    }

    /// The processor of each broadcaster, or none at all.
    pub(crate) fn pins(&self) -> Result<Option<Vec<usize>>, String> {
        let allowed = cpus();
        let chosen: Vec<usize> = match &self.pin {
            Pin::No => return Ok(None),
            Pin::Auto => allowed.iter().rev().copied().collect(),
            Pin::Cpus(list) => list.clone(),
        };
        if let Some(cpu) = chosen.iter().find(|cpu| !allowed.contains(cpu)) {
            return Err(format!("processor {cpu}: this process may use {allowed:?}"));
        }
        if chosen.is_empty() {
            return Err("an empty list of processors to pin to".to_owned());
        }
        Ok(Some(chosen.into_iter().cycle().take(self.broadcasters).collect()))
    }

    pub(crate) fn control_options(&self) -> RingOptions {
        let owners = self.clients_max + OWNERS_SPARE;
        let options =
            RingOptions::mpsc(self.control_capacity).owners(owners).schema(SCHEMA).grace(self.grace);
        match self.group {
            Some(group) => options.group(group),
            None => options,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_value_is_named() {
        let says = |config: Config, word: &str| config.check().is_err_and(|text| text.contains(word));
        let good = Config::default;
        assert_eq!(good().check(), Ok(()));
        assert!(says(Config { broadcasters: 0, ..good() }, "broadcasters"));
        assert!(says(Config { clients_max: 0, ..good() }, "clients"));
        assert!(says(Config { clients_max: OWNERS_MAX, ..good() }, "clients"));
        assert!(says(Config { rooms_max: 0, ..good() }, "rooms"));
        assert!(says(Config { room_members_max: 0, ..good() }, "members"));
        assert!(says(Config { hellos_max: 0, ..good() }, "HELLOs"));
        assert!(says(Config { window: 63, ..good() }, "window"));
        assert!(says(Config { control_capacity: 100, ..good() }, "power of two"));
        assert!(says(Config { hang: Duration::from_millis(600), ..good() }, "hang"));
        assert!(says(Config { spill_max: 8, ..good() }, "spill"));
        assert!(says(Config { pin: Pin::Cpus(vec![100_000]), ..good() }, "processor 100000"));
        assert!(says(Config { pin: Pin::Cpus(vec![]), ..good() }, "empty"));
    }

    #[test]
    fn pins_go_round() {
        let first = cpus()[0];
        let config = Config { broadcasters: 3, pin: Pin::Cpus(vec![first]), ..Config::default() };
        assert_eq!(config.pins(), Ok(Some(vec![first; 3])));
        assert_eq!(Config { pin: Pin::No, ..config }.pins(), Ok(None));
    }
}
