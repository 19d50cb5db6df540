//! The mounts of a container, in the order they are made: what it asks for, what it takes over from
//! other containers, and a volume for every folder its image declares and nothing else covers.

use super::ResolveError;
use resource::mount::clean;
use resource::{ImageConfig, Mount, MountSpec, Propagation, Reference, VolumeName};
use std::path::PathBuf;

/// A mount with its target settled; its source is found or made by whoever creates the container.
#[derive(Clone, Debug, PartialEq)]
pub enum PlannedMount {
    /// A file or folder of the host.
    Bind {
        /// Absolute path on the host.
        source: PathBuf,
        /// Absolute path in the container.
        target: String,
        /// Cannot be written to.
        read_only: bool,
        /// A missing source is made, a folder.
        create: bool,
        /// Mounts below the source come along.
        recursive: bool,
        /// How later mounts travel.
        propagation: Propagation,
    },
    /// A volume: a named one, or a fresh or inherited anonymous one.
    Volume {
        /// `None` means a fresh one.
        name: Option<VolumeName>,
        /// It belongs to the container.
        anonymous: bool,
        /// Absolute path in the container.
        target: String,
        /// Cannot be written to.
        read_only: bool,
        /// It is filled from the image when it is empty.
        copy: bool,
        /// A folder inside it.
        subpath: Option<String>,
    },
    /// An image's files.
    Image {
        /// The image.
        source: Reference,
        /// Absolute path in the container.
        target: String,
        /// A folder in it.
        subpath: Option<String>,
    },
    /// The n-th mount of the specification, a `Content` or `File`: a file in the run-time folder.
    Content {
        /// Its place in the specification's list of mounts.
        index: usize,
        /// Absolute path in the container.
        target: String,
    },
    /// A mount that needs nothing more.
    Ready(Mount),
}

impl PlannedMount {
    /// Where in the container it is mounted.
    pub fn target(&self) -> &str {
        match self {
            Self::Bind { target, .. }
            | Self::Volume { target, .. }
            | Self::Image { target, .. }
            | Self::Content { target, .. } => target,
            Self::Ready(mount) => mount.target(),
        }
    }
}

/// Decides all mounts of a container, parents before what lies below them.
///
/// `taken_over` are mounts of the containers in `volumes_from`, and whether read-only; `replaced` are
/// those of the container whose place this one takes: its volumes go on at targets that would get
/// an anonymous one here.
///
/// # Errors
/// [`ResolveError::Target`].
pub fn mounts(
    specs: &[MountSpec],
    image: &ImageConfig,
    taken_over: &[(Mount, bool)],
    replaced: &[Mount],
) -> Result<Vec<PlannedMount>, ResolveError> {
    let mut planned: Vec<PlannedMount> = vec![];
    // A volume, bind or tmpfs beats a secret or config at the same target, whatever their order.
    let (files, others): (Vec<_>, Vec<_>) = specs.iter().enumerate().partition(|(_, spec)| spec.is_file());
    for (index, spec) in others.into_iter().chain(files) {
        let target = target(spec.target())?;
        if planned.iter().all(|mount| mount.target() != target) {
            planned.push(wanted(index, spec, target, replaced));
        }
    }
    for (mount, read_only) in taken_over {
        if planned.iter().all(|other| other.target() != mount.target()) {
            planned.push(borrowed(mount, *read_only));
        }
    }
    for folder in &image.volumes {
        let target = target(&format!("/{folder}"))?;
        if planned.iter().all(|mount| mount.target() != target) {
            planned.push(anonymous(target, false, true, None, replaced));
        }
    }
    planned.sort_by_key(|mount| mount.target().matches('/').count());
    Ok(planned)
}

fn target(text: &str) -> Result<String, ResolveError> {
    let cleaned = clean(text);
    if text.starts_with('/') && cleaned != "/" {
        Ok(cleaned)
    } else {
        Err(ResolveError::Target(text.to_owned()))
    }
}

fn wanted(index: usize, spec: &MountSpec, target: String, replaced: &[Mount]) -> PlannedMount {
    match spec {
        MountSpec::Bind { source, read_only, create, recursive, propagation, .. } => PlannedMount::Bind {
            source: source.clone(),
            target,
            read_only: *read_only,
            create: *create,
            recursive: *recursive,
            propagation: *propagation,
        },
        MountSpec::Volume { source: Some(name), read_only, no_copy, subpath, .. } => PlannedMount::Volume {
            name: Some(name.clone()),
            anonymous: false,
            target,
            read_only: *read_only,
            copy: !no_copy && subpath.is_none(),
            subpath: subpath.clone(),
        },
        MountSpec::Volume { source: None, read_only, no_copy, subpath, .. } => {
            anonymous(target, *read_only, !no_copy && subpath.is_none(), subpath.clone(), replaced)
        }
        MountSpec::Tmpfs { size, mode, options, read_only, .. } => PlannedMount::Ready(Mount::Tmpfs {
            target,
            options: tmpfs_options(*size, *mode, options, *read_only),
        }),
        MountSpec::Image { source, subpath, .. } => {
            PlannedMount::Image { source: source.clone(), target, subpath: subpath.clone() }
        }
        MountSpec::Content { .. } | MountSpec::File { owner: Some(_), .. } => {
            PlannedMount::Content { index, target }
        }
        MountSpec::File { source, owner: None, .. } => PlannedMount::Bind {
            source: source.clone(),
            target,
            read_only: true,
            create: false,
            recursive: false,
            propagation: Propagation::Rprivate,
        },
    }
}

/// The volume that the replaced container had at this target, else a fresh one.
fn anonymous(
    target: String,
    read_only: bool,
    copy: bool,
    subpath: Option<String>,
    replaced: &[Mount],
) -> PlannedMount {
    let kept = replaced.iter().find_map(|mount| match mount {
        Mount::Bind { target: other, volume: Some(volume), anonymous, .. } if *other == target => {
            Some((volume.clone(), *anonymous))
        }
        _ => None,
    });
    let (name, anonymous) = kept.map_or((None, true), |(volume, anonymous)| (Some(volume), anonymous));
    PlannedMount::Volume { name, anonymous, target, read_only, copy, subpath }
}

/// A mount of another container: its volume stays the other's.
fn borrowed(mount: &Mount, make_read_only: bool) -> PlannedMount {
    let mut mount = mount.clone();
    if let Mount::Bind { read_only, anonymous, .. } = &mut mount {
        *read_only |= make_read_only;
        *anonymous = false;
    }
    PlannedMount::Ready(mount)
}

/// Docker's defaults, less what the options given contradict.
fn tmpfs_options(size: Option<u64>, mode: Option<u32>, given: &[String], read_only: bool) -> Vec<String> {
    let has = |name: &str| given.iter().any(|option| option == name);
    let has_key = |key: &str| given.iter().any(|option| option.split('=').next() == Some(key));
    let mut options: Vec<String> = [("noexec", "exec"), ("nosuid", "suid"), ("nodev", "dev")]
        .into_iter()
        .filter(|(default, opposite)| !has(default) && !has(opposite))
        .map(|(default, _)| default.to_owned())
        .collect();
    options.extend(size.filter(|_| !has_key("size")).map(|size| format!("size={size}")));
    if !has_key("mode") {
        options.push(format!("mode={:o}", mode.unwrap_or(0o1777)));
    }
    if read_only && !has("ro") {
        options.push("ro".to_owned());
    }
    options.extend(given.iter().cloned());
    options
}
