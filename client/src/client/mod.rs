//! [`Client`]: a session with threads of its own.

mod core;
mod events;
mod worker;

use std::fmt;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use halyard_ring::chat::LeaveReason;

use self::core::{Core, Me, Outcome, Part};
use crate::command::Command;
use crate::error::{CommandError, ConnectError, RecvError};
use crate::event::{Event, Loss, Message, Times};
use crate::home::Home;
use crate::options::ClientOptions;
use crate::session::{self, Limits};

/// How long dropping a client waits for the server to confirm QUIT.
const DROP_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection to a chat server.
///
/// A sender thread sends the commands, sends them again under the same number if the server does not answer, and
/// looks for the server when it is gone; a receiver thread takes what comes and stamps the heartbeat. The program
/// calls blocking methods ([`join`](Self::join), [`say`](Self::say), …), or [`submit`](Self::submit)s without
/// waiting, and reads [events](Event), from any number of threads.
///
/// ```
/// use std::time::Duration;
/// use halyard_client::{Client, ClientOptions, Event, ServerName};
/// # let config = halyard_server::Config { name: ServerName::new(&format!("doc-client-{}", std::process::id()))?,
/// #     ..halyard_server::Config::default() };
/// # let name = config.name.clone();
/// # let server = halyard_server::Server::start(config)?;
///
/// let ann = Client::connect(&ClientOptions::new(name.clone(), "ann"))?;
/// let bob = Client::connect(&ClientOptions::new(name, "bob"))?;
/// ann.join("lobby")?;
/// assert_eq!(bob.join("lobby")?.members, 2);
/// ann.say("hello")?;
/// let heard = bob.events().find_map(|event| match event {
///     Event::Message(message) => Some(format!("<{}> {}", message.nick, message.text)),
///     _ => None,
/// });
/// assert_eq!(heard.as_deref(), Some("<ann> hello"));
/// bob.quit()?;
/// # drop(ann); server.stop();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Dropping a client sends QUIT, waits for the answer for at most a second and removes the reply ring's names.
pub struct Client {
    core: Arc<Core>,
    worker: Mutex<Option<JoinHandle<()>>>,
}

/// What [`Client::join`] tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The room's name.
    pub room: String,
    /// The room's id.
    pub room_id: u32,
    /// How many are in the room now, oneself included.
    pub members: u32,
    /// The number of the room's last message so far.
    pub last_seq: u64,
}

/// What [`Client::say`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// The message's number in its room.
    pub seq: u64,
    /// When the command, and then its answer, passed where.
    pub times: Times,
}

/// What [`Client::dm`] tells: the message lies in the recipient's ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The recipient's id.
    pub client: u32,
    /// The recipient's nick.
    pub nick: String,
}

/// A member of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The client's id.
    pub client: u32,
    /// The nick.
    pub nick: String,
}

/// A room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomInfo {
    /// The room's id.
    pub id: u32,
    /// The room's name.
    pub name: String,
    /// How many members it has.
    pub members: u32,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// See [`ConnectError`]; each says what to do.
    pub fn connect(options: &ClientOptions) -> Result<Self, ConnectError> {
        let (sender, receiver) = session::connect(options)?;
        let me = Me::new(sender.client(), receiver.nick(), *sender.limits());
        let home = match &options.companion_of {
            Some(home) => home.clone(),
            None => Home::new(sender.client(), sender.token(), receiver.nick()),
        };
        let core = Arc::new(Core::new(options.clone(), me, home, &sender));
        let worker = worker::start(&core, sender, receiver).map_err(ConnectError::Thread)?;
        Ok(Self { core, worker: Mutex::new(Some(worker)) })
    }

    /// Opens another session under the same nick, to be in a second room at the same time: it has a room, a reply
    /// ring and events of its own. What is said to the nick comes to this client, the first one. A new nick is the
    /// nick of all of them; when this client ends, its companions end.
    ///
    /// ```
    /// use halyard_client::{Client, ClientOptions, ServerName};
    /// # let config = halyard_server::Config { name: ServerName::new(&format!("doc-two-{}", std::process::id()))?,
    /// #     ..halyard_server::Config::default() };
    /// # let name = config.name.clone();
    /// # let server = halyard_server::Server::start(config)?;
    ///
    /// let ann = Client::connect(&ClientOptions::new(name, "ann"))?;
    /// let second = ann.companion()?;
    /// ann.join("lobby")?;
    /// second.join("dev")?;
    /// assert_eq!(ann.who_in("dev")?[0].nick, "ann");
    /// # drop((second, ann)); server.stop();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// See [`ConnectError`]. [`ConnectError::Refused`] with [`ErrorCode::NoSuchClient`](crate::ErrorCode::NoSuchClient)
    /// while this client is not connected itself; it passes.
    pub fn companion(&self) -> Result<Self, ConnectError> {
        Self::connect(&self.core.options.clone().companion_of(self.core.home.clone()))
    }

    /// The name of this client's reply ring, to [look at](halyard_ring::RingView) it. It is another one after a
    /// reconnect.
    #[must_use]
    pub fn ring_name(&self) -> String {
        self.core.lock().ring.clone()
    }

    /// This client's id. It is another one after a reconnect.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.core.lock().me.client
    }

    /// This client's nick.
    #[must_use]
    pub fn nick(&self) -> String {
        self.core.home.nick()
    }

    /// The room that this client is in, or goes back to once it is connected again.
    #[must_use]
    pub fn room(&self) -> Option<String> {
        self.core.lock().me.room.clone()
    }

    /// What the server granted and asks for.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.core.lock().me.limits
    }

    /// Whether there is a connection now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.core.lock().connected
    }

    /// Enters a room, which is created if there is none of the name, and leaves the former one.
    ///
    /// # Errors
    /// See [`CommandError`].
    pub fn join(&self, room: &str) -> Result<Joined, CommandError> {
        let (ack, _) = self.call(Command::Join { room: room.to_owned() })?;
        Ok(Joined { room: ack.text, room_id: ack.room_id, members: ack.count, last_seq: ack.seq })
    }

    /// Says something to the room; done when the server has given it its place in the room's order. To go on without
    /// waiting, [`submit`](Self::submit) it.
    ///
    /// # Errors
    /// See [`CommandError`].
    pub fn say(&self, text: &str) -> Result<Said, CommandError> {
        let (ack, _) = self.call(Command::Say { text: text.to_owned(), action: false })?;
        Ok(Said { seq: ack.seq, times: ack.times })
    }

    /// Says that one does something: `* ann waves`.
    ///
    /// # Errors
    /// See [`CommandError`].
    pub fn act(&self, text: &str) -> Result<Said, CommandError> {
        let (ack, _) = self.call(Command::Say { text: text.to_owned(), action: true })?;
        Ok(Said { seq: ack.seq, times: ack.times })
    }

    /// Says something to one client, by nick (or id, if nobody has such a nick); done when it lies in the
    /// recipient's ring.
    ///
    /// # Errors
    /// See [`CommandError`].
    pub fn dm(&self, to: &str, text: &str) -> Result<Delivered, CommandError> {
        let (ack, _) = self.call(Command::Dm { to: to.to_owned(), text: text.to_owned(), action: false })?;
        Ok(Delivered { client: ack.client, nick: ack.nick })
    }

    /// The members of the room that this client is in, oneself included.
    ///
    /// # Errors
    /// See [`CommandError`].
    pub fn who(&self) -> Result<Vec<Member>, CommandError> {
        self.members(Command::Who)
    }

    /// The members of any room, without entering it. A room that does not exist has none.
    ///
    /// # Errors
    /// See [`CommandError`].
    pub fn who_in(&self, room: &str) -> Result<Vec<Member>, CommandError> {
        self.members(Command::WhoIn { room: room.to_owned() })
    }

    fn members(&self, command: Command) -> Result<Vec<Member>, CommandError> {
        let (_, entries) = self.call(command)?;
        let member = |part| match part {
            Part::Entry(entry) => Some(Member { client: entry.id, nick: entry.name }),
            Part::Earlier(_) => None,
        };
        Ok(entries.into_iter().filter_map(member).collect())
    }

    /// The server's rooms.
    ///
    /// # Errors
    /// See [`CommandError`].
    pub fn list(&self) -> Result<Vec<RoomInfo>, CommandError> {
        let (_, entries) = self.call(Command::List)?;
        let info = |part| match part {
            Part::Entry(entry) => Some(RoomInfo { id: entry.id, name: entry.name, members: entry.members }),
            Part::Earlier(_) => None,
        };
        Ok(entries.into_iter().filter_map(info).collect())
    }

    /// What was said in the room that this client is in, oldest first: at most `count` messages, the newest of
    /// those numbered below `before` (0: of all). The server keeps only so many, and one answer holds only so many;
    /// ask again for those below the first to have more.
    ///
    /// # Errors
    /// See [`CommandError`].
    pub fn history(&self, count: u32, before: u64) -> Result<Vec<Message>, CommandError> {
        self.earlier(Command::History { room: None, count, before })
    }

    /// [`history`](Self::history) of any room, without entering it.
    ///
    /// # Errors
    /// See [`CommandError`].
    pub fn history_of(&self, room: &str, count: u32, before: u64) -> Result<Vec<Message>, CommandError> {
        self.earlier(Command::History { room: Some(room.to_owned()), count, before })
    }

    fn earlier(&self, command: Command) -> Result<Vec<Message>, CommandError> {
        let (_, entries) = self.call(command)?;
        let message = |part| match part {
            Part::Earlier(earlier) => Some(earlier.message),
            Part::Entry(_) => None,
        };
        Ok(entries.into_iter().filter_map(message).collect())
    }

    /// Leaves the room and returns its name.
    ///
    /// # Errors
    /// See [`CommandError`].
    pub fn leave(&self) -> Result<String, CommandError> {
        Ok(self.call(Command::Leave)?.0.text)
    }

    /// Changes the nick. Returns the new one.
    ///
    /// # Errors
    /// See [`CommandError`].
    pub fn rename(&self, nick: &str) -> Result<String, CommandError> {
        Ok(self.call(Command::Nick { nick: nick.to_owned() })?.0.text)
    }

    /// Asks the server for an answer and returns how long it took, by way of this client's threads.
    ///
    /// # Errors
    /// See [`CommandError`].
    pub fn ping(&self) -> Result<Duration, CommandError> {
        let began = Instant::now();
        self.call(Command::Ping)?;
        Ok(began.elapsed())
    }

    /// Leaves for good: what was submitted before is done first. Afterwards the reply ring's names are gone and
    /// the event stream ends behind what it still holds.
    ///
    /// # Errors
    /// [`CommandError::TimedOut`] if the server did not confirm; the client is over all the same.
    pub fn quit(&self) -> Result<(), CommandError> {
        self.quit_within(self.core.options.answer_timeout)
    }

    /// [`quit`](Self::quit) that waits for at most `timeout`.
    ///
    /// # Errors
    /// As [`quit`](Self::quit).
    pub fn quit_within(&self, timeout: Duration) -> Result<(), CommandError> {
        let result = self.call_within(Command::Quit, timeout);
        self.core.end(Loss::Goodbye(LeaveReason::Quit));
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(worker) = worker {
            // A panic there has printed its message already.
            let _ = worker.join();
        }
        match result {
            // The session ended before the answer came: that is what was wished.
            Ok(_) | Err(CommandError::Closed) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Sends any command without waiting for its answer. The answer comes as an [`Event::Answer`] that bears the
    /// number returned here. Waits only if more than a thousand commands are queued.
    ///
    /// # Errors
    /// [`CommandError::Text`] and [`CommandError::Name`] at once; [`CommandError::TimedOut`] if the queue stayed
    /// full; [`CommandError::Closed`].
    pub fn submit(&self, command: Command) -> Result<u64, CommandError> {
        self.core.submit(command, None)
    }

    /// Waits until every command is answered. False after the time-out, or if the client is over before.
    pub fn flush(&self, timeout: Duration) -> bool {
        self.core.flush(timeout)
    }

    /// The next event if it is there.
    ///
    /// # Errors
    /// [`RecvError`] when the client is over and everything before has been delivered.
    pub fn try_recv(&self) -> Result<Option<Event>, RecvError> {
        self.core.events.pop(Some(Duration::ZERO))
    }

    /// The next event, waiting for at most `timeout`; `None` after the time-out.
    ///
    /// # Errors
    /// [`RecvError`] when the client is over and everything before has been delivered.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Option<Event>, RecvError> {
        self.core.events.pop(Some(timeout))
    }

    /// The events, waiting for each as long as it takes; ends when the client is over.
    pub fn events(&self) -> Events<'_> {
        Events(self)
    }

    fn call(&self, command: Command) -> Outcome {
        self.call_within(command, self.core.options.answer_timeout)
    }

    fn call_within(&self, command: Command, timeout: Duration) -> Outcome {
        let (caller, answer) = sync_channel(1);
        self.core.submit(command, Some(caller))?;
        answer.recv_timeout(timeout).unwrap_or_else(|error| match error {
            RecvTimeoutError::Disconnected => Err(CommandError::Closed),
            RecvTimeoutError::Timeout => {
                Err(CommandError::TimedOut { waited: timeout, disconnected: !self.is_connected() })
            }
        })
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let running = self.worker.get_mut().is_ok_and(|worker| worker.is_some());
        if running {
            let timeout = if self.is_connected() { DROP_TIMEOUT } else { Duration::ZERO };
            let _ = self.quit_within(timeout);
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("me", &self.core.lock().me).finish_non_exhaustive()
    }
}

/// The stream of a [`Client`]'s events: see [`Client::events`].
#[derive(Clone, Copy, Debug)]
pub struct Events<'a>(&'a Client);

impl Iterator for Events<'_> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        // Without a time-out there is an event, or the end.
        self.0.core.events.pop(None).ok().flatten()
    }
}
