//! Credentials of this user: Docker's `config.json` and containers' `auth.json`.

use crate::ConfigError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

/// Time that a credential helper may take.
pub(crate) const HELPER_TIMEOUT: Duration = Duration::from_secs(20);

/// Where Podman keeps credentials of a root without a session.
const ROOTS_FOLDER: &str = "/run/containers/0";

/// What to prove oneself with.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Credential {
    /// A user and a password.
    Password { user: String, password: String },
    /// A token that the token service exchanges for others.
    Refresh(String),
}

/// Never printed.
impl std::fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Credential")
    }
}

/// How `credential-helpers` of registries.conf names the files of credentials.
const FILES: &str = "containers-auth.json";

/// The files' content, first file first, and who else is asked.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    files: Vec<(PathBuf, File)>,
    /// Helpers for every registry, before the files and after them.
    before: Vec<String>,
    after: Vec<String>,
    /// The files are not asked.
    without_files: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    #[serde(default)]
    creds_store: String,
}

#[derive(Clone, Default, Deserialize)]
struct Entry {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default, rename = "identitytoken")]
    identity_token: String,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Entry")
    }
}

/// What a helper answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

impl Credentials {
    /// Reads the files there are: `REGISTRY_AUTH_FILE`, else `$XDG_RUNTIME_DIR/containers/auth.json` (root's without
    /// a session is `/run/containers/0/auth.json`); `$XDG_CONFIG_HOME/containers/auth.json` (`~/.config` where that
    /// is not set), `$DOCKER_CONFIG/config.json` or `~/.docker/config.json`. See containers-auth.json(5).
    ///
    /// # Errors
    /// [`ConfigError`] with the file that is damaged.
    pub fn configured() -> Result<Self, ConfigError> {
        let home = variable("HOME");
        let below_home = |path: &str| home.as_ref().map(|home| home.join(path));
        let docker = variable("DOCKER_CONFIG").or_else(|| below_home(".docker"));
        let config = variable("XDG_CONFIG_HOME").or_else(|| below_home(".config"));
        let paths = [
            auth_path(),
            config.map(|config| config.join("containers/auth.json")),
            docker.map(|docker| docker.join("config.json")),
        ];
        let mut credentials = Self::default();
        for path in paths.into_iter().flatten() {
            match std::fs::read(&path) {
                Ok(text) => credentials.add(&path, &text)?,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                // Root of a user namespace is not whom it is for.
                Err(_) if path.starts_with(ROOTS_FOLDER) => {}
                Err(source) => return Err(ConfigError::Read { path, source }),
            }
        }
        Ok(credentials)
    }

    /// Adds the text of a file; `path` is for messages.
    ///
    /// # Errors
    /// [`ConfigError::Credentials`]
    pub fn add(&mut self, path: &Path, text: &[u8]) -> Result<(), ConfigError> {
        if text.trim_ascii().is_empty() {
            return Ok(());
        }
        let file = serde_json::from_slice(text)
            .map_err(|source| ConfigError::Credentials { path: path.to_owned(), source })?;
        self.files.push((path.to_owned(), file));
        Ok(())
    }

    /// With the helpers that registries.conf names for all registries. Without any, the files are asked alone.
    pub(crate) fn asked_in_order(mut self, helpers: &[String]) -> Self {
        let mut parts = helpers.split(|helper| helper == FILES);
        self.before = parts.next().unwrap_or_default().to_vec();
        self.after = parts.flatten().cloned().collect();
        self.without_files = !helpers.is_empty() && !helpers.iter().any(|helper| helper == FILES);
        self
    }

    /// The credential for a repository of a registry, if there is one, and the first helper that failed when it
    /// was asked. May run credential helpers.
    pub(crate) async fn find(
        &self,
        registry: &str,
        repository: &str,
    ) -> (Option<Credential>, Option<HelperFault>) {
        let mut fault = None;
        for source in self.sources(registry, repository) {
            let asked = match source {
                Source::Helper(helper) => ask(helper, server(registry)).await,
                Source::Entry(entry) => Ok(entry.credential()),
            };
            match asked {
                Ok(None) => {}
                Ok(found) => return (found, fault),
                // The next one may have it.
                Err(failed) => fault = fault.or(Some(failed)),
            }
        }
        (None, fault)
    }

    /// Who may have the credential, in the order in which they are asked.
    fn sources<'a>(&'a self, registry: &'a str, repository: &'a str) -> impl Iterator<Item = Source<'a>> {
        let files = self.files.iter().filter(|_| !self.without_files);
        let in_files = files.filter_map(move |(_, file)| match file.helper(registry) {
            Some(helper) => Some(Source::Helper(helper)),
            None => file.entry(registry, repository).map(Source::Entry),
        });
        let helpers = |helpers: &'a [String]| helpers.iter().map(|helper| Source::Helper(helper));
        helpers(&self.before).chain(in_files).chain(helpers(&self.after))
    }
}

/// Where a credential may be.
enum Source<'a> {
    Helper(&'a str),
    Entry(&'a Entry),
}

/// A helper that did not do what it was asked to.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("docker-credential-{helper} get failed: {said}")]
pub(crate) struct HelperFault {
    pub(crate) helper: String,
    pub(crate) said: String,
}

impl Credentials {
    /// The credential helper that keeps what is for this registry.
    pub(crate) fn helper(&self, registry: &str) -> Option<&str> {
        self.files.iter().find_map(|(_, file)| file.helper(registry))
    }

    /// The files that have credentials for a registry themselves.
    pub(crate) fn files_with(&self, registry: &str) -> impl Iterator<Item = &Path> {
        let with = move |file: &File| file.entry(registry, "").and_then(Entry::credential).is_some();
        self.files.iter().filter(move |(_, file)| with(file)).map(|(path, _)| path.as_path())
    }
}

/// The file that a login is written to, and that is read first.
pub(crate) fn auth_path() -> Option<PathBuf> {
    variable("REGISTRY_AUTH_FILE").or_else(session_file)
}

/// Podman's file of this session.
fn session_file() -> Option<PathBuf> {
    let run = variable("XDG_RUNTIME_DIR").map(|run| run.join("containers"));
    let is_root = || std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    let of_root = || is_root().then(|| PathBuf::from(ROOTS_FOLDER));
    Some(run.or_else(of_root)?.join("auth.json"))
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

impl File {
    fn helper(&self, registry: &str) -> Option<&str> {
        let own = self.cred_helpers.get(registry).or_else(|| self.cred_helpers.get(server(registry)));
        let all = Some(&self.creds_store).filter(|store| !store.is_empty());
        own.or(all).map(String::as_str)
    }

    /// The entry with the longest path that leads to the repository.
    fn entry(&self, registry: &str, repository: &str) -> Option<&Entry> {
        let name = format!("{registry}/{repository}");
        let matching = self.auths.iter().filter_map(|(key, entry)| {
            let plain = plain(key);
            let rest = name.strip_prefix(plain)?;
            (rest.is_empty() || rest.starts_with('/')).then_some((plain.len(), entry))
        });
        matching.max_by_key(|(length, _)| *length).map(|(_, entry)| entry)
    }
}

impl Entry {
    fn credential(&self) -> Option<Credential> {
        if !self.identity_token.is_empty() {
            return Some(Credential::Refresh(self.identity_token.clone()));
        }
        let decoded = BASE64.decode(self.auth.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = decoded.as_deref().and_then(|text| text.trim_end_matches('\0').split_once(':'));
        let (user, password) = pair.unwrap_or((&self.username, &self.password));
        (!user.is_empty())
            .then(|| Credential::Password { user: user.to_owned(), password: password.to_owned() })
    }
}

/// A key of `auths` without scheme and the paths that Docker adds for the version of the protocol.
pub(crate) fn plain(key: &str) -> &str {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let key = key.trim_end_matches('/');
    let key = key.strip_suffix("/v1").or_else(|| key.strip_suffix("/v2")).unwrap_or(key);
    if matches!(key, "index.docker.io" | "registry-1.docker.io") { "docker.io" } else { key }
}

/// The name that credential helpers know a registry by.
pub(crate) fn server(registry: &str) -> &str {
    if registry == "docker.io" { "https://index.docker.io/v1/" } else { registry }
}

/// What helpers say where they have nothing for a registry.
const NOTHING: &str = "credentials not found in native keychain";

/// Asks `docker-credential-HELPER get`.
async fn ask(helper: &str, server: &str) -> Result<Option<Credential>, HelperFault> {
    let failed = |said: &str| HelperFault { helper: helper.to_owned(), said: said.to_owned() };
    let output = tokio::time::timeout(HELPER_TIMEOUT, run(helper, "get", server)).await;
    let output = output.map_err(|_| failed("it took too long"))?;
    let output = output.map_err(|error| failed(&error.to_string()))?;
    if !output.status.success() {
        let said = said(&output);
        return if said == NOTHING { Ok(None) } else { Err(failed(&said)) };
    }
    // Not shown: it may have something secret in it.
    let answer = serde_json::from_slice(&output.stdout);
    let Answer { username, secret } = answer.map_err(|_| failed("its answer is no credential"))?;
    Ok(Some(match username.as_str() {
        "<token>" => Credential::Refresh(secret),
        _ => Credential::Password { user: username, password: secret },
    }))
}

/// Has a helper do something with what it is given on its standard input.
pub(crate) async fn run(helper: &str, verb: &str, input: &str) -> std::io::Result<Output> {
    let mut child = tokio::process::Command::new(format!("docker-credential-{helper}"))
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that ends without reading says by its status how it went.
        drop(stdin.write_all(input.as_bytes()).await);
    }
    child.wait_with_output().await
}

/// What a helper that failed says is wrong, shortened: helpers say so on their standard output.
pub(crate) fn said(output: &Output) -> String {
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    let said: String = String::from_utf8_lossy(&said).trim().chars().take(200).collect();
    if said.is_empty() { output.status.to_string() } else { said }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helpers_are_asked_around_the_files_or_instead_of_them() {
        let order = |helpers: &[&str]| {
            let helpers: Vec<String> = helpers.iter().map(|helper| (*helper).to_owned()).collect();
            let asked = Credentials::default().asked_in_order(&helpers);
            (asked.before.join(" "), !asked.without_files, asked.after.join(" "))
        };
        assert_eq!(order(&[]), (String::new(), true, String::new()));
        assert_eq!(order(&["a", FILES, "b", "c"]), ("a".to_owned(), true, "b c".to_owned()));
        assert_eq!(order(&["a"]), ("a".to_owned(), false, String::new()));
    }

    fn user(file: &str, registry: &str, repository: &str) -> Option<String> {
        let file: File = serde_json::from_str(file).unwrap();
        match file.entry(registry, repository)?.credential()? {
            Credential::Password { user, password } => Some(format!("{user}:{password}")),
            Credential::Refresh(token) => Some(token),
        }
    }

    #[test]
    fn keys_are_hosts_urls_or_paths_and_the_longest_wins() {
        let file = r#"{"auths": {"https://index.docker.io/v1/": {"auth": "aHViOnB3"},
            "r.test": {"username": "all", "password": "p"}, "r.test/team": {"auth": "dGVhbTphOmI="},
            "i.test": {"auth": "eDp5", "identitytoken": "token"}, "empty.test": {}}}"#;
        assert_eq!(user(file, "docker.io", "library/nginx").unwrap(), "hub:pw");
        assert_eq!(user(file, "r.test", "x").unwrap(), "all:p");
        assert_eq!(user(file, "r.test", "team/x").unwrap(), "team:a:b");
        assert_eq!(user(file, "r.test", "teamwork/x").unwrap(), "all:p");
        assert_eq!(user(file, "i.test", "x").unwrap(), "token");
        assert_eq!(user(file, "empty.test", "x"), None);
        assert_eq!(user(file, "r.test.evil", "x"), None);
    }
}
