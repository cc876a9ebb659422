//! `halyard-bench chaos`: a seeded storm over a real server. Clients chat while a driver kills, stops, resumes and
//! overflows them, and the server too, at random moments and at named points, and damages the control ring; then
//! everything that they have noted is checked.

mod check;
mod damage;
pub(crate) mod field;
pub(crate) mod happening;
mod journal;
pub(crate) mod log;
mod message;
pub(crate) mod plan;
mod reign;
pub(crate) mod residue;
mod slot;
mod spoil;
pub(crate) mod storm;
mod summary;
mod worker;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use self::check::{Past, Violation, Waits, across, late, silence};
use self::field::Options;
use self::plan::{Schedule, Weather};
use self::spoil::Spoil;
use self::storm::Storm;
use crate::common::Output;
use crate::failure::{DIFFERENT, Failure, While as _};
use crate::{interrupt, progress};

pub(crate) use self::worker::child;

/// Let client processes chat while they are killed, stopped and resumed, and check everything that they receive
///
/// Each client is a process with a connection of its own, which says things, sends direct messages, changes rooms and
/// nicks, leaves, quits and comes again. A driver sends SIGKILL, SIGSTOP and SIGCONT to them as a schedule says that
/// follows from the seed alone, at random moments and, if the program was built with the feature `faults`, at named
/// points of the code; it lets reply rings overflow, stops the server, kills and restarts it, and damages its control ring.
/// Every client notes what it sends and receives in memory that outlives it. The check goes over all notes: the delivery contract, exactly once, in
/// order, gaps only where they were announced, what was acknowledged delivered, nobody held up by the dead or the
/// stopped, and a server that is stopped noticed by all; at the end nothing may be left in /dev/shm, and the server's threads, mappings and descriptors must be back
/// where they began. The first promise that is broken ends the program with exit code 1, the seed and the timeline.
#[derive(Args, Debug)]
pub(crate) struct Chaos {
    /// What the schedule follows from; the same seed gives the same schedule
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How long it storms
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Client processes
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(2..=200))]
    clients: u16,
    /// How often the server is killed and started again
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1000))]
    server_kills: u32,
    /// How often the server is stopped and goes on: every second time for so long that its clients say so
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=1000))]
    server_stops: u32,
    /// How often the server's control ring is damaged, so that it must make a new one: every second time it is killed in
    /// the middle of that, where named points are compiled in
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=1000))]
    scribbles: u32,
    /// Commands of each client in a second
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
    /// Mean pause between two faults of one client, milliseconds
    #[arg(long, value_name = "MS", default_value_t = 700, value_parser = clap::value_parser!(u32).range(50..=600_000))]
    every: u32,
    /// Broadcaster threads of the server
    #[arg(long, value_name = "N", default_value_t = 2)]
    broadcasters: usize,
    /// Print the schedule of this seed as JSON, and do nothing
    #[arg(long)]
    schedule: bool,
    /// Spoil the notes before they are checked, to see that the check can fail
    #[arg(long, value_name = "HOW", value_enum)]
    spoil: Option<Spoil>,
    /// Write what every client noted to a file each in this folder
    #[arg(long, value_name = "FOLDER")]
    notes: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

/// Without a sign of life for so long, a client of the storm counts as hung. Some are stopped for longer.
const HANG: Duration = Duration::from_millis(1500);
/// Entries of a journal for each second of the storm.
const ENTRIES_PER_SECOND: usize = 1 << 15;

impl Chaos {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let weather = Weather {
            clients: self.clients,
            seconds: self.seconds,
            server_kills: self.server_kills,
            server_stops: self.server_stops,
            scribbles: self.scribbles,
            every_ms: self.every,
            hang_ms: Some(HANG.as_millis() as u32),
        };
        let schedule = Schedule::new(self.seed, &weather);
        if self.schedule {
            crate::out(
                &(serde_json::to_string(&schedule).expect("a schedule holds numbers and words") + "\n"),
            );
            return Ok(());
        }
        let options = Options {
            seed: self.seed,
            clients: self.clients,
            rooms: (self.clients / 5).max(1),
            broadcasters: self.broadcasters,
            rate: self.rate,
            hang: HANG,
            journal_entries: Some((self.seconds as usize + 5) * ENTRIES_PER_SECOND),
        };
        let server = storm::server_name()?;
        let outcome = self.storm(&options, &server, schedule);
        if outcome.is_err() {
            residue::sweep(&server);
        }
        let summary = outcome?;
        self.output.deliver(&summary.results().document(), |document| summary.text(&document.machine))?;
        match summary.violations.first() {
            None => Ok(()),
            Some(violation) => Err(Failure::of(DIFFERENT, format_args!("seed {}: {violation}", self.seed))),
        }
    }

    fn storm(
        &self,
        options: &Options,
        server: &halyard_client::ServerName,
        schedule: Schedule,
    ) -> Result<summary::Summary, Failure> {
        let board = storm::board(self.clients)?;
        let bar = self.output.bar(self.seconds as usize * 1000);
        let mut storm = Storm::begin(options, server, &board, schedule)?;
        let mut drawn = Duration::ZERO;
        let raged = storm.rage(Duration::from_secs(self.seconds.into()), |now| {
            if now - drawn >= progress::EVERY {
                drawn = now;
                bar.set_position(now.as_millis() as u64);
            }
        });
        bar.finish_and_clear();
        raged?;
        let voids = storm.voids();
        let begin = storm.begin;
        let (mut field, held) = storm.end()?;
        interrupt::check()?;
        if let Some(spoil) = self.spoil
            && !spoil.spoil(&mut field.pasts)
        {
            return Err(Failure::usage("--spoil: this storm has nothing that can be spoilt so"));
        }
        if let Some(folder) = &self.notes {
            write_notes(folder, &field.pasts, field.start)?;
        }
        let mut violations: Vec<Violation> = std::mem::take(&mut field.violations);
        violations.extend(across(&field.pasts));
        let server = halyard_server::Config::default();
        let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let waits = Waits { grace_ns: ns(server.grace), rejoin_ns: ns(server.rejoin) };
        let (latencies, slow) = late(&field.pasts, &field.faults, waits);
        violations.extend(slow);
        violations.extend(silence(&field.pasts, &field.faults));
        Ok(summary::Summary {
            seed: self.seed,
            seconds: self.seconds,
            clients: self.clients,
            voids,
            begin,
            held,
            counts: field.counts,
            tally: summary::Tally::of(&field.pasts),
            latencies,
            start: field.start,
            timeline: field.timeline,
            violations,
        })
    }
}

/// Writes every client's notes to a file, a line an entry, with the seconds from the beginning.
fn write_notes(folder: &Path, pasts: &[Past], start: u64) -> Result<(), Failure> {
    let doing = |path: &Path| format!("writing {}", path.display());
    std::fs::create_dir_all(folder).doing(doing(folder))?;
    for Past { life, ended, notes, .. } in pasts {
        let mut text = String::new();
        for noted in notes {
            let at = (noted.at as f64 - start as f64) / 1e9;
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{at:>12.6} {:?}", noted.entry);
        }
        let _ = writeln!(text, "             {ended:?}");
        let path = folder.join(format!("{}.{}", life.slot, life.life));
        std::fs::write(&path, text).doing(doing(&path))?;
    }
    Ok(())
}
