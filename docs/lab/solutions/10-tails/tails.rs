//! The schedule knows nothing of answers; a percentile is one of the values; the best budget is one of the waits, or none.

use super::{Clock, Service};

/// Sends `count` requests, one each `every` ns, the first one now, and says how long each took. One connection, so a
/// request that is due while another is under way is sent as soon as that one is done.
///
/// Somebody who clicks does not know that the service stalls: their wait begins when the request was due.
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

/// The percentile `q` of the latencies, in hundredths of a percent (5000 is the median, 9990 is p99.9): the smallest of
/// them that at least that share of them does not exceed. There is at least one; they come in no order.
pub fn percentile(latencies: &[u64], q: u64) -> u64 {
    let mut sorted = latencies.to_vec();
    sorted.sort_unstable();
    let rank = (q * sorted.len() as u64).div_ceil(10_000).max(1);
    sorted[rank as usize - 1]
}

/// How long to spin before parking. `waits` says how long each wait of a day took. With budget b, a wait of w costs w if
/// w <= b (it ended while spinning); any other costs b + `park` (spun in vain, then slept and was woken). Choose b so that
/// the sum over all waits is the least.
pub fn spin_budget(waits: &[u64], park: u64) -> u64 {
    let cost = |budget: u64| -> u64 {
        waits.iter().map(|&wait| if wait <= budget { wait } else { budget + park }).sum()
    };
    // Between two neighbouring waits a larger budget catches nothing more and costs more.
    std::iter::once(0).chain(waits.iter().copied()).min_by_key(|&budget| cost(budget)).unwrap_or(0)
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
pub const P99_US: u64 = 1_000;
/// Of 100,000 calls, how many take more than 10 ms?
pub const OVER_10_MS: u64 = 100;
/// A page makes 100 calls, one as independent as the other, and is there when the last one is. Of 100 such pages, how
/// many take more than 1 ms? Rounded to a whole number.
pub const SLOW_PAGES: u64 = 63;
