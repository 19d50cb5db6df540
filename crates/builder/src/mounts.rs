//! `RUN --mount`: what a step sees and no layer has.

use crate::agent::{self, Agent, KeyError, StandIn};
use crate::copy::{Manner, Target};
use crate::error::at;
use crate::secret;
use crate::source::{Exclude, Found, Source};
use crate::stage::{Stop, Worker, met};
use diagnostic::Span;
use dockerfile::{MountSpec as Asked, Ownership, Run, Sharing};
use resource::{MountSpec, Propagation};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use store::{CacheMount, CacheSharing, Store};

/// The variable that tells programs where their ssh agent is.
const AGENT: &str = "SSH_AUTH_SOCK";

/// What a step mounts, looked up, nothing made yet.
pub(crate) struct Mounted {
    items: Vec<Item>,
    key: Vec<String>,
}

enum Item {
    /// Files of a tree.
    Bind { source: Source, found: Found, target: String, writable: bool },
    /// A folder that is kept.
    Cache {
        id: String,
        target: String,
        sharing: Sharing,
        seed: Option<(Source, Found)>,
        writable: bool,
        owner: Ownership,
    },
    /// Anything that needs no making.
    Plain(MountSpec),
    /// The socket of an ssh agent.
    Agent { agent: Agent, target: String, owner: Ownership },
    /// A variable.
    Variable(String, String),
}

/// What is mounted, made. Dropping it removes what was made for the step alone.
#[derive(Default)]
pub(crate) struct Ready {
    pub(crate) mounts: Vec<MountSpec>,
    pub(crate) places: Vec<(String, bool)>,
    pub(crate) environment: Vec<(String, String)>,
    scratch: Vec<PathBuf>,
    caches: Vec<CacheMount>,
    agents: Vec<StandIn>,
}

impl Drop for Ready {
    fn drop(&mut self) {
        self.caches.iter().for_each(CacheMount::measure);
        for folder in &self.scratch {
            // What cannot be removed now is swept later.
            drop(std::fs::remove_dir_all(folder));
        }
    }
}

impl Worker<'_> {
    /// Looks up what a `RUN` mounts.
    pub(crate) fn mounts(&self, run: &Run) -> Result<Mounted, Stop> {
        let mut mounted = Mounted { items: vec![], key: vec![] };
        for mount in &run.mounts {
            let asked = mount.expand(&self.state.scope)?;
            self.mount(asked, mount.span, &mut mounted)?;
        }
        Ok(mounted)
    }

    fn mount(&self, asked: Asked, span: Span, mounted: &mut Mounted) -> Result<(), Stop> {
        match asked {
            Asked::Bind { from, source, target, writable } => {
                let target = self.state.absolute(&target);
                let (source, found) = self.tree(from.as_deref(), &source, span)?;
                let digest = source.digest(self.site.store, &found);
                let digest = digest.map_err(|error| met(span, "read what is mounted", &error))?;
                mounted.key.push(format!("bind {target} {writable} {digest}"));
                mounted.items.push(Item::Bind { source, found, target, writable });
            }
            Asked::Cache { id, target, sharing, from, source, writable, owner } => {
                let target = self.state.absolute(&target);
                let seed = match &from {
                    Some(from) => Some(self.tree(Some(from), &source, span)?),
                    None => None,
                };
                // Builds that ask for a namespace share folders with those that ask for the same.
                let id = match self.target.spec.args.get("BUILDKIT_CACHE_MOUNT_NS") {
                    Some(namespace) if !namespace.is_empty() => format!("{namespace}\0{id}"),
                    _ => id,
                };
                // A folder that begins with something else is another one.
                let id = match &seed {
                    Some((source, found)) => {
                        let digest = source.digest(self.site.store, found);
                        let digest =
                            digest.map_err(|error| met(span, "read what a cache begins with", &error))?;
                        format!("{id}\0{digest}")
                    }
                    None => id,
                };
                mounted.key.push(format!("cache {id} {target} {writable}"));
                mounted.items.push(Item::Cache { id, target, sharing, seed, writable, owner });
            }
            Asked::Tmpfs { target, size } => {
                let target = self.state.absolute(&target);
                mounted.key.push(match size {
                    Some(size) => format!("tmpfs {target} {size}"),
                    None => format!("tmpfs {target}"),
                });
                let options = vec!["exec".to_owned()];
                mounted.items.push(Item::Plain(MountSpec::Tmpfs {
                    target,
                    size,
                    mode: None,
                    options,
                    read_only: false,
                }));
            }
            Asked::Secret { id, target, env, required, owner } => {
                let target = target.map(|target| self.state.absolute(&target));
                mounted.key.push(format!("secret {id} {target:?} {env:?}"));
                let content = secret::read(&self.target.spec, &id);
                let Some(content) = content.map_err(|why| at(span, "bad-secret", why))? else {
                    if required {
                        let message = format!("the secret `{id}` is not given to this build");
                        let help = "name it in `secrets` of the service's `build`, with this `target`";
                        return Err(at(span, "no-secret", message).help(help).into());
                    }
                    return Ok(());
                };
                if let Some(name) = env {
                    mounted.items.push(Item::Variable(name, content.clone()));
                }
                if let Some(target) = target {
                    let Ownership { uid, gid, mode } = owner;
                    mounted.items.push(Item::Plain(MountSpec::Content { content, target, uid, gid, mode }));
                }
            }
            Asked::Ssh { id, target, required, owner } => {
                let is_agent = |item: &&Item| matches!(item, Item::Agent { .. });
                let count = mounted.items.iter().filter(is_agent).count();
                let target = target.map_or_else(
                    || format!("/run/buildkit/ssh_agent.{count}"),
                    |target| self.state.absolute(&target),
                );
                let Ownership { uid, gid, mode } = owner;
                mounted.key.push(format!("ssh {id} {target} {uid}:{gid} {mode:o}"));
                match self.agent(&id, span)? {
                    Some(agent) => {
                        // Programs are told of the first one, unless the Dockerfile tells them of another.
                        let told = self.state.scope.environment().any(|(name, _)| name == AGENT);
                        if count == 0 && !told {
                            mounted.items.push(Item::Variable(AGENT.to_owned(), target.clone()));
                        }
                        mounted.items.push(Item::Agent { agent, target, owner });
                    }
                    None if required => {
                        let message = format!("no ssh agent `{id}` is given to this build");
                        let help = "name it in `ssh` of the service's `build`, or with `--ssh`";
                        return Err(at(span, "no-agent", message).help(help).into());
                    }
                    None => {}
                }
            }
        }
        Ok(())
    }

    /// The ssh agent, or the key in an agent's place, that this build was given by this name.
    fn agent(&self, id: &str, span: Span) -> Result<Option<Agent>, Stop> {
        let Some(path) = self.target.spec.ssh.get(id).filter(|path| !path.as_os_str().is_empty()) else {
            return Ok(None);
        };
        if !path.exists() {
            let message = format!("the ssh agent `{id}` of this build is not there: {}", path.display());
            let help = "give the socket of an agent that runs, or the file of a key";
            return Err(at(span, "no-agent", message).help(help).into());
        }
        let agent = Agent::at(path).map_err(|error| {
            let message = format!("cannot give the key {} as ssh agent `{id}`: {error}", path.display());
            let help = match error {
                KeyError::Protected => {
                    "add it to an agent with `ssh-add`, and give that one: its socket is in `$SSH_AUTH_SOCK`"
                }
                _ => "keys of the kinds Ed25519, RSA and ECDSA can be given, as ssh-keygen writes them",
            };
            at(span, "unusable-key", message).help(help)
        });
        Ok(agent?)
    }

    /// The one thing at a path of a tree.
    fn tree(&self, from: Option<&str>, path: &str, span: Span) -> Result<(Source, Found), Stop> {
        let source = self.source(from, span)?;
        // Taken literally: what would be a pattern elsewhere is a name here.
        let found = source.at(path).map_err(|error| met(span, format!("mount `{path}`"), &error))?;
        Ok((source, found))
    }
}

impl Source {
    /// What lies at a path, with all that is in it.
    fn at(&self, path: &str) -> io::Result<Found> {
        self.find_one(path, &Exclude::nothing())
    }
}

impl Mounted {
    /// What the step's result depends on.
    pub(crate) fn key(&self) -> impl Iterator<Item = &str> {
        self.key.iter().map(String::as_str)
    }

    /// Makes what is mounted.
    pub(crate) fn ready(self, store: &Store, span: Span) -> Result<Ready, Stop> {
        let mut ready = Ready::default();
        for item in self.items {
            item.make(store, &mut ready).map_err(|error| met(span, "prepare a mount", &error))?;
        }
        Ok(ready)
    }
}

impl Item {
    fn make(self, store: &Store, ready: &mut Ready) -> io::Result<()> {
        match self {
            Self::Variable(name, value) => ready.environment.push((name, value)),
            Self::Plain(mount) => {
                let is_file = matches!(mount, MountSpec::Content { .. });
                ready.places.push((mount.target().to_owned(), is_file));
                ready.mounts.push(mount);
            }
            Self::Agent { agent, target, owner } => {
                let folder = store.scratch("mount").map_err(io::Error::other)?;
                std::fs::create_dir(&folder)?;
                ready.scratch.push(folder.clone());
                ready.agents.push(StandIn::listen(&folder, agent, owner)?);
                ready.places.push((target.clone(), true));
                ready.mounts.push(bind(folder.join(agent::SOCKET), target, false));
            }
            Self::Bind { source, found, target, writable } => {
                ready.places.push((target.clone(), !found.start.is_folder()));
                let as_it_is = match &source {
                    Source::Folder { context, .. } if !writable && source.is_whole() => {
                        Some(context.path.join(&found.start.path))
                    }
                    _ => None,
                };
                let path = match as_it_is {
                    Some(path) => path,
                    None => {
                        let folder = store.scratch("mount").map_err(io::Error::other)?;
                        ready.scratch.push(folder.clone());
                        let name = if found.start.is_folder() { "" } else { "file" };
                        copy(&source, &found, &folder, name)?;
                        folder.join(name)
                    }
                };
                ready.mounts.push(bind(path, target, !writable));
            }
            Self::Cache { id, target, sharing, seed, writable, owner } => {
                let sharing = match sharing {
                    Sharing::Shared => CacheSharing::Shared,
                    Sharing::Private => CacheSharing::Private,
                    Sharing::Locked => CacheSharing::Locked,
                };
                let mount = store.cache_mount(&id, sharing).map_err(io::Error::other)?;
                let folder = mount.path.clone();
                if !folder.exists() {
                    let new = store.scratch("mount").map_err(io::Error::other)?;
                    begin(&new, seed.as_ref(), owner)?;
                    match std::fs::rename(&new, &folder) {
                        // Somebody with a share in it was quicker.
                        Err(_) if folder.exists() => std::fs::remove_dir_all(&new)?,
                        other => other?,
                    }
                }
                ready.places.push((target.clone(), false));
                ready.mounts.push(bind(folder, target, !writable));
                ready.caches.push(mount);
            }
        }
        Ok(())
    }
}

fn bind(source: PathBuf, target: String, read_only: bool) -> MountSpec {
    MountSpec::Bind {
        source,
        target,
        read_only,
        create: false,
        recursive: false,
        propagation: Propagation::Rprivate,
    }
}

/// A new folder of a cache mount.
fn begin(folder: &Path, seed: Option<&(Source, Found)>, owner: Ownership) -> io::Result<()> {
    match seed {
        Some((source, found)) => copy(source, found, folder, "")?,
        None => std::fs::create_dir(folder)?,
    }
    std::os::unix::fs::chown(folder, Some(owner.uid), Some(owner.gid))?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(owner.mode))
}

/// Copies what was found into a new folder, a single file under this name.
fn copy(source: &Source, found: &Found, folder: &Path, name: &str) -> io::Result<()> {
    std::fs::create_dir(folder)?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))?;
    let root: OwnedFd = sys::file::open_folder(folder)?;
    let owner = if source.has_owners() { None } else { Some((0, 0)) };
    Target::new(&root, Manner { owner, mode: None }).copy(source.root(), &found.entries, &|path| {
        Path::new(name).join(path.strip_prefix(&found.start.path).unwrap_or(path))
    })
}
