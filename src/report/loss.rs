//! Messages lost over time, by cause.

use std::collections::BTreeMap;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::causes;
use super::chart::{
    Chart, Drawn, Key, Look, Pen, TimeScale, ValueScale, heading, legend, legend_rows, mark_faults, nice_step, plain,
    shade_faults,
};
use super::lanes::Lanes;
use crate::analysis::Analysis;
use crate::analysis::ledger::Cause;

const WIDTH: u32 = 1280;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 1262.0;
const TOP: f64 = 62.0;
const BOTTOM: f64 = 300.0;

/// The chart of losses of a run.
#[derive(Debug)]
pub struct LossChart<'a> {
    lanes: &'a Lanes,
    analysis: &'a Analysis,
}

impl<'a> LossChart<'a> {
    /// The losses of a whole run, from shortly before the first fault.
    pub fn new(lanes: &'a Lanes, analysis: &'a Analysis) -> Self {
        LossChart { lanes, analysis }
    }

    fn keys(&self, look: &Look) -> Vec<Key> {
        let sums = &self.analysis.ledger.sums;
        let mut keys = vec![Key { color: look.good, text: "published".into() }];
        for cause in Cause::ALL {
            if let Some(count) = sums.by_cause.get(cause.as_str()) {
                let color = look.shade(causes::color(cause));
                keys.push(Key { color, text: format!("{} ({count})", causes::words(cause)) });
            }
        }
        keys
    }
}

impl Chart for LossChart<'_> {
    fn size(&self) -> (u32, u32) {
        let keys = self.keys(&Look::of(super::chart::Theme::Light));
        (WIDTH, BOTTOM as u32 + 50 + legend_rows(&keys, RIGHT - 20.0) * 18 + 12)
    }

    fn title(&self) -> String {
        let sums = &self.analysis.ledger.sums;
        let part = if sums.published == 0 { 0.0 } else { sums.lost as f64 / sums.published as f64 * 100.0 };
        format!(
            "{} of {} messages lost ({part:.1} %), {} of them silently",
            sums.lost, sums.published, sums.lost_silently
        )
    }

    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, look: &Look) -> Drawn<DB>
    where
        DB::ErrorType: 'static,
    {
        let pen = Pen::new(area, look);
        let scale = TimeScale { from_us: self.lanes.shown_from_us, to_us: self.lanes.end_us, left: LEFT, right: RIGHT };
        heading(&pen, "Messages lost over time", &self.title())?;
        let step = nice_step(scale.seconds(), 120);
        let width_us = (step * 1e6) as i64;
        let mut buckets: BTreeMap<i64, (u32, BTreeMap<Cause, u32>)> = BTreeMap::new();
        for message in &self.analysis.ledger.messages {
            if message.published_us >= scale.from_us && message.published_us <= scale.to_us {
                let bucket = buckets.entry(message.published_us.div_euclid(width_us)).or_default();
                bucket.0 += 1;
                if let Some(cause) = message.cause {
                    *bucket.1.entry(cause).or_default() += 1;
                }
            }
        }
        // Buckets at the edges are not seen whole: what counts is the rate in the part that is.
        let seen = |index: i64| {
            let (from, to) = ((index * width_us).max(scale.from_us), ((index + 1) * width_us).min(scale.to_us));
            (from, to, ((to - from) as f64 / 1e6).max(step / 4.0))
        };
        let most = buckets.iter().map(|(index, (all, _))| f64::from(*all) / seen(*index).2).fold(1.0, f64::max);
        let values = ValueScale::linear(most, TOP, BOTTOM);
        for (index, (all, _)) in &buckets {
            let (from, to, seconds) = seen(*index);
            let top = values.y(f64::from(*all) / seconds);
            pen.rect(scale.x(from), top, scale.x(to) - scale.x(from), BOTTOM - top, look.good, 1.0)?;
        }
        shade_faults(&pen, &scale, &self.lanes.faults, TOP, BOTTOM)?;
        values.draw(&pen, LEFT, RIGHT, &format!("messages per second (in steps of {} s)", plain(step)), plain)?;
        scale.draw(&pen, TOP, BOTTOM)?;
        for (index, (_, causes)) in &buckets {
            let (from, to, seconds) = seen(*index);
            let mut below = 0;
            for (cause, count) in causes {
                let (low, high) = (f64::from(below) / seconds, f64::from(below + count) / seconds);
                let (y0, y1) = (values.y(high), values.y(low));
                let color = look.shade(causes::color(*cause));
                pen.rect(scale.x(from), y0, scale.x(to) - scale.x(from), y1 - y0, color, 1.0)?;
                below += count;
            }
        }
        mark_faults(&pen, &scale, &self.lanes.faults, TOP, BOTTOM)?;
        legend(&pen, &self.keys(look), 20.0, RIGHT, BOTTOM + 50.0)?;
        Ok(())
    }
}
