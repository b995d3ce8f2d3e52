//! The same fault under several settings and many seeds: `cargo run --release --example sweep`.
//!
//! `sim sweep` does this with tables and charts; here it is by hand, for a question of one's own.

use std::sync::Arc;

use sim::analysis::outages::Activity;
use sim::scenario::Scenario;

const SEEDS: u64 = 40;

fn main() {
    println!("down-after   nobody could write for (median, longest)   of {SEEDS} runs");
    for down_after_ms in [1_000, 5_000, 30_000] {
        let text = format!(
            "duration = '60s'\nphase = '10s'\n[sentinel]\ndown-after-milliseconds = {down_after_ms}\n\
             [[fault]]\nat = '0s'\naction = 'pause'\nnode = '@master'\n"
        );
        let scenario = Scenario::parse("pause.toml", &text).unwrap_or_else(|error| panic!("{error:?}"));
        let scenario = Arc::new(scenario);
        let mut outages_us: Vec<i64> = (1..=SEEDS)
            .filter_map(|seed| sim::run(&scenario, seed).analysis.longest_outage_us(Activity::Set))
            .collect();
        outages_us.sort_unstable();
        let seconds = |us: i64| us as f64 / 1e6;
        let (median, longest) = (outages_us[outages_us.len() / 2], outages_us[outages_us.len() - 1]);
        println!("{:>7} ms   {:>6.2} s, {:>6.2} s", down_after_ms, seconds(median), seconds(longest));
    }
}
