//! The real client libraries: programs that each call one, installed by `reference/clients/fetch` into a folder.
//!
//! `DIR/LIBRARY/client` is such a program, by the library's word in a scenario. Asked `--version` it prints the library's
//! version; else its words are, in this order: what it does (`publish`, `set`, `get`, `subscribe`), the way (`proxy`,
//! `sentinels`), addresses joined by commas, the master's name, the file for its lines, the channel, what keys begin with,
//! microseconds between two attempts, and the first SEQ. Its lines are [`super::client::Line`]s, and the errors of its
//! library are outcomes of a recording in them: which error is which, only the program knows.
//!
//! Nothing here knows a library's name: a new one is a folder with a program, and a line in `fetch`.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Error;
use crate::client::LibraryId;
use crate::scenario::Scenario;

/// The program of each library that a scenario's clients have, by the library's word.
#[derive(Clone, Debug, Default)]
pub(super) struct Libraries(Vec<(LibraryId, PathBuf)>);

impl Libraries {
    /// Those of a scenario, from a folder.
    ///
    /// # Errors
    /// If a program is not there, does not run, or calls another version of the library than its row is of.
    pub(super) fn find(scenario: &Scenario, folder: Option<&Path>) -> Result<Libraries, Error> {
        let mut found: Vec<(LibraryId, PathBuf)> = Vec::new();
        for client in scenario.clients.iter().filter(|client| !client.runs_as_recorded()) {
            if found.iter().all(|(library, _)| *library != client.library) {
                found.push((client.library, program(client.library, folder)?));
            }
        }
        Ok(Libraries(found))
    }

    /// The program of a library.
    pub(super) fn of(&self, library: LibraryId) -> Option<&Path> {
        self.0.iter().find(|(found, _)| *found == library).map(|(_, file)| file.as_path())
    }
}

fn program(library: LibraryId, folder: Option<&Path>) -> Result<PathBuf, Error> {
    let word = library.word;
    let refused = |why: String| {
        Error::Refused(format!(
            "clients are to run on {word} {}, and {why}: install it with reference/clients/fetch DIR {word} and name that \
             folder with --clients",
            library.version
        ))
    };
    let Some(folder) = folder else { return Err(refused("no folder of client programs is named".into())) };
    let file = folder.join(word).join("client");
    if !file.is_file() {
        return Err(refused(format!("{} is not there", file.display())));
    }
    let said = Command::new(&file).arg("--version").output().map_err(Error::io(file.display()))?;
    let version = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    if !said.status.success() || version.is_empty() {
        let complaint = String::from_utf8_lossy(&said.stderr);
        let last = complaint.lines().last().unwrap_or("it says nothing").trim().to_owned();
        return Err(refused(format!("its program does not run here ({last})")));
    }
    if version != library.version {
        return Err(refused(format!("there is {version}")));
    }
    // Programs run in folders of their own.
    std::path::absolute(&file).map_err(Error::io(file.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn verdict(folder: Option<&Path>) -> String {
        let text = "[[client]]\nname = 'w'\nkind = 'set'\nlibrary = 'redis-py'\n";
        let scenario = Scenario::parse("test.toml", text).expect("a good file");
        match Libraries::find(&scenario, folder) {
            Ok(libraries) => libraries.of(scenario.clients[0].library).expect("it was found").display().to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_library_that_is_not_there_or_is_another_version_is_refused_with_the_remedy() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("redis-py/client");
        let install = |says: &str| {
            fs::create_dir_all(folder.path().join("redis-py")).expect("a folder");
            fs::write(&file, format!("#!/bin/sh\n{says}\n")).expect("a file");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("it is ours");
        };
        assert!(verdict(None).contains("reference/clients/fetch DIR redis-py"), "{}", verdict(None));
        assert!(verdict(Some(folder.path())).contains("redis-py/client is not there"));
        install("echo 8.0.0");
        assert!(verdict(Some(folder.path())).contains("redis-py 8.1.0, and there is 8.0.0"));
        install("echo 'No module named redis' >&2; exit 1");
        assert!(verdict(Some(folder.path())).contains("No module named redis"));
        install("echo 8.1.0");
        assert_eq!(verdict(Some(folder.path())), file.display().to_string());
    }
}
