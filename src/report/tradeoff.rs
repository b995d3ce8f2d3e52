//! Outage against false failovers a day: what a setting wins when the master dies, and what it costs when it stumbles.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::chart::{Chart, Drawn, Look, Pen, ValueScale, anchor, heading, palette, plain};
use super::scale::NumberScale;

const WIDTH: u32 = 900;
/// Where settings stand that no pause of the model makes fail over.
const NONE: f64 = 90.0;
const LEFT: f64 = 130.0;
const RIGHT: f64 = 880.0;
const TOP: f64 = 84.0;
const BOTTOM: f64 = 430.0;
/// Fewer a day than this is shown as none: once in ten years.
const LEAST: f64 = 1.0 / 3_650.0;

/// A setting.
#[derive(Clone, Debug, PartialEq)]
pub struct TradeoffPoint {
    /// Its values.
    pub label: String,
    /// Mean outage when the master fails, and its 95 % confidence interval.
    pub outage: (f64, f64, f64),
    /// False failovers a day, and their 95 % confidence interval.
    pub a_day: (f64, f64, f64),
}

/// Settings by outage and false failovers.
#[derive(Clone, Debug, PartialEq)]
pub struct TradeoffChart {
    /// What the outage is: `set-outage (s)`.
    pub outage: String,
    /// The keys that vary.
    pub keys: String,
    /// The model of pauses.
    pub model: String,
    /// Runs of each setting, with either fault.
    pub n: u64,
    /// The settings.
    pub points: Vec<TradeoffPoint>,
}

impl TradeoffChart {
    /// Settings that no other beats in both, by rising number of false failovers.
    pub fn front(&self) -> Vec<&TradeoffPoint> {
        let beats = |other: &TradeoffPoint, point: &TradeoffPoint| {
            let no_worse = other.outage.0 <= point.outage.0 && other.a_day.0 <= point.a_day.0;
            no_worse && (other.outage.0 < point.outage.0 || other.a_day.0 < point.a_day.0)
        };
        let mut front: Vec<&TradeoffPoint> =
            self.points.iter().filter(|point| !self.points.iter().any(|other| beats(other, point))).collect();
        front.sort_by(|a, b| a.a_day.0.total_cmp(&b.a_day.0).then(b.outage.0.total_cmp(&a.outage.0)));
        front
    }
}

impl Chart for TradeoffChart {
    fn size(&self) -> (u32, u32) {
        (WIDTH, BOTTOM as u32 + 60)
    }

    fn title(&self) -> String {
        format!("{} against false failovers a day, by {}; n = {} runs a setting", self.outage, self.keys, self.n)
    }

    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, look: &Look) -> Drawn<DB>
    where
        DB::ErrorType: 'static,
    {
        let pen = Pen::new(area, look);
        heading(&pen, "Outage against false failovers", &format!("by {}", self.keys))?;
        let note = format!(
            "pauses: {}; n = {} runs a setting with each fault; bars: 95 % confidence; line: settings that none beats",
            self.model, self.n
        );
        pen.text(14.0, 42.0, &note, &anchor(look.text(11, look.faint), HPos::Left, VPos::Center))?;
        let shown = self.points.iter().filter(|point| point.a_day.0 >= LEAST);
        let rates = shown.flat_map(|point| [point.a_day.0, point.a_day.1.max(point.a_day.0 / 3.0), point.a_day.2]);
        let scale = NumberScale::holding(rates, true, (LEFT, RIGHT));
        let most = self.points.iter().map(|point| point.outage.2).fold(0.0, f64::max);
        let most = if most > 0.0 { most } else { 1.0 };
        // Room for the names of the highest.
        let values = ValueScale::linear(most * 1.08, TOP, BOTTOM);
        values.draw(&pen, 60.0, RIGHT, &self.outage, plain)?;
        scale.draw(&pen, TOP, BOTTOM, "false failovers a day")?;
        let none = anchor(look.text(11, look.faint), HPos::Center, VPos::Top);
        pen.line((NONE, TOP), (NONE, BOTTOM), look.grid, 1.0, 2)?;
        pen.text(NONE, BOTTOM + 6.0, "none", &none)?;
        let x = |rate: f64| if rate < LEAST { NONE } else { scale.x(rate) };
        let place = |point: &TradeoffPoint| (x(point.a_day.0), values.y(point.outage.0));
        let front = self.front();
        let line: Vec<(f64, f64)> = front.iter().map(|point| place(point)).collect();
        pen.path(&line, look.shade(palette::VERMILLION), 0.7, 3)?;
        let mut taken: Vec<(f64, f64, f64, f64)> = self
            .points
            .iter()
            .map(|point| {
                let (x, y) = place(point);
                (x - 6.0, y - 6.0, x + 6.0, y + 6.0)
            })
            .collect();
        let style = anchor(look.text(11, look.ink), HPos::Left, VPos::Center);
        for point in &self.points {
            let best = front.contains(&point);
            let color = look.shade(if best { palette::VERMILLION } else { palette::BLUE });
            let (px, py) = place(point);
            if point.a_day.0 >= LEAST {
                let (low, high) = (scale.x(point.a_day.1.max(scale.low)), scale.x(point.a_day.2));
                pen.line((low, py), (high, py), color, 0.5, 2)?;
            }
            pen.line((px, values.y(point.outage.1)), (px, values.y(point.outage.2)), color, 0.5, 2)?;
            pen.dot(px, py, 5.0, color)?;
        }
        // Those that count are named first; the others where there is room.
        let rest = self.points.iter().filter(|point| !front.contains(point));
        for point in front.iter().copied().chain(rest) {
            let (px, py) = place(point);
            let wide = pen.width(&point.label, &style);
            let places = [
                (7.0, -15.0),
                (7.0, 15.0),
                (-7.0 - wide, 15.0),
                (-7.0 - wide, -15.0),
                (-wide / 2.0, -18.0),
                (-wide / 2.0, 18.0),
            ];
            let free = places.into_iter().find_map(|(dx, dy)| {
                let (left, middle) = (px + dx, py + dy);
                let own = (left, middle - 8.0, left + wide, middle + 8.0);
                let inside = own.0 > 60.0 && own.2 < RIGHT && own.1 > TOP - 8.0 && own.3 < BOTTOM;
                let clear = taken.iter().all(|t| own.2 < t.0 || t.2 < own.0 || own.3 < t.1 || t.3 < own.1);
                (inside && clear).then_some((left, middle, own))
            });
            if let Some((left, middle, own)) = free {
                pen.text(left, middle, &point.label, &style)?;
                taken.push(own);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::chart::Theme;
    use super::*;

    fn chart() -> TradeoffChart {
        let point = |label: &str, outage: f64, a_day: f64| TradeoffPoint {
            label: label.into(),
            outage: (outage, outage - 0.1, outage + 0.1),
            a_day: (a_day, a_day * 0.8, a_day * 1.2),
        };
        TradeoffChart {
            outage: "set-outage (s)".into(),
            keys: "sentinel.down-after-milliseconds".into(),
            model: "500/day:lognormal:80ms:1.2".into(),
            n: 200,
            points: vec![
                point("10000", 12.0, 0.0),
                point("1000", 6.0, 40.0),
                point("2000", 6.0, 8.0),
                point("5000", 7.2, 0.5),
                point("odd", 8.0, 9.0),
            ],
        }
    }

    #[test]
    fn the_front_holds_what_none_beats() {
        let chart = chart();
        let labels: Vec<&str> = chart.front().iter().map(|point| point.label.as_str()).collect();
        assert_eq!(labels, ["10000", "5000", "2000"]);
    }

    #[test]
    fn settings_are_named_and_none_can_be_drawn() {
        let svg = chart().svg(Theme::Dark);
        for text in ["10000", "5000", "2000", "none", "lognormal", "n = 200"] {
            assert!(svg.contains(text), "{text}");
        }
        assert!(TradeoffChart { points: Vec::new(), ..chart() }.svg(Theme::Light).ends_with("</svg>\n"));
    }
}
