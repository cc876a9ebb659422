//! The server of this chat, where it hosts one: from the beginning, or since `/host` when another's had gone.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use halyard_client::{Client, ClientOptions, ConnectError};
use halyard_server::{Config, Server, StartError};

use crate::cli::exit::{Ended, Exit, Result};
use crate::cli::out::note;
use crate::cli::place::Place;
use crate::cli::show::plural;
use crate::cli::visible::visible;

pub(super) struct Host {
    place: Place,
    server: Mutex<Option<Server>>,
}

impl Host {
    pub(super) fn new(place: Place) -> Self {
        Self { place, server: Mutex::new(None) }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Server>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_hosting(&self) -> bool {
        self.lock().is_some()
    }

    /// Starts a server here.
    ///
    /// # Errors
    /// Another one of that name runs, this chat's own among them, or none can be started.
    pub(super) fn start(&self) -> std::result::Result<(), StartError> {
        let Place { server: name, group } = self.place.clone();
        let mut server = self.lock();
        *server = Some(Server::start(Config { name, group, ..Config::default() })?);
        Ok(())
    }

    /// [`start`](Self::start) for whoever typed `/host`: what came of it, in words.
    pub(super) fn start_in_words(&self) -> std::result::Result<String, String> {
        match self.start() {
            Ok(()) => Ok(self.to_string()),
            Err(StartError::Held { .. }) => Err("another server has come meanwhile".to_owned()),
            Err(error) => Err(visible(&error.to_string()).into_owned()),
        }
    }

    /// Connects, to a server of this process if there is no other.
    pub(super) fn connect(&self, options: &ClientOptions) -> Result<Client> {
        // Several chats may start at once: one of them gets the name, the others find its server the next time round.
        for _ in 0..100 {
            match Client::connect(options) {
                Err(ConnectError::NoServer { .. }) if !self.is_hosting() => {}
                connected => return Ok(connected?),
            }
            match self.start() {
                Ok(()) => {}
                Err(StartError::Held { .. }) => thread::sleep(Duration::from_millis(20)),
                Err(error @ StartError::Foreign { .. }) => {
                    return Err(Ended::with(Exit::NoPermission, visible(&error.to_string())).into());
                }
                Err(error) => return Err(Ended::with(Exit::TryAgain, visible(&error.to_string())).into()),
            }
        }
        Err(ConnectError::NoServer { server: self.place.server.clone() }.into())
    }

    /// Ends the server, if there is one, and says who lost it.
    pub(super) fn end(&self) {
        let Some(server) = self.lock().take() else { return };
        let others = server.stats().clients;
        server.stop();
        if others > 0 {
            let who = plural(others as u64, "other client", "other clients");
            note(&format!("the server that this chat hosted has ended; {who} lost it"));
        }
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no server \"{}\" is running: this chat hosts it while it lasts", self.place.server)
    }
}
