//! Checks of texts that have a small grammar of their own.

use std::net::IpAddr;
use std::time::Duration;

use diagnostic::{Diagnostic, nearest};

use crate::model::{PullPolicy, Restart};
use crate::schema::Grammar;
use crate::scope::Scope;
use crate::tree::{Node, Value};
use crate::units;

/// `container_name`.
pub(crate) static CONTAINER_NAME: Grammar =
    Grammar { check: container_name, pattern: "[a-zA-Z0-9][a-zA-Z0-9_.-]" };
/// `env_file[].format`.
pub(crate) static ENV_FORMAT: Grammar = Grammar { check: env_format, pattern: "^(raw)?$" };
/// `ipc`.
pub(crate) static IPC: Grammar =
    Grammar { check: ipc, pattern: "^((none|private|shareable|host)?|(service|container):.+)$" };
/// An address where only an address may stand.
pub(crate) static ADDRESS: Grammar =
    Grammar { check: address, pattern: r"^([0-9]+\.[0-9]+\.[0-9]+\.[0-9]+|[0-9a-fA-F:]*:[0-9a-fA-F:.]*)$" };
/// A text that must hold something.
pub(crate) static NOT_BLANK: Grammar = Grammar { check: not_blank, pattern: r"\S" };
/// `pull_policy`.
pub(crate) static PULL_POLICY: Grammar = Grammar {
    check: pull_policy,
    pattern: r"^(always|never|build|if_not_present|missing|refresh|daily|weekly|every_\+?([0-9.]+[a-zµμ]+)+|every_0)$",
};

/// `container_name`: two good characters somewhere are enough to read it (Compose's schema has no anchors);
/// whether a container can have it is asked when one is made.
fn container_name(text: &str) -> Result<(), String> {
    let rest = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    if text.as_bytes().windows(2).any(|pair| pair[0].is_ascii_alphanumeric() && rest(pair[1])) {
        Ok(())
    } else {
        Err("a letter or digit, then letters, digits, `_`, `.` and `-`, two characters at least".to_owned())
    }
}

/// A text that must hold something.
fn not_blank(text: &str) -> Result<(), String> {
    if text.trim().is_empty() { Err("it is blank".to_owned()) } else { Ok(()) }
}

/// `env_file[].format`.
fn env_format(text: &str) -> Result<(), String> {
    match text {
        "" | "raw" => Ok(()),
        _ => Err(format!("`{text}` is no format of environment files; `raw` is the only one to name")),
    }
}

/// `ipc`.
fn ipc(text: &str) -> Result<(), String> {
    let of_other = text.strip_prefix("service:").or(text.strip_prefix("container:"));
    match text {
        "" | "none" | "private" | "shareable" | "host" => Ok(()),
        _ if of_other.is_some_and(|name| !name.is_empty()) => Ok(()),
        _ => {
            Err("one of `none`, `private`, `shareable`, `host`, `service:NAME`, `container:NAME`".to_owned())
        }
    }
}

/// An address where only an address may stand.
fn address(text: &str) -> Result<(), String> {
    text.parse::<IpAddr>().map(|_| ()).map_err(|_| format!("`{text}` is no IP address"))
}

/// `pull_policy`.
fn pull_policy(text: &str) -> Result<(), String> {
    parse_pull_policy(text).map(|_| ()).ok_or_else(|| {
        format!(
            "`{text}` is none of `always`, `never`, `missing`, `build`, `daily`, `weekly`, `every_<time>`"
        )
    })
}

/// Reads a pull policy.
pub(crate) fn parse_pull_policy(text: &str) -> Option<PullPolicy> {
    const DAY: u64 = 86_400;
    Some(match text {
        "missing" | "if_not_present" => PullPolicy::Missing,
        "always" | "refresh" => PullPolicy::Always,
        "never" => PullPolicy::Never,
        "build" => PullPolicy::Build,
        "daily" => PullPolicy::Every(Duration::from_secs(DAY)),
        "weekly" => PullPolicy::Every(Duration::from_secs(7 * DAY)),
        _ => PullPolicy::Every(units::duration(text.strip_prefix("every_")?).ok()?),
    })
}

/// `restart`: any text is read, but no container can be made with one that is no policy.
pub(crate) fn restart(node: &mut Node, scope: &mut Scope<'_>) {
    const KNOWN: [&str; 4] = ["no", "always", "unless-stopped", "on-failure"];
    const HELP: &str = "it is one of `no`, `always`, `unless-stopped`, `on-failure`, `on-failure:COUNT`";
    restarts(node, parse_restart, &KNOWN, HELP, scope);
}

/// `deploy.restart_policy.condition`: any text is read; one that means nothing is no restart.
pub(crate) fn restart_condition(node: &mut Node, scope: &mut Scope<'_>) {
    const KNOWN: [&str; 3] = ["none", "on-failure", "any"];
    restarts(node, parse_restart_condition, &KNOWN, "it is one of `none`, `on-failure`, `any`", scope);
}

fn restarts(
    node: &Node,
    parse: fn(&str) -> Option<Restart>,
    known: &[&'static str],
    help: &str,
    scope: &mut Scope<'_>,
) {
    let Value::String(text) = &node.value else { return };
    if scope.is_open(text) {
        return;
    }
    if let Some(count) = text.strip_prefix("on-failure:").filter(|count| count.parse::<u32>().is_err()) {
        let message = format!("`{count}` is no count of restarts, and is taken for no limit");
        let diagnostic = Diagnostic::warning("unknown-restart", message);
        return scope.tell(diagnostic.at(node.span, "").help("write `on-failure:3`, or `on-failure`"));
    }
    if parse(text).is_some() {
        return;
    }
    let diagnostic =
        Diagnostic::warning("unknown-restart", format!("`{text}` is no restart policy")).at(node.span, "");
    let help = match nearest(text, known.iter().copied()) {
        _ if matches!(text.as_str(), "never" | "none" | "false") && known.contains(&"no") => {
            "to have it never restarted write `no`".to_owned()
        }
        Some(near) => format!("a similar policy exists: `{near}`"),
        None => help.to_owned(),
    };
    scope.tell(diagnostic.help(help));
}

/// Reads a restart policy. A count that is no number is 0, as it has always been.
pub(crate) fn parse_restart(text: &str) -> Option<Restart> {
    Some(match text {
        "" | "no" => Restart::No,
        "always" => Restart::Always,
        "unless-stopped" => Restart::UnlessStopped,
        "on-failure" => Restart::OnFailure { max: 0 },
        _ => Restart::OnFailure { max: text.strip_prefix("on-failure:")?.parse().unwrap_or(0) },
    })
}

/// Reads a condition of `deploy.restart_policy`; the words of `restart` do, too, as many files have them.
pub(crate) fn parse_restart_condition(text: &str) -> Option<Restart> {
    Some(match text {
        "" | "none" | "no" => Restart::No,
        "any" | "always" => Restart::Always,
        "unless-stopped" => Restart::UnlessStopped,
        "on-failure" => Restart::OnFailure { max: 0 },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pattern_refuses_the_check_refuses() {
        for (grammar, good, bad) in [
            (&CONTAINER_NAME, &["ab", "a.b_c-1", "/ab"][..], &["", "a", "-a", "a b"][..]),
            (&ENV_FORMAT, &["", "raw"], &["json"]),
            (&IPC, &["", "host", "service:a"], &["service:", "mine"]),
            (&ADDRESS, &["10.0.0.1", "::1", "::ffff:1.2.3.4"], &["", "localhost", "1.2.3"]),
            (&PULL_POLICY, &["always", "every_1w2d3h4m5s", "every_1.5h"], &["", "sometimes", "every_"]),
            (&NOT_BLANK, &["a", " a"], &["", " "]),
        ] {
            good.iter().for_each(|text| assert_eq!((grammar.check)(text), Ok(()), "{text}"));
            bad.iter().for_each(|text| assert!((grammar.check)(text).is_err(), "{text}"));
        }
    }
}
