//! Lab 10: tails. A bench, a percentile, a spin budget, and a plot to read. Time is simulated, in nanoseconds: the same
//! on every machine.
//!
//! `clock.now()` is the time; `clock.sleep_until(t)` lets it pass, and returns at once if t is over.
//! `service.call(clock)` sends one request and returns when the answer is there. Now and then the service stalls.

use super::{Clock, Service};

/// Sends `count` requests, one each `every` ns, the first one now, and says how long each took. One connection, so a
/// request that is due while another is under way is sent as soon as that one is done.
///
/// Somebody who clicks does not know that the service stalls: their wait begins when the request was due.
pub fn bench(clock: &mut Clock, service: &mut Service, every: u64, count: u64) -> Vec<u64> {
    let first = clock.now();
    let mut latencies = Vec::new();
    for n in 0..count {
        clock.sleep_until(first + n * every);
        let begun = clock.now();
        service.call(clock);
        latencies.push(clock.now() - begun);
    }
    latencies
}

/// The percentile `q` of the latencies, in hundredths of a percent (5000 is the median, 9990 is p99.9): the smallest of
/// them that at least that share of them does not exceed. There is at least one; they come in no order.
pub fn percentile(latencies: &[u64], _q: u64) -> u64 {
    latencies.iter().sum::<u64>() / latencies.len() as u64
}

/// How long to spin before parking. `waits` says how long each wait of a day took. With budget b, a wait of w costs w if
/// w <= b (it ended while spinning); any other costs b + `park` (spun in vain, then slept and was woken). Choose b so that
/// the sum over all waits is the least.
pub fn spin_budget(_waits: &[u64], _park: u64) -> u64 {
    1_000_000
}

// Read this plot of one service's latencies:
//
//     100 ms |                                                      o
//      10 ms |                                          o
//       1 ms |                              o
//     100 us |                 o
//      10 us |     o
//            +----------------------------------------------------------
//                 50 %        90 %         99 %       99.9 %     99.99 %

/// The 99th percentile, in microseconds.
pub const P99_US: u64 = 0;
/// Of 100,000 calls, how many take more than 10 ms?
pub const OVER_10_MS: u64 = 0;
/// A page makes 100 calls, one as independent as the other, and is there when the last one is. Of 100 such pages, how
/// many take more than 1 ms? Rounded to a whole number.
pub const SLOW_PAGES: u64 = 0;
