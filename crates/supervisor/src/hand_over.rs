//! Published ports go from a running container to the one that takes its place: one change of the rules,
//! while the sockets that hold the ports stay open. Whoever connects meets the one or the other.

use crate::core::{Slot, Supervisor};
use crate::ports::{Bound, Reservation};
use crate::protocol::{Failure, FailureKind};
use crate::start::cannot;
use resource::ContainerId;

impl Supervisor {
    /// Publishes the ports of `from`, which may be gone, by `to`, and what `to` wants besides.
    pub(crate) fn hand_over(&mut self, from: &ContainerId, to: &ContainerId) -> Result<(), Failure> {
        let missing = || Failure::new(FailureKind::NoSuchContainer, "it does not run");
        let heir = self.slots.get(to).copied().ok_or_else(missing)?;
        let wanted = match self.containers.get(&heir) {
            Some(container) if container.is_live() => container.host_ports(),
            _ => return Err(missing()),
        };
        if let Some(holder) = self.slots.get(from).copied().filter(|holder| *holder != heir) {
            let (given, kept): (Bound, Bound) = self
                .take_ports(holder)
                .into_iter()
                .partition(|(binding, _)| wanted.iter().any(|port| port.is_served_by(binding)));
            self.hold(holder, kept).map_err(|error| cannot("listen on its ports", &error))?;
            self.hold(heir, given).map_err(|error| cannot("listen on its ports", &error))?;
            self.tell_ports(holder);
        }
        let mut outcome = Ok(());
        for port in &wanted {
            let held = |container: &crate::container::Container| {
                container.ports.iter().any(|held| port.is_served_by(&held.binding))
            };
            if self.containers.get(&heir).is_some_and(held) {
                continue;
            }
            match self.reserve(port) {
                Ok(bound) => self.hold(heir, bound).map_err(|error| cannot("listen on its ports", &error))?,
                Err(refused) => outcome = Err(self.explain(port, &refused)),
            }
        }
        self.tell_ports(heir);
        self.publish().map_err(|error| cannot("publish ports", &error))?;
        outcome
    }

    /// Takes a container's ports off it; their sockets stay open. Its datagram sessions know them by
    /// their place, so a client's next datagram opens another.
    fn take_ports(&mut self, slot: Slot) -> Bound {
        let taken = self.containers.get_mut(&slot).map(|container| std::mem::take(&mut container.ports));
        self.forwarder.forget(slot);
        taken.into_iter().flatten().map(Reservation::into_bound).collect()
    }

    /// Writes down the ports that a container has by now.
    fn tell_ports(&mut self, slot: Slot) {
        if let Some(container) = self.containers.get_mut(&slot) {
            container.state.ports = container.ports.iter().map(|port| port.binding.clone()).collect();
        }
        self.changed(slot);
    }
}
