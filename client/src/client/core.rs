//! What the program's threads, the sender thread and the receiver thread share: who we are, which commands wait to
//! be sent, which wait for their answer.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use halyard_ring::chat::{Kind, LeaveReason};
use halyard_ring::monotonic_ns;

use super::events::Events;
use crate::command::Command;
use crate::error::CommandError;
use crate::event::{Ack, Answer, Delivery, Earlier, Entry, Event, Loss};
use crate::home::Home;
use crate::options::ClientOptions;
use crate::session::{Limits, SPAN, Sender};

/// Commands that may wait to be sent before the program has to wait, too.
const WAITING_MAX: usize = 1024;

/// Commands sent and not answered.
const WINDOW: usize = 32;

/// The program is told at most this often that the control ring was made anew.
const REOPENED_EVERY: Duration = Duration::from_secs(5);

/// What a blocking call gets.
pub(super) type Outcome = Result<(Ack, Vec<Part>), CommandError>;

/// One part of an answer that has many.
#[derive(Debug)]
pub(super) enum Part {
    Entry(Entry),
    Earlier(Earlier),
}

pub(super) struct Core {
    pub(super) options: ClientOptions,
    /// Whose nick this is: this session's own, or that of the session whose companion it is.
    pub(super) home: Home,
    pub(super) events: Events,
    state: Mutex<State>,
    /// The sender thread sleeps here.
    pub(super) work: Condvar,
    /// The program's threads sleep here, until commands are sent or answered.
    settled: Condvar,
}

pub(super) struct State {
    pub(super) me: Me,
    /// The name of the reply ring.
    pub(super) ring: String,
    pub(super) connected: bool,
    /// Not sent yet, in order.
    pub(super) waiting: VecDeque<Request>,
    /// Sent and not answered, by command number.
    pub(super) sent: BTreeMap<u64, Sent>,
    /// The receiver thread has seen the session's end.
    pub(super) lost: Option<Loss>,
    /// QUIT was asked for: a session that ends now ends as wished.
    pub(super) quitting: bool,
    /// The client is over: nothing is sent or received any more.
    pub(super) over: Option<Loss>,
    /// When the program was told that the control ring was made anew.
    reopened: Option<Instant>,
    tickets: u64,
    texts: u64,
}

/// Who we are.
#[derive(Clone, Debug)]
pub(super) struct Me {
    pub(super) client: u32,
    pub(super) nick: String,
    pub(super) room: Option<String>,
    pub(super) limits: Limits,
    /// The numbers of the commands that room and nick are from.
    room_by: u64,
    nick_by: u64,
}

/// A command on its way.
pub(super) struct Request {
    pub(super) ticket: u64,
    pub(super) command: Arc<Command>,
    /// Its number among this client's texts, which stays the same when it is sent again to another server; 0 if it is
    /// none.
    pub(super) text: u64,
    waiter: Waiter,
    /// Of WHO, LIST or HISTORY, as they come.
    entries: Vec<Part>,
}

/// Who gets the answer.
enum Waiter {
    /// A blocking call.
    Call(SyncSender<Outcome>),
    /// The stream of events.
    Events,
    /// Nobody: this JOIN takes the client back to its room after a reconnect.
    Rejoin,
}

pub(super) struct Sent {
    pub(super) request: Request,
    pub(super) at: Instant,
}

impl Core {
    pub(super) fn new(options: ClientOptions, me: Me, home: Home, sender: &Sender) -> Self {
        let state = State {
            me,
            ring: sender.ring_name(),
            connected: true,
            waiting: VecDeque::new(),
            sent: BTreeMap::new(),
            lost: None,
            quitting: false,
            over: None,
            reopened: None,
            tickets: 0,
            texts: 0,
        };
        Self {
            events: Events::new(options.events_max),
            options,
            home,
            state: Mutex::new(state),
            work: Condvar::new(),
            settled: Condvar::new(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a command for the sender thread. Waits while too many are queued.
    pub(super) fn submit(
        &self,
        command: Command,
        caller: Option<SyncSender<Outcome>>,
    ) -> Result<u64, CommandError> {
        command.check().map_err(|error| match error {
            crate::SendError::Text(why) => CommandError::Text(why),
            crate::SendError::Name(why) => CommandError::Name(why),
            _ => CommandError::Closed,
        })?;
        let limit = self.options.answer_timeout;
        let full = |state: &mut State| state.over.is_none() && state.waiting.len() >= WAITING_MAX;
        let (mut state, wait) =
            self.settled.wait_timeout_while(self.lock(), limit, full).unwrap_or_else(PoisonError::into_inner);
        if state.over.is_some() {
            return Err(CommandError::Closed);
        }
        if wait.timed_out() {
            return Err(CommandError::TimedOut { waited: limit, disconnected: !state.connected });
        }
        state.quitting |= command == Command::Quit;
        let waiter = caller.map_or(Waiter::Events, Waiter::Call);
        let ticket = state.queue(command, waiter);
        drop(state);
        self.work.notify_one();
        Ok(ticket)
    }

    /// Waits until every command is answered; false after the time-out, or if the client is over before.
    pub(super) fn flush(&self, timeout: Duration) -> bool {
        let busy = |state: &mut State| state.over.is_none() && !state.is_settled();
        let (state, _) = self
            .settled
            .wait_timeout_while(self.lock(), timeout, busy)
            .unwrap_or_else(PoisonError::into_inner);
        state.is_settled()
    }

    /// The receiver thread: takes in what came.
    pub(super) fn take(&self, delivery: Delivery<'_>) {
        match delivery {
            Event::Answer(answer) => self.answered(answer),
            Event::Member(entry) | Event::Room(entry) => {
                self.gather(entry.command, entry.index, || Part::Entry(entry.into_owned()));
            }
            Event::Earlier(earlier) => {
                let (command, index) = (earlier.command, u64::from(earlier.index));
                self.gather(command, index, || Part::Earlier(earlier.into_owned()));
            }
            // The end of the session, which follows, says so.
            Event::Goodbye(_) => {}
            Event::Reopen => self.reopened(),
            delivery => {
                let mut event = delivery.into_owned();
                match &mut event {
                    Event::Message(message) => message.times.received_ns = monotonic_ns(),
                    Event::Direct(direct) => direct.times.received_ns = monotonic_ns(),
                    _ => {}
                }
                self.events.push(event);
            }
        }
    }

    /// There is a new control ring: the sender thread goes over to it.
    fn reopened(&self) {
        let mut state = self.lock();
        // While somebody goes on scribbling this happens many times a second.
        let is_news = state.reopened.is_none_or(|at| at.elapsed() >= REOPENED_EVERY);
        if is_news {
            state.reopened = Some(Instant::now());
        }
        drop(state);
        self.work.notify_one();
        if is_news {
            self.events.push_always(Event::Reopen);
        }
    }

    fn gather(&self, command: u64, index: u64, part: impl FnOnce() -> Part) {
        let mut state = self.lock();
        let Some(sent) = state.sent.get_mut(&command) else { return };
        let entries = &mut sent.request.entries;
        if index == 1 {
            // The answer comes again, because the command was sent again.
            entries.clear();
        }
        entries.push(part());
    }

    fn answered(&self, answer: Answer<&str>) {
        let mut state = self.lock();
        // Otherwise it is the second answer to a command that was sent twice.
        let Some(Sent { request, .. }) = state.sent.remove(&answer.command) else { return };
        let Answer { command, result } = answer.map(str::to_owned);
        if let Ok(ack) = &result {
            state.me.note(command, ack);
            if ack.kind == Kind::Nick {
                self.home.rename(&state.me.nick);
            }
            if ack.kind == Kind::Quit {
                state.over = Some(Loss::Goodbye(LeaveReason::Quit));
            }
        } else if matches!(request.waiter, Waiter::Rejoin) {
            state.me.room = None;
        }
        // Before anybody learns that the command is settled: who waits for that finds the answer in the stream.
        match request.waiter {
            Waiter::Call(caller) => {
                let outcome = match result {
                    Err(refusal) => Err(CommandError::Refused(refusal)),
                    Ok(ack) => complete(ack, request.entries),
                };
                // A caller that has stopped waiting does not want it any more.
                let _ = caller.try_send(outcome);
            }
            Waiter::Events => {
                let is_list = *request.command == Command::List;
                let command = request.ticket;
                for part in request.entries {
                    self.events.push(match part {
                        Part::Entry(entry) if is_list => Event::Room(Entry { command, ..entry }),
                        Part::Entry(entry) => Event::Member(Entry { command, ..entry }),
                        Part::Earlier(earlier) => Event::Earlier(Earlier { command, ..earlier }),
                    });
                }
                self.events.push(Event::Answer(Answer { command: request.ticket, result }));
            }
            Waiter::Rejoin => self.events.push_always(state.me.reconnected()),
        }
        if let Some(loss) = state.over {
            self.events.close(loss);
        }
        drop(state);
        self.work.notify_one();
        self.settled.notify_all();
    }

    /// A new connection: who we are now, and back to the room first. Returns the event if there is no room.
    pub(super) fn resume(&self, sender: &Sender, nick: &str) -> Option<Event> {
        if self.options.companion_of.is_none() {
            self.home.set(sender.client(), sender.token(), nick);
        }
        let mut state = self.lock();
        state.ring = sender.ring_name();
        state.resume(sender.client(), nick, *sender.limits())
    }

    /// The receiver thread: the session is over.
    pub(super) fn lost(&self, loss: Loss) {
        self.lock().lost = Some(loss);
        self.work.notify_one();
    }

    /// Ends the client: whoever waits for an answer gets an error, the event stream ends.
    pub(super) fn end(&self, loss: Loss) {
        let mut state = self.lock();
        let loss = *state.over.get_or_insert(loss);
        state.connected = false;
        state.sent.clear();
        state.waiting.clear();
        drop(state);
        self.work.notify_one();
        self.settled.notify_all();
        self.events.close(loss);
    }
}

impl State {
    fn queue(&mut self, command: Command, waiter: Waiter) -> u64 {
        self.tickets += 1;
        let text = if command.is_text() {
            self.texts += 1;
            self.texts
        } else {
            0
        };
        let (ticket, command) = (self.tickets, Arc::new(command));
        let request = Request { ticket, command, text, waiter, entries: Vec::new() };
        if matches!(request.waiter, Waiter::Rejoin) {
            self.waiting.push_front(request);
        } else {
            self.waiting.push_back(request);
        }
        self.tickets
    }

    /// Whether the first command that waits may be sent: not too many are under way, and it is not too far ahead of one
    /// that still is. The server tells that many commands apart, and receivers that many texts.
    pub(super) fn may_send(&self, number: u64) -> bool {
        let Some(request) = self.waiting.front() else { return false };
        let first_text = self.sent.values().map(|sent| sent.request.text).filter(|&text| text != 0).min();
        self.sent.len() < WINDOW
            && self.sent.first_key_value().is_none_or(|(&first, _)| number - first < SPAN)
            && (request.text == 0 || first_text.is_none_or(|first| request.text < first + SPAN))
    }

    /// What was sent and not answered is overdue: the control ring that it lay in is gone.
    pub(super) fn send_all_again(&mut self, now: Instant, retry: Duration) {
        for sent in self.sent.values_mut() {
            sent.at = now.checked_sub(retry).unwrap_or(now);
        }
    }

    /// This command did not go in.
    pub(super) fn send_again(&mut self, number: u64, now: Instant, retry: Duration) {
        if let Some(sent) = self.sent.get_mut(&number) {
            sent.at = now.checked_sub(retry).unwrap_or(now);
        }
    }

    fn is_settled(&self) -> bool {
        self.waiting.is_empty() && self.sent.is_empty()
    }

    /// The connection is gone: what was not answered is to be sent again, in its order.
    pub(super) fn unsend(&mut self) {
        for (_, sent) in std::mem::take(&mut self.sent).into_iter().rev() {
            // A rejoin is queued anew for the next connection.
            if !matches!(sent.request.waiter, Waiter::Rejoin) {
                self.waiting.push_front(Request { entries: Vec::new(), ..sent.request });
            }
        }
    }

    fn resume(&mut self, client: u32, nick: &str, limits: Limits) -> Option<Event> {
        self.connected = true;
        let room = self.me.room.take();
        self.me = Me { room, ..Me::new(client, nick, limits) };
        match self.me.room.clone() {
            Some(room) => {
                self.queue(Command::Join { room }, Waiter::Rejoin);
                None
            }
            None => Some(self.me.reconnected()),
        }
    }
}

impl Me {
    pub(super) fn new(client: u32, nick: &str, limits: Limits) -> Self {
        Self { client, nick: nick.to_owned(), room: None, limits, room_by: 0, nick_by: 0 }
    }

    /// An answer that had to be asked for again may come behind that of a later command, which then counts.
    fn note(&mut self, command: u64, ack: &Ack) {
        let last = match ack.kind {
            Kind::Join | Kind::Leave => &mut self.room_by,
            Kind::Nick => &mut self.nick_by,
            _ => return,
        };
        if command <= *last {
            return;
        }
        *last = command;
        match ack.kind {
            Kind::Join => self.room = Some(ack.text.clone()),
            Kind::Leave => self.room = None,
            _ => self.nick.clone_from(&ack.text),
        }
    }

    fn reconnected(&self) -> Event {
        Event::Reconnected {
            client: self.client,
            nick: self.nick.clone(),
            room: self.room.clone(),
            server_pid: self.limits.server_pid,
        }
    }
}

/// WHO, LIST and HISTORY say how many entries there are; fewer came if the reply ring was full.
fn complete(ack: Ack, entries: Vec<Part>) -> Outcome {
    let of = if matches!(ack.kind, Kind::Who | Kind::List | Kind::History) { ack.count as usize } else { 0 };
    if entries.len() == of {
        Ok((ack, entries))
    } else {
        Err(CommandError::Incomplete { got: entries.len(), of })
    }
}
