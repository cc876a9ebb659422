//! The command line options of a server: those of `halyard-server` and of `halyard server`.

use std::path::PathBuf;
use std::time::Duration;

use halyard_ring::chat::ServerName;
use halyard_ring::{Group, Wait};

use crate::config::{Config, Pin};

/// Options for running a server, for a command line parser of clap.
#[derive(Clone, Debug, clap::Args)]
#[non_exhaustive]
pub struct ServeOptions {
    /// Threads that deliver messages, each to its own share of the clients [default: a quarter of the processors]
    #[arg(short, long, value_name = "N", help_heading = "Threads")]
    pub broadcasters: Option<usize>,

    /// Processors that the broadcasters are bound to: `auto`, `no`, or a list such as `2,3`
    #[arg(long, value_name = "CPUS", default_value = "auto", value_parser = parse_pin, help_heading = "Threads")]
    pub pin: Pin,

    /// To at most how many clients of a broadcaster the router delivers by itself while that broadcaster is idle;
    /// 0: never [default: all of them with fewer than four processors, else 64]
    #[arg(long, value_name = "N", default_value_t = default().direct, hide_default_value = true, help_heading = "Threads")]
    pub direct: u32,

    /// How threads wait for work: adaptive (pause, yield, then sleep), block, yield, or spin
    #[arg(long, value_name = "HOW", default_value_t, help_heading = "Threads")]
    pub wait: Wait,

    /// Most clients at once
    #[arg(long, value_name = "N", default_value_t = default().clients_max, help_heading = "Limits")]
    pub clients: u32,

    /// Most rooms at once
    #[arg(long, value_name = "N", default_value_t = default().rooms_max, help_heading = "Limits")]
    pub rooms: u32,

    /// Most members of one room [default: as many as there are clients]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub room_members: Option<u32>,

    /// Most commands that one client may have under way, unanswered; beyond that they are refused while others wait
    #[arg(long, value_name = "N", default_value_t = default().window, help_heading = "Limits")]
    pub window: u32,

    /// Commands of one client that are carried out before others' that came behind them, where several send at once
    #[arg(long, value_name = "N", default_value_t = default().quantum, help_heading = "Limits")]
    pub quantum: u32,

    /// Commands that the control ring holds, a power of two (256 bytes each)
    #[arg(long, value_name = "N", default_value_t = default().control_capacity, help_heading = "Limits")]
    pub capacity: u32,

    /// Longest time that records may wait for a client with the policy `block`
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_time, help_heading = "Limits")]
    pub block_max: Duration,

    /// Most records that may wait for one client with the policy `block` or `spill` (248 bytes each)
    #[arg(long, value_name = "N", default_value_t = default().spill_max, help_heading = "Limits")]
    pub spill_max: u32,

    /// Most bytes that records waiting for slow clients may take, for all of them together
    #[arg(long, value_name = "BYTES", default_value_t = default().spill_total, help_heading = "Limits")]
    pub spill_total: u64,

    /// Most clients that may be connecting at once; further ones are told to try again
    #[arg(long, value_name = "N", default_value_t = default().hellos_max, help_heading = "Limits")]
    pub hellos: u32,

    /// Messages of each room that are kept for those who come later; 0 for none
    #[arg(long, value_name = "N", default_value_t = default().history, help_heading = "Limits")]
    pub history: u32,

    /// Most bytes that the kept messages of all rooms take together
    #[arg(long, value_name = "BYTES", default_value_t = default().history_bytes, help_heading = "Limits")]
    pub history_bytes: usize,

    /// How long a client may take to write a command before the others are served past it
    #[arg(long, value_name = "TIME", default_value = "5ms", value_parser = parse_time, help_heading = "Times")]
    pub grace: Duration,

    /// How often clients must show that they live
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = parse_time, help_heading = "Times")]
    pub heartbeat: Duration,

    /// After how long without a heartbeat a client is dropped; one whose process ends is dropped at once
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_time, help_heading = "Times")]
    pub hang: Duration,

    /// After how long without an answer clients should send a command again
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_time, help_heading = "Times")]
    pub retry: Duration,

    /// After taking over from a server that died: how long messages wait for its clients to be back, at most
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_time, help_heading = "Times")]
    pub rejoin: Duration,

    /// How long a process is not let in again that was thrown out for flooding
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_time, help_heading = "Times")]
    pub bar: Duration,

    /// Append who connects, joins, leaves, quits, dies or loses records to this file, as JSON Lines
    #[arg(long, value_name = "FILE", help_heading = "Records")]
    pub audit: Option<PathBuf>,

    /// What to log to stderr: error, warn, info, debug, or a filter such as `halyard_server=debug`
    #[arg(long, value_name = "FILTER", default_value = "info", help_heading = "Records")]
    pub log: String,
}

/// For the end of the help: how times are written.
pub const TIMES_HELP: &str = "Times are written as 500us, 5ms, 2s or 1m.";

fn default() -> Config {
    Config::default()
}

fn parse_pin(text: &str) -> Result<Pin, String> {
    match text {
        "auto" => Ok(Pin::Auto),
        "no" => Ok(Pin::No),
        list => {
            let cpu =
                |part: &str| part.trim().parse().map_err(|_| format!("{part:?} is no processor number"));
            Ok(Pin::Cpus(list.split(',').map(cpu).collect::<Result<_, _>>()?))
        }
    }
}

fn parse_time(text: &str) -> Result<Duration, String> {
    let bad = || format!("{text:?} is no time: write for example 500us, 5ms, 2s or 1m");
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
    let number: u64 = text[..digits].parse().map_err(|_| bad())?;
    let unit = match &text[digits..] {
        "us" => Duration::from_micros(1),
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        _ => return Err(bad()),
    };
    u32::try_from(number).ok().and_then(|number| unit.checked_mul(number)).ok_or_else(bad)
}

impl ServeOptions {
    /// The configuration of a server of this name, for this group's members if there is one, else for this user alone.
    #[must_use]
    pub fn config(self, name: ServerName, group: Option<Group>) -> Config {
        let default = default();
        Config {
            name,
            group,
            broadcasters: self.broadcasters.unwrap_or(default.broadcasters),
            pin: self.pin,
            clients_max: self.clients,
            rooms_max: self.rooms,
            room_members_max: self.room_members.unwrap_or(default.room_members_max),
            window: self.window,
            quantum: self.quantum,
            control_capacity: self.capacity,
            grace: self.grace,
            heartbeat: self.heartbeat,
            hang: self.hang,
            retry: self.retry,
            rejoin: self.rejoin,
            bar: self.bar,
            block_max: self.block_max,
            spill_max: self.spill_max,
            spill_total: self.spill_total,
            hellos_max: self.hellos,
            history: self.history,
            history_bytes: self.history_bytes,
            direct: self.direct,
            wait: self.wait,
            audit: self.audit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        options: ServeOptions,
    }

    #[test]
    fn the_command_line_is_consistent_and_its_defaults_are_the_librarys() {
        Program::command().debug_assert();
        let ours = Program::parse_from(["program"]).options.config(ServerName::default(), None);
        assert_eq!(format!("{ours:?}"), format!("{:?}", Config::default()));
    }

    #[test]
    fn times_have_units() {
        assert_eq!(parse_time("5ms"), Ok(Duration::from_millis(5)));
        assert_eq!(parse_time("2m"), Ok(Duration::from_secs(120)));
        for bad in ["", "5", "ms", "1.5s", "-1s", "5 ms", "99999999999s"] {
            assert!(parse_time(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn pins_are_read() {
        assert_eq!(parse_pin("2, 3"), Ok(Pin::Cpus(vec![2, 3])));
        assert_eq!(parse_pin("no"), Ok(Pin::No));
        assert!(parse_pin("x").is_err());
    }
}
