//! Which pods the words on the command line mean.

use crate::exit::Failure;
use crate::session::Session;
use engine::{Engine, PodSummary};
use std::collections::BTreeSet;

/// The words and flags by which pods are named.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Which {
    /// All pods
    #[arg(short, long)]
    pub(super) all: bool,
    /// The pod that was made last
    #[arg(short, long, conflicts_with = "all")]
    pub(super) latest: bool,
    /// Names, ids or beginnings of ids
    #[arg(value_name = "POD", conflicts_with_all = ["all", "latest"])]
    pub(super) pods: Vec<String>,
}

/// A pod that is not there, or a word that does not say which one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotOne {
    /// No pod has this name or id.
    #[error("no pod with name or id `{word}`")]
    Missing {
        /// The word.
        word: String,
        /// A name that looks like it.
        near: Option<String>,
    },
    /// Several ids begin so.
    #[error("more than one pod has an id that begins with `{0}`")]
    Several(String),
}

impl Which {
    /// The pods that are meant, in the order they were named.
    ///
    /// # Errors
    /// That none is named, or what [`one`] says.
    pub(super) fn of(&self, session: &Session) -> Result<Vec<PodSummary>, Failure> {
        let pods = every(session)?;
        if self.all {
            return Ok(pods);
        }
        if self.latest {
            return latest(pods).map(|pod| vec![pod]);
        }
        if self.pods.is_empty() {
            return Err(Failure::new("no pod is named").hint("name pods, or say --all or --latest"));
        }
        self.pods.iter().map(|word| Ok(one(&pods, word)?.clone())).collect()
    }
}

/// All pods, sorted by name.
pub(super) fn every(session: &Session) -> Result<Vec<PodSummary>, Failure> {
    session.viewer()?.pods().map_err(|error| Failure::because("cannot list the pods", error))
}

/// The pod that was made last.
pub(super) fn latest(pods: Vec<PodSummary>) -> Result<PodSummary, Failure> {
    let latest = pods.into_iter().max_by_key(|pod| pod.record.created);
    latest.ok_or_else(|| Failure::new("there is no pod"))
}

/// The pod with this name or id, or the only one whose id begins so.
pub(super) fn one<'a>(pods: &'a [PodSummary], word: &str) -> Result<&'a PodSummary, NotOne> {
    let exact = pods.iter().find(|pod| pod.record.name.as_str() == word || pod.record.id == word);
    let mut begin = pods.iter().filter(|pod| !word.is_empty() && pod.record.id.starts_with(word));
    match (exact, begin.next(), begin.next()) {
        (Some(pod), ..) | (None, Some(pod), None) => Ok(pod),
        (None, Some(_), Some(_)) => Err(NotOne::Several(word.to_owned())),
        (None, None, _) => {
            let names = pods.iter().map(|pod| pod.record.name.as_str());
            let near = diagnostic::nearest(word, names).map(str::to_owned);
            Err(NotOne::Missing { word: word.to_owned(), near })
        }
    }
}

/// The id of the container that holds shared namespaces; empty where there is none.
pub(super) fn infra_id(pod: &PodSummary) -> &str {
    pod.infra().map_or("", |infra| infra.record.id.as_str())
}

/// Where the cgroup of a pod is; empty without cgroups.
pub(super) fn cgroup(engine: &Engine, pod: &PodSummary) -> String {
    engine.pod_cgroup(&pod.record.name).map_or_else(String::new, |path| path.display().to_string())
}

/// The networks that containers of a pod are on.
pub(super) fn networks(pod: &PodSummary) -> BTreeSet<&str> {
    let endpoints = pod.containers.iter().flat_map(|container| &container.record.spec.endpoints);
    endpoints.map(|endpoint| endpoint.network.as_str()).collect()
}

impl From<NotOne> for Failure {
    fn from(error: NotOne) -> Self {
        let failure = Self::new(error.to_string());
        match error {
            NotOne::Missing { near: Some(near), .. } => {
                failure.hint(format!("a pod with a similar name exists: `{near}`"))
            }
            NotOne::Missing { .. } => failure.hint("`compose pod ps` lists the pods"),
            NotOne::Several(_) => failure.hint("write more of the id"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use resource::{Labels, PodName, PodRecord, Timestamp};

    fn pod(name: &str, id: &str) -> PodSummary {
        let (labels, created) = (Labels::new(), Timestamp::UNIX_EPOCH);
        let record = PodRecord {
            id: id.to_owned(),
            name: PodName(name.to_owned()),
            labels,
            created,
            command: vec![],
            resources: resource::Resources::default(),
        };
        PodSummary { record, containers: vec![], damage: vec![] }
    }

    #[test]
    fn a_name_goes_before_an_id_and_a_beginning_has_to_be_the_only_one() {
        let pods = [pod("shop", "abc1"), pod("ab", "ffff"), pod("blog", "abd2")];
        let found = |word| one(&pods, word).map(|pod| pod.record.name.0.clone());
        assert_eq!(found("shop").unwrap(), "shop");
        assert_eq!(found("ab").unwrap(), "ab");
        assert_eq!(found("abd").unwrap(), "blog");
        assert_eq!(found("a"), Err(NotOne::Several("a".to_owned())));
        assert_eq!(found("x"), Err(NotOne::Missing { word: "x".to_owned(), near: None }));
        assert_eq!(found(""), Err(NotOne::Missing { word: String::new(), near: None }));
    }
}
