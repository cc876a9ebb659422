//! What is written down once a minute.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::chaos::log::Report;
use crate::chaos::residue::Holdings;
use crate::chaos::storm::Storm;
use crate::failure::{Failure, While as _};
use crate::figures::{self, Nanos, Stat, Unit};

/// A sample, and what comes with it.
pub(super) struct Taken {
    pub(super) sample: Sample,
    pub(super) latency: Histogram<u64>,
    /// What the clients have found wrong.
    pub(super) violations: Vec<String>,
}

/// A look at the server and the clients that stay.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Sample {
    pub(crate) seconds: f64,
    pub(crate) server: Holdings,
    pub(crate) clients: Vec<Holdings>,
    /// Messages that the clients that stay have received since the last sample.
    pub(crate) messages: u64,
    pub(crate) p50_ns: u64,
    pub(crate) p99_ns: u64,
    pub(crate) p999_ns: u64,
    pub(crate) max_ns: u64,
}

impl Sample {
    /// Takes one.
    pub(super) fn take(storm: &mut Storm<'_>, at: Duration, residents: u16) -> Result<Taken, Failure> {
        let pid = storm.server().map(|server| server.pid());
        let gone = || Failure::broke("taking a sample", "the server is gone");
        let server = Holdings::of(pid.ok_or_else(gone)?)?;
        let mut latency = figures::histogram();
        let (mut clients, mut messages, mut violations) = (Vec::new(), 0, Vec::new());
        for slot in 0..residents {
            let Some(client) = storm.client(slot) else {
                return Err(Failure::broke("taking a sample", "a client that was to stay is gone"));
            };
            client.order("report")?;
            let report: Report =
                serde_json::from_str(&client.answer()?).doing("reading a client's report")?;
            clients.push(Holdings::of(client.pid())?);
            messages += report.messages;
            violations.extend(report.violations);
            if let Some(more) = figures::decode(&report.latency) {
                // Both have the bounds of `figures::histogram`.
                let _ = latency.add(more);
            }
        }
        Ok(Taken { sample: Self::of(at, server, clients, messages, &latency), latency, violations })
    }

    fn of(
        at: Duration,
        server: Holdings,
        clients: Vec<Holdings>,
        messages: u64,
        latency: &Histogram<u64>,
    ) -> Self {
        Self {
            seconds: at.as_secs_f64(),
            server,
            clients,
            messages,
            p50_ns: Stat::P50.of(latency),
            p99_ns: Stat::P99.of(latency),
            p999_ns: Stat::P999.of(latency),
            max_ns: Stat::Max.of(latency),
        }
    }

    pub(super) fn head() -> String {
        format!(
            "{:>7} {:>10} {:>10} {:>10} {:>8} {:>5} {:>7} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9}\n",
            "time",
            "server own",
            "share",
            "RSS",
            "mappings",
            "files",
            "threads",
            "client own",
            "messages",
            "p50",
            "p99",
            "p99.9",
            "max"
        )
    }

    pub(super) fn row(&self) -> String {
        let bytes = |bytes: u64| Unit::Bytes.show(bytes as f64);
        let nanos = |ns: u64| Nanos(ns as f64).to_string();
        let client = self.clients.first().map_or_else(String::new, |client| bytes(client.anonymous));
        let Holdings { threads, descriptors, mappings, resident, proportional, anonymous, .. } = self.server;
        format!(
            "{:>5.0} s {:>10} {:>10} {:>10} {mappings:>8} {descriptors:>5} {threads:>7} {client:>10} {:>9} {:>9} {:>9} \
             {:>9} {:>9}\n",
            self.seconds,
            bytes(anonymous),
            bytes(proportional),
            bytes(resident),
            self.messages,
            nanos(self.p50_ns),
            nanos(self.p99_ns),
            nanos(self.p999_ns),
            nanos(self.max_ns),
        )
    }
}
