#[path = "{ANSWER}"]
mod answer;

use answer::Cursors;
use std::mem::{align_of, offset_of, size_of};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

const LINE: usize = 64;

fn fail(rule: &str, what: &str, advice: &str) -> ! {
    println!("FAIL\t{rule}\t{what}\t{advice}");
    std::process::exit(0)
}

fn main() {
    match std::env::args().nth(1) {
        Some(_) => show(),
        None => check(),
    }
}

fn check() {
    let (head, tail) = (offset_of!(Cursors, head), offset_of!(Cursors, tail));
    let (size, align) = (size_of::<Cursors>(), align_of::<Cursors>());
    println!("NOTE\thead at byte {head}, tail at byte {tail}, size {size}, alignment {align}");
    if head.abs_diff(tail) < LINE {
        fail(
            "layout",
            &format!("head and tail lie {} bytes apart: they can share a cache line of {LINE} bytes", head.abs_diff(tail)),
            "aligning the whole struct does not move its fields apart: each field needs a line of its own",
        );
    }
    if align < LINE {
        fail(
            "layout",
            &format!("the alignment is {align}: in an array, the tail of one and the head of the next can share a line"),
            "padding alone does not say where a line begins: align each field to the line (#[repr(align(64))] on a wrapper)",
        );
    }
    let all: Vec<Cursors> = (0..4).map(|_| Cursors::default()).collect();
    let lines: Vec<usize> = all
        .iter()
        .flat_map(|c| [std::ptr::from_ref(&c.head) as usize / LINE, std::ptr::from_ref(&c.tail) as usize / LINE])
        .collect();
    let mut unique = lines.clone();
    unique.sort_unstable();
    unique.dedup();
    if unique.len() != lines.len() {
        fail("layout", "two words of an array of Cursors share a line", "each field needs a whole line, to its end");
    }
    println!("NOTE\twhat the layout costs on this machine: halyard-lab run 7 (for information; not judged)");
    println!("PASS");
}

const STEPS: u64 = 5_000_000;

/// Two threads move on a cursor each, as a producer and a consumer do; milliseconds until both are done.
fn race(head: &AtomicU64, tail: &AtomicU64) -> f64 {
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for word in [head, tail] {
            scope.spawn(move || (0..STEPS).for_each(|_| word.store(word.load(Relaxed) + 1, Relaxed)));
        }
    });
    begun.elapsed().as_secs_f64() * 1e3
}

/// Two words of one line.
#[derive(Default)]
#[repr(C, align(64))]
struct Together(AtomicU64, AtomicU64);

/// Two words, each with 128 bytes to itself.
#[derive(Default)]
#[repr(align(128))]
struct Alone(AtomicU64);

/// `run`: where the words lie, and what that costs here.
fn show() {
    let pair: Vec<Cursors> = (0..2).map(|_| Cursors::default()).collect();
    let words: Vec<(usize, char)> = pair
        .iter()
        .flat_map(|c| [(std::ptr::from_ref(&c.head) as usize, 'H'), (std::ptr::from_ref(&c.tail) as usize, 'T')])
        .collect();
    let first = words.iter().map(|word| word.0).min().unwrap_or(0) / LINE;
    let last = words.iter().map(|word| word.0).max().unwrap_or(0) / LINE;
    println!("An array of two Cursors, {} bytes each, as it lies in memory now. A row is a cache line of {LINE} bytes, a sign is 8 bytes, H is a head and T a tail:", size_of::<Cursors>());
    let mut skipped = false;
    for line in first..=last {
        let row: String = (0..LINE / 8)
            .map(|cell| words.iter().find(|word| word.0 / 8 == line * (LINE / 8) + cell).map_or('.', |word| word.1))
            .collect();
        if line - first < 16 || line == last {
            println!("  [{row}]{}", match row.chars().filter(|c| *c != '.').count() { 0 | 1 => "", _ => "  shared: a store to one takes the line from whoever stores into another" });
        } else if !skipped {
            println!("  ...");
            skipped = true;
        }
    }
    let (yours, together, alone) = (&pair[0], Together::default(), (Alone::default(), Alone::default()));
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..5 {
        times[0].push(race(&yours.head, &yours.tail));
        times[1].push(race(&together.0, &together.1));
        times[2].push(race(&alone.0.0, &alone.1.0));
    }
    println!("Two threads, one moves head on, the other tail, {STEPS} times each. Medians of 5 rounds in turn:");
    for (name, times) in ["your Cursors", "two words in one line", "two words 128 bytes apart"].iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        println!("  {name:<26} {:7.1} ms", times[2]);
    }
    println!("Times depend on the machine: where two threads share a core and its caches (lscpu -e shows it), nobody takes the line away.");
}
