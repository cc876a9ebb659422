//! The sender thread: sends what is queued, sends again what hears no answer, and looks for the server again when it
//! is gone.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use halyard_ring::chat::LeaveReason;

use super::core::{Core, Sent};
use crate::error::{ConnectError, SendError};
use crate::event::{Event, Loss};
use crate::options::Reconnect;
use crate::session::{self, Past, Pushed, Receiver, Sender, Waker};

/// How long the control ring may be closed before the session counts as over although its reply ring is open.
const CLOSED_FOR: Duration = Duration::from_secs(2);
/// Pause before something is sent again that a closed or damaged control ring did not take.
const DAMAGED: Duration = Duration::from_millis(10);
/// The sender waits no longer than this for space at once: it must hear of a lost session.
const SPACE: Duration = Duration::from_millis(100);
/// Pause between two looks for a server that is gone: the first, and the longest.
const LOOK: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(200));
/// How long one of these looks may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(1);

/// For so long a control ring that makes no sense is taken for a damaged one, of which its server makes a new one. After
/// that it is another version's.
const NONSENSE: Duration = Duration::from_secs(10);

/// One connection with its receiver thread.
struct Link {
    sender: Sender,
    waker: Waker,
    receiver: JoinHandle<Receiver>,
    stop: Arc<AtomicBool>,
}

impl Link {
    fn start(core: &Arc<Core>, sender: Sender, receiver: Receiver) -> io::Result<Self> {
        let waker = receiver.waker();
        let stop = Arc::new(AtomicBool::new(false));
        let (core, stopped) = (Arc::clone(core), Arc::clone(&stop));
        let receiver = thread::Builder::new()
            .name("halyard-receive".to_owned())
            .spawn(move || listen(&core, receiver, &stopped))?;
        Ok(Self { sender, waker, receiver, stop })
    }

    /// Ends the receiver thread and removes the reply ring. Returns what another session goes on with.
    fn end(self) -> Past {
        self.stop.store(true, Ordering::Release);
        // Woken between two of its waits it might sleep on.
        while !self.receiver.is_finished() {
            self.waker.wake();
            thread::sleep(Duration::from_millis(1));
        }
        // A panic there has printed its message already.
        self.receiver.join().map_or_else(|_| Past::new(), |receiver| Past::of(self.sender, receiver))
    }
}

/// The receiver thread.
fn listen(core: &Core, mut receiver: Receiver, stop: &AtomicBool) -> Receiver {
    while !stop.load(Ordering::Acquire) {
        match receiver.recv_with(Duration::from_secs(60), |delivery| core.take(delivery)) {
            Ok(_) => {}
            Err(error) => {
                core.lost(error.loss());
                return receiver;
            }
        }
    }
    // What lies in the ring was delivered, and its sender may know that already.
    receiver.drain(|delivery| core.take(delivery));
    if let Some(gap) = receiver.missing_at_the_end() {
        core.take(Event::Gap(gap));
    }
    receiver
}

/// Starts the receiver thread of the first connection and the sender thread.
pub(super) fn start(core: &Arc<Core>, sender: Sender, receiver: Receiver) -> io::Result<JoinHandle<()>> {
    let link = Link::start(core, sender, receiver)?;
    let shared = Arc::clone(core);
    thread::Builder::new().name("halyard-send".to_owned()).spawn(move || run(&shared, link)).inspect_err(
        |_| {
            // The link went down with the closure; its receiver thread must not stay.
            core.end(Loss::Closed);
        },
    )
}

fn run(core: &Arc<Core>, mut link: Link) {
    loop {
        let loss = serve(core, &mut link.sender);
        let past = link.end();
        match after_loss(core, loss, past) {
            Some(next) => link = next,
            None => return,
        }
    }
}

/// Sends until the session or the client is over.
fn serve(core: &Core, sender: &mut Sender) -> Loss {
    sender.set_timeout(SPACE);
    let retry = sender.limits().retry.max(Duration::from_millis(1));
    let mut closed_since = None;
    let mut halted = None;
    let mut state = core.lock();
    loop {
        if let Some(loss) = state.over.or(state.lost) {
            return loss;
        }
        let now = Instant::now();
        if sender.follow() {
            state.send_all_again(now, retry);
        }
        // A text of which only the beginning went in has to follow at once: another command ends it.
        let begun = halted.take().and_then(|number| state.sent.range_mut(number..=number).next());
        let is_overdue = |(_, sent): &(&u64, &mut Sent)| now.duration_since(sent.at) >= retry;
        let overdue = match begun {
            Some(begun) => Some(begun),
            None => state.sent.iter_mut().find(is_overdue),
        };
        let (number, pushed) = if let Some((&number, sent)) = overdue {
            sent.at = now;
            let (command, text) = (Arc::clone(&sent.request.command), sent.request.text);
            drop(state);
            (number, sender.send_again_as(number, text, &command))
        } else if state.may_send(sender.next_number())
            && let Some(request) = state.waiting.pop_front()
        {
            // Noted before it is sent: the answer may come at once.
            let number = sender.take_number();
            let (command, text) = (Arc::clone(&request.command), request.text);
            state.sent.insert(number, Sent { request, at: now });
            drop(state);
            (number, sender.send_as(number, text, &command))
        } else {
            let next = state.sent.values().map(|sent| sent.at + retry).min();
            let pause = next.map_or(Duration::from_secs(3600), |at| at.saturating_duration_since(now));
            state = core.work.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0;
            continue;
        };
        state = core.lock();
        match pushed {
            Ok(Pushed::Anew) => {
                closed_since = None;
                // In their order, this one among them.
                state.send_all_again(now, retry);
            }
            Ok(Pushed::Whole) => closed_since = None,
            // What did not go in is the first to be tried again: nothing that was said later goes before it.
            Err(SendError::Full { .. }) => {
                closed_since = None;
                state.send_again(number, now, retry);
                halted = Some(number);
            }
            Err(SendError::Closed | SendError::Damaged) => {
                // The server is going: what it still has to say comes through the reply ring, which it closes last. Or
                // it is about to notice that somebody has damaged its control ring.
                if now.duration_since(*closed_since.get_or_insert(now)) >= CLOSED_FOR {
                    return Loss::Closed;
                }
                state.send_again(number, now, retry);
                state = core.work.wait_timeout(state, DAMAGED).unwrap_or_else(PoisonError::into_inner).0;
            }
            Err(_) => return Loss::Closed,
        }
    }
}

/// The connection is gone: connects again if that is wished. `None`: the client is over.
fn after_loss(core: &Arc<Core>, loss: Loss, past: Past) -> Option<Link> {
    let mut state = core.lock();
    state.connected = false;
    state.lost = None;
    state.unsend();
    if state.quitting && state.over.is_none() {
        // The session ended while QUIT was under way: that is what was wished.
        state.over = Some(Loss::Goodbye(LeaveReason::Quit));
    }
    if let Some(loss) = state.over {
        drop(state);
        core.end(loss);
        return None;
    }
    drop(state);
    core.events.push_always(Event::Disconnected(loss));
    let limit = match core.options.reconnect {
        Reconnect::Never => {
            core.end(loss);
            return None;
        }
        Reconnect::Within(limit) => Some(limit),
        Reconnect::Always => None,
    };
    match reconnect(core, limit, past) {
        Ok(link) => link,
        Err(error) => {
            core.events.push_always(Event::GaveUp { why: error.to_string() });
            core.end(loss);
            None
        }
    }
}

fn reconnect(
    core: &Arc<Core>,
    limit: Option<Duration>,
    mut past: Past,
) -> Result<Option<Link>, ConnectError> {
    let began = Instant::now();
    let mut pause = LOOK.0;
    let mut nonsense_since = None;
    loop {
        let options = core.options.clone().with_nick(core.home.nick());
        let error = match session::resume(&options.connect_timeout(LOOK_TIMEOUT), &mut past) {
            Ok((sender, mut receiver)) => {
                let event = core.resume(&sender, receiver.nick());
                if event.is_some() {
                    // There is no room to go back to.
                    receiver.is_back();
                }
                event.into_iter().for_each(|event| core.events.push_always(event));
                return Link::start(core, sender, receiver).map(Some).map_err(ConnectError::Thread);
            }
            Err(error) if error.is_temporary() => {
                nonsense_since = None;
                error
            }
            Err(error @ (ConnectError::ControlRing(_) | ConnectError::Schema { .. }))
                if nonsense_since.get_or_insert_with(Instant::now).elapsed() < NONSENSE =>
            {
                error
            }
            Err(error) => return Err(error),
        };
        if limit.is_some_and(|limit| began.elapsed() >= limit) {
            return Err(error);
        }
        let state = core.lock();
        let quiet = |state: &mut super::core::State| state.over.is_none() && !state.quitting;
        let (state, _) =
            core.work.wait_timeout_while(state, pause, quiet).unwrap_or_else(PoisonError::into_inner);
        if state.over.is_some() || state.quitting {
            drop(state);
            core.end(Loss::Goodbye(LeaveReason::Quit));
            return Ok(None);
        }
        drop(state);
        pause = (pause * 2).min(LOOK.1);
    }
}
