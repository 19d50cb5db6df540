//! `compose scale`: sets how many containers services have, and starts them.

use super::create::Making;
use crate::exit::{Exit, Failure};
use crate::session::Session;
use plan::{Orphans, Verb};

/// Flags of `scale`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leave the services depended on alone
    #[arg(long)]
    pub(crate) no_deps: bool,
    /// SERVICE=NUMBER
    #[arg(value_name = "SERVICE=NUM", required = true)]
    pub(crate) scale: Vec<String>,
}

/// Scales services.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let names: Vec<String> = super::create::scale(&args.scale)?.into_keys().collect();
    let making = Making { scale: args.scale.clone(), ..Making::default() };
    let mut made = making.prepare(session, &names, Verb::Up, args.no_deps)?;
    made.policy.orphans = Orphans::Ignore;
    let progress = session.progress("scale");
    session.work(async { made.converge(session, &progress).await.map(|()| Exit::Success) })
}
