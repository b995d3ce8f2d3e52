//! `docs/metrics.md`: the table of metrics as a page.

use std::fmt::Write as _;

use super::{Metric, Unit};

const HEAD: &str = "\
# Metrics

<!-- Written by `UPDATE_DOCS=1 cargo test --test right expectations::the_page`; the table is src/analysis/metrics/table.rs. -->

Every figure of a run has one name and one meaning, wherever it stands: as a key of `[expect]`, after `--metric`, `--until` and
`--outcome`, as a column of `runs.csv` and `runs.parquet`, under `metrics` in `summary.json`, in the tables of the report. All
count from time 0, the first moment of the fault script.

| unit | in `[expect]` | in files and tables |
| --- | --- | --- |
| count | a whole number, or a range: `failovers = 1`, `publish-lost = { max = 8 }` | a whole number |
| s | a range of durations: `set-outage = { min = \"6s\", max = \"9s\" }` | seconds |
| ratio | a range of numbers: `set-ok-ratio = { min = 0.9 }` | a number from 0 to 1 |

A metric has no value in a run that lacks what it needs (the third column), and where what it counts did not happen; and it is
*unknown* where nobody could count it: how often each of several `connections` was opened is in no recording, and without a master at the
end nobody can say which writes are lost. Neither is ever 0: in JSON it is `null` (`summary.json` says under `reasons` why), in
CSV it is empty, and an expectation on it is missed, with the reason. What was counted and did not happen is 0.

| metric | unit | needs | meaning |
| --- | --- | --- | --- |
";

/// The text of the page.
pub fn page() -> String {
    let mut out = HEAD.to_owned();
    for metric in Metric::all() {
        let unit: Unit = metric.unit();
        let (needs, says) = (metric.needs().as_str(), metric.says().replace('|', "\\|"));
        let _ = writeln!(out, "| `{metric}` | {} | {needs} | {says} |", unit.as_str());
    }
    out
}
