//! A container that stays gets other published ports and other names.

use crate::container::read_record;
use crate::core::Supervisor;
use crate::ports::{Bound, Reservation};
use crate::protocol::{Failure, FailureKind};
use crate::start::cannot;
use resource::{ContainerId, PortBinding, PortSpec};

impl Supervisor {
    /// Reads a container's record again and publishes the ports it has by now. A port that it had
    /// already stays open, with its connections. When one cannot be had, all is as it was.
    pub(crate) fn updated(&mut self, id: &ContainerId) -> Result<(), Failure> {
        let Some(slot) = self.slots.get(id).copied() else { return Ok(()) };
        let missing = || Failure::new(FailureKind::NoSuchContainer, "its record is gone");
        let record = read_record(&self.roots, &self.pod, id).ok_or_else(missing)?;
        let Some(container) = self.containers.get_mut(&slot) else { return Ok(()) };
        let old = std::mem::replace(&mut container.record, record);
        if !container.is_live() || !container.has_network() {
            return Ok(());
        }
        let wanted = container.host_ports();
        let (had, lost) = (std::mem::take(&mut container.ports), container.state.lost_ports.clone());
        // Its datagram sessions know their port by its place; a client's next datagram opens another.
        self.forwarder.forget(slot);
        let had = had.into_iter().map(Reservation::into_bound);
        let (mut ports, gone): (Bound, Bound) =
            had.partition(|(binding, _)| wanted.iter().any(|wanted| wanted.is_served_by(binding)));
        let gone: Vec<_> = gone.into_iter().map(|(binding, _)| binding).collect();
        let kept = ports.len();
        let lost = |spec: &PortSpec| lost.iter().any(|port| spec.is_served_by(port));
        let missing: Vec<_> =
            wanted.iter().filter(|spec| !old.spec.ports.contains(spec) || lost(spec)).collect();
        let mut outcome = Ok(());
        for spec in missing {
            // In one family it may have been kept.
            if ports.iter().any(|(binding, _)| spec.is_served_by(binding)) {
                continue;
            }
            match self.reserve(spec) {
                Ok(bound) => ports.extend(bound),
                Err(refused) => {
                    outcome = Err(self.explain(spec, &refused));
                    ports.truncate(kept);
                    ports.extend(gone.iter().cloned().map(|binding| self.again(binding)));
                    break;
                }
            }
        }
        self.hold(slot, ports).map_err(|error| cannot("listen on its ports", &error))?;
        if let Some(container) = self.containers.get_mut(&slot) {
            if outcome.is_err() {
                container.record = old;
            }
            let bindings = container.ports.iter().map(|reservation| reservation.binding.clone());
            container.state.ports = bindings.collect();
            if outcome.is_ok() {
                container.state.lost_ports.clear();
            }
        }
        self.open_doors(slot);
        self.publish().map_err(|error| cannot("publish ports", &error))?;
        self.changed(slot);
        outcome
    }

    /// A port that was given up a moment ago. The rule is what matters; one that somebody else took
    /// meanwhile is published all the same.
    fn again(&self, binding: PortBinding) -> (PortBinding, Option<std::os::fd::OwnedFd>) {
        let socket = self.bind_outside(&binding).ok().flatten();
        (binding, socket)
    }
}
