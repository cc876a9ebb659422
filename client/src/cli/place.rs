//! Which server a command is about, and who else may use it.

use halyard_client::{ClientOptions, Group, GroupError, ServerName};

use super::exit::{Ended, Exit, Result};

/// A server's name, and the group that shares it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) server: ServerName,
    pub(crate) group: Option<Group>,
}

impl Place {
    /// Takes the group as it was typed.
    pub(crate) fn new(server: ServerName, group: Option<&str>) -> Result<Self> {
        let refuse = |exit, why: GroupError| Ended::with(exit, format!("--group: {why}"));
        let group = match group.filter(|group| !group.is_empty()) {
            None => None,
            Some(group) => Some(group.parse::<Group>().map_err(|why| refuse(Exit::Usage, why))?),
        };
        if let Some(group) = group {
            group.check_membership().map_err(|why| refuse(Exit::NoPermission, why))?;
        }
        Ok(Self { server, group })
    }

    /// The options for connecting there under this nick.
    pub(crate) fn options(self, nick: impl Into<String>) -> ClientOptions {
        let options = ClientOptions::new(self.server, nick);
        match self.group {
            Some(group) => options.group(group),
            None => options,
        }
    }
}
