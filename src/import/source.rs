//! The files of a stack: read once, with bounds, from one folder, and nothing outside of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::limits::{IMPORT_FILE_MAX, IMPORT_FILES_MAX, read_all};

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
}

impl Files {
    /// Reads what `paths` name: one folder, or files (whose common folder then is the root for what they mention).
    ///
    /// # Errors
    /// What cannot be read, and why.
    pub fn read(paths: &[PathBuf]) -> Result<Files, String> {
        let mut files = Files::default();
        let canonical =
            |path: &Path| path.canonicalize().map_err(|error| format!("{}: cannot read it: {error}", path.display()));
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
        let names = all.iter().filter_map(|path| relative(&root, path));
        files.named = Some(names.collect());
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
            }
        }
    }

    fn read_file(&mut self, path: &Path, inner: String) {
        if self.files.len() >= IMPORT_FILES_MAX {
            if self.files.len() == IMPORT_FILES_MAX && self.skipped.iter().all(|text| !text.contains("more than")) {
                self.skipped.push(format!("more than {IMPORT_FILES_MAX} files: the others were not read"));
            }
            return;
        }
        match fs::File::open(path).and_then(|file| read_all(file, IMPORT_FILE_MAX)) {
            Ok(bytes) if bytes.contains(&0) => {}
            Ok(bytes) => self.add(inner, String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) => self.skipped.push(format!("{inner}: {error}")),
        }
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

/// The folder of a file.
pub fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// `path`, seen from `folder`: nothing if it is absolute or leads out of what was read.
pub fn resolve(folder: &str, path: &str) -> Option<String> {
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
pub fn clean(path: &str) -> String {
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
    }
}
