//! `compose completion`: what makes a shell complete our words.

use crate::arguments;
use crate::exit::{Exit, Failure};
use crate::output;
use clap_complete::Shell;

/// Flags of `completion`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

/// Writes the script to standard output.
pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let mut script = vec![];
    clap_complete::generate(args.shell, &mut arguments::shown(), "compose", &mut script);
    output::result(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Success)
}
