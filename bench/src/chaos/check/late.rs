//! How long messages were under way, near a fault of somebody else and far from any.
//!
//! A message that was sent, routed and received by processes that ran all the time may be held up by a peer that dies or
//! is stopped in mid-claim for one grace, no longer. Its ordinary latency is taken from the same run: the messages that
//! no fault was near. What is near is told by when a message was sent and not by how long it took: whatever made a message
//! slow, the longer it is under way the more faults happen meanwhile, and the slow ones of a busy machine would all be
//! counted to the faults. As a whole, those near faults may be slower than the others by the graces, and by [`SLOWER`]
//! since processes that come and go keep the machine busy. A single message may have met a busy moment that none of the
//! others met, so its bound is a coarse one: a grace for each fault while it was under way and one more, and twice the
//! slowest message that was under way without one or [`NOISE`].

use halyard_ring::monotonic_ns;
use hdrhistogram::Histogram;

use super::across::Past;
use super::{Violation, Wrong};
use crate::chaos::journal::Entry;
use crate::chaos::message::Life;
use crate::figures;

/// What a message may take on any machine, nanoseconds: less than any time-out after which somebody gives up waiting for
/// a client of a storm.
const NOISE: u64 = 2_000_000_000;
/// By what factor messages near faults may be slower as a whole, beyond their graces.
const SLOWER: u64 = 5;
/// Which of them are compared: nine tenths are faster.
const WHOLE: f64 = 0.9;
/// Fewer messages than that are not a whole.
const ENOUGH: u64 = 1000;
/// A fault at a named point is noticed a little after it has happened.
const NOTICED_NS: u64 = 20_000_000;
/// After a client was stopped it takes a while to take what has waited for it.
const CATCHING_UP_NS: u64 = 500_000_000;

/// Something that was done to a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) at: u64,
    /// Killed, not stopped.
    pub(crate) dead: bool,
    /// Which place; the server is none.
    pub(crate) slot: Option<u16>,
    /// Until when it lasted: a stopped process goes on, a killed server has a successor.
    pub(crate) until: u64,
}

/// How long messages took, from SAY to receipt.
pub(crate) struct Latencies {
    /// No fault near.
    pub(crate) ordinary: Histogram<u64>,
    /// Sent shortly before or after a peer was killed.
    pub(crate) dead: Histogram<u64>,
    /// Sent shortly before or after a peer was stopped.
    pub(crate) stopped: Histogram<u64>,
    /// Under way when the server was killed: until the next one has delivered them.
    pub(crate) server: Histogram<u64>,
}

/// What a message may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waits {
    /// How long the router waits in front of a claim.
    pub(crate) grace_ns: u64,
    /// How long a server that takes over waits for the clients of the one that died.
    pub(crate) rejoin_ns: u64,
}

struct Flight {
    life: Life,
    sent: u64,
    received: u64,
    text: String,
}

/// Sorts all messages by what was near them, and finds those that took too long.
pub(crate) fn late(pasts: &[Past], faults: &[Fault], waits: Waits) -> (Latencies, Vec<Violation>) {
    let mut latencies = Latencies {
        ordinary: figures::histogram(),
        dead: figures::histogram(),
        stopped: figures::histogram(),
        server: figures::histogram(),
    };
    let (mut met_faults, mut slowest_alone) = (Vec::new(), 0);
    let stops: std::collections::HashMap<Life, &Past> = pasts.iter().map(|past| (past.life, past)).collect();
    for past in pasts {
        for noted in &past.notes {
            let Entry::Heard { id, passed, .. } = noted.entry else { continue };
            let flight =
                Flight { life: past.life, sent: passed.sent, received: noted.at, text: id.to_string() };
            let took = flight.took();
            let back = waits.rejoin_ns + CATCHING_UP_NS;
            if faults.iter().any(|fault| fault.slot.is_none() && fault.overlaps(&flight, back)) {
                latencies.server.saturating_record(took);
                continue;
            }
            // Held up by what was done to the two themselves.
            let sent = flight.sent;
            let since = sent.saturating_sub(CATCHING_UP_NS);
            let own = [past.life, id.life()];
            let held_up =
                |life: &Life| stops.get(life).is_none_or(|past| past.was_stopped(since, flight.received));
            if own.iter().any(held_up) {
                continue;
            }
            let others = || {
                let touched =
                    |fault: &&Fault| fault.slot.is_some_and(|slot| own.iter().all(|life| life.slot != slot));
                faults.iter().filter(touched)
            };
            let near = |dead: bool| {
                let sent_near = |fault: &Fault| fault.dead == dead && fault.is_near(sent, waits.grace_ns);
                others().any(sent_near)
            };
            let (dead, stopped) = (near(true), near(false));
            if dead {
                latencies.dead.saturating_record(took);
            }
            if stopped {
                latencies.stopped.saturating_record(took);
            }
            if !dead && !stopped {
                latencies.ordinary.saturating_record(took);
            }
            let met = others().filter(|fault| fault.is_met_by(&flight, waits.grace_ns)).count() as u64;
            if met == 0 {
                slowest_alone = slowest_alone.max(took);
            } else {
                met_faults.push((flight, met));
            }
        }
    }
    let mut violations = slower(&latencies, waits.grace_ns);
    for (flight, faults) in met_faults {
        let bound = waits.grace_ns * (faults + 1) + (2 * slowest_alone).max(NOISE);
        if flight.took() > bound {
            let (took, bound) = (figures::Nanos(flight.took() as f64), figures::Nanos(bound as f64));
            let text = format!(
                "{} took {took} with {faults} faults of others near; {bound} is the bound",
                flight.text
            );
            violations.push(Violation::new(flight.received, Wrong::Late, flight.life, text));
        }
    }
    (latencies, violations)
}

/// Whether messages near faults were slower as a whole.
fn slower(latencies: &Latencies, grace_ns: u64) -> Vec<Violation> {
    let Latencies { ordinary, dead, stopped, .. } = latencies;
    let usual = ordinary.value_at_quantile(WHOLE);
    let bound = SLOWER * usual + 2 * grace_ns;
    let enough = |histogram: &&Histogram<u64>| histogram.len() >= ENOUGH;
    let both = [("was killed", dead), ("was stopped", stopped)];
    let slow = both.iter().filter(|(_, near)| enough(near) && near.value_at_quantile(WHOLE) > bound);
    let text = |(what, near): &(&str, &Histogram<u64>)| {
        let show = |ns: u64| figures::Nanos(ns as f64);
        let text = format!(
            "of the messages sent about when a peer {what} a tenth took {} and more; {} with no fault near, so {} is the \
             bound",
            show(near.value_at_quantile(WHOLE)),
            show(usual),
            show(bound)
        );
        Violation::general(0, Wrong::Late, text)
    };
    if enough(&ordinary) { slow.map(text).collect() } else { Vec::new() }
}

impl Flight {
    fn took(&self) -> u64 {
        self.received.saturating_sub(self.sent).max(1)
    }
}

impl Fault {
    /// Whether the message was under way while it lasted, or shortly after.
    fn overlaps(&self, flight: &Flight, after: u64) -> bool {
        self.at <= flight.received && flight.sent <= self.until.saturating_add(after)
    }

    /// Whether a message that was sent then may have been held up by it, or was sent just before.
    fn is_near(&self, sent: u64, grace_ns: u64) -> bool {
        self.at.saturating_sub(NOTICED_NS) <= sent && sent <= self.at.saturating_add(NOTICED_NS + grace_ns)
    }

    /// Whether the message was under way when it happened, or sent soon after.
    fn is_met_by(&self, flight: &Flight, grace_ns: u64) -> bool {
        self.at.saturating_sub(NOTICED_NS) <= flight.received
            && flight.sent <= self.at.saturating_add(NOTICED_NS + grace_ns)
    }
}

/// A fault that lasts until it is said otherwise.
impl Fault {
    pub(crate) fn now(slot: Option<u16>, dead: bool) -> Self {
        Self { at: monotonic_ns(), dead, slot, until: u64::MAX }
    }
}
