//! Tells of every attribute that is accepted and does nothing here. Nothing is dropped in silence.

use crate::lowering::Lowering;
use compose_spec::Service;
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
        let userns = service.userns_mode.as_deref().is_some_and(|mode| !matches!(mode, "" | "host"));
        let table = [
            (
                "group_add",
                self.options.single_id && !service.group_add.is_empty(),
                "this account has no subordinate ids, so the kernel lets it set no groups",
            ),
            ("models", !service.models.is_empty(), "there is no model runner"),
            (
                "storage_opt",
                !service.storage_opt.is_empty(),
                "a root file system is as large as the disk: overlay has no quota of its own",
            ),
            ("use_api_socket", service.use_api_socket, "there is no API socket"),
            ("cgroup_parent", service.cgroup_parent.is_some(), "the project's own cgroup is the parent"),
            ("userns_mode", userns, "containers share the engine's user namespace"),
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
