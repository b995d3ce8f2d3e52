//! Dockerfiles: what an image is built from, what it holds, and what it starts.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::interpolate::Variables;
use super::origin::{Line, Origin, Place, Text, lines_of};
use super::source::{Files, clean, folder_of, resolve};

/// An image, as its last or wanted stage says.
#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    /// The image it is built from.
    pub base: Option<Text>,
    /// Its variables.
    pub env: BTreeMap<String, Text>,
    /// The files that it was given from the set.
    pub files: BTreeMap<String, Vec<Line>>,
    /// The paths in the set of those files.
    pub copied: Vec<String>,
    /// What is started.
    pub entrypoint: Option<Vec<Text>>,
    /// The arguments or the command.
    pub command: Option<Vec<Text>>,
    /// The folder in which it starts.
    pub folder: String,
    /// The commands that were run while it was built.
    pub runs: Vec<Text>,
}

/// The image of the stage `target`, or of the last one.
pub(super) fn read(files: &Files, path: &str, context: &str, target: Option<&str>) -> Option<Image> {
    read_with(files, (path, context), target, &BTreeMap::new())
}

/// The same, built with these values for `ARG`.
pub(super) fn read_with(
    files: &Files,
    (path, context): (&str, &str),
    target: Option<&str>,
    given: &BTreeMap<String, Text>,
) -> Option<Image> {
    let file = files.get(path)?;
    let mut stages: Vec<(String, Image)> = Vec::new();
    let mut arguments = Variables::default();
    for (place, text) in instructions(&file.path, &file.text) {
        let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text.as_str(), ""));
        let rest = rest.trim();
        let at = Text::new(rest, Origin::at(place.clone()));
        match name.to_ascii_uppercase().as_str() {
            "ARG" => {
                let (name, value) = rest.split_once('=').unwrap_or((rest, ""));
                let own = || Text::new(unquoted(value), Origin::at(place));
                arguments.set.insert(name.to_owned(), given.get(name).cloned().unwrap_or_else(own));
            }
            "FROM" => {
                let rest = arguments.apply(&at);
                let words: Vec<&str> = rest.text.split_whitespace().filter(|word| !word.starts_with("--")).collect();
                let Some(base) = words.first() else { continue };
                let name = match words[..] {
                    [_, middle, name] if middle.eq_ignore_ascii_case("as") => name.to_owned(),
                    _ => String::new(),
                };
                let below = stages.iter().find(|(stage, _)| !stage.is_empty() && stage == base);
                let image = below.map(|(_, image)| image.clone());
                let base = Text::new(*base, Origin::at(place.clone()));
                stages
                    .push((name, image.unwrap_or(Image { base: Some(base), folder: "/".into(), ..Image::default() })));
            }
            instruction => {
                let Some((_, image)) = stages.last_mut() else { continue };
                apply(files, context, image, instruction, &at, &mut arguments);
            }
        }
        if let (Some(target), Some((_, _))) = (target, stages.last())
            && stages.len() > 1
            && stages[stages.len() - 2].0 == target
        {
            return Some(stages.swap_remove(stages.len() - 2).1);
        }
    }
    match target {
        Some(target) => stages.into_iter().find(|(name, _)| name == target).map(|(_, image)| image),
        None => stages.pop().map(|(_, image)| image),
    }
}

/// The names of the stages of a Dockerfile.
pub(super) fn stages(text: &str) -> Vec<String> {
    let from = text.lines().filter(|line| line.trim_start().to_ascii_uppercase().starts_with("FROM "));
    from.filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let at = words.iter().position(|word| word.eq_ignore_ascii_case("as"))?;
        words.get(at + 1).map(|name| (*name).to_owned())
    })
    .collect()
}

fn apply(files: &Files, context: &str, image: &mut Image, instruction: &str, at: &Text, arguments: &mut Variables) {
    match instruction {
        "ENV" => {
            let text = arguments.apply(at).text;
            let pairs = super::compose::shlex(&text);
            let old = !pairs.first().is_some_and(|pair| pair.contains('='));
            if let (true, Some((name, value))) = (old, text.split_once(char::is_whitespace)) {
                image.env.insert(name.to_owned(), Text::new(value.trim(), at.origin.clone()));
                return;
            }
            for (name, value) in pairs.iter().filter_map(|pair| pair.split_once('=')) {
                let value = Text::new(value, at.origin.clone());
                image.env.insert(name.to_owned(), value.clone());
                arguments.set.insert(name.to_owned(), value);
            }
        }
        "COPY" | "ADD" => copy(files, context, image, &at.text),
        "WORKDIR" => {
            image.folder = clean(&format!("{}/{}", if at.text.starts_with('/') { "" } else { &image.folder }, at.text))
        }
        "ENTRYPOINT" => {
            image.entrypoint = Some(command(at));
            image.command = None;
        }
        "CMD" => image.command = Some(command(at)),
        "RUN" if image.runs.len() < 500 => image.runs.push(at.clone()),
        _ => {}
    }
}

fn copy(files: &Files, context: &str, image: &mut Image, text: &str) {
    let words: Vec<String> = match serde_json::from_str::<Vec<String>>(text) {
        Ok(words) => words,
        Err(_) if text.contains("--from=") => return,
        Err(_) => text.split_whitespace().filter(|word| !word.starts_with("--")).map(str::to_owned).collect(),
    };
    let [sources @ .., target] = &words[..] else { return };
    let absolute = if target.starts_with('/') { target.clone() } else { format!("{}/{target}", image.folder) };
    for source in sources {
        let Some(path) = resolve(context, source.trim_start_matches('/')) else { continue };
        if let Some(file) = files.get(&path) {
            let name = file.path.rsplit('/').next().unwrap_or_default();
            let folder = target.ends_with('/') || target == "." || sources.len() > 1;
            let to = if folder { format!("{absolute}/{name}") } else { absolute.clone() };
            image.files.insert(clean(&to), lines_of(&file.path, &file.text));
            image.copied.push(path);
            continue;
        }
        let wild = path.contains('*');
        for file in files.all() {
            let inside = if wild {
                super::shell::glob(path.as_bytes(), file.path.as_bytes())
                    .then(|| file.path.rsplit('/').next().unwrap_or_default())
            } else if path.is_empty() {
                Some(&*file.path)
            } else {
                file.path.strip_prefix(path.as_str()).and_then(|rest| rest.strip_prefix('/'))
            };
            if let Some(inside) = inside {
                image.files.insert(clean(&format!("{absolute}/{inside}")), lines_of(&file.path, &file.text));
                image.copied.push(file.path.to_string());
            }
        }
    }
}

/// ENTRYPOINT or CMD: a JSON list, or a text for the shell.
fn command(at: &Text) -> Vec<Text> {
    let word = |text: &str| Text::new(text, at.origin.clone());
    match serde_json::from_str::<Vec<String>>(&at.text) {
        Ok(words) => words.iter().map(|text| word(text)).collect(),
        Err(_) => vec![word("sh"), word("-c"), word(&at.text)],
    }
}

fn unquoted(text: &str) -> &str {
    text.trim().trim_matches(['"', '\''])
}

/// The instructions of a Dockerfile: lines that end with `\` are joined.
fn instructions(path: &Arc<str>, text: &str) -> Vec<(Place, String)> {
    let mut all: Vec<(Place, String)> = Vec::new();
    let mut open = false;
    for (n, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.starts_with('#') || trimmed.is_empty() {
            continue;
        }
        let goes_on = trimmed.ends_with('\\');
        let body = trimmed.trim_end_matches('\\').trim_end();
        match all.last_mut().filter(|_| open) {
            Some((_, text)) => {
                text.push(' ');
                text.push_str(body);
            }
            None => all.push((Place::new(path, n + 1), body.to_owned())),
        }
        open = goes_on;
    }
    all
}

/// The folder of a Dockerfile, as the context that it has if nothing names one.
pub(super) fn usual_context(path: &str) -> &str {
    folder_of(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_copies_and_commands() {
        let text = "ARG V=6\nFROM redis:${V}-alpine AS base\nENV A=1 B=\"x y\"\nENV OLD 5\nCOPY s.conf \\\n  /etc/redis/\nFROM base AS two\nADD . \
            /app\nENTRYPOINT [\"start.sh\"]\nCMD redis-server\n";
        let files = Files::of([("d/Dockerfile", text), ("d/s.conf", "port 1\n")]);
        let image = read(&files, "d/Dockerfile", "d", Some("base")).expect("read");
        assert_eq!(image.base.expect("set").text, "redis:6-alpine");
        assert_eq!((image.env["B"].text.as_str(), image.env["OLD"].text.as_str()), ("x y", "5"));
        assert!(image.files.contains_key("/etc/redis/s.conf") && image.entrypoint.is_none());
        let image = read(&files, "d/Dockerfile", "d", None).expect("read");
        assert_eq!((image.entrypoint.expect("set").len(), image.command.expect("set").len()), (1, 3));
        assert!(image.files.contains_key("/app/s.conf"));
        assert_eq!(stages(text), ["base", "two"]);
    }
}
