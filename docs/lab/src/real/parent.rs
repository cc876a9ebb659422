//! Starts the processes of a run, watches over them, and counts what came of it.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use halyard_ring::{Consumer, Ring, RingOptions};
use nix::sys::mman::shm_unlink;
use serde::Serialize;

use super::child::Part;
use super::event::Event;
use super::names::Names;
use super::region::{ITEMS_MAX, Region};
use super::robust::RobustMutex;
use super::world::{Doing, Tools};
use crate::script::{self, MutexKind, Program, item, item_name};

/// How often the parent looks.
const LOOK: Duration = Duration::from_millis(1);
/// Looks in a row without any change that prove that all are stuck, where the C library does not tell who waits.
const STILL: u32 = 300;
/// A run that is not over by then is given up, and judged neither good nor bad.
const PATIENCE: Duration = Duration::from_secs(60);

/// What to run.
#[derive(Clone, Debug)]
pub struct RealRun<'a> {
    /// The `halyard-lab` program, which plays the parts.
    pub program: PathBuf,
    /// The script.
    pub source: &'a str,
    /// What the lab gives to it.
    pub given: script::Given<'a>,
    /// Where the processes are held up is drawn from this.
    pub seed: u64,
    /// Thread and step of its own before which it is killed.
    pub kill: Option<(usize, u32)>,
    /// Whether the steps are to be told.
    pub traced: bool,
}

/// What came of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Outcome {
    /// Items put.
    pub put: u32,
    /// Different items that arrived.
    pub arrived: u32,
    /// Items that should have arrived and did not.
    pub lost: Vec<String>,
    /// Items that arrived more than once.
    pub doubled: Vec<String>,
    /// How each thread ended.
    pub threads: Vec<String>,
    /// The process that was killed.
    pub killed: Option<String>,
    /// What is wrong, if anything is: rule and sentence.
    pub violation: Option<(String, String)>,
    /// The run was given up without a verdict.
    pub given_up: bool,
    /// The steps of a traced run, in the order in which they ended.
    #[serde(skip)]
    pub events: Vec<Event>,
}

/// Removes the names of a run, however it ends.
struct Cleanup<'a> {
    program: &'a Program,
    names: &'a Names,
}

impl Drop for Cleanup<'_> {
    fn drop(&mut self) {
        Tools::unlink(self.program, self.names);
        let _ = shm_unlink(&*self.names.region());
    }
}

/// Kills what still runs, so that no process outlives its run.
struct Children(Vec<Option<Child>>);

impl Drop for Children {
    fn drop(&mut self) {
        for child in self.0.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Runs a script with real processes until all is over, all are stuck, or patience ends.
///
/// # Errors
/// If the script cannot be read, or the system refuses processes, memory or semaphores.
pub fn run(run: &RealRun<'_>) -> io::Result<Outcome> {
    let program = script::compile(run.source, run.given).map_err(io::Error::other)?;
    let names = Names::fresh();
    let region = Region::create(&names.region(), &program)?;
    let _cleanup = Cleanup { program: &program, names: &names };
    for (index, cell) in program.cells.iter().enumerate() {
        region.cell(index).store(cell.initial, Ordering::SeqCst);
    }
    make_robust(&program, &region)?;
    let tools = Tools::create(&program, &names)?;
    let mut events = match run.traced {
        true => Some(Events::new(&names)?),
        false => None,
    };
    let mut children = Children(Vec::new());
    for who in 0..program.threads.len() {
        children.0.push(Some(start(run, &names, who)?));
    }
    let mut watch = Watch { program: &program, region: &region, tools: &tools, children: &mut children };
    watch.gather()?;
    for _ in &program.threads {
        tools.go.post();
    }
    let end = watch.until_rest(&mut || {
        if let Some(events) = &mut events {
            events.drain();
        }
    })?;
    let mut outcome = watch.count(end);
    drop(children);
    if let Some(mut events) = events {
        events.drain();
        outcome.events = events.finish();
    }
    Ok(outcome)
}

#[expect(unsafe_code, reason = "robust mutexes lie in the mapping")]
fn make_robust(program: &Program, region: &Region) -> io::Result<()> {
    for (index, _) in program.mutexes.iter().enumerate().filter(|(_, mutex)| mutex.kind == MutexKind::Robust)
    {
        // SAFETY: a place in the mapping, which outlives the value, initialised here before anybody else knows it.
        unsafe { RobustMutex::at(region.mutex(index)) }.init()?;
    }
    Ok(())
}

fn start(run: &RealRun<'_>, names: &Names, who: usize) -> io::Result<Child> {
    let part = Part {
        run: names.run().to_owned(),
        source: run.source.to_owned(),
        given: run.given.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
        who,
        seed: run.seed.wrapping_mul(31).wrapping_add(who as u64),
        dies_before: run.kill.filter(|(victim, _)| *victim == who).map(|(_, step)| step),
        traced: run.traced,
    };
    let mut child =
        Command::new(&run.program).arg("part").stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    let sent = child
        .stdin
        .take()
        .map_or(Ok(()), |mut input| input.write_all(&serde_json::to_vec(&part).map_err(io::Error::other)?));
    if let Err(error) = sent {
        let _ = child.kill();
        let _ = child.wait();
        return Err(error);
    }
    Ok(child)
}

/// The ring that the processes tell their steps through.
struct Events {
    ring: Ring<Event>,
    consumer: Consumer<Event>,
    seen: Vec<Event>,
}

impl Events {
    fn new(names: &Names) -> io::Result<Self> {
        let options = RingOptions::mpsc(4096);
        let ring = Ring::create(&names.events(), &options).map_err(io::Error::other)?;
        let consumer = ring.consumer().map_err(io::Error::other)?;
        Ok(Self { ring, consumer, seen: Vec::new() })
    }

    fn drain(&mut self) {
        const EVENTS_MAX: usize = 100_000;
        while let Ok(event) = self.consumer.try_pop() {
            if self.seen.len() < EVENTS_MAX {
                self.seen.push(event);
            }
        }
    }

    fn finish(self) -> Vec<Event> {
        let _ = self.ring.unlink();
        let mut seen = self.seen;
        seen.sort_by_key(|event| event.ended_ns);
        seen
    }
}

/// How a run came to rest.
enum Rest {
    Over,
    Stuck,
    GivenUp,
}

struct Watch<'a> {
    program: &'a Program,
    region: &'a Region,
    tools: &'a Tools,
    children: &'a mut Children,
}

impl Watch<'_> {
    fn doing(&self, who: usize) -> Doing {
        Doing::from_word(self.region.status(who).doing.load(Ordering::SeqCst))
    }

    /// Waits until every process stands at the start.
    fn gather(&mut self) -> io::Result<()> {
        let mut waited = 0;
        for _ in 0..self.program.threads.len() {
            while !self.tools.ready.wait_timeout(Duration::from_millis(50)) {
                waited += 1;
                for child in self.children.0.iter_mut().flatten() {
                    if let Some(status) = child.try_wait()? {
                        return Err(io::Error::other(format!("a process of the run ended early: {status}")));
                    }
                }
                if waited > 1200 {
                    return Err(io::Error::other("the processes did not start within a minute"));
                }
            }
        }
        Ok(())
    }

    /// Notes who has ended, and tells the others of a death.
    fn reap(&mut self) -> io::Result<()> {
        for who in 0..self.children.0.len() {
            let Some(child) = &mut self.children.0[who] else { continue };
            if child.try_wait()?.is_none() {
                continue;
            }
            self.children.0[who] = None;
            if matches!(self.doing(who), Doing::Ended | Doing::Faulty | Doing::Spent) {
                continue;
            }
            self.region.status(who).dead.store(1, Ordering::SeqCst);
            for _ in &self.program.threads {
                self.tools.death.post();
            }
        }
        Ok(())
    }

    fn until_rest(&mut self, each: &mut dyn FnMut()) -> io::Result<Rest> {
        let begun = Instant::now();
        let mut still = (Vec::new(), 0);
        loop {
            each();
            self.reap()?;
            let picture = self.picture();
            let living: Vec<usize> =
                (0..picture.len()).filter(|who| self.children.0[*who].is_some()).collect();
            let workers = |who: &&usize| !self.program.threads[**who].service;
            if living.is_empty() {
                return Ok(Rest::Over);
            }
            still.1 = if still.0 == picture { still.1 + 1 } else { 0 };
            let at_rest = living.iter().all(|who| self.is_blocked(*who, &picture))
                && self.tokens_agree(&living, still.1)
                && self.picture() == picture;
            still.0 = picture;
            if at_rest {
                return Ok(if living.iter().any(|who| workers(&who)) { Rest::Stuck } else { Rest::Over });
            }
            if begun.elapsed() > PATIENCE {
                return Ok(Rest::GivenUp);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// What everyone is doing, and after how many steps.
    fn picture(&self) -> Vec<(Doing, u32)> {
        (0..self.program.threads.len())
            .map(|who| (self.doing(who), self.region.status(who).steps.load(Ordering::SeqCst)))
            .collect()
    }

    /// Whether a process waits for something that is not there.
    fn is_blocked(&self, who: usize, picture: &[(Doing, u32)]) -> bool {
        match picture[who].0 {
            Doing::Running | Doing::Ended | Doing::Faulty | Doing::Spent => false,
            Doing::Semaphore(index) => self.tools.semaphores[index as usize].value() == 0,
            Doing::Mutex(index) if self.program.mutexes[index as usize].kind == MutexKind::Robust => {
                let holder = self.region.holder(index as usize).load(Ordering::SeqCst) as usize;
                // A holder that died gives the mutex to the next one; one that ended well or waits itself does not.
                holder != 0
                    && holder != who + 1
                    && self.region.status(holder - 1).dead.load(Ordering::SeqCst) == 0
                    && picture[holder - 1].0 != Doing::Running
            }
            Doing::Mutex(index) => self.tools.mutexes[index as usize].value() == 0,
            Doing::Cell(cell) => self.region.cell(cell as usize).load(Ordering::SeqCst) != 0,
            Doing::Asleep => self.tools.beds[who].value() == 0,
            Doing::Death => self.tools.death.value() == 0,
        }
    }

    /// Whether as many sleep on each semaphore as say so: one that was woken and has not yet said so is on its way.
    fn tokens_agree(&self, living: &[usize], still: u32) -> bool {
        let says = |doing: Doing| living.iter().filter(|who| self.doing(**who) == doing).count() as u32;
        let plain = |index: &usize| self.program.mutexes[*index].kind != MutexKind::Robust;
        let mut pairs: Vec<(&halyard_ring::Semaphore, u32)> = Vec::new();
        for (index, semaphore) in self.tools.semaphores.iter().enumerate() {
            pairs.push((semaphore, says(Doing::Semaphore(index as u32))));
        }
        for index in (0..self.tools.mutexes.len()).filter(plain) {
            pairs.push((&self.tools.mutexes[index], says(Doing::Mutex(index as u32))));
        }
        for who in living {
            let asleep = u32::from(self.doing(*who) == Doing::Asleep);
            pairs.push((&self.tools.beds[*who], asleep));
        }
        pairs.push((&self.tools.death, says(Doing::Death)));
        // What is claimed by looking again and again has no waiters to count, and neither has a robust mutex.
        let uncounted = living.iter().any(|who| match self.doing(*who) {
            Doing::Cell(_) => true,
            Doing::Mutex(index) => !plain(&(index as usize)),
            _ => false,
        });
        let counted = pairs.iter().all(|(semaphore, waiters)| match semaphore.waiters() {
            Some(found) => found == *waiters && semaphore.value() == 0 || *waiters == 0,
            None => still >= STILL,
        });
        counted && (!uncounted || still >= STILL)
    }

    fn count(&self, rest: Rest) -> Outcome {
        let mut outcome = Outcome::default();
        for (who, thread) in self.program.threads.iter().enumerate() {
            let status = self.region.status(who);
            let dead = status.dead.load(Ordering::SeqCst) == 1;
            let put = status.put.load(Ordering::SeqCst).min(ITEMS_MAX as u32);
            let due = if dead { status.published.load(Ordering::SeqCst) } else { put };
            outcome.put += put;
            for nth in 0..put as usize {
                let times = self.region.taken(who, nth).map_or(0, |times| times.load(Ordering::SeqCst));
                outcome.arrived += u32::from(times > 0);
                if times == 0 && nth < due as usize {
                    outcome.lost.push(item_name(item(who, nth)));
                } else if times > 1 {
                    outcome.doubled.push(item_name(item(who, nth)));
                }
            }
            if dead {
                outcome.killed = Some(thread.name.clone());
            }
            outcome.threads.push(format!("{}: {}", thread.name, self.end_of(who, dead)));
            if let (None, Some(fault)) = (&outcome.violation, self.region.told(who)) {
                outcome.violation = Some(("fault".to_owned(), fault));
            }
        }
        let spent = (0..self.program.threads.len()).find(|who| self.doing(*who) == Doing::Spent);
        if outcome.violation.is_none() {
            outcome.violation = match (rest, spent) {
                (Rest::GivenUp, _) => {
                    outcome.given_up = true;
                    None
                }
                (Rest::Stuck, _) => {
                    Some(("deadlock".to_owned(), format!("nobody can go on: {}", outcome.threads.join("; "))))
                }
                (Rest::Over, Some(who)) => Some((
                    "livelock".to_owned(),
                    format!(
                        "{} went round and round until its steps were used up",
                        self.program.threads[who].name
                    ),
                )),
                (Rest::Over, None) if !outcome.doubled.is_empty() => {
                    Some(("no-double".to_owned(), format!("came twice: {}", outcome.doubled.join(", "))))
                }
                (Rest::Over, None) if !outcome.lost.is_empty() => {
                    Some(("all-arrive".to_owned(), format!("never arrived: {}", outcome.lost.join(", "))))
                }
                (Rest::Over, None) => None,
            };
        }
        outcome
    }

    fn end_of(&self, who: usize, dead: bool) -> String {
        if dead {
            return "killed".to_owned();
        }
        let name = |index: u32, what: &[String]| what.get(index as usize).cloned().unwrap_or_default();
        let semaphores: Vec<String> = self.program.semaphores.iter().map(|s| s.name.clone()).collect();
        let mutexes: Vec<String> = self.program.mutexes.iter().map(|m| m.name.clone()).collect();
        match self.doing(who) {
            Doing::Running => "runs".to_owned(),
            Doing::Ended => "ended".to_owned(),
            Doing::Faulty => "did what it must not".to_owned(),
            Doing::Spent => "went round and round".to_owned(),
            Doing::Semaphore(index) => format!("waits on {}", name(index, &semaphores)),
            Doing::Mutex(index) => format!("waits for {}", name(index, &mutexes)),
            Doing::Cell(cell) => format!("waits to claim {}", self.program.cells[cell as usize].name),
            Doing::Asleep => "sleeps".to_owned(),
            Doing::Death => "waits for a death".to_owned(),
        }
    }
}
