//! What containers have made of their files: written out as an archive, or kept as an image.

use crate::{Engine, EngineError};
use resource::{ContainerRecord, Image, ImageConfig, ObservedContainer, Reference, Timestamp};
use std::collections::BTreeSet;
use std::io::Write;
use store::{Assembly, History, LayerParts, NewImage, digest_of};

/// What an image of a container is to be.
#[derive(Clone, Copy, Debug)]
pub struct Commit<'a> {
    /// The reference it is to be found under.
    pub reference: &'a Reference,
    /// Who made it.
    pub author: &'a str,
    /// What they said of it.
    pub message: &'a str,
    /// What it asks for when run; [`Engine::committed`] is what the container itself is.
    pub config: &'a ImageConfig,
}

impl Engine {
    /// Writes all files of a container as a tar archive, without those of its volumes. It may be running
    /// or never have been started. Blocks.
    ///
    /// # Errors
    /// [`EngineError::Store`]
    pub fn export(&self, container: &ObservedContainer, output: impl Write) -> Result<(), EngineError> {
        let record = &container.record;
        let upper = self.upper(record);
        Ok(self.store().write_container(LayerParts { layers: &record.layers, upper: &upper }, output)?)
    }

    /// What an image of this container asks for when run: what its own image does, with what the container
    /// was asked to be laid over it. What tells of the one container, its host name and the labels of its
    /// project, is left out.
    ///
    /// # Errors
    /// [`EngineError::NoImage`] when its image is not here any more.
    pub fn committed(&self, container: &ObservedContainer) -> Result<ImageConfig, EngineError> {
        Ok(config(&container.record, &self.base(&container.record)?.config))
    }

    /// Makes an image of a container: its own image, and what it has changed as one more layer. What it
    /// writes meanwhile is in the image or not, so it had better be paused. Blocks.
    ///
    /// # Errors
    /// [`EngineError::NoImage`] when its image is not here any more, [`EngineError::Store`].
    pub fn commit(&self, container: &ObservedContainer, commit: &Commit<'_>) -> Result<Image, EngineError> {
        let record = &container.record;
        let base = self.base(record)?;
        let upper = self.upper(record);
        let (pin, layers) = if upper.exists() {
            let made = self.store().layer_of_changes(&upper)?;
            (made.pin, vec![(made.info.diff_id, made.archive_size)])
        } else {
            (self.store().pin(&base.layers)?, vec![])
        };
        let created = Timestamp::now();
        let step = History {
            created: created.to_string(),
            created_by: record.process.argv.join(" "),
            author: commit.author.to_owned(),
            comment: commit.message.to_owned(),
            empty_layer: layers.is_empty(),
        };
        let assembly = Assembly {
            reference: commit.reference,
            platform: None,
            base: Some(&base),
            layers: &layers,
            config: commit.config,
            author: Some(commit.author).filter(|author| !author.is_empty()),
            created,
            history: &[step],
            cache: None,
        };
        Ok(self.store().assemble_image(&assembly, pin)?)
    }

    /// The image that a container was made of, under whatever name.
    fn base(&self, record: &ContainerRecord) -> Result<Image, EngineError> {
        let (store, reference) = (self.store(), &record.spec.image);
        if let Some(image) = store.image_by_id(&record.image) {
            return Ok(image);
        }
        // Another image has its name now.
        let (Some(manifest), Some(config)) = (store.blob(&record.manifest), store.blob(&record.image)) else {
            return Err(EngineError::NoImage { reference: reference.clone() });
        };
        let platform = record.spec.platform.as_ref();
        Ok(store.keep_image(&NewImage { reference, platform, manifest: &manifest, config: &config })?)
    }

    /// Where a container's own files lie; not there before its first start.
    pub(crate) fn upper(&self, record: &ContainerRecord) -> std::path::PathBuf {
        self.roots().container(&record.spec.pod, &record.id).join("upper")
    }
}

fn config(record: &ContainerRecord, image: &ImageConfig) -> ImageConfig {
    let spec = &record.spec;
    let asked = &spec.process;
    let mut exposed: BTreeSet<String> = image.exposed_ports.iter().cloned().collect();
    exposed.extend(spec.exposed.iter().cloned());
    exposed.extend(spec.ports.iter().map(|port| format!("{}/{}", port.target, port.protocol.as_str())));
    let replaced = asked.entrypoint.as_ref().is_some_and(|entrypoint| !entrypoint.is_empty());
    ImageConfig {
        entrypoint: asked.entrypoint.clone().unwrap_or_else(|| image.entrypoint.clone()),
        command: match &asked.command {
            Some(command) if !command.is_empty() => command.clone(),
            _ if replaced => vec![],
            _ => image.command.clone(),
        },
        environment: environment(record, image),
        working_dir: asked.working_dir.clone().unwrap_or_else(|| image.working_dir.clone()),
        user: asked.user.clone().unwrap_or_else(|| image.user.clone()),
        volumes: image.volumes.clone(),
        exposed_ports: exposed.into_iter().collect(),
        labels: spec
            .labels
            .iter()
            .filter(|(key, _)| !key.starts_with("com.docker.compose."))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
        stop_signal: spec.stop_signal.clone().or_else(|| image.stop_signal.clone()),
        healthcheck: record.healthcheck.clone(),
        shell: image.shell.clone(),
        triggers: vec![],
    }
}

/// The environment without what every container is given anew.
fn environment(record: &ContainerRecord, image: &ImageConfig) -> Vec<String> {
    let wished = |name: &str| {
        record.spec.process.environment.contains_key(name)
            || image.environment.iter().any(|entry| entry.split('=').next() == Some(name))
    };
    let given = |entry: &&String| {
        let name = entry.split('=').next().unwrap_or_default();
        !matches!(name, "HOSTNAME" | "HOME" | "TERM") || wished(name)
    };
    record.process.environment.iter().filter(given).cloned().collect()
}

/// A name for the image of a container that nobody named: its own, marked as made here.
pub fn unnamed(container: &ObservedContainer) -> Reference {
    let record = &container.record;
    // Of letters that a reference may have; a hash keeps names apart that differ in others only.
    let name = record.spec.name.as_str().to_ascii_lowercase();
    let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let repository = if plain && !name.starts_with('-') && !name.ends_with('-') {
        name
    } else {
        format!("container-{}", &digest_of(name.as_bytes()).hex()[..12])
    };
    Reference {
        registry: "localhost".to_owned(),
        repository,
        tag: Some("committed".to_owned()),
        digest: None,
        implied: resource::Implied::default(),
    }
}
