//! The figures of a run by name: one name, one meaning, wherever it is read or expected.
//!
//! `table` has a row for each: name, unit, what it needs to exist, definition, and how it follows from an analysis. The
//! keys of `[expect]`, the names after `--metric`, `--until` and `--outcome`, the columns of `runs.csv` and
//! `runs.parquet`, `metrics` in `summary.json`, the tables of the report and `docs/metrics.md` are made from these rows.
//! A metric that could not be counted is unknown and one that the run does not have is absent ([`Figure`]): both are
//! `null` in JSON and empty in CSV, and an expectation on them is missed, with the reason.

mod figure;
mod page;
mod table;

pub use figure::{Figure, Unit, Value, field, met_field};
pub use page::page;
pub use table::Needs;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

use super::Analysis;
use crate::suggest::closest;
use table::TABLE;

/// A metric: a row of the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Metric(u16);

impl fmt::Debug for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Metric({})", self.name())
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Metrics that have another name now, or whose name now means something else, with the name to use.
const RENAMED: [(&str, &str); 3] =
    [("publish-acknowledged", "publish-ok"), ("set-acknowledged", "set-ok"), ("publish-lost-silently", "publish-lost")];

impl Metric {
    /// All metrics, in the order of the table.
    pub fn all() -> impl ExactSizeIterator<Item = Metric> + Clone {
        (0..TABLE.len() as u16).map(Metric)
    }

    /// How many there are.
    pub fn count() -> usize {
        TABLE.len()
    }

    /// The metric with a name.
    pub fn find(name: &str) -> Option<Metric> {
        Metric::all().find(|metric| metric.name() == name)
    }

    /// The metric with a name that is surely right.
    ///
    /// # Panics
    /// If there is none.
    pub fn named(name: &str) -> Metric {
        Metric::find(name).unwrap_or_else(|| panic!("`{name}` is a metric"))
    }

    /// The metric with a name that somebody wrote.
    ///
    /// # Errors
    /// If there is none: which one may have been meant.
    pub fn parse(name: &str) -> Result<Metric, String> {
        Metric::find(name).ok_or_else(|| format!("there is no metric `{name}`; {}", Metric::remedy(name)))
    }

    /// What may have been meant by a name that no metric has.
    pub fn remedy(name: &str) -> String {
        if let Some(new) = Metric::renamed(name) {
            return format!("it is called `{new}` now");
        }
        match closest(name, Metric::all().map(|metric| metric.name())) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                let names: Vec<&str> = Metric::all().map(|metric| metric.name()).collect();
                format!("there are {} (docs/metrics.md says what they mean)", names.join(", "))
            }
        }
    }

    /// The name of today for one of the names that metrics had while times ended in `-s`.
    pub fn renamed(name: &str) -> Option<&'static str> {
        let renamed = RENAMED.iter().find(|(old, _)| *old == name).map(|(_, new)| (*new).to_owned());
        let new = renamed
            .or_else(|| Some(format!("publish-undelivered-{}", name.strip_prefix("lost.")?)))
            .or_else(|| Some(format!("lost-acked-sets-{}", name.strip_prefix("lost-write.")?)))
            .or_else(|| name.strip_suffix("-s").map(str::to_owned))?;
        Metric::find(&new).map(|metric| metric.name())
    }

    /// Its place in the table.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        &TABLE[self.index()].name
    }

    /// What it counts in.
    pub fn unit(self) -> Unit {
        TABLE[self.index()].unit
    }

    /// What it means.
    pub fn says(self) -> &'static str {
        &TABLE[self.index()].says
    }

    /// Without what it does not exist.
    pub fn needs(self) -> Needs {
        TABLE[self.index()].needs
    }

    /// Whether it is one of the causes that another metric is the sum of.
    pub fn is_of_a_cause(self) -> bool {
        TABLE[self.index()].is_of_a_cause()
    }

    /// Its value in a run.
    pub fn of(self, analysis: &Analysis) -> Figure {
        TABLE[self.index()].figure(analysis)
    }
}

/// All metrics of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures(Vec<Figure>);

impl Figures {
    pub(super) fn of(analysis: &Analysis) -> Figures {
        Figures(TABLE.iter().map(|row| row.figure(analysis)).collect())
    }

    /// One of them.
    pub fn get(&self, metric: Metric) -> &Figure {
        &self.0[metric.index()]
    }

    /// One of them as a number, if it is known.
    pub fn number(&self, metric: Metric) -> Option<f64> {
        self.get(metric).number()
    }

    /// All of them, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = (Metric, &Figure)> {
        Metric::all().zip(&self.0)
    }

    /// All values as numbers, in the order of the table.
    pub fn numbers(&self) -> impl Iterator<Item = Option<f64>> {
        self.0.iter().map(Figure::number)
    }

    /// Why those that have no value have none, by name.
    pub fn reasons(&self) -> BTreeMap<&'static str, String> {
        self.iter().filter_map(|(metric, figure)| Some((metric.name(), figure.reason()?))).collect()
    }
}

impl Serialize for Figures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(metric, figure)| (metric.name(), figure)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_every_row_says_what_it_means() {
        for metric in Metric::all() {
            assert_eq!(Metric::find(metric.name()), Some(metric));
            let plain = |c: char| c.is_ascii_lowercase() || c == '-';
            assert!(metric.name().chars().all(plain), "{metric}: a key of [expect] and a column");
            assert!(!metric.name().ends_with("-s"), "{metric}: the unit stands in the table");
            assert!(metric.says().ends_with('.') && !metric.says().contains('\n'), "{metric}: {}", metric.says());
        }
    }

    #[test]
    fn old_names_and_slips_lead_to_the_right_one() {
        for (wrong, right) in [
            ("set-outage-s", "it is called `set-outage` now"),
            ("publish-acknowledged", "it is called `publish-ok` now"),
            ("publish-lost-silently", "it is called `publish-lost` now"),
            ("lost.connection-cut", "it is called `publish-undelivered-connection-cut` now"),
            ("lost-write.unexplained", "it is called `lost-acked-sets-unexplained` now"),
            ("failover", "did you mean `failovers`?"),
            ("set-outge", "did you mean `set-outage`?"),
        ] {
            let said = Metric::parse(wrong).expect_err("it is no metric");
            assert!(said.ends_with(right), "{wrong}: {said}");
        }
        assert!(Metric::parse("weather").expect_err("it is no metric").contains("docs/metrics.md"));
    }
}
