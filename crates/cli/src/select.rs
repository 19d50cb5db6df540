//! Which services and containers the words on the command line mean.

use crate::exit::Failure;
use crate::view::row;
use resource::{ContainerName, ObservedContainer, PodName, Status};
use std::collections::BTreeSet;

/// The services that these words name; shell-style patterns match any number of them.
///
/// # Errors
/// *no such service* for a word that names none.
pub(crate) fn services<'a>(
    words: &[String],
    known: impl IntoIterator<Item = &'a str>,
) -> Result<BTreeSet<String>, Failure> {
    let known: BTreeSet<&str> = known.into_iter().collect();
    let mut chosen = BTreeSet::new();
    for word in words {
        let before = chosen.len();
        chosen.extend(
            known.iter().filter(|name| *name == word || matches(word, name)).map(|&name| name.to_owned()),
        );
        let named = chosen.len() > before || chosen.iter().any(|name| matches(word, name));
        if !named {
            return Err(unknown(word, known.iter().copied()));
        }
    }
    Ok(chosen)
}

/// *no such service*, with the nearest of those that there are.
pub(crate) fn unknown<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Failure {
    let failure = Failure::new(format!("no such service: {word}"));
    match diagnostic::nearest(word, known) {
        Some(near) => failure.hint(format!("a service with a similar name exists: `{near}`")),
        None => failure,
    }
}

/// Whether a shell pattern with `*`, `?` and `[…]` matches a whole name.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    fn tail(pattern: &[char], name: &[char]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some(('*', rest)) => (0..=name.len()).any(|skipped| tail(rest, &name[skipped..])),
            Some(('?', rest)) => !name.is_empty() && tail(rest, &name[1..]),
            Some(('[', rest)) => match (rest.iter().position(|&letter| letter == ']'), name.split_first()) {
                (Some(end), Some((letter, after))) => {
                    set(&rest[..end], *letter) && tail(&rest[end + 1..], after)
                }
                _ => false,
            },
            Some((letter, rest)) => name.first() == Some(letter) && tail(rest, &name[1..]),
        }
    }
    fn set(members: &[char], letter: char) -> bool {
        let (negated, members) = match members {
            ['^' | '!', rest @ ..] => (true, rest),
            members => (false, members),
        };
        let mut inside = false;
        let mut at = 0;
        while at < members.len() {
            match members.get(at..at + 3) {
                Some([from, '-', to]) => {
                    inside |= (*from..=*to).contains(&letter);
                    at += 3;
                }
                _ => {
                    inside |= members[at] == letter;
                    at += 1;
                }
            }
        }
        inside != negated
    }
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    tail(&pattern, &name)
}

/// The service of a container with this name, as far as the name tells: it is between the project's and a number.
pub(crate) fn service_in<'a>(name: &'a ContainerName, pod: &PodName) -> Option<&'a str> {
    let rest = name.as_str().strip_prefix(pod.as_str())?;
    ['-', '_'].into_iter().find_map(|separator| {
        let (service, number) = rest.strip_prefix(separator)?.rsplit_once(separator)?;
        number.parse::<u32>().is_ok().then_some(service)
    })
}

/// The running container of a service that is meant by `--index`: that replica, or the lowest
/// number; one-offs come last.
///
/// # Errors
/// *service is not running*, or that there is no such replica.
pub(crate) fn running<'a>(
    containers: &'a [ObservedContainer],
    service: &str,
    index: u32,
) -> Result<&'a ObservedContainer, Failure> {
    let mut mine: Vec<&ObservedContainer> = containers
        .iter()
        .filter(|container| container.record.spec.service == service)
        .filter(|container| matches!(container.state.status, Status::Running | Status::Paused))
        .filter(|container| index == 0 || container.record.spec.number == Some(index))
        .collect();
    mine.sort_by_key(|container| {
        (row::is_one_off(container), container.record.spec.number, container.record.created)
    });
    let found = mine.first().copied().filter(|container| index == 0 || !row::is_one_off(container));
    found.ok_or_else(|| {
        if index == 0 {
            let is_there = containers.iter().any(|container| container.record.spec.service == service);
            let verb = if is_there { "start" } else { "up -d" };
            Failure::new(format!("service \"{service}\" is not running")).hint(format!(
                "`compose {verb} {service}` starts it; `compose ps -a {service}` says how it is"
            ))
        } else {
            Failure::new(format!("service \"{service}\" is not running container #{index}"))
                .hint(format!("`compose ps {service}` lists those that run"))
        }
    })
}

/// The container of a service that is meant by `--index`, whether it runs or not: that replica, or the
/// lowest number; one-offs come last.
///
/// # Errors
/// That there is none.
pub(crate) fn existing<'a>(
    containers: &'a [ObservedContainer],
    service: &str,
    index: u32,
) -> Result<&'a ObservedContainer, Failure> {
    let mine = containers
        .iter()
        .filter(|container| container.record.spec.service == service)
        .filter(|container| index == 0 || container.record.spec.number == Some(index));
    let first = mine.min_by_key(|container| {
        (row::is_one_off(container), container.record.spec.number, container.record.created)
    });
    first.ok_or_else(|| {
        let failure = if index == 0 {
            Failure::new(format!("no container found for service \"{service}\""))
        } else {
            Failure::new(format!("no container found for service \"{service}\" at index {index}"))
        };
        failure.hint("`compose ps -a` lists those there are")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_a_shell() {
        assert!(matches("web*", "web"));
        assert!(matches("web*", "web-admin"));
        assert!(!matches("web*", "aweb"));
        assert!(matches("w?b", "web"));
        assert!(matches("[a-c]x", "bx"));
        assert!(!matches("[!a-c]x", "bx"));
    }

    #[test]
    fn a_name_tells_the_service() {
        let service =
            |name: &str| service_in(&ContainerName(name.to_owned()), &"shop".into()).map(str::to_owned);
        assert_eq!(service("shop-web-1").as_deref(), Some("web"));
        assert_eq!(service("shop_web-admin_12").as_deref(), Some("web-admin"));
        assert_eq!(service("shop-web-run-1a2b"), None);
        assert_eq!(service("front"), None);
    }

    #[test]
    fn a_word_names_a_service_or_fails() {
        let known = ["web", "worker", "db"];
        assert_eq!(services(&["w*".into(), "web".into()], known).unwrap().len(), 2);
        let failure = services(&["wbe".into()], known).unwrap_err();
        assert_eq!(
            failure.render(false, false),
            "error: no such service: wbe\n  = help: a service with a similar name exists: `web`\n"
        );
    }
}
