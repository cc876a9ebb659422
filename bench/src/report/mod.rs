//! `halyard-bench report`: results drawn, as one HTML page or in the terminal, and handed on to other tools.

mod bars;
mod export;
mod html;
mod page;
mod plot;
mod text;

use std::path::PathBuf;

use clap::Args;
use hdrhistogram::Histogram;

use crate::document::{Document, Figure};
use crate::failure::{Failure, While as _};
use crate::figures;

/// Draw results: one HTML page that needs nothing else, or a plot here in the terminal
///
/// FILES are what --json or --save wrote. Without -o, --csv or --hgrm the plots and tables go to standard output.
#[derive(Args, Debug)]
pub(crate) struct Report {
    /// Files of results
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Write one self-contained HTML page
    #[arg(short, long, value_name = "PAGE.html")]
    output: Option<PathBuf>,
    /// Write every round of every figure as a line of CSV
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write a .hgrm file for each latency, which HdrHistogram's plotters read, into this folder
    #[arg(long, value_name = "FOLDER")]
    hgrm: Option<PathBuf>,
}

impl Report {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let documents = self.files.iter().map(|path| Document::read(path)).collect::<Result<Vec<_>, _>>()?;
        if let Some(path) = &self.output {
            let name = |path: &PathBuf| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let files: Vec<(String, Document)> =
                self.files.iter().map(name).zip(documents.iter().cloned()).collect();
            std::fs::write(path, page::render(&files)).doing(format_args!("writing {}", path.display()))?;
        }
        if let Some(path) = &self.csv {
            std::fs::write(path, export::csv(&documents))
                .doing(format_args!("writing {}", path.display()))?;
        }
        if let Some(folder) = &self.hgrm {
            std::fs::create_dir_all(folder).doing(format_args!("making {}", folder.display()))?;
            for (name, text) in export::hgrm(&documents) {
                let path = folder.join(name);
                std::fs::write(&path, text).doing(format_args!("writing {}", path.display()))?;
            }
        }
        if self.output.is_none() && self.csv.is_none() && self.hgrm.is_none() {
            crate::out(&documents.iter().map(text::render).collect::<Vec<_>>().join("\n"));
        }
        Ok(())
    }
}

/// A latency's histogram; `None` if the figure is none or its histogram cannot be read.
fn histogram(figure: &Figure) -> Option<Histogram<u64>> {
    figures::decode(figure.histogram.as_deref()?).filter(|histogram| !histogram.is_empty())
}

/// The longest percentile axis: six nines.
const NINES_MAX: f64 = 6.0;

/// How many nines the axis needs: the percentile beyond which lies less than one sample of the largest histogram.
fn nines(histograms: &[Histogram<u64>]) -> f64 {
    let most = histograms.iter().map(Histogram::len).max().unwrap_or(1);
    (most as f64).log10().clamp(1.0, NINES_MAX)
}

/// The quantile at `nines` of HdrHistogram's axis: 0 is 0, 1 is 0.9, 2 is 0.99.
fn quantile(nines: f64) -> f64 {
    1.0 - 10f64.powf(-nines)
}

/// The percentile at a whole number of nines, for people.
fn percentile_name(nines: u32) -> String {
    match nines {
        0 => "0 %".to_owned(),
        1 => "90 %".to_owned(),
        2 => "99 %".to_owned(),
        more => format!("99.{} %", "9".repeat(more as usize - 2)),
    }
}

/// The decades that hold these latencies, as powers of ten of nanoseconds.
fn decades(histograms: &[Histogram<u64>]) -> (i32, i32) {
    let low = histograms.iter().map(|histogram| histogram.min().max(1)).min().unwrap_or(1);
    let high = histograms.iter().map(|histogram| histogram.max().max(1)).max().unwrap_or(1);
    let low = (low as f64).log10().floor() as i32;
    (low, ((high as f64).log10().ceil() as i32).max(low + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_is_hdr_histograms() {
        assert_eq!([0, 1, 2, 3, 4].map(percentile_name), ["0 %", "90 %", "99 %", "99.9 %", "99.99 %"]);
        assert!((quantile(3.0) - 0.999).abs() < 1e-12);
        let mut histogram = figures::histogram();
        histogram.record_n(250, 1000).unwrap();
        assert_eq!(decades(&[histogram.clone()]), (2, 3));
        assert!((nines(&[histogram]) - 3.0).abs() < 1e-9);
    }
}
