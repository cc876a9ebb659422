//! What waits for room in one client's ring: it goes in as soon as there is some, or counts as lost when it has waited too
//! long.

use halyard_ring::chat::FRAGS_MAX;

use super::{Fate, Item, KEEP_QUEUE, Lost, Outlet, Settled};

impl Outlet {
    /// Delivers what waits, as far as there is room; then counts as lost what has waited too long.
    pub(crate) fn flush(&mut self, now_ns: u64, settled: &mut Vec<Settled>) {
        self.flush_queue(now_ns, settled);
        while self.queue.is_empty() && self.gone.is_none() {
            let Some(mut record) = self.series.front() else { break };
            record.delivered_ns = now_ns;
            if !self.has_spare_room() || !self.push(&mut record) {
                break;
            }
            self.series.pop(now_ns);
        }
        self.series.expire(now_ns);
        if self.queue.is_empty()
            && self.series.is_empty()
            && let Some(mut record) = self.last
        {
            record.delivered_ns = now_ns;
            if self.push(&mut record) {
                self.last = None;
            }
        }
        if !self.lags() {
            self.queue.shrink_to(KEEP_QUEUE);
            self.series.shrink_to(KEEP_QUEUE);
        }
    }

    pub(super) fn flush_queue(&mut self, now_ns: u64, settled: &mut Vec<Settled>) {
        while self.gone.is_none() {
            let pushed = match self.queue.front() {
                None => return,
                Some(Item::Lost(lost)) => {
                    let mut record = lost.record(self.next);
                    let records = lost.records;
                    record.delivered_ns = now_ns;
                    self.next += records;
                    let pushed = self.push(&mut record);
                    if pushed {
                        self.queue.pop_front();
                        self.owed -= records + 1;
                    } else {
                        self.next -= records;
                    }
                    pushed
                }
                Some(Item::Record { record, .. }) => {
                    let frags = u32::from(record.frags);
                    if frags == 1 {
                        self.push_front(now_ns, settled)
                    } else if self.producer.free_slots_at_least(frags) {
                        let whole = (0..frags).all(|_| self.push_front(now_ns, settled));
                        if !whole {
                            self.lied();
                        }
                        whole
                    } else {
                        false
                    }
                }
            };
            if !pushed {
                break;
            }
        }
        // What waits for a client that is gone is settled when its ring is closed.
        if self.gone.is_none() {
            self.expire(now_ns, settled);
        }
    }

    fn push_front(&mut self, now_ns: u64, settled: &mut Vec<Settled>) -> bool {
        let Some(Item::Record { record, origin, .. }) = self.queue.front() else { return false };
        let (mut record, origin) = (*record, *origin);
        record.delivered_ns = now_ns;
        if !self.push(&mut record) {
            return false;
        }
        self.queue.pop_front();
        self.owed -= 1;
        self.waiting.remove(1);
        if let (Some(origin), true) = (origin, record.frag + 1 == record.frags) {
            settled.push(self.verdict(origin, Fate::Delivered));
        }
        true
    }

    /// Counts as lost what stands in front and has waited too long. Deadlines grow towards the back.
    fn expire(&mut self, now_ns: u64, settled: &mut Vec<Settled>) {
        let overdue = |item: &Item| matches!(item, Item::Record { until_ns, .. } if *until_ns <= now_ns);
        let front_runs = self.queue.iter().take_while(|item| matches!(item, Item::Lost(_))).count();
        if !self.queue.get(front_runs).is_some_and(overdue) {
            return;
        }
        // Behind the runs that are in front already, in their order.
        let mut runs: Vec<Lost> = Vec::new();
        let mut runs_before = 0;
        let note = |runs: &mut Vec<Lost>, lost: Lost| match runs.last_mut() {
            Some(run) => {
                if let Err(lost) = run.add(lost) {
                    runs.push(lost);
                }
            }
            None => runs.push(lost),
        };
        while let Some(item) = self.queue.front() {
            if matches!(item, Item::Record { .. }) && !overdue(item) {
                break;
            }
            match self.queue.pop_front() {
                Some(Item::Lost(lost)) => {
                    runs_before += 1;
                    note(&mut runs, lost);
                }
                Some(Item::Record { record, origin, .. }) => {
                    // The rest of its text, which stands behind it.
                    let rest = usize::from(record.frags.saturating_sub(record.frag + 1));
                    let records = 1 + self.queue.drain(..rest.min(self.queue.len())).len();
                    self.waiting.remove(records as u32);
                    let group = [record; FRAGS_MAX];
                    let lost = Lost::of(&group[..records.min(FRAGS_MAX)]);
                    self.dropped += lost.records;
                    self.unreported += lost.records;
                    note(&mut runs, lost);
                    settled.extend(origin.map(|origin| self.verdict(origin, Fate::Lost)));
                }
                None => break,
            }
        }
        self.owed = self.owed + runs.len() as u64 - runs_before;
        while let Some(run) = runs.pop() {
            self.queue.push_front(Item::Lost(run));
        }
        self.note_owed();
    }
}
