//! Stacked bars: what an outage is made of.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::chart::{Chart, Drawn, Key, Look, Pen, anchor, heading, legend, legend_rows, palette, readable_on};
use crate::analysis::phases::{Failover, Phase};
use crate::analysis::stats::mean;

const WIDTH: u32 = 1000;
const LEFT: f64 = 220.0;
const RIGHT: f64 = 930.0;
const TOP: f64 = 52.0;
const BAR: f64 = 30.0;
const STEP: f64 = 40.0;
/// In an order in which neighbours differ in lightness.
const COLORS: [RGBColor; 9] = [
    palette::BLUE,
    palette::SKY,
    palette::VERMILLION,
    palette::YELLOW,
    palette::GREEN,
    palette::PURPLE,
    RGBColor(0x4d, 0x4d, 0x4d),
    palette::ORANGE,
    palette::GREY,
];

/// The steps between the fault and the publisher's next success, each waiting for the one before.
pub(crate) const CRITICAL_PATH: [Phase; 8] = [
    Phase::Detected,
    Phase::Agreed,
    Phase::Started,
    Phase::Elected,
    Phase::Selected,
    Phase::Promoted,
    Phase::ProxySwitched,
    Phase::PublisherOk,
];

/// Horizontal stacked bars.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StackedBars {
    /// What is shown.
    pub title: String,
    /// The unit of the axis.
    pub unit: String,
    /// Names of the parts.
    pub parts: Vec<String>,
    /// Each bar: its name, how many runs it stands for, and its parts.
    pub rows: Vec<(String, usize, Vec<f64>)>,
}

impl StackedBars {
    /// The mean time of each step on the way from the fault to the publisher's next success, one bar a group of runs, from
    /// the [`critical_path`] of each failover that has all of these steps; n says how many there are.
    pub(crate) fn paths(groups: impl IntoIterator<Item = (String, Vec<Vec<f64>>)>) -> StackedBars {
        let row = |(name, whole): (String, Vec<Vec<f64>>)| {
            let part = |i: usize| {
                let sample: Vec<f64> = whole.iter().map(|steps| steps[i]).collect();
                mean(&sample).unwrap_or(0.0)
            };
            (name, whole.len(), (0..CRITICAL_PATH.len()).map(part).collect())
        };
        StackedBars {
            title: "From the fault to the publisher's next success".into(),
            unit: "s".into(),
            parts: CRITICAL_PATH.iter().map(|phase| phase.as_str().to_string()).collect(),
            rows: groups.into_iter().map(row).collect(),
        }
    }

    fn keys(&self, look: &Look) -> Vec<Key> {
        let key = |(i, text): (usize, &String)| Key { color: look.shade(COLORS[i % COLORS.len()]), text: text.clone() };
        self.parts.iter().enumerate().map(key).collect()
    }

    fn bottom(&self) -> f64 {
        TOP + self.rows.len().max(1) as f64 * STEP + 4.0
    }
}

/// The times in seconds of all steps of the critical path; none if one is missing. A step that did not wait for the one
/// before takes no time, and what it was early is taken off the next.
pub(crate) fn critical_path(failover: &Failover) -> Option<Vec<f64>> {
    let mut now = failover.step(Phase::Fault)?.at_us;
    let mut times = Vec::new();
    for phase in CRITICAL_PATH {
        let at = failover.step(phase)?.at_us.max(now);
        times.push((at - now) as f64 / 1e6);
        now = at;
    }
    Some(times)
}

impl Chart for StackedBars {
    fn size(&self) -> (u32, u32) {
        let rows = legend_rows(&self.keys(&Look::of(super::chart::Theme::Light)), RIGHT - 20.0);
        (WIDTH, self.bottom() as u32 + 50 + rows * 18 + 12)
    }

    fn title(&self) -> String {
        let rows: Vec<String> = self.rows.iter().map(|(name, n, _)| format!("{name}: n = {n}")).collect();
        format!("{} ({})", self.title, rows.join(", "))
    }

    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, look: &Look) -> Drawn<DB>
    where
        DB::ErrorType: 'static,
    {
        let pen = Pen::new(area, look);
        heading(&pen, &self.title, "mean of each step")?;
        let bottom = self.bottom();
        let most = self.rows.iter().map(|(.., parts)| parts.iter().sum::<f64>()).fold(1e-3, f64::max);
        let label = format!("time after the fault ({})", self.unit);
        let x = pen.value_axis(most, (LEFT, RIGHT), (TOP, bottom), &label)?;
        if self.rows.is_empty() {
            let style = anchor(look.text(12, look.ink), HPos::Right, VPos::Center);
            pen.text(LEFT - 8.0, TOP + STEP / 2.0, "no failover had all steps", &style)?;
        }
        for (i, (name, n, parts)) in self.rows.iter().enumerate() {
            let y = TOP + i as f64 * STEP + (STEP - BAR) / 2.0;
            let style = anchor(look.text(12, look.ink), HPos::Right, VPos::Center);
            pen.text(LEFT - 8.0, y + BAR / 2.0 - 6.0, &super::lanes::shorten(name, 28), &style)?;
            let small = anchor(look.text(10, look.faint), HPos::Right, VPos::Center);
            pen.text(LEFT - 8.0, y + BAR / 2.0 + 8.0, &format!("n = {n}"), &small)?;
            let mut from = 0.0;
            for (k, part) in parts.iter().enumerate() {
                let color = look.shade(COLORS[k % COLORS.len()]);
                let (x0, x1) = (x(from), x(from + part));
                if *part > 0.0 {
                    pen.rect(x0, y, x1 - x0, BAR, color, 1.0)?;
                }
                let text = format!("{part:.2}");
                let style = anchor(look.text(11, readable_on(color)), HPos::Center, VPos::Center);
                if pen.width(&text, &style) + 4.0 < x1 - x0 {
                    pen.text((x0 + x1) / 2.0, y + BAR / 2.0, &text, &style)?;
                }
                from += part;
            }
            let style = anchor(look.bold(11, look.ink), HPos::Left, VPos::Center);
            let sum = if *n == 0 { "none".to_string() } else { format!("{from:.2} {}", self.unit) };
            pen.text(x(from) + 5.0, y + BAR / 2.0, &sum, &style)?;
        }
        legend(&pen, &self.keys(look), 20.0, RIGHT, bottom + 48.0)?;
        Ok(())
    }
}
