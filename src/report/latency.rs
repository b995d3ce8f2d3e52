//! How long attempts to publish took over time, and which failed.

use std::collections::{BTreeMap, BTreeSet};

use plotters::coord::Shift;
use plotters::prelude::*;

use super::causes;
use super::chart::{
    Chart, Drawn, Key, Look, Pen, TimeScale, ValueScale, duration_label, heading, legend, legend_rows, mark_faults,
    palette, shade_faults,
};
use super::lanes::Lanes;
use crate::analysis::Analysis;
use crate::analysis::ledger::{Cause, Fate};
use crate::analysis::stats::quantile;
use crate::record::Outcome;

const WIDTH: u32 = 1280;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 1262.0;
const TOP: f64 = 62.0;
const BOTTOM: f64 = 320.0;
/// More messages than these are drawn as columns, not as dots.
const DOTS: usize = 4_000;
/// How wide a column is.
const COLUMN: f64 = 3.0;

/// The chart of latencies of a run.
#[derive(Debug)]
pub struct LatencyChart<'a> {
    lanes: &'a Lanes,
    analysis: &'a Analysis,
}

impl<'a> LatencyChart<'a> {
    /// The latencies of a whole run, from shortly before the first fault.
    pub fn new(lanes: &'a Lanes, analysis: &'a Analysis) -> Self {
        LatencyChart { lanes, analysis }
    }

    fn acknowledged(&self) -> String {
        if self.analysis.ledger.messages.len() > DOTS {
            "acknowledged: all, and darker the middle 80 %".into()
        } else {
            "acknowledged".into()
        }
    }

    fn failed_causes(&self) -> BTreeSet<Cause> {
        let failed = self.analysis.ledger.messages.iter().filter(|message| message.fate == Fate::Failed);
        failed.filter_map(|message| message.cause).collect()
    }

    fn keys(&self, look: &Look) -> Vec<Key> {
        let mut keys = vec![Key { color: look.shade(palette::BLUE), text: self.acknowledged() }];
        if self.analysis.ledger.messages.iter().any(|message| message.fate == Fate::FailedButDelivered) {
            keys.push(Key { color: palette::GREEN, text: "failed, but delivered".into() });
        }
        for cause in self.failed_causes() {
            keys.push(Key {
                color: look.shade(causes::color(cause)),
                text: format!("failed: {}", causes::words(cause)),
            });
        }
        keys
    }
}

impl Chart for LatencyChart<'_> {
    fn size(&self) -> (u32, u32) {
        let keys = self.keys(&Look::of(super::chart::Theme::Light));
        (WIDTH, BOTTOM as u32 + 50 + legend_rows(&keys, RIGHT - 20.0) * 18 + 12)
    }

    fn title(&self) -> String {
        let acknowledged = |message: &&crate::analysis::ledger::Message| message.outcome == Outcome::Ok;
        let sample: Vec<f64> =
            self.analysis.ledger.messages.iter().filter(acknowledged).map(|m| m.took_us as f64 / 1e3).collect();
        let failed = self.analysis.ledger.messages.len() - sample.len();
        let figure = |p| quantile(&sample, p).map_or("–".to_string(), |ms| duration_label((ms * 1e3).round() / 1e3));
        format!(
            "acknowledged: n = {}, median {}, p99 {}, longest {}; failed: n = {failed}",
            sample.len(),
            figure(0.5),
            figure(0.99),
            figure(1.0)
        )
    }

    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, look: &Look) -> Drawn<DB>
    where
        DB::ErrorType: 'static,
    {
        let pen = Pen::new(area, look);
        let scale = TimeScale { from_us: self.lanes.shown_from_us, to_us: self.lanes.end_us, left: LEFT, right: RIGHT };
        heading(&pen, "Time that an attempt to publish took", &self.title())?;
        let shown: Vec<_> = self
            .analysis
            .ledger
            .messages
            .iter()
            .filter(|message| message.published_us >= scale.from_us && message.published_us <= scale.to_us)
            .collect();
        let times = || shown.iter().map(|message| (message.took_us.max(1)) as f64 / 1e3);
        let (low, high) = (times().fold(1.0, f64::min), times().fold(1.0, f64::max));
        let values = ValueScale::decades(low, high, TOP, BOTTOM);
        values.draw(&pen, LEFT, RIGHT, "duration (logarithmic)", duration_label)?;
        scale.draw(&pen, TOP, BOTTOM)?;
        shade_faults(&pen, &scale, &self.lanes.faults, TOP, BOTTOM)?;
        let many = self.analysis.ledger.messages.len() > DOTS;
        if many {
            self.draw_columns(&pen, &scale, &values)?;
        }
        // What would fall on the same spot is drawn once: a picture of a long run is no larger than of a short one.
        let mut drawn: BTreeSet<(u8, i32, i32)> = BTreeSet::new();
        for (failures, radius) in [(false, 1.5), (true, 2.6)] {
            if !failures && many {
                continue;
            }
            for message in shown.iter().filter(|message| (message.outcome != Outcome::Ok) == failures) {
                let (rank, color) = match (failures, message.cause) {
                    (false, _) => (0, look.shade(palette::BLUE)),
                    (true, Some(cause)) => (2 + cause as u8, look.shade(causes::color(cause))),
                    (true, None) => (1, palette::GREEN),
                };
                let (x, y) = (scale.x(message.published_us), values.y(message.took_us.max(1) as f64 / 1e3));
                if drawn.insert((rank, x as i32, y as i32)) {
                    pen.dot(x, y, radius, color)?;
                }
            }
        }
        mark_faults(&pen, &scale, &self.lanes.faults, TOP, BOTTOM)?;
        legend(&pen, &self.keys(look), 20.0, RIGHT, BOTTOM + 50.0)?;
        Ok(())
    }
}

impl LatencyChart<'_> {
    /// Acknowledged attempts of a long run: for each column the range of all and, darker, of the middle eight tenths.
    fn draw_columns<DB: DrawingBackend>(&self, pen: &Pen<'_, DB>, scale: &TimeScale, values: &ValueScale) -> Drawn<DB>
    where
        DB::ErrorType: 'static,
    {
        let mut columns: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
        for message in self.analysis.ledger.messages.iter().filter(|message| message.outcome == Outcome::Ok) {
            if message.published_us >= scale.from_us && message.published_us <= scale.to_us {
                let column = ((scale.x(message.published_us) - LEFT) / COLUMN) as i64;
                columns.entry(column).or_default().push(message.took_us.max(1) as f64 / 1e3);
            }
        }
        let color = pen.look.shade(palette::BLUE);
        for (column, times) in columns {
            let x = LEFT + column as f64 * COLUMN;
            for ((low, high), alpha) in [((0.0, 1.0), 0.35), ((0.1, 0.9), 1.0)] {
                let y = |p| values.y(quantile(&times, p).expect("a column has a message"));
                pen.rect(x, y(high) - 0.5, COLUMN.min(RIGHT - x), y(low) - y(high) + 1.0, color, alpha)?;
            }
        }
        Ok(())
    }
}
