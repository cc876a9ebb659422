//! Keeps `docs/protocol.md` true: its tables are compared with the code, and what stands there is enough to take
//! part.
//! The files beside this one make a ring and a chat client of the page's numbers alone.
#![expect(
    unsafe_code,
    reason = "a segment by hand: system calls and raw offsets, as somebody writes it in C"
)]

#[path = "from_the_page/c.rs"]
mod c;
#[path = "from_the_page/chat.rs"]
mod chat;
#[path = "from_the_page/client.rs"]
mod client;
#[path = "from_the_page/page.rs"]
mod page;
#[path = "from_the_page/renewal.rs"]
mod renewal;
#[path = "from_the_page/rooms.rs"]
mod rooms;
#[path = "from_the_page/segment.rs"]
mod segment;
#[path = "from_the_page/slots.rs"]
mod slots;
#[path = "from_the_page/tables.rs"]
mod tables;
#[path = "from_the_page/with_the_engine.rs"]
mod with_the_engine;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use halyard_ring::chat::Record;
use halyard_ring::{Ring, RingName, RingOptions};

/// For waits on what must come. Nothing takes this long unless it is broken.
const LONG: Duration = Duration::from_secs(20);

/// A ring name that no other test has.
fn unused_name(of: &str) -> RingName {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    RingName::new(&format!("page-{of}-{}-{count}", std::process::id())).expect("a valid name")
}

/// A ring of the engine whose names go with it, also when a test fails.
struct Made(Ring<Record>);

impl Made {
    fn new(name: &RingName, options: &RingOptions) -> Self {
        Self(Ring::create(name, options).expect("a new ring"))
    }
}

impl std::ops::Deref for Made {
    type Target = Ring<Record>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let _ = self.0.unlink();
    }
}

/// Waits until it is true.
#[track_caller]
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let began = std::time::Instant::now();
    while !done() {
        assert!(began.elapsed() < LONG, "{what} did not come");
        std::thread::sleep(Duration::from_millis(1));
    }
}
