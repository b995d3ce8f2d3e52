//! The files of a stack: read once, with bounds, from one folder, and nothing outside of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::limits::{IMPORT_BYTES_MAX, IMPORT_ENTRIES_MAX, IMPORT_FILE_MAX, IMPORT_FILES_MAX, read_all, system_says};

/// So many files that are not read are named one by one.
const UNREAD_TOLD: usize = 8;

/// Folders that hold no configuration.
const SKIPPED: [&str; 5] = [".git", "node_modules", "target", "vendor", "__pycache__"];
/// So deep are folders walked through.
const DEPTH_MAX: usize = 24;

/// A file, as text.
#[derive(Clone, Debug)]
pub struct File {
    /// Its path, relative to the folder that was given, with `/`.
    pub path: Arc<str>,
    /// What it holds; what is no UTF-8 is replaced.
    pub text: String,
}

/// All files of a folder.
#[derive(Clone, Debug, Default)]
pub struct Files {
    files: BTreeMap<String, File>,
    folders: BTreeSet<String>,
    /// What was not read, and why.
    pub skipped: Vec<String>,
    /// The files that were named one by one, if any were: only they are looked at by themselves.
    pub named: Option<BTreeSet<String>>,
    /// Entries of folders that were looked at, and bytes that were read.
    spent: (usize, usize),
}

impl Files {
    /// Reads what `paths` name: one folder, or files (whose common folder then is the root for what they mention).
    ///
    /// # Errors
    /// What cannot be read, and why.
    pub fn read(paths: &[PathBuf]) -> Result<Files, String> {
        let mut files = Files::default();
        let canonical = |path: &Path| {
            path.canonicalize().map_err(|error| format!("{}: cannot read it: {}", path.display(), system_says(&error)))
        };
        if let [folder] = paths
            && folder.is_dir()
        {
            let root = canonical(folder)?;
            files.walk(&root, &root, "", 0);
            return Ok(files);
        }
        let all: Vec<PathBuf> = paths.iter().map(|path| canonical(path)).collect::<Result<_, _>>()?;
        if let Some(folder) = all.iter().find(|path| path.is_dir()) {
            return Err(format!("{}: give one folder, or files", folder.display()));
        }
        let root = common(&all).ok_or("nothing was named: give a folder or files")?;
        let names: BTreeMap<String, &PathBuf> =
            all.iter().filter_map(|path| Some((relative(&root, path)?, path))).collect();
        // They come before what they may mention.
        for (name, path) in names.iter().filter(|(_, path)| path.is_file()) {
            files.read_file(path, name.clone());
        }
        files.named = Some(names.into_keys().collect());
        files.walk(&root, &root, "", 0);
        for path in files.named.iter().flatten() {
            if !files.files.contains_key(path) {
                return Err(format!("{path}: cannot read it as a text of at most 1 MiB"));
            }
        }
        Ok(files)
    }

    /// The files in `texts`, as if they lay in a folder: for tests and for texts from elsewhere.
    pub fn of<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Files {
        let mut files = Files::default();
        for (path, text) in texts {
            files.add(path.to_owned(), text.to_owned());
        }
        files
    }

    fn add(&mut self, path: String, text: String) {
        let mut folder = path.as_str();
        while let Some((above, _)) = folder.rsplit_once('/') {
            self.folders.insert(above.to_owned());
            folder = above;
        }
        self.files.insert(path.clone(), File { path: path.into(), text });
    }

    fn walk(&mut self, root: &Path, folder: &Path, inside: &str, depth: usize) {
        let Ok(entries) = fs::read_dir(folder) else {
            return self.skipped.push(format!("{inside}: the folder cannot be read"));
        };
        let mut entries: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        entries.sort();
        for name in entries {
            self.spent.0 += 1;
            if self.spent.0 > IMPORT_ENTRIES_MAX || self.files.len() >= IMPORT_FILES_MAX {
                return self.too_many();
            }
            let path = folder.join(&name);
            let name = name.to_string_lossy().into_owned();
            let hidden = name.starts_with('.') && !name.starts_with(".env");
            if hidden || SKIPPED.contains(&name.as_str()) {
                continue;
            }
            let inner = if inside.is_empty() { name } else { format!("{inside}/{name}") };
            let Ok(real) = path.canonicalize() else { continue };
            if !real.starts_with(root) {
                self.skipped.push(format!("{inner}: it leads out of the folder"));
            } else if real.is_dir() {
                // A link to a folder inside leads to what is read anyway, or around in a ring.
                if real == path && depth < DEPTH_MAX {
                    self.folders.insert(inner.clone());
                    self.walk(root, &path, &inner, depth + 1);
                }
            } else if real.is_file() {
                self.read_file(&real, inner);
            } else {
                self.skipped.push(format!("{inner}: it is no file"));
            }
        }
    }

    fn read_file(&mut self, path: &Path, inner: String) {
        if self.files.contains_key(&inner) {
            return;
        }
        if self.files.len() >= IMPORT_FILES_MAX || self.spent.1 >= IMPORT_BYTES_MAX {
            return self.too_many();
        }
        match fs::File::open(path).and_then(|file| read_all(file, IMPORT_FILE_MAX)) {
            Ok(bytes) if bytes.contains(&0) => {}
            Ok(bytes) => {
                self.spent.1 += bytes.len();
                self.add(inner, String::from_utf8_lossy(&bytes).into_owned());
            }
            Err(error) => self.skipped.push(format!("{inner}: {error}")),
        }
    }

    /// What was not read and why: the first few in words, and how many more.
    pub fn unread(&self) -> Vec<String> {
        let mut all: Vec<String> =
            self.skipped.iter().take(UNREAD_TOLD).map(|text| format!("not read: {text}")).collect();
        if let Some(more) = self.skipped.len().checked_sub(UNREAD_TOLD).filter(|more| *more > 0) {
            all.push(format!("not read: {more} more"));
        }
        all
    }

    fn too_many(&mut self) {
        let text = format!(
            "what lies beyond {IMPORT_FILES_MAX} files, {IMPORT_ENTRIES_MAX} entries of folders or {} MiB",
            IMPORT_BYTES_MAX >> 20
        );
        if !self.skipped.contains(&text) {
            self.skipped.push(text);
        }
    }

    /// Puts `value` where a line has something that still has to be filled in.
    ///
    /// # Errors
    /// If there is no such line, or nothing to fill in.
    pub fn fill(&mut self, path: &str, line: usize, value: &str) -> Result<(), String> {
        let file = self.files.get_mut(path).ok_or(format!("there is no file {path}"))?;
        let mut lines: Vec<String> = file.text.split('\n').map(str::to_owned).collect();
        let old = line.checked_sub(1).and_then(|at| lines.get_mut(at)).ok_or(format!("{path} has no line {line}"))?;
        let (from, to) = blank(old).ok_or(format!("{path}:{line}: nothing there has to be filled in"))?;
        old.replace_range(from..to, value);
        file.text = lines.join("\n");
        Ok(())
    }

    /// The file at `path`.
    pub fn get(&self, path: &str) -> Option<&File> {
        self.files.get(path)
    }

    /// Whether there is a folder at `path`.
    pub fn is_folder(&self, path: &str) -> bool {
        path.is_empty() || self.folders.contains(path)
    }

    /// All files, in the order of their paths; if some were named, only those.
    pub fn listed(&self) -> impl Iterator<Item = &File> {
        self.files.values().filter(|file| self.named.as_ref().is_none_or(|named| named.contains(&*file.path)))
    }

    /// All files.
    pub fn all(&self) -> impl Iterator<Item = &File> {
        self.files.values()
    }
}

/// Where in a line something still has to be filled in: `{{ … }}`, `${…}`, `$(…)`, `<…>`, `$NAME`, `xx.xx.xx.xx`, `__NAME__`.
fn blank(line: &str) -> Option<(usize, usize)> {
    let between = |open: &str, close: &str| {
        let from = line.find(open)?;
        let to = from + line[from..].find(close)? + close.len();
        Some((from, to))
    };
    let braces = [("{{", "}}"), ("${", "}"), ("$(", ")"), ("<", ">")];
    if let Some(place) = braces.into_iter().find_map(|(open, close)| between(open, close)) {
        return Some(place);
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let named = line.match_indices('$').find_map(|(from, _)| {
        let length = line[from + 1..].find(|c| !is_name(c)).unwrap_or(line.len() - from - 1);
        (length > 0).then_some((from, from + 1 + length))
    });
    named.or_else(|| {
        let words = line.split(|c: char| c.is_whitespace() || c == '"' || c == ':');
        let word = words.into_iter().find(|word| super::stack::is_placeholder(word))?;
        let from = word.as_ptr() as usize - line.as_ptr() as usize;
        Some((from, from + word.len()))
    })
}

/// The folder of a file.
pub(crate) fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// `path`, seen from `folder`: nothing if it is absolute or leads out of what was read.
pub(crate) fn resolve(folder: &str, path: &str) -> Option<String> {
    let path = path.strip_prefix("${PWD}/").or_else(|| path.strip_prefix("$PWD/")).unwrap_or(path);
    if path.starts_with(['/', '~', '$']) || path.contains(":\\") {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// A path inside a container without `.`, `..` and doubled or closing slashes.
pub(crate) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn relative(root: &Path, path: &Path) -> Option<String> {
    Some(path.strip_prefix(root).ok()?.to_string_lossy().replace('\\', "/"))
}

/// The folder that all of `paths` are in.
fn common(paths: &[PathBuf]) -> Option<PathBuf> {
    let mut root = paths.first()?.parent()?.to_owned();
    while !paths.iter().all(|path| path.starts_with(&root)) {
        root = root.parent()?.to_owned();
    }
    Some(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_do_not_lead_out() {
        assert_eq!(resolve("a/b", "../c.conf").as_deref(), Some("a/c.conf"));
        assert_eq!(resolve("a", "../../etc/passwd"), None);
        assert_eq!(resolve("a", "/etc/passwd"), None);
        assert_eq!(clean("/etc/./redis//../x/"), "/etc/x");
    }

    #[test]
    fn blanks_are_filled_in() {
        let text =
            "port ${PORT:-6379}\nmonitor m xx.xx.xx.xx 6379 $Q\nhost <master ip>\nserver a xx.xx.xx.xx:6379\nfull 1\n";
        let mut files = Files::of([("a", text)]);
        for (line, value) in [(1, "7"), (2, "9"), (2, "10.0.0.1"), (3, "b"), (4, "10.0.0.2")] {
            files.fill("a", line, value).expect("there is something");
        }
        let wanted = "port 7\nmonitor m 10.0.0.1 6379 9\nhost b\nserver a 10.0.0.2:6379\nfull 1\n";
        assert_eq!(files.get("a").expect("there").text, wanted);
        for (path, line) in [("a", 5), ("a", 0), ("a", 99), ("b", 1)] {
            assert!(files.fill(path, line, "1").is_err(), "{path}:{line}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_out_of_the_folder_are_not_followed() {
        let (inside, outside) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        fs::write(outside.path().join("secret.conf"), "sentinel monitor m 1.2.3.4 1 1\n").expect("written");
        fs::write(inside.path().join("big.conf"), "x".repeat(IMPORT_FILE_MAX as usize + 1)).expect("written");
        std::os::unix::fs::symlink(outside.path().join("secret.conf"), inside.path().join("s.conf")).expect("a link");
        std::os::unix::fs::symlink(inside.path(), inside.path().join("ring")).expect("a link");
        let files = Files::read(&[inside.path().to_owned()]).expect("read");
        assert_eq!(files.all().count(), 0);
        assert_eq!(files.skipped.len(), 2, "{:?}", files.skipped);
        assert!(
            files.unread().contains(&"not read: s.conf: it leads out of the folder".to_owned()),
            "{:?}",
            files.skipped
        );
    }
}
