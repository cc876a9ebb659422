//! The recording as one page of HTML that needs nothing else.

use std::fs;
use std::io;
use std::path::Path;

use super::Recording;

const TEMPLATE: &str = include_str!("page.html");
const DATA: &str = "/*DATA*/null";

/// The page.
#[must_use]
pub fn page(title: &str, recording: &Recording) -> String {
    let data = serde_json::json!({"title": title, "run": recording}).to_string();
    // Within a script element only `</` can end it, and `<!--` confuse it; both stay the same JSON.
    TEMPLATE.replacen(DATA, &data.replace('<', "\\u003c"), 1)
}

/// Writes the page.
///
/// # Errors
/// What the system says.
pub fn write_page(path: &Path, title: &str, recording: &Recording) -> io::Result<()> {
    fs::write(path, page(title, recording))
}
