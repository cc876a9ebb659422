//! A pseudo-terminal whose screen and modes a test can look at.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::process::{Child, Command, Stdio};
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
pub(crate) struct Terminal {
    pub(crate) child: Child,
    pub(crate) master: File,
    pub(crate) screen: Arc<Mutex<vt100::Parser>>,
    before: Termios,
}

impl Terminal {
    pub(crate) fn start(place: &Place, args: &[&str], environment: &[(&str, &str)]) -> Self {
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

    pub(crate) fn press(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Gives the terminal another size, as a person who drags its corner; the program hears of it by SIGWINCH.
    pub(crate) fn resize(&mut self, rows: u16, columns: u16) {
        self.screen.lock().unwrap().screen_mut().set_size(cells(rows), cells(columns));
        // The size is set by a program, since the system call has no safe wrapper.
        let stty = Command::new("stty")
            .args(["rows", &rows.to_string(), "cols", &columns.to_string()])
            .stdin(Stdio::from(self.master.try_clone().unwrap()))
            .status();
        assert!(stty.unwrap().success());
        // The kernel tells the terminal's foreground processes; started like this, the program is none of them.
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGWINCH).unwrap();
    }

    pub(crate) fn contents(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    #[track_caller]
    pub(crate) fn await_text(&self, what: &str) {
        assert!(
            self.becomes(|screen| screen.contains(what)),
            "no {what:?} on the screen:\n{}",
            self.contents()
        );
    }

    #[track_caller]
    pub(crate) fn await_until(&self, is_so: impl Fn(&str) -> bool) {
        assert!(self.becomes(is_so), "the screen stays:\n{}", self.contents());
    }

    fn becomes(&self, is_so: impl Fn(&str) -> bool) -> bool {
        let end = Instant::now() + LONG;
        while !is_so(&self.contents()) {
            if Instant::now() >= end {
                return false;
            }
            thread::sleep(Duration::from_millis(2));
        }
        true
    }

    /// Waits for the end, and checks that the terminal is as it was.
    #[track_caller]
    pub(crate) fn end(mut self) -> std::process::ExitStatus {
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
