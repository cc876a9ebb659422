//! `halyard-bench flood`: what honest clients wait for while another process floods the control ring.

mod flooder;
mod honest;

use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use hdrhistogram::Histogram;

use crate::child::Child;
use crate::common::Common;
use crate::failure::{Failure, While as _};
use crate::fanout::one_way;
use crate::figures::{Quantity, Series, Stat, Unit};
use crate::host::{Host, Needs};
use crate::results::Results;
use crate::{interrupt, usage};
pub(crate) use flooder::child;
use flooder::{Did, Job, Way};

/// Measure what honest clients wait for beside a process that floods the server's control ring
///
/// Some clients share a room and say something at a steady rate each; every message is timed at each of them from when
/// it was due. In every round they do so alone, beside a process that merely takes a processor, and beside one that floods
/// in each of the ways, each time with a server of its own. --wait is how server and honest clients wait, adaptive by default; --pin is where the
/// server's broadcasters run, by default where the server puts them.
#[derive(Args, Debug)]
pub(crate) struct Flood {
    #[command(flatten)]
    common: Common,
    /// Honest clients
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=200))]
    clients: u16,
    /// Messages that each of them says in a second
    #[arg(long, value_name = "RATE", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
    /// Whom they have beside them, besides being alone
    #[arg(
        long,
        value_name = "WHO,…",
        value_delimiter = ',',
        value_enum,
        default_value = "busy,heeding,raw,stray"
    )]
    beside: Vec<Beside>,
}

/// Whom the honest clients have beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Beside {
    /// Nobody
    #[value(skip)]
    Alone,
    /// A process that has nothing to do with the server and spins
    Busy,
    /// A client with as many commands under way as the client library lets it have, all the time
    Heeding,
    /// A client that pushes commands as fast as it can, heeds nothing, and comes back when it is thrown out
    Raw,
    /// A process that pushes as fast as it can and never was a client
    Stray,
}

impl Beside {
    fn name(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Busy => "busy",
            Self::Heeding => "heeding",
            Self::Raw => "raw",
            Self::Stray => "stray",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Busy => "beside a busy process",
            Self::Heeding => "beside a flooder that heeds its window",
            Self::Raw => "beside a raw flooder",
            Self::Stray => "beside one that is no client",
        }
    }

    fn way(self) -> Option<Way> {
        match self {
            Self::Alone => None,
            Self::Busy => Some(Way::Burn),
            Self::Heeding => Some(Way::Heed),
            Self::Raw => Some(Way::Raw),
            Self::Stray => Some(Way::Stray),
        }
    }
}

/// What is measured beside one neighbour.
struct Case {
    beside: Beside,
    took: Series,
    /// The p99, in the same round, over that of the honest alone, and over that beside a busy process.
    over_alone: Quantity,
    over_busy: Quantity,
    server_cpu: Quantity,
    pushed: Quantity,
    served: Quantity,
    thrown_out: Quantity,
    refused: Quantity,
    cost: Quantity,
}

/// One round beside one neighbour.
struct Measured {
    took: Histogram<u64>,
    /// Processor time of the server, and how long all of it took.
    server: Duration,
    elapsed: Duration,
    did: Did,
}

impl Case {
    fn new(beside: Beside) -> Self {
        let id = |part: &str| format!("flood.{}.{part}", beside.name());
        let quantity = |part: &str, label: &str, unit| {
            Quantity::new(id(part), format!("{}: {label}", beside.label()), unit)
        };
        Self {
            beside,
            took: Series::new(
                format!("flood.{}", beside.name()),
                format!("honest clients {}", beside.label()),
            ),
            over_alone: quantity("p99.alone", "p99 over alone", Unit::Times),
            over_busy: quantity("p99.busy", "p99 over beside a busy process", Unit::Times),
            server_cpu: quantity("cpu", "the server's processor", Unit::PercentOfCore),
            pushed: quantity("pushed", "what it pushed", Unit::PerSecond).circumstance(),
            served: quantity("served", "commands carried out for it", Unit::PerSecond).circumstance(),
            thrown_out: quantity("thrown-out", "thrown out", Unit::Count).circumstance(),
            refused: quantity("refused", "its HELLO refused", Unit::Count).circumstance(),
            cost: quantity("cost", "server's processor for what it pushed, each", Unit::Ns),
        }
    }

    /// `alone`, `busy`: what was measured in the same round.
    fn add(&mut self, measured: Measured, alone: Option<&Reference>, busy: Option<&Reference>) {
        let Measured { took, server, elapsed, did } = measured;
        let p99 = Stat::P99.of(&took) as f64;
        let over = |reference: &Reference| p99 / reference.p99;
        self.over_alone.rounds.extend(alone.map(over));
        let is_flood = !matches!(self.beside, Beside::Alone | Beside::Busy);
        self.over_busy.rounds.extend(busy.filter(|_| is_flood).map(over));
        self.server_cpu.rounds.push(usage::percent(server, elapsed));
        if is_flood {
            let a_second = |count: u64| count as f64 / elapsed.as_secs_f64();
            self.pushed.rounds.push(a_second(did.pushed));
            self.served.rounds.push(a_second(did.served));
            if self.beside == Beside::Raw {
                self.thrown_out.rounds.push(did.thrown_out as f64);
                self.refused.rounds.push(did.refused as f64);
            }
            if let Some(alone) = alone {
                let more = server.as_secs_f64() - alone.server_share * elapsed.as_secs_f64();
                self.cost.rounds.push(more.max(0.0) * 1e9 / did.pushed.max(1) as f64);
            }
        }
        self.took.rounds.push(took);
    }
}

/// What others of the same round are compared with.
struct Reference {
    p99: f64,
    /// Of one processor, that the server used.
    server_share: f64,
}

impl Measured {
    fn reference(&self) -> Reference {
        Reference {
            p99: Stat::P99.of(&self.took) as f64,
            server_share: self.server.as_secs_f64() / self.elapsed.as_secs_f64(),
        }
    }
}

impl Flood {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let rounds = self.common.rounds();
        let waiting = one_way(&self.common)?;
        let needs = Needs {
            clients: u32::from(self.clients) + 8,
            rooms: 8,
            wait: waiting.name().to_owned(),
            broadcasters: Some(1),
            pin: self.common.pins().of_server(),
            in_ring_order: false,
            direct: None,
        };
        let mut cases: Vec<Case> =
            [Beside::Alone].iter().chain(&self.beside).map(|&beside| Case::new(beside)).collect();
        let bar = self.common.bar(rounds * cases.len());
        let mut results = Results::new("flood", self.about());
        for _ in 0..rounds {
            let (mut alone, mut busy) = (None, None);
            for case in &mut cases {
                interrupt::check()?;
                bar.set_message(case.took.label.clone());
                let measured = self.measure(&needs, case.beside)?;
                let reference = measured.reference();
                case.add(measured, alone.as_ref(), busy.as_ref());
                match case.beside {
                    Beside::Alone => alone = Some(reference),
                    Beside::Busy => busy = Some(reference),
                    _ => {}
                }
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        let mut floor: Option<String> = None;
        let mut quantities = Vec::new();
        for case in cases {
            match &floor {
                None => {
                    floor = Some(case.took.id.clone());
                    results.add_alone(case.took);
                }
                Some(floor) => results.add(case.took, floor),
            }
            quantities.extend([case.over_alone, case.over_busy, case.server_cpu]);
            quantities.extend([case.pushed, case.served, case.thrown_out, case.refused, case.cost]);
        }
        for quantity in quantities {
            results.add_alone(quantity);
        }
        self.common.finish(results)
    }

    fn about(&self) -> Vec<String> {
        vec![format!(
            "{} honest clients in one room say {} messages a second each; every one is timed at each of them from when it was \
             due. In each round alone, and beside another process; the server, one broadcaster, is a fresh process \
             each time. Ratios of p99 are taken within each round.",
            self.clients, self.rate
        )]
    }

    /// One round beside one neighbour.
    fn measure(&self, needs: &Needs, beside: Beside) -> Result<Measured, Failure> {
        let host = Host::start(needs, None)?;
        let mut honest = honest::connect(host.name(), self.clients)?;
        let mut flooder = match beside.way() {
            None => None,
            Some(way) => {
                let mut child = Child::start(&["flood"])?;
                let job = Job { server: host.name().to_string(), way };
                child.order(&serde_json::to_string(&job).doing("writing an order")?)?;
                // It is there when it answers.
                did(&mut child)?;
                Some(child)
            }
        };
        let before = flooder.as_mut().map(did).transpose()?.unwrap_or_default();
        let (begun, cpu) = (Instant::now(), usage::cpu(host.pid())?);
        let took = honest::talk(&mut honest, self.rate, self.common.time())?;
        let (server, elapsed) = (usage::cpu(host.pid())?.saturating_sub(cpu), begun.elapsed());
        let after = flooder.as_mut().map(did).transpose()?.unwrap_or_default();
        if let Some(child) = flooder {
            child.finish()?;
        }
        drop(honest);
        host.stop()?;
        // What it was thrown out for, and when, counts from its beginning.
        let did = Did { pushed: after.pushed - before.pushed, served: after.served - before.served, ..after };
        Ok(Measured { took, server, elapsed, did })
    }
}

/// What the flooder says that it did so far.
fn did(child: &mut Child) -> Result<Did, Failure> {
    child.order("how much")?;
    serde_json::from_str(&child.answer()?).doing("reading the flooder's answer")
}
