//! Where a service asks for the parts of its containers: what goes wrong with one later is told with the line
//! of the file that wants it.

use crate::connection::port_spec;
use crate::logging::ADDRESS;
use crate::lowering::Lowering;
use crate::mounts::file_target;
use compose_spec::Service;
use diagnostic::Span;
use resource::log::{AUTHORITIES, CERTIFICATE, KEY};
use resource::mount::clean;
use resource::{ContainerSpec, Part, PartPlace};

impl Lowering<'_> {
    /// The parts of a container that its service names, each with its place.
    pub(crate) fn part_places(&self, service: &Service, container: &ContainerSpec) -> Vec<PartPlace> {
        let mut asked: Vec<(Part, Span)> = vec![];
        self.ports_asked(service, container, &mut asked);
        self.addresses_asked(service, &mut asked);
        process_asked(service, &mut asked);
        mounts_asked(service, &mut asked);
        devices_asked(service, &mut asked);
        log_asked(service, &mut asked);
        let place = |(part, span)| PartPlace {
            part,
            service: service.name.clone(),
            place: self.options.sources.place(span),
        };
        asked.into_iter().map(place).collect()
    }

    fn ports_asked(&self, service: &Service, container: &ContainerSpec, asked: &mut Vec<(Part, Span)>) {
        let binding = self.host_binding(service);
        let read = service.ports.iter().filter_map(|port| Some((port_spec(port, binding).ok()?, port.span)));
        let published = read.filter(|(port, _)| container.ports.contains(port));
        asked.extend(published.map(|(port, span)| (Part::Port(port), span)));
    }

    fn addresses_asked(&self, service: &Service, asked: &mut Vec<(Part, Span)>) {
        for (key, attachment) in &service.networks {
            for (name, text) in
                [("ipv4_address", &attachment.ipv4_address), ("ipv6_address", &attachment.ipv6_address)]
            {
                let Some(address) = text.as_deref().and_then(|text| text.trim().parse().ok()) else {
                    continue;
                };
                let part = Part::Address { network: self.network_name(key), address };
                asked.push((part, service.place(&format!("networks.{key}.{name}"))));
            }
        }
    }
}

fn process_asked(service: &Service, asked: &mut Vec<(Part, Span)>) {
    let words = |words: &Option<Vec<String>>| words.as_ref().is_some_and(|words| !words.is_empty());
    let program = if words(&service.entrypoint) {
        Some("entrypoint")
    } else {
        words(&service.command).then_some("command")
    };
    asked.extend(program.map(|key| (Part::Program, service.place(key))));
    let profile = service.security_opt.iter().rposition(|option| option.starts_with("apparmor"));
    asked.extend(profile.map(|at| (Part::Profile, service.place(&format!("security_opt.{at}")))));
    for (key, part) in [
        ("working_dir", Part::WorkingDir),
        ("user", Part::User),
        ("stop_signal", Part::StopSignal),
        ("runtime", Part::Runtime),
        ("cpuset", Part::Cpuset),
        ("hostname", Part::HostName),
        ("domainname", Part::DomainName),
    ] {
        asked.extend(service.tree.get(key).map(|_| (part, service.place(key))));
    }
    let group = service.user.as_deref().and_then(|user| user.split_once(':'));
    asked.extend(group.map(|(_, group)| (Part::Group(group.to_owned()), service.place("user"))));
    let groups = service.group_add.iter().enumerate();
    asked.extend(
        groups.map(|(at, group)| (Part::Group(group.clone()), service.place(&format!("group_add.{at}")))),
    );
    let sysctls = service.sysctls.keys();
    asked.extend(sysctls.map(|key| (Part::sysctl(key), service.place(&format!("sysctls.{key}")))));
    let limits = service.ulimits.keys();
    asked.extend(limits.map(|name| (Part::Limit(name.clone()), service.place(&format!("ulimits.{name}")))));
}

/// Mounts, by all that a failure may name: their place inside, their source, and the path below it.
fn mounts_asked(service: &Service, asked: &mut Vec<(Part, Span)>) {
    for mount in &service.volumes {
        let below =
            [&mount.volume.subpath, &mount.image_subpath, &mount.source].into_iter().flatten().cloned();
        let named = below.chain([clean(&mount.target)]);
        asked.extend(named.map(|name| (Part::Mount(name), mount.span)));
    }
    for (at, text) in service.tmpfs.iter().enumerate() {
        let target = text.split_once(':').map_or(text.as_str(), |(target, _)| target);
        asked.push((Part::Mount(clean(target)), service.place(&format!("tmpfs.{at}"))));
    }
    for (kind, files) in [("secret", &service.secrets), ("config", &service.configs)] {
        asked.extend(files.iter().map(|file| (Part::Mount(clean(&file_target(kind, file))), file.span)));
    }
}

/// The server that lines are sent to, and the files that are for it.
fn log_asked(service: &Service, asked: &mut Vec<(Part, Span)>) {
    let Some(logging) = &service.logging else { return };
    let option = |name: &str| {
        let given = logging.options.contains_key(name);
        given.then(|| service.place(&format!("logging.options.{name}")))
    };
    let driver = || logging.driver.as_ref().map(|_| service.place("logging.driver"));
    if matches!(logging.driver.as_deref(), Some("journald" | "syslog")) {
        asked.extend(option(ADDRESS).or_else(driver).map(|span| (Part::LogServer, span)));
    }
    let files = [AUTHORITIES, CERTIFICATE, KEY];
    asked.extend(files.iter().filter_map(|name| Some((Part::LogOption((*name).to_owned()), option(name)?))));
}

fn devices_asked(service: &Service, asked: &mut Vec<(Part, Span)>) {
    for (at, device) in service.devices.iter().enumerate() {
        let name = if device.is_cdi() { &device.source } else { &device.target };
        asked.push((Part::Device(name.clone()), service.place(&format!("devices.{at}"))));
    }
    let gpus = service.gpus.iter().enumerate().map(|(at, request)| (format!("gpus.{at}"), request));
    let reserved = service.deploy.iter().flat_map(|deploy| &deploy.devices).enumerate();
    let reserved =
        reserved.map(|(at, request)| (format!("deploy.resources.reservations.devices.{at}"), request));
    for (path, request) in gpus.chain(reserved) {
        let names = crate::security::cdi_names(&path, request).unwrap_or_default();
        asked.extend(names.into_iter().map(|name| (Part::Device(name), service.place(&path))));
    }
}
