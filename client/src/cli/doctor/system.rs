//! What the system grants, beside what a server could need.

use std::collections::BTreeSet;
use std::fs;

use halyard_ring::chat::Record;
use halyard_ring::{PREFIX, RingName, SLOT_HEAD};
use halyard_server::Config;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statvfs::statvfs;

use super::finding::{Cure, Finding, Severity};
use crate::cli::ls::units::{bytes, count};
use crate::cli::visible::visible;

/// Records of a reply ring, unless its client wants others.
const REPLY_CAPACITY: u64 = 256;
/// What a server has besides its clients: threads' stacks, libraries, standard streams, one of each for a moment.
const OWN: u64 = 128;
/// Mappings for each client: its segment and two semaphores, and one for what the allocator does.
const MAPPINGS_EACH: u64 = 4;

/// Bytes of a chat ring's segment and semaphores; the page on the protocol has the arithmetic.
fn ring_bytes(capacity: u64, owners: u64) -> u64 {
    let stride = (SLOT_HEAD + size_of::<Record>()) as u64;
    (1024 + 64 * (owners + 1)).next_multiple_of(4096) + stride * capacity + 2 * 4096
}

/// What the system has of each.
pub(super) struct Limits {
    pub(super) free: Option<u64>,
    pub(super) descriptors: Option<u64>,
    pub(super) mappings: Option<u64>,
}

impl Limits {
    pub(super) fn look() -> Self {
        let free = statvfs("/dev/shm").ok().map(|found| found.blocks_available() * found.fragment_size());
        // The server raises its soft limit as far as the hard one lets it.
        let descriptors = getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(_, hard)| hard);
        let mappings = fs::read_to_string("/proc/sys/vm/max_map_count").ok();
        Self { free, descriptors, mappings: mappings.and_then(|text| text.trim().parse().ok()) }
    }

    /// Compares them with what a server with this configuration takes when all its clients are there.
    pub(super) fn check(&self, config: &Config) -> Vec<Finding> {
        let clients = u64::from(config.clients_max);
        let (control, reply) =
            (ring_bytes(u64::from(config.control_capacity), clients), ring_bytes(REPLY_CAPACITY, 1));
        let whole = control + clients * reply;
        let mut findings = Vec::new();
        if let Some(free) = self.free {
            let text = format!(
                "{} free; a server with {} clients takes up to {}",
                bytes(free),
                count(clients),
                bytes(whole)
            );
            let advice = || Cure::Advice("remove what fills /dev/shm, or mount it larger".to_owned());
            let (severity, cure) = match free {
                free if free < control + reply => (Severity::Error, advice()),
                free if free < whole => (Severity::Note, advice()),
                _ => (Severity::Ok, Cure::Nothing),
            };
            findings.push(Finding::new(severity, "space", "/dev/shm", text, cure));
        }
        let limits = [
            ("descriptors", "RLIMIT_NOFILE", self.descriptors, clients + OWN, "`ulimit -Hn`"),
            (
                "mappings",
                "vm.max_map_count",
                self.mappings,
                clients * MAPPINGS_EACH + OWN,
                "`sysctl vm.max_map_count`",
            ),
        ];
        for (check, subject, limit, need, how) in limits {
            let Some(limit) = limit else { continue };
            let text = format!(
                "{}; a server with {} clients takes up to {}",
                count(limit),
                count(clients),
                count(need)
            );
            let (severity, cure) = if limit < need {
                (
                    Severity::Note,
                    Cure::Advice(format!("raise {how}, or start the server with fewer --clients")),
                )
            } else {
                (Severity::Ok, Cure::Nothing)
            };
            findings.push(Finding::new(severity, check, subject, text, cure));
        }
        findings
    }
}

/// Files that begin like ours and are no part of any ring.
pub(super) fn strangers(rings: &[RingName], wanted: impl Fn(&str) -> bool) -> Vec<Finding> {
    let known: BTreeSet<String> = rings
        .iter()
        .flat_map(|name| {
            [name.segment(), format!("/sem.{}", &name.ready()[1..]), format!("/sem.{}", &name.space()[1..])]
        })
        .collect();
    let Ok(entries) = fs::read_dir("/dev/shm") else { return Vec::new() };
    let mut findings = Vec::new();
    for file in entries.filter_map(Result::ok).map(|entry| entry.file_name().to_string_lossy().into_owned()) {
        let Some(rest) = file.strip_prefix("sem.").unwrap_or(&file).strip_prefix(PREFIX) else { continue };
        if known.contains(&format!("/{file}")) || !wanted(rest) {
            continue;
        }
        let cure = Cure::Advice("remove it, if nobody needs it".to_owned());
        let text = "it has our prefix, and belongs to no ring that there can be";
        let path = format!("/dev/shm/{}", visible(&file));
        findings.push(Finding::new(Severity::Warning, "stranger", path, text, cure));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_is_said_and_what_is_ample_is_not() {
        let config = Config::default();
        let severities = |free, descriptors, mappings| -> Vec<Severity> {
            let limits = Limits { free, descriptors, mappings };
            limits.check(&config).iter().map(|found| found.severity).collect()
        };
        let (ok, note) = (Severity::Ok, Severity::Note);
        assert_eq!(severities(Some(1 << 40), Some(1 << 20), Some(1 << 20)), [ok; 3]);
        assert_eq!(severities(Some(4 << 20), Some(1024), Some(4096)), [note; 3], "not all clients fit");
        assert_eq!(severities(Some(1 << 20), None, None), [Severity::Error], "not even one fits");
    }

    #[test]
    fn a_ring_takes_what_is_worked_out() {
        let name = RingName::new(&format!("doctor-size-{}", std::process::id())).unwrap();
        let ring = halyard_ring::Ring::<Record>::create(&name, &halyard_ring::RingOptions::mpsc(64)).unwrap();
        let size = fs::metadata(format!("/dev/shm{}", name.segment())).unwrap().len();
        let owners = u64::from(ring.inspect().owners_max);
        ring.unlink().unwrap();
        assert_eq!(ring_bytes(64, owners), size + 2 * 4096);
    }
}
