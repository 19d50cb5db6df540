//! `compose man`: manual pages, one a command, for packagers.
//!
//! Pages have the day on which they are written, or the one of SOURCE_DATE_EPOCH, by which packages are built
//! the same again (<https://reproducible-builds.org/specs/source-date-epoch/>).

use super::version::VERSION;
use crate::arguments;
use crate::exit::{Exit, Failure};
use jiff::Timestamp;
use jiff::tz::TimeZone;
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
    write(&whole, &args.folder, &date()).map_err(failed)?;
    Ok(Exit::Success)
}

/// The day of the pages, as `2026-01-31`.
fn date() -> String {
    let asked = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|seconds| seconds.parse().ok());
    let moment =
        asked.and_then(|seconds| Timestamp::from_second(seconds).ok()).unwrap_or_else(Timestamp::now);
    moment.to_zoned(TimeZone::UTC).date().to_string()
}

/// The page of a command, and those of its own commands.
fn write(command: &clap::Command, folder: &Path, date: &str) -> std::io::Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    std::fs::write(folder.join(format!("{name}.1")), page(command, date)?)?;
    let is_shown = |command: &&clap::Command| !command.is_hide_set() && command.get_name() != "help";
    command.get_subcommands().filter(is_shown).try_for_each(|command| write(command, folder, date))
}

fn page(command: &clap::Command, date: &str) -> std::io::Result<String> {
    let page = clap_mangen::Man::new(command.clone()).date(date).source(format!("compose {VERSION}"));
    let mut text = vec![];
    page.manual("Compose").render(&mut text)?;
    Ok(tidy(&String::from_utf8_lossy(&text)))
}

/// A page without what formatters warn of: breaks around an empty line, and blanks at the ends of lines.
fn tidy(page: &str) -> String {
    let lines: String = page.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    lines.replace("\n.br\n\n.br\n", "\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formatters_have_nothing_to_warn_of() {
        assert_eq!(tidy("a \n.br\n\n.br\nb\n.br\nc\n"), "a\n\nb\n.br\nc\n");
        let mut whole = arguments::shown();
        whole.build();
        for command in whole.get_subcommands() {
            let text = page(command, "2026-01-31").unwrap();
            assert!(!text.contains(" \n") && !text.contains("\n.br\n\n"), "{text}");
        }
    }
}
