//! The Halyard chat server, as a library: [`Server::start`] runs it inside this process, [`Server::stop`] ends it.
//! The program `halyard-server` is this and a command line.
//!
//! ```text
//! clients ──► control ring ──► router ──► one inbox per broadcaster ──► broadcasters ──► reply rings ──► clients
//!             (shared, MPSC)   1 thread   (heap, MPSC)                  N threads        (shared, SPSC, one a client)
//! ```
//!
//! - The **router** is the control ring's only reader. It checks and authenticates every record, puts commands in
//!   their one order, keeps the registries of clients and rooms, and tells the broadcasters what to deliver.
//! - A **broadcaster** owns a disjoint set of clients: it is the only writer of their reply rings and the only keeper
//!   of what waits for them. Membership reaches it in the same order as the messages, so at delivery it knows exactly
//!   who was a member when the router sequenced a message, whatever the registries say meanwhile. While it is idle the
//!   router does its work ([`Config::direct`]): a lone message waits for one thread less.
//! - **Liveness** watches the clients' processes and heartbeats; the **steward** does what takes system calls:
//!   opening and removing reply rings, writing the audit file.
//!
//! Delivery contract: whoever is a member of a room at the moment the router sequences a message gets it exactly
//! once, in the room's order, and nobody else gets it. Where a full reply ring makes that impossible, the client is
//! told exactly which records it lost. A slow client never delays another.
//!
//! ```
//! use halyard_server::{Config, Server};
//! use halyard_ring::chat::ServerName;
//!
//! let name = ServerName::new(&format!("doc-{}", std::process::id()))?;
//! let server = Server::start(Config { name, ..Config::default() })?;
//! assert_eq!(server.stats().clients, 0);
//! server.stop();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

#[cfg_attr(
    all(loom, not(test)),
    allow(dead_code, reason = "loom runs the hand-over, not the server around it")
)]
mod handover;

#[cfg(not(loom))]
mod audit;
#[cfg(not(loom))]
mod broadcaster;
#[cfg(not(loom))]
mod config;
#[cfg(not(loom))]
mod control;
#[cfg(not(loom))]
mod error;
#[cfg(not(loom))]
mod history;
#[cfg(not(loom))]
mod inflight;
#[cfg(not(loom))]
mod job;
#[cfg(not(loom))]
mod leftovers;
#[cfg(not(loom))]
mod liveness;
#[cfg(not(loom))]
mod notice;
#[cfg(not(loom))]
mod options;
#[cfg(not(loom))]
mod registry;
#[cfg(not(loom))]
mod resources;
#[cfg(not(loom))]
mod router;
#[cfg(not(loom))]
mod server;
#[cfg(not(loom))]
mod spill;
#[cfg(not(loom))]
mod stats;
#[cfg(not(loom))]
mod steward;
#[cfg(not(loom))]
mod wire;

#[cfg(not(loom))]
pub use {
    config::{Config, Pin},
    error::StartError,
    options::{ServeOptions, TIMES_HELP},
    registry::{ClientInfo, RoomInfo},
    server::Server,
    stats::{BroadcasterStats, Stats},
};
