//! `halyard inspect`: a ring as it is now, drawn or as JSON. It looks through a read-only mapping and disturbs nothing.

pub(crate) mod draw;
mod json;
mod slots;
mod watch;

use std::time::Duration;

use halyard_client::ServerName;
use halyard_ring::chat::control_ring;
use halyard_ring::{BadRingName, RingName};

use super::asked::Asked;
use super::exit::{Ended, Exit, Result};
use super::ls::paint::Paint;
use super::ls::push_json;
use super::ls::survey::{Found, Picture, Survey};
use super::out::Out;

/// Draw a ring: its slots, owners, semaphores and counters
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A server, or any ring's full name; without it the server that --server names
    #[arg(value_name = "SERVER")]
    target: Option<String>,
    /// Which of its rings: "control", "reply.ID", or any ring's full name [default: control]
    #[arg(value_name = "RING")]
    ring: Option<String>,
    /// One JSON object on one line
    #[arg(long)]
    json: bool,
    /// Look again every so many seconds until Ctrl-C [default: 1]
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1", value_parser = seconds)]
    watch: Option<Duration>,
}

pub(crate) fn seconds(text: &str) -> std::result::Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds is needed".to_owned())?;
    // The shortest still leaves a person time to see it, and the machine time for other things.
    if !(0.05..=86_400.0).contains(&seconds) {
        return Err("from 0.05 to 86400 seconds are possible".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

pub(crate) fn run(server: &ServerName, args: &Args) -> Result {
    let target = args.target.as_deref();
    let names = candidates(server, target, args.ring.as_deref())
        .map_err(|error| Ended::with(Exit::Usage, format!("there can be no such ring: {error}")))?;
    let Some(found) = names.iter().find_map(Found::look) else {
        return Ok(missing(target.unwrap_or(server.as_str()), args.ring.as_deref()));
    };
    let mut out = Out::new();
    if let Some(every) = args.watch {
        return watch::run(&found.name, every, args.json, &mut out);
    }
    let picture = readable(&found)?;
    if args.json {
        out.raw(&json_line(&found, picture))?;
    } else {
        let lines = draw::draw(picture, Some(&found.life), None, &Paint::for_stdout());
        out.raw(&(lines.join("\n") + "\n"))?;
    }
    Ok(Exit::Done.into())
}

fn json_line(found: &Found, picture: &Picture) -> String {
    let mut text = String::new();
    push_json(&mut text, &json::PictureJson::of(picture, Some(&found.life)));
    text
}

/// The names that could be meant, likeliest first. What is there decides.
fn candidates(
    server: &ServerName,
    target: Option<&str>,
    ring: Option<&str>,
) -> std::result::Result<Vec<RingName>, BadRingName> {
    match (target, ring) {
        (None, _) => Ok(vec![control_ring(server)]),
        (Some(target), None) => {
            let as_ring = RingName::new(target)?;
            let as_server = ServerName::new(target).ok().map(|server| control_ring(&server));
            Ok(as_server.into_iter().chain([as_ring]).collect())
        }
        (Some(target), Some(ring)) => {
            let whole = RingName::new(ring)?;
            let part = RingName::new(&format!("{target}.{ring}"))?;
            Ok(vec![part, whole])
        }
    }
}

fn missing(target: &str, ring: Option<&str>) -> Ended {
    let survey = Survey::take(&Asked::all()).unwrap_or_default();
    let known = survey.servers.iter().find(|known| known.name.as_str() == target);
    match (known, ring) {
        (Some(known), Some(ring)) => {
            let there: Vec<&str> = known.rings.iter().map(Found::short_name).collect();
            let there = there.join(", ");
            Ended::with(Exit::Negative, format!("\"{target}\" has no ring \"{ring}\"; it has {there}"))
        }
        (Some(_), None) => {
            let hint = format!("its control ring is gone; `halyard ls` shows what is left of \"{target}\"");
            Ended::with(Exit::NoServer, hint)
        }
        (None, _) => {
            let hint = "`halyard ls` shows what there is";
            Ended::with(Exit::NoServer, format!("there is no server and no ring \"{target}\"; {hint}"))
        }
    }
}

/// The picture, or why there is none.
fn readable(found: &Found) -> Result<&Picture> {
    found.picture.as_ref().map_err(|_| {
        let why = found.fault().unwrap_or_default();
        let life = found.life.word();
        Ended::with(Exit::Negative, format!("\"{}\" cannot be drawn ({life}): {why}", found.name)).into()
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use halyard_ring::{Ring, RingOptions};

    use super::*;

    #[test]
    fn a_name_can_be_given_in_every_way_that_ls_shows_it() {
        let shown = |target, ring| -> Vec<String> {
            let names = candidates(&ServerName::default(), target, ring).unwrap();
            names.iter().map(ToString::to_string).collect()
        };
        assert_eq!(shown(None, None), ["default.control"]);
        assert_eq!(shown(Some("dev"), None), ["dev.control", "dev"]);
        assert_eq!(shown(Some("dev"), Some("reply.7-0")), ["dev.reply.7-0", "reply.7-0"]);
        assert_eq!(shown(Some("dev"), Some("dev.reply.7-0")), ["dev.dev.reply.7-0", "dev.reply.7-0"]);
        assert_eq!(shown(Some("dev.reply.7-0"), None), ["dev.reply.7-0"]);
        for bad in ["../etc", "", "a b"] {
            assert!(candidates(&ServerName::default(), Some(bad), None).is_err(), "{bad:?}");
            assert!(candidates(&ServerName::default(), Some("dev"), Some(bad)).is_err(), "{bad:?}");
        }
    }

    /// A segment's bytes are whatever other processes wrote there.
    #[test]
    fn no_word_of_a_segment_can_break_the_tools() {
        let name = RingName::new(&format!("inspect-fuzz-{}", std::process::id())).unwrap();
        let path = format!("/dev/shm/halyard.{name}");
        let ring = Ring::<u64>::create(&name, &RingOptions::mpsc(16).owners(4)).unwrap();
        let (mut quick, mut slow) = (ring.producer().unwrap(), ring.producer().unwrap());
        let claim = slow.try_claim().unwrap();
        quick.push(1).unwrap();
        let bytes = fs::read(&path).unwrap();
        ring.unlink().unwrap();
        drop(claim);
        let mut drawn = 0;
        for offset in (0..bytes.len()).step_by(8) {
            for word in [0, 1, 1 << 62, u64::MAX, 0x5a5a_5a5a_5a5a_5a5a, 0xffff_ffff, 0xffff_ffff_0000_0000] {
                let mut bytes = bytes.clone();
                bytes[offset..offset + 8].copy_from_slice(&word.to_ne_bytes());
                fs::write(&path, &bytes).unwrap();
                let found = Found::look(&name).unwrap();
                match &found.picture {
                    Ok(picture) => {
                        drawn += 1;
                        let lines = draw::draw(picture, Some(&found.life), None, &Paint::plain(Some(80)));
                        assert!(lines.len() > 10 && json_line(&found, picture).ends_with("}\n"));
                    }
                    Err(_) => assert!(found.fault().is_some()),
                }
            }
        }
        fs::remove_file(&path).unwrap();
        assert!(drawn > bytes.len() / 8, "most words are only shown: {drawn}");
    }

    #[test]
    fn a_span_must_make_sense() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["", "x", "0", "-1", "nan", "inf", "1e9"] {
            assert!(seconds(bad).is_err(), "{bad:?}");
        }
    }
}
