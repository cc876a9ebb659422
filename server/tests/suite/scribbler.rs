//! A process that has a ring mapped writes random bytes all over it, for seconds, while others chat.
//!
//! `HALYARD_SCRIBBLE_SECONDS=10 cargo test -p halyard-server --test suite scribbler -- --nocapture` does it for longer,
//! and says what came of it.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use halyard_ring::RingName;
use halyard_ring::chat::{Kind, LeaveReason, OverflowPolicy, control_ring};

use crate::children::{Process, announce};
use crate::hostile::path;
use crate::renewal::insist;
use crate::support::{Hello, TestServer, names_of};

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

/// In a child: writes random bytes all over a ring, again and again. `how`: for how many milliseconds, which ring, and
/// "again" if it is to open the name again now and then, so that it also spoils what takes the ring's place. A process
/// that has the file open can do neither more nor less than one that has it mapped.
pub(crate) fn scribble(how: &str) {
    let mut words = how.split(' ');
    let time = Duration::from_millis(words.next().unwrap().parse().unwrap());
    let name = RingName::new(words.next().unwrap()).unwrap();
    let again = words.next() == Some("again");
    let mut random = Random(u64::from(std::process::id()));
    println!("\nscribbling with seed {}", random.0);
    let open = || OpenOptions::new().write(true).open(path(&name)).ok();
    let mut file = open().expect("there is a ring to begin with");
    announce("ready");
    let end = Instant::now() + time;
    while Instant::now() < end {
        let len = file.metadata().unwrap().len();
        let mut bytes = vec![0; len as usize];
        for word in bytes.chunks_exact_mut(8) {
            word.copy_from_slice(&random.next().to_ne_bytes());
        }
        // In pieces of whole words, in no order, so that there is always something half overwritten; then all of it.
        for _ in 0..64 {
            let from = random.next() % (len / 8 - 1) * 8;
            let to = (from + 8 + random.next() % 512 * 8).min(len);
            file.write_all_at(&bytes[from as usize..to as usize], from).unwrap();
        }
        file.write_all_at(&bytes, 0).unwrap();
        if again {
            std::thread::sleep(Duration::from_millis(random.next() % 100));
            file = open().unwrap_or(file);
        }
    }
    announce("done");
}

fn seconds(usual: f64) -> Duration {
    let asked = std::env::var("HALYARD_SCRIBBLE_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs_f64(asked.unwrap_or(usual))
}

/// What ann says last.
const LAST: &str = "the last word";

/// Ann talks to bob while somebody scribbles over the control ring, and afterwards.
fn talk_under_a_scribbler(again: &str) {
    let server = TestServer::start();
    let name = server.name().clone();
    let mut ann = server.client("ann");
    // Nothing shall be lost for want of room, however slowly this machine lets him read.
    let mut bob =
        Hello { capacity: 4096, policy: OverflowPolicy::Spill, ..Hello::new(&name, "bob") }.connect();
    ann.join("lobby");
    bob.join("lobby");
    let listener = std::thread::spawn(move || {
        let mut heard = Vec::new();
        loop {
            let message = bob.hear(Kind::Message);
            if message.text == LAST {
                return (bob, heard);
            }
            heard.push((message.record.room_seq, message.text));
        }
    });
    let time = seconds(2.0);
    let how = format!("{} {} {again}", time.as_millis(), control_ring(&name));
    let mut scribbler = Process::start(&name, &how, "scribble");
    let end = Instant::now() + time;
    let (mut acked, mut refused) = (Vec::new(), 0);
    let mut said = 0;
    while Instant::now() < end {
        said += 1;
        let answer = insist(&mut ann, &name, Kind::Say, &format!("word {said}"));
        if answer.kind == Kind::Ack.wire() {
            acked.push((answer.room_seq, format!("word {said}")));
        } else {
            refused += 1;
        }
    }
    scribbler.wait_for("done");
    assert!(scribbler.join());
    assert!(server.is_running() && server.stats().renewed > 0, "{:?}", server.stats());
    let renewed = server.stats().renewed;
    // What comes afterwards is as if nothing had been.
    for n in 0..100 {
        let text = if n < 99 { "a word" } else { LAST };
        assert_eq!(insist(&mut ann, &name, Kind::Say, text).kind, Kind::Ack.wire());
    }
    let mut cleo = server.client("cleo");
    cleo.join("lobby");
    cleo.quit();
    // Every acknowledged message reached bob once, in order, as numbered and as said.
    let (_bob, heard) = listener.join().unwrap();
    assert!(heard.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0), "{heard:?}");
    for one in &acked {
        assert!(heard.contains(one), "{one:?} was acknowledged; heard: {heard:?}");
    }
    println!(
        "{time:?} of scribbling: {renewed} new control rings, {} of {said} commands acknowledged, {refused} refused, {} heard",
        acked.len(),
        heard.len()
    );
    assert!(acked.len() > 3, "ann got through {} times", acked.len());
    assert!(server.stats().renewed <= renewed + 2, "and it is quiet again");
    assert_eq!((server.stats().connected, server.stats().died), (3, 0));
}

#[test]
fn a_scribbler_over_the_control_ring_stops_nobody() {
    talk_under_a_scribbler("");
}

#[test]
fn a_scribbler_over_every_new_control_ring_stops_nobody_for_long() {
    talk_under_a_scribbler("again");
}

#[test]
fn a_scribbler_over_a_reply_ring_hurts_its_owner_alone() {
    let server = TestServer::start();
    let (mut ann, mut bob) = (server.client("ann"), server.client("bob"));
    ann.join("lobby");
    bob.join("lobby");
    let victim = Process::start(server.name(), "victim", "deaf");
    ann.next_of(Kind::Joined);
    let own = format!(".reply.{}-", victim.pid());
    let reply = names_of(server.name()).into_iter().find(|name| name.contains(&own)).unwrap();
    let scribbler = Process::start(server.name(), &format!("500 {reply}"), "scribble");
    let mut said = Vec::new();
    let left = loop {
        let command = ann.say("a word");
        said.push(ann.ok(command).room_seq);
        if let Some(index) = ann.seen.iter().position(|record| record.kind == Kind::Left.wire()) {
            break ann.seen.remove(index).unwrap();
        }
    };
    assert_eq!(left.code, LeaveReason::Misbehaved.wire());
    for seq in said {
        assert_eq!(bob.hear(Kind::Message).record.room_seq, seq);
    }
    assert!(scribbler.join());
    assert_eq!((server.stats().clients, server.stats().renewed), (2, 0));
}
