//! The slot protocol by hand (section 4 of the page): one end of a ring.

use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use super::page::{Bits, Page};
use super::segment::{Bed, Segment, identity};

/// What a push or pop did not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Full,
    Empty,
    /// The consumer stands before a claim of this owner.
    Claimed(u64),
    Closed,
    Damaged,
}

/// A slot's state word in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    position: u64,
    owner: u64,
    phase: u64,
}

/// The page's numbers that every operation needs.
struct Numbers {
    phase: Bits,
    owner: Bits,
    sequence: Bits,
    free: u64,
    claimed: u64,
    ready: u64,
    void: u64,
}

impl Numbers {
    fn of(page: &Page) -> Self {
        let (bits, phase) = (|name| page.bits("State word", name), |name| page.value("Phases", name));
        Self {
            phase: bits("phase"),
            owner: bits("owner"),
            sequence: bits("sequence"),
            free: phase("FREE"),
            claimed: phase("CLAIMED"),
            ready: phase("READY"),
            void: phase("VOID"),
        }
    }
}

/// A producer or the consumer of a ring.
pub(crate) struct End<'p> {
    pub(crate) segment: Segment<'p>,
    numbers: Numbers,
    /// Our entry in the owner table.
    owner: u64,
    /// The next position to claim or to read.
    next: u64,
}

impl<'p> End<'p> {
    /// Attaches as the consumer (section 4.2).
    pub(crate) fn consumer(segment: Segment<'p>) -> Self {
        let mut end = Self::attach(segment, |_| vec![0]);
        // A consumer before us may have died before it wrote the new head, and before it woke anyone.
        let state = end.state(end.segment.slot(end.next).load(Ordering::Acquire));
        if end.ahead(state.position, end.next) == end.segment.capacity as i64 {
            end.advance();
            end.count("consumer.consumed");
        }
        end.wake_producers();
        end
    }

    /// Attaches as a producer (section 4.2).
    pub(crate) fn producer(segment: Segment<'p>) -> Self {
        Self::attach(segment, |segment| {
            let hint = segment.word64("cold.owner_hint").fetch_add(1, Ordering::Relaxed);
            (0..segment.owners).map(|i| (hint + i) % segment.owners + 1).collect()
        })
    }

    fn attach(segment: Segment<'p>, entries: impl FnOnce(&Segment<'p>) -> Vec<u64>) -> Self {
        let me = identity(segment.page);
        let owner = entries(&segment).into_iter().find(|&number| {
            let entry = segment.entry(number, "identity");
            entry.compare_exchange(0, me, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        });
        let owner = owner.expect("a free entry in the owner table");
        let next = segment.word64("consumer.head").load(Ordering::Acquire);
        Self { numbers: Numbers::of(segment.page), segment, owner, next }
    }

    /// Leaves the entry.
    pub(crate) fn leave(&self) {
        self.segment.entry(self.owner, "identity").store(0, Ordering::Release);
    }

    /// The number of the entry.
    pub(crate) fn owner(&self) -> u64 {
        self.owner
    }

    /// Takes the next position without publishing anything (sections 4.3 and 4.4).
    pub(crate) fn claim(&mut self) -> Result<u64, Refused> {
        loop {
            if self.segment.is_closed() {
                return Err(Refused::Closed);
            }
            let position = self.next;
            let head = self.segment.word64("consumer.head").load(Ordering::Acquire);
            let word = self.segment.slot(position).load(Ordering::Acquire);
            let state = self.state(word);
            let d = self.ahead(state.position, position);
            let n = &self.numbers;
            if d == 0 && (state.phase, state.owner) == (n.free, 0) {
                let claimed = State { position, owner: self.owner, phase: n.claimed };
                // The only producer writes into a FREE slot, and goes on when it has published.
                if self.segment.single {
                    return Ok(position);
                }
                if self.swap(position, word, claimed) {
                    self.next = position + 1;
                    return Ok(position);
                }
            } else if d > 0 || (d == 0 && state.phase != n.free) {
                self.next = if d > 0 { head.max(position + 1) } else { position + 1 };
            } else if d != -(self.segment.capacity as i64) || state.phase == n.free {
                return Err(Refused::Damaged);
            } else if state.phase == n.void && self.ahead(head, position - self.segment.capacity) > 0 {
                // A hole becomes free; what is in quarantine stays so.
                let carried =
                    if state.owner == 0 { self.free(position) } else { State { position, ..state } };
                self.swap(position, word, carried);
            } else {
                return Err(Refused::Full);
            }
        }
    }

    /// Writes into a claimed position and publishes it. False if the consumer has passed over it; then the slot
    /// has been given back.
    pub(crate) fn publish(&mut self, position: u64, record: &[u8]) -> bool {
        self.segment.write(position, record);
        let ready = State { position, owner: self.owner, phase: self.numbers.ready };
        if self.segment.single {
            self.segment.slot(position).store(self.word(ready), Ordering::Release);
            self.next = position + 1;
        } else if !self.swap(position, self.word(State { phase: self.numbers.claimed, ..ready }), ready) {
            self.give_back(position);
            return false;
        }
        self.wake_consumer();
        true
    }

    /// Gives a claim up unwritten (section 4.4).
    pub(crate) fn abandon(&self, position: u64) {
        let claimed = State { position, owner: self.owner, phase: self.numbers.claimed };
        if self.segment.single {
            return;
        }
        if self.swap(position, self.word(claimed), self.hole(position)) {
            self.wake_consumer();
        } else {
            self.give_back(position);
        }
    }

    /// First posts, then takes down the announcement that it saw and no other.
    fn wake_consumer(&self) {
        fence(Ordering::SeqCst);
        let waiting = self.segment.word32("reader.waiting");
        let seen = waiting.load(Ordering::Relaxed);
        if seen % 2 == 1 {
            self.segment.post(Bed::Ready);
            let _ = waiting.compare_exchange(seen, seen - 1, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Before a sleep on a full ring: only the consumer gets us past claims, and claims wake nobody.
    fn wake_consumer_before_claims(&self) {
        fence(Ordering::SeqCst);
        if self.segment.word32("reader.waiting").load(Ordering::Relaxed).is_multiple_of(2) {
            return;
        }
        let head = self.segment.word64("consumer.head").load(Ordering::Acquire);
        let n = &self.numbers;
        let first = (0..self.segment.capacity)
            .map(|offset| self.state(self.segment.slot(head + offset).load(Ordering::Acquire)))
            .find(|state| state.phase != n.void || state.owner == 0);
        if first.is_some_and(|state| state.phase != n.free) {
            self.wake_consumer();
        }
    }

    fn give_back(&self, position: u64) {
        loop {
            let word = self.segment.slot(position).load(Ordering::Acquire);
            let state = self.state(word);
            if (state.owner, state.phase) != (self.owner, self.numbers.void) {
                return;
            }
            if self.swap(position, word, self.hole(state.position)) {
                let less = |count: u64| count.checked_sub(1);
                let quarantined = self.segment.word64("cold.quarantined");
                let _ = quarantined.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
                self.wake_consumer();
                return;
            }
        }
    }

    /// Publishes a record if there is room.
    pub(crate) fn push(&mut self, record: &[u8]) -> Result<(), Refused> {
        loop {
            let position = self.claim()?;
            if self.publish(position, record) {
                return Ok(());
            }
        }
    }

    /// Publishes a record, asleep on `space` while there is no room (section 4.6). True if a token ended a
    /// sleep.
    pub(crate) fn push_sleeping(&mut self, record: &[u8], limit: Duration) -> Result<bool, Refused> {
        let mut woken = false;
        loop {
            match self.push(record) {
                Err(Refused::Full) => {}
                other => return other.map(|()| woken),
            }
            self.segment.word32("writers.waiting").fetch_add(1, Ordering::Relaxed);
            self.segment.sleep_fence();
            let again = self.push(record);
            if again == Err(Refused::Full) {
                self.wake_consumer_before_claims();
            }
            let token = again == Err(Refused::Full) && self.segment.sleep(Bed::Space, limit);
            woken |= token;
            if !token {
                self.take_down_producers(1);
                return again.map(|()| woken);
            }
        }
    }

    fn take_down_producers(&self, answered: u32) {
        let less = |count: u32| Some(count.saturating_sub(answered));
        let waiting = self.segment.word32("writers.waiting");
        let _ = waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// Takes the record at the head (section 4.5).
    pub(crate) fn pop(&mut self) -> Result<Vec<u8>, Refused> {
        loop {
            let head = self.next;
            let word = self.segment.slot(head).load(Ordering::Acquire);
            let state = self.state(word);
            let (n, lap) = (&self.numbers, self.segment.capacity as i64);
            match self.ahead(state.position, head) {
                0 if state.phase == n.ready => {}
                0 if state.phase == n.free => return Err(Refused::Empty),
                0 if state.phase == n.claimed => return Err(Refused::Claimed(state.owner)),
                d if d == -lap && state.phase == n.void => return Err(Refused::Empty),
                0 => {
                    if state.owner == 0 {
                        let free = self.word(self.free(head + self.segment.capacity));
                        self.segment.slot(head).store(free, Ordering::Release);
                    }
                    self.pass();
                    continue;
                }
                _ => return Err(Refused::Damaged),
            }
            let record = self.segment.read(head);
            fence(Ordering::Acquire);
            if self.segment.slot(head).load(Ordering::Relaxed) != word {
                return Err(Refused::Damaged);
            }
            let free = self.word(self.free(head + self.segment.capacity));
            self.segment.slot(head).store(free, Ordering::Release);
            self.advance();
            self.count("consumer.consumed");
            self.wake_producers();
            return Ok(record);
        }
    }

    /// Goes past a position that carries no record. What looked full can be claimed or carried now.
    fn pass(&mut self) {
        self.count("consumer.holes");
        self.advance();
        self.wake_producers();
    }

    fn count(&self, field: &str) {
        let word = self.segment.word64(field);
        word.store(word.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    fn advance(&mut self) {
        self.next += 1;
        self.segment.word64("consumer.head").store(self.next, Ordering::Release);
    }

    fn wake_producers(&self) {
        fence(Ordering::SeqCst);
        let waiting = self.segment.word32("writers.waiting");
        let seen = waiting.load(Ordering::Relaxed);
        for _ in 0..u64::from(seen).min(self.segment.owners) {
            self.segment.post(Bed::Space);
        }
        self.take_down_producers(seen);
    }

    /// Passes over the claim of `owner` at the head (section 4.8).
    pub(crate) fn void(&mut self, owner: u64) -> bool {
        let claimed = State { position: self.next, owner, phase: self.numbers.claimed };
        let quarantined = self.segment.word64("cold.quarantined");
        quarantined.fetch_add(1, Ordering::Relaxed);
        let voided = self.swap(self.next, self.word(claimed), State { phase: self.numbers.void, ..claimed });
        if voided {
            self.count("consumer.voids");
            self.pass();
        } else {
            quarantined.fetch_sub(1, Ordering::Relaxed);
        }
        voided
    }

    /// Takes the next record, asleep on `ready` until one comes or `limit` is over (section 4.6). Says also whether
    /// a token ended a sleep.
    pub(crate) fn pop_sleeping(&mut self, limit: Duration) -> (Result<Vec<u8>, Refused>, bool) {
        let mut woken = false;
        loop {
            let record = self.pop();
            if record != Err(Refused::Empty) {
                return (record, woken);
            }
            // Odd, and not the number of any sleep before.
            let before = self.segment.word32("reader.waiting").load(Ordering::Relaxed);
            let turn = before.wrapping_add(2) | 1;
            self.segment.word32("reader.waiting").store(turn, Ordering::Relaxed);
            self.segment.sleep_fence();
            // First `closed`, then the head once more.
            let closed = self.segment.is_closed();
            let record = self.pop();
            let sleepy = record == Err(Refused::Empty) && !closed;
            let token = sleepy && self.segment.sleep(Bed::Ready, limit);
            self.segment.word32("reader.waiting").store(turn - 1, Ordering::Relaxed);
            woken |= token;
            match record {
                Err(Refused::Empty) if closed => return (Err(Refused::Closed), woken),
                Err(Refused::Empty) if !token => return (self.pop(), woken),
                Err(Refused::Empty) => {}
                other => return (other, woken),
            }
        }
    }

    fn swap(&self, position: u64, from: u64, to: State) -> bool {
        let slot = self.segment.slot(position);
        slot.compare_exchange(from, self.word(to), Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn free(&self, position: u64) -> State {
        State { position, owner: 0, phase: self.numbers.free }
    }

    /// A position that was given up.
    fn hole(&self, position: u64) -> State {
        State { position, owner: 0, phase: self.numbers.void }
    }

    fn word(&self, state: State) -> u64 {
        let n = &self.numbers;
        n.sequence.with(state.position) | n.owner.with(state.owner) | n.phase.with(state.phase)
    }

    fn state(&self, word: u64) -> State {
        let n = &self.numbers;
        State { position: n.sequence.of(word), owner: n.owner.of(word), phase: n.phase.of(word) }
    }

    /// How far a sequence is ahead of a position.
    fn ahead(&self, sequence: u64, position: u64) -> i64 {
        let unused = 64 - self.numbers.sequence.count();
        (sequence.wrapping_sub(position) << unused) as i64 >> unused
    }
}
