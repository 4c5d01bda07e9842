use std::fmt::Write;

use super::{Report, Scenario};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 170.0;
const LEFT: f64 = 56.0;

const COLOURS: [&str; 4] = ["#b5442e", "#2f6fb0", "#3c8d40", "#8b5fb0"];

/// Draws what became of one scenario under several policies, as SVG: calls that failed above, the slow ones below, by
/// second. Lines of one policy have one colour; with outlier detection they are dashed.
pub fn chart(scenario: Scenario, runs: &[(&str, bool, Report)]) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 840 480\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"840\" height=\"480\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"20\" font-size=\"15\">{}</text>\n",
        scenario.title()
    );
    panel(&mut svg, 40.0, "calls that fail, %", scenario, runs, |report| &report.failed_percent);
    panel(&mut svg, 250.0, "99 of 100 calls take at most, ms", scenario, runs, |report| &report.p99);
    legend(&mut svg, runs);
    svg.push_str("</svg>\n");
    svg
}

fn panel(
    svg: &mut String,
    top: f64,
    label: &str,
    scenario: Scenario,
    runs: &[(&str, bool, Report)],
    values: impl Fn(&Report) -> &Vec<f64>,
) {
    let most = runs.iter().flat_map(|(_, _, report)| values(report).iter().copied()).fold(1.0, f64::max);
    let seconds = runs.iter().map(|(_, _, report)| values(report).len()).max().unwrap_or(1).max(2);
    let x = |second: f64| LEFT + WIDTH * second / (seconds - 1) as f64;
    let y = |value: f64| top + HEIGHT * (1.0 - value / most);
    if let Some((begins, ends)) = scenario.trouble() {
        let (from, to) = (x(begins), x(ends));
        let _ = writeln!(
            svg,
            "<rect x=\"{from:.0}\" y=\"{top}\" width=\"{:.0}\" height=\"{HEIGHT}\" fill=\"#eee\"/>",
            to - from
        );
    }
    for part in [0.0, 0.5, 1.0] {
        let (value, at) = (most * part, y(most * part));
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {at:.0}H{:.0}\" stroke=\"#ccc\"/><text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{value:.0}</text>",
            LEFT + WIDTH,
            LEFT - 6.0,
            at + 4.0
        );
    }
    for second in (0..seconds).step_by(10) {
        let _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{second} s</text>",
            x(second as f64),
            top + HEIGHT + 15.0
        );
    }
    let _ = writeln!(svg, "<text x=\"{:.0}\" y=\"{:.0}\" fill=\"#555\">{label}</text>", LEFT + 4.0, top + 12.0);
    for (index, (_, judged, report)) in runs.iter().enumerate() {
        let mut path = String::new();
        for (second, value) in values(report).iter().enumerate() {
            let verb = if second == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{verb}{:.0} {:.0}", x(second as f64), y(*value));
        }
        let _ = writeln!(
            svg,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.6\"{}/>",
            colour(runs, index),
            if *judged { " stroke-dasharray=\"5 3\"" } else { "" }
        );
    }
}

/// Runs of one name have one colour.
fn colour(runs: &[(&str, bool, Report)], index: usize) -> &'static str {
    let mut names: Vec<&str> = Vec::new();
    for (name, _, _) in runs {
        if !names.contains(name) {
            names.push(name);
        }
    }
    let place = names.iter().position(|name| *name == runs[index].0).unwrap_or_default();
    COLOURS[place % COLOURS.len()]
}

fn legend(svg: &mut String, runs: &[(&str, bool, Report)]) {
    let mut x = LEFT;
    for (index, (name, judged, _)) in runs.iter().enumerate() {
        if *judged {
            continue;
        }
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.0} 461h22\" stroke=\"{}\" stroke-width=\"2\"/><text x=\"{:.0}\" y=\"465\">{name}</text>",
            colour(runs, index),
            x + 28.0
        );
        x += 60.0 + 6.5 * name.len() as f64;
    }
    if runs.iter().any(|(_, judged, _)| *judged) {
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.0} 461h22\" stroke=\"#333\" stroke-width=\"2\" stroke-dasharray=\"5 3\"/>\
             <text x=\"{:.0}\" y=\"465\">with outlier detection</text>",
            x + 28.0
        );
    }
}
