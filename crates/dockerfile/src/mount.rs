//! `RUN --mount`: its options as written, and what they mean once variables are known.

use diagnostic::{Diagnostic, Span, nearest};

use crate::tree::Word;
use crate::word::{Lookup, expand};

/// One `--mount`, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The flag's value.
    pub span: Span,
    pub(crate) options: Vec<MountOption>,
}

/// `KEY[=VALUE]` of a `--mount`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MountOption {
    pub(crate) key: Word,
    pub(crate) value: Option<Word>,
}

/// What a `--mount` asks for. Relative targets are below the working directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountSpec {
    /// Files of the context, a stage or an image. What is written there is thrown away.
    Bind {
        /// A stage, named context or image; the build's context if unsaid.
        from: Option<String>,
        /// The path there, `/` if unsaid.
        source: String,
        /// Where it is mounted.
        target: String,
        /// Whether the step may write.
        writable: bool,
    },
    /// A folder that is kept from build to build and is in no image.
    Cache {
        /// Which folder; the target's path if unsaid.
        id: String,
        /// Where it is mounted.
        target: String,
        /// Who may have it at the same time.
        sharing: Sharing,
        /// What it begins with: a stage, named context or image.
        from: Option<String>,
        /// The path there.
        source: String,
        /// Whether the step may write.
        writable: bool,
        /// Owner and mode of a folder that is new.
        owner: Ownership,
    },
    /// A folder in memory.
    Tmpfs {
        /// Where it is mounted.
        target: String,
        /// The most it may hold, in bytes.
        size: Option<u64>,
    },
    /// A secret, as a file, a variable or both.
    Secret {
        /// Which secret.
        id: String,
        /// The file, if one is wanted.
        target: Option<String>,
        /// The variable, if one is wanted.
        env: Option<String>,
        /// Whether the build fails without the secret.
        required: bool,
        /// Owner and mode of the file.
        owner: Ownership,
    },
    /// The socket of an ssh agent.
    Ssh {
        /// Which agent, `default` if unsaid.
        id: String,
        /// The socket's path; if unsaid one is chosen. `SSH_AUTH_SOCK` names it.
        target: Option<String>,
        /// Whether the build fails without the agent.
        required: bool,
        /// Owner and mode of the socket.
        owner: Ownership,
    },
}

/// Who may have a cache mount at the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// Everybody.
    #[default]
    Shared,
    /// Everybody a folder of its own.
    Private,
    /// One after the other.
    Locked,
}

/// Owner and mode of what a mount makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ownership {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bind,
    Cache,
    Tmpfs,
    Secret,
    Ssh,
}

const KINDS: [(&str, Kind); 5] = [
    ("bind", Kind::Bind),
    ("cache", Kind::Cache),
    ("tmpfs", Kind::Tmpfs),
    ("secret", Kind::Secret),
    ("ssh", Kind::Ssh),
];

const SHARINGS: [(&str, Sharing); 3] =
    [("shared", Sharing::Shared), ("private", Sharing::Private), ("locked", Sharing::Locked)];

/// Every key with its other spellings, and the kinds of mount that have it.
const KEYS: [(&str, &str, &[Kind]); 14] = [
    ("type", "type", &[Kind::Bind, Kind::Cache, Kind::Tmpfs, Kind::Secret, Kind::Ssh]),
    ("target", "target", &[Kind::Bind, Kind::Cache, Kind::Tmpfs, Kind::Secret, Kind::Ssh]),
    ("dst", "target", &[Kind::Bind, Kind::Cache, Kind::Tmpfs, Kind::Secret, Kind::Ssh]),
    ("destination", "target", &[Kind::Bind, Kind::Cache, Kind::Tmpfs, Kind::Secret, Kind::Ssh]),
    ("source", "source", &[Kind::Bind, Kind::Cache, Kind::Secret]),
    ("src", "source", &[Kind::Bind, Kind::Cache, Kind::Secret]),
    ("from", "from", &[Kind::Bind, Kind::Cache]),
    ("id", "id", &[Kind::Cache, Kind::Secret, Kind::Ssh]),
    ("sharing", "sharing", &[Kind::Cache]),
    ("size", "size", &[Kind::Tmpfs]),
    ("env", "env", &[Kind::Secret]),
    ("mode", "mode", &[Kind::Cache, Kind::Secret, Kind::Ssh]),
    ("uid", "uid", &[Kind::Cache, Kind::Secret, Kind::Ssh]),
    ("gid", "gid", &[Kind::Cache, Kind::Secret, Kind::Ssh]),
];

/// The keys that are `true` when they have no value.
const FLAGS: [(&str, &str, &[Kind]); 5] = [
    ("readonly", "readonly", &[Kind::Bind, Kind::Cache, Kind::Tmpfs, Kind::Secret, Kind::Ssh]),
    ("ro", "readonly", &[Kind::Bind, Kind::Cache, Kind::Tmpfs, Kind::Secret, Kind::Ssh]),
    ("readwrite", "readwrite", &[Kind::Bind, Kind::Cache, Kind::Tmpfs, Kind::Secret, Kind::Ssh]),
    ("rw", "readwrite", &[Kind::Bind, Kind::Cache, Kind::Tmpfs, Kind::Secret, Kind::Ssh]),
    ("required", "required", &[Kind::Secret, Kind::Ssh]),
];

/// The options of one mount, expanded, by their main spelling. The last of a name wins.
#[derive(Default)]
struct Options {
    set: Vec<(&'static str, String, Word)>,
}

impl Options {
    fn get(&self, name: &str) -> Option<&(&'static str, String, Word)> {
        self.set.iter().rev().find(|(key, ..)| *key == name)
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|(_, value, _)| value.clone()).filter(|value| !value.is_empty())
    }

    fn number(&self, name: &str, radix: u32) -> Result<Option<u32>, Diagnostic> {
        let Some((_, value, word)) = self.get(name) else { return Ok(None) };
        let number = u32::from_str_radix(value, radix).ok().filter(|_| !value.starts_with('+'));
        let kind = if radix == 8 { "an octal number" } else { "a number" };
        number.map(Some).ok_or_else(|| invalid(word, format!("`{name}` is not {kind}: `{value}`")))
    }

    fn flag(&self, name: &str) -> Result<Option<bool>, Diagnostic> {
        let Some((_, value, word)) = self.get(name) else { return Ok(None) };
        truth(value)
            .map(Some)
            .ok_or_else(|| invalid(word, format!("`{name}` is neither `true` nor `false`: `{value}`")))
    }

    fn owner(&self, mode: u32) -> Result<Ownership, Diagnostic> {
        Ok(Ownership {
            uid: self.number("uid", 10)?.unwrap_or(0),
            gid: self.number("gid", 10)?.unwrap_or(0),
            mode: self.number("mode", 8)?.unwrap_or(mode),
        })
    }

    /// Whether the step may write, where it may not or may by `default`.
    fn writable(&self, default: bool) -> Result<bool, Diagnostic> {
        let last = self.set.iter().rev().map(|(key, ..)| *key).find(|key| key.starts_with("read"));
        Ok(match last {
            Some("readonly") => !self.flag("readonly")?.unwrap_or(false),
            Some(_) => self.flag("readwrite")?.unwrap_or(true),
            None => default,
        })
    }
}

impl Mount {
    /// The stage, named context or image of `from=`. It has no variables, so it is known early.
    pub fn from(&self) -> Option<&Word> {
        let named = self.options.iter().rev().find(|option| option.key.text.eq_ignore_ascii_case("from"));
        named.and_then(|option| option.value.as_ref()).filter(|word| !word.text.is_empty())
    }

    /// What is wrong whatever the variables are.
    pub(crate) fn check(&self) -> Result<(), Diagnostic> {
        if let Some(from) = self.from().filter(|from| from.has_variables()) {
            return Err(invalid(from, "`from` cannot have variables".to_owned())
                .help("give the image a stage of its own: `FROM $IMAGE AS name`, and `from=name` here"));
        }
        let words = || self.options.iter().filter_map(|option| option.value.as_ref());
        if words().any(Word::has_variables) {
            // Only the keys can be judged now.
            return self.options.iter().try_for_each(|option| main_key(option).map(|_| ()));
        }
        self.expand(&std::collections::BTreeMap::new()).map(|_| ())
    }

    /// What the mount asks for.
    ///
    /// # Errors
    /// A key or value that does not exist, or that mounts of this type do not have.
    pub fn expand(&self, lookup: &dyn Lookup) -> Result<MountSpec, Diagnostic> {
        let mut options = Options::default();
        for option in &self.options {
            let (key, _) = main_key(option)?;
            let value = match &option.value {
                Some(word) => expand(word, lookup)?,
                None => "true".to_owned(),
            };
            options.set.push((key, value, option.value.clone().unwrap_or_else(|| option.key.clone())));
        }
        let kind = match options.get("type") {
            Some((_, value, word)) => pick("mount type", word, value, &KINDS)?,
            None => Kind::Bind,
        };
        for option in &self.options {
            let (key, kinds) = main_key(option)?;
            if !kinds.contains(&kind) {
                let name = KINDS.iter().find(|(_, own)| *own == kind).map_or("", |(name, _)| name);
                return Err(invalid(&option.key, format!("a mount of type `{name}` has no `{key}`")));
            }
        }
        self.spec(kind, &options)
    }

    fn spec(&self, kind: Kind, options: &Options) -> Result<MountSpec, Diagnostic> {
        let target = || {
            options.text("target").ok_or_else(|| {
                Diagnostic::error("invalid-mount", "a mount needs a `target`").at(self.span, "")
            })
        };
        let source = || options.text("source").unwrap_or_else(|| "/".to_owned());
        Ok(match kind {
            Kind::Bind => MountSpec::Bind {
                from: options.text("from"),
                source: source(),
                target: target()?,
                writable: options.writable(false)?,
            },
            Kind::Cache => {
                let target = target()?;
                let sharing = match options.get("sharing") {
                    Some((_, value, word)) => pick("sharing", word, value, &SHARINGS)?,
                    None => Sharing::default(),
                };
                MountSpec::Cache {
                    id: options.text("id").unwrap_or_else(|| target.clone()),
                    target,
                    sharing,
                    from: options.text("from"),
                    source: source(),
                    writable: options.writable(true)?,
                    owner: options.owner(0o755)?,
                }
            }
            Kind::Tmpfs => MountSpec::Tmpfs { target: target()?, size: size(options)? },
            Kind::Secret => self.secret(options)?,
            Kind::Ssh => MountSpec::Ssh {
                id: options.text("id").unwrap_or_else(|| "default".to_owned()),
                target: options.text("target"),
                required: options.flag("required")?.unwrap_or(false),
                owner: options.owner(0o600)?,
            },
        })
    }

    fn secret(&self, options: &Options) -> Result<MountSpec, Diagnostic> {
        let (id, source) = (options.text("id"), options.text("source"));
        if id.is_some() && source.is_some() {
            return Err(Diagnostic::error("invalid-mount", "a secret has either `id` or `source`, not both")
                .at(self.span, ""));
        }
        let (target, env) = (options.text("target"), options.text("env"));
        let base = |path: &String| path.rsplit('/').next().unwrap_or_default().to_owned();
        let Some(id) = id.or(source).or_else(|| target.as_ref().map(base)).filter(|id| !id.is_empty()) else {
            return Err(Diagnostic::error("invalid-mount", "a mount of type `secret` needs an `id`")
                .at(self.span, "")
                .help("`id=NAME` is the secret's name in `secrets` of the build"));
        };
        let target = target.or_else(|| env.is_none().then(|| format!("/run/secrets/{}", base(&id))));
        Ok(MountSpec::Secret {
            id,
            target,
            env,
            required: options.flag("required")?.unwrap_or(false),
            owner: options.owner(0o400)?,
        })
    }
}

/// The main spelling of an option's key, and the kinds of mount that have it.
fn main_key(option: &MountOption) -> Result<(&'static str, &'static [Kind]), Diagnostic> {
    let key = option.key.text.to_lowercase();
    if let Some((_, name, kinds)) = FLAGS.iter().find(|(spelling, ..)| *spelling == key) {
        return Ok((name, kinds));
    }
    let names = || KEYS.iter().chain(&FLAGS).map(|(spelling, ..)| *spelling);
    match KEYS.iter().find(|(spelling, ..)| *spelling == key) {
        Some((_, name, kinds)) if option.value.is_some() => Ok((name, kinds)),
        Some(_) => {
            Err(invalid(&option.key, format!("`{key}` needs a value")).help(format!("write `{key}=VALUE`")))
        }
        None => {
            let diagnostic = invalid(&option.key, format!("a mount has no option `{key}`"));
            Err(match nearest(&key, names()) {
                Some(known) => diagnostic.help(format!("an option with a similar name exists: `{known}`")),
                None => diagnostic,
            })
        }
    }
}

fn pick<T: Copy>(what: &str, word: &Word, value: &str, known: &[(&'static str, T)]) -> Result<T, Diagnostic> {
    if let Some((_, found)) = known.iter().find(|(name, _)| name.eq_ignore_ascii_case(value)) {
        return Ok(*found);
    }
    let names: Vec<String> = known.iter().map(|(name, _)| format!("`{name}`")).collect();
    let help = match nearest(value, known.iter().map(|(name, _)| *name)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", names.join(", ")),
    };
    Err(invalid(word, format!("there is no {what} `{value}`")).help(help))
}

/// A truth value as Go's `strconv.ParseBool` reads it.
pub fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "True" | "TRUE" => Some(true),
        "0" | "f" | "F" | "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// `size` in bytes: a number with `k`, `m`, `g`, `t` or `p`, powers of 1024.
fn size(options: &Options) -> Result<Option<u64>, Diagnostic> {
    let Some((_, value, word)) = options.get("size") else { return Ok(None) };
    let lower = value.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let exponent = match lower[digits.len()..].trim_end_matches('b').trim_end_matches('i') {
        "" => Some(0),
        "k" => Some(1),
        "m" => Some(2),
        "g" => Some(3),
        "t" => Some(4),
        "p" => Some(5),
        _ => None,
    };
    let scaled = exponent
        .and_then(|exponent| digits.trim_end().parse::<u64>().ok()?.checked_mul(1024_u64.pow(exponent)));
    scaled.map(Some).ok_or_else(|| {
        invalid(word, format!("`size` is no number of bytes: `{value}`")).help("write it like `64m` or `1g`")
    })
}

fn invalid(word: &Word, message: String) -> Diagnostic {
    Diagnostic::error("invalid-mount", message).at(word.span, "")
}
