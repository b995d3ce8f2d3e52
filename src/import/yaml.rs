//! YAML as a tree whose every node knows its line.
//!
//! Texts stay texts: what is a number or a switch is for the reader of a key to say. Aliases are resolved, and merge keys
//! (`<<`) too: what is merged keeps the line in which it is written.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::origin::{Origin, Place, Seams, Text};

/// So deep may a file be: a stack file has less than twenty levels.
const DEPTH_MAX: usize = 100;
/// So many nodes may a file have, aliases resolved: what is larger is an attack and no stack.
const NODES_MAX: usize = 200_000;

/// A node of a YAML file.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// What it is.
    pub value: Value,
    /// Where it begins, or where its text comes from.
    pub origin: Origin,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// `key:` and nothing behind it, `null` or `~`.
    Null,
    /// A text, number or switch as it is written; whether quotes or a block make it a text for sure.
    Text(String, bool),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<(Text, Node)>),
}

impl Node {
    /// The value of `key` in a mapping; a key that is there and empty is not there.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, node)| node).filter(|node| !matches!(node.value, Value::Null))
    }

    /// The key and value of `key` in a mapping.
    pub(super) fn entry(&self, key: &str) -> Option<(&Text, &Node)> {
        self.entries().iter().find(|(name, _)| name.text == key).map(|(name, node)| (name, node))
    }

    /// The value at the end of the path `keys`.
    pub(super) fn at(&self, keys: &[&str]) -> Option<&Node> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The text of this node, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text, _) => Some(text),
            _ => None,
        }
    }

    /// The text at the end of the path `keys`.
    pub(super) fn text_at(&self, keys: &[&str]) -> Option<Text> {
        self.at(keys)?.as_text()
    }

    /// This node as a text with its origin.
    pub(super) fn as_text(&self) -> Option<Text> {
        self.text().map(|text| Text::new(text, self.origin.clone()))
    }

    /// The items of a list; none for anything else.
    pub(super) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The entries of a mapping; none for anything else.
    pub(super) fn entries(&self) -> &[(Text, Node)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The texts of a list, or the one text.
    pub(super) fn texts(&self) -> Vec<Text> {
        match &self.value {
            Value::List(items) => items.iter().filter_map(Node::as_text).collect(),
            _ => self.as_text().into_iter().collect(),
        }
    }

    /// Whether this is `true`, as YAML 1.1 and compose files write it.
    pub(super) fn is_true(&self) -> bool {
        self.text().is_some_and(|text| ["true", "yes", "on"].contains(&text.to_ascii_lowercase().as_str()))
    }

    /// The line of the key or value.
    pub(super) fn place(&self) -> &Place {
        &self.origin.place
    }
}

/// An open list or mapping.
struct Open {
    anchor: usize,
    origin: Origin,
    list: Option<Vec<Node>>,
    map: Vec<(Text, Node)>,
    key: Option<Text>,
}

/// The documents of `text`, or the line in which it is none and why.
pub(super) fn read(file: &Arc<str>, text: &str) -> Result<Vec<Node>, (Place, String)> {
    let mut reader = Reader { file: file.clone(), ..Reader::default_for(file) };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines: Vec<&str> = text.lines().collect();
    for event in Parser::new_from_str(text) {
        let (event, span) =
            event.map_err(|error| (Place::new(file, error.marker().line()), error.info().to_owned()))?;
        let (first, last) = (span.start.line(), span.end.line());
        let seams = match &event {
            Event::Scalar(text, ..) if last > first => seams(text, &lines, first),
            _ => Seams::default(),
        };
        reader.event(event, first, seams)?;
    }
    Ok(reader.documents)
}

/// In which lines of the file, from `first` on, a text of several lines stands: each of its words is written in one.
fn seams(text: &str, lines: &[&str], first: usize) -> Seams {
    let (mut seams, mut at) = (Seams { lines: vec![(0, first)], parts: Vec::new() }, 0);
    for (n, line) in lines.iter().enumerate().skip(first.saturating_sub(1)) {
        let words = line.trim().trim_end_matches(['"', '\'']);
        match text.get(at..).and_then(|rest| rest.find(words)) {
            _ if at >= text.len() => break,
            _ if words.is_empty() => {}
            Some(found) => {
                seams.lines.push((at + found, n + 1));
                at += found + words.len();
            }
            // In the first line stands the key as well.
            None if n + 1 == first => {}
            None => break,
        }
    }
    seams
}

struct Reader {
    file: Arc<str>,
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
}

impl Reader {
    fn default_for(file: &Arc<str>) -> Reader {
        Reader { file: file.clone(), documents: Vec::new(), open: Vec::new(), anchors: HashMap::new(), nodes: 0 }
    }

    fn event(&mut self, event: Event<'_>, line: usize, seams: Seams) -> Result<(), (Place, String)> {
        let place = Place::new(&self.file, line);
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                let value = match &*text {
                    "" | "~" | "null" | "Null" | "NULL" if plain => Value::Null,
                    text => Value::Text(text.to_owned(), !plain),
                };
                self.node(Node { value, origin: Origin::at(place).with(seams) }, anchor, 1)
            }
            Event::SequenceStart(anchor, _) => self.begin(anchor, place, true),
            Event::MappingStart(anchor, _) => self.begin(anchor, place, false),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else { return Ok(()) };
                let value = open.list.map_or_else(|| Value::Map(merge(open.map)), Value::List);
                self.node(Node { value, origin: open.origin }, open.anchor, 1)
            }
            Event::Alias(anchor) => {
                let (node, size) =
                    self.anchors.get(&anchor).cloned().ok_or((place, "an alias of nothing".to_owned()))?;
                self.node(node, 0, size)
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, anchor: usize, place: Place, list: bool) -> Result<(), (Place, String)> {
        if self.open.len() >= DEPTH_MAX {
            return Err((place, format!("more than {DEPTH_MAX} levels")));
        }
        let origin = Origin::at(place);
        self.open.push(Open { anchor, origin, list: list.then(Vec::new), map: Vec::new(), key: None });
        Ok(())
    }

    fn node(&mut self, node: Node, anchor: usize, size: usize) -> Result<(), (Place, String)> {
        self.nodes = self.nodes.saturating_add(size);
        if self.nodes > NODES_MAX {
            return Err((node.origin.place, format!("more than {NODES_MAX} nodes")));
        }
        if anchor != 0 {
            let size = count(&node);
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.open.last_mut() {
            None => self.documents.push(node),
            Some(Open { list: Some(items), .. }) => items.push(node),
            Some(open) => match open.key.take() {
                Some(key) => open.map.push((key, node)),
                None => open.key = Some(Text::new(node.text().unwrap_or_default().to_owned(), node.origin)),
            },
        }
        Ok(())
    }
}

fn count(node: &Node) -> usize {
    1 + node.items().iter().map(count).sum::<usize>()
        + node.entries().iter().map(|(_, node)| count(node)).sum::<usize>()
}

/// Merge keys resolved: what stands in the mapping itself goes before what is merged.
fn merge(entries: Vec<(Text, Node)>) -> Vec<(Text, Node)> {
    if !entries.iter().any(|(key, _)| key.text == "<<") {
        return entries;
    }
    let (merged, mut own): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(key, _)| key.text == "<<");
    let mut known: HashSet<String> = own.iter().map(|(key, _)| key.text.clone()).collect();
    for (_, node) in merged {
        let maps: Vec<&Node> = if node.items().is_empty() { vec![&node] } else { node.items().iter().collect() };
        for (key, value) in maps.into_iter().flat_map(Node::entries) {
            if known.insert(key.text.clone()) {
                own.push((key.clone(), value.clone()));
            }
        }
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Node {
        read(&"a.yml".into(), text).expect("good YAML").remove(0)
    }

    #[test]
    fn nodes_know_their_lines_and_merge_keys_keep_theirs() {
        let node = one("x: &x\n  a: 1\n  b: 2\ny:\n  <<: *x\n  b: '3'\nz:\n");
        let y = node.get("y").expect("y");
        assert_eq!(
            (y.text_at(&["a"]).expect("a").place().line, y.text_at(&["b"]).expect("b").text),
            (2, "3".to_owned())
        );
        assert!(node.get("z").is_none() && node.entry("z").is_some());
    }

    #[test]
    fn texts_of_several_lines_know_the_line_of_each_byte() {
        let text = "a: >\n  one\n  two two\n\nb: |\n  one\n\n  three\nc: one\n  two\nd: \"one\n  two\"\n";
        let node = one(text);
        for (key, word, line) in [
            ("a", "one", 2),
            ("a", "two two", 3),
            ("b", "three", 8),
            ("c", "two", 10),
            ("d", "one", 11),
            ("d", "two", 12),
        ] {
            let node = node.get(key).expect(key);
            let at = node.text().expect("a text").find(word).expect(word);
            assert_eq!(node.origin.place_at(at).line, line, "{key}: {word}");
        }
    }

    #[test]
    fn bombs_and_wells_are_refused() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..10 {
            let alias = vec![format!("*a{}", n - 1); 10].join(", ");
            bomb += &format!("a{n}: &a{n} [{alias}]\n");
        }
        assert!(read(&"a.yml".into(), &bomb).expect_err("too many").1.contains("nodes"));
        assert!(read(&"a.yml".into(), &"[".repeat(5_000)).is_err());
        let (place, _) = read(&"a.yml".into(), "a: 1\nb: [\n").expect_err("no YAML");
        assert!(place.line >= 2);
    }
}
