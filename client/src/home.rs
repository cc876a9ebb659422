//! [`Home`]: which session a nick leads to, shared with the companions that go by the same nick.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Who the first session is now. It is another one after every reconnect, and its companions have to follow.
#[derive(Clone, Debug)]
pub(crate) struct Home(Arc<Mutex<Identity>>);

/// What a companion's HELLO proves itself with, and the nick that it gets.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) client: u32,
    pub(crate) token: u32,
    pub(crate) nick: String,
}

impl Home {
    pub(crate) fn new(client: u32, token: u32, nick: &str) -> Self {
        Self(Arc::new(Mutex::new(Identity { client, token, nick: nick.to_owned() })))
    }

    fn lock(&self) -> MutexGuard<'_, Identity> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn identity(&self) -> Identity {
        self.lock().clone()
    }

    pub(crate) fn nick(&self) -> String {
        self.lock().nick.clone()
    }

    pub(crate) fn set(&self, client: u32, token: u32, nick: &str) {
        *self.lock() = Identity { client, token, nick: nick.to_owned() };
    }

    pub(crate) fn rename(&self, nick: &str) {
        nick.clone_into(&mut self.lock().nick);
    }
}
