//! `compose man`: manual pages, one a command, for packagers.

use crate::arguments;
use crate::exit::{Exit, Failure};
use std::path::{Path, PathBuf};

/// Flags of `man`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder to write them to
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
}

/// Writes `compose.1`, `compose-up.1`, …
pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let failed =
        |error| Failure::because(format!("cannot write pages to `{}`", args.folder.display()), error);
    std::fs::create_dir_all(&args.folder).map_err(failed)?;
    let mut whole = arguments::shown();
    // Gives every command the name of its page.
    whole.build();
    write(&whole, &args.folder).map_err(failed)?;
    Ok(Exit::Success)
}

/// The page of a command, and those of its own commands.
fn write(command: &clap::Command, folder: &Path) -> std::io::Result<()> {
    let mut text = vec![];
    clap_mangen::Man::new(command.clone()).render(&mut text)?;
    let name = command.get_display_name().unwrap_or(command.get_name());
    std::fs::write(folder.join(format!("{name}.1")), text)?;
    let is_shown = |command: &&clap::Command| !command.is_hide_set() && command.get_name() != "help";
    command.get_subcommands().filter(is_shown).try_for_each(|command| write(command, folder))
}
