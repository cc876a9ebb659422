//! Collects the book's Rust examples, so that rustdoc compiles and runs them, and nothing else of the pages.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

fn main() {
    // Asked now: what was compiled in is another place if the clone has moved since.
    let top = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where")).join("../..");
    let mut pages = vec![top.join("README.md"), top.join("CONTRIBUTING.md")];
    walk(&top.join("docs"), &mut pages);
    pages.sort();
    let mut examples = String::new();
    for page in pages {
        println!("cargo::rerun-if-changed={}", page.display());
        let text = fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        let mut inside = false;
        for (line, text) in text.lines().enumerate() {
            let fence = text.trim_start().starts_with("```");
            if !inside && fence && text.trim_start().starts_with("```rust") {
                inside = true;
                let name = page.strip_prefix(&top).unwrap_or(&page).display();
                writeln!(examples, "\n{name}, line {}:\n", line + 1).expect("a string takes all");
            }
            if inside {
                writeln!(examples, "{text}").expect("a string takes all");
                inside = !fence || text.trim_start().starts_with("```rust");
            }
        }
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo says where"));
    fs::write(out.join("examples.md"), examples).expect("cargo's folder can be written");
}

fn walk(folder: &Path, pages: &mut Vec<PathBuf>) {
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("an entry").path();
        // The lab and this crate have texts of their own, which are no pages.
        if path.is_dir() && !path.join("Cargo.toml").is_file() {
            walk(&path, pages);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
}
