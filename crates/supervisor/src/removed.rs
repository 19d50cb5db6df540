//! How containers ended that removed themselves: nothing on disk tells it any more.

use crate::core::brief;
use resource::{ContainerId, ContainerState};
use std::collections::VecDeque;

/// States kept at most; the oldest goes first.
const KEPT: usize = 256;

/// Last states of containers that removed themselves, for those who were connected when they did.
#[derive(Debug, Default)]
pub(crate) struct Removed(VecDeque<(ContainerId, ContainerState)>);

impl Removed {
    pub(crate) fn remember(&mut self, id: ContainerId, state: &ContainerState) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back((id, brief(state)));
    }

    pub(crate) fn get(&self, id: &ContainerId) -> Option<&ContainerState> {
        self.0.iter().rev().find_map(|(removed, state)| (removed == id).then_some(state))
    }

    /// Nobody is left who may ask.
    pub(crate) fn forget_all(&mut self) {
        self.0 = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use resource::ExitStatus;

    #[test]
    fn the_latest_are_kept() {
        let id = |number: usize| ContainerId(format!("{number:064x}"));
        let mut removed = Removed::default();
        for number in 0..=KEPT {
            let exit = Some(ExitStatus::Code(number as i32));
            removed.remember(id(number), &ContainerState { exit, ..ContainerState::default() });
        }
        assert_eq!(removed.get(&id(0)), None);
        let exit = |number| removed.get(&id(number)).and_then(|state| state.exit);
        assert_eq!([exit(1), exit(KEPT)], [Some(ExitStatus::Code(1)), Some(ExitStatus::Code(KEPT as i32))]);
        removed.forget_all();
        assert_eq!(removed.get(&id(KEPT)), None);
    }
}
