//! From the subject of a command to what is wanted of it.

use crate::commands::version::VERSION;
use crate::exit::Failure;
use crate::files::Disk;
use crate::session::{Session, Subject};
use compose_spec::{Loaded, Project};
use lower::{Lowered, Options, Selection};
use resource::{Desired, Observed, Platform, VolumeSpec};
use std::collections::BTreeSet;

impl Subject {
    /// Names of every service: those of the file, enabled or not, and those that have containers.
    pub(crate) fn known<'a>(&'a self, observed: &'a Observed) -> BTreeSet<&'a str> {
        let mut names: BTreeSet<&str> =
            observed.containers.iter().map(|container| container.record.spec.service.as_str()).collect();
        names.extend(self.in_file().into_iter().flatten());
        names
    }

    /// Names of the services in the file, enabled or not; `None` when no file was read.
    pub(crate) fn in_file(&self) -> Option<BTreeSet<&str>> {
        let (project, _) = self.loaded.as_ref()?;
        Some(project.services.keys().chain(project.disabled_services.keys()).map(String::as_str).collect())
    }
}

/// What lowering needs besides the project.
pub(crate) fn options<'a>(session: &Session, loaded: &'a Loaded) -> Options<'a> {
    let compatibility =
        session.globals.compatibility || session.environment().says_yes("COMPOSE_COMPATIBILITY");
    let single_id = session.has_single_id();
    let platform = default_platform(session).and_then(|text| Platform::parse(&text));
    // An image that is made for this machine alone needs no platform to be found.
    let platform = platform.filter(|platform| *platform != Platform::host());
    Options { sources: &loaded.sources, files: &Disk, compatibility, single_id, platform, version: VERSION }
}

/// What services are for that do not say it themselves, as somebody wrote it.
fn default_platform(session: &Session) -> Option<String> {
    session.environment().filled("DOCKER_DEFAULT_PLATFORM").map(str::to_owned)
}

/// What is wanted of the selected services; what will have no effect is told on standard error.
pub(crate) fn of_project(
    session: &Session,
    (project, loaded): &(Project, Loaded),
    selection: &Selection,
) -> Result<Desired, Failure> {
    if let Some(text) = default_platform(session).filter(|text| Platform::parse(text).is_none()) {
        return Err(Failure::new(format!("DOCKER_DEFAULT_PLATFORM is `{text}`, which is no platform"))
            .hint("write one such as `linux/amd64`, or leave it empty"));
    }
    let lowered = lower(session, project, loaded, selection)?;
    session.report(&diagnostic::render(&loaded.sources, &lowered.warnings, session.colour_errors));
    Ok(lowered.desired)
}

/// Refuses services that are to be started and use a model of which nobody says where it is served.
///
/// # Errors
/// Diagnostics, a model each.
pub(crate) fn foresee_models(
    session: &Session,
    (project, loaded): &(Project, Loaded),
    services: &BTreeSet<&str>,
) -> Result<(), Failure> {
    let found = lower::unserved_models(project, services);
    if found.is_empty() { Ok(()) } else { Err(session.diagnostics(loaded, &found)) }
}

fn lower(
    session: &Session,
    project: &Project,
    loaded: &Loaded,
    selection: &Selection,
) -> Result<Lowered, Failure> {
    lower::lower(project, selection, &options(session, loaded))
        .map_err(|diagnostics| session.diagnostics(loaded, &diagnostics))
}

/// Services by their names or patterns.
pub(crate) fn selection(
    session: &Session,
    (project, loaded): &(Project, Loaded),
    names: &[String],
) -> Result<Selection, Failure> {
    Selection::of(project, names).map_err(|diagnostic| session.diagnostics(loaded, &[diagnostic]))
}

/// What verbs on existing containers are about: the file's services with those they depend on and
/// those that depend on them, or what the labels tell. `chosen` are selected; empty means all.
pub(crate) fn existing(
    session: &Session,
    subject: &Subject,
    observed: &Observed,
    chosen: &BTreeSet<String>,
) -> Desired {
    let mut desired = match &subject.loaded {
        // Warnings about attributes were for `up` to tell; what has become an error since must not
        // keep anything from being stopped.
        Some((project, loaded)) => {
            let lowered = lower(session, project, loaded, &Selection::all().with_dependents());
            lowered.map_or_else(|_| lower::from_labels(&subject.pod, observed), |lowered| lowered.desired)
        }
        None => lower::from_labels(&subject.pod, observed),
    };
    for service in &mut desired.services {
        service.selected = chosen.is_empty() || chosen.contains(&service.name);
    }
    desired
}

/// Adds the volumes of the file that no service mounts: a one-off, or a service that is gone, may have made them.
pub(crate) fn add_declared_volumes(session: &Session, subject: &Subject, desired: &mut Desired) {
    let Some((project, loaded)) = &subject.loaded else { return };
    let declared = lower::declared_volumes(project, &options(session, loaded));
    let is_new = |volume: &VolumeSpec| desired.volumes.iter().all(|known| known.name != volume.name);
    let new: Vec<_> = declared.into_iter().filter(is_new).collect();
    desired.volumes.extend(new);
}

/// Writes the digests of images that are here into what is wanted.
pub(crate) fn resolve(desired: &mut Desired, observed: &Observed) {
    let needs = desired.services.iter_mut().flat_map(|service| {
        let hooks = service.pre_start.iter_mut().map(|hook| &mut hook.image);
        std::iter::once(&mut service.image).chain(hooks)
    });
    for need in needs {
        let fits = |image: &&resource::Image| {
            image.reference == need.reference
                && need.platform.as_ref().is_none_or(|platform| fits(platform, &image.platform))
        };
        if let Some(image) = observed.images.iter().find(fits) {
            need.resolved = Some(image.manifest.clone());
        }
    }
}

fn fits(wanted: &resource::Platform, found: &resource::Platform) -> bool {
    wanted.os == found.os
        && wanted.architecture == found.architecture
        && (wanted.variant.is_none() || wanted.variant == found.variant)
}
