//! The fault script played without a world: what certainly makes no sense is refused before anything runs.
//!
//! Only what is certain is refused. A fault that names a role may hit any node that can play it, so from then on
//! nothing is certain about these.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::error::Finding;
use super::fault::{Fault, NodeRef, Role, Touch};
use super::names::Names;

/// What is known of a program; with the place of the fault that made it so.
#[derive(Clone, Debug)]
enum Life {
    Runs(Option<Range<usize>>),
    Paused(Range<usize>),
    Dead(Range<usize>),
    Unknown,
}

/// What would be right where a program runs but should not.
const RUNNING_HELP: &str = "a `start` needs a `kill`, and a `resume` needs a `pause`, before it";

/// A fault and the place of the name of its target.
pub(super) type Line = (Fault, Range<usize>);

/// Everything in the script, given in the order of time, that certainly makes no sense.
pub(super) fn check(lines: &[Line], names: &Names<'_>) -> Vec<Finding> {
    let lives = names.all_programs().into_iter().map(|name| (name, Life::Runs(None))).collect();
    let mut stage = Stage { names, lives, uncertain: BTreeSet::new(), disturbed: false, findings: Vec::new() };
    for (fault, at) in lines {
        stage.play(fault, at);
    }
    stage.findings
}

struct Stage<'a> {
    names: &'a Names<'a>,
    lives: BTreeMap<String, Life>,
    /// Nothing is certain about these any more.
    uncertain: BTreeSet<String>,
    disturbed: bool,
    findings: Vec<Finding>,
}

impl Stage<'_> {
    fn play(&mut self, fault: &Fault, at: &Range<usize>) {
        let dead = |life: &Life| matches!(life, Life::Dead(_)).then_some("does not run");
        match fault.action.touch() {
            Touch::Ends { node, with_host } => {
                let programs = if with_host { self.names.host_mates(node) } else { self.names.programs(node) };
                self.change_all(node, programs, at, dead, |_| Life::Dead(at.clone()));
            }
            // A paused program gets the signal only when it goes on.
            Touch::AskedToEnd(node) => self.change(node, at, dead, |life| {
                if matches!(life, Life::Runs(_)) { Life::Dead(at.clone()) } else { Life::Unknown }
            }),
            Touch::Starts(node) => self.change(
                node,
                at,
                |life| matches!(life, Life::Runs(_) | Life::Paused(_)).then_some("already runs"),
                |_| Life::Runs(Some(at.clone())),
            ),
            Touch::Pauses(node) => self.change(
                node,
                at,
                |life| match life {
                    Life::Dead(_) => Some("does not run"),
                    Life::Paused(_) => Some("is already paused"),
                    Life::Runs(_) | Life::Unknown => None,
                },
                |_| Life::Paused(at.clone()),
            ),
            Touch::Resumes(node) => self.change(
                node,
                at,
                |life| matches!(life, Life::Runs(_) | Life::Dead(_)).then_some("is not paused"),
                |_| Life::Runs(Some(at.clone())),
            ),
            Touch::Needs { node, may_end } => {
                self.change(node, at, dead, |life| if may_end { Life::Unknown } else { life.clone() });
            }
            Touch::Disturbs => self.disturbed = true,
            Touch::MayEndAnyTime(node) => {
                self.disturbed = true;
                match node {
                    NodeRef::Role(role) => self.uncertain.extend(self.players(*role)),
                    node => self.uncertain.extend(self.names.programs(node)),
                }
            }
            Touch::Heals => {
                if !self.disturbed {
                    let finding =
                        Finding::new("there is nothing to heal", at.clone(), "no link and no disk is disturbed by now");
                    self.findings.push(finding.help(
                        "a `partition`, `cut`, `degrade`, `slow-disk` or `disk-full` must come before; check its `at`",
                    ));
                }
                self.disturbed = false;
            }
            Touch::Nothing => {}
        }
    }

    fn change(
        &mut self,
        node: &NodeRef,
        at: &Range<usize>,
        objection: impl Fn(&Life) -> Option<&'static str>,
        next: impl Fn(&Life) -> Life,
    ) {
        self.change_all(node, self.names.programs(node), at, objection, next);
    }

    /// Changes the programs to which nothing objects. If something objects to every one, the fault makes no sense.
    fn change_all(
        &mut self,
        node: &NodeRef,
        programs: Vec<String>,
        at: &Range<usize>,
        objection: impl Fn(&Life) -> Option<&'static str>,
        next: impl Fn(&Life) -> Life,
    ) {
        if let NodeRef::Role(role) = node {
            self.forget(*role);
            return;
        }
        let mut refused = None;
        let mut changed = 0;
        for program in &programs {
            if self.uncertain.contains(program) {
                changed += 1;
                continue;
            }
            let life = self.lives.get_mut(program).expect("targets are resolved");
            match objection(life) {
                Some(why) => refused = Some((why, life.clone())),
                None => {
                    *life = next(life);
                    changed += 1;
                }
            }
        }
        if let (Some((why, life)), 0) = (refused, changed) {
            self.object(node, at, why, &life);
        }
    }

    fn object(&mut self, node: &NodeRef, at: &Range<usize>, why: &str, life: &Life) {
        let message = format!("`{node}` {why} at this time");
        let (finding, help) = match life {
            Life::Runs(None) => (Finding::new(message, at.clone(), "it runs since the boot"), RUNNING_HELP),
            Life::Runs(Some(since)) => {
                (Finding::new(message, at.clone(), "it runs").and(since.clone(), "since here"), RUNNING_HELP)
            }
            Life::Paused(since) => (
                Finding::new(message, at.clone(), "it is paused").and(since.clone(), "since here"),
                "`resume` it first",
            ),
            Life::Dead(since) => {
                (Finding::new(message, at.clone(), "it is dead").and(since.clone(), "since here"), "`start` it first")
            }
            Life::Unknown => unreachable!("nothing objects to the unknown"),
        };
        self.findings.push(finding.help(help));
    }

    /// A role was hit: nothing is certain any more about the nodes that can play it, nor about clients beside them.
    fn forget(&mut self, role: Role) {
        for name in self.players(role) {
            self.lives.insert(name, Life::Unknown);
        }
    }

    /// The nodes that can play a role, and the clients beside them.
    fn players(&self, role: Role) -> Vec<String> {
        let plays = |node: &NodeRef| match role {
            Role::Leader => matches!(node, NodeRef::Sentinel(_)),
            Role::Master | Role::Replica | Role::OldMaster => matches!(node, NodeRef::Redis(_)),
        };
        let nodes = self.names.nodes().into_iter().filter_map(|name| self.names.node(&name)).filter(plays);
        nodes.flat_map(|node| self.names.host_mates(&node)).collect()
    }
}
