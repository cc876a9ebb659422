//! Columns that line up.

use super::paint::{Paint, Style};

/// One cell: text, how it looks, and which side it keeps to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    text: String,
    style: Style,
    right: bool,
}

impl Cell {
    /// Text, kept left.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// A number, kept right.
    pub(crate) fn number(text: impl Into<String>) -> Self {
        Self { text: text.into(), right: true, ..Self::default() }
    }

    /// The same in another style.
    pub(crate) fn styled(mut self, style: Style) -> Self {
        self.style = style;
        self
    }
}

/// One line of a table.
enum Row {
    Cells(Vec<Cell>),
    /// A first cell, and a text that the columns do not bind.
    Note(Cell, String),
}

/// Rows of cells. A column is as wide as its widest cell.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

/// Spaces between two columns.
const GAP: usize = 2;
/// A cell is not cut shorter than this, however narrow the terminal is.
const LEAST: usize = 8;

impl Table {
    /// A table that begins with these titles.
    pub(crate) fn titled(titles: &[Cell]) -> Self {
        Self { rows: vec![Row::Cells(titles.iter().map(|cell| cell.clone().styled(Style::Dim)).collect())] }
    }

    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(Row::Cells(cells));
    }

    pub(crate) fn note(&mut self, first: Cell, text: impl Into<String>) {
        self.rows.push(Row::Note(first, text.into()));
    }

    /// The lines, each after `indent` spaces. A table wider than `paint`'s terminal has the longest names of its
    /// first column cut in the middle.
    pub(crate) fn lines(&self, indent: usize, paint: &Paint) -> Vec<String> {
        let mut widths: Vec<usize> = Vec::new();
        for row in &self.rows {
            let cells = match row {
                Row::Cells(cells) => cells.as_slice(),
                Row::Note(first, _) => core::slice::from_ref(first),
            };
            for (index, cell) in cells.iter().enumerate() {
                let wide = cell.text.chars().count();
                match widths.get_mut(index) {
                    Some(width) => *width = wide.max(*width),
                    None => widths.push(wide),
                }
            }
        }
        let total = indent + widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
        if let (Some(limit), Some(first)) = (paint.width, widths.first_mut()) {
            let over = total.saturating_sub(limit);
            *first = first.saturating_sub(over).max(LEAST.min(*first));
        }
        self.rows.iter().map(|row| line(row, &widths, indent, paint)).collect()
    }
}

fn line(row: &Row, widths: &[usize], indent: usize, paint: &Paint) -> String {
    let mut text = " ".repeat(indent);
    match row {
        Row::Cells(cells) => {
            for (index, (cell, width)) in cells.iter().zip(widths).enumerate() {
                let last = index + 1 == cells.len();
                put(&mut text, cell, if last && !cell.right { 0 } else { *width }, *width, paint);
                if !last {
                    text.push_str(&" ".repeat(GAP));
                }
            }
        }
        Row::Note(first, note) => {
            let width = widths.first().copied().unwrap_or(0);
            put(&mut text, first, width, width, paint);
            text.push_str(&" ".repeat(GAP));
            text.push_str(note);
        }
    }
    text.truncate(text.trim_end().len());
    text
}

/// Adds a cell, padded to `pad` and cut to `most`. The padding has no style, so that no underline or colour runs on.
fn put(line: &mut String, cell: &Cell, pad: usize, most: usize, paint: &Paint) {
    let text = cut(&cell.text, most);
    let fill = " ".repeat(pad.saturating_sub(text.chars().count()));
    if cell.right {
        line.push_str(&fill);
    }
    line.push_str(&paint.apply(cell.style, &text));
    if !cell.right {
        line.push_str(&fill);
    }
}

/// The text with its middle cut out, so that at most this many characters are left. Names differ at their ends.
pub(crate) fn cut(text: &str, most: usize) -> String {
    let chars: Vec<char> = text.chars().collect();
    if chars.len() <= most || most < 3 {
        return text.to_owned();
    }
    let tail = (most - 1) / 2;
    let head = most - 1 - tail;
    let mut short: String = chars[..head].iter().collect();
    short.push('…');
    short.extend(&chars[chars.len() - tail..]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::titled(&[Cell::text("RING"), Cell::number("FILL"), Cell::text("OWNER")]);
        table.row(vec![Cell::text("control"), Cell::number("0/4096"), Cell::text("7 halyard")]);
        table.row(vec![Cell::text("reply.1-0"), Cell::number("3/256"), Cell::text("81 x")]);
        table.note(Cell::text("broken"), "no ring");
        table
    }

    #[test]
    fn columns_line_up_and_nothing_trails() {
        let lines = table().lines(2, &Paint::plain(None));
        assert_eq!(
            lines,
            [
                "  RING         FILL  OWNER",
                "  control    0/4096  7 halyard",
                "  reply.1-0   3/256  81 x",
                "  broken     no ring"
            ]
        );
    }

    #[test]
    fn a_narrow_terminal_cuts_the_middle_of_names() {
        let mut table = Table::default();
        table.row(vec![Cell::text("a-very-long-ring-name-17"), Cell::text("alive")]);
        assert_eq!(table.lines(0, &Paint::plain(Some(24))), ["a-very-l…-name-17  alive"]);
        assert_eq!(cut("abcdefgh", 5), "ab…gh");
    }
}
