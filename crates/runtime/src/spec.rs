//! From a container's record to its OCI specification, with Docker's defaults. [`generate`] is pure;
//! [`devices`] looks up what it cannot know.

use crate::StartError;
use crate::capability::Set;
use crate::prepare::refused;
use oci_spec::runtime::{
    Capabilities, Linux, LinuxCapabilities, LinuxDevice, LinuxDeviceCgroup, LinuxDeviceType, LinuxNamespace,
    LinuxNamespaceType, LinuxResources, Mount, PosixRlimit, PosixRlimitBuilder, PosixRlimitType, Process,
    Root, Spec, User,
};
use resource::{ContainerRecord, IdentityShare, Mapping, NetworkMode, Part, Propagation};
use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// What the record does not say: the files the supervisor wrote and the devices the host has.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// File mounted on /etc/hosts; empty mounts none.
    pub hosts: PathBuf,
    /// File mounted on /etc/hostname; empty mounts none.
    pub hostname_file: PathBuf,
    /// File mounted on /etc/resolv.conf; empty mounts none.
    pub resolv_conf: PathBuf,
    /// The host name; empty keeps the namespace's.
    pub hostname: String,
    /// Host devices the container gets, see [`devices`].
    pub devices: Vec<HostDevice>,
    /// The host has its message queues mounted at /dev/mqueue.
    pub host_queues: bool,
    /// The kernel confines processes by AppArmor, see [`has_apparmor`].
    pub apparmor: bool,
    /// Where the engine's ids lie.
    pub mapping: Mapping,
}

/// A device of the host that a container gets.
#[derive(Clone, Debug)]
pub struct HostDevice {
    /// Where it is on the host.
    source: PathBuf,
    /// The node as it is in the container.
    node: LinuxDevice,
    /// Permissions out of `rwm`.
    access: String,
}

/// Kernel parameters every container with its own network namespace has, as Docker sets them.
pub(crate) const DEFAULT_SYSCTLS: [(&str, &str); 2] =
    [("net.ipv4.ip_unprivileged_port_start", "0"), ("net.ipv4.ping_group_range", "0 2147483647")];

/// An option of ours: of what is mounted, this folder alone is seen.
pub(crate) const SUBPATH: &str = "x-subpath=";

/// Nothing can be read from these: they tell of the host or change it.
const MASKED: [&str; 12] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

/// Nothing can be written to these: they change the host.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Nodes of every /dev: name, major, minor.
pub(crate) const NODES: [(&str, i64, i64); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// Whether this kernel confines processes by AppArmor.
pub fn has_apparmor() -> bool {
    fs::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with(b"Y"))
}

/// The host devices a record asks for: those it names (all of a folder's), and all of /dev when it is
/// privileged.
///
/// # Errors
/// What stat(2) says of a device it names; `InvalidInput` when that is none.
pub fn devices(record: &ContainerRecord) -> Result<Vec<HostDevice>, StartError> {
    let security = &record.spec.security;
    let mut found = vec![];
    for (source, target, access) in security.devices.iter().chain(&record.injected.devices) {
        let count = found.len();
        let asking = || Part::Device(target.clone());
        let failed = StartError::step("find device", source.display().to_string());
        collect(source, Path::new(target), access, &mut found)
            .map_err(|error| failed(error).about(asking()))?;
        if found.len() == count {
            let what = format!("{} is not a device", source.display());
            return Err(refused(what).about(asking()));
        }
    }
    if security.privileged {
        let entries = fs::read_dir("/dev").map_err(StartError::step("read", "/dev"))?;
        for entry in entries.flatten() {
            let own = ["pts", "shm", "mqueue", "fd", "console", "ptmx"];
            if !own.iter().any(|name| entry.file_name() == *name) && !entry.path().is_symlink() {
                // Devices come and go; one that is gone by now is not missed.
                let _gone = collect(&entry.path(), &entry.path(), "rwm", &mut found);
            }
        }
    }
    Ok(found)
}

/// Adds the device at a path, or those below a folder.
fn collect(source: &Path, target: &Path, access: &str, found: &mut Vec<HostDevice>) -> io::Result<()> {
    let stat = fs::metadata(source)?;
    if stat.is_dir() {
        for entry in fs::read_dir(source)?.flatten().filter(|entry| !entry.path().is_symlink()) {
            let _gone = collect(&entry.path(), &target.join(entry.file_name()), access, found);
        }
        return Ok(());
    }
    let kind = match stat.file_type() {
        kind if kind.is_block_device() => LinuxDeviceType::B,
        kind if kind.is_char_device() => LinuxDeviceType::C,
        _ => return Ok(()),
    };
    let mut node = LinuxDevice::default();
    node.set_path(target.to_owned())
        .set_typ(kind)
        .set_major(rustix::fs::major(stat.rdev()).into())
        .set_minor(rustix::fs::minor(stat.rdev()).into())
        .set_file_mode(Some(stat.mode() & 0o7777))
        .set_uid(Some(stat.uid()))
        .set_gid(Some(stat.gid()));
    let access = if access.is_empty() { "rwm".to_owned() } else { access.to_owned() };
    found.push(HostDevice { source: source.to_owned(), node, access });
    Ok(())
}

/// The specification Docker would make of this container.
pub fn generate(record: &ContainerRecord, around: &Surroundings) -> Spec {
    let mut root = Root::default();
    root.set_path("rootfs".into()).set_readonly(Some(record.spec.security.read_only_root));
    let mut spec = Spec::default();
    let hostname = Some(around.hostname.clone()).filter(|name| !name.is_empty());
    let own_uts = record.spec.uts == IdentityShare::Private;
    spec.set_version("1.2.0".to_owned())
        .set_root(Some(root))
        .set_process(Some(process(record, around)))
        .set_mounts(Some(mounts(record, around)))
        .set_hostname(hostname.filter(|_| own_uts))
        .set_domainname(record.spec.domainname.clone().filter(|_| own_uts))
        .set_annotations(Some(record.spec.annotations.clone().into_iter().collect()))
        .set_linux(Some(linux(record, around)));
    spec
}

fn process(record: &ContainerRecord, around: &Surroundings) -> Process {
    let (wanted, security) = (&record.process, &record.spec.security);
    let mut user = User::default();
    user.set_uid(wanted.uid).set_gid(wanted.gid).set_additional_gids(Some(wanted.groups.clone()));
    let mut process = Process::default();
    process
        .set_terminal(Some(wanted.tty))
        .set_user(user)
        .set_args(Some(wanted.argv.clone()))
        .set_env(Some(wanted.environment.clone()))
        .set_cwd(wanted.working_dir.clone().into())
        .set_capabilities(Some(capabilities(Set::granted(security), wanted.uid)))
        .set_rlimits(Some(record.spec.rlimits.iter().filter_map(limit).collect()))
        .set_no_new_privileges(Some(security.no_new_privileges))
        .set_apparmor_profile(security.apparmor.clone().filter(|_| around.apparmor))
        .set_oom_score_adj(record.spec.resources.oom_score_adj);
    process
}

/// As Docker has it, and as execve(2) would: root holds all that it is granted, others hold nothing
/// but can gain it from a set-user-id program.
fn capabilities(granted: Set, uid: u32) -> LinuxCapabilities {
    let all: Capabilities = granted.names().filter_map(|name| name.parse().ok()).collect();
    let held = if uid == 0 { all.clone() } else { Capabilities::new() };
    let mut sets = LinuxCapabilities::default();
    sets.set_bounding(Some(all))
        .set_effective(Some(held.clone()))
        .set_permitted(Some(held))
        .set_inheritable(Some(Capabilities::new()))
        .set_ambient(Some(Capabilities::new()));
    sets
}

fn limit(wanted: &resource::Rlimit) -> Option<PosixRlimit> {
    let kind: PosixRlimitType = format!("RLIMIT_{}", wanted.name.to_ascii_uppercase()).parse().ok()?;
    PosixRlimitBuilder::default().typ(kind).soft(wanted.soft).hard(wanted.hard).build().ok()
}

fn mount(target: &str, kind: &str, source: &str, options: &[&str]) -> Mount {
    let mut mount = Mount::default();
    let options = options.iter().map(|option| (*option).to_owned()).collect();
    mount
        .set_destination(target.into())
        .set_typ(Some(kind.to_owned()))
        .set_source(Some(source.into()))
        .set_options(Some(options));
    mount
}

/// The mounts every container has, without those a mount of its own replaces, then its own, those
/// nearer to the root first.
fn mounts(record: &ContainerRecord, around: &Surroundings) -> Vec<Mount> {
    let access = if record.spec.security.privileged { "rw" } else { "ro" };
    let shm = format!("size={}", record.spec.shm_size.unwrap_or(64 << 20));
    // Group 5 is `tty`.
    let terminals: &[_] = match around.mapping {
        Mapping::Single => &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
        Mapping::Host | Mapping::Subordinate => {
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]
        }
    };
    let mut mounts = vec![
        mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount("/dev/pts", "devpts", "devpts", terminals),
        mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", access]),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", access]),
    ];
    if around.mapping.is_rootless() {
        for mount in &mut mounts {
            bind_of_host(mount, record);
        }
        let hierarchy = mounts.iter().position(|mount| mount.typ().as_deref() == Some("cgroup"));
        if let Some(hierarchy) = hierarchy.filter(|_| record.spec.network_mode == NetworkMode::Host) {
            // The host's comes with its /sys, and the kernel mounts no other view of the same on it.
            let empty = mount("/sys/fs/cgroup", "tmpfs", "tmpfs", &["nosuid", "noexec", "nodev", "mode=755"]);
            mounts.insert(hierarchy, empty);
        }
    }
    if record.spec.ipc == IdentityShare::Host {
        if around.host_queues {
            mounts.push(mount("/dev/mqueue", "bind", "/dev/mqueue", &["rbind", "rprivate"]));
        }
        mounts.push(mount("/dev/shm", "bind", "/dev/shm", &["rbind", "rprivate"]));
    } else {
        mounts.push(mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]));
        mounts.push(mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", &shm]));
    }
    if around.mapping.is_rootless() {
        mounts.extend(bound_devices(around));
    }
    let files = [
        ("/etc/resolv.conf", &around.resolv_conf),
        ("/etc/hostname", &around.hostname_file),
        ("/etc/hosts", &around.hosts),
    ];
    let mut own: Vec<_> = files
        .iter()
        .filter(|(_, source)| !source.as_os_str().is_empty())
        .map(|(target, source)| mount(target, "bind", &source.to_string_lossy(), &["rbind", "rprivate"]))
        .filter(|file| !record.mounts.iter().any(|mount| Path::new(mount.target()) == file.destination()))
        .collect();
    own.extend(record.mounts.iter().map(|mount| own_mount(mount, around.mapping)));
    own.sort_by_key(|mount| mount.destination().components().count());
    mounts.retain(|default| !own.iter().any(|mount| mount.destination() == default.destination()));
    mounts.extend(own);
    mounts
}

/// Puts the host's own in the place of a file system that only the owner of a namespace can mount,
/// where that namespace is the host's: read-only all over, but for what tells of processes.
fn bind_of_host(default: &mut Mount, record: &ContainerRecord) {
    let host = |share: &IdentityShare| *share == IdentityShare::Host;
    let (of_host, options): (_, &[_]) = match default.typ().as_deref() {
        Some("proc") => (host(&record.spec.pid), &["rbind", "rprivate", "rnosuid", "rnoexec", "rnodev"]),
        Some("sysfs") => (
            record.spec.network_mode == NetworkMode::Host,
            &["rbind", "rprivate", "rnosuid", "rnoexec", "rnodev", "rro"],
        ),
        Some("cgroup") => {
            (host(&record.spec.cgroup), &["rbind", "rprivate", "rnosuid", "rnoexec", "rnodev", "rro"])
        }
        _ => return,
    };
    if of_host {
        let target = default.destination().to_string_lossy().into_owned();
        *default = mount(&target, "bind", &target, options);
    }
}

/// The devices of a container whose engine may not make nodes: the host's.
fn bound_devices(around: &Surroundings) -> Vec<Mount> {
    let default = NODES.iter().map(|(name, ..)| Path::new("/dev").join(name));
    let default = default.map(|path| (path.clone(), path));
    let asked = around.devices.iter().map(|device| (device.source.clone(), device.node.path().clone()));
    let mut seen = std::collections::HashSet::new();
    let all = default.chain(asked).filter(|(_, target)| seen.insert(target.clone()));
    let bound = all.map(|(source, target)| {
        let mut made = mount("", "bind", "", &["bind", "private", "nosuid", "noexec"]);
        made.set_source(Some(source)).set_destination(target);
        made
    });
    bound.collect()
}

fn own_mount(wanted: &resource::Mount, mapping: Mapping) -> Mount {
    match wanted {
        resource::Mount::Bind { source, target, read_only, recursive, propagation, .. } => {
            let propagation = match propagation {
                Propagation::Rprivate => "rprivate",
                Propagation::Private => "private",
                Propagation::Rshared => "rshared",
                Propagation::Shared => "shared",
                Propagation::Rslave => "rslave",
                Propagation::Slave => "slave",
            };
            let mut options = vec![if *recursive { "rbind" } else { "bind" }, propagation];
            if *read_only {
                options.push(if *recursive { "rro" } else { "ro" });
            }
            let mut made = mount(target, "bind", "", &options);
            made.set_source(Some(source.clone()));
            made
        }
        resource::Mount::FileSystem { kind, device, target, options, .. } => {
            let options: Vec<_> = options.iter().map(String::as_str).collect();
            mount(target, kind, if device.is_empty() { kind } else { device }, &options)
        }
        resource::Mount::Image { layers, target, subpath } => {
            image(target, layers, subpath.as_deref(), mapping)
        }
        resource::Mount::Tmpfs { target, options } => {
            let options: Vec<_> = options.iter().map(String::as_str).collect();
            mount(target, "tmpfs", "tmpfs", &options)
        }
    }
}

/// An image's layers, two at least, as one folder.
fn image(target: &str, layers: &[PathBuf], subpath: Option<&str>, mapping: Mapping) -> Mount {
    let lower: Vec<_> = layers.iter().rev().map(|layer| layer.to_string_lossy()).collect();
    let lower = format!("lowerdir={}", lower.join(":"));
    let subpath = subpath.map(|path| format!("{SUBPATH}{path}"));
    let mut options = vec!["ro", "nosuid", "nodev", lower.as_str()];
    options.extend(subpath.as_deref());
    // An ordinary user's layers say what is gone in attributes of users.
    options.extend(mapping.is_rootless().then_some("userxattr"));
    mount(target, "overlay", "overlay", &options)
}

fn linux(record: &ContainerRecord, around: &Surroundings) -> Linux {
    let security = &record.spec.security;
    let unmasked = security.privileged || security.unconfined_paths;
    let paths = |paths: &[&str]| {
        Some(if unmasked { vec![] } else { paths.iter().map(|path| (*path).to_owned()).collect() })
    };
    let mut resources = LinuxResources::default();
    let mut nodes = vec![];
    if !around.mapping.is_rootless() {
        resources.set_devices(Some(device_rules(record, around)));
        nodes.extend(NODES.iter().map(node));
        nodes.extend(around.devices.iter().map(|device| device.node.clone()));
        let mut seen = std::collections::HashSet::new();
        nodes.retain(|node| seen.insert(node.path().clone()));
    }
    let mut linux = Linux::default();
    linux
        .set_sysctl(Some(sysctls(record)))
        .set_resources(Some(resources))
        .set_cgroups_path(Some(Path::new("/").join(record.spec.pod.as_str()).join(record.id.as_str())))
        .set_namespaces(Some(namespaces(record)))
        .set_devices(Some(nodes))
        .set_masked_paths(paths(&MASKED))
        .set_readonly_paths(paths(&READ_ONLY));
    linux
}

/// The namespaces that are the container's own.
fn namespaces(record: &ContainerRecord) -> Vec<LinuxNamespace> {
    let spec = &record.spec;
    let own = |share: &IdentityShare| *share == IdentityShare::Private;
    let spaces = [
        (LinuxNamespaceType::Mount, true),
        (LinuxNamespaceType::Network, matches!(spec.network_mode, NetworkMode::Networks | NetworkMode::None)),
        (LinuxNamespaceType::Uts, own(&spec.uts)),
        (LinuxNamespaceType::Pid, own(&spec.pid)),
        (LinuxNamespaceType::Ipc, own(&spec.ipc)),
        (LinuxNamespaceType::Cgroup, own(&spec.cgroup)),
    ];
    let namespace = |kind| {
        let mut namespace = LinuxNamespace::default();
        namespace.set_typ(kind);
        namespace
    };
    spaces.into_iter().filter(|(_, own)| *own).map(|(kind, _)| namespace(kind)).collect()
}

fn sysctls(record: &ContainerRecord) -> HashMap<String, String> {
    let own_network = matches!(record.spec.network_mode, NetworkMode::Networks | NetworkMode::None);
    let defaults = DEFAULT_SYSCTLS.iter().filter(|_| own_network);
    let defaults = defaults.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let own = record.spec.security.sysctls.iter().map(|(key, value)| (key.clone(), value.clone()));
    defaults.chain(own).collect()
}

fn node((name, major, minor): &(&str, i64, i64)) -> LinuxDevice {
    let mut device = LinuxDevice::default();
    device
        .set_path(Path::new("/dev").join(name))
        .set_typ(LinuxDeviceType::C)
        .set_major(*major)
        .set_minor(*minor)
        .set_file_mode(Some(0o666))
        .set_uid(Some(0))
        .set_gid(Some(0));
    device
}

fn device_rule(
    allow: bool,
    kind: LinuxDeviceType,
    numbers: (Option<i64>, Option<i64>),
    access: &str,
) -> LinuxDeviceCgroup {
    let mut rule = LinuxDeviceCgroup::default();
    rule.set_allow(allow)
        .set_typ(Some(kind))
        .set_major(numbers.0)
        .set_minor(numbers.1)
        .set_access(Some(access.to_owned()));
    rule
}

/// Nothing may be used but: any node may be made, the nodes of every /dev, terminals, and what the
/// container asks for.
fn device_rules(record: &ContainerRecord, around: &Surroundings) -> Vec<LinuxDeviceCgroup> {
    use LinuxDeviceType::{A, B, C};
    let security = &record.spec.security;
    if security.privileged {
        return vec![device_rule(true, A, (None, None), "rwm")];
    }
    let mut rules = vec![
        device_rule(false, A, (None, None), "rwm"),
        device_rule(true, C, (None, None), "m"),
        device_rule(true, B, (None, None), "m"),
        device_rule(true, C, (Some(5), Some(1)), "rwm"),
        device_rule(true, C, (Some(5), Some(2)), "rwm"),
        device_rule(true, C, (Some(136), None), "rwm"),
    ];
    let numbers = NODES.iter().map(|(_, major, minor)| (Some(*major), Some(*minor)));
    rules.extend(numbers.map(|numbers| device_rule(true, C, numbers, "rwm")));
    let asked = around.devices.iter().map(|HostDevice { node, access, .. }| {
        device_rule(true, node.typ(), (Some(node.major()), Some(node.minor())), access)
    });
    rules.extend(asked);
    rules.extend(security.device_rules.iter().filter_map(|text| parse_rule(text)));
    rules
}

/// Reads `c 1:3 mr`; `*` is any number.
fn parse_rule(text: &str) -> Option<LinuxDeviceCgroup> {
    let mut fields = text.split_ascii_whitespace();
    let kind = match fields.next()? {
        "a" => LinuxDeviceType::A,
        "b" => LinuxDeviceType::B,
        "c" => LinuxDeviceType::C,
        _ => return None,
    };
    let (major, minor) = fields.next()?.split_once(':')?;
    let number = |text: &str| match text {
        "*" => Some(None),
        text => text.parse::<u32>().ok().map(|number| Some(i64::from(number))),
    };
    let access = fields.next()?;
    let known = access.chars().all(|letter| "rwm".contains(letter)) && fields.next().is_none();
    known.then_some(device_rule(true, kind, (number(major)?, number(minor)?), access))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_rules_are_read_as_written() {
        let rule = parse_rule("c 1:* mr").unwrap();
        assert_eq!((rule.typ(), rule.major(), rule.minor()), (Some(LinuxDeviceType::C), Some(1), None));
        for bad in ["c 1 rw", "x 1:3 r", "c 1:3 q", "c 1:3", "c 1:3 r w"] {
            assert_eq!(parse_rule(bad), None, "{bad}");
        }
    }
}
