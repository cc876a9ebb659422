//! Several records for one client at once.

use super::Outlet;
use crate::job::Job;

impl Outlet {
    /// Delivers these jobs' records, each alone in its text, as far as nothing waits and there is room. Returns how many;
    /// the caller counts them.
    #[inline]
    pub(crate) fn deliver_many_now(&mut self, jobs: &mut [Job]) -> usize {
        if !self.queue.is_empty() {
            return 0;
        }
        let first = self.next;
        let pushed = self.producer.push_prefixes(jobs, |job, place| {
            job.record.number = first + place as u64;
            (&job.record, job.record.used())
        });
        match pushed {
            Ok(pushed) => {
                self.next += pushed as u64;
                pushed
            }
            Err(error) => {
                self.refused(&error);
                0
            }
        }
    }

    /// Fetches the slots that so many records, of so many bytes, will go into.
    #[inline]
    pub(crate) fn prefetch(&self, records: usize, used: usize) {
        self.producer.prefetch(records, used);
    }
}
