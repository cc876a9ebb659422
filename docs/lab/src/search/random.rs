//! One run, its choices drawn from a seed or read from a schedule.

use crate::machine::{Actor, State};
use crate::rules::{self, Violation};

use super::{Case, Seed};

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All is done, and every rule held.
    Well,
    /// A rule was violated.
    Badly(Violation),
    /// Steps or schedule ran out before the end.
    Early,
}

/// A run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Who moved, in order.
    pub schedule: Vec<Actor>,
    /// How it ended.
    pub ended: Ended,
    /// The state that it ended in; `None` if there was none to start from.
    pub state: Option<State>,
}

/// SplitMix64, by Sebastiano Vigna: small, and the same for ever, so that a seed in a book stays true.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which is not 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// Runs until the end, a violation, or `max_steps`.
#[must_use]
pub fn simulate(case: &Case<'_>, seed: &Seed, max_steps: usize) -> Run {
    let mut state = match case.start() {
        Ok(state) => state,
        Err(violation) => return Run { schedule: Vec::new(), ended: Ended::Badly(violation), state: None },
    };
    let mut chooser = Chooser::new(case, seed);
    let mut schedule = Vec::new();
    let ended = loop {
        let choices = case.choices(&state);
        if let Some(actor) = chooser.choose(&choices) {
            if schedule.len() == max_steps {
                break Ended::Early;
            }
            schedule.push(actor);
            if let Err(violation) = case.advance(&mut state, actor) {
                break Ended::Badly(violation);
            }
        } else if case.at_rest(&choices) {
            match rules::at_end(case.program, case.rules, &state) {
                Some(violation) => break Ended::Badly(violation),
                None => break Ended::Well,
            }
        } else {
            break Ended::Early;
        }
    };
    Run { schedule, ended, state: Some(state) }
}

/// Chooses who moves next.
pub(crate) enum Chooser {
    Drawn {
        random: Random,
        /// Steps until the kill; `None` if nobody is to be killed.
        kill_after: Option<usize>,
    },
    Read {
        schedule: Vec<Actor>,
        next: usize,
    },
}

impl Chooser {
    pub(crate) fn new(case: &Case<'_>, seed: &Seed) -> Self {
        match seed {
            Seed::Number(number) => {
                let mut random = Random::new(*number);
                let kill_after = case.victim.map(|_| random.below(40));
                Self::Drawn { random, kill_after }
            }
            Seed::Schedule(schedule) => Self::Read { schedule: schedule.clone(), next: 0 },
        }
    }

    /// The next to move; `None` if nobody can, or the schedule names none that can.
    pub(crate) fn choose(&mut self, choices: &[Actor]) -> Option<Actor> {
        match self {
            Self::Drawn { random, kill_after } => {
                let kill = choices.iter().find(|actor| matches!(actor, Actor::Kill(_)));
                if let (Some(kill), Some(after)) = (kill, kill_after.as_mut()) {
                    if *after == 0 {
                        return Some(*kill);
                    }
                    *after -= 1;
                }
                let moves = choices.len() - usize::from(kill.is_some());
                let living = choices.iter().filter(|actor| !matches!(actor, Actor::Kill(_)));
                if moves == 0 { None } else { living.copied().nth(random.below(moves)) }
            }
            Self::Read { schedule, next } => {
                let actor = *schedule.get(*next)?;
                *next += 1;
                choices.contains(&actor).then_some(actor)
            }
        }
    }
}
