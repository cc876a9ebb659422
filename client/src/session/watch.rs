//! Watches the processes of servers, so that their end is known at once, whatever the clients are waiting for.
//!
//! One thread serves all sessions of this process. It sleeps until a server's process ends; then it says so in the
//! sessions' flags and wakes their receivers.

use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use halyard_ring::chat::Record;
use halyard_ring::{Pidfd, ProcessId, Ring};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// One session's eye on its server's process.
pub(super) struct Watch {
    ended: Arc<AtomicBool>,
    /// None where there is no pidfd, or no thread to look at it; then only the lock and the heartbeat tell.
    server: Option<ProcessId>,
}

/// A server's process and who wants to know of its end.
struct Server {
    process: ProcessId,
    pidfd: Arc<Pidfd>,
    sessions: Vec<(Arc<AtomicBool>, Ring<Record>)>,
}

struct Watcher {
    servers: Mutex<Vec<Server>>,
    /// A byte here makes the thread look at the list again.
    wake: PipeWriter,
}

impl Watch {
    /// Watches the process; when it ends, the reply ring's consumer is woken.
    pub(super) fn new(process: ProcessId, reply: &Ring<Record>) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let unwatched = |ended| Self { ended, server: None };
        let Some(watcher) = Watcher::of_this_process() else { return unwatched(ended) };
        let session = (Arc::clone(&ended), reply.clone());
        let mut servers = watcher.lock();
        if let Some(server) = servers.iter_mut().find(|server| server.process == process) {
            server.sessions.push(session);
            return Self { ended, server: Some(process) };
        }
        match Pidfd::open(process) {
            Ok(pidfd) => {
                let (pidfd, sessions) = (Arc::new(pidfd), vec![session]);
                servers.push(Server { process, pidfd, sessions });
                drop(servers);
                watcher.look_again();
                Self { ended, server: Some(process) }
            }
            Err(error) => {
                // Gone already; or a kernel without pidfds.
                ended.store(error.kind() == std::io::ErrorKind::NotFound, Ordering::Release);
                unwatched(ended)
            }
        }
    }

    /// Whether the process has ended, as far as is known.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Whether its end will be known.
    pub(super) fn is_certain(&self) -> bool {
        self.server.is_some() || self.has_ended()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let (Some(process), Some(watcher)) = (self.server, Watcher::of_this_process()) else { return };
        let mut servers = watcher.lock();
        let Some(index) = servers.iter().position(|server| server.process == process) else { return };
        servers[index].sessions.retain(|(ended, _)| !Arc::ptr_eq(ended, &self.ended));
        if servers[index].sessions.is_empty() {
            servers.swap_remove(index);
            drop(servers);
            // So that it gives the descriptor back.
            watcher.look_again();
        }
    }
}

impl Watcher {
    fn of_this_process() -> Option<&'static Self> {
        static WATCHER: OnceLock<Option<Arc<Watcher>>> = OnceLock::new();
        let start = || {
            let (woken, wake) = std::io::pipe().ok()?;
            let watcher = Arc::new(Self { servers: Mutex::default(), wake });
            let shared = Arc::clone(&watcher);
            let started =
                thread::Builder::new().name("halyard-watch".to_owned()).spawn(move || shared.run(&woken));
            started.ok().map(|_| watcher)
        };
        WATCHER.get_or_init(start).as_deref()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Server>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look_again(&self) {
        let _ = (&self.wake).write_all(&[0]);
    }

    fn run(&self, woken: &PipeReader) {
        loop {
            let pidfds: Vec<Arc<Pidfd>> =
                self.lock().iter().map(|server| Arc::clone(&server.pidfd)).collect();
            let mut fds = vec![PollFd::new(woken.as_fd(), PollFlags::POLLIN)];
            fds.extend(pidfds.iter().map(|pidfd| PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)));
            if poll(&mut fds, PollTimeout::NONE).is_err() {
                continue;
            }
            let is_over = |fd: &PollFd<'_>| fd.any() == Some(true);
            let ended: Vec<&Arc<Pidfd>> =
                pidfds.iter().zip(&fds[1..]).filter(|(_, fd)| is_over(fd)).map(|(pidfd, _)| pidfd).collect();
            if !ended.is_empty() {
                self.lock().retain(|server| {
                    let is_over = ended.iter().any(|ended| Arc::ptr_eq(ended, &server.pidfd));
                    if is_over {
                        server.sessions.iter().for_each(|(ended, ring)| {
                            ended.store(true, Ordering::Release);
                            ring.nudge();
                        });
                    }
                    !is_over
                });
            }
            if is_over(&fds[0]) {
                let _ = (&mut &*woken).read(&mut [0; 64]);
            }
        }
    }
}
