//! Tells of every attribute that is accepted and does nothing here. Nothing is dropped in silence.

use crate::lowering::Lowering;
use compose_spec::Service;
use compose_spec::model::Restart;
use compose_spec::tree::Node;

/// What never does anything here, wherever it is given.
const NEVER: [(&str, &str); 13] = [
    ("cpu_count", "it is for Windows"),
    ("cpu_percent", "it is for Windows"),
    ("credential_spec", "it is for Windows"),
    ("isolation", "it is for Windows"),
    ("pull_refresh_after", "no command acts on it"),
    ("deploy.endpoint_mode", "there is one machine, and no virtual address"),
    ("deploy.labels", "they are for a swarm's service; a container has `labels`"),
    ("deploy.placement", "there is one machine"),
    ("deploy.resources.reservations.cpus", "only memory is reserved"),
    ("deploy.resources.reservations.generic_resources", "only memory is reserved"),
    ("deploy.restart_policy.delay", "the time between restarts grows by itself"),
    ("deploy.restart_policy.window", "the engine decides when a start counts as good"),
    ("deploy.rollback_config", "a rollback undoes the replacement that failed, at once"),
];

impl Lowering<'_> {
    /// Warns of the attributes of a service that have no effect.
    pub(crate) fn tell_ignored(&mut self, service: &Service) {
        let userns = service.userns_mode.as_deref().and_then(other_user_namespace);
        let table = [
            (
                "group_add",
                self.options.single_id && !service.group_add.is_empty(),
                "this account has no subordinate ids, so the kernel lets it set no groups",
            ),
            (
                "mem_swappiness",
                service.mem_swappiness == Some(0),
                "Docker Compose takes 0 for a value that is not given; 1 is the least",
            ),
            (
                "storage_opt",
                !service.storage_opt.is_empty(),
                "a root file system is as large as the disk: overlay has no quota of its own, and those of projects, \
                 which xfs has, are not set",
            ),
            ("use_api_socket", service.use_api_socket, "there is no API socket"),
            ("userns_mode", userns.is_some(), userns.unwrap_or_default()),
        ];
        for (path, present, why) in table {
            if present {
                self.ignored(service, path, why);
            }
        }
        for (path, why) in NEVER {
            let node = path.split('.').try_fold(&service.tree, |node, key| node.get(key));
            if node.is_some_and(|node| !node.is_null()) {
                self.ignored(service, path, why);
            }
        }
        let attempts = "deploy.restart_policy.max_attempts";
        let node = attempts.split('.').try_fold(&service.tree, |node, key| node.get(key));
        let is_limited = node.and_then(Node::as_int).is_some_and(|count| count != 0);
        if is_limited && !matches!(service.restart_policy(), Restart::OnFailure { .. }) {
            self.ignored(service, attempts, "restarts are counted with `condition: on-failure` alone");
        }
        let mode = service.tree.get("deploy").and_then(|deploy| deploy.str("mode"));
        if let Some(mode) = mode.filter(|mode| !matches!(*mode, "" | "replicated")) {
            self.ignored(service, "deploy.mode", &format!("`{mode}` is treated as `replicated`"));
        }
        let mounts = service.tree.get("volumes").and_then(Node::as_list).unwrap_or(&[]);
        for (index, mount) in mounts.iter().enumerate() {
            if mount.get("consistency").is_some() {
                self.ignored(service, &format!("volumes.{index}.consistency"), "it is for macOS and Windows");
            }
            if mount.get("bind").and_then(|bind| bind.get("selinux")).is_some() {
                let why = "SELinux labels are not supported";
                self.ignored(service, &format!("volumes.{index}.bind.selinux"), why);
            }
        }
    }
}

/// Why a user namespace is not the one that is asked for. One of a container's own has to show the files of
/// images with other ids than they have on the disk, and the kernel lets nobody but root of the machine have
/// a folder of its file systems shown so (`MOUNT_ATTR_IDMAP` of mount_setattr(2)).
fn other_user_namespace(mode: &str) -> Option<&'static str> {
    match mode.split(':').next() {
        Some("" | "host") => None,
        Some("keep-id") => Some(
            "containers share the engine's user namespace, in which an ordinary user is root: with \
             `user: root`, what a container writes into folders of the host belongs to that user",
        ),
        _ => Some("containers share the engine's user namespace"),
    }
}
