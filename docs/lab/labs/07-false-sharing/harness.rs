#[path = "{ANSWER}"]
mod answer;

use answer::Cursors;
use std::mem::{align_of, offset_of, size_of};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

const LINE: usize = 64;

fn fail(rule: &str, what: &str, advice: &str) -> ! {
    println!("FAIL\t{rule}\t{what}\t{advice}");
    std::process::exit(0)
}

fn main() {
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
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let pair = &all[0];
        scope.spawn(move || (0..2_000_000u64).for_each(|n| pair.head.store(n, Relaxed)));
        scope.spawn(move || (0..2_000_000u64).for_each(|n| pair.tail.store(n, Relaxed)));
    });
    println!("NOTE\ttwo threads, 2,000,000 stores each: {:.1} ms (for information; not judged)", begun.elapsed().as_secs_f64() * 1e3);
    println!("PASS");
}
