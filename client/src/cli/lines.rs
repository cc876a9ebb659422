//! Standard input, line by line, with a bound on what one line may cost.

use std::io::{self, BufRead};

use halyard_ring::chat::TEXT_MAX;

/// Longer lines cannot become anything but an error; only their length is kept. A verb and a nick stand in front of
/// a text.
const LINE_MAX: usize = TEXT_MAX + 256;

/// One line of input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Its number, from 1.
    pub(crate) number: u64,
    pub(crate) text: Result<String, BadLine>,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadLine {
    /// It has this many bytes.
    TooLong(u64),
    NotUtf8,
}

impl std::fmt::Display for BadLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLong(len) => write!(f, "the line has {len} bytes; a text has at most {TEXT_MAX}"),
            Self::NotUtf8 => write!(f, "the line is not UTF-8"),
        }
    }
}

/// Reads lines, without their line ends.
pub(crate) struct Lines<R> {
    input: R,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, number: 0 }
    }

    /// The next line, `None` at the end of input.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line>> {
        let mut line = Vec::new();
        let mut total = 0_u64;
        loop {
            let chunk = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            let end = chunk.iter().position(|&byte| byte == b'\n');
            let part = &chunk[..end.unwrap_or(chunk.len())];
            let room = LINE_MAX.saturating_sub(line.len());
            line.extend_from_slice(&part[..part.len().min(room)]);
            total += part.len() as u64;
            let (taken, at_end) = (part.len() + usize::from(end.is_some()), chunk.is_empty());
            self.input.consume(taken);
            if at_end && total == 0 {
                return Ok(None);
            }
            if end.is_some() || at_end {
                break;
            }
        }
        self.number += 1;
        if line.len() as u64 == total && line.last() == Some(&b'\r') {
            line.pop();
        }
        let text = if total > LINE_MAX as u64 {
            Err(BadLine::TooLong(total))
        } else {
            String::from_utf8(line).map_err(|_| BadLine::NotUtf8)
        };
        Ok(Some(Line { number: self.number, text }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8]) -> Vec<Result<String, BadLine>> {
        // Small chunks, so that lines cross them.
        let mut lines = Lines::new(io::BufReader::with_capacity(3, input));
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            all.push(line.text);
            assert_eq!(line.number, all.len() as u64);
        }
        all
    }

    #[test]
    fn lines_lose_their_ends_only() {
        let ok = |text: &str| Ok(text.to_owned());
        assert_eq!(lines(b"one\n\ntwo\r\n three"), [ok("one"), ok(""), ok("two"), ok(" three")]);
        assert_eq!(lines(b""), []);
        assert_eq!(lines(b"\n"), [ok("")]);
    }

    #[test]
    fn a_line_that_cannot_be_a_text_does_not_end_the_input() {
        let mut input = vec![b'x'; LINE_MAX + 1];
        input.extend(b"\n\xff\xfe\nok\n");
        let expected =
            [Err(BadLine::TooLong(LINE_MAX as u64 + 1)), Err(BadLine::NotUtf8), Ok("ok".to_owned())];
        assert_eq!(lines(&input), expected);
    }
}
