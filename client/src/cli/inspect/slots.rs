//! The ring picture: a cell for every slot.

use std::fmt::Write as _;

use halyard_ring::{Phase, SlotSnapshot, Snapshot};

use crate::cli::ls::paint::{Paint, Style};
use crate::cli::ls::units;

/// Columns in front of the cells: the index of the row's first slot.
const MARGIN: usize = 12;

/// The glyph of a phase. Four that differ without colour.
pub(super) fn glyph(phase: Phase) -> char {
    match phase {
        Phase::Free => '·',
        Phase::Claimed => 'w',
        Phase::Ready => '#',
        Phase::Void => 'x',
    }
}

fn style(phase: Phase) -> Style {
    match phase {
        Phase::Free => Style::Dim,
        Phase::Claimed => Style::Warn,
        Phase::Ready => Style::Good,
        Phase::Void => Style::Bad,
    }
}

/// How many slots are in each phase, in the order of the legend.
pub(super) fn census(snapshot: &Snapshot) -> [(Phase, usize); 4] {
    [Phase::Ready, Phase::Claimed, Phase::Void, Phase::Free]
        .map(|phase| (phase, snapshot.slots.iter().filter(|slot| slot.state.phase() == phase).count()))
}

/// The legend with the census.
pub(super) fn legend(snapshot: &Snapshot, paint: &Paint) -> String {
    let words = ["ready", "claimed", "void", "free"];
    let mut text = String::new();
    for ((phase, number), word) in census(snapshot).into_iter().zip(words) {
        if !text.is_empty() {
            text.push_str("   ");
        }
        let _ = write!(
            text,
            "{} {word} {}",
            paint.apply(style(phase), glyph(phase).encode_utf8(&mut [0; 4])),
            units::count(number as u64)
        );
    }
    text
}

/// Rows of cells. A row that looks like the one above it and bears no mark is left out; how many are is said.
pub(super) fn picture(snapshot: &Snapshot, paint: &Paint) -> Vec<String> {
    let per_row = cells_per_row(paint.width.unwrap_or(80), snapshot.slots.len());
    let capacity = snapshot.slots.len().max(1) as u64;
    let (head, tail) = ((snapshot.head % capacity) as usize, (snapshot.tail % capacity) as usize);
    let mut lines = Vec::new();
    let mut skipped = 0;
    let mut above: Option<&[SlotSnapshot]> = None;
    for (number, row) in snapshot.slots.chunks(per_row).enumerate() {
        let first = number * per_row;
        let marked = [head, tail].iter().any(|mark| (first..first + row.len()).contains(mark));
        if !marked && above.is_some_and(|above| same(above, row)) {
            skipped += 1;
            continue;
        }
        flush(&mut lines, &mut skipped, per_row);
        lines.push(format!("{first:>width$}  {}", cells(row, paint), width = MARGIN - 2));
        if marked {
            lines.extend(marks(head, tail, first, row.len(), snapshot.head == snapshot.tail, paint));
        }
        above = Some(row);
    }
    flush(&mut lines, &mut skipped, per_row);
    lines
}

/// The largest power of two that fits, so that the rows' indexes are round.
fn cells_per_row(width: usize, slots: usize) -> usize {
    let room = width.saturating_sub(MARGIN).clamp(16, 128);
    (1 << room.ilog2()).min(slots.max(1))
}

fn same(above: &[SlotSnapshot], row: &[SlotSnapshot]) -> bool {
    above.len() == row.len() && above.iter().zip(row).all(|(a, b)| a.state.phase() == b.state.phase())
}

fn flush(lines: &mut Vec<String>, skipped: &mut usize, per_row: usize) {
    if *skipped > 0 {
        let slots = units::count((*skipped * per_row) as u64);
        let rows = if *skipped == 1 { "row" } else { "rows" };
        lines.push(format!(
            "{:>width$}  {} more {rows} like this ({slots} slots)",
            "…",
            units::count(*skipped as u64),
            width = MARGIN - 2
        ));
        *skipped = 0;
    }
}

/// The glyphs of a row; neighbours in one phase share one colour code.
fn cells(row: &[SlotSnapshot], paint: &Paint) -> String {
    let mut text = String::new();
    for run in row.chunk_by(|a, b| a.state.phase() == b.state.phase()) {
        let phase = run[0].state.phase();
        text.push_str(&paint.apply(style(phase), &glyph(phase).to_string().repeat(run.len())));
    }
    text
}

/// The lines under a row that show where head and tail are.
fn marks(head: usize, tail: usize, first: usize, len: usize, empty: bool, paint: &Paint) -> Vec<String> {
    let here = |slot: usize| (first..first + len).contains(&slot).then(|| slot - first);
    let texts = match (here(head), here(tail)) {
        (Some(at), Some(_)) if head == tail => {
            vec![mark(at, if empty { "head = tail: empty" } else { "head = tail: full" }, len)]
        }
        (Some(head), Some(tail)) => {
            let (low, high) =
                if head < tail { ((head, "head"), (tail, "tail")) } else { ((tail, "tail"), (head, "head")) };
            let (a, b) = (mark(low.0, low.1, len), mark(high.0, high.1, len));
            match over(&a, &b) {
                Some(both) => vec![both],
                None => vec![a, b],
            }
        }
        (Some(at), None) => vec![mark(at, "head", len)],
        (None, Some(at)) => vec![mark(at, "tail", len)],
        (None, None) => vec![],
    };
    texts
        .into_iter()
        .map(|text| format!("{}{}", " ".repeat(MARGIN), paint.apply(Style::Bold, &text)))
        .collect()
}

/// An arrow under cell `at`, its label on the side where there is room.
fn mark(at: usize, label: &str, len: usize) -> String {
    let width = label.chars().count() + 1;
    if at + width < len.max(40) || at < width {
        format!("{}^ {label}", " ".repeat(at))
    } else {
        format!("{}{label} ^", " ".repeat(at - width))
    }
}

/// Two mark lines in one, if they leave each other room.
fn over(a: &str, b: &str) -> Option<String> {
    let start = b.len() - b.trim_start().len();
    (a.len() < start).then(|| format!("{a}{}", &b[a.len()..]))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use halyard_ring::{PopError, Ring, RingOptions};

    use super::*;

    fn shown(ring: &Ring<u64>, width: usize) -> Vec<String> {
        picture(&ring.inspect(), &Paint::plain(Some(width)))
    }

    #[test]
    fn every_phase_has_its_glyph_and_head_and_tail_their_marks() {
        let ring = Ring::<u64>::heap(&RingOptions::mpsc(16).grace(Duration::ZERO));
        let mut consumer = ring.consumer().unwrap();
        let (mut slow, mut quick, mut late) =
            (ring.producer().unwrap(), ring.producer().unwrap(), ring.producer().unwrap());
        quick.try_push(1).unwrap();
        let voided = slow.try_claim().unwrap();
        quick.try_push(2).unwrap();
        assert_eq!(
            (consumer.try_pop(), consumer.try_pop()),
            (Ok(1), Ok(2)),
            "the claim between them is passed over"
        );
        quick.try_push(3).unwrap();
        let claimed = late.try_claim().unwrap();
        assert_eq!(
            shown(&ring, 80),
            ["         0  ·x·#w···········", "               ^ head", "                 ^ tail"]
        );
        assert_eq!(census(&ring.inspect()).map(|(_, number)| number), [1, 1, 1, 13]);
        drop((claimed, voided));
    }

    #[test]
    fn an_empty_and_a_full_ring_say_so() {
        let ring = Ring::<u64>::heap(&RingOptions::spsc(4));
        assert_eq!(shown(&ring, 80), ["         0  ····", "            ^ head = tail: empty"]);
        let mut producer = ring.producer().unwrap();
        assert_eq!(producer.push_batch(&[1, 2, 3, 4]), Ok(4));
        assert_eq!(shown(&ring, 80), ["         0  ####", "            ^ head = tail: full"]);
        let mut consumer = ring.consumer().unwrap();
        while consumer.try_pop() != Err(PopError::Empty) {}
        assert_eq!(shown(&ring, 80)[1], "            ^ head = tail: empty");
    }

    #[test]
    fn rows_that_repeat_are_counted_and_not_drawn() {
        let ring = Ring::<u64>::heap(&RingOptions::spsc(1024));
        let mut producer = ring.producer().unwrap();
        producer.push_batch(&[0; 70]).unwrap();
        assert_eq!(
            shown(&ring, 80),
            [
                format!("         0  {}", "#".repeat(64)),
                "            ^ head".into(),
                format!("        64  ######{}", "·".repeat(58)),
                "                  ^ tail".into(),
                format!("       128  {}", "·".repeat(64)),
                "         …  13 more rows like this (832 slots)".into(),
            ]
        );
        assert!(shown(&ring, 200)[0].ends_with(&"·".repeat(58)), "128 cells to a row");
        assert_eq!(shown(&ring, 20)[0], format!("         0  {}", "#".repeat(16)));
    }

    #[test]
    fn marks_stay_in_sight_at_the_right_edge() {
        let ring = Ring::<u64>::heap(&RingOptions::spsc(64));
        ring.producer().unwrap().push_batch(&[0; 62]).unwrap();
        assert_eq!(shown(&ring, 80)[1], format!("            ^ head{}tail ^", " ".repeat(51)));
    }
}
