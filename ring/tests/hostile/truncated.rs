//! Somebody truncates the files of a ring in use. Nobody dies of it who has done no wrong.

use std::fs::OpenOptions;
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use halyard_ring::guards::{self, Guard};
use halyard_ring::{OpenError, PopError, PushError, Ring, RingName, RingOptions, RingView, Semaphore};
use nix::sys::signal::{Signal, raise};

use crate::child::{Child, LIMIT, Name, hear, say};

pub(crate) fn play(role: &str, words: &[String]) {
    let name = words.first().map(|name| RingName::new(name).unwrap());
    match role {
        "pop-unguarded" | "push-unguarded" => {
            guards::take_out(Guard::Sigbus);
            use_until_truncated(role, &name.unwrap());
        }
        "pop" | "push" => use_until_truncated(role, &name.unwrap()),
        "sigbus" => raise_sigbus(&words[1], &name.unwrap()),
        role => panic!("no role {role:?}"),
    }
}

/// Pops or pushes without a pause until the ring says that it was truncated.
fn use_until_truncated(role: &str, name: &RingName) {
    let ring = Ring::<u64>::open(name).unwrap();
    if role.starts_with("pop") {
        let mut consumer = ring.consumer().unwrap();
        say("at work");
        let end = loop {
            match consumer.pop_timeout(LIMIT) {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(end, PopError::Truncated);
        assert_eq!(consumer.try_pop(), Err(PopError::Truncated));
        assert_eq!(consumer.wait(LIMIT), Err(PopError::Truncated));
    } else {
        let mut producer = ring.producer().unwrap();
        say("at work");
        let end = loop {
            match producer.push_timeout(7, LIMIT) {
                Ok(()) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(end, PushError::Truncated(7));
        assert_eq!(producer.try_push(8), Err(PushError::Truncated(8)));
    }
    assert!(ring.is_truncated() && ring.is_closed());
    // All that a tool or a clean-up may still do.
    let _ = ring.inspect();
    ring.reap();
    ring.nudge();
    ring.close();
    say("survived");
    hear();
}

fn truncate(path: &str, len: u64) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(len).unwrap();
}

fn kinds() -> [RingOptions; 2] {
    [RingOptions::spsc(64), RingOptions::mpsc(64)]
}

#[test]
fn producer_and_consumer_survive_a_truncated_segment_and_say_so() {
    for options in kinds() {
        // To nothing, and to what leaves the header.
        for len in [0, 4096] {
            let name = Name::new();
            let _ring = Ring::<u64>::create(&name.0, &options).unwrap();
            let pop = Child::start("pop", &[&name]);
            pop.expect("at work");
            let push = Child::start("push", &[&name]);
            push.expect("at work");
            std::thread::sleep(Duration::from_millis(5));
            truncate(&name.paths()[0], len);
            push.expect("survived");
            pop.expect("survived");
            push.finish();
            pop.finish();
        }
    }
}

#[test]
fn without_the_handler_a_truncated_segment_kills() {
    for role in ["pop-unguarded", "push-unguarded"] {
        let name = Name::new();
        let _ring = Ring::<u64>::create(&name.0, &RingOptions::mpsc(64)).unwrap();
        let mut child = Child::start(role, &[&name]);
        child.expect("at work");
        truncate(&name.paths()[0], 0);
        assert_eq!(child.end().signal(), Some(Signal::SIGBUS as i32), "{role}");
    }
}

#[test]
fn a_truncated_semaphore_wakes_nobody_and_kills_nobody() {
    for options in kinds() {
        for which in [1, 2] {
            let name = Name::new();
            let ring = Ring::<u64>::create(&name.0, &options).unwrap();
            if which == 2 {
                // Producers sleep on `space` when the ring is full.
                let mut producer = ring.producer().unwrap();
                while producer.try_push(1).is_ok() {}
            }
            let child = Child::start(if which == 1 { "pop" } else { "push" }, &[&name]);
            child.expect("at work");
            std::thread::sleep(Duration::from_millis(5));
            truncate(&name.paths()[which], 0);
            child.expect("survived");
            child.finish();
        }
    }
}

#[test]
fn a_semaphore_is_truncated_again_and_again_under_sleepers_and_posters() {
    // Between the look at the tokens and the sleep there is a moment at which the kernel, not the processor, finds the
    // file too short. glibc's own functions end the process then.
    let name = format!("/halyard.test-trunc-{}", std::process::id());
    let path = format!("/dev/shm/sem.{}", &name[1..]);
    let end = Instant::now() + Duration::from_millis(500);
    let (waits, mut rounds) = (AtomicUsize::new(0), 0);
    while Instant::now() < end || rounds < 20 {
        let semaphore = Semaphore::create(&name, 0o600, 0).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..20 {
                    let _ = semaphore.wait_timeout(Duration::from_micros(50));
                    waits.fetch_add(1, Ordering::Relaxed);
                }
            });
            scope.spawn(|| (0..20).for_each(|_| semaphore.post()));
            for _ in 0..rounds % 50 {
                std::hint::spin_loop();
            }
            truncate(&path, 0);
        });
        Semaphore::unlink(&name).unwrap();
        drop(semaphore);
        rounds += 1;
    }
    assert_eq!(waits.into_inner(), rounds * 20);
}

#[test]
fn whatever_a_semaphore_holds_it_does_not_end_the_process() {
    use std::os::unix::fs::FileExt;
    let name = format!("/halyard.test-garbage-{}", std::process::id());
    let path = format!("/dev/shm/sem.{}", &name[1..]);
    let semaphore = Semaphore::create(&name, 0o600, 0).unwrap();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    for seed in 0..2000_u64 {
        let mut bytes = [0_u8; 32];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> ((index * 7) % 57)) as u8;
        }
        if seed % 3 == 0 {
            // No tokens, so that it comes to a sleep.
            bytes[..4].fill(0);
        }
        file.write_all_at(&bytes, 0).unwrap();
        semaphore.post();
        let _ = semaphore.wait_timeout(Duration::from_micros(20));
        let _ = (semaphore.try_wait(), semaphore.value(), semaphore.waiters());
    }
    Semaphore::unlink(&name).unwrap();
}

#[test]
fn opening_and_looking_at_a_file_that_is_too_short_is_refused() {
    let name = Name::new();
    let ring = Ring::<u64>::create(&name.0, &RingOptions::mpsc(64)).unwrap();
    let view = RingView::open(&name.0).unwrap();
    truncate(&name.paths()[0], 100);
    assert!(matches!(Ring::<u64>::open(&name.0), Err(OpenError::Mismatch { field: "file size", .. })));
    assert!(RingView::open(&name.0).is_err());
    // What was mapped before is looked at all the same.
    let _ = (view.inspect(), view.creator(), ring.inspect());
    truncate(&name.paths()[0], 0);
    assert!(matches!(Ring::<u64>::open(&name.0), Err(OpenError::NotReady { .. })));
    ring.unlink().unwrap();
    assert!(name.paths().iter().all(|path| !std::path::Path::new(path).exists()));
}

/// Raises a SIGBUS that has nothing to do with a ring, while one is mapped.
fn raise_sigbus(how: &str, name: &RingName) {
    match how.split_once('-') {
        Some(("handled", _)) => former_handler::install(),
        Some(("default", _)) => former_handler::none(),
        // The Rust runtime's own, which ends the process at the second SIGBUS.
        _ => {}
    }
    let ring = Ring::<u64>::open(name).unwrap();
    say("at work");
    if how.ends_with("kill") {
        raise(Signal::SIGBUS).unwrap();
    } else {
        former_handler::touch_a_truncated_file();
    }
    drop(ring);
    say("survived");
}

#[expect(unsafe_code, reason = "a mapping and a signal handler that are not the crate's")]
mod former_handler {
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

    extern "C" fn handler(_: i32) {
        // SAFETY: _exit may be called in a signal handler.
        unsafe { nix::libc::_exit(42) }
    }

    pub(super) fn install() {
        set(SigHandler::Handler(handler));
    }

    pub(super) fn none() {
        set(SigHandler::SigDfl);
    }

    fn set(handler: SigHandler) {
        let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
        // SAFETY: the handler, if it is one, only calls _exit.
        unsafe { sigaction(Signal::SIGBUS, &action) }.unwrap();
    }

    pub(super) fn touch_a_truncated_file() {
        let file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(format!("/dev/shm/halyard-test-foreign-{}", std::process::id()))
            .unwrap();
        std::fs::remove_file(format!("/dev/shm/halyard-test-foreign-{}", std::process::id())).unwrap();
        file.set_len(4096).unwrap();
        let map = memmap2::MmapOptions::new().len(4096).map_raw(&file).unwrap();
        file.set_len(0).unwrap();
        // SAFETY: the address is mapped; that the page behind it is gone is what this is about.
        unsafe { map.as_ptr().read_volatile() };
    }
}

#[test]
fn a_sigbus_that_is_not_ours_does_what_it_did_before() {
    let name = Name::new();
    let _ring = Ring::<u64>::create(&name.0, &RingOptions::spsc(8)).unwrap();
    for how in ["access", "default-access", "default-kill"] {
        let mut child = Child::start("sigbus", &[&name, &how]);
        child.expect("at work");
        assert_eq!(child.end().signal(), Some(Signal::SIGBUS as i32), "{how}");
    }
    for how in ["handled-access", "handled-kill"] {
        let mut child = Child::start("sigbus", &[&name, &how]);
        child.expect("at work");
        assert_eq!(child.end().code(), Some(42), "the handler that was there is called: {how}");
    }
}

#[test]
fn many_rings_are_watched_and_only_the_truncated_one_is_lost() {
    let names: Vec<Name> = (0..100).map(|_| Name::new()).collect();
    let rings: Vec<_> =
        names.iter().map(|name| Ring::<u64>::create(&name.0, &RingOptions::spsc(8)).unwrap()).collect();
    for (index, name) in names.iter().enumerate().filter(|(index, _)| index % 10 == 3) {
        truncate(&name.paths()[0], 0);
        rings[index].beat(halyard_ring::Beat::Creator);
    }
    for (index, ring) in rings.iter().enumerate() {
        assert_eq!(ring.is_truncated(), index % 10 == 3, "{index}");
        let pushed = ring.producer().map(|mut producer| producer.try_push(5));
        assert_eq!(pushed.is_ok_and(|pushed| pushed.is_ok()), index % 10 != 3, "{index}");
    }
    // Entries of the registry are used again.
    drop(rings);
    drop(names);
    for _ in 0..300 {
        let name = Name::new();
        let ring = Ring::<u64>::create(&name.0, &RingOptions::spsc(8)).unwrap();
        assert!(!ring.is_truncated());
    }
}
