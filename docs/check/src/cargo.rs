//! What is in the workspace, and whether a cargo command of the book would find it.

use std::collections::BTreeSet;
use std::process::Command;

use crate::page::root;

/// Options of cargo that the book may use: with a value, and without.
const VALUED: &[&str] = &["--target-dir", "-j", "--jobs", "--profile", "--test", "--example"];
const PLAIN: &[&str] = &[
    "--release",
    "--workspace",
    "--locked",
    "--offline",
    "--all",
    "--all-targets",
    "--no-deps",
    "--check",
    "--doc",
    "--bins",
    "--lib",
    "-q",
    "--quiet",
    "--open",
];
const SUBCOMMANDS: &[&str] = &["run", "test", "build", "check", "install", "clippy", "doc", "fmt", "bench"];

/// A package of the workspace.
#[derive(Debug)]
struct Package {
    name: String,
    folder: String,
    programs: Vec<String>,
    features: BTreeSet<String>,
}

/// The packages of the workspace.
#[derive(Debug)]
pub struct Workspace {
    packages: Vec<Package>,
}

impl Workspace {
    /// What `cargo metadata` says.
    ///
    /// # Panics
    /// If cargo cannot be started or says something else.
    #[must_use]
    pub fn read() -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let said = Command::new(cargo)
            .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
            .current_dir(root())
            .output()
            .expect("cargo starts");
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        let said: serde_json::Value = serde_json::from_slice(&said.stdout).expect("cargo speaks JSON");
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let top = root().display().to_string();
        let package = |package: &serde_json::Value| Package {
            name: text(&package["name"]),
            folder: text(&package["manifest_path"])
                .trim_start_matches(&top)
                .trim_start_matches('/')
                .trim_end_matches("/Cargo.toml")
                .to_owned(),
            programs: package["targets"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|target| target["kind"][0] == "bin")
                .map(|target| text(&target["name"]))
                .collect(),
            features: package["features"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, _)| name.clone())
                .collect(),
        };
        Self { packages: said["packages"].as_array().into_iter().flatten().map(package).collect() }
    }

    /// The program that a word starts: its name, or a path to it.
    #[must_use]
    pub fn program<'a>(&self, word: &'a str) -> Option<&'a str> {
        let name = word.rsplit('/').next().unwrap_or(word);
        let known =
            self.packages.iter().any(|package| package.programs.iter().any(|program| program == name));
        known.then_some(name)
    }

    /// The words with which `program` is started by this command line, by itself or through `cargo run`; none if it is
    /// not started.
    #[must_use]
    pub fn started(&self, words: &[String], program: &str) -> Option<Vec<String>> {
        let name = |rest: &[String]| {
            std::iter::once(program.to_owned()).chain(rest.iter().cloned()).collect::<Vec<String>>()
        };
        if self.program(&words[0]) == Some(program) {
            return Some(name(&words[1..]));
        }
        if words[0] != "cargo" || words.get(1).is_none_or(|word| word != "run") {
            return None;
        }
        let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
        let behind = |option: &str| {
            words[..end].iter().position(|word| word == option).and_then(|at| words[..end].get(at + 1))
        };
        let runs = match (behind("--bin"), behind("-p")) {
            (Some(bin), _) => bin.clone(),
            (None, Some(package)) => {
                let package = self.packages.iter().find(|known| known.name == *package)?;
                package.programs.first()?.clone()
            }
            (None, None) => return None,
        };
        (runs == program).then(|| name(words.get(end + 1..).unwrap_or_default()))
    }

    /// Whether cargo would find what this command line of cargo's names.
    ///
    /// # Errors
    /// What it would not.
    pub fn understands(&self, words: &[String]) -> Result<(), String> {
        let toolchain = usize::from(words.get(1).is_some_and(|word| word.starts_with('+')));
        let words = &words[toolchain..];
        let subcommand = words.get(1).ok_or("nothing behind cargo")?;
        if subcommand == "fuzz" {
            return self.understands_fuzz(&words[2..]);
        }
        if !SUBCOMMANDS.contains(&subcommand.as_str()) {
            return Err(format!("cargo {subcommand} is not known to this test"));
        }
        let mut package: Option<&Package> = None;
        let mut program = false;
        let mut rest = words[2..].iter().take_while(|word| *word != "--");
        while let Some(word) = rest.next() {
            let (option, glued) = word.split_once('=').map_or((word.as_str(), None), |(o, v)| (o, Some(v)));
            let mut value = || {
                glued.or_else(|| rest.next().map(String::as_str)).ok_or(format!("{option} without a value"))
            };
            match option {
                "-p" | "--package" => {
                    let name = value()?;
                    let found = self.packages.iter().find(|package| package.name == name);
                    package = Some(found.ok_or(format!("there is no package {name}"))?);
                }
                "--bin" => {
                    let name = value()?;
                    if self.program(name) != Some(name) {
                        return Err(format!("there is no program {name}"));
                    }
                    program = true;
                }
                "--path" => {
                    let path = value()?;
                    let found = self.packages.iter().find(|package| package.folder == path);
                    let found = found.ok_or(format!("there is no package in {path}"))?;
                    if subcommand == "install" && found.programs.is_empty() {
                        return Err(format!("{path} has no program to install"));
                    }
                }
                "--features" => {
                    let names = value()?;
                    let known = package.ok_or("--features without -p before it")?;
                    if let Some(name) = names.split(',').find(|name| !known.features.contains(*name)) {
                        return Err(format!("{} has no feature {name}", known.name));
                    }
                }
                option if VALUED.contains(&option) => {
                    value()?;
                }
                option if PLAIN.contains(&option) => {}
                // A test's name.
                word if subcommand == "test" && !word.starts_with('-') => {}
                other => return Err(format!("{other} is not known to this test")),
            }
        }
        if subcommand == "run" && !program && package.is_none_or(|package| package.programs.len() != 1) {
            return Err("cargo run does not say which program".to_owned());
        }
        Ok(())
    }
}

impl Workspace {
    /// `cargo fuzz run --fuzz-dir FOLDER [--features NAMES] TARGET [INPUT]`, which cargo-fuzz brings.
    fn understands_fuzz(&self, words: &[String]) -> Result<(), String> {
        let value = |option: &str| {
            words.iter().position(|word| word == option).and_then(|at| words.get(at + 1)).map(String::as_str)
        };
        let folder = value("--fuzz-dir").ok_or("cargo fuzz without --fuzz-dir")?;
        let package = self.packages.iter().find(|package| package.folder == folder);
        let package = package.ok_or(format!("there is no package in {folder}"))?;
        let features = value("--features").map(|names| names.split(',')).into_iter().flatten();
        if let Some(name) = features.into_iter().find(|name| !package.features.contains(*name)) {
            return Err(format!("{} has no feature {name}", package.name));
        }
        if words.iter().any(|word| package.programs.contains(word)) {
            return Ok(());
        }
        Err(format!("cargo fuzz names no target of {folder}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::lines;

    #[test]
    fn cargo_commands_are_held_against_the_workspace() {
        let workspace = Workspace::read();
        let understands = |text: &str| workspace.understands(&lines(text)[0]);
        for good in [
            "cargo run --release --bin halyard -- chat",
            "cargo test -p halyard-ring --features faults pushes",
            "cargo install --path docs/lab",
            "cargo run -p halyard-bench --features=faults -- chaos",
            "cargo +nightly fuzz run --fuzz-dir bench/fuzz --features libfuzzer slots",
        ] {
            assert_eq!(understands(good), Ok(()), "{good}");
        }
        for bad in [
            "cargo run --release -- chat",
            "cargo run --bin halyrd",
            "cargo test -p halyard-ringg",
            "cargo test -p halyard-ring --features fault",
            "cargo install --path lab",
            "cargo install --path ring",
            "cargo rnu --bin halyard",
            "cargo build --relaese",
            "cargo fuzz run --fuzz-dir bench/fuzz slotz",
            "cargo fuzz run --fuzz-dir fuzz slots",
            "cargo fuzz run --fuzz-dir bench/fuzz --features fuzzer slots",
        ] {
            assert!(understands(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_program_is_seen_behind_cargo_run_and_behind_a_path() {
        let workspace = Workspace::read();
        let started =
            |text: &str, program: &str| workspace.started(&lines(text)[0], program).map(|w| w.join(" "));
        let chat = Some("halyard chat --nick ann".to_owned());
        assert_eq!(started("cargo run --release --bin halyard -- chat --nick ann", "halyard"), chat);
        assert_eq!(started("target/release/halyard chat --nick ann", "halyard"), chat);
        assert_eq!(started("halyard-bench hop", "halyard"), None);
        let hop = Some("halyard-bench hop".to_owned());
        assert_eq!(started("cargo run -p halyard-bench --features faults -- hop", "halyard-bench"), hop);
    }
}
