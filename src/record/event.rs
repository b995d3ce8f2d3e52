//! A line of any program's log as a value; the tables of their words are in `redis`, `sentinel` and `haproxy`.
//!
//! The texts are those of the shared recordings: node names in place of addresses, level mark and time removed. What is read
//! is what was printed: an event is recognised only if it prints the same text again, anything else stays verbatim as
//! [`Event::Text`].

use super::parse::Scan;
use super::{HaproxyEvent, Names, NodeKind, RedisEvent, SentinelEvent};
use crate::release::Dialect;

/// A line of a program's log.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A Sentinel's.
    Sentinel(SentinelEvent),
    /// A Redis server's.
    Redis(RedisEvent),
    /// HAProxy's.
    Haproxy(HaproxyEvent),
    /// Any other line, verbatim.
    Text(Box<str>),
}

impl Event {
    /// Whether the line is in the program's log at its default level; Sentinel publishes its verbose events, but does
    /// not log them.
    pub fn is_logged(&self) -> bool {
        !matches!(self, Event::Sentinel(SentinelEvent::RoleChange(..)))
    }

    /// The line in the words of the reference stack: the same for one event, whoever speaks of it.
    pub fn text(&self, names: &Names) -> String {
        self.spoken(Dialect::default(), names)
    }

    /// The line in a dialect. What is not typed has one text only.
    pub fn spoken(&self, dialect: Dialect, names: &Names) -> String {
        let mut out = String::new();
        match self {
            Event::Sentinel(event) => event.write(dialect, names, &mut out),
            Event::Redis(event) => event.write(dialect, names, &mut out),
            Event::Haproxy(event) => return event.text(names),
            Event::Text(text) => return text.to_string(),
        }
        out
    }

    /// The event that a line of a program's log stands for, and in which dialect it was said: in `usual`, if that says so.
    pub fn parse(kind: NodeKind, text: &str, names: &Names, usual: Dialect) -> (Event, Dialect) {
        // Only servers have dialects.
        let others = Dialect::ALL.into_iter().filter(|dialect| kind == NodeKind::Redis && *dialect != usual);
        std::iter::once(usual)
            .chain(others)
            .find_map(|dialect| Some((Event::heard(kind, text, names, dialect)?, dialect)))
            .unwrap_or_else(|| (Event::Text(text.into()), usual))
    }

    /// The event that a line stands for in a dialect.
    fn heard(kind: NodeKind, text: &str, names: &Names, dialect: Dialect) -> Option<Event> {
        let mut scan = Scan::of(text, names);
        let event = match kind {
            NodeKind::Sentinel => SentinelEvent::read(&mut scan, dialect, true).map(Event::Sentinel),
            NodeKind::Redis => RedisEvent::read(&mut scan, dialect, true).map(Event::Redis),
            NodeKind::Haproxy => HaproxyEvent::read(scan).map(Event::Haproxy),
            NodeKind::Client => None,
        };
        event.filter(|event| event.spoken(dialect, names) == text)
    }
}
