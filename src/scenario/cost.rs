//! What a run will take, roughly, said before it begins: nobody finds out by waiting, or by a machine without memory.

use super::Scenario;
use crate::client::{Config, Kind};
use crate::kernel::Span;

/// Bytes of a line (an attempt or a reception) with all that is drawn of it in the report: measured with the demo's load for
/// some hours, 2.9 KB.
const REPORTED_BYTES: u64 = 3_000;
/// Bytes of a line of a run that is only counted, as those of a sweep.
const COUNTED_BYTES: u64 = 1_000;
/// Events for a line, and for a second of a node that has nothing to do but its timers; and how many a core manages in a
/// second: measured with the demo (docs/performance.md).
const LINE_EVENTS: u64 = 15;
const NODE_EVENTS: u64 = 40;
const EVENTS_A_SECOND: u64 = 4_000_000;
/// Bytes of a sample in `metrics.om`, samples of a node, and seconds from one scrape to the next.
const SAMPLE_BYTES: u64 = 100;
const NODE_SAMPLES: u64 = 12;
const SCRAPE_S: u64 = 15;
/// What a request takes at least, however near everything is.
const LEAST_TRIP: Span = Span::from_micros(150);

/// What a run will take, within a factor of two or so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Samples of the metrics, which a report has.
    pub samples: u64,
    /// Attempts and receptions that are recorded one by one.
    pub lines: u64,
    /// Seconds of one core.
    pub core_seconds: u64,
}

impl Cost {
    /// Bytes of memory for a run whose report is drawn, beside `counted` others that are only counted.
    pub fn bytes(&self, reported: u64, counted: u64) -> u64 {
        let each = reported.saturating_mul(REPORTED_BYTES).saturating_add(counted.saturating_mul(COUNTED_BYTES));
        let samples = self.samples.saturating_mul(SAMPLE_BYTES).saturating_mul(reported);
        self.lines.saturating_mul(each).saturating_add(samples)
    }
}

impl Scenario {
    /// What a run of it will take.
    pub fn cost(&self) -> Cost {
        let seconds = self.duration.0.div_ceil(1_000_000_000);
        let attempts = |client: &Config| {
            let a_second = match client.pause {
                _ if client.kind == Kind::Subscribe => return 0,
                None => 1_000_000_000 / client.every.0.max(1),
                Some(pause) => {
                    let trip = LEAST_TRIP.0.max(4 * self.network.default.latency.0);
                    u64::from(client.connections) * 1_000_000_000 / (trip + (pause.min.0 + pause.max.0) / 2)
                }
            };
            let all = match a_second {
                0 => self.duration.0 / client.every.0.max(1),
                a_second => a_second.saturating_mul(seconds),
            };
            all.min(client.requests.unwrap_or(u64::MAX))
        };
        let (mut lines, mut work) = (0_u64, 0_u64);
        for client in &self.clients {
            let own = match client.kind {
                Kind::Subscribe => {
                    let publishes = |other: &&Config| other.kind == Kind::Publish && other.channel == client.channel;
                    let heard = self.clients.iter().filter(publishes).map(attempts).fold(0, u64::saturating_add);
                    heard.saturating_mul(u64::from(client.connections))
                }
                _ => attempts(client),
            };
            work = work.saturating_add(own);
            // A crowd counts what it does, and keeps no line of it.
            lines = lines.saturating_add(if client.connections == 1 { own } else { 0 });
        }
        let nodes = (self.redis.len() + self.sentinel.len()) as u64;
        let idle = seconds.saturating_mul(nodes * NODE_EVENTS);
        let events = work.saturating_mul(LINE_EVENTS).saturating_add(idle);
        Cost { samples: seconds / SCRAPE_S * nodes * NODE_SAMPLES, lines, core_seconds: events / EVENTS_A_SECOND }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(text: &str) -> Cost {
        Scenario::parse("cost.toml", text).expect("a good file").cost()
    }

    #[test]
    fn a_day_of_the_demo_takes_what_was_measured() {
        let day = cost("duration = '24h'");
        assert_eq!(day.lines, 3 * 20 * 86_400);
        assert!((10..20).contains(&(day.bytes(1, 0) >> 30)), "{day:?}");
        assert!(cost("").bytes(1, 0) < 10 << 20);
    }

    #[test]
    fn every_edge_has_a_cost() {
        let client = "[[client]]\nname = 'c'\nkind = 'publish'\n";
        assert_eq!(cost(&format!("{client}every = '87600h'")).lines, 0);
        assert!(cost(&format!("duration = '87600h'\n{client}every = '1ns'")).lines > 1 << 50);
        let requests = format!("{client}pause = {{ min = '0s', max = '0s' }}\nrequests = 7");
        assert_eq!(cost(&requests).lines, 7);
        assert!(cost("duration = '87600h'").core_seconds > 3_600);
    }
}
