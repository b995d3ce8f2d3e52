//! The timeline: one row a node, time from left to right.

use std::borrow::Cow;
use std::collections::BTreeMap;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::causes;
use super::chart::{
    Chart, Drawn, Key, Look, Pen, TimeScale, anchor, blend, legend, legend_rows, nice_step, palette, readable_on,
};
use super::lanes::{Bar, ClientLane, Lanes, Link, Opinion, RedisState, ServerState, shorten};
use super::words::{opinion_word, redis_word, server_word};
use crate::analysis::Analysis;
use crate::analysis::ledger::Cause;
use crate::analysis::outages::{Activity, ClientOutages};

const WIDTH: u32 = 1280;
const LEFT: f64 = 172.0;
const RIGHT: f64 = 1262.0;
const BAR: f64 = 22.0;
const SERVER: f64 = 15.0;
const CLIENT: f64 = 40.0;
const GAP: f64 = 3.0;
const GROUP_GAP: f64 = 11.0;
const TITLE: f64 = 46.0;
const FAULT_ROW: f64 = 16.0;
const AXIS: f64 = 50.0;
/// At most so many lanes of a kind are drawn: the picture is 10 000 units high then.
pub(super) const LANES_MAX: usize = 100;

/// The timeline of a run.
#[derive(Debug)]
pub struct Timeline<'a> {
    lanes: Cow<'a, Lanes>,
    /// Lanes that have no place in the picture.
    hidden: usize,
    analysis: &'a Analysis,
    from_us: i64,
    to_us: i64,
    /// Labels of faults: row, when, where it begins, and what it says.
    faults: Vec<(usize, i64, f64, String)>,
    fault_rows: usize,
}

/// The colour of a Redis node's state.
pub fn redis_color(state: RedisState, look: &Look) -> RGBColor {
    match state {
        RedisState::Master => palette::BLUE,
        RedisState::Replica => palette::SKY,
        RedisState::LinkDown => palette::YELLOW,
        RedisState::Loading => palette::ORANGE,
        RedisState::Paused => palette::PURPLE,
        RedisState::Dead => look.dead,
    }
}

/// The colour of a Sentinel's opinion.
pub fn opinion_color(state: Opinion, look: &Look) -> RGBColor {
    match state {
        Opinion::Fine => blend(look.ink, look.paper, 0.11),
        Opinion::Sdown => palette::YELLOW,
        Opinion::Odown => palette::ORANGE,
        Opinion::Leads => palette::GREEN,
        Opinion::Tilt => palette::BROWN,
        Opinion::Paused => palette::PURPLE,
        Opinion::Dead => look.dead,
    }
}

/// The colour of a server's state at HAProxy.
pub fn server_color(state: ServerState, look: &Look) -> RGBColor {
    match state {
        // No hue: green is a failover at work.
        ServerState::Up => blend(look.ink, look.paper, 0.45),
        ServerState::Down => blend(look.ink, look.paper, 0.06),
        ServerState::Paused => palette::PURPLE,
        ServerState::Dead => look.dead,
    }
}

/// An outage is told on its lane from this length on.
const OUTAGE_US: i64 = 250_000;
/// How far apart the strokes of an outage are.
const HATCH: f64 = 9.0;

fn outage_color(look: &Look) -> RGBColor {
    blend(look.ink, look.paper, 0.32)
}

/// As loud as a loss, on paper and in the dark.
fn failed_color(look: &Look) -> RGBColor {
    let is_dark = look.paper.0 < 128;
    blend(look.ink, look.paper, if is_dark { 0.95 } else { 0.75 })
}

/// The outages that are told on a client's lane: since when, and until when.
pub(super) fn outages<'a>(lane: &'a ClientLane, analysis: &'a Analysis) -> impl Iterator<Item = (i64, i64)> + 'a {
    let of_lane = |client: &&ClientOutages| client.client == lane.node && client.activity == lane.activity;
    let outages = analysis.outages.iter().filter(of_lane).flat_map(|client| &client.outages);
    outages.filter(|outage| outage.lasted_us() >= OUTAGE_US).map(|outage| (outage.from_us, outage.to_us))
}

impl<'a> Timeline<'a> {
    /// The timeline of a whole run, from shortly before the first fault.
    pub fn new(lanes: &'a Lanes, analysis: &'a Analysis) -> Self {
        let (from_us, to_us) = (lanes.shown_from_us, lanes.end_us);
        let scale = TimeScale { from_us, to_us, left: LEFT, right: RIGHT };
        // Labels of faults go into the first row that is free where they stand.
        let mut rows: Vec<Vec<(f64, f64)>> = Vec::new();
        let mut faults = Vec::new();
        for fault in lanes.faults.iter().filter(|fault| fault.from_us <= to_us) {
            let text = shorten(&fault.label, 72);
            let width = text.chars().count() as f64 * 7.4 + 12.0;
            let left = scale.x(fault.from_us).min(RIGHT + 12.0 - width).max(4.0);
            let (from, to) = (left.min(scale.x(fault.from_us)) - 2.0, left + width + 4.0);
            let free = |row: &Vec<(f64, f64)>| row.iter().all(|(a, b)| to <= *a || *b <= from);
            let row = rows.iter().position(free).unwrap_or(rows.len());
            if row == rows.len() {
                rows.push(Vec::new());
            }
            rows[row].push((from, to));
            faults.push((row, fault.from_us, left, text));
        }
        let fault_rows = rows.len().min(6);
        let (lanes, hidden) = lanes.at_most(LANES_MAX);
        Timeline { lanes, hidden, analysis, from_us, to_us, faults, fault_rows }
    }

    fn top(&self) -> f64 {
        TITLE + self.fault_rows as f64 * FAULT_ROW + 4.0
    }

    fn two_height(&self) -> f64 {
        if self.analysis.masters.two.is_empty() { 0.0 } else { 22.0 }
    }

    fn bottom(&self) -> f64 {
        let lanes = &self.lanes;
        let rows = |count: usize, height: f64| {
            if count == 0 { 0.0 } else { count as f64 * (height + GAP) + GROUP_GAP }
        };
        self.top()
            + self.two_height()
            + rows(lanes.redis.len(), BAR)
            + rows(lanes.sentinels.len(), BAR)
            + rows(lanes.proxies.len(), SERVER)
            + rows(lanes.clients.len(), CLIENT)
    }

    /// What the colours stand for: those that occur.
    pub fn keys(&self, look: &Look) -> Vec<Key> {
        let mut keys = Vec::new();
        let mut add = |color, text: &str| {
            if keys.iter().all(|key: &Key| key.text != text) {
                keys.push(Key { color, text: text.to_string() });
            }
        };
        let shown = |from: i64, to: i64| to > self.from_us && from < self.to_us;
        if !self.analysis.masters.two.is_empty() {
            add(palette::VERMILLION, "master beside another master");
        }
        for state in [
            RedisState::Master,
            RedisState::Replica,
            RedisState::LinkDown,
            RedisState::Loading,
            RedisState::Paused,
            RedisState::Dead,
        ] {
            let mut bars = self.lanes.redis.iter().flat_map(|lane| &lane.bars);
            if bars.any(|bar| bar.state == state && shown(bar.from_us, bar.to_us)) {
                add(redis_color(state, look), redis_word(state));
            }
        }
        for state in [
            Opinion::Fine,
            Opinion::Sdown,
            Opinion::Odown,
            Opinion::Leads,
            Opinion::Tilt,
            Opinion::Paused,
            Opinion::Dead,
        ] {
            let mut bars = self.lanes.sentinels.iter().flat_map(|lane| &lane.bars);
            if bars.any(|bar| bar.state == state && shown(bar.from_us, bar.to_us)) {
                let word = if state == Opinion::Fine { "Sentinel: master ok" } else { opinion_word(state) };
                add(opinion_color(state, look), word);
            }
        }
        for state in [ServerState::Up, ServerState::Down] {
            let mut bars = self.lanes.proxies.iter().flat_map(|lane| &lane.bars);
            if bars.any(|bar| bar.state == state && shown(bar.from_us, bar.to_us)) {
                add(server_color(state, look), if state == ServerState::Up { "server UP" } else { "server DOWN" });
            }
        }
        if !self.lanes.clients.is_empty() {
            add(look.good, "message delivered, write acknowledged");
        }
        for cause in Cause::ALL {
            if self.analysis.ledger.sums.by_cause.contains_key(cause.as_str()) {
                add(look.shade(causes::color(cause)), &format!("lost: {}", causes::words(cause)));
            }
        }
        let fails = |lane: &ClientLane| {
            lane.activity != Activity::Publish && lane.attempts.iter().any(|(_, outcome, _)| !outcome.is_acknowledged())
        };
        if self.lanes.clients.iter().any(|lane| outages(lane, self.analysis).next().is_some()) {
            add(outage_color(look), "hatched: without success");
        }
        if self.lanes.clients.iter().any(fails) {
            add(failed_color(look), "write or read failed");
        }
        if !self.analysis.ledger.writes.lost_keys.is_empty() {
            add(look.shade(causes::LOST_WRITE), "write acknowledged, then lost");
        }
        keys
    }

    /// Which attempts of a client fell into each bucket: good ones, and others by colour.
    fn buckets(&self, lane: &ClientLane, look: &Look, width_us: i64) -> BTreeMap<i64, Vec<(RGBColor, u32)>> {
        /// How many attempts of each rank, the lowest at the bottom, and their colour.
        type Stack = BTreeMap<(u8, u8), (RGBColor, u32)>;
        let mut buckets: BTreeMap<i64, Stack> = BTreeMap::new();
        let mut add = |at: i64, rank: (u8, u8), color: RGBColor| {
            if at >= self.from_us && at <= self.to_us {
                let bucket = buckets.entry((at - self.from_us).div_euclid(width_us)).or_default();
                bucket.entry(rank).or_insert((color, 0)).1 += 1;
            }
        };
        if lane.activity == Activity::Publish {
            let mine = self.analysis.ledger.messages.iter().filter(|message| message.client == lane.node);
            for message in mine {
                match message.cause {
                    Some(cause) => add(message.published_us, (1, cause as u8), look.shade(causes::color(cause))),
                    None => add(message.published_us, (0, 0), look.good),
                }
            }
        } else {
            let writes = &self.analysis.ledger.writes;
            for (at, outcome, seq) in &lane.attempts {
                if !outcome.is_acknowledged() {
                    add(*at, (2, 0), failed_color(look));
                } else if lane.activity == Activity::Set && writes.has_lost(&lane.node, *seq) {
                    add(*at, (1, 0), look.shade(causes::LOST_WRITE));
                } else {
                    add(*at, (0, 0), look.good);
                }
            }
        }
        buckets.into_iter().map(|(index, ranks)| (index, ranks.into_values().collect())).collect()
    }
}

impl Chart for Timeline<'_> {
    fn size(&self) -> (u32, u32) {
        let keys = self.keys(&Look::of(super::chart::Theme::Light));
        let rows = legend_rows(&keys, RIGHT - 20.0);
        (WIDTH, (self.bottom() + AXIS) as u32 + rows * 18 + 12)
    }

    fn title(&self) -> String {
        let sums = &self.analysis.ledger.sums;
        let mut parts = vec![self.analysis.run_name()];
        if sums.published > 0 {
            parts.push(format!("{} of {} messages lost", sums.lost, sums.published));
        }
        let switches: Vec<String> = self
            .analysis
            .completed()
            .map(|failover| {
                let to = failover.new_master.as_deref().unwrap_or("?");
                format!("{} → {to}", failover.old_master)
            })
            .collect();
        parts.push(match switches.len() {
            0 => "no failover".to_string(),
            _ => format!("failover {}", switches.join(", ")),
        });
        let two = self.analysis.masters.two_masters_us();
        if two > 0 {
            parts.push(format!("two masters for {:.1} s", two as f64 / 1e6));
        }
        if self.hidden > 0 {
            parts.push(format!("{} more lanes are not drawn", self.hidden));
        }
        format!("{}: {}", self.analysis.scenario, parts.join(", "))
    }

    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, look: &Look) -> Drawn<DB>
    where
        DB::ErrorType: 'static,
    {
        let pen = Pen::new(area, look);
        let scale = TimeScale { from_us: self.from_us, to_us: self.to_us, left: LEFT, right: RIGHT };
        let (top, bottom) = (self.top(), self.bottom());
        let title = self.title();
        let (name, rest) = title.split_once(": ").unwrap_or((&title, ""));
        pen.text(14.0, 22.0, name, &anchor(look.bold(16, look.ink), HPos::Left, VPos::Center))?;
        let offset = pen.width(name, &look.bold(16, look.ink));
        pen.text(26.0 + offset, 22.0, rest, &anchor(look.text(12, look.faint), HPos::Left, VPos::Center))?;

        self.draw_fault_shades(&pen, &scale, top, bottom)?;
        scale.draw(&pen, top, bottom)?;
        let mut y = top + self.draw_two_masters(&pen, &scale, top, bottom)?;
        let label = anchor(look.text(12, look.ink), HPos::Right, VPos::Center);
        for lane in &self.lanes.redis {
            pen.text(LEFT - 8.0, y + BAR / 2.0, &lane.node, &label)?;
            self.draw_redis(&pen, &scale, y, &lane.node, &lane.bars)?;
            y += BAR + GAP;
        }
        y += GROUP_GAP;
        for lane in &self.lanes.sentinels {
            pen.text(LEFT - 8.0, y + BAR / 2.0, &lane.node, &label)?;
            draw_bars(&pen, &scale, y, BAR, &lane.bars, &[], |s| opinion_color(s, look), |_| "")?;
            self.draw_beliefs(&pen, &scale, y, lane)?;
            y += BAR + GAP;
        }
        y += if self.lanes.sentinels.is_empty() { 0.0 } else { GROUP_GAP };
        let places = self.fault_places(&scale);
        for lane in &self.lanes.proxies {
            let text = format!("{} → {}", lane.node, lane.server);
            pen.text(LEFT - 8.0, y + SERVER / 2.0, &text, &anchor(look.text(11, look.ink), HPos::Right, VPos::Center))?;
            draw_bars(&pen, &scale, y, SERVER, &lane.bars, &places, |s| server_color(s, look), server_word)?;
            y += SERVER + GAP;
        }
        y += if self.lanes.proxies.is_empty() { 0.0 } else { GROUP_GAP };
        for lane in &self.lanes.clients {
            pen.text(LEFT - 8.0, y + CLIENT / 2.0 - 6.0, &lane.node, &label)?;
            let small = anchor(look.text(10, look.faint), HPos::Right, VPos::Center);
            let count = lane.attempts.iter().filter(|(at, ..)| *at >= 0).count();
            pen.text(LEFT - 8.0, y + CLIENT / 2.0 + 8.0, &format!("{}, n = {count}", lane.activity), &small)?;
            self.draw_client(&pen, &scale, y, lane)?;
            y += CLIENT + GAP;
        }
        self.draw_fault_lines(&pen, &scale, bottom)?;
        let keys = self.keys(look);
        legend(&pen, &keys, 20.0, RIGHT, bottom + AXIS)?;
        Ok(())
    }
}

impl Timeline<'_> {
    /// Where the lines of the faults are.
    fn fault_places(&self, scale: &TimeScale) -> Vec<f64> {
        self.faults.iter().filter(|(row, ..)| *row < self.fault_rows).map(|(_, at, ..)| scale.x(*at)).collect()
    }

    fn draw_fault_shades<DB: DrawingBackend>(
        &self,
        pen: &Pen<'_, DB>,
        scale: &TimeScale,
        top: f64,
        bottom: f64,
    ) -> Drawn<DB>
    where
        DB::ErrorType: 'static,
    {
        for fault in self.lanes.faults.iter().filter(|fault| fault.lasts() && fault.nodes.is_empty()) {
            let (x0, x1) = (scale.x(fault.from_us), scale.x(fault.to_us));
            pen.rect(x0, top, x1 - x0, bottom - top, palette::PURPLE, 0.16)?;
        }
        Ok(())
    }

    fn draw_fault_lines<DB: DrawingBackend>(&self, pen: &Pen<'_, DB>, scale: &TimeScale, bottom: f64) -> Drawn<DB>
    where
        DB::ErrorType: 'static,
    {
        let look = pen.look;
        let style = anchor(look.bold(11, look.ink), HPos::Left, VPos::Center);
        let shown = || self.faults.iter().filter(|(row, ..)| *row < self.fault_rows);
        let top = |row: usize| TITLE + row as f64 * FAULT_ROW;
        for (row, at, ..) in shown() {
            let x = scale.x(*at);
            pen.line((x, top(*row)), (x, bottom), look.ink, 0.75, 2)?;
        }
        for (row, _, left, text) in shown() {
            let (left, y) = (*left, top(*row));
            let width = pen.width(text, &style) + 10.0;
            pen.rect(left, y, width, FAULT_ROW - 2.0, blend(palette::PURPLE, look.paper, 0.35), 1.0)?;
            pen.text(left + 5.0, y + FAULT_ROW / 2.0 - 1.0, text, &style)?;
        }
        Ok(())
    }

    /// The strip over the Redis nodes that says how long there were two masters; returns its height.
    fn draw_two_masters<DB: DrawingBackend>(
        &self,
        pen: &Pen<'_, DB>,
        scale: &TimeScale,
        top: f64,
        _bottom: f64,
    ) -> Result<f64, DrawingAreaErrorKind<DB::ErrorType>>
    where
        DB::ErrorType: 'static,
    {
        let look = pen.look;
        if self.analysis.masters.two.is_empty() {
            return Ok(0.0);
        }
        let redis = self.lanes.redis.len() as f64 * (BAR + GAP);
        let label = anchor(look.bold(11, look.shade(palette::VERMILLION)), HPos::Right, VPos::Center);
        pen.text(LEFT - 8.0, top + 9.0, "two masters", &label)?;
        for (i, window) in self.analysis.masters.two.iter().enumerate() {
            let (x0, x1) = (scale.x(window.from_us), scale.x(window.to_us));
            pen.rect(x0, top + 1.0, x1 - x0, 17.0 + 2.0 + redis, palette::VERMILLION, 0.25)?;
            pen.rect(x0, top + 1.0, x1 - x0, 17.0, palette::VERMILLION, 1.0)?;
            let seconds = (window.to_us - window.from_us) as f64 / 1e6;
            let long = format!("{} at once: {seconds:.1} s", window.nodes.join(" and "));
            let short = format!("{seconds:.1} s");
            let style = anchor(look.bold(11, RGBColor(255, 255, 255)), HPos::Center, VPos::Center);
            let inside = [&long, &short].into_iter().find(|text| pen.width(text, &style) + 6.0 < x1 - x0);
            if let Some(text) = inside {
                pen.text((x0 + x1) / 2.0, top + 9.5, text, &style)?;
                continue;
            }
            // A short one is named beside it.
            let next = self.analysis.masters.two.get(i + 1).map_or(RIGHT, |next| scale.x(next.from_us));
            let beside = anchor(look.bold(11, look.shade(palette::VERMILLION)), HPos::Left, VPos::Center);
            if let Some(text) = [&long, &short].into_iter().find(|text| x1 + pen.width(text, &beside) + 8.0 < next) {
                pen.text(x1 + 5.0, top + 9.5, text, &beside)?;
            }
        }
        Ok(self.two_height())
    }

    fn draw_redis<DB: DrawingBackend>(
        &self,
        pen: &Pen<'_, DB>,
        scale: &TimeScale,
        y: f64,
        node: &str,
        bars: &[Bar<RedisState>],
    ) -> Drawn<DB>
    where
        DB::ErrorType: 'static,
    {
        let look = pen.look;
        let windows = || self.analysis.masters.two.iter().filter(|window| window.nodes.iter().any(|n| n == node));
        // What a window covers is not drawn, so that words stand in what is seen.
        let mut seen: Vec<Bar<RedisState>> = Vec::new();
        for bar in bars {
            let mut from_us = bar.from_us;
            for window in windows().filter(|window| window.from_us < bar.to_us && window.to_us > bar.from_us) {
                if window.from_us > from_us {
                    seen.push(Bar { from_us, to_us: window.from_us, ..*bar });
                }
                from_us = window.to_us;
            }
            if from_us < bar.to_us {
                seen.push(Bar { from_us, ..*bar });
            }
        }
        draw_bars(pen, scale, y, BAR, &seen, &self.fault_places(scale), |s| redis_color(s, look), redis_word)?;
        for window in windows() {
            let (x0, x1) = (scale.x(window.from_us), scale.x(window.to_us));
            pen.rect(x0, y, x1 - x0, BAR, palette::VERMILLION, 1.0)?;
            let style = anchor(look.bold(12, RGBColor(255, 255, 255)), HPos::Center, VPos::Center);
            if pen.width("MASTER", &style) + 6.0 < x1 - x0 {
                pen.text((x0 + x1) / 2.0, y + BAR / 2.0, "MASTER", &style)?;
            }
        }
        Ok(())
    }

    fn draw_beliefs<DB: DrawingBackend>(
        &self,
        pen: &Pen<'_, DB>,
        scale: &TimeScale,
        y: f64,
        lane: &super::lanes::SentinelLane,
    ) -> Drawn<DB>
    where
        DB::ErrorType: 'static,
    {
        let look = pen.look;
        for (i, (since, who)) in lane.beliefs.iter().enumerate() {
            let until = lane.beliefs.get(i + 1).map_or(self.to_us, |(at, _)| *at);
            if until <= self.from_us {
                continue;
            }
            let (x0, x1) = (scale.x(*since), scale.x(until));
            let under = lane
                .bars
                .iter()
                .find(|bar| bar.from_us <= (*since).max(self.from_us) && (*since).max(self.from_us) < bar.to_us);
            let Some(under) = under else { continue };
            if under.state == Opinion::Dead {
                continue;
            }
            let color = readable_on(opinion_color(under.state, look));
            if *since > self.from_us {
                pen.rect(x0 - 0.5, y, 1.5, BAR, look.ink, 1.0)?;
            }
            let epoch = lane.epochs.iter().rev().find(|(at, _)| at <= since).map(|(_, epoch)| *epoch);
            let full = match epoch {
                Some(epoch) => format!("master is {who}, epoch {epoch}"),
                None => format!("master is {who}"),
            };
            let style = anchor(look.text(11, color), HPos::Left, VPos::Center);
            // Where the bar changes its colour soon, the text has to fit before that.
            let fault = self.lanes.faults.iter().map(|fault| scale.x(fault.from_us)).find(|x| *x > x0 + 12.0);
            let room = scale.x(under.to_us).min(x1).min(fault.unwrap_or(x1)) - x0 - 8.0;
            if let Some(text) = [full.as_str(), who].into_iter().find(|text| pen.width(text, &style) <= room) {
                pen.text(x0 + 5.0, y + BAR / 2.0, text, &style)?;
            }
        }
        for (at, _) in lane.epochs.iter().filter(|(at, _)| *at >= self.from_us) {
            let x = scale.x(*at);
            pen.polygon(&[(x - 3.5, y), (x + 3.5, y), (x, y + 6.0)], look.ink, 1.0)?;
        }
        Ok(())
    }

    fn draw_client<DB: DrawingBackend>(
        &self,
        pen: &Pen<'_, DB>,
        scale: &TimeScale,
        y: f64,
        lane: &ClientLane,
    ) -> Drawn<DB>
    where
        DB::ErrorType: 'static,
    {
        let look = pen.look;
        pen.rect(LEFT, y, RIGHT - LEFT, CLIENT, look.lane, 0.6)?;
        let strip = if lane.bars.is_empty() { 0.0 } else { 7.0 };
        let height = CLIENT - strip;
        // Without it, who waits and does nothing would look as one who has nothing to do.
        for (from, to) in outages(lane, self.analysis).filter(|(_, to)| *to > self.from_us) {
            let (x0, x1) = (scale.x(from.max(self.from_us)), scale.x(to));
            let mut x = x0;
            while x < x1 {
                let (right, low) = ((x + height).min(x1), (x1 - x).min(height));
                pen.line((x, y + height), (right, y + height - low), outage_color(look), 1.0, 2)?;
                x += HATCH;
            }
        }
        let width_us = (nice_step(scale.seconds(), 220) * 1e6) as i64;
        let buckets = self.buckets(lane, look, width_us);
        // Full height is what a busy bucket holds; single fuller ones are cut off, so that the lane is not a comb.
        let mut totals: Vec<u32> = buckets.values().map(|parts| parts.iter().map(|(_, n)| *n).sum()).collect();
        totals.sort_unstable();
        let full = totals.get(totals.len() * 3 / 4).copied().unwrap_or(1).max(1);
        for (index, parts) in &buckets {
            let from = self.from_us + index * width_us;
            let to = (from + width_us).min(self.to_us);
            let (x0, x1) = (scale.x(from), scale.x(to));
            let room = height - 2.0;
            let total: u32 = parts.iter().map(|(_, n)| *n).sum();
            let full = f64::from(full) * (to - from).max(1) as f64 / width_us as f64;
            let unit = room / full.max(f64::from(total));
            let mut base = y + height;
            for (color, count) in parts {
                // However busy the bucket, a loss is seen.
                let tall = f64::from(*count) * unit;
                let losses = parts.iter().filter(|(color, _)| *color != look.good).count() as f64;
                let tall = if *color == look.good { tall.min(room - 3.0 * losses) } else { tall.max(3.0) };
                pen.rect(x0, base - tall, x1 - x0, tall, *color, 1.0)?;
                base -= tall;
            }
        }
        for bar in &lane.bars {
            let (x0, x1) = (scale.x(bar.from_us), scale.x(bar.to_us));
            if bar.to_us > self.from_us {
                let color = if bar.state == Link::Open { blend(look.ink, look.paper, 0.45) } else { palette::BROWN };
                pen.rect(x0, y + CLIENT - 5.0, x1 - x0, 5.0, color, 1.0)?;
            }
        }
        Ok(())
    }
}

/// Bars with their words; a word does not stand on one of the `lines`.
#[allow(clippy::too_many_arguments, reason = "where, what, and how it looks")]
fn draw_bars<DB: DrawingBackend, S: Copy>(
    pen: &Pen<'_, DB>,
    scale: &TimeScale,
    y: f64,
    height: f64,
    bars: &[Bar<S>],
    lines: &[f64],
    color: impl Fn(S) -> RGBColor,
    word: impl Fn(S) -> &'static str,
) -> Drawn<DB>
where
    DB::ErrorType: 'static,
{
    for bar in bars.iter().filter(|bar| bar.to_us > scale.from_us) {
        let (x0, x1) = (scale.x(bar.from_us), scale.x(bar.to_us));
        let fill = color(bar.state);
        pen.rect(x0, y, x1 - x0, height, fill, 1.0)?;
        let size = if height < 18.0 { 10 } else { 11 };
        let style = anchor(pen.look.text(size, readable_on(fill)), HPos::Left, VPos::Center);
        let wide = pen.width(word(bar.state), &style) + 10.0;
        let after = lines.iter().copied().filter(|line| *line >= x0 && *line < x0 + wide).fold(x0, f64::max);
        if after + wide < x1 {
            pen.text(after + 5.0, y + height / 2.0, word(bar.state), &style)?;
        }
    }
    Ok(())
}
