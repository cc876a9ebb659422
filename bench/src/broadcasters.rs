//! `halyard-bench broadcasters`: the same fan-out with one broadcaster thread, two, and so on.

use clap::Args;
use halyard_ring::cpus;

use crate::common::Common;
use crate::failure::Failure;
use crate::fanout::{Room, capacity, one_way, text_bytes};
use crate::figures::{Quantity, Series, Unit};
use crate::host::{Needs, raise_file_limit};
use crate::results::Results;

/// Measure how the number of broadcaster threads changes fan-out: the tuning curve of `--broadcasters`
///
/// --wait is how the server waits, adaptive by default; --pin is where its broadcasters run, by default where it puts
/// them.
#[derive(Args, Debug)]
pub(crate) struct Broadcasters {
    #[command(flatten)]
    common: Common,
    /// The most broadcasters to try [default: as many as processors, at least 2, at most 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    most: Option<u16>,
    /// Members of the room, the sender among them
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u16).range(1..=4000))]
    members: u16,
    /// Bytes of text in a message
    #[arg(long, value_name = "BYTES", default_value_t = 64, value_parser = text_bytes)]
    text: usize,
    /// Records that each member's reply ring holds, a power of two
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = capacity)]
    capacity: u32,
}

struct Case {
    room: Room,
    last: Series,
    rate: Quantity,
    cost: Quantity,
}

impl Broadcasters {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        raise_file_limit();
        let waiting = one_way(&self.common)?;
        let most = self.most.map_or_else(|| cpus().len().clamp(2, 8), usize::from);
        let rounds = self.common.rounds();
        let bar = self.common.bar(most * (1 + rounds));
        let about = format!(
            "A room of {} members, whose rings the server's broadcasters share, the router delivering nothing by itself; \
             {} bytes of text. What is measured is \
             what `fanout` measures; each number of broadcasters is compared with one.",
            self.members, self.text
        );
        let mut results = Results::new("broadcasters", vec![about]);
        let mut cases = Vec::new();
        for count in 1..=most {
            bar.set_message(format!("{count} broadcasters: {} members connect", self.members));
            let needs = Needs {
                clients: u32::from(self.members) + 8,
                rooms: 8,
                wait: waiting.name().to_owned(),
                broadcasters: Some(count),
                pin: self.common.pins().of_server(),
                in_ring_order: false,
                direct: Some(0),
            };
            let label = if count == 1 { "1 broadcaster".to_owned() } else { format!("{count} broadcasters") };
            let id = |part: &str| format!("broadcasters.{count}.{part}");
            cases.push(Case {
                room: Room::open(&needs, self.members.into(), self.capacity)?,
                last: Series::new(id("last"), format!("{label}, to the last")),
                rate: Quantity::new(id("rate"), format!("{label}, deliveries"), Unit::PerSecond),
                cost: Quantity::new(id("cost"), format!("{label}, cost of a delivery"), Unit::Ns),
            });
            bar.inc(1);
        }
        let text = "x".repeat(self.text);
        for _ in 0..rounds {
            for case in &mut cases {
                bar.set_message(case.rate.label.clone());
                let measured = case.room.measure(&text, self.common.time())?;
                case.last.rounds.push(measured.last);
                case.rate.rounds.push(measured.rate);
                case.cost.rounds.push(measured.cost_ns);
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        let first =
            cases.first().map(|case| [&case.last.id, &case.rate.id, &case.cost.id].map(String::clone));
        let [last, rate, cost] = first.unwrap_or_default();
        for (index, case) in cases.into_iter().enumerate() {
            if index == 0 {
                results.add_alone(case.last);
                results.add_alone(case.rate);
                results.add_alone(case.cost);
            } else {
                results.add(case.last, &last);
                results.add(case.rate, &rate);
                results.add(case.cost, &cost);
            }
            case.room.close()?;
        }
        self.common.finish(results)
    }
}
