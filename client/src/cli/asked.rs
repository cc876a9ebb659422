//! Which servers and rings a command is about that is about all there are, unless some are named.

use std::fmt;

use halyard_client::ServerName;
use halyard_ring::RingName;

/// What was named: servers, or rings by their names.
#[derive(Debug)]
pub(crate) struct Asked(Vec<String>);

impl Asked {
    /// The names, and the server if `--server` was typed.
    pub(crate) fn new(names: &[String], server: Option<&ServerName>) -> Self {
        Self(names.iter().cloned().chain(server.map(ServerName::to_string)).collect())
    }

    /// Nothing in particular.
    pub(crate) fn all() -> Self {
        Self(Vec::new())
    }

    /// Whether nothing was named: then the command is about everything.
    pub(crate) fn is_all(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a ring is one that was named, or of a server that was.
    pub(crate) fn covers(&self, ring: &RingName) -> bool {
        self.covers_word(ring.as_str())
    }

    /// The same for what may be no ring's name.
    pub(crate) fn covers_word(&self, word: &str) -> bool {
        let is_part = |rest: &str| rest.is_empty() || rest.starts_with('.');
        self.is_all() || self.0.iter().any(|asked| word.strip_prefix(asked.as_str()).is_some_and(is_part))
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" or "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_covers_its_rings_and_no_other_whose_name_begins_alike() {
        let names = [String::from("dev")];
        let server: ServerName = "shop".parse().unwrap();
        let asked = Asked::new(&names, Some(&server));
        for (word, is_covered) in [
            ("dev", true),
            ("dev.control", true),
            ("shop.reply.4", true),
            ("devil.control", false),
            ("my.dev", false),
            ("", false),
        ] {
            assert_eq!(asked.covers_word(word), is_covered, "{word}");
        }
        assert_eq!(asked.to_string(), "dev or shop");
        let all = Asked::all();
        assert!(all.is_all() && all.covers_word("anything"));
    }
}
