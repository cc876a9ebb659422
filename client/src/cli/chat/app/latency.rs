//! How long messages took on their way here.

use halyard_client::Times;
use hdrhistogram::Histogram;

/// Longest time that is told apart, nanoseconds: a minute. Longer ones count as this.
const LONGEST_NS: u64 = 60_000_000_000;

/// Every message's time, whole and by stage.
#[derive(Clone, Debug)]
pub(crate) struct Latency {
    /// From the sender's push to this program's read.
    pub(crate) whole: Histogram<u64>,
    /// Sender to router, router to ring, ring to this program.
    pub(crate) stages: [Histogram<u64>; 3],
    /// Of the last message; 0 before the first.
    pub(crate) last_ns: u64,
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_NS, 2).expect("the bounds are in order")
}

impl Default for Latency {
    fn default() -> Self {
        Self { whole: histogram(), stages: [histogram(), histogram(), histogram()], last_ns: 0 }
    }
}

impl Latency {
    /// Takes in a message's times and returns its whole way; 0 if they make no sense, which anybody may have sent.
    pub(crate) fn record(&mut self, times: &Times) -> u64 {
        let Times { sent_ns, routed_ns, delivered_ns, received_ns } = *times;
        let steps = [sent_ns, routed_ns, delivered_ns, received_ns];
        if sent_ns == 0 || !steps.is_sorted() {
            return 0;
        }
        for (stage, pair) in self.stages.iter_mut().zip(steps.windows(2)) {
            stage.saturating_record((pair[1] - pair[0]).max(1));
        }
        let whole = (received_ns - sent_ns).max(1);
        self.whole.saturating_record(whole);
        self.last_ns = whole;
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_make_no_sense_are_not_counted() {
        let mut latency = Latency::default();
        let times = |sent_ns, routed_ns| Times { sent_ns, routed_ns, delivered_ns: 300, received_ns: 500 };
        assert_eq!(latency.record(&times(100, 200)), 400);
        assert_eq!(latency.record(&times(400, 200)), 0);
        assert_eq!(latency.record(&times(0, 200)), 0);
        assert_eq!((latency.whole.len(), latency.last_ns), (1, 400));
    }
}
