//! What the stepper knows, and what each key does to it. No terminal here.

use crate::machine::{Actor, State};
use crate::rules::{self, Rule};
use crate::script::Program;
use crate::search::{Case, Random};
use crate::trace;

/// A key, as far as the stepper cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A letter, digit or sign.
    Char(char),
    /// Goes a step back.
    Back,
    /// Goes a step on.
    On,
    /// Ends the typing of a prediction.
    Enter,
    /// Takes a letter back.
    Erase,
    /// Gives up what was begun.
    Escape,
}

/// One step that was taken.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) actor: Actor,
    pub(super) after: State,
    pub(super) did: String,
    /// What this step violated.
    pub(super) violated: Option<String>,
}

/// The stepper's state.
#[derive(Clone, Debug)]
pub struct App {
    pub(super) title: String,
    pub(super) source: Vec<String>,
    pub(super) program: Program,
    rules: &'static [Rule],
    victim: Option<usize>,
    first: State,
    pub(super) taken: Vec<Taken>,
    /// Steps of the seed's or the schedule's run that are still to come, next first.
    plan: Vec<Actor>,
    random: Random,
    /// Whether every step asks for a prediction.
    pub(super) predicting: bool,
    /// A step that is done and not yet shown, and what was typed.
    pub(super) hidden: Option<(Taken, String)>,
    pub(super) message: String,
    pub(super) flushing: bool,
    quit: bool,
}

impl App {
    /// A stepper at the first state.
    ///
    /// # Errors
    /// What is wrong with a script that cannot even start.
    pub fn new(
        title: &str,
        source: &str,
        program: Program,
        rules: &'static [Rule],
        victim: Option<usize>,
        plan: Vec<Actor>,
    ) -> Result<Self, String> {
        let first =
            State::new(&program).map_err(|(who, fault)| format!("{} {fault}", program.threads[who].name))?;
        let message = match plan.len() {
            0 => "You are the scheduler: press the number of the thread that moves next.".to_owned(),
            steps => {
                format!("A run of {steps} steps is ready: space takes its next step, or choose yourself.")
            }
        };
        Ok(Self {
            title: title.to_owned(),
            source: source.lines().map(str::to_owned).collect(),
            program,
            rules,
            victim,
            first,
            taken: Vec::new(),
            plan,
            random: Random::new(1),
            predicting: false,
            hidden: None,
            message,
            flushing: false,
            quit: false,
        })
    }

    fn case(&self) -> Case<'_> {
        Case { program: &self.program, rules: self.rules, victim: self.victim }
    }

    /// The state that is shown.
    #[must_use]
    pub fn state(&self) -> &State {
        self.taken.last().map_or(&self.first, |taken| &taken.after)
    }

    /// Steps taken so far.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.taken.len()
    }

    /// Whether the student has had enough.
    #[must_use]
    pub fn has_quit(&self) -> bool {
        self.quit
    }

    pub(super) fn choices(&self) -> Vec<Actor> {
        self.case().choices(self.state())
    }

    /// Whether nobody can move and something must: what everyone waits for.
    #[must_use]
    pub fn stuck(&self) -> Option<String> {
        let resting = self.case().at_rest(&self.choices());
        (resting && !self.state().is_over(&self.program)).then(|| rules::stuck(&self.program, self.state()))
    }

    /// Whether nothing can happen any more.
    pub(super) fn over(&self) -> bool {
        self.case().at_rest(&self.choices())
    }

    /// Takes a key.
    pub fn press(&mut self, key: Key) {
        if self.hidden.is_some() {
            return self.predict(key);
        }
        let flushing = std::mem::take(&mut self.flushing);
        match key {
            Key::Char('q') | Key::Escape => self.quit = !flushing,
            Key::Char('p') => {
                self.predicting = !self.predicting;
                let what = if self.predicting {
                    "Every step asks for your prediction."
                } else {
                    "No more questions."
                };
                what.clone_into(&mut self.message);
            }
            Key::Char('f') => {
                self.flushing = true;
                "Whose oldest store reaches memory? Press its thread's number.".clone_into(&mut self.message);
            }
            Key::Char('k') => self.go(self.victim.map(Actor::Kill), "nobody can be killed in this lab"),
            Key::Char('t') => self.go(Some(Actor::Tick), ""),
            Key::Char(' ') | Key::On => self.follow(),
            Key::Char('r') => self.at_random(),
            Key::Char('b') | Key::Back | Key::Erase => self.back(),
            Key::Char(digit) if digit.is_ascii_digit() && digit != '0' => {
                let who = digit as usize - '1' as usize;
                let actor = if flushing { Actor::Flush(who) } else { Actor::Step(who) };
                self.go(
                    (who < self.program.threads.len()).then_some(actor),
                    "there is no thread of that number",
                );
            }
            Key::Char(_) | Key::Enter => {}
        }
    }

    fn back(&mut self) {
        match self.taken.pop() {
            Some(taken) => {
                self.plan.insert(0, taken.actor);
                self.message = format!("Back: {} has not happened. Space takes it again.", taken.did);
            }
            None => "This is the beginning.".clone_into(&mut self.message),
        }
    }

    fn follow(&mut self) {
        match self.plan.first().copied() {
            Some(actor) if self.choices().contains(&actor) => {
                self.plan.remove(0);
                self.take(actor);
            }
            Some(_) => {
                self.plan.clear();
                "The run that was ready does not fit any more: choose yourself."
                    .clone_into(&mut self.message);
            }
            None => self.at_random(),
        }
    }

    fn at_random(&mut self) {
        let choices = self.choices();
        let steps: Vec<Actor> =
            choices.into_iter().filter(|actor| !matches!(actor, Actor::Kill(_))).collect();
        if steps.is_empty() {
            "Nobody can move.".clone_into(&mut self.message);
            return;
        }
        let actor = steps[self.random.below(steps.len())];
        self.plan.clear();
        self.take(actor);
    }

    /// Lets `actor` move if it can, and says why not if it cannot.
    fn go(&mut self, actor: Option<Actor>, otherwise: &str) {
        let Some(actor) = actor else {
            otherwise.clone_into(&mut self.message);
            return;
        };
        if self.choices().contains(&actor) {
            if self.plan.first() == Some(&actor) {
                self.plan.remove(0);
            } else {
                self.plan.clear();
            }
            self.take(actor);
            return;
        }
        self.message = match actor {
            Actor::Step(who) => {
                let name = &self.program.threads[who].name;
                match self.state().held_back(&self.program, who) {
                    Some(blocked) => rules::waits(&self.program, self.state(), who, blocked),
                    None if self.state().is_dead(who) => format!("{name} was killed"),
                    None => format!("{name} has ended"),
                }
            }
            Actor::Flush(who) => format!("{} has no store on its way", self.program.threads[who].name),
            Actor::Kill(_) => "it cannot be killed now".to_owned(),
            Actor::Tick => "time passes by itself while anybody can move".to_owned(),
        };
    }

    fn take(&mut self, actor: Actor) {
        let mut after = self.state().clone();
        let violated = self.case().advance(&mut after, actor).err();
        let mut schedule: Vec<Actor> = self.taken.iter().map(|taken| taken.actor).collect();
        schedule.push(actor);
        // The recording knows how to say what a step did; without rules, since they would end it.
        let case = Case { rules: &[], ..self.case() };
        let did = trace::simulated(&case, &schedule)
            .steps
            .last()
            .map_or_else(String::new, |step| format!("{}: {}", step.name, step.did));
        let violated = violated.map(|violation| format!("violated: {}: {}", violation.rule, violation.what));
        let taken = Taken { actor, after, did, violated };
        if self.predicting {
            "What will this step do? Type a value or a word, then Enter.".clone_into(&mut self.message);
            self.hidden = Some((taken, String::new()));
        } else {
            self.show(taken);
        }
    }

    fn show(&mut self, taken: Taken) {
        self.message = taken.violated.clone().unwrap_or_else(|| taken.did.clone());
        self.taken.push(taken);
        if self.over() {
            if let Some(violation) = rules::at_end(&self.program, self.rules, self.state()) {
                self.message = format!("violated: {}: {}", violation.rule, violation.what);
            } else if self.taken.iter().all(|taken| taken.violated.is_none()) {
                self.message += ". All is done, and every rule held.";
            }
        }
    }

    fn predict(&mut self, key: Key) {
        let Some((taken, mut typed)) = self.hidden.take() else { return };
        match key {
            Key::Char(letter) => typed.push(letter),
            Key::Erase => {
                typed.pop();
            }
            Key::Enter => {
                let word = typed.trim().to_lowercase();
                let words = taken.did.to_lowercase();
                let hit = !word.is_empty()
                    && words
                        .split(|c: char| c.is_whitespace() || ":=[]".contains(c))
                        .any(|part| part == word);
                let verdict = match (word.is_empty(), hit) {
                    (true, _) => "It was",
                    (false, true) => "Right",
                    (false, false) => "Not quite",
                };
                let did = taken.did.clone();
                self.show(taken);
                self.message =
                    format!("{verdict}: {did}. {}", if self.message == did { "" } else { &self.message });
                return;
            }
            Key::Escape => {
                "Not taken.".clone_into(&mut self.message);
                return;
            }
            Key::Back | Key::On => {}
        }
        self.hidden = Some((taken, typed));
    }
}
