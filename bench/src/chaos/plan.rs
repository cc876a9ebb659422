//! The schedule of a storm: what is done to whom and when, from the seed alone.

use std::fmt;

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use super::damage::Damage;

/// A named point and the passage at which a process is hit there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Passage {
    pub(crate) point: &'static str,
    pub(crate) nth: u32,
}

/// What happens to a process that is just being born.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Birth {
    pub(crate) at: Passage,
    /// Stopped for so long, milliseconds; `None`: killed.
    pub(crate) stop_ms: Option<u32>,
}

/// What is done to a client. Without a passage it is done at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Act {
    /// SIGKILL; another process takes its place after a while, perhaps to be hit at its birth.
    Kill { at: Option<Passage>, rest_ms: u32, birth: Option<Birth> },
    /// SIGSTOP, and SIGCONT after a while.
    Stop { at: Option<Passage>, for_ms: u32 },
    /// It says goodbye, and perhaps is killed in the middle of that; another takes its place after a while.
    Quit { at: Option<Passage>, rest_ms: u32 },
    /// It is stopped while another client says so much that this one's reply ring overflows.
    Overflow { by: u16, texts: u32, for_ms: u32 },
}

/// One act and when it is due, milliseconds from the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Step {
    pub(crate) at_ms: u32,
    pub(crate) act: Act,
}

/// What is done to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum ServerAct {
    /// SIGKILL; another takes its place after a while.
    Kill { at: Option<Passage>, rest_ms: u32 },
    /// SIGSTOP, and SIGCONT after a while.
    Stop { for_ms: u32 },
    /// Its control ring is damaged, and it makes a new one; or it is killed in the middle of that, and another takes its
    /// place after a while.
    Damage { how: Damage, kill: Option<(Passage, u32)> },
}

/// The same, and when it is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ServerStep {
    pub(crate) at_ms: u32,
    pub(crate) act: ServerAct,
}

/// Everything that is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Schedule {
    /// By client, in order.
    pub(crate) clients: Vec<Vec<Step>>,
    pub(crate) server: Vec<ServerStep>,
}

/// How wild it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Weather {
    pub(crate) clients: u16,
    pub(crate) seconds: u32,
    pub(crate) server_kills: u32,
    pub(crate) server_stops: u32,
    /// How often its control ring is damaged.
    pub(crate) scribbles: u32,
    /// Mean pause between two acts on one client, milliseconds.
    pub(crate) every_ms: u32,
    /// Whether some are stopped for so long that the server takes them for hung.
    pub(crate) hang_ms: Option<u32>,
}

/// Where a living client can be hit.
const LIVING: [&str; 5] =
    ["after-claim", "half-written", "before-publish", "before-wake", "consumer-announced"];
/// Where one that is being born can.
const BIRTH: [&str; 6] =
    ["create", "half-created", "attach", "before-hello", "after-hello", "consumer-announced"];
/// Where one that says goodbye can.
const QUIT: [&str; 2] = ["before-quit", "after-quit"];
/// Where a server can.
const SERVER: [&str; 10] = [
    "taken",
    "noted",
    "delivery",
    "session-end",
    "after-claim",
    "half-written",
    "before-publish",
    "before-wake",
    "consumer-announced",
    "reap",
];

/// Where one that makes its control ring anew can.
const RENEWAL: [&str; 7] =
    ["create", "half-created", "renewing", "half-renewed", "renewed", "reopen", "half-reopened"];

/// A server that is stopped for so long is said to be silent by every client that runs: after two seconds and a little
/// more, and as long again for busy machines.
pub(crate) const SILENCE_MS: u32 = 4000;

impl Schedule {
    pub(crate) fn new(seed: u64, weather: &Weather) -> Self {
        let mut rng = Rng::with_seed(seed);
        let clients = (0..weather.clients).map(|slot| client(&mut rng, slot, weather)).collect();
        Self { clients, server: server(&mut rng, weather) }
    }
}

fn client(rng: &mut Rng, slot: u16, weather: &Weather) -> Vec<Step> {
    let mut steps = Vec::new();
    // Everybody has a moment to come in.
    let mut now = 200 + rng.u32(0..=weather.every_ms);
    while now < weather.seconds * 1000 {
        let act = act(rng, slot, weather);
        steps.push(Step { at_ms: now, act });
        let busy = match act {
            Act::Kill { rest_ms, birth, .. } => {
                rest_ms + birth.and_then(|birth| birth.stop_ms).unwrap_or_default()
            }
            Act::Stop { for_ms, .. } | Act::Overflow { for_ms, .. } => for_ms,
            Act::Quit { rest_ms, .. } => rest_ms,
        };
        now += busy + weather.every_ms / 4 + rng.u32(0..=weather.every_ms * 3 / 2);
    }
    steps
}

fn act(rng: &mut Rng, slot: u16, weather: &Weather) -> Act {
    let rest_ms = rng.u32(5..250);
    let passage = |rng: &mut Rng, points: &[&'static str], within: u32| {
        let point = points[rng.usize(0..points.len())];
        Passage { point, nth: rng.u32(1..=within) }
    };
    match rng.u32(0..100) {
        0..35 => {
            let at = (rng.u32(0..3) > 0).then(|| passage(rng, &LIVING, 12));
            let birth = (rng.u32(0..3) == 0).then(|| Birth {
                at: passage(rng, &BIRTH, 1),
                stop_ms: rng.bool().then(|| rng.u32(10..300)),
            });
            Act::Kill { at, rest_ms, birth }
        }
        35..75 => {
            let at = (rng.u32(0..3) > 0).then(|| passage(rng, &LIVING, 12));
            let for_ms = match (rng.u32(0..10), weather.hang_ms) {
                (0, Some(hang_ms)) => hang_ms + rng.u32(200..700),
                (0..4, _) => rng.u32(100..500),
                _ => rng.u32(3..60),
            };
            Act::Stop { at, for_ms }
        }
        75..85 => Act::Quit { at: rng.bool().then(|| passage(rng, &QUIT, 1)), rest_ms },
        _ => {
            let by = (slot + 1 + rng.u16(0..weather.clients.max(2) - 1)) % weather.clients;
            Act::Overflow { by, texts: rng.u32(100..400), for_ms: rng.u32(100..400) }
        }
    }
}

fn server(rng: &mut Rng, weather: &Weather) -> Vec<ServerStep> {
    let storm_ms = weather.seconds * 1000;
    let mut steps = Vec::new();
    if let Some(share) = storm_ms.checked_div(weather.server_kills + 1) {
        for kill in 1..=weather.server_kills {
            let at = (rng.u32(0..4) > 0)
                .then(|| Passage { point: SERVER[rng.usize(0..SERVER.len())], nth: rng.u32(1..60) });
            let at_ms = kill * share - share / 8 + rng.u32(0..=share / 4);
            steps.push(ServerStep { at_ms, act: ServerAct::Kill { at, rest_ms: rng.u32(1..200) } });
        }
    }
    // Every second one is so long that its clients are to notice, if there is time for that.
    for stop in 1..=weather.server_stops {
        let is_long = stop % 2 == 0 && storm_ms >= 2 * SILENCE_MS;
        let for_ms = if is_long { SILENCE_MS } else { rng.u32(5..400) };
        let last = storm_ms - for_ms.min(storm_ms);
        steps.push(ServerStep { at_ms: rng.u32(last / 10..=last), act: ServerAct::Stop { for_ms } });
    }
    // Every second one ends in the death of the server.
    for scribble in 1..=weather.scribbles {
        let point = Passage { point: RENEWAL[rng.usize(0..RENEWAL.len())], nth: 1 };
        let kill = (scribble % 2 == 0).then(|| (point, rng.u32(1..200)));
        let act = ServerAct::Damage { how: Damage::pick(rng), kill };
        steps.push(ServerStep { at_ms: rng.u32(storm_ms / 10..=storm_ms * 9 / 10), act });
    }
    steps.sort_by_key(|step| step.at_ms);
    steps
}

impl fmt::Display for Passage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.point, self.nth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEATHER: Weather = Weather {
        clients: 16,
        seconds: 10,
        server_kills: 5,
        server_stops: 2,
        scribbles: 2,
        every_ms: 700,
        hang_ms: Some(1500),
    };

    #[test]
    fn the_same_seed_gives_the_same_schedule_and_another_another() {
        let first = Schedule::new(7, &WEATHER);
        assert_eq!(first, Schedule::new(7, &WEATHER));
        assert_ne!(first, Schedule::new(8, &WEATHER));
    }

    #[test]
    fn every_kind_of_act_and_every_point_is_in_some_schedule() {
        let all: Vec<Schedule> = (0..20).map(|seed| Schedule::new(seed, &WEATHER)).collect();
        let text = format!("{all:?}");
        for word in ["Kill", "Stop", "Quit", "Overflow"].iter().chain(&LIVING).chain(&BIRTH).chain(&QUIT) {
            assert!(text.contains(word), "{word}");
        }
        for schedule in &all {
            let kills =
                schedule.server.iter().filter(|step| matches!(step.act, ServerAct::Kill { .. })).count();
            assert_eq!((kills, schedule.server.len()), (5, 9));
            let long = ServerAct::Stop { for_ms: SILENCE_MS };
            assert_eq!(schedule.server.iter().filter(|step| step.act == long).count(), 1);
            assert!(schedule.server.is_sorted_by_key(|step| step.at_ms));
            assert!(schedule.server.iter().all(|step| step.at_ms < 10_000));
            for steps in &schedule.clients {
                assert!(!steps.is_empty() && steps.is_sorted_by_key(|step| step.at_ms));
            }
        }
        let server = format!("{:?}", all.iter().map(|one| &one.server).collect::<Vec<_>>());
        for word in SERVER.iter().chain(&RENEWAL).chain(&["Header", "Slot", "Closed", "Truncated"]) {
            assert!(server.contains(word), "{word}");
        }
    }

    #[cfg(feature = "faults")]
    #[test]
    fn every_point_of_a_schedule_exists() {
        for point in LIVING.iter().chain(&BIRTH).chain(&QUIT).chain(&SERVER).chain(&RENEWAL) {
            assert!(point.parse::<halyard_ring::faults::Point>().is_ok(), "{point}");
        }
    }
}
