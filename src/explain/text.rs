//! Explanations as text for a terminal. Styles are always there; whoever prints decides whether they stay.

use std::fmt::Write as _;

use anstyle::Style;
use comfy_table::{ContentArrangement, Table as Grid, presets};

use super::{Basis, Explanation, Setting, Step};

/// Lines are wrapped at this many columns, if the terminal is no narrower.
const WIDTH: usize = 100;

/// Lines as they are written, and how wide they may be.
struct Page {
    text: String,
    width: usize,
}

/// The explanation as text. `run` is how the run is named in the commands that follow.
pub fn text(explanation: &Explanation, run: &str) -> String {
    text_within(explanation, run, WIDTH)
}

/// The same for a terminal of so many columns.
pub fn text_within(explanation: &Explanation, run: &str, columns: usize) -> String {
    let mut out = Page { text: String::new(), width: columns.min(WIDTH) };
    let (bold, faint) = (Style::new().bold(), Style::new().dimmed());
    let _ = writeln!(out.text, "{bold}{}{bold:#}\n", explanation.question);
    wrap(&mut out, "", &explanation.answer, Style::new());
    if explanation.basis == Basis::Lines {
        wrap(&mut out, "", "(From the lines of a recording; the causes inside the programs are not known.)", faint);
    }
    if !explanation.steps.is_empty() {
        out.text.push('\n');
    }
    let wide = explanation.steps.iter().map(|step| step.who.chars().count()).max().unwrap_or(0);
    let mut said: Vec<(&Option<String>, &Vec<Setting>)> = Vec::new();
    for step in &explanation.steps {
        // A rule is said once.
        let rule = (&step.rule, &step.settings);
        write_step(&mut out, step, wide, !said.contains(&rule));
        said.push(rule);
    }
    for table in &explanation.tables {
        let _ = writeln!(out.text, "\n{bold}{}{bold:#}", table.title);
        let mut grid = Grid::new();
        grid.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        grid.set_header(&table.columns);
        for row in &table.rows {
            grid.add_row(row);
        }
        for line in grid.to_string().lines() {
            let _ = writeln!(out.text, " {}", line.trim_end());
        }
    }
    if !explanation.remarks.is_empty() {
        out.text.push('\n');
    }
    for remark in &explanation.remarks {
        wrap(&mut out, "- ", remark, Style::new());
    }
    if !explanation.ask_next.is_empty() {
        let _ = writeln!(out.text, "\n{bold}Ask next{bold:#}");
    }
    for ask in &explanation.ask_next {
        let _ = writeln!(out.text, "  sim explain {run} {}\n      {faint}{}{faint:#}", ask.arguments, ask.why);
    }
    out.text
}

fn write_step(out: &mut Page, step: &Step, wide: usize, with_rule: bool) {
    let faint = Style::new().dimmed();
    let head = format!("{:>9.3} s  {:<wide$}  ", step.at_us as f64 / 1e6, step.who);
    wrap(out, &head, &step.text, Style::new());
    if !with_rule {
        return;
    }
    let indent = " ".repeat(head.chars().count());
    let settings: Vec<String> = step.settings.iter().map(|set| format!("{} = {}", set.name, set.value)).collect();
    if let Some(rule) = &step.rule {
        wrap(out, &format!("{indent}rule: "), rule, faint);
    }
    if !settings.is_empty() {
        wrap(out, &format!("{indent}set:  "), &settings.join(", "), faint);
    }
}

/// Writes words behind a head; further lines are indented as far.
fn wrap(out: &mut Page, head: &str, text: &str, style: Style) {
    let indent = head.chars().count();
    let mut line = String::new();
    let mut first = true;
    let Page { text: written, width } = out;
    let mut flush = |line: &mut String| {
        let lead = if first { head.to_string() } else { " ".repeat(indent) };
        let _ = writeln!(written, "{lead}{style}{line}{style:#}");
        line.clear();
        first = false;
    };
    for word in text.split_whitespace() {
        let long = line.chars().count() + word.chars().count() + 1;
        if !line.is_empty() && indent + long > *width {
            flush(&mut line);
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    flush(&mut line);
}
