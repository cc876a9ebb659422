//! What the labs' pages say is true: their scripts can be read, their commands run, their hints are the program's.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use halyard_book::{Page, pages};
use halyard_lab::labs::LABS;

/// The pages of the labs.
fn lab_pages() -> Vec<Page> {
    let found: Vec<Page> = pages().into_iter().filter(|page| page.name.starts_with("docs/labs/")).collect();
    assert!(found.len() > 10, "{found:?}");
    found
}

/// What must not be done from a test, or need not be there.
const AROUND: &str = "cargo() { :; }; command -v jq > /dev/null || jq() { cat > /dev/null; }";

/// Runs a page's shell blocks as they stand, in `folder`, but for cargo and paths in /tmp.
fn run(page: &Page, folder: &Path) -> Output {
    let blocks: String =
        page.blocks().into_iter().filter(|block| block.language == "sh").map(|block| block.body).collect();
    let blocks = blocks.replace("/tmp/", "");
    assert!(blocks.contains("halyard-lab"), "{} has no commands", page.name);
    let program = Path::new(env!("CARGO_BIN_EXE_halyard-lab"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path);
    let path = std::env::join_paths(std::iter::once(program.parent().unwrap().to_owned()).chain(folders));
    Command::new("bash")
        .args(["-e", "-u", "-c", &format!("{AROUND}\n{blocks}")])
        .current_dir(folder)
        .env("PATH", path.unwrap())
        .env_remove("HALYARD_LAB_DIR")
        .output()
        .expect("bash starts")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn start(folder: &Path) {
    let made = Command::new(env!("CARGO_BIN_EXE_halyard-lab")).arg("start").arg(folder).output().unwrap();
    assert!(made.status.success(), "{}", said(&made));
}

fn page(name: &str) -> Page {
    lab_pages().into_iter().find(|page| page.name.ends_with(name)).unwrap_or_else(|| panic!("no page {name}"))
}

#[test]
fn every_script_in_the_book_can_be_read() {
    let mut seen = 0;
    for page in pages() {
        for block in page.blocks().into_iter().filter(|block| block.language == "lab") {
            seen += 1;
            halyard_lab::script::compile(&block.body, &[("items", 2), ("total", 4)])
                .unwrap_or_else(|error| panic!("{}", error.show(&page.name, &block.body)));
        }
    }
    assert!(seen > 0);
}

#[test]
fn a_student_who_types_what_the_first_page_says_is_in_the_first_lab() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(&page("labs/README.md"), folder.path());
    assert!(output.status.success(), "{}", said(&output));
    assert!(folder.path().join("my-answers/01-unguarded-ring/ring.lab").is_file());
    assert!(
        said(&output).contains("10  ") && said(&output).contains("The unguarded ring"),
        "{}",
        said(&output)
    );
}

#[test]
fn what_a_labs_page_says_to_type_runs() {
    let folder = tempfile::tempdir().unwrap();
    start(&folder.path().join("answers"));
    for lab in LABS {
        let output = run(&page(&format!("{}.md", lab.folder)), &folder.path().join("answers"));
        assert!(output.status.success(), "lab {}: {}", lab.number, said(&output));
        let next = format!("Next: halyard-lab hint {}", lab.number);
        assert!(said(&output).contains(&next), "lab {}: {}", lab.number, said(&output));
    }
}

#[test]
fn a_lecturer_who_types_what_the_page_says_gets_a_report_of_each_student() {
    let folder = tempfile::tempdir().unwrap();
    let (ann, bob) = (folder.path().join("submissions/ann"), folder.path().join("submissions/bob"));
    fs::create_dir(folder.path().join("submissions")).unwrap();
    for student in [&ann, &bob] {
        start(student);
    }
    // Ann has solved all; bob lost a file.
    for lab in LABS {
        for file in lab.files {
            let solved =
                Path::new(env!("CARGO_MANIFEST_DIR")).join("solutions").join(lab.folder).join(file.name);
            fs::copy(solved, ann.join(lab.folder).join(file.name)).unwrap();
        }
    }
    fs::remove_file(bob.join("01-unguarded-ring/ring.lab")).unwrap();
    let output = run(&page("lecturers.md"), folder.path());
    assert!(output.status.success(), "{}", said(&output));
    let report = |student: &Path| -> serde_json::Value {
        serde_json::from_str(&fs::read_to_string(student.join("report.json")).unwrap()).unwrap()
    };
    let passed = |report: &serde_json::Value| -> usize {
        report.as_array().unwrap().iter().filter(|lab| lab["passed"] == true).count()
    };
    let (anns, bobs) = (report(&ann), report(&bob));
    assert_eq!(passed(&anns), LABS.len(), "{anns:#}");
    assert_eq!(passed(&bobs), 0);
    assert_eq!(bobs[0]["files"][0]["problem"]["rule"], "missing", "{bobs:#}");
}

#[test]
fn the_hints_of_a_page_are_those_of_the_program() {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for lab in LABS {
        let page = page(&format!("{}.md", lab.folder));
        let text = words(&page.text);
        for step in 0..3 {
            let hint =
                lab.hint(step).unwrap_or_else(|| panic!("lab {} has no hint {}", lab.number, step + 1));
            assert!(text.contains(&words(hint)), "{} lacks hint {}: {hint}", page.name, step + 1);
        }
        assert!(lab.hint(3).is_none(), "lab {} has more than three hints", lab.number);
    }
}

#[test]
fn a_labs_page_has_all_its_parts_and_names_its_files() {
    for lab in LABS {
        let page = page(&format!("{}.md", lab.folder));
        for part in [
            "**Goal.**",
            "**Background.**",
            "**Run.**",
            "**Predict**",
            "**Change.**",
            "**Check.**",
            "## Hints",
        ] {
            assert!(page.text.contains(part), "{} has no {part}", page.name);
        }
        // A pointer into the manual: `name(section)`.
        let section =
            |span: &str| span.split_once('(').is_some_and(|(_, rest)| rest.ends_with(')') && rest.len() < 4);
        assert!(page.spans().iter().any(|(span, _)| section(span)), "{} names no manual page", page.name);
        for file in lab.files {
            assert!(
                page.text.contains(&format!("`{}`", file.name)),
                "{} does not name {}",
                page.name,
                file.name
            );
        }
        assert!(
            page.text.contains(&format!("`{}/`", lab.folder)),
            "{} does not say where they lie",
            page.name
        );
    }
}
