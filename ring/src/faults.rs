//! Named points at which a process can be made to die, stop or sleep: for tests of what that does to the others.
//!
//! All of it is behind the cargo feature `faults`; a normal build has no trace of it. A process gets its orders through
//! the environment variable `HALYARD_FAULTS`, a list such as `half-written:kill@3,attach:stop`, or at run time through
//! [`arm`], for instance with what a driver writes to its standard input.
//!
//! ```
//! use halyard_ring::faults::{self, Order};
//! // Sleep 1 ms at the second passage from now on.
//! let order: Order = "before-wake:sleep=1@2".parse()?;
//! faults::arm(order);
//! assert!(faults::is_armed(order.point));
//! # faults::disarm_all();
//! # Ok::<(), faults::BadOrder>(())
//! ```

use core::fmt;
use core::str::FromStr;
use core::time::Duration;
use std::sync::Once;

use nix::sys::signal::{Signal, raise};

use crate::sync::{Ordering, QuietU64};

/// The environment variable with the orders that a process starts with.
pub const VARIABLE: &str = "HALYARD_FAULTS";

/// Makes the enum, the list of all its variants, and their names.
macro_rules! points {
    ($($(#[$doc:meta])+ $name:ident = $text:literal,)+) => {
        /// A place in the code where a process can be hit.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Point {
            $($(#[$doc])+ $name,)+
        }

        impl Point {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Its name in an order.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

points! {
    /// Ring: a segment has its name, and neither lock nor size.
    Create = "create",
    /// Ring: a segment is locked and has its size; its semaphores and its header are missing.
    HalfCreated = "half-created",
    /// Ring: a semaphore is made and has no name yet.
    Unnamed = "unnamed",
    /// Ring: a ring that is to take another one's place is made, under another name; the place was looked at.
    Renewing = "renewing",
    /// Ring: its segment has the place, its semaphores have not, and it is not READY.
    HalfRenewed = "half-renewed",
    /// Ring: all three names are its own, it is not READY, and what it replaces is not removed.
    Renewed = "renewed",
    /// Ring: a producer stands in the owner table and knows nothing else yet.
    Attach = "attach",
    /// Ring: a position is claimed, nothing is written.
    AfterClaim = "after-claim",
    /// Ring: half of the record is written.
    HalfWritten = "half-written",
    /// Ring: the record is written and not published.
    BeforePublish = "before-publish",
    /// Ring: the record is published and nobody is woken.
    BeforeWake = "before-wake",
    /// Ring: a consumer has announced its sleep and not looked again.
    ConsumerAnnounced = "consumer-announced",
    /// Ring: a producer has announced its sleep and not looked again.
    ProducerAnnounced = "producer-announced",
    /// Ring: a dead owner's entry bears the reaper's name and its slots are not freed.
    Reap = "reap",
    /// Client: the reply ring is made, HELLO is not sent.
    BeforeHello = "before-hello",
    /// Client: HELLO is sent and not answered.
    AfterHello = "after-hello",
    /// Client: QUIT is due and not sent.
    BeforeQuit = "before-quit",
    /// Client: QUIT is sent and not answered.
    AfterQuit = "after-quit",
    /// Server: the router has taken a record and done nothing about it.
    Taken = "taken",
    /// Server: a message has reached one member of its room and not the next.
    Delivery = "delivery",
    /// Server: what a full reply ring has no room for is noted in its header, and its sender has no ACK.
    Noted = "noted",
    /// Server: there is a new control ring, and nobody is told of it.
    Reopen = "reopen",
    /// Server: one client is told of the new control ring, and the next is not.
    HalfReopened = "half-reopened",
    /// Server: a session that ends has left its room and not the registries.
    SessionEnd = "session-end",
}

impl FromStr for Point {
    type Err = BadOrder;

    fn from_str(text: &str) -> Result<Self, BadOrder> {
        Self::ALL.iter().copied().find(|point| point.name() == text).ok_or_else(|| BadOrder(text.to_owned()))
    }
}

/// What happens to the process at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// SIGKILL.
    Kill,
    /// SIGSTOP; somebody else sends SIGCONT.
    Stop,
    /// The thread sleeps for so long; milliseconds count.
    Sleep(Duration),
}

/// What is to happen, where, and at which passage from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Where.
    pub point: Point,
    /// What.
    pub action: Action,
    /// At which passage, from 1.
    pub nth: u32,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let point = self.point.name();
        match self.action {
            Action::Kill => write!(f, "{point}:kill@{}", self.nth),
            Action::Stop => write!(f, "{point}:stop@{}", self.nth),
            Action::Sleep(time) => write!(f, "{point}:sleep={}@{}", time.as_millis(), self.nth),
        }
    }
}

/// A text that is no [`Order`], or no [`Point`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadOrder(String);

impl fmt::Display for BadOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Point::ALL.iter().map(|point| point.name()).collect();
        write!(
            f,
            "{:?} is no fault: write POINT:kill, POINT:stop or POINT:sleep=MILLISECONDS, and @N for the Nth passage; \
             points are {}",
            self.0,
            names.join(", ")
        )
    }
}

impl core::error::Error for BadOrder {}

impl FromStr for Order {
    type Err = BadOrder;

    fn from_str(text: &str) -> Result<Self, BadOrder> {
        let bad = || BadOrder(text.to_owned());
        let (point, rest) = text.split_once(':').ok_or_else(bad)?;
        let (action, nth) = rest.split_once('@').unwrap_or((rest, "1"));
        let action = match action.split_once('=') {
            None if action == "kill" => Action::Kill,
            None if action == "stop" => Action::Stop,
            Some(("sleep", ms)) => {
                let ms: u64 = ms.parse().ok().filter(|&ms| ms <= SLEEP_MAX_MS).ok_or_else(bad)?;
                Action::Sleep(Duration::from_millis(ms))
            }
            _ => return Err(bad()),
        };
        let nth = nth.parse().ok().filter(|&nth| nth > 0).ok_or_else(bad)?;
        Ok(Self { point: point.parse().map_err(|_| bad())?, action, nth })
    }
}

const SLEEP_MAX_MS: u64 = (1 << 30) - 1;

/// By point: what is armed there. Passages left (32 bits), milliseconds (30), action (2); 0 for nothing.
static ARMED: [QuietU64; Point::ALL.len()] = [const { QuietU64::new(0) }; Point::ALL.len()];

fn encode(order: Order) -> u64 {
    let (action, ms) = match order.action {
        Action::Kill => (0, 0),
        Action::Stop => (1, 0),
        Action::Sleep(time) => (2, (time.as_millis() as u64).min(SLEEP_MAX_MS)),
    };
    u64::from(order.nth) << 32 | ms << 2 | action
}

/// Arms a point; what was armed there before is forgotten.
pub fn arm(order: Order) {
    read_environment();
    ARMED[order.point as usize].store(encode(order), Ordering::Relaxed);
}

/// Whether something is armed at this point and has not happened.
#[must_use]
pub fn is_armed(point: Point) -> bool {
    ARMED[point as usize].load(Ordering::Relaxed) != 0
}

/// Nothing more happens.
pub fn disarm_all() {
    read_environment();
    ARMED.iter().for_each(|word| word.store(0, Ordering::Relaxed));
}

/// What the process was started with, once.
fn read_environment() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let Ok(list) = std::env::var(VARIABLE) else { return };
        for text in list.split(',').filter(|text| !text.is_empty()) {
            match text.parse::<Order>() {
                Ok(order) => ARMED[order.point as usize].store(encode(order), Ordering::Relaxed),
                Err(bad) => {
                    // A fault that is misspelt would be a test that tests nothing.
                    eprintln!("{VARIABLE}: {bad}");
                    std::process::exit(2);
                }
            }
        }
    });
}

/// The process comes past a point.
#[inline]
pub fn pass(point: Point) {
    read_environment();
    if is_armed(point) {
        count_down(point);
    }
}

#[cold]
fn count_down(point: Point) {
    let word = &ARMED[point as usize];
    let passed = word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |armed| match armed >> 32 {
        0 => None,
        1 => Some(0),
        _ => Some(armed - (1 << 32)),
    });
    let Ok(armed) = passed else { return };
    if armed >> 32 != 1 {
        return;
    }
    match armed & 3 {
        // Neither of the two can fail for a process that signals itself.
        0 => drop(raise(Signal::SIGKILL)),
        1 => drop(raise(Signal::SIGSTOP)),
        _ => std::thread::sleep(Duration::from_millis(armed >> 2 & SLEEP_MAX_MS)),
    }
}
