//! What flags give to something that a file could declare: each word is a text of its own, so that a check of
//! files points into it as it would into a file: `--> --driver:1:1`.

use crate::exit::Failure;
use crate::session::Session;
use diagnostic::{Diagnostic, Sources, Span};
use std::collections::BTreeMap;

/// Words by the dotted path that they would have in a file.
#[derive(Debug, Default)]
pub(crate) struct Given {
    sources: Sources,
    places: BTreeMap<String, Span>,
    found: Vec<Diagnostic>,
}

impl Given {
    /// Takes a flag's word in for a path.
    pub(crate) fn word(&mut self, flag: &str, path: impl Into<String>, text: &str) -> Span {
        let file = self.sources.add(flag, text);
        let span = Span::new(file, 0, text.len());
        self.places.insert(path.into(), span);
        span
    }

    /// Takes the words `KEY=VALUE` of a flag in; one without a sign has the empty value. The last of a key counts.
    pub(crate) fn pairs(&mut self, flag: &str, path: &str, texts: &[String]) -> BTreeMap<String, String> {
        let mut pairs = BTreeMap::new();
        for (at, text) in texts.iter().enumerate() {
            if at == 0 {
                self.word(flag, path, text);
            }
            let (key, value) = text.split_once('=').unwrap_or((text, ""));
            self.word(flag, format!("{path}.{key}"), text);
            pairs.insert(key.to_owned(), value.to_owned());
        }
        pairs
    }

    /// Labels: those by which projects know what is theirs are refused, as in files.
    pub(crate) fn labels(&mut self, texts: &[String]) -> BTreeMap<String, String> {
        let labels = self.pairs("--label", "labels", texts);
        for key in labels.keys().filter(|key| key.starts_with("com.docker.compose.")) {
            let span = self.place(&format!("labels.{key}"));
            let message =
                format!("label `{key}` says which project something belongs to: only projects give it");
            self.wrong(span, message);
        }
        labels
    }

    /// Where the word for a path stands.
    pub(crate) fn place(&self, path: &str) -> Span {
        self.places.get(path).copied().unwrap_or(Span::NOWHERE)
    }

    /// Notes that a word cannot be used.
    pub(crate) fn wrong(&mut self, span: Span, message: impl Into<String>) {
        self.found.push(Diagnostic::error("unusable-value", message.into()).at(span, ""));
    }

    /// Adds what a check has found.
    pub(crate) fn tell(&mut self, found: Vec<Diagnostic>) {
        self.found.extend(found);
    }

    /// All that was found, drawn.
    #[cfg(test)]
    pub(crate) fn text(&self) -> String {
        diagnostic::render(&self.sources, &self.found, false)
    }

    /// Tells what was found.
    ///
    /// # Errors
    /// What cannot be used.
    pub(crate) fn finish(self, session: &Session) -> Result<(), Failure> {
        if diagnostic::has_errors(&self.found) {
            return Err(Failure::Diagnosed(Box::new((self.sources, self.found)), 1));
        }
        session.report(&diagnostic::render(&self.sources, &self.found, session.colour_errors));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_word_is_found_by_its_path() {
        let mut given = Given::default();
        let options = given.pairs("--opt", "driver_opts", &texts(&["parent=eth0", "a.b=c=d", "bare"]));
        let options: Vec<_> = options.iter().map(|(key, value)| format!("{key}:{value}")).collect();
        assert_eq!(options, ["a.b:c=d", "bare:", "parent:eth0"]);
        assert_eq!(given.sources.slice(given.place("driver_opts.a.b")), "a.b=c=d");
        assert_eq!(given.sources.slice(given.place("driver_opts")), "parent=eth0");
        assert!(given.place("driver").is_nowhere());
    }

    #[test]
    fn labels_of_projects_are_refused() {
        let mut given = Given::default();
        given.labels(&texts(&["tier=front"]));
        assert!(given.found.is_empty());
        given.labels(&texts(&["com.docker.compose.project=shop"]));
        assert!(given.found[0].message.contains("com.docker.compose.project"));
    }
}
