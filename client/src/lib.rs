//! The client side of a Halyard chat: sessions over shared-memory rings.
//!
//! [`Client`] is what most programs want: it has a sender and a receiver thread of its own, waits for answers,
//! retries, keeps the heartbeat going and connects again when the server comes back. [`session`] has its two halves
//! without any thread, for the lowest latency on the caller's own.
//!
//! ```
//! use halyard_client::{Client, ClientOptions, ServerName};
//! # let config = halyard_server::Config { name: ServerName::new(&format!("doc-lib-{}", std::process::id()))?,
//! #     ..halyard_server::Config::default() };
//! # let name = config.name.clone();
//! # let server = halyard_server::Server::start(config)?;
//!
//! let client = Client::connect(&ClientOptions::new(name, "ann"))?;
//! client.join("lobby")?;
//! let said = client.say("hello")?;
//! assert_eq!(said.seq, 1);
//! assert_eq!(client.who()?.len(), 1);
//! client.quit()?;
//! # server.stop();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A program needs a server of the name it connects to: `halyard server`, or
//! `halyard_server::Server::start` inside the program. Nothing here is trusted that another process wrote: records
//! are copied out of shared memory once and checked.
#![forbid(unsafe_code)]

mod client;
mod command;
mod error;
mod event;
mod home;
mod options;
pub mod session;

pub use client::{Client, Delivered, Events, Joined, Member, RoomInfo, Said};
pub use command::{Command, nick_from};
pub use error::{CommandError, ConnectError, RecvError, SendError};
pub use event::{
    Ack, Answer, Delivery, Direct, Earlier, Entry, Event, Fault, Gap, Loss, Lost, Message, Presence, Refusal,
    Times, Unusable,
};
pub use halyard_ring::chat::{ErrorCode, Kind, LeaveReason, ServerName};
pub use halyard_ring::{Group, GroupError, Wait};
pub use options::{BadPolicy, ClientOptions, Policy, Reconnect};
