//! The images that a lock is about: all that a project takes from registries, and who wants each of them.
//! What is built is left out; what its builds stand on is not.

use crate::exit::Failure;
use compose_spec::{Loaded, Project};
use diagnostic::{Sources, Span};
use engine::Base;
use resource::{BuildSpec, Desired, DesiredService, ImageNeed, Platform, Reference};
use std::collections::BTreeMap;

/// An image that is wanted for a platform.
#[derive(Clone, Debug)]
pub(crate) struct Want {
    /// The image, as it is written.
    pub(crate) reference: Reference,
    /// The platform.
    pub(crate) platform: Platform,
    /// The services that want it, or whose builds do; the one that is told of first.
    pub(crate) services: Vec<String>,
    /// The text that names it.
    pub(crate) sources: Sources,
    /// Where.
    pub(crate) span: Span,
}

impl Want {
    /// Who wants it, and where: `service `web` (compose.yaml:3:12)`.
    pub(crate) fn who(&self) -> String {
        format!("service `{}` ({})", self.service(), self.sources.place(self.span))
    }

    /// The service that is told of.
    pub(crate) fn service(&self) -> &str {
        self.services.first().map_or("", String::as_str)
    }
}

/// What the wanted services take from registries, each image and platform once, in order.
///
/// # Errors
/// A Dockerfile cannot be read.
pub(crate) fn of(loaded: &(Project, Loaded), desired: &Desired) -> Result<Vec<Want>, Failure> {
    let built: Vec<&Reference> = desired.services.iter().filter_map(built).collect();
    let services = desired.services.iter().filter(|service| service.has_image());
    let needs: Vec<(&str, &ImageNeed)> = services
        .flat_map(|service| needs(service).map(move |need| (service.name.as_str(), need)))
        .filter(|(_, need)| !built.contains(&&need.reference))
        .collect();
    let builds: Vec<BuildSpec> =
        desired.services.iter().flat_map(|service| &service.builds).cloned().collect();
    all(loaded, &needs, &builds)
}

/// The same of one service that may be built.
///
/// # Errors
/// A Dockerfile cannot be read.
pub(crate) fn of_one(
    loaded: &(Project, Loaded),
    service: &str,
    need: &ImageNeed,
    builds: &[BuildSpec],
) -> Result<Vec<Want>, Failure> {
    let needs = [(service, need)];
    all(loaded, if builds.is_empty() { &needs } else { &[] }, builds)
}

/// The image that a service's build makes.
fn built(service: &DesiredService) -> Option<&Reference> {
    (!service.builds.is_empty()).then_some(&service.image.reference)
}

fn needs(service: &DesiredService) -> impl Iterator<Item = &ImageNeed> {
    let hooks = service.pre_start.iter().map(|hook| &hook.image);
    std::iter::once(&service.image).chain(hooks).chain(&service.mounted_images)
}

/// What builds stand on and take files from.
///
/// # Errors
/// A Dockerfile cannot be read.
pub(crate) fn of_builds(builds: &[BuildSpec]) -> Result<Vec<Want>, Failure> {
    let mut wants = Wants::default();
    wants.add_builds(builds)?;
    Ok(wants.0.into_values().collect())
}

fn all(
    loaded: &(Project, Loaded),
    needs: &[(&str, &ImageNeed)],
    builds: &[BuildSpec],
) -> Result<Vec<Want>, Failure> {
    let mut wants = Wants::default();
    let spans = spans(&loaded.0);
    for (service, need) in needs {
        let want = Want {
            reference: need.reference.clone(),
            platform: need.platform.clone().unwrap_or_else(Platform::host),
            services: vec![],
            sources: loaded.1.sources.clone(),
            span: spans.get(&need.reference).copied().unwrap_or(Span::NOWHERE),
        };
        wants.add(service, want);
    }
    wants.add_builds(builds)?;
    Ok(wants.0.into_values().collect())
}

/// What is known so far.
#[derive(Default)]
struct Wants(BTreeMap<(Reference, Platform), Want>);

impl Wants {
    fn add(&mut self, service: &str, want: Want) {
        let key = (want.reference.clone(), want.platform.clone());
        let services = &mut self.0.entry(key).or_insert(want).services;
        if !services.iter().any(|known| known == service) {
            services.push(service.to_owned());
        }
    }

    fn add_builds(&mut self, all: &[BuildSpec]) -> Result<(), Failure> {
        let mut builds: Vec<BuildSpec> = vec![];
        for build in all {
            if builds.iter().all(|known| known.name != build.name) {
                builds.push(build.clone());
            }
        }
        if builds.is_empty() {
            return Ok(());
        }
        let bases = engine::bases_of_builds(&builds).map_err(|error| Failure::Drawn(error.render(false)))?;
        for Base { build, reference, platform, sources, span } in bases {
            self.add(&build, Want { reference, platform, services: vec![], sources, span });
        }
        Ok(())
    }
}

/// Where each image is named first.
fn spans(project: &Project) -> BTreeMap<Reference, Span> {
    let named = project.image_references();
    let place = |(text, service): (&String, &String)| {
        let reference = Reference::parse(text).ok()?;
        Some((reference, project.services.get(service)?.place_of_image(text)))
    };
    named.iter().filter_map(place).collect()
}
