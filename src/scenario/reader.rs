//! From spanned TOML to Rust values, with every complaint collected and every complaint placed.
//!
//! What a table may hold is told by the JSON Schema of the type it is read into, so keys, their help texts and `sim
//! schema` have one source: the doc comments of the settings.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer, Error, ValueDeserializer};

use super::error::Finding;
use super::real;
use crate::limits::{COUNT_MAX, TEXT_MAX};
use crate::record::is_hidden;
use crate::suggest::closest;

/// A TOML value with its place.
pub(super) type Value<'i> = Spanned<DeValue<'i>>;
/// A TOML table with its place.
pub(super) type Table<'i> = Spanned<DeTable<'i>>;

/// The JSON Schema of `T`, without references.
pub(super) fn schema_of<T: JsonSchema>() -> Json {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    if let Some(object) = schema.as_object_mut() {
        object.remove("$schema");
        object.remove("title");
    }
    forget_null(&mut schema);
    limit(&mut schema);
    schema
}

/// Gives every whole number and every text that has no limit of its own the common one.
fn limit(schema: &mut Json) {
    match schema {
        Json::Array(items) => items.iter_mut().for_each(limit),
        Json::Object(object) => {
            object.values_mut().for_each(limit);
            let (key, most) = match object.get("type").and_then(Json::as_str) {
                Some("integer") => ("maximum", COUNT_MAX),
                Some("string") => ("maxLength", TEXT_MAX as u64),
                _ => return,
            };
            object.entry(key).or_insert(most.into());
        }
        _ => {}
    }
}

/// The first part of a value that is beyond the limits of its schema: its place, and what is wrong with it. No text but
/// one that is marked as free may hold characters that a terminal obeys.
fn beyond(schema: &Json, value: &Value<'_>) -> Option<(Range<usize>, String)> {
    if let Some(choices) = schema["anyOf"].as_array() {
        return choices.iter().find_map(|choice| beyond(choice, value));
    }
    match (schema["type"].as_str()?, value.get_ref()) {
        ("integer", DeValue::Integer(number)) => {
            let most = schema["maximum"].as_u64()?;
            let digits = number.as_str().trim_start_matches(['+', '-']);
            let negative = number.as_str().starts_with('-');
            let fits = u128::from_str_radix(digits, number.radix()).is_ok_and(|number| number <= u128::from(most));
            (!fits && !negative).then(|| (value.span(), format!("at most {most}")))
        }
        ("string", DeValue::String(text)) => {
            let most = schema["maxLength"].as_u64()?;
            if text.len() as u64 > most {
                return Some((value.span(), format!("{} bytes; at most {most}", text.len())));
            }
            let free = schema["x-free-text"] == true;
            let hidden = text.chars().find(|c| is_hidden(*c)).filter(|_| !free)?;
            Some((value.span(), format!("it contains {hidden:?}, which is not seen but obeyed")))
        }
        ("array", DeValue::Array(items)) => items.iter().find_map(|item| beyond(&schema["items"], item)),
        ("object", DeValue::Table(table)) => table.iter().find_map(|(key, value)| {
            let own = &schema["properties"][key.get_ref().as_ref()];
            beyond(if own.is_null() { &schema["additionalProperties"] } else { own }, value)
        }),
        _ => None,
    }
}

/// Takes out what makes a value optional by being null: in TOML an absent key is just absent.
fn forget_null(schema: &mut Json) {
    match schema {
        Json::Array(items) => items.iter_mut().for_each(forget_null),
        Json::Object(object) => {
            object.values_mut().for_each(forget_null);
            if let Some(Json::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    object.insert("type".to_owned(), only);
                }
            }
            if let Some(Json::Array(choices)) = object.get_mut("anyOf") {
                choices.retain(|choice| choice["type"] != "null");
                if let [Json::Object(only)] = choices.as_slice() {
                    let only = only.clone();
                    object.remove("anyOf");
                    for (key, value) in only {
                        object.entry(key).or_insert(value);
                    }
                }
            }
        }
        _ => {}
    }
}

/// The keys that a table may hold, with their help texts.
#[derive(Clone, Debug)]
pub(super) struct Keys(Json);

impl Keys {
    /// The keys of `T`.
    pub(super) fn of<T: JsonSchema>() -> Keys {
        Keys(schema_of::<T>())
    }

    /// The keys of an object schema.
    pub(super) fn new(schema: Json) -> Keys {
        Keys(schema)
    }

    /// The names of all keys.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str())
    }

    fn has(&self, key: &str) -> bool {
        self.names().any(|name| name == key)
    }

    fn required(&self) -> impl Iterator<Item = &str> {
        self.0["required"].as_array().into_iter().flatten().filter_map(Json::as_str)
    }

    /// What a key means and which value it has if it is absent.
    pub(super) fn help(&self, key: &str) -> String {
        let property = &self.0["properties"][key];
        let meaning = property["description"].as_str().unwrap_or_default().replace('\n', " ");
        match &property["default"] {
            default if !default.is_null() && !self.required().any(|required| required == key) => {
                format!("`{key}`: {meaning} (default: {default})")
            }
            _ => format!("`{key}`: {meaning}"),
        }
    }
}

/// Where the keys and values of a table stand.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    whole: Range<usize>,
    values: BTreeMap<String, Range<usize>>,
}

impl Places {
    /// The places in `table`.
    pub(super) fn of(table: &Table<'_>) -> Places {
        let values = table.get_ref().iter().map(|(key, value)| (key.get_ref().to_string(), value.span())).collect();
        Places { whole: table.span(), values }
    }

    /// The place of the value of `key`, or of the table if the key is absent.
    pub(super) fn value(&self, key: &str) -> Range<usize> {
        self.values.get(key).unwrap_or(&self.whole).clone()
    }

    /// Whether the table has `key`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }
}

/// Reads TOML and collects what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// Everything found so far.
    pub(super) findings: Vec<Finding>,
}

impl Reader {
    /// Notes that something is wrong.
    pub(super) fn report(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Takes `key` out of a table.
    pub(super) fn take<'i>(table: &mut Table<'i>, key: &str) -> Option<Value<'i>> {
        table.get_mut().remove(key)
    }

    /// The value as a table.
    pub(super) fn table<'i>(&mut self, key: &str, value: Value<'i>) -> Option<Table<'i>> {
        let span = value.span();
        match value.into_inner() {
            DeValue::Table(table) => Some(Spanned::new(span, table)),
            other => {
                let label = format!("this is {}", article(&other));
                let finding = Finding::new(format!("`{key}` must be a table"), span, label);
                self.report(finding.help(format!("write a section `[{key}]` and its keys below")));
                None
            }
        }
    }

    /// The value as a list of tables, as `[[key]]` makes it.
    pub(super) fn tables<'i>(&mut self, key: &str, value: Value<'i>) -> Vec<Table<'i>> {
        let span = value.span();
        match value.into_inner() {
            DeValue::Array(array) => array.into_iter().filter_map(|value| self.table(key, value)).collect(),
            other => {
                let label = format!("this is {}", article(&other));
                let finding = Finding::new(format!("`{key}` must be a list of tables"), span, label);
                self.report(finding.help(format!("head each of them with `[[{key}]]`, in double brackets")));
                Vec::new()
            }
        }
    }

    /// Takes a single value of `keys` out of a table.
    pub(super) fn scalar<T: DeserializeOwned>(&mut self, table: &mut Table<'_>, keys: &Keys, key: &str) -> Option<T> {
        let value = Reader::take(table, key)?;
        match beyond(&keys.0["properties"][key], &value) {
            None => self.value(key, value, &keys.help(key)),
            Some((at, label)) => {
                self.report(Finding::new(format!("`{key}` cannot be taken"), at, label).help(keys.help(key)));
                None
            }
        }
    }

    /// Reads one value; `help` is shown if it cannot be one.
    pub(super) fn value<T: DeserializeOwned>(&mut self, key: &str, value: Value<'_>, help: &str) -> Option<T> {
        let span = value.span();
        match T::deserialize(ValueDeserializer::from(value)) {
            Ok(value) => Some(value),
            Err(error) => {
                self.report(wrong_value(key, &error, span).help(help));
                None
            }
        }
    }

    /// Reads a table whose keys `T` tells.
    pub(super) fn read<T>(&mut self, what: &str, table: Table<'_>) -> Option<(T, Places)>
    where
        T: DeserializeOwned + JsonSchema,
    {
        self.read_with(what, &Keys::of::<T>(), table, |table| T::deserialize(Deserializer::from(table)))
    }

    /// Reads a table with the given `keys`. Every unknown, missing and wrong entry is reported; unknown and wrong ones
    /// are then left out, so that the rest can still be read.
    pub(super) fn read_with<'i, T>(
        &mut self,
        what: &str,
        keys: &Keys,
        mut table: Table<'i>,
        read: impl Fn(Table<'i>) -> Result<T, Error>,
    ) -> Option<(T, Places)> {
        self.drop_unknown(what, keys, &mut table);
        let places = Places::of(&table);
        self.drop_beyond(keys, &mut table);
        let missing: Vec<&str> = keys.required().filter(|key| !places.has(key)).collect();
        for key in &missing {
            let finding = Finding::new(format!("{what} needs the key `{key}`"), table.span(), "it is missing here");
            self.report(finding.help(keys.help(key)));
        }
        // What is left out because it is wrong is not missing: one cause, one error.
        let mut left_out = !missing.is_empty();
        loop {
            let error = match read(table.clone()) {
                Ok(value) => return Some((value, places)),
                Err(error) => error,
            };
            let at = error.span().unwrap_or(table.span());
            let culprit = table.get_ref().iter().find(|(_, value)| contains(&value.span(), &at));
            let Some(key) = culprit.map(|(key, _)| key.get_ref().to_string()) else {
                if !left_out {
                    self.report(Finding::new(format!("{what} cannot be read"), at, error.message()));
                }
                return None;
            };
            self.report(wrong_value(&key, &error, at).help(keys.help(&key)));
            table.get_mut().remove(key.as_str());
            left_out = true;
        }
    }

    /// Reports every value that is beyond the limits of `keys` and takes it out.
    fn drop_beyond(&mut self, keys: &Keys, table: &mut Table<'_>) {
        let entries = std::mem::take(table.get_mut()).into_iter();
        let good = entries.filter(|(key, value)| {
            let key = key.get_ref().as_ref();
            let Some((at, label)) = beyond(&keys.0["properties"][key], value) else { return true };
            self.findings.push(Finding::new(format!("`{key}` cannot be taken"), at, label).help(keys.help(key)));
            false
        });
        *table.get_mut() = good.collect();
    }

    /// Reports every key that is none of `keys` and takes it out.
    pub(super) fn drop_unknown(&mut self, what: &str, keys: &Keys, table: &mut Table<'_>) {
        let entries = std::mem::take(table.get_mut()).into_iter();
        let known = entries.filter(|(key, _)| {
            let known = keys.has(key.get_ref());
            if !known {
                self.findings.push(unknown_key(what, key, keys));
            }
            known
        });
        *table.get_mut() = known.collect();
    }
}

/// A key that does not belong where it stands.
fn unknown_key(what: &str, key: &Spanned<Cow<'_, str>>, keys: &Keys) -> Finding {
    let name = key.get_ref();
    if let Some((message, label, help)) = real::of_section(what, name, keys) {
        return Finding::new(message, key.span(), label).help(help);
    }
    let candidates: Vec<&str> = keys.names().collect();
    let help = match closest(name, candidates.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if candidates.is_empty() => format!("{what} takes no keys"),
        None => format!("{what} knows: {}", candidates.join(", ")),
    };
    Finding::new(format!("unknown key `{name}`"), key.span(), format!("{what} has no such key")).help(help)
}

fn wrong_value(key: &str, error: &Error, span: Range<usize>) -> Finding {
    let span = error.span().filter(|inner| contains(&span, inner)).unwrap_or(span);
    let message = error.message().replace(['\n', '\r'], " ");
    // What serde says of Rust's unsigned types means little to the author of a file.
    let unsigned = [" u16", " u32", " u64"].into_iter().find_map(|name| message.strip_suffix(name));
    let label = unsigned.map_or(message.clone(), |rest| format!("{rest} a whole number, 0 or more"));
    Finding::new(format!("`{key}` has a wrong value"), span, label)
}

fn contains(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

/// The type of a value, as it is called in a sentence.
fn article(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The places of all strings equal to `text` in `value`, in the order of the file.
pub(super) fn find_text(value: &Value<'_>, text: &str) -> Vec<Range<usize>> {
    match value.get_ref() {
        DeValue::String(found) if found == text => vec![value.span()],
        DeValue::Array(values) => values.iter().flat_map(|value| find_text(value, text)).collect(),
        _ => Vec::new(),
    }
}
