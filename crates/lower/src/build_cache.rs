//! `cache_from` and `cache_to` of a build: folders, references in registries, and the image itself.

use crate::lowering::Lowering;
use compose_spec::Service;
use compose_spec::model::Build;
use resource::{BuildCache, CacheSource, CacheTarget, Implied, Reference};

/// An entry as `key=value` pairs; one without `=` is the reference of an image.
struct Entry<'a> {
    text: &'a str,
    kind: &'a str,
    pairs: Vec<(&'a str, &'a str)>,
}

impl<'a> Entry<'a> {
    fn parse(text: &'a str) -> Self {
        let pairs: Vec<_> = text.split(',').filter_map(|field| field.trim().split_once('=')).collect();
        let kind = pairs.iter().find(|(key, _)| *key == "type").map_or("registry", |(_, value)| value);
        Self { text, kind, pairs }
    }

    fn value(&self, key: &str) -> Option<&'a str> {
        self.pairs.iter().find(|(own, _)| *own == key).map(|(_, value)| *value)
    }
}

impl Lowering<'_> {
    /// Where a build takes results from.
    pub(crate) fn cache_from(&mut self, service: &Service, build: &Build) -> Vec<CacheSource> {
        let mut sources = vec![];
        for text in &build.cache_from {
            let entry = Entry::parse(text);
            sources.extend(match self.cache(service, &entry, "build.cache_from", "src") {
                Some(CacheTarget::Folder(folder)) => Some(CacheSource::Folder(folder)),
                Some(CacheTarget::Registry(reference)) => Some(CacheSource::Registry(reference)),
                // They come with an image, by its reference.
                Some(CacheTarget::Inline) | None => None,
            });
        }
        sources
    }

    /// What gets a build's results.
    pub(crate) fn cache_to(&mut self, service: &Service, build: &Build) -> Vec<BuildCache> {
        let mut caches = vec![];
        for text in &build.cache_to {
            let entry = Entry::parse(text);
            let Some(target) = self.cache(service, &entry, "build.cache_to", "dest") else { continue };
            let all = match entry.value("mode") {
                None | Some("min") => false,
                Some("max") => true,
                Some(other) => {
                    let message = format!("`mode` of a cache is `min` or `max`, not `{other}`");
                    self.error(service, "build.cache_to", message);
                    continue;
                }
            };
            if all && target == CacheTarget::Inline {
                let what = format!("`{text}` keeps the image's own steps alone, as `mode=min` does");
                self.ignored(service, "build.cache_to", &what);
            }
            caches.push(BuildCache { target, all });
        }
        caches
    }

    fn cache(&mut self, service: &Service, entry: &Entry<'_>, path: &str, key: &str) -> Option<CacheTarget> {
        let text = entry.text;
        match entry.kind {
            "local" => {
                let folder = entry.value(key).filter(|folder| !folder.is_empty());
                if folder.is_none() {
                    self.error(service, path, format!("`{text}` names no folder: `{key}=FOLDER` is missing"));
                }
                Some(CacheTarget::Folder(self.project.directory.join(folder?)))
            }
            "registry" => {
                let name = if entry.pairs.is_empty() { Some(text.trim()) } else { entry.value("ref") };
                let Some(name) = name.filter(|name| !name.is_empty()) else {
                    self.error(service, path, format!("`{text}` names no image: `ref=IMAGE` is missing"));
                    return None;
                };
                match Reference::parse(name) {
                    Ok(reference) => {
                        Some(CacheTarget::Registry(Reference { implied: Implied::default(), ..reference }))
                    }
                    Err(error) => {
                        self.error(service, path, error.to_string());
                        None
                    }
                }
            }
            "inline" if key == "dest" => Some(CacheTarget::Inline),
            _ => {
                let else_ = if key == "dest" { ", no registry and not `inline`" } else { " and no registry" };
                self.ignored(service, path, &format!("`{text}` is no folder{else_}"));
                None
            }
        }
    }
}
