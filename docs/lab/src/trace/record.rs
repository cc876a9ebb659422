//! What happened in a run, step by step.

use serde::Serialize;

use crate::machine::{Actor, Blocked, Happened, State};
use crate::real::Event;
use crate::rules;
use crate::script::{Op, Program, item_name};
use crate::search::Case;

/// A run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Recording {
    /// The threads' names.
    pub threads: Vec<String>,
    /// The semaphores' names.
    pub semaphores: Vec<String>,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// Posts and unlocks with whom they let go on.
    pub wakes: Vec<Wake>,
    /// How it ended, in a sentence.
    pub ended: String,
    /// Microseconds of each step's end since the first, in a run of real processes.
    pub times: Vec<f64>,
}

/// One step and the state after it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Step {
    /// The thread, by its index; `None` when time passes.
    pub thread: Option<usize>,
    /// Its name.
    pub name: String,
    /// The line of the script.
    pub line: Option<u32>,
    /// What it did.
    pub did: String,
    /// What each thread waits for after it; empty: nothing.
    pub waits: Vec<String>,
    /// The cells of the ring, by the names of their items.
    pub ring: Vec<String>,
    /// Which of them lie between head and tail.
    pub held: Vec<bool>,
    /// Position of head and tail.
    pub head: i32,
    /// See `head`.
    pub tail: i32,
    /// The values of the semaphores.
    pub values: Vec<i32>,
    /// The names of those who wait on each.
    pub waiters: Vec<Vec<String>>,
}

/// A step that let another thread go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Wake {
    /// Index of the step that posted or unlocked.
    pub from: usize,
    /// Index of the step at which the other went on.
    pub to: usize,
}

/// Replays a schedule in the simulator. A step that violates a rule is the last one.
#[must_use]
pub fn simulated(case: &Case<'_>, schedule: &[Actor]) -> Recording {
    let program = case.program;
    let mut recording = Recording {
        threads: program.threads.iter().map(|thread| thread.name.clone()).collect(),
        semaphores: program.semaphores.iter().map(|semaphore| semaphore.name.clone()).collect(),
        ..Recording::default()
    };
    let mut state = match case.start() {
        Ok(state) => state,
        Err(violation) => {
            recording.ended = format!("violated: {}: {}", violation.rule, violation.what);
            return recording;
        }
    };
    // Who waits for what, and the last step that gave such a thing.
    let mut givers: Vec<(Blocked, usize)> = Vec::new();
    for actor in schedule {
        if !case.choices(&state).contains(actor) {
            "the schedule names somebody who cannot move".clone_into(&mut recording.ended);
            break;
        }
        let at = rules::place(program, &state, *actor);
        let note =
            actor.thread().map(|who| program.code(who).instructions[state.threads[who].at()].note.clone());
        let waited: Vec<Option<Blocked>> =
            (0..program.threads.len()).map(|who| state.blocked(program, who)).collect();
        let mut before = state.clone();
        let (happened, broken) = match case.advance(&mut state, *actor) {
            Ok(happened) => (happened, None),
            Err(violation) => (before.apply(program, *actor).unwrap_or(Happened::Nothing), Some(violation)),
        };
        let index = recording.steps.len();
        let mut step = picture(program, &state);
        step.thread = actor.thread();
        step.name = actor.thread().map_or_else(|| "time".to_owned(), |who| program.threads[who].name.clone());
        step.line = at.map(|(pos, _)| pos.line);
        step.did = describe(program, &note.unwrap_or_default(), happened);
        for (who, waited) in waited.iter().enumerate() {
            if let (Some(waited), None) = (waited, state.blocked(program, who)) {
                givers.retain(|(blocked, _)| blocked != waited);
                givers.push((*waited, index));
            }
        }
        if let Some(who) = actor.thread() {
            let was_waiting = waited_before(&recording, who);
            let wanted = match happened {
                Happened::Waited(semaphore) => Some(Blocked::Semaphore(semaphore)),
                Happened::Locked { mutex, .. } => Some(Blocked::Mutex(mutex)),
                Happened::Claimed(cell) => Some(Blocked::Cell(cell)),
                Happened::Awoke => Some(Blocked::Asleep),
                _ => None,
            };
            if let (true, Some(wanted)) = (was_waiting, wanted)
                && let Some((_, from)) = givers.iter().find(|(blocked, _)| *blocked == wanted)
            {
                recording.wakes.push(Wake { from: *from, to: index });
            }
        }
        recording.steps.push(step);
        if let Some(violation) = broken {
            recording.ended = format!("violated: {}: {}", violation.rule, violation.what);
            return recording;
        }
    }
    if recording.ended.is_empty() {
        recording.ended = if !case.at_rest(&case.choices(&state)) {
            "the schedule ends here; the threads could go on".to_owned()
        } else {
            rules::at_end(program, case.rules, &state).map_or_else(
                || "all is done, and every rule held".to_owned(),
                |violation| format!("violated: {}: {}", violation.rule, violation.what),
            )
        };
    }
    recording
}

/// Whether a thread waited since its own last step.
fn waited_before(recording: &Recording, who: usize) -> bool {
    recording
        .steps
        .iter()
        .rev()
        .take_while(|step| step.thread != Some(who))
        .any(|step| step.waits.get(who).is_some_and(|waits| !waits.is_empty()))
}

fn picture(program: &Program, state: &State) -> Step {
    let (head, tail) = (state.shared.cells[Program::HEAD], state.shared.cells[Program::TAIL]);
    let cell = |index: usize| state.shared.cells[Program::RING + index];
    let names = |threads: Vec<usize>| threads.iter().map(|who| program.threads[*who].name.clone()).collect();
    Step {
        waits: (0..program.threads.len())
            .map(|who| {
                state
                    .held_back(program, who)
                    .map_or_else(String::new, |blocked| rules::waits(program, state, who, blocked))
            })
            .collect(),
        ring: (0..program.capacity)
            .map(|index| if cell(index) == 0 { String::new() } else { item_name(cell(index)) })
            .collect(),
        held: (0..program.capacity)
            .map(|index| {
                let ahead = (index as i32 - head).rem_euclid(program.capacity as i32);
                head.wrapping_add(ahead) < tail
            })
            .collect(),
        head,
        tail,
        values: state.shared.semaphores.clone(),
        waiters: (0..program.semaphores.len()).map(|index| names(state.waiters(program, index))).collect(),
        ..Step::default()
    }
}

fn describe(program: &Program, note: &str, happened: Happened) -> String {
    let cell = |cell: usize| program.cells[cell].name.as_str();
    match happened {
        Happened::Read { value, .. } => format!("{note} = {value}"),
        Happened::Wrote { value, .. } => format!("{note} := {value}"),
        Happened::Filled { cell: at, item, .. } => format!("{note} {} into {}", item_name(item), cell(at)),
        Happened::Drained { cell: at, item, .. } => format!("{note} {} out of {}", item_name(item), cell(at)),
        Happened::Locked { owner_died: true, .. } => format!("{note}: its holder died (EOWNERDEAD)"),
        Happened::Woke { awake: false, .. } => format!("{note}: nobody sleeps, the wake is lost"),
        Happened::Napped(length) => format!("nap {length}"),
        Happened::Flushed { cell: at, value } => format!("store reaches memory: {} := {value}", cell(at)),
        Happened::Killed => "is killed".to_owned(),
        Happened::Ticked => "passes; all nap".to_owned(),
        Happened::Awoke => "wakes up".to_owned(),
        _ => note.to_owned(),
    }
}

/// A run of real processes, from the steps that they told: times are real, and the ring and the semaphores are
/// worked out from the steps in the order in which they ended.
#[must_use]
pub fn with_processes(program: &Program, events: &[Event], ended: String) -> Recording {
    let mut recording = Recording {
        threads: program.threads.iter().map(|thread| thread.name.clone()).collect(),
        semaphores: program.semaphores.iter().map(|semaphore| semaphore.name.clone()).collect(),
        ended,
        ..Recording::default()
    };
    let begun = events.iter().map(|event| event.began_ns).min().unwrap_or(0);
    let mut cells: Vec<i32> = program.cells.iter().map(|cell| cell.initial).collect();
    let mut values: Vec<i32> = program.semaphores.iter().map(|semaphore| semaphore.initial).collect();
    let mut posted: Vec<Option<usize>> = vec![None; values.len()];
    for event in events {
        let who = event.who as usize;
        let instruction =
            program.threads.get(who).and_then(|_| program.code(who).instructions.get(event.at as usize));
        let Some(instruction) = instruction else { continue };
        let index = recording.steps.len();
        let cell = event.cell as usize;
        let mut did = instruction.note.clone();
        match instruction.op {
            Op::Load(..) => did = format!("{did} = {}", event.value),
            Op::Store(..) | Op::Claim(_) if cell < cells.len() => {
                cells[cell] = event.value;
                did = format!("{did} := {}", event.value);
            }
            Op::Fill(_) if cell < cells.len() => {
                cells[cell] = event.value;
                did = format!("{did} {} into {}", item_name(event.value), program.cells[cell].name);
            }
            Op::Drain(_) => did = format!("{did} {}", item_name(event.value)),
            Op::Wait(semaphore) => {
                values[semaphore] = (values[semaphore] - 1).max(0);
                // Blocked for longer than a system call takes: somebody's post let it go on.
                if event.ended_ns.saturating_sub(event.began_ns) > 5_000
                    && let Some(from) = posted[semaphore]
                {
                    recording.wakes.push(Wake { from, to: index });
                }
            }
            Op::Post(semaphore) => {
                values[semaphore] += 1;
                posted[semaphore] = Some(index);
            }
            _ => {}
        }
        let (head, tail) = (cells[Program::HEAD], cells[Program::TAIL]);
        let ended_us = event.ended_ns.saturating_sub(begun) as f64 / 1000.0;
        recording.times.push(ended_us);
        let waited = matches!(instruction.op, Op::Wait(_) | Op::Lock(_) | Op::Claim(_) | Op::Asleep)
            && event.ended_ns.saturating_sub(event.began_ns) > 5_000;
        // Everyone who began to wait before this step and ended after it was waiting at it.
        if waited {
            for step in recording.steps.iter_mut().rev().take_while(|step| step.thread != Some(who)) {
                step.waits[who] = format!("waits: {}", instruction.note);
            }
        }
        recording.steps.push(Step {
            thread: Some(who),
            name: program.threads[who].name.clone(),
            line: Some(instruction.at.line),
            did,
            waits: vec![String::new(); program.threads.len()],
            ring: (0..program.capacity)
                .map(|index| match cells[Program::RING + index] {
                    0 => String::new(),
                    item => item_name(item),
                })
                .collect(),
            held: (0..program.capacity)
                .map(|index| {
                    let ahead = (index as i32 - head).rem_euclid(program.capacity as i32);
                    head.wrapping_add(ahead) < tail
                })
                .collect(),
            head,
            tail,
            values: values.clone(),
            waiters: vec![Vec::new(); values.len()],
        });
    }
    recording
}
