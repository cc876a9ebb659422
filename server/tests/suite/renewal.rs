//! A damaged control ring is made anew, and the sessions go on.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use halyard_ring::chat::{Kind, Record, ServerName, control_ring, flags};
use halyard_ring::{Beat, Removal, Ring, RingName, RingView, remove_dead};
use nix::sys::signal::Signal;

use crate::children::Process;
use crate::hostile::{path, truncate};
use crate::support::{Client, PATIENCE, TestServer, eventually, names_of, unique_name};

/// Goes over to the control ring of the moment.
fn follow(client: &mut Client, server: &ServerName) -> bool {
    let renewed = Ring::<Record>::open(&control_ring(server)).ok().and_then(|ring| ring.producer().ok());
    renewed.map(|producer| client.control = producer).is_some()
}

/// Pushes a command into the control ring of the moment, as often as it takes to be answered.
pub(crate) fn insist(client: &mut Client, server: &ServerName, kind: Kind, text: &str) -> Record {
    let mut record = client.command(kind, "", text);
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        client.ring.beat(Beat::Creator);
        if client.control.try_push_prefix(&record, record.used()).is_err() && follow(client, server) {
            continue;
        }
        let again = Instant::now() + Duration::from_millis(50);
        while Instant::now() < again {
            let Some(seen) = client.read(Duration::from_millis(5)) else { continue };
            let is_answer = seen.command == record.command
                && (seen.kind == Kind::Ack.wire() || seen.kind == Kind::Error.wire());
            if seen.kind == Kind::Reopen.wire() {
                follow(client, server);
            }
            client.seen.push_back(seen);
            if is_answer {
                return seen;
            }
        }
        record.flags |= flags::RETRY;
    }
    panic!("no answer to {text:?}");
}

/// Insists on a command that must be carried out.
#[track_caller]
fn done(client: &mut Client, server: &ServerName, kind: Kind, text: &str) {
    let answer = insist(client, server, kind, text);
    assert_eq!(answer.kind, Kind::Ack.wire(), "{answer:?}");
}

fn overwrite(name: &RingName, at: u64) {
    let file = OpenOptions::new().write(true).open(path(name)).unwrap();
    file.write_all_at(&[0x13; 8], at).unwrap();
}

#[test]
fn a_truncated_control_ring_is_made_anew_and_the_sessions_go_on() {
    let server = TestServer::start();
    let name = server.name().clone();
    let (mut ann, mut bob) = (server.client("ann"), server.client("bob"));
    ann.join("lobby");
    bob.join("lobby");
    let control = path(&control_ring(&name));
    let semaphore = control.replace("halyard.", "sem.halyard.") + ".ready";
    // While the router sleeps; then its bed; then while it is at work.
    for (round, file) in [&control, &semaphore, &control].into_iter().enumerate() {
        let before = server.stats().renewed;
        if round == 2 {
            for n in 0..20 {
                ann.say(&format!("more {n}"));
            }
        }
        truncate(file, 0);
        let text = format!("after truncation {round}");
        done(&mut ann, &name, Kind::Say, &text);
        eventually("made anew", || server.stats().renewed > before);
        done(&mut ann, &name, Kind::Ping, "");
        while bob.hear(Kind::Message).text != text {}
    }
    bob.next_of(Kind::Reopen);
    // The same sessions, in the same room.
    assert_eq!((server.stats().connected, server.stats().died), (2, 0));
    assert_eq!(server.rooms()[0].members, 2);
    // A newcomer finds the new ring, and whoever looks at it sees how often that was.
    server.client("cleo").quit();
    assert_eq!(
        RingView::open(&control_ring(&name)).unwrap().inspect().renewals as u64,
        server.stats().renewed
    );
}

#[test]
fn damage_is_noticed_wherever_it_is_and_also_while_nobody_says_anything() {
    let server = TestServer::start();
    let name = server.name().clone();
    let control = control_ring(&name);
    let mut ann = server.client("ann");
    ann.join("lobby");
    Ring::<Record>::open(&control).unwrap().close();
    eventually("closed by somebody", || server.stats().renewed == 1);
    done(&mut ann, &name, Kind::Say, "still here");
    let len = std::fs::metadata(path(&control)).unwrap().len();
    // A word that never changes, one that is always zero, the consumer's own, the consumer's entry, one of the owner table
    // that nobody uses, the last slot's state, far from the head.
    for (round, at) in [48, 1000, 128, 1024, 1024 + 64 * 500 + 56, len - 256].into_iter().enumerate() {
        overwrite(&control, at);
        eventually("overwritten by somebody", || server.stats().renewed == round as u64 + 2);
        done(&mut ann, &name, Kind::Say, "still here");
    }
    // A slot that looks free again before the router has come to it hides what lies behind it.
    let head = RingView::open(&control).unwrap().inspect().head;
    let slot = |position: u64| len - 4096 * 256 + (position % 4096) * 256;
    overwrite(&control, slot(head + 1) + 8);
    assert_eq!(server.stats().renewed, 7, "what a record holds is checked when it is read");
    let file = OpenOptions::new().write(true).open(path(&control)).unwrap();
    file.write_all_at(&(head << 16).to_ne_bytes(), slot(head)).unwrap();
    done(&mut ann, &name, Kind::Say, "still here");
    assert_eq!((server.stats().connected, server.stats().died), (1, 0));
}

#[test]
fn a_control_ring_whose_slots_a_living_peer_claims_and_keeps_is_made_anew() {
    let server =
        TestServer::with(halyard_server::Config { control_capacity: 64, ..crate::support::config() });
    let name = server.name().clone();
    let mut ann = server.client("ann");
    ann.join("lobby");
    // One claim for each producer, all of them of a process that lives on: this one.
    let ring = Ring::<Record>::open(&control_ring(&name)).unwrap();
    let mut peers: Vec<_> = (0..64).map(|_| ring.producer().unwrap()).collect();
    let claims: Vec<_> = peers.iter_mut().map_while(|peer| peer.try_claim().ok()).collect();
    assert!(claims.len() > 32, "{} of 64 slots", claims.len());
    eventually("made anew", || server.stats().renewed > 0);
    done(&mut ann, &name, Kind::Say, "still here");
    assert_eq!((server.stats().connected, server.stats().died), (1, 0));
    // A few claims are no damage: they are passed over, and the ring stays what it is.
    drop(claims);
    drop(peers);
    let before = server.stats().renewed;
    let ring = Ring::<Record>::open(&control_ring(&name)).unwrap();
    let mut peers: Vec<_> = (0..32).map(|_| ring.producer().unwrap()).collect();
    let claims: Vec<_> = peers.iter_mut().map_while(|peer| peer.try_claim().ok()).collect();
    let seen = || RingView::open(&control_ring(&name)).unwrap().inspect();
    eventually("all passed over", || seen().counters.quarantined == claims.len() as u32);
    for _ in 0..100 {
        done(&mut ann, &name, Kind::Ping, "");
    }
    std::thread::sleep(Duration::from_millis(300));
    done(&mut ann, &name, Kind::Ping, "");
    assert_eq!(server.stats().renewed, before);
}

#[test]
fn a_long_text_of_which_half_was_taken_is_taken_whole_from_the_new_ring() {
    let server = TestServer::start();
    let name = server.name().clone();
    let mut ann = server.client("ann");
    ann.join("lobby");
    let text = |letter: &str| letter.repeat(300);
    let mut first = ann.command(Kind::Say, "", &text("a")[..150]);
    (first.frag, first.frags) = (0, 2);
    ann.push(&first);
    eventually("taken", || server.stats().received >= 3);
    truncate(&path(&control_ring(&name)), 0);
    eventually("made anew", || server.stats().renewed == 1);
    assert!(follow(&mut ann, &name));
    for frag in 0..2 {
        let mut piece = first.with_body("", &text("b")[..150]);
        (piece.frag, piece.flags) = (frag, flags::RETRY);
        ann.push(&piece);
    }
    assert_eq!(ann.ok(first.command).kind, Kind::Ack.wire());
    assert_eq!(ann.hear(Kind::Message).text, text("b"));
}

#[test]
fn what_was_acted_on_before_the_ring_was_made_anew_is_not_acted_on_again() {
    let server = TestServer::start();
    let name = server.name().clone();
    let mut ann = server.client("ann");
    ann.join("lobby");
    let said = ann.command(Kind::Say, "", "once");
    ann.push(&said);
    ann.ok(said.command);
    truncate(&path(&control_ring(&name)), 0);
    eventually("made anew", || server.stats().renewed == 1);
    assert!(follow(&mut ann, &name));
    ann.retry(said);
    ann.ok(said.command);
    done(&mut ann, &name, Kind::Say, "twice");
    assert_eq!(ann.hear(Kind::Message).text, "once");
    assert_eq!(ann.hear(Kind::Message).text, "twice");
}

#[test]
fn without_the_guard_a_closed_control_ring_ends_the_server() {
    let name = unique_name();
    let server = Process::start(&name, "nobody", "serve-patient");
    let mut ann = Client::connect(&name, "ann");
    ann.sync();
    Ring::<Record>::open(&control_ring(&name)).unwrap().close();
    let goodbye = ann.next_of(Kind::Goodbye);
    assert_eq!(goodbye.code, halyard_ring::chat::LeaveReason::Shutdown.wire());
    server.signal(Signal::SIGKILL);
    server.end();
    drop(ann);
    for name in names_of(&name) {
        remove_dead(&RingName::new(&name).unwrap()).unwrap();
    }
}

#[test]
fn what_a_server_left_that_was_killed_while_it_made_the_ring_anew_is_in_nobodys_way() {
    let name = unique_name();
    let next = control_ring(&name).next().unwrap();
    assert!(Process::start(&name, "nobody", "half-renewed").join());
    assert!(names_of(&name).contains(&next.as_str().to_owned()));
    let server = TestServer::with(halyard_server::Config { name: name.clone(), ..crate::support::config() });
    assert!(!names_of(&name).contains(&next.as_str().to_owned()), "gone when the next one starts");
    // Or it is found when that one needs the name itself.
    assert!(Process::start(&name, "nobody", "half-renewed").join());
    let mut ann = server.client("ann");
    truncate(&path(&control_ring(&name)), 0);
    done(&mut ann, &name, Kind::Ping, "");
    eventually("made anew", || server.stats().renewed == 1);
    assert_eq!(remove_dead(&next).unwrap(), Removal::Missing);
}

#[test]
fn a_server_whose_name_another_has_taken_says_goodbye_instead_of_taking_it_back() {
    let server = TestServer::start();
    let name = server.name().clone();
    let mut ann = server.client("ann");
    let control = control_ring(&name);
    // Somebody removes it by hand, and another server starts.
    for file in [
        path(&control),
        format!("/dev/shm/sem.halyard.{control}.ready"),
        format!("/dev/shm/sem.halyard.{control}.space"),
    ] {
        std::fs::remove_file(file).unwrap();
    }
    let old = OpenOptions::new().write(true).open(format!("/proc/self/fd/{}", descriptor_of(&control)));
    let other = TestServer::with(halyard_server::Config { name: name.clone(), ..crate::support::config() });
    old.unwrap().set_len(0).unwrap();
    assert_eq!(ann.next_of(Kind::Goodbye).code, halyard_ring::chat::LeaveReason::Shutdown.wire());
    eventually("stopped", || !server.is_running());
    assert!(other.is_running());
    other.client("bob").quit();
}

/// The descriptor that this process's server keeps of a segment whose name is gone.
fn descriptor_of(name: &RingName) -> String {
    let wanted = format!("{} (deleted)", path(name));
    std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(Result::ok)
        .find(|entry| std::fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy() == wanted))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .expect("the server keeps its control ring open: its lock")
}
