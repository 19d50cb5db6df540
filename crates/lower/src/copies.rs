//! What the copies of a project share although each is a project of its own: told when one is brought up.

use crate::lowering::Lowering;
use compose_spec::Service;
use compose_spec::model::NetworkMode;
use diagnostic::{Diagnostic, Span};
use resource::{DesiredService, MountSpec};
use std::collections::BTreeSet;

impl Lowering<'_> {
    /// Warns of what the wanted services of a copy share with the project and its other copies.
    pub(crate) fn tell_shared(&mut self, services: &[DesiredService]) {
        if self.project.copy.is_none() {
            return;
        }
        let project = self.project;
        for service in services.iter().filter_map(|wanted| project.services.get(&wanted.name)) {
            self.tell_shared_of(service);
        }
        let networks: BTreeSet<&str> = services
            .iter()
            .flat_map(|service| &service.container.endpoints)
            .map(|endpoint| endpoint.network.0.as_str())
            .collect();
        for (key, network) in &project.networks {
            if network.external && networks.contains(network.name.as_str()) {
                let what =
                    format!("network `{key}` is external: its services meet those of other copies there");
                self.shared(network.span.unwrap_or(Span::NOWHERE), what);
            }
        }
        let mounts = services.iter().flat_map(|service| &service.container.mounts);
        let volumes: BTreeSet<&str> = mounts
            .filter_map(|mount| match mount {
                MountSpec::Volume { source: Some(source), .. } => Some(source.0.as_str()),
                _ => None,
            })
            .collect();
        for (key, volume) in project.volumes.iter().filter(|(_, it)| volumes.contains(it.name.as_str())) {
            let span = volume.span.unwrap_or(Span::NOWHERE);
            match volume.driver_opts.get("device").filter(|device| !device.is_empty() && *device != "tmpfs") {
                _ if volume.external => {
                    self.shared(span, format!("volume `{key}` is external: the copies have the same data"))
                }
                Some(device) => {
                    self.shared(span, format!("volume `{key}` is `{device}`: the copies have the same data"))
                }
                None => {}
            }
        }
    }

    fn tell_shared_of(&mut self, service: &Service) {
        if service.network_mode == Some(NetworkMode::Host) {
            let what = format!("service `{}` is on the host's network: its ports do not move", service.name);
            self.shared(service.place("network_mode"), what);
        }
        if let (Some(image), Some(_)) = (&service.image, &service.build) {
            let what = format!(
                "service `{}` is built as `{image}`: whichever copy builds last gives the image its name",
                service.name
            );
            self.shared(service.place("image"), what);
        }
    }

    fn shared(&mut self, span: Span, what: String) {
        let diagnostic = Diagnostic::warning("shared-by-copies", what).at(span, "this is shared");
        self.found.push(diagnostic);
    }
}
