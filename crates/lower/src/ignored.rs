//! Tells of every attribute that is accepted and does nothing here. Nothing is dropped in silence.

use crate::lowering::Lowering;
use compose_spec::Service;

impl Lowering<'_> {
    /// Warns of the attributes of a service that have no effect.
    pub(crate) fn tell_ignored(&mut self, service: &Service) {
        let userns = service.userns_mode.as_deref().is_some_and(|mode| !matches!(mode, "" | "host"));
        let deploy = service.deploy.as_ref();
        let runtime = service.runtime.as_deref().is_some_and(|name| !matches!(name, "" | "runc"));
        let table = [
            ("pre_start", !service.pre_start.is_empty(), "hooks are not run yet"),
            ("post_start", !service.post_start.is_empty(), "hooks are not run yet"),
            ("pre_stop", !service.pre_stop.is_empty(), "hooks are not run yet"),
            ("gpus", !service.gpus.is_empty(), "requests for GPUs are not supported"),
            (
                "deploy.resources.reservations.devices",
                deploy.is_some_and(|deploy| !deploy.devices.is_empty()),
                "requests for devices are not supported",
            ),
            (
                "deploy.update_config.order",
                deploy.is_some_and(|deploy| deploy.start_first),
                "containers are replaced stop-first",
            ),
            ("models", !service.models.is_empty(), "there is no model runner"),
            ("runtime", runtime, "containers are run by the engine itself"),
            ("storage_opt", !service.storage_opt.is_empty(), "root file systems have no options"),
            ("use_api_socket", service.use_api_socket, "there is no API socket"),
            ("cgroup_parent", service.cgroup_parent.is_some(), "the project's own cgroup is the parent"),
            ("cpu_rt_period", service.cpu_rt_period.is_some(), "real-time scheduling is not supported"),
            ("cpu_rt_runtime", service.cpu_rt_runtime.is_some(), "real-time scheduling is not supported"),
            ("userns_mode", userns, "containers share the engine's user namespace"),
        ];
        for (path, present, why) in table {
            if present {
                self.ignored(service, path, why);
            }
        }
    }
}
