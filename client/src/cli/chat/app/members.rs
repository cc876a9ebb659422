//! Who is in a room: every session of it, and each nick once.
//!
//! Several sessions may go by one nick (see [`Client::companion`](halyard_client::Client::companion)), and the server
//! tells of each, as each has an id of its own. Who looks at a room wants to see people.

use halyard_client::Entry;

use crate::cli::visible::visible;

/// The sessions in a room, as they came: id, and nick ready to be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Members(Vec<(u32, String)>);

impl Members {
    /// WHO's answer.
    pub(crate) fn of(entries: &[Entry]) -> Self {
        Self(entries.iter().map(|entry| (entry.id, visible(&entry.name).into_owned())).collect())
    }

    pub(crate) fn joined(&mut self, client: u32, nick: String) {
        self.left(client);
        self.0.push((client, nick));
    }

    pub(crate) fn left(&mut self, client: u32) {
        self.0.retain(|(there, _)| *there != client);
    }

    /// All sessions of one nick have another.
    pub(crate) fn renamed(&mut self, old: &str, new: &str) {
        for (_, nick) in self.0.iter_mut().filter(|(_, nick)| nick == old) {
            new.clone_into(nick);
        }
    }

    /// Each nick once, as they came.
    pub(crate) fn nicks(&self) -> Vec<&str> {
        let mut nicks: Vec<&str> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        nicks.extend(self.0.iter().map(|(_, nick)| nick.as_str()).filter(|nick| seen.insert(*nick)));
        nicks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sessions_of_one_nick_are_one_person_until_both_have_left() {
        let mut members = Members::default();
        for (client, nick) in [(1, "ann"), (2, "bob"), (3, "ann")] {
            members.joined(client, nick.to_owned());
        }
        assert_eq!(members.nicks(), ["ann", "bob"]);
        members.left(1);
        assert_eq!(members.nicks(), ["bob", "ann"]);
        members.joined(4, "ann".to_owned());
        members.renamed("ann", "zoe");
        members.left(3);
        assert_eq!(members.nicks(), ["bob", "zoe"]);
    }
}
