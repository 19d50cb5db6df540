//! Relative paths of a model → absolute ones.

use std::path::{Path, PathBuf};

use crate::forms::clean;
use crate::tree::{Node, Value};

/// Where relative paths start, and what `~` is.
#[derive(Clone, Copy)]
pub(crate) struct Base<'a> {
    pub(crate) directory: &'a Path,
    pub(crate) home: Option<&'a str>,
}

impl Base<'_> {
    /// `path` as an absolute path.
    pub(crate) fn absolute(&self, path: &str) -> PathBuf {
        let path = match (path.strip_prefix('~'), self.home) {
            (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => format!("{home}{rest}"),
            _ => path.to_owned(),
        };
        let joined = self.directory.join(path);
        joined.to_str().map_or_else(|| joined.clone(), |text| PathBuf::from(clean(text)))
    }

    /// Makes a relative path absolute; an absolute one stays as it is written.
    fn node(&self, node: Option<&mut Node>) {
        if let Some(Value::String(text)) = node.map(|node| &mut node.value)
            && !text.is_empty()
            && !text.starts_with('/')
        {
            *text = self.absolute(text).to_string_lossy().into_owned();
        }
    }

    /// The same, but a Windows path stays as it is.
    fn unix(&self, node: Option<&mut Node>) {
        let is_windows = node
            .as_ref()
            .and_then(|node| node.as_str())
            .is_some_and(|text| text.starts_with('\\') || has_drive(text));
        if !is_windows {
            self.node(node);
        }
    }

    fn context(&self, node: Option<&mut Node>) {
        if node.as_ref().and_then(|node| node.as_str()).is_some_and(|text| !is_remote(text)) {
            self.node(node);
        }
    }
}

/// Whether a build context, an include and the like is no path.
pub(crate) fn is_remote(text: &str) -> bool {
    text.contains("://") || ["service:", "github.com/", "git@"].iter().any(|prefix| text.starts_with(prefix))
}

/// Makes every path of a model absolute.
pub(crate) fn model(node: &mut Node, base: Base<'_>) {
    let section = |node: &mut Node, key: &str, act: &dyn Fn(&mut Node)| {
        if let Some(map) = node.get_mut(key).and_then(Node::as_map_mut) {
            map.values_mut().for_each(|entry| act(&mut entry.node));
        }
    };
    section(node, "services", &|service| self::service(service, base));
    section(node, "secrets", &|secret| base.unix(secret.get_mut("file")));
    section(node, "configs", &|config| base.unix(config.get_mut("file")));
    section(node, "volumes", &|volume| {
        let is_local = volume.str("driver") == Some("local");
        if let Some(options) = volume.get_mut("driver_opts")
            && is_local
            && options.str("o") == Some("bind")
        {
            base.unix(options.get_mut("device"));
        }
    });
}

/// Whether a path begins with a drive of Windows: `C:\` or `C:/`.
fn has_drive(text: &str) -> bool {
    matches!(text.as_bytes(), [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic())
}

/// Writes Windows paths of bind mounts as tools on Linux know them: `C:\data` becomes `/c/data`.
pub(crate) fn convert_windows(model: &mut Node) {
    let services = model.get_mut("services").and_then(Node::as_map_mut);
    for service in services.into_iter().flat_map(|services| services.values_mut()) {
        each(service.node.get_mut("volumes"), |item| {
            let is_bind = item.str("type") == Some("bind");
            if let Some(Value::String(text)) = item.get_mut("source").map(|source| &mut source.value)
                && is_bind
                && has_drive(text)
            {
                let rest = text[2..].replace('\\', "/");
                *text = format!("/{}{rest}", text[..1].to_ascii_lowercase());
            }
        });
    }
}

/// Makes every path of a service absolute.
pub(crate) fn service(node: &mut Node, base: Base<'_>) {
    if let Some(build) = node.get_mut("build") {
        base.context(build.get_mut("context"));
        if let Some(map) = build.get_mut("additional_contexts").and_then(Node::as_map_mut) {
            map.values_mut().for_each(|entry| base.context(Some(&mut entry.node)));
        }
        if let Some(map) = build.get_mut("ssh").and_then(Node::as_map_mut) {
            map.values_mut().for_each(|entry| base.unix(Some(&mut entry.node)));
        }
    }
    each(node.get_mut("env_file"), |item| base.node(item.get_mut("path")));
    each(node.get_mut("label_file"), |item| base.node(Some(item)));
    each(node.get_mut("volumes"), |item| {
        if item.str("type") == Some("bind") {
            base.unix(item.get_mut("source"));
        }
    });
    each(node.get_mut("develop").and_then(|develop| develop.get_mut("watch")), |item| {
        base.node(item.get_mut("path"));
    });
    if let Some(extends) = node.get_mut("extends") {
        base.context(extends.get_mut("file"));
    }
}

fn each(list: Option<&mut Node>, act: impl Fn(&mut Node)) {
    if let Some(Value::List(items)) = list.map(|node| &mut node.value) {
        items.iter_mut().for_each(act);
    }
}
