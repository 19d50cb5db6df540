//! One instruction: its keyword, its flags, its arguments.

use diagnostic::{Diagnostic, nearest};

use crate::arguments::{Listed, PairForm, command, duration, listed, pairs, words};
use crate::flag::{self, Flag, Flags, Takes};
use crate::heredoc::{self, Heredoc, Opening};
use crate::line::Piece;
use crate::tree::{ArgDeclaration, Form, Healthcheck, Instruction, InstructionKind, Onbuild, Word};
use crate::{run, transfer};

/// Every keyword.
pub(crate) const KEYWORDS: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// An instruction cut into its parts, not yet understood.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    /// All of it.
    pub(crate) whole: Piece<'a>,
    /// As written.
    pub(crate) written: Piece<'a>,
    /// In capitals.
    pub(crate) keyword: String,
    pub(crate) flags: Vec<Flag>,
    pub(crate) arguments: Piece<'a>,
}

impl<'a> Parts<'a> {
    pub(crate) fn of(whole: Piece<'a>) -> Self {
        let (written, rest) = whole.split_word();
        let (flags, arguments) = flag::take(rest);
        Self { whole, written, keyword: written.text().to_ascii_uppercase(), flags, arguments }
    }

    /// The instruction behind an `ONBUILD`.
    pub(crate) fn inner(&self) -> Option<Parts<'a>> {
        (self.keyword == "ONBUILD" && !self.arguments.is_empty()).then(|| Parts::of(self.arguments))
    }

    /// The heredocs that it opens; their texts follow it.
    pub(crate) fn openings(&self) -> Vec<Opening> {
        match self.keyword.as_str() {
            "ONBUILD" => {
                self.inner().filter(|inner| inner.keyword != "ONBUILD").map_or(Vec::new(), |p| p.openings())
            }
            "ADD" | "COPY" | "RUN" if !matches!(listed(self.arguments), Ok(Listed::Json(_))) => {
                heredoc::openings(self.whole)
            }
            _ => Vec::new(),
        }
    }

    pub(crate) fn unknown(&self) -> Diagnostic {
        let word = self.written.text();
        let diagnostic =
            Diagnostic::error("unknown-instruction", format!("there is no instruction `{word}`"))
                .at(self.written.span(), "");
        match nearest(word, KEYWORDS) {
            Some(near) => diagnostic.help(format!("an instruction with a similar name exists: `{near}`")),
            None => diagnostic.help("end the line before with `\\` if this goes on with it"),
        }
    }
}

/// What the reading of an instruction leaves besides the instruction.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) faults: Vec<Diagnostic>,
    pub(crate) form: Form,
}

/// Reads every instruction but `FROM`. `None` where it is too broken to be one; the fault is noted.
pub(crate) fn read(parts: Parts<'_>, heredocs: Vec<Heredoc>, found: &mut Findings) -> Option<Instruction> {
    let faults = found.faults.len();
    let original = parts.whole.text().to_owned();
    let mut span = parts.whole.span();
    span.end = heredocs.last().map_or(span.end, |last| last.span.end.max(span.end));
    let kind = match read_kind(parts, heredocs, found) {
        Ok(kind) => kind,
        Err(fault) => {
            found.faults.push(fault);
            return None;
        }
    };
    (found.faults.len() == faults).then_some(Instruction { span, original, kind })
}

fn read_kind(
    mut parts: Parts<'_>,
    heredocs: Vec<Heredoc>,
    found: &mut Findings,
) -> Result<InstructionKind, Diagnostic> {
    let keyword = parts.keyword.clone();
    if !KEYWORDS.contains(&keyword.as_str()) {
        return Err(parts.unknown());
    }
    let rest = parts.arguments;
    let flags = std::mem::take(&mut parts.flags);
    let has_flags = ["ADD", "COPY", "RUN", "HEALTHCHECK"].contains(&keyword.as_str());
    if !has_flags {
        Flags::check(&keyword, flags.clone(), &[], &mut found.faults);
    }
    if rest.is_empty() {
        return Err(Diagnostic::error("missing-arguments", format!("`{keyword}` needs an argument"))
            .at(parts.written.span(), ""));
    }
    match keyword.as_str() {
        "ADD" => transfer::add(flags, rest, heredocs, &mut found.faults),
        "COPY" => transfer::copy(flags, rest, heredocs, &mut found.faults),
        "RUN" => run::read(flags, rest, &heredocs, &mut found.faults),
        "HEALTHCHECK" => healthcheck(flags, rest, &mut found.faults),
        _ => plain(&keyword, parts, heredocs, found),
    }
}

/// The instructions without flags.
fn plain(
    keyword: &str,
    parts: Parts<'_>,
    heredocs: Vec<Heredoc>,
    found: &mut Findings,
) -> Result<InstructionKind, Diagnostic> {
    let rest = parts.arguments;
    Ok(match keyword {
        "ARG" => InstructionKind::Arg(declarations(rest)?),
        "CMD" => InstructionKind::Cmd(command(rest)?),
        "ENTRYPOINT" => InstructionKind::Entrypoint(command(rest)?),
        "ENV" | "LABEL" => {
            let (pairs, form) = pairs(keyword, rest)?;
            if form == PairForm::Legacy {
                let keyword = if keyword == "ENV" { "ENV" } else { "LABEL" };
                found.form.legacy_pairs.push((parts.whole.span(), keyword));
            }
            if keyword == "ENV" { InstructionKind::Env(pairs) } else { InstructionKind::Label(pairs) }
        }
        "EXPOSE" => InstructionKind::Expose(rest.split_whitespace().into_iter().map(Piece::word).collect()),
        "MAINTAINER" => InstructionKind::Maintainer(rest.text().to_owned()),
        "ONBUILD" => InstructionKind::Onbuild(onbuild(&parts, heredocs, found)?),
        "SHELL" => match listed(rest)? {
            Listed::Json(shell) if !shell.is_empty() => InstructionKind::Shell(shell),
            _ => {
                return Err(Diagnostic::error("not-a-list", "`SHELL` is a JSON list")
                    .at(rest.span(), "")
                    .help("write it like `SHELL [\"/bin/bash\", \"-c\"]`"));
            }
        },
        "STOPSIGNAL" => InstructionKind::StopSignal(rest.word()),
        "USER" => InstructionKind::User(rest.word()),
        "VOLUME" => InstructionKind::Volume(volumes(rest)?),
        "WORKDIR" => InstructionKind::Workdir(rest.word()),
        _ => {
            return Err(Diagnostic::error("misplaced-instruction", format!("`{keyword}` cannot stand here"))
                .at(parts.written.span(), ""));
        }
    })
}

/// `NAME[=DEFAULT] …`.
pub(crate) fn declarations(rest: Piece<'_>) -> Result<Vec<ArgDeclaration>, Diagnostic> {
    let declaration = |word: Piece<'_>| {
        let (name, default) = match word.split_once('=') {
            Some((name, default)) => (name, Some(default.word())),
            None => (word, None),
        };
        if name.is_empty() {
            return Err(Diagnostic::error("missing-name", "a name in `ARG` is empty").at(word.span(), ""));
        }
        Ok(ArgDeclaration { name: name.word(), default, description: None })
    };
    rest.split_quoted().into_iter().map(declaration).collect()
}

fn volumes(rest: Piece<'_>) -> Result<Vec<Word>, Diagnostic> {
    let volumes = words(rest)?;
    if volumes.is_empty() || volumes.iter().any(|volume| volume.text.is_empty()) {
        return Err(Diagnostic::error("missing-arguments", "`VOLUME` needs paths").at(rest.span(), ""));
    }
    Ok(volumes)
}

fn onbuild(parts: &Parts<'_>, heredocs: Vec<Heredoc>, found: &mut Findings) -> Result<Onbuild, Diagnostic> {
    let inner = Parts::of(parts.arguments);
    if matches!(inner.keyword.as_str(), "ONBUILD" | "FROM" | "MAINTAINER") {
        let message = format!("`{}` cannot be put off by `ONBUILD`", inner.keyword);
        return Err(Diagnostic::error("misplaced-instruction", message).at(inner.written.span(), ""));
    }
    found.form.keywords.push(inner.written.word());
    let mut trigger = parts.arguments.text().to_owned();
    for heredoc in &heredocs {
        trigger.push('\n');
        trigger.push_str(&heredoc.raw);
        trigger.push_str(&heredoc.opening.name);
    }
    let broken = Diagnostic::error("bad-trigger", "the instruction behind `ONBUILD` cannot be used")
        .at(parts.arguments.span(), "");
    let faults = found.faults.len();
    let instruction = read(inner, heredocs, found);
    // What is wrong with the inner one has been said; the last fault stands for both.
    match instruction {
        Some(instruction) => Ok(Onbuild { trigger, instruction: Box::new(instruction) }),
        None if found.faults.len() > faults => Err(found.faults.pop().unwrap_or(broken)),
        None => Err(broken),
    }
}

const HEALTHCHECK_FLAGS: [(&str, Takes); 5] = [
    ("interval", Takes::Value),
    ("timeout", Takes::Value),
    ("start-period", Takes::Value),
    ("start-interval", Takes::Value),
    ("retries", Takes::Value),
];

fn healthcheck(
    flags: Vec<Flag>,
    rest: Piece<'_>,
    faults: &mut Vec<Diagnostic>,
) -> Result<InstructionKind, Diagnostic> {
    let given = flags.first().map(|flag| flag.name.span);
    let flags = Flags::check("HEALTHCHECK", flags, &HEALTHCHECK_FLAGS, faults);
    let (kind, arguments) = rest.split_word();
    match kind.text().to_ascii_uppercase().as_str() {
        "NONE" => {
            if let Some(span) = given.or_else(|| (!arguments.is_empty()).then(|| arguments.span())) {
                let message = "`HEALTHCHECK NONE` has no flags and no arguments";
                return Err(Diagnostic::error("extra-arguments", message).at(span, ""));
            }
            Ok(InstructionKind::Healthcheck(Healthcheck::None))
        }
        "CMD" if !arguments.is_empty() => {
            let mut time = |name| {
                let word = flags.value(name)?;
                let time = duration(&word.text).filter(|time| time.is_zero() || time.as_millis() >= 1);
                if time.is_none() {
                    let message = format!("`--{name}` is no time of a millisecond or more: `{}`", word.text);
                    faults.push(
                        Diagnostic::error("bad-value", message)
                            .at(word.span, "")
                            .help("write it like `1m30s`"),
                    );
                }
                time
            };
            let (interval, timeout) = (time("interval"), time("timeout"));
            let (start_period, start_interval) = (time("start-period"), time("start-interval"));
            let retries = flags.value("retries").and_then(|word| {
                let retries = word.text.parse().ok();
                if retries.is_none() {
                    let message = format!("`--retries` is not a number: `{}`", word.text);
                    faults.push(Diagnostic::error("bad-value", message).at(word.span, ""));
                }
                retries
            });
            let command = command(arguments)?;
            Ok(InstructionKind::Healthcheck(Healthcheck::Check {
                command,
                interval,
                timeout,
                start_period,
                start_interval,
                retries,
            }))
        }
        "CMD" => {
            Err(Diagnostic::error("missing-arguments", "`HEALTHCHECK CMD` needs a command")
                .at(kind.span(), ""))
        }
        _ => Err(Diagnostic::error("unknown-healthcheck", "`HEALTHCHECK` is followed by `CMD` or `NONE`")
            .at(kind.span(), "")
            .help("flags stand before `CMD`: `HEALTHCHECK --interval=10s CMD …`")),
    }
}
