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
pub(crate) struct TradeoffPoint {
    /// Its values.
    pub label: String,
    /// Mean outage when the master fails, and its 95 % confidence interval.
    pub outage: (f64, f64, f64),
    /// False failovers a day, and their 95 % confidence interval.
    pub a_day: (f64, f64, f64),
}

/// Settings by outage and false failovers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TradeoffChart {
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
    pub(crate) fn front(&self) -> Vec<&TradeoffPoint> {
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

/// Half the height of a name.
const HALF: f64 = 8.0;

/// A dot that wants a name.
struct Wanted {
    at: (f64, f64),
    /// How wide the name is.
    wide: f64,
    /// Whether it is named by all means, with a line from the name to the dot if need be.
    needed: bool,
}

/// Where a name stands.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spot {
    left: f64,
    middle: f64,
    right: f64,
    /// Whether a line leads from it to its dot.
    led: bool,
}

impl Spot {
    /// The point of its edge that is nearest to a dot.
    fn nearest_to(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (x.clamp(self.left, self.right), y.clamp(self.middle - HALF, self.middle + HALF))
    }

    fn distance(&self, dot: (f64, f64)) -> f64 {
        let (x, y) = self.nearest_to(dot);
        (x - dot.0).hypot(y - dot.1)
    }

    fn meets(&self, other: &Spot) -> bool {
        let apart = self.right < other.left || other.right < self.left;
        !apart && (self.middle - other.middle).abs() < 2.0 * HALF
    }
}

/// A place for each name: nearer to its own dot than to any other, clear of all dots and of the names before it; where
/// that cannot be, farther away with a line that leads to it; none where there is no room.
fn label_places(wanted: &[Wanted]) -> Vec<Option<Spot>> {
    let mut taken: Vec<Spot> = Vec::new();
    let mut found = Vec::new();
    for (own, want) in wanted.iter().enumerate() {
        let others = || wanted.iter().enumerate().filter(move |(place, other)| *place != own && other.at != want.at);
        let free = |spot: &Spot| {
            let inside = spot.left > 60.0
                && spot.right < RIGHT
                && spot.middle - HALF > TOP - 16.0
                && spot.middle + HALF < BOTTOM;
            let clear = wanted.iter().all(|dot| spot.distance(dot.at) >= 5.0);
            inside && clear && !taken.iter().any(|other| spot.meets(other))
        };
        let own_is_nearest = |spot: &Spot| {
            let distance = spot.distance(want.at);
            others().all(|(_, other)| spot.distance(other.at) > distance * 1.5)
        };
        let around = |away: f64, led: bool| {
            let (x, y) = want.at;
            let side = away * 0.5;
            let places = [(side, -away), (side, away), (-side - want.wide, away), (-side - want.wide, -away)];
            let middle = [(-want.wide / 2.0, -away - 3.0), (-want.wide / 2.0, away + 3.0)];
            places.into_iter().chain(middle).map(move |(dx, dy)| {
                let left = x + dx;
                Spot { left, middle: y + dy, right: left + want.wide, led }
            })
        };
        let near = around(15.0, false).find(|spot| free(spot) && own_is_nearest(spot));
        let far = || [30.0, 45.0, 60.0, 80.0, 100.0].into_iter().find_map(|away| around(away, true).find(&free));
        let spot = near.or_else(|| if want.needed { far() } else { None });
        taken.extend(spot);
        found.push(spot);
    }
    found
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
        let named: Vec<&TradeoffPoint> = front.iter().copied().chain(rest).collect();
        let wanted: Vec<Wanted> = named
            .iter()
            .map(|point| Wanted {
                at: place(point),
                wide: pen.width(&point.label, &style),
                needed: front.contains(point),
            })
            .collect();
        for (point, found) in named.iter().zip(label_places(&wanted)) {
            let Some(spot) = found else { continue };
            if spot.led {
                let at = place(point);
                pen.line(at, spot.nearest_to(at), look.faint, 0.7, 1)?;
            }
            pen.text(spot.left, spot.middle, &point.label, &style)?;
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
    fn a_name_is_nearest_to_its_own_dot_or_led_to_it() {
        // Three settings close together, and names long enough to reach the next dot.
        let dots = [(400.0, 200.0), (430.0, 214.0), (452.0, 190.0)];
        let wanted: Vec<Wanted> = dots.iter().map(|at| Wanted { at: *at, wide: 60.0, needed: true }).collect();
        for (own, spot) in label_places(&wanted).into_iter().enumerate() {
            let spot = spot.expect("there is room for three names");
            let nearest = (0..dots.len()).min_by(|a, b| spot.distance(dots[*a]).total_cmp(&spot.distance(dots[*b])));
            assert!(spot.led || nearest == Some(own), "{own}: {spot:?}");
        }
        let alone = label_places(&wanted[..1]);
        assert!(alone[0].is_some_and(|spot| !spot.led));
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
