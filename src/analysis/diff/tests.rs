//! Planted differences are found, and what is the same is called so.

use std::sync::Arc;

use super::*;
use crate::kernel::Span;
use crate::record::tests::{FILES, data};
use crate::record::{Event, What};
use crate::scenario::Scenario;
use crate::world::{Keep, World};

const KILL: &str = "duration = '12s'\nphase = '2s'\n[[fault]]\nat = '1s'\naction = 'kill'\nnode = 'redis-1'\n";

fn run(text: &str, seed: u64) -> Recording {
    let scenario = Scenario::parse("kill.toml", text).expect("a right scenario");
    let mut world = World::new(Arc::new(scenario), seed, Keep { records: true, ..Keep::default() });
    world.run();
    world.finish().recording
}

fn diff(a: &Recording, b: &Recording) -> Diff {
    Diff::of(a, b, How::suited(a, b))
}

/// The recording as a file has it.
fn written(recording: &Recording) -> Recording {
    Recording::parse("again", &recording.to_jsonl()).expect("what was written can be read")
}

#[test]
fn a_run_is_the_same_as_its_repetition_and_as_its_file() {
    let run = run(KILL, 3);
    assert!(diff(&run, &run).is_same());
    let found = diff(&run, &written(&run));
    assert!(found.is_same(), "{:?}", found.nodes);
    assert!(found.common > 1_000 && found.metrics.is_empty());
}

#[test]
fn every_kind_of_planted_difference_is_found_where_it_was_planted() {
    let original = written(&run(KILL, 3));
    let place = original.records.iter().position(
        |record| matches!(&record.what, What::Event(event) if event.text(&original.names).starts_with("+odown")),
    );
    let place = place.expect("the master was found to be down");
    let (at_us, node) = {
        let record = &original.records[place];
        (original.micros(record.time), original.names.node(record.node).to_owned())
    };
    type Plant = fn(&mut Vec<crate::record::Record>, usize);
    let plants: [(&str, Plant); 4] = [
        ("another text", |records, place| records[place].what = What::Event(Event::Text("+odown another".into()))),
        ("a line less", |records, place| drop(records.remove(place))),
        ("a line more", |records, place| {
            let more = records[place].clone();
            records.insert(place, more);
        }),
        ("another time", |records, place| records[place].time += Span::from_millis(1)),
    ];
    for (what, plant) in plants {
        let mut other = original.clone();
        plant(&mut other.records, place);
        let found = diff(&original, &other);
        assert!(!found.is_same(), "{what}");
        let first = &found.nodes[0];
        assert_eq!((found.nodes.len(), first.node.as_str()), (1, node.as_str()), "{what}");
        assert!((first.at_us - at_us).abs() <= 60_000, "{what}: {} and {at_us}", first.at_us);
        assert!(found.before.iter().all(|line| line.at_us <= first.at_us), "{what}");
    }
}

#[test]
fn a_tolerance_forgives_small_shifts_and_no_large_ones() {
    let original = written(&run(KILL, 3));
    let mut later = original.clone();
    later.records.iter_mut().for_each(|record| record.time += Span::from_millis(3));
    let how = |tolerance_us| How { tolerance_us: Some(tolerance_us), ..How::suited(&original, &later) };
    assert!(!Diff::of(&original, &later, how(0)).is_same());
    assert!(!Diff::of(&original, &later, how(2_000)).is_same());
    assert!(Diff::of(&original, &later, how(3_000)).is_same());
}

#[test]
fn another_setting_parts_the_runs_where_it_first_acts() {
    let found = diff(&run(KILL, 3), &run(&format!("{KILL}[sentinel]\ndown-after-milliseconds = 3000\n"), 3));
    let first = &found.nodes[0];
    assert_eq!(first.line.b.as_ref().map(|line| line.text.split(' ').next()), Some(Some("+sdown")));
    assert!((3_900_000..4_300_000).contains(&first.at_us), "{first:?}");
    let outage = found.metrics.iter().find(|metric| metric.name == "set-outage").expect("the outage is shorter");
    assert!(outage.delta.is_some_and(|delta| (-3.0..-1.0).contains(&delta)), "{outage:?}");
}

#[test]
fn a_fact_alone_makes_a_difference() {
    let original = run(KILL, 3);
    let mut other = original.clone();
    other.header.final_master = None;
    let found = diff(&original, &other);
    assert!(found.nodes.is_empty() && !found.is_same());
    assert_eq!(found.facts[0].what, "final master");
}

#[test]
fn of_real_runs_the_stories_are_compared() {
    let real = Recording::read(&data(FILES[0])).expect("a real recording can be read");
    let mut other = real.clone();
    // Later, with other numbers and identities: the same story.
    other.records.iter_mut().for_each(|record| record.time += Span::from_millis(170));
    for record in &mut other.records {
        if let What::Event(event) = &mut record.what {
            let text = event.text(&other.names).replace("pid ", "pid 9");
            *event = Event::Text(text.into());
        }
    }
    let how = How { from_us: None, ..How::suited(&real, &other) };
    assert!(Diff::of(&real, &other, how).is_same());
    // Another vote is another story.
    let mut voted = false;
    for record in &mut other.records {
        if let What::Event(Event::Text(text)) = &mut record.what
            && text.starts_with("+vote-for-leader")
        {
            voted = true;
            *text = format!("+vote-for-leader {} 1", "0123456789".repeat(4)).into();
        }
    }
    let found = Diff::of(&real, &other, how);
    assert!(voted && found.nodes[0].line.a.as_ref().is_some_and(|line| line.text.starts_with("+vote-for-leader")));
}
