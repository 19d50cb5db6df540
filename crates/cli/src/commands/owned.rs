//! What the commands about networks and about volumes have in common: which of them a word or a filter means, and
//! the lock of the project that one belongs to.

use crate::commands::image::filter::carries;
use crate::exit::Failure;
use crate::session::Session;
use crate::view::duration;
use engine::ProjectLock;
use resource::{Labels, PodName, Timestamp, label};

/// A word that does not say which one is meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotOne {
    /// None has this name or id.
    #[error("there is no {kind} `{word}`")]
    Missing {
        /// `network` or `volume`.
        kind: &'static str,
        /// The word.
        word: String,
        /// A name that looks like it.
        near: Option<String>,
    },
    /// Several ids begin so.
    #[error("`{word}` is the beginning of several {kind} ids")]
    Several {
        /// `network`.
        kind: &'static str,
        /// The word.
        word: String,
    },
}

impl NotOne {
    /// That none of these is called so.
    pub(super) fn missing<'a>(kind: &'static str, word: &str, names: impl Iterator<Item = &'a str>) -> Self {
        let near = diagnostic::nearest(word, names).map(str::to_owned);
        Self::Missing { kind, word: word.to_owned(), near }
    }
}

impl From<NotOne> for Failure {
    fn from(error: NotOne) -> Self {
        let failure = Self::new(error.to_string());
        match error {
            NotOne::Missing { kind, near: Some(near), .. } => {
                failure.hint(format!("a {kind} with a similar name exists: `{near}`"))
            }
            NotOne::Missing { kind, .. } => failure.hint(format!("`compose {kind} ls` lists them")),
            NotOne::Several { .. } => failure.hint("write more of the id"),
        }
    }
}

/// Takes the lock of the project that something with these labels belongs to, so that nothing is taken away
/// from under an `up` that has just made it; `None` for what belongs to nobody.
pub(super) async fn lock(session: &Session, labels: &Labels) -> Result<Option<ProjectLock>, Failure> {
    let Some(pod) = labels.get(label::PROJECT).map(|name| PodName(name.clone())) else { return Ok(None) };
    let waiting = || session.warn(&format!("waiting for another command on project `{pod}`"));
    let lock = session.engine()?.lock(&pod, waiting).await;
    lock.map(Some).map_err(|error| Failure::because(format!("cannot wait for project `{pod}`"), error))
}

/// Clears away what a command that was killed has left half-removed.
pub(super) fn sweep(session: &Session) -> Result<(), Failure> {
    let swept = session.engine()?.store().sweep();
    swept.map_err(|error| Failure::because("cannot clear away what is left half-made", error))
}

/// What filters look at.
pub(super) struct Seen<'a> {
    pub(super) name: &'a str,
    /// Empty where there is none.
    pub(super) id: &'a str,
    pub(super) driver: &'a str,
    pub(super) labels: &'a Labels,
    pub(super) created: Timestamp,
    /// A container uses it, running or not.
    pub(super) is_used: bool,
}

/// Filters as they were given. One of a kind is enough for names, ids and drivers; everything else holds together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filters {
    names: Vec<String>,
    ids: Vec<String>,
    drivers: Vec<String>,
    scopes: Vec<String>,
    labels: Vec<String>,
    other_labels: Vec<String>,
    before: Vec<Timestamp>,
    dangling: Option<bool>,
}

impl Filters {
    /// Reads `KEY=VALUE` texts whose key is among `words`.
    ///
    /// # Errors
    /// A sentence that names the filter, and the keys there are.
    pub(super) fn read(texts: &[String], words: &[&str], now: Timestamp) -> Result<Self, Failure> {
        let mut filters = Self::default();
        for text in texts {
            let wrong = |known: &str| {
                Failure::new(format!("invalid filter `{text}`")).hint(format!("known are {known}"))
            };
            // `label!=x` splits into `label!` and `x`.
            let Some((word, value)) = text.split_once('=').filter(|(word, _)| words.contains(word)) else {
                let known: Vec<_> = words.iter().map(|word| format!("{word}=…")).collect();
                return Err(wrong(&known.join(", ")));
            };
            let value = value.to_owned();
            match word {
                "name" => filters.names.push(value),
                "id" => filters.ids.push(value),
                "driver" => filters.drivers.push(value),
                "scope" => filters.scopes.push(value),
                "label" => filters.labels.push(value),
                "label!" => filters.other_labels.push(value),
                "until" => {
                    let time = duration::point(&value, now);
                    filters.before.push(time.ok_or_else(|| wrong("times and durations"))?);
                }
                _ => {
                    let dangling = crate::arguments::boolean(&value);
                    let dangling = dangling.map_err(|_| wrong("dangling=true and dangling=false"))?;
                    filters.dangling = Some(dangling);
                }
            }
        }
        Ok(filters)
    }

    /// Whether this one is meant.
    pub(super) fn takes(&self, seen: &Seen<'_>) -> bool {
        let any =
            |wanted: &[String], fits: &dyn Fn(&String) -> bool| wanted.is_empty() || wanted.iter().any(fits);
        let carries_all = |wanted: &[String]| wanted.iter().all(|wanted| carries(seen.labels, wanted));
        any(&self.names, &|name| seen.name.contains(name.as_str()))
            && any(&self.ids, &|id| seen.id.starts_with(id.as_str()))
            && any(&self.drivers, &|driver| seen.driver == driver)
            && any(&self.scopes, &|scope| scope == "local")
            && carries_all(&self.labels)
            && (self.other_labels.is_empty() || !carries_all(&self.other_labels))
            && self.before.iter().all(|time| seen.created < *time)
            && self.dangling.is_none_or(|dangling| dangling != seen.is_used)
    }
}

/// Labels as a list shows them.
pub(super) fn label_text(labels: &Labels) -> String {
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: [&str; 8] = ["name", "id", "driver", "scope", "label", "label!", "until", "dangling"];

    fn takes(texts: &[&str]) -> Result<bool, String> {
        let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let filters = Filters::read(&texts, &WORDS, at("2026-03-01T12:00:00Z"));
        let filters = filters.map_err(|failure| failure.render(false, false))?;
        let labels = Labels::from([("tier".to_owned(), "front".to_owned())]);
        Ok(filters.takes(&Seen {
            name: "shop_proxy",
            id: "0123abcd",
            driver: "bridge",
            labels: &labels,
            created: at("2026-03-01T10:00:00Z"),
            is_used: true,
        }))
    }

    #[test]
    fn filters_hold_together_and_one_of_a_kind_is_enough() {
        for (texts, expected) in [
            (&["name=prox"][..], true),
            (&["name=other"], false),
            (&["name=other", "name=shop"], true),
            (&["name=shop", "driver=macvlan"], false),
            (&["id=0123"], true),
            (&["id=123"], false),
            (&["driver=macvlan", "driver=bridge"], true),
            (&["scope=local"], true),
            (&["scope=swarm"], false),
            (&["label=tier", "label=tier=front"], true),
            (&["label=tier", "label=other"], false),
            (&["label!=tier=back"], true),
            (&["label!=tier"], false),
            (&["until=1h"], true),
            (&["until=3h"], false),
            (&["dangling=true"], false),
            (&["dangling=0"], true),
        ] {
            assert_eq!(takes(texts).unwrap(), expected, "{texts:?}");
        }
    }

    #[test]
    fn what_is_no_filter_is_named() {
        for wrong in ["proxy", "colour=red", "until=soon", "dangling=maybe"] {
            let told = takes(&[wrong]).unwrap_err();
            assert!(told.contains(&format!("`{wrong}`")) && told.contains("known are "), "{told}");
        }
    }
}
