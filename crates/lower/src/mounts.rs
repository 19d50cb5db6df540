//! What is mounted into a container: volumes, binds, memory, secrets and configs.
//!
//! Of several things at one target, volumes beat secrets, which beat configs.

use crate::lowering::{Lowering, hash};
use compose_spec::Service;
use compose_spec::model::{FileMount, FileObject, Mount, MountKind};
use diagnostic::Severity;
use resource::{ContainerName, ImageNeed, MountSpec, Owner, Propagation, VolumeName};
use std::path::Path;

impl Lowering<'_> {
    /// Everything mounted, in the order of the file: volumes, tmpfs, secrets, configs.
    pub(crate) fn mounts(&mut self, service: &Service) -> Vec<MountSpec> {
        let mut mounts: Vec<_> =
            service.volumes.iter().filter_map(|mount| self.mount(service, mount)).collect();
        mounts.extend(service.tmpfs.iter().map(|text| tmpfs(text)));
        let project = self.project;
        for (kind, files, objects) in
            [("secret", &service.secrets, &project.secrets), ("config", &service.configs, &project.configs)]
        {
            for file in files {
                let Some(object) = objects.get(&file.source) else { continue };
                let target = file_target(kind, file);
                if mounts.iter().any(|mount| mount.target() == target) {
                    continue;
                }
                mounts.extend(self.file(service, kind, file, object, target));
            }
        }
        mounts
    }

    fn mount(&mut self, service: &Service, mount: &Mount) -> Option<MountSpec> {
        let (target, read_only) = (mount.target.clone(), mount.read_only);
        let refuse = |lowering: &mut Self, what: &str| {
            let message =
                format!("service `{}`: {what} at `{}` are not supported", service.name, mount.target);
            lowering.tell(Severity::Error, "unusable-value", mount.span, message, "");
            None
        };
        match mount.kind {
            MountKind::Bind => Some(MountSpec::Bind {
                source: mount.source.clone().unwrap_or_default().into(),
                target,
                read_only,
                create: mount.bind.create_host_path,
                recursive: self.recursive(service, mount),
                propagation: propagation(mount.bind.propagation.as_deref()),
            }),
            MountKind::Volume => {
                if !mount.volume.labels.is_empty() {
                    let message = format!(
                        "service `{}`: labels of the volume at `{target}` have no effect; give them to the volume itself",
                        service.name
                    );
                    self.tell(Severity::Warning, "no-effect", mount.span, message, "this is ignored");
                }
                let source = mount.source.as_ref().filter(|source| !source.is_empty());
                let real = |key: &String| {
                    let declared = self.project.volumes.get(key).map(|volume| volume.name.clone());
                    VolumeName(declared.unwrap_or_else(|| format!("{}_{key}", self.project.name)))
                };
                let (no_copy, subpath) = (mount.volume.nocopy, mount.volume.subpath.clone());
                Some(MountSpec::Volume { source: source.map(real), target, read_only, no_copy, subpath })
            }
            MountKind::Tmpfs => Some(MountSpec::Tmpfs {
                target,
                size: mount.tmpfs.size.and_then(|size| u64::try_from(size).ok()).filter(|size| *size > 0),
                mode: mount.tmpfs.mode,
                options: vec![],
                read_only,
            }),
            MountKind::Image => {
                let source = self.mounted_image(service, mount)?.reference;
                Some(MountSpec::Image { source, target, subpath: mount.image_subpath.clone() })
            }
            MountKind::Npipe => refuse(self, "Windows pipes"),
            MountKind::Cluster => refuse(self, "cluster volumes"),
        }
    }

    /// The images that a service mounts.
    pub(crate) fn mounted_images(&mut self, service: &Service) -> Vec<ImageNeed> {
        let images = service.volumes.iter().filter(|mount| mount.kind == MountKind::Image);
        // What is wrong with them is told where they are mounted.
        let told = self.found.len();
        let needs = images.filter_map(|mount| self.mounted_image(service, mount)).collect();
        self.found.truncate(told);
        needs
    }

    /// The image of a mount: that of a service of this name, or the one of this reference.
    fn mounted_image(&mut self, service: &Service, mount: &Mount) -> Option<ImageNeed> {
        let source = mount.source.as_deref().unwrap_or_default();
        let of_service = self.project.services.get(source);
        let text = of_service.map_or_else(
            || source.to_owned(),
            |other| other.image_or_default(&self.project.name, self.separator()),
        );
        let index = service.volumes.iter().position(|other| other.target == mount.target).unwrap_or(0);
        self.image_named(service, &text, &format!("volumes.{index}.source"))
    }

    fn recursive(&mut self, service: &Service, mount: &Mount) -> bool {
        match mount.bind.recursive.as_deref() {
            None | Some("enabled" | "") => true,
            Some("disabled") => false,
            // What is read-only is so all the way down.
            Some("readonly") if mount.read_only => true,
            Some("readonly") => {
                let message =
                    format!("service `{}`: `bind.recursive: readonly` needs `read_only: true`", service.name);
                self.tell(Severity::Error, "unusable-value", mount.span, message, "");
                true
            }
            Some(other) => {
                let message =
                    format!("service `{}`: `bind.recursive: {other}` is treated as `enabled`", service.name);
                self.tell(Severity::Warning, "no-effect", mount.span, message, "this is ignored");
                true
            }
        }
    }

    /// A secret or config: a file of the host or a copy of it, or a file with its content.
    fn file(
        &mut self,
        service: &Service,
        kind: &str,
        file: &FileMount,
        object: &FileObject,
        target: String,
    ) -> Option<MountSpec> {
        let name = &file.source;
        if object.external || object.driver.is_some() || object.template_driver.is_some() {
            let which = if object.external { "external" } else { "with a driver" };
            self.file_error(service, file, format!("{kind} `{name}` is {which}, which is not supported"));
            return None;
        }
        if let Some(span) = object.name_span {
            let message = format!("`name` of {kind} `{name}` has no effect: it is a file in the container");
            self.tell_once("no-effect", span, message, "this is ignored");
        }
        if !object.labels.is_empty() {
            self.file_warning(service, file, format!("`labels` of {kind} `{name}` have no effect"));
        }
        let owner = self.owner(service, kind, file);
        if let Some(path) = &object.file {
            return self.host_file(service, kind, file, Path::new(path), target, owner);
        }
        let Some(content) = object.content.clone() else {
            let variable = object.environment.as_deref().unwrap_or_default();
            let message =
                format!("environment variable \"{variable}\" required by {kind} \"{name}\" is not set");
            self.file_error(service, file, message);
            return None;
        };
        let Owner { uid, gid, mode } = owner;
        Some(MountSpec::Content { content, target, uid, gid, mode })
    }

    /// A secret or config that is a file of the host, or a folder there. With an owner or mode of its own
    /// it is a copy of the file.
    fn host_file(
        &mut self,
        service: &Service,
        kind: &str,
        file: &FileMount,
        path: &Path,
        target: String,
        owner: Owner,
    ) -> Option<MountSpec> {
        let owned = file.uid.is_some() || file.gid.is_some() || file.mode.is_some();
        if self.options.files.is_dir(path) {
            if owned {
                let message = format!(
                    "`uid`, `gid` and `mode` of {kind} `{}` have no effect: it is a folder, mounted as it is",
                    file.source
                );
                self.file_warning(service, file, message);
            }
            let (read_only, create, recursive) = (true, false, false);
            let (source, propagation) = (path.to_owned(), Propagation::Rprivate);
            return Some(MountSpec::Bind { source, target, read_only, create, recursive, propagation });
        }
        match self.options.files.read(path) {
            Ok(content) => Some(MountSpec::File {
                source: path.to_owned(),
                target,
                sha256: hash(&content),
                owner: owned.then_some(owner),
            }),
            Err(error) => {
                let message = format!("{kind} `{}`: cannot read {}: {error}", file.source, path.display());
                self.file_error(service, file, message);
                None
            }
        }
    }

    /// Whose a secret or config is: root's, and for everybody to read, unless it says otherwise.
    fn owner(&mut self, service: &Service, kind: &str, file: &FileMount) -> Owner {
        let mut id = |text: &Option<String>, what: &str| match text.as_deref().map(str::parse) {
            Some(Ok(number)) if number != 0 && self.options.single_id => {
                let why = "this account has no subordinate ids";
                let message = format!("`{what}` of {kind} `{}` has no effect: {why}", file.source);
                self.file_warning(service, file, message);
                0
            }
            None => 0,
            Some(Ok(number)) => number,
            Some(Err(_)) => {
                self.file_error(service, file, format!("{what} of {kind} `{}` is not a number", file.source));
                0
            }
        };
        Owner { uid: id(&file.uid, "uid"), gid: id(&file.gid, "gid"), mode: file.mode.unwrap_or(0o444) }
    }

    fn file_error(&mut self, service: &Service, file: &FileMount, message: impl std::fmt::Display) {
        let message = format!("service `{}`: {message}", service.name);
        self.tell(Severity::Error, "unusable-value", file.span, message, "");
    }

    fn file_warning(&mut self, service: &Service, file: &FileMount, message: impl std::fmt::Display) {
        let message = format!("service `{}`: {message}", service.name);
        self.tell(Severity::Warning, "no-effect", file.span, message, "this is ignored");
    }

    /// Reads `service[:ro]` and `container:NAME[:ro]`.
    pub(crate) fn volumes_from(&mut self, service: &Service) -> Vec<(ContainerName, bool)> {
        let sources = service.volumes_from.iter().map(|source| match source.strip_prefix("container:") {
            Some(rest) => {
                let (name, mode) = rest.split_once(':').unwrap_or((rest, "rw"));
                (ContainerName(name.to_owned()), mode == "ro")
            }
            None => {
                let (name, mode) = source.split_once(':').unwrap_or((source, "rw"));
                (self.first_container(name), mode == "ro")
            }
        });
        sources.collect()
    }
}

/// Where a secret or config is found inside.
pub(crate) fn file_target(kind: &str, file: &FileMount) -> String {
    let folder = if kind == "secret" { "/run/secrets/" } else { "/" };
    match file.target.as_deref().filter(|target| !target.is_empty()) {
        Some(target) if target.starts_with('/') => target.to_owned(),
        Some(target) => format!("{folder}{target}"),
        None => format!("{folder}{}", file.source),
    }
}

pub(crate) fn propagation(text: Option<&str>) -> Propagation {
    match text {
        Some("private") => Propagation::Private,
        Some("rshared") => Propagation::Rshared,
        Some("shared") => Propagation::Shared,
        Some("rslave") => Propagation::Rslave,
        Some("slave") => Propagation::Slave,
        _ => Propagation::Rprivate,
    }
}

/// Reads `path[:size=64m,mode=1777,…]`.
fn tmpfs(text: &str) -> MountSpec {
    let (target, words) = text.split_once(':').unwrap_or((text, ""));
    let (mut size, mut mode, mut read_only, mut options) = (None, None, false, vec![]);
    for word in words.split(',').filter(|word| !word.is_empty()) {
        match word.split_once('=') {
            Some(("size", value)) if crate::limits::bytes(value).is_some() => {
                size = crate::limits::bytes(value)
            }
            Some(("mode", value)) if u32::from_str_radix(value, 8).is_ok() => {
                mode = u32::from_str_radix(value, 8).ok()
            }
            None if word == "ro" => read_only = true,
            None if matches!(word, "rw" | "defaults") => {}
            _ => options.push(word.to_owned()),
        }
    }
    MountSpec::Tmpfs { target: target.to_owned(), size, mode, options, read_only }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tmpfs_options_are_read_and_the_rest_is_passed_on() {
        let expected = MountSpec::Tmpfs {
            target: "/run".to_owned(),
            size: Some(64 << 20),
            mode: Some(0o755),
            options: vec!["exec".to_owned(), "uid=33".to_owned()],
            read_only: true,
        };
        assert_eq!(tmpfs("/run:size=64m,mode=755,exec,uid=33,ro"), expected);
    }
}
