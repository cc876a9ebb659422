// file: tails.rs
// expect: a page makes 100 calls
use super::{Clock, Service};

pub fn bench(clock: &mut Clock, service: &mut Service, every: u64, count: u64) -> Vec<u64> {
    let first = clock.now();
    (0..count)
        .map(|n| {
            let due = first + n * every;
            clock.sleep_until(due);
            service.call(clock);
            clock.now() - due
        })
        .collect()
}

pub fn percentile(latencies: &[u64], q: u64) -> u64 {
    let mut sorted = latencies.to_vec();
    sorted.sort_unstable();
    let rank = (q * sorted.len() as u64).div_ceil(10_000).max(1);
    sorted[rank as usize - 1]
}

pub fn spin_budget(waits: &[u64], park: u64) -> u64 {
    let cost = |budget: u64| -> u64 {
        waits.iter().map(|&wait| if wait <= budget { wait } else { budget + park }).sum()
    };
    // Between two neighbouring waits a larger budget catches nothing more and costs more.
    std::iter::once(0).chain(waits.iter().copied()).min_by_key(|&budget| cost(budget)).unwrap_or(0)
}

pub const P99_US: u64 = 1_000;
pub const OVER_10_MS: u64 = 100;
pub const SLOW_PAGES: u64 = 1;
