//! The pictures of a sweep: which there are, and their names.
//!
//! - `ecdf-METRIC.svg`: the distribution for each setting; of a large grid one picture for each setting of all other keys.
//! - `effect-METRIC.svg`: mean, interval and spread against a key that is a number; of a random sample one for each key.
//! - `heat-METRIC.svg`: the mean for each pair of the first two keys of a grid.
//! - `tradeoff.svg`: outage against false failovers a day.
//! - `report.html`: all of them on a page, light or dark, with the figures.
//!
//! The files are drawn for paper.

use std::io;
use std::path::{Path, PathBuf};

use super::axis::{Values, number};
use super::page::{self, Picture};
use super::{Outcome, Sweep};
use crate::analysis::metrics::Metric;
use crate::analysis::sample::Summary;
use crate::report::chart::{Chart, Theme};
use crate::report::ecdf::EcdfChart;
use crate::report::effect::{EffectChart, EffectPoint};
use crate::report::heat::{Cell, HeatMap};
use crate::report::tradeoff::{TradeoffChart, TradeoffPoint};

/// Curves that can be told apart in one picture.
const CURVES: usize = 6;
/// Bands of a second setting in the picture of a random sample.
const BANDS: usize = 3;
/// Pictures of one kind and metric; beyond that the table serves better.
const PICTURES: usize = 12;

/// Draws and writes them; answers their paths.
pub(super) fn write(sweep: &Sweep, outcome: &Outcome, folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut pictures: Vec<Picture> = Vec::new();
    for metric in &sweep.charts {
        let index = metric.index();
        let found: Vec<&Summary> = outcome.found.iter().map(|found| &found.values[index]).collect();
        let says_something = found.iter().any(|summary| summary.most().is_some_and(|most| most != 0.0));
        if says_something && !sweep.axes.is_empty() {
            let view = View { sweep, metric: *metric, found };
            pictures.extend(view.ecdfs());
            pictures.extend(view.effects());
            pictures.extend(view.heat_maps());
        }
    }
    pictures.extend(tradeoff(sweep, outcome));
    let mut paths = Vec::new();
    for (name, svg, _) in &pictures {
        let path = folder.join(format!("{name}.svg"));
        crate::files::write(&path, svg.as_bytes())?;
        paths.push(path);
    }
    forget_others(folder, &paths)?;
    let path = folder.join("report.html");
    crate::files::write(&path, page::text(sweep, outcome, &pictures).as_bytes())?;
    paths.push(path);
    Ok(paths)
}

/// Takes away the charts that an earlier sweep drew into this folder.
fn forget_others(folder: &Path, drawn: &[PathBuf]) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let kinds = ["ecdf-", "effect-", "heat-", "tradeoff.svg"];
        if name.ends_with(".svg") && kinds.iter().any(|kind| name.starts_with(kind)) && !drawn.contains(&path) {
            std::fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// A chart on paper and in the dark.
fn picture(name: String, chart: &impl Chart) -> Picture {
    (name, chart.svg(Theme::Light), chart.svg(Theme::Dark))
}

/// One metric of a sweep.
struct View<'a> {
    sweep: &'a Sweep,
    metric: Metric,
    /// By combination.
    found: Vec<&'a Summary>,
}

/// The axis' values in their order, each once.
fn distinct(sweep: &Sweep, axis: usize) -> Vec<&str> {
    let mut values: Vec<&str> = Vec::new();
    for combination in &sweep.combinations {
        if !values.contains(&combination.values[axis].as_str()) {
            values.push(&combination.values[axis]);
        }
    }
    values
}

impl View<'_> {
    fn label(&self) -> String {
        self.metric.name().to_owned()
    }

    /// `key = value` for all axes but some.
    fn fixed(&self, place: usize, without: &[usize]) -> String {
        let axes = self.sweep.axes.iter().zip(&self.sweep.combinations[place].values).enumerate();
        let kept = axes.filter(|(axis, _)| !without.contains(axis));
        kept.map(|(_, (axis, value))| format!("{} = {value}", axis.key)).collect::<Vec<_>>().join(", ")
    }

    /// Combinations that differ in these axes only, group by group, with what their others are.
    fn groups(&self, axes: &[usize]) -> Vec<(String, Vec<usize>)> {
        let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
        for place in 0..self.sweep.combinations.len() {
            let fixed = self.fixed(place, axes);
            match groups.iter_mut().find(|(known, _)| *known == fixed) {
                Some((_, places)) => places.push(place),
                None => groups.push((fixed, vec![place])),
            }
        }
        groups
    }

    fn name(&self, kind: &str, number: usize, of: usize) -> String {
        match of {
            1 => format!("{kind}-{}", self.metric),
            _ => format!("{kind}-{}-{}", self.metric, number + 1),
        }
    }

    fn ecdfs(&self) -> Vec<Picture> {
        let count = self.sweep.combinations.len();
        let all: Vec<usize> = (0..self.sweep.axes.len()).collect();
        let axes = match count {
            count if count <= CURVES => all,
            _ if self.sweep.is_sampled() => return Vec::new(),
            _ => match all.into_iter().find(|axis| (2..=CURVES).contains(&distinct(self.sweep, *axis).len())) {
                Some(axis) => vec![axis],
                None => return Vec::new(),
            },
        };
        let groups = self.groups(&axes);
        if groups.len() > PICTURES {
            return Vec::new();
        }
        let others: Vec<usize> = (0..self.sweep.axes.len()).filter(|axis| !axes.contains(axis)).collect();
        let drawn = |(number, (fixed, places)): (usize, &(String, Vec<usize>))| {
            let curve = |place: &usize| (self.fixed(*place, &others), self.found[*place].values().to_vec());
            let title = if fixed.is_empty() { self.label() } else { format!("{} with {fixed}", self.label()) };
            let series: Vec<(String, Vec<f64>)> =
                places.iter().map(curve).filter(|(_, sample)| !sample.is_empty()).collect();
            let chart = EcdfChart { title, unit: self.metric.unit().as_str().into(), series };
            picture(self.name("ecdf", number, groups.len()), &chart)
        };
        groups.iter().enumerate().map(drawn).collect()
    }

    fn effects(&self) -> Vec<Picture> {
        let sampled = self.sweep.is_sampled();
        let numeric = |axis: &usize| {
            let values = distinct(self.sweep, *axis);
            values.len() > 2 && values.iter().all(|value| number(value).is_some())
        };
        let mut axes: Vec<usize> = (0..self.sweep.axes.len()).filter(numeric).collect();
        if !sampled {
            axes.sort_by_key(|axis| std::cmp::Reverse(distinct(self.sweep, *axis).len()));
            axes.truncate(1);
        }
        let count = axes.len();
        let drawn = |(place, axis): (usize, usize)| {
            let groups = if sampled { self.bands(axis) } else { self.groups(&[axis]) };
            (groups.len() <= CURVES).then(|| {
                let chart = self.effect(axis, &groups, sampled);
                picture(self.name("effect", place, count), &chart)
            })
        };
        axes.into_iter().enumerate().filter_map(drawn).collect()
    }

    /// The settings of a random sample, told apart by the next key: by its values, or by thirds of its range. What the
    /// picture does not show varies too, and its legend says so.
    fn bands(&self, axis: usize) -> Vec<(String, Vec<usize>)> {
        let count = self.sweep.axes.len();
        if count == 1 {
            return vec![(String::new(), (0..self.sweep.combinations.len()).collect())];
        }
        let other = (axis + 1) % count;
        let key = &self.sweep.axes[other].key;
        let value = |place: usize| self.sweep.combinations[place].values[other].as_str();
        let mut places: Vec<usize> = (0..self.sweep.combinations.len()).collect();
        let numbers = places.iter().all(|place| number(value(*place)).is_some());
        let values = distinct(self.sweep, other);
        let also = if count > 2 { ", others vary" } else { "" };
        if values.len() <= CURVES {
            let of = |wanted: &&str| places.iter().copied().filter(|place| value(*place) == *wanted).collect();
            return values.iter().map(|value| (format!("{key} = {value}{also}"), of(value))).collect();
        }
        if !numbers {
            return vec![(format!("{key} varies{also}"), places)];
        }
        let of = |place: usize| number(value(place)).unwrap_or(0.0);
        places.sort_by(|a, b| of(*a).total_cmp(&of(*b)));
        let third = places.len().div_ceil(BANDS);
        let band = |band: &[usize]| {
            let (first, last) = (value(band[0]), value(band[band.len() - 1]));
            (format!("{key} {first} to {last}{also}"), band.to_vec())
        };
        places.chunks(third).map(band).collect()
    }

    fn effect(&self, axis: usize, groups: &[(String, Vec<usize>)], sampled: bool) -> EffectChart {
        let setting = |place: usize| number(&self.sweep.combinations[place].values[axis]);
        let point = |place: &usize| {
            let summary = self.found[*place];
            let (mean, none) = (summary.mean()?, summary.mean()?);
            let interval = summary.mean_interval().map_or((none, none), |found| (found.low, found.high));
            let spread = (summary.quantile(0.05)?, summary.quantile(0.95)?);
            Some(EffectPoint { x: setting(*place)?, mean, interval, spread })
        };
        let series = groups.iter().map(|(name, places)| {
            let mut points: Vec<EffectPoint> = places.iter().filter_map(point).collect();
            points.sort_by(|a, b| a.x.total_cmp(&b.x));
            (name.clone(), points)
        });
        let settings: Vec<f64> = (0..self.found.len()).filter_map(setting).collect();
        let (low, high) =
            settings.iter().fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(*value), high.max(*value)));
        let key = &self.sweep.axes[axis];
        let log = match &key.values {
            Values::Between(range) => range.is_logarithmic(),
            Values::Listed(_) => low > 0.0 && high / low >= 8.0,
        };
        let durations = distinct(self.sweep, axis).iter().any(|value| value.parse::<f64>().is_err());
        EffectChart {
            metric: self.label(),
            unit: self.metric.unit().as_str().into(),
            key: if durations { format!("{} (s)", key.key) } else { key.key.clone() },
            log,
            n: self.found.iter().map(|summary| summary.count()).max().unwrap_or(0),
            sampled,
            series: series.collect(),
        }
    }

    fn heat_maps(&self) -> Vec<Picture> {
        if self.sweep.axes.len() < 2 || self.sweep.is_sampled() {
            return Vec::new();
        }
        let (rows, columns) = (distinct(self.sweep, 0), distinct(self.sweep, 1));
        let groups = self.groups(&[0, 1]);
        if rows.len() > 20 || columns.len() > 12 || groups.len() > PICTURES {
            return Vec::new();
        }
        let drawn = |(number, (fixed, places)): (usize, &(String, Vec<usize>))| {
            let cell = |row: &str, column: &str| {
                let here = |place: &&usize| self.sweep.combinations[**place].values[..2] == [row, column];
                let summary = self.found[*places.iter().find(here)?];
                let half = summary.mean_interval().map_or(f64::INFINITY, |found| (found.high - found.low) / 2.0);
                Some(Cell { mean: summary.mean()?, half_width: half, n: summary.count() })
            };
            let owned = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<String>>();
            let chart = HeatMap {
                metric: self.label(),
                unit: self.metric.unit().as_str().into(),
                fixed: fixed.clone(),
                columns: (self.sweep.axes[1].key.clone(), owned(&columns)),
                rows: (self.sweep.axes[0].key.clone(), owned(&rows)),
                cells: rows.iter().map(|row| columns.iter().map(|column| cell(row, column)).collect()).collect(),
            };
            picture(self.name("heat", number, groups.len()), &chart)
        };
        groups.iter().enumerate().map(drawn).collect()
    }
}

fn tradeoff(sweep: &Sweep, outcome: &Outcome) -> Option<Picture> {
    let pauses = sweep.pauses.as_ref()?;
    let metric = sweep.outage_metric();
    let index = metric.index();
    let with_interval = |summary: &Summary| {
        let mean = summary.mean()?;
        let interval = summary.mean_interval();
        Some((mean, interval.map_or(mean, |found| found.low), interval.map_or(mean, |found| found.high)))
    };
    let point = |((combination, found), daily): ((&super::Combination, &super::Found), &super::DailyCost)| {
        let label = combination.values.join(", ");
        let (outage, a_day) = (with_interval(&found.values[index])?, with_interval(&daily.failovers)?);
        Some(TradeoffPoint { label, outage, a_day })
    };
    let all = sweep.combinations.iter().zip(&outcome.found).zip(&outcome.daily);
    let chart = TradeoffChart {
        outage: format!("{metric} ({})", metric.unit().as_str()),
        keys: sweep.axes.iter().map(|axis| axis.key.as_str()).collect::<Vec<_>>().join(", "),
        model: format!("{}, {}", pauses.text, pauses.kind.as_str()),
        n: outcome.found.first().map_or(0, |found| found.values[index].count()),
        points: all.filter_map(point).collect(),
    };
    Some(picture("tradeoff".into(), &chart))
}
