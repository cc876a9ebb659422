//! The stepper without a terminal: keys in, a screen out.

use halyard_lab::labs::find;
use halyard_lab::script::compile;
use halyard_lab::search::parse;
use halyard_lab::stepper::{App, Key, draw};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

const BAD_ORDER: &str = include_str!("../labs/04-wrong-order/bad.lab");
const GIVEN: &[(&str, i32)] = &[("items", 2), ("total", 4)];

fn app(source: &str, plan: &str) -> App {
    let program = compile(source, GIVEN).unwrap();
    let plan = parse(&program, plan).unwrap();
    App::new("a lab", source, program, &[], None, plan).unwrap()
}

fn screen(app: &App) -> String {
    let mut terminal = Terminal::new(TestBackend::new(100, 32)).unwrap();
    terminal.draw(|frame| draw(frame, app)).unwrap();
    let buffer = terminal.backend().buffer();
    let cells: Vec<&str> = buffer.content().iter().map(|cell| cell.symbol()).collect();
    cells.chunks(100).map(|row| row.concat() + "\n").collect()
}

#[test]
fn a_column_for_each_thread_with_its_mark_and_the_ring_as_cells() {
    let mut app = app(find(1).unwrap().files[0].starter, "");
    let first = screen(&app);
    assert!(
        first.contains("1 producer.1") && first.contains("2 producer.2") && first.contains("3 consumer"),
        "{first}"
    );
    assert!(first.contains("next: put: read tail") && first.contains("ring ["), "{first}");
    app.press(Key::Char('1'));
    app.press(Key::Char('1'));
    let second = screen(&app);
    assert!(second.contains("[ a1]") && second.contains("next: put: move tail"), "{second}");
    app.press(Key::Back);
    assert_eq!(app.steps(), 1);
    assert!(!screen(&app).contains("[ a1]"));
}

#[test]
fn values_and_waiters_of_a_semaphore_stand_apart_and_a_deadlock_shows_who_waits_for_whom() {
    let mut app = app(BAD_ORDER, "consumer");
    app.press(Key::Char(' '));
    assert!(app.stuck().is_some());
    let shown = screen(&app);
    assert!(shown.contains("semaphore full = 0   waiting: consumer"), "{shown}");
    assert!(shown.contains("deadlock: who waits for whom"), "{shown}");
    assert!(shown.contains("producer waits for m, which consumer holds"), "{shown}");
}

#[test]
fn a_predicted_step_stays_a_question_until_the_prediction_is_in() {
    let mut app = app(BAD_ORDER, "");
    app.press(Key::Char('p'));
    app.press(Key::Char('1'));
    let asked = screen(&app);
    assert!(asked.contains("held by: ?") && asked.contains("What will this step do?"), "{asked}");
    assert_eq!(app.steps(), 0);
    for letter in "lock".chars() {
        app.press(Key::Char(letter));
    }
    app.press(Key::Enter);
    let told = screen(&app);
    assert!(told.contains("held by: producer") && told.contains("Right: producer: lock m"), "{told}");
}

#[test]
fn a_thread_that_waits_cannot_be_chosen_and_says_why() {
    let mut app = app(BAD_ORDER, "");
    app.press(Key::Char('1'));
    app.press(Key::Char('2'));
    assert_eq!(app.steps(), 1);
    assert!(screen(&app).contains("consumer waits for m, which producer holds"));
}
