//! The command line: one file per subcommand, and what they share.

mod asked;
mod chat;
mod clean;
mod clock;
mod config;
mod connect;
mod demo;
mod doctor;
#[cfg(test)]
mod example;
mod exit;
mod inspect;
mod json;
mod lines;
mod ls;
mod manual;
mod out;
mod place;
mod rooms;
mod run;
mod say;
mod script;
mod server;
mod show;
mod signals;
mod tail;
mod top;
mod values;
mod visible;
mod who;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use halyard_client::ServerName;

use exit::Ended;
use place::Place;

const AFTER_HELP: &str = "\
Examples:
  halyard chat                        talk in the room \"lobby\"; hosts a server if none runs
  halyard chat --nick ann dev         talk as ann in the room \"dev\"
  make 2>&1 | halyard say -r dev      every line is a message
  halyard tail -r dev --json | jq .   follow a room as JSON Lines
  halyard who -r dev                  who is there
  echo 'DM bob hi' | halyard run      commands from a script
  halyard ls                          servers, rings, their owners, dead or alive
  halyard top                         all rings of a server, live
  halyard doctor                      what is wrong in shared memory; --fix puts it right
  halyard demo                        watch five clients talk, and how fast

Standard output is data, standard error is for people.

Exit codes:
    0  done
    1  negative result: nobody there, the server refused a command, or the doctor found something
    2  wrong usage, or a line of a script that is no command
   69  no server of that name runs here, or none of this version
   74  reading or writing failed
   75  not now: try again (nick taken, server full or not answering)
   77  the server is another user's: not shared, or with a group that you are not in or did not name
  124  time-out
  130  ended by Ctrl-C (chat: 0); 143 by SIGTERM";

/// Chat through shared memory, between all terminals and programs of one user, or of a group, on this machine
#[derive(Debug, Parser)]
#[command(name = "halyard", version, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Cli {
    /// The server's name
    #[arg(long, global = true, env = "HALYARD_SERVER", default_value_t, value_name = "NAME")]
    server: ServerName,
    /// The group whose members share the server. Without it only your own programs can connect, and they only to a
    /// server of yours
    #[arg(long, global = true, env = "HALYARD_GROUP", value_name = "GROUP")]
    group: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Chat(chat::Args),
    Say(say::SayArgs),
    Dm(say::DmArgs),
    Tail(tail::Args),
    Who(who::Args),
    Rooms(rooms::Args),
    Run(run::Args),
    Server(Box<server::Args>),
    Ls(ls::Args),
    Top(top::Args),
    Inspect(inspect::Args),
    Clean(clean::Args),
    Doctor(doctor::Args),
    Demo(demo::Args),
    Completions(manual::CompletionsArgs),
    Man(manual::ManArgs),
    #[command(hide = true)]
    PartOfDemo(demo::PartArgs),
}

/// The subcommands to which `--server` means nothing.
const WITHOUT_SERVER: &[&str] = &["completions", "man", "demo", "part-of-demo"];
/// The subcommands to which `--group` means nothing: these, and those that only look at what there is.
const WITHOUT_GROUP: &[&str] =
    &["completions", "man", "demo", "part-of-demo", "ls", "top", "inspect", "clean", "doctor"];

/// The command line, in which no subcommand shows an option that means nothing to it.
fn command() -> clap::Command {
    let mut command = Cli::command();
    for (option, without) in [("server", WITHOUT_SERVER), ("group", WITHOUT_GROUP)] {
        for name in without {
            // In the place of the global one, which it has the name of.
            let hidden = Arg::new(option).long(option).hide(true);
            command = command.mut_subcommand(name, |sub| sub.arg(hidden));
        }
    }
    command
}

/// Refuses an option that was typed where it means nothing.
fn check_options(matches: &ArgMatches) -> Result<(), clap::Error> {
    let Some((name, sub)) = matches.subcommand() else { return Ok(()) };
    for (option, without) in [("server", WITHOUT_SERVER), ("group", WITHOUT_GROUP)] {
        let is_typed = |matches: &ArgMatches| matches.value_source(option) == Some(ValueSource::CommandLine);
        if without.contains(&name) && (is_typed(matches) || is_typed(sub)) {
            let why = format!("--{option} means nothing to `halyard {name}`: leave it out");
            return Err(command().error(ErrorKind::ArgumentConflict, why));
        }
    }
    Ok(())
}

/// Runs what the command line says and turns how it ended into the exit code.
pub(crate) fn run() -> ExitCode {
    let matches = command().get_matches();
    check_options(&matches).unwrap_or_else(|error| error.exit());
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let server = cli.server;
    // Commands about all servers are narrowed only by what was typed, not by a default.
    let typed = matches.value_source("server") == Some(ValueSource::CommandLine);
    let named = typed.then_some(&server);
    let place = || Place::new(server.clone(), cli.group.as_deref());
    let ended = match cli.command {
        Command::Chat(args) => place().and_then(|place| chat::run(place, args)),
        Command::Say(args) => place().and_then(|place| say::say(place, args)),
        Command::Dm(args) => place().and_then(|place| say::dm(place, args)),
        Command::Tail(args) => place().and_then(|place| tail::run(place, args)),
        Command::Who(args) => place().and_then(|place| who::run(place, &args)),
        Command::Rooms(args) => place().and_then(|place| rooms::run(place, &args)),
        Command::Run(args) => place().and_then(|place| run::run(place, args)),
        Command::Server(args) => place().and_then(|place| server::run(place, *args)),
        Command::Ls(args) => ls::run(named, &args),
        Command::Top(args) => top::run(&server, &args),
        Command::Inspect(args) => inspect::run(&server, &args),
        Command::Clean(args) => clean::run(named, &args),
        Command::Doctor(args) => doctor::run(named, &args),
        Command::Demo(demo::Args {}) => demo::run(),
        Command::Completions(args) => manual::completions(&args),
        Command::Man(args) => manual::man(&args),
        Command::PartOfDemo(args) => demo::run_part(args),
    };
    connect::await_leaving();
    ended.unwrap_or_else(Ended::from).report()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_shown_and_taken_only_where_it_means_something() {
        let mut cli = command();
        cli.build();
        for sub in cli.get_subcommands_mut() {
            let (name, help) = (sub.get_name().to_owned(), sub.render_long_help().to_string());
            for (option, without) in [("server", WITHOUT_SERVER), ("group", WITHOUT_GROUP)] {
                let means_nothing = without.contains(&name.as_str()) || name == "help";
                assert_eq!(help.contains(&format!("--{option} ")), !means_nothing, "{name}: {option}");
            }
        }
        let refused = |words: &[&str]| {
            let matches = command().try_get_matches_from(words).unwrap();
            check_options(&matches).is_err()
        };
        assert!(
            refused(&["halyard", "--server", "dev", "man"]) && refused(&["halyard", "ls", "--group", "0"])
        );
        assert!(!refused(&["halyard", "ls", "--server", "dev"]) && !refused(&["halyard", "man"]));
    }

    #[test]
    fn the_book_shows_what_is_understood() {
        let help = halyard_book::commands_in(AFTER_HELP, "halyard --help");
        assert!(help.len() > 5, "{help:?}");
        let seen = halyard_book::understood::<Cli>("halyard", help).unwrap_or_else(|wrong| panic!("{wrong}"));
        assert!(seen > 20, "{seen} command lines");
    }
}
