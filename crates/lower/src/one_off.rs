//! The container of `run`: a service's, with what the command line changes.

use crate::lowering::Lowering;
use crate::security::{CAPABILITIES, capability};
use crate::{Options, selection, short};
use compose_spec::Project;
use diagnostic::{Diagnostic, has_errors};
use resource::{
    BuildSpec, ContainerName, ContainerSpec, ImageNeed, MountSpec, RestartPolicy, VolumeName, VolumeSpec,
    label,
};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What the command line of `run` changes of a service's container.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OneOff {
    /// A random id, 64 hexadecimal digits: the slug label, and twelve of it for the name.
    pub slug: String,
    /// `--name`.
    pub name: Option<String>,
    /// The words after the service; empty keeps the service's command.
    pub command: Vec<String>,
    /// `--entrypoint`, split like a shell does; it clears the service's command when none is given.
    pub entrypoint: Option<Vec<String>>,
    /// `--env` over `--env-from-file`; `None` unsets.
    pub environment: BTreeMap<String, Option<String>>,
    /// `--label`.
    pub labels: BTreeMap<String, String>,
    /// `--user`.
    pub user: Option<String>,
    /// `--workdir`.
    pub working_dir: Option<String>,
    /// `--cap-add`.
    pub cap_add: Vec<String>,
    /// `--cap-drop`.
    pub cap_drop: Vec<String>,
    /// `--publish`, short port syntax.
    pub publish: Vec<String>,
    /// `--service-ports`.
    pub service_ports: bool,
    /// `--volume`, short volume syntax.
    pub volumes: Vec<String>,
    /// What relative sources of these count from: where the command line was written.
    pub directory: PathBuf,
    /// `--use-aliases`.
    pub use_aliases: bool,
    /// A terminal.
    pub tty: bool,
    /// Standard input stays open.
    pub interactive: bool,
    /// `--rm`.
    pub remove: bool,
}

/// What `run` makes.
#[derive(Clone, Debug, PartialEq)]
pub struct OneOffContainer {
    /// The container.
    pub spec: ContainerSpec,
    /// The image it needs.
    pub image: ImageNeed,
    /// How that is built.
    pub builds: Vec<BuildSpec>,
    /// The volumes that it mounts, by their names.
    pub volumes: Vec<VolumeSpec>,
}

/// The container to create for `run`.
///
/// # Errors
/// Diagnostics, at least one of them an error.
pub fn one_off(
    project: &Project,
    service: &str,
    overrides: &OneOff,
    options: &Options<'_>,
) -> Result<OneOffContainer, Vec<Diagnostic>> {
    let mut lowering = Lowering::new(project, options);
    let enabled = project.services.get(service);
    let Some(service) = enabled.or_else(|| project.disabled_services.get(service)) else {
        return Err(vec![selection::unknown(project, service)]);
    };
    let Some(mut lowered) = lowering.service(service) else { return Err(lowering.found) };
    if lowered.provider.is_some() {
        lowering.error(service, "provider", "it has a provider, and no container to run anything in");
        return Err(lowering.found);
    }
    let mut spec = lowered.container.clone();
    let slug = overrides.slug.get(..12).unwrap_or(&overrides.slug);
    let separator = lowering.separator();
    let generated = || format!("{}{separator}{}{separator}run{separator}{slug}", project.name, service.name);
    spec.name = ContainerName(overrides.name.clone().unwrap_or_else(generated));
    spec.number = None;
    spec.restart = RestartPolicy::No;
    spec.auto_remove = overrides.remove;
    labels(&mut spec, overrides);
    process(&mut spec, overrides);
    capabilities(&mut spec, overrides);
    for (flag, names) in [("--cap-add", &overrides.cap_add), ("--cap-drop", &overrides.cap_drop)] {
        for name in names.iter().filter(|name| !CAPABILITIES.contains(&capability(name).as_str())) {
            let message = format!("`{name}` of `{flag}` is no capability");
            lowering
                .found
                .push(Diagnostic::error("bad-argument", message).help("capabilities(7) lists them"));
        }
    }
    if !overrides.service_ports {
        spec.ports.clear();
    }
    let refuse = |message| Diagnostic::error("bad-argument", message);
    for text in &overrides.publish {
        match short::ports(text) {
            Ok(ports) => spec.ports.extend(ports),
            Err(message) => lowering.found.push(refuse(message)),
        }
    }
    let home = project.environment.get("HOME").map(String::as_str);
    let named = |key: &str| project.volumes.get(key).map(|volume| VolumeName(volume.name.clone()));
    for text in &overrides.volumes {
        match short::volume(text, &overrides.directory, home, named) {
            Ok(mount) => {
                spec.mounts.retain(|other| other.target() != mount.target());
                spec.mounts.push(mount);
            }
            Err(message) => lowering.found.push(refuse(message)),
        }
    }
    if !overrides.use_aliases {
        spec.endpoints.iter_mut().for_each(|endpoint| endpoint.aliases.clear());
    }
    lowered.container.mounts.clone_from(&spec.mounts);
    let mut volumes = lowering.volumes(std::slice::from_ref(&lowered));
    let mounted = spec.mounts.iter().filter_map(|mount| match mount {
        MountSpec::Volume { source, .. } => source.as_ref(),
        _ => None,
    });
    let is_declared = |name: &&VolumeName| project.volumes.values().any(|volume| volume.name == name.0);
    volumes.extend(mounted.filter(|name| !is_declared(name)).map(|name| lowering.volume_named(name)));
    if has_errors(&lowering.found) {
        return Err(lowering.found);
    }
    Ok(OneOffContainer { spec, image: lowered.image, builds: lowered.builds, volumes })
}

fn labels(spec: &mut ContainerSpec, overrides: &OneOff) {
    let managed: Vec<_> = spec
        .labels
        .iter()
        .filter(|(key, _)| key.starts_with("com.docker.compose."))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    spec.labels.extend(overrides.labels.clone());
    spec.labels.extend(managed);
    spec.labels.remove(label::CONTAINER_NUMBER);
    spec.labels.insert(label::ONE_OFF.to_owned(), "True".to_owned());
    spec.labels.insert(label::SLUG.to_owned(), overrides.slug.clone());
}

fn process(spec: &mut ContainerSpec, overrides: &OneOff) {
    let process = &mut spec.process;
    if let Some(entrypoint) = &overrides.entrypoint {
        process.entrypoint = Some(entrypoint.clone());
        process.command = None;
    }
    if !overrides.command.is_empty() {
        process.command = Some(overrides.command.clone());
    }
    process.environment.extend(overrides.environment.clone());
    process.user = overrides.user.clone().or_else(|| process.user.take());
    process.working_dir = overrides.working_dir.clone().or_else(|| process.working_dir.take());
    process.tty = overrides.tty;
    process.stdin_open = overrides.interactive;
}

/// Adds and drops; a name added is no longer dropped, and the other way round.
fn capabilities(spec: &mut ContainerSpec, overrides: &OneOff) {
    for name in overrides.cap_add.iter().map(|name| capability(name)) {
        spec.security.capabilities_dropped.retain(|dropped| *dropped != name);
        spec.security.capabilities_added.push(name);
    }
    for name in overrides.cap_drop.iter().map(|name| capability(name)) {
        spec.security.capabilities_added.retain(|added| *added != name);
        spec.security.capabilities_dropped.push(name);
    }
}
