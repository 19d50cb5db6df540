//! What is written beside each line of a container's log. Pure.

use regex_lite::Regex;
use resource::log::tag;
use resource::{ContainerRecord, LogServer};
use std::collections::BTreeMap;

/// The labels and variables that are asked for, by their names.
pub(crate) fn named(record: &ContainerRecord) -> BTreeMap<String, String> {
    let asked = &record.spec.log.attributes;
    let labels = record.spec.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let variables = record.process.environment.iter().filter_map(|entry| entry.split_once('='));
    let labels = chosen(labels, &asked.labels, asked.labels_regex.as_deref());
    chosen(variables, &asked.env, asked.env_regex.as_deref()).chain(labels).collect()
}

/// The same with the tag, as a record of the log has it.
pub(crate) fn all(record: &ContainerRecord) -> BTreeMap<String, String> {
    let mut all = named(record);
    if record.spec.log.attributes.tag.is_some() {
        all.insert("tag".to_owned(), tag_of(record));
    }
    all
}

/// The container's tag: its short id by default, and what it is said to be where it cannot be read.
pub(crate) fn tag_of(record: &ContainerRecord) -> String {
    let template = record.spec.log.attributes.tag.as_deref().unwrap_or(tag::DEFAULT);
    tag::render(template, record).unwrap_or_else(|_| template.to_owned())
}

/// Whether lines are sent to somebody besides.
pub(crate) fn server(record: &ContainerRecord) -> Option<&LogServer> {
    record.spec.log.server.as_ref().filter(|_| !record.spec.log.none)
}

/// Those of `all` that are named, or that the expression finds.
fn chosen<'a>(
    all: impl Iterator<Item = (&'a str, &'a str)>,
    names: &[String],
    expression: Option<&str>,
) -> impl Iterator<Item = (String, String)> {
    // One that cannot be read was refused where it was written.
    let expression = expression.and_then(|text| Regex::new(text).ok());
    let wanted = move |name: &str| {
        names.iter().any(|known| known == name) || expression.as_ref().is_some_and(|one| one.is_match(name))
    };
    let kept: Vec<_> = all
        .filter(|(name, _)| wanted(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    kept.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::record;

    #[test]
    fn what_is_asked_for_is_found() {
        let mut record = record("web");
        record.spec.labels.extend([("tier".into(), "front".into()), ("other".into(), "x".into())]);
        record.process.environment = vec!["COLOUR=red".into(), "SHAPE=round".into(), "PATH=/bin".into()];
        assert!(all(&record).is_empty());
        let asked = &mut record.spec.log.attributes;
        asked.labels = vec!["tier".into(), "none".into()];
        asked.env_regex = Some("^(COL|SH)".into());
        asked.tag = Some("{{.Name}}/{{.ID}}".into());
        let tag = format!("shop-web-1/{}", record.id.short());
        let pairs = [("COLOUR", "red"), ("SHAPE", "round"), ("tag", &tag), ("tier", "front")];
        assert_eq!(all(&record), pairs.map(|(name, value)| (name.into(), value.into())).into());
        assert_eq!(named(&record).len(), 3);
        record.spec.log.attributes.tag = None;
        assert_eq!(tag_of(&record), record.id.short());
    }
}
