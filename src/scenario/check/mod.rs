//! From the tables of a file to a checked plan.

mod called;
mod clients;
mod command;
mod expect;
mod faults;
mod network;
mod settings;

use std::collections::BTreeMap;
use std::ops::Range;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, Deserializer};

use super::error::Finding;
use super::fault::{NodeRef, Sense};
use super::file::top_keys;
use super::names::{Names, number};
use super::plan::{Scenario, Stack};
use super::reader::{Keys, Places, Reader, Table};
use crate::kernel::Span;
use crate::limits::{NAME_HELP, name_fault, plain_name};
use crate::release::{Release, Released};

/// How long a run lasts if the file does not say.
const DURATION: Span = Span::from_secs(30);
/// The range of the random shift if the file does not say: that of the reference recordings.
const PHASE: Span = Span::from_secs(10);

/// The plan that `root` describes. It is good only if `reader` found nothing wrong.
#[allow(clippy::too_many_lines, reason = "one section of the file after the other")]
pub(super) fn scenario(reader: &mut Reader, mut root: Table<'_>, stem: &str) -> Scenario {
    let keys = top_keys();
    reader.drop_unknown("a scenario file", &keys, &mut root);
    let places = Places::of(&root);
    let name = reader.scalar(&mut root, &keys, "name").unwrap_or_else(|| plain_name(stem));
    let description = reader.scalar(&mut root, &keys, "description").unwrap_or_default();
    let duration = reader.scalar(&mut root, &keys, "duration").unwrap_or(DURATION);
    let phase = reader.scalar(&mut root, &keys, "phase").unwrap_or(PHASE);
    check_name(reader, &name, places.value("name"), true);
    if duration == Span::ZERO {
        let finding = Finding::new("the run has no duration", places.value("duration"), "this is zero");
        reader.report(finding.help(keys.help("duration")));
    }

    let nobody: BTreeMap<&str, Range<usize>> =
        ["sentinel", "haproxy"].into_iter().filter_map(|name| Some((name, root.get_ref().get(name)?.span()))).collect();
    let (stack, stack_places) = section::<Stack>(reader, &mut root, "stack");
    let stack = checked_stack(reader, stack, &stack_places);
    let called = called::take(reader, &mut root, stack);
    let redis = per_node(reader, &mut root, "redis", stack.redis);
    let sentinel = per_node(reader, &mut root, "sentinel", stack.sentinels);
    for (config, places) in &redis {
        settings::check_redis(reader, config, places);
    }
    for (config, places) in &sentinel {
        settings::check_sentinel(reader, config, places, stack, &stack_places);
    }
    for (section, keys, exists) in
        [("sentinel", "sentinels", stack.sentinels > 0), ("haproxy", "haproxy", stack.haproxy)]
    {
        if let Some(at) = nobody.get(section).filter(|_| !exists) {
            let finding = Finding::new(format!("the stack has no {section}"), at.clone(), "settings for nobody");
            let also = stack_places.has(keys).then(|| stack_places.value(keys));
            let finding = also.map_or(finding.clone(), |at| finding.and(at, "there is none"));
            reader.report(finding.help(format!("leave the section out, or set `{keys}` in [stack]")));
        }
    }
    let (haproxy, haproxy_places) = section(reader, &mut root, "haproxy");
    let haproxy = released(reader, haproxy, &haproxy_places);
    settings::check_haproxy(reader, &haproxy, &haproxy_places);

    let master = settings::master_name(reader, &sentinel);
    let clients = clients::read(reader, &mut root, stack);
    let called = called::checked(reader, called, stack, &clients);
    let names = Names::new(stack, &clients).with_called(&called);
    let network = network::read(reader, &mut root, &names);
    let cast = faults::Cast {
        names: &names,
        master: &master,
        redis: redis.iter().map(|(config, _)| config).collect(),
        sentinels: sentinel.iter().map(|(config, _)| config).collect(),
    };
    let faults = faults::read(reader, &mut root, &cast, (duration, places.value("duration")));
    let expect = expect::read(reader, &mut root, &names).map(|expect| called::in_expectations(expect, &names));

    let redis = redis.into_iter().map(|(config, _)| config).collect();
    let sentinel = sentinel.into_iter().map(|(config, _)| config).collect();
    Scenario {
        name,
        description,
        duration,
        phase,
        stack,
        redis,
        sentinel,
        haproxy,
        called,
        network,
        clients,
        faults,
        expect,
    }
}

/// Takes a section out of the file; an absent one has its defaults.
fn section<T>(reader: &mut Reader, root: &mut Table<'_>, name: &str) -> (T, Places)
where
    T: DeserializeOwned + JsonSchema + Default,
{
    let table = Reader::take(root, name).and_then(|value| reader.table(name, value));
    table.and_then(|table| reader.read(&format!("[{name}]"), table)).unwrap_or_default()
}

/// Reports a name that is not plain.
fn check_name(reader: &mut Reader, name: &str, at: Range<usize>, blanks: bool) {
    if let Some(fault) = name_fault(name, blanks) {
        let finding = Finding::new("this is not a plain name", at, fault);
        reader.report(finding.help(NAME_HELP));
    }
}

fn checked_stack(reader: &mut Reader, stack: Stack, places: &Places) -> Stack {
    if stack.redis == 0 {
        let finding = Finding::new("a stack needs a Redis node", places.value("redis"), "there is none");
        reader.report(finding.help("set `redis` to 1 or more"));
    }
    for (key, count) in [("redis", stack.redis), ("sentinels", stack.sentinels)] {
        if count > Stack::MOST {
            let label = format!("more than {}", Stack::MOST);
            reader.report(Finding::new(format!("too many nodes: `{key}`"), places.value(key), label).help("use fewer"));
        }
    }
    Stack { redis: stack.redis.clamp(1, Stack::MOST), sentinels: stack.sentinels.min(Stack::MOST), ..stack }
}

/// The settings of each of `count` nodes: those of `[kind]`, overlaid with those of `[kind.kind-N]`.
fn per_node<T>(reader: &mut Reader, root: &mut Table<'_>, kind: &str, count: u16) -> Vec<(T, Places)>
where
    T: Released,
{
    let keys = Keys::of::<T>();
    let what = format!("[{kind}]");
    let prefix = format!("{kind}-");
    let mut common = Reader::take(root, kind).and_then(|value| reader.table(kind, value)).unwrap_or_else(no_table);
    let span = common.span();
    let mut own: BTreeMap<u16, DeTable<'_>> = BTreeMap::new();
    let mut shared = DeTable::new();
    for (key, value) in std::mem::take(common.get_mut()) {
        if !key.get_ref().starts_with(&prefix) {
            shared.insert(key, value);
        } else if let Some(n) = number(key.get_ref(), &prefix, count) {
            let table = reader.table(&format!("{kind}.{}", key.get_ref()), value);
            own.insert(n, table.map(Spanned::into_inner).unwrap_or_default());
        } else {
            let finding = Finding::new(format!("unknown node `{}`", key.get_ref()), key.span(), "settings for nobody");
            reader.report(finding.help(match count {
                0 => "the stack has no such nodes; their number is set in [stack]".to_owned(),
                n => format!("the stack has {prefix}1 to {prefix}{n}; their number is set in [stack]"),
            }));
        }
    }
    (1..=count)
        .map(|n| {
            let mut table = shared.clone();
            for (key, value) in own.remove(&n).unwrap_or_default() {
                table.remove(key.get_ref().as_ref());
                table.insert(key, value);
            }
            let read = |table| T::deserialize(Deserializer::from(table));
            let config = reader.read_with(&what, &keys, Spanned::new(span.clone(), table), read);
            let (config, places): (T, Places) = config.unwrap_or_default();
            (released(reader, config, &places), places)
        })
        .collect()
}

/// The settings with the defaults of their release where the file says nothing; what the release does not have is reported.
fn released<T: Released>(reader: &mut Reader, config: T, places: &Places) -> T {
    let release = config.release();
    for row in T::DIRECTIVES.iter().filter(|row| places.has(row.name)) {
        if let Some(row) = T::lacking(release, row.name) {
            let (why, remedy) = row.why_not(release);
            let message = format!("{} has no `{}`", release.title(), row.name);
            reader.report(Finding::new(message, places.value(row.name), why).help(remedy));
        }
    }
    if release == T::Release::default() {
        return config;
    }
    let table = |config: &T| toml::Table::try_from(config).expect("settings are a table");
    let mut settled = table(&T::of(release));
    settled.extend(table(&config).into_iter().filter(|(key, _)| places.has(key)));
    settled.try_into().expect("settings read as they are written")
}

fn no_table<'i>() -> Table<'i> {
    Spanned::new(0..0, DeTable::new())
}

/// Looks a name up that stands at `at`; an unknown one is reported.
fn resolve(reader: &mut Reader, names: &Names<'_>, name: &str, sense: Sense, at: Range<usize>) -> Option<NodeRef> {
    let node = names.resolve(name, sense);
    if node.is_none() {
        let finding = Finding::new(format!("unknown node `{name}`"), at, "nobody has this name");
        reader.report(finding.help(names.remedy(name)));
    }
    node
}
