//! Services that a program provides: what it is told, and what it tells those that depend on them.

use crate::lowering::{Lowering, hash};
use crate::service::dependency;
use compose_spec::Service;
use compose_spec::model::Provider;
use resource::{Answers, ContainerSpec, Desired, DesiredService, Image, ImageNeed, ProviderSpec, label};
use std::collections::{BTreeMap, BTreeSet};

/// What means something beside `provider`; the rest is about containers.
const BESIDE: [&str; 4] = ["attach", "depends_on", "profiles", "provider"];

impl Lowering<'_> {
    /// A service of a provider: it has no containers. `None` when there can be no such program.
    pub(crate) fn provided(&mut self, service: &Service, provider: &Provider) -> Option<DesiredService> {
        if let Some(why) = unusable(&provider.kind) {
            self.error(service, "provider.type", why);
            return None;
        }
        let keys: Vec<String> =
            service.tree.as_map().into_iter().flatten().map(|(key, _)| key.clone()).collect();
        for key in keys.iter().filter(|key| !BESIDE.contains(&key.as_str()) && !key.starts_with("x-")) {
            self.ignored(service, key, "a provider has the service, not a container");
        }
        let image = Image::empty();
        let container = ContainerSpec::new(
            self.first_container(&service.name),
            &self.pod(),
            &service.name,
            image.reference.clone(),
        );
        let place = |path: &str| self.options.sources.place(service.place(path));
        Some(DesiredService {
            name: service.name.clone(),
            selected: true,
            replicas: 0,
            container,
            fixed_name: false,
            separator: self.separator().to_owned(),
            depends_on: service.depends_on.iter().map(dependency).collect(),
            image: ImageNeed::settled(image.reference, image.manifest),
            bound_to: vec![],
            place: self.options.sources.place(service.span),
            pre_start: vec![],
            mounted_images: vec![],
            provider: Some(ProviderSpec {
                kind: provider.kind.clone(),
                options: provider.options.clone(),
                place: place("provider.type"),
                options_place: place("provider.options"),
                definition: service.canonical_json(),
            }),
            update: None,
            places: vec![],
            builds: vec![],
        })
    }

    /// Refuses to share what a container has with a service that has none.
    pub(crate) fn check_bonds(&mut self, service: &Service, bound: &BTreeSet<String>) {
        let bound: Vec<&String> = bound.iter().filter(|name| self.is_provided(name)).collect();
        for name in bound {
            let joined = format!("service:{name}");
            let mut keys = ["network_mode", "pid", "ipc", "uts", "cgroup"].into_iter();
            let key = keys.find(|key| service.tree.str(key) == Some(&joined)).unwrap_or("volumes_from");
            let message = format!("`{key}`: `{name}` has a provider, and no container to share with");
            self.error(service, key, message);
        }
    }

    /// Whether a program has this service.
    pub(crate) fn is_provided(&self, service: &str) -> bool {
        self.project.services.get(service).is_some_and(|service| service.provider.is_some())
    }
}

/// Why no program can have this name.
fn unusable(kind: &str) -> Option<String> {
    match kind {
        "" => Some("the provider has no name".to_owned()),
        "compose" => Some("`compose` cannot be a provider: it would call itself".to_owned()),
        _ if kind.contains('\0') => Some("the name of a provider has a NUL in it".to_owned()),
        _ => None,
    }
}

/// What a service is given by the providers of those it depends on.
fn given<'a>(
    depends_on: impl Iterator<Item = &'a str>,
    answers: &BTreeMap<String, Answers>,
) -> BTreeMap<String, String> {
    let mut given = BTreeMap::new();
    for (service, answer) in depends_on.filter_map(|service| Some((service, answers.get(service)?))) {
        let prefix = service.to_uppercase();
        given.extend(answer.prefixed.iter().map(|(name, value)| (format!("{prefix}_{name}"), value.clone())));
        given.extend(answer.raw.clone());
    }
    given
}

/// Gives the containers of all services what the providers of their dependencies have said. The label with its
/// hash is set of what this changes, and of nothing else. Returns what is told of variables that the file sets
/// to something else.
pub fn give(desired: &mut Desired, answers: &BTreeMap<String, Answers>) -> Vec<String> {
    let mut told = vec![];
    for service in &mut desired.services {
        let given = given(service.depends_on.iter().map(|on| on.service.as_str()), answers);
        let before = service.container.process.environment.clone();
        let new = give_container(&mut service.container, given, &BTreeSet::new());
        for name in new.keys().filter(|name| before.contains_key(*name)) {
            told.push(format!(
                "a provider sets the variable {name} of service {}, whatever the file says",
                service.name
            ));
        }
        for hook in &mut service.pre_start {
            let own = &hook.container.process.environment;
            let own = own.iter().filter(|(name, value)| before.get(*name) != Some(value));
            let own = own.map(|(name, _)| name.clone()).collect();
            give_container(&mut hook.container, new.clone(), &own);
        }
    }
    told
}

/// Gives a container of `run` the same; what the command line sets stays as it is.
pub fn give_one_off<'a>(
    container: &mut ContainerSpec,
    depends_on: impl Iterator<Item = &'a str>,
    answers: &BTreeMap<String, Answers>,
    set: &BTreeSet<String>,
) {
    give_container(container, given(depends_on, answers), set);
}

/// Sets variables but those that are to stay, and returns those that were not so before.
fn give_container(
    container: &mut ContainerSpec,
    given: BTreeMap<String, String>,
    stay: &BTreeSet<String>,
) -> BTreeMap<String, String> {
    let environment = &mut container.process.environment;
    let is_new = |name: &String, value: &String| {
        !stay.contains(name) && environment.get(name).is_none_or(|old| old.as_ref() != Some(value))
    };
    let new: BTreeMap<String, String> =
        given.into_iter().filter(|(name, value)| is_new(name, value)).collect();
    if !new.is_empty() {
        environment.extend(new.iter().map(|(name, value)| (name.clone(), Some(value.clone()))));
        let text = new.iter().map(|(name, value)| format!("{name}={value}\0")).collect::<String>();
        container.labels.insert(label::PROVIDED.to_owned(), hash(text));
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;
    use resource::{PodName, Reference};

    fn container(environment: &[(&str, &str)]) -> ContainerSpec {
        let image = Reference::parse("busybox").unwrap();
        let mut spec = ContainerSpec::new("p-web-1", &PodName("p".to_owned()), "web", image);
        let variables =
            environment.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned())));
        spec.process.environment = variables.collect();
        spec
    }

    fn answers() -> BTreeMap<String, Answers> {
        let map = |name: &str, value: &str| [(name.to_owned(), value.to_owned())].into();
        [("my-db".to_owned(), Answers { prefixed: map("URL", "u"), raw: map("TOKEN", "t") })].into()
    }

    #[test]
    fn variables_have_the_service_in_front_or_are_as_they_are() {
        let given = given(["my-db", "other"].into_iter(), &answers());
        let names: Vec<&str> = given.keys().map(String::as_str).collect();
        assert_eq!(names, ["MY-DB_URL", "TOKEN"]);
    }

    #[test]
    fn only_what_a_provider_changes_makes_another_container() {
        let mut same = container(&[("MY-DB_URL", "u"), ("TOKEN", "t")]);
        give_one_off(&mut same, ["my-db"].into_iter(), &answers(), &BTreeSet::new());
        assert_eq!(same.labels.get(label::PROVIDED), None);
        let mut other = container(&[("TOKEN", "x")]);
        give_one_off(&mut other, ["my-db"].into_iter(), &answers(), &BTreeSet::new());
        assert_eq!(other.process.environment["TOKEN"].as_deref(), Some("t"));
        assert!(other.labels.contains_key(label::PROVIDED));
    }

    #[test]
    fn what_the_command_line_sets_stays() {
        let mut one = container(&[("TOKEN", "mine")]);
        give_one_off(&mut one, ["my-db"].into_iter(), &answers(), &["TOKEN".to_owned()].into());
        assert_eq!(one.process.environment["TOKEN"].as_deref(), Some("mine"));
        assert_eq!(one.process.environment["MY-DB_URL"].as_deref(), Some("u"));
    }
}
