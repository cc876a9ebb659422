//! What the figures were taken on.

use std::fmt;
use std::fs;
use std::time::Instant;

use halyard_ring::{cpus, monotonic_ns};
use serde::{Deserialize, Serialize};

/// The machine, as far as it explains latencies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    /// Processors that this process may run on.
    pub(crate) cpus: Vec<usize>,
    pub(crate) kernel: String,
    /// Whether the processor says that it runs under a hypervisor.
    pub(crate) virtual_machine: bool,
    /// What one reading of the clock costs, nanoseconds; every sample contains one.
    pub(crate) clock_ns: f64,
    /// Runnable threads over the last minute when the run began: what else went on.
    pub(crate) load_1m: f64,
}

impl Machine {
    /// Describes this machine; what cannot be read is "unknown".
    pub(crate) fn describe() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            cpu: field(&cpuinfo, &["model name", "Model", "Hardware", "CPU part"])
                .unwrap_or("unknown")
                .to_owned(),
            cpus: cpus(),
            kernel: kernel.trim().to_owned(),
            virtual_machine: field(&cpuinfo, &["flags"])
                .is_some_and(|flags| flags.split_whitespace().any(|flag| flag == "hypervisor")),
            clock_ns: clock_cost(),
            load_1m: fs::read_to_string("/proc/loadavg").ok().and_then(|text| load(&text)).unwrap_or(0.0),
        }
    }
}

/// The first line of `cpuinfo` that has one of these names.
fn field<'a>(cpuinfo: &'a str, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| {
        cpuinfo.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == *name).then_some(value.trim())
        })
    })
}

/// The first number of /proc/loadavg.
fn load(loadavg: &str) -> Option<f64> {
    loadavg.split(' ').next()?.parse().ok()
}

fn clock_cost() -> f64 {
    const READS: u32 = 20_000;
    let start = Instant::now();
    for _ in 0..READS {
        std::hint::black_box(monotonic_ns());
    }
    start.elapsed().as_nanos() as f64 / f64::from(READS)
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {} core{}{}, Linux {}, clock read {:.0} ns, load {:.1} at the start",
            self.cpu,
            self.cpus.len(),
            if self.cpus.len() == 1 { "" } else { "s" },
            if self.virtual_machine { " (virtual machine)" } else { "" },
            self.kernel,
            self.clock_ns,
            self.load_1m,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_cpuinfo_are_found_by_name() {
        let text = "processor\t: 0\nmodel name\t: A CPU @ 2 GHz\nflags\t\t: fpu hypervisor\n";
        assert_eq!(field(text, &["model name"]), Some("A CPU @ 2 GHz"));
        assert_eq!(field(text, &["Hardware"]), None);
        assert_eq!(load("0.25 0.18 0.15 2/130 77"), Some(0.25));
    }
}
