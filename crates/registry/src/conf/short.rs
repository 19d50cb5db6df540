//! Names without a registry: what they may stand for.
//!
//! Docker takes them to be in `docker.io`, and so does everybody here who has not said otherwise. A
//! registries.conf may give a name an alias, which then is the only name that counts, or list registries
//! that are asked one after the other.

use crate::Failure;
use resource::{Implied, Reference};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The registry of names without one.
const USUAL: &str = "docker.io";

/// `short-name-mode`. Nobody is asked here, so what would be asked is decided as if there were no terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) enum ShortNameMode {
    /// Says nothing; as `permissive`.
    #[default]
    #[serde(rename = "")]
    Unsaid,
    /// A name that several registries may have is refused, unless Docker's is among them: that is what a
    /// Compose file means.
    #[serde(rename = "enforcing")]
    Enforcing,
    /// The first registry that has it.
    #[serde(rename = "permissive")]
    Permissive,
    /// The first registry that has it.
    #[serde(rename = "disabled")]
    Disabled,
}

/// What is said about names without a registry.
#[derive(Clone, Debug, Default)]
pub(super) struct ShortNames {
    /// Without tags.
    aliases: BTreeMap<String, Reference>,
    /// Registries to ask, in order.
    search: Vec<String>,
    mode: ShortNameMode,
}

impl ShortNames {
    /// Adds what a file says; an alias for nothing takes an earlier one back.
    ///
    /// # Errors
    /// What makes no sense.
    pub(super) fn add(
        &mut self,
        aliases: BTreeMap<String, String>,
        search: Option<Vec<String>>,
        mode: ShortNameMode,
    ) -> Result<(), String> {
        for (name, whole) in aliases {
            let key = short(&name)
                .ok_or_else(|| format!("the alias `{name}` is no name without registry and tag"))?;
            if whole.is_empty() {
                self.aliases.remove(&key);
                continue;
            }
            let target = Reference::parse(&whole).ok().filter(|target| {
                // No tag was written where the usual one makes another text.
                !target.implied.registry
                    && target.digest.is_none()
                    && !whole.ends_with(":latest")
                    && target.tag.as_deref() == Some("latest")
            });
            let target = target.ok_or_else(|| {
                format!("the alias `{name}` stands for `{whole}`, which is no name with a registry and without a tag")
            })?;
            self.aliases.insert(key, target);
        }
        if let Some(search) = search {
            let is_registry = |name: &&String| {
                let read = Reference::parse(&format!("{name}/x"));
                read.is_ok_and(|read| !read.implied.registry && read.registry == **name)
            };
            if let Some(wrong) = search.iter().find(|name| !is_registry(name)) {
                return Err(format!(
                    "unqualified-search-registries has `{wrong}`, which is no host of a registry"
                ));
            }
            self.search = search;
        }
        if mode != ShortNameMode::Unsaid {
            self.mode = mode;
        }
        Ok(())
    }

    /// The whole names that a reference may stand for, in the order in which to ask for them; never none.
    ///
    /// # Errors
    /// [`Failure::Ambiguous`]
    pub(super) fn candidates(&self, reference: &Reference) -> Result<Vec<Reference>, Failure> {
        if !reference.implied.registry {
            return Ok(vec![reference.clone()]);
        }
        let name = reference.familiar_repository();
        let of = |registry: &str, repository: String| Reference {
            registry: registry.to_owned(),
            repository,
            implied: Implied::default(),
            ..reference.clone()
        };
        if let Some(alias) = self.aliases.get(&name) {
            return Ok(vec![of(&alias.registry, alias.repository.clone())]);
        }
        let usual = || of(USUAL, reference.repository.clone());
        let at = |registry: &String| if registry == USUAL { usual() } else { of(registry, name.clone()) };
        match self.search.as_slice() {
            [] => Ok(vec![usual()]),
            [only] => Ok(vec![at(only)]),
            several if self.mode != ShortNameMode::Enforcing => Ok(several.iter().map(at).collect()),
            several if several.iter().any(|registry| registry == USUAL) => Ok(vec![usual()]),
            several => Err(Failure::Ambiguous { registries: several.to_vec() }),
        }
    }
}

/// A name without registry and tag, as it is looked up.
fn short(name: &str) -> Option<String> {
    let read = Reference::parse(name).ok().filter(|read| read.implied.registry && read.digest.is_none())?;
    (!name.contains(':')).then(|| read.familiar_repository())
}

#[cfg(test)]
mod tests {
    use crate::{Failure, Registries};
    use resource::Reference;
    use std::path::Path;

    fn asked(conf: &str, reference: &str) -> Result<Vec<String>, Failure> {
        let mut registries = Registries::default();
        registries.add(Path::new("test"), conf).unwrap();
        let spots = registries.spots(&Reference::parse(reference).unwrap())?;
        Ok(spots.into_iter().map(|spot| spot.reference.to_string()).collect())
    }

    #[test]
    fn a_name_without_a_registry_is_dockers_unless_told_otherwise() {
        assert_eq!(asked("", "nginx").unwrap(), ["docker.io/library/nginx:latest"]);
        let search = "unqualified-search-registries = ['a.test', 'docker.io']\n";
        let both = ["a.test/nginx:1", "docker.io/library/nginx:1"];
        assert_eq!(asked(search, "nginx:1").unwrap(), both);
        assert_eq!(asked(search, "docker.io/nginx:1").unwrap(), both[1..]);
        assert_eq!(asked(search, "b.test/nginx:1").unwrap(), ["b.test/nginx:1"]);
    }

    #[test]
    fn where_names_must_be_clear_several_registries_are_none() {
        let conf = |registries| {
            format!("unqualified-search-registries = [{registries}]\nshort-name-mode = 'enforcing'\n")
        };
        assert_eq!(asked(&conf("'a.test'"), "app").unwrap(), ["a.test/app:latest"]);
        assert_eq!(asked(&conf("'a.test', 'docker.io'"), "app").unwrap(), ["docker.io/library/app:latest"]);
        let error = asked(&conf("'a.test', 'b.test'"), "app").unwrap_err();
        assert!(matches!(error, Failure::Ambiguous { registries } if registries == ["a.test", "b.test"]));
    }

    #[test]
    fn an_alias_is_the_only_name_and_can_be_taken_back() {
        let conf = "unqualified-search-registries = ['a.test', 'c.test']\n
            [aliases]\n'nginx' = 'b.test:5000/web/nginx'\n'team/app' = 'b.test/app'\n";
        assert_eq!(asked(conf, "nginx:1").unwrap(), ["b.test:5000/web/nginx:1"]);
        assert_eq!(asked(conf, "team/app").unwrap(), ["b.test/app:latest"]);
        assert_eq!(asked(conf, "docker.io/nginx").unwrap(), ["docker.io/library/nginx:latest"]);
        let mut registries = Registries::default();
        registries.add(Path::new("a"), conf).unwrap();
        registries.add(Path::new("b"), "[aliases]\nnginx = ''\n").unwrap();
        assert_eq!(registries.spots(&Reference::parse("nginx").unwrap()).unwrap().len(), 2);
    }

    #[test]
    fn a_blocked_registry_is_passed_over_in_a_search() {
        let conf = "unqualified-search-registries = ['a.test', 'b.test']\n
            [[registry]]\nlocation = 'a.test'\nblocked = true\n";
        assert_eq!(asked(conf, "app").unwrap(), ["b.test/app:latest"]);
        assert!(matches!(asked(conf, "a.test/app").unwrap_err(), Failure::Blocked));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let reason = |text| Registries::default().add(Path::new("c"), text).unwrap_err().to_string();
        assert!(reason("[aliases]\n'a.test/x' = 'b.test/x'\n").contains("the alias `a.test/x`"));
        assert!(reason("[aliases]\n'x:1' = 'b.test/x'\n").contains("the alias `x:1`"));
        assert!(reason("[aliases]\nx = 'b.test/x:1'\n").contains("without a tag"));
        assert!(reason("[aliases]\nx = 'y'\n").contains("with a registry"));
        assert!(reason("unqualified-search-registries = ['https://a.test']\n").contains("no host"));
        assert!(reason("short-name-mode = 'strict'\n").contains("no registries.conf"));
    }
}
