//! Who plays, and what is said.

/// The players, in the order of their entrance.
pub(super) const CAST: [&str; 5] = ["ann", "bob", "cleo", "dan", "eve"];

/// One of the six commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Join(&'static str),
    Say(&'static str),
    Dm(&'static str, &'static str),
    Who,
    Leave,
    Quit,
}

/// One line of the play: who, and what. `{pid}` in a text is the player's process id.
pub(super) type Line = (&'static str, Act);

/// The talk. After it ann and bob are in the lobby, the others in the engine room.
pub(super) const TALK: [Line; 17] = [
    ("ann", Act::Join("lobby")),
    ("bob", Act::Join("lobby")),
    ("cleo", Act::Join("lobby")),
    ("ann", Act::Say("Morning! I am process {pid}. And you?")),
    ("bob", Act::Say("{pid}. We share nothing but a few pages.")),
    ("ann", Act::Who),
    ("dan", Act::Join("engine")),
    ("eve", Act::Join("engine")),
    ("dan", Act::Say("Other room, same control ring.")),
    ("eve", Act::Say("And a ring of one's own to listen to.")),
    ("cleo", Act::Dm("dan", "Psst. Is there room for one more?")),
    ("dan", Act::Dm("cleo", "Always. Come over!")),
    ("cleo", Act::Join("engine")),
    ("cleo", Act::Say("Grüße from the lobby ✓")),
    ("eve", Act::Leave),
    ("eve", Act::Join("engine")),
    ("dan", Act::Who),
];

/// The farewell.
pub(super) const EXIT: [Line; 5] =
    [("ann", Act::Quit), ("bob", Act::Quit), ("cleo", Act::Quit), ("dan", Act::Quit), ("eve", Act::Quit)];

/// How many lines each player says in the burst.
pub(super) const BURST_LINES: u32 = 400;
/// One line of each player in this time.
pub(super) const BURST_EVERY_NS: u64 = 2_000_000;

/// The text of a player's line in the burst.
pub(super) fn burst_text(index: u32) -> String {
    format!("burst line {index}")
}
