//! What a stage has come to at one place in it: layers, configuration, variables, history.

use dockerfile::StageScope;
use resource::mount::clean;
use resource::{Digest, Image, ImageConfig, Timestamp};
use store::{Hasher, History};

/// A stage at one place in it.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// The image it stands on; `None` is `scratch`.
    pub(crate) base: Option<Image>,
    /// Layers over the base, lowest first: diff id and bytes of the archive.
    pub(crate) layers: Vec<(Digest, u64)>,
    /// What the image asks for when run.
    pub(crate) config: ImageConfig,
    /// Who `MAINTAINER` names.
    pub(crate) author: Option<String>,
    /// Variables.
    pub(crate) scope: StageScope,
    /// What was done over the base.
    pub(crate) history: Vec<History>,
    /// When the last of it was made.
    pub(crate) created: Timestamp,
    /// When all of it is to have been made, whenever that was.
    pub(crate) epoch: Option<Timestamp>,
    /// The stage itself said `CMD`; a later `ENTRYPOINT` keeps it then.
    pub(crate) has_command: bool,
}

impl State {
    /// A stage that begins with an image or nothing.
    pub(crate) fn begin(base: Option<Image>, scope: StageScope) -> Self {
        let mut config = base.as_ref().map(|base| base.config.clone()).unwrap_or_default();
        config.triggers.clear();
        let created = base.as_ref().and_then(|base| base.created).unwrap_or(Timestamp::UNIX_EPOCH);
        Self {
            base,
            layers: vec![],
            config,
            author: None,
            scope,
            history: vec![],
            created,
            epoch: None,
            has_command: false,
        }
    }

    /// Diff ids of all layers, lowest first: what its files are.
    pub(crate) fn all_layers(&self) -> Vec<Digest> {
        let base = self.base.iter().flat_map(|base| base.layers.iter().cloned());
        base.chain(self.layers.iter().map(|(layer, _)| layer.clone())).collect()
    }

    /// The folder that relative paths count from.
    pub(crate) fn folder(&self) -> &str {
        if self.config.working_dir.is_empty() { "/" } else { &self.config.working_dir }
    }

    /// The absolute form of a path in the image, without `.` and `..`.
    pub(crate) fn absolute(&self, path: &str) -> String {
        let whole = if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", self.folder()) };
        clean(&whole)
    }

    /// What runs a command in shell form.
    pub(crate) fn shell(&self) -> Vec<String> {
        match self.config.shell.is_empty() {
            true => vec!["/bin/sh".to_owned(), "-c".to_owned()],
            false => self.config.shell.clone(),
        }
    }

    /// Sets a variable of the image.
    pub(crate) fn set_environment(&mut self, name: &str, value: &str) {
        let entry = format!("{name}={value}");
        let list = &mut self.config.environment;
        match list.iter_mut().find(|other| other.split_once('=').is_some_and(|(other, _)| other == name)) {
            Some(place) => *place = entry,
            None => list.push(entry),
        }
    }

    /// Notes what was done.
    pub(crate) fn note(&mut self, what: &str, layer: Option<(Digest, u64)>) {
        let empty_layer = layer.is_none();
        self.layers.extend(layer);
        self.history.push(History {
            created: self.epoch.unwrap_or(self.created).to_string(),
            created_by: what.to_owned(),
            author: String::new(),
            comment: String::new(),
            empty_layer,
        });
    }
}

/// The key of a step: the digest of all its result depends on. Each part is told apart from the next.
pub(crate) struct Key(Hasher);

impl Key {
    pub(crate) fn new(kind: &str) -> Self {
        // The number is that of the rules that make results: another one forgets them all.
        Self(Hasher::default()).with(format!("1 {kind}"))
    }

    pub(crate) fn with(mut self, part: impl AsRef<[u8]>) -> Self {
        let part = part.as_ref();
        self.0.update(&(part.len() as u64).to_le_bytes());
        self.0.update(part);
        self
    }

    pub(crate) fn with_all<T: AsRef<[u8]>>(self, parts: impl IntoIterator<Item = T>) -> Self {
        parts.into_iter().fold(self, Key::with).with("")
    }

    pub(crate) fn finish(self) -> Digest {
        self.0.finish()
    }
}
