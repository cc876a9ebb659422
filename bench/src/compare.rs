//! `halyard-bench compare`: what changed between two runs beyond the noise of their rounds.
//!
//! The rule: a figure changed if an exact rank-sum test over its rounds says that the two runs differ (two-sided,
//! p ≤ 0.01) *and* its medians differ by at least the threshold. The test asks only which rounds were higher, so one
//! wild round decides nothing; the threshold keeps what is real but does not matter out of the way. With fewer than
//! five rounds on each side no such p can come out, and the verdict is that nothing can be told.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::document::{Document, Figure};
use crate::failure::{DIFFERENT, Failure};
use crate::figures::{Spread, Stat, times};

/// Say what changed between two runs, beyond the noise of their rounds
///
/// Of latencies p50, p99 and p99.9 are compared, of everything else the value. A change is reported if an exact
/// rank-sum test over the rounds gives p ≤ 0.01 and the medians differ by the threshold at least; that takes five
/// rounds on each side, and a percentile enough samples in each. A floor is neither better nor worse: if it moved, the
/// machine did. Nor is a circumstance, such as what a flooder pushed. Ends with exit code 1 if something got worse, with 2 if the rounds are too few to tell anything.
#[derive(Args, Debug)]
pub(crate) struct Compare {
    /// Results before, written with --json or --save
    before: PathBuf,
    /// Results after
    after: PathBuf,
    /// Compare each figure's ratio to its floor instead of the figure: for runs on different machines, or on one that
    /// was busier
    #[arg(long)]
    ratio: bool,
    /// Smallest change of the median that counts, percent
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0, value_parser = percent)]
    threshold: f64,
    /// Show what did not change, too
    #[arg(long)]
    all: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn percent(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value: &f64| (0.0..=1000.0).contains(value));
    value.ok_or_else(|| "a number of percent from 0 to 1000".to_owned())
}

/// The largest p at which two runs count as different.
const LEVEL: f64 = 0.01;

/// What is said of one figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    Better,
    Worse,
    Same,
    TooFewRounds,
    /// A floor is the machine, and a machine is neither better nor worse work.
    FloorMoved,
    /// It is a circumstance, and neither better nor worse.
    Changed,
}

/// One figure of both runs.
#[derive(Clone, Debug, Serialize)]
struct Change {
    id: String,
    label: String,
    stat: &'static str,
    before: f64,
    after: f64,
    percent: f64,
    p: f64,
    verdict: Verdict,
    #[serde(skip)]
    shown: [String; 2],
}

impl Compare {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let (before, after) = (Document::read(&self.before)?, Document::read(&self.after)?);
        let changes = changes(&before, &after, self.ratio, self.threshold);
        if changes.is_empty() {
            return Err(Failure::usage(format_args!(
                "{} and {} have no figure in common{}",
                self.before.display(),
                self.after.display(),
                if self.ratio { " that has a floor" } else { "" }
            )));
        }
        if self.json {
            crate::out(&(serde_json::to_string(&changes).expect("changes are strings and numbers") + "\n"));
        } else {
            crate::out(&self.text(&before, &after, &changes));
        }
        if changes.iter().all(|change| change.verdict == Verdict::TooFewRounds) {
            return Err(Failure::usage(
                "nothing can be told from so few rounds: take five or more on each side",
            ));
        }
        match changes.iter().filter(|change| change.verdict == Verdict::Worse).count() {
            0 => Ok(()),
            worse => Err(Failure::of(DIFFERENT, format_args!("{worse} of {} got worse", changes.len()))),
        }
    }

    fn text(&self, before: &Document, after: &Document, changes: &[Change]) -> String {
        let mut text = format!("before: {}\nafter:  {}\n", before.command_line(), after.command_line());
        if before.machine.cpu != after.machine.cpu || before.machine.cpus.len() != after.machine.cpus.len() {
            text += "The machines differ";
            text += if self.ratio { ".\n" } else { ": compare with --ratio.\n" };
        } else if !self.ratio && changes.iter().any(|change| change.verdict == Verdict::FloorMoved) {
            text += "The floor itself moved, so the machine was not the same: compare with --ratio, or measure both in \
                     one sitting.\n";
        }
        for (id, which) in lost(before, after) {
            let _ = writeln!(text, "only {which}: {id}");
        }
        let wide = changes.iter().map(|change| change.label.chars().count()).max().unwrap_or(0);
        for change in changes.iter().filter(|change| self.all || change.verdict != Verdict::Same) {
            let _ = writeln!(
                text,
                "{:wide$}  {:>5}  {:>12} → {:<12}  {:>+7.1} %  p {:.4}  {}",
                change.label,
                change.stat,
                change.shown[0],
                change.shown[1],
                change.percent,
                change.p,
                match change.verdict {
                    Verdict::Better => "better",
                    Verdict::Worse => "WORSE",
                    Verdict::Same => "same",
                    Verdict::TooFewRounds => "too few rounds to tell",
                    Verdict::FloorMoved => "the floor moved",
                    Verdict::Changed => "changed",
                }
            );
        }
        let count = |verdict| changes.iter().filter(|change| change.verdict == verdict).count();
        let _ = writeln!(
            text,
            "{} compared: {} better, {} worse, {} within noise or {} %, {} with too few rounds. By chance alone up to \
             {:.1} would seem to change.",
            changes.len(),
            count(Verdict::Better),
            count(Verdict::Worse),
            count(Verdict::Same),
            self.threshold,
            count(Verdict::TooFewRounds),
            changes.len() as f64 * LEVEL,
        );
        text
    }
}

/// The figures that only one of the runs has.
fn lost<'a>(before: &'a Document, after: &'a Document) -> Vec<(&'a str, &'static str)> {
    let only = |one: &'a Document, other: &'a Document, which| {
        let missing = one.figures.iter().filter(move |figure| other.figure(&figure.id).is_none());
        missing.map(move |figure| (figure.id.as_str(), which)).collect::<Vec<_>>()
    };
    [only(before, after, "before"), only(after, before, "after")].concat()
}

fn changes(before: &Document, after: &Document, ratio: bool, threshold: f64) -> Vec<Change> {
    let mut changes = Vec::new();
    for old in &before.figures {
        let Some(new) = after.figure(&old.id).filter(|new| new.unit == old.unit) else { continue };
        let stats: &[Stat] =
            if old.is_latency() { &[Stat::P50, Stat::P99, Stat::P999] } else { &[Stat::P50] };
        for &stat in stats {
            let scarce = |figure: &Figure| figure.is_latency() && figure.percentile(stat).is_none();
            if scarce(old) || scarce(new) {
                continue;
            }
            let values = (rounds(before, old, stat, ratio), rounds(after, new, stat, ratio));
            let (Some(a), Some(b)) = values else { continue };
            let floor = !ratio && (before.is_floor(old) || after.is_floor(new));
            changes.extend(change(old, stat, &a, &b, ratio, threshold).map(|change| change.of_floor(floor)));
        }
    }
    changes
}

/// A figure's rounds, or their ratios to the floor's rounds; `None` if there is no floor.
fn rounds(document: &Document, figure: &Figure, stat: Stat, ratio: bool) -> Option<Vec<f64>> {
    let own = figure.rounds.iter().map(|round| round.get(stat));
    if !ratio {
        return Some(own.collect());
    }
    let floor = document.floor_of(figure)?.rounds.iter().map(|round| round.get(stat));
    Some(own.zip(floor).filter(|(_, floor)| *floor > 0.0).map(|(own, floor)| own / floor).collect())
}

fn change(figure: &Figure, stat: Stat, a: &[f64], b: &[f64], ratio: bool, threshold: f64) -> Option<Change> {
    let (before, after) = (Spread::over(a.iter().copied())?.median, Spread::over(b.iter().copied())?.median);
    let percent = if before == after { 0.0 } else { (after / before - 1.0) * 100.0 };
    let p = rank_sum(a, b);
    let verdict = if lowest_p(a.len(), b.len()) > LEVEL {
        Verdict::TooFewRounds
    } else if p > LEVEL || percent.abs() < threshold {
        Verdict::Same
    } else if figure.circumstance {
        Verdict::Changed
    } else if (after > before) == figure.unit.higher_is_better() {
        Verdict::Better
    } else {
        Verdict::Worse
    };
    let show = |value| if ratio { times(value) } else { figure.unit.show(value) };
    Some(Change {
        id: figure.id.clone(),
        label: figure.label.clone(),
        stat: if figure.is_latency() { stat.name() } else { "" },
        before,
        after,
        percent,
        p,
        verdict,
        shown: [show(before), show(after)],
    })
}

impl Change {
    /// The same, if it is of a floor.
    fn of_floor(mut self, floor: bool) -> Self {
        if floor && matches!(self.verdict, Verdict::Better | Verdict::Worse) {
            self.verdict = Verdict::FloorMoved;
        }
        self
    }
}

/// The p of two runs of so many rounds that do not overlap at all.
fn lowest_p(a: usize, b: usize) -> f64 {
    // Two of all the ways to choose which ranks are the first run's.
    (0..a).fold(2.0, |p, k| p * (k + 1) as f64 / (b + k + 1) as f64)
}

/// More rounds than this in both runs together: the normal approximation is as good as the exact distribution.
const EXACT: usize = 60;

/// The two-sided p of Wilcoxon's rank-sum test, ties at their middle rank: how likely the first run's ranks would lie
/// so far off the middle if the rounds had been dealt to the two runs by chance.
fn rank_sum(a: &[f64], b: &[f64]) -> f64 {
    let mut all: Vec<f64> = a.iter().chain(b).copied().collect();
    all.sort_by(f64::total_cmp);
    // Twice the middle rank, a whole number.
    let rank = |value: f64| {
        let below = all.partition_point(|other| *other < value);
        let upto = all.partition_point(|other| *other <= value);
        below + upto + 1
    };
    let ranks: Vec<usize> = all.iter().map(|&value| rank(value)).collect();
    let (own, total) = (a.iter().map(|&value| rank(value)).sum::<usize>(), ranks.iter().sum::<usize>());
    let middle = total as f64 * a.len() as f64 / all.len() as f64;
    let off = (own as f64 - middle).abs();
    if all.len() > EXACT {
        let (n, m) = (a.len() as f64, b.len() as f64);
        let deviation = 2.0 * (n * m * (n + m + 1.0) / 12.0).sqrt();
        return normal_tails(off / deviation);
    }
    // ways[k][s]: how many choices of k of the ranks have the sum s.
    let mut ways = vec![vec![0.0f64; total + 1]; a.len() + 1];
    ways[0][0] = 1.0;
    for rank in ranks {
        for k in (1..=a.len()).rev() {
            for sum in (rank..=total).rev() {
                ways[k][sum] += ways[k - 1][sum - rank];
            }
        }
    }
    let as_far = |sum: usize| (sum as f64 - middle).abs() >= off - 1e-9;
    let all_ways: f64 = ways[a.len()].iter().sum();
    let far: f64 =
        ways[a.len()].iter().enumerate().filter(|(sum, _)| as_far(*sum)).map(|(_, ways)| ways).sum();
    far / all_ways
}

/// Both tails of the normal distribution beyond `z` deviations (Abramowitz and Stegun 26.2.17, to 1e-7).
fn normal_tails(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let series = t
        * (0.319_381_53
            + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    (2.0 * (-z * z / 2.0).exp() / std::f64::consts::TAU.sqrt() * series).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Results;
    use crate::results::samples::{quantity, series};

    fn latencies(medians: &[u64]) -> Document {
        let mut results = Results::new("hop", Vec::new());
        results.add_alone(series("floor", &vec![100; medians.len()]));
        results.add(series("hop", medians), "floor");
        results.document()
    }

    fn rates(rounds: &[f64]) -> Document {
        let mut results = Results::new("throughput", Vec::new());
        results.add_alone(quantity("ring", rounds));
        results.document()
    }

    fn verdict(before: &Document, after: &Document, id: &str) -> Verdict {
        let changes = changes(before, after, false, 5.0);
        changes.iter().find(|change| change.id == id).unwrap().verdict
    }

    #[test]
    fn what_is_beyond_the_rounds_spread_changed() {
        let (old, new) = (latencies(&[300, 302, 304, 306, 308]), latencies(&[400, 402, 404, 406, 408]));
        assert_eq!(verdict(&old, &new, "hop"), Verdict::Worse);
        assert_eq!(verdict(&new, &old, "hop"), Verdict::Better);
        assert_eq!(verdict(&old, &new, "floor"), Verdict::Same);
    }

    #[test]
    fn a_faster_machine_makes_no_better_floor() {
        let run = |pace: u64| {
            let mut results = Results::new("hop", Vec::new());
            results.add_alone(series("floor", &[100, 101, 102, 103, 104].map(|ns| ns * pace)));
            results.add(series("hop", &[125, 126, 127, 128, 129].map(|ns| ns * pace)), "floor");
            results.document()
        };
        assert_eq!(verdict(&run(2), &run(1), "floor"), Verdict::FloorMoved);
        assert_eq!(verdict(&run(1), &run(2), "floor"), Verdict::FloorMoved);
        assert_eq!(verdict(&run(2), &run(1), "hop"), Verdict::Better);
    }

    #[test]
    fn more_of_a_circumstance_is_neither_better_nor_worse() {
        let run = |rates: &[f64]| {
            let mut results = Results::new("flood", Vec::new());
            results.add_alone(quantity("pushed", rates).circumstance());
            results.document()
        };
        let (less, more) = (run(&[1.0, 1.1, 1.2, 1.3, 1.4]), run(&[2.0, 2.1, 2.2, 2.3, 2.4]));
        assert_eq!(verdict(&less, &more, "pushed"), Verdict::Changed);
        assert_eq!(verdict(&more, &less, "pushed"), Verdict::Changed);
        assert_eq!(verdict(&less, &less, "pushed"), Verdict::Same);
    }

    #[test]
    fn a_percentile_without_samples_is_not_compared() {
        let run = |samples: u64| {
            let mut rounds = series("hop", &[]);
            for median in 300..305 {
                let mut round = crate::figures::histogram();
                round.record_n(median, samples).unwrap();
                rounds.rounds.push(round);
            }
            let mut results = Results::new("hop", Vec::new());
            results.add_alone(rounds);
            results.document()
        };
        let stats = |samples| {
            changes(&run(samples), &run(samples), false, 5.0).iter().map(|c| c.stat).collect::<Vec<_>>()
        };
        assert_eq!(stats(1000), ["p50", "p99", "p99.9"]);
        assert_eq!(stats(999), ["p50", "p99"]);
        assert_eq!(stats(99), ["p50"]);
    }

    #[test]
    fn more_a_second_is_better() {
        let (old, new) =
            (rates(&[100.0, 101.0, 102.0, 103.0, 104.0]), rates(&[200.0, 201.0, 202.0, 203.0, 204.0]));
        assert_eq!(verdict(&old, &new, "ring"), Verdict::Better);
        assert_eq!(verdict(&new, &old, "ring"), Verdict::Worse);
    }

    #[test]
    fn noise_small_changes_and_single_wild_rounds_are_no_change() {
        let old = rates(&[100.0, 140.0, 90.0, 120.0, 110.0]);
        assert_eq!(verdict(&old, &rates(&[95.0, 150.0, 85.0, 125.0, 90.0]), "ring"), Verdict::Same);
        assert_eq!(verdict(&old, &rates(&[100.0, 140.0, 90.0, 120.0, 900.0]), "ring"), Verdict::Same);
        let steady = |at: f64| rates(&[at, at + 0.1, at + 0.2, at + 0.3, at + 0.4]);
        assert_eq!(
            verdict(&steady(100.0), &steady(103.0), "ring"),
            Verdict::Same,
            "3 % is under the threshold"
        );
        assert_eq!(verdict(&steady(100.0), &steady(106.0), "ring"), Verdict::Better);
    }

    #[test]
    fn four_rounds_tell_nothing() {
        let (old, new) = (rates(&[1.0, 2.0, 3.0, 4.0]), rates(&[10.0, 20.0, 30.0, 40.0]));
        assert_eq!(verdict(&old, &new, "ring"), Verdict::TooFewRounds);
    }

    #[test]
    fn a_slower_machine_does_not_change_a_ratio() {
        let run = |pace: u64| {
            let mut results = Results::new("hop", Vec::new());
            let rounds = |base: u64| (0..6).map(|n| (base + n) * pace).collect::<Vec<_>>();
            results.add_alone(series("floor", &rounds(100)));
            results.add(series("hop", &rounds(125)), "floor");
            results.document()
        };
        let plain = changes(&run(1), &run(2), false, 5.0);
        assert!(plain.iter().any(|change| change.verdict == Verdict::Worse));
        let ratios = changes(&run(1), &run(2), true, 5.0);
        assert!(!ratios.is_empty() && ratios.iter().all(|change| change.verdict == Verdict::Same));
    }

    #[test]
    fn the_test_is_the_textbooks() {
        // Five against five, no overlap: 2 of 252 ways.
        let (low, high) = ([1.0, 2.0, 3.0, 4.0, 5.0], [6.0, 7.0, 8.0, 9.0, 10.0]);
        assert!((rank_sum(&low, &high) - 2.0 / 252.0).abs() < 1e-12);
        assert!((lowest_p(5, 5) - 2.0 / 252.0).abs() < 1e-12);
        assert_eq!(rank_sum(&low, &low), 1.0);
        // Exact and approximate agree where both can be had.
        assert!((normal_tails(1.959_964) - 0.05).abs() < 1e-5);
    }
}
