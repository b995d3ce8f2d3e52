//! Distributions over many runs: which part of the runs needed at most so long.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::chart::{
    Chart, Drawn, Key, Look, Pen, ValueScale, anchor, heading, legend, legend_rows, palette, plain, round_step,
};
use crate::analysis::stats::quantile;

const WIDTH: u32 = 900;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 880.0;
const TOP: f64 = 62.0;
const BOTTOM: f64 = 420.0;
/// Steps closer than this are drawn as one, in units of the picture.
const FINEST: f64 = 0.7;
/// Samples below this size get no band.
const BAND_FROM: usize = 5;
/// Hues that remain apart as thin lines, on white and on black.
const COLORS: [RGBColor; 6] =
    [palette::BLUE, palette::VERMILLION, palette::GREEN, palette::PURPLE, palette::ORANGE, palette::SKY];

/// Empirical distribution functions of one or several samples.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EcdfChart {
    /// What is measured: `time from the fault to the promotion`.
    pub title: String,
    /// Its unit.
    pub unit: String,
    /// Name and sample of each curve.
    pub series: Vec<(String, Vec<f64>)>,
}

/// Half the height of the band that holds the whole true distribution with 95 % confidence (Dvoretzky, Kiefer,
/// Wolfowitz, with Massart's constant).
pub(crate) fn dkw_half_width(n: usize) -> f64 {
    libm::sqrt(libm::log(2.0 / 0.05) / (2.0 * n.max(1) as f64)).min(1.0)
}

/// A step at each place, from one edge to the other; `at`: how high it is after so many of them.
fn staircase(
    places: impl ExactSizeIterator<Item = f64>,
    at: impl Fn(usize) -> f64,
    left: f64,
    right: f64,
) -> Vec<(f64, f64)> {
    let (n, mut points, mut last) = (places.len(), vec![(left, at(0))], f64::NEG_INFINITY);
    for (i, x) in places.enumerate() {
        // Steps that nobody can tell apart are one: a chart of 20 000 runs is no larger than one of 2 000.
        match points.last_mut() {
            Some(point) if x - last < FINEST => point.1 = at(i + 1),
            _ => {
                points.extend([(x, at(i)), (x, at(i + 1))]);
                last = x;
            }
        }
    }
    points.push((right, at(n)));
    points
}

/// Whether two samples give the same curve.
fn is_same(a: &[f64], b: &[f64]) -> bool {
    let sorted = |sample: &[f64]| {
        let mut sorted = sample.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted
    };
    a.len() == b.len() && sorted(a) == sorted(b)
}

impl EcdfChart {
    fn keys(&self, look: &Look) -> Vec<Key> {
        let key = |(i, (name, sample)): (usize, &(String, Vec<f64>))| {
            let figure = |p| quantile(sample, p).map_or("–".into(), |v| format!("{v:.2}"));
            let text = format!(
                "{name}: n = {}, p50 {}, p95 {}, p99 {} {}",
                sample.len(),
                figure(0.5),
                figure(0.95),
                figure(0.99),
                self.unit
            );
            Key { color: look.shade(COLORS[i % COLORS.len()]), text }
        };
        self.series.iter().enumerate().map(key).collect()
    }
}

impl Chart for EcdfChart {
    fn size(&self) -> (u32, u32) {
        let rows = legend_rows(&self.keys(&Look::of(super::chart::Theme::Light)), RIGHT - 20.0);
        (WIDTH, BOTTOM as u32 + 50 + rows * 18 + 12)
    }

    fn title(&self) -> String {
        let n: usize = self.series.iter().map(|(_, sample)| sample.len()).sum();
        format!("{}: distribution over {n} values, bands of 95 % confidence", self.title)
    }

    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, look: &Look) -> Drawn<DB>
    where
        DB::ErrorType: 'static,
    {
        let pen = Pen::new(area, look);
        heading(&pen, &self.title, "with bands of 95 % confidence (DKW)")?;
        let all = || self.series.iter().flat_map(|(_, sample)| sample.iter().copied()).filter(|v| v.is_finite());
        let (least, most) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
        let (least, most) = if least > most { (0.0, 1.0) } else { (least, most) };
        let step = round_step((most - least).max(1e-3) / 9.0);
        let (first, last) =
            (libm::floor(least / step) as i64, libm::ceil(most / step).max(libm::floor(least / step) + 1.0) as i64);
        let (low, high) = (first as f64 * step, last as f64 * step);
        let x = |value: f64| LEFT + (value - low) / (high - low) * (RIGHT - LEFT);
        let values = ValueScale { low: 0.0, high: 1.0, log: false, top: TOP, bottom: BOTTOM };
        values.draw(&pen, LEFT, RIGHT, "part of the runs", plain)?;
        let style = anchor(look.text(11, look.faint), HPos::Center, VPos::Top);
        for tick in first..=last {
            let value = tick as f64 * step;
            pen.line((x(value), TOP), (x(value), BOTTOM), look.grid, 1.0, 1)?;
            pen.text(x(value), BOTTOM + 6.0, &plain(value), &style)?;
        }
        let label = format!("{} ({})", self.title, self.unit);
        pen.text(
            (LEFT + RIGHT) / 2.0,
            BOTTOM + 22.0,
            &label,
            &anchor(look.text(11, look.ink), HPos::Center, VPos::Top),
        )?;
        for (i, (_, sample)) in self.series.iter().enumerate() {
            let color = look.shade(COLORS[i % COLORS.len()]);
            let mut sorted: Vec<f64> = sample.iter().copied().filter(|v| v.is_finite()).collect();
            sorted.sort_by(f64::total_cmp);
            let n = sorted.len();
            if n == 0 {
                continue;
            }
            let half = dkw_half_width(n);
            let steps = |shift: f64, (left, right): (f64, f64)| {
                let at = |i: usize| values.y((i as f64 / n as f64 + shift).clamp(0.0, 1.0));
                staircase(sorted.iter().map(|value| x(*value)), at, left, right)
            };
            // A band from fewer values says nothing, and beyond the values it goes on as a flat line.
            if n >= BAND_FROM {
                let edges = (x(sorted[0]), x(sorted[n - 1]));
                let mut band = steps(half, edges);
                band.extend(steps(-half, edges).into_iter().rev());
                pen.polygon(&band, color, 0.15)?;
            }
            // Of curves that are the same all are seen: those below are wider.
            let above = self.series[i + 1..].iter().filter(|(_, other)| is_same(sample, other)).count() as u32;
            pen.path(&steps(0.0, (LEFT, RIGHT)), color, 1.0, 4 + 5 * above.min(4))?;
            for p in [0.5, 0.95, 0.99] {
                let value = quantile(&sorted, p).expect("the sample is not empty");
                pen.dot(x(value), values.y(p), 3.5, color)?;
            }
        }
        if self.series.iter().all(|(_, sample)| sample.is_empty()) {
            let style = anchor(look.text(13, look.faint), HPos::Center, VPos::Center);
            pen.text((LEFT + RIGHT) / 2.0, (TOP + BOTTOM) / 2.0, "in no run is there anything to draw", &style)?;
        }
        legend(&pen, &self.keys(look), 20.0, RIGHT, BOTTOM + 50.0)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_band_narrows_with_the_root_of_n() {
        assert!((dkw_half_width(100) - 0.1358).abs() < 1e-4);
        assert!((dkw_half_width(400) - 0.0679).abs() < 1e-4);
        assert_eq!(dkw_half_width(1), 1.0);
    }

    #[test]
    fn many_runs_make_no_large_file_and_equal_curves_are_both_seen() {
        use super::super::chart::Theme;
        let sample: Vec<f64> = (0..20_000).map(|i| f64::from(i * 7_919 % 20_000) / 1e3).collect();
        let one = |series: Vec<(String, Vec<f64>)>| EcdfChart { title: "time".into(), unit: "s".into(), series };
        let large = one(vec![("a".into(), sample.clone())]).svg(Theme::Light);
        assert!(large.len() < 150_000, "{} bytes", large.len());
        let few: Vec<f64> = sample[..50].to_vec();
        let both = one(vec![("a".into(), few.clone()), ("b".into(), few.clone())]).svg(Theme::Light);
        let widths = |svg: &str| svg.matches("stroke-width=\"9\"").count();
        assert_eq!((widths(&both), widths(&one(vec![("a".into(), few)]).svg(Theme::Light))), (1, 0));
    }

    #[test]
    fn empty_and_constant_samples_can_be_drawn() {
        use super::super::chart::Theme;
        for sample in [vec![], vec![5.0], vec![5.0; 10], vec![f64::NAN, 1.0]] {
            let series = vec![("a".to_string(), sample)];
            let chart = EcdfChart { title: "time".into(), unit: "s".into(), series };
            assert!(chart.svg(Theme::Light).ends_with("</svg>\n"));
        }
    }
}
