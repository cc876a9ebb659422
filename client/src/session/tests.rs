//! The receiver against a ring that the test writes: what a server sends, and what none should.

use std::sync::Arc;
use std::time::Duration;

use halyard_ring::chat::{
    ErrorCode, Kind, LeaveReason, LostBody, Record, SCHEMA, ServerName, WelcomeBody, control_ring, flags,
    fragments,
};
use halyard_ring::{Consumer, Producer, Ring, RingOptions};

use super::reply::Reply;
use super::{Receiver, Sender, hostile};
use crate::command::Command;
use crate::error::{ConnectError, SendError};
use crate::event::{Event, Fault, Gap, Loss, Lost, Unusable};
use crate::options::ClientOptions;

mod first;

/// Plays the server: numbers the records and writes them into the reply ring.
struct Server {
    producer: Producer<Record>,
    commands: Consumer<Record>,
    reply: Arc<Reply>,
    next: u64,
}

fn session() -> (Server, Sender, Receiver) {
    let hostile::Session { server: producer, sender, receiver, reply } = hostile::session(64);
    let commands = reply.control().consumer().unwrap();
    (Server { producer, commands, reply, next: 2 }, sender, receiver)
}

impl Server {
    fn send(&mut self, mut record: Record) {
        record.number = self.next;
        self.next += 1;
        self.producer.push(record).unwrap();
    }

    /// Says `text` as message `seq` of room 1, in as many records as it takes; only those that `which` picks arrive.
    fn say(&mut self, seq: u64, text: &str, which: impl Fn(usize) -> bool) {
        self.say_as(seq, text, (0, 0), which);
    }

    /// The same for a text with an origin and a number.
    fn say_as(&mut self, seq: u64, text: &str, id: (u64, u64), which: impl Fn(usize) -> bool) {
        let frags = fragments(3, text).count();
        for (index, piece) in fragments(3, text).enumerate() {
            let mut record = Record::new(Kind::Message).with_body(if index == 0 { "bob" } else { "" }, piece);
            (record.room, record.room_seq, record.client) = (1, seq, 8);
            (record.frag, record.frags) = (index as u8, frags as u8);
            record.sent_ns = seq;
            record.set_origin(id.0);
            record.command = id.1;
            if which(index) { self.send(record) } else { self.next += 1 }
        }
    }

    fn joined(&mut self, command: u64, room: u32, name: &str, last_seq: u64) {
        let mut ack = Record::new(Kind::Ack).with_body("", name);
        (ack.code, ack.command) = (Kind::Join.wire(), command);
        (ack.room, ack.room_seq, ack.count) = (room, last_seq, 2);
        self.send(ack);
    }
}

/// What comes, in short.
fn next(receiver: &mut Receiver) -> String {
    let show = |event: Event<&str>| match event {
        Event::Message(m) => format!("{} {} {} {}", m.room, m.seq, m.nick, m.text.len()),
        Event::Gap(Gap { first_number, last_number, first_seq, last_seq, told, at_end }) => {
            let end = if at_end { " at the end" } else { "" };
            format!(
                "gap {first_number}-{last_number} seq {first_seq}-{last_seq} told {}{end}",
                told.is_some()
            )
        }
        Event::Direct(direct) => format!("direct {} {}", direct.nick, direct.text.len()),
        Event::Answer(answer) => format!("answer {} {}", answer.command, answer.result.is_ok()),
        Event::Unusable(Unusable { number, why }) => format!("unusable {number} {why:?}"),
        other => format!("{other:?}"),
    };
    receiver.recv_with(Duration::ZERO, show).unwrap().unwrap_or_else(|| "nothing".to_owned())
}

#[test]
fn messages_come_with_their_room_and_long_ones_whole() {
    let (mut server, _sender, mut receiver) = session();
    server.joined(2, 1, "lobby", 4);
    server.say(5, "hi", |_| true);
    server.say(6, &"ü".repeat(2000), |_| true);
    assert_eq!(next(&mut receiver), "answer 2 true");
    assert_eq!(next(&mut receiver), "lobby 5 bob 2");
    assert_eq!(next(&mut receiver), "lobby 6 bob 4000");
    assert_eq!(next(&mut receiver), "nothing");
}

/// A session in whose reply ring one message lies behind much that says nothing by itself.
fn mostly_nothing() -> (Server, Sender, Receiver) {
    let hostile::Session { server: producer, sender, receiver, reply } = hostile::session(1024);
    let commands = reply.control().consumer().unwrap();
    let mut server = Server { producer, commands, reply, next: 2 };
    for seq in 1..=500 {
        // The beginning of a text whose rest never comes.
        server.say(seq, &"x".repeat(400), |index| index == 0);
        server.next -= 2;
    }
    server.say(501, "at last", |_| true);
    (server, sender, receiver)
}

#[test]
fn a_server_that_says_nothing_without_end_does_not_hold_a_look_for_ever() {
    let (_server, _sender, mut receiver) = mostly_nothing();
    let pauses = (0..1000).take_while(|_| next(&mut receiver) == "nothing").count();
    assert!((5..=20).contains(&pauses), "{pauses} looks came back before the one event");
}

#[test]
fn what_lies_in_the_ring_at_the_end_is_delivered_however_much_says_nothing() {
    let (_server, _sender, mut receiver) = mostly_nothing();
    let mut heard = Vec::new();
    receiver.drain(|event| heard.extend(matches!(event, Event::Message(_)).then_some(())));
    assert_eq!(heard.len(), 1);
}

#[test]
fn a_client_that_is_refused_its_room_is_on_its_way_no_longer() {
    let (mut server, mut sender, mut receiver) = session();
    let former = Arc::new(Reply::heap(16));
    receiver.comes_from(Arc::clone(&former));
    let ping = sender.ping().unwrap();
    let join = sender.join("lobby").unwrap();
    for (command, code, holders) in [(ping, ErrorCode::TooFast, 2), (join, ErrorCode::RoomFull, 1)] {
        let mut error = Record::new(Kind::Error);
        (error.code, error.command) = (code.wire(), command);
        server.send(error);
        assert_eq!(next(&mut receiver), format!("answer {command} false"));
        assert_eq!(Arc::strong_count(&former), holders, "{code:?}");
    }
}

#[test]
fn a_control_ring_whose_schema_was_overwritten_is_looked_at_again() {
    let server = ServerName::new(&format!("schema-{}", std::process::id())).unwrap();
    let name = control_ring(&server);
    let damaged = Ring::<Record>::create(&name, &RingOptions::mpsc(16).schema(SCHEMA + 1)).unwrap();
    let anew = std::thread::spawn(move || {
        // The client is to find the damaged one first.
        std::thread::sleep(Duration::from_millis(100));
        damaged.renew(&RingOptions::mpsc(16).schema(SCHEMA)).unwrap()
    });
    let options = ClientOptions::new(server, "ann").connect_timeout(Duration::from_secs(5));
    let found = super::connect(&options);
    anew.join().unwrap().unlink().unwrap();
    // There is nobody behind it to answer.
    assert!(matches!(found, Err(ConnectError::NoAnswer { .. })), "{:?}", found.err());
}

#[test]
fn a_gap_stands_in_front_of_what_follows_it() {
    let (mut server, _sender, mut receiver) = session();
    server.joined(2, 1, "lobby", 0);
    server.say(1, "one", |_| true);
    server.next += 2;
    server.say(4, "four", |_| true);
    assert_eq!(next(&mut receiver), "answer 2 true");
    assert_eq!(next(&mut receiver), "lobby 1 bob 3");
    assert_eq!(next(&mut receiver), "gap 4-5 seq 0-0 told false");
    assert_eq!(next(&mut receiver), "gap 0-0 seq 2-3 told false");
    assert_eq!(next(&mut receiver), "lobby 4 bob 4");
}

#[test]
fn what_the_server_says_is_lost_is_one_gap_and_no_more() {
    let (mut server, _sender, mut receiver) = session();
    server.joined(2, 1, "lobby", 0);
    server.next += 3;
    let mut lost = Record::new(Kind::Lost);
    lost.room = 1;
    let body = LostBody {
        first_number: 3,
        last_number: 5,
        first_seq: 1,
        last_seq: 2,
        messages: 2,
        ..LostBody::default()
    };
    lost.set_struct(&body);
    server.send(lost);
    server.say(3, "three", |_| true);
    assert_eq!(next(&mut receiver), "answer 2 true");
    let gap = receiver.try_recv().unwrap();
    let told = Some(Lost { messages: 2, directs: 0, others: 0 });
    assert_eq!(
        gap,
        Some(Event::Gap(Gap {
            first_number: 3,
            last_number: 5,
            first_seq: 1,
            last_seq: 2,
            told,
            at_end: false
        }))
    );
    assert_eq!(next(&mut receiver), "lobby 3 bob 5");
}

#[test]
fn half_a_text_is_never_shown_as_a_whole_one() {
    let (mut server, _sender, mut receiver) = session();
    server.joined(2, 1, "lobby", 0);
    server.say(1, &"x".repeat(400), |index| index != 1);
    server.say(2, "two", |_| true);
    assert_eq!(next(&mut receiver), "answer 2 true");
    assert_eq!(next(&mut receiver), "gap 4-4 seq 1-1 told false");
    assert_eq!(next(&mut receiver), "unusable 5 Fragment");
    assert_eq!(next(&mut receiver), "lobby 2 bob 3");
}

#[test]
fn records_that_no_server_sends_do_no_harm() {
    let (mut server, _sender, mut receiver) = session();
    server.send(Record::new(Kind::Hello));
    let mut bad = Record::new(Kind::Message).with_body("", "x");
    bad.body[0] = 0xff;
    server.send(bad);
    let mut long = Record::new(Kind::Ping);
    long.len = 4000;
    server.send(long);
    let mut meaningless = Record::new(Kind::Ack);
    meaningless.code = Kind::Welcome.wire();
    server.send(meaningless);
    server.next -= 1;
    server.send(Record::new(Kind::Ping));
    assert_eq!(next(&mut receiver), "unusable 2 Meaning");
    assert_eq!(next(&mut receiver), "unusable 3 Bad(Utf8)");
    assert_eq!(next(&mut receiver), "unusable 4 Bad(Length(4000))");
    assert_eq!(next(&mut receiver), "unusable 5 Meaning");
    assert_eq!(next(&mut receiver), format!("unusable 5 {:?}", Fault::Repeated));
}

#[test]
fn a_second_welcome_says_nothing_new() {
    let (mut server, _sender, mut receiver) = session();
    for client in [7, 8] {
        // As long as its body has to be.
        let mut welcome = Record::new(Kind::Welcome).with_body("", &"0".repeat(size_of::<WelcomeBody>()));
        welcome.client = client;
        server.send(welcome);
    }
    assert_eq!(next(&mut receiver), "unusable 3 Meaning", "of another client");
    assert_eq!(next(&mut receiver), "nothing");
}

#[test]
fn an_answer_that_comes_twice_does_not_bring_the_client_back() {
    let (mut server, _sender, mut receiver) = session();
    server.joined(2, 1, "lobby", 0);
    server.joined(3, 2, "dev", 10);
    server.joined(2, 1, "lobby", 0);
    let mut message = Record::new(Kind::Message).with_body("bob", "hi");
    (message.room, message.room_seq) = (2, 11);
    server.send(message);
    for _ in 0..3 {
        assert!(next(&mut receiver).starts_with("answer"));
    }
    assert_eq!(next(&mut receiver), "dev 11 bob 2");
}

#[test]
fn after_the_end_everything_before_it_is_still_delivered() {
    let (mut server, _sender, mut receiver) = session();
    server.say(1, "bye", |_| true);
    let mut goodbye = Record::new(Kind::Goodbye);
    goodbye.code = LeaveReason::Shutdown.wire();
    server.send(goodbye);
    server.reply.ring().close();
    assert_eq!(next(&mut receiver), " 1 bob 3");
    assert_eq!(receiver.try_recv().unwrap(), Some(Event::Goodbye(LeaveReason::Shutdown)));
    let end = receiver.recv_timeout(Duration::from_secs(20)).unwrap_err();
    assert_eq!(end.loss(), Loss::Goodbye(LeaveReason::Shutdown));
}

#[test]
fn what_waited_for_a_session_that_is_over_is_a_gap_at_its_end() {
    let (mut server, _sender, mut receiver) = session();
    server.say(1, "bye", |_| true);
    server.say(2, &"x".repeat(400), |index| index == 0);
    server.reply.ring().set_note(9);
    assert_eq!(next(&mut receiver), " 1 bob 3");
    assert_eq!(next(&mut receiver), "nothing");
    server.reply.ring().close();
    assert_eq!(next(&mut receiver), "gap 4-9 seq 2-2 told false at the end");
    let end = receiver.recv_timeout(Duration::from_secs(20)).unwrap_err();
    assert_eq!(end.loss(), Loss::Closed);
}

#[test]
fn a_note_that_was_overtaken_is_no_gap_and_a_wild_one_is_told_once() {
    for (note, expected) in [(2, "Over(Closed)"), (u64::MAX, "gap")] {
        let (mut server, _sender, mut receiver) = session();
        server.say(1, "bye", |_| true);
        server.reply.ring().set_note(note);
        server.reply.ring().close();
        assert_eq!(next(&mut receiver), " 1 bob 3");
        let first =
            receiver.recv_with(Duration::ZERO, |event| matches!(event, Event::Gap(gap) if gap.at_end));
        let first =
            first.map_or_else(|error| format!("{error:?}"), |gap| gap.map_or("none", |_| "gap").to_owned());
        assert_eq!(first, expected);
        assert_eq!(receiver.try_recv().unwrap_err().loss(), Loss::Closed);
    }
}

#[test]
fn a_server_that_was_silent_is_back_with_the_first_record() {
    let (mut server, _sender, mut receiver) = session();
    server.joined(2, 1, "lobby", 0);
    assert_eq!(next(&mut receiver), "answer 2 true");
    receiver.takes_the_server_for_silent();
    server.next += 1;
    server.say(1, "one", |_| true);
    server.say(2, "two", |_| true);
    assert_eq!(next(&mut receiver), "gap 3-3 seq 0-0 told false");
    assert_eq!(next(&mut receiver), "ServerBack");
    assert_eq!(next(&mut receiver), "lobby 1 bob 3");
    assert_eq!(next(&mut receiver), "lobby 2 bob 3");
}

#[test]
fn what_was_heard_from_an_earlier_server_is_passed_over() {
    let (mut server, _sender, mut receiver) = session();
    server.joined(2, 1, "lobby", 0);
    receiver.heard_before(77, 3);
    let mut seq = 0;
    let mut say = |server: &mut Server, text_number: u64, text: &str| {
        seq += 1;
        server.say_as(seq, text, (77, text_number), |_| true);
    };
    say(&mut server, 3, "doubled");
    say(&mut server, 4, &"long ".repeat(100));
    say(&mut server, 4, &"long ".repeat(100));
    say(&mut server, 2, "overtaken");
    let mut direct = Record::new(Kind::Direct).with_body("bob", "told before");
    direct.command = 4;
    direct.set_origin(77);
    server.send(direct);
    say(&mut server, 0, "without a number");
    say(&mut server, 0, "without a number");
    assert_eq!(next(&mut receiver), "answer 2 true");
    assert_eq!(next(&mut receiver), "lobby 2 bob 500");
    assert_eq!(next(&mut receiver), "lobby 4 bob 9");
    assert_eq!(next(&mut receiver), "lobby 5 bob 16");
    assert_eq!(next(&mut receiver), "lobby 6 bob 16");
    assert_eq!(next(&mut receiver), "nothing");
    assert_eq!(receiver.repeated(), 3);
}

#[test]
fn half_a_text_was_not_heard() {
    let (mut server, _sender, mut receiver) = session();
    server.joined(2, 1, "lobby", 0);
    // The server was killed between two fragments; the next one says it again.
    server.say_as(1, &"x".repeat(400), (77, 1), |index| index < 2);
    server.next -= 1;
    server.say_as(2, &"x".repeat(400), (77, 1), |_| true);
    assert_eq!(next(&mut receiver), "answer 2 true");
    assert_eq!(next(&mut receiver), "lobby 2 bob 400");
}

#[test]
fn an_error_names_its_command_and_code() {
    let (mut server, _sender, mut receiver) = session();
    let mut error = Record::new(Kind::Error).with_body("", "you are in no room");
    (error.code, error.command) = (ErrorCode::NotInRoom.wire(), 2);
    server.send(error);
    let Some(Event::Answer(answer)) = receiver.try_recv().unwrap() else { panic!("no answer") };
    assert_eq!(answer.command, 2);
    assert_eq!(answer.result.unwrap_err().code, ErrorCode::NotInRoom);
}

#[test]
fn commands_are_numbered_and_bear_the_token() {
    let (mut server, mut sender, _receiver) = session();
    assert_eq!(sender.join("lobby"), Ok(2));
    assert_eq!(sender.act("waves"), Ok(3));
    sender.send_again(3, &Command::Say { text: "waves", action: true }).unwrap();
    assert_eq!(sender.dm("bob", &"y".repeat(400)), Ok(4));
    let mut pop = || server.commands.try_pop().unwrap();
    let join = pop();
    assert_eq!((join.kind, join.command, join.client, join.generation), (Kind::Join.wire(), 2, 7, 99));
    assert_eq!(pop().flags, flags::ACTION);
    let again = pop();
    assert_eq!((again.command, again.number, again.flags), (3, 1, flags::ACTION | flags::RETRY));
    let parts = [pop(), pop(), pop()];
    assert!(parts.iter().all(|part| part.command == 4 && part.number == 2 && part.frags == 3));
    assert_eq!(parts.map(|part| part.frag), [0, 1, 2]);
    assert_eq!(parts[0].check().unwrap().nick, "bob");
    assert_eq!(parts.iter().map(|part| part.check().unwrap().text.len()).sum::<usize>(), 400);
    drop(sender);
    assert_eq!(pop().kind, Kind::Quit.wire());
}

#[test]
fn no_more_commands_are_under_way_than_the_server_allows() {
    let (mut server, mut sender, mut receiver) = session();
    // The window is 64, and HELLO was answered.
    for _ in 0..64 {
        sender.ping().unwrap();
        server.commands.try_pop().unwrap();
    }
    assert_eq!(sender.ping(), Err(SendError::Unanswered { window: 64 }));
    let mut ack = Record::new(Kind::Ack);
    (ack.code, ack.command) = (Kind::Ping.wire(), 10);
    server.send(ack);
    assert_eq!(sender.ping(), Err(SendError::Unanswered { window: 64 }), "an answer that nobody has read");
    assert_eq!(next(&mut receiver), "answer 10 true");
    sender.ping().unwrap();
    // To leave is always allowed.
    drop(sender);
    let mut last = None;
    while let Ok(record) = server.commands.try_pop() {
        last = Some(record.kind);
    }
    assert_eq!(last, Some(Kind::Quit.wire()));
}
