//! What a server holds of the system, and what is left of it when everybody has gone.

use std::fmt;
use std::fs;
use std::time::{Duration, Instant};

use halyard_client::ServerName;
use halyard_ring::chat::parse_ring_name;
use halyard_ring::{RingName, list_names, remove_dead};
use serde::Serialize;

use crate::failure::{Failure, While as _};

/// What a process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Holdings {
    pub(crate) threads: usize,
    pub(crate) descriptors: usize,
    /// Mappings of files in /dev/shm, removed ones too.
    pub(crate) shared_mappings: usize,
    /// All mappings.
    pub(crate) mappings: usize,
    /// Bytes that lie in memory.
    pub(crate) resident: u64,
    /// Its share of them: what several processes have mapped is divided among them.
    pub(crate) proportional: u64,
    /// Its own: heap and stacks.
    pub(crate) anonymous: u64,
}

/// An allocator maps an arena when a thread first needs one, and keeps it: so many mappings more than at the beginning
/// are no leak.
const ARENAS: usize = 16;

impl Holdings {
    pub(crate) fn of(pid: u32) -> Result<Self, Failure> {
        let entries = |dir: &str| -> Result<usize, Failure> {
            let path = format!("/proc/{pid}/{dir}");
            Ok(fs::read_dir(&path).doing(format_args!("reading {path}"))?.count())
        };
        let read = |file: &str| {
            let path = format!("/proc/{pid}/{file}");
            fs::read_to_string(&path).doing(format_args!("reading {path}"))
        };
        let maps = read("maps")?;
        let memory = read("smaps_rollup")?;
        let bytes = |field: &str| {
            let text = memory.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
            let kilobytes = text.and_then(|text| text.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
            kilobytes.unwrap_or(0) * 1024
        };
        Ok(Self {
            threads: entries("task")?,
            descriptors: entries("fd")?,
            shared_mappings: maps.lines().filter(|line| line.contains("/dev/shm/")).count(),
            mappings: maps.lines().count(),
            resident: bytes("Rss"),
            proportional: bytes("Pss"),
            anonymous: bytes("Pss_Anon"),
        })
    }

    /// Whether nothing more is held than at the beginning.
    pub(crate) fn is_back_at(&self, begin: &Self) -> bool {
        (self.threads, self.descriptors, self.shared_mappings)
            == (begin.threads, begin.descriptors, begin.shared_mappings)
            && self.mappings <= begin.mappings + ARENAS
    }
}

impl fmt::Display for Holdings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { threads, descriptors, shared_mappings, mappings, .. } = self;
        write!(
            f,
            "{threads} threads, {descriptors} descriptors, {shared_mappings} mappings of /dev/shm, {mappings} in all"
        )
    }
}

/// Waits until the process holds no more than at the beginning; what it holds then, or after `patience`.
pub(crate) fn settled(pid: u32, begin: &Holdings, patience: Duration) -> Result<Holdings, Failure> {
    let since = Instant::now();
    loop {
        let now = Holdings::of(pid)?;
        if now.is_back_at(begin) || since.elapsed() > patience {
            return Ok(now);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The rings of this server and its clients that have names.
pub(crate) fn names(server: &ServerName) -> Result<Vec<RingName>, Failure> {
    let mut names = list_names().doing("listing /dev/shm")?;
    names.retain(|name| parse_ring_name(name).is_some_and(|(of, _)| of == *server));
    Ok(names)
}

/// Removes what is left of a storm that was ended early.
pub(crate) fn sweep(server: &ServerName) {
    for name in names(server).unwrap_or_default() {
        // Whatever cannot be removed has been reported, or another failure is being reported already.
        let _ = remove_dead(&name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_at_the_beginning_is_told_from_as_much() {
        let begin = Holdings::of(std::process::id()).unwrap();
        assert!(begin.threads >= 1 && begin.mappings > 5 && begin.resident >= begin.proportional);
        assert!(begin.anonymous > 0);
        assert!(begin.is_back_at(&begin));
        assert!(!Holdings { threads: begin.threads + 1, ..begin }.is_back_at(&begin));
        assert!(!Holdings { descriptors: begin.descriptors + 1, ..begin }.is_back_at(&begin));
        assert!(!Holdings { shared_mappings: begin.shared_mappings + 1, ..begin }.is_back_at(&begin));
        assert!(!Holdings { mappings: begin.mappings + ARENAS + 1, ..begin }.is_back_at(&begin));
    }
}
