//! The client library against a real server in this process.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use halyard_client::{
    Client, ClientOptions, Command, CommandError, ConnectError, ErrorCode, Event, LeaveReason, Loss, Policy,
    Reconnect, RecvError, ServerName, session,
};
use halyard_ring::list_names;
use halyard_server::{Config, Server};

/// Far longer than anything takes.
const LONG: Duration = Duration::from_secs(30);

fn name() -> ServerName {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    ServerName::new(&format!("library-{}-{count}", std::process::id())).unwrap()
}

fn start(name: &ServerName) -> Server {
    Server::start(Config { name: name.clone(), ..Config::default() }).unwrap()
}

fn client(name: &ServerName, nick: &str) -> Client {
    Client::connect(&ClientOptions::new(name.clone(), nick)).unwrap()
}

/// How many names of this server's clients there are in /dev/shm.
fn reply_rings(name: &ServerName) -> usize {
    let ours = format!("{name}.reply.");
    list_names().unwrap().iter().filter(|name| name.as_str().starts_with(&ours)).count()
}

/// The next event for which `pick` has something.
#[track_caller]
fn wait_for<T>(client: &Client, pick: impl Fn(&Event) -> Option<T>) -> T {
    let end = Instant::now() + LONG;
    loop {
        let event = client.recv_timeout(end.saturating_duration_since(Instant::now()));
        match event {
            Ok(Some(event)) => {
                if let Some(picked) = pick(&event) {
                    return picked;
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

fn text_of(event: &Event) -> Option<String> {
    match event {
        Event::Message(message) => Some(message.text.clone()),
        _ => None,
    }
}

#[test]
fn every_call_gets_its_answer() {
    let name = name();
    let server = start(&name);
    let (ann, bob) = (client(&name, "ann"), client(&name, "bob"));
    let joined = ann.join("lobby").unwrap();
    assert_eq!((joined.room.as_str(), joined.members, joined.last_seq), ("lobby", 1, 0));
    assert_eq!(ann.say("one").unwrap().seq, 1);
    assert_eq!(bob.join("lobby").unwrap().last_seq, 1);
    let said = ann.act("waves").unwrap();
    assert_eq!(said.seq, 2);
    assert!(said.times.sent_ns <= said.times.routed_ns && said.times.routed_ns <= said.times.delivered_ns);
    let (who, action) = wait_for(&bob, |event| match event {
        Event::Message(message) => Some((message.client, message.action)),
        _ => None,
    });
    assert_eq!((who, action), (ann.id(), true));
    assert_eq!(ann.dm("bob", "psst").unwrap().client, bob.id());
    assert_eq!(ann.dm(&bob.id().to_string(), "by number").unwrap().nick, "bob");
    let nicks = |members: Vec<halyard_client::Member>| -> Vec<String> {
        members.into_iter().map(|member| member.nick).collect()
    };
    assert_eq!(nicks(ann.who().unwrap()), ["ann", "bob"]);
    assert_eq!(bob.leave().unwrap(), "lobby");
    assert_eq!(nicks(bob.who_in("lobby").unwrap()), ["ann"]);
    assert_eq!(bob.who_in("nowhere").unwrap(), []);
    let rooms = bob.list().unwrap();
    assert_eq!((rooms.len(), rooms[0].name.as_str(), rooms[0].members), (1, "lobby", 1));
    assert_eq!(bob.rename("rob").unwrap(), "rob");
    assert_eq!((bob.nick(), bob.room(), ann.room()), ("rob".to_owned(), None, Some("lobby".to_owned())));
    assert!(bob.ping().unwrap() < LONG);
    assert_eq!(bob.limits().text_max, 4096);
    ann.quit().unwrap();
    bob.quit().unwrap();
    server.stop();
}

#[test]
fn errors_say_what_is_wrong() {
    let name = name();
    let missing = Client::connect(&ClientOptions::new(name.clone(), "ann")).unwrap_err();
    assert!(matches!(missing, ConnectError::NoServer { .. }) && missing.to_string().contains("start one"));
    let server = start(&name);
    let ann = client(&name, "ann");
    let connect = |nick: &str| Client::connect(&ClientOptions::new(name.clone(), nick)).unwrap_err();
    assert!(matches!(connect("ann"), ConnectError::NickTaken { nick } if nick == "ann"));
    assert!(matches!(connect("a b"), ConnectError::NickInvalid { .. }));
    let greedy = ClientOptions::new(name.clone(), "bob").policy(Policy::Spill(u32::MAX));
    let greedy = Client::connect(&greedy).unwrap_err();
    assert!(matches!(&greedy, ConnectError::Refused { code: ErrorCode::PolicyRefused, .. }), "{greedy:?}");
    let refused = |result: Result<_, CommandError>| match result {
        Err(CommandError::Refused(refusal)) => refusal.code,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(ann.say("hi").map(|_| ())), ErrorCode::NotInRoom);
    assert_eq!(refused(ann.who().map(|_| ())), ErrorCode::NotInRoom);
    assert_eq!(refused(ann.leave().map(|_| ())), ErrorCode::NotInRoom);
    assert_eq!(refused(ann.dm("bob", "hi").map(|_| ())), ErrorCode::NoSuchClient);
    assert!(matches!(ann.join("two words"), Err(CommandError::Name(_))));
    assert!(matches!(ann.say(""), Err(CommandError::Text(_))));
    let long = ann.say(&"x".repeat(4097)).unwrap_err();
    assert!(long.to_string().contains("at most 4096"), "{long}");
    ann.quit().unwrap();
    assert_eq!(ann.ping(), Err(CommandError::Closed));
    server.stop();
}

#[test]
fn nicks_can_be_made_unique() {
    let name = name();
    let server = start(&name);
    let options = ClientOptions::new(name.clone(), "ann").unique_nick(true);
    let clients: Vec<_> = (0..3).map(|_| Client::connect(&options).unwrap()).collect();
    let nicks: Vec<_> = clients.iter().map(Client::nick).collect();
    assert_eq!(nicks, ["ann", "ann-2", "ann-3"]);
    drop(clients);
    server.stop();
}

#[test]
fn no_name_outlives_its_client() {
    let name = name();
    let server = start(&name);
    let (quits, drops) = (client(&name, "ann"), client(&name, "bob"));
    let halves = session::connect(&ClientOptions::new(name.clone(), "cas")).unwrap();
    assert_eq!(reply_rings(&name), 3);
    quits.quit().unwrap();
    assert_eq!(reply_rings(&name), 2, "gone when quit returns");
    drop(drops);
    assert_eq!(reply_rings(&name), 1);
    drop(halves);
    assert_eq!(reply_rings(&name), 0);
    // The server has heard of all of them.
    let end = Instant::now() + LONG;
    while server.stats().clients > 0 {
        assert!(Instant::now() < end, "{:?}", server.clients());
        std::thread::sleep(Duration::from_millis(1));
    }
    // Refused ones leave nothing either.
    let _ann = client(&name, "ann");
    Client::connect(&ClientOptions::new(name.clone(), "ann")).unwrap_err();
    assert_eq!(reply_rings(&name), 1);
    server.stop();
}

#[test]
fn what_is_submitted_arrives_in_order_and_is_answered() {
    let name = name();
    let server = start(&name);
    let patient = |nick: &str| {
        Client::connect(&ClientOptions::new(name.clone(), nick).policy(Policy::Spill(0))).unwrap()
    };
    let (ann, bob) = (patient("ann"), patient("bob"));
    ann.join("lobby").unwrap();
    bob.join("lobby").unwrap();
    let say = |n: usize| Command::Say { text: format!("{n} {}", "z".repeat(n)), action: false };
    let tickets: Vec<u64> = (0..1000).map(|n| ann.submit(say(n)).unwrap()).collect();
    for n in 0..1000 {
        assert_eq!(wait_for(&bob, text_of), format!("{n} {}", "z".repeat(n)));
    }
    assert!(ann.flush(LONG));
    let answered: Vec<u64> = std::iter::from_fn(|| ann.try_recv().unwrap())
        .filter_map(|event| match event {
            Event::Answer(answer) => answer.result.ok().map(|_| answer.command),
            _ => None,
        })
        .collect();
    assert_eq!(answered, tickets);
    // LIST without waiting: the entries come in front of the answer.
    ann.submit(Command::List).unwrap();
    let room = wait_for(&ann, |event| match event {
        Event::Room(entry) => Some(entry.name.clone()),
        Event::Answer(_) => panic!("the answer before its entries"),
        _ => None,
    });
    assert_eq!(room, "lobby");
    drop((ann, bob));
    server.stop();
}

#[test]
fn many_threads_share_a_client() {
    let name = name();
    let server = start(&name);
    let ann = client(&name, "ann");
    ann.join("lobby").unwrap();
    let seqs = std::thread::scope(|scope| {
        let say = |thread: usize| {
            let ann = &ann;
            move || (0..50).map(|n| ann.say(&format!("{thread} {n}")).unwrap().seq).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..4).map(|thread| scope.spawn(say(thread))).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect::<std::collections::BTreeSet<_>>()
    });
    assert!(seqs.into_iter().eq(1..=200), "each message has a number of its own");
    drop(ann);
    server.stop();
}

#[test]
fn a_client_finds_the_server_that_comes_back_and_goes_on() {
    let name = name();
    let first = start(&name);
    let (ann, bob) = (client(&name, "ann"), client(&name, "bob"));
    ann.join("lobby").unwrap();
    bob.join("lobby").unwrap();
    ann.rename("zoe").unwrap();
    first.stop();
    let loss = wait_for(&ann, |event| match event {
        Event::Disconnected(loss) => Some(*loss),
        _ => None,
    });
    assert_eq!(loss, Loss::Goodbye(LeaveReason::Shutdown));
    assert!(!ann.is_connected());
    let ticket = ann.submit(Command::Say { text: "hello again".to_owned(), action: false }).unwrap();
    let second = start(&name);
    let back = |event: &Event| match event {
        Event::Reconnected { nick, room, .. } => Some((nick.clone(), room.clone())),
        _ => None,
    };
    assert_eq!(wait_for(&ann, back), ("zoe".to_owned(), Some("lobby".to_owned())));
    let seq = wait_for(&ann, |event| match event {
        Event::Answer(answer) if answer.command == ticket => {
            Some(answer.result.as_ref().map(|ack| ack.seq).ok())
        }
        _ => None,
    });
    assert_eq!(seq, Some(1));
    assert_eq!(wait_for(&bob, back), ("bob".to_owned(), Some("lobby".to_owned())));
    assert_eq!(bob.say("me too").unwrap().seq, 2);
    drop((ann, bob));
    second.stop();
}

#[test]
fn who_does_not_wish_to_reconnect_is_told_of_the_end() {
    let name = name();
    let server = start(&name);
    let never = ClientOptions::new(name.clone(), "ann").reconnect(Reconnect::Never);
    let within =
        ClientOptions::new(name.clone(), "bob").reconnect(Reconnect::Within(Duration::from_millis(50)));
    let (ann, bob) = (Client::connect(&never).unwrap(), Client::connect(&within).unwrap());
    server.stop();
    let shutdown = Loss::Goodbye(LeaveReason::Shutdown);
    assert_eq!(ann.events().collect::<Vec<_>>(), [Event::Disconnected(shutdown)]);
    assert_eq!(ann.try_recv(), Err(RecvError::Over(shutdown)));
    assert_eq!(ann.ping(), Err(CommandError::Closed));
    let events: Vec<_> = bob.events().collect();
    assert_eq!(events[0], Event::Disconnected(shutdown));
    assert!(matches!(&events[1..], [Event::GaveUp { why }] if why.contains("start one")), "{events:?}");
    drop((ann, bob));
    assert_eq!(reply_rings(&name), 0);
}

#[test]
fn a_call_without_a_server_times_out_and_says_so() {
    let name = name();
    let server = start(&name);
    let options = ClientOptions::new(name.clone(), "ann").answer_timeout(Duration::from_millis(50));
    let ann = Client::connect(&options).unwrap();
    server.stop();
    wait_for(&ann, |event| matches!(event, Event::Disconnected(_)).then_some(()));
    let late = ann.ping().unwrap_err();
    assert!(matches!(late, CommandError::TimedOut { disconnected: true, .. }), "{late:?}");
    // Dropping it does not wait for a server either.
    drop(ann);
    assert_eq!(reply_rings(&name), 0);
}

#[test]
fn a_program_that_reads_no_events_is_told_how_many_it_missed() {
    let name = name();
    let server = start(&name);
    let options = ClientOptions::new(name.clone(), "ann").events_max(10);
    let ann = Client::connect(&options).unwrap();
    ann.join("lobby").unwrap();
    for n in 0..30 {
        ann.say(&n.to_string()).unwrap();
    }
    let events: Vec<_> = std::iter::from_fn(|| ann.try_recv().unwrap()).collect();
    assert_eq!(events.len(), 11);
    assert_eq!(events[10], Event::Overrun(20));
    drop(ann);
    server.stop();
}

#[test]
fn a_session_that_does_not_read_sees_exactly_what_it_lost() {
    let name = name();
    let server = start(&name);
    let options = ClientOptions::new(name.clone(), "slow").ring_capacity(32);
    let (mut sender, mut receiver) = session::connect(&options).unwrap();
    sender.join("lobby").unwrap();
    while !matches!(receiver.recv_timeout(LONG).unwrap(), Some(Event::Answer(_))) {}
    let ann = client(&name, "ann");
    ann.join("lobby").unwrap();
    const MESSAGES: u64 = 200;
    for n in 1..=MESSAGES {
        assert_eq!(ann.say(&n.to_string()).unwrap().seq, n);
    }
    let (mut heard, mut lost, mut last) = (0, 0, 0);
    while last < MESSAGES {
        match receiver.recv_timeout(LONG).unwrap() {
            Some(Event::Message(message)) => {
                heard += 1;
                assert_eq!(message.seq, last + 1, "nothing is missing without a gap that says so");
                last = message.seq;
            }
            Some(Event::Gap(gap)) => {
                let told = gap.told.expect("the server says what it dropped");
                lost += u64::from(told.messages);
                if told.messages > 0 {
                    assert_eq!(gap.first_seq, last + 1);
                    last = gap.last_seq;
                }
            }
            Some(_) => {}
            None => panic!("after {last}"),
        }
    }
    assert_eq!(heard + lost, MESSAGES);
    assert!(heard >= 20 && lost > 0, "{heard} heard, {lost} lost");
    drop((sender, receiver, ann));
    server.stop();
}

#[test]
fn deliveries_can_be_borrowed() {
    let name = name();
    let server = start(&name);
    let (mut sender, mut receiver) = session::connect(&ClientOptions::new(name, "ann")).unwrap();
    sender.join("lobby").unwrap();
    let long = "ü".repeat(2000);
    sender.say(&long).unwrap();
    let same = loop {
        let same = receiver.recv_with(LONG, |delivery| match delivery {
            Event::Message(message) => Some(message.text == long && message.room == "lobby"),
            _ => None,
        });
        if let Some(Some(same)) = same.unwrap() {
            break same;
        }
    };
    assert!(same);
    assert_eq!(receiver.try_recv().map(|event| event.is_some()), Ok(true), "the answer");
    let quit = sender.quit().unwrap();
    let mut confirmed = false;
    let end = loop {
        match receiver.recv_timeout(LONG) {
            Ok(Some(Event::Answer(answer))) => confirmed |= answer.command == quit,
            Ok(_) => {}
            Err(end) => break end,
        }
    };
    assert!(confirmed);
    assert_eq!(end, RecvError::Over(Loss::Closed));
    server.stop();
}

#[test]
fn one_nick_in_two_rooms_survives_a_restart_of_the_server() {
    let name = name();
    let server = start(&name);
    let ann = Client::connect(&ClientOptions::new(name.clone(), "ann")).unwrap();
    let second = ann.companion().unwrap();
    ann.join("lobby").unwrap();
    second.join("dev").unwrap();
    assert_ne!(ann.ring_name(), second.ring_name());
    assert_eq!(second.rename("anna").unwrap(), "anna");
    assert_eq!((ann.nick(), second.nick()), ("anna".to_owned(), "anna".to_owned()));
    server.stop();
    let server = start(&name);
    for client in [&ann, &second] {
        let back = client.events().find_map(|event| match event {
            Event::Reconnected { room, .. } => Some(room),
            _ => None,
        });
        assert_eq!(back.flatten(), client.room());
    }
    assert_eq!(second.who_in("lobby").unwrap()[0].nick, "anna");
    assert_eq!(second.who().unwrap()[0].nick, "anna");
    second.say("hello").unwrap();
    let earlier = ann.history_of("dev", 5, 0).unwrap();
    assert_eq!(earlier.iter().map(|message| &*message.text).collect::<Vec<_>>(), ["hello"]);
    assert!(ann.history(5, 0).unwrap().is_empty());
    drop((second, ann));
    server.stop();
}
