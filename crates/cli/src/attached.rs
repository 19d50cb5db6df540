//! `up` in the foreground: containers are created, their output is shown from their first line on,
//! and they are stopped in order when the user or a flag says so.
//!
//! ```text
//! create ─▶ "Attaching to …" ─▶ start, while logs and events are followed
//!   ─┬▶ everything has stopped for good                      exit 0
//!    ├▶ a container ended and a flag says to abort ─▶ stop    its code
//!    ├▶ Ctrl-C ─▶ stop in order ─▶ (a second Ctrl-C kills)    exit 130; 0 when the menu read the key
//!    └▶ `d` in the menu                                      exit 0, the containers run on
//! ```

mod beside;
mod follow;
mod menu;
mod show;

use crate::commands::create::Made;
use crate::converge::{Job, Tuning};
use crate::copies;
use crate::exit::{Exit, Failure};
use crate::output::behind;
use crate::runtime::Interrupts;
use crate::session::Session;
use crate::view::progress::{Mode, Progress};
use crate::watching::Watching;
use beside::Watch;
use follow::{Codes, Follow};
pub(crate) use follow::{next_instant, next_line};
use menu::Menu;
use plan::{Orphans, Policy, Verb};
use show::Show;
use std::collections::{BTreeSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// Lines that were written before an exit are shown before it is told; this long without a line
/// means that none is on its way.
const QUIET: Duration = Duration::from_millis(30);

/// Others that write without end do not keep an exit from being told longer than this.
const PATIENCE: Duration = Duration::from_millis(300);

/// What ends it before everything has stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Nothing does.
    AllStopped,
    /// Any exit.
    AnyExit {
        /// The service whose exit code is passed on, instead of that of the container that ended.
        code_from: Option<String>,
    },
    /// Any exit with a code other than 0.
    AnyFailure {
        /// As above.
        code_from: Option<String>,
    },
}

/// An `up` in the foreground.
pub(crate) struct Attached<'a, 's> {
    /// The session.
    pub(crate) session: &'s Session,
    /// What is to be made.
    pub(crate) made: Made,
    /// What ends it.
    pub(crate) end: End,
    /// Services whose output is shown.
    pub(crate) shown: BTreeSet<String>,
    /// Colours.
    pub(crate) colour: bool,
    /// Names in front of lines.
    pub(crate) prefix: bool,
    /// Times in front of lines.
    pub(crate) timestamps: bool,
    /// Starts are told of on standard error.
    pub(crate) tell_starts: bool,
    /// What keeps the containers to their sources meanwhile.
    pub(crate) watching: Option<Watching<'s>>,
    /// The keyboard menu is shown.
    pub(crate) menu: bool,
    /// Begins to watch, when the menu asks for it.
    pub(crate) begin: &'a dyn Fn() -> Result<Watching<'s>, Failure>,
}

type Work<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + 'a>>;

/// Runs it.
pub(crate) async fn run(mut attached: Attached<'_, '_>) -> Result<Exit, Failure> {
    let session = attached.session;
    behind::begin();
    let watching = attached.watching.take();
    let mut interrupts = if attached.menu { Interrupts::listen_to_all() } else { Interrupts::listen() }?;
    let create = Policy { verb: Verb::Create, ..attached.made.policy.clone() };
    let progress = session.progress("up");
    let job = job(&attached, &progress, create, true);
    let created = tokio::select! {
        biased;
        created = job.run() => created?,
        _ = next_signal(&mut interrupts, attached.menu) => return Ok(Exit::Interrupted),
    };
    progress.finish();
    let desired = &attached.made.desired;
    let pod = desired.pod.clone();
    let engine = session.engine()?;
    let observed = session.observe(&pod)?;
    let mut show = Show::new(&attached, &pod);
    show.attach(&observed)?;
    let quiet =
        Progress::new(if attached.tell_starts { session.mode } else { Mode::Quiet }, "up", false, false);
    let starting = self::job(
        &attached,
        &quiet,
        Policy { orphans: Orphans::Ignore, provided: created.provided, ..attached.made.policy.clone() },
        false,
    );
    let menu = attached.menu.then(|| Menu::open(session.colour, watching.is_some())).transpose()?;
    let mut follow = Follow {
        engine,
        attached: &attached,
        pod: &pod,
        show,
        running: BTreeSet::new(),
        logs: None,
        pending: VecDeque::new(),
        held: None,
        since: attached.made.policy.since,
        starting: Some(Box::pin(async {
            starting.run().await?;
            // Never drawn: lines of containers come in between.
            let mode = if session.mode == Mode::Tty { Mode::Plain } else { session.mode };
            let progress = Progress::new(mode, "up", false, false);
            copies::tell_ports(session, &progress, &pod, &attached.made.moved)
        })),
        stopping: None,
        stopped_infra: false,
        interrupted: false,
        outcome: Exit::Success,
        codes: Codes::default(),
        watch: None,
        menu,
        detaching: false,
    };
    if let Some(watching) = watching {
        follow.watch = Some(Watch::begin(watching));
    }
    let outcome = follow.run(&mut interrupts).await;
    if let Some(watch) = follow.watch.take() {
        follow.tell_watch(watch.end().await);
    }
    outcome
}

fn job<'a, 's: 'a>(
    attached: &Attached<'_, 's>,
    progress: &'a Progress,
    policy: Policy,
    first: bool,
) -> Job<'a> {
    let tuning = Tuning { images_done: !first, starts_next: first, ..attached.made.tuning };
    Job { session: attached.session, progress, desired: attached.made.desired.clone(), policy, tuning }
}

/// The next signal; of all, when there is a terminal to be given back as it was.
async fn next_signal(interrupts: &mut Interrupts, all: bool) -> i32 {
    if all { interrupts.next_of_all().await } else { interrupts.next().await }
}
