//! `compose attach`: connects the terminal to a running container's own process.

use crate::exit::{Exit, Failure};
use crate::session::Session;

/// Flags of `attach`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Number of the replica, the first by default
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "NUMBER")]
    pub(crate) index: u32,
    /// Keys that detach
    #[arg(long, value_name = "KEYS")]
    pub(crate) detach_keys: Option<String>,
    /// Do not attach standard input
    #[arg(long)]
    pub(crate) no_stdin: bool,
    /// Pass signals on to the process
    #[arg(long, default_value_t = true, hide_default_value = true, action = clap::ArgAction::Set,
        num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) sig_proxy: bool,
    /// The service
    #[arg(value_name = "SERVICE")]
    pub(crate) service: String,
}

/// Refuses: a container's streams belong to its log from the start and cannot be taken over yet.
pub(crate) fn run(args: &Args, _session: &Session) -> Result<Exit, Failure> {
    Err(Failure::unsupported("`compose attach`").hint(format!(
        "`compose logs -f {0}` shows its output, `compose exec {0} sh` opens a shell in it",
        args.service
    )))
}
