//! The chat record format: what travels through the rings of a Halyard chat.
//!
//! This is a module beside the engine. The engine (everything else in this crate) never imports it; the server,
//! the client and the tools do. The same facts, with every offset, stand in `docs/protocol.md`.
//!
//! One record is [`Record`]: 248 bytes, so that a slot (8 bytes of state word and the record) is four cache lines.
//! A text that does not fit one record travels as numbered fragments; [`fragments`] cuts, [`Reassembly`] joins.

mod codes;
mod names;
mod record;
mod text;

pub use codes::{ErrorCode, Kind, LeaveReason, OverflowPolicy};
pub use names::{RingRole, SERVER_NAME_MAX, ServerName, control_ring, parse_ring_name, reply_ring};
pub use record::{BODY, Bad, HEAD, LostBody, Message, Record, WelcomeBody, flags};
pub use text::{
    BadName, BadText, Fragments, NAME_MAX, Reassembly, TEXT_MAX, check_name, check_text, fragments,
};

/// Version of the chat protocol: the kinds, their fields and their order. HELLO carries it, the server compares.
pub const PROTOCOL: u32 = 2;

/// Schema tag of a ring that carries [`Record`]s, kept in the segment header: `"CHATREC"` and the version.
pub const SCHEMA: u64 = u64::from_le_bytes(*b"CHATREC\x01");

/// The most fragments one text can need (4,096 bytes behind a 32-byte nick, cut at character boundaries).
pub const FRAGS_MAX: usize = 26;
