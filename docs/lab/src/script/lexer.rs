//! Words, numbers and signs of a script, each with its place.

use super::error::{Pos, ScriptError};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Word(String),
    Number(i32),
    Sign(&'static str),
    /// A `;`, or the end of a line.
    Stop,
    End,
}

impl Token {
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Word(word) => format!("`{word}`"),
            Self::Number(number) => format!("`{number}`"),
            Self::Sign(sign) => format!("`{sign}`"),
            Self::Stop => "the end of the statement".to_owned(),
            Self::End => "the end of the file".to_owned(),
        }
    }
}

/// Longest first: `==` before `=`.
const SIGNS: &[&str] =
    &["==", "!=", "<=", ">=", "{", "}", "(", ")", "[", "]", "=", "<", ">", "+", "-", "*", "/", "%", ",", "?"];

pub(crate) fn tokens(source: &str) -> Result<Vec<(Token, Pos)>, ScriptError> {
    let mut found = Vec::new();
    for (index, text) in source.lines().enumerate() {
        let line = index as u32 + 1;
        let code: Vec<char> = text.chars().take_while(|c| *c != '#').collect();
        let mut at = 0;
        while at < code.len() {
            let pos = Pos { line, column: at as u32 + 1 };
            let first = code[at];
            if first.is_whitespace() {
                at += 1;
            } else if first == ';' {
                found.push((Token::Stop, pos));
                at += 1;
            } else if first.is_ascii_digit() {
                let digits: String = code[at..].iter().take_while(|c| c.is_ascii_digit()).collect();
                at += digits.len();
                let number = digits.parse().map_err(|_| {
                    ScriptError::new(pos, format!("`{digits}` is too large"), "numbers go up to 2147483647")
                })?;
                found.push((Token::Number(number), pos));
            } else if first.is_ascii_alphabetic() || first == '_' {
                let word: String =
                    code[at..].iter().take_while(|c| c.is_ascii_alphanumeric() || **c == '_').collect();
                at += word.len();
                found.push((Token::Word(word), pos));
            } else if let Some(sign) =
                SIGNS.iter().find(|sign| sign.chars().eq(code[at..].iter().take(sign.len()).copied()))
            {
                at += sign.len();
                found.push((Token::Sign(sign), pos));
            } else {
                let help = "a script is made of words, numbers, ; { } ( ) [ ] and = == != < <= > >= + - * / %; \
                            a comment begins with #";
                return Err(ScriptError::new(pos, format!("`{first}` means nothing here"), help));
            }
        }
        found.push((Token::Stop, Pos { line, column: code.len() as u32 + 1 }));
    }
    let last = source.lines().count() as u32 + 1;
    found.push((Token::End, Pos { line: last, column: 1 }));
    Ok(found)
}
