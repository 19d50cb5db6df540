//! How the failure of an act is told: which service, which line, what to do.

use super::ActError;
use crate::exit::Failure;
use apply::StepFailed;
use engine::{EngineError, FailureKind};
use plan::{Planned, Step};
use resource::{Desired, EndpointSpec, INFRA, NetworkSpec, Part};

/// The failure that a step's error is for the user: which service, which line, what to do.
pub(crate) fn failure(failed: StepFailed<ActError>, desired: &Desired) -> Failure {
    explain(&failed.planned, failed.source, desired)
}

/// The failure that an act's error is for the user.
pub(crate) fn explain(planned: &Planned, source: ActError, desired: &Desired) -> Failure {
    let part = match &source {
        ActError::Engine(error) => error.part(),
        _ => None,
    };
    let asked = part.and_then(|part| asking(&planned.step, &part, desired));
    let subject = asked.unwrap_or_else(|| subject(&planned.step, desired));
    let hint = hint_for(&source);
    let failure = match source {
        ActError::Engine(error) if matches!(*error, EngineError::Build(_)) => {
            return crate::building::failure(*error);
        }
        // The engine's sentence says what was attempted on what.
        ActError::Engine(error) => Failure::new(format!("{subject}{}", chain(&*error))),
        ActError::Hook(error) => match &planned.step {
            Step::StopContainer { container, .. } => {
                Failure::new(format!("container `{container}` is not stopped: {}", chain(&error)))
            }
            _ => Failure::new(format!("{subject}{}", chain(&error))),
        },
        source => Failure::because(format!("{subject}could not {}", planned.step), source),
    };
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// Which service and line asked for a step: "service `web` (compose.yaml:6:12): ", or nothing.
fn subject(step: &Step, desired: &Desired) -> String {
    let of_service = |name: &str, place: &str| {
        if name == INFRA {
            format!("pod `{}` ({place}): ", desired.pod)
        } else if place.is_empty() {
            format!("service `{name}`: ")
        } else {
            format!("service `{name}` ({place}): ")
        }
    };
    let service = |name: &str| desired.services.iter().find(|service| service.name == name);
    match step {
        Step::Pull { need, services } => {
            let name = services.first().map_or("", String::as_str);
            of_service(name, &need.place)
        }
        Step::CreateContainer { spec, .. } => {
            of_service(&spec.service, service(&spec.service).map_or("", |service| &service.place))
        }
        Step::UpdateContainer { spec, .. } => {
            of_service(&spec.service, service(&spec.service).map_or("", |service| &service.place))
        }
        Step::StartContainer { service, place, .. } => of_service(service, place),
        Step::CreateNetwork(NetworkSpec { name, .. })
        | Step::RaiseNetwork(NetworkSpec { name, .. })
        | Step::RemoveNetwork { network: name } => match desired.network_places.get(name) {
            Some(place) => format!("network `{name}` ({place}): "),
            // One that no file declares is there because of a service.
            None => {
                let on = |endpoint: &EndpointSpec| endpoint.network == *name;
                let user = desired.services.iter().find(|one| one.container.endpoints.iter().any(on));
                user.map(|user| of_service(&user.name, &user.place)).unwrap_or_default()
            }
        },
        _ => String::new(),
    }
}

/// Which service and line asked for the part of a container that something went wrong with: of a pod's port not
/// the pod.
fn asking(step: &Step, part: &Part, desired: &Desired) -> Option<String> {
    let name = match step {
        Step::CreateContainer { spec, .. } | Step::UpdateContainer { spec, .. } => &spec.service,
        Step::StartContainer { service, .. } | Step::HandOverPorts { service, .. } => service,
        _ => return None,
    };
    let service = desired.services.iter().find(|service| service.name == *name)?;
    let asking = service.places.iter().find(|asking| asking.part == *part)?;
    Some(format!("service `{}` ({}): ", asking.service, asking.place))
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

/// What a person can do about an error.
fn hint_for(error: &ActError) -> Option<String> {
    let ActError::Engine(error) = error else { return None };
    if let EngineError::Start { foreign: Some(foreign), .. } = &**error {
        return Some(foreign.help.clone());
    }
    match (error.start_exit_code(), &**error) {
        (Some(127), _) => {
            return Some(
                "the program is looked up inside the image; check `command` and `entrypoint`".to_owned(),
            );
        }
        (Some(126), _) => {
            return Some(
                "the file is there but cannot be executed; check its permissions and its first line"
                    .to_owned(),
            );
        }
        _ if error.kind() == Some(&FailureKind::NoProfile) => {
            return Some("as root, with the file that has it: apparmor_parser -r FILE".to_owned());
        }
        (Some(_), error) if matches!(error.part(), Some(Part::Port(_))) => {
            return Some("publish another host port, or stop what holds this one".to_owned());
        }
        _ => {}
    }
    match &**error {
        EngineError::NameTaken { .. } => {
            Some("remove that container, or give this one another `container_name`".to_owned())
        }
        EngineError::NoImage { .. } => {
            Some("another command took it away meanwhile: run this again".to_owned())
        }
        EngineError::BindMissing { .. } => {
            Some("make the folder, or correct the path under `volumes`".to_owned())
        }
        EngineError::SubnetTaken { .. } => {
            Some("choose another `subnet`, or remove the other network".to_owned())
        }
        EngineError::VolumeInUse { .. } | EngineError::NetworkInUse { .. } => {
            Some("stop and remove those containers first".to_owned())
        }
        error if denied(error) => crate::privilege::hint(),
        error => crate::remedies::of(error),
    }
}

/// Whether the kernel denied something for want of privilege: `EPERM`.
fn denied(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut error = Some(error);
    while let Some(cause) = error {
        let system = cause.downcast_ref::<std::io::Error>();
        if system.is_some_and(|system| system.raw_os_error() == Some(rustix::io::Errno::PERM.raw_os_error()))
        {
            return true;
        }
        error = cause.source();
    }
    false
}
