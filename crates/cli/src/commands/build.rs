//! `compose build`: builds the images of services.

use super::push;
use crate::exit::{Exit, Failure};
use crate::given::Given;
use crate::lock::hold::Hold;
use crate::session::Session;
use crate::{building, wanted};
use resource::{BuildSpec, Desired};
use std::path::PathBuf;

/// Flags of `build`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// NAME=VALUE, or NAME for its value in the environment
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = crate::arguments::variable)]
    pub(crate) build_arg: Vec<String>,
    /// There is one builder, `default`: another one is refused
    #[arg(long, value_name = "NAME")]
    pub(crate) builder: Option<String>,
    /// Check the Dockerfiles and build nothing
    #[arg(long)]
    pub(crate) check: bool,
    /// Use the base images of compose.lock and no others; also COMPOSE_FROZEN=1
    #[arg(long)]
    pub(crate) frozen: bool,
    /// Former flag, without effect
    #[arg(short, long, value_name = "BYTES")]
    pub(crate) memory: Option<String>,
    /// Do not use results of earlier builds
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Print the equivalent bake file and build nothing
    #[arg(long)]
    pub(crate) print: bool,
    /// No attestations are made: accepted, without effect
    #[arg(long, value_name = "MODE")]
    pub(crate) provenance: Option<String>,
    /// No attestations are made: accepted, without effect
    #[arg(long, value_name = "MODE")]
    pub(crate) sbom: Option<String>,
    /// Look for base images in their registries, even when they are here
    #[arg(long)]
    pub(crate) pull: bool,
    /// Push the images afterwards
    #[arg(long)]
    pub(crate) push: bool,
    /// No progress
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// default, or ID=PATH of an ssh agent's socket
    #[arg(long, value_name = "ID[=PATH]", num_args = 0..=1, default_missing_value = "default")]
    pub(crate) ssh: Option<String>,
    /// Also build the services that these depend on
    #[arg(long)]
    pub(crate) with_dependencies: bool,
    /// Former flag, without meaning
    #[arg(long, hide = true)]
    pub(crate) parallel: bool,
    /// Former flag, without meaning
    #[arg(long, hide = true)]
    pub(crate) compress: bool,
    /// Former flag, without meaning
    #[arg(long, hide = true)]
    pub(crate) force_rm: bool,
    /// Former flag, without meaning
    #[arg(long, hide = true)]
    pub(crate) no_rm: bool,
    /// The same as `--progress` before the verb
    #[arg(long, hide = true, value_name = "TYPE")]
    pub(crate) progress: Option<String>,
    /// Services, all by default
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
}

/// Builds images.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    if let Some(name) = args.builder.as_deref().filter(|name| !matches!(*name, "" | "default")) {
        return Err(Failure::new(format!(
            "`--builder {name}`: there is one builder, which is in this program"
        ))
        .hint("build without it"));
    }
    let mut given = Given::default();
    flags::check(args, &mut given);
    given.finish(session)?;
    let loaded = session.load(&args.services)?;
    let mut selection = wanted::selection(session, &loaded, &args.services)?;
    if !args.with_dependencies {
        selection = selection.without_dependencies();
    }
    let mut desired = wanted::of_project(session, &loaded, &selection)?;
    building::complete(session, &mut desired);
    // What the services run besides is nothing to a build.
    desired.services.retain(|service| !service.builds.is_empty());
    if let Some(hold) = Hold::asked(session, args.frozen, &loaded.0)? {
        hold.builds_of(&mut desired)?;
    }
    let progress = session.progress_unless(args.quiet, "build");
    tell_ignored(args, session, &progress);
    let builds = builds(args, session, &desired);
    if builds.is_empty() {
        progress.warning("No services to build");
        return Ok(Exit::Success);
    }
    if args.print {
        crate::output::result(&format!("{:#}\n", bake::file(&builds, &wanted_names(&desired))))?;
        return Ok(Exit::Success);
    }
    if args.check {
        return check(&builds, session);
    }
    if session.globals.dry_run {
        for build in &builds {
            crate::output::planned(&format!("build {}", build.name));
        }
        return Ok(Exit::Success);
    }
    session.timing("desired");
    let (engine, width) = (session.engine()?, session.parallel());
    session.work(async {
        let built = building::build(engine, builds, width, &progress).await;
        session.timing("built");
        let mut failed = vec![];
        if args.push && built.is_ok() {
            failed = push::push(engine, push::pushes(&desired, &progress), width, &progress).await;
        }
        progress.finish();
        built.map_err(building::failure)?;
        failed.into_iter().next().map_or(Ok(Exit::Success), Err)
    })
}

mod bake;
mod flags;

/// Says what the build checks find; a finding fails the command.
fn check(builds: &[BuildSpec], session: &Session) -> Result<Exit, Failure> {
    let checked =
        engine::check_builds(builds).map_err(|error| Failure::Drawn(error.render(session.colour_errors)))?;
    let mut count = 0;
    for findings in checked {
        count += findings.diagnostics.len();
        session.report(&diagnostic::render(&findings.sources, &findings.diagnostics, session.colour_errors));
    }
    match count {
        0 => {
            session.progress("build").note("check complete, nothing was found");
            Ok(Exit::Success)
        }
        1 => Err(Failure::new("check complete: 1 finding")),
        count => Err(Failure::new(format!("check complete: {count} findings"))),
    }
}

fn wanted_names(desired: &Desired) -> Vec<String> {
    desired
        .services
        .iter()
        .filter(|service| !service.builds.is_empty())
        .map(|service| service.name.clone())
        .collect()
}

/// The builds of all services, each once, with what the flags say.
fn builds(args: &Args, session: &Session, desired: &Desired) -> Vec<BuildSpec> {
    let mut builds: Vec<BuildSpec> = vec![];
    for build in desired.services.iter().flat_map(|service| &service.builds) {
        if builds.iter().all(|known| known.name != build.name) {
            builds.push(build.clone());
        }
    }
    for build in &mut builds {
        build.no_cache |= args.no_cache;
        build.pull |= args.pull;
        for argument in &args.build_arg {
            let (name, value) = match argument.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (argument.as_str(), session.environment().get(argument).map(str::to_owned)),
            };
            match value {
                Some(value) => {
                    build.args.insert(name.to_owned(), value);
                    build.given_args.push(name.to_owned());
                }
                None => drop(build.args.remove(name)),
            }
        }
        let environment = session.environment();
        if let Some(ssh) = &args.ssh {
            let (id, path) =
                ssh.split_once('=').unwrap_or((if ssh.is_empty() { "default" } else { ssh }, ""));
            let path = match path {
                // Only of the default one it is known where it is.
                "" => environment.filled("SSH_AUTH_SOCK").unwrap_or_default(),
                path => path,
            };
            build.ssh.insert(id.to_owned(), PathBuf::from(path));
        }
    }
    builds
}

fn tell_ignored(args: &Args, session: &Session, progress: &crate::view::progress::Progress) {
    let asked = |value: &Option<String>| value.as_deref().is_some_and(|value| !matches!(value, "" | "false"));
    let table = [
        ("BUILDX_BUILDER", session.environment().filled("BUILDX_BUILDER").is_some(), "there is one builder"),
        ("--memory", args.memory.is_some(), "steps have the memory of the machine"),
        ("--provenance", asked(&args.provenance), "no attestations are made"),
        ("--sbom", asked(&args.sbom), "no attestations are made"),
    ];
    for (flag, given, why) in table {
        if given {
            progress.warning(&format!("{flag} has no effect: {why}"));
        }
    }
}
