//! `compose version`: says which version this is, and reads no file for it.

use crate::exit::{Exit, Failure};
use crate::output;

/// Version of this program.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Flags of `version`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Format: pretty or json
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,
    /// Show only the version number
    #[arg(long)]
    pub(crate) short: bool,
}

/// Prints the version.
pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    match args.format.as_deref() {
        _ if args.short => output::line(VERSION)?,
        None | Some("pretty") => output::line(&format!("compose version v{VERSION}"))?,
        Some("json") => output::line(&serde_json::json!({ "version": VERSION }).to_string())?,
        Some(other) => {
            return Err(Failure::new(format!("`{other}` is not a format")).hint("use `pretty` or `json`"));
        }
    }
    Ok(Exit::Success)
}
