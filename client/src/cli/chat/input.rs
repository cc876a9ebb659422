//! What a typed line means.

use halyard_client::Command;

use crate::cli::script::{history_count, split};

/// What a typed line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    Nothing,
    Command(Command),
    Help,
    /// Host a server, since there is none any more.
    Host,
    Quit,
}

pub(super) const HELP: &str = "\
plain text         say it to the room
/join ROOM         enter a room, leaving this one
/dm NICK TEXT      say something to one person (also /msg)
/me TEXT           say that you do something: * ann waves
/say TEXT          say it to the room, whatever it begins with
/who [ROOM]        who is in the room, or in another one
/list              the rooms
/history [N]       the last N messages of the room, said before (20)
/nick NICK         change your nick
/leave             leave the room
/ping              how fast the server answers
/host              host a server here when the last one has gone
/quit              leave for good (also Ctrl-D, Ctrl-C)
//text             say \"/text\"
Ctrl-R             show again what you are typing when a line came between";

/// Reads a typed line; the error says what is wrong with it.
pub(crate) fn parse(line: &str) -> Result<Typed, String> {
    if line.trim().is_empty() {
        return Ok(Typed::Nothing);
    }
    let say = |text: &str, action| Typed::Command(Command::Say { text: text.to_owned(), action });
    let Some(slashed) = line.strip_prefix('/') else { return Ok(say(line, false)) };
    if slashed.starts_with('/') {
        return Ok(say(slashed, false));
    }
    let (verb, rest) = split(slashed);
    let word = |what: &str| {
        let word = rest.trim();
        if word.is_empty() { Err(format!("/{verb} needs {what}")) } else { Ok(word.to_owned()) }
    };
    let text = |text: &str| {
        if text.trim().is_empty() { Err(format!("/{verb} needs a text")) } else { Ok(text.to_owned()) }
    };
    Ok(match verb.to_ascii_lowercase().as_str() {
        "join" | "j" => Typed::Command(Command::Join { room: word("a room")? }),
        "say" => say(&text(rest)?, false),
        "me" => say(&text(rest)?, true),
        "dm" | "msg" => {
            let (to, rest) = split(rest.trim_start());
            if to.is_empty() {
                return Err(format!("/{verb} needs a nick and a text"));
            }
            Typed::Command(Command::Dm { to: to.to_owned(), text: text(rest)?, action: false })
        }
        "who" | "names" => match rest.trim() {
            "" => Typed::Command(Command::Who),
            room => Typed::Command(Command::WhoIn { room: room.to_owned() }),
        },
        "list" | "rooms" => Typed::Command(Command::List),
        "history" => {
            let count = history_count(rest).ok_or("/history needs a number of messages, or nothing")?;
            Typed::Command(Command::History { room: None, count, before: 0 })
        }
        "leave" | "part" => Typed::Command(Command::Leave),
        "nick" => Typed::Command(Command::Nick { nick: word("a nick")? }),
        "ping" => Typed::Command(Command::Ping),
        "host" => Typed::Host,
        "quit" | "exit" | "q" => Typed::Quit,
        "help" | "h" | "?" => Typed::Help,
        _ => {
            let verb = crate::cli::visible::visible(verb);
            return Err(format!("no command /{verb}: /help lists them; //{verb} says it"));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(text: &str) -> Result<Typed, String> {
        Ok(Typed::Command(Command::Say { text: text.into(), action: false }))
    }

    #[test]
    fn plain_text_is_said_as_it_is() {
        assert_eq!(parse("hello"), say("hello"));
        assert_eq!(parse("  two  spaces "), say("  two  spaces "));
        assert_eq!(parse("//etc/passwd"), say("/etc/passwd"));
        assert_eq!(parse("/say /etc"), say("/etc"));
        assert_eq!(parse("   "), Ok(Typed::Nothing));
    }

    #[test]
    fn commands_and_their_other_names() {
        let dm = |to: &str, text: &str| {
            Ok(Typed::Command(Command::Dm { to: to.into(), text: text.into(), action: false }))
        };
        assert_eq!(parse("/dm bob hi there"), dm("bob", "hi there"));
        assert_eq!(parse("/MSG  bob  hi"), dm("bob", " hi"));
        assert_eq!(parse("/join dev "), Ok(Typed::Command(Command::Join { room: "dev".into() })));
        assert_eq!(
            parse("/me waves"),
            Ok(Typed::Command(Command::Say { text: "waves".into(), action: true }))
        );
        assert_eq!(parse("/quit"), Ok(Typed::Quit));
        assert_eq!(parse("/?"), Ok(Typed::Help));
    }

    #[test]
    fn a_mistake_is_not_said_to_the_room() {
        for (line, word) in [
            ("/jion dev", "//jion"),
            ("/", "/help"),
            ("/join", "needs a room"),
            ("/dm bob", "needs a text"),
            ("/dm", "needs a nick"),
            ("/me ", "needs a text"),
        ] {
            assert!(parse(line).is_err_and(|error| error.contains(word)), "{line:?}");
        }
    }

    #[test]
    fn help_names_every_command() {
        for verb in [
            "join", "dm", "msg", "me", "say", "who", "list", "history", "nick", "leave", "ping", "host",
            "quit",
        ] {
            assert!(HELP.contains(&format!("/{verb}")), "{verb}");
        }
    }
}
