//! What a filter has to do, before it is BPF; and the JSON of custom profiles, OCI's and Docker's.

use super::SeccompError;
use crate::capability::Set;
use serde::Deserialize;

/// What happens at a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    KillThread,
    KillProcess,
    Trap,
    Errno(u16),
    Trace(u16),
    Log,
    Allow,
}

impl Action {
    /// As the kernel has it: `SECCOMP_RET_…` and its data.
    pub(super) fn code(self) -> u32 {
        match self {
            Self::KillThread => 0,
            Self::KillProcess => 0x8000_0000,
            Self::Trap => 0x0003_0000,
            Self::Errno(errno) => 0x0005_0000 | u32::from(errno),
            Self::Trace(data) => 0x7ff0_0000 | u32::from(data),
            Self::Log => 0x7ffc_0000,
            Self::Allow => 0x7fff_0000,
        }
    }
}

/// How an argument is compared, as unsigned 64-bit numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    NotEqual,
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
    /// Only the bits of this mask are compared.
    Masked(u64),
}

/// Something that must hold of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    /// 0 to 5.
    pub(super) argument: u8,
    pub(super) comparison: Comparison,
    pub(super) value: u64,
}

/// One system call's rule: when all conditions hold, the action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) conditions: Vec<Condition>,
    pub(super) action: Action,
}

/// A whole filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) default: Action,
    pub(super) rules: Vec<Rule>,
    /// 32-bit programs run under the same rules; otherwise they are killed.
    pub(super) compatible: bool,
}

/// A profile's JSON: OCI's fields and Docker's.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    default_action: String,
    default_errno_ret: Option<u16>,
    #[serde(default)]
    architectures: Vec<String>,
    #[serde(default)]
    arch_map: Vec<ArchitectureMap>,
    #[serde(default)]
    syscalls: Vec<Syscalls>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArchitectureMap {
    architecture: String,
    #[serde(default)]
    sub_architectures: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Syscalls {
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    name: Option<String>,
    action: String,
    errno_ret: Option<u16>,
    #[serde(default)]
    args: Option<Vec<Argument>>,
    #[serde(default)]
    includes: Option<Filter>,
    #[serde(default)]
    excludes: Option<Filter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Argument {
    index: u8,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    #[serde(default)]
    caps: Option<Vec<String>>,
    #[serde(default)]
    arches: Option<Vec<String>>,
    #[serde(default)]
    min_kernel: Option<String>,
}

/// Where the profile will be used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Host<'a> {
    /// `amd64`
    pub(super) architecture: &'a str,
    /// `6.1.0-13`
    pub(super) kernel: &'a str,
    /// Of the container.
    pub(super) capabilities: Set,
}

/// Reads a custom profile.
pub(super) fn parse(text: &str, host: Host<'_>) -> Result<Profile, SeccompError> {
    let document: Document = serde_json::from_str(text).map_err(SeccompError::Syntax)?;
    let default = action(&document.default_action, document.default_errno_ret)?;
    let (native, other) = match host.architecture {
        "arm64" => ("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"),
        _ => ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86"),
    };
    let own_map = document.arch_map.iter().find(|map| map.architecture == native);
    let mapped = own_map.and_then(|map| map.sub_architectures.as_ref());
    let listed = mapped.into_iter().flatten().chain(&document.architectures).any(|name| name == other);
    let mut rules = vec![];
    for entry in &document.syscalls {
        let wanted = entry.includes.as_ref().is_none_or(|filter| filter.holds(host, true));
        let excluded = entry.excludes.as_ref().is_some_and(|filter| filter.holds(host, false));
        if wanted && !excluded {
            entry.rules(&mut rules)?;
        }
    }
    Ok(Profile { default, rules, compatible: listed })
}

impl Filter {
    /// For `includes`, whether all that is named holds; for `excludes`, whether any does.
    fn holds(&self, host: Host<'_>, all: bool) -> bool {
        let caps = self.caps.as_deref().filter(|list| !list.is_empty()).map(|caps| {
            let mut has = caps.iter().map(|name| host.capabilities.has(name));
            if all { has.all(|has| has) } else { has.any(|has| has) }
        });
        let arches = self.arches.as_deref().filter(|list| !list.is_empty());
        let arches = arches.map(|list| list.iter().any(|name| name == host.architecture));
        let kernel = self.min_kernel.as_deref().map(|least| version(host.kernel) >= version(least));
        let mut tests = [caps, arches, kernel].into_iter().flatten();
        if all { tests.all(|holds| holds) } else { tests.any(|holds| holds) }
    }
}

/// The first two numbers of a kernel's version.
fn version(text: &str) -> (u32, u32) {
    let mut numbers = text.split(|character: char| !character.is_ascii_digit());
    let mut next = || numbers.next().and_then(|digits| digits.parse().ok()).unwrap_or(0);
    (next(), next())
}

impl Syscalls {
    fn rules(&self, rules: &mut Vec<Rule>) -> Result<(), SeccompError> {
        let action = action(&self.action, self.errno_ret)?;
        let conditions =
            self.args.iter().flatten().map(Argument::condition).collect::<Result<Vec<_>, _>>()?;
        // Several conditions on one argument cannot be meant together: each is a rule of its own.
        let argument = |index: u8| conditions.iter().filter(|condition| condition.argument == index).count();
        let apart = (0..6).any(|index| argument(index) > 1);
        let alternatives = if apart {
            conditions.iter().map(|condition| vec![*condition]).collect()
        } else {
            vec![conditions]
        };
        for name in self.names.iter().chain(&self.name) {
            for conditions in &alternatives {
                rules.push(Rule { name: name.clone(), conditions: conditions.clone(), action });
            }
        }
        Ok(())
    }
}

impl Argument {
    fn condition(&self) -> Result<Condition, SeccompError> {
        let unsupported = |what: String| SeccompError::Unsupported(what);
        if self.index > 5 {
            return Err(unsupported(format!("argument {}", self.index)));
        }
        let (comparison, value) = match self.op.as_str() {
            "SCMP_CMP_NE" => (Comparison::NotEqual, self.value),
            "SCMP_CMP_LT" => (Comparison::Less, self.value),
            "SCMP_CMP_LE" => (Comparison::LessOrEqual, self.value),
            "SCMP_CMP_EQ" => (Comparison::Equal, self.value),
            "SCMP_CMP_GE" => (Comparison::GreaterOrEqual, self.value),
            "SCMP_CMP_GT" => (Comparison::Greater, self.value),
            "SCMP_CMP_MASKED_EQ" => (Comparison::Masked(self.value), self.value_two),
            other => return Err(unsupported(format!("the comparison `{other}`"))),
        };
        Ok(Condition { argument: self.index, comparison, value })
    }
}

fn action(name: &str, errno: Option<u16>) -> Result<Action, SeccompError> {
    const EPERM: u16 = 1;
    Ok(match name {
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Action::KillThread,
        "SCMP_ACT_KILL_PROCESS" => Action::KillProcess,
        "SCMP_ACT_TRAP" => Action::Trap,
        "SCMP_ACT_ERRNO" => Action::Errno(errno.unwrap_or(EPERM)),
        "SCMP_ACT_TRACE" => Action::Trace(errno.unwrap_or(EPERM)),
        "SCMP_ACT_LOG" => Action::Log,
        "SCMP_ACT_ALLOW" => Action::Allow,
        other => return Err(SeccompError::Unsupported(format!("the action `{other}`"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: Host<'_> = Host { architecture: "amd64", kernel: "6.1.0-13-amd64", capabilities: Set(0) };

    #[test]
    fn dockers_form_is_read_with_its_conditions() {
        let text = r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,
            "archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86"]}],
            "syscalls":[
              {"names":["read","write"],"action":"SCMP_ACT_ALLOW","args":[],"comment":"x","includes":{},"excludes":{}},
              {"names":["mount"],"action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_SYS_ADMIN"]}},
              {"names":["ptrace"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"4.8"}},
              {"names":["bpf"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"7.0"}},
              {"names":["clone"],"action":"SCMP_ACT_LOG","excludes":{"arches":["s390x"],"caps":["CAP_SYS_ADMIN"]},
               "args":[{"index":0,"value":7,"valueTwo":0,"op":"SCMP_CMP_MASKED_EQ"}]}]}"#;
        let profile = parse(text, HOST).unwrap();
        let names: Vec<_> = profile.rules.iter().map(|rule| rule.name.as_str()).collect();
        assert_eq!(names, ["read", "write", "ptrace", "clone"]);
        assert_eq!((profile.default, profile.compatible), (Action::Errno(38), true));
        let condition = Condition { argument: 0, comparison: Comparison::Masked(7), value: 0 };
        assert_eq!(profile.rules[3].conditions, [condition]);
    }

    #[test]
    fn conditions_on_one_argument_are_alternatives() {
        let text = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["socket"],"action":"SCMP_ACT_ERRNO",
            "errnoRet":97,"args":[{"index":0,"value":1,"op":"SCMP_CMP_EQ"},{"index":0,"value":2,"op":"SCMP_CMP_EQ"}]}]}"#;
        let profile = parse(text, HOST).unwrap();
        assert_eq!(profile.rules.len(), 2);
        assert_eq!(profile.rules[0].action, Action::Errno(97));
        assert!(!profile.compatible);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert!(parse("{", HOST).is_err());
        assert!(parse(r#"{"defaultAction":"SCMP_ACT_NOTIFY"}"#, HOST).is_err());
    }
}
