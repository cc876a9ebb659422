//! What keys do, and which.

use std::collections::HashMap;

use super::keys::{Code, Key};
use crate::cli::values::Parsed;

/// Something that a key can be bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Action {
    NextActive,
    NextWindow,
    PreviousWindow,
    ScrollUp,
    ScrollDown,
    ScrollTop,
    ScrollEnd,
    FillGap,
    BareText,
    Search,
    Help,
    ToggleLatency,
    ToggleMembers,
    ToggleRooms,
    Redraw,
    Suspend,
}

const fn key(code: Code) -> Key {
    Key::plain(code)
}

const fn ctrl(code: Code) -> Key {
    Key { ctrl: true, ..Key::plain(code) }
}

const fn alt(code: Code) -> Key {
    Key { alt: true, ..Key::plain(code) }
}

/// Which keys do what unless the configuration says otherwise, and what that is called in /help.
pub(crate) const DEFAULTS: [(Action, &[Key], &str); 16] = [
    (Action::NextActive, &[Key::alt('a')], "next window with something new, mentions first"),
    (Action::NextWindow, &[alt(Code::Right), alt(Code::Down)], "next window"),
    (Action::PreviousWindow, &[alt(Code::Left), alt(Code::Up)], "previous window"),
    (Action::ScrollUp, &[key(Code::PageUp)], "scroll up"),
    (Action::ScrollDown, &[key(Code::PageDown)], "scroll down"),
    (Action::ScrollTop, &[ctrl(Code::Home)], "to the oldest line"),
    (Action::ScrollEnd, &[ctrl(Code::End)], "to the newest line"),
    (Action::FillGap, &[Key::alt('g')], "fetch lost messages again"),
    (Action::BareText, &[Key::alt('l')], "bare text, to select and copy; any key returns"),
    (Action::Search, &[Key::ctrl('r')], "search in this window"),
    (Action::Help, &[key(Code::F(1))], "this help"),
    (Action::ToggleLatency, &[key(Code::F(2))], "latency of each message"),
    (Action::ToggleMembers, &[key(Code::F(3))], "show or hide the members"),
    (Action::ToggleRooms, &[key(Code::F(4))], "show or hide the room list"),
    (Action::Redraw, &[Key::ctrl('l')], "draw the screen anew"),
    (Action::Suspend, &[Key::ctrl('z')], "back to the shell; `fg` returns"),
];

/// Keys that always edit the line, for /help.
pub(crate) const EDITING: [(&str, &str); 12] = [
    ("enter", "send"),
    ("tab", "complete a nick, a room or a command; again for the next"),
    ("up, down", "lines sent before"),
    ("ctrl-a, ctrl-e", "to the start, to the end (also home, end)"),
    ("ctrl-b, ctrl-f", "one character back, on (also left, right)"),
    ("alt-b, alt-f", "one word back, on (also ctrl-left, ctrl-right)"),
    ("ctrl-w, alt-backspace", "cut the word before the cursor"),
    ("ctrl-u, ctrl-k, alt-d", "cut to the start, to the end, the next word"),
    ("ctrl-y, ctrl-t", "put back what was cut; exchange two characters"),
    ("ctrl-c", "clear the line; twice on an empty one: quit"),
    ("ctrl-d", "delete; on an empty line: quit"),
    ("alt-1 … alt-9, alt-0", "window 1 to 9, and 10"),
];

/// The keys in use.
#[derive(Clone, Debug)]
pub(crate) struct KeyMap(Vec<(Key, Action)>);

impl KeyMap {
    pub(crate) fn new(chosen: &HashMap<Action, Parsed<Key>>) -> Self {
        let mut keys: Vec<(Key, Action)> = chosen.iter().map(|(action, key)| (key.0, *action)).collect();
        for (action, defaults, _) in DEFAULTS {
            if !chosen.contains_key(&action) {
                keys.extend(defaults.iter().map(|key| (*key, action)));
            }
        }
        Self(keys)
    }

    /// What this key does. A chosen key goes before a default one.
    pub(crate) fn action(&self, key: Key) -> Option<Action> {
        self.0.iter().find(|(bound, _)| *bound == key).map(|(_, action)| *action)
    }

    /// The keys for an action, for people.
    pub(crate) fn keys_of(&self, action: Action) -> String {
        let keys: Vec<String> =
            self.0.iter().filter(|(_, bound)| *bound == action).map(|(key, _)| key.to_string()).collect();
        keys.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chosen_key_takes_the_place_of_the_default_and_goes_before_others() {
        let map = KeyMap::new(&HashMap::from([(Action::NextActive, Parsed(Key::alt('l')))]));
        assert_eq!(map.action(Key::alt('l')), Some(Action::NextActive));
        assert_eq!(map.action(Key::alt('a')), None);
        assert_eq!(map.keys_of(Action::NextActive), "alt-l");
        assert_eq!(KeyMap::new(&HashMap::new()).keys_of(Action::NextWindow), "alt-right, alt-down");
    }
}
