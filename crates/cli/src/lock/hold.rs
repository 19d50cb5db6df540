//! `--frozen`: every image is the one that the lock says, or nothing is done.

use super::LockFile;
use super::wants::{self, Want};
use crate::exit::Failure;
use crate::session::Session;
use compose_spec::{Loaded, Project};
use diagnostic::{Diagnostic, Sources};
use resource::{
    BuildSpec, ContainerSpec, Desired, DesiredService, ImageNeed, Locked, MountSpec, Platform, PullPolicy,
    Reference,
};

/// A lock that a command obeys.
pub(crate) struct Hold<'a> {
    session: &'a Session,
    file: LockFile,
    locked: Locked,
}

impl<'a> Hold<'a> {
    /// The project's lock, when the flag or `COMPOSE_FROZEN` asks for it.
    ///
    /// # Errors
    /// There is none, or it cannot be used.
    pub(crate) fn asked(
        session: &'a Session,
        frozen: bool,
        project: &Project,
    ) -> Result<Option<Self>, Failure> {
        if !frozen && !session.environment().says_yes("COMPOSE_FROZEN") {
            return Ok(None);
        }
        let file = LockFile::read(session, project)?.ok_or_else(|| {
            let path = super::path(project);
            Failure::new(format!("there is no lock `{}` to hold the images to", path.display()))
                .hint("`compose lock` makes it; without `--frozen` and COMPOSE_FROZEN none is needed")
        })?;
        let locked = file.locked();
        Ok(Some(Self { session, file, locked }))
    }

    /// Holds all images that are wanted to the lock.
    ///
    /// # Errors
    /// Diagnostics of images that are not in the lock, or there with another digest.
    pub(crate) fn project(&self, loaded: &(Project, Loaded), desired: &mut Desired) -> Result<(), Failure> {
        self.check(&wants::of(loaded, desired)?)?;
        desired.services.iter_mut().for_each(|service| self.service(service));
        Ok(())
    }

    /// Holds what the builds of services stand on to the lock.
    ///
    /// # Errors
    /// As [`Hold::project`].
    pub(crate) fn builds_of(&self, desired: &mut Desired) -> Result<(), Failure> {
        let all: Vec<BuildSpec> =
            desired.services.iter().flat_map(|service| &service.builds).cloned().collect();
        self.check(&wants::of_builds(&all)?)?;
        desired.services.iter_mut().for_each(|service| self.builds(&mut service.builds));
        Ok(())
    }

    /// Holds the image of a single container to the lock.
    ///
    /// # Errors
    /// As [`Hold::project`].
    pub(crate) fn one(
        &self,
        loaded: &(Project, Loaded),
        container: &mut ContainerSpec,
        need: &mut ImageNeed,
        builds: &mut [BuildSpec],
    ) -> Result<(), Failure> {
        self.check(&wants::of_one(loaded, &container.service, need, builds)?)?;
        self.image(need, container, !builds.is_empty());
        self.builds(builds);
        Ok(())
    }

    fn check(&self, wants: &[Want]) -> Result<(), Failure> {
        let told: Vec<String> = missing(&self.file, wants)
            .map(|(sources, told)| diagnostic::render(&sources, &[told], self.session.colour_errors))
            .collect();
        if told.is_empty() { Ok(()) } else { Err(Failure::Drawn(told.join("\n"))) }
    }

    fn service(&self, service: &mut DesiredService) {
        let is_built = !service.builds.is_empty();
        self.image(&mut service.image, &mut service.container, is_built);
        for hook in &mut service.pre_start {
            self.image(&mut hook.image, &mut hook.container, false);
        }
        for need in &mut service.mounted_images {
            let before = need.reference.clone();
            self.exact(&mut need.reference, need.platform.as_ref());
            for mount in &mut service.container.mounts {
                if let MountSpec::Image { source, .. } = mount
                    && *source == before
                {
                    *source = need.reference.clone();
                }
            }
        }
        self.builds(&mut service.builds);
    }

    fn image(&self, need: &mut ImageNeed, container: &mut ContainerSpec, is_built: bool) {
        self.exact(&mut need.reference, need.platform.as_ref());
        container.image = need.reference.clone();
        // What a registry has under the name of something built is in no lock: it is not asked.
        if is_built && need.policy != PullPolicy::Build {
            need.policy = PullPolicy::Never;
        }
    }

    fn exact(&self, reference: &mut Reference, platform: Option<&Platform>) {
        let platform = platform.cloned().unwrap_or_else(Platform::host);
        if let Some(exact) = self.locked.exact(reference, &platform) {
            *reference = exact;
        }
    }

    fn builds(&self, builds: &mut [BuildSpec]) {
        builds.iter_mut().for_each(|build| build.locked = Some(self.locked.clone()));
    }
}

/// What is said of each image that the lock does not have as it is wanted.
pub(crate) fn missing<'a>(
    file: &'a LockFile,
    wants: &'a [Want],
) -> impl Iterator<Item = (Sources, Diagnostic)> + 'a {
    let locked = file.locked();
    wants
        .iter()
        .filter(move |want| locked.digest(&want.reference, &want.platform).is_none())
        .map(|want| told(file, want))
}

fn told(file: &LockFile, want: &Want) -> (Sources, Diagnostic) {
    let mut sources = want.sources.clone();
    let name = want.reference.familiar();
    let asks = format!("service `{}` asks for it", want.service());
    let (code, message, at, text, help) = match (file.lock.images.get(&want.reference), other(file, want)) {
        (Some(entry), _) => (
            "not-locked",
            format!("the lock has no digest of `{name}` for {}", want.platform),
            &entry.at,
            "it has others of this image",
            format!("`compose lock --update {}` asks the registry again", want.service()),
        ),
        (None, Some(at)) => (
            "lock-differs",
            format!("`{name}` is not the image that the lock holds this tag to"),
            at,
            "the lock has it otherwise",
            format!("`compose lock --update {}` takes over what is written", want.service()),
        ),
        (None, None) => (
            "not-locked",
            format!("the image `{name}` is not in the lock"),
            &file.lock.images_at,
            "it is none of these",
            "`compose lock` adds it".to_owned(),
        ),
    };
    let span = file.place(&mut sources, at);
    (sources, Diagnostic::error(code, message).at(want.span, asks).at(span, text).help(help))
}

/// Where the lock has the same repository and tag, pinned otherwise.
fn other<'a>(file: &'a LockFile, want: &Want) -> Option<&'a std::ops::Range<usize>> {
    let bare = |reference: &Reference| Reference { digest: None, ..reference.clone() };
    let wanted = bare(&want.reference);
    let entry = file.lock.images.iter().find(|(known, _)| wanted.tag.is_some() && bare(known) == wanted)?;
    Some(&entry.1.at)
}
