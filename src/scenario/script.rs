//! The fault script played without a world: what certainly makes no sense is refused before anything runs.
//!
//! Only what is certain is refused. A fault that names a role may hit any node that can play it, so from then on
//! nothing is certain about these.

use std::collections::BTreeMap;
use std::ops::Range;

use super::error::Finding;
use super::fault::{Action, Fault, NodeRef, Role};
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
    let mut stage = Stage { names, lives, disturbed: false, findings: Vec::new() };
    for (fault, at) in lines {
        stage.play(fault, at);
    }
    stage.findings
}

struct Stage<'a> {
    names: &'a Names<'a>,
    lives: BTreeMap<String, Life>,
    disturbed: bool,
    findings: Vec<Finding>,
}

impl Stage<'_> {
    fn play(&mut self, fault: &Fault, at: &Range<usize>) {
        match &fault.action {
            Action::Kill { node } => self.kill(node, self.names.programs(node), at),
            Action::KillHost { node } | Action::PowerOff { node } => self.kill(node, self.names.host_mates(node), at),
            Action::Terminate { node } => self.change(
                node,
                at,
                |life| matches!(life, Life::Dead(_)).then_some("does not run"),
                // A paused program gets the signal only when it goes on.
                |life| if matches!(life, Life::Runs(_)) { Life::Dead(at.clone()) } else { Life::Unknown },
            ),
            Action::Start { node } => self.change(
                node,
                at,
                |life| matches!(life, Life::Runs(_) | Life::Paused(_)).then_some("already runs"),
                |_| Life::Runs(Some(at.clone())),
            ),
            Action::Pause { node } => self.change(
                node,
                at,
                |life| match life {
                    Life::Dead(_) => Some("does not run"),
                    Life::Paused(_) => Some("is already paused"),
                    Life::Runs(_) | Life::Unknown => None,
                },
                |_| Life::Paused(at.clone()),
            ),
            Action::Resume { node } => self.change(
                node,
                at,
                |life| matches!(life, Life::Runs(_) | Life::Dead(_)).then_some("is not paused"),
                |_| Life::Runs(Some(at.clone())),
            ),
            Action::Upgrade { .. } => {}
            Action::ClockJump { node, .. } | Action::Stall { node, .. } => {
                self.change(node, at, |life| matches!(life, Life::Dead(_)).then_some("does not run"), Life::clone);
            }
            Action::Command { node, run } => {
                let ends = matches!(run[0].to_ascii_uppercase().as_str(), "SHUTDOWN" | "DEBUG");
                self.change(
                    node,
                    at,
                    |life| matches!(life, Life::Dead(_)).then_some("does not run"),
                    |life| if ends { Life::Unknown } else { life.clone() },
                );
            }
            Action::Partition { .. } | Action::Cut { .. } | Action::Degrade { .. } => self.disturbed = true,
            Action::Heal {} => {
                if !self.disturbed {
                    let finding = Finding::new("there is nothing to heal", at.clone(), "no link is disturbed by now");
                    self.findings
                        .push(finding.help("a `partition`, `cut` or `degrade` must come before; check its `at`"));
                }
                self.disturbed = false;
            }
        }
    }

    /// Ends `programs`, of which one at least must be alive.
    fn kill(&mut self, node: &NodeRef, programs: Vec<String>, at: &Range<usize>) {
        let dead = |life: &Life| matches!(life, Life::Dead(_)).then_some("does not run");
        self.change_all(node, programs, at, dead, |_| Life::Dead(at.clone()));
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
        let plays = |node: &NodeRef| match role {
            Role::Leader => matches!(node, NodeRef::Sentinel(_)),
            Role::Master | Role::Replica | Role::OldMaster => matches!(node, NodeRef::Redis(_)),
        };
        let nodes = self.names.nodes().into_iter().filter_map(|name| self.names.node(&name)).filter(plays);
        let mates = nodes.flat_map(|node| self.names.host_mates(&node));
        for name in mates.collect::<Vec<_>>() {
            self.lives.insert(name, Life::Unknown);
        }
    }
}
