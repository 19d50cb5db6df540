//! Devices by name, as the Container Device Interface has it: files of `/etc/cdi` and `/var/run/cdi`, JSON
//! or YAML, say what belongs to `vendor.com/class=name`: device nodes, variables, mounts, groups.
//!
//! A name that both folders have is taken from the second, as the interface demands. Programs that a
//! description wants run on the way (its hooks) are not run; who starts the container is told so.

use resource::{Injected, Mount, Process, Propagation};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// Where descriptions are, the later beating the earlier.
const FOLDERS: [&str; 2] = ["/etc/cdi", "/var/run/cdi"];

/// Why a device cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum CdiError {
    /// No file describes it.
    #[error("no file in /etc/cdi or /var/run/cdi describes the device `{name}`{}", described(.known))]
    Unknown {
        /// Its CDI name.
        name: String,
        /// What is described.
        known: Vec<String>,
    },
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A file is no description.
    #[error("{} describes no devices", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_yaml::Error,
    },
}

fn described(known: &[String]) -> String {
    if known.is_empty() { String::new() } else { format!("; there are {}", known.join(", ")) }
}

/// What devices bring along.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Edits {
    environment: Vec<String>,
    groups: Vec<u32>,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) injected: Injected,
}

/// A file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Description {
    kind: String,
    #[serde(default)]
    devices: Vec<Device>,
    #[serde(default)]
    container_edits: ContainerEdits,
    #[serde(default)]
    annotations: BTreeMap<String, serde_yaml::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Device {
    name: String,
    #[serde(default)]
    container_edits: ContainerEdits,
    #[serde(default)]
    annotations: BTreeMap<String, serde_yaml::Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ContainerEdits {
    env: Vec<String>,
    device_nodes: Vec<Node>,
    mounts: Vec<MountEdit>,
    hooks: Vec<serde_yaml::Value>,
    additional_gids: Vec<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    path: String,
    #[serde(default)]
    host_path: Option<PathBuf>,
    #[serde(default)]
    permissions: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MountEdit {
    host_path: PathBuf,
    container_path: String,
    #[serde(default)]
    options: Vec<String>,
}

/// What these devices bring along; no file is read for none.
///
/// # Errors
/// [`CdiError`].
pub(crate) fn find(names: &[String]) -> Result<Edits, CdiError> {
    if names.is_empty() {
        return Ok(Edits::default());
    }
    let mut descriptions = vec![];
    for folder in FOLDERS {
        read(Path::new(folder), &mut descriptions)?;
    }
    edits(names, &descriptions)
}

/// The names of the devices that steps of builds ask for, each with whether it is needed: `vendor.com/class=name`,
/// `vendor.com/class=*` for all of a class, `vendor.com/class` for its first, or what an annotation calls a class.
///
/// # Errors
/// [`CdiError`], for what is needed and not described too.
pub(crate) fn asked(wishes: &[(String, bool)]) -> Result<Vec<String>, CdiError> {
    if wishes.is_empty() {
        return Ok(vec![]);
    }
    let mut descriptions = vec![];
    for folder in FOLDERS {
        read(Path::new(folder), &mut descriptions)?;
    }
    let mut names = vec![];
    for (wish, needed) in wishes {
        let found = granted(wish, &descriptions);
        if found.is_empty() && *needed {
            return Err(CdiError::Unknown { name: wish.clone(), known: all(&descriptions) });
        }
        names.extend(found.into_iter().filter(|name| !names.contains(name)).collect::<Vec<_>>());
    }
    Ok(names)
}

fn granted(wish: &str, descriptions: &[Description]) -> Vec<String> {
    const CLASS: &str = "org.mobyproject.buildkit.device.class";
    let is_class = |annotations: &BTreeMap<String, serde_yaml::Value>| {
        annotations.get(CLASS).and_then(serde_yaml::Value::as_str) == Some(wish)
    };
    let is_meant = |of: &Description, device: &Device| match wish.split_once('=') {
        Some((kind, "*")) => of.kind == kind,
        Some((kind, name)) => of.kind == kind && device.name == name,
        None if wish.contains('/') => of.kind == wish,
        None => is_class(&of.annotations) || is_class(&device.annotations),
    };
    let mut found: Vec<String> = vec![];
    for of in descriptions {
        for device in of.devices.iter().filter(|device| is_meant(of, device)) {
            let name = format!("{}={}", of.kind, device.name);
            if !found.contains(&name) {
                found.push(name);
            }
        }
    }
    if wish.contains('/') && !wish.contains('=') {
        found.truncate(1);
    }
    found
}

/// Reads the descriptions of a folder, in the order of their names.
fn read(folder: &Path, descriptions: &mut Vec<Description>) -> Result<(), CdiError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| CdiError::Unreadable { path, source }
    };
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(unreadable(folder))?,
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| ["json", "yaml", "yml"].iter().any(|known| extension == *known))
    });
    paths.sort_unstable();
    for path in paths {
        let text = std::fs::read_to_string(&path).map_err(unreadable(&path))?;
        // JSON is YAML, too.
        let read = serde_yaml::from_str(&text).map_err(|source| CdiError::Malformed { path, source })?;
        descriptions.push(read);
    }
    Ok(())
}

fn edits(names: &[String], descriptions: &[Description]) -> Result<Edits, CdiError> {
    let mut edits = Edits::default();
    let mut used = BTreeSet::new();
    for name in names {
        let (kind, device) = name.split_once('=').unwrap_or((name, ""));
        let of_kind =
            descriptions.iter().enumerate().rev().filter(|(_, description)| description.kind == kind);
        let found = of_kind.filter_map(|(index, description)| {
            let device = description.devices.iter().find(|known| known.name == device)?;
            Some((index, description, device))
        });
        let Some((index, description, device)) = found.into_iter().next() else {
            return Err(CdiError::Unknown { name: name.clone(), known: all(descriptions) });
        };
        // What holds for every device of a file comes once.
        if used.insert((index, "")) {
            edits.add(&description.container_edits);
        }
        if used.insert((index, device.name.as_str())) {
            edits.add(&device.container_edits);
        }
    }
    Ok(edits)
}

/// The names of all devices that are described.
fn all(descriptions: &[Description]) -> Vec<String> {
    let names = descriptions.iter().flat_map(|description| {
        description.devices.iter().map(|device| format!("{}={}", description.kind, device.name))
    });
    names.collect::<BTreeSet<_>>().into_iter().collect()
}

impl Edits {
    fn add(&mut self, more: &ContainerEdits) {
        self.environment.extend(more.env.iter().cloned());
        self.groups.extend(more.additional_gids.iter().filter(|gid| **gid != 0));
        for node in &more.device_nodes {
            let source = node.host_path.clone().unwrap_or_else(|| node.path.clone().into());
            let permissions = node.permissions.clone().unwrap_or_else(|| "rwm".to_owned());
            self.injected.devices.push((source, node.path.clone(), permissions));
        }
        for mount in &more.mounts {
            self.mounts.push(Mount::Bind {
                source: mount.host_path.clone(),
                target: mount.container_path.clone(),
                read_only: mount.options.iter().any(|option| option == "ro"),
                recursive: !mount.options.iter().any(|option| option == "bind"),
                propagation: Propagation::Rprivate,
                volume: None,
                anonymous: false,
            });
        }
        self.injected.has_hooks |= !more.hooks.is_empty();
    }

    /// Gives a process the variables and groups.
    pub(crate) fn adorn(&self, process: &mut Process) {
        for entry in &self.environment {
            let name = entry.split_once('=').map_or(entry.as_str(), |(name, _)| name);
            process.environment.retain(|other| other.split_once('=').is_none_or(|(other, _)| other != name));
            process.environment.push(entry.clone());
        }
        process.groups.extend(
            self.groups.iter().filter(|gid| !process.groups.contains(gid)).copied().collect::<Vec<_>>(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
cdiVersion: 0.6.0
kind: vendor.com/card
containerEdits: {env: [ALL=1], mounts: [{hostPath: /lib/card, containerPath: /lib/card, options: [ro, bind]}]}
devices:
- {name: \"0\", containerEdits: {deviceNodes: [{path: /dev/card0, permissions: rw}], additionalGids: [44]}}
- {name: \"1\", containerEdits: {deviceNodes: [{path: /dev/card, hostPath: /dev/card1}], hooks: [{hookName: x}]}}
";

    fn of(names: &[&str]) -> Result<Edits, CdiError> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        edits(&names, &[serde_yaml::from_str(FILE).unwrap()])
    }

    #[test]
    fn what_a_file_says_of_all_its_devices_comes_once() {
        let found = of(&["vendor.com/card=0", "vendor.com/card=1", "vendor.com/card=0"]).unwrap();
        assert_eq!((found.environment.len(), found.mounts.len(), found.groups.len()), (1, 1, 1));
        let expected = [("/dev/card0", "/dev/card0", "rw"), ("/dev/card1", "/dev/card", "rwm")];
        let expected =
            expected.map(|(source, target, access)| (source.into(), target.to_owned(), access.to_owned()));
        assert_eq!(found.injected.devices, expected);
        assert!(found.injected.has_hooks && !of(&["vendor.com/card=0"]).unwrap().injected.has_hooks);
    }

    #[test]
    fn a_wish_may_be_for_one_all_or_a_class() {
        let marked = "kind: vendor.com/other\ndevices:\n- name: a\n  annotations: {org.mobyproject.buildkit.device.class: fast}";
        let files = [serde_yaml::from_str(FILE).unwrap(), serde_yaml::from_str(marked).unwrap()];
        let granted = |wish: &str| granted(wish, &files).join(" ");
        assert_eq!(granted("vendor.com/card=1"), "vendor.com/card=1");
        assert_eq!(granted("vendor.com/card=*"), "vendor.com/card=0 vendor.com/card=1");
        assert_eq!(granted("vendor.com/card"), "vendor.com/card=0");
        assert_eq!(granted("fast"), "vendor.com/other=a");
        assert_eq!(granted("slow") + &granted("vendor.com/none"), "");
    }

    #[test]
    fn an_unknown_device_is_refused_with_what_there_is() {
        let error = of(&["vendor.com/card=2"]).unwrap_err().to_string();
        assert!(
            error.ends_with("`vendor.com/card=2`; there are vendor.com/card=0, vendor.com/card=1"),
            "{error}"
        );
    }
}
