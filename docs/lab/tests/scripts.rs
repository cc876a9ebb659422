//! Every starter fails, every solution passes, every wrong answer fails with the message that it should.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use halyard_lab::labs::{Answer, FileReport, LABS, Lab, Problem, check, check_script};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Problems of a file of a lab, judged alone.
fn problem(lab: &'static Lab, file: &str, source: &str) -> Option<Problem> {
    let folder = tempfile::tempdir().unwrap();
    // The lab's other files are the solutions.
    for answer in lab.files {
        let solved = root().join("solutions").join(lab.folder).join(answer.name);
        fs::copy(&solved, folder.path().join(answer.name))
            .unwrap_or_else(|error| panic!("{solved:?}: {error}"));
    }
    fs::write(folder.path().join(file), source).unwrap();
    let report = check(lab, folder.path(), |_, _, _: &mut FileReport| {});
    for other in report.files.iter().filter(|report| report.file != file) {
        assert!(other.passed, "{} of lab {}: {:?}", other.file, lab.number, other.problem);
    }
    report.files.into_iter().find(|report| report.file == file).expect("the file of that name").problem
}

fn scripts() -> impl Iterator<Item = &'static Lab> {
    LABS.iter()
}

#[test]
fn every_starter_fails_and_says_where_to_look() {
    for lab in scripts() {
        for answer in lab.files {
            let problem = problem(lab, answer.name, answer.starter)
                .unwrap_or_else(|| panic!("the starter {} of lab {} passes", answer.name, lab.number));
            assert!(!problem.what.is_empty() && !problem.advice.is_empty(), "{problem:?}");
            if matches!(answer.kind, Answer::Script(_))
                && problem.rule != "shape"
                && problem.rule != "doorbell"
            {
                assert!(problem.seed.is_some(), "{} has no seed: {problem:?}", answer.name);
            }
        }
    }
}

#[test]
fn every_solution_passes_in_every_interleaving() {
    for lab in scripts() {
        for (answer, task) in lab.scripts() {
            let path = root().join("solutions").join(lab.folder).join(answer.name);
            let checked = check_script(answer, task, &fs::read_to_string(&path).unwrap());
            assert!(checked.problem.is_none(), "{path:?}: {:?}", checked.problem);
            assert!(checked.notes[0].starts_with("every interleaving"), "{path:?}: {:?}", checked.notes);
        }
    }
}

#[test]
fn every_rust_exercise_has_a_solution_that_passes() {
    let mut seen = 0;
    for lab in LABS {
        for answer in lab.files.iter().filter(|file| matches!(file.kind, Answer::Rust { .. })) {
            let solved = root().join("solutions").join(lab.folder).join(answer.name);
            let problem = problem(lab, answer.name, &fs::read_to_string(solved).unwrap());
            assert!(problem.is_none(), "{}: {problem:?}", answer.name);
            seen += 1;
        }
    }
    assert!(seen >= 4);
}

#[test]
fn every_wrong_answer_fails_with_a_message_that_points_the_right_way() {
    let answers: Vec<(&'static Lab, PathBuf)> =
        scripts().flat_map(|lab| wrong(lab.folder).into_iter().map(move |path| (lab, path))).collect();
    for lab in scripts() {
        let seen = answers.iter().filter(|(of, _)| of.number == lab.number).count();
        assert!(seen >= 2, "lab {} has {seen} wrong answers", lab.number);
    }
    // Some are compiled, which is what takes the time.
    let next = AtomicUsize::new(0);
    let bad = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((lab, path)) = answers.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(message) = points_the_right_way(lab, path) {
                        bad.lock().unwrap().push(message);
                    }
                }
            });
        }
    });
    let bad = bad.into_inner().unwrap();
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

/// Whether a wrong answer fails with the message that its head expects.
fn points_the_right_way(lab: &'static Lab, path: &Path) -> Result<(), String> {
    let source = fs::read_to_string(path).unwrap();
    let field = |name: &str| {
        let line = source
            .lines()
            .find_map(|line| line.trim_start_matches(['#', '/']).strip_prefix(&format!(" {name}: ")));
        line.map(str::to_owned).ok_or_else(|| format!("{path:?} has no `# {name}:`"))
    };
    let problem =
        problem(lab, &field("file")?, &source).ok_or_else(|| format!("{path:?} passes, and must not"))?;
    let said = format!("{} {}", problem.what, problem.advice);
    if said.contains(&field("expect")?) {
        Ok(())
    } else {
        Err(format!("{path:?} said [{}]: {said}", problem.rule))
    }
}

fn wrong(folder: &str) -> Vec<PathBuf> {
    let folder: &Path = &root().join("wrong").join(folder);
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    found.sort();
    found
}

#[test]
fn the_models_use_what_the_workspace_uses() {
    let packages = |path: &Path| -> Vec<String> {
        let text = fs::read_to_string(path).unwrap();
        let package = |block: &str| block.split("dependencies = [").next().unwrap().trim().to_owned();
        text.split("[[package]]").skip(1).map(package).collect()
    };
    let all = packages(&root().join("../../Cargo.lock"));
    let own = packages(&root().join("models/Cargo.lock"));
    assert!(own.len() > 5, "{own:?}");
    for package in own.iter().filter(|package| !package.contains("halyard-lab-models")) {
        assert!(all.contains(package), "not in the workspace's Cargo.lock:\n{package}");
    }
}
