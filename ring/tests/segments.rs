//! Segments as files: what `open` says of a wrong one, names and who may remove them, and what others read in them.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use halyard_ring::{
    CreateError, Mode, OpenError, ProcessId, Removal, Ring, RingName, RingOptions, RingView, Wait,
    list_names, remove_dead,
};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

#[path = "processes/child.rs"]
mod child;

use child::{Child, LIMIT, Name, sleepers, until};

/// A child begins here: it creates a ring, and holds on to it. Started by the test runner itself it does nothing.
#[test]
fn child_entry() {
    if let Some((_, words)) = child::role() {
        let _ring = Ring::<u64>::create(&RingName::new(&words[0]).unwrap(), &RingOptions::spsc(8)).unwrap();
        child::say("created");
        child::hear();
    }
}

fn segment_file(name: &Name) -> File {
    OpenOptions::new().read(true).write(true).open(&name.paths()[0]).unwrap()
}

fn nothing_is_left_of(name: &Name) {
    for path in name.paths() {
        assert!(!Path::new(&path).exists(), "{path}");
    }
}

/// The field that both `Ring::open` and `RingView::open` find wrong, with what they expected and found.
fn mismatch(name: &Name) -> (&'static str, u64, u64) {
    let [ring, view] =
        [Ring::<u64>::open(&name.0).unwrap_err(), RingView::open(&name.0).unwrap_err()].map(|error| {
            match error {
                OpenError::Mismatch { field, expected, found, name: system } => {
                    assert_eq!(system, name.0.segment());
                    (field, expected, found)
                }
                other => panic!("{other:?}"),
            }
        });
    // The view takes any record size and finds the next field that does not fit it.
    assert!(ring == view || ring.0 == "record size", "{ring:?} {view:?}");
    ring
}

#[test]
fn a_renewed_ring_names_who_is_expected_until_that_is_dropped_and_has_room_for_them_and_others() {
    let name = Name::new();
    let options = RingOptions::mpsc(8).owners(6);
    let me = ProcessId::current();
    let first = Ring::<u64>::create(&name.0, &options).unwrap();
    let (second, expected) = first.renew_expecting(&options, &[me; 2]).unwrap();
    let named = |ring: &Ring<u64>| ring.inspect().producers.len();
    assert_eq!(named(&second), 2);
    let attached = [second.producer().unwrap(), second.producer().unwrap()];
    assert_eq!(named(&second), 4, "beside the entries that they take themselves");
    // One of them died meanwhile, and its entry is another's now.
    segment_file(&name).write_all_at(&1_u64.to_ne_bytes(), 1024 + 64 * 6).unwrap();
    drop(expected);
    assert_eq!(named(&second), 3);
    drop(attached);
    assert_eq!(named(&second), 1);

    let (third, _expected) = second.renew_expecting(&options, &[me; 4]).unwrap();
    assert_eq!(named(&third), 1);
    let attached: Vec<_> = (0..5).map(|_| third.producer().unwrap()).collect();
    assert_eq!((attached.len(), named(&third)), (5, 6), "four that were expected, and one more");
    third.unlink().unwrap();
}

#[test]
fn open_names_the_field_that_is_wrong() {
    let name = Name::new();
    let ring = Ring::<u64>::create(&name.0, &RingOptions::mpsc(8).owners(5)).unwrap();
    let file = segment_file(&name);
    let total = file.metadata().unwrap().len();
    // Offset and size as in the header's table, a wrong value, and what must be said about it.
    let wrong: &[(u64, usize, u64, &str, Option<u64>)] = &[
        (0, 8, 0x31_4752_4144_5948, "magic", Some(u64::from_le_bytes(*b"HALYARD\0"))),
        (8, 4, 99, "layout version", Some(1)),
        (16, 4, 7, "kind", None),
        (16, 4, 1, "owners", Some(1)),
        (20, 4, 0, "mode", None),
        (24, 4, 7, "capacity", None),
        (24, 4, 0, "capacity", None),
        (24, 4, u64::from(u32::MAX), "capacity", None),
        (24, 4, 16, "total size", None),
        (28, 4, 16, "record size", Some(8)),
        (28, 4, 0, "record size", Some(8)),
        (32, 4, 128, "slot stride", Some(64)),
        (36, 4, 0, "owners", None),
        (36, 4, 20_000, "owners", None),
        (72, 8, total + 64, "total size", Some(total)),
        (88, 8, 4096 + 64, "slots offset", Some(4096)),
    ];
    for &(offset, size, value, field, expected) in wrong {
        let mut before = [0; 8];
        file.read_exact_at(&mut before[..size], offset).unwrap();
        file.write_all_at(&value.to_le_bytes()[..size], offset).unwrap();
        if field == "record size" {
            assert_eq!(
                Ring::<u64>::open(&name.0).map(drop).map_err(field_of),
                Err((field, expected.unwrap(), value)),
            );
        } else {
            let (said, wanted, found) = mismatch(&name);
            assert_eq!(said, field, "with {value} at {offset}");
            assert_eq!(wanted, expected.unwrap_or(wanted), "{field}");
            if field != "total size" || offset == 72 {
                assert!(found == value || field == "owners", "{field}: {found}");
            }
        }
        file.write_all_at(&before[..size], offset).unwrap();
        Ring::<u64>::open(&name.0).unwrap();
    }
    drop(ring);
}

fn field_of(error: OpenError) -> (&'static str, u64, u64) {
    let OpenError::Mismatch { field, expected, found, .. } = error else { panic!("{error:?}") };
    (field, expected, found)
}

#[test]
fn open_refuses_a_ring_of_another_pid_namespace() {
    let name = Name::new();
    let _ring = Ring::<u64>::create(&name.0, &RingOptions::spsc(8)).unwrap();
    segment_file(&name).write_all_at(&12345_u64.to_le_bytes(), 96).unwrap();
    assert_eq!(field_of(Ring::<u64>::open(&name.0).unwrap_err()).0, "pid namespace");
    RingView::open(&name.0).expect("looking is harmless");
}

#[test]
fn open_refuses_another_record_size() {
    let name = Name::new();
    let _ring = Ring::<u64>::create(&name.0, &RingOptions::spsc(8)).unwrap();
    assert_eq!(field_of(Ring::<[u64; 3]>::open(&name.0).unwrap_err()), ("record size", 24, 8));
}

#[test]
fn open_tells_what_is_missing_from_what_is_unfinished_and_what_is_cut_short() {
    let name = Name::new();
    assert!(matches!(Ring::<u64>::open(&name.0), Err(OpenError::NotFound { .. })));
    assert!(matches!(RingView::open(&name.0), Err(OpenError::NotFound { .. })));

    let ring = Ring::<u64>::create(&name.0, &RingOptions::spsc(8)).unwrap();
    let file = segment_file(&name);
    let mut status = [0; 4];
    file.read_exact_at(&mut status, 12).unwrap();
    assert_eq!(&status, b"REDY");
    file.write_all_at(&[0; 4], 12).unwrap();
    assert!(matches!(Ring::<u64>::open(&name.0), Err(OpenError::NotReady { .. })));
    assert!(matches!(RingView::open(&name.0), Err(OpenError::NotReady { .. })));
    file.write_all_at(&status, 12).unwrap();
    Ring::<u64>::open(&name.0).unwrap();
    // Nobody may touch the mapping of a file that is cut short.
    drop(ring);

    let total = file.metadata().unwrap().len();
    for len in [total - 1, total - 64, 4096, 1024] {
        file.set_len(len).unwrap();
        assert_eq!(mismatch(&name), ("file size", total, len));
    }
    file.set_len(1023).unwrap();
    assert_eq!(mismatch(&name), ("file size", 1024, 1023));
    file.set_len(0).unwrap();
    assert!(matches!(Ring::<u64>::open(&name.0), Err(OpenError::NotReady { .. })));
    assert!(matches!(RingView::open(&name.0), Err(OpenError::NotReady { .. })));
}

#[test]
fn a_ring_that_does_not_fit_is_refused_at_creation_and_leaves_no_name() {
    type Large = [u8; 1 << 20];
    let shm = nix::sys::statvfs::statvfs("/dev/shm").unwrap();
    // More than the whole file system and not only than what is free: so the system refuses without trying, and
    // takes no memory from others. 0 blocks: no limit to run into.
    let size = shm.blocks() * shm.fragment_size();
    let slots = (size / size_of::<Large>() as u64 + 1).next_power_of_two();
    if size == 0 || slots > 1 << 24 {
        return;
    }
    let name = Name::new();
    match Ring::<Large>::create(&name.0, &RingOptions::spsc(slots as u32)) {
        Err(CreateError::NoSpace { need, .. }) => assert!(need as u64 > size),
        other => panic!("{other:?}"),
    }
    nothing_is_left_of(&name);
    Ring::<u64>::create(&name.0, &RingOptions::spsc(8)).expect("the name is free");
}

#[test]
fn only_what_a_dead_creator_left_is_removed() {
    let name = Name::new();
    assert_eq!(remove_dead(&name.0).unwrap(), Removal::Missing);
    let mut creator = Child::start("create", &[&name]);
    creator.expect("created");
    assert_eq!(remove_dead(&name.0).unwrap(), Removal::Alive);
    assert!(RingView::open(&name.0).unwrap().creator_is_alive().unwrap());
    Ring::<u64>::open(&name.0).expect("untouched");
    assert!(list_names().unwrap().contains(&name.0));
    creator.stop();
    assert_eq!(remove_dead(&name.0).unwrap(), Removal::Alive, "stopped is not dead");
    creator.kill();
    assert!(!RingView::open(&name.0).unwrap().creator_is_alive().unwrap());
    assert_eq!(remove_dead(&name.0).unwrap(), Removal::Removed);
    nothing_is_left_of(&name);
    assert_eq!(remove_dead(&name.0).unwrap(), Removal::Missing);
    assert!(!list_names().unwrap().contains(&name.0));
}

#[test]
fn unlink_leaves_a_successor_of_the_same_name_alone() {
    let name = Name::new();
    let first = Ring::<u64>::create(&name.0, &RingOptions::spsc(8)).unwrap();
    let opened = Ring::<u64>::open(&name.0).unwrap();
    assert!(matches!(Ring::<u64>::create(&name.0, &RingOptions::spsc(8)), Err(CreateError::Exists { .. })));
    name.remove();
    let second = Ring::<u64>::create(&name.0, &RingOptions::spsc(8)).unwrap();
    first.unlink().unwrap();
    opened.unlink().unwrap();
    let epoch = Ring::<u64>::open(&name.0).unwrap().inspect().epoch;
    assert_eq!(epoch, second.inspect().epoch);
    second.unlink().unwrap();
    nothing_is_left_of(&name);
    second.unlink().expect("gone already is no error");
}

#[test]
fn names_stay_when_the_ring_is_dropped_and_only_this_user_may_open_them() {
    let name = Name::new();
    drop(Ring::<u64>::create(&name.0, &RingOptions::mpsc(8)).unwrap());
    for path in name.paths() {
        let permissions = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(permissions & 0o777, 0o600, "{path}");
    }
}

#[test]
fn a_view_sees_what_the_ring_sees_with_semaphores_and_sleepers() {
    for mode in [Mode::Doorbell, Mode::Counting] {
        let name = Name::new();
        let ring = Ring::<u64>::create(&name.0, &RingOptions::mpsc(8).mode(mode)).unwrap();
        let view = RingView::open(&name.0).unwrap();
        let mut producer = ring.producer().unwrap();
        producer.push_batch(&[1, 2, 3]).unwrap();
        let seen = view.inspect();
        assert_eq!(seen, ring.inspect());
        assert_eq!((seen.head, seen.tail, seen.counters.published), (0, 3, 3));
        let values = (seen.ready.unwrap().value, seen.space.unwrap().value);
        assert_eq!(values, if mode == Mode::Counting { (3, 5) } else { (0, 0) });

        let mut consumer = ring.consumer().unwrap();
        consumer.set_wait(Wait::block().recheck(std::time::Duration::from_secs(3600)));
        consumer.drain(3, |_| {}).unwrap();
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| consumer.pop().unwrap());
            until("a sleeping consumer", || sleepers(&view.inspect()).0 == 1);
            let seen = view.inspect();
            assert_eq!(seen, ring.inspect());
            assert_eq!(seen.consumer.map(|process| process.pid()), Some(std::process::id()));
            assert_eq!(seen.consumer_waiting, mode == Mode::Doorbell);
            producer.push_timeout(4, LIMIT).unwrap();
            assert_eq!(sleeper.join().unwrap(), 4);
        });
        assert_eq!(sleepers(&view.inspect()), (0, 0));
        assert_eq!(view.inspect(), ring.inspect());
    }
}

/// A record with a layout that C and other tools can read.
#[derive(Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Sample {
    at_ns: u64,
    sensor: u32,
    value: f32,
}

/// The first fields of the header, as `docs/protocol.md` has them.
#[derive(Clone, Copy, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
struct HeaderStart {
    magic: [u8; 8],
    layout_version: u32,
    status: [u8; 4],
    kind: u32,
    mode: u32,
    capacity: u32,
    record_size: u32,
    stride: u32,
    owners: u32,
    schema: u64,
    epoch: u64,
    creator: u64,
    created_unix_ns: u64,
    total_size: u64,
    grace_ns: u64,
    slots_offset: u64,
}

#[test]
fn another_crate_reads_a_record_at_the_documented_offsets() {
    let name = Name::new();
    let ring = Ring::<Sample>::create(&name.0, &RingOptions::mpsc(8).schema(77)).unwrap();
    let samples = [0, 1].map(|n| Sample { at_ns: 1_000 + n, sensor: 5, value: 0.25 });
    ring.producer().unwrap().push_batch(&samples).unwrap();

    let foreign = shared_memory::ShmemConf::new().os_id(name.0.segment()).open().unwrap();
    #[expect(unsafe_code, reason = "the only way in which that crate gives its bytes away")]
    // SAFETY: nobody is attached to the ring any more, so nothing in it is written while the slice is in use.
    let bytes = unsafe { foreign.as_slice() };
    let (header, _) = HeaderStart::read_from_prefix(bytes).unwrap();
    assert_eq!((&header.magic, header.layout_version, &header.status), (b"HALYARD\0", 1, b"REDY"));
    assert_eq!((header.kind, header.mode, header.capacity, header.owners), (2, 1, 8, 64));
    assert_eq!((header.record_size, header.schema), (16, 77));
    assert_eq!(header.creator & 0x3f_ffff, u64::from(std::process::id()));
    assert_eq!(header.total_size, fs::metadata(&name.paths()[0]).unwrap().len());
    assert_eq!(header.grace_ns, 5_000_000);
    assert_eq!(header.epoch, ring.inspect().epoch);
    assert_eq!(header.created_unix_ns, ring.inspect().created_unix_ns);
    for (position, sample) in (0..).zip(samples) {
        let slot = &bytes[header.slots_offset as usize + position * header.stride as usize..];
        let (state, record) = u64::read_from_prefix(slot).unwrap();
        assert_eq!((state & 3, state >> 16), (2, position as u64), "READY, at its position");
        assert_eq!(Sample::read_from_prefix(record).unwrap().0, sample);
    }
}
