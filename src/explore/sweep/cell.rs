//! Values of varied settings in files: numbers stay numbers, truth values truth values, and everything else is text.

use std::fmt;

use toml::Value;

use crate::record::csv_field;

/// What a column of settings holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whole numbers.
    Whole,
    /// Numbers with a fraction.
    Real,
    /// True or false.
    Switch,
    /// Text: durations, names, lists.
    Text,
}

/// One value of a setting; in CSV, text is quoted and nothing else is.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// A whole number.
    Whole(i64),
    /// A number with a fraction.
    Real(f64),
    /// True or false.
    Switch(bool),
    /// Anything else.
    Text(String),
}

impl Cell {
    /// As a scenario would say it.
    pub fn said(&self) -> String {
        match self {
            Cell::Text(text) => text.clone(),
            other => other.to_string(),
        }
    }

    /// A value as it would stand in the scenario.
    pub fn of(value: &str) -> Cell {
        let line: Option<toml::Table> = toml::from_str(&format!("value = {value}")).ok();
        match line.and_then(|mut table| table.remove("value")) {
            Some(Value::Integer(number)) => Cell::Whole(number),
            Some(Value::Float(number)) => Cell::Real(number),
            Some(Value::Boolean(yes)) => Cell::Switch(yes),
            Some(Value::String(text)) => Cell::Text(text),
            Some(other) => Cell::Text(other.to_string()),
            None => Cell::Text(value.to_owned()),
        }
    }

    /// A field of a CSV file, and whether it was quoted.
    pub(super) fn read(field: &str, was_quoted: bool) -> Cell {
        // As `csv_field` heads what a spreadsheet would execute.
        let own = field.strip_prefix('\'').filter(|rest| rest.starts_with(['=', '+', '-', '@'])).unwrap_or(field);
        if was_quoted { Cell::Text(own.to_owned()) } else { Cell::of(field) }
    }

    fn kind(&self) -> Kind {
        match self {
            Cell::Whole(_) => Kind::Whole,
            Cell::Real(_) => Kind::Real,
            Cell::Switch(_) => Kind::Switch,
            Cell::Text(_) => Kind::Text,
        }
    }

    /// The kind of a column that also holds this value.
    pub(super) fn join(&self, kind: Option<Kind>) -> Kind {
        match (kind, self.kind()) {
            (None, own) => own,
            (Some(kind), own) if kind == own => own,
            (Some(Kind::Whole | Kind::Real), Kind::Whole | Kind::Real) => Kind::Real,
            _ => Kind::Text,
        }
    }

    /// The value in a column of a kind.
    pub(super) fn cast(self, kind: Kind) -> Cell {
        match (self, kind) {
            (Cell::Whole(number), Kind::Real) => Cell::Real(number as f64),
            (cell, Kind::Text) => Cell::Text(match cell {
                Cell::Text(text) => text,
                Cell::Whole(number) => number.to_string(),
                Cell::Real(number) => number.to_string(),
                Cell::Switch(yes) => yes.to_string(),
            }),
            (cell, _) => cell,
        }
    }
}

impl fmt::Display for Cell {
    /// As a field of a CSV file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cell::Whole(number) => write!(f, "{number}"),
            // With its point, so that what is read back is no whole number.
            Cell::Real(number) => write!(f, "{number:?}"),
            Cell::Switch(yes) => write!(f, "{yes}"),
            Cell::Text(text) => match csv_field(text) {
                bare if !bare.starts_with('"') => write!(f, "\"{bare}\""),
                already => f.write_str(&already),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_keep_their_types() {
        for (value, cell, field) in [
            ("1_000", Cell::Whole(1_000), "1000"),
            ("0.5", Cell::Real(0.5), "0.5"),
            ("2.0", Cell::Real(2.0), "2.0"),
            ("true", Cell::Switch(true), "true"),
            ("1s", Cell::Text("1s".into()), "\"1s\""),
            ("\"6.2\"", Cell::Text("6.2".into()), "\"6.2\""),
            ("[1, 2]", Cell::Text("[1, 2]".into()), "\"[1, 2]\""),
            ("", Cell::Text(String::new()), "\"\""),
        ] {
            assert_eq!(Cell::of(value), cell, "{value}");
            assert_eq!(cell.to_string(), field, "{value}");
            assert_eq!(Cell::read(field.trim_matches('"'), field.starts_with('"')), cell, "{value}");
        }
        let kind = |values: &[&str]| values.iter().fold(None, |kind, value| Some(Cell::of(value).join(kind)));
        assert_eq!(kind(&["1", "2"]), Some(Kind::Whole));
        assert_eq!(kind(&["1", "0.5"]), Some(Kind::Real));
        assert_eq!(kind(&["true", "false"]), Some(Kind::Switch));
        assert_eq!(kind(&["1", "1s"]), Some(Kind::Text));
        assert_eq!(Cell::of("1").cast(Kind::Text), Cell::Text("1".into()));
    }
}
