//! Hooks: commands in the container after its start and before its stop, and containers of their own
//! that run before a service starts.

use crate::lowering::Lowering;
use compose_spec::model;
use resource::{
    ContainerName, ContainerSpec, DesiredService, Hook, MountSpec, ProcessSpec, RestartPolicy, SecuritySpec,
    StartHook, label,
};
use std::collections::BTreeMap;

/// The hooks that run in the container itself.
pub(crate) fn lasting(hooks: &[model::Hook]) -> Vec<Hook> {
    hooks
        .iter()
        .filter(|hook| hook.command.as_ref().is_some_and(|words| !words.is_empty()))
        .map(hook)
        .collect()
}

/// A command that runs in a container beside its own process.
pub fn hook(hook: &model::Hook) -> Hook {
    let variable = |(name, value): (&String, &Option<String>)| {
        value.as_ref().map_or(name.clone(), |value| format!("{name}={value}"))
    };
    Hook {
        command: hook.command.clone().unwrap_or_default(),
        environment: hook.environment.iter().map(variable).collect(),
        user: hook.user.clone(),
        working_dir: hook.working_dir.clone(),
        privileged: hook.privileged,
    }
}

impl Lowering<'_> {
    /// Gives a service the containers of its `pre_start`. They are made of the service's own container,
    /// so that comes first, with all that `x-pod` makes of it.
    pub(crate) fn start_hooks(&mut self, lowered: &mut DesiredService) {
        let project = self.project;
        let Some(service) = project.services.get(&lowered.name) else { return };
        for (index, hook) in service.pre_start.iter().enumerate() {
            let path = format!("pre_start.{index}");
            if hook.per_replica {
                let path = format!("{path}.per_replica");
                self.error(
                    service,
                    &path,
                    "`per_replica` is not supported: a hook runs once for the service",
                );
                continue;
            }
            let named = hook.image.as_deref().filter(|image| *image != lowered.image.reference.written());
            let image = match named {
                Some(text) => self.image_named(service, text, &format!("{path}.image")),
                None => Some(lowered.image.clone()),
            };
            let Some(mut image) = image else { continue };
            image.buildable &= image.reference == lowered.image.reference;
            let separator = self.separator();
            let name = format!(
                "{}{separator}{}{separator}pre_start{separator}{}",
                project.name,
                service.name,
                index + 1
            );
            let mut container = of_hook(&lowered.container, hook, ContainerName(name));
            container.image = image.reference.clone();
            container.labels = self.hook_labels(&lowered.container);
            let place = self.options.sources.place(hook.span.unwrap_or(service.span));
            lowered.pre_start.push(StartHook { container, image, place });
        }
    }

    /// The managed labels of the service's container, without a hash: nothing compares it.
    fn hook_labels(&self, service: &ContainerSpec) -> resource::Labels {
        let mut labels = self.pod_labels();
        labels.insert(label::SERVICE.to_owned(), service.service.clone());
        labels.insert(label::ONE_OFF.to_owned(), "True".to_owned());
        labels.insert(label::HOOK.to_owned(), "pre_start".to_owned());
        labels
    }
}

/// A hook's container: on the networks of the service's, without its names, addresses and ports, with
/// its volumes and its environment.
fn of_hook(service: &ContainerSpec, hook: &model::Hook, name: ContainerName) -> ContainerSpec {
    let mut environment: BTreeMap<_, _> = service.process.environment.clone();
    environment.extend(hook.environment.clone());
    let process = ProcessSpec {
        entrypoint: None,
        command: hook.command.clone().filter(|words| !words.is_empty()),
        environment,
        working_dir: hook.working_dir.clone(),
        user: hook.user.clone(),
        ..ProcessSpec::default()
    };
    let mut spec = ContainerSpec { name, process, number: None, ..service.clone() };
    for endpoint in &mut spec.endpoints {
        endpoint.aliases.clear();
        (endpoint.ipv4, endpoint.ipv6, endpoint.mac) = (None, None, None);
    }
    spec.hostname = None;
    spec.ports.clear();
    spec.exposed.clear();
    // What the image of the service declares is mounted from its container, too.
    spec.volumes_from = vec![(service.name.clone(), false)];
    spec.mounts.retain(|mount| matches!(mount, MountSpec::Tmpfs { .. }) || mount.is_file());
    spec.restart = RestartPolicy::No;
    spec.healthcheck = Some(None);
    (spec.post_start, spec.pre_stop) = (vec![], vec![]);
    spec.security = SecuritySpec { privileged: hook.privileged, ..SecuritySpec::default() };
    spec.annotations.clear();
    spec
}
