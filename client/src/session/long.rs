//! Texts on their way in: the fragments of long ones, and those that were heard before.

use halyard_ring::chat::{Kind, Message as Checked, Reassembly, Record};

use super::heard::Heard;
use crate::event::{Fault, Unusable};

/// A long text half gathered.
#[derive(Default)]
pub(super) struct Long {
    pub(super) text: Reassembly,
    /// Only the first fragment has the nick.
    pub(super) nick: String,
    pub(super) key: Key,
    /// The text whose fragments are passed over because it was heard before.
    pub(super) skipped: Key,
}

/// What all fragments of one text have in common: kind, client, message number, text number, time.
pub(super) type Key = (u16, u32, u64, u64, u64);

fn key_of(record: &Record) -> Key {
    (record.kind, record.client, record.room_seq, record.command, record.sent_ns)
}

impl Long {
    /// Whether a text of one record was heard before; from now on it was. A text half gathered is over with it.
    #[inline(always)]
    pub(super) fn passes_over_whole(
        &mut self,
        record: &Record,
        heard: &mut Heard,
        repeated: &mut u64,
    ) -> bool {
        self.text.clear();
        let passes = !heard.is_new(record.origin(), record.command);
        *repeated += u64::from(passes);
        passes
    }

    /// Whether the record belongs to a text that was heard before. Notes a text of one record.
    #[inline]
    pub(super) fn passes_over(&mut self, record: &Record, heard: &mut Heard, repeated: &mut u64) -> bool {
        if record.frag > 0 {
            return key_of(record) == self.skipped;
        }
        if record.frags == 1 {
            return self.passes_over_whole(record, heard, repeated);
        }
        let passes = heard.has(record.origin(), record.command);
        if passes {
            *repeated += 1;
            self.text.clear();
        }
        self.skipped = if passes { key_of(record) } else { Key::default() };
        passes
    }

    /// Nick and text if this record completes a text; `None` if more is to come. Notes a text of several records.
    #[inline]
    pub(super) fn gather<'a>(
        &'a mut self,
        record: &'a Record,
        checked: Checked<'a>,
        heard: &mut Heard,
    ) -> Result<Option<(&'a str, &'a str)>, Unusable> {
        if record.frags == 1 {
            self.text.clear();
            return Ok(Some((checked.nick, checked.text)));
        }
        let key = key_of(record);
        if record.frag == 0 {
            checked.nick.clone_into(&mut self.nick);
            self.key = key;
        } else if key != self.key {
            self.text.clear();
        }
        match self.text.add(record.frag, record.frags, checked.text) {
            Ok(Some(text)) => {
                // Not before it is whole: a server may be killed between two fragments.
                note(heard, record);
                Ok(Some((self.nick.as_str(), text)))
            }
            Ok(None) => Ok(None),
            Err(()) => Err(Unusable { number: record.number, why: Fault::Fragment }),
        }
    }
}

/// Notes that the record's text was heard. What is told of earlier was not: it may come yet.
#[inline]
fn note(heard: &mut Heard, record: &Record) {
    if record.kind != Kind::Earlier.wire() {
        heard.note(record.origin(), record.command);
    }
}
