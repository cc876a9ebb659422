//! Schedules as text, and packed into seeds.

use std::fmt;
use std::str::FromStr;

use crate::machine::Actor;
use crate::script::Program;

/// What replays a run: a number that choices are drawn from, or the choices themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seed {
    /// Draws every choice.
    Number(u64),
    /// Is every choice. Written as `x` and a letter or digit for each.
    Schedule(Vec<Actor>),
}

/// A seed or schedule that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadSchedule(String);

impl fmt::Display for BadSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadSchedule {}

/// 16 threads that step, 16 that flush, 16 that are killed, and the tick.
const LETTERS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const KIND: usize = 16;

fn number(actor: Actor) -> usize {
    match actor {
        Actor::Step(who) => who,
        Actor::Flush(who) => KIND + who,
        Actor::Kill(who) => 2 * KIND + who,
        Actor::Tick => 3 * KIND,
    }
}

fn actor(number: usize) -> Option<Actor> {
    Some(match (number / KIND, number % KIND) {
        (0, who) => Actor::Step(who),
        (1, who) => Actor::Flush(who),
        (2, who) => Actor::Kill(who),
        (3, 0) => Actor::Tick,
        _ => return None,
    })
}

/// A schedule as one word.
#[must_use]
pub fn pack(schedule: &[Actor]) -> String {
    let letters = schedule.iter().filter_map(|actor| LETTERS.get(number(*actor)));
    std::iter::once('x').chain(letters.map(|letter| char::from(*letter))).collect()
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Schedule(schedule) => f.write_str(&pack(schedule)),
        }
    }
}

impl FromStr for Seed {
    type Err = BadSchedule;

    fn from_str(text: &str) -> Result<Self, BadSchedule> {
        if let Some(packed) = text.strip_prefix('x') {
            let unpack = |letter: u8| {
                LETTERS.iter().position(|known| *known == letter).and_then(actor).ok_or_else(|| {
                    BadSchedule(format!(
                        "`{}` is no step of a packed schedule; copy the seed as `check` printed it",
                        char::from(letter)
                    ))
                })
            };
            return Ok(Self::Schedule(packed.bytes().map(unpack).collect::<Result<_, _>>()?));
        }
        text.parse().map(Self::Number).map_err(|_| {
            BadSchedule(format!("`{text}` is no seed: give a number, or the x... that `check` printed"))
        })
    }
}

/// A schedule as names: `producer.1` steps, `~producer.1` lets a store reach memory, `!producer.1` is killed there,
/// `tick` lets time pass; `producer.1*3` steps three times.
#[must_use]
pub fn write(program: &Program, schedule: &[Actor]) -> String {
    let name = |actor: Actor| match actor {
        Actor::Step(who) => program.threads[who].name.clone(),
        Actor::Flush(who) => format!("~{}", program.threads[who].name),
        Actor::Kill(who) => format!("!{}", program.threads[who].name),
        Actor::Tick => "tick".to_owned(),
    };
    schedule
        .chunk_by(|a, b| a == b)
        .map(|run| match run.len() {
            1 => name(run[0]),
            times => format!("{}*{times}", name(run[0])),
        })
        .collect::<Vec<_>>()
        .join(" ")
}

/// Reads a schedule of names, separated by blanks, commas or lines; `#` begins a comment.
///
/// # Errors
/// The word that means nothing, in which line, and what could stand there.
pub fn parse(program: &Program, text: &str) -> Result<Vec<Actor>, BadSchedule> {
    const STEPS_MAX: usize = 100_000;
    let mut schedule = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or("");
        for word in line.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty()) {
            let bad = |why: String| BadSchedule(format!("schedule, line {}: {why}", index + 1));
            let (name, times) = match word.split_once('*') {
                None => (word, 1),
                Some((name, times)) => {
                    let times: usize = times.parse().map_err(|_| {
                        bad(format!("`{word}`: write a number after the *, as in producer*3"))
                    })?;
                    (name, times)
                }
            };
            let thread = |name: &str| {
                program.threads.iter().position(|thread| thread.name == name).ok_or_else(|| {
                    let known: Vec<&str> =
                        program.threads.iter().map(|thread| thread.name.as_str()).collect();
                    bad(format!("there is no thread `{name}`; there are: {}", known.join(", ")))
                })
            };
            let actor = match (name, name.as_bytes().first()) {
                ("tick", _) => Actor::Tick,
                (_, Some(b'~')) => Actor::Flush(thread(&name[1..])?),
                (_, Some(b'!')) => Actor::Kill(thread(&name[1..])?),
                _ => Actor::Step(thread(name)?),
            };
            if schedule.len() + times > STEPS_MAX {
                return Err(bad(format!("more than {STEPS_MAX} steps")));
            }
            schedule.extend(std::iter::repeat_n(actor, times));
        }
    }
    Ok(schedule)
}
