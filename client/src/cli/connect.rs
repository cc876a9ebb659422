//! How the subcommands connect.

use std::sync::Arc;
use std::time::Duration;

use halyard_client::{Client, ClientOptions, ServerName, nick_from};

use super::exit::Result;
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
    pub(crate) fn options(&self, server: ServerName, role: &str) -> ClientOptions {
        match &self.nick {
            Some(nick) => ClientOptions::new(server, nick),
            None => ClientOptions::new(server, default_nick(role)).unique_nick(true),
        }
    }
}

fn default_nick(role: &str) -> String {
    let user = ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    let user = nick_from(&user.unwrap_or_default());
    if role.is_empty() { user } else { nick_from(&format!("{user}-{role}")) }
}

/// Connects a client that leaves cleanly when a signal ends the program.
pub(crate) fn connect(options: &ClientOptions) -> Result<Arc<Client>> {
    let client = Arc::new(Client::connect(options)?);
    let leaving = Arc::clone(&client);
    signals::on_end(move |signal| {
        // Gone or not, the program ends; the server notices a client that cannot say so.
        let _ = leaving.quit_within(LEAVE_TIMEOUT);
        std::process::exit(128 + signal);
    })?;
    Ok(client)
}
