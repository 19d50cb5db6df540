//! registries.conf, version 2: where a reference is really to be found. See containers-registries.conf(5).

mod short;

use crate::{ConfigError, Failure};
use resource::Reference;
use serde::Deserialize;
use short::{ShortNameMode, ShortNames};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the main file and its drop-ins say.
#[derive(Clone, Debug, Default)]
pub struct Registries {
    tables: Vec<Table>,
    short_names: ShortNames,
    credential_helpers: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    #[serde(default)]
    registry: Vec<Table>,
    unqualified_search_registries: Option<Vec<String>>,
    #[serde(default)]
    short_name_mode: ShortNameMode,
    #[serde(default)]
    aliases: BTreeMap<String, String>,
    #[serde(default)]
    credential_helpers: Vec<String>,
    /// Where version 1 has everything.
    registries: Option<toml::Value>,
}

/// `[[registry]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Table {
    prefix: Option<String>,
    location: Option<String>,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    mirror_by_digest_only: bool,
    #[serde(default, rename = "mirror")]
    mirrors: Vec<Mirror>,
}

/// `[[registry.mirror]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Mirror {
    location: String,
    #[serde(default)]
    insecure: bool,
    pull_from_mirror: Option<PullFromMirror>,
}

/// Which references a mirror is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PullFromMirror {
    All,
    DigestOnly,
    TagOnly,
}

/// Where to ask for a reference.
#[derive(Clone, Debug)]
pub(crate) struct Spot {
    /// The whole name: another than the reference where that was written without a registry.
    pub(crate) reference: Reference,
    pub(crate) endpoint: Endpoint,
    /// No mirror is left to ask for this name.
    pub(crate) is_last: bool,
}

/// A registry and a repository in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Endpoint {
    /// Host and port as written: `docker.io`, `127.0.0.1:5555`.
    pub(crate) registry: String,
    /// Repository there.
    pub(crate) repository: String,
    /// Certificates are not checked, and plain HTTP will do.
    pub(crate) insecure: bool,
}

impl Endpoint {
    /// Host and port to connect to; Docker Hub's registry has another name than its images.
    pub(crate) fn host(&self) -> &str {
        if self.registry == "docker.io" { "registry-1.docker.io" } else { &self.registry }
    }

    fn parse(location: &str, rest: &str, insecure: bool) -> Self {
        let whole = format!("{location}{rest}");
        let (registry, repository) = whole.split_once('/').unwrap_or((&whole, ""));
        let insecure = insecure || is_loopback(registry);
        Self { registry: registry.to_owned(), repository: repository.to_owned(), insecure }
    }
}

/// Whether a host, with or without a port, is this machine: what Docker calls insecure by nature.
pub(crate) fn is_loopback(registry: &str) -> bool {
    let host = match registry.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => registry,
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl Registries {
    /// Reads the main file (`CONTAINERS_REGISTRIES_CONF`, else the user's, else the system's), the drop-ins
    /// of the system and the user, and the aliases that Podman has been told, in this order; later tables
    /// replace earlier ones with the same prefix.
    ///
    /// # Errors
    /// [`ConfigError`] with the file. Missing files are none, the one named by the variable excepted.
    pub fn configured() -> Result<Self, ConfigError> {
        let mut registries = Self::default();
        let system = Path::new("/etc/containers");
        let home = variable("HOME");
        let user = home.as_ref().map(|home| home.join(".config/containers"));
        if let Some(path) = variable("CONTAINERS_REGISTRIES_CONF") {
            let read = std::fs::read_to_string(&path);
            registries
                .add(&path, &read.map_err(|source| ConfigError::Read { path: path.clone(), source })?)?;
        } else if !user
            .as_ref()
            .map_or(Ok(false), |user| registries.add_file(&user.join("registries.conf")))?
        {
            registries.add_file(&system.join("registries.conf"))?;
        }
        for folder in [Some(system.to_owned()), user].into_iter().flatten() {
            let entries = std::fs::read_dir(folder.join("registries.conf.d")).into_iter().flatten().flatten();
            let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
            files.retain(|path| path.extension().is_some_and(|end| end == "conf"));
            files.sort();
            for file in files {
                registries.add_file(&file)?;
            }
        }
        let cache = variable("XDG_CACHE_HOME").or_else(|| home.map(|home| home.join(".cache")));
        for folder in [Some(PathBuf::from("/var/cache")), cache].into_iter().flatten() {
            let file = folder.join("containers/short-name-aliases.conf");
            // Another user's is not for us.
            if let Ok(text) = std::fs::read_to_string(&file) {
                registries.add(&file, &text)?;
            }
        }
        Ok(registries)
    }

    /// Adds a file if it is there; whether it is.
    fn add_file(&mut self, path: &Path) -> Result<bool, ConfigError> {
        match std::fs::read_to_string(path) {
            Ok(text) => self.add(path, &text).map(|()| true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(ConfigError::Read { path: path.to_owned(), source }),
        }
    }

    /// Adds the text of a file; `path` is for messages.
    ///
    /// # Errors
    /// [`ConfigError`] with `path`.
    pub fn add(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        let document: Document = toml::from_str(text)
            .map_err(|source| ConfigError::Registries { path: path.to_owned(), source })?;
        let wrong = |reason| ConfigError::Value { path: path.to_owned(), reason };
        if document.registries.is_some() {
            let reason =
                "it is of version 1; version 2 has [[registry]] tables and unqualified-search-registries";
            return Err(wrong(reason.to_owned()));
        }
        for table in document.registry {
            table.check().map_err(wrong)?;
            self.tables.retain(|other| other.prefix() != table.prefix());
            self.tables.push(table);
        }
        let short = &mut self.short_names;
        short
            .add(document.aliases, document.unqualified_search_registries, document.short_name_mode)
            .map_err(wrong)?;
        if !document.credential_helpers.is_empty() {
            self.credential_helpers = document.credential_helpers;
        }
        Ok(())
    }

    /// Who is asked for credentials, in order; nobody is said to be where this is empty.
    pub(crate) fn credential_helpers(&self) -> &[String] {
        &self.credential_helpers
    }

    /// A registry itself, for proving who one is.
    pub(crate) fn registry(&self, name: &str) -> Endpoint {
        let insecure = self.tables.iter().any(|table| {
            let location = table.location.as_deref().unwrap_or(table.prefix());
            let is_named = location.split('/').next() == Some(name);
            table.insecure && (is_named || table.location.is_none() && table.matched(name, name).is_some())
        });
        Endpoint::parse(name, "", insecure)
    }

    /// Where to look for a reference, in order: for each name that it may stand for the mirrors, then the
    /// place itself.
    ///
    /// # Errors
    /// [`Failure::Blocked`], [`Failure::Ambiguous`]
    pub(crate) fn spots(&self, reference: &Reference) -> Result<Vec<Spot>, Failure> {
        let mut spots = vec![];
        for reference in self.short_names.candidates(reference)? {
            // What is blocked has nothing to offer; that everything is, is said.
            let endpoints = self.endpoints(&reference).unwrap_or_default();
            let count = endpoints.len();
            spots.extend(endpoints.into_iter().enumerate().map(|(index, endpoint)| Spot {
                reference: reference.clone(),
                endpoint,
                is_last: index + 1 == count,
            }));
        }
        if spots.is_empty() { Err(Failure::Blocked) } else { Ok(spots) }
    }

    /// Where to look for a reference, in order: mirrors, then the place itself. `None`: it is blocked.
    pub(crate) fn endpoints(&self, reference: &Reference) -> Option<Vec<Endpoint>> {
        let name = format!("{}/{}", reference.registry, reference.repository);
        let whole = reference.to_string();
        let matching = self.tables.iter().filter_map(|table| Some((table.matched(&whole, &name)?, table)));
        let Some((matched, table)) = matching.max_by_key(|(_, table)| table.prefix().len()) else {
            return Some(vec![Endpoint::parse(&name, "", false)]);
        };
        if table.blocked {
            return None;
        }
        let rest = name.get(matched..).unwrap_or_default();
        let mut endpoints = vec![];
        for mirror in &table.mirrors {
            let by_digest = reference.digest.is_some();
            let usable = match mirror.pull_from_mirror {
                Some(PullFromMirror::DigestOnly) => by_digest,
                Some(PullFromMirror::TagOnly) => !by_digest,
                Some(PullFromMirror::All) => true,
                None => by_digest || !table.mirror_by_digest_only,
            };
            if usable {
                endpoints.push(Endpoint::parse(&mirror.location, rest, mirror.insecure));
            }
        }
        // A wildcard without a location leaves the name as it is.
        let location = match (&table.location, table.prefix().starts_with("*.")) {
            (Some(location), _) => location.as_str(),
            (None, true) => &name[..matched],
            (None, false) => table.prefix(),
        };
        endpoints.push(Endpoint::parse(location, rest, table.insecure));
        Some(endpoints)
    }
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Whether a place can be one: a host, perhaps with a port and a path.
fn check_location(location: &str) -> Result<(), String> {
    let host = location.split('/').next().unwrap_or_default();
    let reason = match () {
        () if location.contains("://") => "has a scheme, and needs none",
        () if location.starts_with("*.") => "cannot have a wildcard",
        () if host.is_empty() || location.ends_with('/') => "has an empty part",
        () => return Ok(()),
    };
    Err(format!("the location `{location}` {reason}"))
}

impl Table {
    /// What is wrong with it.
    fn check(&self) -> Result<(), String> {
        if self.prefix().is_empty() {
            return Err("a [[registry]] has neither prefix nor location".to_owned());
        }
        let mirrors = self.mirrors.iter().map(|mirror| &mirror.location);
        mirrors.chain(&self.location).try_for_each(|location| check_location(location))?;
        if self.mirror_by_digest_only && self.mirrors.iter().any(|mirror| mirror.pull_from_mirror.is_some()) {
            let prefix = self.prefix();
            return Err(format!(
                "`{prefix}` has mirror-by-digest-only, and a mirror of it pull-from-mirror; only one of them can be"
            ));
        }
        Ok(())
    }

    fn prefix(&self) -> &str {
        self.prefix.as_deref().or(self.location.as_deref()).unwrap_or_default()
    }

    /// How many bytes of `name` the prefix stands for, if it matches. A prefix may go down to the tag;
    /// what is then left of the name is nothing.
    fn matched(&self, whole: &str, name: &str) -> Option<usize> {
        let prefix = self.prefix();
        if let Some(domain) = prefix.strip_prefix('*') {
            let host = name.split('/').next().unwrap_or_default();
            return host.split(':').next()?.ends_with(domain).then_some(host.len());
        }
        let rest = whole.strip_prefix(prefix)?;
        (rest.is_empty() || rest.starts_with(['/', ':', '@'])).then_some(prefix.len().min(name.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(conf: &str, reference: &str) -> Option<Vec<String>> {
        let mut registries = Registries::default();
        registries.add(Path::new("test"), conf).unwrap();
        let endpoints = registries.endpoints(&Reference::parse(reference).unwrap())?;
        let show = |endpoint: Endpoint| {
            format!(
                "{}/{}{}",
                endpoint.host(),
                endpoint.repository,
                if endpoint.insecure { " insecure" } else { "" }
            )
        };
        Some(endpoints.into_iter().map(show).collect())
    }

    #[test]
    fn without_a_table_a_reference_is_where_it_says() {
        assert_eq!(places("", "nginx").unwrap(), ["registry-1.docker.io/library/nginx"]);
        assert_eq!(places("", "localhost:5000/a").unwrap(), ["localhost:5000/a insecure"]);
        assert_eq!(places("", "quay.io/a/b").unwrap(), ["quay.io/a/b"]);
    }

    #[test]
    fn mirrors_come_first_and_the_place_itself_last() {
        let conf = "[[registry]]\nlocation = 'docker.io'\n[[registry.mirror]]\nlocation = '10.0.0.1:5555/hub'\ninsecure = true\n";
        let found = places(conf, "nginx:1").unwrap();
        assert_eq!(found, ["10.0.0.1:5555/hub/library/nginx insecure", "registry-1.docker.io/library/nginx"]);
    }

    #[test]
    fn the_longest_prefix_wins_and_ends_at_a_boundary() {
        let conf = "[[registry]]\nprefix = 'docker.io'\nlocation = 'm.test'\n
            [[registry]]\nprefix = 'docker.io/library'\nlocation = 'n.test/x'\n
            [[registry]]\nprefix = 'docker.io/lib'\nlocation = 'wrong.test'\n";
        assert_eq!(places(conf, "nginx").unwrap(), ["n.test/x/nginx"]);
        assert_eq!(places(conf, "team/app").unwrap(), ["m.test/team/app"]);
    }

    #[test]
    fn wildcards_match_subdomains_and_blocked_is_blocked() {
        let conf = "[[registry]]\nprefix = '*.corp.test'\ninsecure = true\n[[registry]]\nlocation = 'bad.test'\nblocked = true\n";
        assert_eq!(places(conf, "a.corp.test:5000/x").unwrap(), ["a.corp.test:5000/x insecure"]);
        assert_eq!(places(conf, "corp.test/x").unwrap(), ["corp.test/x"]);
        assert_eq!(places(conf, "bad.test/x"), None);
        let mut registries = Registries::default();
        registries.add(Path::new("test"), conf).unwrap();
        assert!(registries.registry("a.corp.test").insecure);
        assert!(!registries.registry("corp.test").insecure);
    }

    #[test]
    fn mirrors_may_be_for_digests_or_tags_only() {
        let conf = "[[registry]]\nlocation = 'a.test'\n[[registry.mirror]]\nlocation = 'd.test'\npull-from-mirror = 'digest-only'\n
            [[registry.mirror]]\nlocation = 't.test'\npull-from-mirror = 'tag-only'\n";
        assert_eq!(places(conf, "a.test/x:1").unwrap(), ["t.test/x", "a.test/x"]);
        let digest = format!("a.test/x@sha256:{}", "0".repeat(64));
        assert_eq!(places(conf, &digest).unwrap(), ["d.test/x", "a.test/x"]);
    }

    #[test]
    fn drop_ins_replace_tables_with_the_same_prefix() {
        let mut registries = Registries::default();
        registries.add(Path::new("a"), "[[registry]]\nlocation = 'a.test'\nblocked = true\n").unwrap();
        registries.add(Path::new("b"), "[[registry]]\nlocation = 'a.test'\n").unwrap();
        assert!(registries.endpoints(&Reference::parse("a.test/x").unwrap()).is_some());
        assert!(registries.add(Path::new("c"), "[[registry]]\ninsecure = true\n").is_err());
        assert!(registries.add(Path::new("c"), "[[registry]\n").is_err());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let reason = |text| Registries::default().add(Path::new("c"), text).unwrap_err().to_string();
        assert!(reason("[registries.search]\nregistries = ['a.test']\n").contains("version 1"));
        assert!(reason("[[registry]]\nlocation = 'https://a.test'\n").contains("has a scheme"));
        assert!(reason("[[registry]]\nlocation = '*.a.test'\n").contains("wildcard"));
        assert!(reason("[[registry]]\nprefix = 'a.test'\nlocation = '/x'\n").contains("empty part"));
        let both = "[[registry]]\nlocation = 'a.test'\nmirror-by-digest-only = true\n
            [[registry.mirror]]\nlocation = 'm.test'\npull-from-mirror = 'all'\n";
        assert!(reason(both).contains("only one of them"));
        let unknown = both.replace("'all'", "'some'");
        assert!(reason(&unknown).contains("no registries.conf"));
    }
}
