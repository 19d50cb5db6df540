//! config.json of a bundle: the specification the embedded runtime works by, and in words of OCI what it is
//! given beside it: namespaces, cgroup, filter.

use super::root;
use crate::launch::{Launch, Share, Stdio};
use crate::prepare::{self, refused};
use crate::{StartError, seccomp};
use oci_spec::runtime::Mount;
use resource::SecuritySpec;
use serde_json::{Map, Value, json};
use std::os::fd::AsRawFd;
use std::path::Path;

/// The configuration of a container, for a runtime that runs while this process does: namespaces are named by
/// their descriptors here.
///
/// # Errors
/// `Refused` for what cannot be said in it.
pub(super) fn of(launch: &Launch<'_>, security: &SecuritySpec) -> Result<Value, StartError> {
    let spec = launch.spec;
    for mount in spec.mounts().iter().flatten() {
        check(mount)?;
    }
    let told = |error: serde_json::Error| refused(format!("its configuration cannot be written: {error}"));
    let mut config = serde_json::to_value(spec).map_err(told)?;
    // Of a later version nothing is used, and some runtimes take no other.
    config["ociVersion"] = json!("1.0.2");
    config["root"]["path"] = path(root(launch));
    if let Some(mounts) = config["mounts"].as_array_mut() {
        // An ordinary user's nodes are binds; every runtime sees to these itself, and not all take them twice.
        let is_node =
            |path: &str| crate::spec::NODES.iter().any(|(name, ..)| path.strip_prefix("/dev/") == Some(name));
        mounts.retain(|mount| {
            let own = mount["source"] == mount["destination"];
            !(own && mount["destination"].as_str().is_some_and(is_node))
        });
    }
    process(&mut config["process"], launch);
    let sysctls = sysctls(launch)?;
    // The shim sets it.
    if let Some(object) = config.as_object_mut() {
        object.remove("domainname");
    }
    let linux = &mut config["linux"];
    linux["sysctl"] = sysctls.into();
    linux["namespaces"] = namespaces(launch).into();
    let slave = |mount: &Mount| options(mount).any(|option| matches!(option, "slave" | "rslave"));
    if spec.mounts().iter().flatten().any(slave) {
        linux["rootfsPropagation"] = json!("slave");
    }
    match launch.cgroup.path() {
        Some(cgroup) => linux["cgroupsPath"] = path(&Path::new("/").join(cgroup)),
        None => drop(linux.as_object_mut().map(|linux| linux.remove("cgroupsPath"))),
    }
    if let Some(filter) = seccomp::document(security).map_err(|error| refused(error.to_string()))? {
        linux["seccomp"] = filter;
    }
    Ok(config)
}

fn path(path: &Path) -> Value {
    path.to_string_lossy().into_owned().into()
}

fn options(mount: &Mount) -> impl Iterator<Item = &str> {
    mount.options().iter().flatten().map(String::as_str)
}

/// Refuses a mount that only the embedded runtime can make.
fn check(mount: &Mount) -> Result<(), StartError> {
    let target = mount.destination().display();
    if options(mount).any(|option| option.starts_with(crate::spec::SUBPATH)) {
        let what = format!("a folder of an image, at {target}, is mounted by the engine's own runtime only");
        return Err(refused(what));
    }
    // The root is mounted where nothing comes back from.
    if options(mount).any(|option| matches!(option, "shared" | "rshared")) {
        let what = format!(
            "what is mounted below {target} is shared with the host by the engine's own runtime only"
        );
        return Err(refused(what));
    }
    Ok(())
}

fn process(process: &mut Value, launch: &Launch<'_>) {
    process["terminal"] = matches!(launch.stdio, Stdio::Terminal { .. }).into();
    if launch.mapping == resource::Mapping::Single {
        // Nobody may set groups there.
        process["user"]["additionalGids"] = json!([]);
    }
    let is_path = |entry: &Value| entry.as_str().is_some_and(|entry| entry.starts_with("PATH="));
    match process["env"].as_array_mut() {
        Some(environment) if environment.iter().any(is_path) => {}
        Some(environment) => environment.push(format!("PATH={}", prepare::PATH).into()),
        None => process["env"] = json!([format!("PATH={}", prepare::PATH)]),
    }
}

/// Kernel parameters by the names that every runtime knows, with dots.
fn sysctls(launch: &Launch<'_>) -> Result<Map<String, Value>, StartError> {
    let mut sysctls = Map::new();
    for parameter in prepare::sysctls(launch)? {
        let path = parameter.path.to_string_lossy().into_owned();
        let there = !parameter.optional || Path::new(&path).exists();
        if let Some(name) = path.strip_prefix("/proc/sys/").filter(|_| there) {
            let swapped = name.chars().map(|letter| match letter {
                '/' => '.',
                '.' => '/',
                other => other,
            });
            let value = String::from_utf8_lossy(&parameter.value).into_owned();
            sysctls.insert(swapped.collect(), value.into());
        }
    }
    Ok(sysctls)
}

/// The name of the NIS domain, where it is to have one of its own: older runtimes have no words for it, and an
/// ordinary user may not write the kernel's parameter. So the shim makes the namespace.
pub(super) fn domain<'a>(launch: &Launch<'a>) -> Option<&'a str> {
    let name = launch.spec.domainname().as_deref().filter(|name| !name.is_empty());
    name.filter(|_| matches!(launch.uts, Share::Private))
}

/// The namespaces that are not those of the runtime itself.
fn namespaces(launch: &Launch<'_>) -> Vec<Value> {
    let own = std::process::id();
    let mut namespaces = vec![json!({"type": "mount"})];
    let shares = [("network", launch.network), ("pid", launch.pid), ("ipc", launch.ipc), ("uts", launch.uts)];
    for (kind, share) in shares {
        match share {
            Share::Host => {}
            Share::Private if kind == "uts" && domain(launch).is_some() => {
                namespaces.push(json!({"type": kind, "path": format!("/proc/{own}/ns/uts")}));
            }
            Share::Private => namespaces.push(json!({"type": kind})),
            Share::Join(descriptor) => {
                let path = format!("/proc/{own}/fd/{}", descriptor.as_raw_fd());
                namespaces.push(json!({"type": kind, "path": path}));
            }
        }
    }
    if launch.cgroup_namespace {
        namespaces.push(json!({"type": "cgroup"}));
    }
    namespaces
}
