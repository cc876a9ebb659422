//! `halyard ls`: which servers and rings there are, whose they are, and whether those still live.

pub(crate) mod paint;
pub(crate) mod survey;
pub(crate) mod table;
pub(crate) mod units;

use halyard_client::ServerName;
use halyard_ring::{Mode, RingKind};
use serde::Serialize;

use super::asked::Asked;
use super::exit::{Exit, Failure, Result};
use super::out::Out;
use paint::{Paint, Style};
use survey::{Found, Life, ServerRings, Survey, Who};
use table::{Cell, Table};

/// List the servers and rings in shared memory: whose they are, and whether those still live
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only these servers and that of --server, or rings of these names; without one, all
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// One JSON object a line: type "server" for each server, "ring" for each ring
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(server: Option<&ServerName>, args: &Args) -> Result {
    let asked = Asked::new(&args.names, server);
    let survey = Survey::take(&asked).map_err(|error| Failure::Io("read /dev/shm", error))?;
    let text = match args.json {
        true => json(&survey),
        false if survey.is_empty() && !asked.is_all() => {
            format!("nothing here: no ring of {asked} in /dev/shm\n")
        }
        false => text(&survey, &Paint::for_stdout()),
    };
    Out::new().raw(&text)?;
    Ok(Exit::Done.into())
}

/// What there is, for people.
fn text(survey: &Survey, paint: &Paint) -> String {
    let mut blocks: Vec<Vec<String>> = Vec::new();
    for server in &survey.servers {
        let mut block = vec![server_line(server, paint)];
        block.extend(table(&server.rings, paint));
        blocks.push(block);
    }
    if !survey.others.is_empty() {
        let mut block = vec![paint.apply(Style::Bold, "rings that are no chat's")];
        block.extend(table(&survey.others, paint));
        blocks.push(block);
    }
    let left = survey.rings().filter(|ring| ring.life.is_over()).count();
    if left > 0 {
        blocks.push(vec![format!(
            "{} left by the dead: `halyard clean` removes what they left",
            units::plural(left, "ring")
        )]);
    }
    if blocks.is_empty() {
        return "nothing here: no server and no ring in /dev/shm\n".to_owned();
    }
    blocks.iter().map(|block| block.join("\n") + "\n").collect::<Vec<_>>().join("\n")
}

fn server_line(server: &ServerRings, paint: &Paint) -> String {
    let name = paint.apply(Style::Bold, &format!("server {}", server.name));
    let clients = units::plural(server.replies(), "reply ring");
    let Some(control) = server.control() else {
        return format!("{name} · {} · {clients}", paint.apply(Style::Bad, "not there"));
    };
    let life = paint.apply(style_of(&control.life), control.life.word());
    let Ok(picture) = &control.picture else { return format!("{name} · {life} · {clients}") };
    let who = picture
        .creator
        .as_ref()
        .map_or_else(|| "pid unknown".to_owned(), |who| format!("pid {}", who.label()));
    if matches!(control.life, Life::Alive) {
        format!("{name} · {life} · {who} · up {} · {clients}", units::span(picture.age()))
    } else {
        format!("{name} · {life} · {who} · started {} ago · {clients}", units::span(picture.age()))
    }
}

fn table(rings: &[Found], paint: &Paint) -> Vec<String> {
    let titles = ["RING", "KIND", "FILL", "RECORD", "BYTES", "OWNER", "STATE", "BEAT"];
    let numbers = ["FILL", "RECORD", "BYTES", "BEAT"];
    let titles =
        titles.map(|title| if numbers.contains(&title) { Cell::number(title) } else { Cell::text(title) });
    // Where no ring can be looked at there are only reasons, and the titles would be about nothing.
    let seen = rings.iter().any(|ring| ring.picture.is_ok());
    let mut table = if seen { Table::titled(&titles) } else { Table::default() };
    for ring in rings {
        let name = Cell::text(ring.short_name());
        let picture = match &ring.picture {
            Ok(picture) => picture,
            Err(_) => {
                let word = paint.apply(style_of(&ring.life), ring.life.word());
                table.note(name, format!("{word}: {}", ring.fault().unwrap_or_default()));
                continue;
            }
        };
        let snapshot = &picture.snapshot;
        let fill = format!("{}/{}", picture.fill(), snapshot.capacity);
        let full = picture.fill() == u64::from(snapshot.capacity);
        let state = if snapshot.closed {
            format!("{}, closed", ring.life.word())
        } else {
            ring.life.word().to_owned()
        };
        table.row(vec![
            name,
            Cell::text(kind_word(snapshot.kind)),
            Cell::number(fill).styled(if full { Style::Warn } else { Style::Plain }),
            Cell::number(snapshot.record_size.to_string()),
            Cell::number(units::bytes(picture.size as u64)),
            Cell::text(picture.creator.as_ref().map_or_else(|| "?".to_owned(), Who::label)),
            Cell::text(state).styled(style_of(&ring.life)),
            Cell::number(
                picture.beat_age(snapshot.creator_beat_ns).map_or_else(|| "–".to_owned(), units::span),
            ),
        ]);
    }
    table.lines(2, paint)
}

pub(crate) fn style_of(life: &Life) -> Style {
    match life {
        Life::Alive => Style::Good,
        Life::Dead | Life::NoSegment => Style::Bad,
        Life::Unknown(_) => Style::Warn,
    }
}

pub(crate) fn kind_word(kind: RingKind) -> &'static str {
    match kind {
        RingKind::Spsc => "spsc",
        RingKind::Mpsc => "mpsc",
    }
}

pub(crate) fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Doorbell => "doorbell",
        Mode::Counting => "counting",
    }
}

impl Survey {
    fn rings(&self) -> impl Iterator<Item = &Found> {
        self.servers.iter().flat_map(|server| &server.rings).chain(&self.others)
    }
}

/// What there is as JSON Lines.
fn json(survey: &Survey) -> String {
    let mut text = String::new();
    for server in &survey.servers {
        push_json(&mut text, &ServerJson::of(server));
        server.rings.iter().for_each(|ring| push_json(&mut text, &RingJson::of(ring)));
    }
    survey.others.iter().for_each(|ring| push_json(&mut text, &RingJson::of(ring)));
    text
}

/// Adds one value as a line.
pub(crate) fn push_json(text: &mut String, value: &impl Serialize) {
    text.push_str(&serde_json::to_string(value).expect("plain fields have a JSON form"));
    text.push('\n');
}

#[derive(Serialize)]
struct ServerJson<'a> {
    v: u32,
    r#type: &'static str,
    name: &'a str,
    state: &'static str,
    pid: Option<u32>,
    command: Option<&'a str>,
    /// Since the control ring was made.
    uptime_ns: Option<u64>,
    reply_rings: usize,
}

impl<'a> ServerJson<'a> {
    fn of(server: &'a ServerRings) -> Self {
        let control = server.control();
        let picture = control.and_then(|ring| ring.picture.as_ref().ok());
        let creator = picture.and_then(|picture| picture.creator.as_ref());
        Self {
            v: 1,
            r#type: "server",
            name: server.name.as_str(),
            state: control.map_or("dead", |ring| ring.life.word()),
            pid: creator.map(|who| who.pid),
            command: creator.and_then(|who| who.command.as_deref()),
            uptime_ns: picture
                .filter(|_| control.is_some_and(|ring| matches!(ring.life, Life::Alive)))
                .map(|picture| u64::try_from(picture.age().as_nanos()).unwrap_or(u64::MAX)),
            reply_rings: server.replies(),
        }
    }
}

/// A process, as every `--json` of the tools names one.
#[derive(Serialize)]
pub(crate) struct WhoJson {
    pid: u32,
    command: Option<String>,
    alive: bool,
}

impl From<&Who> for WhoJson {
    fn from(who: &Who) -> Self {
        Self { pid: who.pid, command: who.command.clone(), alive: who.alive }
    }
}

#[derive(Serialize)]
struct RingJson<'a> {
    v: u32,
    r#type: &'static str,
    name: &'a str,
    server: Option<&'a str>,
    role: Option<&'static str>,
    state: &'static str,
    #[serde(flatten)]
    seen: Option<SeenJson>,
    /// Why the ring could not be looked at; then the fields from `kind` to `heartbeat_age_ns` are missing.
    error: Option<String>,
}

#[derive(Serialize)]
struct SeenJson {
    kind: &'static str,
    mode: &'static str,
    capacity: u32,
    fill: u64,
    record_size: u32,
    bytes: usize,
    closed: bool,
    owner: Option<WhoJson>,
    created_unix_ns: u64,
    heartbeat_age_ns: Option<u64>,
}

impl<'a> RingJson<'a> {
    fn of(ring: &'a Found) -> Self {
        Self {
            v: 1,
            r#type: "ring",
            name: ring.name.as_str(),
            server: ring.role.as_ref().map(|(server, _)| server.as_str()),
            role: ring.role.as_ref().map(|_| if ring.is_control() { "control" } else { "reply" }),
            state: ring.life.word(),
            seen: ring.picture.as_ref().ok().map(|picture| {
                let snapshot = &picture.snapshot;
                SeenJson {
                    kind: kind_word(snapshot.kind),
                    mode: mode_word(snapshot.mode),
                    capacity: snapshot.capacity,
                    fill: picture.fill(),
                    record_size: snapshot.record_size,
                    bytes: picture.size,
                    closed: snapshot.closed,
                    owner: picture.creator.as_ref().map(WhoJson::from),
                    created_unix_ns: snapshot.created_unix_ns,
                    heartbeat_age_ns: picture
                        .beat_age(snapshot.creator_beat_ns)
                        .map(|age| age.as_nanos() as u64),
                }
            }),
            error: ring.fault(),
        }
    }
}
