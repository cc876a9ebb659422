//! What the tests of several files print, show and remember.

use halyard_client::{Message, Times};

/// A message in the room lobby, whose id is 1, from client 7; its record's number is its own, and no time is known.
pub(super) fn message(nick: &str, text: &str, seq: u64) -> Message {
    Message {
        room: "lobby".into(),
        room_id: 1,
        seq,
        client: 7,
        nick: nick.into(),
        text: text.into(),
        action: false,
        number: seq,
        times: Times::default(),
    }
}
