//! Models: there is no runner here, so a model says where it is served, `models.NAME.x-endpoint`, and the services
//! that use it are told by two variables.

use crate::lowering::Lowering;
use compose_spec::model::{Model, ModelUse};
use compose_spec::{Project, Service};
use diagnostic::{Diagnostic, Span};
use std::collections::{BTreeMap, BTreeSet};

/// Ours: the specification leaves it to a runner where a model is served.
const KEY: &str = "x-endpoint";

/// What of a model is for a runner.
const FOR_A_RUNNER: [&str; 3] = ["context_size", "name", "runtime_flags"];

/// Where a model is served.
enum Endpoint<'a> {
    At(&'a str),
    /// What stands there is no address of a server.
    Unusable(Span),
    Unknown,
}

fn endpoint(model: &Model) -> Endpoint<'_> {
    let Some(node) = model.extensions.get(KEY).filter(|node| !node.is_null()) else {
        return Endpoint::Unknown;
    };
    match node.as_str() {
        // As of a variable that is not set.
        Some("") => Endpoint::Unknown,
        Some(text) if is_address(text) => Endpoint::At(text),
        _ => Endpoint::Unusable(node.span),
    }
}

/// Whether a text is `http://HOST…` or `https://HOST…`.
fn is_address(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    rest.is_some_and(|rest| {
        !rest.starts_with(['/', ':', '?', '#']) && !rest.is_empty() && !rest.contains(char::is_whitespace)
    })
}

/// The variables for the address and the name of the model with this key.
fn variables(key: &str, used: &ModelUse) -> (String, String) {
    let prefix = key.to_uppercase().replace('-', "_");
    let named = |given: &Option<String>, end: &str| {
        given.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| format!("{prefix}_{end}"))
    };
    (named(&used.endpoint_var, "URL"), named(&used.model_var, "MODEL"))
}

impl Lowering<'_> {
    /// What a service is told of its models. Its own `environment` wins.
    pub(crate) fn model_variables(&mut self, service: &Service) -> BTreeMap<String, Option<String>> {
        let mut told = BTreeMap::new();
        for (key, used) in &service.models {
            let Some(model) = self.project.models.get(key) else { continue };
            let Endpoint::At(address) = endpoint(model) else { continue };
            let (url, name) = variables(key, used);
            for (variable, value) in [(url, address), (name, &*model.model)] {
                if !service.environment.contains_key(&variable) {
                    told.insert(variable, Some(value.to_owned()));
                }
            }
            for part in FOR_A_RUNNER {
                let is_given = match part {
                    "context_size" => model.context_size.is_some(),
                    "name" => !model.name.is_empty(),
                    _ => !model.runtime_flags.is_empty(),
                };
                if let Some(span) = model.span.filter(|_| is_given) {
                    let message = format!("model `{key}`: `{part}` has no effect: who serves it decides");
                    self.tell_once("no-effect", span, message, "this model");
                }
            }
        }
        told
    }
}

/// What keeps services from being started for want of a model: one that nobody says the server of, or says
/// it wrongly.
pub fn unserved_models(project: &Project, services: &BTreeSet<&str>) -> Vec<Diagnostic> {
    let mut found = vec![];
    let enabled = |name: &&str| project.services.get(*name).or_else(|| project.disabled_services.get(*name));
    for service in services.iter().filter_map(enabled) {
        for key in service.models.keys() {
            let Some(model) = project.models.get(key) else { continue };
            let diagnostic = match endpoint(model) {
                Endpoint::At(_) => continue,
                Endpoint::Unusable(span) => {
                    let message = format!("model `{key}`: `{KEY}` is no address of a server");
                    Diagnostic::error("unusable-value", message)
                        .at(span, "such as `http://localhost:8000/v1`")
                }
                Endpoint::Unknown => {
                    let message =
                        format!("service `{}` uses the model `{key}`, which nothing here runs", service.name);
                    let told = Diagnostic::error("no-model-endpoint", message)
                        .at(service.place(&format!("models.{key}")), "it cannot be told where the model is");
                    told.help(format!(
                        "say where a server with OpenAI's interface has it: `{KEY}: http://HOST:PORT/v1` under `models.{key}`"
                    ))
                }
            };
            if !found.contains(&diagnostic) {
                found.push(diagnostic);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_of_a_server() {
        for good in ["http://localhost:8000/v1", "https://models.example", "http://[::1]:1/v1"] {
            assert!(is_address(good), "{good}");
        }
        for bad in ["", "http://", "localhost:8000", "http:///v1", "http://:80", "http://a b", "ftp://a"] {
            assert!(!is_address(bad), "{bad}");
        }
    }

    #[test]
    fn variables_are_named_by_the_key_or_as_asked() {
        assert_eq!(variables("my-llm", &ModelUse::default()), ("MY_LLM_URL".into(), "MY_LLM_MODEL".into()));
        let used = ModelUse { endpoint_var: Some("AT".into()), model_var: Some(String::new()) };
        assert_eq!(variables("a", &used), ("AT".into(), "A_MODEL".into()));
    }
}
