//! Which networks a word means, and who is on them.

use crate::commands::owned;
use engine::{Engine, PodSummary};
use resource::{Endpoint, NetworkRecord, ObservedContainer};

/// A network, and the containers that have addresses on it, running or not.
pub(super) struct Known<'a> {
    pub(super) record: NetworkRecord,
    pub(super) users: Vec<(&'a ObservedContainer, &'a Endpoint)>,
}

impl Known<'_> {
    pub(super) fn name(&self) -> &str {
        self.record.spec.name.as_str()
    }
}

/// All networks, sorted by name.
pub(super) fn every<'a>(engine: &Engine, pods: &'a [PodSummary]) -> Vec<Known<'a>> {
    let known = |record: NetworkRecord| {
        let containers = pods.iter().flat_map(|pod| &pod.containers);
        let endpoints = containers
            .flat_map(|one| one.record.endpoints.iter().map(move |endpoint| (one, endpoint)))
            .filter(|(_, endpoint)| endpoint.spec.network == record.spec.name);
        let users = endpoints.collect();
        Known { record, users }
    };
    engine.networks().into_iter().map(known).collect()
}

/// The network with this name or id, or the only one whose id begins so.
pub(super) fn one<'a, 'b>(known: &'a [Known<'b>], word: &str) -> Result<&'a Known<'b>, owned::NotOne> {
    let exact = known
        .iter()
        .find(|one| one.name() == word)
        .or_else(|| known.iter().find(|one| one.record.id == word));
    let mut begin = known.iter().filter(|one| !word.is_empty() && one.record.id.starts_with(word));
    match (exact, begin.next(), begin.next()) {
        (Some(found), ..) | (None, Some(found), None) => Ok(found),
        (None, Some(_), Some(_)) => Err(owned::NotOne::Several { kind: "network", word: word.to_owned() }),
        (None, None, _) => Err(owned::NotOne::missing("network", word, known.iter().map(Known::name))),
    }
}
