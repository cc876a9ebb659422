//! Whether clients live: their processes by pidfd, the stopped and the hung by their heartbeats.

use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use halyard_ring::chat::LeaveReason;
use halyard_ring::{Beat, Pidfd};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::control::Control;
use crate::notice::{Notice, Notices};
use crate::registry::Client;

enum Order {
    Watch(Arc<Client>),
    Forget(u32),
    Stop,
}

/// The router's handle on the liveness thread.
pub(crate) struct Watchlist {
    orders: Arc<Mutex<Vec<Order>>>,
    wake: PipeWriter,
}

impl Watchlist {
    pub(crate) fn watch(&self, client: Arc<Client>) {
        self.order(Order::Watch(client));
    }

    /// No word about the client with this id any more.
    pub(crate) fn forget(&self, id: u32) {
        self.order(Order::Forget(id));
    }

    pub(crate) fn stop(&self) {
        self.order(Order::Stop);
    }

    fn order(&self, order: Order) {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let first = orders.is_empty();
        orders.push(order);
        drop(orders);
        // One byte is enough for all orders that are taken together.
        if first {
            let _ = (&self.wake).write_all(&[0]);
        }
    }
}

struct Watched {
    client: Arc<Client>,
    /// None where the kernel has no pidfd: then every tick asks for the process.
    pidfd: Option<Pidfd>,
    since: Instant,
}

/// The thread's own state.
pub(crate) struct Liveness {
    orders: Arc<Mutex<Vec<Order>>>,
    woken: PipeReader,
    watched: Vec<Watched>,
    control: Arc<Control>,
    notices: Arc<Notices>,
    heartbeat: Duration,
    hang: Duration,
}

impl Liveness {
    pub(crate) fn new(
        control: Arc<Control>,
        notices: Arc<Notices>,
        heartbeat: Duration,
        hang: Duration,
    ) -> std::io::Result<(Self, Watchlist)> {
        let (woken, wake) = std::io::pipe()?;
        let orders = Arc::new(Mutex::new(Vec::new()));
        let watchlist = Watchlist { orders: Arc::clone(&orders), wake };
        Ok((Self { orders, woken, watched: Vec::new(), control, notices, heartbeat, hang }, watchlist))
    }

    /// Watches until [`Watchlist::stop`].
    pub(crate) fn run(mut self) {
        let mut last_tick = Instant::now();
        let mut next_tick = last_tick;
        loop {
            let now = Instant::now();
            if now >= next_tick {
                self.control.beat();
                // After a pause of our own (stopped, or the whole machine was) the heartbeats of the others say
                // nothing yet.
                if now - last_tick < self.hang / 2 {
                    self.tick();
                } else {
                    self.forgive(now);
                }
                last_tick = now;
                next_tick = now + self.heartbeat;
            }
            let (woken, ended) = self.sleep(next_tick.saturating_duration_since(Instant::now()));
            if !ended.is_empty() {
                self.bury(&ended);
            }
            if woken && !self.take_orders() {
                return;
            }
        }
    }

    /// Sleeps until a process ends, an order comes, or the time is over. Says whether orders came, and which clients'
    /// processes have ended.
    fn sleep(&self, time: Duration) -> (bool, Vec<u32>) {
        let mut fds = Vec::with_capacity(self.watched.len() + 1);
        fds.push(PollFd::new(self.woken.as_fd(), PollFlags::POLLIN));
        let with_pidfd =
            || self.watched.iter().filter_map(|w| w.pidfd.as_ref().map(|pidfd| (w.client.id, pidfd)));
        fds.extend(with_pidfd().map(|(_, pidfd)| PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)));
        // Rounded up, so that the end of the wait is not spun through in steps of 0 ms.
        let time = PollTimeout::try_from(time + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
        if !poll(&mut fds, time).is_ok_and(|ready| ready > 0) {
            // An interrupted poll is a short sleep.
            return (false, Vec::new());
        }
        let ended = fds[1..].iter().zip(with_pidfd()).filter(|(fd, _)| fd.any() == Some(true));
        let ended = ended.map(|(_, (id, _))| id).collect();
        (fds[0].any() == Some(true), ended)
    }

    fn take_orders(&mut self) -> bool {
        let mut bytes = [0; 64];
        if matches!((&self.woken).read(&mut bytes), Ok(0)) {
            // The router is gone.
            return false;
        }
        let orders = std::mem::take(&mut *self.orders.lock().unwrap_or_else(PoisonError::into_inner));
        for order in orders {
            match order {
                Order::Watch(client) => {
                    let pidfd = Pidfd::open(client.process).ok();
                    if pidfd.is_none() && !client.process.is_alive() {
                        self.notices.send(Notice::Gone(client.id, LeaveReason::Died));
                        self.control.reap();
                    } else {
                        self.watched.push(Watched { client, pidfd, since: Instant::now() });
                    }
                }
                Order::Forget(id) => self.watched.retain(|watched| watched.client.id != id),
                Order::Stop => return false,
            }
        }
        true
    }

    /// Reports clients whose processes have ended, and frees what they held of the control ring.
    fn bury(&mut self, ended: &[u32]) {
        for &id in ended {
            self.notices.send(Notice::Gone(id, LeaveReason::Died));
        }
        self.watched.retain(|watched| !ended.contains(&watched.client.id));
        self.control.reap();
    }

    /// Looks at the heartbeats, and at what pidfds do not show.
    fn tick(&mut self) {
        let (notices, hang) = (&self.notices, self.hang);
        self.watched.retain(|Watched { client, pidfd, since }| {
            let silent = client.ring.last_beat(Beat::Creator).unwrap_or(Duration::MAX).min(since.elapsed());
            let reason = if let Err(what) = client.ring.check() {
                tracing::warn!(client = client.id, pid = client.process.pid(), %what, "its reply ring is damaged");
                LeaveReason::Misbehaved
            } else if client.ring.is_closed() || pidfd.is_none() && !client.process.is_alive() {
                LeaveReason::Died
            } else if silent > hang {
                LeaveReason::Hung
            } else {
                return true;
            };
            notices.send(Notice::Gone(client.id, reason));
            false
        });
    }

    fn forgive(&mut self, now: Instant) {
        for watched in &mut self.watched {
            watched.since = now;
        }
    }
}
