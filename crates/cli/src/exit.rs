//! What a run of the program ends with: [`Exit`] when it did what it was asked, [`Failure`] when not.
//!
//! This is the one place where an error becomes an exit code (`commands.md` §5) and gets its hint.

use std::error::Error;
use std::fmt::Write as _;

/// The first Linux with every call that is made without another way round it: mount_setattr(2) is the
/// youngest.
const KERNEL: &str = "5.12";

/// A run that did what it was asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Exit code 0.
    Success,
    /// The exit code of a process in a container, passed on.
    Code(i32),
    /// SIGINT or SIGTERM ended it, after what had to be done was done.
    Interrupted,
}

impl Exit {
    /// The number given to the shell.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Code(code) => u8::try_from(code & 0xff).expect("eight bits are kept"),
            Self::Interrupted => 130,
        }
    }
}

/// A run that could not do what it was asked to do.
#[derive(Debug)]
pub(crate) enum Failure {
    /// One sentence, with a cause and a hint where there are some.
    Message {
        /// What was attempted on what, and why it did not work.
        what: String,
        /// The error below it.
        source: Option<Box<dyn Error + Send + Sync>>,
        /// What to do about it.
        hint: Option<String>,
        /// The exit code, 1 unless a process decided it.
        code: u8,
    },
    /// Diagnostics, drawn already: text for standard error.
    Drawn(String),
    /// Diagnostics of a text that was read before any project, with that text, and the exit code.
    Diagnosed(Box<(diagnostic::Sources, Vec<diagnostic::Diagnostic>)>, u8),
    /// Nothing more to say; the code is all.
    Silent(u8),
}

impl Failure {
    /// A failure that is one sentence.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self::Message { what: what.into(), source: None, hint: None, code: 1 }
    }

    /// A failure with the error that caused it.
    pub(crate) fn because(what: impl Into<String>, source: impl Error + Send + Sync + 'static) -> Self {
        Self::Message { what: what.into(), source: Some(Box::new(source)), hint: None, code: 1 }
    }

    /// The same, telling what to do about it.
    pub(crate) fn hint(mut self, text: impl Into<String>) -> Self {
        if let Self::Message { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }

    /// The same with another exit code than 1.
    pub(crate) fn with_code(mut self, number: u8) -> Self {
        if let Self::Message { code, .. } | Self::Diagnosed(_, code) = &mut self {
            *code = number;
        }
        self
    }

    /// A flag or verb that is understood and cannot be honoured yet.
    pub(crate) fn unsupported(what: &str) -> Self {
        Self::new(format!("{what} is not supported yet"))
    }

    /// A verb of which it cannot be said what it would do, and why.
    pub(crate) fn without_dry_run(verb: &str, why: &str) -> Self {
        Self::new(format!("`--dry-run` has nothing to show of `compose {verb}`: {why}"))
            .hint("nothing was done; leave `--dry-run` out to do it")
    }

    /// The number given to the shell.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Message { code, .. } | Self::Diagnosed(_, code) | Self::Silent(code) => *code,
            Self::Drawn(_) => 1,
        }
    }

    /// The message with every cause, on one line: `what: cause: cause`.
    pub(crate) fn line(&self) -> String {
        match self {
            Self::Message { what, source, .. } => {
                let mut text = what.clone();
                let mut cause = source.as_deref().map(|source| source as &dyn Error);
                while let Some(error) = cause {
                    let said = error.to_string();
                    // Some libraries repeat their cause in their own text.
                    if !text.ends_with(&said) {
                        let _ = write!(text, ": {said}");
                    }
                    cause = error.source();
                }
                readable(&text)
            }
            Self::Drawn(text) => text.clone(),
            Self::Diagnosed(told, _) => diagnostic::render(&told.0, &told.1, false),
            Self::Silent(_) => String::new(),
        }
    }

    /// What is written to standard error: plain, or as one JSON object with `--progress json`.
    pub(crate) fn render(&self, json: bool, colour: bool) -> String {
        let (red, off) = if colour { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
        match self {
            Self::Silent(_) => String::new(),
            _ if json => {
                format!("{}\n", serde_json::json!({ "error": true, "message": self.line().trim_end() }))
            }
            Self::Drawn(text) => text.clone(),
            Self::Diagnosed(told, _) => diagnostic::render(&told.0, &told.1, colour),
            Self::Message { hint, source, .. } => {
                let line = self.line();
                let mut text = format!("{red}error{off}: {line}\n");
                let of_engine = source.as_deref().and_then(|source| source.downcast_ref());
                let hint = hint.clone().or_else(|| of_engine.and_then(crate::remedies::of));
                if let Some(hint) = hint.or_else(|| kernel_hint(&line)) {
                    let _ = writeln!(text, "  = help: {hint}");
                }
                text
            }
        }
    }
}

/// A message without what a terminal would take for orders: an image may have any name in it, a registry say anything.
pub(crate) fn readable(text: &str) -> String {
    let is_order = |letter: char| letter.is_control() && letter != '\n' && letter != '\t';
    if !text.contains(is_order) {
        return text.to_owned();
    }
    let letter = |letter: char| match is_order(letter) {
        true => letter.escape_default().to_string(),
        false => letter.to_string(),
    };
    text.chars().map(letter).collect()
}

/// What to do where the kernel does not know a call (`ENOSYS`) or kind of socket (`EAFNOSUPPORT`). The cause
/// may come from the supervisor, as text.
fn kernel_hint(line: &str) -> Option<String> {
    let lacks = ["(os error 38)", "(os error 97)"].iter().any(|error| line.contains(error));
    lacks.then(|| {
        let kernel = rustix::system::uname();
        let release = kernel.release().to_string_lossy();
        format!(
            "containers take all calls of Linux {KERNEL} and its netlink sockets; this is Linux {release}, or something on the way to \
             it, such as the system call filter of a container around this program, leaves some out"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_shows_its_causes_once_and_its_hint() {
        let cause = std::io::Error::other("no space left");
        let failure =
            Failure::because("service `web` (compose.yaml:3:4): cannot create", cause).hint("free some");
        assert_eq!(
            failure.render(false, false),
            "error: service `web` (compose.yaml:3:4): cannot create: no space left\n  = help: free some\n"
        );
        let json = failure.render(true, false);
        assert!(json.starts_with("{\"error\":true,\"message\":\"service `web`"), "{json}");
    }

    #[test]
    fn a_failure_gives_a_terminal_no_orders() {
        let failure = Failure::new("entry `\u{1b}[2J\u{7}ä` is refused:\n\tsee above");
        assert_eq!(failure.line(), "entry `\\u{1b}[2J\\u{7}ä` is refused:\n\tsee above");
    }

    #[test]
    fn codes_are_those_of_the_reference() {
        assert_eq!(Exit::Success.code(), 0);
        assert_eq!(Exit::Code(127).code(), 127);
        assert_eq!(Exit::Interrupted.code(), 130);
        assert_eq!(Failure::new("x").code(), 1);
        assert_eq!(Failure::new("x").with_code(126).code(), 126);
    }
}
