//! How a client connects.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::home::Home;
use halyard_ring::chat::{OverflowPolicy, ServerName};
use halyard_ring::{Group, Wait};

/// What the server does with records for this client while its reply ring is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Policy {
    /// Drop the newest, and tell how many were lost as soon as there is room.
    #[default]
    Drop,
    /// Let them wait for at most this long, then drop; 0 asks for as long as the server grants. Milliseconds count.
    /// Only this client's records wait.
    Block(Duration),
    /// Let at most this many records wait in a buffer on the server's side, then drop; 0 asks for as many as the
    /// server grants.
    Spill(u32),
}

impl Policy {
    /// The two numbers that HELLO carries.
    pub(crate) fn wire(self) -> (OverflowPolicy, u32) {
        match self {
            Self::Drop => (OverflowPolicy::Drop, 0),
            Self::Block(limit) => {
                // Rounded up: less than a millisecond is not 0, which would ask for the most.
                let ms = limit.as_micros().div_ceil(1000);
                (OverflowPolicy::Block, u32::try_from(ms).unwrap_or(u32::MAX))
            }
            Self::Spill(records) => (OverflowPolicy::Spill, records),
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drop => f.write_str("drop"),
            Self::Block(limit) => write!(f, "block:{}", limit.as_millis()),
            Self::Spill(records) => write!(f, "spill:{records}"),
        }
    }
}

/// A text that is no [`Policy`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPolicy(String);

impl fmt::Display for BadPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no overflow policy: write drop, block:MILLISECONDS or spill:RECORDS", self.0)
    }
}

impl std::error::Error for BadPolicy {}

impl FromStr for Policy {
    type Err = BadPolicy;

    fn from_str(s: &str) -> Result<Self, BadPolicy> {
        let bad = || BadPolicy(s.to_owned());
        match s.split_once(':') {
            None if s == "drop" => Ok(Self::Drop),
            Some(("block", ms)) => Ok(Self::Block(Duration::from_millis(ms.parse().map_err(|_| bad())?))),
            Some(("spill", records)) => Ok(Self::Spill(records.parse().map_err(|_| bad())?)),
            _ => Err(bad()),
        }
    }
}

/// What a [`Client`](crate::Client) does when it loses its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reconnect {
    /// End: the event stream closes.
    Never,
    /// Look for the server for this long, then end.
    Within(Duration),
    /// Look for it until the client is dropped.
    Always,
}

/// How a client connects: which server, under which nick, and what has a default.
///
/// ```
/// use std::time::Duration;
/// use halyard_client::{ClientOptions, Policy, Reconnect, ServerName};
///
/// let options = ClientOptions::new(ServerName::default(), "ann")
///     .ring_capacity(1024)
///     .policy(Policy::Block(Duration::from_millis(50)))
///     .reconnect(Reconnect::Within(Duration::from_secs(30)));
/// # let _ = options;
/// ```
#[derive(Clone, Debug)]
pub struct ClientOptions {
    pub(crate) server: ServerName,
    pub(crate) group: Option<Group>,
    pub(crate) nick: String,
    pub(crate) unique_nick: bool,
    pub(crate) ring_capacity: u32,
    pub(crate) policy: Policy,
    pub(crate) wait: Wait,
    pub(crate) reconnect: Reconnect,
    pub(crate) connect_timeout: Duration,
    pub(crate) answer_timeout: Duration,
    pub(crate) send_timeout: Duration,
    pub(crate) events_max: usize,
    /// The session whose companion this is to be.
    pub(crate) companion_of: Option<Home>,
}

impl ClientOptions {
    /// Options for this server and nick, everything else by default.
    #[must_use]
    pub fn new(server: ServerName, nick: impl Into<String>) -> Self {
        Self {
            server,
            group: None,
            nick: nick.into(),
            unique_nick: false,
            ring_capacity: 256,
            policy: Policy::Drop,
            wait: Wait::adaptive(),
            reconnect: Reconnect::Always,
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(10),
            send_timeout: Duration::from_secs(5),
            events_max: 1 << 16,
            companion_of: None,
        }
    }

    /// Connects to a server that this group shares, of whichever of its members it is. By default only a server of this
    /// process's own user will do, so that nobody else's is taken for it.
    #[must_use]
    pub fn group(mut self, group: Group) -> Self {
        self.group = Some(group);
        self
    }

    /// Whether a nick that is taken becomes `nick-2`, `nick-3` and so on; by default it is refused.
    #[must_use]
    pub fn unique_nick(mut self, unique: bool) -> Self {
        self.unique_nick = unique;
        self
    }

    /// Records that the reply ring holds, a power of two; 256 by default. A record is 256 bytes there. A client
    /// that may fall behind its rooms for a while wants more.
    #[must_use]
    pub fn ring_capacity(mut self, records: u32) -> Self {
        self.ring_capacity = records;
        self
    }

    /// What the server does while the reply ring is full; [`Policy::Drop`] by default.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// How the receiver waits for records and the sender for space; [`Wait::adaptive`] by default.
    #[must_use]
    pub fn wait(mut self, wait: Wait) -> Self {
        self.wait = wait;
        self
    }

    /// What a [`Client`](crate::Client) does when it loses its server; [`Reconnect::Always`] by default. The
    /// halves of a [`session`](crate::session) never reconnect.
    #[must_use]
    pub fn reconnect(mut self, reconnect: Reconnect) -> Self {
        self.reconnect = reconnect;
        self
    }

    /// How long connecting may take; 5 s by default.
    #[must_use]
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// How long a blocking call waits for the server's answer, retries included; 10 s by default.
    #[must_use]
    pub fn answer_timeout(mut self, limit: Duration) -> Self {
        self.answer_timeout = limit;
        self
    }

    /// How long one command may wait for space in a full control ring; 5 s by default.
    #[must_use]
    pub fn send_timeout(mut self, limit: Duration) -> Self {
        self.send_timeout = limit;
        self
    }

    /// How many events a [`Client`](crate::Client) keeps for a program that does not read them; 65,536 by
    /// default. What comes beyond that is counted in [`Event::Overrun`](crate::Event::Overrun).
    #[must_use]
    pub fn events_max(mut self, events: usize) -> Self {
        self.events_max = events.max(1);
        self
    }

    pub(crate) fn companion_of(mut self, home: Home) -> Self {
        self.companion_of = Some(home);
        self
    }

    /// The server's name.
    #[must_use]
    pub fn server(&self) -> &ServerName {
        &self.server
    }

    /// The nick.
    #[must_use]
    pub fn nick(&self) -> &str {
        &self.nick
    }

    /// The same options with another nick.
    #[must_use]
    pub fn with_nick(mut self, nick: impl Into<String>) -> Self {
        self.nick = nick.into();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_written_as_they_are_read() {
        for text in ["drop", "block:250", "spill:1000"] {
            assert_eq!(text.parse::<Policy>().map(|p| p.to_string()), Ok(text.to_owned()));
        }
        for bad in ["", "block", "block:", "spill:-1", "drop:3", "keep:1"] {
            assert!(bad.parse::<Policy>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_block_limit_never_rounds_down_to_the_one_for_as_long_as_possible() {
        assert_eq!(Policy::Block(Duration::ZERO).wire(), (OverflowPolicy::Block, 0));
        assert_eq!(Policy::Block(Duration::from_micros(10)).wire(), (OverflowPolicy::Block, 1));
        assert_eq!(Policy::Block(Duration::MAX).wire(), (OverflowPolicy::Block, u32::MAX));
    }
}
