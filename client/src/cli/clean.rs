//! `halyard clean`: removes what the dead left in /dev/shm, and nothing else.

use std::io;

use halyard_client::ServerName;
use halyard_ring::{Belonging, Removal, RingName, list_names, remove_dead};
use serde::Serialize;

use super::asked::Asked;
use super::exit::{Exit, Failure, Result};
use super::ls::paint::{Paint, Style};
use super::ls::push_json;
use super::ls::survey::{Found, Life, Who};
use super::ls::table::{Cell, Table};
use super::ls::units::plural;
use super::out::Out;

/// Remove what the dead left in shared memory, and nothing that anyone still uses
///
/// A ring is removed only if the lock that its creator held for life is free: that is proof, whatever pids say.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only the rings of these servers and of that of --server, or of these names; without one, all
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Only say what would be removed
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// One JSON object a line: type "clean" for each ring, then one of type "summary"
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(server: Option<&ServerName>, args: &Args) -> Result {
    let asked = Asked::new(&args.names, server);
    let verdicts = sweep(&asked, args.dry_run).map_err(|error| Failure::Io("read /dev/shm", error))?;
    let text = match args.json {
        true => json(&verdicts, args.dry_run),
        false if verdicts.is_empty() && !asked.is_all() => {
            format!("nothing here: no ring of {asked} in /dev/shm\n")
        }
        false => text(&verdicts, &Paint::for_stdout()),
    };
    Out::new().raw(&text)?;
    let failed = verdicts.iter().any(|verdict| verdict.action == Action::Failed);
    Ok(if failed { Exit::Negative } else { Exit::Done }.into())
}

/// What was done about a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Removed,
    /// As `Removed`, had this not been a dry run.
    WouldRemove,
    Kept,
    /// It could not be removed, or not be found out whose it is.
    Failed,
}

/// One ring, what was done about it, and why.
#[derive(Debug, Serialize)]
struct Verdict {
    v: u32,
    r#type: &'static str,
    name: String,
    action: Action,
    why: String,
    /// The creator's process id, as the segment says.
    pid: Option<u32>,
}

/// Looks at every ring that is asked for and removes those of the dead, or only says so.
fn sweep(asked: &Asked, dry_run: bool) -> io::Result<Vec<Verdict>> {
    let names = list_names()?;
    Ok(names.iter().filter(|name| asked.covers(name)).filter_map(|name| judge(name, dry_run)).collect())
}

fn judge(name: &RingName, dry_run: bool) -> Option<Verdict> {
    // Looked at first: afterwards there may be nothing to ask.
    let Found { life: before, picture, .. } = Found::look(name)?;
    let creator = picture.ok().and_then(|picture| picture.creator);
    let others = others(name).filter(|_| before.is_over());
    let (action, why) = match (&before, dry_run) {
        _ if others.is_some() => {
            let user = others.unwrap_or_default();
            (Action::Kept, format!("it is {user}'s, who alone may remove it: let {user} run `halyard clean`"))
        }
        // Whoever may not even look has nothing to clean here.
        (Life::Unknown(error), _) if error.kind() == io::ErrorKind::PermissionDenied => {
            (Action::Kept, format!("another user's: {error}"))
        }
        (Life::Unknown(error), _) => (Action::Failed, error.to_string()),
        (Life::Alive, _) => (Action::Kept, lives(creator.as_ref())),
        (Life::Dead | Life::NoSegment, true) => (Action::WouldRemove, gone(&before, creator.as_ref())),
        (Life::Dead | Life::NoSegment, false) => match remove_dead(name) {
            Ok(Removal::Missing) => return None,
            Ok(Removal::Removed) if Found::look(name).is_some_and(|left| left.life.is_over()) => {
                (Action::Failed, "its creator is gone, but the system refuses to remove it".to_owned())
            }
            Ok(Removal::Removed) => (Action::Removed, gone(&before, creator.as_ref())),
            // Somebody made a ring of that name while we looked.
            Ok(_) => (Action::Kept, lives(None)),
            Err(error) => (Action::Failed, error.to_string()),
        },
    };
    let pid = creator.map(|who| who.pid);
    Some(Verdict { v: 1, r#type: "clean", name: name.to_string(), action, why, pid })
}

/// Whose the names are, if this process may not remove them.
fn others(name: &RingName) -> Option<String> {
    let whose = Belonging::of(name).ok().flatten()?;
    (!whose.may_remove()).then(|| whose.user_name())
}

fn lives(creator: Option<&Who>) -> String {
    match creator {
        Some(who) if who.alive => format!("its creator lives: {}", who.label()),
        // The lock says so; the pid may be of another namespace, or the segment damaged.
        _ => "its creator lives: it holds the lock".to_owned(),
    }
}

fn gone(life: &Life, creator: Option<&Who>) -> String {
    match (life, creator) {
        (Life::NoSegment, _) => "semaphores without a ring".to_owned(),
        // The process goes on, but has let go of the ring without removing it.
        (_, Some(who)) if who.alive => format!("its creator let go of it: {}", who.label()),
        (_, Some(who)) => format!("its creator is gone: pid {}", who.pid),
        (_, None) => "its creator is gone".to_owned(),
    }
}

/// The verdicts for people.
fn text(verdicts: &[Verdict], paint: &Paint) -> String {
    if verdicts.is_empty() {
        return "nothing here: no ring in /dev/shm\n".to_owned();
    }
    let mut table = Table::default();
    for verdict in verdicts {
        let (word, style) = match verdict.action {
            Action::Removed => ("removed", Style::Good),
            Action::WouldRemove => ("would remove", Style::Warn),
            Action::Kept => ("kept", Style::Dim),
            Action::Failed => ("not removed", Style::Bad),
        };
        let cells = [word, verdict.name.as_str(), verdict.why.as_str()].map(Cell::text);
        let [word, name, why] = cells;
        table.row(vec![word.styled(style), name, why]);
    }
    // The reasons are sentences; the names in front of them stay whole.
    let mut lines = table.lines(0, &Paint { width: None, ..*paint });
    let kept = number(verdicts, Action::Kept);
    if kept == verdicts.len() {
        lines.push(format!("nothing to remove, {} kept", plural(kept, "ring")));
    } else {
        let parts = [
            ("removed", Action::Removed),
            ("would remove", Action::WouldRemove),
            ("kept", Action::Kept),
            ("could not remove", Action::Failed),
        ];
        let said: Vec<String> = parts
            .iter()
            .map(|(word, action)| (word, number(verdicts, *action)))
            .filter(|(_, number)| *number > 0)
            .map(|(word, number)| format!("{word} {}", plural(number, "ring")))
            .collect();
        lines.push(said.join(", "));
    }
    lines.join("\n") + "\n"
}

fn number(verdicts: &[Verdict], action: Action) -> usize {
    verdicts.iter().filter(|verdict| verdict.action == action).count()
}

#[derive(Serialize)]
struct SummaryJson {
    v: u32,
    r#type: &'static str,
    dry_run: bool,
    removed: usize,
    would_remove: usize,
    kept: usize,
    failed: usize,
}

fn json(verdicts: &[Verdict], dry_run: bool) -> String {
    let mut text = String::new();
    verdicts.iter().for_each(|verdict| push_json(&mut text, verdict));
    let summary = SummaryJson {
        v: 1,
        r#type: "summary",
        dry_run,
        removed: number(verdicts, Action::Removed),
        would_remove: number(verdicts, Action::WouldRemove),
        kept: number(verdicts, Action::Kept),
        failed: number(verdicts, Action::Failed),
    };
    push_json(&mut text, &summary);
    text
}
