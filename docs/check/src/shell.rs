//! As much of the shell's grammar as the book's commands need: words, quotes, pipes, lists, loops, comments.

/// A simple command: its words, without what redirects it.
pub type Line = Vec<String>;

/// Words that stand before a command, and are none.
const BEFORE: &[&str] = &["do", "then", "else", "if", "while", "until", "!", "{", "(", "time"];
/// Words that stand alone.
const ALONE: &[&str] = &["done", "fi", "}", ")"];

/// The simple commands of a piece of shell. What the shell would fill in (`$name`, `$(...)`) becomes `1`, which is a
/// number, a name and a path.
#[must_use]
pub fn lines(text: &str) -> Vec<Line> {
    let mut found = Vec::new();
    for simple in split(text) {
        let mut words = simple.as_slice();
        while words.first().is_some_and(|word| BEFORE.contains(&word.as_str()) || assigns(word)) {
            words = &words[1..];
        }
        match words.first().map(String::as_str) {
            None => {}
            // `for x in a b`: the words are data.
            Some("for") => {}
            Some(word) if ALONE.contains(&word) => {}
            Some(_) => found.push(words.to_vec()),
        }
    }
    found
}

/// `NAME=value` in front of a command.
fn assigns(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_' || c.is_ascii_digit())
    })
}

#[derive(Default)]
struct Split {
    found: Vec<Line>,
    line: Line,
    word: Option<String>,
    /// The next word says where the output goes.
    redirect: bool,
}

impl Split {
    fn push(&mut self, c: char) {
        self.word.get_or_insert_default().push(c);
    }

    fn end_word(&mut self) {
        if let Some(word) = self.word.take() {
            if self.redirect {
                self.redirect = false;
            } else {
                self.line.push(word);
            }
        }
    }

    fn end_line(&mut self) {
        self.end_word();
        if !self.line.is_empty() {
            self.found.push(std::mem::take(&mut self.line));
        }
    }
}

fn split(text: &str) -> Vec<Line> {
    let mut split = Split::default();
    let mut rest = text.chars().peekable();
    let mut quote = None;
    while let Some(c) = rest.next() {
        match (c, quote) {
            ('\'' | '"', None) => {
                quote = Some(c);
                split.word.get_or_insert_default();
            }
            (c, Some(end)) if c == end => quote = None,
            ('\\', Some('"') | None) => match rest.next() {
                // A line that goes on.
                Some('\n') | None => {}
                Some(escaped) => split.push(escaped),
            },
            ('$', Some('"') | None) => {
                split.push('1');
                if rest.next_if_eq(&'(').is_some() {
                    let mut depth = 1;
                    while depth > 0
                        && let Some(inner) = rest.next()
                    {
                        depth += i32::from(inner == '(') - i32::from(inner == ')');
                    }
                } else if rest.next_if_eq(&'{').is_some() {
                    rest.by_ref().take_while(|inner| *inner != '}').for_each(drop);
                } else {
                    while rest.next_if(|c| c.is_ascii_alphanumeric() || *c == '_').is_some() {}
                }
            }
            (c, Some(_)) => split.push(c),
            ('#', None) if split.word.is_none() => while rest.next_if(|c| *c != '\n').is_some() {},
            ('\n' | ';' | '|', None) => split.end_line(),
            ('>' | '<', None) => {
                // A number in front says which stream.
                if split.word.as_ref().is_some_and(|word| word.chars().all(|c| c.is_ascii_digit())) {
                    split.word = None;
                }
                split.end_word();
                rest.next_if_eq(&'>');
                split.redirect = rest.next_if_eq(&'&').is_none();
                if !split.redirect {
                    rest.next_if(char::is_ascii_digit);
                }
            }
            ('&', None) => split.end_line(),
            (c, None) if c.is_whitespace() => split.end_word(),
            (c, None) => split.push(c),
        }
    }
    split.end_line();
    split.found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(text: &str) -> Vec<String> {
        lines(text).into_iter().map(|line| line.join("|")).collect()
    }

    #[test]
    fn quotes_comments_pipes_and_redirections() {
        assert_eq!(joined("halyard say -r lobby \"a b\"  # c ' d"), ["halyard|say|-r|lobby|a b"]);
        assert_eq!(joined("printf 'JOIN x\\n' | halyard run"), ["printf|JOIN x\\n", "halyard|run"]);
        assert_eq!(joined("make 2>&1 | halyard say > out.txt"), ["make", "halyard|say"]);
        assert_eq!(joined("a \\\n  b && c"), ["a|b", "c"]);
        assert_eq!(joined("RUST_LOG=debug x --y=z"), ["x|--y=z"]);
    }

    #[test]
    fn loops_and_what_the_shell_fills_in() {
        let text = "for s in $(seq 20); do x --seed $s; x --seed ${s}; done";
        assert_eq!(joined(text), ["x|--seed|1", "x|--seed|1"]);
        assert_eq!(joined("for d in */; do\n  x --dir \"$d\" > \"$d/r.json\"\ndone"), ["x|--dir|1"]);
    }
}
