//! The sources of a container's mounts: volumes are made, claimed and filled, folders of the host made,
//! files with secrets written.

use super::{Draft, Undo};
use crate::resolve::PlannedMount;
use crate::{Engine, EngineError, disk};
use resource::{
    ContainerRecord, ContainerSpec, Image, Mount, MountSpec, Owner, Propagation, VolumeName, VolumeRecord,
    VolumeSpec,
};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Claims on volumes lie this many folders below DATA.
const USER_DEPTH: usize = 3;

impl Draft<'_> {
    /// Finds or makes the source of every mount.
    pub(super) fn sources(
        &mut self,
        planned: Vec<PlannedMount>,
        image: &Image,
    ) -> Result<Vec<Mount>, EngineError> {
        let run = self.engine.roots().container_run(&self.spec.pod, &self.owner.id);
        write_contents(&run, self.spec)?;
        planned.into_iter().map(|mount| self.source(mount, image, &run)).collect()
    }

    fn source(&mut self, planned: PlannedMount, image: &Image, run: &Path) -> Result<Mount, EngineError> {
        Ok(match planned {
            PlannedMount::Ready(mount) => {
                if let Some((volume, _)) = mount.volume() {
                    self.claim_volume(volume)?;
                }
                mount
            }
            PlannedMount::Image { source, target, subpath } => {
                let image = self.engine.image_for(&source, self.spec)?;
                let layers = image.layers.iter().map(|layer| self.engine.store().layer_path(layer));
                let mut layers: Vec<PathBuf> = layers.collect();
                // The kernel merges two at least.
                while layers.len() < 2 {
                    layers.insert(0, self.nothing(&format!("nothing{}", layers.len()))?);
                }
                Mount::Image { layers, target, subpath }
            }
            PlannedMount::Content { index, target } => Mount::Bind {
                source: content_path(run, index),
                target,
                read_only: true,
                recursive: false,
                propagation: Propagation::Rprivate,
                volume: None,
                anonymous: false,
            },
            PlannedMount::Bind { source, target, read_only, create, recursive, propagation } => {
                self.bind_source(&source, create)?;
                Mount::Bind {
                    source,
                    target,
                    read_only,
                    recursive,
                    propagation,
                    volume: None,
                    anonymous: false,
                }
            }
            PlannedMount::Volume { name, anonymous, target, read_only, copy, subpath } => {
                let record = self.volume(name)?;
                if let Some(mount) = file_system(&record, &target, read_only)? {
                    return Ok(mount);
                }
                let (mut source, ours) = self.volume_source(&record)?;
                if copy && ours {
                    self.engine.store().copy_up(image, &target, &record.spec.name)?;
                }
                if let Some(subpath) = &subpath {
                    source = self.inside(&record.spec.name, &source, subpath)?;
                }
                let propagation = Propagation::Rprivate;
                Mount::Bind {
                    source,
                    target,
                    read_only,
                    recursive: true,
                    propagation,
                    volume: Some(record.spec.name),
                    anonymous,
                }
            }
        })
    }

    /// The volume, made when it is missing, claimed so that nobody removes it.
    fn volume(&mut self, name: Option<VolumeName>) -> Result<VolumeRecord, EngineError> {
        let _present = self.engine.volumes_lock(false)?;
        let store = self.engine.store();
        let record = match name {
            None => {
                let record = store.create_anonymous_volume(&resource::Labels::new())?;
                self.undo.push(Undo::Volume(record.spec.name.clone()));
                record
            }
            Some(name) => match store.volume(&name) {
                Some(record) => record,
                None => {
                    let spec = VolumeSpec {
                        name: name.clone(),
                        external: false,
                        driver: "local".to_owned(),
                        options: std::collections::BTreeMap::new(),
                        labels: resource::Labels::new(),
                    };
                    let record = store.create_volume(&spec, false)?;
                    self.undo.push(Undo::Volume(name));
                    record
                }
            },
        };
        self.claim_volume(&record.spec.name)?;
        Ok(record)
    }

    fn claim_volume(&mut self, name: &VolumeName) -> Result<(), EngineError> {
        let path = self.engine.roots().volume(name).join("users").join(&self.owner.id.0);
        // The entry is named after its owner, so nobody else can have it.
        if self.owner.claim(self.engine.roots(), &path, USER_DEPTH)?.is_ok() {
            self.undo.push(Undo::Release(path));
        }
        Ok(())
    }

    /// The folder to mount, and whether it is one of the store's.
    fn volume_source(&mut self, record: &VolumeRecord) -> Result<(PathBuf, bool), EngineError> {
        let options = &record.spec.options;
        let option = |name: &str| options.get(name).map(String::as_str).unwrap_or_default();
        if options.is_empty() {
            return Ok((self.engine.store().volume_path(&record.spec.name), true));
        }
        let bind = option("o").split(',').any(|word| matches!(word, "bind" | "rbind"));
        let device = PathBuf::from(option("device"));
        if bind && device.is_absolute() {
            self.bind_source(&device, false)?;
            return Ok((device, false));
        }
        let options: Vec<_> = options.iter().map(|(name, value)| format!("`{name}: {value}`")).collect();
        Err(EngineError::VolumeOptions { volume: record.spec.name.clone(), options: options.join(", ") })
    }

    /// A folder inside a volume, by a path that cannot lead out of it.
    fn inside(&self, volume: &VolumeName, root: &Path, subpath: &str) -> Result<PathBuf, EngineError> {
        let resolve = || -> io::Result<PathBuf> {
            let folder = sys::file::open_folder(root)?;
            let flags = rustix::fs::OFlags::PATH;
            let found =
                sys::file::open_in_root(&folder, Path::new(subpath), flags, rustix::fs::Mode::empty())?;
            std::fs::read_link(format!("/proc/self/fd/{}", found.as_raw_fd()))
        };
        resolve().map_err(|source| EngineError::VolumeSubpath {
            volume: volume.clone(),
            subpath: subpath.to_owned(),
            container: self.spec.name.clone(),
            source,
        })
    }

    /// Makes sure that a path of the host exists, making folders where that is wanted.
    fn bind_source(&mut self, path: &Path, create: bool) -> Result<(), EngineError> {
        let container = self.spec.name.clone();
        let failed =
            |source| EngineError::BindSource { path: path.to_owned(), container: container.clone(), source };
        match std::fs::metadata(path) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            Err(_) if !create => return Err(EngineError::BindMissing { path: path.to_owned(), container }),
            Err(_) => {}
        }
        let missing: Vec<_> =
            path.ancestors().take_while(|folder| std::fs::symlink_metadata(folder).is_err()).collect();
        for folder in missing.into_iter().rev() {
            match std::fs::DirBuilder::new().mode(0o755).create(folder) {
                Ok(()) => self.undo.push(Undo::EmptyFolder(folder.to_owned())),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(error)),
            }
        }
        // A link that leads nowhere is there and yet cannot be mounted.
        std::fs::metadata(path).map(drop).map_err(failed)
    }
}

/// The mount of a volume whose options name a type of file system other than a bind.
fn file_system(record: &VolumeRecord, target: &str, read_only: bool) -> Result<Option<Mount>, EngineError> {
    let volume = &record.spec.name;
    let option = |name: &str| record.spec.options.get(name).map(String::as_str).unwrap_or_default();
    let words: Vec<&str> = option("o").split(',').filter(|word| !word.is_empty()).collect();
    let kind = option("type");
    if matches!(kind, "" | "none" | "bind") || words.iter().any(|word| matches!(*word, "bind" | "rbind")) {
        return Ok(None);
    }
    let mut options = words
        .iter()
        .map(|word| match word.strip_prefix("addr=") {
            // The kernel takes addresses only.
            Some(host) if kind.starts_with("nfs") || kind == "cifs" => {
                let address = address_of(host).map_err(|source| EngineError::VolumeHost {
                    volume: volume.clone(),
                    host: host.to_owned(),
                    source,
                })?;
                Ok(format!("addr={address}"))
            }
            _ => Ok((*word).to_owned()),
        })
        .collect::<Result<Vec<_>, EngineError>>()?;
    if read_only {
        options.push("ro".to_owned());
    }
    let (kind, device, target) = (kind.to_owned(), option("device").to_owned(), target.to_owned());
    Ok(Some(Mount::FileSystem { kind, device, target, options, volume: volume.clone() }))
}

/// The first address of a host.
fn address_of(host: &str) -> io::Result<std::net::IpAddr> {
    let mut found = std::net::ToSocketAddrs::to_socket_addrs(&(host, 0))?;
    found.next().map(|address| address.ip()).ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn content_path(run: &Path, index: usize) -> PathBuf {
    run.join("content").join(index.to_string())
}

/// Writes the files of secrets and configs that are no files of the host, each with its owner and mode,
/// and copies of those that are. They live in memory, so they are gone after a reboot and are written
/// again before a start; a copy is always made anew.
fn write_contents(run: &Path, spec: &ContainerSpec) -> Result<(), EngineError> {
    for (index, mount) in spec.mounts.iter().enumerate() {
        let path = content_path(run, index);
        match mount {
            MountSpec::Content { content, uid, gid, mode, .. } if !path.exists() => {
                write_content(&path, content.as_bytes(), Owner { uid: *uid, gid: *gid, mode: *mode })?;
            }
            MountSpec::File { source, owner: Some(owner), .. } => {
                let content = std::fs::read(source).map_err(EngineError::file("read", source))?;
                write_content(&path, &content, *owner)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn write_content(path: &Path, content: &[u8], owner: Owner) -> Result<(), EngineError> {
    if let Some(folder) = path.parent() {
        disk::make_folder(folder)?;
    }
    // Nobody reads it before it has its owner; the rename makes it whole or absent.
    let temporary = path.with_extension("tmp");
    let write = || {
        let mut file =
            std::fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(content)?;
        std::os::unix::fs::fchown(&file, Some(owner.uid), Some(owner.gid))?;
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(owner.mode))?;
        std::fs::rename(&temporary, path)
    };
    write().map_err(EngineError::file("write", path))
}

impl Engine {
    /// Writes what the start of a container needs and a reboot has taken.
    pub(crate) fn restore_contents(&self, record: &ContainerRecord) -> Result<(), EngineError> {
        write_contents(&self.roots().container_run(&record.spec.pod, &record.id), &record.spec)
    }
}
