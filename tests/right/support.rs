//! What the tests of this folder share.

use std::process::{Command, Output};
use std::sync::Arc;

use sim::Run;
use sim::scenario::Scenario;

/// The scenario that `text` describes.
pub(crate) fn scenario(text: &str) -> Scenario {
    Scenario::parse("test.toml", text).unwrap_or_else(|error| panic!("{error:?}"))
}

/// What the reader says of `text`, which must be wrong.
pub(crate) fn refusal(text: &str) -> String {
    match Scenario::parse("test.toml", text) {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(error) => format!("{error:?}"),
    }
}

/// A run of the scenario that `text` describes, analysed.
pub(crate) fn run(text: &str, seed: u64) -> Run {
    sim::run(&Arc::new(scenario(text)), seed)
}

/// The command `sim` with `arguments`, in `folder`.
pub(crate) fn sim(folder: &std::path::Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sim"));
    command.current_dir(folder).env("NO_COLOR", "1").args(arguments);
    command.output().expect("the program can be started")
}
