//! A ring behaves as a plain queue of bounded length, whatever is done to it in whatever order.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use halyard_ring::{Consumer, Mode, PopError, Producer, PushError, Ring, RingName, RingOptions};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Push(usize),
    PushBatch(usize, usize),
    PushPrefix(usize),
    Publish(usize),
    Abandon(usize),
    /// A claim that is never published nor dropped: its owner seems to have stopped.
    Leak(usize),
    Pop,
    Drain(usize),
    NewProducer(usize),
    NewConsumer,
}

fn op(leaks: bool) -> impl Strategy<Value = Op> {
    let who = 0usize..2;
    prop_oneof![
        6 => who.clone().prop_map(Op::Push),
        3 => (who.clone(), 0usize..12).prop_map(|(who, n)| Op::PushBatch(who, n)),
        1 => who.clone().prop_map(Op::PushPrefix),
        2 => who.clone().prop_map(Op::Publish),
        2 => who.clone().prop_map(Op::Abandon),
        u32::from(leaks) => who.clone().prop_map(Op::Leak),
        8 => Just(Op::Pop),
        2 => (0usize..12).prop_map(Op::Drain),
        1 => who.prop_map(Op::NewProducer),
        1 => Just(Op::NewConsumer),
    ]
}

/// The ring under test beside the queue that it must equal.
struct Pair {
    ring: Ring<[u64; 2]>,
    producers: Vec<Option<Producer<[u64; 2]>>>,
    consumer: Option<Consumer<[u64; 2]>>,
    queue: VecDeque<u64>,
    next: u64,
    /// Positions given up since the ring was last seen empty: they may take up slots until the consumer passes them.
    holes: usize,
    /// Slots that each producer keeps in quarantine.
    leaked: Vec<usize>,
}

impl Pair {
    fn new(ring: Ring<[u64; 2]>) -> Self {
        let many = ring.kind() == halyard_ring::RingKind::Mpsc;
        let producers: Vec<_> =
            (0..if many { 2 } else { 1 }).map(|_| Some(ring.producer().unwrap())).collect();
        let leaked = vec![0; producers.len()];
        let consumer = Some(ring.consumer().unwrap());
        Self { ring, producers, consumer, queue: VecDeque::new(), next: 0, holes: 0, leaked }
    }

    fn record(&mut self) -> [u64; 2] {
        self.next += 1;
        [self.next, !self.next]
    }

    fn producer(&mut self, who: usize) -> &mut Producer<[u64; 2]> {
        let index = who % self.producers.len();
        self.producers[index].as_mut().unwrap()
    }

    /// Full is right only if the queue, and what else may hold slots, fill the ring.
    fn may_be_full(&self) -> bool {
        let held = self.queue.len() + self.holes + self.leaked.iter().sum::<usize>();
        held >= self.ring.capacity() as usize
    }

    fn pushed(&mut self, record: [u64; 2], result: Result<(), PushError<()>>) {
        match result {
            Ok(()) => {
                self.queue.push_back(record[0]);
                assert!(self.queue.len() <= self.ring.capacity() as usize);
            }
            Err(PushError::Full(())) => assert!(self.may_be_full(), "full with {} records", self.queue.len()),
            Err(error) => panic!("{error}"),
        }
    }

    fn popped(&mut self, record: Result<[u64; 2], PopError>) {
        match record {
            Ok(record) => assert_eq!((Some(record[0]), record[1]), (self.queue.pop_front(), !record[0])),
            Err(error) => {
                assert_eq!(error, PopError::Empty);
                assert!(self.queue.is_empty(), "empty with {} records", self.queue.len());
                self.holes = 0;
            }
        }
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Push(who) => {
                let record = self.record();
                let result = self.producer(who).try_push(record);
                if let Err(PushError::Full(back)) = result {
                    assert_eq!(back, record, "a refused record comes back");
                }
                self.pushed(record, result.map_err(|_| PushError::Full(())));
            }
            Op::PushPrefix(who) => {
                let record = self.record();
                let result = self.producer(who).try_push_prefix(&record, 16);
                self.pushed(record, result);
            }
            Op::PushBatch(who, count) => {
                let records: Vec<_> = (0..count).map(|_| self.record()).collect();
                let result = self.producer(who).push_batch(&records);
                let pushed = match result {
                    Ok(pushed) => pushed,
                    Err(PushError::Full(())) => 0,
                    Err(error) => panic!("{error}"),
                };
                self.queue.extend(records[..pushed].iter().map(|record| record[0]));
                assert!(pushed == count || self.may_be_full(), "{pushed} of {count}");
            }
            Op::Publish(who) => {
                let record = self.record();
                let result = self.producer(who).try_claim().map(|mut claim| {
                    claim.write_at(8, &record[1].to_ne_bytes());
                    claim.write_prefix(&record, 8);
                    claim.publish().unwrap();
                });
                self.pushed(record, result);
            }
            Op::Abandon(who) => {
                let result = self.producer(who).try_claim().map(|mut claim| {
                    claim.write(&[0xdead; 2]);
                    claim.abandon();
                });
                match result {
                    Ok(()) => self.holes += 1,
                    Err(error) => assert!(matches!(error, PushError::Full(())) && self.may_be_full()),
                }
            }
            Op::Leak(who) => {
                let index = who % self.producers.len();
                let leaked = self.producer(index).try_claim().map(std::mem::forget).is_ok();
                self.leaked[index] += usize::from(leaked);
            }
            Op::Pop => {
                let record = self.consumer.as_mut().unwrap().try_pop();
                self.popped(record);
            }
            Op::Drain(max) => {
                let mut records = Vec::new();
                let count =
                    self.consumer.as_mut().unwrap().drain(max, |record| records.push(*record)).unwrap();
                assert_eq!(count, records.len());
                assert!(count == max || count == self.queue.len(), "{count} of {}", self.queue.len());
                records.into_iter().for_each(|record| self.popped(Ok(record)));
            }
            Op::NewProducer(who) => {
                let index = who % self.producers.len();
                self.producers[index] = None;
                // Its leaked claims are holes from now on, or still are claims that the consumer passes over.
                self.holes += std::mem::take(&mut self.leaked[index]);
                self.producers[index] = Some(self.ring.producer().unwrap());
            }
            Op::NewConsumer => {
                self.consumer = None;
                self.consumer = Some(self.ring.consumer().unwrap());
            }
        }
    }

    /// What is left comes out in order, and the counters agree with what happened.
    fn finish(mut self) {
        self.ring.close();
        loop {
            match self.consumer.as_mut().unwrap().try_pop() {
                Ok(record) => self.popped(Ok(record)),
                Err(error) => {
                    assert_eq!(error, PopError::Closed);
                    break;
                }
            }
        }
        assert!(self.queue.is_empty());
        let seen = self.ring.inspect();
        assert_eq!(seen.counters.published, seen.counters.consumed);
        assert_eq!(seen.counters.damaged, 0);
        assert!(matches!(self.producer(0).try_push([0; 2]), Err(PushError::Closed(_))));
        self.ring.unlink().unwrap();
    }
}

/// Where the slots' 48-bit sequence is about to wrap.
fn near_the_wrap(options: RingOptions, capacity: u32) -> RingOptions {
    options.first_position((1 << 48) - 4 * u64::from(capacity))
}

fn options() -> impl Strategy<Value = (RingOptions, bool)> {
    (1u32..7, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(bits, many, counting, wraps)| {
        let capacity = 1 << bits;
        let options = if many { RingOptions::mpsc(capacity).owners(2) } else { RingOptions::spsc(capacity) };
        let options = options.mode(if counting { Mode::Counting } else { Mode::Doorbell });
        let options = if wraps { near_the_wrap(options, capacity) } else { options };
        // No grace: the consumer passes over an unpublished claim as soon as it stands before it.
        (options.grace(Duration::ZERO), many && !counting)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_heap_ring_is_a_bounded_queue(
        (options, ops) in options().prop_flat_map(|(options, leaks)| {
            (Just(options), proptest::collection::vec(op(leaks), 0..300))
        })
    ) {
        let mut pair = Pair::new(Ring::heap(&options));
        ops.iter().for_each(|op| pair.apply(op));
        pair.finish();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_named_ring_is_a_bounded_queue(
        (options, ops) in options().prop_flat_map(|(options, leaks)| {
            (Just(options), proptest::collection::vec(op(leaks), 0..150))
        })
    ) {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = RingName::new(&format!("model-{}-{count}", std::process::id())).unwrap();
        let ring = Ring::<[u64; 2]>::create(&name, &options).unwrap();
        let same = Ring::open(&name).unwrap();
        ring.unlink().unwrap();
        let mut pair = Pair::new(same);
        ops.iter().for_each(|op| pair.apply(op));
        pair.finish();
    }
}
