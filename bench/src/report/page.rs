//! The HTML page: everything in one file, nothing fetched from anywhere.

use std::fmt::Write as _;

use super::{bars, plot};
use crate::document::{Document, Figure};
use crate::figures::{Stat, Unit};
use crate::table::{range, times};

const STYLE: &str = include_str!("page.css");

/// The page of these results.
pub(super) fn render(documents: &[Document]) -> String {
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<title>halyard-bench</title>\n<style>\n{STYLE}</style>\n\
         </head>\n<body>\n<h1>halyard-bench</h1>\n"
    );
    for document in documents {
        run(&mut html, document);
    }
    html + "</body>\n</html>\n"
}

fn run(html: &mut String, document: &Document) {
    let _ = write!(
        html,
        "<section>\n<h2>{}</h2>\n<pre><code>{}</code></pre>\n<p class=\"note\">{}. Version {}, {} UTC.</p>\n",
        escape(&document.command),
        escape(&document.command_line()),
        escape(&document.machine.to_string()),
        escape(&document.version),
        date(document.taken_unix_s),
    );
    if !document.optimised {
        html.push_str("<p><strong>Built without optimisation: these figures say nothing.</strong></p>\n");
    }
    for sentence in &document.about {
        let _ = writeln!(html, "<p>{}</p>", escape(sentence));
    }
    for (heading, figures) in document.sections() {
        if !heading.is_empty() {
            let _ = writeln!(html, "<h3>{}</h3>", escape(heading));
        }
        let latencies: Vec<&Figure> = figures.iter().copied().filter(|figure| figure.is_latency()).collect();
        html.push_str(&plot::percentiles(&latencies));
        let mut units: Vec<Unit> = Vec::new();
        for figure in &figures {
            if !units.contains(&figure.unit) {
                units.push(figure.unit);
            }
        }
        for unit in units {
            let same: Vec<&Figure> = figures.iter().copied().filter(|figure| figure.unit == unit).collect();
            html.push_str(&bars::bars(document, &same));
        }
        table(html, document, &figures);
    }
    html.push_str(&bars::stages(document));
    html.push_str("</section>\n");
}

fn table(html: &mut String, document: &Document, figures: &[&Figure]) {
    html.push_str("<div class=\"wide\"><table><thead><tr><th></th><th>median</th><th>lowest–highest</th>");
    let latencies = figures.iter().any(|figure| figure.is_latency());
    if latencies {
        for stat in &Stat::ALL[1..] {
            let _ = write!(html, "<th>{}</th>", stat.name());
        }
    }
    html.push_str("<th>× floor</th><th>floor</th></tr></thead><tbody>");
    for figure in figures {
        let _ = write!(
            html,
            "<tr><th title=\"{}\">{}</th><td>{}</td><td>{}</td>",
            escape(&figure.id),
            escape(&figure.label),
            figure.unit.show(figure.value.median),
            range(figure.value, figure.unit)
        );
        if latencies {
            for stat in &Stat::ALL[1..] {
                let shown =
                    figure.percentiles.map(|percentiles| figure.unit.show(percentiles.get(*stat).median));
                let _ = write!(html, "<td>{}</td>", shown.unwrap_or_default());
            }
        }
        let floor = document.floor_of(figure).map_or("", |floor| floor.label.as_str());
        let ratio = figure.ratio.map_or_else(String::new, |ratio| times(ratio.median));
        let _ = write!(html, "<td>{ratio}</td><td>{}</td></tr>", escape(floor));
    }
    html.push_str("</tbody></table></div>\n");
}

/// Text as HTML: what is read from a file may hold anything.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A date and a time of day.
fn date(unix_s: u64) -> String {
    // Days are counted from 1 March of year 0, so that a leap day is the last of its year.
    let days = unix_s / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", unix_s / 3600 % 24, unix_s / 60 % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::samples::{hop, rates, series};

    #[test]
    fn the_page_has_everything_and_fetches_nothing() {
        let mut hop = hop();
        hop.add_alone(series("chat.spin.stage.router", &[300, 310, 320]));
        let page = render(&[hop.document(), rates().document()]);
        assert!(
            !page.contains("http") && !page.contains("src=") && !page.contains("@import"),
            "self-contained"
        );
        for part in ["<polyline", "class=\"floor\"", "the hop", "1.25 ×", "halyard-bench", "stage c0"] {
            assert!(page.contains(part), "{part}");
        }
        for tag in ["section", "svg", "table", "ul", "tr", "p", "h3"] {
            let (opened, closed) = (
                page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count(),
                page.matches(&format!("</{tag}>")).count(),
            );
            assert_eq!(opened, closed, "{tag}");
        }
    }

    #[test]
    fn what_a_file_says_is_text() {
        let mut document = hop().document();
        document.figures[1].label = "<script>alert('x')</script>&".to_owned();
        document.about = vec!["<b>".to_owned()];
        let page = render(&[document]);
        assert!(!page.contains("<script") && !page.contains("<b>"));
        assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;"));
    }

    #[test]
    fn a_histogram_that_cannot_be_read_is_left_out() {
        let mut document = hop().document();
        document.figures.iter_mut().for_each(|figure| figure.histogram = Some("nonsense".to_owned()));
        assert!(!render(&[document]).contains("<polyline"));
    }

    #[test]
    fn dates_are_right() {
        assert_eq!(date(0), "1970-01-01 00:00");
        assert_eq!(date(951_782_400), "2000-02-29 00:00");
        assert_eq!(date(1_764_000_000), "2025-11-24 16:00");
    }
}
