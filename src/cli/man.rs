//! `sim man`: manual pages, one a subcommand.

use std::path::PathBuf;

use super::{Failure, Verdict};

/// Write manual pages: sim.1, sim-run.1 and so on
///
/// Put the folder's parent on MANPATH, or copy them to where `man` looks: sim man ~/.local/share/man/man1; man sim-run
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The folder; it is made
    #[arg(value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    folder: PathBuf,
}

pub(super) fn main(arguments: &Arguments) -> Result<Verdict, Failure> {
    std::fs::create_dir_all(&arguments.folder).map_err(Failure::io(arguments.folder.display()))?;
    let mut command = super::command();
    command.build();
    let mut out = super::results();
    write(&command, arguments, &mut out)?;
    Ok(Verdict::Fine)
}

/// The page of a command and those of its subcommands.
fn write(command: &clap::Command, arguments: &Arguments, out: &mut impl std::io::Write) -> Result<(), Failure> {
    let mut page = Vec::new();
    // Without a date: the same version writes the same bytes.
    let man = clap_mangen::Man::new(command.clone()).manual("sim");
    man.render(&mut page)?;
    let path = arguments.folder.join(man.get_filename());
    crate::files::write(&path, &page).map_err(Failure::io(path.display()))?;
    writeln!(out, "{}", path.display())?;
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set() && inner.get_name() != "help") {
        write(inner, arguments, out)?;
    }
    Ok(())
}
