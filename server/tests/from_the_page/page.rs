//! `docs/protocol.md` as data: its tables by heading, its C.

use std::collections::HashMap;

const TEXT: &str = include_str!("../../../docs/protocol.md");

/// A field of a layout table, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) offset: usize,
    pub(crate) size: usize,
}

/// A field of a table of bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bits {
    low: u32,
    count: u32,
}

impl Bits {
    pub(crate) fn of(self, word: u64) -> u64 {
        word >> self.low & self.mask()
    }

    pub(crate) fn with(self, value: u64) -> u64 {
        (value & self.mask()) << self.low
    }

    pub(crate) fn mask(self) -> u64 {
        u64::MAX >> (64 - self.count)
    }

    pub(crate) fn count(self) -> u32 {
        self.count
    }
}

/// The page. Every table is known by the heading above it, every row by its cell in the column `name`.
pub(crate) struct Page {
    /// Heading and name to the row's cells by column.
    rows: HashMap<(String, String), HashMap<String, String>>,
    /// The names of each table in their order.
    names: HashMap<String, Vec<String>>,
}

impl Page {
    pub(crate) fn read() -> Self {
        let mut page = Self { rows: HashMap::new(), names: HashMap::new() };
        let (mut heading, mut columns) = (String::new(), Vec::new());
        for line in TEXT.lines() {
            // Not `#define`.
            if let Some(title) = line.trim_start_matches('#').strip_prefix(' ')
                && line.starts_with('#')
            {
                heading = title.trim().to_owned();
            }
            let Some(inner) = line.strip_prefix('|').and_then(|line| line.trim_end().strip_suffix('|'))
            else {
                columns.clear();
                continue;
            };
            let cells: Vec<String> =
                inner.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect();
            if columns.is_empty() {
                columns = cells;
            } else if !cells[0].starts_with("--") && !cells[0].starts_with(":-") {
                page.add(&heading, &columns, cells);
            }
        }
        page
    }

    fn add(&mut self, heading: &str, columns: &[String], cells: Vec<String>) {
        assert_eq!(columns.len(), cells.len(), "a row of {heading}: {cells:?}");
        let Some(at) = columns.iter().position(|column| column == "name") else { return };
        let name = cells[at].clone();
        self.names.entry(heading.to_owned()).or_default().push(name.clone());
        let row = columns.iter().cloned().zip(cells).collect();
        let double = self.rows.insert((heading.to_owned(), name.clone()), row);
        assert!(double.is_none(), "{heading} has {name} twice");
    }

    /// The names of a table's rows.
    pub(crate) fn names(&self, table: &str) -> &[String] {
        self.names.get(table).unwrap_or_else(|| panic!("the page has no table {table}"))
    }

    /// One cell.
    pub(crate) fn cell(&self, table: &str, name: &str, column: &str) -> &str {
        let row = self.rows.get(&(table.to_owned(), name.to_owned()));
        row.and_then(|row| row.get(column))
            .unwrap_or_else(|| panic!("the page's {table} has no {column} of {name}"))
    }

    fn number(&self, table: &str, name: &str, column: &str) -> u64 {
        let cell = self.cell(table, name, column);
        let parsed = match cell.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16),
            None => cell.replace(',', "").parse(),
        };
        parsed.unwrap_or_else(|_| panic!("{table}, {name}: {cell:?} is no number"))
    }

    /// Where a field of a layout lies.
    pub(crate) fn field(&self, table: &str, name: &str) -> Field {
        let number = |column| self.number(table, name, column) as usize;
        Field { offset: number("offset"), size: number("size") }
    }

    /// The number of a name.
    pub(crate) fn value(&self, table: &str, name: &str) -> u64 {
        self.number(table, name, "value")
    }

    /// Which bits of a word a field has.
    pub(crate) fn bits(&self, table: &str, name: &str) -> Bits {
        let cell = self.cell(table, name, "bits");
        let (low, high) = cell.split_once('–').unwrap_or((cell, cell));
        let parse =
            |text: &str| text.parse::<u32>().unwrap_or_else(|_| panic!("{table}, {name}: bits {cell:?}"));
        let low = parse(low);
        Bits { low, count: parse(high) - low + 1 }
    }

    /// All C of the page, in its order.
    pub(crate) fn c(&self) -> String {
        let blocks = TEXT.split("```c\n").skip(1);
        blocks.map(|rest| rest.split("```").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
    }
}
