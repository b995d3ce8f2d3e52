//! `sim schema`: the JSON Schema of the scenario file.

use std::io::Write;

use super::{Failure, Verdict};

/// Print the JSON Schema of the scenario file
#[derive(clap::Args)]
pub(super) struct Arguments {}

pub(super) fn main(_: &Arguments) -> Result<Verdict, Failure> {
    let schema = crate::scenario::json_schema();
    let text = serde_json::to_string_pretty(&schema).expect("a schema is valid JSON");
    writeln!(std::io::stdout(), "{text}")?;
    Ok(Verdict::Fine)
}
