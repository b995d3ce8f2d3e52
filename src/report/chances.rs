//! The chance of an outcome against the moment at which luck was drawn anew: where the point of no return lies.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::chart::{
    Chart, Drawn, Key, Look, Pen, TimeScale, ValueScale, anchor, heading, legend, legend_rows, mark_faults, palette,
    shade_faults,
};
use super::lanes::FaultWindow;
use crate::analysis::stats::Interval;

const WIDTH: u32 = 900;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 880.0;
const TOP: f64 = 110.0;
const BOTTOM: f64 = 420.0;
const COLORS: [RGBColor; 4] = [palette::VERMILLION, palette::BLUE, palette::GREEN, palette::PURPLE];

/// The chance of one outcome, moment by moment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ChanceSeries {
    /// The outcome, and when it was settled.
    pub name: String,
    /// Moment in microseconds after time 0, part of the branches, and its 95 % confidence interval.
    pub points: Vec<(i64, f64, Interval)>,
    /// Between which moments it was settled.
    pub settled_us: Option<(i64, i64)>,
}

/// Chances against moments.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ChanceChart {
    /// Scenario, seed and number of branches.
    pub subtitle: String,
    /// The outcomes.
    pub series: Vec<ChanceSeries>,
    /// Faults of the run.
    pub faults: Vec<FaultWindow>,
    /// Steps of the run's failovers: when, and what.
    pub steps: Vec<(i64, String)>,
}

impl ChanceChart {
    fn keys(&self, look: &Look) -> Vec<Key> {
        let key = |(i, series): (usize, &ChanceSeries)| Key {
            color: look.shade(COLORS[i % COLORS.len()]),
            text: series.name.clone(),
        };
        self.series.iter().enumerate().map(key).collect()
    }

    fn scale(&self) -> TimeScale {
        let moments = || self.series.iter().flat_map(|series| series.points.iter().map(|point| point.0));
        let (from_us, to_us) = (moments().min().unwrap_or(0), moments().max().unwrap_or(1));
        TimeScale { from_us, to_us: to_us.max(from_us + 1), left: LEFT, right: RIGHT }
    }
}

impl Chart for ChanceChart {
    fn size(&self) -> (u32, u32) {
        let rows = legend_rows(&self.keys(&Look::of(super::chart::Theme::Light)), RIGHT - 20.0);
        (WIDTH, BOTTOM as u32 + 50 + rows * 18 + 12)
    }

    fn title(&self) -> String {
        format!("Chance of the outcome if luck were drawn anew at this moment; {}", self.subtitle)
    }

    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, look: &Look) -> Drawn<DB>
    where
        DB::ErrorType: 'static,
    {
        let pen = Pen::new(area, look);
        heading(&pen, "The point of no return", "")?;
        let faint = anchor(look.text(12, look.faint), HPos::Left, VPos::Center);
        pen.text(14.0, 40.0, &self.title(), &faint)?;
        let scale = self.scale();
        let values = ValueScale { low: 0.0, high: 1.0, log: false, top: TOP, bottom: BOTTOM };
        shade_faults(&pen, &scale, &self.faults, TOP, BOTTOM)?;
        let percent = |value: f64| format!("{:.0} %", value * 100.0);
        values.draw(&pen, LEFT, RIGHT, "chance, with the 95 % confidence interval (Wilson)", percent)?;
        scale.draw(&pen, TOP, BOTTOM)?;
        mark_faults(&pen, &scale, &self.faults, TOP, BOTTOM)?;
        self.draw_steps(&pen, &scale)?;
        for (i, series) in self.series.iter().enumerate() {
            let color = look.shade(COLORS[i % COLORS.len()]);
            if let Some((after_us, at_us)) = series.settled_us {
                let (from, to) = (scale.x(after_us), scale.x(at_us));
                pen.rect(from, TOP, to - from, BOTTOM - TOP, color, 0.3)?;
            }
            let upper = series.points.iter().map(|(at, _, interval)| (scale.x(*at), values.y(interval.high)));
            let lower = series.points.iter().rev().map(|(at, _, interval)| (scale.x(*at), values.y(interval.low)));
            let band: Vec<(f64, f64)> = upper.chain(lower).collect();
            pen.polygon(&band, color, 0.2)?;
            let line: Vec<(f64, f64)> =
                series.points.iter().map(|(at, part, _)| (scale.x(*at), values.y(*part))).collect();
            pen.path(&line, color, 1.0, 4)?;
            line.iter().try_for_each(|(x, y)| pen.dot(*x, *y, 3.0, color))?;
        }
        legend(&pen, &self.keys(look), 20.0, RIGHT, BOTTOM + 50.0)?;
        Ok(())
    }
}

impl ChanceChart {
    /// What happened in the run itself; names without room are left out.
    fn draw_steps<DB: DrawingBackend>(&self, pen: &Pen<'_, DB>, scale: &TimeScale) -> Drawn<DB>
    where
        DB::ErrorType: 'static,
    {
        let style = anchor(pen.look.text(10, pen.look.ink), HPos::Left, VPos::Center);
        let mut free = [LEFT; 3];
        for (at_us, text) in self.steps.iter().filter(|(at, _)| (scale.from_us..=scale.to_us).contains(at)) {
            let x = scale.x(*at_us);
            pen.line((x, TOP), (x, BOTTOM), pen.look.faint, 0.8, 1)?;
            let width = pen.width(text, &style) + 8.0;
            let left = (x - 3.0).min(RIGHT - width);
            if let Some(row) = free.iter().position(|free| *free <= left) {
                let y = TOP + 58.0 + row as f64 * 14.0;
                pen.rect(left, y - 6.0, width, 13.0, pen.look.lane, 0.9)?;
                pen.text(left + 3.0, y, text, &style)?;
                free[row] = left + width + 2.0;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::chart::Theme;
    use super::*;

    #[test]
    fn any_number_of_moments_can_be_drawn() {
        for count in 0..3 {
            let point = |i: i64| (i * 1_000_000, 0.5, Interval { low: 0.4, high: 0.6 });
            let series = ChanceSeries {
                name: "failovers > 0".into(),
                points: (0..count).map(point).collect(),
                settled_us: (count > 1).then_some((0, 1_000_000)),
            };
            let chart = ChanceChart {
                subtitle: "n = 10".into(),
                series: vec![series],
                faults: Vec::new(),
                steps: vec![(0, "started".into())],
            };
            assert!(chart.svg(Theme::Light).ends_with("</svg>\n"));
            assert!(chart.svg(Theme::Dark).contains("failovers &gt; 0"));
        }
    }
}
