//! The HTML page: everything in one file, nothing fetched from anywhere.

use std::fmt::Write as _;

use super::html::escape;
use super::{bars, plot};
use crate::document::{Document, Figure};
use crate::figures::{Spread, Stat, Unit, times};
use crate::table::{between, plural};

const STYLE: &str = include_str!("page.css");

/// The page of these results, each with the name of its file.
pub(super) fn render(files: &[(String, Document)]) -> String {
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<title>Halyard: what was measured</title>\n<style>\n{STYLE}\
         </style>\n</head>\n<body>\n<h1>Halyard: what was measured</h1>\n<p class=\"note\">Curves and .hgrm files hold \
         the samples of all rounds together. In tables and bars every figure is its own median over the rounds, with \
         the lowest and the highest round below it; a ratio is taken within each round.</p>\n"
    );
    if files.len() > 1 {
        html.push_str("<ul class=\"contents\">\n");
        for (number, (name, document)) in files.iter().enumerate() {
            let title = title(name, document);
            let _ = writeln!(html, "<li><a href=\"#run-{number}\">{title}</a></li>");
        }
        html.push_str("</ul>\n");
    }
    for (number, (name, document)) in files.iter().enumerate() {
        run(&mut html, number, name, document);
    }
    html + "</body>\n</html>\n"
}

fn title(name: &str, document: &Document) -> String {
    format!("{} – {}", escape(&document.command), escape(name))
}

fn run(html: &mut String, number: usize, name: &str, document: &Document) {
    let rounds = document.figures.iter().map(|figure| figure.rounds.len()).max().unwrap_or(0);
    let commit = document.commit.as_ref().map_or_else(String::new, |commit| format!(" ({commit})"));
    let _ = write!(
        html,
        "<section id=\"run-{number}\">\n<h2>{}</h2>\n<pre><code>{}</code></pre>\n<p class=\"note\">{}. Version {}{}, {} \
         UTC. {rounds} round{}.</p>\n",
        title(name, document),
        escape(&document.command_line()),
        escape(&document.machine.to_string()),
        escape(&document.version),
        escape(&commit),
        date(document.taken_unix_s),
        plural(rounds),
    );
    if !document.optimised {
        html.push_str("<p><strong>Built without optimisation: these figures say nothing.</strong></p>\n");
    }
    for sentence in &document.about {
        let _ = writeln!(html, "<p>{}</p>", prose(sentence));
    }
    for (heading, figures) in document.sections() {
        if !heading.is_empty() {
            let _ = writeln!(html, "<h3>{}</h3>", prose(heading));
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
    let latencies = figures.iter().any(|figure| figure.is_latency());
    let first = if latencies { Stat::P50.name() } else { "median" };
    let _ = write!(html, "<div class=\"wide\"><table><thead><tr><th></th><th>{first}</th>");
    if latencies {
        for stat in &Stat::ALL[1..] {
            let _ = write!(html, "<th>{}</th>", stat.name());
        }
        html.push_str("<th title=\"of the round with the fewest\">samples</th>");
    }
    html.push_str("<th>× floor</th><th>floor</th></tr></thead><tbody>");
    for figure in figures {
        let _ = write!(
            html,
            "<tr><th title=\"{}\">{}</th>{}",
            escape(&figure.id),
            prose(&figure.label),
            cell(figure, Some(figure.value), |value| figure.unit.show(value)),
        );
        if latencies {
            for stat in &Stat::ALL[1..] {
                html.push_str(&cell(figure, figure.percentile(*stat), |value| figure.unit.show(value)));
            }
            let samples = figure.samples().map_or_else(String::new, |samples| samples.to_string());
            let _ = write!(html, "<td>{samples}</td>");
        }
        let floor = document.floor_of(figure).map_or("", |floor| floor.label.as_str());
        let _ = write!(html, "{}<td>{}</td></tr>", cell(figure, figure.ratio, times), prose(floor));
    }
    html.push_str("</tbody></table></div>\n");
}

/// A median, and below it the lowest and the highest round; empty where there is none.
fn cell(figure: &Figure, spread: Option<Spread>, show: impl Fn(f64) -> String) -> String {
    let Some(spread) = spread else { return "<td></td>".to_owned() };
    let ends = if figure.rounds.len() > 1 {
        format!("<br><small>{}</small>", between(&show(spread.min), &show(spread.max)))
    } else {
        String::new()
    };
    format!("<td>{}{ends}</td>", show(spread.median))
}

/// A sentence as HTML: what stands between back-ticks is code.
fn prose(text: &str) -> String {
    let mut parts = text.split('`');
    let mut html = escape(parts.next().unwrap_or_default());
    while let Some(code) = parts.next() {
        match parts.next() {
            Some(plain) => {
                let _ = write!(html, "<code>{}</code>{}", escape(code), escape(plain));
            }
            // One that is never closed is a back-tick.
            None => html += &format!("`{}", escape(code)),
        }
    }
    html
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
        let page =
            render(&[("a.json".to_owned(), hop.document()), ("b.json".to_owned(), rates().document())]);
        assert!(
            !page.contains("http") && !page.contains("src=") && !page.contains("@import"),
            "self-contained"
        );
        let parts = [
            "<polyline",
            "class=\"floor\"",
            "the hop",
            "1.25 ×",
            "halyard-bench",
            "stage c0",
            "href=\"#run-1\"",
            "throughput – b.json",
        ];
        for part in parts {
            assert!(page.contains(part), "{part}");
        }
        for tag in ["section", "svg", "table", "ul", "li", "tr", "td", "p", "h3"] {
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
        let page = render(&[("<i>.json".to_owned(), document)]);
        assert!(!page.contains("<script") && !page.contains("<b>") && !page.contains("<i>"));
        assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;"));
    }

    #[test]
    fn a_histogram_that_cannot_be_read_is_left_out() {
        let mut document = hop().document();
        document.figures.iter_mut().for_each(|figure| figure.histogram = Some("nonsense".to_owned()));
        assert!(!render(&[("a.json".to_owned(), document)]).contains("<polyline"));
    }

    #[test]
    fn code_in_a_sentence_is_code() {
        assert_eq!(prose("a `b<c` d"), "a <code>b&lt;c</code> d");
        assert_eq!(prose("`a` `b"), "<code>a</code> `b");
    }

    #[test]
    fn a_percentile_without_the_samples_has_an_empty_cell() {
        let mut document = hop().document();
        let page = render(&[("a.json".to_owned(), document.clone())]);
        assert!(page.contains("<td>1.25 µs<br><small>1.25–2.50 µs</small></td>"), "{page}");
        for figure in &mut document.figures {
            figure.rounds = vec![crate::document::Round::Latency {
                count: 10,
                mean: 125.0,
                min: 125,
                p50: 125,
                p90: 125,
                p99: 1250,
                p999: 1250,
                max: 1250,
            }];
        }
        let page = render(&[("a.json".to_owned(), document)]);
        assert!(page.contains("<td></td><td></td><td>1.25 µs</td><td>10</td>"), "{page}");
    }

    #[test]
    fn dates_are_right() {
        assert_eq!(date(0), "1970-01-01 00:00");
        assert_eq!(date(951_782_400), "2000-02-29 00:00");
        assert_eq!(date(1_764_000_000), "2025-11-24 16:00");
    }
}
