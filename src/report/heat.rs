//! A heat map: the mean of a metric for each pair of two settings.
//!
//! One hue, from the paper's colour to full: lightness alone carries the value, which every kind of colour vision tells
//! apart, and so does a grey print. The figures stand in the cells.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::chart::{Chart, Drawn, Look, Pen, anchor, blend, heading, palette, readable_on};

const LEFT: f64 = 130.0;
const TOP: f64 = 74.0;
const CELL: (f64, f64) = (104.0, 54.0);
const BAR: f64 = 110.0;

/// One cell's figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cell {
    /// The mean.
    pub mean: f64,
    /// Half the width of its 95 % confidence interval; infinite if it is not known.
    pub half_width: f64,
    /// Of how many runs.
    pub n: u64,
}

/// A metric by two settings.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HeatMap {
    /// What is measured.
    pub metric: String,
    /// Its unit.
    pub unit: String,
    /// What else is fixed, such as `haproxy.rise = 2`; may be empty.
    pub fixed: String,
    /// The key of the columns and its values.
    pub columns: (String, Vec<String>),
    /// The key of the rows and its values.
    pub rows: (String, Vec<String>),
    /// Row by row.
    pub cells: Vec<Vec<Option<Cell>>>,
}

/// A figure with three digits that say something.
pub(crate) fn figure(value: f64) -> String {
    let size = value.abs();
    let decimals = match size {
        size if size >= 99.95 || size == 0.0 => 0,
        size if size >= 9.995 => 1,
        size if size >= 0.0995 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}").replace('-', "−")
}

impl HeatMap {
    fn found(&self) -> impl Iterator<Item = &Cell> {
        self.cells.iter().flatten().flatten()
    }

    fn extremes(&self) -> (f64, f64) {
        let (low, high) =
            self.found().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), cell| (l.min(cell.mean), h.max(cell.mean)));
        if low > high { (0.0, 1.0) } else { (low, high) }
    }

    fn color(&self, value: f64, look: &Look) -> RGBColor {
        let (low, high) = self.extremes();
        let part = if high > low { (value - low) / (high - low) } else { 0.0 };
        blend(look.shade(palette::BLUE), look.paper, 0.06 + 0.94 * part)
    }

    fn n(&self) -> String {
        let (least, most) =
            self.found().fold((u64::MAX, 0), |(least, most), cell| (least.min(cell.n), most.max(cell.n)));
        match least {
            n if n >= most => format!("n = {most}"),
            least => format!("n = {least} to {most}"),
        }
    }
}

impl Chart for HeatMap {
    fn size(&self) -> (u32, u32) {
        let width = LEFT + CELL.0 * self.columns.1.len() as f64 + BAR;
        (width.max(620.0) as u32, (TOP + CELL.1 * self.rows.1.len() as f64 + 58.0) as u32)
    }

    fn title(&self) -> String {
        format!("{} ({}) by {} and {}, {} runs a cell", self.metric, self.unit, self.columns.0, self.rows.0, self.n())
    }

    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, look: &Look) -> Drawn<DB>
    where
        DB::ErrorType: 'static,
    {
        let pen = Pen::new(area, look);
        heading(&pen, &format!("{} ({})", self.metric, self.unit), &self.fixed)?;
        let note = format!("mean and half its 95 % confidence interval, {} runs a cell", self.n());
        pen.text(14.0, 40.0, &note, &anchor(look.text(11, look.faint), HPos::Left, VPos::Center))?;
        let key = anchor(look.text(11, look.ink), HPos::Left, VPos::Center);
        pen.text(14.0, TOP - 12.0, &self.rows.0, &key)?;
        for (row, (value, cells)) in self.rows.1.iter().zip(&self.cells).enumerate() {
            let y = TOP + CELL.1 * row as f64;
            let right = anchor(look.text(12, look.ink), HPos::Right, VPos::Center);
            pen.text(LEFT - 10.0, y + CELL.1 / 2.0, value, &right)?;
            for (column, cell) in cells.iter().enumerate() {
                let x = LEFT + CELL.0 * column as f64;
                let Some(cell) = cell else {
                    pen.rect(x, y, CELL.0 - 2.0, CELL.1 - 2.0, look.lane, 1.0)?;
                    let style = anchor(look.text(12, look.faint), HPos::Center, VPos::Center);
                    pen.text(x + CELL.0 / 2.0, y + CELL.1 / 2.0, "no value", &style)?;
                    continue;
                };
                let color = self.color(cell.mean, look);
                let ink = readable_on(color);
                pen.rect(x, y, CELL.0 - 2.0, CELL.1 - 2.0, color, 1.0)?;
                let middle = |style| anchor(style, HPos::Center, VPos::Center);
                pen.text(x + CELL.0 / 2.0, y + 20.0, &figure(cell.mean), &middle(look.bold(14, ink)))?;
                if cell.half_width.is_finite() {
                    let half = format!("± {}", figure(cell.half_width));
                    pen.text(x + CELL.0 / 2.0, y + 38.0, &half, &middle(look.text(10, ink)))?;
                }
            }
        }
        let bottom = TOP + CELL.1 * self.rows.1.len() as f64;
        let below = anchor(look.text(12, look.ink), HPos::Center, VPos::Top);
        for (column, value) in self.columns.1.iter().enumerate() {
            pen.text(LEFT + CELL.0 * (column as f64 + 0.5), bottom + 8.0, value, &below)?;
        }
        let middle = LEFT + CELL.0 * self.columns.1.len() as f64 / 2.0;
        pen.text(middle, bottom + 30.0, &self.columns.0, &anchor(look.text(11, look.ink), HPos::Center, VPos::Top))?;
        self.bar(&pen, LEFT + CELL.0 * self.columns.1.len() as f64 + 24.0, TOP, bottom)
    }
}

impl HeatMap {
    /// The scale of the colours.
    fn bar<DB: DrawingBackend>(&self, pen: &Pen<'_, DB>, x: f64, top: f64, bottom: f64) -> Drawn<DB>
    where
        DB::ErrorType: 'static,
    {
        let (low, high) = self.extremes();
        let steps = 24;
        let height = (bottom - 2.0 - top) / f64::from(steps);
        for step in 0..steps {
            let value = low + (high - low) * (f64::from(step) + 0.5) / f64::from(steps);
            let y = bottom - 2.0 - height * f64::from(step + 1);
            pen.rect(x, y, 16.0, height + 0.5, self.color(value, pen.look), 1.0)?;
        }
        pen.frame(x, top, 16.0, bottom - 2.0 - top, pen.look.faint)?;
        let style = |v| anchor(pen.look.text(11, pen.look.faint), HPos::Left, v);
        pen.text(x + 22.0, top, &format!("{} {}", figure(high), self.unit), &style(VPos::Top))?;
        pen.text(x + 22.0, bottom - 2.0, &format!("{} {}", figure(low), self.unit), &style(VPos::Bottom))
    }
}

#[cfg(test)]
mod tests {
    use super::super::chart::Theme;
    use super::*;

    fn map(cells: Vec<Vec<Option<Cell>>>) -> HeatMap {
        HeatMap {
            metric: "set-outage".into(),
            unit: "s".into(),
            fixed: String::new(),
            columns: ("haproxy.inter".into(), vec!["250ms".into(), "1s".into()]),
            rows: ("sentinel.down-after-milliseconds".into(), vec!["1000".into()]),
            cells,
        }
    }

    #[test]
    fn cells_carry_their_figures_and_n() {
        let cell = |mean| Some(Cell { mean, half_width: 0.05, n: 200 });
        let chart = map(vec![vec![cell(2.17), cell(6.02)]]);
        for theme in [Theme::Light, Theme::Dark] {
            let svg = chart.svg(theme);
            for text in ["2.17", "6.02", "± 0.050", "n = 200", "haproxy.inter", "250ms"] {
                assert!(svg.contains(text), "{text}");
            }
        }
    }

    #[test]
    fn holes_and_equal_values_can_be_drawn() {
        let cell = Some(Cell { mean: 1.0, half_width: f64::INFINITY, n: 1 });
        for cells in [vec![vec![None, None]], vec![vec![cell, cell]], vec![vec![cell, None]]] {
            assert!(map(cells).svg(Theme::Light).ends_with("</svg>\n"));
        }
    }

    #[test]
    fn figures_have_three_digits() {
        assert_eq!(
            [0.0, 0.0123, 0.5, 6.024, 12.345, 708.2, -1.5].map(figure),
            ["0", "0.012", "0.50", "6.02", "12.3", "708", "−1.50"]
        );
    }
}
