//! The command line of `sim`.

use std::process::ExitCode;

fn main() -> ExitCode {
    sim::cli::main()
}
