//! `compose apply`: does what a plan in a file says, if that is still what is to be done.

use super::plan::Kept;
use crate::converge::{Job, Tuning};
use crate::exit::{Exit, Failure};
use crate::files;
use crate::session::Session;
use std::path::PathBuf;

/// Flags of `apply`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What `compose plan -o` wrote
    #[arg(value_name = "FILE")]
    pub(crate) plan: PathBuf,
}

/// Applies the plan.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let kept = Kept::read(&files::absolute(&args.plan, session.current()))?;
    let progress = session.progress("apply");
    session.work(async {
        let job = Job {
            session,
            progress: &progress,
            policy: kept.policy(),
            desired: kept.desired,
            tuning: Tuning { tell_running: true, ..Tuning::default() },
        };
        job.run_as(Some(&kept.steps)).await?;
        progress.finish();
        Ok(Exit::Success)
    })
}
