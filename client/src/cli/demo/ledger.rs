//! The check of the demo's promise: every line arrived exactly once and in order at every member, and nowhere else.

use std::collections::BTreeMap;

use super::wire::{Heard, Log};

/// A stay in a room: the numbers of the first and the last message that its member must get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stay {
    pub(super) room: String,
    pub(super) first: u64,
    pub(super) last: u64,
}

/// What a player must have got, as the play went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) nick: String,
    pub(super) stays: Vec<Stay>,
    /// Sender and text of direct messages.
    pub(super) directs: Vec<(String, String)>,
    /// The rooms and texts of this player's own lines, in order.
    pub(super) said: Vec<(String, String)>,
}

/// Room and number of a message.
type Place = (String, u64);
/// Nick and text of a message.
type Line = (String, String);

/// Compares what each player got with what it must have got.
///
/// # Errors
/// The first difference, in words.
pub(super) fn check(parts: &[(Due, Log)]) -> Result<(), String> {
    let truth = truth(parts)?;
    for (due, log) in parts {
        compare(due, log, &truth)?;
    }
    Ok(())
}

/// All messages of all rooms, as their senders said them and the server numbered them for the senders. Receivers
/// have no say in this.
fn truth(parts: &[(Due, Log)]) -> Result<BTreeMap<Place, Line>, String> {
    let mut truth = BTreeMap::new();
    for (due, log) in parts {
        let nick = &due.nick;
        if log.said.len() != due.said.len() {
            return Err(format!(
                "{nick} said {} lines, the server confirmed {}",
                due.said.len(),
                log.said.len()
            ));
        }
        for ((room, text), said) in due.said.iter().zip(&log.said) {
            if *text != said.text {
                return Err(format!("{nick} said \"{text}\", the server confirmed \"{}\"", said.text));
            }
            if let Some((other, _)) = truth.insert((room.clone(), said.seq), (nick.clone(), text.clone())) {
                return Err(format!("message {} in {room} is both {other}'s and {nick}'s", said.seq));
            }
        }
    }
    Ok(truth)
}

fn compare(due: &Due, log: &Log, truth: &BTreeMap<Place, Line>) -> Result<(), String> {
    let nick = &due.nick;
    let mut heard = log.heard.iter();
    for stay in &due.stays {
        for seq in stay.first..=stay.last {
            let place = (stay.room.clone(), seq);
            let Some((sender, text)) = truth.get(&place) else {
                return Err(format!("nobody said message {seq} in {}", stay.room));
            };
            let expected = format!("message {seq} in {} by {sender} (\"{text}\")", stay.room);
            match heard.next() {
                None => return Err(format!("{nick} never got {expected}")),
                Some(got) if is(got, &place, sender, text) => {}
                Some(got) => {
                    return Err(format!(
                        "{nick} got message {} in {} by {} (\"{}\") where {expected} was due",
                        got.seq, got.room, got.nick, got.text
                    ));
                }
            }
        }
    }
    if let Some(extra) = heard.next() {
        return Err(format!(
            "{nick} got message {} in {} (\"{}\") too much",
            extra.seq, extra.room, extra.text
        ));
    }
    let directs: Vec<(&str, &str)> = log.directs.iter().map(|got| (&*got.nick, &*got.text)).collect();
    let expected: Vec<(&str, &str)> = due.directs.iter().map(|(nick, text)| (&**nick, &**text)).collect();
    if directs != expected {
        return Err(format!("{nick} got the direct messages {directs:?} instead of {expected:?}"));
    }
    Ok(())
}

fn is(got: &Heard, place: &Place, sender: &str, text: &str) -> bool {
    (&got.room, got.seq) == (&place.0, place.1) && got.nick == sender && got.text == text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::wire::Said;

    fn heard(seq: u64, nick: &str, text: &str) -> Heard {
        Heard { room: "lobby".into(), seq, nick: nick.into(), text: text.into(), took_ns: 1 }
    }

    /// ann and bob say a line each; ann is there for both, bob only for his.
    fn play() -> Vec<(Due, Log)> {
        let stay = |first| Stay { room: "lobby".into(), first, last: 2 };
        let own = |text: &str| vec![("lobby".to_owned(), text.to_owned())];
        let said = |seq, text: &str| vec![Said { seq, text: text.into() }];
        let ann = Due { nick: "ann".into(), stays: vec![stay(1)], directs: vec![], said: own("one") };
        let bob = Due {
            nick: "bob".into(),
            stays: vec![stay(2)],
            directs: vec![("ann".into(), "psst".into())],
            said: own("two"),
        };
        let (one, two) = (heard(1, "ann", "one"), heard(2, "bob", "two"));
        let psst = Heard { room: String::new(), seq: 0, ..heard(0, "ann", "psst") };
        vec![
            (ann, Log { heard: vec![one, two.clone()], directs: vec![], said: said(1, "one") }),
            (bob, Log { heard: vec![two], directs: vec![psst], said: said(2, "two") }),
        ]
    }

    #[test]
    fn a_good_play_passes() {
        assert_eq!(check(&play()), Ok(()));
    }

    #[test]
    fn every_kind_of_loss_is_seen() {
        let spoilt = |spoil: fn(&mut Vec<(Due, Log)>)| {
            let mut play = play();
            spoil(&mut play);
            check(&play).unwrap_err()
        };
        assert!(spoilt(|p| drop(p[0].1.heard.pop())).contains("ann never got message 2"));
        assert!(spoilt(|p| drop(p[0].1.heard.remove(0))).contains("ann got message 2"));
        assert!(spoilt(|p| p[0].1.heard.swap(0, 1)).contains("where message 1"));
        assert!(spoilt(|p| p[0].1.heard.push(heard(2, "bob", "two"))).contains("too much"));
        assert!(spoilt(|p| p[1].1.heard.insert(0, heard(1, "ann", "one"))).contains("bob got message 1"));
        assert!(spoilt(|p| p[1].1.heard[0].text.push('!')).contains("two!"));
        assert!(spoilt(|p| p[1].1.directs.clear()).contains("direct"));
        assert!(spoilt(|p| p[0].1.said.clear()).contains("confirmed 0"));
        assert!(spoilt(|p| p[1].1.said[0].seq = 1).contains("both"));
        assert!(spoilt(|p| p[1].1.said[0].seq = 3).contains("nobody said message 2"));
    }
}
