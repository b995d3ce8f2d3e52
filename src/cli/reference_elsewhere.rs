//! Where the real stack cannot be run, `sim reference` says so: it needs network namespaces, which only Linux has, and the
//! feature `reference`.

use clap::Args;

use super::{Failure, Verdict};

/// The real stack from a scenario (on Linux only)
#[derive(Args)]
pub struct Arguments {
    /// What it would be told
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    rest: Vec<String>,
}

/// Refuses.
pub fn main(arguments: &Arguments) -> Result<Verdict, Failure> {
    let asked = arguments.rest.join(" ");
    if cfg!(target_os = "linux") {
        return Err(Failure::Bad(miette::miette!(
            help = "cargo build --release --features reference",
            "`sim reference {asked}` is not in this program: it was built without the feature `reference`"
        )));
    }
    Err(Failure::Bad(miette::miette!(
        help = "record on Linux; what was recorded can be compared, drawn and explained here",
        "`sim reference {asked}` runs the real programs in network namespaces, which only Linux has"
    )))
}
