//! The owner table: who is attached, and clearing up after those who are gone.

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::AttachError;
use crate::layout::Owner;
use crate::memory::Memory;
use crate::options::RingKind;
use crate::process::ProcessId;
use crate::protocol::{free_slots_of, wake_after_death};
use crate::region::Region;
use crate::state::State;
use crate::sync::Ordering;

/// How often an entry that others change meanwhile is tried to be had.
const PATIENCE: u32 = 100;

/// Number of the consumer's entry.
pub(crate) const CONSUMER: u16 = 0;

/// What [`Ring::reap`](crate::Ring::reap) found and freed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reaped {
    /// Owner entries of dead processes that are free again.
    pub owners: u32,
    /// Slots that those had claimed, or left in quarantine, that are free again.
    pub slots: u32,
}

/// Enters this process as the consumer. A dead consumer's entry is taken over.
pub(crate) fn attach_consumer(region: &Region) -> Result<(), AttachError> {
    attach_single(region, CONSUMER).map_err(|by| AttachError::ConsumerTaken { by })
}

/// Enters this process as a producer and returns the owner number.
pub(crate) fn attach_producer(region: &Region) -> Result<u16, AttachError> {
    if region.shape().kind == RingKind::Spsc {
        return attach_single(region, 1).map(|()| 1).map_err(|by| AttachError::ProducerTaken { by });
    }
    let owners = region.shape().owners;
    let start = region.header().cold.owner_hint.fetch_add(1, Ordering::Relaxed) % u64::from(owners);
    let enter = || {
        (0..owners).map(|i| ((start as u32 + i) % owners + 1) as u16).find(|&number| {
            let identity = &region.owner(number).identity;
            let me = ProcessId::current().to_word();
            identity.load(Ordering::Relaxed) == 0
                && identity.compare_exchange(0, me, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        })
    };
    if let Some(number) = enter() {
        return Ok(number);
    }
    reap(region);
    enter().ok_or(AttachError::OwnersFull { limit: owners })
}

/// Takes an entry of which there is only one, from nobody or from a dead process.
fn attach_single(region: &Region, number: u16) -> Result<(), ProcessId> {
    let identity = &region.owner(number).identity;
    let me = ProcessId::current().to_word();
    let mut now = identity.load(Ordering::Acquire);
    for _ in 0..PATIENCE {
        if let Some(holder) = ProcessId::from_word(now)
            && holder.is_alive()
        {
            return Err(holder);
        }
        match identity.compare_exchange(now, me, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return Ok(()),
            Err(other) => now = other,
        }
    }
    // Only somebody who writes one dead process after the other there gets us here.
    Err(ProcessId::from_word(now).unwrap_or_else(ProcessId::current))
}

/// Entries of a new ring's owner table that stand for processes which are about to attach: see
/// [`Ring::renew_expecting`](crate::Ring::renew_expecting). Dropping this frees them.
#[derive(Default)]
pub struct Expected {
    region: Option<Arc<Region>>,
    /// Number and word of each.
    entries: Vec<(u16, u64)>,
}

impl Expected {
    pub(crate) fn new(region: &Arc<Region>, entries: Vec<(u16, u64)>) -> Self {
        Self { region: Some(Arc::clone(region)), entries }
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        let Some(region) = &self.region else { return };
        for &(number, word) in &self.entries {
            // If its process has died, the entry was freed and may be another one's by now.
            let identity = &region.owner(number).identity;
            let _ = identity.compare_exchange(word, 0, Ordering::AcqRel, Ordering::Relaxed);
        }
    }
}

impl core::fmt::Debug for Expected {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Expected").field("entries", &self.entries).finish_non_exhaustive()
    }
}

/// Enters these processes in the table of a ring that nobody else can see yet, from its end, where newcomers look last.
/// Takes half of what is left when each of them has attached, so that others can, too.
pub(crate) fn expect(region: &Region, processes: &[ProcessId]) -> Vec<(u16, u64)> {
    let owners = region.shape().owners as usize;
    let room = owners.saturating_sub(processes.len()) / 2;
    let numbers = (1..=owners as u16).rev();
    let entries: Vec<_> = numbers.zip(processes.iter().take(room).map(|process| process.to_word())).collect();
    for &(number, word) in &entries {
        region.owner(number).identity.store(word, Ordering::Relaxed);
    }
    entries
}

/// Leaves an entry. The caller writes no slot under this number any more.
pub(crate) fn detach(region: &Region, number: u16) {
    if number != CONSUMER {
        fold_counters(region, number);
    }
    region.owner(number).identity.store(0, Ordering::Release);
}

/// Moves an entry's counters into the header's totals.
fn fold_counters(region: &Region, number: u16) {
    let Owner { published, full_events, parks, ready_posts, returned, .. } = region.owner(number);
    let cold = &region.header().cold;
    for (total, word) in [
        (&cold.published, published),
        (&cold.full_events, full_events),
        (&cold.parks, parks),
        (&cold.ready_posts, ready_posts),
    ] {
        total.fetch_add(word.swap(0, Ordering::Relaxed), Ordering::Relaxed);
    }
    returned.store(0, Ordering::Relaxed);
}

/// Frees everything that dead producers hold.
pub(crate) fn reap(region: &Region) -> Reaped {
    let mut total = Reaped::default();
    let mut alive = HashMap::new();
    for number in 1..=region.shape().owners as u16 {
        let word = region.owner(number).identity.load(Ordering::Acquire);
        let Some(process) = ProcessId::from_word(word) else { continue };
        if !*alive.entry(process).or_insert_with(|| process.is_alive()) {
            add(&mut total, reap_owner(region, number));
        }
    }
    total
}

/// Frees what the dead owners of slots in quarantine hold.
pub(crate) fn reap_quarantined(region: &Region) -> Reaped {
    let mut total = Reaped::default();
    for slot in 0..u64::from(region.shape().capacity) {
        let state = State(region.state(slot).load(Ordering::Acquire));
        if state.is_quarantined() && u32::from(state.owner()) <= region.shape().owners {
            add(&mut total, reap_owner(region, state.owner()));
        }
    }
    total
}

fn add(total: &mut Reaped, more: Reaped) {
    total.owners += more.owners;
    total.slots += more.slots;
}

/// Frees what owner `number` holds, if its process is dead.
///
/// The reaper first puts its own name on the entry: only one reaper works on it, nobody attaches under the number
/// meanwhile, and if the reaper dies too the next one starts again. A stopped reaper holds up nothing but this entry.
pub(crate) fn reap_owner(region: &Region, number: u16) -> Reaped {
    if number == CONSUMER || u32::from(number) > region.shape().owners {
        return Reaped::default();
    }
    let identity = &region.owner(number).identity;
    let word = identity.load(Ordering::Acquire);
    let dead = ProcessId::from_word(word).is_some_and(|process| !process.is_alive());
    let ours = ProcessId::current().to_reaping_word();
    if !dead || identity.compare_exchange(word, ours, Ordering::AcqRel, Ordering::Relaxed).is_err() {
        return Reaped::default();
    }
    #[cfg(feature = "faults")]
    crate::faults::pass(crate::faults::Point::Reap);
    let slots = free_slots_of(region, number);
    wake_after_death(region);
    fold_counters(region, number);
    identity.store(0, Ordering::Release);
    Reaped { owners: 1, slots }
}
