//! Setting single keys from outside the file, as a sweep does.

use std::borrow::Cow;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Finding, Sources};
use super::reader::{Reader, Table, Value};

/// Sets the key at `path` to `value`, for example `sentinel.down-after-milliseconds` to `1000` or `fault.1.at` to `5s`.
///
/// Each step of the path is a key, or the number (from 0) of an element of a list, or for `client` the client's name, or
/// `*` for all elements.
/// A value that is no TOML value is taken as a string.
pub(super) fn apply<'i>(
    reader: &mut Reader,
    sources: &mut Sources,
    root: &mut Table<'i>,
    (path, value): (&'i str, &'i str),
) {
    let line = format!("{path} = {value}");
    let start = sources.add("override", &line);
    let value_start = start + line.len() - value.len();
    let at = value_start..value_start + value.len();
    let mut steps = Vec::new();
    let mut offset = start;
    for step in path.split('.') {
        let name = step.trim().trim_matches('"');
        steps.push(Spanned::new(offset..offset + step.len(), Cow::Borrowed(name)));
        offset += step.len() + 1;
    }
    if let Err(finding) = set(root.get_mut(), &steps, parse(value, at)) {
        reader.report(*finding);
    }
}

/// Keys that hold lists of tables.
const LISTS: [&str; 3] = ["client", "fault", "link"];

/// A step of a path, with its place.
type Step<'i> = Spanned<Cow<'i, str>>;

fn set<'i>(table: &mut DeTable<'i>, steps: &[Step<'i>], value: Value<'i>) -> Result<(), Box<Finding>> {
    let [step, rest @ ..] = steps else { unreachable!("a path has at least one step") };
    if rest.is_empty() {
        // The key of the file is replaced too, so that a complaint about it points at the override.
        table.remove(step.get_ref().as_ref());
        table.insert(step.clone(), value);
        return Ok(());
    }
    if step.get_ref() == "client" && rest[0].get_ref() == "*" && !table.contains_key("client") {
        // A file that names no client has those of the reference.
        let clients = crate::client::Config::REFERENCE.map(|(name, kind, host)| {
            let keys = [("name", name), ("kind", kind.verb()), ("host", host)].map(|(key, word)| {
                let at = |value| Spanned::new(step.span(), value);
                (Spanned::new(step.span(), Cow::Borrowed(key)), at(DeValue::String(Cow::Borrowed(word))))
            });
            Spanned::new(step.span(), DeValue::Table(keys.into_iter().collect()))
        });
        let clients = DeValue::Array(clients.into_iter().collect());
        table.insert(step.clone(), Spanned::new(step.span(), clients));
    }
    if LISTS.contains(&step.get_ref().as_ref()) && !table.contains_key(step.get_ref().as_ref()) {
        let finding = Finding::new("the override leads nowhere", step.span(), "the file has none");
        return Err(Box::new(
            finding.help(format!("only what is in the file can be changed: write a [[{}]]", step.get_ref())),
        ));
    }
    let empty = Spanned::new(step.span(), DeValue::Table(DeTable::new()));
    match table.entry(step.clone()).or_insert(empty).get_mut() {
        DeValue::Table(inner) => set(inner, rest, value),
        DeValue::Array(items) => {
            let (wanted, rest) = rest.split_first().expect("checked above");
            if wanted.get_ref() == "*" && !rest.is_empty() && !items.is_empty() {
                for item in items.iter_mut() {
                    let DeValue::Table(inner) = item.get_mut() else { continue };
                    set(inner, rest, value.clone())?;
                }
                return Ok(());
            }
            let position = position(items, wanted.get_ref());
            match position.and_then(|n| items.get_mut(n)).map(Spanned::get_mut) {
                Some(DeValue::Table(inner)) if !rest.is_empty() => set(inner, rest, value),
                _ => {
                    let finding = Finding::new("the override leads nowhere", wanted.span(), "there is no such element");
                    Err(Box::new(finding.help(format!(
                        "`{}` has {} elements: name one by its number from 0 (a client also by its name) or all by `*`, then a key",
                        step.get_ref(),
                        items.len()
                    ))))
                }
            }
        }
        _ => {
            let finding = Finding::new("the override leads nowhere", step.span(), "this is a single value");
            Err(Box::new(finding.help("end the path here")))
        }
    }
}

/// The element with this number, or whose `name` is this.
fn position(items: &[Value<'_>], wanted: &str) -> Option<usize> {
    let is_named = |item: &Value<'_>| match item.get_ref() {
        DeValue::Table(table) => {
            matches!(table.get("name").map(Spanned::get_ref), Some(DeValue::String(name)) if name == wanted)
        }
        _ => false,
    };
    items.iter().position(is_named).or_else(|| wanted.parse().ok())
}

/// The value as TOML, or else as a string; all of it stands at `at`.
fn parse(text: &str, at: Range<usize>) -> Value<'_> {
    match DeValue::parse(text) {
        Ok(value) => place(value, &at),
        Err(_) => Spanned::new(at, DeValue::String(Cow::Borrowed(text))),
    }
}

/// The value with every part of it at `at`.
fn place<'i>(value: Value<'i>, at: &Range<usize>) -> Value<'i> {
    let value = match value.into_inner() {
        DeValue::Array(items) => DeValue::Array(items.into_iter().map(|item| place(item, at)).collect()),
        DeValue::Table(table) => {
            let entries = table.into_iter();
            let placed = entries.map(|(key, value)| (Spanned::new(at.clone(), key.into_inner()), place(value, at)));
            DeValue::Table(placed.collect())
        }
        other => other,
    };
    Spanned::new(at.clone(), value)
}
