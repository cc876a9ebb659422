//! The router: the control ring's only reader.
//!
//! Every record passes here, one after the other, and that order is the order of every room. The router waits for a
//! broadcaster whose inbox is full (its clients' commands then wait in the control ring, and the clients in front of
//! it), for nothing else; broadcasters never wait for anyone.

mod admission;
mod bars;
mod commands;
mod fair;
mod history;
mod newcomers;
mod nonsense;
mod post;
mod renew;
mod rounds;
mod session;
mod settle;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use halyard_ring::chat::{Bad, ErrorCode, Kind, LeaveReason, Record, flags};
use halyard_ring::{Consumer, PopError, Producer, monotonic_ns};

use crate::audit::{Auditor, Line, reason_word};
use crate::broadcaster::{Arrivals, Desk};
use crate::config::Config;
use crate::control::Control;
use crate::history::History;
use crate::inflight::InFlight;
use crate::job::{Job, Op};
use crate::liveness::Watchlist;
use crate::notice::{Notice, Notices};
use crate::registry::Registry;
use crate::spill::Pool;
use crate::stats::Counters;
use crate::steward::Chore;
use crate::wire::{error_record, refusal};
use admission::Greeting;
use bars::Bars;
use fair::{Fair, Turn};
use newcomers::Newcomers;
use nonsense::LogLimit;
use renew::Health;
use session::{Known, Session};
pub(crate) use settle::Orphans;
use settle::Settling;

/// Records taken before notices are looked for.
const BATCH: usize = 64;
/// How long an idle router sleeps; records and notices wake it.
const IDLE: Duration = Duration::from_secs(1);
/// How long the shutdown waits for records that are being written, and for broadcasters to deliver.
const DRAIN: Duration = Duration::from_secs(1);
/// What a router is made of.
pub(crate) struct Parts {
    pub(crate) config: Arc<Config>,
    pub(crate) control: Arc<Control>,
    pub(crate) consumer: Consumer<Record>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) inboxes: Vec<Producer<Job>>,
    pub(crate) desks: Vec<Arc<Desk>>,
    pub(crate) arrivals: Vec<Arc<Arrivals>>,
    pub(crate) barrier: Arc<AtomicUsize>,
    pub(crate) in_flight: Arc<InFlight>,
    pub(crate) notices: Arc<Notices>,
    pub(crate) steward: Sender<Chore>,
    pub(crate) watchlist: Watchlist,
    pub(crate) audit: Auditor,
    pub(crate) counters: Arc<Counters>,
    pub(crate) spill: Arc<Pool>,
    /// The living clients of a dead server.
    pub(crate) orphans: Orphans,
}

/// The router thread's state.
pub(crate) struct Router {
    parts: Parts,
    /// By client slot.
    sessions: Vec<Option<Session>>,
    /// The bits of an id, less one, that are its slot: see `Clients::slot_of`.
    slot_mask: u32,
    /// Clients of each broadcaster.
    load: Vec<u32>,
    /// Jobs that each broadcaster was sent.
    sent: Vec<u64>,
    /// Broadcasters at which jobs are put off, done by the router itself.
    put_off: Vec<usize>,
    greetings: HashMap<(String, u64), Greeting>,
    /// Who bears which origin: the slot of the newest session that does.
    origins: HashMap<u64, u32>,
    /// HELLOs whose reply rings are to be opened.
    newcomers: Newcomers,
    bars: Bars,
    history: History,
    /// The job that is being made.
    job: Job,
    /// For [`InFlight::begin`].
    flights: u32,
    /// A text that came in fragments, whole.
    text: String,
    nonsense: LogLimit,
    /// Records of unknown clients since one was last looked into, or a while before that.
    strays: u32,
    health: Health,
    settling: Option<Settling>,
    fair: Fair,
    stopping: bool,
}

impl Router {
    pub(crate) fn new(mut parts: Parts) -> Self {
        let fair = Fair::new(parts.config.window, parts.config.quantum);
        let bars = Bars::new(parts.config.bar);
        let orphans = std::mem::take(&mut parts.orphans);
        let settling = Settling::new(orphans, parts.config.rejoin, parts.config.control_capacity as usize);
        let sessions = (0..parts.config.clients_max).map(|_| None).collect();
        let load = vec![0; parts.inboxes.len()];
        let sent = vec![0; parts.inboxes.len()];
        let slot_mask = parts.config.clients_max.next_power_of_two() - 1;
        let history = History::new(parts.config.history, parts.config.history_bytes);
        Self {
            parts,
            sessions,
            slot_mask,
            load,
            sent,
            put_off: Vec::new(),
            greetings: HashMap::new(),
            origins: HashMap::new(),
            newcomers: Newcomers::default(),
            bars,
            history,
            job: Job::empty(),
            flights: 0,
            text: String::new(),
            nonsense: LogLimit::default(),
            strays: 0,
            health: Health::new(),
            settling,
            fair,
            stopping: false,
        }
    }

    /// Works until [`Notice::Stop`], then ends every session and the broadcasters.
    pub(crate) fn run(mut self) {
        let mut record = Record::new(Kind::Ping);
        let lap = self.parts.config.control_capacity as usize;
        let mut in_round = 0;
        while !self.stopping {
            let taken = self.take_batch(&mut record);
            in_round += taken;
            // The ring is empty, or whatever lay in it when the round began is out.
            if taken < BATCH || in_round >= lap {
                in_round = 0;
                self.end_round();
            }
            self.flush();
            for notice in self.parts.notices.take() {
                self.heed(notice);
            }
            let mut pause = IDLE;
            if self.newcomers.rests() {
                self.open_next(monotonic_ns());
                pause = Duration::from_nanos(newcomers::REST_NS);
            }
            if self.settling.is_some() {
                self.settle(false);
                pause = pause.min(settle::LOOK_EVERY);
                self.flush();
            }
            if self.look_after_control(taken) {
                continue;
            }
            if taken < BATCH && !self.stopping && !self.fair.goes_on() {
                let pause = self.fair.pause(self.health.pause(pause));
                // A damaged slot shows at the next pop.
                if let Err(error @ (PopError::Truncated | PopError::Closed)) = self.parts.consumer.wait(pause)
                {
                    self.is_trouble(error);
                }
            }
        }
        self.shut_down(&mut record);
    }

    /// Takes and handles what is there, up to a batch. Returns how many records that were.
    fn take_batch(&mut self, record: &mut Record) -> usize {
        for taken in 0..BATCH {
            match self.parts.consumer.try_pop_prefix(record, Record::used_from_prefix) {
                Ok(()) => {
                    self.parts.counters.router.received.add(1);
                    if self.health.is_alert() && self.is_scribbled() {
                        // Its sender hears nothing, and sends it again into the next ring.
                        return taken + 1;
                    }
                    self.take(record);
                    if self.health.is_bad() {
                        return taken + 1;
                    }
                }
                Err(PopError::Empty) => return taken,
                Err(error) => {
                    if self.is_trouble(error) {
                        return taken;
                    }
                    self.parts.consumer.skip_damaged();
                }
            }
        }
        BATCH
    }

    fn heed(&mut self, notice: Notice) {
        match notice {
            Notice::Opened(opened) => self.opened(*opened),
            Notice::Gone(id, reason) => {
                let slot = id.wrapping_sub(1) & self.slot_mask;
                let known = self.sessions.get(slot as usize).and_then(Option::as_ref);
                if known.is_some_and(|session| session.client.id == id) {
                    self.parts.counters.router.died.add(1);
                    self.end(slot, reason);
                }
            }
            Notice::Stop => self.stopping = true,
        }
    }

    /// Handles one record from the control ring. It is a private copy; nothing in it is trusted.
    fn take(&mut self, record: &Record) {
        #[cfg(feature = "faults")]
        halyard_ring::faults::pass(halyard_ring::faults::Point::Taken);
        if record.kind == Kind::Hello.wire() {
            self.hello(record);
            return;
        }
        let slot = record.client.wrapping_sub(1) & self.slot_mask;
        let known = self.sessions.get_mut(slot as usize).and_then(Option::as_mut);
        let Some(session) = known.filter(|session| session.client.id == record.client) else {
            return self.stray(record);
        };
        let now = monotonic_ns();
        if session.client.token != record.generation {
            if self.is_scribbled() {
                return;
            }
            self.parts.counters.router.stale.add(1);
            self.complain(slot, ErrorCode::StaleGeneration, now);
            self.nonsense(record, "record with a wrong token");
            return;
        }
        if self.settling.is_some() && self.holds(slot, record) {
            return;
        }
        let Some(session) = &mut self.sessions[slot as usize] else { return };
        match self.fair.arrives(&mut session.share, record, now) {
            Turn::Now => self.carry_on(slot, record, now),
            Turn::Later => self.fair.put_off(slot, &mut session.share, record),
            Turn::Refused => self.refuse(slot, now),
        }
    }

    /// Handles a record of a known client whose turn it is.
    fn carry_on(&mut self, slot: u32, record: &Record, now: u64) {
        let Some(session) = &mut self.sessions[slot as usize] else { return };
        let is_retry = record.flags & flags::RETRY != 0;
        let asks =
            [Kind::Who, Kind::List, Kind::Ping, Kind::History].iter().any(|kind| kind.wire() == record.kind);
        if record.command < 2 {
            // Numbers begin with HELLO's; an answer to 0 could not be told from no answer.
            self.parts.counters.router.malformed.add(1);
            self.complain(slot, ErrorCode::Malformed, now);
            self.nonsense(record, "record with a command number below 2");
            return;
        }
        match session.window.known(record.command) {
            Known::New => {}
            // A question changes nothing: it is answered as things are now.
            _ if is_retry && asks => {}
            known => {
                self.repeated(slot, record, known, is_retry, now);
                return;
            }
        }
        self.command(slot, record, now);
    }

    /// A command that was acted on came again.
    fn repeated(&mut self, slot: u32, record: &Record, known: Known, is_retry: bool, now: u64) {
        self.parts.counters.router.repeated.add(1);
        // Without the mark it is what is left of a text that was answered with an error already. Of a text of several
        // fragments only the last asks for the answer.
        if !is_retry || record.frag.checked_add(1) != Some(record.frags) {
            return;
        }
        if known == Known::Forgotten {
            let text = "this command was answered too long ago to be answered again";
            self.tell(slot, refusal(Kind::Error, ErrorCode::Malformed, record.command, text), now);
            return;
        }
        let mut again = Record::new(Kind::Ping);
        (again.command, again.routed_ns) = (record.command, now);
        self.job.record = again;
        self.job.set(Op::Again, slot, 0, 0);
        self.send_to_client(slot);
    }

    /// Checks a new command of an authenticated client and carries it out.
    fn command(&mut self, slot: u32, record: &Record, now: u64) {
        let Some(session) = &mut self.sessions[slot as usize] else { return };
        self.parts.counters.router.commands.add(1);
        if let Some(half) = session.long.half()
            && half != record.command
        {
            if self.is_scribbled() {
                return;
            }
            let Some(session) = &mut self.sessions[slot as usize] else { return };
            session.long.forget();
            session.window.mark(half);
            self.error(slot, ErrorCode::FragmentLost, half, now);
        }
        let message = match record.check() {
            Ok(message) if message.kind.is_command() => message,
            Ok(_) => return self.malformed(slot, record, ErrorCode::UnknownKind, now),
            Err(Bad::Kind(_)) => return self.malformed(slot, record, ErrorCode::UnknownKind, now),
            Err(Bad::Utf8) => return self.malformed(slot, record, ErrorCode::TextInvalid, now),
            Err(Bad::Fragment(frag, frags)) if frag < frags => {
                return self.malformed(slot, record, ErrorCode::TextTooLong, now);
            }
            Err(_) => return self.malformed(slot, record, ErrorCode::Malformed, now),
        };
        let takes_text = matches!(message.kind, Kind::Say | Kind::Dm);
        if record.frags != 1 && !takes_text || record.nick_len != 0 && message.kind != Kind::Dm {
            return self.malformed(slot, record, ErrorCode::Malformed, now);
        }
        self.carry_out(slot, record, message, now);
    }

    fn error(&mut self, slot: u32, code: ErrorCode, command: u64, now: u64) {
        self.tell(slot, error_record(code, command), now);
    }

    /// Ends a session: out of its room, out of the registries, its ring closed.
    fn end(&mut self, slot: u32, reason: LeaveReason) {
        let now = monotonic_ns();
        let companions =
            self.sessions[slot as usize].as_mut().map(|first| std::mem::take(&mut first.companions));
        for companion in companions.into_iter().flatten() {
            let mut goodbye = Record::new(Kind::Goodbye);
            goodbye.code = reason.wire();
            self.tell_as(Op::Final, companion, goodbye, now);
            self.end(companion, reason);
        }
        self.leave_room(slot, reason, now);
        #[cfg(feature = "faults")]
        halyard_ring::faults::pass(halyard_ring::faults::Point::SessionEnd);
        if matches!(reason, LeaveReason::Hung | LeaveReason::Flooded) {
            let mut goodbye = Record::new(Kind::Goodbye);
            goodbye.code = reason.wire();
            self.tell_as(Op::Final, slot, goodbye, now);
        }
        let is_dead = matches!(reason, LeaveReason::Died | LeaveReason::Misbehaved);
        self.order(if is_dead { Op::Discard } else { Op::Remove }, slot, 0);
        let Some(session) = self.sessions[slot as usize].take() else { return };
        let client = &session.client;
        if let Some(first) = client.first.and_then(|first| self.sessions[first as usize].as_mut()) {
            first.companions.retain(|&companion| companion != slot);
        }
        self.load[client.broadcaster] -= 1;
        self.parts.registry.clients_mut().remove(slot);
        self.greetings.remove(&session.hello);
        if self.origins.get(&session.origin) == Some(&slot) {
            self.origins.remove(&session.origin);
        }
        self.fair.forget(slot);
        self.parts.watchlist.forget(client.id);
        let word = reason_word(reason);
        tracing::info!(client = client.id, nick = %session.nick, pid = client.process.pid(), reason = word, "gone");
        self.parts.audit.write(Line {
            event: if reason == LeaveReason::Quit { "quit" } else { "death" },
            client: Some(client.id),
            nick: Some(&session.nick),
            pid: Some(client.process.pid()),
            reason: (reason != LeaveReason::Quit).then_some(word),
            ..Line::default()
        });
    }

    /// Drains what was accepted, says goodbye to everyone, ends the broadcasters.
    fn shut_down(&mut self, record: &mut Record) {
        self.stopping = true;
        self.parts.control.close();
        let deadline = Instant::now() + DRAIN;
        // The ring is closed: what it holds is all there is, unless somebody writes into it who heeds nothing.
        for _ in 0..=2 * self.parts.config.control_capacity {
            // A claimed slot that is not published is waited for, for as long as its grace.
            match self.parts.consumer.wait(Duration::from_millis(10)) {
                Ok(true) => {
                    self.take_batch(record);
                    self.flush();
                }
                Ok(false) => {}
                Err(PopError::Corrupt(_)) => self.parts.consumer.skip_damaged(),
                Err(_) => break,
            }
            // Also if it seems to have no end: somebody may be scribbling over it.
            if Instant::now() >= deadline {
                break;
            }
        }
        self.settle(true);
        self.fair.make_haste();
        let deadline = Instant::now() + DRAIN;
        while self.fair.has_waiting() && Instant::now() < deadline {
            self.end_round();
        }
        self.flush();
        // Behind this barrier every confirmation of a direct message lies in its sender's inbox.
        self.order_all(Op::Barrier);
        let deadline = Instant::now() + DRAIN;
        let all = self.parts.inboxes.len();
        while self.parts.barrier.load(Ordering::Acquire) < all && Instant::now() < deadline {
            std::thread::sleep(Duration::from_micros(100));
        }
        let now = monotonic_ns();
        for slot in 0..self.sessions.len() as u32 {
            if self.sessions[slot as usize].is_none() {
                continue;
            }
            let mut goodbye = Record::new(Kind::Goodbye);
            goodbye.code = LeaveReason::Shutdown.wire();
            self.tell_as(Op::Final, slot, goodbye, now);
            self.order(Op::Remove, slot, 0);
            self.parts.registry.clients_mut().remove(slot);
        }
        self.order_all(Op::Stop);
        for notice in self.parts.notices.take() {
            if let Notice::Opened(opened) = notice {
                self.opened(*opened);
            }
        }
        self.parts.watchlist.stop();
    }
}
