//! What the system lets this process have: descriptors and memory mappings. Looked at before they run out, so that a new
//! client is refused in words, and those who are there do not suffer.

use std::fs;

use halyard_ring::chat::ErrorCode;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Descriptors that a client costs: the handle on its process. A ring that is being opened needs a few for a moment.
const DESCRIPTORS_EACH: u64 = 1;
/// Mappings that a client costs: its segment, two semaphores; and one, for what the allocator does.
const MAPPINGS_EACH: u64 = 4;
/// What is kept free of each, for the rest of the process.
const SPARE: u64 = 32;

/// One resource that is counted.
struct Gauge {
    limit: u64,
    /// How many a client costs.
    each: u64,
    /// At most this many were in use, as far as the last count and what came since tell.
    estimate: u64,
    count: fn() -> u64,
}

impl Gauge {
    fn new(limit: u64, each: u64, count: fn() -> u64) -> Self {
        Self { limit, each, estimate: u64::MAX, count }
    }

    /// Whether one more client fits. Counting is dear (the kernel writes a line for each), so it is done only when what
    /// has come since the last time might have used it all up.
    fn has_room(&mut self) -> bool {
        let most = self.limit.saturating_sub(SPARE);
        if self.estimate.saturating_add(self.each) > most {
            self.estimate = (self.count)();
        }
        let after = self.estimate.saturating_add(self.each);
        let fits = after <= most;
        if fits {
            self.estimate = after;
        }
        fits
    }
}

/// What is looked at before a client is let in.
pub(crate) struct Resources {
    descriptors: Gauge,
    mappings: Gauge,
}

impl Resources {
    /// Looks at the limits. The soft limit for descriptors is raised, as far as the hard one allows, if this many clients
    /// need it; what still is too little is told in the log.
    pub(crate) fn look(clients_max: u32) -> Self {
        let (open, maps) = (open_descriptors(), mappings());
        let need = open + u64::from(clients_max) * DESCRIPTORS_EACH + SPARE;
        let descriptors = raised_limit(need);
        if descriptors < need {
            tracing::warn!(
                limit = descriptors,
                need,
                "fewer descriptors than --clients needs: raise `ulimit -n`, or lower --clients"
            );
        }
        let map_limit = map_limit();
        let need = maps + u64::from(clients_max) * MAPPINGS_EACH + SPARE;
        if map_limit < need {
            tracing::warn!(
                limit = map_limit,
                need,
                "fewer memory mappings than --clients needs: raise vm.max_map_count, or lower --clients"
            );
        }
        Self {
            descriptors: Gauge::new(descriptors, DESCRIPTORS_EACH, open_descriptors),
            mappings: Gauge::new(map_limit, MAPPINGS_EACH, mappings),
        }
    }

    /// Why no further client can be let in, if it is so.
    pub(crate) fn shortage(&mut self) -> Option<(ErrorCode, String)> {
        if !self.descriptors.has_room() {
            let limit = self.descriptors.limit;
            let text =
                format!("the server may have {limit} descriptors and needs them: raise its `ulimit -n`");
            return Some((ErrorCode::DescriptorsLow, text));
        }
        if !self.mappings.has_room() {
            let limit = self.mappings.limit;
            let text =
                format!("the server may have {limit} memory mappings: raise the system's vm.max_map_count");
            return Some((ErrorCode::MappingsLow, text));
        }
        None
    }
}

fn raised_limit(need: u64) -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return u64::MAX };
    let wanted = need.min(hard);
    if soft < wanted && setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_ok() {
        tracing::info!(from = soft, to = wanted, "raised the limit for descriptors");
        return wanted;
    }
    soft
}

fn map_limit() -> u64 {
    let text = fs::read_to_string("/proc/sys/vm/max_map_count").unwrap_or_default();
    text.trim().parse().unwrap_or(u64::MAX)
}

fn open_descriptors() -> u64 {
    // One of them is the directory that is read.
    fs::read_dir("/proc/self/fd").map_or(0, |entries| (entries.count() as u64).saturating_sub(1))
}

fn mappings() -> u64 {
    fs::read("/proc/self/maps").map_or(0, |text| text.iter().filter(|&&byte| byte == b'\n').count() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_counted_when_it_might_be_used_up_and_not_before() {
        let mut gauge = Gauge::new(SPARE + 100, 10, || 40);
        // 40 are in use: room for 6 clients, and then the count says that they have gone again.
        assert!((0..60).all(|_| gauge.has_room()));
        assert_eq!(gauge.estimate, 100);
        gauge.count = || 91;
        assert!(!gauge.has_room() && !gauge.has_room());
        gauge.count = || 90;
        assert!(gauge.has_room());
        gauge.count = || unreachable!("there is room for certain");
        gauge.estimate = 50;
        assert!((0..5).all(|_| gauge.has_room()));
    }

    #[test]
    fn each_shortage_has_a_code_and_says_what_to_raise() {
        let roomy = || Gauge::new(u64::MAX, 1, || 1);
        let tight = || Gauge::new(SPARE + 5, 1, || 5);
        let mut resources = Resources { descriptors: roomy(), mappings: roomy() };
        assert_eq!(resources.shortage(), None);
        resources.mappings = tight();
        let (code, text) = resources.shortage().unwrap();
        assert!(code == ErrorCode::MappingsLow && text.contains("vm.max_map_count"), "{text}");
        resources.descriptors = tight();
        let (code, text) = resources.shortage().unwrap();
        assert!(code == ErrorCode::DescriptorsLow && text.contains("ulimit -n"), "{text}");
    }

    #[test]
    fn this_process_has_descriptors_and_mappings() {
        let before = open_descriptors();
        assert!(before >= 3 && mappings() > 10);
        assert!(map_limit() > 1000);
    }
}
