//! Every link leads somewhere, and every chapter is in the contents.

use std::collections::BTreeSet;

use halyard_book::{Page, pages};

/// What is wrong with the links of a page.
fn broken(page: &Page, all: &[Page]) -> Vec<String> {
    let mut broken = Vec::new();
    for link in page.links() {
        if link.to.starts_with("http://") || link.to.starts_with("https://") {
            continue;
        }
        let mut say = |what: &str| broken.push(format!("{}:{}: {}: {what}", page.name, link.line, link.to));
        let (file, fragment) =
            link.to.split_once('#').map_or((link.to.as_str(), None), |(f, a)| (f, Some(a)));
        let folder = page.path.parent().expect("a page lies in a folder");
        let target = if file.is_empty() { page.path.clone() } else { folder.join(file) };
        let Ok(target) = target.canonicalize() else {
            say("there is no such file");
            continue;
        };
        let Some(fragment) = fragment else { continue };
        match all.iter().find(|other| other.path == target) {
            Some(other) if other.anchors().iter().any(|anchor| anchor == fragment) => {}
            Some(_) => say("that page has no such heading"),
            None => say("only pages of the book have headings to point at"),
        }
    }
    broken
}

#[test]
fn every_link_leads_somewhere() {
    let all = pages();
    let wrong: Vec<String> = all.iter().flat_map(|page| broken(page, &all)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let seen: usize = all.iter().map(|page| page.links().len()).sum();
    assert!(seen > 80, "{seen} links");
}

#[test]
fn a_broken_link_is_found() {
    let all = pages();
    let page = Page::new(
        "docs/x.md",
        "[a](guide.md) [b](guide.md#serve) [c](gude.md) [d](guide.md#serving) ![e](x.svg)",
    );
    assert_eq!(
        broken(&page, &all),
        [
            "docs/x.md:1: gude.md: there is no such file",
            "docs/x.md:1: guide.md#serving: that page has no such heading",
            "docs/x.md:1: x.svg: there is no such file",
        ]
    );
}

#[test]
fn every_chapter_is_in_the_contents() {
    let all = pages();
    let contents = all.iter().find(|page| page.name == "docs/SUMMARY.md").expect("the contents");
    let listed: BTreeSet<String> =
        contents.links().into_iter().map(|link| format!("docs/{}", link.to)).collect();
    let missing: Vec<&str> = all
        .iter()
        .map(|page| page.name.as_str())
        .filter(|name| name.starts_with("docs/") && *name != "docs/SUMMARY.md" && !listed.contains(*name))
        .collect();
    assert!(missing.is_empty(), "not in docs/SUMMARY.md: {missing:?}");
}
