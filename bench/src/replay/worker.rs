//! One process of a replay: it plays its share of the clients and checks what they are told.
//!
//! One thread does everything, in turns: push the steps whose turn it is, then take what has come for each client. So
//! nothing here waits for anything that only this thread could bring about. A step is pushed only while even the
//! client farthest behind has room in its reply ring for everything that is under way; so nothing may be lost, and a
//! loss is a fault of what is tested.

use std::time::{Duration, Instant};

use halyard_client::{ClientOptions, Event, Policy, Wait, session};
use halyard_client::{SendError, ServerName};
use halyard_ring::chat::fragments;
use halyard_ring::monotonic_ns;
use hdrhistogram::Histogram;
use nix::unistd::{Pid, getppid};
use serde::{Deserialize, Serialize};

use super::board::{Board, Stage};
use super::check::{Check, Difference};
use super::expect::{Timeline, Told};
use super::plan::{Act, Plan, Step};
use super::spoil::{Spoil, Spoiler};
use crate::failure::{Failure, While as _};
use crate::{child, figures, host, interrupt};

/// What a worker process is told to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) server: String,
    pub(crate) board: String,
    pub(crate) index: usize,
    pub(crate) processes: usize,
    pub(crate) ring_capacity: u32,
    /// How many times faster than the log; `None`: as fast as it goes.
    pub(crate) speed: Option<f64>,
    pub(crate) spoil: Option<Spoil>,
    pub(crate) plan: Plan,
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) messages: u64,
    pub(crate) deliveries: u64,
    pub(crate) notices: u64,
    pub(crate) start_ns: u64,
    /// When the last message was received.
    pub(crate) last_ns: u64,
    pub(crate) latency: String,
    /// Nothing moved any more before all was done.
    pub(crate) stalled: bool,
    pub(crate) interrupted: bool,
    /// How many differences there are, of which `differences` holds the first.
    pub(crate) different: usize,
    pub(crate) differences: Vec<Difference>,
}

/// How many differences a process hands on.
const DIFFERENCES_MAX: usize = 200;
/// How long nothing may move before the replay is given up.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often the clients show that they live, and this process looks whether its parent does.
const BEAT: Duration = Duration::from_millis(200);
/// How many clients are served before this process looks again whether it is its turn.
const SERVED: usize = 16;
/// How many records are taken from one client before the next is served.
const TAKEN: usize = 64;
/// How many steps are pushed before the clients are served again.
const PUSHED: usize = 32;

struct Member<'p> {
    client: usize,
    sender: session::Sender,
    receiver: session::Receiver,
    check: Check<'p>,
    /// The command that asks for a last sign, and whether it came.
    ping: Option<u64>,
    pinged: bool,
    has_quit: bool,
    over: bool,
}

/// The counts of one process.
struct Tally {
    deliveries: u64,
    notices: u64,
    last_ns: u64,
    latency: Histogram<u64>,
}

struct Worker<'p> {
    job: &'p Job,
    timelines: &'p [Timeline<'p>],
    board: Board,
    members: Vec<Member<'p>>,
    /// By room: how many records the steps up to each can put into one client's ring, answers included.
    records: Vec<Vec<u64>>,
    /// By room: the last known [`Board::behind`].
    behind: Vec<usize>,
    tally: Tally,
    messages: u64,
    spoiler: Spoiler,
    parent: Pid,
    moved: Instant,
    beaten: Instant,
    turns: usize,
    end: Option<End>,
}

/// Why a replay ended before it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Stalled,
    Interrupted,
}

/// The child's side: reads its job, does it, answers with an [`Outcome`].
pub(crate) fn child() -> Result<(), Failure> {
    let parent = getppid();
    interrupt::install();
    host::raise_file_limit();
    let order = child::next_order()?.unwrap_or_default();
    let job: Job = serde_json::from_str(&order).doing("reading the replay's plan")?;
    let timelines = Timeline::all(&job.plan);
    let outcome = Worker::new(&job, &timelines, parent)?.run()?;
    child::reply(&serde_json::to_string(&outcome).doing("writing the replay's outcome")?)
}

impl<'p> Worker<'p> {
    fn new(job: &'p Job, timelines: &'p [Timeline<'p>], parent: Pid) -> Result<Self, Failure> {
        let rooms = job.plan.rooms.len();
        let now = Instant::now();
        let mut worker = Self {
            job,
            timelines,
            board: Board::open(&job.board, rooms, job.processes)?,
            members: Vec::new(),
            records: timelines.iter().map(records).collect(),
            behind: vec![0; rooms],
            tally: Tally { deliveries: 0, notices: 0, last_ns: 0, latency: figures::histogram() },
            messages: 0,
            spoiler: Spoiler::new(job.spoil.filter(|_| job.index == 0)),
            parent,
            moved: now,
            beaten: now,
            turns: 0,
            end: None,
        };
        worker.connect()?;
        Ok(worker)
    }

    fn connect(&mut self) -> Result<(), Failure> {
        let server = ServerName::new(&self.job.server).doing("reading the replay's plan")?;
        let own = (self.job.index..self.job.plan.clients.len()).step_by(self.job.processes);
        for client in own {
            let plan = &self.job.plan.clients[client];
            // Nothing may be lost; if the rings were full all the same, let it wait instead of dropping.
            let options = ClientOptions::new(server.clone(), &plan.nick)
                .ring_capacity(self.job.ring_capacity)
                .policy(Policy::Block(Duration::from_secs(5)))
                .wait(Wait::adaptive())
                .connect_timeout(PATIENCE);
            let (sender, receiver) =
                session::connect(&options).doing(format_args!("connecting {}", plan.nick))?;
            let check = Check::new(&self.timelines[plan.room], client, &plan.nick);
            self.members.push(Member {
                client,
                sender,
                receiver,
                check,
                ping: None,
                pinged: false,
                has_quit: false,
                over: false,
            });
            self.beat();
        }
        Ok(())
    }

    fn run(mut self) -> Result<Outcome, Failure> {
        self.reach(Stage::Connected)?;
        self.until(|worker| worker.is_gathered())?;
        self.reach(Stage::Gathered)?;
        if self.job.index == 0 && self.end.is_none() {
            self.board.set_start_ns(monotonic_ns());
        }
        self.until(|worker| worker.is_played())?;
        for index in 0..self.members.len() {
            let member = &mut self.members[index];
            if self.end.is_none() && !member.has_quit && !member.over {
                member.ping = Some(member.sender.ping().doing("asking for a last sign")?);
            }
        }
        // Everything that was said before a ping comes before its answer: when the answers are here, what is not here
        // will not come.
        self.until(|worker| {
            worker.members.iter().all(|member| member.over || member.pinged || member.has_quit)
        })?;
        // Before the others know that this process is done: whoever knows it of all quits, and is heard to leave.
        let mut outcome = self.judge();
        self.reach(Stage::Checked)?;
        outcome.stalled = self.end == Some(End::Stalled);
        outcome.interrupted = self.end == Some(End::Interrupted);
        self.quit();
        Ok(outcome)
    }

    /// Goes on until all processes have come to `stage`.
    fn reach(&mut self, stage: Stage) -> Result<(), Failure> {
        self.board.arrive(stage);
        self.until(|worker| worker.board.all_arrived(stage))
    }

    /// Goes on until `done`, or until the replay ends early.
    fn until(&mut self, done: impl Fn(&Self) -> bool) -> Result<(), Failure> {
        self.moved = Instant::now();
        while self.end.is_none() && !done(self) {
            let moved = self.serve()?;
            self.beat();
            if moved || self.is_waiting_for_its_time() {
                self.moved = Instant::now();
            }
            if moved {
                continue;
            }
            if self.moved.elapsed() > PATIENCE {
                self.end = Some(End::Stalled);
                self.board.abort();
            } else if self.job.speed.is_some() {
                // Nothing is due: a message that comes now waits a little longer, but no core runs hot for hours.
                std::thread::sleep(Duration::from_micros(50));
            } else {
                std::thread::yield_now();
            }
        }
        Ok(())
    }

    /// Heartbeats, and whether the replay is to end early.
    fn beat(&mut self) {
        if self.beaten.elapsed() < BEAT {
            return;
        }
        self.beaten = Instant::now();
        for member in &mut self.members {
            member.sender.beat();
        }
        let server_gone = self.members.first().is_some_and(|member| !member.sender.server_lives());
        if interrupt::requested() || getppid() != self.parent {
            self.end = Some(End::Interrupted);
            self.board.abort();
        } else if self.board.is_aborted() || server_gone {
            self.end = Some(End::Stalled);
            self.board.abort();
        }
        if server_gone && let Some(member) = self.members.first_mut() {
            member.check.failed("the server's process has ended");
        }
    }

    fn is_gathered(&self) -> bool {
        let rooms = &self.job.plan.rooms;
        let all_in = rooms.iter().enumerate().all(|(room, plan)| self.board.turn(room) >= plan.before);
        all_in
            && self.members.iter().all(|member| {
                let before = rooms[self.job.plan.clients[member.client].room].before;
                member.check.behind().is_none_or(|step| step >= before)
            })
    }

    fn is_played(&self) -> bool {
        (0..self.timelines.len()).all(|room| self.board.turn(room) >= self.timelines[room].len())
    }

    /// Whether the log's own pace is what everybody waits for.
    fn is_waiting_for_its_time(&self) -> bool {
        let start = self.board.start_ns();
        self.job.speed.is_some()
            && start != 0
            && self.timelines.iter().enumerate().any(|(room, timeline)| {
                let step = timeline.room.steps.get(self.board.turn(room));
                step.is_some_and(|step| !self.is_due(step, start))
            })
    }

    fn is_due(&self, step: &Step, start: u64) -> bool {
        self.job.speed.is_none_or(|speed| {
            let after_ns = step.at_ms as f64 * 1e6 / speed;
            monotonic_ns().saturating_sub(start) as f64 >= after_ns
        })
    }

    /// One round: what is to be pushed, what has come for each client. True if anything moved anywhere.
    fn serve(&mut self) -> Result<bool, Failure> {
        let mut moved = false;
        let mut behind = vec![usize::MAX; self.timelines.len()];
        for index in 0..self.members.len() {
            if index % SERVED == 0 {
                moved |= self.push()?;
            }
            moved |= self.receive(index);
            let member = &self.members[index];
            let room = self.job.plan.clients[member.client].room;
            if !member.over {
                behind[room] = behind[room].min(member.check.behind().unwrap_or(usize::MAX));
            }
        }
        for (room, step) in behind.into_iter().enumerate() {
            self.board.set_behind(room, self.job.index, step);
        }
        moved |= self.push()?;
        let turns = (0..self.timelines.len()).map(|room| self.board.turn(room)).sum();
        moved |= turns != self.turns;
        self.turns = turns;
        Ok(moved)
    }

    /// Pushes the steps whose turn it is and that are this process's.
    fn push(&mut self) -> Result<bool, Failure> {
        if !self.board.all_arrived(Stage::Connected) {
            return Ok(false);
        }
        let start = self.board.start_ns();
        let mut pushed = 0;
        for room in 0..self.timelines.len() {
            let plan = self.timelines[room].room;
            let mut turn = self.board.turn(room);
            while pushed < PUSHED
                && let Some(step) = plan.steps.get(turn)
                && step.client % self.job.processes == self.job.index
                && (turn < plan.before || (start != 0 && self.is_due(step, start)))
                && self.has_room(room, turn)
            {
                self.act(step, turn)?;
                turn += 1;
                self.board.set_turn(room, turn);
                pushed += 1;
            }
        }
        Ok(pushed > 0)
    }

    /// Whether the client farthest behind has room for everything that is under way and this step too.
    fn has_room(&mut self, room: usize, step: usize) -> bool {
        let records = &self.records[room];
        let limit = u64::from(self.job.ring_capacity) * 3 / 4;
        let fits = |behind: usize| records[step + 1] - records[behind.min(step)] <= limit;
        if !fits(self.behind[room]) {
            self.behind[room] = self.board.behind(room);
        }
        fits(self.behind[room])
    }

    fn act(&mut self, step: &Step, turn: usize) -> Result<(), Failure> {
        let member = &mut self.members[step.client / self.job.processes];
        let room = self.job.plan.clients[member.client].room;
        let sender = &mut member.sender;
        let sent: Result<u64, SendError> = match &step.act {
            Act::Join => sender.join(&self.job.plan.rooms[room].name),
            Act::Leave => sender.leave(),
            Act::Quit => {
                member.has_quit = true;
                sender.quit()
            }
            Act::Nick { new } => sender.nick(new),
            Act::Say { text, action } => {
                self.messages += 1;
                if *action { sender.act(text) } else { sender.say(text) }
            }
        };
        let place = format_args!("{}:{}", self.job.plan.rooms[room].file, step.line);
        let number = sent.doing(format_args!("replaying {place}"))?;
        member.check.sent(number, turn);
        Ok(())
    }

    /// Takes what has come for one client. True if anything has.
    fn receive(&mut self, index: usize) -> bool {
        let Self { members, tally, spoiler, .. } = self;
        let member = &mut members[index];
        if member.over {
            return false;
        }
        let Member { client, receiver, check, ping, pinged, .. } = member;
        for taken in 0..TAKEN {
            let each = |event: Event<&str>| match event {
                Event::Answer(answer) if Some(answer.command) == *ping => *pinged = answer.result.is_ok(),
                Event::Answer(answer) => check.answered(answer.command, answer.result),
                event => match tally.told(&event) {
                    Some(told) => spoiler.pass(*client, told, |told| check.told(told)),
                    None => check.connection(&event),
                },
            };
            match receiver.recv_with(Duration::ZERO, each) {
                Ok(Some(())) => {}
                Ok(None) => return taken > 0,
                Err(why) => {
                    member.over = true;
                    if !member.has_quit {
                        member.check.failed(why);
                    }
                    return true;
                }
            }
        }
        true
    }

    /// What has come so far beside what had to; how the replay ended is not in it yet.
    fn judge(&mut self) -> Outcome {
        let mut all = Vec::new();
        for member in &mut self.members {
            let plan = &self.job.plan.clients[member.client];
            let fresh = Check::new(&self.timelines[plan.room], member.client, &plan.nick);
            all.extend(std::mem::replace(&mut member.check, fresh).finish());
        }
        let different = all.len();
        all.sort_by(|a, b| (&a.file, a.line, &a.client).cmp(&(&b.file, b.line, &b.client)));
        all.truncate(DIFFERENCES_MAX);
        Outcome {
            messages: self.messages,
            deliveries: self.tally.deliveries,
            notices: self.tally.notices,
            start_ns: self.board.start_ns(),
            last_ns: self.tally.last_ns,
            latency: figures::encode(&self.tally.latency),
            stalled: false,
            interrupted: false,
            different,
            differences: all,
        }
    }

    /// Ends all sessions, and takes what still comes so that nobody waits for these clients' rings.
    fn quit(&mut self) {
        for member in &mut self.members {
            if !member.has_quit && !member.over {
                // What fails now has nothing to do with the log; a server that misses a QUIT sees the process end.
                member.over = member.sender.quit().is_err();
                member.has_quit = true;
            }
            while let Ok(Some(())) = member.receiver.recv_with(Duration::ZERO, |_| ()) {}
        }
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE
            && self.end.is_none()
            && self.members.iter().any(|member| !member.over)
        {
            for member in self.members.iter_mut().filter(|member| !member.over) {
                while let Ok(Some(())) = member.receiver.recv_with(Duration::ZERO, |_| ()) {}
                member.over = member.receiver.recv_with(Duration::ZERO, |_| ()).is_err();
            }
            self.beat();
            std::thread::yield_now();
        }
    }
}

impl Tally {
    /// What the event tells, counted; `None` if a replay must not see such an event.
    fn told<'a>(&mut self, event: &Event<&'a str>) -> Option<Told<'a>> {
        let told = match event {
            Event::Message(message) => {
                let now = monotonic_ns();
                self.deliveries += 1;
                self.last_ns = now;
                self.latency.saturating_record(now.saturating_sub(message.times.sent_ns).max(1));
                let (seq, nick, text, action) = (message.seq, message.nick, message.text, message.action);
                return Some(Told::Message { seq, nick, text, action });
            }
            Event::Joined(joined) => Told::Joined { nick: joined.nick, members: joined.members },
            Event::Left(left, reason) => {
                Told::Left { nick: left.nick, reason: *reason, members: left.members }
            }
            Event::Renamed { old, new, .. } => Told::Renamed { old, new },
            _ => return None,
        };
        self.notices += 1;
        Some(told)
    }
}

/// How many records the steps before each one can put into one client's ring: what everybody is told, and an answer.
fn records(timeline: &Timeline<'_>) -> Vec<u64> {
    let mut sums = vec![0];
    let mut sum = 0;
    for step in 0..timeline.len() {
        let told = match timeline.told(step) {
            Some(Told::Message { nick, text, .. }) => fragments(nick.len(), text).count() as u64,
            Some(_) => 1,
            None => 0,
        };
        sum += told + 1;
        sums.push(sum);
    }
    sums
}
