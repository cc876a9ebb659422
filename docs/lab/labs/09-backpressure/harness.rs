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

/// What a check says.
struct Wrong {
    rule: &'static str,
    what: String,
    advice: &'static str,
}

fn wrong(rule: &'static str, what: String, advice: &'static str) -> Result<(), Wrong> {
    Err(Wrong { rule, what, advice })
}

/// One policy, a sender that sends in bursts, and a consumer that takes in bursts.
struct Run {
    policy: Policy,
    random: u64,
    queue: Queue,
    sender: Sender,
    step: u64,
    sent: u64,
    delivered: u64,
    last: u64,
    refused: u64,
    waiting: Option<u64>,
}

impl Run {
    fn new(policy: Policy, seed: u64) -> Self {
        let (queue, sender) = (Queue(VecDeque::new()), Sender::new(policy));
        Self { policy, random: seed, queue, sender, step: 0, sent: 0, delivered: 0, last: 0, refused: 0, waiting: None }
    }

    fn backlog(&self) -> u64 {
        (self.queue.len() + self.sender.spilled()) as u64 + u64::from(self.waiting.is_some())
    }

    /// Sends or takes one item, and looks at the books.
    fn step(&mut self) -> Result<(), Wrong> {
        let bursts = if self.step / 20 % 2 == 0 { 80 } else { 25 };
        self.step += 1;
        if next(&mut self.random) % 100 < bursts {
            let item = self.waiting.take().unwrap_or_else(|| { self.sent += 1; self.sent });
            if let Err(back) = self.sender.offer(&mut self.queue, item) {
                if back != item {
                    return wrong("block", format!("item {item} was offered and {back} came back"), "block gives back what it was offered");
                }
                if !matches!(self.policy, Policy::Block) {
                    return wrong("policy", format!("item {item} came back; only block refuses"), "the other policies always take the item, and decide what to lose or where to keep it");
                }
                self.waiting = Some(item);
                self.refused += 1;
            }
        } else if let Some(item) = self.queue.pop_oldest() {
            if item <= self.last {
                return wrong("order", format!("item {item} was delivered after {}", self.last), "a new item must not overtake those that wait in the spill: while it is not empty, newcomers go behind it");
            }
            self.last = item;
            self.delivered += 1;
            // The sender hears of it late: not after every item.
            if next(&mut self.random) % 2 == 0 { self.sender.room(&mut self.queue); }
        }
        let (sent, delivered, dropped, backlog) = (self.sent, self.delivered, self.sender.dropped(), self.backlog());
        if sent != delivered + dropped + backlog {
            return wrong("identity", format!("step {}: sent {sent}, delivered {delivered}, dropped {dropped}, backlog {backlog}: {} unaccounted", self.step - 1, sent as i64 - (delivered + dropped + backlog) as i64), "every item is delivered, counted as dropped, or waiting: count where you let one go, and nowhere else");
        }
        if matches!(self.policy, Policy::Block | Policy::Spill) && dropped > 0 {
            return wrong("policy", format!("{dropped} dropped"), "block and spill lose nothing");
        }
        if matches!(self.policy, Policy::DropOld) && sent > CAPACITY as u64 && self.queue.0.back() != Some(&sent) && self.queue.len() == CAPACITY {
            return wrong("policy", format!("the ring is full and the newest item, {sent}, is not in it"), "drop old makes room for the new item: take the oldest out, count it, then put the new one in");
        }
        Ok(())
    }
}

const STEPS: u64 = 400;

const POLICIES: [(Policy, &str); 4] =
    [(Policy::Block, "block"), (Policy::DropNew, "drop new"), (Policy::DropOld, "drop old"), (Policy::Spill, "spill")];

fn check() {
    for seed in 1..=200 {
        for (policy, name) in POLICIES {
            let fail = |found: Wrong| fail(found.rule, &format!("{name}, seed {seed}: {}", found.what), found.advice);
            let mut run = Run::new(policy, seed);
            for _ in 0..STEPS {
                run.step().unwrap_or_else(|found| fail(found));
            }
            let total = run.sender.dropped() + run.refused + run.sender.spilled() as u64;
            if seed == 1 && total == 0 && !matches!(policy, Policy::Spill) {
                fail(Wrong { rule: "policy", what: "the ring was full many times, and nothing was refused, dropped or spilled".to_owned(), advice: "what happens to the item that try_push gives back?" });
            }
        }
    }
    println!("NOTE\tfour policies, 200 seeds each, {STEPS} steps: sent = delivered + dropped + backlog at every step");
    println!("PASS");
}

/// `run`: the books of one run, policy by policy.
fn show(seed: u64) {
    println!("A ring of {CAPACITY} slots; 20 steps of much sending, then 20 of much taking, and so on; seed {seed}. Lost is what the books lack: sent - delivered - dropped - backlog.");
    for (policy, name) in POLICIES {
        println!("\n{name}");
        println!("  {:>5}  {:>5}  {:>9}  {:>7}  {:>7}  {:>7}  {:>7}  {:>5}", "steps", "sent", "delivered", "dropped", "refused", "in ring", "spilled", "lost");
        let mut run = Run::new(policy, seed);
        let mut first: Option<Wrong> = None;
        while run.step < STEPS {
            if let Err(found) = run.step() {
                first.get_or_insert(found);
            }
            if [20, 40, 100, 200, 400].contains(&run.step) {
                let lost = run.sent as i64 - (run.delivered + run.sender.dropped() + run.backlog()) as i64;
                println!("  {:>5}  {:>5}  {:>9}  {:>7}  {:>7}  {:>7}  {:>7}  {lost:>5}", run.step, run.sent, run.delivered, run.sender.dropped(), run.refused, run.queue.len(), run.sender.spilled());
            }
        }
        if let Some(found) = first {
            println!("  violated: {}: {}", found.rule, found.what);
        }
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    match args.next() {
        Some(_) => show(args.next().and_then(|seed| seed.parse().ok()).unwrap_or(1)),
        None => check(),
    }
}
