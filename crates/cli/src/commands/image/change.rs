//! The instructions of `--change`: those of a Dockerfile that only change an image's configuration.

use resource::{HealthCheck, ImageConfig};

/// Why an instruction cannot be applied.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadChange {
    /// It is none, or one that needs a build.
    #[error(
        "`{0}` is not an instruction known here; known are CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, STOPSIGNAL, USER, VOLUME and WORKDIR"
    )]
    Unknown(String),
    /// It has no value.
    #[error("{0} needs a value")]
    Empty(&'static str),
    /// `NAME=value` was expected.
    #[error("`{0}` is not of the form NAME=value")]
    NotAPair(String),
    /// A quotation that does not end.
    #[error("a quotation mark is not closed")]
    Quote,
    /// Not a port.
    #[error("`{0}` is not a port such as 80 or 53/udp")]
    Port(String),
    /// A working directory has to be absolute, since there is none before it.
    #[error("`{0}` is not an absolute path")]
    Relative(String),
    /// A health check other than `NONE` and `CMD`.
    #[error("a health check is `NONE` or `CMD` and a command, without options")]
    Check,
}

/// Applies one instruction to a configuration.
///
/// # Errors
/// [`BadChange`], with the configuration unchanged.
///
/// Source: Dockerfile reference; `podman import --change`.
pub(crate) fn apply(config: &mut ImageConfig, instruction: &str) -> Result<(), BadChange> {
    let instruction = instruction.trim();
    let end = instruction.find(|letter: char| letter.is_whitespace() || letter == '=');
    // `CMD=…`, as older Docker versions had it, is read as `CMD …`.
    let (name, rest) =
        end.map_or((instruction, ""), |end| (&instruction[..end], instruction[end + 1..].trim()));
    let some = |name| if rest.is_empty() { Err(BadChange::Empty(name)) } else { Ok(rest) };
    match name.to_ascii_uppercase().as_str() {
        "CMD" => config.command = command(some("CMD")?),
        "ENTRYPOINT" => config.entrypoint = command(some("ENTRYPOINT")?),
        "ENV" => {
            for (name, value) in pairs(some("ENV")?)? {
                let mark = format!("{name}=");
                config.environment.retain(|known| !known.starts_with(&mark));
                config.environment.push(mark + &value);
            }
        }
        "LABEL" => config.labels.extend(pairs(some("LABEL")?)?),
        "EXPOSE" => {
            for port in some("EXPOSE")?.split_whitespace() {
                push_new(&mut config.exposed_ports, exposed(port)?);
            }
        }
        "VOLUME" => {
            let value = some("VOLUME")?;
            let paths = json(value).map_or_else(|| words(value), Ok)?;
            paths.into_iter().for_each(|path| push_new(&mut config.volumes, path));
        }
        "USER" => config.user = some("USER")?.to_owned(),
        "WORKDIR" => config.working_dir = absolute(some("WORKDIR")?)?,
        "STOPSIGNAL" => config.stop_signal = Some(some("STOPSIGNAL")?.to_owned()),
        "HEALTHCHECK" => config.healthcheck = check(some("HEALTHCHECK")?)?,
        _ => return Err(BadChange::Unknown(name.to_owned())),
    }
    Ok(())
}

/// The exec form, a JSON array of strings, as it is; anything else is the shell form.
fn command(text: &str) -> Vec<String> {
    json(text).unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned(), text.to_owned()])
}

fn json(text: &str) -> Option<Vec<String>> {
    serde_json::from_str(text).ok()
}

fn push_new(list: &mut Vec<String>, entry: String) {
    if !list.contains(&entry) {
        list.push(entry);
    }
}

fn exposed(text: &str) -> Result<String, BadChange> {
    let bad = || BadChange::Port(text.to_owned());
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    let known = matches!(protocol.as_str(), "tcp" | "udp" | "sctp");
    match port.parse::<u16>() {
        Ok(port) if port > 0 && known => Ok(format!("{port}/{protocol}")),
        _ => Err(bad()),
    }
}

fn absolute(text: &str) -> Result<String, BadChange> {
    if text.starts_with('/') { Ok(text.to_owned()) } else { Err(BadChange::Relative(text.to_owned())) }
}

fn check(text: &str) -> Result<Option<HealthCheck>, BadChange> {
    let (kind, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let test = match (kind.to_ascii_uppercase().as_str(), rest.trim()) {
        ("NONE", "") => return Ok(None),
        ("CMD", rest) if !rest.is_empty() => command(rest),
        _ => return Err(BadChange::Check),
    };
    let (interval, timeout, retries) = (None, None, None);
    Ok(Some(HealthCheck { test, interval, timeout, retries, start_period: None, start_interval: None }))
}

/// `A=1 B="two words"`, or the old form `A the whole rest`.
fn pairs(text: &str) -> Result<Vec<(String, String)>, BadChange> {
    let first = text.split_whitespace().next().unwrap_or_default();
    if !first.contains('=') {
        let (name, value) =
            text.split_once(char::is_whitespace).ok_or_else(|| BadChange::NotAPair(text.to_owned()))?;
        return Ok(vec![(name.to_owned(), value.trim().to_owned())]);
    }
    let split = |word: String| match word.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(BadChange::NotAPair(word)),
    };
    words(text)?.into_iter().map(split).collect()
}

/// Words as a Dockerfile has them: quotation marks keep blanks together and vanish, `\` takes the next
/// character as it is, except between single quotation marks.
fn words(text: &str) -> Result<Vec<String>, BadChange> {
    let (mut words, mut word) = (vec![], None::<String>);
    let mut quote = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', None | Some('"')) => word.get_or_insert_default().extend(letters.next()),
            (mark, Some(open)) if mark == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (blank, None) if blank.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    if quote.is_some() { Err(BadChange::Quote) } else { Ok(words) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(instructions: &[&str]) -> ImageConfig {
        let mut config = ImageConfig::default();
        for instruction in instructions {
            apply(&mut config, instruction).unwrap_or_else(|error| panic!("{instruction}: {error}"));
        }
        config
    }

    fn refused(instruction: &str) -> BadChange {
        apply(&mut ImageConfig::default(), instruction).unwrap_err()
    }

    #[test]
    fn commands_have_two_forms() {
        let config = changed(&["ENTRYPOINT [\"/server\", \"-v\"]", "cmd echo \"$HOME\" && true"]);
        assert_eq!(config.entrypoint, ["/server", "-v"]);
        assert_eq!(config.command, ["/bin/sh", "-c", "echo \"$HOME\" && true"]);
        assert_eq!(changed(&["CMD=[\"a\"]", "CMD []"]).command, [""; 0]);
    }

    #[test]
    fn variables_and_labels_are_pairs() {
        let config = changed(&["ENV A=1 B=\"two words\" C=a\\ b", "ENV A one more", "LABEL x='y z' e="]);
        assert_eq!(config.environment, ["B=two words", "C=a b", "A=one more"]);
        assert_eq!(config.labels["x"], "y z");
        assert_eq!(config.labels["e"], "");
        assert_eq!(refused("ENV A"), BadChange::NotAPair("A".to_owned()));
        assert_eq!(refused("ENV A=1 B"), BadChange::NotAPair("B".to_owned()));
        assert_eq!(refused("LABEL a=\"b"), BadChange::Quote);
    }

    #[test]
    fn the_rest_is_read_as_a_dockerfile_is() {
        let config = changed(&[
            "EXPOSE 80 53/UDP 80/tcp",
            "VOLUME /data \"/with blank\"",
            "VOLUME [\"/json\", \"/data\"]",
            "USER 1000:1000",
            "WORKDIR /srv",
            "STOPSIGNAL SIGQUIT",
            "HEALTHCHECK CMD /probe --quick",
        ]);
        assert_eq!(config.exposed_ports, ["80/tcp", "53/udp"]);
        assert_eq!(config.volumes, ["/data", "/with blank", "/json"]);
        assert_eq!((config.user.as_str(), config.working_dir.as_str()), ("1000:1000", "/srv"));
        assert_eq!(config.stop_signal.as_deref(), Some("SIGQUIT"));
        assert_eq!(config.healthcheck.unwrap().test, ["/bin/sh", "-c", "/probe --quick"]);
        assert_eq!(changed(&["HEALTHCHECK CMD x", "HEALTHCHECK NONE"]).healthcheck, None);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(refused("RUN make"), BadChange::Unknown("RUN".to_owned()));
        assert_eq!(refused("CMD"), BadChange::Empty("CMD"));
        assert_eq!(refused("EXPOSE web"), BadChange::Port("web".to_owned()));
        assert_eq!(refused("WORKDIR srv"), BadChange::Relative("srv".to_owned()));
        assert_eq!(refused("HEALTHCHECK --interval=1s CMD x"), BadChange::Check);
    }
}
