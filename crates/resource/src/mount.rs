//! Mounts of a container: as asked for ([`MountSpec`]) and as made ([`Mount`]).

use crate::{Reference, VolumeName};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How mounts made under a bind mount travel; mount_namespaces(7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Propagation {
    /// Not at all, the whole tree.
    #[default]
    Rprivate,
    /// Not at all.
    Private,
    /// Both ways, the whole tree.
    Rshared,
    /// Both ways.
    Shared,
    /// From the host only, the whole tree.
    Rslave,
    /// From the host only.
    Slave,
}

/// A mount that a container asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum MountSpec {
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
    /// A volume of the store.
    Volume {
        /// `None` is an anonymous volume.
        source: Option<VolumeName>,
        /// Absolute path in the container.
        target: String,
        /// Cannot be written to.
        read_only: bool,
        /// An empty volume is not filled from the image.
        no_copy: bool,
        /// A folder inside the volume to mount instead of its root.
        subpath: Option<String>,
    },
    /// Memory, empty on each start.
    Tmpfs {
        /// Absolute path in the container.
        target: String,
        /// Bytes at most.
        size: Option<u64>,
        /// Permission bits; 0o1777 by default.
        mode: Option<u32>,
        /// Further options as for mount(8): `exec`, `uid=33`.
        options: Vec<String>,
        /// Cannot be written to.
        read_only: bool,
    },
    /// The files of an image, which cannot be written to.
    Image {
        /// The image; it is in the store by then.
        source: Reference,
        /// Absolute path in the container.
        target: String,
        /// A folder of the image to mount instead of its root.
        subpath: Option<String>,
    },
    /// A file with this content: a secret or config that has no file on the host.
    Content {
        /// The bytes, as text.
        content: String,
        /// Absolute path in the container.
        target: String,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
        /// Permission bits.
        mode: u32,
    },
    /// A file of the host that cannot be written to: a secret or config from a file.
    File {
        /// Absolute path on the host.
        source: PathBuf,
        /// Absolute path in the container.
        target: String,
        /// SHA-256 of its content, hexadecimal, when it was asked for: another content is another mount.
        sha256: String,
        /// Owner, group and permission bits of a copy; without them it is the file itself.
        owner: Option<Owner>,
    },
}

/// Whose a copy of a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// User id inside the container.
    pub uid: u32,
    /// Group id inside the container.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
}

impl MountSpec {
    /// Where in the container it is mounted.
    pub fn target(&self) -> &str {
        match self {
            Self::Bind { target, .. }
            | Self::Volume { target, .. }
            | Self::Tmpfs { target, .. }
            | Self::Image { target, .. }
            | Self::Content { target, .. }
            | Self::File { target, .. } => target,
        }
    }

    /// Whether it is a single file that is given to the container: a secret or config.
    pub fn is_file(&self) -> bool {
        matches!(self, Self::Content { .. } | Self::File { .. })
    }
}

/// A mount with its source found; what the runtime makes, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Mount {
    /// A file or folder of the host, a volume's folder among them.
    Bind {
        /// Absolute path on the host; it exists.
        source: PathBuf,
        /// Absolute path in the container; made when missing.
        target: String,
        /// Cannot be written to.
        read_only: bool,
        /// Mounts below the source come along.
        recursive: bool,
        /// How later mounts travel.
        propagation: Propagation,
        /// The volume it is, for `ps`, `down -v` and recreation.
        volume: Option<VolumeName>,
        /// The volume is anonymous: it belongs to this container.
        anonymous: bool,
    },
    /// Memory, empty on each start.
    Tmpfs {
        /// Absolute path in the container; made when missing.
        target: String,
        /// mount(8) options: `noexec`, `size=64m`, `mode=1777`.
        options: Vec<String>,
    },
    /// A volume that is a file system of its own: `nfs`, `cifs`, `tmpfs`, `ext4`.
    FileSystem {
        /// Its type.
        kind: String,
        /// What is mounted: `:/export`, `/dev/sdb1`.
        device: String,
        /// Absolute path in the container; made when missing.
        target: String,
        /// mount(8) options.
        options: Vec<String>,
        /// The volume it is.
        volume: VolumeName,
    },
    /// An image's files.
    Image {
        /// Its unpacked layers, lowest first and at least two, absolute paths.
        layers: Vec<PathBuf>,
        /// Absolute path in the container; made when missing.
        target: String,
        /// A folder in it to mount instead of its root.
        subpath: Option<String>,
    },
}

impl Mount {
    /// Where in the container it is mounted.
    pub fn target(&self) -> &str {
        match self {
            Self::Bind { target, .. }
            | Self::Tmpfs { target, .. }
            | Self::FileSystem { target, .. }
            | Self::Image { target, .. } => target,
        }
    }

    /// The volume it is, and whether that belongs to this container alone.
    pub fn volume(&self) -> Option<(&VolumeName, bool)> {
        match self {
            Self::Bind { volume: Some(volume), anonymous, .. } => Some((volume, *anonymous)),
            Self::FileSystem { volume, .. } => Some((volume, false)),
            _ => None,
        }
    }
}

/// A path in a container without `.`, `..`, doubled and trailing slashes; absolute whatever came in.
pub fn clean(path: &str) -> String {
    let mut parts = vec![];
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn a_path_stays_inside() {
        assert_eq!(clean("../../etc/./passwd"), "/etc/passwd");
        assert_eq!(clean("a//b/../c/"), "/a/c");
    }
}
