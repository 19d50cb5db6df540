//! Starts whose time has not come: of a container that somebody is stopping, and into the namespaces of one that is
//! not there yet.
//!
//! ```text
//! `stop` that was interrupted ─▶ grace period ─▶ it has ended
//!  └▶ `up` has it started ───────────────────────┴▶ now
//!
//! a first process of a pid namespace is killed ─▶ all others in it are ─▶ they were waited for ─▶ it has ended
//!                                                  └▶ due to be started again ─────────────────────┴▶ now
//! ```
//! While the owner of namespaces ends, nobody comes into them, and what ended with it may be due before it.

use crate::container::Container;
use crate::core::Supervisor;
use crate::protocol::Reply;
use crate::start::Wanted;
use crate::surroundings::gone;
use resource::{IdentityShare, NetworkMode};

impl Supervisor {
    /// Gives back a start that can be made, and keeps one that cannot yet.
    pub(crate) fn unless_too_early(&mut self, wanted: Wanted) -> Option<Wanted> {
        let container = self.containers.get(&wanted.slot);
        if container.is_some_and(|container| self.is_too_early(container)) {
            self.early.push(wanted);
            return None;
        }
        Some(wanted)
    }

    /// Takes up the starts whose time has come.
    pub(crate) fn take_up_early(&mut self) {
        for wanted in std::mem::take(&mut self.early) {
            match self.containers.get(&wanted.slot) {
                Some(container) if self.is_too_early(container) => self.early.push(wanted),
                // By policy only as long as nobody has stopped or started it meanwhile.
                Some(container) if wanted.restart && !container.waits_for_restart() => {}
                Some(_) => self.wanted.push(wanted),
                None => {
                    for caller in wanted.callers {
                        self.reply(caller, Reply::Failed(gone()), None);
                    }
                }
            }
        }
    }

    fn is_too_early(&self, container: &Container) -> bool {
        container.is_stopping()
            || self.owners(container).any(|(owner, is_of_network)| {
                // The network namespace stays between runs; the others are those of a process.
                let is_there = is_of_network && owner.namespace.is_some();
                let is_ending = || owner.state.process.is_some_and(|it| sys::pidfd::is_exiting(it.pid));
                let is_coming = owner.waits_for_restart() || owner.starting.is_some();
                !is_there && (is_coming || (owner.is_up() && is_ending()))
            })
    }

    /// The containers of the pod whose namespaces one shares, and whether it is that of the network.
    fn owners<'a>(&'a self, container: &'a Container) -> impl Iterator<Item = (&'a Container, bool)> {
        let spec = &container.record.spec;
        let network = match &spec.network_mode {
            NetworkMode::Container(name) => Some((name, true)),
            _ => None,
        };
        let others = [&spec.pid, &spec.ipc, &spec.uts].into_iter().filter_map(|share| match share {
            IdentityShare::Container(name) => Some((name, false)),
            IdentityShare::Private | IdentityShare::Host => None,
        });
        network.into_iter().chain(others).filter_map(|(name, is_of_network)| {
            let owner = self.containers.values().find(|owner| owner.record.spec.name == *name)?;
            Some((owner, is_of_network))
        })
    }
}
