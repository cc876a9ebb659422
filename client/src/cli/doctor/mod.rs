//! `halyard doctor`: what is wrong in shared memory, and putting right what can be.
//!
//! It judges with the same proofs as the engine: a free lock for a dead owner, pid and start time for a dead producer.
//! What could be the state of a moment counts only if it is still there a second later.

mod finding;
mod names;
mod ring;
mod system;

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use halyard_client::ServerName;
use halyard_ring::{Mender, Removal, RingName, list_names, remove_dead};
use halyard_server::Config;

use super::asked::Asked;
use super::exit::{Exit, Failure, Result};
use super::ls::paint::Paint;
use super::ls::survey::Found;
use super::out::Out;
use finding::{Action, Cure, Finding, Severity};

/// Between two looks at what seems wrong.
const BETWEEN: Duration = Duration::from_secs(1);

/// Find what is wrong in shared memory, say what would help, and with --fix do it
///
/// Looks at every ring, semaphore and stray file of ours in /dev/shm: whose they are, whether those live, what the dead
/// left, sleepers that cannot be woken, tokens that do not add up, damage; and at what the system grants a server.
/// What seems wrong is looked at again after a second. What is alive is left alone: --fix removes what is proven dead,
/// frees what dead producers hold in the ring of a living owner, and posts a semaphore for who cannot be woken.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0  nothing is wrong, or all of it was put right; notes do not count
  1  warnings or errors are left")]
pub(crate) struct Args {
    /// Only these servers and that of --server, or rings of these names; without one, all
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Put right what can be
    #[arg(long)]
    fix: bool,
    /// Also what is harmless
    #[arg(long, short)]
    verbose: bool,
    /// One JSON object a line: type "finding" for each, then one of type "summary"
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(server: Option<&ServerName>, args: &Args) -> Result {
    let asked = Asked::new(&args.names, server);
    let names = list_names().map_err(|error| Failure::Io("read /dev/shm", error))?;
    let mut findings = system::Limits::look().check(&Config::default());
    findings.extend(system::strangers(&names, |rest| asked.covers_word(rest)));
    findings.extend(examine(names.iter().filter(|name| asked.covers(name)), args.verbose));
    if args.fix {
        fix(&mut findings, args.verbose);
    }
    let text = match args.json {
        true => finding::json(&findings, args.fix),
        false => finding::text(&findings, &Paint::for_stdout()),
    };
    Out::new().raw(&text)?;
    let left = findings.iter().any(Finding::is_left);
    Ok(if left { Exit::Negative } else { Exit::Done }.into())
}

/// Looks at rings, and a second time at those with which something seems wrong.
fn examine<'a>(names: impl Iterator<Item = &'a RingName>, verbose: bool) -> Vec<Finding> {
    let looked: Vec<(Found, Vec<Finding>)> = names
        .filter_map(Found::look)
        .map(|found| {
            let findings = names::examine(&found, &found, verbose);
            (found, findings)
        })
        .collect();
    let seems_ill = |findings: &[Finding]| findings.iter().any(|found| found.severity > Severity::Ok);
    if looked.iter().any(|(_, findings)| seems_ill(findings)) {
        thread::sleep(BETWEEN);
    }
    looked
        .into_iter()
        .flat_map(|(before, findings)| {
            if !seems_ill(&findings) {
                return findings;
            }
            // What is gone by now needs no doctor.
            Found::look(&before.name)
                .map(|after| names::examine(&before, &after, verbose))
                .unwrap_or_default()
        })
        .collect()
}

/// Does what the findings ask for, ring by ring, and looks whether it helped.
fn fix(findings: &mut [Finding], verbose: bool) {
    let mut rings: BTreeMap<RingName, Vec<&mut Finding>> = BTreeMap::new();
    for found in findings.iter_mut().filter(|found| found.cure.is_done_by_fix()) {
        if let Ok(name) = RingName::new(&found.subject) {
            rings.entry(name).or_default().push(found);
        }
    }
    for (name, mut findings) in rings {
        let done = cure(&name, &findings);
        let mut still = match done {
            Ok(()) => remaining(&name, verbose),
            Err(_) => Vec::new(),
        };
        if still.iter().any(|left| findings.iter().any(|found| found.check == left.check)) {
            // Perhaps a moment's work of others.
            still = examine([&name].into_iter(), verbose);
        }
        for found in &mut findings {
            found.action = Action::Fixed;
            if let Err(why) = &done {
                found.action = Action::Failed;
                found.failure = Some(why.clone());
            } else if still.iter().any(|left| left.check == found.check && left.cure.is_done_by_fix()) {
                found.action = Action::Failed;
            }
        }
    }
}

/// What is wrong with a ring at this moment.
fn remaining(name: &RingName, verbose: bool) -> Vec<Finding> {
    Found::look(name).map(|found| names::examine(&found, &found, verbose)).unwrap_or_default()
}

/// Carries out each kind of cure once.
fn cure(name: &RingName, findings: &[&mut Finding]) -> std::result::Result<(), String> {
    if findings.iter().any(|found| found.cure == Cure::Remove) {
        return match remove_dead(name) {
            // Whoever lives there now has taken the place of what was dead.
            Ok(Removal::Removed | Removal::Missing | Removal::Alive) => Ok(()),
            Ok(other) => Err(format!("{other:?}")),
            Err(error) => Err(error.to_string()),
        };
    }
    let mender = Mender::open(name).map_err(|error| error.to_string())?;
    if findings.iter().any(|found| found.cure == Cure::Reap) {
        mender.reap();
    }
    let wakes = findings.iter().filter_map(|found| match found.cure {
        Cure::Wake(ready) => Some(ready),
        _ => None,
    });
    if let Some(ready) = wakes.max() {
        mender.wake(ready);
    }
    Ok(())
}
