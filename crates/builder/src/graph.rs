//! Which stages of which builds are needed, and what each of them waits for. Nothing is done here but
//! reading the Dockerfiles, and getting the contexts that are elsewhere.
//!
//! A node is a stage. It needs the stage it starts from and those it copies or mounts from; whatever no
//! wanted image needs is not in the graph at all.

use crate::cache::Imported;
use crate::context::Context;
use crate::error::{BuildError, at};
use crate::git::without_password;
use crate::machine::Machine;
use crate::remote::{self, Fetched};
use crate::tree;
use diagnostic::{Diagnostic, Sources, Span, nearest};
use dockerfile::{Dockerfile, Given, GlobalScope, Instruction, InstructionKind, Stage, expand};
use resource::{BuildContext, BuildSpec, DockerfileSource, OciLayout, Platform, Reference, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::Store;

/// A build with its Dockerfile read.
pub(crate) struct Target {
    pub(crate) spec: BuildSpec,
    pub(crate) sources: Sources,
    pub(crate) file: Dockerfile,
    pub(crate) global: GlobalScope,
    pub(crate) platform: Platform,
    /// The stage that is wanted.
    pub(crate) stage: usize,
    /// Its files; `None` when nothing of it takes any and it is no folder.
    pub(crate) context: Arc<Context>,
    /// Text of the file that says which files of the context do not count.
    pub(crate) ignore: String,
    /// Other folders by name.
    pub(crate) folders: BTreeMap<String, Arc<Context>>,
    /// Results that other machines have had.
    pub(crate) cache: Imported,
    /// When its image and steps are to have been made, whenever that was.
    pub(crate) epoch: Option<Timestamp>,
}

/// A stage of one of the builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Node {
    pub(crate) target: usize,
    pub(crate) stage: usize,
}

/// What a name after `FROM`, `--from` or `from=` means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nothing.
    Scratch,
    /// A stage, of this build or another.
    Stage(Node),
    /// An image.
    Image(Reference),
    /// An image in files.
    Layout(OciLayout),
    /// A named context that is a folder.
    Folder(String),
}

/// Contexts by folder or address, so that builds share what is known of them.
#[derive(Default)]
pub(crate) struct Contexts<'a> {
    folders: BTreeMap<PathBuf, Arc<Context>>,
    remote: BTreeMap<String, (Arc<Context>, Fetched)>,
    /// What remote ones are fetched with.
    means: Option<(&'a Store, &'a dyn Machine)>,
    /// The Dockerfiles that were read.
    sources: Sources,
}

impl<'a> Contexts<'a> {
    /// Contexts that may be remote.
    pub(crate) fn fetching(store: &'a Store, machine: &'a dyn Machine) -> Self {
        Self { means: Some((store, machine)), ..Self::default() }
    }

    fn open(&mut self, path: &Path) -> std::io::Result<Arc<Context>> {
        if let Some(context) = self.folders.get(path) {
            return Ok(context.clone());
        }
        let context = Arc::new(Context::open(path)?);
        self.folders.insert(path.to_owned(), context.clone());
        Ok(context)
    }

    /// A context that is elsewhere.
    fn fetch(&mut self, address: &str, spec: &BuildSpec) -> Result<Arc<Context>, String> {
        if let Some((context, _)) = self.remote.get(address) {
            return Ok(context.clone());
        }
        let Some((store, machine)) = self.means else {
            return Err("nothing is fetched for a check".to_owned());
        };
        let fetched = remote::context(store, machine, address, spec)?;
        let context = Context::open(&fetched.folder).map_err(|error| error.to_string())?;
        let context = Arc::new(context);
        self.remote.insert(address.to_owned(), (context.clone(), fetched));
        Ok(context)
    }

    /// Those that are folders of the host, of which an index is worth keeping.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Context> {
        self.folders.values().map(|context| &**context)
    }
}

impl Target {
    /// Reads the Dockerfiles of builds and opens their folders.
    ///
    /// # Errors
    /// All that is wrong with any of them.
    pub(crate) fn read_all(
        specs: &[BuildSpec],
        contexts: &mut Contexts<'_>,
    ) -> Result<Vec<Self>, BuildError> {
        let (mut targets, mut failures) = (vec![], vec![]);
        for spec in specs {
            match Self::read(spec, contexts) {
                Ok(target) => targets.push(target),
                Err(failure) => failures.push(failure),
            }
        }
        BuildError::all(failures)?;
        for target in &mut targets {
            target.sources.clone_from(&contexts.sources);
        }
        Ok(targets)
    }

    fn read(spec: &BuildSpec, contexts: &mut Contexts<'_>) -> Result<Self, BuildError> {
        let builds = vec![spec.name.clone()];
        let about = |message: String| {
            let place = if spec.place.is_empty() { String::new() } else { format!(" ({})", spec.place) };
            let message = format!("build of `{}`{place}: {message}", spec.name);
            BuildError { builds: builds.clone(), ..BuildError::general("unusable-build", message) }
        };
        let unreadable =
            |path: &Path, error: std::io::Error| about(format!("cannot read {}: {error}", path.display()));
        let mut open = |context: &BuildContext| match context {
            BuildContext::Folder(path) => {
                contexts.open(path).map(Some).map_err(|error| unreadable(path, error))
            }
            BuildContext::Remote(address) => {
                let fetched = contexts.fetch(address, spec);
                let shown = without_password(address);
                fetched.map(Some).map_err(|why| about(format!("cannot get {shown}: {why}")))
            }
            BuildContext::Image(_) | BuildContext::Build(_) | BuildContext::Layout(_) => Ok(None),
        };
        let context = open(&spec.context)?.ok_or_else(|| about("its context is no folder".to_owned()))?;
        let is_ours = matches!(spec.context, BuildContext::Folder(_));
        let read = |path: &Path| match is_ours {
            true => std::fs::read_to_string(context.path.join(path)),
            // What was fetched names no file outside of it.
            false => tree::resolve(&context.root, path)
                .and_then(|entry| std::io::read_to_string(tree::open_file(&context.root, &entry.path)?)),
        };
        let mut begin = (1, 1);
        let (name, text, beside) = match &spec.dockerfile {
            DockerfileSource::Inline { text, place: Some((file, line, column)) } => {
                begin = (*line, *column);
                (file.clone(), text.clone(), None)
            }
            DockerfileSource::Inline { text, place: None } => {
                (format!("dockerfile_inline of {}", spec.name), text.clone(), None)
            }
            DockerfileSource::File(path) => {
                let whole = context.path.join(path);
                let text = read(path).map_err(|error| unreadable(&whole, error))?;
                let mut beside = path.clone().into_os_string();
                beside.push(".dockerignore");
                let name = if is_ours { whole } else { path.clone() };
                (name.display().to_string(), text, Some(PathBuf::from(beside)))
            }
        };
        let mut ignore = String::new();
        for path in beside.into_iter().chain([PathBuf::from(".dockerignore")]) {
            match read(&path) {
                Ok(text) => {
                    ignore = text;
                    break;
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(unreadable(&path, error)),
            }
        }
        let mut folders = BTreeMap::new();
        for (name, context) in &spec.contexts {
            folders.extend(open(context)?.map(|opened| (name.clone(), opened)));
        }
        let id = contexts.sources.add_part(name, text.clone(), begin);
        let sources = contexts.sources.clone();
        let drawn =
            |diagnostics| BuildError { sources: sources.clone(), diagnostics, builds: builds.clone() };
        let file = dockerfile::parse(id, &text).map_err(drawn)?;
        let stage = match &spec.target {
            None => file.stages.len() - 1,
            Some(name) => file.stage(name).ok_or_else(|| {
                let stages: Vec<String> = file
                    .stages
                    .iter()
                    .filter_map(|stage| Some(format!("`{}`", stage.name.as_ref()?.text)))
                    .collect();
                let known = match stages.is_empty() {
                    true => "its stages have no names".to_owned(),
                    false => format!("its stages are {}", stages.join(", ")),
                };
                about(format!("there is no stage `{name}` in the Dockerfile; {known}"))
            })?,
        };
        let platform = spec.platform.clone().unwrap_or_else(Platform::host);
        let target_stage =
            file.stages[stage].name.as_ref().map_or("default".to_owned(), |name| name.text.clone());
        let given = Given {
            build_args: &spec.args,
            build: &Platform::host(),
            target: &platform,
            target_stage: &target_stage,
        };
        let global = GlobalScope::new(&file, &given).map_err(drawn)?;
        let cache =
            Imported::read(&spec.cache_from).map_err(|why| about(format!("cannot read the cache {why}")))?;
        let epoch = epoch(spec).map_err(about)?;
        let spec = spec.clone();
        Ok(Self { spec, sources, file, global, platform, stage, context, ignore, folders, cache, epoch })
    }

    /// What is wrong, with the Dockerfile to draw it in.
    pub(crate) fn drawn(&self, diagnostic: Diagnostic) -> BuildError {
        self.failed(vec![diagnostic])
    }

    /// All that is wrong, with the Dockerfile to draw it in.
    pub(crate) fn failed(&self, diagnostics: Vec<Diagnostic>) -> BuildError {
        BuildError { sources: self.sources.clone(), diagnostics, builds: vec![self.spec.name.clone()] }
    }
}

/// The time that a build argument gives all that a build makes.
fn epoch(spec: &BuildSpec) -> Result<Option<Timestamp>, String> {
    let Some(text) = spec.args.get("SOURCE_DATE_EPOCH").filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let time = text.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map(Some).ok_or_else(|| {
        format!("the argument SOURCE_DATE_EPOCH is `{text}`, which is no number of seconds since 1970")
    })
}

/// All builds of one command.
pub(crate) struct Graph {
    pub(crate) targets: Vec<Target>,
    /// The needed stages, each after those it needs.
    pub(crate) nodes: Vec<Node>,
}

impl Graph {
    /// Finds what is needed for all targets.
    pub(crate) fn new(targets: Vec<Target>) -> Result<Self, BuildError> {
        let mut graph = Self { targets, nodes: vec![] };
        let (mut nodes, mut failures) = (vec![], vec![]);
        for target in 0..graph.targets.len() {
            let failed = graph.visit(graph.wanted(target), &mut BTreeSet::new(), &mut nodes).err();
            // A circle is the same one from wherever it is entered.
            let is_circle = failed.as_ref().is_some_and(|failed| failed.builds.is_empty());
            failures.extend(failed);
            if is_circle {
                break;
            }
        }
        BuildError::all(failures)?;
        graph.nodes = nodes;
        Ok(graph)
    }

    /// The stage that a target is for.
    pub(crate) fn wanted(&self, target: usize) -> Node {
        Node { target, stage: self.targets[target].stage }
    }

    /// Whether the image of a target is made of a stage: its own, or one that this starts from.
    pub(crate) fn is_made_of(&self, target: usize, node: Node) -> bool {
        let mut at = self.wanted(target);
        loop {
            match self.base(at) {
                _ if at == node => return true,
                Ok(Origin::Stage(base)) => at = base,
                _ => return false,
            }
        }
    }

    fn visit(&self, node: Node, open: &mut BTreeSet<Node>, done: &mut Vec<Node>) -> Result<(), BuildError> {
        if done.contains(&node) {
            return Ok(());
        }
        let target = &self.targets[node.target];
        if !open.insert(node) {
            let message =
                format!("the build of `{}` takes files from itself by way of others", target.spec.name);
            return Err(BuildError::general("circular-build", message));
        }
        for origin in self.needs(node)? {
            if let Origin::Stage(other) = origin {
                self.visit(other, open, done)?;
            }
        }
        done.push(node);
        Ok(())
    }

    /// Everything a stage takes something from.
    fn needs(&self, node: Node) -> Result<Vec<Origin>, BuildError> {
        let stage = &self.targets[node.target].file.stages[node.stage];
        let mut needs = vec![self.base(node)?];
        for instruction in &stage.instructions {
            for (name, span) in names(instruction) {
                needs.push(self.source(node, &name, span)?);
            }
        }
        Ok(needs)
    }

    /// What a stage is for.
    pub(crate) fn platform(&self, node: Node) -> Result<Platform, BuildError> {
        let target = &self.targets[node.target];
        let Some(word) = &target.file.stages[node.stage].platform else { return Ok(target.platform.clone()) };
        let text = expand(word, &target.global).map_err(|error| target.drawn(error))?;
        Platform::parse(&text).ok_or_else(|| {
            let message = format!("`{text}` is no platform such as `linux/amd64`");
            target.drawn(at(word.span, "bad-platform", message))
        })
    }

    /// What a stage starts from.
    pub(crate) fn base(&self, node: Node) -> Result<Origin, BuildError> {
        let target = &self.targets[node.target];
        let from = &target.file.stages[node.stage].from;
        let name = expand(from, &target.global).map_err(|error| target.drawn(error))?;
        if name.is_empty() {
            let message = format!("`{}` is empty: no stage can start from it", from.text);
            return Err(target.drawn(at(from.span, "empty-base", message)));
        }
        if let Some(origin) = self.named(node, &name, &self.platform(node)?) {
            return Ok(origin);
        }
        if name == "scratch" {
            return Ok(Origin::Scratch);
        }
        if let Some(stage) = target.file.base_stage(node.stage, &name) {
            return Ok(Origin::Stage(Node { stage, ..node }));
        }
        self.image(node, &name, &self.platform(node)?, from.span)
    }

    /// What a name after `--from` or `from=` means.
    pub(crate) fn source(&self, node: Node, name: &str, span: Span) -> Result<Origin, BuildError> {
        let target = &self.targets[node.target];
        if let Some(origin) = self.named(node, name, &target.platform) {
            return Ok(origin);
        }
        match target.file.stage(name) {
            Some(stage) if stage < node.stage => return Ok(Origin::Stage(Node { stage, ..node })),
            Some(stage) if stage == node.stage => {
                let message = format!("`{name}` is this stage itself");
                return Err(target.drawn(at(span, "circular-stage", message)));
            }
            _ => {}
        }
        if name == "scratch" {
            return Ok(Origin::Scratch);
        }
        self.image(node, name, &target.platform, span)
    }

    /// What was meant, perhaps, where there is no image of a name that a stage takes something from: a stage
    /// of the same Dockerfile, or a named context.
    pub(crate) fn meant(&self, node: Node, reference: &Reference) -> Option<String> {
        let target = &self.targets[node.target];
        let (before, after) = target.file.stages.split_at(node.stage);
        let name = |stage: &Stage| stage.name.as_ref().map(|name| name.text.clone());
        let asked = reference.familiar_repository();
        if let Some(later) =
            after.iter().skip(1).filter_map(name).find(|name| name.eq_ignore_ascii_case(&asked))
        {
            return Some(format!("the stage `{later}` comes later; only those before this one can be named"));
        }
        let stages: Vec<String> = before.iter().filter_map(name).collect();
        let similar = |names: &mut dyn Iterator<Item = &String>| {
            nearest(&asked, names.map(String::as_str)).map(str::to_owned)
        };
        let stage = similar(&mut stages.iter()).map(|near| ("stage", near));
        let (what, near) = stage.or_else(|| Some(("context", similar(&mut target.spec.contexts.keys())?)))?;
        Some(format!("a {what} with a similar name exists: `{near}`"))
    }

    /// A named context.
    fn named(&self, node: Node, name: &str, platform: &Platform) -> Option<Origin> {
        let spec = &self.targets[node.target].spec;
        let context = spec.contexts.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        Some(match context? {
            (own, BuildContext::Folder(_) | BuildContext::Remote(_)) => Origin::Folder(own.clone()),
            (_, BuildContext::Image(reference)) => Origin::Image(reference.clone()),
            (_, BuildContext::Layout(layout)) => Origin::Layout(layout.clone()),
            (_, BuildContext::Build(build)) => {
                Origin::Stage(self.wanted(self.target(platform, |target| target.spec.name == *build)?))
            }
        })
    }

    /// The first target of these, of those for several platforms the one for this platform.
    fn target(&self, platform: &Platform, is_meant: impl Fn(&Target) -> bool) -> Option<usize> {
        let mut meant = (0..self.targets.len()).filter(|at| is_meant(&self.targets[*at]));
        meant.clone().find(|at| self.targets[*at].platform == *platform).or_else(|| meant.next())
    }

    /// Whether a build is for other platforms, too.
    pub(crate) fn has_siblings(&self, node: Node) -> bool {
        let name = &self.targets[node.target].spec.name;
        self.targets.iter().filter(|target| target.spec.name == *name).count() > 1
    }

    fn image(&self, node: Node, name: &str, platform: &Platform, span: Span) -> Result<Origin, BuildError> {
        let target = &self.targets[node.target];
        // An image that another build of this command makes is that one's result.
        let reference =
            Reference::parse(name).map_err(|error| target.drawn(at(span, "bad-image", error.to_string())))?;
        let builder = self.target(platform, |other| {
            other.spec.name != target.spec.name && other.spec.references.contains(&reference)
        });
        Ok(match builder {
            Some(other) => Origin::Stage(self.wanted(other)),
            None => Origin::Image(reference),
        })
    }
}

/// The names that an instruction takes files from.
pub(crate) fn names(instruction: &Instruction) -> Vec<(String, Span)> {
    match &instruction.kind {
        InstructionKind::Copy(copy) => copy.from.iter().map(|from| (from.text.clone(), from.span)).collect(),
        InstructionKind::Run(run) => run
            .mounts
            .iter()
            .filter_map(|mount| mount.from())
            .map(|from| (from.text.clone(), from.span))
            .collect(),
        _ => vec![],
    }
}
