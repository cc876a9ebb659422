//! What is wrong inside a ring whose owner lives: two looks at it, and what has not moved between them.
//!
//! A ring at work is in every one of these states for a moment. Only what both looks show can be stuck.

use halyard_ring::{Mode, OwnerSnapshot, Phase, ProcessId, RingName, Snapshot, State};

use super::finding::{Cure, Finding, Severity};
use crate::cli::ls::survey::{Picture, Who};
use crate::cli::ls::units::plural;

/// The low bits of a position that a slot's word keeps.
const SEQUENCE: u64 = (1 << 48) - 1;

/// Everything that both looks find wrong.
pub(super) fn examine(name: &RingName, before: &Picture, after: &Picture, verbose: bool) -> Vec<Finding> {
    let ring = Ring { name, before: &before.snapshot, after: &after.snapshot };
    let mut findings = Vec::new();
    if after.foreign {
        let text = "it was made in another pid namespace: which of its users live cannot be told from here";
        let cure = Cure::Advice("run the doctor where its owner runs".to_owned());
        findings.push(ring.finding(Severity::Note, "other_namespace", text, cure));
    } else {
        findings.extend(ring.stopped_owner());
        findings.extend(ring.dead_producers());
        findings.extend(ring.dead_consumer());
        findings.extend(ring.held_slots());
    }
    findings.extend(ring.renewed());
    findings.extend(ring.damage());
    findings.extend(ring.semaphores());
    findings.extend(ring.deaf_consumer());
    findings.extend(ring.deaf_producers());
    findings.extend(ring.tokens(verbose));
    if findings.is_empty() {
        findings.push(ring.well(after.creator.as_ref()));
    }
    findings
}

/// One ring, seen twice.
struct Ring<'a> {
    name: &'a RingName,
    before: &'a Snapshot,
    after: &'a Snapshot,
}

/// The slots whose words have not changed.
struct Stuck {
    state: State,
    owner: Option<ProcessId>,
}

impl Ring<'_> {
    fn finding(
        &self,
        severity: Severity,
        check: &'static str,
        text: impl Into<String>,
        cure: Cure,
    ) -> Finding {
        let pid = self.after.creator.map(ProcessId::pid);
        Finding::new(severity, check, self.name, text, cure).with_pid(pid)
    }

    fn well(&self, creator: Option<&Who>) -> Finding {
        let owner = creator.map_or_else(|| "somebody".to_owned(), Who::label);
        let producers = plural(self.after.producers.len(), "producer");
        self.finding(Severity::Ok, "ring", format!("owned by {owner}, alive; {producers}"), Cure::Nothing)
    }

    /// Whoever waits for what a stopped process should do waits until it goes on.
    fn stopped_owner(&self) -> Option<Finding> {
        let owner = self.after.creator.filter(|owner| owner.is_stopped())?;
        let text = format!("its owner, pid {}, is stopped: by a signal, or in a debugger", owner.pid());
        let cure = Cure::Advice(format!("let it go on (`kill -CONT {}`), or end it", owner.pid()));
        Some(self.finding(Severity::Warning, "stopped_owner", text, cure))
    }

    /// Processes in the owner table that are gone.
    fn dead_producers(&self) -> Vec<Finding> {
        let same = |one: &&OwnerSnapshot| {
            self.before.producers.iter().any(|was| (was.number, was.process) == (one.number, one.process))
        };
        let dead = self.after.producers.iter().filter(same).filter(|one| !one.process.is_alive());
        dead.map(|one| {
            let text =
                format!("producer {}, pid {}, is dead and still entered", one.number, one.process.pid());
            self.finding(Severity::Warning, "dead_producer", text, Cure::Reap)
                .with_pid(Some(one.process.pid()))
        })
        .collect()
    }

    fn dead_consumer(&self) -> Option<Finding> {
        let consumer = self.after.consumer?;
        if self.before.consumer != Some(consumer) || consumer.is_alive() {
            return None;
        }
        let text = format!("its consumer, pid {}, is dead: nobody reads it", consumer.pid());
        let cure = Cure::Advice("attach another consumer: it takes the entry over".to_owned());
        Some(self.finding(Severity::Warning, "dead_consumer", text, cure).with_pid(Some(consumer.pid())))
    }

    fn stuck(&self) -> impl Iterator<Item = Stuck> {
        let both = self.before.slots.iter().zip(&self.after.slots);
        both.filter(|(was, is)| was.state == is.state)
            .map(|(_, is)| Stuck { state: is.state, owner: is.owner })
    }

    /// Claims and quarantines that last.
    fn held_slots(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for slot in self.stuck() {
            let (check, what) = match slot.state.phase() {
                Phase::Claimed => ("stuck_claim", "claimed"),
                Phase::Void if slot.state.is_quarantined() => ("quarantine", "in quarantine"),
                _ => continue,
            };
            let index = slot.state.sequence() % u64::from(self.after.capacity).max(1);
            let (severity, text, cure) = match slot.owner {
                Some(owner) if owner.is_alive() => (
                    Severity::Note,
                    format!("slot {index} is {what} for pid {}, which lives: stopped, or slow", owner.pid()),
                    Cure::Advice(format!("let pid {} go on, or end it", owner.pid())),
                ),
                Some(owner) => (
                    Severity::Warning,
                    format!("slot {index} is {what} for pid {}, which is dead", owner.pid()),
                    Cure::Reap,
                ),
                // Entries are left only after their slots: this is no work of the protocol.
                None => (
                    Severity::Error,
                    format!("slot {index} is {what} for owner {}, which is nobody", slot.state.owner()),
                    Cure::Advice("start the ring's owner again: this slot is lost".to_owned()),
                ),
            };
            let pid = slot.owner.map(ProcessId::pid);
            findings.push(self.finding(severity, check, text, cure).with_pid(pid));
        }
        findings
    }

    /// A ring that is not the first one that its creator made under this name.
    fn renewed(&self) -> Option<Finding> {
        let times = self.after.renewals;
        if times == 0 {
            return None;
        }
        let text = format!(
            "its owner has made it anew {}, since another process had damaged it",
            plural(times as usize, "time")
        );
        let cure = Cure::Advice("look who writes to it: its owner's log says when and what".to_owned());
        Some(self.finding(Severity::Warning, "made_anew", text, cure))
    }

    /// Slots whose words can be in no ring, and those that the consumer found.
    fn damage(&self) -> Vec<Finding> {
        let cure = || Cure::Advice("start the ring's owner again, and look who writes to it".to_owned());
        let mask = u64::from(self.after.capacity).saturating_sub(1);
        let both = self.before.slots.iter().zip(&self.after.slots).enumerate();
        let bad: Vec<usize> = both
            .filter(|(index, (was, is))| {
                let misplaced = is.state.sequence() & mask != *index as u64;
                was.state == is.state && (misplaced || u32::from(is.state.owner()) > self.after.owners_max)
            })
            .map(|(index, _)| index)
            .collect();
        let mut findings = Vec::new();
        if let Some(first) = bad.first() {
            let text = format!("{}, the first of them {first}, hold what no program of ours writes", {
                plural(bad.len(), "slot")
            });
            findings.push(self.finding(Severity::Error, "damaged_slots", text, cure()));
        }
        if self.after.counters.damaged > 0 {
            let met = plural(usize::try_from(self.after.counters.damaged).unwrap_or(usize::MAX), "time");
            let text = format!("its consumer has met a damaged slot {met}");
            findings.push(self.finding(Severity::Warning, "damage_met", text, cure()));
        }
        findings
    }

    /// Semaphores that are gone: who is attached keeps them, and nobody else can come.
    fn semaphores(&self) -> Option<Finding> {
        let gone: Vec<&str> =
            [("ready", self.before.ready, self.after.ready), ("space", self.before.space, self.after.space)]
                .into_iter()
                .filter(|(_, was, is)| was.is_none() && is.is_none())
                .map(|(name, ..)| name)
                .collect();
        if gone.is_empty() {
            return None;
        }
        let text = format!("its {} cannot be read: nobody new can attach", gone.join(" and "));
        let cure = Cure::Advice("start the ring's owner again".to_owned());
        Some(self.finding(Severity::Error, "missing_semaphore", text, cure))
    }

    /// The word of the slot at a position, if neither it nor the position has moved.
    fn state_at(&self, was: u64, is: u64) -> Option<State> {
        let index = usize::try_from(is & u64::from(self.after.capacity).saturating_sub(1)).ok()?;
        let (before, after) = (self.before.slots.get(index)?, self.after.slots.get(index)?);
        (was == is && before.state == after.state && after.state.sequence() == is & SEQUENCE)
            .then_some(after.state)
    }

    /// A consumer that sleeps in front of a record, with no token on its way to it.
    fn deaf_consumer(&self) -> Option<Finding> {
        let asleep = |seen: &Snapshot| {
            let ready = seen.ready?;
            Some(ready.value == 0 && (seen.consumer_waiting || ready.waiters.unwrap_or(0) > 0))
        };
        let state = self.state_at(self.before.head, self.after.head)?;
        if state.phase() != Phase::Ready
            || asleep(self.before) != Some(true)
            || asleep(self.after) != Some(true)
        {
            return None;
        }
        let consumer =
            self.after.consumer.map_or_else(|| "nobody".to_owned(), |who| format!("pid {}", who.pid()));
        let text = format!(
            "its consumer ({consumer}) has announced that it sleeps, a record waits at its head, and no token is there to \
             wake it"
        );
        Some(self.finding(Severity::Error, "deaf_consumer", text, Cure::Wake(1)))
    }

    /// Producers that sleep although there is room, with no token on its way to them.
    fn deaf_producers(&self) -> Option<Finding> {
        let asleep = |seen: &Snapshot| {
            let space = seen.space?;
            Some(space.value == 0 && seen.producers_waiting > 0)
        };
        let state = self.state_at(self.before.tail, self.after.tail)?;
        if state.phase() != Phase::Free
            || asleep(self.before) != Some(true)
            || asleep(self.after) != Some(true)
        {
            return None;
        }
        let sleepers = plural(self.after.producers_waiting as usize, "producer");
        let text = format!("{sleepers} announced to sleep for want of room, and there is room");
        Some(self.finding(Severity::Error, "deaf_producers", text, Cure::Wake(0)))
    }

    /// Tokens against slots, where nothing has moved.
    fn tokens(&self, verbose: bool) -> Vec<Finding> {
        let (Some(ready), Some(space)) = (self.after.ready, self.after.space) else { return Vec::new() };
        let still = (self.before.head, self.before.tail, self.before.ready, self.before.space)
            == (self.after.head, self.after.tail, self.after.ready, self.after.space);
        if !still {
            return Vec::new();
        }
        let count = |wanted: &dyn Fn(State) -> bool| {
            self.after.slots.iter().filter(|slot| wanted(slot.state)).count() as u32
        };
        let published = count(&|state| state.phase() == Phase::Ready);
        let free = count(&|state| matches!((state.phase(), state.owner()), (Phase::Free | Phase::Void, 0)));
        let mut findings = Vec::new();
        if self.after.mode == Mode::Doorbell {
            if verbose && (ready.value > 0 || space.value > 0) {
                let text = format!(
                    "surplus tokens, ready {} and space {}: harmless, each costs a look",
                    ready.value, space.value
                );
                findings.push(self.finding(Severity::Note, "surplus_tokens", text, Cure::Nothing));
            }
            return findings;
        }
        // A consumer may have one token in hand.
        let short = published.saturating_sub(ready.value);
        let awake = u32::from(self.after.consumer.is_some() && ready.waiters.unwrap_or(0) == 0);
        if short > awake || space.value < free {
            let text = format!(
                "tokens are missing: ready has {} for {}, space has {} for {}",
                ready.value,
                plural(published as usize, "record"),
                space.value,
                plural(free as usize, "free slot")
            );
            findings.push(self.finding(Severity::Warning, "missing_tokens", text, Cure::Wake(short)));
        } else if verbose && (ready.value > published || space.value > free) {
            let text = format!(
                "surplus tokens: ready has {} for {}, space has {} for {}: harmless, each costs a look",
                ready.value,
                plural(published as usize, "record"),
                space.value,
                plural(free as usize, "free slot")
            );
            findings.push(self.finding(Severity::Note, "surplus_tokens", text, Cure::Nothing));
        }
        findings
    }
}
