//! `sim completions`: completions for a shell.

use std::io::Write;

use clap_complete::Shell;

use super::{Failure, Verdict};

/// Print completions for a shell
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Which shell
    shell: Shell,
}

pub(super) fn main(arguments: &Arguments) -> Result<Verdict, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut super::command(), "sim", &mut text);
    std::io::stdout().write_all(&text)?;
    Ok(Verdict::Fine)
}
