//! Mounts, devices and links inside the root: from the specification's words to the kernel's.

use super::{c_path, c_string, refused};
use crate::cgroup::Hierarchies;
use crate::{Spec, StartError};
use oci_spec::runtime::{LinuxDevice, LinuxDeviceType, Mount};
use resource::Part;
use rustix::fs::{FileType, Mode, makedev};
use rustix::mount::MountFlags;
use std::cell::Cell;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::Path;
use sys::mount::Attributes;

/// One mount inside the root.
pub(crate) struct MountPlan {
    /// Absolute path in the root.
    pub(crate) target: CString,
    pub(crate) kind: Kind,
}

/// What is done at a target.
pub(crate) enum Kind {
    /// Something of the host.
    Bind(Bind),
    /// A file system.
    FileSystem {
        kind: CString,
        source: CString,
        flags: MountFlags,
        data: Option<CString>,
        below: Option<CString>,
    },
    /// The mount there becomes read-only.
    Seal,
    /// A symbolic link, `target`'s folder is there.
    Link(CString),
}

/// A file or folder of the host.
pub(crate) struct Bind {
    pub(crate) source: CString,
    pub(crate) recursive: bool,
    pub(crate) attributes: Attributes,
    /// Attributes reach the mounts below as well.
    pub(crate) attributes_recursive: bool,
    /// Propagation reaches the mounts below as well.
    pub(crate) propagation_recursive: bool,
    /// The source's tree, opened in the child while its propagation is still the host's.
    pub(crate) early: Cell<Option<OwnedFd>>,
}

/// A device node.
pub(crate) struct Device {
    pub(crate) path: CString,
    pub(crate) kind: FileType,
    pub(crate) mode: Mode,
    pub(crate) number: u64,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// A symbolic link.
pub(crate) struct Link {
    pub(crate) path: CString,
    pub(crate) target: CString,
}

/// Links that /dev has besides its nodes.
pub(crate) fn links() -> Vec<Link> {
    let link = |(path, target): (&std::ffi::CStr, &std::ffi::CStr)| Link {
        path: path.to_owned(),
        target: target.to_owned(),
    };
    [
        (c"/dev/fd", c"/proc/self/fd"),
        (c"/dev/stdin", c"/proc/self/fd/0"),
        (c"/dev/stdout", c"/proc/self/fd/1"),
        (c"/dev/stderr", c"/proc/self/fd/2"),
        (c"/dev/core", c"/proc/kcore"),
        (c"/dev/ptmx", c"pts/ptmx"),
    ]
    .map(link)
    .into()
}

/// Device nodes of the specification.
pub(crate) fn devices(spec: &Spec) -> Result<Vec<Device>, StartError> {
    let devices = spec.linux().as_ref().and_then(|linux| linux.devices().as_ref());
    devices.into_iter().flatten().map(device).collect()
}

fn device(device: &LinuxDevice) -> Result<Device, StartError> {
    let bad = || {
        let path = device.path().display().to_string();
        refused(format!("device {path} cannot be made")).about(Part::Device(path))
    };
    let kind = match device.typ() {
        LinuxDeviceType::B => FileType::BlockDevice,
        LinuxDeviceType::C | LinuxDeviceType::U => FileType::CharacterDevice,
        LinuxDeviceType::P => FileType::Fifo,
        LinuxDeviceType::A => return Err(bad()),
    };
    let number = |number: i64| u32::try_from(number).map_err(|_| bad());
    Ok(Device {
        path: absolute(device.path())?,
        kind,
        mode: Mode::from_raw_mode(device.file_mode().unwrap_or(0o666) & 0o7777),
        number: makedev(number(device.major())?, number(device.minor())?),
        uid: device.uid().unwrap_or(0),
        gid: device.gid().unwrap_or(0),
    })
}

/// The part of the specification that a mount is.
fn asking(mount: &Mount) -> Part {
    Part::Mount(mount.destination().display().to_string())
}

/// A path in the container, which must be absolute.
fn absolute(path: &Path) -> Result<CString, StartError> {
    if path.has_root() { c_path(path) } else { Err(refused(format!("{} is not absolute", path.display()))) }
}

/// Everything mounted inside the root, in order.
pub(crate) fn plan(spec: &Spec, cgroup_namespace: bool) -> Result<Vec<MountPlan>, StartError> {
    let mut plans = vec![];
    for mount in spec.mounts().iter().flatten() {
        let target = absolute(mount.destination())?;
        let kind = mount.typ().as_deref().unwrap_or("bind");
        let options = Options::parse(mount)?;
        match kind {
            "cgroup" => cgroups(&mut plans, mount.destination(), &options, cgroup_namespace)?,
            _ if kind == "bind" || options.bind => {
                plans.push(MountPlan { target, kind: Kind::Bind(bind(mount, options)?) });
            }
            kind => {
                let source = mount.source().as_deref().map_or_else(|| c_string(kind), c_path)?;
                let (below, data): (Vec<_>, Vec<_>) =
                    options.data.into_iter().partition(|option| option.starts_with(crate::spec::SUBPATH));
                let below = below.first().map(|option| c_string(&option[crate::spec::SUBPATH.len()..]));
                let data = Some(data.join(",")).filter(|data| !data.is_empty());
                let kind = Kind::FileSystem {
                    kind: c_string(kind)?,
                    source,
                    flags: options.flags,
                    data: data.map(c_string).transpose()?,
                    below: below.transpose()?,
                };
                plans.push(MountPlan { target, kind });
            }
        }
    }
    Ok(plans)
}

fn bind(mount: &Mount, options: Options) -> Result<Bind, StartError> {
    let source = mount.source().as_ref().ok_or_else(|| refused("a bind mount has no source"))?;
    if let Some(unknown) = options.data.first() {
        let what = format!("mount option `{unknown}` of {}", mount.destination().display());
        return Err(refused(format!("{what} is not known for a bind mount")).about(asking(mount)));
    }
    Ok(Bind {
        source: c_path(source)?,
        recursive: options.recursive,
        attributes: options.attributes,
        attributes_recursive: options.attributes_recursive,
        propagation_recursive: options.propagation_recursive,
        early: Cell::new(None),
    })
}

/// The cgroup file system: the one of v2, or a tmpfs with every hierarchy of v1 in it.
fn cgroups(
    plans: &mut Vec<MountPlan>,
    target: &Path,
    options: &Options,
    _own_namespace: bool,
) -> Result<(), StartError> {
    let hierarchies = Hierarchies::get();
    let mount = |kind, flags, data: Option<CString>| Kind::FileSystem {
        kind: CString::from(kind),
        source: c"cgroup".into(),
        flags,
        data,
        below: None,
    };
    if hierarchies.v1.is_empty() {
        let kind = mount(c"cgroup2", options.flags, None);
        plans.push(MountPlan { target: c_path(target)?, kind });
        return Ok(());
    }
    let flags = options.flags - MountFlags::RDONLY;
    plans.push(MountPlan { target: c_path(target)?, kind: mount(c"tmpfs", flags, Some(c"mode=755".into())) });
    for hierarchy in &hierarchies.v1 {
        let folder = target.join(&hierarchy.folder);
        let kind = mount(c"cgroup", options.flags, Some(c_string(&hierarchy.options)?));
        plans.push(MountPlan { target: c_path(&folder)?, kind });
        let names: Vec<_> = hierarchy.options.split(',').collect();
        for name in names.iter().filter(|name| names.len() > 1 && **name != hierarchy.folder) {
            let link = Kind::Link(c_string(&hierarchy.folder)?);
            plans.push(MountPlan { target: c_path(&target.join(name))?, kind: link });
        }
    }
    if options.flags.contains(MountFlags::RDONLY) {
        plans.push(MountPlan { target: c_path(target)?, kind: Kind::Seal });
    }
    Ok(())
}

/// Options of a mount, sorted by what they mean to the kernel.
#[derive(Debug)]
struct Options {
    flags: MountFlags,
    bind: bool,
    recursive: bool,
    attributes: Attributes,
    attributes_recursive: bool,
    propagation_recursive: bool,
    /// What only the file system understands.
    data: Vec<String>,
}

/// Attributes as the kernel numbers them that `sys::mount` does not name.
const ATIME: u64 = 0x70;
const NO_ATIME: u64 = 0x10;
const STRICT_ATIME: u64 = 0x20;
const NO_DIR_ATIME: u64 = 0x80;

impl Options {
    fn parse(mount: &Mount) -> Result<Self, StartError> {
        let mut options = Self {
            flags: MountFlags::empty(),
            bind: false,
            recursive: false,
            attributes: Attributes::default(),
            attributes_recursive: false,
            propagation_recursive: false,
            data: vec![],
        };
        for option in mount.options().iter().flatten() {
            if !options.flag(option) && !options.propagation(option) {
                match option.as_str() {
                    "defaults" | "remount" | "" => {}
                    "idmap" | "ridmap" => {
                        let what = format!("option `{option}` of {}", mount.destination().display());
                        return Err(refused(format!("{what} is not supported")).about(asking(mount)));
                    }
                    other => options.data.push(other.to_owned()),
                }
            }
        }
        Ok(options)
    }

    /// Takes an option that is a flag of mount(2) and an attribute of a bind mount.
    fn flag(&mut self, option: &str) -> bool {
        use sys::mount::{NO_DEVICES, NO_EXEC, NO_SUID, READ_ONLY};
        let (plain, recursive) = match option {
            "rro" | "rrw" | "rnosuid" | "rsuid" | "rnodev" | "rdev" | "rnoexec" | "rexec" => {
                (&option[1..], true)
            }
            "bind" | "rbind" => {
                self.bind = true;
                self.recursive |= option == "rbind";
                return true;
            }
            other => (other, false),
        };
        let (on, flag, attribute) = match plain {
            "ro" => (true, MountFlags::RDONLY, READ_ONLY),
            "rw" => (false, MountFlags::RDONLY, READ_ONLY),
            "nosuid" => (true, MountFlags::NOSUID, NO_SUID),
            "suid" => (false, MountFlags::NOSUID, NO_SUID),
            "nodev" => (true, MountFlags::NODEV, NO_DEVICES),
            "dev" => (false, MountFlags::NODEV, NO_DEVICES),
            "noexec" => (true, MountFlags::NOEXEC, NO_EXEC),
            "exec" => (false, MountFlags::NOEXEC, NO_EXEC),
            "sync" => (true, MountFlags::SYNCHRONOUS, 0),
            "async" => (false, MountFlags::SYNCHRONOUS, 0),
            "dirsync" => (true, MountFlags::DIRSYNC, 0),
            "noatime" => (true, MountFlags::NOATIME, NO_ATIME),
            "nodiratime" => (true, MountFlags::NODIRATIME, NO_DIR_ATIME),
            "strictatime" => (true, MountFlags::STRICTATIME, STRICT_ATIME),
            "relatime" => (true, MountFlags::RELATIME, 0),
            "atime" => (false, MountFlags::NOATIME, NO_ATIME),
            "diratime" => (false, MountFlags::NODIRATIME, NO_DIR_ATIME),
            _ => return false,
        };
        self.flags.set(flag, on);
        let attributes = &mut self.attributes;
        if attribute & ATIME != 0 {
            // The kinds of atime exclude each other: all are cleared where one is set.
            (attributes.set, attributes.clear) = (attributes.set & !ATIME, attributes.clear | ATIME);
            attributes.set |= if on { attribute } else { 0 };
        } else if on {
            attributes.set |= attribute;
        } else {
            // Never cleared: a mount that is read-only on the host stays so in the container.
            attributes.set &= !attribute;
        }
        self.attributes_recursive |= recursive;
        true
    }

    /// Takes an option about propagation.
    fn propagation(&mut self, option: &str) -> bool {
        use sys::mount::{PRIVATE, SHARED, SLAVE};
        let propagation = match option.strip_prefix('r').unwrap_or(option) {
            "private" => PRIVATE,
            "slave" => SLAVE,
            "shared" => SHARED,
            _ => return false,
        };
        self.attributes.propagation = propagation;
        self.propagation_recursive = option.starts_with('r');
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_spec::runtime::MountBuilder;
    use sys::mount::{NO_EXEC, READ_ONLY, SLAVE};

    fn parse(options: &[&str]) -> Options {
        let options: Vec<_> = options.iter().map(|option| (*option).to_owned()).collect();
        Options::parse(&MountBuilder::default().destination("/x").options(options).build().unwrap()).unwrap()
    }

    #[test]
    fn options_become_flags_attributes_and_data() {
        let options = parse(&["nosuid", "noexec", "mode=755", "size=64m", "exec"]);
        assert_eq!(options.flags, MountFlags::NOSUID);
        assert_eq!(options.data, ["mode=755", "size=64m"]);
        let options = parse(&["rbind", "rro", "rslave", "noexec"]);
        assert!(options.bind && options.recursive && options.attributes_recursive);
        assert_eq!(options.attributes.set, READ_ONLY | NO_EXEC);
        assert_eq!((options.attributes.propagation, options.propagation_recursive), (SLAVE, true));
    }

    #[test]
    fn the_last_of_opposite_options_wins() {
        let options = parse(&["ro", "rw"]);
        assert_eq!((options.flags, options.attributes), (MountFlags::empty(), Attributes::default()));
    }

    #[test]
    fn a_relative_target_is_refused() {
        assert!(absolute(Path::new("data")).is_err());
    }
}
