//! A ring whose users push, pop, claim, look and bury, while somebody overwrites its words between their steps.
//!
//! Until the first word is overwritten it must be the queue that it is meant to be. After that nothing is promised but
//! that every call returns, with an answer that it may give, and that what is popped is what somebody pushed.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::Ordering;
use std::time::Duration;

use halyard_ring::{
    Consumer, Mode, Phase, PopError, Producer, PushError, Record, Ring, RingKind, RingOptions, Wait, hostile,
};

use crate::input::Input;

/// A record that is made from a number and can be told from others by it.
pub trait Numbered: Record + Copy + std::fmt::Debug {
    /// The record of this number.
    fn numbered(number: u64) -> Self;
    /// Its number.
    fn number(&self) -> u64;
}

impl Numbered for u64 {
    fn numbered(number: u64) -> Self {
        number
    }
    fn number(&self) -> u64 {
        *self
    }
}

impl Numbered for [u64; 31] {
    fn numbered(number: u64) -> Self {
        [number; 31]
    }
    fn number(&self) -> u64 {
        self[30]
    }
}

impl Numbered for [u8; 3] {
    fn numbered(number: u64) -> Self {
        [number as u8; 3]
    }
    fn number(&self) -> u64 {
        u64::from(self[2])
    }
}

impl Numbered for halyard_ring::chat::Record {
    fn numbered(number: u64) -> Self {
        let mut record = Self::new(halyard_ring::chat::Kind::Ping);
        record.number = number;
        record
    }
    fn number(&self) -> u64 {
        self.number
    }
}

/// What an input plays on.
pub(crate) struct Stage<R: Numbered> {
    ring: Ring<R>,
    producers: [Option<Producer<R>>; 2],
    consumer: Option<Consumer<R>>,
    /// What the ring holds, for as long as nobody has overwritten anything.
    queue: Option<VecDeque<u64>>,
    closed: bool,
    /// Claims were given up: their positions take room until the consumer has passed them.
    holes: bool,
    /// What may be found in a slot: what was pushed. Empty if the slots had something in them before.
    pushed: BTreeSet<u64>,
    next: u64,
    /// Steps that sleep are few: they would take most of the time.
    sleeps: u32,
}

/// The first byte says what ring, the others are steps.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let what = input.byte();
    let capacity = [2, 4, 8, 16][usize::from(what >> 2 & 3)];
    let mut options =
        if what & 1 == 0 { RingOptions::spsc(capacity) } else { RingOptions::mpsc(capacity).owners(3) };
    if what & 2 != 0 {
        options = options.mode(Mode::Counting);
    }
    // Positions wrap, in 48 bits and in 64.
    let first = [0, (1 << 48) - 16, 0u64.wrapping_sub(16), 1 << 47][usize::from(what >> 4 & 3)];
    // Passed over at once, or never.
    let grace = if what & 64 == 0 { Duration::from_secs(3600) } else { Duration::ZERO };
    let ring = Ring::<u64>::heap(&options.first_position(first).grace(grace));
    Stage::beside(ring, false).play(&mut input, 512);
}

impl<R: Numbered> Stage<R> {
    /// `used`: its bytes come from somebody else.
    pub(crate) fn beside(ring: Ring<R>, used: bool) -> Self {
        let (queue, pushed) =
            if used { (None, BTreeSet::new()) } else { (Some(VecDeque::new()), [0].into()) };
        let mut stage = Self {
            ring,
            producers: [None, None],
            consumer: None,
            queue,
            closed: false,
            holes: false,
            pushed,
            next: 1,
            sleeps: 2,
        };
        stage.attach(0);
        stage.attach(1);
        stage.attach(2);
        stage
    }

    pub(crate) fn play(mut self, input: &mut Input<'_>, steps: u32) {
        for _ in 0..steps {
            if input.is_over() {
                break;
            }
            self.step(input);
        }
        // Whatever it has come to, it can be looked at and cleared up.
        let _ = (self.ring.reap(), self.audit());
        self.inspect();
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let choice = input.byte();
        let which = usize::from(choice >> 4 & 1);
        match choice & 15 {
            0 | 1 => self.push(which, |producer, record| producer.try_push(record)),
            2 | 3 => self.pop(Consumer::try_pop),
            4 => self.push_batch(which, usize::from(choice >> 5)),
            5 => self.drain(usize::from(choice >> 5)),
            6 => self.claim(which, choice >> 5),
            7 => self.audit(),
            8 => self.inspect(),
            9 => drop(self.ring.reap()),
            10 => self.skip(),
            11 | 12 => self.overwrite_state(choice, input),
            13 => self.overwrite(input),
            14 => self.attach(usize::from(choice >> 4) % 3),
            _ => self.others(choice >> 4, which),
        }
    }

    fn others(&mut self, choice: u8, which: usize) {
        match choice >> 1 {
            0 => self.ring.nudge(),
            1 => {
                self.ring.close();
                self.closed = true;
            }
            2 => self.pop(|consumer| consumer.pop_timeout(Duration::ZERO)),
            3 => self.push(which, |producer, record| producer.push_timeout(record, Duration::ZERO)),
            4 => {
                if let Some(consumer) = &mut self.consumer {
                    let _ = consumer.wait(Duration::ZERO);
                }
            }
            5 if self.sleeps > 0 => {
                self.sleeps -= 1;
                self.pop(|consumer| {
                    consumer.set_wait(Wait::block());
                    consumer.pop_timeout(Duration::from_micros(1))
                });
            }
            6 if self.sleeps > 0 => {
                self.sleeps -= 1;
                self.push(which, |producer, record| {
                    producer.set_wait(Wait::block());
                    producer.push_timeout(record, Duration::from_micros(1))
                });
            }
            _ => {
                if let Some(producer) = &self.producers[which] {
                    let _ = (producer.free_slots_at_least(1), producer.free_slots_at_least(u32::MAX));
                }
            }
        }
    }

    /// Producer 0 or 1, or the consumer, leaves and comes back; it may find no place any more.
    fn attach(&mut self, who: usize) {
        match who {
            0 | 1 => {
                self.producers[who] = None;
                self.producers[who] = self.ring.producer().ok();
                // A single-producer ring has one.
                let there = if self.ring.kind() == RingKind::Spsc { who == 0 } else { true };
                let alone = self.producers[1 - who].is_none() || self.ring.kind() == RingKind::Mpsc;
                if self.queue.is_some() && !self.closed && there && alone {
                    assert!(self.producers[who].is_some(), "no place for a producer in a ring that is whole");
                }
            }
            _ => {
                self.consumer = None;
                self.consumer = self.ring.consumer().ok();
                assert!(self.queue.is_none() || self.consumer.is_some(), "no place for the consumer");
            }
        }
    }

    fn record(&mut self) -> R {
        let record = R::numbered(self.next);
        self.next += 1;
        record
    }

    fn push(&mut self, which: usize, push: impl FnOnce(&mut Producer<R>, R) -> Result<(), PushError<R>>) {
        let record = self.record();
        let Some(producer) = &mut self.producers[which] else { return };
        let number = record.number();
        match push(producer, record) {
            Ok(()) => self.is_in(number),
            Err(PushError::Full(back) | PushError::TimedOut(back)) => {
                assert_eq!(back.as_bytes(), record.as_bytes());
                self.is_full();
            }
            Err(PushError::Closed(back)) => {
                assert_eq!(back.as_bytes(), record.as_bytes());
                assert!(self.closed || self.queue.is_none(), "closed by nobody");
            }
            Err(PushError::Corrupt(back, damage)) => {
                assert_eq!(back.as_bytes(), record.as_bytes());
                assert!(self.queue.is_none(), "{damage} in a ring that is whole");
            }
            Err(other) => panic!("{other}"),
        }
    }

    fn is_in(&mut self, number: u64) {
        assert!(!self.closed || self.queue.is_none(), "pushed into a closed ring");
        if !self.pushed.is_empty() {
            self.pushed.insert(number);
        }
        if let Some(queue) = &mut self.queue {
            queue.push_back(number);
            assert!(queue.len() <= self.ring.capacity() as usize, "more than it holds");
        }
    }

    fn is_full(&self) {
        if let Some(queue) = &self.queue {
            let full = queue.len() == self.ring.capacity() as usize;
            assert!(full || self.holes, "full, and has room for more than {}", queue.len());
        }
    }

    fn push_batch(&mut self, which: usize, count: usize) {
        let records: Vec<R> = (0..count).map(|_| self.record()).collect();
        let Some(producer) = &mut self.producers[which] else { return };
        let pushed = match producer.push_batch(&records) {
            Ok(pushed) => pushed,
            Err(PushError::Full(())) => return self.is_full(),
            Err(_) => return assert!(self.closed || self.queue.is_none()),
        };
        assert!(pushed <= count);
        for record in &records[..pushed] {
            self.is_in(record.number());
        }
    }

    fn pop(&mut self, pop: impl FnOnce(&mut Consumer<R>) -> Result<R, PopError>) {
        let Some(consumer) = &mut self.consumer else { return };
        match pop(consumer) {
            Ok(record) => self.is_out(&record),
            Err(PopError::Empty | PopError::TimedOut) => {
                assert!(self.queue.as_ref().is_none_or(VecDeque::is_empty), "empty, and is not");
            }
            Err(PopError::Closed) => {
                let over = self.closed && self.queue.as_ref().is_none_or(VecDeque::is_empty);
                assert!(over || self.queue.is_none(), "closed by nobody, or not drained");
            }
            Err(PopError::Corrupt(damage)) => {
                assert!(self.queue.is_none(), "{damage} in a ring that is whole");
            }
            Err(other) => panic!("{other}"),
        }
    }

    fn is_out(&mut self, record: &R) {
        let number = record.number();
        if let Some(queue) = &mut self.queue {
            assert_eq!(queue.pop_front(), Some(number), "out of order");
        }
        let whole = record.as_bytes() == R::numbered(number).as_bytes() || number == 0;
        assert!(self.pushed.is_empty() || self.pushed.contains(&number) && whole, "{record:?}: never pushed");
    }

    fn drain(&mut self, max: usize) {
        let Some(consumer) = &mut self.consumer else { return };
        let mut taken = Vec::new();
        let drained = consumer.drain(max, |record| taken.push(*record));
        match drained {
            Ok(count) => assert!(count == taken.len() && count <= max),
            Err(_) => assert!(taken.is_empty() && (self.closed || self.queue.is_none())),
        }
        for record in &taken {
            self.is_out(record);
        }
    }

    /// Claims a slot and publishes it, gives it up, or forgets it.
    fn claim(&mut self, which: usize, end: u8) {
        let record = self.record();
        let Some(producer) = &mut self.producers[which] else { return };
        let Ok(mut claim) = producer.try_claim() else { return };
        if end == 0 {
            // Nobody writes it any more; its producer gives it up when it claims again. What is behind waits for that.
            std::mem::forget(claim);
            self.queue = None;
            return;
        }
        claim.write(&record);
        if !self.pushed.is_empty() {
            self.pushed.insert(record.number());
        }
        if end & 1 == 0 {
            self.holes = true;
            return claim.abandon();
        }
        let published = claim.publish();
        if published.is_ok() {
            self.is_in(record.number());
        } else {
            assert!(self.queue.is_none(), "nobody looked, and the claim was passed over");
        }
    }

    fn audit(&mut self) {
        let Some(consumer) = &mut self.consumer else { return };
        let found = consumer.audit();
        assert!(found.is_ok() || self.queue.is_none(), "{found:?} in a ring that is whole");
    }

    fn inspect(&self) {
        let seen = self.ring.inspect();
        assert_eq!(seen.slots.len(), self.ring.capacity() as usize);
        assert!(seen.producers.len() <= seen.owners_max as usize);
        if let Some(queue) = &self.queue {
            // Positions that were given up are between head and tail, too.
            assert!(seen.tail.wrapping_sub(seen.head) >= queue.len() as u64, "{seen:?}");
        }
    }

    fn skip(&mut self) {
        // It may be called after damage only.
        if self.queue.is_none()
            && let Some(consumer) = &mut self.consumer
        {
            consumer.skip_damaged();
        }
    }

    /// Writes a state word that could nearly be: near the head, of somebody, in some phase.
    fn overwrite_state(&mut self, choice: u8, input: &mut Input<'_>) {
        self.queue = None;
        let (near, owner) = (i64::from(input.byte() as i8), input.byte());
        let head = hostile::word(&self.ring, HEAD).load(Ordering::Relaxed);
        let lap = i64::from(self.ring.capacity());
        let position = match choice >> 6 {
            0 => head.wrapping_add_signed(near),
            1 => head.wrapping_add_signed(near / 16 * lap + near % 16),
            2 => head.wrapping_add(1 << 47).wrapping_add_signed(near),
            _ => near as u64,
        };
        let phase = [Phase::Free, Phase::Claimed, Phase::Ready, Phase::Void][usize::from(owner & 3)];
        let owner = [0, 1, 2, 3, 4, 0x3fff, u16::from(owner), 64][usize::from(owner >> 2 & 7)];
        let slot = near.unsigned_abs() as usize % self.ring.capacity() as usize;
        let words = hostile::words(&self.ring);
        let word = hostile::word(&self.ring, words - self.ring.capacity() as usize + slot);
        word.store(hostile::state(position, owner, phase), Ordering::Relaxed);
    }

    fn overwrite(&mut self, input: &mut Input<'_>) {
        self.queue = None;
        let (index, value) = (usize::from(input.short()), input.word());
        hostile::word(&self.ring, index).store(value, Ordering::Relaxed);
    }
}

/// Index of the header's word that says which position is read next.
const HEAD: usize = 16;

/// Programs that do a little of everything, in rings of every kind.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for what in 0..8u8 {
        let mut seed =
            vec![what * 5, 0, 16, 0, 2, 2, 0x64, 0xa5, 0x26, 0x46, 7, 8, 9, 14, 30, 46, 0x1f, 0x4f, 0x5f];
        for step in [0xaf, 0xcf, 0x6f, 0x8f, 11, 3, 5, 2, 10, 2] {
            seed.extend([step, 0, what]);
        }
        seed.extend([13, 16, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 10, 2, 7, 0, 0, 2, 2]);
        seeds.push(seed);
    }
    seeds
}
