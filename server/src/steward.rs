//! The steward thread does what takes system calls, so that neither the router nor a broadcaster waits for one:
//! opening reply rings, removing their names, writing the audit file.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use halyard_ring::chat::{ErrorCode, Record, RingRole, SCHEMA, ServerName, parse_ring_name};
use halyard_ring::{ProcessId, Ring, RingKind, RingName};

use crate::config::REPLY_CAPACITY_MIN;
use crate::leftovers::remove_dead_replies;
use crate::notice::{Notice, Notices, Opened, Outcome, Reply};
use crate::resources::Resources;
use crate::wire::{error_text, hello_parts};

/// Something for the steward to do.
pub(crate) enum Chore {
    /// Open the reply ring that this HELLO names and tell the router.
    Open {
        /// The HELLO.
        hello: Box<Record>,
        /// Who pushed it, for the router.
        from: Option<ProcessId>,
        /// Only to say that there are too many.
        refuse: bool,
    },
    /// Remove the names of a reply ring whose session is over.
    Remove(Ring<Record>),
    /// Append a line to the audit file.
    Audit(String),
}

/// How often the rings of clients are removed that died before this server knew of them: no session's end does it.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

pub(crate) struct Steward {
    pub(crate) server: ServerName,
    pub(crate) chores: Receiver<Chore>,
    pub(crate) notices: Arc<Notices>,
    pub(crate) audit: Option<File>,
    pub(crate) resources: Resources,
}

impl Steward {
    /// Works until all senders of chores are gone and every chore is done.
    pub(crate) fn run(mut self) {
        let mut lines = String::new();
        let mut sweep = Instant::now() + SWEEP_EVERY;
        loop {
            let mut next = match self.chores.recv_timeout(sweep.saturating_duration_since(Instant::now())) {
                Ok(chore) => Some(chore),
                Err(RecvTimeoutError::Timeout) => {
                    sweep = Instant::now() + SWEEP_EVERY;
                    remove_dead_replies(&self.server);
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            };
            while let Some(chore) = next.take() {
                self.work(chore, &mut lines);
                next = self.chores.try_recv().ok();
                // One write for what came together, but soon: an audit file is read with `tail -f`.
                if next.is_none() || lines.len() > 1 << 16 {
                    self.write(&mut lines);
                }
            }
        }
        remove_dead_replies(&self.server);
    }

    fn work(&mut self, chore: Chore, lines: &mut String) {
        match chore {
            Chore::Open { hello, from, refuse } => {
                let mut outcome = open(&self.server, &hello);
                if let Outcome::Usable(reply) = outcome {
                    let too_many =
                        (ErrorCode::TooManyHellos, error_text(ErrorCode::TooManyHellos).to_owned());
                    let why = if refuse { Some(too_many) } else { self.resources.shortage() };
                    outcome = match why {
                        None => Outcome::Usable(reply),
                        Some((code, text)) => Outcome::Unfit(reply, code, text),
                    };
                }
                self.notices.send(Notice::Opened(Box::new(Opened { hello: *hello, from, outcome })));
            }
            Chore::Remove(ring) => {
                // A client of another user has removed its names itself, or died too early; then it is for that user to do.
                if let Err(error) = ring.unlink()
                    && ring.belonging().is_none_or(|whose| whose.may_remove())
                {
                    tracing::warn!(ring = ring.name().map(RingName::as_str), %error, "reply ring not removed");
                }
            }
            Chore::Audit(line) => {
                lines.push_str(&line);
                lines.push('\n');
            }
        }
    }

    fn write(&mut self, lines: &mut String) {
        if let (false, Some(file)) = (lines.is_empty(), &mut self.audit)
            && let Err(error) = file.write_all(lines.as_bytes())
        {
            tracing::error!(%error, "audit lines not written");
        }
        lines.clear();
    }
}

/// Opens the reply ring that a checked HELLO names. The name is the only thing taken from the record, and only in the
/// form that this server's reply rings have.
fn open(server: &ServerName, hello: &Record) -> Outcome {
    let name = hello_parts(hello).map_or("", |(_, ring)| ring);
    let name = match RingName::new(name) {
        Ok(name) => name,
        Err(error) => return Outcome::Unreachable(format!("bad reply ring name: {error}")),
    };
    match parse_ring_name(&name) {
        Some((of, RingRole::Reply(_))) if of == *server => {}
        _ => return Outcome::Unreachable(format!("{name} is no reply ring of server {server}")),
    }
    let ring = match Ring::<Record>::open(&name) {
        Ok(ring) => ring,
        Err(error) => return Outcome::Unreachable(error.to_string()),
    };
    let Some(process) = ring.creator() else {
        return Outcome::Unreachable(format!("{name} does not say who made it"));
    };
    if ring.kind() != RingKind::Spsc {
        return Outcome::Unreachable(format!("{name} is no single-producer ring"));
    }
    let schema = ring.schema();
    let capacity = ring.capacity();
    let producer = match ring.producer() {
        Ok(producer) => producer,
        Err(error) => return Outcome::Unreachable(format!("{name}: {error}")),
    };
    let reply = Reply { ring, producer, process };
    if schema != SCHEMA {
        let text = format!("the reply ring's schema is {schema:#x}, this server's {SCHEMA:#x}");
        // The last byte is the version of the record.
        let is_chat = schema.to_le_bytes()[..7] == SCHEMA.to_le_bytes()[..7];
        let code = if is_chat { ErrorCode::LayoutDiffers } else { ErrorCode::RingInvalid };
        return Outcome::Unfit(reply, code, text);
    }
    if capacity < REPLY_CAPACITY_MIN {
        let text = format!("the reply ring has {capacity} slots; at least {REPLY_CAPACITY_MIN} are needed");
        return Outcome::Unfit(reply, ErrorCode::RingInvalid, text);
    }
    Outcome::Usable(reply)
}
