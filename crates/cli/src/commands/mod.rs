//! The verbs: one module each, and the way from the command line to them.

use crate::exit::{Exit, Failure};
use crate::session::Session;
use clap::{Args as _, Subcommand};
use engine::user::Purpose;

pub(crate) mod apply;
pub(crate) mod attach;
pub(crate) mod build;
pub(crate) mod bundle;
pub(crate) mod commit;
pub(crate) mod complete;
pub(crate) mod completion;
pub(crate) mod config;
pub(crate) mod cp;
pub(crate) mod create;
pub(crate) mod down;
pub(crate) mod events;
pub(crate) mod exec;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod graph;
pub(crate) mod image;
pub(crate) mod images;
pub(crate) mod kill;
pub(crate) mod load;
pub(crate) mod lock;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod logs;
pub(crate) mod ls;
pub(crate) mod man;
pub(crate) mod network;
mod owned;
pub(crate) mod pause;
pub(crate) mod plan;
pub(crate) mod pod;
pub(crate) mod port;
pub(crate) mod ps;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod restart;
pub(crate) mod rm;
pub(crate) mod run;
pub(crate) mod scale;
pub(crate) mod start;
pub(crate) mod stats;
pub(crate) mod stop;
pub(crate) mod system;
pub(crate) mod top;
pub(crate) mod ui;
pub(crate) mod up;
pub(crate) mod version;
pub(crate) mod volume;
pub(crate) mod volumes;
pub(crate) mod wait;
pub(crate) mod watch;
pub(crate) mod why;

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Do what a plan in a file says
    Apply(apply::Args),
    /// Attach the terminal to a service's running container
    Attach(attach::Args),
    /// Build or rebuild services
    Build(Box<build::Args>),
    /// Pack the project and its images into one file
    Bundle(bundle::Args),
    /// Make an image of a service's container
    Commit(commit::Args),
    /// Print the names that a word may become
    #[command(name = "__complete", hide = true)]
    Complete(complete::Args),
    /// Print what makes a shell complete compose's words
    Completion(completion::Args),
    /// Render the resolved Compose file
    #[command(alias = "convert")]
    Config(config::Args),
    /// Copy files between a service's containers and the host
    Cp(cp::Args),
    /// Create containers without starting them
    Create(create::Args),
    /// Stop and remove containers and networks
    Down(down::Args),
    /// Show container events as they happen
    Events(events::Args),
    /// Execute a command in a running container
    Exec(exec::Args),
    /// Say what a diagnostic code means and how to mend it
    Explain(explain::Args),
    /// Write the files of a service's container as a tar archive
    Export(export::Args),
    /// Show what depends on what, and how it is
    Graph(graph::Args),
    /// Manage images
    Image(image::Args),
    /// List images used by the created containers
    Images(images::Args),
    /// Send a signal to containers
    Kill(kill::Args),
    /// Take a bundle: images here, files into a folder
    Load(load::Args),
    /// Hold images to the digests they have now
    Lock(lock::Args),
    /// Log in to a registry
    Login(login::Args),
    /// Log out of a registry
    Logout(logout::Args),
    /// View output from containers
    Logs(logs::Args),
    /// List running projects
    Ls(ls::Args),
    /// Write manual pages
    #[command(hide = true)]
    Man(man::Args),
    /// Manage networks
    Network(network::Args),
    /// Pause services
    Pause(pause::Args),
    /// Show what up would do, and keep it for apply
    Plan(plan::Args),
    /// Manage pods: projects by name or id, without their files
    Pod(pod::Args),
    /// Print the public port for a port of a service
    Port(port::Args),
    /// List containers
    Ps(ps::Args),
    /// Pull service images
    Pull(pull::Args),
    /// Push service images
    Push(push::Args),
    /// Restart containers
    Restart(restart::Args),
    /// Remove stopped containers
    Rm(rm::Args),
    /// Run a one-off command on a service
    Run(Box<run::Args>),
    /// Scale services
    Scale(scale::Args),
    /// Start existing containers
    Start(start::Args),
    /// Show resource usage of containers
    Stats(stats::Args),
    /// Stop containers
    Stop(stop::Args),
    /// Show and clear the engine's disk
    System(system::Args),
    /// Show the running processes
    Top(top::Args),
    /// Show the project on a dashboard
    Ui(ui::Args),
    /// Unpause services
    Unpause(pause::Args),
    /// Create and start containers
    Up(Box<up::Args>),
    /// Show version information
    Version(version::Args),
    /// Manage volumes
    Volume(volume::Args),
    /// List volumes
    Volumes(volumes::Args),
    /// Block until containers of the services stop
    Wait(wait::Args),
    /// Keep containers to their sources while these change
    Watch(watch::Args),
    /// Say what would be done to a service, and why
    Why(why::Args),
    /// Not supported yet
    #[command(hide = true)]
    Publish(Later),
    /// Not supported yet
    #[command(hide = true)]
    Bridge(Later),
}

/// Adds the flags of a verb to a command.
type Grammar = fn(clap::Command) -> clap::Command;

/// The flags of each verb by itself, for reading a line without building those of all the others.
pub(crate) const GRAMMARS: [(&str, Grammar); 52] = [
    ("apply", apply::Args::augment_args),
    ("attach", attach::Args::augment_args),
    ("build", build::Args::augment_args),
    ("bundle", bundle::Args::augment_args),
    ("commit", commit::Args::augment_args),
    ("__complete", complete::Args::augment_args),
    ("completion", completion::Args::augment_args),
    ("config", config::Args::augment_args),
    ("cp", cp::Args::augment_args),
    ("create", create::Args::augment_args),
    ("down", down::Args::augment_args),
    ("events", events::Args::augment_args),
    ("exec", exec::Args::augment_args),
    ("explain", explain::Args::augment_args),
    ("export", export::Args::augment_args),
    ("graph", graph::Args::augment_args),
    ("image", image::Args::augment_args),
    ("images", images::Args::augment_args),
    ("kill", kill::Args::augment_args),
    ("load", load::Args::augment_args),
    ("lock", lock::Args::augment_args),
    ("login", login::Args::augment_args),
    ("logout", logout::Args::augment_args),
    ("logs", logs::Args::augment_args),
    ("ls", ls::Args::augment_args),
    ("man", man::Args::augment_args),
    ("network", network::Args::augment_args),
    ("pause", pause::Args::augment_args),
    ("plan", plan::Args::augment_args),
    ("pod", pod::Args::augment_args),
    ("port", port::Args::augment_args),
    ("ps", ps::Args::augment_args),
    ("pull", pull::Args::augment_args),
    ("push", push::Args::augment_args),
    ("restart", restart::Args::augment_args),
    ("rm", rm::Args::augment_args),
    ("run", run::Args::augment_args),
    ("scale", scale::Args::augment_args),
    ("start", start::Args::augment_args),
    ("stats", stats::Args::augment_args),
    ("stop", stop::Args::augment_args),
    ("system", system::Args::augment_args),
    ("top", top::Args::augment_args),
    ("ui", ui::Args::augment_args),
    ("unpause", pause::Args::augment_args),
    ("up", up::Args::augment_args),
    ("version", version::Args::augment_args),
    ("volume", volume::Args::augment_args),
    ("volumes", volumes::Args::augment_args),
    ("wait", wait::Args::augment_args),
    ("watch", watch::Args::augment_args),
    ("why", why::Args::augment_args),
];

impl Verb {
    /// What the verb wants of the engine; `None` when it does without. A dry run only looks.
    pub(crate) fn purpose(&self, dry_run: bool) -> Option<Purpose> {
        match self {
            Self::Completion(_)
            | Self::Config(_)
            | Self::Explain(_)
            | Self::Login(_)
            | Self::Logout(_)
            | Self::Man(_)
            | Self::Version(_)
            | Self::Publish(_)
            | Self::Bridge(_) => None,
            Self::Complete(_)
            | Self::Events(_)
            | Self::Graph(_)
            | Self::Plan(_)
            | Self::Why(_)
            | Self::Images(_)
            | Self::Lock(_)
            | Self::Logs(_)
            | Self::Ls(_)
            | Self::Port(_)
            | Self::Ps(_)
            | Self::Stats(_)
            | Self::Top(_)
            | Self::Volumes(_)
            | Self::Wait(_) => Some(Purpose::Look),
            Self::Image(args) => Some(args.purpose(dry_run)),
            Self::Network(args) => Some(args.purpose(dry_run)),
            Self::Pod(args) => Some(args.purpose(dry_run)),
            Self::Volume(args) => Some(args.purpose(dry_run)),
            _ if dry_run => Some(Purpose::Look),
            _ => Some(Purpose::Work),
        }
    }
}

/// All pods, with their containers.
fn pods(session: &Session) -> Result<Vec<engine::PodSummary>, Failure> {
    session.viewer()?.pods().map_err(|error| Failure::because("cannot list the projects", error))
}

/// Whatever is written after a verb that this program does not have yet.
#[derive(Debug, clap::Args)]
pub(crate) struct Later {
    /// Everything.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    words: Vec<String>,
}

/// Runs a verb.
///
/// # Errors
/// Whatever kept the verb from doing what it was asked.
pub(crate) fn run(verb: Verb, session: &Session) -> Result<Exit, Failure> {
    match verb {
        Verb::Apply(args) => apply::run(&args, session),
        Verb::Attach(args) => attach::run(&args, session),
        Verb::Bundle(args) => bundle::run(&args, session),
        Verb::Commit(args) => commit::run(&args, session),
        Verb::Complete(args) => complete::run(&args, session),
        Verb::Completion(args) => completion::run(&args),
        Verb::Config(args) => config::run(&args, session),
        Verb::Cp(args) => cp::run(&args, session),
        Verb::Create(args) => create::run(&args, session),
        Verb::Down(args) => down::run(&args, session),
        Verb::Events(args) => events::run(&args, session),
        Verb::Exec(args) => exec::run(&args, session),
        Verb::Explain(args) => explain::run(&args),
        Verb::Export(args) => export::run(&args, session),
        Verb::Graph(args) => graph::run(&args, session),
        Verb::Image(args) => image::run(&args, session),
        Verb::Images(args) => images::run(&args, session),
        Verb::Kill(args) => kill::run(&args, session),
        Verb::Load(args) => load::run(&args, session),
        Verb::Lock(args) => lock::run(&args, session),
        Verb::Login(args) => login::run(&args, session),
        Verb::Logout(args) => logout::run(&args, session),
        Verb::Logs(args) => logs::run(&args, session),
        Verb::Ls(args) => ls::run(&args, session),
        Verb::Man(args) => man::run(&args),
        Verb::Network(args) => network::run(&args, session),
        Verb::Pause(args) => pause::run(&args, session, pause::Way::Pause),
        Verb::Plan(args) => plan::run(&args, session),
        Verb::Pod(args) => pod::run(&args, session),
        Verb::Port(args) => port::run(&args, session),
        Verb::Ps(args) => ps::run(&args, session),
        Verb::Pull(args) => pull::run(&args, session),
        Verb::Push(args) => push::run(&args, session),
        Verb::Restart(args) => restart::run(&args, session),
        Verb::Rm(args) => rm::run(&args, session),
        Verb::Run(args) => run::run(&args, session),
        Verb::Scale(args) => scale::run(&args, session),
        Verb::Start(args) => start::run(&args, session),
        Verb::Stats(args) => stats::run(&args, session),
        Verb::Stop(args) => stop::run(&args, session),
        Verb::System(args) => system::run(&args, session),
        Verb::Top(args) => top::run(&args, session),
        Verb::Ui(args) => ui::run(&args, session),
        Verb::Unpause(args) => pause::run(&args, session, pause::Way::Unpause),
        Verb::Up(args) => up::run(&args, session),
        Verb::Version(args) => version::run(&args),
        Verb::Volume(args) => volume::run(&args, session),
        Verb::Volumes(args) => volumes::run(&args, session),
        Verb::Wait(args) => wait::run(&args, session),
        Verb::Build(args) => build::run(&args, session),
        Verb::Publish(later) => refused("publish", &later),
        Verb::Watch(args) => watch::run(&args, session),
        Verb::Why(args) => why::run(&args, session),
        Verb::Bridge(later) => refused("bridge", &later),
    }
}

fn refused(verb: &str, later: &Later) -> Result<Exit, Failure> {
    let failure = Failure::unsupported(&format!("`compose {verb}`"));
    let done = if later.words.is_empty() { "" } else { "; nothing was done" };
    Err(failure.hint(format!("{}{done}", crate::refusal::reason(verb))))
}
