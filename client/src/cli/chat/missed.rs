//! What was said in a room while this client was on its way back to it.
//!
//! A client that has lost its server is back in its room a moment after others are, who may have talked already. So it
//! asks the next server for what was said lately, and takes out of the answer what it has heard:
//!
//! - whatever is older than the last message that it heard before;
//! - what has come since it is back, by number and time (the numbers alone begin with 1 again at the next server);
//! - what a sender had said to the former server, which died before it could confirm it, and said again to the next
//!   one. The session passes over such texts by their numbers, which an answer to HISTORY does not bear; but they are
//!   the last that the sender said then and the first that it says now.

use std::collections::{HashMap, VecDeque};

use halyard_client::Message;

/// Texts whose repetition is recognised. A sender has at most half as many under way.
const TAIL: usize = 64;

/// How many messages to ask for: about as many as one answer holds.
pub(crate) const COUNT: u32 = 500;

#[derive(Clone, Debug, Default)]
pub(crate) struct Missed {
    /// When the last message was said that was heard, or when one entered; nanoseconds of CLOCK_MONOTONIC.
    heard_ns: u64,
    /// The last texts heard, oldest first.
    tail: VecDeque<Text>,
    /// Since one is back and until the answer comes: what was heard.
    since: Option<Vec<Id>>,
}

/// Room, number in it, and when it was said.
type Id = (u32, u64, u64);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Text {
    nick: String,
    text: String,
    action: bool,
}

impl Text {
    fn of(message: &Message) -> Self {
        Self { nick: message.nick.clone(), text: message.text.clone(), action: message.action }
    }
}

fn id(message: &Message) -> Id {
    (message.room_id, message.seq, message.times.routed_ns)
}

impl Missed {
    /// One has entered the room, at this time.
    pub(crate) fn entered(&mut self, at_ns: u64) {
        *self = Self { heard_ns: at_ns, ..Self::default() };
    }

    /// A message came as it was said.
    pub(crate) fn heard(&mut self, message: &Message) {
        if let Some(since) = &mut self.since {
            since.push(id(message));
            return;
        }
        self.heard_ns = self.heard_ns.max(message.times.routed_ns);
        self.keep(message);
    }

    fn keep(&mut self, message: &Message) {
        self.tail.push_back(Text::of(message));
        if self.tail.len() > TAIL {
            self.tail.pop_front();
        }
    }

    /// One is in the room again, and HISTORY is asked for.
    pub(crate) fn is_back(&mut self) {
        self.since.get_or_insert_default();
    }

    /// Those of the answer, oldest first, that were missed.
    pub(crate) fn of(&mut self, answer: Vec<Message>) -> Vec<Message> {
        let since = self.since.take().unwrap_or_default();
        let new: Vec<Message> = answer
            .into_iter()
            .filter(|message| message.times.routed_ns > self.heard_ns && !since.contains(&id(message)))
            .collect();
        let mut said: HashMap<&str, Vec<Text>> = HashMap::new();
        for message in &new {
            said.entry(&message.nick).or_default().push(Text::of(message));
        }
        let mut again: HashMap<String, usize> = said
            .into_iter()
            .map(|(nick, now)| {
                let then: Vec<&Text> = self.tail.iter().filter(|text| text.nick == nick).collect();
                (nick.to_owned(), said_again(&then, &now))
            })
            .collect();
        let mut missed = Vec::new();
        for message in new {
            self.heard_ns = self.heard_ns.max(message.times.routed_ns);
            match again.get_mut(&message.nick).filter(|left| **left > 0) {
                Some(left) => *left -= 1,
                None => {
                    self.keep(&message);
                    missed.push(message);
                }
            }
        }
        self.heard_ns = since.iter().fold(self.heard_ns, |latest, (.., at_ns)| latest.max(*at_ns));
        missed
    }
}

/// How many of the first texts of `now` are the last ones of `then`.
fn said_again(then: &[&Text], now: &[Text]) -> usize {
    let most = then.len().min(now.len());
    (1..=most).rev().find(|&count| then[then.len() - count..].iter().copied().eq(&now[..count])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::example;
    use halyard_client::Times;

    fn message(nick: &str, text: &str, seq: u64, at_ns: u64) -> Message {
        let times = Times { routed_ns: at_ns, ..Times::default() };
        Message { times, ..example::message(nick, text, seq) }
    }

    fn texts(messages: &[Message]) -> Vec<&str> {
        messages.iter().map(|message| message.text.as_str()).collect()
    }

    #[test]
    fn what_was_said_between_leaving_and_coming_back_is_found_once() {
        let mut missed = Missed::default();
        missed.entered(100);
        missed.heard(&message("bob", "old", 1, 110));
        missed.is_back();
        let live = message("bob", "live", 2, 220);
        missed.heard(&live);
        // The next server numbers from 1 again: the same number, another message.
        let answer = vec![message("bob", "meanwhile", 1, 210), live];
        assert_eq!(texts(&missed.of(answer.clone())), ["meanwhile"]);
        missed.is_back();
        assert!(missed.of(answer).is_empty(), "all of it is known by now");
    }

    #[test]
    fn a_server_that_has_stayed_tells_nothing_twice() {
        let mut missed = Missed::default();
        missed.entered(100);
        let old = message("bob", "old", 5, 110);
        missed.heard(&old);
        missed.is_back();
        let before = message("bob", "before one came", 4, 90);
        let answer = vec![before, old, message("bob", "while away", 6, 120)];
        assert_eq!(texts(&missed.of(answer)), ["while away"]);
    }

    #[test]
    fn what_was_said_again_to_the_next_server_is_not_shown_again() {
        let mut missed = Missed::default();
        missed.entered(100);
        for (nick, text) in [("bob", "one"), ("cas", "yes"), ("bob", "two"), ("bob", "three")] {
            missed.heard(&message(nick, text, 1, 110));
        }
        missed.is_back();
        let now = [("bob", "two"), ("bob", "three"), ("cas", "no"), ("bob", "one"), ("cas", "yes")];
        let answer = now.iter().zip(1..).map(|((nick, text), seq)| message(nick, text, seq, 200 + seq));
        assert_eq!(texts(&missed.of(answer.collect())), ["no", "one", "yes"]);
    }

    #[test]
    fn a_second_loss_before_the_answer_forgets_nothing() {
        let mut missed = Missed::default();
        missed.entered(100);
        missed.is_back();
        missed.heard(&message("bob", "heard", 1, 210));
        missed.is_back();
        let answer = vec![message("bob", "missed", 1, 205), message("bob", "heard", 1, 210)];
        assert_eq!(texts(&missed.of(answer)), ["missed"]);
    }
}
