//! A damaged control ring is replaced by a new one under the same name.
//!
//! Every client may write the control ring, so any of them can ruin it: scribble over it, truncate its file, close it.
//! The router notices by what cannot be (a slot's state, a header word, a ring closed by somebody else, most slots held
//! by claims that are never published), makes a new ring and tells every client so, in its reply ring, which nobody else shares. The sessions go on: ids, tokens, rooms
//! and numbers are the server's own and were never in that ring. What clients had pushed and not seen answered they
//! push again under the same numbers, and the server acts on each once.
//!
//! Whoever did the damage can do it again. So this is done at most so often, and the rest is for the administrator.

use std::fmt;
use std::time::{Duration, Instant};

use halyard_ring::chat::{Kind, Record};
use halyard_ring::guards::{self, Guard};
use halyard_ring::{CreateError, Expected, PopError, ProcessId, Tampered, monotonic_ns};

use super::Router;
use crate::audit::Line;

/// How often the header is looked at.
const HEADER_EVERY: Duration = Duration::from_millis(100);
/// After so long without a command every slot is looked at: something may hide behind one that looks free.
const QUIET: Duration = Duration::from_millis(500);
/// How often every slot is looked at while it stays quiet.
const QUIET_EVERY: Duration = Duration::from_secs(5);
/// How often every slot is looked at, at most, because of a record that makes no sense: a client that sends nonsense on
/// purpose must not make the router look each time.
const SUSPECT_EVERY: Duration = Duration::from_millis(5);
/// For so long after damage more of it is expected. Then every slot is looked at before a record is acted on, which
/// takes some microseconds: whoever scribbles over a record hits its neighbours, too.
const ALERT: Duration = Duration::from_secs(5);
/// How often an idle router looks at the ring then.
const ALERT_EVERY: Duration = Duration::from_millis(20);
/// The least time between two new rings.
const PAUSE: Duration = Duration::from_millis(50);
/// How often making the new ring is tried, and how long apart, while /dev/shm is full.
const TRIES: (u32, Duration) = (50, Duration::from_millis(100));

/// What the router knows of its control ring's health.
pub(super) struct Health {
    trouble: Option<Trouble>,
    /// When the header was last looked at.
    looked: Instant,
    /// When the last record was taken.
    busy: Instant,
    /// When every slot was last looked at: because it was quiet, because of a suspicion.
    audited: Instant,
    suspected: Instant,
    /// How many claims had been passed over when it was last counted how many slots are in quarantine for it.
    passed_over: u64,
    renewed: Option<Instant>,
    /// The clients that are to come over to a new ring, in its owner table.
    expected: Expected,
}

/// What is wrong with a control ring.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Tampered(Tampered),
    /// By somebody else.
    Closed,
    /// So many of its slots are held by processes that live and do not publish.
    Quarantined(u32),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tampered(what) => what.fmt(f),
            Self::Closed => f.write_str("another process has closed it"),
            Self::Quarantined(slots) => {
                write!(
                    f,
                    "{slots} of its slots are in quarantine: living processes hold claims and do not publish"
                )
            }
        }
    }
}

impl Health {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            trouble: None,
            looked: now,
            busy: now,
            audited: now,
            suspected: now,
            passed_over: 0,
            renewed: None,
            expected: Expected::default(),
        }
    }

    /// Whether there is something wrong that nothing has been done about.
    #[inline]
    pub(super) fn is_bad(&self) -> bool {
        self.trouble.is_some()
    }

    /// Whether there was damage a short while ago.
    #[inline]
    pub(super) fn is_alert(&self) -> bool {
        self.renewed.is_some_and(|renewed| renewed.elapsed() < ALERT)
    }

    /// How long the router may sleep that wants to sleep for so long.
    pub(super) fn pause(&self, pause: Duration) -> Duration {
        if self.is_alert() { pause.min(ALERT_EVERY) } else { pause }
    }
}

impl Router {
    /// Notes why nothing could be popped. False if it is a damaged slot that is to be passed over.
    pub(super) fn is_trouble(&mut self, error: PopError) -> bool {
        let trouble = match error {
            PopError::Corrupt(damage) => {
                self.parts.counters.router.damaged.add(1);
                if self.stopping || !guards::is_in(Guard::Renewal) {
                    if let Some(more) = self.nonsense.pass() {
                        tracing::warn!(%damage, more, "damaged slot in the control ring passed over");
                    }
                    return false;
                }
                Trouble::Tampered(Tampered::Slot(damage))
            }
            PopError::Truncated => Trouble::Tampered(Tampered::Truncated),
            PopError::Closed => Trouble::Closed,
            _ => return true,
        };
        self.health.trouble = Some(trouble);
        true
    }

    /// Whether every slot may be looked at again because of a suspicion.
    pub(super) fn is_suspicion_due(&self) -> bool {
        self.health.is_alert() || self.health.suspected.elapsed() >= SUSPECT_EVERY
    }

    /// A record is suspicious: it makes no sense, or there was damage lately. True if somebody has written into the ring, so that it may not be what the
    /// client sent.
    pub(super) fn is_scribbled(&mut self) -> bool {
        if self.stopping || !guards::is_in(Guard::Renewal) {
            return false;
        }
        let found = if self.is_suspicion_due() {
            self.health.suspected = Instant::now();
            self.parts.consumer.audit()
        } else {
            self.parts.consumer.check_header()
        };
        if let Err(what) = found {
            self.health.trouble = Some(Trouble::Tampered(what));
        }
        self.health.is_bad()
    }

    /// Looks whether the control ring is still to be trusted, when that is due, and makes a new one if not: then true.
    /// `taken`: records that were just taken.
    pub(super) fn look_after_control(&mut self, taken: usize) -> bool {
        let now = Instant::now();
        let health = &mut self.health;
        if health.renewed.is_some() && !health.is_alert() {
            (health.renewed, health.expected) = (None, Expected::default());
        }
        if taken > 0 {
            health.busy = now;
        }
        let every = if health.is_alert() { ALERT_EVERY } else { HEADER_EVERY };
        if health.trouble.is_none() && now - health.looked >= every {
            health.looked = now;
            let has_been_quiet = now - health.busy >= QUIET;
            let is_due =
                health.is_alert() || health.audited < health.busy || now - health.audited >= QUIET_EVERY;
            let consumer = &mut self.parts.consumer;
            let in_full = (has_been_quiet || health.is_alert()) && is_due;
            let found = if in_full {
                health.audited = now;
                consumer.audit()
            } else {
                consumer.check_header()
            };
            health.trouble = found.err().map(Trouble::Tampered);
            let passed_over = consumer.passed_over();
            if health.trouble.is_none()
                && health.passed_over != passed_over
                && guards::is_in(Guard::Quarantine)
            {
                health.passed_over = passed_over;
                let slots = consumer.quarantined();
                let most = self.parts.config.control_capacity / 2;
                health.trouble = (slots > most).then_some(Trouble::Quarantined(slots));
            }
        }
        if self.stopping {
            return false;
        }
        let Some(trouble) = health.trouble.take() else { return false };
        if guards::is_in(Guard::Renewal) {
            self.renew(trouble);
            return true;
        }
        if matches!(trouble, Trouble::Closed | Trouble::Tampered(Tampered::Truncated)) {
            tracing::error!(%trouble, "nothing will come through the control ring any more: the server stops");
            self.stopping = true;
        }
        false
    }

    fn renew(&mut self, trouble: Trouble) {
        if let Some(renewed) = self.health.renewed {
            std::thread::sleep(PAUSE.saturating_sub(renewed.elapsed()));
        }
        let why = trouble.to_string();
        tracing::error!(why, "the control ring was damaged by another process: a new one is made");
        let options = self.parts.config.control_options();
        let expected = self.expected();
        for _ in 0..TRIES.0 {
            let old = self.parts.control.ring();
            match old.renew_expecting(&options, &expected) {
                Ok((ring, expected)) => {
                    let attached = ring.consumer();
                    self.parts.control.replace(ring);
                    match attached {
                        Ok(mut consumer) => {
                            consumer.set_wait(self.parts.config.wait);
                            self.parts.consumer = consumer;
                            self.parts.control.beat();
                            #[cfg(feature = "faults")]
                            halyard_ring::faults::pass(halyard_ring::faults::Point::Reopen);
                            // Now that there is another one to be found.
                            old.close();
                            return self.announce(&why, expected);
                        }
                        // Somebody has written into that one already. The next one takes its place.
                        Err(error) => tracing::error!(%error, "the new control ring was damaged at once"),
                    }
                }
                // That anything sits on another name says nothing about the server's own.
                Err(CreateError::Exists { name }) if old.name().is_some_and(|own| own.segment() == name) => {
                    let error = CreateError::Exists { name };
                    tracing::error!(%error, "another server has the name: this one stops");
                    break;
                }
                Err(error) => tracing::error!(%error, "no new control ring yet"),
            }
            std::thread::sleep(TRIES.1);
        }
        self.stopping = true;
    }

    /// The processes of all sessions, if only the control ring's owner table tells a successor who was there: see
    /// [`settle`](super::settle). A new ring has them in it until they have come over, should this process be killed meanwhile.
    fn expected(&self) -> Vec<ProcessId> {
        if self.parts.config.group.is_none() {
            return Vec::new();
        }
        self.sessions.iter().flatten().map(|session| session.client.process).collect()
    }

    /// Tells every client to open the control ring again.
    fn announce(&mut self, why: &str, expected: Expected) {
        let now = monotonic_ns();
        self.health = Health { renewed: Some(Instant::now()), expected, ..Health::new() };
        self.parts.counters.router.renewed.add(1);
        for slot in 0..self.sessions.len() as u32 {
            if let Some(session) = &mut self.sessions[slot as usize] {
                // Its other half was in the old ring, and the client sends it again, whole; unless it has been put off.
                if !session.share.has_backlog() {
                    session.long.forget();
                }
                self.tell(slot, Record::new(Kind::Reopen), now);
                #[cfg(feature = "faults")]
                halyard_ring::faults::pass(halyard_ring::faults::Point::HalfReopened);
            }
        }
        self.parts.audit.write(Line { event: "renew", reason: Some(why), ..Line::default() });
    }
}
