//! [`Server`]: puts the parts together, and takes them apart.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use halyard_ring::chat::{Record, ServerName, control_ring};
use halyard_ring::{
    AttachError, Belonging, CreateError, ProcessId, Removal, Ring, RingOptions, RingView, creator_lives,
    pin_to, remove_dead,
};

use crate::audit::{Auditor, Line};
use crate::broadcaster::{self, Broadcaster, Desk};
use crate::config::Config;
use crate::control::Control;
use crate::error::StartError;
use crate::inflight::InFlight;
use crate::job::{INBOX, Job};
use crate::leftovers::{connected_to, remove_dead_replies, remove_half_made};
use crate::liveness::Liveness;
use crate::notice::{Notice, Notices};
use crate::registry::{ClientInfo, Registry, RoomInfo};
use crate::resources::Resources;
use crate::router::{self, Orphans, Router};
use crate::spill::Pool;
use crate::stats::{Counters, Stats};
use crate::steward::Steward;

/// A thread of the server that is descheduled while it writes into an inbox comes back; it does not die alone. So
/// there is nothing to pass over in a hurry.
const INBOX_GRACE: Duration = Duration::from_secs(1);

/// A running server. Dropping it stops it.
pub struct Server {
    config: Arc<Config>,
    control: Arc<Control>,
    registry: Arc<Registry>,
    counters: Arc<Counters>,
    notices: Arc<Notices>,
    audit: Option<Auditor>,
    /// Ends when the router has ended every session.
    router: Option<JoinHandle<()>>,
    /// Liveness and broadcasters: they end after the router.
    others: Vec<JoinHandle<()>>,
    /// Ends last, when every chore is done.
    steward: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server in this process: takes the name, removes what a dead server of that name and its dead clients
    /// left, and starts the threads.
    ///
    /// # Errors
    /// [`StartError::Held`] if a living server has the name; see [`StartError`] for the rest.
    pub fn start(config: Config) -> Result<Self, StartError> {
        config.check().map_err(StartError::Config)?;
        let pins = config.pins().map_err(StartError::Config)?;
        let audit_file = match &config.audit {
            None => None,
            Some(path) => {
                let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
                Some(opened.map_err(|source| StartError::Audit { path: path.clone(), source })?)
            }
        };
        let (control, processes) = take_name(&config)?;
        let control = Arc::new(Control::new(control));
        remove_half_made(&config.name);
        let orphans = Orphans { rings: remove_dead_replies(&config.name), processes };
        let server = Self::assemble(Arc::new(config), Arc::clone(&control), pins, audit_file, orphans);
        if server.is_err() {
            control.close();
            let _ = control.ring().unlink();
        }
        server
    }

    fn assemble(
        config: Arc<Config>,
        control: Arc<Control>,
        pins: Option<Vec<usize>>,
        audit_file: Option<std::fs::File>,
        orphans: Orphans,
    ) -> Result<Self, StartError> {
        let os = |what| move |source| StartError::Os { what, source };
        let mut consumer = control.ring().consumer().map_err(|error| StartError::Os {
            what: "attach to the control ring",
            source: std::io::Error::other(error),
        })?;
        consumer.set_wait(config.wait);
        control.beat();
        let registry = Arc::new(Registry::new(config.clients_max, config.rooms_max));
        let counters = Arc::new(Counters::new(config.broadcasters));
        let notices = Arc::new(Notices::new(Arc::clone(&control)));
        let (steward, chores) = mpsc::channel();
        let audit = Auditor::new(audit_file.is_some().then(|| steward.clone()));
        let (liveness, watchlist) =
            Liveness::new(Arc::clone(&control), Arc::clone(&notices), config.heartbeat, config.hang)
                .map_err(os("make a pipe"))?;
        let inboxes = Inboxes::new(config.broadcasters).map_err(|error| StartError::Os {
            what: "attach to an inbox",
            source: std::io::Error::other(error),
        })?;
        let Inboxes { rings, for_router, for_peers } = inboxes;
        let barrier = Arc::new(AtomicUsize::new(0));
        let in_flight = Arc::new(InFlight::new(config.broadcasters));
        let arrivals: Vec<Arc<broadcaster::Arrivals>> =
            (0..config.broadcasters).map(|_| Arc::new(Mutex::default())).collect();

        // Goes with the router, or with this function if a thread cannot be started: either way the broadcasters end
        // by it, the liveness thread by the end of its watchlist's pipe, the steward by the end of its last sender.
        let guard = CloseInboxes(rings.clone());
        let mut others = Vec::new();
        let mut desks = Vec::new();
        let spawn = |name: String, work: Box<dyn FnOnce() + Send>| {
            Builder::new().name(name).spawn(work).map_err(os("start a thread"))
        };
        for (index, peers) in for_peers.into_iter().enumerate() {
            let mut consumer = rings[index].consumer().map_err(|error| StartError::Os {
                what: "attach to an inbox",
                source: std::io::Error::other(error),
            })?;
            consumer.set_wait(config.wait);
            let broadcaster = Broadcaster::new(broadcaster::Parts {
                index,
                peers,
                arrivals: Arc::clone(&arrivals[index]),
                notices: Arc::clone(&notices),
                steward: steward.clone(),
                audit: audit.clone(),
                counters: Arc::clone(&counters),
                barrier: Arc::clone(&barrier),
                in_flight: Arc::clone(&in_flight),
            });
            let desk = Desk::new(broadcaster, rings[index].clone());
            desks.push(Arc::clone(&desk));
            let cpu = pins.as_ref().map(|pins| pins[index]);
            let work = move || {
                if let Some(cpu) = cpu
                    && let Err(error) = pin_to(cpu)
                {
                    tracing::warn!(broadcaster = index, cpu, %error, "not pinned");
                }
                desk.run(consumer);
            };
            others.push(spawn(format!("halyard-bc-{index}"), Box::new(work))?);
        }
        let router = Router::new(router::Parts {
            config: Arc::clone(&config),
            control: Arc::clone(&control),
            consumer,
            registry: Arc::clone(&registry),
            inboxes: for_router,
            desks,
            arrivals,
            barrier,
            in_flight,
            notices: Arc::clone(&notices),
            steward: steward.clone(),
            watchlist,
            audit: audit.clone(),
            counters: Arc::clone(&counters),
            spill: Pool::new(config.spill_total),
            orphans,
        });
        let work = Steward {
            server: config.name.clone(),
            chores,
            notices: Arc::clone(&notices),
            audit: audit_file,
            resources: Resources::look(config.clients_max),
        };
        others.push(spawn("halyard-live".to_owned(), Box::new(move || liveness.run()))?);
        let steward_thread = spawn("halyard-steward".to_owned(), Box::new(move || work.run()))?;
        let work = move || {
            let _guard = guard;
            router.run();
        };
        let router = spawn("halyard-router".to_owned(), Box::new(work))?;
        let name = config.name.as_str();
        tracing::info!(
            name,
            broadcasters = config.broadcasters,
            ?pins,
            clients = config.clients_max,
            "started"
        );
        audit.write(Line { event: "start", pid: Some(std::process::id()), ..Line::default() });
        drop(steward);
        Ok(Self {
            config,
            control,
            registry,
            counters,
            notices,
            audit: Some(audit),
            router: Some(router),
            others,
            steward: Some(steward_thread),
        })
    }

    /// The server's name.
    #[must_use]
    pub fn name(&self) -> &ServerName {
        &self.config.name
    }

    /// What it has done so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = self.counters.read();
        stats.clients = self.registry.clients().len();
        stats.rooms = self.registry.rooms().len();
        stats
    }

    /// Who is connected, by id.
    #[must_use]
    pub fn clients(&self) -> Vec<ClientInfo> {
        self.registry.client_infos()
    }

    /// Which rooms are open, by name.
    #[must_use]
    pub fn rooms(&self) -> Vec<RoomInfo> {
        self.registry.room_infos()
    }

    /// Whether it still runs. False once a thread of its own has failed; then [`stop`](Self::stop) cleans up.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.router.as_ref().is_some_and(|router| !router.is_finished())
    }

    /// Stops the server: no more commands are accepted, those accepted are carried out and answered, every client is
    /// told goodbye (one that does not read has half a second), all rings are closed and all names removed. Returns
    /// what the server had done.
    pub fn stop(mut self) -> Stats {
        self.shut_down()
    }

    fn shut_down(&mut self) -> Stats {
        let Some(router) = self.router.take() else { return self.counters.read() };
        let clients = self.registry.clients().len();
        self.notices.send(Notice::Stop);
        join(router);
        self.others.drain(..).for_each(join);
        if let Some(audit) = self.audit.take() {
            let reason = format!("{clients} clients connected");
            audit.write(Line {
                event: "shutdown",
                pid: Some(std::process::id()),
                reason: Some(&reason),
                ..Line::default()
            });
        }
        // It ends with the last of those who give it chores: the auditor just dropped.
        self.steward.take().into_iter().for_each(join);
        self.control.close();
        if let Err(error) = self.control.ring().unlink() {
            tracing::warn!(%error, "control ring not removed");
        }
        let stats = self.counters.read();
        tracing::info!(name = self.config.name.as_str(), delivered = stats.delivered, "stopped");
        stats
    }
}

fn join(thread: JoinHandle<()>) {
    let name = thread.thread().name().unwrap_or_default().to_owned();
    if thread.join().is_err() {
        tracing::error!(name, "a thread of the server ended by a panic");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shut_down();
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("name", &self.config.name).finish_non_exhaustive()
    }
}

/// The broadcasters' inboxes and everyone's way into them.
struct Inboxes {
    rings: Vec<Ring<Job>>,
    for_router: Vec<halyard_ring::Producer<Job>>,
    /// For each broadcaster, its way into each other.
    for_peers: Vec<Vec<Option<halyard_ring::Producer<Job>>>>,
}

impl Inboxes {
    fn new(count: usize) -> Result<Self, AttachError> {
        let options = RingOptions::mpsc(INBOX).owners(count as u32 + 1).grace(INBOX_GRACE);
        let rings: Vec<Ring<Job>> = (0..count).map(|_| Ring::heap(&options)).collect();
        let for_router = rings.iter().map(Ring::producer).collect::<Result<_, _>>()?;
        let mut for_peers = Vec::new();
        for index in 0..count {
            let into = |(to, ring): (usize, &Ring<Job>)| (to != index).then(|| ring.producer()).transpose();
            for_peers.push(rings.iter().enumerate().map(into).collect::<Result<_, _>>()?);
        }
        Ok(Self { rings, for_router, for_peers })
    }
}

/// Ends the broadcasters when the router is gone, however it went.
struct CloseInboxes(Vec<Ring<Job>>);

impl Drop for CloseInboxes {
    fn drop(&mut self) {
        for ring in &self.0 {
            ring.close();
        }
    }
}

/// How long the lock of a control ring whose creator seems dead may be held by others.
const LOOKERS: Duration = Duration::from_secs(1);

/// Creates the control ring, taking over the name from a dead server. Returns the processes, too, that were connected to
/// that one and can be told by nothing else: see [`Orphans`].
fn take_name(config: &Config) -> Result<(Ring<Record>, Vec<ProcessId>), StartError> {
    let name = control_ring(&config.name);
    let options = config.control_options();
    let begun = Instant::now();
    let mut connected = Vec::new();
    loop {
        match Ring::create(&name, &options) {
            Ok(ring) => return Ok((ring, connected)),
            Err(CreateError::Exists { .. }) => {}
            Err(error) => return Err(StartError::Control(error)),
        }
        let left = connected_to(&name);
        match remove_dead(&name) {
            Ok(Removal::Removed) => {
                connected = left;
                tracing::info!(name = config.name.as_str(), "took over from a dead server")
            }
            // Gone between two looks.
            Ok(Removal::Missing) => {}
            Ok(_) => {
                let creator = RingView::open(&name).ok().and_then(|ring| ring.creator());
                // Whoever looks whether a creator lives holds its lock for an instant, and the clients of a dead server
                // look again and again.
                if !creator.is_some_and(ProcessId::is_alive) && begun.elapsed() < LOOKERS {
                    std::thread::sleep(Duration::from_millis(1));
                    continue;
                }
                let pid = creator.map(ProcessId::pid);
                return Err(StartError::Held { name: config.name.clone(), pid });
            }
            Err(source) => {
                let others = Belonging::of(&name).ok().flatten().filter(|whose| !whose.may_remove());
                if let (Some(whose), std::io::ErrorKind::PermissionDenied) = (others, source.kind()) {
                    let dead = matches!(creator_lives(&name), Ok(Some(false)));
                    return Err(StartError::Foreign {
                        name: config.name.clone(),
                        user: whose.user_name(),
                        dead,
                    });
                }
                return Err(StartError::Os { what: "look at the control ring that exists", source });
            }
        }
    }
}
