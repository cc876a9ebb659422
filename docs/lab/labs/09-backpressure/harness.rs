#[path = "{ANSWER}"]
mod answer;

use answer::{Policy, Sender};
use std::collections::VecDeque;

const CAPACITY: usize = 4;

/// The ring as the sender sees it.
pub struct Queue(VecDeque<u64>);

impl Queue {
    /// Puts an item in, or gives it back if the ring is full.
    pub fn try_push(&mut self, item: u64) -> Result<(), u64> {
        if self.0.len() == CAPACITY { Err(item) } else { self.0.push_back(item); Ok(()) }
    }
    /// Takes the oldest item out.
    pub fn pop_oldest(&mut self) -> Option<u64> {
        self.0.pop_front()
    }
    /// How many items are in it.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

fn fail(rule: &str, what: &str, advice: &str) -> ! {
    println!("FAIL\t{rule}\t{what}\t{advice}");
    std::process::exit(0)
}

fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    *seed >> 33
}

fn run(policy: Policy, name: &str, seed: u64) {
    let mut random = seed;
    let mut queue = Queue(VecDeque::new());
    let mut sender = Sender::new(policy);
    let (mut sent, mut delivered, mut last, mut refused) = (0u64, 0u64, 0u64, 0u64);
    let mut waiting: Option<u64> = None;
    for step in 0..400 {
        // Bursts of sending, then bursts of delivering.
        if next(&mut random) % 100 < if step / 20 % 2 == 0 { 80 } else { 25 } {
            let item = waiting.take().unwrap_or_else(|| { sent += 1; sent });
            if let Err(back) = sender.offer(&mut queue, item) {
                if back != item {
                    fail("block", &format!("{name}, seed {seed}: item {item} was offered and {back} came back"), "block gives back what it was offered");
                }
                if !matches!(policy, Policy::Block) {
                    fail("policy", &format!("{name}, seed {seed}: item {item} came back; only block refuses"), "the other policies always take the item, and decide what to lose or where to keep it");
                }
                waiting = Some(item);
                refused += 1;
            }
        } else if let Some(item) = queue.pop_oldest() {
            if item <= last {
                fail("order", &format!("{name}, seed {seed}: item {item} was delivered after {last}"), "a new item must not overtake those that wait in the spill: while it is not empty, newcomers go behind it");
            }
            last = item;
            delivered += 1;
            // The sender hears of it late: not after every item.
            if next(&mut random) % 2 == 0 { sender.room(&mut queue); }
        }
        let backlog = (queue.len() + sender.spilled()) as u64 + u64::from(waiting.is_some());
        let dropped = sender.dropped();
        if sent != delivered + dropped + backlog {
            fail("identity", &format!("{name}, seed {seed}, step {step}: sent {sent}, delivered {delivered}, dropped {dropped}, backlog {backlog}: {} unaccounted", sent as i64 - (delivered + dropped + backlog) as i64), "every item is delivered, counted as dropped, or waiting: count where you let one go, and nowhere else");
        }
        let lossless = matches!(policy, Policy::Block | Policy::Spill);
        if lossless && dropped > 0 {
            fail("policy", &format!("{name}, seed {seed}: {dropped} dropped"), "block and spill lose nothing");
        }
        if matches!(policy, Policy::DropOld) && sent > CAPACITY as u64 && queue.0.back() != Some(&sent) && queue.len() == CAPACITY {
            fail("policy", &format!("{name}, seed {seed}: the ring is full and the newest item, {sent}, is not in it"), "drop old makes room for the new item: take the oldest out, count it, then put the new one in");
        }
    }
    let total = sender.dropped() + refused + sender.spilled() as u64;
    if seed == 1 && total == 0 && !matches!(policy, Policy::Spill) {
        fail("policy", &format!("{name}: the ring was full many times, and nothing was refused, dropped or spilled"), "what happens to the item that try_push gives back?");
    }
}

fn main() {
    for seed in 1..=200 {
        run(Policy::Block, "block", seed);
        run(Policy::DropNew, "drop new", seed);
        run(Policy::DropOld, "drop old", seed);
        run(Policy::Spill, "spill", seed);
    }
    println!("NOTE\tfour policies, 200 seeds each, 400 steps: sent = delivered + dropped + backlog at every step");
    println!("PASS");
}
