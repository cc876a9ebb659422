//! What a server's rings are called.

use core::fmt;

use crate::{BadRingName, RingName};

/// Longest server name, bytes.
pub const SERVER_NAME_MAX: usize = 48;

/// A checked server name: 1 to 48 of `A-Z a-z 0-9 _ -`. No dot, since dots separate the parts of a ring's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerName(String);

impl ServerName {
    /// Checks a server name.
    ///
    /// # Errors
    /// [`BadRingName`] if it is empty, too long, or holds another character.
    pub fn new(name: &str) -> Result<Self, BadRingName> {
        if name.is_empty() || name.len() > SERVER_NAME_MAX {
            return Err(BadRingName::Length { len: name.len(), max: SERVER_NAME_MAX });
        }
        match name.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))) {
            Some(c) => Err(BadRingName::Character(c)),
            None => Ok(Self(name.to_owned())),
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ServerName {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::str::FromStr for ServerName {
    type Err = BadRingName;

    fn from_str(s: &str) -> Result<Self, BadRingName> {
        Self::new(s)
    }
}

/// The name of a server's control ring: `<server>.control`.
#[must_use]
pub fn control_ring(server: &ServerName) -> RingName {
    RingName::new(&format!("{server}.control")).expect("a server name makes a ring name")
}

/// The name of a reply ring: `<server>.reply.<id>`. The client chooses the id: its pid and a count will do.
///
/// # Errors
/// [`BadRingName`] if the id is empty, has over 64 bytes, or holds anything but `A-Z a-z 0-9 _ -`.
pub fn reply_ring(server: &ServerName, id: &str) -> Result<RingName, BadRingName> {
    if id.is_empty() || id.len() > 64 {
        return Err(BadRingName::Length { len: id.len(), max: 64 });
    }
    match id.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))) {
        Some(c) => Err(BadRingName::Character(c)),
        None => RingName::new(&format!("{server}.reply.{id}")),
    }
}

/// What a chat ring is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RingRole {
    /// The server's control ring.
    Control,
    /// A client's reply ring, with its id.
    Reply(String),
}

/// Splits a chat ring's name into server and role; `None` for any other ring.
#[must_use]
pub fn parse_ring_name(name: &RingName) -> Option<(ServerName, RingRole)> {
    let (server, rest) = name.as_str().split_once('.')?;
    let server = ServerName::new(server).ok()?;
    if rest == "control" {
        return Some((server, RingRole::Control));
    }
    let id = rest.strip_prefix("reply.")?;
    reply_ring(&server, id).ok()?;
    Some((server, RingRole::Reply(id.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back() {
        let server = ServerName::new("default").unwrap();
        assert_eq!(parse_ring_name(&control_ring(&server)), Some((server.clone(), RingRole::Control)));
        let reply = reply_ring(&server, "12-0").unwrap();
        assert_eq!(parse_ring_name(&reply), Some((server, RingRole::Reply("12-0".into()))));
    }

    #[test]
    fn no_name_leads_out_of_its_place() {
        for bad in ["", "a.b", "a/b", "..", "ü", &"x".repeat(49)] {
            assert!(ServerName::new(bad).is_err(), "{bad:?}");
        }
        let server = ServerName::default();
        for bad in ["", "../x", "a.b", &"x".repeat(65)] {
            assert!(reply_ring(&server, bad).is_err(), "{bad:?}");
        }
        assert_eq!(parse_ring_name(&RingName::new("default.reply.a.b").unwrap()), None);
    }
}
