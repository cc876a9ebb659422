//! Runs a program in the simulator: one run by a seed or a schedule, many at random, or all there are.

mod exhaustive;
mod random;
mod schedule;

pub use exhaustive::{Explored, explore};
pub(crate) use random::Random;
pub use random::{Ended, Run, simulate};
pub use schedule::{BadSchedule, Seed, pack, parse, write};

use crate::machine::{Actor, Happened, State};
use crate::rules::{self, Rule, Violation};
use crate::script::Program;

/// A program with what it promises, and the thread that may be killed.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The program.
    pub program: &'a Program,
    /// What must hold.
    pub rules: &'a [Rule],
    /// The thread that may be killed, once, at any step.
    pub victim: Option<usize>,
}

impl Case<'_> {
    /// The first state, checked.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn start(&self) -> Result<State, Violation> {
        let state = State::new(self.program).map_err(|(who, fault)| Violation {
            rule: "fault",
            what: format!("{} {fault}", self.program.threads[who].name),
            line: None,
            thread: Some(who),
        })?;
        rules::at_start(self.program, self.rules, &state).map_or(Ok(state), Err)
    }

    /// Who can move.
    #[must_use]
    pub fn choices(&self, state: &State) -> Vec<Actor> {
        self.choices_of(state)
    }

    fn choices_of(&self, state: &State) -> Vec<Actor> {
        state.choices(self.program, self.victim)
    }

    /// Lets `actor` move and checks what comes of it.
    ///
    /// # Errors
    /// What was violated; the state is the one after the step.
    pub fn advance(&self, state: &mut State, actor: Actor) -> Result<Happened, Violation> {
        let at = rules::place(self.program, state, actor);
        let happened = state.apply(self.program, actor).map_err(|fault| {
            let name = actor.thread().map_or("", |who| &self.program.threads[who].name);
            let line = at.map(|(pos, _)| pos.line);
            Violation { rule: "fault", what: format!("{name} {fault}"), line, thread: actor.thread() }
        })?;
        rules::at_step(self.program, self.rules, state, at, happened).map_or(Ok(happened), Err)
    }

    /// Whether nothing will happen any more, but for a kill that need not come.
    #[must_use]
    pub fn at_rest(&self, choices: &[Actor]) -> bool {
        choices.iter().all(|actor| matches!(actor, Actor::Kill(_)))
    }
}
