//! The language of `halyard run`: a verb a line.

use std::time::Duration;

use halyard_client::Command;
use halyard_ring::chat::{check_name, check_text};

/// What one line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Command(Command),
    /// Wait, and print what comes meanwhile.
    Sleep(Duration),
}

/// A day.
const SLEEP_MAX_MS: u64 = 86_400_000;

/// The verbs, and what stands behind each.
pub(crate) const VERBS: &str = "Verbs:
  JOIN room        enter a room, leaving the former one
  SAY text         say something to the room
  ME text          say that you do something: * ann waves
  DM nick text     say something to one person
  WHO [room]       list the members of the room, or of another one
  LIST             list the rooms
  HISTORY [n]      the last n messages of the room, said before [default: 20]
  NICK nick        change the nick
  PING             ask the server for an answer
  SLEEP ms         wait, printing what comes meanwhile
  LEAVE            leave the room
  QUIT             leave for good; so does the end of the script
  # text           nothing: a comment";

/// Reads one line; `Ok(None)` if it is empty or a comment.
pub(crate) fn parse(line: &str) -> Result<Option<Step>, String> {
    let line = line.trim_start();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (verb, rest) = split(line);
    let step = match verb.to_ascii_uppercase().as_str() {
        "JOIN" => Step::Command(Command::Join { room: name(verb, "a room", rest)? }),
        "NICK" => Step::Command(Command::Nick { nick: name(verb, "a nick", rest)? }),
        "SAY" => Step::Command(Command::Say { text: text(verb, rest)?, action: false }),
        "ME" => Step::Command(Command::Say { text: text(verb, rest)?, action: true }),
        "DM" => {
            let (to, rest) = split(rest);
            let to = name(verb, "a nick and a text", to)?;
            Step::Command(Command::Dm { to, text: text(verb, rest)?, action: false })
        }
        "WHO" if rest.trim().is_empty() => Step::Command(Command::Who),
        "WHO" => Step::Command(Command::WhoIn { room: name(verb, "a room", rest)? }),
        "HISTORY" => {
            let count = history_count(rest).ok_or_else(|| format!("{verb} needs a number of messages"))?;
            Step::Command(Command::History { room: None, count, before: 0 })
        }
        "LIST" => nothing(verb, rest, Command::List)?,
        "LEAVE" => nothing(verb, rest, Command::Leave)?,
        "QUIT" => nothing(verb, rest, Command::Quit)?,
        "PING" => nothing(verb, rest, Command::Ping)?,
        "SLEEP" => {
            let ms = rest.trim().parse().ok().filter(|ms| *ms <= SLEEP_MAX_MS);
            let ms =
                ms.ok_or_else(|| format!("{verb} needs a number of milliseconds, at most {SLEEP_MAX_MS}"))?;
            Step::Sleep(Duration::from_millis(ms))
        }
        _ => {
            let verb = super::visible::visible(verb);
            return Err(format!("no verb {verb:?}; the verbs are in `halyard run --help`"));
        }
    };
    Ok(Some(step))
}

/// How many earlier messages are asked for without a number.
const HISTORY: u32 = 20;

/// The number behind HISTORY, from 1; a usual one if there is none.
pub(crate) fn history_count(rest: &str) -> Option<u32> {
    match rest.trim() {
        "" => Some(HISTORY),
        count => count.parse().ok().filter(|count| *count > 0),
    }
}

/// The name of a command's verb.
pub(crate) fn verb(command: &Command) -> &'static str {
    match command {
        Command::Join { .. } => "JOIN",
        Command::Say { action: false, .. } => "SAY",
        Command::Say { action: true, .. } => "ME",
        Command::Dm { .. } => "DM",
        Command::Who | Command::WhoIn { .. } => "WHO",
        Command::List => "LIST",
        Command::Leave => "LEAVE",
        Command::Quit => "QUIT",
        Command::Ping => "PING",
        Command::Nick { .. } => "NICK",
        Command::History { .. } => "HISTORY",
        _ => "command",
    }
}

/// The first word, and what stands behind the one space after it.
pub(crate) fn split(line: &str) -> (&str, &str) {
    line.split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((line, ""))
}

fn name(verb: &str, what: &str, rest: &str) -> Result<String, String> {
    let name = rest.trim();
    if name.is_empty() {
        return Err(format!("{verb} needs {what}"));
    }
    check_name(name).map_err(|why| format!("{verb}: {why}"))?;
    Ok(name.to_owned())
}

fn text(verb: &str, rest: &str) -> Result<String, String> {
    if rest.trim().is_empty() {
        return Err(format!("{verb} needs a text"));
    }
    check_text(rest).map_err(|why| format!("{verb}: {why}"))?;
    Ok(rest.to_owned())
}

fn nothing(verb: &str, rest: &str, command: Command) -> Result<Step, String> {
    if rest.trim().is_empty() { Ok(Step::Command(command)) } else { Err(format!("{verb} stands alone")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str) -> Command {
        match parse(line) {
            Ok(Some(Step::Command(command))) => command,
            other => panic!("{line:?}: {other:?}"),
        }
    }

    #[test]
    fn the_verbs_of_the_seed_are_understood() {
        assert_eq!(command("JOIN lobby"), Command::Join { room: "lobby".into() });
        assert_eq!(command("SAY hello there"), Command::Say { text: "hello there".into(), action: false });
        let dm = Command::Dm { to: "bob".into(), text: "hi  you".into(), action: false };
        assert_eq!(command("DM bob hi  you"), dm);
        assert_eq!(command("WHO"), Command::Who);
        assert_eq!(command("LEAVE "), Command::Leave);
        assert_eq!(command("  quit"), Command::Quit);
    }

    #[test]
    fn texts_keep_their_spaces() {
        assert_eq!(command("SAY   indented "), Command::Say { text: "  indented ".into(), action: false });
    }

    #[test]
    fn empty_lines_and_comments_do_nothing() {
        for line in ["", "   ", "# JOIN lobby", "  #x"] {
            assert_eq!(parse(line), Ok(None), "{line:?}");
        }
        assert_eq!(parse("SLEEP 250"), Ok(Some(Step::Sleep(Duration::from_millis(250)))));
    }

    #[test]
    fn mistakes_are_named() {
        let says = |line: &str, word: &str| {
            let error = parse(line).unwrap_err();
            assert!(error.contains(word), "{line:?}: {error}");
        };
        says("JION lobby", "JION");
        says("JOIN", "needs a room");
        says("JOIN two words", "spaces");
        says("SAY", "needs a text");
        says("DM bob", "needs a text");
        says("DM", "needs a nick");
        says("LEAVE lobby", "stands alone");
        says("SLEEP soon", "milliseconds");
        says("SLEEP 18446744073709551615", "at most");
        says(&format!("SAY {}", "x".repeat(4097)), "4096");
    }
}
