//! What a scribbler does to the control ring. All of it shows: what is written over a record so that it still makes sense
//! cannot be told from what its sender wrote, and no promise is made about that.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use fastrand::Rng;
use halyard_client::ServerName;
use halyard_ring::chat::control_ring;
use serde::Serialize;

/// One way to damage it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Damage {
    /// Garbage over eight bytes of the header.
    Header { offset: u64 },
    /// Garbage over the state word of a slot that the router comes to soon, so far in front of it: under load it looks at
    /// those that it has come to.
    Slot { ahead: u32 },
    /// It is closed by somebody who may not.
    Closed,
    /// Its file is cut to so many bytes.
    Truncated { bytes: u64 },
}

/// A word that never changes, two that are zero for ever, the consumer's identity. Not its place: it may write that again
/// before it has looked, and nothing is left to be seen.
const WORDS: [u64; 4] = [48, 120, 1000, 1024];
/// Where the header says how many slots there are, how far apart, and where they begin (docs/protocol.md, section 3.1).
const CAPACITY_AT: u64 = 24;
const STRIDE_AT: u64 = 32;
const SLOTS_AT: u64 = 88;
/// The low half of the position that the router reads next.
const HEAD_AT: u64 = 128;
const CLOSED_AT: u64 = 260;
const STATUS_AT: u64 = 12;
/// A part of a second's commands.
const AHEAD: u32 = 256;
/// What stands there when a ring may be used.
const READY: [u8; 4] = *b"REDY";
/// No slot's state and no header's word.
const GARBAGE: [u8; 8] = [0x13; 8];

impl Damage {
    pub(crate) fn pick(rng: &mut Rng) -> Self {
        match rng.u32(0..10) {
            0..4 => Self::Header { offset: WORDS[rng.usize(0..WORDS.len())] },
            4..7 => Self::Slot { ahead: rng.u32(0..AHEAD) },
            7 => Self::Closed,
            _ => Self::Truncated { bytes: [0, 1024, 8192][rng.usize(0..3)] },
        }
    }

    /// Does it to this server's control ring.
    pub(crate) fn inflict(self, server: &ServerName) -> io::Result<()> {
        let file = OpenOptions::new().read(true).write(true).open(path(server))?;
        match self {
            Self::Header { offset } => file.write_all_at(&GARBAGE, offset),
            Self::Slot { ahead } => {
                let word = |at| {
                    let mut bytes = [0; 4];
                    file.read_exact_at(&mut bytes, at).map(|()| u64::from(u32::from_ne_bytes(bytes)))
                };
                let slot = (word(HEAD_AT)? + u64::from(ahead)) % word(CAPACITY_AT)?.max(1);
                file.write_all_at(&GARBAGE, word(SLOTS_AT)? + slot * word(STRIDE_AT)?)
            }
            Self::Closed => file.write_all_at(&1u32.to_ne_bytes(), CLOSED_AT),
            Self::Truncated { bytes } => file.set_len(bytes),
        }
    }
}

/// Which file this server's control ring is; `None` while there is none that may be used.
pub(crate) fn control_file(server: &ServerName) -> Option<u64> {
    let file = OpenOptions::new().read(true).open(path(server)).ok()?;
    let mut status = [0; READY.len()];
    file.read_exact_at(&mut status, STATUS_AT).ok()?;
    (status == READY).then(|| file.metadata().map(|found| found.ino()).ok()).flatten()
}

fn path(server: &ServerName) -> String {
    format!("/dev/shm{}", control_ring(server).segment())
}
