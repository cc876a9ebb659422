//! HELLO: who is let in, and who is told why not.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use halyard_ring::chat::{
    BadName, ErrorCode, Kind, LeaveReason, NAME_MAX, OverflowPolicy, PROTOCOL, Record, TEXT_MAX, WelcomeBody,
    check_name, flags,
};
use halyard_ring::{ProcessId, monotonic_ns};

use super::Router;
use super::fair::Share;
use super::newcomers::{Place, Pusher};
use super::session::{Long, Session, Window};
use crate::audit::Line;
use crate::broadcaster::Arrival;
use crate::history::ANSWER_RECORDS;
use crate::job::Op;
use crate::notice::{Opened, Outcome, Reply};
use crate::registry::Client;
use crate::spill::Overflow;
use crate::steward::Chore;
use crate::wire::{error_text, hello_parts, refusal};

/// What became of a HELLO, by reply ring and nonce.
pub(super) enum Greeting {
    /// Its reply ring is being opened.
    Opening,
    /// It was welcomed as the client in this slot.
    Welcomed(u32),
}

/// On what terms a client is let in.
struct Welcome {
    nick: Arc<str>,
    /// The slot of the session that it is a companion of.
    first: Option<u32>,
    overflow: Overflow,
}

impl Router {
    pub(super) fn hello(&mut self, record: &Record) {
        let Some((_, ring)) = hello_parts(record) else {
            // It does not say whom to answer.
            self.parts.counters.router.malformed.add(1);
            self.nonsense(record, "malformed HELLO");
            return;
        };
        let key = (ring.to_owned(), record.number);
        match self.greetings.get(&key) {
            Some(Greeting::Opening) => return,
            Some(&Greeting::Welcomed(slot)) => {
                self.parts.counters.router.repeated.add(1);
                self.welcome(slot);
                return;
            }
            None => {}
        }
        // As many again as are let in are told that there are too many. Beyond that not even a refusal: the client says
        // HELLO again when it has heard nothing.
        let places = 2 * self.parts.config.hellos_max as usize;
        let from = self.pusher();
        let given_up = match self.newcomers.arrives(from, record, places) {
            Place::Taken => None,
            Place::InsteadOf(other) => Some(*other),
            Place::None => Some(*record),
        };
        self.greetings.insert(key, Greeting::Opening);
        if let Some(hello) = given_up {
            if let Some((_, ring)) = hello_parts(&hello) {
                self.greetings.remove(&(ring.to_owned(), hello.number));
            }
            self.parts.counters.router.refused.add(1);
            self.nonsense(&hello, "too many HELLOs at once");
        }
        self.open_next(monotonic_ns());
    }

    /// The process that pushed the record that was just taken, as the control ring's owner table has it.
    pub(super) fn pusher(&self) -> Pusher {
        let consumer = &self.parts.consumer;
        consumer.producer(consumer.popped_from())
    }

    /// Has the steward open the rings whose turn it is.
    pub(super) fn open_next(&mut self, now: u64) {
        let places = self.parts.config.hellos_max as usize;
        while let Some((from, hello, refuse)) = self.newcomers.next(now, places) {
            // The steward outlives the router.
            let _ = self.parts.steward.send(Chore::Open { hello, from, refuse });
        }
    }

    /// The steward has opened the reply ring of a HELLO, or could not.
    pub(super) fn opened(&mut self, Opened { hello, from, outcome }: Opened) {
        let is_in = self.answer_hello(&hello, outcome);
        let now = monotonic_ns();
        self.newcomers.looked_at(from, is_in, now);
        self.open_next(now);
    }

    /// Answers a HELLO, if its sender can be answered. Returns whether it was let in.
    fn answer_hello(&mut self, hello: &Record, outcome: Outcome) -> bool {
        let (nick, ring) = hello_parts(hello).unwrap_or_default();
        let key = (ring.to_owned(), hello.number);
        let text = String::from_utf8_lossy(nick);
        let nick = core::str::from_utf8(nick).map_err(|_| &*text);
        let (reply, refused) = match outcome {
            Outcome::Unreachable(why) => {
                self.greetings.remove(&key);
                self.note_refusal(&text, None, &why);
                return false;
            }
            Outcome::Unfit(reply, code, why) => (reply, Err((code, why))),
            Outcome::Usable(reply) => {
                let judged = self.judge(hello, nick, reply.process);
                (reply, judged)
            }
        };
        match refused {
            Ok(welcome) => {
                let slot = self.admit(reply, welcome, hello.room_seq, key.clone());
                self.greetings.insert(key, Greeting::Welcomed(slot));
                self.welcome(slot);
                true
            }
            Err((code, why)) => {
                self.greetings.remove(&key);
                self.note_refusal(&text, Some(reply.process), &why);
                // Its ring has no other writer: this one attached for it and leaves with the answer.
                let Reply { mut producer, .. } = reply;
                let mut record = refusal(Kind::Refused, code, hello.command, &why);
                record.delivered_ns = monotonic_ns();
                let _ = producer.try_push_prefix(&record, record.used());
                false
            }
        }
    }

    fn note_refusal(&mut self, nick: &str, process: Option<ProcessId>, why: &str) {
        self.parts.counters.router.refused.add(1);
        tracing::info!(nick, why, "HELLO refused");
        let pid = process.map(ProcessId::pid);
        self.parts.audit.write(Line {
            event: "refuse",
            nick: Some(nick),
            pid,
            reason: Some(why),
            ..Line::default()
        });
    }

    /// Whether this client is let in, under what nick and with what overflow policy. `nick` is an error if it is no
    /// UTF-8.
    fn judge(
        &mut self,
        hello: &Record,
        nick: Result<&str, &str>,
        process: ProcessId,
    ) -> Result<Welcome, (ErrorCode, String)> {
        let plain = |code: ErrorCode| (code, error_text(code).to_owned());
        if self.stopping {
            return Err(plain(ErrorCode::ShuttingDown));
        }
        if let Some(left) = self.bars.left(process, monotonic_ns()) {
            let text = format!(
                "process {} was thrown out for flooding: it may come back in {:.1} s, and is to send no more commands \
                 than may be under way (--window)",
                process.pid(),
                left.as_secs_f64()
            );
            return Err((ErrorCode::Barred, text));
        }
        if hello.generation != PROTOCOL {
            let text =
                format!("the client speaks chat protocol {}, this server {PROTOCOL}", hello.generation);
            return Err((ErrorCode::LayoutDiffers, text));
        }
        if (hello.frag, hello.frags) != (0, 1) {
            return Err((ErrorCode::Malformed, "a HELLO is one record: frag 0 of 1".to_owned()));
        }
        let nick =
            nick.map_err(|lossy| (ErrorCode::NickInvalid, format!("the nick {lossy:?} is not UTF-8")))?;
        let first = match hello.flags & flags::COMPANION {
            0 => None,
            _ => Some(self.first_of(hello, nick, process)?),
        };
        if first.is_none() {
            check_name(nick).map_err(|bad: BadName| (ErrorCode::NickInvalid, bad.to_string()))?;
        }
        let overflow = self.overflow(hello).map_err(|text| (ErrorCode::PolicyRefused, text))?;
        let holder = self.parts.registry.clients().by_nick(nick).map(|holder| Arc::clone(&holder.client));
        if let Some(holder) = holder.filter(|_| first.is_none()) {
            // Killed a moment ago and started again: liveness has not come round to it yet.
            if holder.process.is_alive() {
                return Err((ErrorCode::NickTaken, format!("another client has the nick {nick:?}")));
            }
            self.parts.counters.router.died.add(1);
            self.end(holder.slot, LeaveReason::Died);
        }
        if self.parts.registry.clients().reserve().is_none() {
            let max = self.parts.config.clients_max;
            return Err((
                ErrorCode::ServerFull,
                format!("the server takes {max} clients (--clients), all are here"),
            ));
        }
        let nick = match first.and_then(|slot| self.sessions[slot as usize].as_ref()) {
            Some(first) => Arc::clone(&first.nick),
            None => nick.into(),
        };
        Ok(Welcome { nick, first, overflow })
    }

    /// The slot of the session that a companion's HELLO names. It must prove that it knows that session's token, and
    /// that it is of the same process, whose word the reply ring's creator has signed.
    fn first_of(&self, hello: &Record, nick: &str, process: ProcessId) -> Result<u32, (ErrorCode, String)> {
        let refuse = |code, text: &str| Err((code, text.to_owned()));
        if !nick.is_empty() {
            return refuse(ErrorCode::NickInvalid, "a companion has its first session's nick and sends none");
        }
        let slot = hello.client.wrapping_sub(1) & self.slot_mask;
        let known = self.sessions.get(slot as usize).and_then(Option::as_ref);
        let Some(session) = known.filter(|session| session.client.id == hello.client) else {
            return refuse(
                ErrorCode::NoSuchClient,
                "the session that this is to be a companion of is not there",
            );
        };
        if session.client.token != hello.room || session.client.process != process {
            let text = "the session that this is to be a companion of has another token or process";
            return refuse(ErrorCode::StaleGeneration, text);
        }
        if session.client.first.is_some() {
            return refuse(ErrorCode::NoSuchClient, "a companion has no companions: name its first session");
        }
        Ok(slot)
    }

    /// The policy that HELLO asks for, if it is within the limits. A limit of 0 asks for as much as there is.
    fn overflow(&self, hello: &Record) -> Result<Overflow, String> {
        let config = &self.parts.config;
        let granted = |asked: u32, max: u32, unit: &str| match asked {
            0 => Ok(max),
            asked if asked <= max => Ok(asked),
            asked => Err(format!("{asked} {unit} asked for, at most {max} are granted")),
        };
        let block_max = u32::try_from(config.block_max.as_millis()).unwrap_or(u32::MAX);
        Ok(match OverflowPolicy::from_wire(hello.code) {
            Some(policy @ OverflowPolicy::Drop) => Overflow { policy, wait_ns: 0, records: 0 },
            Some(policy @ OverflowPolicy::Block) => {
                let ms = granted(hello.count, block_max, "ms of waiting")?;
                Overflow { policy, wait_ns: u64::from(ms) * 1_000_000, records: config.spill_max }
            }
            Some(policy @ OverflowPolicy::Spill) => {
                let records = granted(hello.count, config.spill_max, "records of buffer")?;
                Overflow { policy, wait_ns: 0, records }
            }
            _ => return Err(format!("{} is no overflow policy", hello.code)),
        })
    }

    /// Enters a client everywhere and hands its ring to the broadcaster that has fewest. Returns its slot.
    fn admit(&mut self, reply: Reply, welcome: Welcome, origin: u64, hello: (String, u64)) -> u32 {
        let Reply { ring, producer, process } = reply;
        let Welcome { nick, first, overflow } = welcome;
        let load = self.load.iter().enumerate().min_by_key(|&(_, load)| load);
        let broadcaster = load.map_or(0, |(index, _)| index);
        let client = {
            let mut clients = self.parts.registry.clients_mut();
            let (slot, id) =
                clients.reserve().expect("`judge` has seen a free slot, and only the router takes one");
            // Not a secret, since all clients can read all rings: it tells this session from others by mistake.
            let token = (RandomState::new().hash_one(id) as u32).max(1);
            let client = Arc::new(Client { id, token, slot, first, broadcaster, process, ring, overflow });
            clients.admit(Arc::clone(&client), Arc::clone(&nick));
            client
        };
        let slot = client.slot;
        self.load[broadcaster] += 1;
        self.parts.counters.router.connected.add(1);
        let config = &self.parts.config;
        let arrival = Arrival {
            id: client.id,
            slot,
            nick: (&*nick).into(),
            pid: process.pid(),
            ring: client.ring.clone(),
            producer,
            overflow,
            spill: Arc::clone(&self.parts.spill),
            series_max: 2 * ((config.clients_max.max(config.rooms_max) as usize).max(ANSWER_RECORDS) + 1),
        };
        let mut arrivals = self.parts.arrivals[broadcaster].lock().unwrap_or_else(|error| error.into_inner());
        arrivals.push_back(arrival);
        drop(arrivals);
        tracing::info!(client = client.id, nick = &*nick, pid = process.pid(), broadcaster, "connected");
        self.parts.audit.write(Line {
            event: "connect",
            client: Some(client.id),
            nick: Some(&nick),
            pid: Some(process.pid()),
            ..Line::default()
        });
        self.parts.watchlist.watch(Arc::clone(&client));
        let origin = self.own_origin(origin, process, slot);
        self.sessions[slot as usize] = Some(Session {
            client,
            nick,
            room: None,
            companions: Vec::new(),
            window: Window::new(),
            long: Long::default(),
            origin,
            hello,
            share: Share::default(),
            held: false,
            complained_ns: 0,
        });
        if let Some(first) = first.and_then(|first| self.sessions[first as usize].as_mut()) {
            first.companions.push(slot);
        }
        self.order(Op::Add, slot, 0);
        slot
    }

    /// The origin that this client's texts may bear: not that of another process's session, since receivers would then
    /// pass over what the other says next. 0, none, in its place: then its texts are always new.
    fn own_origin(&mut self, origin: u64, process: ProcessId, slot: u32) -> u64 {
        let bearer = self.origins.get(&origin).and_then(|&bearer| self.sessions[bearer as usize].as_ref());
        if origin == 0 || bearer.is_some_and(|bearer| bearer.client.process != process) {
            return 0;
        }
        self.origins.insert(origin, slot);
        origin
    }

    /// Sends WELCOME, again if need be.
    fn welcome(&mut self, slot: u32) {
        let Some(session) = &self.sessions[slot as usize] else { return };
        let client = &session.client;
        let config = &self.parts.config;
        let ns = |time: std::time::Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let mut record = Record::new(Kind::Welcome);
        (record.client, record.generation, record.command) = (client.id, client.token, 1);
        let Overflow { policy, wait_ns, records } = client.overflow;
        record.code = policy.wire();
        record.set_struct(&WelcomeBody {
            heartbeat_ns: ns(config.heartbeat),
            hang_ns: ns(config.hang),
            retry_ns: ns(config.retry),
            text_max: TEXT_MAX as u32,
            name_max: NAME_MAX as u32,
            clients_max: config.clients_max,
            rooms_max: config.rooms_max,
            policy_limit: if policy == OverflowPolicy::Block {
                (wait_ns / 1_000_000) as u32
            } else {
                records
            },
            server_pid: std::process::id(),
            window: config.window,
            room_members_max: config.room_members_max.min(config.clients_max),
        });
        self.tell(slot, record, monotonic_ns());
    }
}
