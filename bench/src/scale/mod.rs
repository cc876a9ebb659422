//! `halyard-bench scale`: many clients and many rooms on one server.

mod worker;

use std::time::{Duration, Instant};

use clap::Args;
use hdrhistogram::Histogram;

use crate::child::Child;
use crate::common::Common;
use crate::failure::{Failure, While as _};
use crate::fanout::one_way;
use crate::figures::{self, Quantity, Series, Unit};
use crate::host::{Host, Needs};
use crate::results::Results;
use crate::{interrupt, usage};
pub(crate) use worker::child;
use worker::{Connected, Order, Rested, Talked};

/// Measure one server with few clients and with many: connecting, a message's way, memory, and what it costs when
/// nobody says anything
///
/// --wait is how the server waits, adaptive by default; --pin is where its broadcasters run, by default where it puts
/// them.
#[derive(Args, Debug)]
pub(crate) struct Scale {
    #[command(flatten)]
    common: Common,
    /// How many clients in how many rooms [default: 10:1,100:10,1000:100,10000:1000; with --quick the first three]
    #[arg(long, value_name = "CLIENTS:ROOMS,…", value_delimiter = ',', value_parser = case)]
    clients: Vec<Size>,
    /// Clients that one process holds at most
    #[arg(long, value_name = "N", default_value_t = 2500, value_parser = clap::value_parser!(u32).range(1..=6000))]
    per_process: u32,
    /// Records that each client's reply ring holds, a power of two
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = crate::fanout::capacity)]
    capacity: u32,
    /// How long the processors are watched while nobody says anything, milliseconds
    #[arg(long, value_name = "MS", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=600_000))]
    idle: u32,
}

/// One load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    clients: u32,
    rooms: u32,
}

fn case(text: &str) -> Result<Size, String> {
    let wrong = || format!("{text:?}: clients and rooms are needed, such as 1000:100");
    let (clients, rooms) = text.split_once(':').ok_or_else(wrong)?;
    let (clients, rooms) = (clients.parse().map_err(|_| wrong())?, rooms.parse().map_err(|_| wrong())?);
    if !(1..=16_000).contains(&clients) || !(1..=clients).contains(&rooms) {
        return Err(format!("{text:?}: 1 to 16000 clients, and 1 room to as many as there are clients"));
    }
    Ok(Size { clients, rooms })
}

const SIZES: [Size; 4] = [
    Size { clients: 10, rooms: 1 },
    Size { clients: 100, rooms: 10 },
    Size { clients: 1000, rooms: 100 },
    Size { clients: 10_000, rooms: 1000 },
];

/// What is measured for one load.
struct Figures {
    size: Size,
    connect: Series,
    delivery: Series,
    server_private: Quantity,
    shared: Quantity,
    client_private: Quantity,
    idle_server: Quantity,
    idle_clients: Quantity,
}

impl Figures {
    fn new(size: Size) -> Self {
        let clients = size.clients;
        let id = |part: &str| format!("scale.{clients}.{part}");
        let label = |what: &str| format!("{clients} clients: {what}");
        let bytes = |part: &str, what: &str| Quantity::new(id(part), label(what), Unit::Bytes);
        let share = |part: &str, what: &str| Quantity::new(id(part), label(what), Unit::PercentOfCore);
        Self {
            size,
            connect: Series::new(id("connect"), label("connect")),
            delivery: Series::new(id("delivery"), label("delivery")),
            server_private: bytes("server.private", "server's own memory, a client"),
            shared: bytes("shared", "shared memory, a client"),
            client_private: bytes("client.private", "client's own memory, a client"),
            idle_server: share("idle.server", "idle, server"),
            idle_clients: share("idle.clients", "idle, all clients"),
        }
    }
}

impl Scale {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let sizes = match (&self.clients[..], self.common.quick()) {
            ([], false) => &SIZES[..],
            ([], true) => &SIZES[..3],
            (chosen, _) => chosen,
        };
        let mut all: Vec<Figures> = sizes.iter().map(|&size| Figures::new(size)).collect();
        let about = format!(
            "A server, and clients in processes of up to {}, each with a reply ring of {} records; every client is in \
             a room. Connect: one after the other, from opening the control ring to WELCOME. Delivery: one message at \
             a time, said by a random client of a random room, from SAY until a member has read it, for every member; \
             the floor is the smallest load's. Idle: over {} ms, with every heartbeat that is due. Memory: what it \
             grew by while they connected, divided by their number.",
            self.per_process, self.capacity, self.idle
        );
        let mut results = Results::new("scale", vec![about]);
        let rounds = self.common.rounds();
        let bar = self.common.bar(rounds * all.len());
        for _ in 0..rounds {
            for figures in &mut all {
                bar.set_message(format!("{} clients", figures.size.clients));
                self.measure(figures)?;
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        let floor = all.first().map(|figures| figures.delivery.id.clone()).unwrap_or_default();
        for (index, figures) in all.into_iter().enumerate() {
            let Size { clients, rooms } = figures.size;
            results.section(format!("{clients} clients, {rooms} rooms"));
            results.add_alone(figures.connect);
            if index == 0 {
                results.add_alone(figures.delivery);
            } else {
                results.add(figures.delivery, &floor);
            }
            for quantity in [
                figures.server_private,
                figures.shared,
                figures.client_private,
                figures.idle_server,
                figures.idle_clients,
            ] {
                results.add_alone(quantity);
            }
        }
        self.common.finish(results)
    }

    /// One round of one load.
    fn measure(&self, figures: &mut Figures) -> Result<(), Failure> {
        let Size { clients, rooms } = figures.size;
        let needs = Needs {
            clients: clients + 8,
            rooms: rooms + 8,
            wait: one_way(&self.common)?.name().to_owned(),
            broadcasters: None,
            pin: self.common.pins().of_server(),
            in_ring_order: false,
            direct: None,
        };
        let host = Host::start(&needs, None)?;
        let per_client = |before: f64, after: f64| (after - before).max(0.0) / f64::from(clients);
        let (private, shared) = (usage::private_bytes(host.pid())?, usage::shm_bytes()?);
        let mut workers = self.start(&host, figures.size)?;

        let mut connect = figures::histogram();
        let mut own = 0.0;
        for worker in &mut workers {
            interrupt::check()?;
            let done: Connected = ask(worker, &Order::Connect)?;
            add(&mut connect, &done.connect)?;
            own += done.grown;
        }
        figures.connect.rounds.push(connect);
        figures.server_private.rounds.push(per_client(private, usage::private_bytes(host.pid())?));
        figures.shared.rounds.push(per_client(shared, usage::shm_bytes()?));
        figures.client_private.rounds.push(own / f64::from(clients));

        let time = self.common.time() / workers.len() as u32;
        let mut delivery = figures::histogram();
        for worker in &mut workers {
            interrupt::check()?;
            let done: Talked = ask(worker, &Order::Talk { ms: time.as_millis().max(1) as u64 })?;
            add(&mut delivery, &done.delivery)?;
        }
        figures.delivery.rounds.push(delivery);

        let begun = Instant::now();
        let idle = Duration::from_millis(self.idle.into());
        let before = usage::cpu(host.pid())?;
        for worker in &mut workers {
            worker.order(&write(&Order::Rest { ms: idle.as_millis() as u64 })?)?;
        }
        let mut used = Duration::ZERO;
        for worker in &mut workers {
            used += Duration::from_nanos(read::<Rested>(&worker.answer()?)?.used_ns);
        }
        let elapsed = begun.elapsed();
        figures.idle_server.rounds.push(usage::percent(usage::cpu(host.pid())? - before, elapsed));
        figures.idle_clients.rounds.push(usage::percent(used, elapsed));
        for worker in workers {
            worker.finish()?;
        }
        host.stop()
    }

    /// Starts the processes that will hold the clients: whole rooms each.
    fn start(&self, host: &Host, size: Size) -> Result<Vec<Child>, Failure> {
        let processes = size.clients.div_ceil(self.per_process).min(size.rooms);
        let mut workers = Vec::new();
        for process in 0..processes {
            let share = |of: u32| (u64::from(of) * u64::from(process) / u64::from(processes)) as u32;
            let next = |of: u32| (u64::from(of) * u64::from(process + 1) / u64::from(processes)) as u32;
            let job = worker::Job {
                server: host.name().to_string(),
                process,
                rooms: next(size.rooms) - share(size.rooms),
                clients: next(size.clients) - share(size.clients),
                capacity: self.capacity,
            };
            let mut child = Child::start(&["scale"])?;
            child.order(&serde_json::to_string(&job).doing("writing an order")?)?;
            workers.push(child);
        }
        Ok(workers)
    }
}

fn write(order: &Order) -> Result<String, Failure> {
    serde_json::to_string(order).doing("writing an order")
}

fn read<T: serde::de::DeserializeOwned>(answer: &str) -> Result<T, Failure> {
    serde_json::from_str(answer).doing("reading a worker's answer")
}

fn ask<T: serde::de::DeserializeOwned>(worker: &mut Child, order: &Order) -> Result<T, Failure> {
    worker.order(&write(order)?)?;
    read(&worker.answer()?)
}

fn add(sum: &mut Histogram<u64>, text: &str) -> Result<(), Failure> {
    let part =
        figures::decode(text).ok_or_else(|| Failure::broke("reading a worker's answer", "no histogram"))?;
    sum.add(&part).doing("adding histograms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_are_read() {
        assert_eq!(case("1000:100"), Ok(Size { clients: 1000, rooms: 100 }));
        for wrong in ["", "10", "10:", "0:0", "10:11", "20000:1", "a:b"] {
            assert!(case(wrong).is_err(), "{wrong:?}");
        }
    }
}
