//! The application on a pseudo-terminal: the real program, its screen and the terminal's modes afterwards.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, Termios, tcgetattr};
use nix::unistd::Pid;

use crate::util::{LONG, Place};

fn cells(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).unwrap()
}

/// The program on a terminal, whose screen is kept as a person would see it.
struct Terminal {
    child: Child,
    master: File,
    screen: Arc<Mutex<vt100::Parser>>,
    before: Termios,
}

impl Terminal {
    fn start(place: &Place, args: &[&str], environment: &[(&str, &str)]) -> Self {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).unwrap();
        let end = || Stdio::from(pty.slave.try_clone().unwrap());
        let mut command = place.command(args);
        command.env("XDG_CONFIG_HOME", "/nonexistent").envs(environment.iter().copied());
        command.stdin(end()).stdout(end()).stderr(end());
        let master = File::from(pty.master);
        let before = tcgetattr(&master).unwrap();
        let child = command.spawn().unwrap();
        // The slave stays open here, or its modes would go with the program.
        let slave = pty.slave;
        let screen = Arc::new(Mutex::new(vt100::Parser::new(cells(24), cells(80), 0)));
        let (mut output, shown) = (master.try_clone().unwrap(), Arc::clone(&screen));
        thread::spawn(move || {
            let _slave = slave;
            let mut buffer = [0; 4096];
            while let Ok(len @ 1..) = output.read(&mut buffer) {
                shown.lock().unwrap().process(&buffer[..len]);
            }
        });
        Self { child, master, screen, before }
    }

    fn press(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    fn contents(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    #[track_caller]
    fn await_text(&self, what: &str) {
        let end = Instant::now() + LONG;
        while !self.contents().contains(what) {
            assert!(Instant::now() < end, "no {what:?} on the screen:\n{}", self.contents());
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits for the end, and checks that the terminal is as it was.
    #[track_caller]
    fn end(mut self) -> std::process::ExitStatus {
        let end = Instant::now() + LONG;
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(Instant::now() < end, "it does not end:\n{}", self.contents()),
            }
            thread::sleep(Duration::from_millis(5));
        };
        let after = tcgetattr(&self.master).unwrap();
        assert_eq!(after.local_flags, self.before.local_flags);
        assert!(after.local_flags.contains(LocalFlags::ICANON | LocalFlags::ECHO));
        // What was written last is on its way through the reader.
        loop {
            let parser = self.screen.lock().unwrap();
            let screen = parser.screen();
            if !screen.alternate_screen() && !screen.bracketed_paste() && !screen.hide_cursor() {
                break;
            }
            drop(parser);
            assert!(Instant::now() < end, "the terminal's modes stay set");
            thread::sleep(Duration::from_millis(2));
        }
        status
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn chat(place: &Place, nick: &str) -> Terminal {
    let terminal = Terminal::start(place, &["chat", "--nick", nick], &[]);
    terminal.await_text(&format!("you are {nick} in lobby"));
    terminal
}

#[test]
fn two_people_talk_and_one_is_killed() {
    let place = Place::served();
    let began = Instant::now();
    let mut ann = chat(&place, "ann");
    println!("start to first room: {:?}", began.elapsed());
    let bob = chat(&place, "bob");
    ann.await_text("bob joined");
    let began = Instant::now();
    ann.press("x");
    ann.await_text("> x");
    println!("key to echo, polled every 2 ms: {:?}", began.elapsed());
    ann.press("\u{15}hello bob\r");
    bob.await_text("hello bob");
    kill(Pid::from_raw(bob.child.id() as i32), Signal::SIGKILL).unwrap();
    ann.await_text("bob gone: the process ended");
    ann.press("/quit\r");
    assert_eq!(ann.end().code(), Some(0));
}

#[test]
fn several_rooms_in_one_window() {
    let place = Place::served();
    let bob = place.client("bob");
    bob.join("dev").unwrap();
    bob.say("said before").unwrap();
    let mut ann = chat(&place, "ann");
    ann.press("/join dev\r");
    ann.await_text("you are ann in dev (2 here)");
    ann.await_text("said before");
    bob.say("ann: in dev").unwrap();
    ann.await_text("ann: in dev");
    ann.press("\u{1b}2");
    ann.await_text("2:lobby (1)");
    bob.say("while away").unwrap();
    ann.await_text("[3:dev]");
    ann.press("\u{1b}a");
    ann.await_text("while away");
    ann.press("\u{4}");
    assert_eq!(ann.end().code(), Some(0));
}

#[test]
fn a_paste_is_confirmed_and_one_without_end_hangs_nothing() {
    let place = Place::served();
    let mut ann = chat(&place, "ann");
    ann.press("\u{1b}[200~one\rtwo\u{1b}[201~");
    ann.await_text("paste 2 lines?");
    ann.press("\r");
    ann.await_text("two");
    ann.press("\u{1b}[200~no end");
    ann.await_text("> no end");
    ann.press("!");
    ann.await_text("> no end!");
    ann.press("\u{15}/quit\r");
    assert_eq!(ann.end().code(), Some(0));
}

#[test]
fn a_resize_and_a_hostile_message_leave_a_sane_screen() {
    let place = Place::served();
    let mut ann = chat(&place, "ann");
    let bob = place.client("bob");
    bob.join("lobby").unwrap();
    bob.say("\u{1b}]0;owned\u{7}\u{1b}[2J\u{1b}[?1049l\u{202e}evil").unwrap();
    ann.await_text("␛]0;owned");
    assert!(ann.screen.lock().unwrap().screen().alternate_screen());
    ann.screen.lock().unwrap().screen_mut().set_size(cells(10), cells(40));
    // The size is set by a program, since the system call has no safe wrapper.
    let stty = std::process::Command::new("stty")
        .args(["rows", "10", "cols", "40"])
        .stdin(Stdio::from(ann.master.try_clone().unwrap()))
        .status();
    assert!(stty.unwrap().success());
    ann.press("narrow\r");
    ann.await_text("ann: narrow");
    ann.press("/quit\r");
    assert_eq!(ann.end().code(), Some(0));
}

#[test]
fn the_terminal_is_put_back_after_signals_and_panics() {
    let place = Place::served();
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        let ann = chat(&place, "ann");
        kill(Pid::from_raw(ann.child.id() as i32), signal).unwrap();
        assert_eq!(ann.end().code(), Some(0), "{signal}");
    }
    let mut ann = chat(&place, "pat");
    ann.press("/panic\r");
    ann.await_text("asked for by /panic");
    assert!(!ann.end().success());
    // As with `panic = "abort"`: nothing is dropped after the hook.
    let mut ann = Terminal::start(&place, &["chat", "--nick", "abe"], &[("HALYARD_TEST_ABORT", "1")]);
    ann.await_text("you are abe in lobby");
    ann.press("/panic\r");
    ann.await_text("asked for by /panic");
    assert_eq!(ann.end().code(), None, "ended by SIGABRT");
}

#[test]
fn a_server_that_comes_back_gets_what_was_typed_meanwhile() {
    let place = Place::empty();
    let mut first = place.start(&["server"]);
    first.err.await_line("serving");
    let mut ann = chat(&place, "ann");
    first.signal(Signal::SIGKILL);
    drop(first);
    ann.await_text("no server, looking for it");
    ann.press("anyone there?\r");
    ann.await_text("… anyone there?");
    let mut second = place.start(&["server"]);
    second.err.await_line("serving");
    ann.await_text("connected again as ann");
    ann.await_text("ann: anyone there?");
    ann.press("/quit\r");
    assert_eq!(ann.end().code(), Some(0));
    second.signal(Signal::SIGTERM);
    second.end().with(0);
}
