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
    /// Scheduling policy and priority that the run was started under, such as `SCHED_FIFO 50`; empty in files written
    /// before it was noted.
    #[serde(default)]
    pub(crate) scheduling: String,
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
            scheduling: fs::read_to_string("/proc/self/stat")
                .map(|text| scheduling(&text))
                .unwrap_or_default(),
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

/// Policy and priority as /proc/PID/stat has them: fields 19, 40 and 41 of proc_pid_stat(5).
fn scheduling(stat: &str) -> String {
    // The program's name may hold blanks and parentheses; what follows its last parenthesis is field 3.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).copied().unwrap_or("0");
    let (nice, priority) = (field(19), field(40));
    match field(41) {
        "0" if nice == "0" => "SCHED_OTHER".to_owned(),
        "0" => format!("SCHED_OTHER, nice {nice}"),
        "1" => format!("SCHED_FIFO {priority}"),
        "2" => format!("SCHED_RR {priority}"),
        "3" => "SCHED_BATCH".to_owned(),
        "5" => "SCHED_IDLE".to_owned(),
        other => format!("scheduling policy {other}"),
    }
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
        )?;
        if self.scheduling.is_empty() { Ok(()) } else { write!(f, ", {}", self.scheduling) }
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

    #[test]
    fn the_policy_is_read_behind_the_programs_name() {
        // Fields 3 to 41; the name is what somebody may have chosen.
        let stat = |nice: &str, priority: &str, policy: &str| {
            let mut fields = vec!["S"; 39];
            (fields[16], fields[37], fields[38]) = (nice, priority, policy);
            format!("77 (a ) b) {} 0 0", fields.join(" "))
        };
        assert_eq!(scheduling(&stat("0", "0", "0")), "SCHED_OTHER");
        assert_eq!(scheduling(&stat("-5", "0", "0")), "SCHED_OTHER, nice -5");
        assert_eq!(scheduling(&stat("0", "50", "1")), "SCHED_FIFO 50");
        assert_eq!(scheduling(""), "SCHED_OTHER");
    }
}
