//! A filter as OCI's configuration says it: the way back from [`super::profile()`], by which another runtime
//! filters what the embedded one would.

use super::profile::{Action, Comparison, Condition, Profile, Rule};
use serde_json::{Value, json};

/// The value of `linux.seccomp`.
pub(super) fn write(profile: &Profile) -> Value {
    let (own, compatible) = match cfg!(target_arch = "aarch64") {
        true => ("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"),
        false => ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86"),
    };
    let architectures = if profile.compatible { vec![own, compatible] } else { vec![own] };
    // Neighbours that differ in their names alone are one entry.
    let alike = |one: &Rule, other: &Rule| one.action == other.action && one.conditions == other.conditions;
    let calls: Vec<Value> = profile.rules.chunk_by(alike).map(entry).collect();
    let (action, errno) = action(profile.default);
    let mut written = json!({"defaultAction": action, "architectures": architectures, "syscalls": calls});
    if let Some(errno) = errno {
        written["defaultErrnoRet"] = errno.into();
    }
    written
}

/// Rules that differ in their names alone; one at least.
fn entry(rules: &[Rule]) -> Value {
    let names: Vec<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
    let (action, errno) = action(rules[0].action);
    let mut entry = json!({"names": names, "action": action});
    if let Some(errno) = errno {
        entry["errnoRet"] = errno.into();
    }
    if !rules[0].conditions.is_empty() {
        entry["args"] = rules[0].conditions.iter().map(argument).collect();
    }
    entry
}

fn argument(condition: &Condition) -> Value {
    let op = match condition.comparison {
        Comparison::NotEqual => "SCMP_CMP_NE",
        Comparison::Less => "SCMP_CMP_LT",
        Comparison::LessOrEqual => "SCMP_CMP_LE",
        Comparison::Equal => "SCMP_CMP_EQ",
        Comparison::GreaterOrEqual => "SCMP_CMP_GE",
        Comparison::Greater => "SCMP_CMP_GT",
        Comparison::Masked(mask) => {
            return json!({
                "index": condition.argument, "value": mask, "valueTwo": condition.value,
                "op": "SCMP_CMP_MASKED_EQ",
            });
        }
    };
    json!({"index": condition.argument, "value": condition.value, "op": op})
}

fn action(action: Action) -> (&'static str, Option<u16>) {
    match action {
        Action::KillThread => ("SCMP_ACT_KILL_THREAD", None),
        Action::KillProcess => ("SCMP_ACT_KILL_PROCESS", None),
        Action::Trap => ("SCMP_ACT_TRAP", None),
        Action::Errno(errno) => ("SCMP_ACT_ERRNO", Some(errno)),
        Action::Trace(data) => ("SCMP_ACT_TRACE", Some(data)),
        Action::Log => ("SCMP_ACT_LOG", None),
        Action::Allow => ("SCMP_ACT_ALLOW", None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::profile::{Host, parse};
    use super::*;
    use crate::capability::Set;

    #[test]
    fn what_is_written_reads_back_as_the_same_profile() {
        let rules = super::super::default::rules(Set(0));
        let profile = Profile { default: Action::Errno(1), rules, compatible: true };
        let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        let host = Host { architecture, kernel: "6.1.0", capabilities: Set(0) };
        assert_eq!(parse(&write(&profile).to_string(), host).unwrap(), profile);
    }
}
