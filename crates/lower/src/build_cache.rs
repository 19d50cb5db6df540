//! `cache_from` and `cache_to` of a build: `type=local,src=FOLDER`, and what else builders know.

use crate::lowering::Lowering;
use compose_spec::Service;
use compose_spec::model::Build;
use resource::BuildCache;
use std::path::PathBuf;

/// An entry as `key=value` pairs; one without `=` is the reference of an image.
struct Entry<'a> {
    kind: &'a str,
    pairs: Vec<(&'a str, &'a str)>,
}

impl<'a> Entry<'a> {
    fn parse(text: &'a str) -> Self {
        let pairs: Vec<_> = text.split(',').filter_map(|field| field.trim().split_once('=')).collect();
        let kind = pairs.iter().find(|(key, _)| *key == "type").map_or("registry", |(_, value)| value);
        Self { kind, pairs }
    }

    fn value(&self, key: &str) -> Option<&'a str> {
        self.pairs.iter().find(|(own, _)| *own == key).map(|(_, value)| *value)
    }
}

impl Lowering<'_> {
    /// The folders that a build takes results from.
    pub(crate) fn cache_from(&mut self, service: &Service, build: &Build) -> Vec<PathBuf> {
        let folders: Vec<_> = build
            .cache_from
            .iter()
            .map(|text| self.cache(service, text, "build.cache_from", "src"))
            .collect();
        folders.into_iter().flatten().map(|cache| cache.folder).collect()
    }

    /// The folders that get a build's results.
    pub(crate) fn cache_to(&mut self, service: &Service, build: &Build) -> Vec<BuildCache> {
        let folders: Vec<_> =
            build.cache_to.iter().map(|text| self.cache(service, text, "build.cache_to", "dest")).collect();
        folders.into_iter().flatten().collect()
    }

    fn cache(&mut self, service: &Service, text: &str, path: &str, key: &str) -> Option<BuildCache> {
        let entry = Entry::parse(text);
        if entry.kind != "local" {
            self.ignored(service, path, &format!("`{text}` is no folder, `type=local,{key}=FOLDER`"));
            return None;
        }
        let Some(folder) = entry.value(key).filter(|folder| !folder.is_empty()) else {
            self.error(service, path, format!("`{text}` names no folder: `{key}=FOLDER` is missing"));
            return None;
        };
        let all = match entry.value("mode") {
            None | Some("min") => false,
            Some("max") => true,
            Some(other) => {
                self.error(service, path, format!("`mode` of a cache is `min` or `max`, not `{other}`"));
                return None;
            }
        };
        Some(BuildCache { folder: self.project.directory.join(folder), all })
    }
}
