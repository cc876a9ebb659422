//! loom, compiled once and kept, so that `rustc` alone can compile an exercise against it.
//!
//! In a clone it is kept in the target folder; for an installed program in the user's cache folder; or where
//! `HALYARD_LAB_CACHE` says.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

const MANIFEST: &str = include_str!("../models/Cargo.toml");
const LOCK: &str = include_str!("../models/Cargo.lock");
const SOURCE: &str = include_str!("../models/src/lib.rs");

/// Names the folder in which the compiled loom gets a folder.
const VARIABLE: &str = "HALYARD_LAB_CACHE";
const FOLDER: &str = "halyard-lab-models";
/// What the manifest says that only this program writes.
const OURS: &str = "name = \"halyard-lab-models\"";

/// Where the compiled loom is.
#[derive(Clone, Debug)]
pub(crate) struct Models {
    /// loom itself, for `--extern`.
    pub(crate) loom: PathBuf,
    /// What it needs, for `-L dependency=`.
    pub(crate) needs: PathBuf,
}

/// Compiles loom, if that has not been done yet. Takes half a minute the first time, and may need the network then.
pub(crate) fn models() -> io::Result<Models> {
    static ONCE: OnceLock<Result<Models, String>> = OnceLock::new();
    ONCE.get_or_init(|| build().map_err(|error| error.to_string())).clone().map_err(io::Error::other)
}

fn build() -> io::Result<Models> {
    let home = home()?;
    fs::create_dir_all(home.join("src"))?;
    for (name, text) in [("Cargo.toml", MANIFEST), ("Cargo.lock", LOCK), ("src/lib.rs", SOURCE)] {
        put(&home.join(name), text)?;
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(&cargo)
        .args(["build", "--locked", "--message-format", "json-render-diagnostics", "--target-dir"])
        .arg(home.join("target"))
        .current_dir(&home)
        // Flags meant for another build would have loom compiled for them, and the exercise without.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| {
            io::Error::new(error.kind(), format!("cargo cannot be started ({error}); see rustup.rs"))
        })?;
    if !built.status.success() {
        return Err(io::Error::other(format!(
            "loom, which judges this lab, could not be compiled in {}; it needs crates.io once:\n{}",
            home.display(),
            String::from_utf8_lossy(&built.stderr).trim()
        )));
    }
    let loom = String::from_utf8_lossy(&built.stdout).lines().find_map(library).ok_or_else(|| {
        io::Error::other(format!("cargo did not say where loom is; remove {} and try again", home.display()))
    })?;
    let needs = loom.parent().unwrap_or(&home).to_owned();
    Ok(Models { loom, needs })
}

/// The file of loom's library, if this message of cargo's is about it.
fn library(message: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    if message["reason"] != "compiler-artifact" || message["target"]["name"] != "loom" {
        return None;
    }
    let files = message["filenames"].as_array()?;
    files.iter().filter_map(serde_json::Value::as_str).find(|file| file.ends_with(".rlib")).map(PathBuf::from)
}

/// Writes a file that is not already so: beside, then over, because others may be at it too.
fn put(path: &Path, text: &str) -> io::Result<()> {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    let beside = path.with_extension(format!("new-{}", std::process::id()));
    fs::write(&beside, text)?;
    fs::rename(&beside, path)
}

/// Removes the compiled loom, and says where it was; `None` if there was none.
///
/// # Errors
/// If it cannot be removed, or there is no telling where it would be.
pub fn forget() -> io::Result<Option<PathBuf>> {
    let home = home()?;
    // Only what this program has made: its manifest is there.
    if fs::read_to_string(home.join("Cargo.toml")).is_ok_and(|text| text.contains(OURS)) {
        fs::remove_dir_all(&home)?;
        return Ok(Some(home));
    }
    Ok(None)
}

/// A folder of this program's own.
fn home() -> io::Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(chosen) = set(VARIABLE) {
        return Ok(chosen.join(FOLDER));
    }
    let program = std::env::current_exe()?;
    // cargo's own notes tell its target folders.
    if let Some(target) = program.ancestors().skip(1).find(|folder| folder.join(".rustc_info.json").is_file())
    {
        return Ok(target.join(FOLDER));
    }
    set("XDG_CACHE_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .map(|cache| cache.join(FOLDER))
        .ok_or_else(|| {
            let what = format!(
                "there is neither HOME nor XDG_CACHE_HOME nor {VARIABLE}: set one, for loom is kept there"
            );
            io::Error::other(what)
        })
}
