//! Results for other tools: CSV, and the percentile files that HdrHistogram's plotters read.

use std::fmt::Write as _;

use crate::document::{Document, Round};

const COLUMNS: &str = "command,id,label,section,unit,floor,round,value,count,mean_ns,min_ns,p50_ns,p90_ns,p99_ns,p999_ns,max_ns";

/// A line a round of each figure.
pub(super) fn csv(documents: &[Document]) -> String {
    let mut text = format!("{COLUMNS}\n");
    for document in documents {
        for figure in &document.figures {
            let floor = figure.floor.as_deref().unwrap_or_default();
            let unit = serde_json::to_value(figure.unit).ok();
            let unit = unit.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default();
            let head = [document.command.as_str(), &figure.id, &figure.label, &figure.section, unit, floor]
                .map(quoted)
                .join(",");
            for (number, round) in figure.rounds.iter().enumerate() {
                let _ = match *round {
                    Round::Latency { count, mean, min, p50, p90, p99, p999, max } => writeln!(
                        text,
                        "{head},{number},{p50},{count},{mean},{min},{p50},{p90},{p99},{p999},{max}"
                    ),
                    Round::Value { value } => writeln!(text, "{head},{number},{value},,,,,,,,"),
                };
            }
        }
    }
    text
}

/// A field, in quotation marks where it needs them.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

/// Steps of a percentile file in each halving of the distance to 100 %.
const STEPS: u32 = 5;

/// The percentile files: each with its name. Values are microseconds, as such files have them.
pub(super) fn hgrm(documents: &[Document]) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = Vec::new();
    for document in documents {
        for figure in &document.figures {
            let Some(histogram) = super::histogram(figure) else { continue };
            let mut text = format!(
                "{:>12} {:>14} {:>10} {:>14}\n\n",
                "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
            );
            let mut total = 0;
            for step in histogram.iter_quantiles(STEPS) {
                total += step.count_since_last_iteration();
                let quantile = step.quantile_iterated_to();
                let _ = write!(
                    text,
                    "{:>12.3} {quantile:>14.12} {total:>10}",
                    step.value_iterated_to() as f64 / 1e3
                );
                let _ = if quantile < 1.0 {
                    writeln!(text, " {:>14.2}", 1.0 / (1.0 - quantile))
                } else {
                    writeln!(text)
                };
            }
            let _ = writeln!(
                text,
                "#[Mean    = {:>12.3}, StdDeviation   = {:>12.3}]\n#[Max     = {:>12.3}, Total count    = {:>12}]",
                histogram.mean() / 1e3,
                histogram.stdev() / 1e3,
                histogram.max() as f64 / 1e3,
                histogram.len()
            );
            let name = file_name(&document.command, &figure.id);
            let taken = files.iter().filter(|(other, _)| other.starts_with(&name)).count();
            let name = if taken == 0 { format!("{name}.hgrm") } else { format!("{name}-{}.hgrm", taken + 1) };
            files.push((name, text));
        }
    }
    files
}

/// What a file may be called, whatever the results say.
fn file_name(command: &str, id: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' };
    format!("{command}.{id}").chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::samples::{hop, rates};

    #[test]
    fn csv_has_a_line_a_round_and_quotes_what_needs_it() {
        let mut document = hop().document();
        document.figures[0].label = "a, \"b\"".to_owned();
        let text = csv(&[document, rates().document()]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1 + 2 * 3 + 3 * 3);
        assert!(lines[1].contains("\"a, \"\"b\"\"\",,ns,,0,100,1000,"), "{}", lines[1]);
        let commas = COLUMNS.matches(',').count();
        assert!(lines[2..].iter().all(|line| line.contains('"') || line.matches(',').count() == commas));
    }

    #[test]
    fn a_percentile_file_counts_every_sample_and_stays_in_its_folder() {
        let mut document = hop().document();
        document.figures[1].id = "../../etc/x".to_owned();
        let files = hgrm(&[document.clone(), document]);
        assert_eq!(files.len(), 4);
        assert!(files.iter().all(|(name, _)| !name.contains('/') && !name.starts_with('.')), "{files:?}");
        assert!(
            files
                .iter()
                .enumerate()
                .all(|(at, (name, _))| files[..at].iter().all(|(other, _)| other != name))
        );
        assert!(files[0].1.contains("Total count    =         3000"), "{}", files[0].1);
        assert!(files[0].1.contains("0.100 0.000000000000"), "{}", files[0].1);
    }
}
