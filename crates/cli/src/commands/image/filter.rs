//! `--filter` of the commands about images: which of them are meant. What an image is compared with is found when
//! the filter is read, so that choosing needs nothing but the image.

use super::find;
use crate::exit::Failure;
use crate::select;
use crate::view::duration;
use resource::{Image, Labels, Reference, Timestamp};

/// What `image ls` takes.
pub(crate) const LISTED: &[&str] =
    &["after", "before", "dangling", "label", "label!", "reference", "since", "until"];
/// What takes images away takes less, as in Docker.
pub(crate) const PRUNED: &[&str] = &["label", "label!", "until"];

/// Filters as they were given. One of a kind is enough for `reference`; everything else holds together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filters {
    labels: Vec<String>,
    other_labels: Vec<String>,
    /// Patterns of references.
    references: Vec<String>,
    /// Made before all of these.
    before: Vec<Timestamp>,
    /// Made after all of these.
    after: Vec<Timestamp>,
    dangling: Option<bool>,
    /// There is one that is about time.
    pub(crate) is_about_time: bool,
}

impl Filters {
    /// Reads `KEY=VALUE` texts whose key is among `words`; `known` are the images that a value may name.
    ///
    /// # Errors
    /// A sentence that names the filter, and the keys there are.
    pub(crate) fn read(
        texts: &[String],
        words: &[&str],
        known: &[Image],
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let mut filters = Self::default();
        for text in texts {
            let wrong = |hint: String| {
                Failure::new(format!("invalid filter `{text}`")).hint(format!("known are {hint}"))
            };
            // `label!=x` splits into `label!` and `x`.
            let Some((word, value)) = text.split_once('=').filter(|(word, _)| words.contains(word)) else {
                return Err(wrong(
                    words.iter().map(|word| format!("{word}=…")).collect::<Vec<_>>().join(", "),
                ));
            };
            let made = || find::one(known, value).map(|image| image.created.unwrap_or(Timestamp::UNIX_EPOCH));
            match word {
                "label" => filters.labels.push(value.to_owned()),
                "label!" => filters.other_labels.push(value.to_owned()),
                "reference" => filters.references.push(value.to_owned()),
                "before" => filters.before.push(made()?),
                "dangling" => match value {
                    "true" | "1" => filters.dangling = Some(true),
                    "false" | "0" => filters.dangling = Some(false),
                    _ => return Err(wrong("dangling=true and dangling=false".to_owned())),
                },
                "until" => {
                    let time = duration::point(value, now);
                    filters.before.push(time.ok_or_else(|| wrong("times and durations".to_owned()))?);
                    filters.is_about_time = true;
                }
                _ => filters.after.push(made()?),
            }
        }
        Ok(filters)
    }

    /// Adds a pattern that references have to match.
    pub(crate) fn naming(mut self, pattern: Option<&str>) -> Self {
        self.references.extend(pattern.map(str::to_owned));
        self
    }

    /// Whether nothing was asked for.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether an image is meant. None is without a name here, which is what `dangling` asks for.
    pub(crate) fn takes(&self, image: &Image) -> bool {
        let created = image.created.unwrap_or(Timestamp::UNIX_EPOCH);
        self.takes_labels(&image.config.labels)
            && self.dangling != Some(true)
            && self.before.iter().all(|time| created < *time)
            && self.after.iter().all(|time| created > *time)
            && (self.references.is_empty()
                || self.references.iter().any(|pattern| is_named(&image.reference, pattern)))
    }

    /// Whether something with these labels is meant, as far as they say.
    pub(crate) fn takes_labels(&self, labels: &Labels) -> bool {
        let carries_all = |wanted: &[String]| wanted.iter().all(|wanted| carries(labels, wanted));
        carries_all(&self.labels) && (self.other_labels.is_empty() || !carries_all(&self.other_labels))
    }
}

/// Whether the label is there: `key`, or `key=value`.
pub(crate) fn carries(labels: &Labels, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((key, value)) => labels.get(key).is_some_and(|found| found == value),
        None => labels.contains_key(wanted),
    }
}

/// Whether a pattern is of this reference, as people write it or whole, with its tag or without; `*` stays within a
/// part of the path.
fn is_named(reference: &Reference, pattern: &str) -> bool {
    let whole = Reference { tag: None, digest: None, ..reference.clone() };
    let names =
        [reference.familiar(), reference.familiar_repository(), reference.to_string(), whole.to_string()];
    let parts: Vec<&str> = pattern.split('/').collect();
    names.iter().any(|name| {
        let name: Vec<&str> = name.split('/').collect();
        name.len() == parts.len() && parts.iter().zip(&name).all(|(part, name)| select::matches(part, name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn image(name: &str, created: &str, hex: char) -> Image {
        let mut image = Image::empty();
        image.reference = Reference::parse(name).unwrap();
        image.id = resource::Digest::parse(&format!("sha256:{}", hex.to_string().repeat(64))).unwrap();
        image.created = Some(at(created));
        image.config.labels = Labels::from([("tier".to_owned(), "front".to_owned())]);
        image
    }

    fn known() -> Vec<Image> {
        vec![
            image("busybox:1", "2026-03-01T10:00:00Z", 'a'),
            image("quay.io/team/app:2", "2026-03-01T11:00:00Z", 'b'),
            image("redis:7", "2026-03-01T12:00:00Z", 'c'),
        ]
    }

    /// The repositories of those that are chosen.
    fn chosen(texts: &[&str]) -> Result<Vec<String>, String> {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        let known = known();
        let filters = Filters::read(&texts, LISTED, &known, at("2026-03-01T12:30:00Z"))
            .map_err(|failure| failure.line())?;
        let names = known.iter().filter(|image| filters.takes(image));
        Ok(names.map(|image| image.reference.familiar_repository()).collect())
    }

    #[test]
    fn images_are_chosen_by_what_is_asked() {
        assert_eq!(chosen(&["before=quay.io/team/app:2"]).unwrap(), ["busybox"]);
        assert_eq!(chosen(&["since=aaaa"]).unwrap(), ["quay.io/team/app", "redis"]);
        assert_eq!(chosen(&["after=busybox:1", "until=1h"]).unwrap(), ["quay.io/team/app"]);
        assert_eq!(
            chosen(&["reference=*/team/*", "reference=red*:7"]).unwrap(),
            ["quay.io/team/app", "redis"]
        );
        assert_eq!(chosen(&["reference=docker.io/library/busybox"]).unwrap(), ["busybox"]);
        assert!(chosen(&["reference=team"]).unwrap().is_empty());
        assert_eq!(chosen(&["label=tier", "label=tier=front"]).unwrap().len(), 3);
        assert!(chosen(&["label=tier=back"]).unwrap().is_empty());
        assert!(chosen(&["label!=tier"]).unwrap().is_empty());
        assert!(chosen(&["dangling=true"]).unwrap().is_empty());
        assert_eq!(chosen(&["dangling=false"]).unwrap().len(), 3);
    }

    #[test]
    fn what_is_no_filter_is_named() {
        for wrong in ["nothing", "size=3", "dangling=maybe", "until=soon"] {
            assert!(chosen(&[wrong]).unwrap_err().contains(&format!("`{wrong}`")), "{wrong}");
        }
        assert!(chosen(&["before=nobody"]).unwrap_err().contains("there is no image `nobody`"));
        let texts = ["dangling=true".to_owned()];
        assert!(Filters::read(&texts, PRUNED, &[], at("2026-03-01T12:30:00Z")).is_err());
    }
}
