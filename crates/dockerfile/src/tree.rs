//! What a Dockerfile says, as values: stages and their instructions, each with its place.
//!
//! Words keep their quotes, escapes and `$variables`: what those mean is known only when the values of
//! `ARG` and `ENV` are, see [`crate::expand`].

use std::time::Duration;

use diagnostic::Span;

use crate::mount::Mount;

/// A whole Dockerfile. It has at least one stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dockerfile {
    /// The comments at its top that speak to the reader of the file.
    pub directives: Directives,
    /// The `ARG`s before the first `FROM`, in order.
    pub global_args: Vec<ArgDeclaration>,
    /// The stages in order; a stage's index is its place here.
    pub stages: Vec<Stage>,
    /// What the build checks need to know of the writing.
    pub(crate) form: Form,
}

/// The comments at the top of the file that speak to its reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directives {
    /// `# syntax=…`: the frontend that was asked for. Every stable one of Docker's is read here.
    pub syntax: Option<Word>,
    /// `# escape=…`: the character that escapes and continues lines.
    pub escape: char,
    /// `# check=…`: which build checks to leave out, and whether findings fail the build.
    pub check: CheckDirective,
}

/// `# check=skip=NAME,NAME;experimental=NAME;error=true`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckDirective {
    /// The checks that are left out.
    pub skip: Chosen,
    /// The experimental checks that are made, too.
    pub experimental: Chosen,
    /// Findings are errors.
    pub error: bool,
}

/// A choice of build checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// All of them.
    All,
    /// Those with these names, compared without case.
    Named(Vec<String>),
}

impl Default for Chosen {
    fn default() -> Self {
        Self::Named(Vec::new())
    }
}

/// How the file is written, besides what it means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Form {
    /// Every instruction's keyword as written, in the order of the file, the inner ones of `ONBUILD` too.
    pub(crate) keywords: Vec<Word>,
    /// The `AS` of each `FROM` that has one, with the `FROM` it belongs to.
    pub(crate) as_keywords: Vec<(Word, Word)>,
    /// Empty lines inside an instruction that goes on.
    pub(crate) empty_continuations: Vec<Span>,
    /// `ENV` and `LABEL` in the form without `=`.
    pub(crate) legacy_pairs: Vec<(Span, &'static str)>,
    /// A comment right above a named stage or an `ARG` that does not describe it.
    pub(crate) descriptions: Vec<Description>,
    /// What the directives leave to be said where nothing is wrong.
    pub(crate) warnings: Vec<diagnostic::Diagnostic>,
}

/// A comment that stands directly above a stage or an `ARG`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Description {
    /// The comment's last line.
    pub(crate) span: Span,
    /// Its text without `#`.
    pub(crate) text: String,
    /// The name below it.
    pub(crate) name: String,
    /// `stage` or `ARG`.
    pub(crate) what: &'static str,
}

/// A piece of text as written, with its place and the escape character it was written with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// As written, quotes and variables included; line continuations are gone.
    pub text: String,
    /// Where it stands.
    pub span: Span,
    /// The file's escape character.
    pub escape: char,
}

/// One build stage: a `FROM` and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// The `FROM` line.
    pub span: Span,
    /// The `FROM` line as written, continuations joined.
    pub original: String,
    /// What it starts from, not yet expanded: an image, an earlier stage, or `scratch`.
    pub from: Word,
    /// The name after `AS`, as written; names are compared without case.
    pub name: Option<Word>,
    /// `--platform`, not yet expanded.
    pub platform: Option<Word>,
    /// The comment directly above, when it describes the stage: `# NAME text`.
    pub description: Option<String>,
    /// What is done, in order.
    pub instructions: Vec<Instruction>,
}

/// One instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// The whole instruction, heredocs included.
    pub span: Span,
    /// As written, continuations joined, without heredocs' texts: what the image's history shows.
    pub original: String,
    /// What it asks for.
    pub kind: InstructionKind,
}

/// What an instruction asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstructionKind {
    /// `ADD`.
    Add(Add),
    /// `ARG`.
    Arg(Vec<ArgDeclaration>),
    /// `CMD`. An empty [`Command::Exec`] resets it.
    Cmd(Command),
    /// `COPY`.
    Copy(Copy),
    /// `ENTRYPOINT`. An empty [`Command::Exec`] resets it.
    Entrypoint(Command),
    /// `ENV`, in order; all values are expanded with what was set before the instruction.
    Env(Vec<Pair>),
    /// `EXPOSE`; each word may expand to several ports, see [`crate::expand_list`].
    Expose(Vec<Word>),
    /// `HEALTHCHECK`.
    Healthcheck(Healthcheck),
    /// `LABEL`.
    Label(Vec<Pair>),
    /// `MAINTAINER`.
    Maintainer(String),
    /// `ONBUILD`.
    Onbuild(Onbuild),
    /// `RUN`.
    Run(Run),
    /// `SHELL`.
    Shell(Vec<String>),
    /// `STOPSIGNAL`.
    StopSignal(Word),
    /// `USER`.
    User(Word),
    /// `VOLUME`.
    Volume(Vec<Word>),
    /// `WORKDIR`.
    Workdir(Word),
}

/// What `CMD`, `ENTRYPOINT` and `HEALTHCHECK CMD` run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// For the stage's shell; no variable is expanded by the builder.
    Shell(String),
    /// An argument vector.
    Exec(Vec<String>),
}

/// `NAME[=VALUE]` of an `ARG`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgDeclaration {
    /// The name, never empty.
    pub name: Word,
    /// The default, not yet expanded.
    pub default: Option<Word>,
    /// The comment directly above, when it describes the argument: `# NAME text`.
    pub description: Option<String>,
}

/// `KEY=VALUE` of an `ENV` or `LABEL`; both sides are expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The key.
    pub key: Word,
    /// The value.
    pub value: Word,
}

/// `RUN`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// What is run.
    pub command: RunCommand,
    /// `--mount`, in order.
    pub mounts: Vec<Mount>,
    /// `--network`.
    pub network: RunNetwork,
    /// `--security`.
    pub security: RunSecurity,
    /// `--device`, in order.
    pub devices: Vec<DeviceRequest>,
}

/// A device that a `RUN` asks for, `--device=NAME[,required]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRequest {
    /// Its name as the Container Device Interface has them, not yet expanded: `vendor.com/class=name`, `…=*` for
    /// all of a class, or a class alone.
    pub name: Word,
    /// Whether the step fails where there is none.
    pub required: bool,
}

/// What a `RUN` runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunCommand {
    /// A text for the stage's shell, as its last argument. Heredocs are part of it.
    Shell(String),
    /// An argument vector.
    Exec(Vec<String>),
    /// A heredoc that begins with `#!`: it is run as a program of its own, from a file that is not kept.
    Script {
        /// The heredoc's word, the name of the file.
        name: String,
        /// The whole program.
        content: String,
    },
}

/// The network of a `RUN`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunNetwork {
    /// That of the build.
    #[default]
    Default,
    /// Only loopback.
    None,
    /// The host's; needs the entitlement `network.host`.
    Host,
}

/// The confinement of a `RUN`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunSecurity {
    /// Like any container.
    #[default]
    Sandbox,
    /// Like a privileged container; needs the entitlement `security.insecure`.
    Insecure,
}

/// What `COPY` and `ADD` have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// What is taken, in order; at least one.
    pub sources: Vec<TransferSource>,
    /// Where it goes. It is a folder if it ends in `/`, or where there are several sources.
    pub destination: Word,
    /// `--chown`.
    pub chown: Option<Word>,
    /// `--chmod`.
    pub chmod: Option<Word>,
    /// `--link`: the layer does not depend on those below it.
    pub link: bool,
    /// `--exclude`, patterns as in `.dockerignore`.
    pub exclude: Vec<Word>,
}

/// One source of `COPY` or `ADD`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransferSource {
    /// A path with wildcards in the context or stage; for `ADD` also a URL or a git repository.
    Path(Word),
    /// A heredoc: a file written in the Dockerfile.
    Inline(Inline),
}

/// A heredoc as a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inline {
    /// The file's name: the heredoc's word.
    pub name: String,
    /// Its content, see [`crate::expand_inline`].
    pub content: Word,
    /// Whether variables in it are expanded: the word is not quoted.
    pub expands: bool,
}

/// `COPY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// What goes where.
    pub transfer: Transfer,
    /// `--from`: a stage's name or index, a named context or an image; without variables.
    pub from: Option<Word>,
    /// `--parents`: folders above each source are kept.
    pub parents: bool,
}

/// `ADD`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Add {
    /// What goes where.
    pub transfer: Transfer,
    /// `--checksum`.
    pub checksum: Option<Word>,
    /// `--keep-git-dir`.
    pub keep_git_dir: bool,
    /// `--unpack`: archives are unpacked or not. Unsaid: those of the context are, those of a URL are not.
    pub unpack: Option<bool>,
}

/// `HEALTHCHECK`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Healthcheck {
    /// `NONE`: the base image's is switched off.
    None,
    /// `CMD …`; what is `None` is left to the defaults.
    Check {
        /// The probe.
        command: Command,
        /// `--interval`.
        interval: Option<Duration>,
        /// `--timeout`.
        timeout: Option<Duration>,
        /// `--start-period`.
        start_period: Option<Duration>,
        /// `--start-interval`.
        start_interval: Option<Duration>,
        /// `--retries`.
        retries: Option<u32>,
    },
}

/// `ONBUILD`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Onbuild {
    /// What the image keeps: the instruction's text, heredocs included. [`crate::trigger`] reads it again.
    pub trigger: String,
    /// The instruction, read.
    pub instruction: Box<Instruction>,
}

impl Dockerfile {
    /// The stage that a target names: by name without case, or by index. `None` where there is none.
    pub fn stage(&self, name: &str) -> Option<usize> {
        self.named(name, self.stages.len()).or_else(|| self.numbered(name))
    }

    /// The stage that the `FROM` of the stage at `index` names; only earlier ones count, and only names.
    pub fn base_stage(&self, index: usize, name: &str) -> Option<usize> {
        self.named(name, index)
    }

    /// The last of the first `end` stages that is called `name`.
    fn named(&self, name: &str, end: usize) -> Option<usize> {
        self.stages[..end]
            .iter()
            .rposition(|stage| stage.name.as_ref().is_some_and(|own| own.text.eq_ignore_ascii_case(name)))
    }

    fn numbered(&self, name: &str) -> Option<usize> {
        let decimal = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
        name.parse().ok().filter(|index| decimal && *index < self.stages.len())
    }
}

impl InstructionKind {
    /// The keyword, in capitals.
    pub fn keyword(&self) -> &'static str {
        match self {
            Self::Add(_) => "ADD",
            Self::Arg(_) => "ARG",
            Self::Cmd(_) => "CMD",
            Self::Copy(_) => "COPY",
            Self::Entrypoint(_) => "ENTRYPOINT",
            Self::Env(_) => "ENV",
            Self::Expose(_) => "EXPOSE",
            Self::Healthcheck(_) => "HEALTHCHECK",
            Self::Label(_) => "LABEL",
            Self::Maintainer(_) => "MAINTAINER",
            Self::Onbuild(_) => "ONBUILD",
            Self::Run(_) => "RUN",
            Self::Shell(_) => "SHELL",
            Self::StopSignal(_) => "STOPSIGNAL",
            Self::User(_) => "USER",
            Self::Volume(_) => "VOLUME",
            Self::Workdir(_) => "WORKDIR",
        }
    }
}
