//! Bars as inline SVG: the median, a whisker from the lowest round to the highest, and the floor as a line across.

use std::fmt::Write as _;

use super::html::escape;
use crate::document::{Document, Figure};
use crate::figures::times;

const WIDTH: f64 = 760.0;
const LEFT: f64 = 4.0;
/// Room for the value behind the longest bar.
const RIGHT: f64 = 160.0;
/// Between a bar and its value.
const GAP: f64 = 6.0;
/// How wide a character of the value is, or a little less.
const CHARACTER: f64 = 6.5;
const ROW: f64 = 38.0;
/// If the largest is this many times the smallest, the scale is logarithmic.
const LINEAR: f64 = 30.0;

/// Bars for figures of one unit.
pub(super) fn bars(document: &Document, figures: &[&Figure]) -> String {
    let values = || figures.iter().map(|figure| figure.value.median).filter(|value| *value > 0.0);
    let floor_of = |figure: &Figure| {
        document.floor_of(figure).filter(|floor| floor.unit == figure.unit).map(|floor| floor.value.median)
    };
    // A floor may stand in another section.
    let floors = || figures.iter().filter_map(|figure| floor_of(figure)).filter(|floor| *floor > 0.0);
    let most = figures.iter().map(|figure| figure.value.max).chain(floors()).fold(0.0, f64::max);
    let least = values().chain(floors()).fold(f64::INFINITY, f64::min);
    if !least.is_finite() || most <= 0.0 {
        return String::new();
    }
    let logarithmic = most / least > LINEAR;
    let from = 10f64.powf(least.log10().floor());
    let part = |value: f64| {
        let part =
            if logarithmic { (value / from).max(1.0).log10() / (most / from).log10() } else { value / most };
        part.clamp(0.0, 1.0)
    };
    let x = |value: f64| LEFT + part(value) * (WIDTH - LEFT - RIGHT);
    let height = ROW * figures.len() as f64;
    let mut svg =
        format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"Medians of the rounds\">");
    if logarithmic {
        let mut decade = from;
        while decade <= most {
            let at = x(decade);
            let _ =
                write!(svg, "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"0\" y2=\"{height}\"/>");
            decade *= 10.0;
        }
    }
    for (row, figure) in figures.iter().enumerate() {
        let top = ROW * row as f64;
        let kind = if document.is_floor(figure) { "bar floor" } else { "bar" };
        let end = x(figure.value.median);
        let middle = top + 25.0;
        let _ = write!(svg, "<text x=\"{LEFT}\" y=\"{:.1}\">{}</text>", top + 12.0, escape(&figure.label));
        // The length of a bar means something only where the scale begins at nothing.
        let _ = if logarithmic {
            write!(svg, "<circle class=\"{kind}\" cx=\"{end:.1}\" cy=\"{middle:.1}\" r=\"5\"/>")
        } else {
            write!(
                svg,
                "<rect class=\"{kind}\" x=\"{LEFT}\" y=\"{:.1}\" width=\"{:.1}\" height=\"14\"/>",
                top + 18.0,
                (end - LEFT).max(1.0)
            )
        };
        let _ = write!(
            svg,
            "<line class=\"whisker\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\"/>",
            x(figure.value.min),
            x(figure.value.max),
        );
        let ratio = figure.ratio.map_or_else(String::new, |ratio| format!(" ({})", times(ratio.median)));
        let value = figure.unit.show(figure.value.median) + &ratio;
        let mut taken = x(figure.value.max).max(end);
        if let Some(floor) = document.floor_of(figure).filter(|floor| floor.unit == figure.unit) {
            let at = x(floor.value.median);
            // The value is written behind the mark where it would stand on it.
            if at > taken && at < taken + GAP + CHARACTER * value.chars().count() as f64 {
                taken = at;
            }
            let _ = write!(
                svg,
                "<line class=\"floor\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"><title>floor: \
                 {}</title></line>",
                top + 16.0,
                top + 34.0,
                escape(&floor.label)
            );
        }
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" class=\"value\">{}</text>",
            taken + GAP,
            top + 30.0,
            escape(&value)
        );
    }
    svg += "</svg><p class=\"note\">";
    svg += if logarithmic {
        "Dots: medians, on a logarithmic scale with a line a decade."
    } else {
        "Bars: medians."
    };
    svg += " Thin line: from the lowest round to the highest.";
    if floors().next().is_some() {
        svg += " Across: the floor.";
    }
    svg + "</p>"
}

/// The stages of a message, one after the other: a bar for each group of figures whose ids are `GROUP.stage.NAME`.
pub(super) fn stages(document: &Document) -> String {
    let mut groups: Vec<(&str, Vec<&Figure>)> = Vec::new();
    for figure in &document.figures {
        let Some((group, _)) = figure.id.split_once(".stage.") else { continue };
        match groups.iter_mut().find(|(name, _)| *name == group) {
            Some((_, figures)) => figures.push(figure),
            None => groups.push((group, vec![figure])),
        }
    }
    if groups.is_empty() {
        return String::new();
    }
    let sum = |figures: &[&Figure]| figures.iter().map(|figure| figure.value.median).sum::<f64>();
    let most = groups.iter().map(|(_, figures)| sum(figures)).fold(1.0, f64::max);
    let height = 44.0 * groups.len() as f64;
    let mut html = format!(
        "<h4>The stages of a message, medians</h4><svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"Stages of a message\">"
    );
    for (row, (group, figures)) in groups.iter().enumerate() {
        let (top, mut from) = (44.0 * row as f64, LEFT);
        let parts: Vec<String> = figures.iter().map(|figure| figure.unit.show(figure.value.median)).collect();
        let _ = write!(
            html,
            "<text x=\"{LEFT}\" y=\"{:.1}\">{}: {}</text>",
            top + 14.0,
            escape(&document.figure(group).map_or_else(|| (*group).to_owned(), |whole| whole.label.clone())),
            escape(&parts.join(" + ")),
        );
        for (stage, figure) in figures.iter().enumerate() {
            let width = figure.value.median / most * (WIDTH - 2.0 * LEFT);
            let shown = figure.unit.show(figure.value.median);
            let _ = write!(
                html,
                "<rect class=\"stage c{}\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"20\"><title>{}: \
                 {shown}</title></rect>",
                stage % super::plot::COLOURS,
                top + 20.0,
                width.max(0.5),
                escape(figure.label.trim()),
            );
            from += width;
        }
    }
    html += "</svg><ul class=\"legend\">";
    for (stage, figure) in groups[0].1.iter().enumerate() {
        let _ = write!(
            html,
            "<li><span class=\"swatch c{}\"></span>{}</li>",
            stage % super::plot::COLOURS,
            escape(figure.label.trim())
        );
    }
    html + "</ul>"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::samples::rates;

    /// Where the first mark across a bar stands.
    fn mark(svg: &str) -> f64 {
        let from = svg.split("<line class=\"floor\" x1=\"").nth(1).expect("a mark");
        from.split('"').next().unwrap().parse().unwrap()
    }

    #[test]
    fn a_floor_of_another_section_is_inside_the_picture_and_beyond_the_bar() {
        let document = rates().document();
        // The half is measured against the ring, which stands elsewhere and is twice as high.
        let svg = bars(&document, &[document.figure("half").unwrap()]);
        let wide: f64 = svg.split("width=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
        assert!((mark(&svg) - LEFT - 2.0 * wide).abs() < 0.2 && svg.contains("Across: the floor"), "{svg}");
    }

    #[test]
    fn nothing_is_drawn_across_where_there_is_no_floor() {
        let document = rates().document();
        let svg = bars(&document, &[document.figure("raw").unwrap()]);
        assert!(!svg.contains("class=\"floor\"") && !svg.contains("Across"), "{svg}");
    }
}
