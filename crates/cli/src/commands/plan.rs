//! `compose plan`: shows what `up` would do, and keeps it in a file for `compose apply`.

use super::create::{Made, Making};
use crate::converge::Job;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::session::Session;
use plan::{Orphans, Policy, Recreate, Verb};
use resource::{Desired, Timestamp, document};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The form of the file; one that this program does not know is refused.
const FORM: u32 = 1;

/// Flags of `plan`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Keep the plan in this file, for `compose apply`; it holds the values of variables
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Flags about making containers
    #[command(flatten)]
    pub(crate) making: Making,
    /// Services, all by default
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
}

/// A plan in a file: what is wanted, under which flags, and what had to be done for it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    form: u32,
    /// What is wanted.
    pub(crate) desired: Desired,
    recreate: Recreate,
    recreate_dependencies: Recreate,
    orphans: Orphans,
    /// What had to be done, as text.
    pub(crate) steps: String,
}

/// Shows the plan.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let Made { desired, policy, tuning, .. } =
        args.making.prepare(session, &args.services, Verb::Up, false)?;
    let progress = session.progress("plan");
    let job = Job { session, progress: &progress, desired, policy, tuning };
    let preview = job.look()?;
    let steps = preview.to_string();
    output::result(&steps)?;
    if let Some(path) = &args.output {
        if let Some(failure) = preview.plan.failures.first() {
            return Err(Failure::new(format!("the plan cannot be kept, it would fail: {failure}")));
        }
        if session.globals.dry_run {
            output::planned(&format!("write {}", path.display()));
            return Ok(Exit::Success);
        }
        Kept::of(job.desired, &job.policy, steps).write(&crate::files::absolute(path, session.current()))?;
    }
    Ok(Exit::Success)
}

impl Kept {
    fn of(desired: Desired, policy: &Policy, steps: String) -> Self {
        let Policy { recreate, recreate_dependencies, orphans, .. } = *policy;
        Self { form: FORM, desired, recreate, recreate_dependencies, orphans, steps }
    }

    /// The flags it was made under.
    pub(crate) fn policy(&self) -> Policy {
        let Self { recreate, recreate_dependencies, orphans, .. } = *self;
        Policy { recreate, recreate_dependencies, orphans, ..Policy::new(Verb::Up, Timestamp::now()) }
    }

    fn write(&self, path: &Path) -> Result<(), Failure> {
        let failed = |error| Failure::because(format!("cannot write `{}`", path.display()), error);
        let bytes = document::encode(self).map_err(|error| failed(error.into()))?;
        sys::file::replace(path, &bytes).map_err(failed)
    }

    /// Reads a file that `plan` wrote.
    ///
    /// # Errors
    /// It cannot be read, is damaged, or of another program.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let bytes =
            std::fs::read(path).map_err(|error| Failure::because(format!("cannot read `{shown}`"), error))?;
        let kept: Option<Self> = document::decode(&bytes);
        kept.filter(|kept| kept.form == FORM).ok_or_else(|| {
            Failure::new(format!("`{shown}` is no plan, is damaged, or was made by another version"))
                .hint("`compose plan -o FILE` makes one")
        })
    }
}
