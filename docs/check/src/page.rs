//! Pages: what is in them, and where.

use std::fs;
use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// One page of the book.
#[derive(Debug)]
pub struct Page {
    /// Its path below the clone's top.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub text: String,
}

/// A code block.
#[derive(Debug)]
pub struct Block {
    /// What stands behind the fence; `sh` for a block that is only indented: those are commands.
    pub language: String,
    /// The code.
    pub body: String,
    /// The line of the page on which it begins.
    pub line: usize,
}

/// A link or an image.
#[derive(Debug)]
pub struct Link {
    /// What it points to, as written.
    pub to: String,
    /// The line of the page on which it begins.
    pub line: usize,
}

/// The top of the clone.
///
/// # Panics
/// If this crate has been moved away from docs/check.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the clone's top")
}

/// All pages: what lies under docs/ but the lab's and this crate's own texts, and the pages at the top.
///
/// # Panics
/// If they cannot be read.
#[must_use]
pub fn pages() -> Vec<Page> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                if !path.join("Cargo.toml").is_file() {
                    walk(&path, found);
                }
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    let top = root();
    let mut found = vec![top.join("README.md"), top.join("CONTRIBUTING.md")];
    walk(&top.join("docs"), &mut found);
    found.sort();
    let page = |path: PathBuf| Page {
        name: path.strip_prefix(&top).unwrap_or(&path).display().to_string(),
        text: fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        path,
    };
    found.into_iter().map(page).collect()
}

impl Page {
    /// A page that is nowhere.
    #[must_use]
    pub fn new(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), path: root().join(name), text: text.to_owned() }
    }

    fn events(&self) -> impl Iterator<Item = (Event<'_>, usize)> {
        let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_FOOTNOTES;
        Parser::new_ext(&self.text, options).into_offset_iter().map(|(event, range)| {
            let line = 1 + self.text[..range.start].matches('\n').count();
            (event, line)
        })
    }

    /// Its code blocks.
    #[must_use]
    pub fn blocks(&self) -> Vec<Block> {
        let mut found = Vec::new();
        let mut open: Option<Block> = None;
        for (event, line) in self.events() {
            match event {
                Event::Start(Tag::CodeBlock(kind)) => {
                    let language = match kind {
                        CodeBlockKind::Fenced(language) => language.to_string(),
                        CodeBlockKind::Indented => "sh".to_owned(),
                    };
                    open = Some(Block { language, body: String::new(), line });
                }
                Event::Text(text) => {
                    if let Some(block) = &mut open {
                        block.body += &text;
                    }
                }
                Event::End(TagEnd::CodeBlock) => found.extend(open.take()),
                _ => {}
            }
        }
        found
    }

    /// What stands between backquotes in its text, with the line.
    #[must_use]
    pub fn spans(&self) -> Vec<(String, usize)> {
        let span = |(event, line)| match event {
            Event::Code(code) => Some((code.to_string(), line)),
            _ => None,
        };
        self.events().filter_map(span).collect()
    }

    /// Its links and images.
    #[must_use]
    pub fn links(&self) -> Vec<Link> {
        let link = |(event, line)| match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                Some(Link { to: dest_url.to_string(), line })
            }
            _ => None,
        };
        self.events().filter_map(link).collect()
    }

    /// Its headings, as forges and mdBook write them into links.
    #[must_use]
    pub fn anchors(&self) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let mut heading: Option<String> = None;
        for (event, _) in self.events() {
            match event {
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::Text(text) | Event::Code(text) => {
                    if let Some(heading) = &mut heading {
                        *heading += &text;
                    }
                }
                Event::End(TagEnd::Heading(_)) => {
                    let anchor = anchor(&heading.take().unwrap_or_default());
                    // A second heading of the same words gets a number.
                    let same = found.iter().filter(|other| **other == anchor).count();
                    found.push(if same == 0 { anchor } else { format!("{anchor}-{same}") });
                }
                _ => {}
            }
        }
        found
    }
}

fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    heading.trim().to_lowercase().chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_taken_apart() {
        let page = Page::new(
            "x.md",
            "# A `ring`, in pictures!\n\nSee [there](a.md#b), ![it](c.svg) and `halyard ls`.\n\n    cd x\n\n# Two\n\n# Two\n\n\
             - item\n\n  ```rust,no_run\n  fn main() {}\n  ```\n",
        );
        assert_eq!(page.anchors(), ["a-ring-in-pictures", "two", "two-1"]);
        let links: Vec<_> = page.links().into_iter().map(|link| (link.to, link.line)).collect();
        assert_eq!(links, [("a.md#b".to_owned(), 3), ("c.svg".to_owned(), 3)]);
        assert_eq!(page.spans(), [("ring".to_owned(), 1), ("halyard ls".to_owned(), 3)]);
        let blocks: Vec<_> = page.blocks().into_iter().map(|b| (b.language, b.body, b.line)).collect();
        assert_eq!(
            blocks,
            [
                ("sh".to_owned(), "cd x\n".to_owned(), 5),
                ("rust,no_run".to_owned(), "fn main() {}\n".to_owned(), 13)
            ]
        );
    }
}
