//! The page's tables beside the code.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::mem::offset_of;
use std::sync::atomic::Ordering;
use std::time::Duration;

use halyard_ring::chat::{
    BODY, ErrorCode, FRAGS_MAX, HEAD, Kind, LeaveReason, LostBody, NAME_MAX, OverflowPolicy, PROTOCOL,
    Record, SCHEMA, SERVER_NAME_MAX, TEXT_MAX, WelcomeBody, flags,
};
use halyard_ring::{
    Beat, CAPACITY_MAX, LAYOUT_VERSION, MAGIC, Mode, OWNERS_MAX, Phase, RING_NAME_MAX, Ring, RingKind,
    RingOptions, RingView, SLOT_HEAD,
};
use nix::libc;

use super::page::{Field, Page};
use super::segment::{Segment, identity, now_ns, pid_namespace};
use super::slots::End;
use super::{Made, unused_name};

/// Compares a layout table with a structure: every field, and none besides.
macro_rules! check_layout {
    ($page:expr, $table:literal, $type:ty { $($field:ident),+ $(,)? }) => {{
        let zero = <$type as zerocopy::FromZeros>::new_zeroed();
        let fields = [$((stringify!($field), Field {
            offset: offset_of!($type, $field),
            size: size_of_val(&zero.$field),
        })),+];
        let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
        assert_eq!($page.names($table), names, "{}", $table);
        for (name, field) in fields {
            assert_eq!($page.field($table, name), field, "{} of {}", name, $table);
        }
        let end = fields.iter().map(|(_, field)| field.offset + field.size).max();
        assert_eq!(end, Some(size_of::<$type>()));
    }};
}

#[test]
fn records_lie_as_the_page_says() {
    let page = Page::read();
    check_layout!(
        page,
        "Record",
        Record {
            kind,
            flags,
            code,
            len,
            number,
            command,
            client,
            generation,
            room,
            nick_len,
            frag,
            frags,
            spare,
            count,
            high,
            room_seq,
            sent_ns,
            routed_ns,
            delivered_ns,
            body,
        }
    );
    check_layout!(
        page,
        "Body of WELCOME",
        WelcomeBody {
            heartbeat_ns,
            hang_ns,
            retry_ns,
            text_max,
            name_max,
            clients_max,
            rooms_max,
            policy_limit,
            server_pid,
            window,
            room_members_max,
        }
    );
    check_layout!(
        page,
        "Body of LOST",
        LostBody { first_number, last_number, first_seq, last_seq, messages, directs, others, spare }
    );
    assert_eq!((HEAD, BODY), (80, 168), "which the page says in its text");
}

/// Compares a table of values with an enumeration: every number that means something, and none besides.
fn check_values(page: &Page, table: &str, meaning: impl Fn(u16) -> Option<String>) {
    let code: Vec<(u64, String)> = (0..=u16::MAX).filter_map(|n| Some((u64::from(n), meaning(n)?))).collect();
    let names = page.names(table).iter();
    let written: Vec<(u64, String)> = names.map(|name| (page.value(table, name), name.clone())).collect();
    assert_eq!(written, code, "{table}");
}

#[test]
fn numbers_mean_what_the_page_says() {
    let page = Page::read();
    check_values(&page, "Kinds", |n| Some(format!("{:?}", Kind::from_wire(n)?).to_uppercase()));
    check_values(&page, "Error codes", |n| Some(format!("{:?}", ErrorCode::from_wire(n)?)));
    check_values(&page, "Leave reasons", |n| Some(format!("{:?}", LeaveReason::from_wire(n)?)));
    check_values(&page, "Overflow policies", |n| Some(format!("{:?}", OverflowPolicy::from_wire(n)?)));
    let phases = [Phase::Free, Phase::Claimed, Phase::Ready, Phase::Void];
    check_values(&page, "Phases", |n| {
        Some(format!("{:?}", phases.into_iter().find(|&phase| phase as u16 == n)?).to_uppercase())
    });
    let bits = [
        (flags::DIRECT, "DIRECT"),
        (flags::ACTION, "ACTION"),
        (flags::RETRY, "RETRY"),
        (flags::COMPANION, "COMPANION"),
    ];
    check_values(&page, "Flags", |n| Some(bits.into_iter().find(|&(bit, _)| bit == n)?.1.to_owned()));

    let fixed = [
        ("LAYOUT_VERSION", u64::from(LAYOUT_VERSION)),
        ("STATUS_READY", u64::from(u32::from_le_bytes(*b"REDY"))),
        ("CHAT_SCHEMA", SCHEMA),
        ("SPSC", RingKind::Spsc as u64),
        ("MPSC", RingKind::Mpsc as u64),
        ("DOORBELL", Mode::Doorbell as u64),
        ("COUNTING", Mode::Counting as u64),
        // These two are proved by the tests below.
        ("OWNERS_OFFSET", 1024),
        ("OWNER_SIZE", 64),
        ("OWNERS_MAX", u64::from(OWNERS_MAX)),
        ("CAPACITY_MAX", u64::from(CAPACITY_MAX)),
        ("MEMBARRIER_GLOBAL_EXPEDITED", libc::MEMBARRIER_CMD_GLOBAL_EXPEDITED as u64),
        ("MEMBARRIER_REGISTER_GLOBAL_EXPEDITED", libc::MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED as u64),
        ("SLOT_HEAD", SLOT_HEAD as u64),
        ("CHAT_RECORD", size_of::<Record>() as u64),
    ];
    let limits = [
        ("protocol version", u64::from(PROTOCOL)),
        ("text", TEXT_MAX as u64),
        ("name", NAME_MAX as u64),
        ("body", BODY as u64),
        ("fragments", FRAGS_MAX as u64),
        // These two belong to the server and are proved in `chat`.
        ("reply slots", 32),
        ("commands", 64),
        ("server name", SERVER_NAME_MAX as u64),
        ("ring name", RING_NAME_MAX as u64),
    ];
    for (table, values) in [("Fixed numbers", &fixed[..]), ("Limits", &limits)] {
        for &(name, value) in values {
            assert_eq!(page.value(table, name), value, "{name}");
        }
        assert_eq!(page.names(table).len(), values.len(), "{table}");
    }
}

#[test]
fn words_are_made_of_the_bits_that_the_page_says() {
    let page = Page::read();
    for (table, names) in
        [("State word", &["phase", "owner", "sequence"][..]), ("Identity word", &["pid", "start", "reaping"])]
    {
        assert_eq!(page.names(table), names);
        let bits = names.iter().map(|name| page.bits(table, name));
        let whole =
            bits.map(|bits| (bits.with(u64::MAX), bits.count())).fold((0, 0), |(word, count), more| {
                assert_eq!(word & more.0, 0, "{table} overlaps");
                (word | more.0, count + more.1)
            });
        assert_eq!(whole, (u64::MAX, 64), "{table}");
    }
    // 0 is nobody, and the last number is kept free.
    assert_eq!(page.bits("State word", "owner").mask(), u64::from(OWNERS_MAX) + 1);
    assert_eq!(page.bits("Identity word", "pid").mask() + 1, 1 << 22, "PID_MAX_LIMIT of Linux");
}

#[test]
fn headers_lie_as_the_page_says() {
    let page = Page::read();
    let name = unused_name("header");
    let options = RingOptions::mpsc(8).owners(3).schema(0x1234).grace(Duration::from_millis(7));
    let ring = Made::new(&name, &options);
    let seen = Segment::open(&page, name.as_str()).unwrap();
    let view = RingView::open(&name).unwrap();
    let left: RefCell<BTreeSet<String>> = RefCell::new(page.names("Header").iter().cloned().collect());
    let done = |field: &str| assert!(left.borrow_mut().remove(field), "{field} twice");
    let check = |field: &str, value: u64| {
        assert_eq!(seen.get(field), value, "{field}");
        done(field);
    };
    let plant = |field: String, value: u64| {
        seen.word64(&field).store(value, Ordering::Relaxed);
        done(&field);
        value
    };

    // What the creator wrote.
    let first = ring.inspect();
    check("magic", u64::from_ne_bytes(MAGIC));
    check("layout_version", u64::from(LAYOUT_VERSION));
    check("status", page.value("Fixed numbers", "STATUS_READY"));
    check("kind", RingKind::Mpsc as u64);
    check("mode", Mode::Doorbell as u64);
    check("capacity", 8);
    check("record_size", size_of::<Record>() as u64);
    check("stride", u64::from(first.stride));
    check("owners", 3);
    check("schema", 0x1234);
    check("epoch", first.epoch);
    check("creator", identity(&page));
    check("created_unix_ns", first.created_unix_ns);
    check("total_size", view.size() as u64);
    check("grace_ns", 7_000_000);
    check("slots_offset", 4096);
    check("pid_namespace", pid_namespace());
    // Whether this process takes part in barriers, which it does as soon as it has a ring.
    check("asymmetric", u64::from(membarrier(&page, "MEMBARRIER_REGISTER_GLOBAL_EXPEDITED")));

    // Of the ring that was made in its place.
    let renewed = Made(ring.renew(&options).unwrap());
    assert_eq!((first.renewals, renewed.inspect().renewals), (0, 1));
    assert_eq!(seen.get("renewals"), 0);
    let again = Segment::open(&page, name.as_str()).unwrap();
    assert_eq!(again.get("renewals"), 1);
    done("renewals");

    // What moves.
    let mut producer = ring.producer().unwrap();
    let second = ring.producer().unwrap();
    check("cold.owner_hint", 2);
    assert_eq!(seen.entry(u64::from(producer.owner()), "identity").load(Ordering::Acquire), identity(&page));
    producer.try_push(Record::new(Kind::Ping)).unwrap();
    let mut consumer = ring.consumer().unwrap();
    assert_eq!(seen.entry(0, "identity").load(Ordering::Acquire), identity(&page));
    consumer.try_pop().unwrap();
    check("consumer.head", 1);
    ring.nudge();
    check("reader.nudges", 1);
    let before = now_ns();
    ring.beat(Beat::Creator);
    let between = now_ns();
    ring.beat(Beat::Peer);
    let (creator, peer) = (seen.get("creator_beat"), seen.get("peer_beat"));
    assert!(before <= creator && creator <= between && between <= peer && peer <= now_ns());
    done("creator_beat");
    done("peer_beat");
    assert_eq!(seen.get("peer_note"), 0);
    ring.set_note(5);
    check("peer_note", 5);
    // A slot in quarantine is made in `with_the_engine`.
    check("cold.quarantined", 0);

    // What is only counted: planted here, found by the engine under the same meaning.
    let planted: Vec<u64> = ["consumed", "voids", "holes", "parks", "space_posts", "damaged"]
        .iter()
        .zip(11..)
        .map(|(field, value)| plant(format!("consumer.{field}"), value))
        .collect();
    let gone: Vec<u64> = ["published", "full_events", "parks", "ready_posts"]
        .iter()
        .zip(21..)
        .map(|(field, value)| plant(format!("cold.{field}"), value))
        .collect();
    let mut entry = Vec::new();
    for (field, value) in ["published", "full_events", "parks", "ready_posts", "returned"].iter().zip(31..) {
        seen.entry(u64::from(second.owner()), field).store(value, Ordering::Relaxed);
        seen.entry(u64::from(producer.owner()), field).store(0, Ordering::Relaxed);
        entry.push(value);
    }
    // A turn number: odd is asleep.
    seen.word32("reader.waiting").store(6, Ordering::Relaxed);
    assert!(!ring.inspect().consumer_waiting);
    seen.word32("reader.waiting").store(7, Ordering::Relaxed);
    seen.word32("writers.waiting").store(5, Ordering::Relaxed);
    let now = ring.inspect();
    let c = &now.counters;
    assert_eq!(vec![c.consumed, c.voids, c.holes, c.consumer_parks, c.space_wakes, c.damaged], planted);
    let total: Vec<u64> = gone.iter().zip(&entry).map(|(a, b)| a + b).collect();
    assert_eq!(vec![c.published, c.full_events, c.producer_parks, c.ready_wakes], total);
    let owner = now.producers.iter().find(|owner| owner.number == second.owner()).unwrap();
    assert_eq!([owner.published, owner.full_events, owner.parks, owner.voided], [31, 32, 33, 35]);
    assert!(now.consumer_waiting);
    check("reader.waiting", 7);
    assert_eq!(now.producers_waiting, 5);
    check("writers.waiting", 5);
    seen.word32("writers.waiting").store(0, Ordering::Relaxed);
    assert_eq!(seen.get("reader.closed"), 0);
    ring.close();
    check("reader.closed", 1);
    assert_eq!(seen.get("reader.waiting"), 6, "answered: one less, and not 0");
    assert_eq!(left.into_inner(), BTreeSet::new(), "not looked at");
}

fn membarrier(page: &Page, command: &str) -> bool {
    let command = page.value("Fixed numbers", command);
    // SAFETY: no memory is passed.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}

#[test]
fn every_opener_of_the_engine_takes_a_segment_of_the_page() {
    let page = Page::read();
    let name = unused_name("made");
    let made = Segment::create(&page, name.as_str(), 32).unwrap();
    let consumer = End::consumer(made);
    let ring = Ring::<Record>::open(&name).unwrap();
    assert_eq!(
        (ring.capacity(), ring.kind(), ring.mode(), ring.schema()),
        (32, RingKind::Spsc, Mode::Doorbell, SCHEMA)
    );
    let view = RingView::open(&name).unwrap();
    assert!(view.creator_is_alive().unwrap(), "by the lock");
    assert_eq!(view.creator().unwrap().pid(), std::process::id());
    assert!(ring.consumer().is_err(), "entry 0 is ours");
    consumer.leave();
    ring.consumer().unwrap();
    drop(consumer);
    assert!(Ring::<Record>::open(&name).is_err());
    assert!(halyard_ring::list_names().unwrap().iter().all(|other| *other != name));
}
