//! The half that records come from: it takes them off the reply ring, checks their numbers, joins long texts.

mod first;
mod meaning;

use std::sync::Arc;
use std::time::{Duration, Instant};

use halyard_ring::chat::{FRAGS_MAX, Kind, LeaveReason, Record};
use halyard_ring::{Consumer, PopError};

use self::first::{First, Popped};
use super::heard::Heard;
use super::long::Long;
use super::parts::unusable;
use super::reply::Reply;
use super::room::Room;
use super::silence::Silence;
use super::{Limits, Past};
use crate::error::RecvError;
use crate::event::{Delivery, Event, Fault, Gap, Loss};

/// Takes records straight off this client's reply ring and turns them into events.
///
/// Every record's number is checked, and every message's number in its room: what is missing shows as an
/// [`Event::Gap`] in front of what came next.
pub struct Receiver {
    consumer: Consumer<Record>,
    reply: Arc<Reply>,
    limits: Limits,
    nick: String,
    client: u32,
    /// The private copy that is being looked at.
    record: Record,
    /// Whether `record` waits behind the gap that was found in front of it, or the news that the server is back.
    held: bool,
    /// The number that the next record should have.
    next: u64,
    room: Room,
    long: Long,
    /// Of an earlier message: its fragments may stand apart.
    long_earlier: Long,
    /// This client's own: see [`Past`](super::Past).
    origin: u64,
    heard: Heard,
    /// The reply ring of the session before, until this client is in its room again, or was refused there.
    former: Option<Arc<Reply>>,
    repeated: u64,
    silence: Silence,
    goodbye: Option<LeaveReason>,
    /// What was missing at the ring's end has been told.
    end_told: bool,
    /// When the heartbeat was last stamped here.
    beaten: Instant,
}

/// Records that say nothing by themselves, fragments mostly, after which the clock is looked at: two of the longest
/// texts.
const NOTHINGS: u32 = 2 * FRAGS_MAX as u32;

/// What a wait came to.
enum Waited {
    /// There may be something to take, or nothing yet.
    Look,
    /// By [`Waker::wake`].
    Woken,
    /// The server has become silent (true), or is heard again.
    Silence(bool),
    /// The server is dead, and what waited for this client went with it.
    Lost(Gap),
}

/// What one look at the ring gave.
enum Step<'a> {
    Event(Delivery<'a>),
    /// A record that says nothing by itself: look again.
    Nothing,
    Empty,
}

impl Receiver {
    pub(super) fn new(
        consumer: Consumer<Record>,
        reply: Arc<Reply>,
        limits: Limits,
        welcome: &Record,
        nick: String,
        past: Past,
    ) -> Self {
        let Past { origin, next_text: _, heard, former } = past;
        Self {
            consumer,
            reply,
            limits,
            nick,
            client: welcome.client,
            record: *welcome,
            held: false,
            next: welcome.number.saturating_add(1),
            room: Room::default(),
            long: Long::default(),
            long_earlier: Long::default(),
            origin,
            heard,
            former,
            repeated: 0,
            silence: Silence::default(),
            goodbye: None,
            end_told: false,
            beaten: Instant::now(),
        }
    }

    /// This client's id.
    #[must_use]
    pub fn client(&self) -> u32 {
        self.client
    }

    /// The nick that the server accepted in the handshake.
    #[must_use]
    pub fn nick(&self) -> &str {
        &self.nick
    }

    /// What the server granted and asks for.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How many texts were passed over in this session because this client had heard them before: their sender lost
    /// its server and sent again what that one had not acknowledged.
    #[must_use]
    pub fn repeated(&self) -> u64 {
        self.repeated
    }

    #[cfg(test)]
    pub(super) fn heard_before(&mut self, origin: u64, text: u64) {
        self.heard.note(origin, text);
    }

    #[cfg(test)]
    pub(super) fn takes_the_server_for_silent(&mut self) {
        let (late, beat) = (Duration::from_secs(3600), Duration::ZERO);
        assert_eq!(self.silence.look(late, beat), Some(true));
    }

    #[cfg(test)]
    pub(super) fn comes_from(&mut self, former: Arc<Reply>) {
        self.former = Some(former);
    }

    pub(super) fn origin(&self) -> u64 {
        self.origin
    }

    /// The server need not wait for this client: it is where it wants to be.
    pub(crate) fn is_back(&mut self) {
        self.former = None;
    }

    pub(super) fn into_past(self) -> (Heard, Option<Arc<Reply>>) {
        // A ring that was kept for a server which died, too, still says that this client is on its way.
        let Self { heard, former, reply, .. } = self;
        (heard, former.or(Some(reply)))
    }

    /// A handle for other threads to end a wait of this receiver.
    pub(crate) fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.reply))
    }

    /// The next event if it is there. The texts are copied; [`recv_with`](Self::recv_with) spares that.
    ///
    /// # Errors
    /// [`RecvError`] when the session is over.
    pub fn try_recv(&mut self) -> Result<Option<Event>, RecvError> {
        self.recv_with(Duration::ZERO, |event| event.into_owned())
    }

    /// The next event, waiting for at most `timeout`. The texts are copied; [`recv_with`](Self::recv_with) spares
    /// that.
    ///
    /// # Errors
    /// [`RecvError`] when the session is over.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<Event>, RecvError> {
        self.recv_with(timeout, |event| event.into_owned())
    }

    /// Hands the next event to `each` and returns what that returns, waiting for at most `timeout`; `None` after the
    /// time-out. The event's texts lie in the receiver: nothing is allocated, and only a text of several records is
    /// copied together.
    ///
    /// # Errors
    /// [`RecvError`] when the session is over.
    #[inline]
    pub fn recv_with<T>(
        &mut self,
        timeout: Duration,
        each: impl FnOnce(Delivery<'_>) -> T,
    ) -> Result<Option<T>, RecvError> {
        let mut deadline = None;
        let mut nothings = 0;
        loop {
            let popped = match self.first() {
                First::Message(message) => return Ok(Some(each(Event::Message(message)))),
                First::Other(popped) => popped,
            };
            match self.step(popped)? {
                Step::Event(event) => return Ok(Some(each(event))),
                Step::Nothing if nothings < NOTHINGS => {
                    nothings += 1;
                    continue;
                }
                // There may be no end to what says nothing: the time-out holds all the same.
                Step::Nothing | Step::Empty => nothings = 0,
            }
            if timeout.is_zero() {
                return Ok(None);
            }
            // The clock is not read before there is something to wait for.
            let now = Instant::now();
            let deadline = *deadline.get_or_insert_with(|| now.checked_add(timeout));
            let left = deadline.map_or(Duration::MAX, |end| end.saturating_duration_since(now));
            if left.is_zero() {
                return Ok(None);
            }
            match self.wait(now, left)? {
                Waited::Look => {}
                Waited::Woken => return Ok(None),
                Waited::Silence(true) => {
                    let server_pid = self.limits.server_pid;
                    return Ok(Some(each(Event::ServerSilent {
                        server_pid,
                        since: self.reply.server_silent(),
                    })));
                }
                Waited::Silence(false) => return Ok(Some(each(Event::ServerBack))),
                Waited::Lost(gap) => return Ok(Some(each(Event::Gap(gap)))),
            }
        }
    }

    /// Hands over what lies in the ring, to the last record, however much of it says nothing by itself. For the end of a
    /// session, when nobody looks again.
    pub(crate) fn drain(&mut self, mut each: impl FnMut(Delivery<'_>)) {
        // As many as a full ring has: a writer that goes on for ever does not hold the end up for ever.
        let mut nothings = self.reply.ring().capacity();
        loop {
            let popped = match self.first() {
                First::Message(message) => {
                    each(Event::Message(message));
                    continue;
                }
                First::Other(popped) => popped,
            };
            match self.step(popped) {
                Ok(Step::Event(event)) => each(event),
                Ok(Step::Nothing) if nothings > 0 => nothings -= 1,
                Ok(Step::Nothing | Step::Empty) | Err(_) => return,
            }
        }
    }

    /// Waits in pieces short enough to stamp the heartbeat between them.
    fn wait(&mut self, now: Instant, left: Duration) -> Result<Waited, RecvError> {
        let every = self.limits.beat_every();
        if now.duration_since(self.beaten) >= every / 2 {
            self.beaten = now;
            self.reply.beat();
        }
        let piece = left.min(every);
        let Ok(false) = self.consumer.wait(piece) else {
            // A record, or something that the next step finds, too, and deals with.
            return Ok(Waited::Look);
        };
        // What a server left in the ring when it died is delivered first. Its end wakes this thread.
        if !self.reply.server_lives() {
            return match self.consumer.wait(Duration::ZERO) {
                Ok(false) => match self.missing_at_the_end() {
                    Some(gap) => Ok(Waited::Lost(gap)),
                    None => Err(RecvError::Over(self.loss(Loss::ServerDied))),
                },
                _ => Ok(Waited::Look),
            };
        }
        if let Some(is_silent) = self.silence.look(self.reply.server_silent(), self.limits.heartbeat) {
            return Ok(Waited::Silence(is_silent));
        }
        Ok(if now.elapsed() < piece { Waited::Woken } else { Waited::Look })
    }

    fn loss(&self, otherwise: Loss) -> Loss {
        self.goodbye.map_or(otherwise, Loss::Goodbye)
    }

    /// What [`first`](Self::first) left to be done.
    fn step(&mut self, popped: Popped) -> Result<Step<'_>, RecvError> {
        match popped {
            Popped::Before => self.held = false,
            Popped::Not(PopError::Closed) => {
                return match self.missing_at_the_end() {
                    Some(gap) => Ok(Step::Event(Event::Gap(gap))),
                    None => Err(RecvError::Over(self.loss(Loss::Closed))),
                };
            }
            Popped::Not(PopError::Truncated) => return Err(RecvError::Over(self.loss(Loss::Truncated))),
            Popped::Not(PopError::Corrupt(_)) => {
                // The numbers of what follows will show that something is missing.
                self.consumer.skip_damaged();
                return Ok(Step::Nothing);
            }
            Popped::Not(_) => return Ok(Step::Empty),
            Popped::Again => return Ok(Step::Nothing),
            Popped::Now => {
                let number = self.record.number;
                if number != self.next {
                    if number < self.next {
                        return Ok(Step::Event(unusable(&self.record, Fault::Repeated)));
                    }
                    let first = std::mem::replace(&mut self.next, number.saturating_add(1));
                    if !tells_of(&self.record, first) {
                        self.held = true;
                        return Ok(Step::Event(Event::Gap(self.untold_gap(first, number - 1))));
                    }
                } else {
                    self.next = number.saturating_add(1);
                }
            }
        }
        if self.silence.heard() {
            self.held = true;
            return Ok(Step::Event(Event::ServerBack));
        }
        Ok(self.take_in())
    }

    /// What the server had for this client beyond the last record, when nothing more can come: once. It waited outside
    /// the full ring, or was lost and not told yet.
    pub(crate) fn missing_at_the_end(&mut self) -> Option<Gap> {
        let last = self.reply.ring().note();
        if last < self.next || std::mem::replace(&mut self.end_told, true) {
            return None;
        }
        let first = std::mem::replace(&mut self.next, last.saturating_add(1));
        Some(Gap { at_end: true, ..self.untold_gap(first, last) })
    }

    /// A jump of the record numbers that no LOST explains.
    fn untold_gap(&mut self, first_number: u64, last_number: u64) -> Gap {
        let mut gap = Gap { first_number, last_number, ..Gap::default() };
        if self.long.text.is_partial() {
            // The rest of this message is among what is missing.
            let (kind, _, seq, ..) = self.long.key;
            self.long.text.clear();
            if kind == Kind::Message.wire() {
                (gap.first_seq, gap.last_seq) = (seq, seq);
            }
        }
        gap
    }
}

/// Whether the record is a LOST that explains the jump from `first` to its own number.
fn tells_of(record: &Record, first: u64) -> bool {
    record.kind == Kind::Lost.wire()
        && record.check().is_ok()
        && (record.lost().first_number, record.lost().last_number) == (first, record.number - 1)
}

/// Ends a receiver's wait from another thread.
#[derive(Clone)]
pub(crate) struct Waker(Arc<Reply>);

impl Waker {
    pub(crate) fn wake(&self) {
        self.0.ring().nudge();
    }
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver")
            .field("client", &self.client)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}
