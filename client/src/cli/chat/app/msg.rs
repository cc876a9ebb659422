//! [`Msg`]: what the threads tell the loop.

use halyard_client::{Client, ConnectError, Event};

use super::keys::Input;

/// What the loop hears of.
pub(super) enum Msg {
    Input(Input),
    /// Standard input has ended: the terminal is gone.
    Closed,
    Event(usize, Event),
    Over(usize),
    /// A companion for this room, or why there is none.
    Opened(String, Result<Box<Client>, ConnectError>),
    /// What came of hosting a server, in words.
    Hosted(Result<String, String>),
    Signal,
    Resize,
}
