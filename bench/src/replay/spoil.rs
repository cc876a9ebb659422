//! Spoiling what one client received, before it is checked: proof that the check can fail.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::expect::Told;

/// How.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Spoil {
    /// One message is lost
    Loss,
    /// One message comes twice
    Dup,
    /// One message comes after the next
    Reorder,
    /// One message comes with another text
    Change,
}

/// Spoils the first message of the process, in the way that was asked for.
#[derive(Debug)]
pub(crate) struct Spoiler {
    how: Option<Spoil>,
    /// The message that comes late, and its client.
    held: Option<(usize, Held)>,
}

#[derive(Debug)]
struct Held {
    seq: u64,
    nick: String,
    text: String,
    action: bool,
}

impl Spoiler {
    pub(crate) fn new(how: Option<Spoil>) -> Self {
        Self { how, held: None }
    }

    /// Hands what `client` was told on to `each`, spoilt if it is what is to be spoilt.
    pub(crate) fn pass(&mut self, client: usize, told: Told<'_>, mut each: impl FnMut(Told<'_>)) {
        if let Told::Message { seq, nick, text, action } = told
            && let Some(how) = self.how.take()
        {
            match how {
                Spoil::Loss => {}
                Spoil::Dup => {
                    each(told);
                    each(told);
                }
                Spoil::Reorder => {
                    let held = Held { seq, nick: nick.to_owned(), text: text.to_owned(), action };
                    self.held = Some((client, held));
                }
                Spoil::Change => {
                    let text = format!("{text}?");
                    each(Told::Message { seq, nick, text: &text, action });
                }
            }
            return;
        }
        each(told);
        if let Some((_, held)) = self.held.take_if(|(owner, _)| *owner == client) {
            let Held { seq, nick, text, action } = &held;
            each(Told::Message { seq: *seq, nick, text, action: *action });
        }
    }
}
