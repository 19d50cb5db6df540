//! Git repositories, by the program `git` of this machine: which commit a name means, and its files.
//!
//! git is given no configuration of the user's or the machine's, asks nobody anything, and speaks only the
//! protocols of remote repositories. ssh finds known hosts and keys in the user's home, and the agent that
//! the build was given; secrets for servers are told to the one host that they are for.

use crate::secret;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use resource::BuildSpec;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use store::{CacheMount, CacheSharing, Store};

/// Where a repository is, and what of it is wanted: `URL#REF:SUBFOLDER`, or `URL?branch=NAME&subdir=SUBFOLDER` and the
/// like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Repository {
    /// What git is given.
    pub(crate) url: String,
    /// A branch, a tag or a whole commit; empty is what the repository's `HEAD` is.
    pub(crate) reference: String,
    /// A folder in it, without `.` and `..`; empty is its root.
    pub(crate) folder: String,
    /// What the wanted commit's name begins with; empty where nothing is promised.
    pub(crate) checksum: String,
    /// Whether `.git` is wanted, where the address says so.
    pub(crate) with_git: Option<bool>,
    /// Other repositories in it are left out.
    pub(crate) alone: bool,
    /// Two things that it says and that cannot both be.
    fault: Option<&'static str>,
}

/// The files of a commit, as long as this is kept.
#[derive(Debug)]
pub(crate) struct Checkout {
    /// Where they are.
    pub(crate) path: PathBuf,
    _mount: CacheMount,
}

impl Repository {
    /// Reads an address; `None` when it is none of a repository. `bare_host`: `github.com/…` is one, too.
    pub(crate) fn parse(text: &str, bare_host: bool) -> Option<Self> {
        let (place, fragment) = text.split_once('#').unwrap_or((text, ""));
        let is_web = place.starts_with("https://") || place.starts_with("http://");
        let path = place.split('?').next().unwrap_or(place);
        let url = match place {
            _ if is_web && path.ends_with(".git") => place.to_owned(),
            _ if is_web => return None,
            _ if place.starts_with("git://") || place.starts_with("ssh://") => place.to_owned(),
            _ if bare_host && place.starts_with("github.com/") => format!("https://{place}"),
            _ if is_of_scp(place) => place.to_owned(),
            _ => return None,
        };
        let (reference, folder) = fragment.split_once(':').unwrap_or((fragment, ""));
        let (reference, folder) = (reference.to_owned(), folder.to_owned());
        let mut repository = Self { reference, folder, ..Self::default() };
        repository.url = repository.take_queries(&url);
        repository.folder = resource::mount::clean(&repository.folder).trim_start_matches('/').to_owned();
        Some(repository)
    }

    /// Takes what queries of an address say of the commit; those that are not ours are left for the server.
    fn take_queries(&mut self, url: &str) -> String {
        let Some((place, queries)) = url.split_once('?') else { return url.to_owned() };
        let mut left = vec![];
        for query in queries.split('&') {
            let (key, value) = query.split_once('=').unwrap_or((query, "true"));
            let (text, value) = match key {
                "ref" => (&mut self.reference, value.to_owned()),
                "branch" => (&mut self.reference, format!("refs/heads/{value}")),
                "tag" => (&mut self.reference, format!("refs/tags/{value}")),
                "subdir" => (&mut self.folder, value.to_owned()),
                "checksum" | "commit" => (&mut self.checksum, value.to_owned()),
                "keep-git-dir" => {
                    self.with_git = dockerfile::truth(value);
                    continue;
                }
                "submodules" => {
                    self.alone = dockerfile::truth(value) == Some(false);
                    continue;
                }
                _ => {
                    left.push(query);
                    continue;
                }
            };
            if !text.is_empty() {
                self.fault = Some("its address says twice which commit or folder is meant");
            }
            *text = value;
        }
        if left.is_empty() { place.to_owned() } else { format!("{place}?{}", left.join("&")) }
    }

    /// The commit that is wanted, as the repository has it now.
    pub(crate) fn commit(&self, access: &Access) -> Result<String, String> {
        if let Some(fault) = self.fault {
            return Err(fault.to_owned());
        }
        let promised = self.checksum.to_ascii_lowercase();
        // A whole name needs no question.
        let commit = match self.reference.is_empty() && is_commit(&promised) {
            true => promised.clone(),
            false => self.listed(access)?,
        };
        match commit.starts_with(&promised) {
            true => Ok(commit),
            false => Err(format!("it is at commit {commit}, not at `{}`", self.checksum)),
        }
    }

    fn listed(&self, access: &Access) -> Result<String, String> {
        if is_commit(&self.reference) {
            return Ok(self.reference.to_ascii_lowercase());
        }
        if self.url.starts_with('-') || self.reference.starts_with('-') {
            return Err("neither address nor reference may begin with `-`".to_owned());
        }
        let wanted = if self.reference.is_empty() { "HEAD" } else { &self.reference };
        let peeled = format!("{wanted}^{{}}");
        let listed = git(None, access, &["ls-remote", "--", &self.url, wanted, &peeled])?;
        let commit = named(&listed, wanted);
        commit.ok_or_else(|| {
            format!("it has no branch or tag `{wanted}`; a commit is named by all of its 40 digits")
        })
    }

    /// The files of a commit, with `.git` or without.
    pub(crate) fn checkout(
        &self,
        store: &Store,
        commit: &str,
        with_git: bool,
        access: &Access,
    ) -> Result<Checkout, String> {
        let failed = |error: &dyn std::error::Error| crate::error::chain(error);
        let alone = if self.alone { "\0alone" } else { "" };
        let id = format!("git\0{}\0{commit}\0{with_git}{alone}", self.url);
        let kept = store.cache_mount(&id, CacheSharing::Shared);
        let mount = kept.map_err(|error| failed(&error))?;
        let path = mount.path.clone();
        if !path.exists() {
            let made = store.scratch("git").map_err(|error| failed(&error))?;
            let fetched = self.fetch(&made, commit, with_git, access);
            let moved = fetched.and_then(|()| match std::fs::rename(&made, &path) {
                // Somebody else was quicker.
                Err(_) if path.exists() => Ok(()),
                other => other.map_err(|error| error.to_string()),
            });
            // What cannot be removed now is swept later.
            drop(std::fs::remove_dir_all(&made));
            moved?;
            mount.measure();
        }
        Ok(Checkout { path, _mount: mount })
    }

    fn fetch(&self, to: &Path, commit: &str, with_git: bool, access: &Access) -> Result<(), String> {
        let git = |arguments: &[&str]| git(Some(to), access, arguments);
        std::fs::create_dir(to).map_err(|error| error.to_string())?;
        git(&["init", "--quiet", "--initial-branch=main"])?;
        git(&["remote", "add", "origin", &self.url])?;
        let reference = if self.reference.is_empty() { "HEAD" } else { &self.reference };
        // Servers need not give commits by their digits alone, nor only the last one of a branch.
        let ways: [&[&str]; 3] = [
            &["fetch", "--quiet", "--depth=1", "--", "origin", commit],
            &["fetch", "--quiet", "--", "origin", reference],
            &["fetch", "--quiet", "--tags", "origin", "+refs/heads/*:refs/remotes/origin/*"],
        ];
        let mut last = Ok(String::new());
        for way in ways {
            last = git(way).and_then(|_| git(&["checkout", "--quiet", "--force", "--detach", commit]));
            if last.is_ok() {
                break;
            }
        }
        last?;
        if !self.alone {
            git(&["submodule", "--quiet", "update", "--init", "--recursive"])?;
        }
        if !with_git {
            remove_books(to).map_err(|error| error.to_string())?;
        }
        settle_modes(to).map_err(|error| error.to_string())
    }
}

/// What git is given besides the address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    /// An agent's socket, or the file of a key.
    agent: Option<PathBuf>,
    /// Scheme and host, and what they are told in `Authorization`.
    header: Option<(String, String)>,
}

impl Access {
    /// What a build has for a repository: the agent `default`, and one of the secrets `GIT_AUTH_HEADER` and
    /// `GIT_AUTH_TOKEN`, before these the ones with `.HOST` behind their names.
    ///
    /// # Errors
    /// Why a secret that is given cannot be read.
    pub(crate) fn of(spec: &BuildSpec, url: &str) -> Result<Self, String> {
        let agent = spec.ssh.get("default").cloned();
        let Some((scope, host)) = scope(url) else { return Ok(Self { agent, header: None }) };
        for id in [format!(".{host}"), String::new()] {
            if let Some(header) = secret::read(spec, &format!("GIT_AUTH_HEADER{id}"))? {
                return Ok(Self { agent, header: Some((scope, header.trim().to_owned())) });
            }
            if let Some(token) = secret::read(spec, &format!("GIT_AUTH_TOKEN{id}"))? {
                let encoded = BASE64_STANDARD.encode(format!("x-access-token:{}", token.trim()));
                return Ok(Self { agent, header: Some((scope, format!("basic {encoded}"))) });
            }
        }
        Ok(Self { agent, header: None })
    }

    /// Configuration as variables, which only the same user can see in /proc.
    fn variables(&self) -> Vec<(&str, String)> {
        let Some((scope, header)) = &self.header else { return vec![] };
        vec![
            ("GIT_CONFIG_COUNT", "1".to_owned()),
            ("GIT_CONFIG_KEY_0", format!("http.{scope}.extraHeader")),
            ("GIT_CONFIG_VALUE_0", format!("Authorization: {header}")),
        ]
    }
}

/// Scheme and host of an address that secrets may be sent to, and the host without its port: `https`, and `http`
/// of this machine itself.
pub(crate) fn scope(url: &str) -> Option<(String, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let authority = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    let is_safe =
        scheme == "https" || scheme == "http" && matches!(host, "127.0.0.1" | "[::1]" | "localhost");
    is_safe.then(|| (format!("{scheme}://{authority}/"), host))
}

/// A text without the user and the password of addresses in it.
pub(crate) fn without_password(text: &str) -> String {
    let mut pieces = text.split("://");
    let mut shown = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece.find(['/', '?', '\'', '"', ' ']).unwrap_or(piece.len());
        let begin = piece[..end].rfind('@').filter(|at| piece[..*at].contains(':')).map_or(0, |at| at + 1);
        shown.push_str("://");
        shown.push_str(&piece[begin..]);
    }
    shown
}

/// `git@host:path`, with any user.
fn is_of_scp(place: &str) -> bool {
    let Some((user, rest)) = place.split_once('@') else { return false };
    let is_name = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    is_name(user) && rest.split_once(':').is_some_and(|(host, path)| is_name(host) && !path.is_empty())
}

fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The commit of `wanted` among the lines of `ls-remote`: of a branch before a tag of the same name, and
/// of an annotated tag what it is put on.
fn named(listed: &str, wanted: &str) -> Option<String> {
    let lines: Vec<(&str, &str)> = listed.lines().filter_map(|line| line.split_once('\t')).collect();
    let names = [
        format!("refs/heads/{wanted}"),
        format!("refs/tags/{wanted}^{{}}"),
        format!("refs/tags/{wanted}"),
        format!("refs/{wanted}"),
        format!("{wanted}^{{}}"),
        wanted.to_owned(),
    ];
    let of = |name: &String| lines.iter().find(|(_, own)| own == name).map(|(commit, _)| *commit);
    names.iter().find_map(of).filter(|commit| is_commit(commit)).map(str::to_owned)
}

/// Removes the repository's own books, those of its submodules, too.
fn remove_books(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        match entry.file_name() == ".git" {
            true if kind.is_dir() => std::fs::remove_dir_all(path)?,
            true => std::fs::remove_file(path)?,
            false if kind.is_dir() => remove_books(&path)?,
            false => {}
        }
    }
    Ok(())
}

/// Gives files and folders the modes that a repository's have, whoever fetched it: 644, and 755 for folders and
/// what can be executed.
fn settle_modes(folder: &Path) -> io::Result<()> {
    std::fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    for entry in std::fs::read_dir(folder)? {
        let (path, status) = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?)))?;
        if status.is_dir() {
            settle_modes(&path)?;
        } else if status.is_file() {
            let mode = if status.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 };
            std::fs::set_permissions(path, Permissions::from_mode(mode))?;
        }
    }
    Ok(())
}

/// How git speaks to ssh: nobody is there to be asked.
const SSH: &str = "ssh -o BatchMode=yes";

fn git(folder: Option<&Path>, access: &Access, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new("git");
    command.env_clear().stdin(Stdio::null()).args(["-c", "core.hooksPath=/dev/null"]).args(arguments);
    let kept =
        ["PATH", "HOME", "HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"];
    command.envs(kept.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.envs([
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_ALLOW_PROTOCOL", "git:http:https:ssh"),
        ("LC_ALL", "C"),
    ]);
    match &access.agent {
        Some(key) if key.is_file() => {
            // The shell that git has this read by takes a path in quotes as it is.
            let quoted = key.to_string_lossy().replace('\'', r"'\''");
            command.env("GIT_SSH_COMMAND", format!("{SSH} -o IdentitiesOnly=yes -i '{quoted}'"));
        }
        agent => {
            command.env("GIT_SSH_COMMAND", SSH);
            command.envs(agent.as_ref().map(|path| ("SSH_AUTH_SOCK", path)));
        }
    }
    command.envs(access.variables());
    if let Some(folder) = folder {
        command.current_dir(folder);
    }
    let done = command.output().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "the program `git` is not installed on this machine".to_owned(),
        _ => format!("cannot run git: {error}"),
    })?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    let said = said.lines().filter(|line| !line.trim().is_empty()).map(without_password);
    let said = said.collect::<Vec<_>>().join("; ");
    Err(if said.is_empty() { format!("git ended with {}", done.status) } else { said })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_repositories_are_told_from_others() {
        let read = |text: &str| {
            let found = Repository::parse(text, true)?;
            Some((found.url, found.reference, found.folder))
        };
        let of = |url: &str, reference: &str, folder: &str| {
            Some((url.to_owned(), reference.to_owned(), folder.to_owned()))
        };
        assert_eq!(read("https://example.com/a.git"), of("https://example.com/a.git", "", ""));
        assert_eq!(
            read("https://example.com/a.git#v1:sub/../dir/"),
            of("https://example.com/a.git", "v1", "dir")
        );
        assert_eq!(read("git@example.com:a/b#main"), of("git@example.com:a/b", "main", ""));
        assert_eq!(read("github.com/a/b#:../../dir"), of("https://github.com/a/b", "", "dir"));
        assert_eq!(read("git://example.com/a"), of("git://example.com/a", "", ""));
        assert_eq!(read("https://example.com/a.tar.gz"), None);
        assert_eq!(read("folder/a.git"), None);
        assert_eq!(Repository::parse("github.com/a/b", false), None);
    }

    #[test]
    fn queries_say_what_fragments_do_and_more() {
        let read = |text: &str| Repository::parse(text, false).unwrap();
        let plain = read(
            "https://example.com/a.git?tag=v1&own=1&subdir=/x/../y&commit=0AB&keep-git-dir&submodules=0",
        );
        assert_eq!(plain.url, "https://example.com/a.git?own=1");
        assert_eq!((plain.reference.as_str(), plain.folder.as_str()), ("refs/tags/v1", "y"));
        assert_eq!((plain.checksum.as_str(), plain.with_git, plain.alone), ("0AB", Some(true), true));
        assert_eq!(read("https://example.com/a.git?branch=b").reference, "refs/heads/b");
        assert_eq!(read("https://example.com/a.git?ref=pull/4/head").reference, "pull/4/head");
        for twice in ["?ref=a&tag=b", "?branch=a#b", "?subdir=a#:b"] {
            assert!(read(&format!("https://example.com/a.git{twice}")).fault.is_some(), "{twice}");
        }
    }

    #[test]
    fn secrets_go_to_hosts_that_nobody_listens_to() {
        let of = |scope: &str, host| Some((scope.to_owned(), host));
        assert_eq!(scope("https://example.com/a.git"), of("https://example.com/", "example.com"));
        assert_eq!(scope("https://me:word@example.com:444/a"), of("https://example.com:444/", "example.com"));
        assert_eq!(scope("http://127.0.0.1:80/a.git"), of("http://127.0.0.1:80/", "127.0.0.1"));
        assert_eq!(scope("http://example.com/a.git"), None);
        assert_eq!(scope("git@example.com:a/b"), None);
    }

    #[test]
    fn messages_show_no_password() {
        let shown = without_password("fatal: 'https://me:wo/rd' of https://me:word@example.com/a.git: no");
        assert_eq!(shown, "fatal: 'https://me:wo/rd' of https://example.com/a.git: no");
        assert_eq!(without_password("ssh://git@example.com/a"), "ssh://git@example.com/a");
    }

    #[test]
    fn a_name_means_a_branch_before_a_tag_and_a_tag_what_it_is_on() {
        let commit = |digit: &str| digit.repeat(40);
        let line = |digit: &str, name: &str| format!("{}\t{name}\n", commit(digit));
        let tags = line("a", "refs/tags/v1") + &line("b", "refs/tags/v1^{}");
        assert_eq!(named(&tags, "v1"), Some(commit("b")));
        assert_eq!(named(&(tags + &line("c", "refs/heads/v1")), "v1"), Some(commit("c")));
        assert_eq!(named(&line("d", "HEAD"), "HEAD"), Some(commit("d")));
        assert_eq!(named(&line("e", "refs/pull/4/head"), "pull/4/head"), Some(commit("e")));
        assert_eq!(named(&line("e", "refs/heads/other/v1"), "v1"), None);
    }
}
