//! `include` of compose files: other projects that a project takes in, each with its own folder and variables.

use super::compose::{Project, merged};
use super::origin::{Place, Text};
use super::source::{Files, folder_of, resolve};
use super::yaml::{self, Node};

/// What a compose file includes.
#[derive(Debug, Default)]
pub(super) struct Included {
    /// The projects, in order.
    pub(super) projects: Vec<Project>,
    /// The files of which they are made.
    pub(super) files: Vec<String>,
    /// What is not there, or cannot be read: where it is asked for, and why.
    pub(super) missing: Vec<(Place, String)>,
}

/// What `root`, a compose file in `folder`, includes: a list of paths, or of mappings with `path` (several are read as one),
/// `project_directory` and `env_file`.
pub(super) fn included(files: &Files, folder: &str, root: &Node) -> Included {
    let mut found = Included::default();
    let Some(include) = root.get("include") else { return found };
    let items = if include.items().is_empty() { std::slice::from_ref(include) } else { include.items() };
    for item in items {
        let paths = item.get("path").map_or_else(|| item.texts(), Node::texts);
        let mut project: Option<Project> = None;
        for path in paths {
            match document(files, folder, &path) {
                Ok((file, root)) => {
                    found.files.push(file.to_string());
                    project = Some(match project {
                        None => Project::new(file, root),
                        Some(first) => Project { root: merged(first.root, &root), ..first },
                    });
                }
                Err(why) => found.missing.push(why),
            }
        }
        let Some(mut project) = project else { continue };
        let own = item.text_at(&["project_directory"]).and_then(|path| resolve(folder, &path.text));
        project.folder = own.unwrap_or_else(|| folder_of(&project.file).to_owned());
        let env = item.get("env_file").map(Node::texts).unwrap_or_default();
        project.env = env.iter().filter_map(|path| resolve(folder, &path.text)).collect();
        found.projects.push(project);
    }
    found
}

/// The compose file that `path` names.
fn document(files: &Files, folder: &str, path: &Text) -> Result<(std::sync::Arc<str>, Node), (Place, String)> {
    let file = resolve(folder, &path.text).and_then(|path| files.get(&path));
    let absent =
        || (path.place().clone(), format!("include {}: there is no such file: what it starts is missing", path.text));
    let file = file.ok_or_else(absent)?;
    let documents =
        yaml::read(&file.path, &file.text).map_err(|(place, why)| (place, format!("this is not YAML: {why}")))?;
    documents.into_iter().next().map(|root| (file.path.clone(), root)).ok_or_else(absent)
}

#[cfg(test)]
mod tests {
    use super::super::compose::{Choices, read};
    use super::*;

    const SUB: &str =
        "services:\n  b:\n    image: redis:${TAG:-6}\n    command: redis-server ${ARGS}\n    volumes: ['./c:/c']\n";

    fn containers(compose: &str, more: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
        let file: std::sync::Arc<str> = "compose.yml".into();
        let files = Files::of(
            [("sub/compose.yml", SUB), ("sub/c/redis.conf", "port 1\n")].into_iter().chain(more.iter().copied()),
        );
        let root = yaml::read(&file, compose).expect("YAML").remove(0);
        let read = read(&files, &Project::new(file, root), &Choices::default());
        let told = |one: &super::super::container::Container| {
            let words = one.command.iter().flatten().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
            let image = one.image.as_ref().map_or("", |image| &image.text);
            format!(
                "{} {image} {words} {:?} {}",
                one.name(),
                one.mounts.first().map(|mount| &mount.source),
                one.machine
            )
        };
        (read.containers.iter().map(told).collect(), read.missing.into_iter().map(|(_, why)| why).collect())
    }

    #[test]
    fn a_project_takes_others_in_with_their_folders_and_variables() {
        let (all, missing) = containers(
            "include: [sub/compose.yml]\nservices: {a: {image: redis}}\n",
            &[("sub/.env", "TAG=7\nARGS=--port 1\n"), (".env", "TAG=8\n")],
        );
        let wanted =
            ["a redis  None compose.yml", "b redis:8 redis-server --port 1 Some(Bind(Some(\"sub/c\"))) compose.yml"];
        assert_eq!((all.as_slice(), missing.len()), (wanted.map(str::to_owned).as_slice(), 0));
        let (all, _) = containers(
            "include:\n  - path: [sub/compose.yml, over.yml]\n    project_directory: other\n    env_file: my.env\n",
            &[("my.env", "TAG=5\n"), ("over.yml", "services: {b: {command: redis-server --port 2}}\n")],
        );
        assert_eq!(all, ["b redis:5 redis-server --port 2 Some(Bind(Some(\"other/c\"))) compose.yml"]);
    }

    #[test]
    fn what_is_missing_is_said_and_rings_end() {
        let (all, missing) =
            containers("include: [nowhere.yml, ../out.yml, oci://x/y]\nservices: {a: {image: redis}}\n", &[]);
        assert_eq!((all.len(), missing.len()), (1, 3));
        let (all, missing) = containers(
            "include: [ring.yml, sub/compose.yml]\nservices: {b: {image: redis}}\n",
            &[("ring.yml", "include: [ring.yml, ring.yml]\nservices: {c: {image: redis}}\n")],
        );
        assert_eq!(
            (all.len(), missing.iter().any(|why| why.contains("compose refuses that"))),
            (2, true),
            "{all:?} {missing:?}"
        );
    }
}
