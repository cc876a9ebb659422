//! Percentile plots as inline SVG: HdrHistogram's axis across, latency upwards, both logarithmic.

use std::fmt::Write as _;

use hdrhistogram::Histogram;

use super::html::escape;
use super::{decades, nines, percentile_name, quantile};
use crate::document::Figure;
use crate::figures::Nanos;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 36.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 34.0;
/// Points of a curve.
const POINTS: u32 = 160;
/// Colours of the page's style; further curves are dashed.
pub(super) const COLOURS: usize = 8;

/// The curves of these figures, and a legend. Empty if none has a histogram.
pub(super) fn percentiles(figures: &[&Figure]) -> String {
    let curves: Vec<(&Figure, Histogram<u64>)> = figures
        .iter()
        .filter_map(|figure| super::histogram(figure).map(|histogram| (*figure, histogram)))
        .collect();
    if curves.is_empty() {
        return String::new();
    }
    let histograms: Vec<Histogram<u64>> = curves.iter().map(|(_, histogram)| histogram.clone()).collect();
    let (across, (low, high)) = (nines(&histograms), decades(&histograms));
    let x = |nines: f64| LEFT + nines / across * (WIDTH - LEFT - RIGHT);
    let y = |ns: f64| {
        let part = (ns.max(1.0).log10() - f64::from(low)) / f64::from(high - low);
        HEIGHT - BOTTOM - part.clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM)
    };
    let mut svg =
        format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"Latency by percentile\">");
    for decade in low..=high {
        let at = y(10f64.powi(decade));
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/><text x=\"{}\" y=\"{:.1}\" \
             class=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            at + 4.0,
            Nanos(10f64.powi(decade))
        );
    }
    for nine in 0..=across.floor() as u32 {
        let at = x(f64::from(nine));
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{}\"/><text x=\"{at:.1}\" y=\"{}\" \
             class=\"mid\">{}</text>",
            HEIGHT - BOTTOM,
            HEIGHT - BOTTOM + 18.0,
            percentile_name(nine)
        );
    }
    let mut legend = String::from("<ul class=\"legend\">");
    for (index, (figure, histogram)) in curves.iter().enumerate() {
        let points: Vec<String> = (0..=POINTS)
            .map(|point| {
                let nines = across * f64::from(point) / f64::from(POINTS);
                format!("{:.1},{:.1}", x(nines), y(histogram.value_at_quantile(quantile(nines)) as f64))
            })
            .collect();
        let class = class(index);
        let _ = write!(
            svg,
            "<polyline class=\"curve {class}\" points=\"{}\"><title>{}</title></polyline>",
            points.join(" "),
            escape(&figure.label)
        );
        let _ = write!(legend, "<li><span class=\"swatch {class}\"></span>{}</li>", escape(&figure.label));
    }
    svg + "</svg>" + &legend + "</ul>"
}

fn class(index: usize) -> String {
    let dashed = if index >= COLOURS { " dashed" } else { "" };
    format!("c{}{dashed}", index % COLOURS)
}
