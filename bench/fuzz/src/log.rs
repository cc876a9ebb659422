//! Any bytes as an IRC log: one of the known formats, line for line, or a refusal that names the line.

use halyard_bench::irc::{What, parse};

/// The bytes are the log.
pub fn run(bytes: &[u8]) {
    let lines = bytes.split(|&byte| byte == b'\n').count();
    let log = match parse(bytes) {
        Ok(log) => log,
        Err(bad) => {
            let told = bad.to_string();
            let line = told.split(':').next().and_then(|line| line.parse().ok());
            assert!(line.is_some_and(|line| (1..=lines).contains(&line)) && !told.contains('\n'), "{told}");
            return;
        }
    };
    assert_eq!(log.entries.len() + log.other, log.lines);
    assert!(log.lines <= lines && log.latin1 <= lines && (log.format.is_some() || log.lines == 0));
    let (mut line, mut at_ms) = (0, 0);
    for entry in &log.entries {
        assert!(line < entry.line && entry.line as usize <= lines, "lines in order");
        assert!(at_ms <= entry.at_ms, "time goes on");
        (line, at_ms) = (entry.line, entry.at_ms);
        let (nick, text) = match &entry.what {
            What::Message { nick, text, .. } => (nick, text.as_str()),
            What::Renamed { old, new } => (old, new.as_str()),
            What::Joined { nick } | What::Left { nick } => (nick, ""),
        };
        assert!(!nick.is_empty() && !nick.contains('\n') && !text.contains('\n'), "{entry:?}");
    }
}

/// The same short story in each format.
pub fn seeds() -> Vec<Vec<u8>> {
    let logs = [
        "[08:36] <ann> hello\n=== bob [~bob@host.example] has joined #den\n[08:37]  * bob waves\n\
         === bob is now known as bo\n[08:38] <bo> hm\n=== bo [~bob@host.example] has left #den [\"\"]\n",
        "--- Log opened Mon May 01 08:30:00 2023\n08:36 <@ann> hello\n08:36 -!- bob [~bob@host.example] has joined #den\n\
         08:37  * bob waves\n08:37 -!- bob is now known as bo\n08:38 -!- bo [~bob@host.example] has quit [bye]\n\
         --- Day changed Tue May 02 2023\n",
        "2023-05-01 08:36:00\t@ann\thello\n2023-05-01 08:36:10\t-->\tbob (~bob@host.example) has joined #den\n\
         2023-05-01 08:37:00\t *\tbob waves\n2023-05-01 08:37:01\t--\tbob is now known as bo\n\
         2023-05-01 08:38:00\t<--\tbo (~bob@host.example) has left #den (bye)\n",
        "[11:59] <ann> gr\u{fc}n\n[12:01] <ann> noon\n[00:01] <ann> night\n",
    ];
    let mut seeds: Vec<Vec<u8>> = logs.iter().map(|log| log.as_bytes().to_vec()).collect();
    seeds.push(b"[08:36] <ann> gr\xfc\xdfe\r\n\r\n[08:36] <ann> b\n".to_vec());
    seeds
}
