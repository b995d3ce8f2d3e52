//! Small multiples: for each cell of the score the real and the simulated distribution, one over the other.
//!
//! A table says that two distributions differ; a picture says how: late, early, wide, or in two humps. Cells that are off
//! come first and have a frame.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::chart::{Chart, Drawn, Key, Look, Pen, anchor, heading, legend, palette, plain, round_step};
use super::lanes::shorten;
use crate::analysis::score::{CellVerdict, Measure, ScenarioScore, Side};

const COLUMNS: usize = 3;
const LEFT: f64 = 20.0;
const TOP: f64 = 66.0;
/// One panel with what stands around it.
const PANEL: (f64, f64) = (300.0, 168.0);
/// The plot within a panel: left, top, right, bottom.
const PLOT: (f64, f64, f64, f64) = (34.0, 40.0, 284.0, 132.0);
/// Blue and vermillion remain apart for every kind of colour vision, and as grey.
const REAL: RGBColor = palette::BLUE;
const SIMULATED: RGBColor = palette::VERMILLION;

/// The cells of one scenario as pairs of distributions.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CompareChart {
    /// The scenario's name.
    pub scenario: String,
    /// Number of real and of simulated runs.
    pub runs: (usize, usize),
    /// The cells, in the order in which they are drawn.
    pub cells: Vec<CellVerdict>,
}

impl CompareChart {
    /// The chart of a scenario's cells that `shown` picks, those that are off first; none if there is nothing to draw.
    pub(crate) fn of(score: &ScenarioScore, shown: impl Fn(&str) -> bool) -> Option<CompareChart> {
        let drawn =
            |cell: &&CellVerdict| shown(&cell.cell) && !(cell.real.values.is_empty() && cell.sim.values.is_empty());
        let mut cells: Vec<CellVerdict> = score.verdicts.iter().filter(drawn).cloned().collect();
        cells.sort_by_key(|cell| cell.agrees);
        let runs = (score.real_runs, score.sim_runs);
        (!cells.is_empty()).then(|| CompareChart { scenario: score.scenario.clone(), runs, cells })
    }

    fn columns(&self) -> usize {
        COLUMNS.min(self.cells.len())
    }

    fn panel<DB: DrawingBackend>(&self, pen: &Pen<'_, DB>, cell: &CellVerdict, (x0, y0): (f64, f64)) -> Drawn<DB>
    where
        DB::ErrorType: 'static,
    {
        let look = pen.look;
        let (left, top, right, bottom) = (x0 + PLOT.0, y0 + PLOT.1, x0 + PLOT.2, y0 + PLOT.3);
        let (name, kind) = cell.cell.split_once(" | ").unwrap_or((&cell.cell, ""));
        let unit = if kind == "count" { "occurrences" } else { "s" };
        let title = if kind == "count" || kind == "seconds" { name.to_string() } else { format!("{name}, {kind}") };
        let bold = anchor(look.bold(11, look.ink), HPos::Left, VPos::Center);
        pen.text(x0 + 4.0, y0 + 12.0, &shorten(&title, 40), &bold)?;
        let says = match cell.measure {
            Measure::Presence => "too few values for a test".to_string(),
            Measure::Samples { distance, p, .. } => format!("distance {distance:.3}, p {p:.3}"),
        };
        let n = format!(
            "n = {} and {}; {says}{}",
            cell.real.values.len(),
            cell.sim.values.len(),
            if cell.agrees { "" } else { "; OFF" }
        );
        pen.text(x0 + 4.0, y0 + 27.0, &n, &anchor(look.text(10, look.faint), HPos::Left, VPos::Center))?;
        let values = || cell.real.values.iter().chain(&cell.sim.values).copied();
        let (least, most) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        let step = round_step((most - least).max(if unit == "s" { 0.01 } else { 1.0 }) / 4.0);
        let first = libm::floor(least / step) as i64;
        let last = (libm::ceil(most / step) as i64).max(first + 1);
        let x = |value: f64| left + (value / step - first as f64) / (last - first) as f64 * (right - left);
        let y = |part: f64| bottom - part * (bottom - top);
        for (part, label) in [(0.0, "0"), (0.5, "50"), (1.0, "100 %")] {
            pen.line((left, y(part)), (right, y(part)), look.grid, 1.0, 1)?;
            pen.text(left - 4.0, y(part), label, &anchor(look.text(9, look.faint), HPos::Right, VPos::Center))?;
        }
        let style = anchor(look.text(10, look.faint), HPos::Center, VPos::Top);
        for tick in first..=last {
            let value = tick as f64 * step;
            pen.line((x(value), top), (x(value), bottom), look.grid, 1.0, 1)?;
            pen.text(x(value), bottom + 4.0, &plain(value), &style)?;
        }
        let style = anchor(look.text(9, look.faint), HPos::Right, VPos::Top);
        pen.text(right, bottom + 18.0, unit, &style)?;
        let staircase = |side: &Side, color: RGBColor, weight: u32| {
            let mut sorted = side.values.clone();
            sorted.sort_by(f64::total_cmp);
            let mut points = vec![(left, bottom)];
            for (i, value) in sorted.iter().enumerate() {
                let before = points.last().map_or(bottom, |point| point.1);
                points.push((x(*value), before));
                points.push((x(*value), y((i + 1) as f64 / sorted.len() as f64)));
            }
            if sorted.is_empty() {
                return Ok(());
            }
            points.push((right, top));
            pen.path(&points, look.shade(color), 1.0, weight)
        };
        staircase(&cell.sim, SIMULATED, 4)?;
        staircase(&cell.real, REAL, 3)?;
        if !cell.agrees {
            pen.frame(x0, y0, PANEL.0 - 6.0, PANEL.1 - 8.0, look.ink)?;
        }
        Ok(())
    }
}

impl Chart for CompareChart {
    fn size(&self) -> (u32, u32) {
        let rows = self.cells.len().div_ceil(COLUMNS);
        let width = (2.0 * LEFT + self.columns() as f64 * PANEL.0).max(420.0);
        (width as u32, (TOP + rows as f64 * PANEL.1 + 6.0) as u32)
    }

    fn title(&self) -> String {
        let off = self.cells.iter().filter(|cell| !cell.agrees).count();
        format!(
            "{}: distributions of {} quantities over {} real and {} simulated runs; {off} are off",
            self.scenario,
            self.cells.len(),
            self.runs.0,
            self.runs.1
        )
    }

    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, look: &Look) -> Drawn<DB>
    where
        DB::ErrorType: 'static,
    {
        let pen = Pen::new(area, look);
        heading(&pen, &self.scenario, "part of the runs with at most that value")?;
        let key = |color, text: String| Key { color: look.shade(color), text };
        let keys = [
            key(REAL, format!("real, {} runs", self.runs.0)),
            key(SIMULATED, format!("simulated, {} runs", self.runs.1)),
        ];
        legend(&pen, &keys, LEFT, LEFT + 600.0, 38.0)?;
        for (i, cell) in self.cells.iter().enumerate() {
            let at = (LEFT + (i % COLUMNS) as f64 * PANEL.0, TOP + (i / COLUMNS) as f64 * PANEL.1);
            self.panel(&pen, cell, at)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::chart::Theme;
    use super::*;
    use crate::analysis::score::{Cells, compare};

    fn score() -> ScenarioScore {
        let run = |late: f64| Cells::from([("a | first".to_string(), 1.0 + late), ("b | count".into(), 2.0)]);
        let runs = |late: f64| (0..20).map(|i| run(late + f64::from(i) / 100.0)).collect::<Vec<_>>();
        let verdicts = compare(&runs(0.0), &runs(1.0));
        ScenarioScore { scenario: "s".into(), real_runs: 20, sim_runs: 20, verdicts }
    }

    #[test]
    fn cells_that_are_off_come_first_and_say_so() {
        let chart = CompareChart::of(&score(), |_| true).expect("two cells");
        let names: Vec<(&str, bool)> = chart.cells.iter().map(|cell| (cell.cell.as_str(), cell.agrees)).collect();
        assert_eq!(names, [("a | first", false), ("b | count", true)]);
        let svg = chart.svg(Theme::Light);
        for part in ["real, 20 runs", "n = 20 and 20", "OFF", "occurrences", "a, first"] {
            assert!(svg.contains(part), "{part}");
        }
    }

    #[test]
    fn nothing_to_draw_is_no_chart() {
        assert_eq!(CompareChart::of(&score(), |name| name.starts_with('z')), None);
    }

    #[test]
    fn constant_and_one_sided_cells_can_be_drawn() {
        let mut score = score();
        score.verdicts[0].real.values.clear();
        score.verdicts[1].sim.values = vec![7.0];
        let chart = CompareChart::of(&score, |_| true).expect("two cells");
        assert!(chart.svg(Theme::Dark).ends_with("</svg>\n"));
        assert!(chart.png(Theme::Light).len() > 1000);
    }
}
