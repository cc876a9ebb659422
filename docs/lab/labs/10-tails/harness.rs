#[path = "{ANSWER}"]
mod answer;

/// Simulated time, in ns.
pub struct Clock {
    now: u64,
}

impl Clock {
    /// The time.
    pub fn now(&self) -> u64 {
        self.now
    }
    /// Lets time pass; returns at once if `time` is over.
    pub fn sleep_until(&mut self, time: u64) {
        self.now = self.now.max(time);
    }
}

/// A service that stalls now and then.
pub struct Service {
    random: u64,
    stall_each: u64,
    stall: u64,
    calls: Vec<(u64, u64)>,
}

impl Service {
    /// Sends a request and returns when the answer is there.
    pub fn call(&mut self, clock: &mut Clock) {
        let begun = clock.now;
        let usual = 8_000 + next(&mut self.random) % 4_000;
        let n = self.calls.len() as u64;
        let stalls = n % self.stall_each == self.stall_each / 2;
        clock.now += if stalls { self.stall } else { usual };
        self.calls.push((begun, clock.now));
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

/// The smallest value that at least q hundredths of a percent do not exceed, by counting.
fn counted(values: &[u64], q: u64) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let enough = |value: u64| sorted.partition_point(|other| *other <= value) as u64 * 10_000 >= q * sorted.len() as u64;
    sorted.iter().copied().find(|value| enough(*value)).expect("the largest is enough")
}

fn shown(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.1} us", ns as f64 / 1e3),
        _ => format!("{:.1} ms", ns as f64 / 1e6),
    }
}

/// A bench over a service that stalls.
struct Bench {
    every: u64,
    count: u64,
    start: u64,
    /// When each request was sent, and when it was answered.
    calls: Vec<(u64, u64)>,
    /// What the answer says that each took.
    said: Vec<u64>,
}

impl Bench {
    fn play(seed: u64) -> Self {
        let mut random = seed;
        let every = 40_000 + next(&mut random) % 20_000;
        let count = 2_000 + next(&mut random) % 500;
        let start = 1_000_000 + next(&mut random) % 1_000_000;
        let mut clock = Clock { now: start };
        let mut service = Service { random: seed, stall_each: 700 + next(&mut random) % 200, stall: 8_000_000, calls: Vec::new() };
        let said = answer::bench(&mut clock, &mut service, every, count);
        Self { every, count, start, calls: service.calls, said }
    }

    fn from_send(&self) -> Vec<u64> {
        self.calls.iter().map(|(begun, ended)| ended - begun).collect()
    }

    fn from_due(&self) -> Vec<u64> {
        self.calls.iter().enumerate().map(|(n, (_, ended))| ended.saturating_sub(self.start + n as u64 * self.every)).collect()
    }
}

fn bench(seed: u64) {
    let played = Bench::play(seed);
    let Bench { every, count, start, calls, said } = &played;
    let (every, count, start) = (*every, *count, *start);
    let sent = calls.len() as u64;
    if sent != count {
        fail("schedule", &format!("seed {seed}: {count} requests were due, and {sent} were sent"), "a request that falls into a stall is late, not cancelled: users do not stop coming because the service stalls");
    }
    if said.len() as u64 != count {
        fail("latency", &format!("seed {seed}: {count} requests were sent, and there are {} latencies", said.len()), "each request has its latency: what is left out is what was slow");
    }
    let mut free = start;
    for (n, &(begun, ended)) in calls.iter().enumerate() {
        let due = start + n as u64 * every;
        if begun < due {
            fail("schedule", &format!("seed {seed}: request {n} was due {} after the first, and was sent {} early", shown(due - start), shown(due - begun)), "a fixed rate: request n is due at first + n * every");
        }
        if begun > due.max(free) {
            fail("schedule", &format!("seed {seed}: request {n} was due {} after the first, the line was free, and it was sent {} late", shown(due - start), shown(begun - due.max(free))), "a bench that waits for the answer and only then counts its pause goes slower whenever the service does, and so it spares it: reckon each due time from the first one, never from the last answer");
        }
        free = ended;
    }
    let (from_send, from_due) = (played.from_send(), played.from_due());
    if *said == from_send {
        fail("coordinated-omission", &format!("seed {seed}: measured from the send, p99 is {}; from when they were due it is {}: {} of {count} requests waited in line and nobody counted that", shown(counted(&from_send, 9900)), shown(counted(&from_due, 9900)), from_send.iter().zip(&from_due).filter(|(a, b)| a != b).count()), "while the bench waits for a stalled answer it sends nothing, so the requests that the stall would have hit are not measured: start each clock at the time at which the request was due");
    }
    if let Some(n) = (0..said.len()).find(|n| said[*n] != from_due[*n]) {
        fail("latency", &format!("seed {seed}: request {n} was answered {} after it was due, and {} was said", shown(from_due[n]), shown(said[n])), "the latency is the time of the answer less the time at which the request was due, in the order of the requests");
    }
    if seed == 1 {
        for (name, values) in [("from the send", &from_send), ("from when it was due", &from_due)] {
            let p = |q| shown(counted(values, q));
            println!("NOTE\tlatency {name}: p50 {}, p99 {}, p99.9 {}, most {}", p(5000), p(9900), p(9990), p(10_000));
        }
    }
}

fn percentile(seed: u64) {
    let mut random = seed;
    let count = 1 + next(&mut random) % if seed % 2 == 0 { 12 } else { 400 };
    let values: Vec<u64> = (0..count).map(|_| { let top = 10u64.pow(1 + (next(&mut random) % 5) as u32); next(&mut random) % top }).collect();
    for q in [0, 1, 2500, 5000, 9000, 9900, 9990, 9999, 10_000] {
        let (said, right) = (answer::percentile(&values, q), counted(&values, q));
        if said == right {
            continue;
        }
        let mean = values.iter().sum::<u64>() / count;
        let advice = if said == mean {
            "that is the mean: one stall moves it and nobody ever saw it. A percentile is one of the values: sort a copy and count"
        } else if !values.contains(&said) {
            "that is none of the values: do not interpolate; between a fast answer and a stall there is nothing that anybody waited"
        } else {
            "sort a copy; with n values the rank is q * n / 10000 rounded up, at least 1, and ranks count from 1 while indices count from 0"
        };
        let below = values.iter().filter(|value| **value <= said).count();
        fail("percentile", &format!("seed {seed}, {count} values, q {q}: {said} was said, which {below} of {count} do not exceed; it is {right}"), advice);
    }
}

fn cost(waits: &[u64], park: u64, budget: u64) -> u128 {
    waits.iter().map(|&wait| if wait <= budget { u128::from(wait) } else { u128::from(budget) + u128::from(park) }).sum()
}

/// The waits of a day, and what a park costs.
fn day(seed: u64) -> (Vec<u64>, u64) {
    let mut random = seed;
    let park = 5_000 + next(&mut random) % 50_000;
    // Days of three kinds: answers that come at once, quiet ones, and both.
    let quick_in_100 = [100, 0, 80, 50, 20][(seed % 5) as usize];
    let waits = (0..150 + next(&mut random) % 100)
        .map(|_| if next(&mut random) % 100 < quick_in_100 { 200 + next(&mut random) % 9_000 } else { 1_000_000 + next(&mut random) % 100_000_000 })
        .collect();
    (waits, park)
}

fn budget(seed: u64) {
    let (waits, park) = day(seed);
    let said = answer::spin_budget(&waits, park);
    let best = std::iter::once(0).chain(waits.iter().copied()).min_by_key(|b| cost(&waits, park, *b)).expect("there is 0");
    let (cost_said, cost_best) = (cost(&waits, park, said), cost(&waits, park, best));
    if cost_said > cost_best {
        let vain = waits.iter().filter(|wait| **wait > said).count();
        let advice = if said == park {
            "spinning as long as a park costs is what to do when you know nothing: never worse than twice the best. Here you have the day's waits, so you can do better"
        } else if best == 0 {
            "on this day no wait is short enough to be worth spinning for: parking at once is a budget too, of 0"
        } else if said > best {
            "spinning for the long waits costs more than parking does: the budget should end where the short waits end"
        } else {
            "a little more spinning would have caught waits that were nearly over, and saved a park for each"
        };
        fail("budget", &format!("seed {seed}: {} waits, a park costs {}. With a budget of {} the day costs {}, and {vain} waits spin in vain; with {} it costs {}", waits.len(), shown(park), shown(said), shown(cost_said as u64), shown(best), shown(cost_best as u64)), advice);
    }
}

fn reading() {
    if answer::P99_US != 1_000 {
        fail("plot", &format!("P99_US is {}", answer::P99_US), "go up from 99 % to the point and left from there to the scale, and mind its unit: each line is ten times the one below");
    }
    if answer::OVER_10_MS != 100 {
        let advice = if answer::OVER_10_MS == 1_000 { "that is how many take more than 1 ms" } else { "10 ms is p99.9: 99.9 % take at most that, and how many of 100,000 are the rest?" };
        fail("plot", &format!("OVER_10_MS is {}", answer::OVER_10_MS), advice);
    }
    if answer::SLOW_PAGES != 63 {
        let advice = if answer::SLOW_PAGES == 1 { "1 of 100 calls, yes; but a page makes 100 calls and waits for the slowest" } else { "a page is quick only if all its 100 calls are, each of them 99 times of 100: 0.99 to the power of 100 of the pages" };
        fail("plot", &format!("SLOW_PAGES is {}", answer::SLOW_PAGES), advice);
    }
}

/// Latencies at some percentiles, on a scale of powers of ten: `o` is what the answer says, `x` from when each was due.
fn plot(said: &[u64], due: &[u64]) {
    let at = [(5_000, "50 %"), (9_000, "90 %"), (9_900, "99 %"), (9_990, "99.9 %"), (10_000, "most")];
    let height = |ns: u64| ns.max(1).ilog10();
    for level in (3..=8).rev() {
        let unit = ["  1 us", " 10 us", "100 us", "  1 ms", " 10 ms", "100 ms"][level as usize - 3];
        let points = at.map(|(q, _)| match (height(counted(said, q)).clamp(3, 8) == level, height(counted(due, q)).clamp(3, 8) == level) {
            (true, true) => "   *    ",
            (true, false) => "   o    ",
            (false, true) => "   x    ",
            (false, false) => "        ",
        });
        println!("{}", format!("  {unit} | {}", points.concat()).trim_end());
    }
    println!("         +-{}", "-".repeat(8 * at.len()));
    println!("           {}", at.map(|(_, name)| format!("{name:^7} ")).concat().trim_end());
}

/// `run`: one bench, one day, as the answer has them.
fn show(seed: u64) {
    let played = Bench::play(seed);
    let due = played.from_due();
    println!("Seed {seed}: {} requests, one each {}, of which one in some hundreds stalls for 8 ms.", played.count, shown(played.every));
    if played.said.is_empty() || due.is_empty() {
        println!("Your bench sent {} requests and says {} latencies: nothing to plot.", due.len(), played.said.len());
    } else {
        println!("Latency: o is what your bench says, x is from when each request was due (same calls), * is both. A point stands in the line of the power of ten that it reaches.\n");
        plot(&played.said, &due);
        let waited = played.said.iter().zip(&due).filter(|(said, due)| **due >= 1_000_000 && **said < 1_000_000).count();
        println!("\n{waited} requests were answered 1 ms or more after they were due, and your bench says that they were quicker.");
        println!("Your percentile of what your bench says, beside the right one of the same values:");
        for (q, name) in [(5_000, "p50"), (9_900, "p99"), (9_990, "p99.9"), (10_000, "most")] {
            println!("  {name:<6} {:>9}  {:>9}", shown(answer::percentile(&played.said, q)), shown(counted(&played.said, q)));
        }
    }
    println!("\nWhat a day's waits cost if one spins for at most so long, and parks then:");
    // One day of mostly short waits, and one of none.
    for (name, seed) in [("short waits", 5 * seed + 2), ("long waits", 5 * seed + 1)] {
        let (waits, park) = day(seed);
        let yours = answer::spin_budget(&waits, park);
        println!("  mostly {name}, {} of {} shorter than the {} that a park costs", waits.iter().filter(|wait| **wait <= park).count(), waits.len(), shown(park));
        for (name, budget) in [("nothing: park at once", 0), ("as long as a park costs", park), ("your budget", yours)] {
            println!("    {name:<24} {:>9}: {:>9}", shown(budget), shown(cost(&waits, park, budget) as u64));
        }
    }
}

fn check() {
    (1..=40).for_each(bench);
    (1..=200).for_each(percentile);
    (1..=200).for_each(budget);
    reading();
    println!("NOTE\t40 benches in simulated time, 200 sets of percentiles, 200 days of waits");
    println!("PASS");
}

fn main() {
    let mut args = std::env::args().skip(1);
    match args.next() {
        Some(_) => show(args.next().and_then(|seed| seed.parse().ok()).unwrap_or(1)),
        None => check(),
    }
}
