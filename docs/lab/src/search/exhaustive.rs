//! All interleavings, shortest first: a breadth-first search over the states, each looked at once.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::machine::{Actor, State};
use crate::rules::{self, Violation};

use super::Case;

/// What the search came to.
#[derive(Clone, Debug)]
pub struct Explored {
    /// The first violation in the order of steps, and the shortest way to it.
    pub violation: Option<(Violation, Vec<Actor>)>,
    /// States looked at.
    pub states: usize,
    /// Whether these were all that there are.
    pub complete: bool,
}

/// A state's print: two hashes of 64 bits. Among the few million states that a search holds, two of one print do not
/// happen (one chance in 10^25).
type Print = (u64, u64);

struct Step {
    from: u32,
    actor: Actor,
}

/// Looks at every state that can be reached, up to `max_states`, breadth first: the violation that it finds first has
/// the shortest schedule that there is.
#[must_use]
pub fn explore(case: &Case<'_>, max_states: usize) -> Explored {
    let start = match case.start() {
        Ok(start) => start,
        Err(violation) => {
            return Explored { violation: Some((violation, Vec::new())), states: 1, complete: false };
        }
    };
    let mut known: HashMap<Print, u32> = HashMap::from([(print(&start), 0)]);
    // How each state was reached first.
    let mut steps = vec![Step { from: 0, actor: Actor::Tick }];
    // Every way from state to state, for the search backwards from the ends.
    let mut edges: Vec<(u32, u32)> = Vec::new();
    let mut ends: Vec<u32> = Vec::new();
    let mut frontier = vec![(0, start)];
    let mut complete = true;
    while !frontier.is_empty() {
        let mut next = Vec::new();
        for (number, state) in frontier {
            let choices = case.choices(&state);
            if case.at_rest(&choices) {
                ends.push(number);
                if let Some(violation) = rules::at_end(case.program, case.rules, &state) {
                    let way = way_to(&steps, number, None);
                    return Explored {
                        violation: Some((violation, way)),
                        states: steps.len(),
                        complete: false,
                    };
                }
            }
            for actor in choices {
                let mut after = state.clone();
                if let Err(violation) = case.advance(&mut after, actor) {
                    let way = way_to(&steps, number, Some(actor));
                    return Explored {
                        violation: Some((violation, way)),
                        states: steps.len(),
                        complete: false,
                    };
                }
                let print = print(&after);
                if let Some(found) = known.get(&print) {
                    edges.push((number, *found));
                } else if steps.len() < max_states {
                    let fresh = steps.len() as u32;
                    known.insert(print, fresh);
                    steps.push(Step { from: number, actor });
                    edges.push((number, fresh));
                    next.push((fresh, after));
                } else {
                    complete = false;
                }
            }
        }
        frontier = next;
    }
    let states = steps.len();
    let violation = if complete { endless(case, &steps, &edges, &ends) } else { None };
    Explored { violation, states, complete }
}

fn print(state: &State) -> Print {
    let mut first = DefaultHasher::new();
    let mut second = DefaultHasher::new();
    second.write_u64(0x9e37_79b9_7f4a_7c15);
    state.hash(&mut first);
    state.hash(&mut second);
    (first.finish(), second.finish())
}

fn way_to(steps: &[Step], mut number: u32, last: Option<Actor>) -> Vec<Actor> {
    let mut way: Vec<Actor> = last.into_iter().collect();
    while number != 0 {
        let step = &steps[number as usize];
        way.push(step.actor);
        number = step.from;
    }
    way.reverse();
    way
}

/// The nearest state from which no end can be reached, though something can always happen: a livelock.
fn endless(
    case: &Case<'_>,
    steps: &[Step],
    edges: &[(u32, u32)],
    ends: &[u32],
) -> Option<(Violation, Vec<Actor>)> {
    // Edges by where they lead: sorted, with the first of each in `first`.
    let mut first = vec![0_u32; steps.len() + 1];
    for (_, to) in edges {
        first[*to as usize + 1] += 1;
    }
    for index in 1..first.len() {
        first[index] += first[index - 1];
    }
    let mut fill = first.clone();
    let mut from = vec![0_u32; edges.len()];
    for (source, to) in edges {
        let place = &mut fill[*to as usize];
        from[*place as usize] = *source;
        *place += 1;
    }
    let mut ending = vec![false; steps.len()];
    let mut open = ends.to_vec();
    while let Some(number) = open.pop() {
        let number = number as usize;
        if !ending[number] {
            ending[number] = true;
            open.extend(&from[first[number] as usize..first[number + 1] as usize]);
        }
    }
    let number = ending.iter().position(|ending| !ending)?;
    let busy: Vec<&str> = case.program.threads.iter().map(|thread| thread.name.as_str()).collect();
    let what = format!(
        "from here on the threads ({}) can run for ever and never come to rest: somebody goes round and round \
         waiting for what nobody will do",
        busy.join(", ")
    );
    let violation = Violation { rule: "livelock", what, line: None, thread: None };
    Some((violation, way_to(steps, number as u32, None)))
}
