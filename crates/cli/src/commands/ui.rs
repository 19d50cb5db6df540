//! `compose ui`: a dashboard of the project, in a terminal.

use crate::dashboard::Dashboard;
use crate::exit::{Exit, Failure};
use crate::runtime::{self, Size};
use crate::session::Session;
use crate::terminal;

/// Flags of `ui`: it has none.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Shows the dashboard until it is left.
pub(crate) fn run(_: &Args, session: &Session) -> Result<Exit, Failure> {
    let is_dumb =
        session.environment().of_process("TERM").is_none_or(|name| name.is_empty() || name == "dumb");
    if !terminal::stdin() || !terminal::stdout() {
        return Err(Failure::new("`compose ui` needs a terminal to be shown on and to read keys from")
            .hint("`compose ps`, `compose stats` and `compose logs` write to pipes and files"));
    }
    if is_dumb {
        return Err(Failure::new("`compose ui` cannot draw on this terminal")
            .hint("the environment variable TERM says which kind it is; it is empty or `dumb`"));
    }
    let subject = session.subject(&[])?;
    session.engine()?;
    runtime::run(Size::One, async { Dashboard::open(session, &subject).await?.run().await })
}
