//! One process of a run: a thread of the script, from the start to its end.

use std::io;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use halyard_ring::{Producer, Ring, monotonic_ns};
use nix::sys::signal::{Signal, raise};
use serde::{Deserialize, Serialize};

use super::event::Event;
use super::names::Names;
use super::region::{ITEMS_MAX, Region};
use super::world::{Doing, Real, Tools};
use crate::machine::{Stepped, Thread};
use crate::script;
use crate::search::Random;

/// Steps after which a process counts as going round and round. A count, not a time.
const STEPS_MAX: u32 = 1_000_000;
/// Steps at whose beginning a process may be held up, so that the others get in between.
const RESTLESS: u32 = 20_000;

/// What a process needs to know in order to play its part; it comes as JSON on its standard input.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Part {
    pub(crate) run: String,
    pub(crate) source: String,
    pub(crate) given: Vec<(String, i32)>,
    pub(crate) who: usize,
    pub(crate) seed: u64,
    /// It kills itself before this step of its own.
    pub(crate) dies_before: Option<u32>,
    pub(crate) traced: bool,
}

/// Plays a part to its end.
///
/// # Errors
/// If the run's memory or semaphores cannot be opened, which is the parent's fault or its end.
pub fn play(part: &Part) -> io::Result<()> {
    let given: Vec<(&str, i32)> = part.given.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let program = script::compile(&part.source, &given).map_err(io::Error::other)?;
    let names = Names::of(&part.run);
    let region = Region::open(&names.region(), &program)?;
    let tools = Tools::open(&program, &names)?;
    let mut events = match part.traced {
        true => Some(
            Ring::<Event>::open(&names.events())
                .map_err(io::Error::other)?
                .producer()
                .map_err(io::Error::other)?,
        ),
        false => None,
    };
    tools.ready.post();
    tools.go.wait();

    let who = part.who;
    let end = |doing: Doing| region.status(who).doing.store(doing.to_word(), Ordering::SeqCst);
    let mut thread = match Thread::new(&program, who) {
        Ok(thread) => thread,
        Err(fault) => {
            region.tell(who, &format!("{} {fault}", program.threads[who].name));
            end(Doing::Faulty);
            return Ok(());
        }
    };
    let mut random = Random::new(part.seed);
    let mut world = Real { program: &program, region: &region, tools: &tools, seen: (0, 0) };
    for step in 0..STEPS_MAX {
        if part.dies_before == Some(step) {
            // kill -9, from inside: nothing of this process runs after it.
            raise(Signal::SIGKILL)?;
        }
        if step < RESTLESS {
            hold_up(&mut random);
        }
        if thread.items_put() >= ITEMS_MAX {
            region.tell(who, &format!("{} puts more than {ITEMS_MAX} items", program.threads[who].name));
            end(Doing::Faulty);
            return Ok(());
        }
        let (at, began_ns) = (thread.at(), monotonic_ns());
        match thread.step(&program, who, &mut world) {
            Ok(Stepped::Ended) => {
                end(Doing::Ended);
                return Ok(());
            }
            Ok(Stepped::Done | Stepped::Blocked) => {
                region.status(who).steps.store(step + 1, Ordering::SeqCst);
                if let Some(events) = &mut events {
                    tell(events, who, at, began_ns, world.seen);
                }
            }
            Err(fault) => {
                region.tell(who, &format!("{} {fault}", program.threads[who].name));
                end(Doing::Faulty);
                return Ok(());
            }
        }
    }
    end(Doing::Spent);
    Ok(())
}

/// Sometimes lets the others go first.
fn hold_up(random: &mut Random) {
    match random.below(32) {
        0 => thread::sleep(Duration::from_micros(20)),
        1..=6 => thread::yield_now(),
        _ => {}
    }
}

fn tell(events: &mut Producer<Event>, who: usize, at: usize, began_ns: u64, seen: (u32, i32)) {
    let event = Event {
        began_ns,
        ended_ns: monotonic_ns(),
        who: who as u32,
        at: at as u32,
        value: seen.1,
        cell: seen.0,
    };
    // A full ring means that the parent is slow or gone; a step untold is better than a step not taken.
    let _ = events.push_timeout(event, Duration::from_millis(200));
}
