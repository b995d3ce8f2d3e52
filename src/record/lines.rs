//! Tables of log lines: a program's lines stand one in a row, and are printed and read by that row.
//!
//! A row has a name, its fields, and its words: those of the reference stack, and beside them those of a dialect that says it
//! otherwise. Where a field goes stand braces, and between them, if anything, in which form the field is written; what
//! forms a type has is said at its [`Field`].

use std::fmt::Write as _;

#[cfg(test)]
use proptest::prelude::*;

use super::Names;
use super::ctime::{ctime, read_ctime};
use super::parse::Scan;
use crate::kernel::{Span, Time};
use crate::release::Dialect;
use crate::wire::{Addr, GroupId, HostId, ReplId, Role, RunId};

/// The words of a line in all dialects.
#[derive(Clone, Copy, Debug)]
pub(in crate::record) struct Words {
    pub(in crate::record) redis: &'static str,
    pub(in crate::record) since_7_2: Option<&'static str>,
    pub(in crate::record) redis_8: Option<&'static str>,
    pub(in crate::record) valkey: Option<&'static str>,
}

impl Words {
    pub(in crate::record) const fn of(redis: &'static str) -> Words {
        Words { redis, since_7_2: None, redis_8: None, valkey: None }
    }

    /// The same words, if each of them has a place for each field; else this does not compile.
    pub(in crate::record) const fn with_fields(self, fields: usize) -> Words {
        assert!(places(self.redis) == fields, "a row has as many braces as fields");
        let columns = [self.since_7_2, self.redis_8, self.valkey];
        let mut column = 0;
        while column < columns.len() {
            if let Some(words) = columns[column] {
                assert!(places(words) == fields, "a dialect has as many braces as fields");
            }
            column += 1;
        }
        self
    }

    /// What a dialect says. Redis 8 and Valkey descend from 7.2.
    pub(in crate::record) fn spoken(&self, dialect: Dialect) -> &'static str {
        let own = match dialect {
            Dialect::Redis => return self.redis,
            Dialect::Redis7_2 => None,
            Dialect::Redis8 => self.redis_8,
            Dialect::Valkey => self.valkey,
        };
        own.or(self.since_7_2).unwrap_or(self.redis)
    }
}

const fn places(words: &str) -> usize {
    let (bytes, mut at, mut found) = (words.as_bytes(), 0, 0);
    while at < bytes.len() {
        if bytes[at] == b'{' {
            found += 1;
        }
        at += 1;
    }
    found
}

/// What can stand in a line.
pub(in crate::record) trait Field: Sized {
    fn write(&self, form: &str, names: &Names, out: &mut String);
    /// Takes the field off the front of what is left; `next` are the words that must follow it.
    fn read(scan: &mut Scan<'_>, form: &str, next: &str) -> Option<Self>;
    /// Any value that a line of this form can show.
    #[cfg(test)]
    fn any(form: &'static str) -> BoxedStrategy<Self>;
}

/// Host and port, with the form's text between them; without one, a colon.
impl Field for Addr {
    fn write(&self, form: &str, names: &Names, out: &mut String) {
        let between = if form.is_empty() { ":" } else { form };
        let _ = write!(out, "{}{between}{}", names.ip(self.ip), self.port);
    }
    fn read(scan: &mut Scan<'_>, form: &str, _: &str) -> Option<Addr> {
        let ip = scan.ip(if form.is_empty() { ":" } else { form })?;
        Some(Addr::new(ip, scan.number()?))
    }
    #[cfg(test)]
    fn any(_: &'static str) -> BoxedStrategy<Addr> {
        (0..7_u16, any::<u16>()).prop_map(|(host, port)| Addr::new(crate::wire::Ip(host.into()), port)).boxed()
    }
}

/// A host's name.
impl Field for HostId {
    fn write(&self, _: &str, names: &Names, out: &mut String) {
        out.push_str(names.host(*self));
    }
    fn read(scan: &mut Scan<'_>, _: &str, next: &str) -> Option<HostId> {
        let name = scan.before(next)?;
        scan.names().find_host(name)
    }
    #[cfg(test)]
    fn any(_: &'static str) -> BoxedStrategy<HostId> {
        (0..7_u16).prop_map(HostId).boxed()
    }
}

/// The name under which a master is monitored.
impl Field for GroupId {
    fn write(&self, _: &str, names: &Names, out: &mut String) {
        out.push_str(names.master(*self));
    }
    fn read(scan: &mut Scan<'_>, _: &str, next: &str) -> Option<GroupId> {
        let name = scan.before(next)?;
        scan.names().find_master(name)
    }
    #[cfg(test)]
    fn any(_: &'static str) -> BoxedStrategy<GroupId> {
        Just(GroupId::ONLY).boxed()
    }
}

/// Forty digits.
impl Field for ReplId {
    fn write(&self, _: &str, names: &Names, out: &mut String) {
        out.push_str(&names.repl_id(*self));
    }
    fn read(scan: &mut Scan<'_>, _: &str, _: &str) -> Option<ReplId> {
        scan.id().map(ReplId)
    }
    #[cfg(test)]
    fn any(_: &'static str) -> BoxedStrategy<ReplId> {
        prop_oneof![1 => Just(ReplId::NONE), 9 => (0..IDS.len()).prop_map(|i| ReplId(IDS[i]))].boxed()
    }
}

/// Forty digits.
impl Field for RunId {
    fn write(&self, _: &str, names: &Names, out: &mut String) {
        out.push_str(&names.id(*self));
    }
    fn read(scan: &mut Scan<'_>, _: &str, _: &str) -> Option<RunId> {
        scan.id().map(RunId)
    }
    #[cfg(test)]
    fn any(_: &'static str) -> BoxedStrategy<RunId> {
        (0..IDS.len()).prop_map(|i| RunId(IDS[i])).boxed()
    }
}

/// Identities whose names are known to the tests.
#[cfg(test)]
pub(in crate::record) const IDS: [u64; 4] = [1, 0x1234_5678, 0x1234_5678_9abc_def0, u64::MAX];

macro_rules! numbers {
    ($($number:ty),+) => { $(
        impl Field for $number {
            fn write(&self, _: &str, _: &Names, out: &mut String) {
                let _ = write!(out, "{self}");
            }
            fn read(scan: &mut Scan<'_>, _: &str, _: &str) -> Option<$number> {
                scan.number()
            }
            #[cfg(test)]
            fn any(_: &'static str) -> BoxedStrategy<$number> {
                any::<$number>().boxed()
            }
        }
    )+ };
}

numbers!(u32, u64);

/// `{A|B}`: A if it is so, B if not.
impl Field for bool {
    fn write(&self, form: &str, _: &Names, out: &mut String) {
        let (so, not) = form.split_once('|').unwrap_or((form, ""));
        out.push_str(if *self { so } else { not });
    }
    fn read(scan: &mut Scan<'_>, form: &str, _: &str) -> Option<bool> {
        let (so, not) = form.split_once('|').unwrap_or((form, ""));
        if scan.lit(so).is_some() {
            return Some(true);
        }
        scan.lit(not).map(|()| false)
    }
    #[cfg(test)]
    fn any(_: &'static str) -> BoxedStrategy<bool> {
        any::<bool>().boxed()
    }
}

/// `{s}`: seconds with three decimals; `{ms}`: whole milliseconds.
impl Field for Span {
    fn write(&self, form: &str, _: &Names, out: &mut String) {
        let _ = match form {
            "ms" => write!(out, "{}", self.as_millis()),
            _ => write!(out, "{:.3}", self.as_secs_f64()),
        };
    }
    fn read(scan: &mut Scan<'_>, form: &str, _: &str) -> Option<Span> {
        if form == "ms" {
            return Some(Span::from_nanos(scan.number::<u64>()?.checked_mul(1_000_000)?));
        }
        let seconds: f64 = scan.take_while(|c| c.is_ascii_digit() || c == '.').parse().ok()?;
        Some(Span::from_micros((seconds * 1e6).round() as u64))
    }
    #[cfg(test)]
    fn any(_: &'static str) -> BoxedStrategy<Span> {
        (0..100_000_u64).prop_map(Span::from_millis).boxed()
    }
}

/// An instant of the wall clock, to the second.
impl Field for Time {
    fn write(&self, _: &str, _: &Names, out: &mut String) {
        out.push_str(&ctime(*self));
    }
    fn read(scan: &mut Scan<'_>, _: &str, next: &str) -> Option<Time> {
        read_ctime(scan.before(next)?)
    }
    #[cfg(test)]
    fn any(_: &'static str) -> BoxedStrategy<Time> {
        (0..300 * 365 * 86_400_u64).prop_map(|s| Time(s * 1_000_000_000)).boxed()
    }
}

impl Field for Role {
    fn write(&self, _: &str, _: &Names, out: &mut String) {
        out.push_str(self.as_str());
    }
    fn read(scan: &mut Scan<'_>, _: &str, next: &str) -> Option<Role> {
        let word = scan.before(next)?;
        [Role::Master, Role::Slave].into_iter().find(|role| role.as_str() == word)
    }
    #[cfg(test)]
    fn any(_: &'static str) -> BoxedStrategy<Role> {
        prop_oneof![Just(Role::Master), Just(Role::Slave)].boxed()
    }
}

/// Any text, verbatim.
impl Field for Box<str> {
    fn write(&self, _: &str, _: &Names, out: &mut String) {
        out.push_str(self);
    }
    fn read(scan: &mut Scan<'_>, _: &str, next: &str) -> Option<Box<str>> {
        scan.before(next).map(Into::into)
    }
    #[cfg(test)]
    fn any(_: &'static str) -> BoxedStrategy<Box<str>> {
        "[a-z-]{1,20} [0-9]{1,6}".prop_map(Into::into).boxed()
    }
}

/// The words before the next field, that field's form, and the rest. At the end of a row the form is empty.
fn step(words: &'static str) -> (&'static str, &'static str, &'static str) {
    let (before, rest) = words.split_once('{').unwrap_or((words, ""));
    let (form, rest) = rest.split_once('}').unwrap_or(("", ""));
    (before, form, rest)
}

/// Prints a line: words and fields take turns.
pub(in crate::record) struct Print<'a> {
    pub(in crate::record) words: &'static str,
    pub(in crate::record) names: &'a Names,
    pub(in crate::record) out: &'a mut String,
}

impl Print<'_> {
    pub(in crate::record) fn field(&mut self, field: &impl Field) {
        let (before, form, rest) = step(self.words);
        self.out.push_str(before);
        field.write(form, self.names, self.out);
        self.words = rest;
    }

    pub(in crate::record) fn end(self) {
        self.out.push_str(self.words);
    }
}

/// Reads a line the same way.
pub(in crate::record) struct Walk<'a> {
    pub(in crate::record) words: &'static str,
    pub(in crate::record) scan: Scan<'a>,
}

impl<'a> Walk<'a> {
    pub(in crate::record) fn field<F: Field>(&mut self) -> Option<F> {
        let (before, form, rest) = step(self.words);
        self.words = rest;
        self.scan.lit(before)?;
        F::read(&mut self.scan, form, step(rest).0)
    }

    pub(in crate::record) fn end(mut self) -> Option<Scan<'a>> {
        self.scan.lit(self.words)?;
        Some(self.scan)
    }
}

/// The form in which a row shows its field number `place`.
#[cfg(test)]
pub(in crate::record) fn form(mut words: &'static str, place: usize) -> &'static str {
    for _ in 0..place {
        words = step(words).2;
    }
    step(words).1
}

/// A table, as tests see it.
#[cfg(test)]
pub(in crate::record) trait Table: Sized + Clone + PartialEq + std::fmt::Debug + 'static {
    /// Each row: its name, its words, and any line of it.
    fn rows() -> Vec<(&'static str, Words, BoxedStrategy<Self>)>;
    /// The line in a dialect.
    fn said(&self, dialect: Dialect, names: &Names) -> String;
    /// The line that a text stands for in a dialect.
    fn heard(text: &str, dialect: Dialect, names: &Names) -> Option<Self>;
}

/// Makes an enumeration of a table, and what prints and reads its rows.
macro_rules! lines {
    (@row [$($field:ident)*] $redis:literal $(, $column:ident: $words:literal)*) => {
        const {
            use $crate::record::lines::Words;
            Words { $($column: Some($words),)* ..Words::of($redis) }.with_fields(<[&str]>::len(&[$(stringify!($field)),*]))
        }
    };
    ($(#[$about:meta])* $vis:vis enum $table:ident {
        $($(#[$doc:meta])* $name:ident $(($($field:ident: $type:ty),+))? = $redis:literal $(, $column:ident: $words:literal)*;)+
    }) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs, reason = "each is named by its own words, in the table")]
        $vis enum $table {
            $($(#[$doc])* $name $(($($type),+))?,)+
        }

        impl $table {
            /// Appends the line as a program of this dialect prints it.
            pub(in crate::record) fn write(
                &self,
                dialect: $crate::release::Dialect,
                names: &$crate::record::Names,
                out: &mut String,
            ) {
                match self {
                    $($table::$name $(($($field),+))? => {
                        let words = $crate::record::lines::lines!(@row [$($($field)+)?] $redis $(, $column: $words)*);
                        #[allow(unused_mut, reason = "a row may have no fields")]
                        let mut line = $crate::record::lines::Print { words: words.spoken(dialect), names, out };
                        $($(line.field($field);)+)?
                        line.end();
                    })+
                }
            }

            /// Takes a line of this dialect off the front; a `whole` one leaves nothing.
            pub(in crate::record) fn read(
                scan: &mut $crate::record::parse::Scan<'_>,
                dialect: $crate::release::Dialect,
                whole: bool,
            ) -> Option<$table> {
                $(
                    let row = || {
                        let words = $crate::record::lines::lines!(@row [$($($field)+)?] $redis $(, $column: $words)*);
                        #[allow(unused_mut, reason = "a row may have no fields")]
                        let mut line = $crate::record::lines::Walk { words: words.spoken(dialect), scan: *scan };
                        let event = $table::$name $(($(line.field::<$type>()?),+))?;
                        line.end().map(|rest| (event, rest))
                    };
                    if let Some((event, rest)) = row().filter(|(_, rest)| !whole || rest.is_done()) {
                        *scan = rest;
                        return Some(event);
                    }
                )+
                None
            }
        }

        #[cfg(test)]
        impl $crate::record::lines::Table for $table {
            fn rows() -> Vec<(&'static str, $crate::record::lines::Words, proptest::strategy::BoxedStrategy<$table>)> {
                use proptest::strategy::{Just, Strategy as _};
                let mut rows = Vec::new();
                $({
                    let words = $crate::record::lines::lines!(@row [$($($field)+)?] $redis $(, $column: $words)*);
                    #[allow(unused_mut, reason = "a row may have no fields")]
                    let mut places = 0..;
                    #[allow(unused, reason = "a row may have no fields")]
                    let mut form = || $crate::record::lines::form(words.redis, places.next().expect("without end"));
                    let fields = (Just(()), $($(<$type as $crate::record::lines::Field>::any(form()),)+)?);
                    rows.push((stringify!($name), words, fields.prop_map(|((), $($($field,)+)?)| $table::$name $(($($field),+))?).boxed()));
                })+
                rows
            }
            fn said(&self, dialect: $crate::release::Dialect, names: &$crate::record::Names) -> String {
                let mut out = String::new();
                self.write(dialect, names, &mut out);
                out
            }
            fn heard(text: &str, dialect: $crate::release::Dialect, names: &$crate::record::Names) -> Option<$table> {
                $table::read(&mut $crate::record::parse::Scan::of(text, names), dialect, true)
            }
        }
    };
}

pub(in crate::record) use lines;
