//! How the subcommands connect.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use halyard_client::{Client, ClientOptions, Policy, nick_from};
use nix::unistd::{User, getuid};

use super::exit::Result;
use super::place::Place;
use super::signals;

/// How long leaving may take when a signal ends the program.
pub(crate) const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);

/// The nick to go by.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct NickArgs {
    /// The nick to go by; without it the login name, with a number if that is taken
    #[arg(long, short = 'N', value_name = "NICK")]
    pub(crate) nick: Option<String>,
}

impl NickArgs {
    /// The options for connecting. `role` tells the nicks of helpers from the user's own: `ann-tail`.
    pub(crate) fn options(&self, place: Place, role: &str) -> ClientOptions {
        let options = match &self.nick {
            Some(nick) => place.options(nick),
            None => place.options(default_nick(role)).unique_nick(true),
        };
        // A burst that a pipe takes a moment to swallow should not cost a message.
        options.policy(Policy::Spill(0))
    }
}

fn default_nick(role: &str) -> String {
    let named = |name: &str| std::env::var(name).ok().filter(|user| !user.is_empty());
    let account = || User::from_uid(getuid()).ok().flatten().map(|user| user.name);
    let user = nick_from(&named("USER").or_else(|| named("LOGNAME")).or_else(account).unwrap_or_default());
    if role.is_empty() { user } else { nick_from(&format!("{user}-{role}")) }
}

/// A signal ends the program: see [`await_leaving`].
static LEAVING: AtomicBool = AtomicBool::new(false);

/// Once a signal has come, the thread that saw it leaves the chat and ends the program; the main thread, which finds
/// its session over, must not be faster.
pub(super) fn await_leaving() {
    while LEAVING.load(Ordering::Acquire) {
        std::thread::park();
    }
}

/// A client that leaves cleanly however its command ends: who stays hears that somebody quit, not that somebody died.
pub(crate) struct Visit(Arc<Client>);

impl std::ops::Deref for Visit {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.0
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        // Whoever has quit has quit; without a server there is nobody to tell.
        if self.0.is_connected() {
            let _ = self.0.quit_within(LEAVE_TIMEOUT);
        }
    }
}

/// Connects a client that leaves cleanly, also when a signal ends the program.
pub(crate) fn connect(options: &ClientOptions) -> Result<Visit> {
    let client = Arc::new(Client::connect(options)?);
    let leaving = Arc::clone(&client);
    signals::on_end(move |signal| {
        LEAVING.store(true, Ordering::Release);
        // Gone or not, the program ends; the server notices a client that cannot say so.
        let _ = leaving.quit_within(LEAVE_TIMEOUT);
        std::process::exit(128 + signal);
    })?;
    Ok(Visit(client))
}
