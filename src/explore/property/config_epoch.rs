//! Always: epochs never go back on a Sentinel, restarts included.
//!
//! Source: `sentinelProcessHelloMessage` takes a configuration over only if its epoch is greater; both epochs are
//! written to the file when they change (`sentinelFlushConfig`).

use super::disturbances::{disk_was_full, was_told};
use super::{Answer, Kind, Property, RECORDING};
use crate::explore::observe::Run;
use crate::record::{Event, SentinelEvent, What};

pub(super) const PROPERTY: Property = Property {
    name: "epochs-never-go-back",
    kind: Kind::Always,
    says: "config-epoch and current-epoch of a Sentinel never fall, and a new epoch is a greater one",
    source: "sentinelProcessHelloMessage, sentinelFlushConfig (sentinel.c)",
    needs: RECORDING,
    check,
};

fn check(run: &Run) -> Answer {
    if was_told(run, &["REMOVE", "MONITOR"]) || run.layout.all_sentinels().count() == 0 {
        return Answer::Moot;
    }
    for (place, node) in run.layout.all_sentinels().enumerate().filter(|(_, node)| !disk_was_full(run, *node)) {
        let (mut config, mut current) = ((0, 0), 0);
        for sample in &run.samples {
            let Some(view) = &sample.sentinels[place] else { continue };
            let (name, at) = (run.name(node), sample.at_us);
            // A new process reads the file: an epoch that it started an election in and nobody heard of is lost.
            if view.config_epoch < config.0 {
                return Answer::found(
                    at,
                    format!("config-epoch of {name} falls from {} to {}", config.0, view.config_epoch),
                );
            }
            if view.current_epoch < current && view.life == config.1 {
                return Answer::found(
                    at,
                    format!("current-epoch of {name} falls from {current} to {}", view.current_epoch),
                );
            }
            (config, current) = ((view.config_epoch, view.life), view.current_epoch);
        }
    }
    let mut epochs = std::collections::BTreeMap::new();
    for record in &run.recording().records {
        let What::Event(Event::Sentinel(event)) = &record.what else { continue };
        match event {
            SentinelEvent::Id(_) => {
                epochs.remove(&record.node);
            }
            SentinelEvent::NewEpoch(epoch) => {
                let earlier = epochs.insert(record.node, *epoch).unwrap_or(0);
                if *epoch <= earlier {
                    let what = format!("{}: +new-epoch {epoch}, but it was at {earlier}", run.name(record.node));
                    return Answer::found(run.recording().micros(record.time), what);
                }
            }
            _ => {}
        }
    }
    Answer::Holds
}
