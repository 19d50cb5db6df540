//! `Project` → `Desired`: names, labels, networks, mounts, replicas. What a Compose file says is put
//! in the engine's words; what the engine has no words for is told, with its place, and never dropped
//! in silence.
//!
//! Pure: the texts of files it needs (a seccomp profile) come through [`compose_spec::Files`].

mod build;
mod build_cache;
mod connection;
mod copies;
mod fixed;
mod hooks;
mod ignored;
mod inline;
mod labels;
mod limits;
mod logging;
mod lowering;
mod models;
mod mounts;
mod named;
mod network;
mod network_options;
mod one_off;
mod order;
mod places;
mod pod;
mod provider;
mod security;
mod selection;
mod service;
mod short;
mod update;
mod values;
mod volume;

pub use hooks::hook;
pub use labels::from_labels;
pub use models::unserved_models;
pub use network::network_alone;
pub use one_off::{OneOff, OneOffContainer, one_off};
pub use provider::{give, give_one_off};
pub use selection::Selection;
pub use volume::{declared_volumes, volume_alone};

use compose_spec::{Files, Project};
use diagnostic::{Diagnostic, Sources, has_errors};
use lowering::Lowering;
use resource::{Desired, DesiredService, INFRA, Platform};

/// What lowering needs besides the project and the selection.
#[derive(Clone)]
pub struct Options<'a> {
    /// The texts the project was read from, to say where something was asked for.
    pub sources: &'a Sources,
    /// For the seccomp profiles that `security_opt` names.
    pub files: &'a dyn Files,
    /// Names are joined by `_` instead of `-` (`--compatibility`).
    pub compatibility: bool,
    /// Containers have the one user and group id of their engine's user, and no other.
    pub single_id: bool,
    /// What services are for that name no `platform` (`DOCKER_DEFAULT_PLATFORM`); `None` is this machine's.
    pub platform: Option<Platform>,
    /// This program's version, `x.y.z`, for the version label.
    pub version: &'a str,
}

/// What is wanted, and what in the file will have no effect.
#[derive(Clone, Debug, PartialEq)]
pub struct Lowered {
    /// What is wanted.
    pub desired: Desired,
    /// Warnings, in order of service and attribute.
    pub warnings: Vec<Diagnostic>,
}

/// Says what is wanted of the selected services.
///
/// # Errors
/// Diagnostics, at least one of them an error: values the engine cannot do.
pub fn lower(
    project: &Project,
    selection: &Selection,
    options: &Options<'_>,
) -> Result<Lowered, Vec<Diagnostic>> {
    let mut lowering = Lowering::new(project, options);
    let members = selection.members(project);
    for name in selection.scale.keys().filter(|name| !project.services.contains_key(*name)) {
        lowering.found.push(selection::unknown(project, name));
    }
    let mut services: Vec<DesiredService> = vec![];
    for name in &members {
        let Some(service) = project.services.get(*name) else { continue };
        if let Some(mut lowered) = lowering.service(service) {
            lowered.selected = selection.selects(name);
            match selection.scale.get(*name) {
                Some(_) if lowered.provider.is_some() => {
                    lowering.error(service, "provider", "it has a provider, and no containers to scale");
                }
                Some(replicas) => lowered.replicas = *replicas,
                None => {}
            }
            services.push(lowered);
        }
    }
    lowering.share_namespaces(&mut services);
    let with_containers = services.iter_mut().filter(|service| service.provider.is_none());
    with_containers.for_each(|service| lowering.start_hooks(service));
    named::bind(&lowering.pod(), &mut services);
    let services = order::dependencies_first(services);
    let networks = lowering.networks(&services);
    let network_places = lowering.network_places(&networks);
    let volumes = lowering.volumes(&services);
    let volume_places = lowering.volume_places(&volumes);
    lowering.tell_shared(&services);
    let pod_resources = lowering.pod_resources();
    let (pod, labels) = (lowering.pod(), lowering.pod_labels());
    let known = project.services.keys().chain(project.disabled_services.keys());
    let mut known_services: Vec<_> = known.cloned().collect();
    if !project.shared_namespaces().is_empty() {
        known_services.push(INFRA.to_owned());
    }
    known_services.sort_unstable();
    known_services.dedup();
    if has_errors(&lowering.found) {
        return Err(lowering.found);
    }
    let desired = Desired {
        pod,
        labels,
        pod_resources,
        networks,
        network_places,
        volumes,
        volume_places,
        services,
        known_services,
    };
    Ok(Lowered { desired, warnings: lowering.found })
}
