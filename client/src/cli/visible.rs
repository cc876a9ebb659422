//! Text that others wrote, made safe for a terminal.

use std::borrow::Cow;
use std::fmt::Write;

/// Makes visible what a terminal would act on instead of showing: control characters become their Unicode pictures
/// (ESC is `␛`), characters that reorder, hide or split a line become `<U+202E>` and the like, a tab four spaces.
/// Everything else, emoji and right-to-left scripts included, stays as it is.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(acts) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\t' => safe.push_str("    "),
            '\0'..='\u{1f}' => safe.extend(char::from_u32(0x2400 + c as u32)),
            '\u{7f}' => safe.push('\u{2421}'),
            c if acts(c) => {
                let _ = write!(safe, "<U+{:04X}>", c as u32);
            }
            c => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

/// Controls; line and paragraph separators; bidirectional embeddings, overrides and isolates; what draws nothing.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}'
            | '\u{200b}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_comes_through() {
        assert_eq!(visible("\u{1b}[31mred\u{7}"), "␛[31mred␇");
        assert_eq!(visible("a\r\nb\u{7f}\u{9b}2J"), "a␍␊b␡<U+009B>2J");
        assert_eq!(visible("evil\u{202e}txt.exe"), "evil<U+202E>txt.exe");
        assert_eq!(visible("a\tb"), "a    b");
        for c in (0..=0x0010_ffff).filter_map(char::from_u32) {
            let shown = visible(c.encode_utf8(&mut [0; 4])).into_owned();
            assert!(
                !shown.chars().any(|c| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c)),
                "{c:?}"
            );
        }
    }

    #[test]
    fn what_people_write_stays_as_it_is() {
        for text in ["hello", "grüße", "שלום", "👩‍👩‍👧 ✈️", "日本語", "-- \\x1b"] {
            assert!(matches!(visible(text), Cow::Borrowed(same) if same == text));
        }
    }
}
