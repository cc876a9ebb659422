//! Whether clients live: their processes by pidfd, the stopped and the hung by their heartbeats.

use std::collections::BTreeMap;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use halyard_ring::chat::LeaveReason;
use halyard_ring::{Beat, Pidfd};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::control::Control;
use crate::notice::{Notice, Notices};
use crate::registry::Client;

/// What epoll says when an order has come; clients' ids are shorter.
const WOKEN: u64 = u64::MAX;
/// Ends of processes that are taken note of at once.
const ENDS: usize = 256;
/// Clients whose heartbeats are looked at without a pause: with thousands, the look would keep a processor from a
/// message for milliseconds.
const LOOKS: usize = 512;

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
    /// Watched by epoll. None where the kernel has no pidfd, or watches no more: then every look asks for the process.
    pidfd: Option<Pidfd>,
    since: Instant,
}

/// The thread's own state.
pub(crate) struct Liveness {
    orders: Arc<Mutex<Vec<Order>>>,
    woken: PipeReader,
    epoll: Epoll,
    /// By id.
    watched: BTreeMap<u32, Watched>,
    /// The clients from this id on are still to be looked at in this heartbeat.
    next: Option<u32>,
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
        // One call tells who has ended, however many are watched, and nothing is said again to the kernel for each.
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&woken, EpollEvent::new(EpollFlags::EPOLLIN, WOKEN))?;
        let orders = Arc::new(Mutex::new(Vec::new()));
        let watchlist = Watchlist { orders: Arc::clone(&orders), wake };
        let watched = BTreeMap::new();
        Ok((Self { orders, woken, epoll, watched, next: None, control, notices, heartbeat, hang }, watchlist))
    }

    /// Watches until [`Watchlist::stop`].
    pub(crate) fn run(mut self) {
        let mut next_beat = Instant::now();
        let mut due = next_beat;
        loop {
            let now = Instant::now();
            if now >= next_beat {
                self.control.beat();
                self.next = Some(0);
                next_beat = now + self.heartbeat;
            }
            // After a pause of our own (stopped, or the whole machine was) the heartbeats of the others say nothing yet.
            if now.saturating_duration_since(due) >= self.hang / 2 {
                self.forgive(now);
            }
            self.look();
            let now = Instant::now();
            let pause = next_beat.saturating_duration_since(now);
            let pause = if self.next.is_some() { pause.min(self.breath()) } else { pause };
            due = now + pause;
            let (woken, ended) = self.sleep(pause);
            if !ended.is_empty() {
                self.bury(&ended);
            }
            if woken && !self.take_orders() {
                return;
            }
        }
    }

    /// How long to wait between two looks at some of the clients, so that all have been looked at in half a heartbeat.
    fn breath(&self) -> Duration {
        self.heartbeat / (2 * self.watched.len().div_ceil(LOOKS).max(1)) as u32
    }

    /// Sleeps until a process ends, an order comes, or the time is over. Says whether orders came, and which clients'
    /// processes have ended.
    fn sleep(&self, time: Duration) -> (bool, Vec<u32>) {
        let mut events = [EpollEvent::empty(); ENDS];
        // Rounded up, so that the end of the wait is not spun through in steps of 0 ms.
        let time = EpollTimeout::try_from(time + Duration::from_millis(1)).unwrap_or(EpollTimeout::MAX);
        // An interrupted wait is a short sleep. What does not fit comes with the next.
        let count = self.epoll.wait(&mut events, time).unwrap_or(0);
        let ids = || events[..count].iter().map(EpollEvent::data);
        (ids().any(|id| id == WOKEN), ids().filter_map(|id| u32::try_from(id).ok()).collect())
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
                    let event = EpollEvent::new(EpollFlags::EPOLLIN, client.id.into());
                    let pidfd = Pidfd::open(client.process).ok();
                    let pidfd = pidfd.filter(|pidfd| self.epoll.add(pidfd, event).is_ok());
                    if pidfd.is_none() && !client.process.is_alive() {
                        self.notices.send(Notice::Gone(client.id, LeaveReason::Died));
                        self.control.reap();
                    } else {
                        self.watched.insert(client.id, Watched { client, pidfd, since: Instant::now() });
                    }
                }
                Order::Forget(id) => self.forget(id),
                Order::Stop => return false,
            }
        }
        true
    }

    fn forget(&mut self, id: u32) {
        if let Some(Watched { pidfd: Some(pidfd), .. }) = self.watched.remove(&id) {
            // Closed right afterwards, which would do, were there no copy of it in a child of this process.
            let _ = self.epoll.delete(&pidfd);
        }
    }

    /// Reports clients whose processes have ended, and frees what they held of the control ring.
    fn bury(&mut self, ended: &[u32]) {
        for &id in ended {
            self.notices.send(Notice::Gone(id, LeaveReason::Died));
            self.forget(id);
        }
        self.control.reap();
    }

    /// Looks at the heartbeats of the next few clients, and at what pidfds do not show.
    fn look(&mut self) {
        let Some(next) = self.next else { return };
        let mut looks = self.watched.range(next..);
        let mut gone = Vec::new();
        for (&id, watched) in looks.by_ref().take(LOOKS) {
            if let Some(reason) = self.judge(watched) {
                gone.push((id, reason));
            }
        }
        self.next = looks.next().map(|(&id, _)| id);
        for (id, reason) in gone {
            self.notices.send(Notice::Gone(id, reason));
            self.forget(id);
        }
    }

    /// Why the client's session is over, if it is.
    fn judge(&self, Watched { client, pidfd, since }: &Watched) -> Option<LeaveReason> {
        let silent = client.ring.last_beat(Beat::Creator).unwrap_or(Duration::MAX).min(since.elapsed());
        if let Err(what) = client.ring.check() {
            tracing::warn!(client = client.id, pid = client.process.pid(), %what, "its reply ring is damaged");
            return Some(LeaveReason::Misbehaved);
        }
        if client.ring.is_closed() || pidfd.is_none() && !client.process.is_alive() {
            return Some(LeaveReason::Died);
        }
        (silent > self.hang).then_some(LeaveReason::Hung)
    }

    fn forgive(&mut self, now: Instant) {
        for watched in self.watched.values_mut() {
            watched.since = now;
        }
    }
}
