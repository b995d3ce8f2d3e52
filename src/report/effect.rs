//! What a setting does to a metric: mean, its confidence interval, and the spread of the runs, against the setting.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::chart::{Chart, Drawn, Key, Look, Pen, ValueScale, heading, legend, legend_rows, palette, plain};
use super::scale::NumberScale;

const WIDTH: u32 = 900;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 880.0;
const TOP: f64 = 62.0;
const BOTTOM: f64 = 400.0;
const COLORS: [RGBColor; 6] =
    [palette::BLUE, palette::VERMILLION, palette::GREEN, palette::PURPLE, palette::ORANGE, palette::SKY];

/// A setting and what was found with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct EffectPoint {
    /// The setting.
    pub x: f64,
    /// Mean of the metric.
    pub mean: f64,
    /// Its 95 % confidence interval.
    pub interval: (f64, f64),
    /// Between these lie nine of ten runs.
    pub spread: (f64, f64),
}

/// A metric against one setting.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EffectChart {
    /// What is measured.
    pub metric: String,
    /// Its unit.
    pub unit: String,
    /// The key that varies, with its unit.
    pub key: String,
    /// Whether the setting is shown on a logarithmic scale.
    pub log: bool,
    /// Runs of each setting.
    pub n: u64,
    /// Whether the settings are a random sample, in which others vary too: then points are not joined.
    pub sampled: bool,
    /// By the values of the other keys: a name and its points in rising order.
    pub series: Vec<(String, Vec<EffectPoint>)>,
}

impl EffectChart {
    fn keys(&self, look: &Look) -> Vec<Key> {
        let key = |(i, (name, _)): (usize, &(String, Vec<EffectPoint>))| Key {
            color: look.shade(COLORS[i % COLORS.len()]),
            text: name.clone(),
        };
        let named = self.series.iter().any(|(name, _)| !name.is_empty());
        if self.series.len() > 1 || named { self.series.iter().enumerate().map(key).collect() } else { Vec::new() }
    }

    fn points(&self) -> impl Iterator<Item = &EffectPoint> {
        self.series.iter().flat_map(|(_, points)| points)
    }
}

impl Chart for EffectChart {
    fn size(&self) -> (u32, u32) {
        let keys = self.keys(&Look::of(super::chart::Theme::Light));
        let rows = if keys.is_empty() { 0 } else { legend_rows(&keys, RIGHT - 20.0) };
        (WIDTH, BOTTOM as u32 + 52 + rows * 18 + 8)
    }

    fn title(&self) -> String {
        format!("{} ({}) against {}, n = {} runs a setting", self.metric, self.unit, self.key, self.n)
    }

    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, look: &Look) -> Drawn<DB>
    where
        DB::ErrorType: 'static,
    {
        let pen = Pen::new(area, look);
        let note = format!("mean, 95 % confidence (thick), 5 to 95 % of the runs (thin); n = {} a setting", self.n);
        heading(&pen, &self.metric, &note)?;
        let most = self.points().map(|point| point.spread.1.max(point.interval.1)).fold(0.0, f64::max);
        let values = ValueScale::linear(if most > 0.0 { most } else { 1.0 }, TOP, BOTTOM);
        let scale = NumberScale::holding(self.points().map(|point| point.x), self.log, (LEFT, RIGHT));
        scale.draw(&pen, TOP, BOTTOM, &self.key)?;
        values.draw(&pen, LEFT, RIGHT, &format!("{} ({})", self.metric, self.unit), plain)?;
        let count = self.series.len();
        for (i, (_, points)) in self.series.iter().enumerate() {
            let color = look.shade(COLORS[i % COLORS.len()]);
            // Bars of several series at one setting stand side by side.
            let aside = if self.sampled { 0.0 } else { (i as f64 - (count as f64 - 1.0) / 2.0) * 5.0 };
            let at = |point: &EffectPoint, value: f64| (scale.x(point.x) + aside, values.y(value.max(0.0)));
            if !self.sampled {
                let line: Vec<(f64, f64)> = points.iter().map(|point| at(point, point.mean)).collect();
                pen.path(&line, color, 0.6, 3)?;
            }
            for point in points {
                pen.line(at(point, point.spread.0), at(point, point.spread.1), color, 0.5, 2)?;
                pen.line(at(point, point.interval.0), at(point, point.interval.1), color, 1.0, 7)?;
                let (x, y) = at(point, point.mean);
                pen.dot(x, y, 3.5, color)?;
            }
        }
        let keys = self.keys(look);
        if !keys.is_empty() {
            legend(&pen, &keys, 20.0, RIGHT, BOTTOM + 50.0)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::chart::Theme;
    use super::*;

    #[test]
    fn it_can_be_drawn_with_and_without_points() {
        let point = |x| EffectPoint { x, mean: 3.0, interval: (2.9, 3.1), spread: (1.0, 5.0) };
        for series in [vec![], vec![(String::new(), vec![])], vec![("a".into(), vec![point(1.0), point(100.0)])]] {
            let chart = EffectChart {
                metric: "set-outage".into(),
                unit: "s".into(),
                key: "sentinel.down-after-milliseconds".into(),
                log: true,
                n: 200,
                sampled: false,
                series,
            };
            let svg = chart.svg(Theme::Light);
            assert!(svg.contains("n = 200") && svg.contains("down-after"));
        }
    }
}
