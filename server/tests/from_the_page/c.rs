//! The C that stands in the page, compiled: it talks to a real server and to a client made of the page.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use super::chat::{connect, nothing_is_left_of, serve};
use super::page::Page;

#[test]
fn the_c_of_the_page_is_a_client() {
    let page = Page::read();
    let folder = tempfile::tempdir().unwrap();
    let (source, program) = (folder.path().join("chat.c"), folder.path().join("chat"));
    std::fs::write(&source, page.c()).unwrap();
    // The linker that built this test is a C compiler as well.
    let flags = ["-std=c11", "-O1", "-Wall", "-Wextra", "-pthread"];
    let built =
        Command::new("cc").args(flags).arg(&source).arg("-o").arg(&program).arg("-lrt").output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));

    let (server, name) = serve();
    let mut ann = connect(&page, &name, "ann");
    let join = ann.send("JOIN", "", "lobby", &[]);
    ann.answer(join);
    let mut child = Command::new(&program)
        .args([&name, "carl", "lobby"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    assert_eq!(ann.await_kind("JOINED").nick, "carl");
    let long = "ein längerer Satz, ".repeat(30);
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "moin\n{long}").unwrap();
    for text in ["moin", &long] {
        let heard = ann.await_kind("MESSAGE");
        assert_eq!((heard.nick.as_str(), heard.text.as_str()), ("carl", text));
    }
    for text in ["servus", &long] {
        let say = ann.send("SAY", "", text, &[]);
        assert_eq!(ann.answer(say).0.kind, "ACK");
    }
    let dm = ann.send("DM", "carl", "psst", &[]);
    assert_eq!(ann.answer(dm).0.kind, "ACK");
    // Somebody closes the control ring, and the server makes another one.
    super::renewal::close_control(&page, &name);
    ann.await_kind("REOPEN");
    ann.reopen();
    writeln!(input, "{long}").unwrap();
    assert_eq!(ann.await_kind("MESSAGE").text, long);
    drop(input);
    assert_eq!(ann.await_kind("LEFT").nick, "carl");
    let lines: Vec<String> =
        BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap).collect();
    assert_eq!(
        lines,
        [
            "<carl> moin",
            &format!("<carl> {long}"),
            "<ann> servus",
            &format!("<ann> {long}"),
            "*ann* psst",
            &format!("<carl> {long}")
        ]
    );
    assert!(child.wait().unwrap().success());
    server.stop();
    ann.disappear();
    nothing_is_left_of(&name);
}
