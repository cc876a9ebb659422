//! Bytes that nobody who keeps to the protocol writes: they are noticed, refused, and kill nobody.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};

use halyard_ring::guards::{self, Guard};
use halyard_ring::{PopError, PushError, Ring, RingOptions, Tampered};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::child::{Child, Name, hear, say};

/// A generator whose seed a failing test prints: SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

pub(crate) fn play(words: &[String]) {
    let name = halyard_ring::RingName::new(&words[0]).unwrap();
    let ring = Ring::<u64>::create(&name, &RingOptions::mpsc(8)).unwrap();
    guards::take_out(Guard::Header);
    let mut consumer = ring.consumer().unwrap();
    say("attached");
    hear();
    assert_eq!(consumer.audit(), Ok(()), "the guard is out");
    say("saw nothing");
    hear();
}

#[test]
fn every_header_byte_that_must_not_change_is_watched() {
    let name = Name::new();
    let ring = Ring::<u64>::create(&name.0, &RingOptions::mpsc(8)).unwrap();
    let mut producer = ring.producer().unwrap();
    let mut consumer = ring.consumer().unwrap();
    for number in 0..20 {
        producer.try_push(number).unwrap();
        assert_eq!(consumer.try_pop(), Ok(number));
    }
    ring.beat(halyard_ring::Beat::Creator);
    ring.nudge();
    assert_eq!(consumer.audit(), Ok(()));
    let file = OpenOptions::new().read(true).write(true).open(&name.paths()[0]).unwrap();
    let mut watched = 0;
    for offset in 0..1024 + 8 {
        let mut before = [0];
        file.read_exact_at(&mut before, offset).unwrap();
        file.write_all_at(&[!before[0]], offset).unwrap();
        // Who does not read it sees the same, but for what is the consumer's own.
        let is_consumers = (128..144).contains(&offset) || offset >= 1024;
        let audited = consumer.audit();
        assert!(ring.check() == audited || is_consumers && ring.check() == Ok(()), "{audited:?} at {offset}");
        match audited {
            Ok(()) => {}
            Err(Tampered::Header { offset: found, .. }) => {
                let is_closed = (260..264).contains(&offset);
                assert_eq!(found as u64, if is_closed { 260 } else { offset / 8 * 8 });
                watched += 1;
            }
            Err(Tampered::Consumer) => {
                assert!((128..144).contains(&offset));
                watched += 1;
            }
            Err(other) => panic!("{other} at {offset}"),
        }
        file.write_all_at(&before, offset).unwrap();
        assert_eq!(consumer.audit(), Ok(()), "put right again at {offset}");
    }
    // All but five counters of the consumer's, and the words that others write; of those `closed` is 0 or 1, and two have
    // four bytes that nobody uses.
    assert_eq!(watched, 1032 - 8 * (5 + 2 + 1 + 6 + 1 + 2) + 4 + 2 * 4);
    // The guard is what sees it.
    let other = Name::new();
    let mut child = Child::start("blind", &[&other]);
    child.expect("attached");
    let file = OpenOptions::new().write(true).open(&other.paths()[0]).unwrap();
    file.write_all_at(b"garbage!", 24).unwrap();
    child.tell("look");
    child.expect("saw nothing");
    child.finish();
}

#[test]
fn every_byte_of_the_owner_table_that_nobody_uses_is_watched() {
    let name = Name::new();
    let ring = Ring::<u64>::create(&name.0, &RingOptions::mpsc(8).owners(3)).unwrap();
    let mut producers = [ring.producer().unwrap(), ring.producer().unwrap()];
    let mut consumer = ring.consumer().unwrap();
    let file = OpenOptions::new().read(true).write(true).open(&name.paths()[0]).unwrap();
    let mut watched = 0;
    for entry in 0..4 {
        for producer in &mut producers {
            producer.try_push(entry).unwrap();
            assert_eq!(consumer.try_pop(), Ok(entry));
        }
        // The consumer's, those of two who are attached, and one that is free.
        for offset in 8..64 {
            let at = 1024 + 64 * entry + offset;
            let mut before = [0];
            file.read_exact_at(&mut before, at).unwrap();
            file.write_all_at(&[!before[0]], at).unwrap();
            match consumer.audit() {
                Ok(()) => assert!(offset < 48, "not watched: {at}"),
                Err(Tampered::Header { offset: found, expected: 0, .. }) if offset >= 48 => {
                    assert_eq!(found as u64, at / 8 * 8);
                    watched += 1;
                }
                Err(other) => panic!("{other} at {at}"),
            }
            assert_eq!(consumer.check_header(), Ok(()), "looked at in an idle moment only");
            file.write_all_at(&before, at).unwrap();
        }
    }
    assert_eq!(watched, 4 * 16);
    producers.into_iter().for_each(drop);
    assert_eq!((consumer.audit(), ring.reap().owners), (Ok(()), 0));
}

#[test]
fn what_is_written_before_the_creator_attaches_is_not_taken_for_the_truth() {
    for offset in 0..128 {
        let name = Name::new();
        let ring = Ring::<u64>::create(&name.0, &RingOptions::mpsc(8)).unwrap();
        let file = OpenOptions::new().read(true).write(true).open(&name.paths()[0]).unwrap();
        let mut before = [0];
        file.read_exact_at(&mut before, offset).unwrap();
        file.write_all_at(&[!before[0]], offset).unwrap();
        let mut consumer = ring.consumer().unwrap();
        let found = consumer.audit();
        let is_there = |at: usize| at as u64 == offset / 8 * 8;
        assert!(
            matches!(found, Err(Tampered::Header { offset: at, .. }) if is_there(at)),
            "{found:?} at {offset}"
        );
        assert_eq!(ring.check(), found);
    }
}

#[test]
fn a_slot_in_an_impossible_state_is_found_wherever_it_lies() {
    let mut random = Random(7);
    for options in [RingOptions::mpsc(8), RingOptions::spsc(8)] {
        let name = Name::new();
        let ring = Ring::<u64>::create(&name.0, &options).unwrap();
        let mut producer = ring.producer().unwrap();
        let mut consumer = ring.consumer().unwrap();
        let file = OpenOptions::new().read(true).write(true).open(&name.paths()[0]).unwrap();
        let slots = file.metadata().unwrap().len() - 8 * 64;
        for number in 0..500 {
            producer.try_push(number).unwrap();
            producer.try_push(number).unwrap();
            assert_eq!(consumer.try_pop(), Ok(number));
            assert_eq!(consumer.audit(), Ok(()));
            let at = slots + random.next() % 8 * 64;
            let mut before = [0; 8];
            file.read_exact_at(&mut before, at).unwrap();
            file.write_all_at(&random.next().to_ne_bytes(), at).unwrap();
            assert!(matches!(consumer.audit(), Err(Tampered::Slot(_))), "{number}");
            file.write_all_at(&before, at).unwrap();
            assert_eq!(consumer.audit(), Ok(()));
            assert_eq!(consumer.try_pop(), Ok(number));
        }
        // A record hidden behind a slot that looks free: nobody would ever read it.
        let at = |position: u64| slots + position % 8 * 64;
        let mut free = [0; 8];
        file.read_exact_at(&mut free, at(1000)).unwrap();
        producer.try_push(1).unwrap();
        producer.try_push(2).unwrap();
        file.write_all_at(&free, at(1000)).unwrap();
        assert_eq!(consumer.try_pop(), Err(PopError::Empty));
        assert!(matches!(consumer.audit(), Err(Tampered::Slot(damage)) if damage.position == 1000));
    }
}

#[test]
fn random_bytes_all_over_a_ring_are_refused_and_kill_nobody() {
    for seed in 0..30 {
        let mut random = Random(seed);
        let name = Name::new();
        let options = if seed % 2 == 0 { RingOptions::mpsc(16) } else { RingOptions::spsc(16) };
        let ring = Ring::<u64>::create(&name.0, &options).unwrap();
        let mut producer = ring.producer().unwrap();
        let mut consumer = ring.consumer().unwrap();
        let file = OpenOptions::new().write(true).open(&name.paths()[0]).unwrap();
        let len = file.metadata().unwrap().len();
        for round in 0..200 {
            for _ in 0..round % 7 {
                file.write_all_at(&random.next().to_ne_bytes(), random.next() % (len - 8)).unwrap();
            }
            for number in 0..4 {
                match producer.try_push(number) {
                    Ok(()) | Err(PushError::Full(_) | PushError::Closed(_) | PushError::Corrupt(..)) => {}
                    Err(other) => panic!("{other:?} with seed {seed}"),
                }
                match consumer.try_pop() {
                    Ok(_) | Err(PopError::Empty | PopError::Closed) => {}
                    Err(PopError::Corrupt(_)) => consumer.skip_damaged(),
                    Err(other) => panic!("{other:?} with seed {seed}"),
                }
            }
        }
        let _ = (ring.inspect(), ring.reap(), consumer.audit());
        assert!(consumer.audit().is_err(), "seed {seed}");
    }
}

#[test]
fn a_renewed_ring_takes_the_place_of_the_old_one_at_once() {
    let name = Name::new();
    let old = Ring::<u64>::create(&name.0, &RingOptions::mpsc(8)).unwrap();
    let mut producer = old.producer().unwrap();
    old.close();
    let new = old.renew(&RingOptions::mpsc(16)).unwrap();
    assert!(!old.is_current().unwrap() && new.is_current().unwrap());
    assert_eq!(producer.try_push(1), Err(PushError::Closed(1)));
    let found = Ring::<u64>::open(&name.0).unwrap();
    assert_eq!(found.capacity(), 16);
    found.producer().unwrap().try_push(2).unwrap();
    assert_eq!(new.consumer().unwrap().try_pop(), Ok(2));
    // The old one has no names to remove any more; the new one's are all there is.
    old.unlink().unwrap();
    assert!(new.is_current().unwrap());
    new.unlink().unwrap();
    let left = fs::read_dir("/dev/shm")
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains(name.0.as_str()));
    assert_eq!(left.count(), 0);
    // Somebody else has taken the name meanwhile: that one stays.
    let other = Ring::<u64>::create(&name.0, &RingOptions::mpsc(32)).unwrap();
    let files = name.paths().map(|path| inode(&path));
    assert!(matches!(new.renew(&RingOptions::mpsc(8)), Err(halyard_ring::CreateError::Exists { .. })));
    assert!(other.is_current().unwrap());
    assert_eq!(name.paths().map(|path| inode(&path)), files, "nothing of it was touched");
    assert!(Ring::<u64>::open(&name.0).is_ok_and(|found| found.capacity() == 32));
}

#[test]
fn who_sits_on_the_name_of_the_next_ring_does_not_keep_it_from_being_made() {
    let name = Name::new();
    let mut ring = Ring::<u64>::create(&name.0, &RingOptions::mpsc(8)).unwrap();
    // The living, then a pipe.
    let squatter = Ring::<u64>::create(&name.0.next().unwrap(), &RingOptions::mpsc(8)).unwrap();
    ring = ring.renew(&RingOptions::mpsc(16)).unwrap();
    assert!(ring.is_current().unwrap() && squatter.is_current().unwrap());
    squatter.unlink().unwrap();
    let pipe = format!("/dev/shm{}", name.0.next().unwrap().segment());
    nix::unistd::mkfifo(pipe.as_str(), nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    let renewed = ring.renew(&RingOptions::mpsc(32));
    fs::remove_file(&pipe).unwrap();
    assert!(renewed.unwrap().is_current().unwrap());
    assert_eq!(Ring::<u64>::open(&name.0).unwrap().capacity(), 32);
    let left = halyard_ring::list_names().unwrap();
    assert_eq!(left.iter().filter(|left| left.as_str().starts_with(name.0.as_str())).count(), 1);
}

/// In a process of its own: nothing can be opened there for a while.
pub(crate) fn starve(words: &[String]) {
    let name = halyard_ring::RingName::new(&words[0]).unwrap();
    let ring = Ring::<u64>::create(&name, &RingOptions::mpsc(8)).unwrap();
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 0, hard).unwrap();
    let (is_current, renewed) = (ring.is_current(), ring.renew(&RingOptions::mpsc(16)));
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    assert!(is_current.unwrap());
    assert!(matches!(renewed, Err(halyard_ring::CreateError::Os { .. })), "{renewed:?}");
    assert!(ring.renew(&RingOptions::mpsc(16)).unwrap().is_current().unwrap());
    say("renewed");
}

#[test]
fn a_process_without_descriptors_does_not_take_its_ring_for_another_ones() {
    let name = Name::new();
    let child = Child::start("starved", &[&name]);
    child.expect("renewed");
    child.finish();
}

fn inode(path: &str) -> u64 {
    fs::metadata(path).unwrap().ino()
}
