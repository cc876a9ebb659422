//! The application without a terminal: keys and events in, frames and effects out.

use std::time::{Duration, Instant};

use halyard_client::{Ack, Answer, Command, Event, Gap, Kind, LeaveReason, Message, Presence, Times};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::keys::{Input, Key, Parser};
use super::line::Body;
use super::state::{App, Asked, Effect, Link, Overlay, Why};
use super::window::{Membership, Place};
use crate::cli::clock::{Clock, Moment};
use crate::cli::config::{Config, TimeFormat};
use crate::cli::example;

/// In the room lobby with bob, without times, since these change.
fn app(width: u16, height: u16) -> App {
    let mut config = Config::default();
    config.view.time = TimeFormat(String::new());
    let mut app = App::new("default".into(), "ann".into(), config, true, Clock::stopped());
    app.size = (width, height);
    let mut effects = Vec::new();
    app.enter("lobby", &mut effects);
    assert_eq!(effects, [Effect::Open { room: "lobby".into() }]);
    app.opened("lobby", 0);
    app.windows[1].membership = Membership::In;
    app.windows[1].room_id = 1;
    app.windows[1].members.joined(1, "ann".into());
    app.windows[1].members.joined(2, "bob".into());
    app
}

fn message(nick: &str, text: &str, seq: u64) -> Event {
    let times = Times { sent_ns: 1_000, routed_ns: 10_000, delivered_ns: 20_000, received_ns: 35_400 };
    Event::Message(Message { times, ..example::message(nick, text, seq) })
}

fn press(app: &mut App, bytes: &str) -> Vec<Effect> {
    let (mut parser, mut inputs) = (Parser::default(), Vec::new());
    parser.feed(bytes.as_bytes(), &mut inputs);
    parser.pause(&mut inputs);
    inputs.into_iter().flat_map(|input| app.input(input, Instant::now())).collect()
}

fn screen(app: &App) -> String {
    let mut terminal = Terminal::new(TestBackend::new(app.size.0, app.size.1)).unwrap();
    terminal.draw(|frame| super::view::draw(app, frame, Instant::now())).unwrap();
    let buffer = terminal.backend().buffer();
    let cell = |x, y| buffer[(x, y)].symbol().to_owned();
    let row = |y| (0..buffer.area.width).map(|x| cell(x, y)).collect::<String>().trim_end().to_owned();
    (0..buffer.area.height).map(row).collect::<Vec<_>>().join("\n")
}

/// Compares a view with the one that is kept beside this file; `HALYARD_SNAPSHOTS=write` keeps the new one.
#[track_caller]
fn assert_view(name: &str, app: &App) {
    let path = format!("{}/src/cli/chat/app/snapshots/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let shown = screen(app) + "\n";
    if std::env::var_os("HALYARD_SNAPSHOTS").is_some_and(|value| value == "write") {
        std::fs::write(&path, &shown).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(shown == kept, "{name} looks different now:\n{shown}\ninstead of\n{kept}");
}

fn busy(width: u16, height: u16) -> App {
    let mut app = app(width, height);
    app.event(
        0,
        message("bob", "Morning! Has anybody seen the build, or is it just me who waits for it?", 1),
    );
    app.event(0, message("ann", "it is green", 2));
    let who = |nick: &str| Presence {
        room: "lobby".into(),
        room_id: 1,
        client: nick.len() as u32 + 10,
        nick: nick.into(),
        members: 3,
    };
    app.event(0, Event::Joined(who("cleo")));
    app.event(0, Event::Joined(who("dan")));
    app.event(0, Event::Left(who("dan"), LeaveReason::Left));
    app.event(0, message("cleo", "ann: 日本語 👩‍👩‍👧 \u{1b}[31mred\u{202e}", 3));
    app.event(0, Event::Gap(Gap { first_seq: 4, last_seq: 6, ..Gap::default() }));
    app.event(0, message("bob", "after the gap", 7));
    app
}

#[test]
fn every_size_has_its_view() {
    assert_view("narrow-40x10", &busy(40, 10));
    assert_view("usual-80x24", &busy(80, 24));
    assert_view("wide-120x20", &busy(120, 20));
    for (width, height) in [(1, 1), (4, 3), (10, 4), (300, 100)] {
        screen(&busy(width, height));
    }
}

#[test]
fn overlays_have_their_views() {
    let mut app = busy(80, 24);
    app.show(Overlay::Help);
    assert_view("help", &app);
    app.show(Overlay::Latency);
    assert_view("latency", &app);
    app.show(Overlay::Stats);
    assert_view("stats", &app);
    press(&mut app, "\u{1b}");
    assert!(app.overlay.is_none());
    app.show(Overlay::Stats);
    press(&mut app, "/ring");
    assert!(app.overlay.is_none());
    assert_eq!(app.window().editor.text(), "/ring", "what closed the overlay was typed, too");
    press(&mut app, "\u{3}");
    press(&mut app, "\u{1b}[200~one\ntwo\n/three\u{1b}[201~");
    assert_view("paste", &app);
    let effects = press(&mut app, "\r");
    let said: Vec<&Command> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Ask { command, .. } => Some(command),
            _ => None,
        })
        .collect();
    let say = |text: &str| Command::Say { text: text.into(), action: false };
    assert_eq!(said, [&say("one"), &say("two"), &say("/three")]);
}

#[test]
fn what_is_new_elsewhere_is_counted_and_found() {
    let mut app = app(80, 12);
    app.look_at(0);
    let effects = app.event(0, message("bob", "hello", 1));
    assert!(effects.is_empty());
    let effects = app.event(0, message("bob", "ann: hello", 2));
    assert_eq!(effects, [Effect::Bell]);
    assert_eq!((app.windows[1].unread, app.windows[1].mentions), (2, 1));
    assert_view("unread", &app);
    press(&mut app, "\u{1b}a");
    assert_eq!((app.current, app.windows[1].unread), (1, 0));
    app.look_at(0);
    app.event(0, message("bob", "while you were away", 3));
    app.look_at(1);
    assert_view("marker", &app);
}

#[test]
fn scrolled_up_the_window_stays_and_says_what_is_below() {
    let mut app = app(60, 8);
    for seq in 1..=30 {
        app.event(0, message("bob", &format!("message {seq}"), seq));
    }
    press(&mut app, "\u{1b}[5~");
    let before = screen(&app);
    assert!(before.contains("more below"), "{before}");
    app.event(0, message("bob", "message 31", 31));
    assert!(!screen(&app).contains("message 31"));
    press(&mut app, "\u{1b}[6~\u{1b}[6~");
    assert!(screen(&app).contains("message 31") && app.window().scroll.is_none());
}

#[test]
fn a_search_shows_its_match_where_it_stands_and_how_many_there_are() {
    let mut app = app(60, 10);
    for seq in 1..=30 {
        let text =
            if seq % 10 == 0 { format!("number {seq}: The BUILD is green") } else { format!("number {seq}") };
        app.event(0, message("bob", &text, seq));
    }
    let stands_at = |app: &App, number: u64| {
        let shown = screen(app);
        shown.contains(&format!("number {number}: The BUILD"))
            && shown.contains(&format!("number {}", number + 1))
    };
    press(&mut app, "/search build\r");
    assert!(screen(&app).contains("search 3/3: build"), "{}", screen(&app));
    press(&mut app, "\u{1b}[A");
    assert!(screen(&app).contains("search 2/3: build") && stands_at(&app, 20), "{}", screen(&app));
    press(&mut app, "\r");
    assert!(screen(&app).contains("search 1/3: build") && stands_at(&app, 10), "{}", screen(&app));
    press(&mut app, "\u{1b}[B");
    assert!(screen(&app).contains("search 2/3: build") && stands_at(&app, 20), "{}", screen(&app));
    // The match and nothing else has its look.
    let mut terminal = Terminal::new(TestBackend::new(60, 10)).unwrap();
    terminal.draw(|frame| super::view::draw(&app, frame, Instant::now())).unwrap();
    let here = app.theme.found_here.add_modifier;
    let buffer = terminal.backend().buffer();
    // Beside the list of rooms.
    let cells = (0..8).flat_map(|y| (16..60).map(move |x| &buffer[(x, y)]));
    let marked: String =
        cells.filter(|cell| cell.modifier.contains(here)).map(|cell| cell.symbol()).collect();
    assert_eq!(marked, "BUILD");
    press(&mut app, "x");
    assert!(screen(&app).contains("nothing: buildx"), "{}", screen(&app));
    press(&mut app, "\u{1b}");
    assert!(app.search.is_none() && app.window().scroll.is_none());
}

#[test]
fn the_oldest_line_can_be_scrolled_to_and_no_row_is_hidden_by_the_one_that_counts() {
    let mut app = app(60, 8);
    for seq in 1..=30 {
        app.event(0, message("bob", &format!("message {seq} "), seq));
    }
    press(&mut app, "\u{1b}[1;5H");
    let shown = screen(&app);
    assert!(shown.contains("message 1\n") && shown.contains("message 5\n"), "{shown}");
    assert!(shown.contains("▼ 25 more below"), "{shown}");
}

#[test]
fn a_rule_stands_where_another_day_begins() {
    let mut app = app(60, 10);
    // The clock stands at noon, ten seconds after the machine was started.
    app.windows[1].push(
        Moment { day: jiff::civil::date(2026, 11, 23), ns: 1, ..Moment::default() },
        Body::Notice("yesterday".into()),
    );
    app.event(0, message("bob", "today", 1));
    app.event(0, message("bob", "today, too", 2));
    let shown = screen(&app);
    let at = |text: &str| shown.find(text).unwrap_or_else(|| panic!("no {text} in {shown}"));
    assert!(at("── Monday, 23 November 2026 ──") < at("yesterday"), "{shown}");
    assert!(at("yesterday") < at("── Tuesday, 24 November 2026 ──"), "{shown}");
    assert!(at("── Tuesday, 24 November 2026 ──") < at("bob: today\n"), "{shown}");
    assert_eq!(shown.matches("November").count(), 2, "{shown}");
}

#[test]
fn a_nick_with_two_sessions_in_a_room_is_one_member_until_both_are_gone() {
    let mut app = app(80, 10);
    let bob = |client| Presence { room: "lobby".into(), room_id: 1, client, nick: "bob".into(), members: 3 };
    app.event(0, Event::Joined(bob(3)));
    assert_eq!(app.windows[1].members.nicks(), ["ann", "bob"]);
    assert!(screen(&app).contains("2:lobby (2)"), "{}", screen(&app));
    app.event(0, Event::Left(bob(3), LeaveReason::Left));
    assert_eq!(app.windows[1].members.nicks(), ["ann", "bob"]);
    app.event(0, Event::Left(bob(2), LeaveReason::Left));
    assert_eq!(app.windows[1].members.nicks(), ["ann"]);
}

#[test]
fn back_in_a_room_what_was_said_meanwhile_is_asked_for() {
    let mut app = app(80, 10);
    app.event(0, Event::Disconnected(halyard_client::Loss::ServerDied));
    let back =
        Event::Reconnected { client: 2, nick: "ann".into(), server_pid: 3, room: Some("lobby".into()) };
    let asked: Vec<_> = app
        .event(0, back)
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::Ask { command, why, .. } => Some((command, why)),
            _ => None,
        })
        .collect();
    let history = Command::History { room: None, count: crate::cli::chat::missed::COUNT, before: 0 };
    assert_eq!(asked, [(Command::Who, Why::Members), (history, Why::Missed)]);
}

#[test]
fn a_gap_is_fetched_with_a_key() {
    let mut app = busy(80, 24);
    let effects = press(&mut app, "\u{1b}g");
    let history = Command::History { room: None, count: 3, before: 7 };
    let Some(Effect::Ask { session: 0, place, command, why }) = effects.first().cloned() else {
        panic!("{effects:?}")
    };
    assert_eq!((&command, why), (&history, Why::Gap(4)));
    app.submitted(0, 9, Asked { place, command, why, since: Instant::now() });
    for seq in 4..=6 {
        let Event::Message(message) = message("bob", &format!("lost {seq}"), seq) else { continue };
        let earlier = halyard_client::Earlier { command: 9, index: seq as u32 - 3, total: 3, message };
        app.event(0, Event::Earlier(earlier));
    }
    let ack = Ack {
        kind: Kind::History,
        client: 0,
        nick: String::new(),
        text: String::new(),
        room_id: 1,
        count: 3,
        seq: 0,
        times: Times::default(),
    };
    app.event(0, Event::Answer(Answer { command: 9, result: Ok(ack) }));
    assert!(!app.windows[1].lines.iter().any(|line| matches!(line.body, Body::Gap(_))));
    let shown = screen(&app);
    let at = |text: &str| shown.find(text).unwrap_or_else(|| panic!("no {text} in {shown}"));
    assert!(at("lost 4") < at("lost 6") && at("lost 6") < at("after the gap"));
}

#[test]
fn without_a_server_lines_are_kept_and_shown() {
    let mut app = app(80, 10);
    app.event(0, Event::Disconnected(halyard_client::Loss::ServerDied));
    assert!(matches!(app.link, Link::Down(_)));
    for effect in press(&mut app, "anyone?\r") {
        if let Effect::Ask { session, place, command, why } = effect {
            app.submitted(session, 5, Asked { place, command, why, since: Instant::now() });
        }
    }
    assert_view("no-server", &app);
}

#[test]
fn tab_completes_nicks_rooms_and_commands() {
    let mut app = app(80, 10);
    app.rooms_known = vec!["dev".into()];
    for (typed, completed) in
        [("bo\t", "bob: "), ("hi b\t", "hi bob "), ("/joi\t", "/join "), ("/join d\t", "/join dev")]
    {
        press(&mut app, typed);
        assert_eq!(app.window().editor.text(), completed);
        press(&mut app, "\u{15}");
        app.window_mut().editor.clear();
    }
}

#[test]
fn nothing_that_a_terminal_obeys_is_on_the_screen() {
    let mut app = app(80, 10);
    app.event(0, message("bob", "\u{1b}]0;title\u{7}\u{9b}2J\r\n\u{202e}x", 1));
    let shown = screen(&app);
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n' || c == '\u{202e}'), "{shown:?}");
    assert!(!app.bare_text().chars().any(|c| c.is_control() && c != '\n' && c != '\r'));
}

#[test]
fn ctrl_c_quits_only_when_it_is_meant() {
    let mut app = app(80, 10);
    assert!(press(&mut app, "half\u{3}").is_empty() && app.window().editor.is_empty());
    let now = Instant::now();
    let key = Input::Key(Key::ctrl('c'));
    assert!(app.input(key.clone(), now).is_empty());
    assert!(app.input(key.clone(), now + Duration::from_secs(9)).is_empty());
    assert_eq!(app.input(key, now + Duration::from_secs(10)), [Effect::Quit]);
}

#[test]
fn windows_open_and_close_and_a_second_room_needs_a_session() {
    let mut app = app(80, 10);
    assert_eq!(press(&mut app, "/join dev\r"), [Effect::Open { room: "dev".into() }]);
    assert!(!app.first_is_free());
    app.opened("dev", 1);
    assert_eq!(press(&mut app, "/leave\r"), [Effect::Close { session: 1 }]);
    press(&mut app, "/dm bob\r");
    assert_eq!(app.window().place, Place::Direct("bob".into()));
    press(&mut app, "/nonsense\r");
    assert!(screen(&app).contains("no command /nonsense"));
}
