//! What a container asks for, laid over what its image says: the process, its environment, health
//! check and stop signal. Pure: files, clock and network stay outside.
//!
//! The rules are Docker's. Where they surprise (an empty command does not clear the image's), the
//! tests below say so.

mod mounts;

pub use mounts::{PlannedMount, mounts};
pub use resource::signal::parse as parse_signal;

use resource::mount::clean;
use resource::{ContainerSpec, HealthCheck, Image, ImageConfig, Labels, Process, ProcessSpec};

/// The search path of a container whose image sets none.
pub const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why an image cannot be run as asked.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// Neither the container nor its image names a program.
    #[error("no command specified: neither the service nor its image has a command or an entrypoint")]
    NoCommand,
    /// A user or group is not in the image.
    #[error(transparent)]
    User(#[from] runtime::users::UnknownUser),
    /// The stop signal is none.
    #[error("stop signal `{0}` is not a signal of Linux")]
    Signal(String),
    /// The working directory is relative.
    #[error("working directory `{0}` is not an absolute path")]
    WorkingDir(String),
    /// A mount's target cannot be mounted on.
    #[error("mount target `{0}` is not an absolute path below `/`")]
    Target(String),
}

/// The process with nothing left open. `hostname` is the name the container has of itself.
///
/// # Errors
/// [`ResolveError`] of every kind but `Signal` and `Target`.
pub fn process(spec: &ProcessSpec, image: &Image, hostname: &str) -> Result<Process, ResolveError> {
    let config = &image.config;
    let user = spec.user.as_deref().unwrap_or(&config.user);
    let user = runtime::users::resolve(user, &spec.groups, &image.passwd, &image.group)?;
    Ok(Process {
        argv: argv(spec, config)?,
        environment: environment(spec, config, hostname, &user.home),
        working_dir: working_dir(spec, config)?,
        uid: user.uid,
        gid: user.gid,
        groups: user.groups,
        tty: spec.tty,
        stdin_open: spec.stdin_open,
        init: spec.init,
    })
}

/// The process of a container that executes nothing: an init without a child.
pub fn no_program(spec: &ProcessSpec) -> Process {
    Process {
        argv: vec![],
        environment: vec![],
        working_dir: "/".to_owned(),
        uid: 0,
        gid: 0,
        groups: vec![],
        tty: false,
        stdin_open: false,
        init: spec.init,
    }
}

/// Program and arguments.
///
/// # Errors
/// [`ResolveError::NoCommand`].
pub fn argv(spec: &ProcessSpec, config: &ImageConfig) -> Result<Vec<String>, ResolveError> {
    let given = |list: &Option<Vec<String>>| list.clone().filter(|list| !list.is_empty());
    let command = given(&spec.command);
    let (entrypoint, image_command_counts) = match &spec.entrypoint {
        None => (config.entrypoint.clone(), true),
        Some(empty) if empty.is_empty() => (vec![], true),
        Some(entrypoint) => (entrypoint.clone(), false),
    };
    let command =
        command.unwrap_or_else(|| if image_command_counts { config.command.clone() } else { vec![] });
    let argv: Vec<String> = entrypoint.into_iter().chain(command).collect();
    if argv.first().is_none_or(String::is_empty) { Err(ResolveError::NoCommand) } else { Ok(argv) }
}

/// `NAME=value`: what the engine sets, then the container's own, then the rest of the image's. A
/// name without a value takes the variable away from whoever set it before.
fn environment(spec: &ProcessSpec, config: &ImageConfig, hostname: &str, home: &str) -> Vec<String> {
    let mut list = vec![DEFAULT_PATH.to_owned(), format!("HOSTNAME={hostname}")];
    if spec.tty {
        list.push("TERM=xterm".to_owned());
    }
    let name = |entry: &str| entry.split_once('=').map_or(entry, |(name, _)| name).to_owned();
    let put = |list: &mut Vec<String>, entry: String| match list
        .iter_mut()
        .find(|other| name(other) == name(&entry))
    {
        Some(place) => *place = entry,
        None => list.push(entry),
    };
    for (name, value) in &spec.environment {
        match value {
            Some(value) => put(&mut list, format!("{name}={value}")),
            None => list.retain(|entry| entry.split_once('=').is_none_or(|(other, _)| other != name)),
        }
    }
    for entry in &config.environment {
        if !spec.environment.contains_key(&name(entry)) {
            put(&mut list, entry.clone());
        }
    }
    if !list.iter().any(|entry| entry.starts_with("HOME=")) {
        list.push(format!("HOME={}", if home.is_empty() { "/" } else { home }));
    }
    list
}

fn working_dir(spec: &ProcessSpec, config: &ImageConfig) -> Result<String, ResolveError> {
    match spec.working_dir.as_deref().filter(|folder| !folder.is_empty()) {
        Some(folder) if folder.starts_with('/') => Ok(clean(folder)),
        Some(folder) => Err(ResolveError::WorkingDir(folder.to_owned())),
        // An image's relative folder counts from `/`, as in Docker.
        None => Ok(clean(&format!("/{}", config.working_dir))),
    }
}

/// The container's health check over the image's; `None` when there is none or it is switched off.
pub fn healthcheck(spec: &ContainerSpec, image: &ImageConfig) -> Option<HealthCheck> {
    let check = match &spec.healthcheck {
        None => image.healthcheck.clone(),
        Some(None) => None,
        Some(Some(check)) => Some(check.clone().over(image.healthcheck.as_ref())),
    };
    check.filter(|check| !check.test.is_empty())
}

/// Number of the signal that stops the container.
///
/// # Errors
/// [`ResolveError::Signal`].
pub fn stop_signal(spec: &ContainerSpec, image: &ImageConfig) -> Result<i32, ResolveError> {
    let text = spec.stop_signal.as_deref().or(image.stop_signal.as_deref()).filter(|text| !text.is_empty());
    let text = text.unwrap_or("SIGTERM");
    parse_signal(text).ok_or_else(|| ResolveError::Signal(text.to_owned()))
}

/// The container's labels and those of its image that it does not override.
pub fn labels(spec: &ContainerSpec, image: &ImageConfig) -> Labels {
    let mut labels = image.labels.clone();
    labels.extend(spec.labels.clone());
    labels
}

#[cfg(test)]
mod tests;
