//! The rules and the view, on samples that were made up.

use std::time::Duration;

use halyard_ring::SemaphoreSnapshot;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::columns::short;
use super::draw::{draw, page};
use super::look::{Look, Sample, Seen, State};
use super::plain;
use super::state::{Asked, Presence, Slow, Top};
use crate::cli::chat::app::keys::{Code, Key};
use crate::cli::ls::paint::Paint;
use crate::cli::ls::survey::Who;

const SECOND: u64 = 1_000_000_000;

/// A ring with these positions, all counters following from them.
fn seen(at_s: u64, head: u64, fill: u64) -> Seen {
    let asleep = Some(SemaphoreSnapshot { value: 0, waiters: Some(1) });
    let awake = Some(SemaphoreSnapshot { value: 0, waiters: Some(0) });
    Seen {
        epoch: 7,
        renewals: 0,
        at_ns: at_s * SECOND,
        age: Duration::from_secs(at_s),
        owner: Some(Who { pid: 4242, command: Some("halyard".into()), alive: true }),
        capacity: 100,
        fill,
        head,
        published: head + fill,
        consumed: head,
        wakes: head / 10,
        full_events: 3,
        voids: 2,
        quarantined: 0,
        ready: if fill == 0 { asleep } else { awake },
        space: awake,
        consumer_parked: fill == 0,
        producers_parked: 0,
        beat_age: Some(Duration::from_millis(200)),
        closed: false,
    }
}

fn ring(name: &str, seen: Seen) -> Look {
    Look { name: name.into(), is_control: name == "control", state: State::Alive, seen: Ok(seen) }
}

fn sample(at_s: u64, looks: Vec<Look>) -> Sample {
    Sample { at_ns: at_s * SECOND, looks }
}

fn top() -> Top {
    Top::new("default", Duration::from_secs(1), Duration::from_secs(3))
}

fn names(top: &Top) -> Vec<&str> {
    top.rows().map(|row| &*row.look.name).collect()
}

fn press(top: &mut Top, code: Code) -> Asked {
    top.key(Key::plain(code), 6)
}

/// A server with a busy ring, a stalled one, a dead one and one that is no ring.
fn busy() -> Top {
    let mut top = top();
    for at in 1..=3 {
        let mut dead = ring("reply.9-0", Seen { beat_age: None, ..seen(at, 5, 1) });
        dead.state = State::Dead;
        let Ok(left) = &mut dead.seen else { unreachable!() };
        left.owner = Some(Who { pid: 9, command: None, alive: false });
        let broken = Look {
            name: "reply.bad".into(),
            is_control: false,
            state: State::Unknown,
            seen: Err("no ring".into()),
        };
        let looks = vec![
            ring("control", seen(at, at * 1_000, 20)),
            ring("reply.7-0", seen(at, 40, 90)),
            ring("reply.8-0", Seen { quarantined: 2, ..seen(at, at * 2_000, 0) }),
            dead,
            broken,
        ];
        top.take(sample(at, looks));
    }
    top
}

fn screen(top: &Top, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(top, frame, false)).unwrap();
    let buffer = terminal.backend().buffer();
    let row = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
    (0..height).map(row).collect::<Vec<_>>().join("\n")
}

#[test]
fn rates_are_per_second_and_only_within_one_ring() {
    let mut top = top();
    top.take(sample(1, vec![ring("control", seen(1, 1_000, 10))]));
    assert_eq!(top.rows().next().unwrap().rates, None);
    top.take(sample(3, vec![ring("control", seen(3, 3_000, 30))]));
    let rates = top.rows().next().unwrap().rates.unwrap();
    assert_eq!((rates.published, rates.consumed, rates.wakes), (1_010, 1_000, 100));
    // Another ring of the same name, and a counter that somebody turned back.
    top.take(sample(4, vec![ring("control", Seen { epoch: 8, ..seen(4, 9_000, 0) })]));
    assert_eq!(top.rows().next().unwrap().rates, None);
    top.take(sample(5, vec![ring("control", Seen { epoch: 8, ..seen(5, 0, 0) })]));
    assert_eq!(top.rows().next().unwrap().rates.unwrap().published, 0);
}

#[test]
fn numbers_that_anybody_may_have_written_break_nothing() {
    let mut top = top();
    for at in [1, 2] {
        let wild = Seen {
            head: u64::MAX,
            fill: 100,
            published: u64::MAX * (at - 1),
            consumed: u64::MAX * (at - 1),
            wakes: u64::MAX * (at - 1),
            full_events: u64::MAX,
            voids: u64::MAX,
            quarantined: u32::MAX,
            producers_parked: u32::MAX,
            ..seen(at, 0, 0)
        };
        top.take(sample(at, vec![ring("control", wild.clone()), ring("reply.1-0", wild)]));
    }
    assert!(screen(&top, 140, 10).contains("18.4E"));
}

#[test]
fn slow_is_who_reads_nothing_while_records_wait() {
    let slow_after = |looks: &[Seen]| {
        let mut top = top();
        for seen in looks {
            top.take(sample(seen.at_ns / SECOND, vec![ring("reply.1-0", seen.clone())]));
        }
        top.rows().next().unwrap().slow
    };
    assert_eq!(slow_after(&[seen(1, 5, 1)]), None, "one look tells nothing");
    assert_eq!(slow_after(&[seen(1, 5, 1), seen(2, 5, 1)]), Some(Slow::NotReading));
    assert_eq!(slow_after(&[seen(1, 5, 1), seen(2, 6, 1)]), None, "it moves");
    assert_eq!(slow_after(&[seen(1, 5, 0), seen(2, 5, 0)]), None, "nothing waits");
    assert_eq!(slow_after(&[seen(1, 5, 0), seen(2, 5, 1)]), None, "nothing has waited");
    let quick = Seen { at_ns: SECOND + SECOND / 2, ..seen(1, 5, 1) };
    assert_eq!(slow_after(&[seen(1, 5, 1), quick]), None, "not for a second");
}

#[test]
fn slow_is_whose_ring_stays_full_or_whose_heart_stands_still() {
    let mut top = top();
    for (at, expected) in [(1, None), (2, None), (3, Some(Slow::StaysFull)), (4, Some(Slow::StaysFull))] {
        top.take(sample(at, vec![ring("reply.1-0", seen(at, at * 100, 75))]));
        assert_eq!(top.rows().next().unwrap().slow, expected, "after {at} s");
    }
    top.take(sample(5, vec![ring("reply.1-0", seen(5, 500, 74))]));
    assert_eq!(top.rows().next().unwrap().slow, None);
    let old = Seen { beat_age: Some(Duration::from_secs(4)), ..seen(6, 600, 0) };
    top.take(sample(6, vec![ring("reply.1-0", old.clone())]));
    assert_eq!(top.rows().next().unwrap().slow, Some(Slow::NoHeartbeat));
    // The dead are not slow.
    let mut dead = ring("reply.1-0", old.clone());
    dead.state = State::Dead;
    top.take(sample(7, vec![dead]));
    let row = top.rows().next().unwrap();
    assert_eq!((row.slow, row.status()), (None, "dead".to_owned()));
    // A server whose heartbeats are farther apart has slower clients.
    let mut patient = Top::new("default", Duration::from_secs(1), Duration::from_secs(5));
    patient.take(sample(6, vec![ring("reply.1-0", old)]));
    assert_eq!(patient.rows().next().unwrap().slow, None);
}

#[test]
fn the_fullest_are_first_and_s_changes_that() {
    let mut top = busy();
    assert_eq!(names(&top), ["reply.7-0", "control", "reply.9-0", "reply.8-0", "reply.bad"]);
    press(&mut top, Code::Char('s'));
    assert_eq!(top.sort.word(), "in");
    assert_eq!(names(&top)[..2], ["reply.8-0", "control"]);
    for word in ["out", "wakes", "name"] {
        press(&mut top, Code::Char('s'));
        assert_eq!(top.sort.word(), word);
    }
    assert_eq!(names(&top), ["control", "reply.7-0", "reply.8-0", "reply.9-0", "reply.bad"]);
    press(&mut top, Code::Char('r'));
    assert_eq!(names(&top), ["control"]);
    assert_eq!(top.totals().rings, 5, "hidden ones count");
}

#[test]
fn keys_scroll_within_the_list_and_end_it() {
    let mut top = top();
    let looks = (0..20).map(|n| ring(&format!("reply.{n:02}-0"), seen(1, 0, 0))).collect();
    top.take(sample(1, looks));
    for (code, expected) in [
        (Code::Down, 1),
        (Code::PageDown, 7),
        (Code::End, 14),
        (Code::Down, 14),
        (Code::Up, 13),
        (Code::PageUp, 7),
        (Code::Home, 0),
        (Code::Up, 0),
    ] {
        press(&mut top, code);
        assert_eq!(top.scroll, expected, "{code:?}");
    }
    assert!(screen(&top, 60, 10).contains("14 more below"));
    press(&mut top, Code::End);
    let end = screen(&top, 60, 10);
    assert!(end.contains("reply.19-0") && !end.contains("more below"), "{end}");
    // The list grows short: what is left is shown.
    top.take(sample(2, vec![ring("control", seen(2, 0, 0))]));
    assert!(screen(&top, 60, 10).contains("control"));
    press(&mut top, Code::Char('?'));
    assert!(screen(&top, 60, 24).contains("semaphore of the reader"));
    assert_eq!(press(&mut top, Code::Char('x')), Asked::Nothing);
    assert!(!top.help);
    press(&mut top, Code::Char('?'));
    assert_eq!(press(&mut top, Code::Char('q')), Asked::Quit);
    assert_eq!(top.key(Key::ctrl('c'), 6), Asked::Quit);
    press(&mut top, Code::Char(' '));
    assert!(screen(&top, 60, 10).contains("PAUSED"));
}

#[test]
fn a_server_that_goes_and_comes_back_is_told_of() {
    let mut top = top();
    top.take(sample(1, vec![]));
    assert!(screen(&top, 60, 10).contains("no server, looking for it"));
    top.take(sample(2, vec![ring("control", seen(2, 0, 0))]));
    assert_eq!(top.presence, Presence::There);
    top.take(sample(3, vec![]));
    top.take(sample(5, vec![]));
    assert!(screen(&top, 60, 10).contains("default · gone for 2.0 s"), "{}", screen(&top, 60, 10));
    top.take(sample(6, vec![ring("control", Seen { epoch: 8, ..seen(6, 0, 0) })]));
    assert!(screen(&top, 90, 10).contains("came back 0.0 s ago"));
    // Another one between two looks.
    top.take(sample(9, vec![ring("control", Seen { epoch: 9, ..seen(9, 0, 0) })]));
    assert_eq!(top.presence, Presence::Back { at_ns: 9 * SECOND, times: 2 });
}

#[test]
fn a_control_ring_that_was_made_anew_is_no_new_server() {
    let mut top = top();
    top.take(sample(1, vec![ring("control", seen(1, 0, 0))]));
    assert!(!screen(&top, 90, 10).contains("made anew"));
    top.take(sample(2, vec![ring("control", Seen { epoch: 8, renewals: 1, ..seen(2, 0, 0) })]));
    assert_eq!(top.presence, Presence::There);
    assert!(screen(&top, 90, 10).contains("control ring made anew 1 time"), "{}", screen(&top, 90, 10));
    top.take(sample(3, vec![ring("control", Seen { epoch: 9, renewals: 0, ..seen(3, 0, 0) })]));
    assert_eq!(top.presence, Presence::Back { at_ns: 3 * SECOND, times: 1 });
}

#[test]
fn the_view_on_a_wide_terminal() {
    let shown = screen(&busy(), 140, 10);
    assert_eq!(
        shown.split('\n').collect::<Vec<_>>(),
        [
            "default · alive · pid 4242 halyard · up 3.0 s",
            "5 rings · 1 slow · 1 dead · 111 of 400 wait · in 3,000/s · out 3,000/s · wakes 300/s · full 12 · voids 8 · quarantined 2",
            "RING                                   FILL   IN/s  OUT/s WAKES/s READY SPACE PARKED      FULL VOIDS QUAR OWNER          STATE",
            "reply.7-0    ██████████████████··    90/100      0      0       0   0+0   0+0 –              3     2    0 4242 halyard   not reading",
            "control      ████················    20/100  1,000  1,000     100   0+0   0+0 –              3     2    0 4242 halyard   ok",
            "reply.9-0    ▏···················     1/100      0      0       0   0+0   0+0 –              3     2    0 9 (gone)       dead",
            "reply.8-0    ····················     0/100  2,000  2,000     200   0+1   0+0 reader         3     2    2 4242 halyard   quarantined",
            "reply.bad    no ring",
            "",
            "sorted by fill · ? help · q quit · every 1.0 s",
        ]
    );
}

#[test]
fn the_view_on_a_usual_terminal() {
    let shown = screen(&busy(), 80, 10);
    assert_eq!(
        shown.split('\n').collect::<Vec<_>>(),
        [
            "default · alive · pid 4242 halyard · up 3.0 s",
            "5 rings · 1 slow · 1 dead · 111 of 400 wait · in 3,000/s · out 3,000/s · wakes 3",
            "RING                       FILL   IN/s  OUT/s WAKES/s OWNER          STATE",
            "reply.7-0    ███████▏    90/100      0      0       0 4242 halyard   not reading",
            "control      █▌······    20/100  1,000  1,000     100 4242 halyard   ok",
            "reply.9-0    ▏·······     1/100      0      0       0 9 (gone)       dead",
            "reply.8-0    ········     0/100  2,000  2,000     200 4242 halyard   quarantined",
            "reply.bad    no ring",
            "",
            "sorted by fill · ? help · q quit · every 1.0 s",
        ]
    );
}

#[test]
fn the_view_on_a_narrow_terminal() {
    let shown = screen(&busy(), 40, 10);
    assert_eq!(
        shown.split('\n').collect::<Vec<_>>(),
        [
            "default · alive · pid 4242 halyard · up",
            "5 rings · 1 slow · 1 dead · 111 of 400 w",
            "RING                    FILL STATE",
            "reply.7-0    ████▌    90/100 not reading",
            "control      █····    20/100 ok",
            "reply.9-0    ▏····     1/100 dead",
            "reply.8-0    ·····     0/100 quarantined",
            "reply.bad    no ring",
            "",
            "sorted by fill · ? help · q quit · every",
        ]
    );
}

#[test]
fn no_size_is_too_small_and_none_is_coloured_against_the_wish() {
    let mut top = busy();
    for help in [false, true] {
        top.help = help;
        for (width, height) in [(1, 1), (3, 2), (12, 4), (40, 5), (200, 60)] {
            let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
            terminal.draw(|frame| draw(&top, frame, false)).unwrap();
            let cells = &terminal.backend().buffer().content;
            assert!(cells.iter().all(|cell| cell.fg == ratatui::style::Color::Reset));
        }
    }
    let mut terminal = Terminal::new(TestBackend::new(80, 10)).unwrap();
    terminal.draw(|frame| draw(&busy(), frame, true)).unwrap();
    let cells = &terminal.backend().buffer().content;
    assert!(cells.iter().any(|cell| cell.fg == ratatui::style::Color::Red), "the dead are red");
    assert_eq!((page(10), page(2)), (6, 0));
}

#[test]
fn the_table_of_once() {
    let text = plain::text(&busy(), &Paint::plain(None));
    assert_eq!(
        text.lines().collect::<Vec<_>>(),
        [
            "RING                     FILL   IN/s  OUT/s  WAKES/s  READY  SPACE  PARKED  FULL  VOIDS  QUAR  OWNER         STATE",
            "reply.7-0  █████████·  90/100      0      0        0    0+0    0+0  –          3      2     0  4242 halyard  not reading",
            "control    ██········  20/100  1,000  1,000      100    0+0    0+0  –          3      2     0  4242 halyard  ok",
            "reply.9-0  ▏·········   1/100      0      0        0    0+0    0+0  –          3      2     0  9 (gone)      dead",
            "reply.8-0  ··········   0/100  2,000  2,000      200    0+1    0+0  reader     3      2     2  4242 halyard  quarantined",
            "reply.bad  no ring",
            "5 rings: 1 slow, 1 dead, 111 of 400 records wait, in 3,000/s, out 3,000/s, wakes 300/s",
        ]
    );
    let lines: Vec<serde_json::Value> =
        plain::json(&busy()).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["name"], &lines[0]["slow"]), (&"reply.7-0".into(), &"not reading".into()));
    assert_eq!(lines[1]["published_per_s"], 1_000);
    assert_eq!(lines[4]["error"], "no ring");
    assert_eq!((&lines[5]["type"], &lines[5]["dead"]), (&"totals".into(), &1.into()));
}

#[test]
fn short_numbers_have_six_characters_at_most() {
    let shown = [0, 99_999, 100_000, 999_499, 999_500, 12_345_678, u64::MAX].map(short);
    assert_eq!(shown, ["0", "99,999", "100k", "999k", "1.0M", "12.3M", "18.4E"]);
}
