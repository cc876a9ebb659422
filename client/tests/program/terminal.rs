//! Line mode on a pseudo-terminal: `halyard chat --plain`.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};

use crate::util::{LONG, Place};

/// The program on a terminal of 40 columns.
struct Terminal {
    child: Child,
    keyboard: File,
    output: Receiver<Vec<u8>>,
    seen: String,
}

impl Terminal {
    fn start(place: &Place, args: &[&str], environment: &[(&str, &str)]) -> Self {
        let size = Winsize { ws_row: 24, ws_col: 40, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).unwrap();
        let end = || Stdio::from(pty.slave.try_clone().unwrap());
        let mut command = place.command(args);
        command.envs(environment.iter().copied()).stdin(end()).stdout(end()).stderr(end());
        let child = command.spawn().unwrap();
        drop(pty.slave);
        // The command holds the terminal open; with it gone the program's end is the end of the output.
        drop(command);
        let keyboard = File::from(pty.master);
        let mut screen = keyboard.try_clone().unwrap();
        let (send, output) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(len @ 1..) = screen.read(&mut buffer) {
                if send.send(buffer[..len].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, keyboard, output, seen: String::new() }
    }

    /// Types as people do: not within milliseconds of what came before, which would be taken for pasting.
    fn type_in(&mut self, keys: &str) {
        thread::sleep(Duration::from_millis(200));
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until `what` was written, and returns everything up to it since the last call.
    #[track_caller]
    fn await_text(&mut self, what: &str) -> String {
        let end = Instant::now() + LONG;
        loop {
            if let Some(at) = self.seen.find(what) {
                let rest = self.seen.split_off(at + what.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            match self.output.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.seen += &String::from_utf8_lossy(&bytes),
                Err(why) => panic!("no {what:?} ({why}) in {:?}", self.seen),
            }
        }
    }

    fn end(mut self) -> Option<i32> {
        let end = Instant::now() + LONG;
        loop {
            match self.child.try_wait().unwrap() {
                Some(status) => return status.code(),
                None => assert!(Instant::now() < end, "it does not end"),
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const ONE_ROW: &str = "\u{1b}[1A\r\u{1b}[J";

#[test]
fn what_one_types_is_not_shown_twice() {
    let place = Place::served();
    let mut chat = Terminal::start(&place, &["chat", "--plain"], &[("NO_COLOR", "1")]);
    chat.await_text("you are ann in lobby (1 here)");
    chat.type_in("hello\n");
    // The terminal's own echo, the row cleared, the message in its place.
    let shown = chat.await_text("<ann> hello");
    assert_eq!(shown.matches("hello").count(), 2, "{shown:?}");
    let (echo, rest) = shown.split_once(ONE_ROW).unwrap();
    assert!(echo.ends_with("hello\r\n") && rest.ends_with("<ann> hello"), "{shown:?}");
    // A line of three rows.
    chat.type_in(&format!("{}\n", "x".repeat(90)));
    chat.await_text("\u{1b}[3A\r\u{1b}[J");
    chat.await_text(&format!("<ann> {}", "x".repeat(90)));
    chat.type_in("/quit\n");
    assert_eq!(chat.end(), Some(0));
}

#[test]
fn a_message_that_comes_while_one_types_has_a_row_of_its_own() {
    let place = Place::served();
    let mut chat = Terminal::start(&place, &["chat", "--plain"], &[("NO_COLOR", "1")]);
    chat.await_text("you are ann in lobby (1 here)");
    let bob = place.client("bob");
    bob.join("lobby").unwrap();
    chat.await_text("bob joined");
    chat.type_in("half a li");
    chat.await_text("half a li");
    bob.say("excuse me").unwrap();
    let shown = chat.await_text("<bob> excuse me");
    assert!(shown.contains("\r\u{1b}[K["), "the row is cleared first: {shown:?}");
    chat.type_in("ne\n");
    chat.await_text("<ann> half a line");
    // Ctrl-D on an empty line.
    chat.type_in("\u{4}");
    assert_eq!(chat.end(), Some(0));
}

#[test]
fn pasted_lines_erase_no_message() {
    let place = Place::served();
    let mut chat = Terminal::start(&place, &["chat", "--plain"], &[("NO_COLOR", "1")]);
    chat.await_text("you are ann in lobby (1 here)");
    chat.type_in("one\ntwo\nthree\nfour\nfive\n");
    let shown = chat.await_text("<ann> five");
    // Whatever the order in which echoes and messages met: nothing is cleared above a message once it is shown.
    let first = shown.find("<ann> one").unwrap();
    assert!(!shown[first..].contains("\u{1b}[1A"), "{shown:?}");
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let place = Place::served();
    let mut colourful = Terminal::start(&place, &["chat", "--plain", "--nick", "zoe"], &[]);
    colourful.await_text("you are zoe");
    colourful.type_in("hi\n");
    let shown = colourful.await_text("hi\r\n").to_owned() + &colourful.await_text("> hi");
    assert!(shown.contains("\u{1b}[2m["), "{shown:?}");
    let mut plain = Terminal::start(&place, &["chat", "--plain", "--nick", "pat"], &[("NO_COLOR", "1")]);
    plain.await_text("you are pat");
    plain.type_in("hi\n");
    let shown = plain.await_text("<pat> hi");
    assert!(!shown.contains("\u{1b}[2m") && !shown.contains("\u{1b}[3"), "{shown:?}");
    let mut dumb =
        Terminal::start(&place, &["chat", "--nick", "dee"], &[("TERM", "dumb"), ("NO_COLOR", "1")]);
    dumb.await_text("you are dee");
    dumb.type_in("hi\n");
    let shown = dumb.await_text("<dee> hi");
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
}

#[test]
fn ctrl_c_ends_a_chat_in_the_middle_of_a_line() {
    let place = Place::served();
    let mut chat = Terminal::start(&place, &["chat", "--plain"], &[]);
    chat.await_text("you are ann");
    chat.type_in("half a li");
    // The terminal has no session here, so the key alone sends no signal.
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(chat.child.id() as i32),
        nix::sys::signal::Signal::SIGINT,
    )
    .unwrap();
    assert_eq!(chat.end(), Some(0));
}
