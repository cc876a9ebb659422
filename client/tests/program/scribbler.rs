//! A process that writes random words all over the control ring while clients of the library chat.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use halyard_client::{Client, Event};
use halyard_ring::RingView;
use halyard_ring::chat::control_ring;
use nix::sys::signal::Signal;

use crate::kills::{CLIENTS, Enough, Said, everybody_heard_everything, listen, member, talk};
use crate::util::{LONG, Place, Running};

const FILE: &str = "HALYARD_TEST_SCRIBBLE";
const MILLIS: &str = "HALYARD_TEST_SCRIBBLE_MILLIS";

/// A child does this; without a file in the environment, nothing. Now and then it opens the name anew, so that it also
/// spoils what took the ring's place.
#[test]
fn plays_the_scribbler() {
    let (Ok(path), Ok(millis)) = (std::env::var(FILE), std::env::var(MILLIS)) else { return };
    let end = Instant::now() + Duration::from_millis(millis.parse().unwrap());
    let open = || OpenOptions::new().write(true).open(&path).ok();
    let mut file = open().unwrap();
    let mut state = u64::from(std::process::id());
    let mut random = move || {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    };
    while Instant::now() < end {
        let len = file.metadata().unwrap().len();
        let bytes: Vec<u8> = (0..len / 8).flat_map(|_| random().to_ne_bytes()).collect();
        for _ in 0..32 {
            let from = random() % (len / 8 - 1) * 8;
            let to = (from + 8 + random() % 512 * 8).min(len);
            file.write_all_at(&bytes[from as usize..to as usize], from).unwrap();
        }
        file.write_all_at(&bytes, 0).unwrap();
        thread::sleep(Duration::from_millis(random() % 200));
        file = open().unwrap_or(file);
    }
}

/// Starts a child that scribbles over the control ring.
fn scribbler(place: &Place, time: Duration) -> Running {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "scribbler::plays_the_scribbler", "--test-threads=1"]);
    command.env(FILE, format!("/dev/shm{}", control_ring(&place.name).segment()));
    command.env(MILLIS, time.as_millis().to_string());
    Running::start(command)
}

#[test]
fn clients_of_the_library_talk_through_a_scribbler() {
    let place = Place::empty();
    let mut server = place.start(&["server", "--broadcasters", "2", "--pin", "no"]);
    server.err.await_line("serving");
    let clients: Vec<Client> = (0..CLIENTS).map(|n| member(&place, &format!("client{n}"))).collect();
    let ids: Vec<u32> = clients.iter().map(Client::id).collect();
    let stop = AtomicBool::new(false);
    let last = Mutex::new(None);
    let heard: Vec<_> = thread::scope(|scope| {
        let _enough = Enough(&stop, &last);
        let listeners: Vec<_> = clients.iter().map(|client| scope.spawn(|| listen(client, &last))).collect();
        let talkers: Vec<_> = clients.iter().map(|client| scope.spawn(|| talk(client, &stop))).collect();
        let scribbler = scribbler(&place, Duration::from_secs(2));
        // Somebody comes while it is at it.
        assert!(member(&place, "newcomer").who().unwrap().len() > CLIENTS);
        scribbler.end().with(0);
        stop.store(true, Ordering::Relaxed);
        let counts: Vec<u64> = talkers.into_iter().map(|talker| talker.join().unwrap()).collect();
        for client in &clients {
            assert!(client.flush(LONG), "everything is answered afterwards");
        }
        let said: Said = clients.iter().map(Client::nick).zip(counts).collect();
        *last.lock().unwrap() = Some(said);
        listeners.into_iter().map(|listener| listener.join().unwrap()).collect()
    });
    everybody_heard_everything(&clients, &heard, &last.into_inner().unwrap().unwrap());
    assert_eq!(clients.iter().map(Client::id).collect::<Vec<_>>(), ids, "the sessions are the same");
    // Whoever looks sees that it happened.
    let times = RingView::open(&control_ring(&place.name)).unwrap().inspect().renewals;
    assert!(times > 0);
    let shown = place.run(&["inspect", &format!("{}.control", place.name)], "").with(0).out;
    assert!(shown.contains("made anew"), "{shown}");
    let doctor = place.run(&["doctor", place.name.as_str(), "--json"], "").with(1).out;
    assert!(doctor.contains(r#""check":"made_anew""#), "{doctor}");
    drop(clients);
    server.signal(Signal::SIGTERM);
    server.end().with(0);
}

#[test]
fn a_tail_and_a_chat_say_that_the_control_ring_was_damaged_and_go_on() {
    let place = Place::served();
    let mut tail = place.start(&["tail", "-r", "lobby", "--json", "--nick", "tess"]);
    tail.err.await_line("follows lobby");
    let mut chat = place.start(&["chat", "--nick", "ann"]);
    chat.err.await_line("you are ann in lobby");
    let path = format!("/dev/shm{}", control_ring(&place.name).segment());
    OpenOptions::new().write(true).open(path).unwrap().set_len(0).unwrap();
    tail.err.await_line("damaged the server's control ring");
    chat.err.await_line("damaged the server's control ring");
    tail.out.await_line("control_ring_renewed");
    chat.type_line("still here");
    tail.out.await_line("still here");
    tail.signal(Signal::SIGINT);
    tail.end().with(130);
    chat.close();
    chat.end().with(0);
}

#[test]
fn a_client_whose_reply_ring_is_truncated_connects_again_by_itself() {
    let place = Place::served();
    let (ann, bob) = (member(&place, "ann"), member(&place, "bob"));
    OpenOptions::new()
        .write(true)
        .open(format!("/dev/shm/halyard.{}", ann.ring_name()))
        .unwrap()
        .set_len(0)
        .unwrap();
    for n in 0..50 {
        bob.say(&format!("{n}")).unwrap();
    }
    let back =
        |event: &Event| matches!(event, Event::Reconnected { room: Some(room), .. } if room == "lobby");
    while !back(&ann.recv_timeout(LONG).unwrap().expect("a new session")) {}
    let word = ann.say("here again").unwrap();
    let heard = |event: &Event| matches!(event, Event::Message(message) if message.seq == word.seq);
    while !heard(&bob.recv_timeout(LONG).unwrap().expect("what ann said")) {}
    assert!(bob.is_connected() && bob.who().unwrap().len() == 2);
}
