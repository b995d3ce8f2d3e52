//! A plan written back as a scenario file, with nothing left to defaults.

use std::fmt::{self, Display, Write};

use serde::Serialize;
use toml::{Table, Value};

use super::error::ScenarioError;
use super::fault::{Action, NodeRef};
use super::plan::Scenario;
use crate::kernel::Span;
use crate::release::Released;

const WRITES: &str = "writing to a string does not fail";

impl Scenario {
    /// This scenario as a file that says everything, as it was run with `seed` by `version` of the simulator.
    ///
    /// Read again, it gives the same plan.
    pub fn to_toml(&self, seed: u64, version: &str) -> String {
        let mut out = String::new();
        self.write(&mut out, seed, version).expect(WRITES);
        out
    }

    /// This scenario with one more thing done to the stack, at `at` after time 0 and after all that it has at that instant.
    ///
    /// The names in `action` are checked ones or texts. It is held against every rule of a file: the scenario with it must be one
    /// that a file can say.
    ///
    /// ```
    /// use sim::kernel::Span;
    /// use sim::scenario::{Action, Scenario};
    ///
    /// let calm = Scenario::parse("calm.toml", "").expect("a good file");
    /// let kill = |node| calm.with_fault(Span::from_secs(2), &Action::Kill { node });
    /// assert_eq!(kill("@master").expect("there is one").faults.len(), 1);
    /// let error = kill("redis-9").expect_err("there is none");
    /// assert_eq!(error.problems()[0].offending(), Some("\"redis-9\""));
    /// ```
    pub fn with_fault<N: Serialize>(&self, at: Span, action: &Action<N>) -> Result<Scenario, ScenarioError> {
        let mut text = String::new();
        self.write_plan(&mut text).and_then(|()| fault(&mut text, at, action)).expect(WRITES);
        let source_name = format!("{} with `{}` at {at}", self.name, action.word());
        let Scenario { faults, .. } = Scenario::parse(&source_name, &text)?;
        Ok(Scenario { faults, ..self.clone() })
    }

    fn write(&self, out: &mut String, seed: u64, version: &str) -> fmt::Result {
        writeln!(out, "# As run by sim {version} with seed {seed}, defaults filled in.")?;
        writeln!(out, "# Again: sim run scenario.toml --seed {seed}")?;
        self.write_plan(out)
    }

    fn write_plan(&self, out: &mut String) -> fmt::Result {
        for (key, text) in [("name", &self.name), ("description", &self.description)] {
            writeln!(out, "{key} = {}", Value::String(text.clone()))?;
        }
        writeln!(out, "duration = \"{}\"\nphase = \"{}\"", self.duration, self.phase)?;
        section(out, "[stack]", &table(&self.stack))?;
        self.per_node(out, "redis", &self.redis)?;
        self.per_node(out, "sentinel", &self.sentinel)?;
        if self.stack.haproxy {
            let mut keys = known(&self.haproxy);
            keys.extend(self.name_of(&NodeRef::Haproxy));
            section(out, "[haproxy]", &keys)?;
        }
        section(out, "[network]", &table(&self.network.default))?;
        for (a, b, link) in &self.network.links {
            let mut keys = table(link);
            keys.insert("between".to_owned(), vec![a.clone(), b.clone()].into());
            section(out, "[[network.link]]", &keys)?;
        }
        if self.clients.is_empty() {
            // Without this the three reference clients would be there.
            out.insert_str(out.find("\n[stack]").expect("the section is always there"), "client = []\n");
        }
        for client in &self.clients {
            let mut keys = table(client);
            if client.pause.is_some() {
                // A closed loop has no pace.
                keys.remove("every");
            }
            section(out, "[[client]]", &keys)?;
        }
        self.faults.iter().try_for_each(|line| fault(out, line.at, &line.action))?;
        self.expect.as_ref().map_or(Ok(()), |expect| section(out, "[expect]", &table(expect)))
    }

    /// `[kind]` with the value that most nodes have of each key that all have, `[kind.kind-N]` with the rest.
    fn per_node<T: Released>(&self, out: &mut String, kind: &str, configs: &[T]) -> fmt::Result {
        let nodes: Vec<Table> = configs.iter().map(known).collect();
        let Some(first) = nodes.first() else { return Ok(()) };
        let usual = |key: &String| {
            let count = |value: &Value| nodes.iter().filter(|node| node.get(key) == Some(value)).count();
            let values = nodes.iter().rev().filter_map(|node| node.get(key));
            values.max_by_key(|value| count(value)).cloned().expect("every node has every key")
        };
        let of_all = first.keys().filter(|key| nodes.iter().all(|node| node.contains_key(*key)));
        let common: Table = of_all.map(|key| (key.clone(), usual(key))).collect();
        section(out, &format!("[{kind}]"), &common)?;
        for (node, n) in nodes.into_iter().zip(1..) {
            let mut own: Table = node.into_iter().filter(|(key, value)| common.get(key) != Some(value)).collect();
            own.extend(self.name_of(&if kind == "redis" { NodeRef::Redis(n) } else { NodeRef::Sentinel(n) }));
            if !own.is_empty() {
                section(out, &format!("[{kind}.{kind}-{n}]"), &own)?;
            }
        }
        Ok(())
    }

    /// The key that gives a node a name of its own, if it has one.
    fn name_of(&self, node: &NodeRef) -> Option<(String, Value)> {
        let (_, name) = self.called.iter().find(|(own, _)| own == node)?;
        Some(("name".to_owned(), Value::String(name.clone())))
    }
}

fn fault<N: Serialize>(out: &mut String, at: Span, action: &Action<N>) -> fmt::Result {
    let (word, keys) = table(action).into_iter().next().expect("an action has one name");
    writeln!(out, "\n[[fault]]\nat = \"{at}\"\naction = \"{word}\"")?;
    entries(out, keys.as_table().expect("an action's keys are a table"))
}

fn table<T: Serialize>(value: &T) -> Table {
    match Value::try_from(value).expect("plans hold nothing that TOML cannot") {
        Value::Table(table) => table,
        other => unreachable!("sections are tables, not {other}"),
    }
}

/// The settings that the program's release has.
fn known<T: Released>(config: &T) -> Table {
    table(config).into_iter().filter(|(key, _)| T::lacking(config.release(), key).is_none()).collect()
}

fn section(out: &mut String, header: &str, keys: &Table) -> fmt::Result {
    writeln!(out, "\n{header}")?;
    entries(out, keys)
}

fn entries(out: &mut String, keys: &Table) -> fmt::Result {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    for (key, value) in keys {
        let key: &dyn Display = if key.chars().all(bare) { key } else { &Value::String(key.clone()) };
        writeln!(out, "{key} = {value}")?;
    }
    Ok(())
}
