//! `compose config`: renders the resolved model, or lists one kind of thing in it.

mod digests;
mod explain;
mod variables;

use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::{output, select, view, wanted};
use compose_spec::{Loaded, Options, Project};
use resource::label;
use std::collections::BTreeSet;

/// Flags of `config`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Names of services
    #[arg(long = "services")]
    pub(crate) only_services: bool,
    /// Keys of volumes
    #[arg(long)]
    pub(crate) volumes: bool,
    /// Keys of networks
    #[arg(long)]
    pub(crate) networks: bool,
    /// Names of models
    #[arg(long)]
    pub(crate) models: bool,
    /// Hashes of services: *, or a list separated by commas
    #[arg(long, value_name = "SERVICES")]
    pub(crate) hash: Option<String>,
    /// Names of profiles
    #[arg(long)]
    pub(crate) profiles: bool,
    /// Images of services
    #[arg(long)]
    pub(crate) images: bool,
    /// Variables that the files use
    #[arg(long)]
    pub(crate) variables: bool,
    /// The environment that is interpolated
    #[arg(long)]
    pub(crate) environment: bool,
    /// yaml or json; json-diagnostics: what is wrong, for editors
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,
    /// Write to a file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<std::path::PathBuf>,
    /// Validate only
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Leave variables as they are
    #[arg(long)]
    pub(crate) no_interpolate: bool,
    /// Leave implicit defaults out
    #[arg(long)]
    pub(crate) no_normalize: bool,
    /// Leave paths as they are
    #[arg(long)]
    pub(crate) no_path_resolution: bool,
    /// Do not check references
    #[arg(long)]
    pub(crate) no_consistency: bool,
    /// Leave env_file and environment as they are
    #[arg(long)]
    pub(crate) no_env_resolution: bool,
    /// Pin images to digests
    #[arg(long)]
    pub(crate) resolve_image_digests: bool,
    /// Print an override file with images pinned to digests
    #[arg(long)]
    pub(crate) lock_image_digests: bool,
    /// Tell where each value comes from: all, or those at PATH, such as services.web.ports
    #[arg(long, value_name = "PATH", num_args = 0..=1, default_missing_value = "")]
    pub(crate) explain: Option<String>,
    /// Services, all by default
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
}

/// Renders the model.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    if args.format.as_deref() == Some("json-diagnostics") {
        return diagnostics(args, session);
    }
    if args.environment {
        // The project is loaded for its name, which is part of the environment.
        let (project, _) = session.load_with(&[], options(args, session))?;
        let lines: String =
            project.environment.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        return print(args, session.globals.dry_run, &lines);
    }
    let whole = args.variables || args.no_interpolate;
    if whole && !args.services.is_empty() {
        let flag = if args.variables { "--variables" } else { "--no-interpolate" };
        session.warn(&format!("{flag} shows the whole project: services named are ignored"));
    }
    if args.variables {
        return print(args, session.globals.dry_run, &variables::text(args, session)?);
    }
    let services: &[String] = if whole { &[] } else { &args.services };
    if let Some(path) = &args.explain {
        return print(args, session.globals.dry_run, &explain::text(args, session, services, path)?);
    }
    let mut loaded = session.load_chosen(services, options(args, session))?;
    if args.resolve_image_digests || args.lock_image_digests {
        digests::pin(&mut loaded, session.engine()?)?;
    }
    if args.lock_image_digests {
        for name in loaded.0.keep_images() {
            session.warn(&format!(
                "images of `pre_start` hooks cannot be locked in an override: service `{name}`"
            ));
        }
    }
    let text = text(args, session, &loaded)?;
    // The process ends; to give a large project back piece by piece takes a tenth of its time.
    std::mem::forget(loaded);
    print(args, session.globals.dry_run, &text)
}

/// A failure before the project is read; where editors asked, as a document on standard output.
pub(crate) fn unread(args: &Args, failure: Failure) -> Failure {
    if args.format.as_deref() != Some("json-diagnostics") {
        return failure;
    }
    match print(args, false, &view::diagnostics::failed(&failure)) {
        Ok(_) => Failure::Silent(failure.code()),
        Err(unprintable) => unprintable,
    }
}

/// Prints what is wrong and nothing else; the exit code says whether anything is an error.
fn diagnostics(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let loaded = match session.examined(&args.services, options(args, session)) {
        Ok(loaded) => loaded,
        Err(failure) => return Err(unread(args, failure)),
    };
    print(args, session.globals.dry_run, &view::diagnostics::document(&loaded))?;
    if loaded.project.is_some() { Ok(Exit::Success) } else { Err(Failure::Silent(1)) }
}

fn options(args: &Args, session: &Session) -> Options {
    Options {
        interpolate: !args.no_interpolate,
        normalize: !args.no_normalize && !session.globals.compatibility,
        resolve_paths: !args.no_path_resolution,
        check_consistency: !args.no_consistency,
        resolve_environment: !args.no_env_resolution,
        all_resources: false,
        trace: false,
    }
}

fn text(args: &Args, session: &Session, loaded: &(Project, Loaded)) -> Result<String, Failure> {
    let project = &loaded.0;
    let list =
        |names: &mut dyn Iterator<Item = &str>| names.map(|name| format!("{name}\n")).collect::<String>();
    if args.only_services {
        return Ok(list(&mut in_order(project).into_iter()));
    }
    if args.volumes {
        return Ok(list(&mut project.volumes.keys().map(String::as_str)));
    }
    if args.networks {
        return Ok(list(&mut project.networks.keys().map(String::as_str)));
    }
    if args.models {
        return Ok(list(&mut project.models.keys().map(String::as_str)));
    }
    if let Some(names) = &args.hash {
        return hashes(session, loaded, names);
    }
    if args.profiles {
        let services = project.services.values().chain(project.disabled_services.values());
        let names: BTreeSet<&str> =
            services.flat_map(|service| &service.profiles).map(String::as_str).collect();
        return Ok(list(&mut names.into_iter()));
    }
    if args.images {
        let separator = if wanted::options(session, &loaded.1).compatibility { "_" } else { "-" };
        let mut images: Vec<String> = project
            .services
            .values()
            .map(|service| service.image_or_default(&project.name, separator))
            .collect();
        let hooks = project.services.values().flat_map(|service| &service.pre_start);
        for image in hooks.filter_map(|hook| hook.image.as_ref()) {
            if !images.contains(image) {
                images.push(image.clone());
            }
        }
        return Ok(list(&mut images.iter().map(String::as_str)));
    }
    match args.format.as_deref() {
        None | Some("yaml" | "") => Ok(compose_spec::render_yaml(project)),
        Some("json") => Ok(compose_spec::render_json(project)),
        Some(other) => Err(unknown_format(other)),
    }
}

fn unknown_format(format: &str) -> Failure {
    Failure::new(format!("unsupported format `{format}`")).hint("use `yaml`, `json` or `json-diagnostics`")
}

/// Enabled services, dependencies before dependents.
fn in_order(project: &Project) -> Vec<&str> {
    let mut done: Vec<&str> = vec![];
    let mut left: BTreeSet<&str> = project.services.keys().map(String::as_str).collect();
    while !left.is_empty() {
        let free = left.iter().copied().find(|name| {
            project.services[*name].depends_on.keys().all(|dependency| !left.contains(dependency.as_str()))
        });
        // In a circle, which the loader refuses, any will do.
        let Some(next) = free.or_else(|| left.first().copied()) else { break };
        left.remove(next);
        done.push(next);
    }
    done
}

/// `name hash` for these services, sorted: the hashes that `up` stores.
fn hashes(session: &Session, loaded: &(Project, Loaded), names: &str) -> Result<String, Failure> {
    let (project, _) = loaded;
    let words: Vec<String> = names.split(',').map(|name| name.trim().to_owned()).collect();
    let chosen = select::services(&words, project.services.keys().map(String::as_str))?;
    let desired = wanted::of_project(session, loaded, &lower::Selection::all())?;
    let mut lines: Vec<String> = desired
        .services
        .iter()
        .filter(|service| chosen.contains(&service.name))
        .map(|service| {
            let hash = service.container.labels.get(label::CONFIG_HASH).map_or("", String::as_str);
            format!("{} {hash}\n", service.name)
        })
        .collect();
    lines.sort();
    Ok(lines.concat())
}

fn print(args: &Args, dry_run: bool, text: &str) -> Result<Exit, Failure> {
    if args.quiet {
        return Ok(Exit::Success);
    }
    match &args.output {
        None => output::result(text)?,
        Some(path) if dry_run => output::planned(&format!("write {}", path.display())),
        Some(path) => std::fs::write(path, text)
            .map_err(|error| Failure::because(format!("cannot write `{}`", path.display()), error))?,
    }
    Ok(Exit::Success)
}
