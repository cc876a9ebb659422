//! Each overflow policy, over a heap ring whose other end is read by hand.

use std::sync::atomic::Ordering;

use halyard_ring::chat::{FRAGS_MAX, LostBody};
use halyard_ring::{Consumer, Phase, RingOptions};
use proptest::prelude::*;

use super::*;

/// 32: the numbers below count on it.
const CAPACITY: u32 = crate::config::REPLY_CAPACITY_MIN;
const MS: u64 = 1_000_000;
/// More than any test here lets wait, but one.
const SPILL: u64 = 1000 * size_of::<Record>() as u64;

struct Bench {
    outlet: Outlet,
    pool: Arc<Pool>,
    consumer: Consumer<Record>,
    settled: Vec<Settled>,
    seq: u64,
}

/// What the client sees: number and meaning.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Message(u64, u64),
    Lost(u64, LostBody),
    Other(u64, Kind),
}

impl Bench {
    fn new(policy: OverflowPolicy, wait_ms: u64, records: u32) -> Self {
        let ring = Ring::heap(&RingOptions::spsc(CAPACITY));
        let (producer, consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        let overflow = Overflow { policy, wait_ns: wait_ms * MS, records };
        let (nick, pool) = ("ann".into(), Pool::new(SPILL));
        let spill = Arc::clone(&pool);
        let arrival =
            Arrival { id: 1, slot: 0, nick, pid: 1, ring, producer, overflow, spill, series_max: 100 };
        Self { outlet: Outlet::new(arrival), pool, consumer, settled: Vec::new(), seq: 0 }
    }

    fn message(&mut self, room: u32, now_ms: u64) -> Fate {
        self.seq += 1;
        let mut record = Record::new(Kind::Message).with_body("bob", "hello");
        (record.room, record.room_seq) = (room, self.seq);
        self.deliver(&mut [record], None, now_ms)
    }

    fn deliver(&mut self, group: &mut [Record], origin: Option<Origin>, now_ms: u64) -> Fate {
        self.outlet.deliver(group, origin, now_ms * MS, &mut self.settled)
    }

    fn fill(&mut self) {
        for _ in 0..CAPACITY {
            assert_eq!(self.message(1, 0), Fate::Delivered);
        }
    }

    fn flush(&mut self, now_ms: u64) {
        self.outlet.flush(now_ms * MS, &mut self.settled);
    }

    fn read(&mut self, count: usize) -> Vec<Seen> {
        let mut seen = Vec::new();
        for _ in 0..count {
            let Ok(record) = self.consumer.try_pop() else { break };
            seen.push(match Kind::from_wire(record.kind) {
                Some(Kind::Message) => Seen::Message(record.number, record.room_seq),
                Some(Kind::Lost) => Seen::Lost(record.number, record.lost()),
                kind => Seen::Other(record.number, kind.unwrap()),
            });
        }
        seen
    }
}

fn lost(numbers: (u64, u64), seqs: (u64, u64), messages: u32) -> LostBody {
    let (first_number, last_number) = numbers;
    let (first_seq, last_seq) = seqs;
    LostBody { first_number, last_number, first_seq, last_seq, messages, directs: 0, others: 0, spare: 0 }
}

#[test]
fn drop_tells_what_was_lost_before_anything_else() {
    let mut bench = Bench::new(OverflowPolicy::Drop, 0, 0);
    bench.fill();
    for _ in 0..5 {
        assert_eq!(bench.message(1, 0), Fate::Lost);
    }
    assert!(bench.outlet.lags());
    assert_eq!(bench.read(1), [Seen::Message(1, 1)]);
    // One slot is free: it goes to the LOST record, so the next message is lost in its turn.
    assert_eq!(bench.message(1, 0), Fate::Lost);
    bench.read(2);
    bench.flush(1);
    assert!(!bench.outlet.lags());
    assert_eq!(bench.message(1, 1), Fate::Delivered);
    let seen = bench.read(100);
    let tail = &seen[seen.len() - 3..];
    assert_eq!(tail[0], Seen::Lost(38, lost((33, 37), (33, 37), 5)));
    assert_eq!(tail[1], Seen::Lost(40, lost((39, 39), (38, 38), 1)));
    assert_eq!(tail[2], Seen::Message(41, 39));
}

#[test]
fn runs_of_different_rooms_are_told_apart() {
    let mut bench = Bench::new(OverflowPolicy::Drop, 0, 0);
    bench.fill();
    for room in [1, 1, 2, 1] {
        bench.message(room, 0);
    }
    bench.read(CAPACITY as usize);
    bench.flush(0);
    let runs = [
        Seen::Lost(35, lost((33, 34), (33, 34), 2)),
        Seen::Lost(37, lost((36, 36), (35, 35), 1)),
        Seen::Lost(39, lost((38, 38), (36, 36), 1)),
    ];
    assert_eq!(bench.read(10), runs);
}

#[test]
fn a_client_that_changes_rooms_without_reading_piles_up_nothing() {
    let mut bench = Bench::new(OverflowPolicy::Drop, 0, 0);
    bench.fill();
    for room in 0..10_000 {
        bench.message(room + 1, 0);
    }
    assert!(bench.outlet.queue.len() <= RUNS + 1);
    bench.read(CAPACITY as usize);
    bench.flush(0);
    let total: u32 = bench
        .read(100)
        .iter()
        .map(|seen| if let Seen::Lost(_, body) = seen { body.messages } else { panic!("{seen:?}") })
        .sum();
    assert_eq!(total, 10_000);
}

#[test]
fn block_waits_its_time_and_then_counts_as_lost_in_order() {
    let mut bench = Bench::new(OverflowPolicy::Block, 10, 100);
    bench.fill();
    assert_eq!(bench.message(1, 0), Fate::Waiting);
    assert_eq!(bench.message(1, 5), Fate::Waiting);
    bench.flush(9);
    assert_eq!(bench.outlet.waiting.records(), 2);
    // The first has waited too long, the second has not.
    bench.flush(12);
    assert_eq!((bench.outlet.waiting.records(), bench.outlet.dropped), (1, 1));
    bench.read(CAPACITY as usize);
    bench.flush(13);
    assert_eq!(bench.read(5), [Seen::Lost(34, lost((33, 33), (33, 33), 1)), Seen::Message(35, 34)]);
}

#[test]
fn what_has_room_is_delivered_even_if_it_waited_too_long() {
    let mut bench = Bench::new(OverflowPolicy::Block, 10, 100);
    bench.fill();
    bench.message(1, 0);
    bench.read(1);
    bench.flush(1000);
    assert_eq!(bench.read(100).last(), Some(&Seen::Message(33, 33)));
}

#[test]
fn spill_keeps_so_many_and_no_more() {
    let mut bench = Bench::new(OverflowPolicy::Spill, 0, 3);
    bench.fill();
    let fates: Vec<_> = (0..5).map(|_| bench.message(1, 0)).collect();
    assert_eq!(fates, [Fate::Waiting, Fate::Waiting, Fate::Waiting, Fate::Lost, Fate::Lost]);
    bench.flush(1_000_000);
    bench.read(CAPACITY as usize);
    bench.flush(1_000_000);
    assert_eq!(bench.message(1, 0), Fate::Delivered);
    let seen = [
        Seen::Message(33, 33),
        Seen::Message(34, 34),
        Seen::Message(35, 35),
        Seen::Lost(38, lost((36, 37), (36, 37), 2)),
        Seen::Message(39, 38),
    ];
    assert_eq!(bench.read(10), seen);
}

fn text(frags: u8) -> Vec<Record> {
    let fragment = |frag| {
        let mut record = Record::new(Kind::Message).with_body("", "piece");
        (record.frag, record.frags, record.room, record.room_seq) = (frag, frags, 1, 1);
        record
    };
    (0..frags).map(fragment).collect()
}

#[test]
fn a_text_of_many_fragments_goes_whole_or_not_at_all() {
    for policy in [OverflowPolicy::Drop, OverflowPolicy::Block, OverflowPolicy::Spill] {
        let mut bench = Bench::new(policy, 10, 100);
        bench.fill();
        bench.read(3);
        // Three slots are free, four are needed.
        let fate = bench.deliver(&mut text(4), None, 0);
        assert_eq!(fate, if policy == OverflowPolicy::Drop { Fate::Lost } else { Fate::Waiting });
        assert_eq!(bench.outlet.queue.len(), if policy == OverflowPolicy::Drop { 1 } else { 4 });
        bench.flush(5);
        bench.read(1);
        bench.flush(6);
        assert_eq!(bench.outlet.waiting.records(), 0, "{policy:?}");
        let seen = bench.read(100);
        let fragments = seen.iter().filter(|seen| matches!(seen, Seen::Message(_, 1))).count();
        assert_eq!(fragments, if policy == OverflowPolicy::Drop { 0 } else { 4 });
    }
}

#[test]
fn a_text_that_waited_too_long_is_one_lost_message_of_many_records() {
    let mut bench = Bench::new(OverflowPolicy::Block, 10, 100);
    bench.fill();
    bench.deliver(&mut text(4), None, 0);
    bench.flush(11);
    assert_eq!(bench.outlet.waiting.records(), 0);
    bench.read(CAPACITY as usize);
    bench.flush(12);
    assert_eq!(bench.read(1), [Seen::Lost(37, lost((33, 36), (1, 1), 1))]);
}

/// Writes the slots of a full ring as if they had been read and given back, all but those of the text's middle.
fn give_back_all_but_the_middle(bench: &Bench) {
    let slots = halyard_ring::hostile::words(&bench.outlet.ring) - CAPACITY as usize;
    for slot in (0..10).chain([FRAGS_MAX - 1]) {
        let next_lap = u64::from(CAPACITY) + slot as u64;
        let free = halyard_ring::hostile::state(next_lap, 0, Phase::Free);
        halyard_ring::hostile::word(&bench.outlet.ring, slots + slot).store(free, Ordering::Relaxed);
    }
}

#[test]
fn a_ring_that_lies_about_its_room_costs_its_owner_the_session_and_the_others_nothing() {
    let (_, origin) = direct();
    for (policy, origin) in [(OverflowPolicy::Block, None), (OverflowPolicy::Spill, Some(origin))] {
        let mut bench = Bench::new(policy, 10, 100);
        bench.fill();
        assert_eq!(bench.deliver(&mut text(FRAGS_MAX as u8), origin, 0), Fate::Waiting);
        give_back_all_but_the_middle(&bench);
        bench.flush(1);
        assert_eq!(bench.outlet.gone_to_tell(), Some(LeaveReason::Misbehaved));
        // What came next waits no longer than anything else, and nothing is counted twice.
        bench.flush(50);
        bench.flush(100);
        assert_eq!(bench.outlet.waiting.records() as usize, FRAGS_MAX - 10);
        let pool = Arc::clone(&bench.pool);
        let Bench { outlet, mut settled, .. } = bench;
        outlet.close(&mut settled);
        assert_eq!(pool.used(), 0);
        let codes: Vec<_> = settled.iter().map(|settled| settled.verdict.code).collect();
        assert_eq!(codes, if origin.is_some() { vec![ErrorCode::NoSuchClient.wire()] } else { vec![] });
    }
    // The same when nothing waited before: the text is cut off on its way in.
    let mut bench = Bench::new(OverflowPolicy::Block, 10, 100);
    bench.fill();
    give_back_all_but_the_middle(&bench);
    assert_eq!(bench.deliver(&mut text(FRAGS_MAX as u8), None, 0), Fate::Gone);
    assert_eq!(bench.outlet.gone_to_tell(), Some(LeaveReason::Misbehaved));
}

#[test]
fn the_longest_text_fits_the_smallest_ring() {
    let mut bench = Bench::new(OverflowPolicy::Drop, 0, 0);
    assert_eq!(bench.deliver(&mut text(FRAGS_MAX as u8), None, 0), Fate::Delivered);
}

fn direct() -> (Record, Origin) {
    let mut record = Record::new(Kind::Direct).with_body("bob", "psst");
    record.client = 9;
    (record, Origin { id: 9, slot: 3, broadcaster: 0, command: 77 })
}

#[test]
fn the_sender_of_a_direct_message_hears_of_its_fate_once() {
    let (mut record, origin) = direct();
    let codes = |bench: &Bench| {
        let code = |settled: &Settled| (settled.verdict.kind, settled.verdict.code, settled.verdict.command);
        bench.settled.iter().map(code).collect::<Vec<_>>()
    };
    let ack = (Kind::Ack.wire(), Kind::Dm.wire(), 77);
    let dropped = (Kind::Error.wire(), ErrorCode::NotDelivered.wire(), 77);
    let died = (Kind::Error.wire(), ErrorCode::NoSuchClient.wire(), 77);

    let mut late = Bench::new(OverflowPolicy::Block, 10, 100);
    late.fill();
    assert_eq!(late.deliver(&mut [record], Some(origin), 0), Fate::Waiting);
    late.read(1);
    late.flush(5);
    late.flush(50);
    assert_eq!(codes(&late), [ack]);

    let mut expired = Bench::new(OverflowPolicy::Block, 10, 100);
    expired.fill();
    expired.deliver(&mut [record], Some(origin), 0);
    expired.flush(50);
    assert_eq!(codes(&expired), [dropped]);

    let mut dead = Bench::new(OverflowPolicy::Spill, 0, 100);
    dead.fill();
    dead.deliver(&mut [record], Some(origin), 0);
    let Bench { outlet, mut settled, .. } = dead;
    outlet.close(&mut settled);
    assert_eq!(settled.iter().map(|s| s.verdict.code).collect::<Vec<_>>(), [died.1]);

    // At once, the caller knows: nothing is settled behind its back.
    let mut now = Bench::new(OverflowPolicy::Drop, 0, 0);
    assert_eq!(now.deliver(std::slice::from_mut(&mut record), Some(origin), 0), Fate::Delivered);
    assert!(now.settled.is_empty());
}

fn member(command: u64, index: u64) -> Record {
    let mut record = Record::new(Kind::Member).with_body("bob", "");
    (record.command, record.room_seq) = (command, index);
    record
}

#[test]
fn a_long_answer_leaves_room_for_live_records_and_loses_nothing() {
    let mut bench = Bench::new(OverflowPolicy::Drop, 0, 0);
    for index in 1..=90 {
        bench.outlet.deliver_series(&mut member(2, index), 0);
    }
    let mut ack = Record::new(Kind::Ack);
    ack.command = 2;
    bench.outlet.deliver_series(&mut ack, 0);
    assert_eq!(bench.message(1, 0), Fate::Delivered);
    let mut kinds = Vec::new();
    for round in 1..50 {
        kinds.extend(bench.read(7));
        bench.flush(round);
    }
    kinds.extend(bench.read(100));
    let count =
        |wanted| kinds.iter().filter(|seen| matches!(seen, Seen::Other(_, kind) if *kind == wanted)).count();
    assert_eq!((count(Kind::Member), count(Kind::Ack), kinds.len()), (90, 1, 92));
    assert!(matches!(kinds.last(), Some(Seen::Other(92, Kind::Ack))));
}

#[test]
fn a_long_answer_that_nobody_reads_is_forgotten_whole() {
    let mut bench = Bench::new(OverflowPolicy::Drop, 0, 0);
    for index in 1..=60 {
        bench.outlet.deliver_series(&mut member(2, index), 0);
    }
    bench.flush(series::PATIENCE.as_millis() as u64 + 1);
    assert!(!bench.outlet.lags());
    // The rest of that answer, and its ACK, do not come any more; another answer does.
    bench.outlet.deliver_series(&mut member(2, 61), 0);
    let mut ack = Record::new(Kind::Ack);
    ack.command = 2;
    bench.outlet.deliver_series(&mut ack, 0);
    bench.read(100);
    ack.command = 3;
    bench.outlet.deliver_series(&mut ack, 0);
    assert!(matches!(bench.read(10)[..], [Seen::Other(_, Kind::Ack)]));
}

#[test]
fn a_farewell_comes_last_and_is_waited_for_only_so_long() {
    let mut bench = Bench::new(OverflowPolicy::Spill, 0, 10);
    bench.fill();
    bench.message(1, 0);
    bench.outlet.set_last(Record::new(Kind::Goodbye));
    bench.outlet.begin_to_close(0);
    bench.flush(1);
    assert!(!bench.outlet.may_close(MS));
    assert!(bench.outlet.may_close(LINGER.as_nanos() as u64));
    bench.read(CAPACITY as usize);
    bench.flush(2);
    assert!(bench.outlet.may_close(2 * MS));
    assert_eq!(bench.read(5), [Seen::Message(33, 33), Seen::Other(34, Kind::Goodbye)]);
}

#[test]
fn a_client_that_closes_its_ring_is_gone_and_told_of_once() {
    let mut bench = Bench::new(OverflowPolicy::Drop, 0, 0);
    bench.outlet.ring.close();
    assert_eq!(bench.message(1, 0), Fate::Gone);
    assert_eq!(bench.outlet.gone_to_tell(), Some(LeaveReason::Died));
    assert_eq!(bench.outlet.gone_to_tell(), None);
}

#[test]
fn what_waits_for_all_clients_together_is_bounded_too() {
    let mut bench = Bench::new(OverflowPolicy::Spill, 0, 5000);
    bench.fill();
    for _ in 0..1000 {
        assert_eq!(bench.message(1, 0), Fate::Waiting);
    }
    assert_eq!(bench.message(1, 0), Fate::SpillFull);
    let origin = Origin { id: 2, slot: 1, broadcaster: 0, command: 7 };
    let code = bench.outlet.verdict(origin, Fate::SpillFull).verdict.code;
    assert_eq!(code, ErrorCode::SpillFull.wire());
    // What goes out makes room for what comes.
    bench.read(10);
    bench.flush(1);
    assert_eq!(bench.message(1, 1), Fate::Waiting);
}

/// Something that happens to an outlet.
#[derive(Clone, Debug)]
enum Step {
    Message { room: u32 },
    Notices(usize),
    Read(usize),
    Wait { ms: u64 },
    Flush,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1..3u32).prop_map(|room| Step::Message { room }),
        1 => (1..4usize).prop_map(Step::Notices),
        2 => (0..12usize).prop_map(Step::Read),
        1 => (0..15u64).prop_map(|ms| Step::Wait { ms }),
        1 => Just(Step::Flush),
    ];
    proptest::collection::vec(step, 0..300)
}

proptest! {
    #[test]
    fn the_note_in_the_ring_says_which_number_would_have_been_the_last(
        policy in prop_oneof![
            Just((OverflowPolicy::Drop, 0, 0)),
            Just((OverflowPolicy::Spill, 0, 40)),
            Just((OverflowPolicy::Block, 20, 60)),
        ],
        steps in steps(),
    ) {
        let mut bench = Bench::new(policy.0, policy.1, policy.2);
        let (mut now_ms, mut postponed) = (0, false);
        for step in steps {
            match step {
                Step::Message { room } => postponed |= bench.message(room, now_ms) != Fate::Delivered,
                Step::Notices(count) => {
                    let mut notices = [Record::new(Kind::Joined); 3];
                    postponed |= bench.deliver(&mut notices[..count], None, now_ms) != Fate::Delivered;
                }
                Step::Read(count) => _ = bench.read(count),
                Step::Wait { ms } => now_ms += ms,
                Step::Flush => bench.flush(now_ms),
            }
        }
        // What has waited too long is lost now, not below.
        bench.flush(now_ms);
        let (note, lags) = (bench.outlet.ring.note(), bench.outlet.lags());
        prop_assert_eq!(note != 0, postponed, "a ring that never was full has no note");
        // Everything is delivered after all.
        let mut last = 0;
        loop {
            let seen = bench.read(usize::MAX);
            bench.flush(now_ms);
            let Some(Seen::Message(number, _) | Seen::Lost(number, _) | Seen::Other(number, _)) = seen.last() else {
                break;
            };
            last = *number;
        }
        if lags {
            prop_assert_eq!(last, note);
        } else if last > 0 {
            prop_assert!(note <= last, "{} noted, {} was the last", note, last);
        }
    }
}
