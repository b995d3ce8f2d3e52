//! The message diagram: who told whom what, one below the other in the order in which it was written.
//!
//! A message takes some tenths of a millisecond and a failover seconds: on an axis true to time every arrow would be a
//! dot. So rows are in order and not to scale, each with its time; where nothing is drawn for a while the gap says how
//! long. What passes all the time (PING, INFO, hellos, probes, the replication stream) is folded where it arrives at once;
//! of what does not arrive, the first is drawn for each pair of programs.

use std::collections::BTreeSet;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::chart::{Chart, Drawn, Look, Pen, anchor, heading, palette};
use super::flights::{Arrival, Family, Flight};

/// A line that a program logs, between the messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// When, in microseconds since time 0.
    pub at_us: i64,
    /// By whom.
    pub node: String,
    /// What.
    pub text: String,
}

/// What is drawn of a run.
pub(crate) struct Sequence<'a> {
    title: String,
    /// The columns.
    nodes: Vec<&'a str>,
    rows: Vec<Row<'a>>,
    /// Rows that did not fit.
    beyond: usize,
}

enum Row<'a> {
    Flight(&'a Flight),
    Said(&'a Said),
    /// Nothing drawn for so long, and so many messages folded.
    Gap(i64, usize),
}

/// Rows that one picture holds.
pub(crate) const ROWS: usize = 400;

/// A gap of this length is said.
const GAP_US: i64 = 20_000;

/// Families whose answered messages are folded.
const FOLDED: [Family; 5] = [Family::Ping, Family::Info, Family::Hello, Family::Probe, Family::Replication];

impl<'a> Sequence<'a> {
    /// The messages of `families` and the lines between two instants. `nodes`: the columns, in their order; of clients
    /// only those that take part.
    pub(crate) fn new(
        title: String,
        nodes: &[&'a str],
        (flights, lines): (&'a [Flight], &'a [Said]),
        (from_us, to_us): (i64, i64),
        families: &[Family],
    ) -> Sequence<'a> {
        let inside = |at: i64| (from_us..=to_us).contains(&at);
        let wanted = flights.iter().filter(|flight| inside(flight.sent_us) && families.contains(&flight.family));
        let mut events: Vec<(i64, Row<'a>)> = wanted.map(|flight| (flight.sent_us, Row::Flight(flight))).collect();
        let said = lines.iter().filter(|line| inside(line.at_us) && nodes.contains(&line.node.as_str()));
        events.extend(said.map(|line| (line.at_us, Row::Said(line))));
        events.sort_by_key(|(at, _)| *at);
        let (mut rows, mut last, mut folded) = (Vec::new(), from_us, 0);
        // Of what is dropped again and again the first is drawn.
        let mut dropped = BTreeSet::new();
        for (at, row) in events {
            if let Row::Flight(flight) = &row
                && FOLDED.contains(&flight.family)
                && (flight.is_prompt() || !dropped.insert((&*flight.from, &*flight.to, flight.family)))
            {
                folded += 1;
                continue;
            }
            if at - last >= GAP_US {
                rows.push(Row::Gap(at - last, std::mem::take(&mut folded)));
            }
            last = at;
            rows.push(row);
        }
        rows.push(Row::Gap(to_us - last, folded));
        let beyond = rows.len().saturating_sub(ROWS);
        rows.truncate(ROWS);
        let takes_part = |node: &&&str| {
            rows.iter().any(|row| match row {
                Row::Flight(flight) => flight.from == ***node || flight.to == ***node,
                Row::Said(line) => line.node == ***node,
                Row::Gap(..) => false,
            })
        };
        let nodes = nodes.iter().filter(takes_part).copied().collect();
        Sequence { title, nodes, rows, beyond }
    }

    /// How many rows did not fit.
    pub(crate) fn beyond(&self) -> usize {
        self.beyond
    }

    fn x(&self, node: &str) -> Option<f64> {
        let place = self.nodes.iter().position(|name| *name == node)?;
        Some(LEFT + (place as f64 + 0.5) * self.step())
    }

    fn step(&self) -> f64 {
        (f64::from(WIDTH) - LEFT - RIGHT) / self.nodes.len().max(1) as f64
    }
}

const WIDTH: u32 = 1200;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 330.0;
const TOP: f64 = 74.0;
const STEP: f64 = 18.0;

impl Chart for Sequence<'_> {
    fn size(&self) -> (u32, u32) {
        let more = f64::from(u8::from(self.beyond > 0));
        (WIDTH, (TOP + (self.rows.len() as f64 + more) * STEP + 46.0) as u32)
    }

    fn title(&self) -> String {
        format!("{}: messages in the order in which they were written, not to scale", self.title)
    }

    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, look: &Look) -> Drawn<DB>
    where
        DB::ErrorType: 'static,
    {
        let pen = Pen::new(area, look);
        heading(&pen, &self.title, "messages in the order in which they were written, not to scale")?;
        let bottom = TOP + self.rows.len() as f64 * STEP;
        let name = anchor(look.bold(12, look.ink), HPos::Center, VPos::Center);
        for node in &self.nodes {
            let x = self.x(node).expect("it is a column");
            pen.text(x, TOP - 20.0, node, &name)?;
            pen.line((x, TOP - 10.0), (x, bottom), look.grid, 1.0, 1)?;
        }
        let faint = anchor(look.text(11, look.faint), HPos::Left, VPos::Center);
        let time = anchor(look.text(11, look.faint), HPos::Right, VPos::Center);
        for (place, row) in self.rows.iter().enumerate() {
            let y = TOP + (place as f64 + 0.5) * STEP;
            let at = match row {
                Row::Gap(us, folded) => {
                    let more = match folded {
                        0 => String::new(),
                        1 => ", 1 message of the usual traffic folded".to_owned(),
                        n => format!(", {n} messages of the usual traffic folded"),
                    };
                    pen.text(LEFT - 60.0, y, &format!("⋯ {:.3} s{more}", *us as f64 / 1e6), &faint)?;
                    continue;
                }
                Row::Flight(flight) => {
                    self.draw_flight(&pen, look, flight, y)?;
                    flight.sent_us
                }
                Row::Said(line) => {
                    self.draw_line(&pen, look, line, y)?;
                    line.at_us
                }
            };
            pen.text(LEFT - 12.0, y, &format!("{:.4} s", at as f64 / 1e6), &time)?;
        }
        if self.beyond > 0 {
            let text = format!("and {} more rows: choose a shorter time, or fewer families", self.beyond);
            pen.text(LEFT - 60.0, bottom + 0.5 * STEP, &text, &faint)?;
        }
        let y = f64::from(self.size().1) - 16.0;
        let keys = "→ request   ⇢ reply   ━ election and orders   ✕ dropped or late by a fault (purple), or nobody reads it   ■ log line";
        pen.text(LEFT - 60.0, y, keys, &faint)
    }
}

impl Sequence<'_> {
    fn draw_flight<DB: DrawingBackend>(&self, pen: &Pen<'_, DB>, look: &Look, flight: &Flight, y: f64) -> Drawn<DB>
    where
        DB::ErrorType: 'static,
    {
        let (Some(from), Some(to)) = (self.x(&flight.from), self.x(&flight.to)) else { return Ok(()) };
        let (color, weight) = match (flight.arrival, flight.family) {
            (Arrival::Cut, _) => (palette::PURPLE, 2),
            (Arrival::Read(_), _) if !flight.is_prompt() => (palette::PURPLE, 2),
            (Arrival::Read(_), Family::Election | Family::Order) => (palette::GREEN, 2),
            _ => (look.ink, 1),
        };
        let way = if to > from { 1.0 } else { -1.0 };
        let end = match flight.arrival {
            Arrival::Read(_) if flight.is_prompt() => to,
            // It comes nearly to the other end.
            _ => to - way * self.step() * 0.3,
        };
        if flight.reply {
            let mut x = from;
            while (end - x) * way > 0.0 {
                let next = if (end - x) * way < 6.0 { end } else { x + way * 6.0 };
                pen.line((x, y), (next, y), color, 1.0, weight)?;
                x = next + way * 4.0;
            }
        } else {
            pen.line((from, y), (end, y), color, 1.0, weight)?;
        }
        pen.dot(from, y, 2.5, color)?;
        if flight.is_prompt() {
            pen.polygon(&[(end, y), (end - way * 8.0, y - 4.0), (end - way * 8.0, y + 4.0)], color, 1.0)?;
        } else {
            for side in [1.0, -1.0] {
                pen.line((end - 4.0, y - 4.0 * side), (end + 4.0, y + 4.0 * side), color, 1.0, 2)?;
            }
        }
        let fate = match flight.arrival {
            Arrival::Read(at) if !flight.is_prompt() => {
                format!(", arrives {:.2} s later", (at - flight.sent_us) as f64 / 1e6)
            }
            Arrival::Read(at) if at - flight.sent_us >= 1_000 => {
                format!(", {:.1} ms", (at - flight.sent_us) as f64 / 1e3)
            }
            Arrival::Read(_) => String::new(),
            Arrival::Cut => ", dropped".to_owned(),
            Arrival::Gone => ", the other host is gone".to_owned(),
            Arrival::Unread => ", never read".to_owned(),
        };
        let words = anchor(look.text(11, look.ink), HPos::Left, VPos::Center);
        pen.text(f64::from(WIDTH) - RIGHT + 6.0, y, &format!("{}{fate}", flight.text), &words)
    }

    fn draw_line<DB: DrawingBackend>(&self, pen: &Pen<'_, DB>, look: &Look, line: &Said, y: f64) -> Drawn<DB>
    where
        DB::ErrorType: 'static,
    {
        let Some(x) = self.x(&line.node) else { return Ok(()) };
        pen.rect(x - 4.0, y - 4.0, 8.0, 8.0, look.ink, 1.0)?;
        let words = anchor(look.bold(11, look.ink), HPos::Left, VPos::Center);
        let mut text = short(&line.text);
        while text.chars().count() > 1 && pen.width(&text, &words) > RIGHT - 12.0 {
            text = text.chars().take(text.chars().count() - 2).collect::<String>() + "…";
        }
        pen.text(f64::from(WIDTH) - RIGHT + 6.0, y, &text, &words)
    }
}

/// A line without what every line of its kind repeats.
fn short(text: &str) -> String {
    let is_id = |word: &str| word.len() == 40 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let left_out = |word: &&str| is_id(word) || ["6379", "26379", "mymaster"].contains(word);
    let words: Vec<&str> = text.split(' ').filter(|word| !left_out(word)).collect();
    words.join(" ").replace(" @ redis", " of redis")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::chart::Theme;

    fn flight(sent_us: i64, family: Family, arrival: Arrival) -> Flight {
        Flight { sent_us, from: "a".into(), to: "b".into(), family, reply: false, text: "said".into(), arrival }
    }

    #[test]
    fn what_was_answered_is_folded_and_what_was_not_is_seen() {
        let flights = [
            flight(1_000, Family::Ping, Arrival::Read(1_200)),
            flight(2_000, Family::Ping, Arrival::Cut),
            flight(3_000, Family::Election, Arrival::Read(3_200)),
            flight(900_000, Family::Election, Arrival::Read(900_200)),
        ];
        let lines = [Said { at_us: 2_500, node: "b".into(), text: "+sdown".into() }];
        let picture = Sequence::new("x".into(), &["a", "b", "c"], (&flights, &lines), (0, 1_000_000), &Family::ALL);
        assert_eq!((picture.nodes.len(), picture.beyond()), (2, 0));
        let gaps: Vec<(i64, usize)> = picture
            .rows
            .iter()
            .filter_map(|row| if let Row::Gap(us, folded) = row { Some((*us, *folded)) } else { None })
            .collect();
        assert_eq!(gaps, [(897_000, 1), (100_000, 0)]);
        let svg = picture.svg(Theme::Light);
        assert!(svg.contains("said, dropped") && svg.contains("+sdown"), "{svg}");
        let few = Sequence::new("x".into(), &["a", "b"], (&flights, &[]), (0, 1_000_000), &[Family::Ping]);
        assert!(!few.svg(Theme::Dark).contains("0.9000 s"));
    }
}
