//! The analysis of real recordings, against what their lines say.

use super::*;
use crate::record::tests::{FILES, data};

#[test]
#[ignore]
fn show() {
    let dir = std::env::var("SHOW").expect("a folder");
    let mut paths: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let recording = Recording::read(&path).expect("it can be read");
        let analysis = Analysis::of(&recording, None);
        println!("## {}", path.display());
        for f in &analysis.failovers {
            println!(
                "  {} {:?} {}>{:?} {:?} {:?}",
                f.leader, f.epoch, f.old_master, f.new_master, f.ending, f.switched
            );
            for s in &f.steps {
                println!("     {:?} {} {:?} {}", s.phase, s.at_us, s.took_us, s.who);
            }
        }
        println!("  two {:?}", analysis.masters.two);
        println!("  lanes {:?}", analysis.masters.lanes);
        println!("  routes {:?}", analysis.masters.routes);
        println!("  sums {:?}", analysis.ledger.sums);
        println!("  writes {:?}", analysis.ledger.writes);
        println!("  metrics {:?}", analysis.metrics());
    }
}
