//! A server that is killed at random moments under load: what its clients hear.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use halyard_client::{Client, ClientOptions, Command, Event, Loss, Policy, session};
use nix::sys::signal::Signal;

use crate::util::{LONG, Place, Running};

pub(crate) const CLIENTS: usize = 4;
const KILLS: u64 = 8;

/// A server that waits for all of a dead one's clients, however slow this machine is.
fn server(place: &Place) -> Running {
    let mut server = place.start(&["server", "--broadcasters", "3", "--pin", "no", "--rejoin", "60s"]);
    server.err.await_line("serving");
    server
}

pub(crate) fn member(place: &Place, nick: &str) -> Client {
    // Room for all that can be under way, so that nothing is lost for want of it.
    let options = ClientOptions::new(place.name.clone(), nick).ring_capacity(4096).policy(Policy::Spill(0));
    let client = Client::connect(&options.answer_timeout(LONG)).unwrap();
    client.join("lobby").unwrap();
    client
}

/// Says things until it is told to stop; returns how many.
pub(crate) fn talk(client: &Client, stop: &AtomicBool) -> u64 {
    let mut said = 0;
    while !stop.load(Ordering::Relaxed) {
        said += 1;
        // Now and then one that takes several records.
        let padding = if said % 16 == 0 { "x".repeat(600) } else { String::new() };
        let text = format!("{said} {padding}");
        client.submit(Command::Say { text, action: false }).unwrap();
        thread::sleep(Duration::from_micros(200));
    }
    said
}

/// Listens until it has heard the last text of everybody: what it heard from whom, in order, and how often the
/// server was lost.
pub(crate) fn listen(client: &Client, last: &Mutex<Option<Said>>) -> BTreeMap<String, Vec<u64>> {
    let mut heard: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut end = None;
    loop {
        let last = last.lock().unwrap().clone();
        match client.recv_timeout(Duration::from_millis(20)) {
            Ok(Some(Event::Message(message))) => {
                let number = message.text.split(' ').next().unwrap().parse().unwrap();
                heard.entry(message.nick).or_default().push(number);
            }
            Ok(Some(Event::Gap(gap))) => panic!("{gap:?}"),
            Ok(Some(Event::GaveUp { why })) => panic!("{why}"),
            Ok(Some(Event::Answer(answer))) if answer.result.is_err() => panic!("{answer:?}"),
            Ok(Some(_)) => {}
            Ok(None) => {
                if let Some(last) = last {
                    let has = |(nick, last): (&String, &u64)| {
                        heard.get(nick).is_some_and(|numbers| numbers.last() >= Some(last))
                    };
                    let end = *end.get_or_insert_with(|| Instant::now() + LONG);
                    if last.iter().all(has) || Instant::now() > end {
                        return heard;
                    }
                }
            }
            Err(over) => panic!("{over}"),
        }
    }
}

/// Who said how many texts.
pub(crate) type Said = BTreeMap<String, u64>;

/// Whatever happens, nobody waits for more than what was said until now.
pub(crate) struct Enough<'a>(pub(crate) &'a AtomicBool, pub(crate) &'a Mutex<Option<Said>>);

impl Drop for Enough<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.lock().unwrap().get_or_insert_default();
    }
}

/// Each of the clients heard each text of everybody once, in order.
#[track_caller]
pub(crate) fn everybody_heard_everything(
    clients: &[Client],
    heard: &[BTreeMap<String, Vec<u64>>],
    said: &Said,
) {
    for (client, heard) in clients.iter().zip(heard) {
        for (nick, &count) in said {
            let numbers = heard.get(nick).map_or(&[][..], |numbers| &numbers[..]);
            let wrong = numbers.iter().zip(1..).find(|&(&number, expected)| number != expected);
            assert!(
                wrong.is_none() && numbers.len() as u64 == count,
                "{} heard {} of {count} from {nick}; the first that is not in its place: {wrong:?} (heard, expected)",
                client.nick(),
                numbers.len()
            );
        }
    }
}

#[test]
fn whoever_stays_hears_everything_once_and_in_order_however_often_the_server_is_killed() {
    let place = Place::empty();
    let mut running = Some(server(&place));
    let clients: Vec<Client> = (0..CLIENTS).map(|n| member(&place, &format!("client{n}"))).collect();
    let stop = AtomicBool::new(false);
    let last = Mutex::new(None);
    let heard: Vec<_> = thread::scope(|scope| {
        let _enough = Enough(&stop, &last);
        let listeners: Vec<_> = clients.iter().map(|client| scope.spawn(|| listen(client, &last))).collect();
        let talkers: Vec<_> = clients.iter().map(|client| scope.spawn(|| talk(client, &stop))).collect();
        for kill in 0..KILLS {
            let moment = RandomState::new().hash_one(kill) % 150_000;
            thread::sleep(Duration::from_micros(moment));
            // Dropping it kills it, and waits until it is gone: then its name is free.
            drop(running.take());
            running = Some(server(&place));
        }
        stop.store(true, Ordering::Relaxed);
        let said: Said = clients
            .iter()
            .zip(talkers)
            .map(|(client, talker)| (client.nick(), talker.join().unwrap()))
            .collect();
        for client in &clients {
            assert!(client.flush(LONG), "everything is acknowledged in the end");
        }
        *last.lock().unwrap() = Some(said);
        listeners.into_iter().map(|listener| listener.join().unwrap()).collect()
    });
    let said = last.into_inner().unwrap().unwrap();
    everybody_heard_everything(&clients, &heard, &said);
    drop(clients);
    let running = running.unwrap();
    running.signal(Signal::SIGTERM);
    running.end().with(0);
}

#[test]
fn a_killed_server_is_noticed_at_once_and_its_name_may_go_to_one_that_a_chat_hosts() {
    let place = Place::empty();
    let running = server(&place);
    let ann = member(&place, "ann");
    running.signal(Signal::SIGKILL);
    drop(running);
    let gone = |event: &Event| matches!(event, Event::Disconnected(_));
    while !gone(&ann.recv_timeout(LONG).unwrap().expect("news of the server's end")) {}
    // A newcomer finds no server and hosts one; whoever was there finds it.
    let mut chat = place.start(&["chat", "--nick", "bob"]);
    chat.err.await_line("this chat hosts it");
    let back =
        |event: &Event| matches!(event, Event::Reconnected { room: Some(room), .. } if room == "lobby");
    while !back(&ann.recv_timeout(LONG).unwrap().expect("another server")) {}
    chat.err.await_line("you are bob in lobby");
    ann.say("welcome back").unwrap();
    chat.out.await_line("<ann> welcome back");
    ann.quit().unwrap();
    chat.close();
    chat.end().with(0);
}

#[test]
fn a_server_that_is_stopped_is_told_from_one_that_is_dead() {
    let place = Place::empty();
    let running = server(&place);
    let ann = member(&place, "ann");
    running.signal(Signal::SIGSTOP);
    let silent = loop {
        match ann.recv_timeout(LONG).unwrap().expect("a word about the silence") {
            Event::ServerSilent { server_pid, .. } => break server_pid,
            Event::Disconnected(loss) => panic!("{loss}"),
            _ => {}
        }
    };
    assert_eq!(silent, running.pid());
    assert!(ann.is_connected());
    running.signal(Signal::SIGCONT);
    while ann.recv_timeout(LONG).unwrap().expect("a word about its return") != Event::ServerBack {}
    assert_eq!(ann.say("well?").unwrap().seq, 1);
    drop(ann);
    running.signal(Signal::SIGTERM);
    running.end().with(0);
}

#[test]
fn a_client_whose_ring_was_full_when_the_server_was_killed_is_told_how_much_it_misses() {
    for policy in [Policy::Drop, Policy::Spill(0)] {
        let place = Place::empty();
        let running = server(&place);
        let options = ClientOptions::new(place.name.clone(), "slow").ring_capacity(32).policy(policy);
        let (mut slow, mut receiver) = session::connect(&options).unwrap();
        slow.join("lobby").unwrap();
        let ann = member(&place, "ann");
        // Until its ring is full and long after. All of it is acknowledged.
        let said = 100;
        for text in 1..=said {
            assert_eq!(ann.say(&text.to_string()).unwrap().seq, text);
        }
        running.signal(Signal::SIGKILL);
        let (mut heard, mut missing) = (0, 0);
        let end = loop {
            match receiver.recv_timeout(LONG) {
                Ok(Some(Event::Message(_))) => {
                    assert_eq!(missing, 0, "the gap is at the end");
                    heard += 1;
                }
                Ok(Some(Event::Gap(gap))) => {
                    assert!(gap.at_end && gap.told.is_none(), "{gap:?}");
                    missing += gap.records();
                }
                Ok(event) => assert!(event.is_some(), "the server is dead"),
                Err(end) => break end,
            }
        };
        assert_eq!(end.loss(), Loss::ServerDied);
        // A loss that nobody was told of yet would have taken one more record, which tells it.
        let told = u64::from(policy == Policy::Drop);
        assert!(heard < 32 && heard + missing == said + told, "{policy:?}: {heard} heard, {missing} missing");
        drop((ann, slow, receiver, running));
        // Takes over what the killed one left, and removes it.
        let running = server(&place);
        running.signal(Signal::SIGTERM);
        running.end().with(0);
    }
}
