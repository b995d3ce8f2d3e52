//! The files that a container sees, as far as the set tells: mounts, what an image was built with, and what a start script
//! writes. Where a file lives decides what is left of it after a restart.

use std::collections::BTreeMap;

use super::container::{Container, Source};
use super::origin::{Line, Place, lines_of};
use super::source::Files;

/// Where a file lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// In the image, so in the container's own layer.
    Image,
    /// Made in the container's own layer.
    Layer,
    /// One file of the machine, mounted by itself.
    FileMount,
    /// A folder of the machine.
    FolderMount,
    /// A volume.
    Volume,
    /// A volume without a name.
    Anonymous,
    /// A folder that goes with the pod, or memory.
    Scratch,
    /// A file that the platform puts there (ConfigMap, `configs`).
    Platform,
    /// A machine's own file: no container.
    Machine,
}

/// A configuration file that a program was started with.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    /// Its path as the program knows it.
    pub path: String,
    /// Its lines; unknown if it is not in the set.
    pub lines: Option<Vec<Line>>,
    /// Where it lives.
    pub home: Home,
    /// Whether its mount cannot be written.
    pub read_only: bool,
    /// Whether every start makes it anew.
    pub regenerated: bool,
    /// Where it is named.
    pub place: Place,
    /// The file of the set in which it stands, if it is one.
    pub in_set: Option<String>,
}

impl ConfigFile {
    /// Whether a server can put a new file in its place, as CONFIG REWRITE does since 6.0.9.
    pub fn can_be_replaced(&self) -> bool {
        !self.read_only && !matches!(self.home, Home::FileMount | Home::Platform)
    }
}

/// What a start script wrote.
#[derive(Clone, Debug)]
struct Written {
    lines: Option<Vec<Line>>,
    /// Only if it was not there.
    guarded: bool,
}

/// The files of a container.
#[derive(Clone, Debug)]
pub(super) struct Vfs<'a> {
    files: &'a Files,
    container: &'a Container,
    /// What the Dockerfile put into the image.
    pub image: BTreeMap<String, Vec<Line>>,
    written: BTreeMap<String, Written>,
    /// The files of the set that were looked at.
    pub read: Vec<String>,
}

impl<'a> Vfs<'a> {
    /// The files of `container`.
    pub(super) fn new(files: &'a Files, container: &'a Container) -> Vfs<'a> {
        Vfs { files, container, image: BTreeMap::new(), written: BTreeMap::new(), read: Vec::new() }
    }

    /// The files of the set.
    pub(super) fn set(&self) -> &'a Files {
        self.files
    }

    /// The path in the set of what is mounted at `path`, if it is there.
    pub(super) fn in_set(&self, path: &str) -> Option<String> {
        let (mount, rest) = self.container.mount_of(path)?;
        let Source::Bind(Some(base)) = &mount.source else { return None };
        let path = match (base.is_empty(), rest.is_empty()) {
            (_, true) => base.clone(),
            (true, false) => rest,
            (false, false) => format!("{base}/{rest}"),
        };
        self.files.get(&path).map(|_| path)
    }

    /// The path under which a file of a pod's volume is kept: several containers mount it at places of their own.
    fn own(&self, path: &str) -> String {
        let Some((mount, rest)) = self.container.mount_of(path) else { return path.to_owned() };
        let first = mount.volume.as_ref().and_then(|name| {
            let mut same = self
                .container
                .mounts
                .iter()
                .filter(|other| other.volume.as_ref() == Some(name) && other.source == mount.source);
            same.next()
        });
        match first {
            Some(first) if first.target != mount.target && !rest.is_empty() => format!("{}/{rest}", first.target),
            _ => path.to_owned(),
        }
    }

    /// The lines of a file, if they are known.
    pub(super) fn lines(&mut self, path: &str) -> Option<Vec<Line>> {
        let path = &*self.own(path);
        if let Some(written) = self.written.get(path) {
            return written.lines.clone();
        }
        if let Some((mount, rest)) = self.container.mount_of(path) {
            if let Source::Files(all) = &mount.source {
                return all.get(&rest).cloned();
            }
            let inside = self.in_set(path)?;
            self.read.push(inside.clone());
            let file = self.files.get(&inside)?;
            return Some(lines_of(&file.path, &file.text));
        }
        self.image.get(path).cloned()
    }

    /// Whether a file is there at the first start; unknown where the set does not tell.
    pub(super) fn exists(&mut self, path: &str) -> Option<bool> {
        let path = &*self.own(path);
        if self.written.contains_key(path) || self.image.contains_key(path) || self.lines(path).is_some() {
            return Some(true);
        }
        match self.container.mount_of(path).map(|(mount, _)| &mount.source) {
            Some(Source::Bind(None) | Source::Unknown) => None,
            Some(Source::Bind(Some(inside))) if !self.files.is_folder(inside) => None,
            _ => Some(false),
        }
    }

    /// A start script writes a file; `guarded` if only where there is none.
    pub(super) fn write(&mut self, path: &str, lines: Option<Vec<Line>>, append: bool, guarded: bool) {
        let path = &*self.own(path);
        let old = append.then(|| self.lines(path)).flatten();
        let known = !append || old.is_some() || self.exists(path) == Some(false);
        let lines = match (lines, known) {
            (Some(lines), true) => {
                let mut all = old.unwrap_or_default();
                all.extend(lines);
                Some(all)
            }
            _ => None,
        };
        // A file that was first made for good stays so when it is changed under a guard.
        let guarded = guarded && self.written.get(path).is_none_or(|written| written.guarded);
        self.written.insert(path.to_owned(), Written { lines, guarded });
    }

    /// What was written so far is there at every later start: a pod's init containers run once for each pod.
    pub(super) fn settle(&mut self) {
        self.written.values_mut().for_each(|written| written.guarded = true);
    }

    /// The files of the set that lie below a folder of the container.
    pub(super) fn below(&self, path: &str) -> Vec<(String, Vec<Line>)> {
        let Some((mount, rest)) = self.container.mount_of(path) else { return Vec::new() };
        match &mount.source {
            Source::Files(all) => all.iter().map(|(name, lines)| (name.clone(), lines.clone())).collect(),
            Source::Bind(Some(base)) => {
                let folder = if rest.is_empty() { base.clone() } else { format!("{base}/{rest}") };
                let inside = self.files.all().filter_map(|file| {
                    let name = file.path.strip_prefix(folder.as_str())?.strip_prefix('/')?;
                    Some((name.to_owned(), lines_of(&file.path, &file.text)))
                });
                inside.collect()
            }
            _ => Vec::new(),
        }
    }

    /// Where a file lives, and whether its mount is read-only.
    pub(super) fn home(&self, path: &str) -> (Home, bool) {
        let Some((mount, rest)) = self.container.mount_of(path) else {
            let image = self.image.contains_key(path) && !self.written.contains_key(path);
            return (if image { Home::Image } else { Home::Layer }, false);
        };
        let home = match &mount.source {
            Source::Bind(_) if rest.is_empty() => Home::FileMount,
            Source::Bind(_) => Home::FolderMount,
            Source::Volume(_) | Source::Unknown => Home::Volume,
            Source::Anonymous => Home::Anonymous,
            Source::Scratch => Home::Scratch,
            Source::Files(_) => Home::Platform,
        };
        (home, mount.read_only)
    }

    /// The configuration file at `path`, as it is when the program starts.
    pub(super) fn config(&mut self, path: &str, place: &Place) -> ConfigFile {
        let lines = self.lines(path);
        let (home, read_only) = self.home(path);
        let written = self.written.get(&self.own(path));
        ConfigFile {
            path: path.to_owned(),
            lines,
            home,
            read_only,
            regenerated: written.is_some_and(|written| !written.guarded),
            place: place.clone(),
            in_set: self.in_set(path).filter(|_| written.is_none()),
        }
    }
}
