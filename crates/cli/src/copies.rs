//! What a copy of a project (`--as`) tells of itself: where its moved ports are.

use crate::exit::Failure;
use crate::session::Session;
use crate::view::progress::{Line, Progress, Status};
use compose_spec::model::MovedPort;
use resource::{ObservedContainer, PodName};
use std::collections::BTreeSet;

/// Tells of each port that has moved where it is published now.
pub(crate) fn tell_ports(
    session: &Session,
    progress: &Progress,
    pod: &PodName,
    moved: &[MovedPort],
) -> Result<(), Failure> {
    if moved.is_empty() || session.globals.dry_run {
        return Ok(());
    }
    lines(moved, &session.containers(pod)?.containers).iter().for_each(|line| progress.tell(line));
    Ok(())
}

/// A line for each moved port that is published now.
fn lines(moved: &[MovedPort], containers: &[ObservedContainer]) -> Vec<Line> {
    let mut lines = vec![];
    for MovedPort { service, written, moved: (first, last) } in moved {
        let mut places = BTreeSet::new();
        for container in containers.iter().filter(|container| container.record.spec.service == *service) {
            let here = container.state.ports.iter().filter(|port| (*first..=*last).contains(&port.host_port));
            places.extend(here.map(|port| match port.host_ip.is_unspecified() {
                true => port.host_port.to_string(),
                false => port.host().to_string(),
            }));
        }
        if !places.is_empty() {
            let places = places.into_iter().collect::<Vec<_>>().join(", ");
            let id = format!("Port {service} {}", range(*written));
            lines.push(Line::new(id, Status::Done, "Moved").details(format!("to {places}")));
        }
    }
    lines
}

fn range((first, last): (u16, u16)) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}
