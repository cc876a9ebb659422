//! The half that commands go through.

use std::sync::Arc;
use std::time::{Duration, Instant};

use halyard_ring::chat::{Record, flags, fragments};
use halyard_ring::{PushError, monotonic_ns};

use super::Limits;
use super::reply::Reply;
use super::uplink::Uplink;
use crate::command::Command;
use crate::error::SendError;

/// A full control ring is waited for in pieces of this.
const SPACE: Duration = Duration::from_millis(50);
/// How often it is looked whether answers have come while too many commands are under way.
const ANSWERS: Duration = Duration::from_micros(100);
/// The server remembers that many commands of a client: an older one cannot be sent again.
const WINDOW: u64 = 64;

/// How often a command is begun anew because the control ring was made anew meanwhile.
const RINGS: u32 = 20;

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It lies in the control ring.
    Whole,
    /// It does not: the server has made its control ring anew. The commands before it that were not answered are lost
    /// with the old ring and are to be sent again first.
    Anew,
}

/// Sends commands straight into the server's control ring.
///
/// Each method returns the command's number as soon as the command lies in the ring; the answer comes to the
/// [`Receiver`](super::Receiver) as an [`Event::Answer`](crate::Event::Answer) that bears the same number. Only a
/// full control ring makes a method wait, for at most
/// [`send_timeout`](crate::ClientOptions::send_timeout).
///
/// When another process damages the control ring, the server makes a new one, which this finds by itself. What lay in
/// the old one may be lost: after [`Event::Reopen`](crate::Event::Reopen) commands without an answer are to be
/// [sent again](Self::send_again), in the order of their numbers.
///
/// Dropping the sender sends QUIT if the program has not.
pub struct Sender {
    uplink: Uplink,
    reply: Arc<Reply>,
    limits: Limits,
    /// Head of every record to come: client id and token are in place.
    record: Record,
    next: u64,
    /// The number of the next text: see [`Past`](super::Past).
    next_text: u64,
    /// The text numbers of the last commands, by command number: 0 for one that is no text.
    texts: [u64; WINDOW as usize],
    timeout: Duration,
    beat_every_ns: u64,
    last_beat_ns: u64,
    has_quit: bool,
}

impl Sender {
    pub(super) fn new(
        uplink: Uplink,
        reply: Arc<Reply>,
        limits: Limits,
        client: u32,
        token: u32,
        next_text: u64,
        timeout: Duration,
    ) -> Self {
        let mut record = <Record as zerocopy::FromZeros>::new_zeroed();
        record.client = client;
        record.generation = token;
        let beat_every_ns = u64::try_from(limits.beat_every().as_nanos()).unwrap_or(u64::MAX);
        // HELLO was number 1.
        Self {
            uplink,
            reply,
            limits,
            record,
            next: 2,
            next_text,
            texts: [0; WINDOW as usize],
            timeout,
            beat_every_ns,
            last_beat_ns: 0,
            has_quit: false,
        }
    }

    /// This client's id.
    #[must_use]
    pub fn client(&self) -> u32 {
        self.record.client
    }

    /// What the server knows this session by, beside its id.
    pub(crate) fn token(&self) -> u32 {
        self.record.generation
    }

    /// The name of the reply ring.
    pub(crate) fn ring_name(&self) -> String {
        self.reply.ring().name().map_or_else(String::new, ToString::to_string)
    }

    /// What the server granted and asks for.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Whether the server's process lives.
    #[must_use]
    pub fn server_lives(&self) -> bool {
        self.reply.server_lives()
    }

    /// Enters a room, leaving the former one.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn join(&mut self, room: &str) -> Result<u64, SendError> {
        self.send(&Command::Join { room })
    }

    /// Says something to the room.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn say(&mut self, text: &str) -> Result<u64, SendError> {
        self.send(&Command::Say { text, action: false })
    }

    /// Says that one does something: `* ann waves`.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn act(&mut self, text: &str) -> Result<u64, SendError> {
        self.send(&Command::Say { text, action: true })
    }

    /// Says something to one client.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn dm(&mut self, to: &str, text: &str) -> Result<u64, SendError> {
        self.send(&Command::Dm { to, text, action: false })
    }

    /// Asks for the members of the room.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn who(&mut self) -> Result<u64, SendError> {
        self.send::<&str>(&Command::Who)
    }

    /// Asks for the members of any room.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn who_in(&mut self, room: &str) -> Result<u64, SendError> {
        self.send(&Command::WhoIn { room })
    }

    /// Asks for the rooms.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn list(&mut self) -> Result<u64, SendError> {
        self.send::<&str>(&Command::List)
    }

    /// Leaves the room.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn leave(&mut self) -> Result<u64, SendError> {
        self.send::<&str>(&Command::Leave)
    }

    /// Changes the nick.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn nick(&mut self, nick: &str) -> Result<u64, SendError> {
        self.send(&Command::Nick { nick })
    }

    /// Asks for an answer and nothing else.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn ping(&mut self) -> Result<u64, SendError> {
        self.send::<&str>(&Command::Ping)
    }

    /// Leaves for good. The server answers, then closes the reply ring.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn quit(&mut self) -> Result<u64, SendError> {
        self.send::<&str>(&Command::Quit)
    }

    /// Sends any command.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send<T: AsRef<str>>(&mut self, command: &Command<T>) -> Result<u64, SendError> {
        command.check()?;
        let number = self.take_number();
        let text = if command.is_text() { self.take_text_number() } else { 0 };
        self.push_somewhere(number, text, command, 0)?;
        Ok(number)
    }

    /// Sends a text of an earlier session that was not acknowledged there, under the number that it had among this
    /// client's texts (see [`next_text`](Self::next_text)). Receivers that heard it then pass over it. Returns the
    /// command's number in this session.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn resend<T: AsRef<str>>(&mut self, text: u64, command: &Command<T>) -> Result<u64, SendError> {
        command.check()?;
        let number = self.take_number();
        self.push_somewhere(number, text, command, 0)?;
        Ok(number)
    }

    /// The number that the next text (SAY or DM) will have among this client's texts. Texts are numbered from 1, and on
    /// from session to session if one [resumes](super::resume) the other.
    #[must_use]
    pub fn next_text(&self) -> u64 {
        self.next_text
    }

    /// Sends a command again, under the number it had. The server acts on each number once and answers as often as
    /// it is asked.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send_again<T: AsRef<str>>(&mut self, number: u64, command: &Command<T>) -> Result<(), SendError> {
        let text = self.texts[(number % WINDOW) as usize];
        self.push_somewhere(number, text, command, flags::RETRY)
    }

    /// Sends a command under a number that [`take_number`](Self::take_number) gave: for those who must note the
    /// number before the answer can come, and keep commands in order when the control ring is made anew.
    pub(crate) fn send_as<T: AsRef<str>>(
        &mut self,
        number: u64,
        text: u64,
        command: &Command<T>,
    ) -> Result<Pushed, SendError> {
        self.push(number, text, command, 0)
    }

    /// [`send_again`](Self::send_again) for those who use [`send_as`](Self::send_as).
    pub(crate) fn send_again_as<T: AsRef<str>>(
        &mut self,
        number: u64,
        text: u64,
        command: &Command<T>,
    ) -> Result<Pushed, SendError> {
        // No answer may mean that the control ring is another one, and that this client was not told.
        if self.uplink.follow(&self.reply) {
            return Ok(Pushed::Anew);
        }
        self.push(number, text, command, flags::RETRY)
    }

    /// Goes over to the control ring that the server has made anew, if the receiver has heard of one. True if so.
    #[inline]
    pub(crate) fn follow(&mut self) -> bool {
        self.uplink.is_outdated(&self.reply) && self.uplink.follow(&self.reply)
    }

    fn take_text_number(&mut self) -> u64 {
        self.next_text += 1;
        self.next_text - 1
    }

    pub(crate) fn next_number(&self) -> u64 {
        self.next
    }

    pub(crate) fn take_number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }

    /// Tells the server that this client lives. Every command does so too when it is time.
    pub fn beat(&mut self) {
        self.reply.beat();
        self.last_beat_ns = monotonic_ns();
    }

    /// Puts a command into the control ring of the moment.
    fn push_somewhere<T: AsRef<str>>(
        &mut self,
        number: u64,
        text: u64,
        command: &Command<T>,
        flag: u16,
    ) -> Result<(), SendError> {
        for _ in 0..RINGS {
            if self.push(number, text, command, flag)? == Pushed::Whole {
                return Ok(());
            }
        }
        Err(SendError::Damaged)
    }

    fn push<T: AsRef<str>>(
        &mut self,
        number: u64,
        text_number: u64,
        command: &Command<T>,
        flag: u16,
    ) -> Result<Pushed, SendError> {
        if matches!(command, Command::Join { .. }) {
            self.reply.note_join(number);
        }
        if flag & flags::RETRY == 0 && !matches!(command, Command::Quit) {
            self.await_window(number)?;
        }
        self.texts[(number % WINDOW) as usize] = text_number;
        if self.follow() {
            return Ok(Pushed::Anew);
        }
        let (nick, text, action) = command.parts();
        #[cfg(feature = "faults")]
        if matches!(command, Command::Quit) {
            halyard_ring::faults::pass(halyard_ring::faults::Point::BeforeQuit);
        }
        let now = monotonic_ns();
        if now.saturating_sub(self.last_beat_ns) >= self.beat_every_ns {
            self.reply.beat();
            self.last_beat_ns = now;
        }
        let record = &mut self.record;
        record.kind = command.kind().wire();
        record.flags = flag | if action { flags::ACTION } else { 0 };
        record.command = number;
        record.number = text_number;
        record.sent_ns = now;
        (record.count, record.room_seq) = match command {
            Command::History { count, before, .. } => (*count, *before),
            _ => (0, 0),
        };
        let mut pushed = Pushed::Whole;
        if nick.len() + text.len() <= halyard_ring::chat::BODY {
            (record.frag, record.frags) = (0, 1);
            record.set_body(nick, text);
            pushed = self.push_record()?;
        } else {
            let frags = fragments(nick.len(), text).count();
            for (index, piece) in fragments(nick.len(), text).enumerate() {
                // At most FRAGS_MAX, for `check` has seen the text.
                (self.record.frag, self.record.frags) = (index as u8, frags as u8);
                self.record.set_body(if index == 0 { nick } else { "" }, piece);
                pushed = self.push_record()?;
                if pushed == Pushed::Anew {
                    break;
                }
            }
        }
        self.has_quit |= matches!(command, Command::Quit) && pushed == Pushed::Whole;
        #[cfg(feature = "faults")]
        if self.has_quit {
            halyard_ring::faults::pass(halyard_ring::faults::Point::AfterQuit);
        }
        Ok(pushed)
    }

    #[inline]
    fn push_record(&mut self) -> Result<Pushed, SendError> {
        let used = self.record.used();
        match self.uplink.producer.try_push_prefix(&self.record, used) {
            Ok(()) => Ok(Pushed::Whole),
            Err(PushError::Full(_)) => {
                let pushed = self.push_waiting(used);
                pushed.map_or_else(|error| self.not_pushed(error), |()| Ok(Pushed::Whole))
            }
            Err(error) => self.not_pushed(error),
        }
    }

    /// A record did not go in. Perhaps there is a new control ring, and this client has not heard of it.
    #[cold]
    fn not_pushed(&mut self, error: PushError<()>) -> Result<Pushed, SendError> {
        if self.uplink.follow(&self.reply) {
            return Ok(Pushed::Anew);
        }
        Err(match error {
            PushError::Closed(_) => SendError::Closed,
            PushError::Full(_) | PushError::TimedOut(_) => SendError::Full { waited: self.timeout },
            _ => SendError::Damaged,
        })
    }

    /// Waits while more commands are under way than the server allows.
    fn await_window(&self, number: u64) -> Result<(), SendError> {
        let window = u64::from(self.limits.window.max(1));
        let is_open = || number.saturating_sub(self.reply.answered()) <= window;
        let began = Instant::now();
        while !is_open() {
            if !self.reply.server_lives() {
                return Err(SendError::Closed);
            }
            if began.elapsed() >= self.timeout {
                return Err(SendError::Unanswered { window: self.limits.window });
            }
            std::thread::sleep(ANSWERS);
        }
        Ok(())
    }

    /// Waits for space, in pieces, since a dead server makes none.
    fn push_waiting(&mut self, used: usize) -> Result<(), PushError<()>> {
        let began = Instant::now();
        loop {
            let left = self.timeout.saturating_sub(began.elapsed());
            match self.uplink.producer.push_prefix_timeout(&self.record, used, left.min(SPACE)) {
                Err(PushError::TimedOut(())) if !self.reply.server_lives() => {
                    return Err(PushError::Closed(()));
                }
                // A new control ring has room.
                Err(PushError::TimedOut(())) if left > SPACE && !self.reply.look_again() => {}
                other => return other,
            }
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        if !self.has_quit {
            // Best effort: a server that does not hear it notices that the process or its heartbeat is gone.
            self.timeout = Duration::ZERO;
            let _ = self.quit();
        }
    }
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender")
            .field("client", &self.client())
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}
