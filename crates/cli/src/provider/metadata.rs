//! What a provider says of itself: the options it knows, which of them it needs, and whether it can stop.

use plan::ProviderAct;
use serde_json::Value;
use std::collections::BTreeMap;

/// What it says; nothing, when it does not know the question.
#[derive(Debug, Default)]
pub(super) struct Metadata(Option<Value>);

impl Metadata {
    /// Reads its answer; anything but a JSON object is none.
    pub(super) fn read(text: &[u8]) -> Self {
        let read: Option<Value> = serde_json::from_slice(text).ok();
        Self(read.filter(Value::is_object))
    }

    /// Whether it can be asked to let its service rest.
    pub(super) fn can_stop(&self) -> bool {
        self.0.as_ref().is_some_and(|said| said["stop"].is_object())
    }

    /// The options as words, `--name=value`: all, or those it knows.
    ///
    /// # Errors
    /// The name of one that it needs and does not get.
    pub(super) fn options(
        &self,
        act: ProviderAct,
        given: &BTreeMap<String, Vec<String>>,
    ) -> Result<Vec<String>, String> {
        let known = self.parameters(act);
        let missing = known.iter().flatten().find(|(name, required)| *required && !given.contains_key(*name));
        if let Some((name, _)) = missing {
            return Err((*name).to_owned());
        }
        let is_known =
            |name: &str| known.as_ref().is_none_or(|known| known.iter().any(|(one, _)| *one == name));
        let words = given.iter().filter(|(name, _)| is_known(name));
        Ok(words
            .flat_map(|(name, values)| values.iter().map(move |value| format!("--{name}={value}")))
            .collect())
    }

    /// The options it knows for an act, and whether it needs them; `None` when it says nothing of options.
    fn parameters(&self, act: ProviderAct) -> Option<Vec<(&str, bool)>> {
        let said = self.0.as_ref()?;
        let of = |act: &str| said[act]["parameters"].as_array();
        let is_silent = said["description"].as_str().is_none_or(str::is_empty)
            && of("up").is_none()
            && of("down").is_none();
        if is_silent {
            return None;
        }
        let listed = of(act.as_str()).into_iter().flatten();
        Some(listed.filter_map(|one| Some((one["name"].as_str()?, one["required"] == true))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = r#"{"description": "d", "up": {"parameters": [{"name": "size", "required": true}, {"name": "a"}]},
        "stop": {}}"#;

    fn given(options: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        let owned = |values: &&[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        options.iter().map(|(name, values)| ((*name).to_owned(), owned(values))).collect()
    }

    #[test]
    fn without_metadata_all_options_are_passed_and_it_cannot_stop() {
        let options = given(&[("size", &["1"]), ("b", &["x", "y"])]);
        for text in ["", "no", "[1]", "{}", r#"{"description": ""}"#] {
            let metadata = Metadata::read(text.as_bytes());
            assert_eq!(metadata.options(ProviderAct::Up, &options).unwrap(), ["--b=x", "--b=y", "--size=1"]);
            assert!(!metadata.can_stop());
        }
    }

    #[test]
    fn with_metadata_only_what_is_known_is_passed_and_what_is_needed_is_asked_for() {
        let metadata = Metadata::read(SAID.as_bytes());
        let options = given(&[("size", &["1"]), ("b", &["x"])]);
        assert_eq!(metadata.options(ProviderAct::Up, &options).unwrap(), ["--size=1"]);
        assert_eq!(metadata.options(ProviderAct::Down, &options).unwrap(), [] as [&str; 0]);
        assert_eq!(metadata.options(ProviderAct::Up, &given(&[("a", &["1"])])), Err("size".to_owned()));
        assert!(metadata.can_stop());
    }
}
