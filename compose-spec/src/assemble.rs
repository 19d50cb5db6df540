//! Files → one merged model: interpolation, includes, `extends`, merging. Steps B and C of loading.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use diagnostic::{Diagnostic, FileId, Sources, Span, nearest};

use crate::encoding::not_text;
use crate::merge::{self, Marks};
use crate::origin::Origins;
use crate::paths::{self, Base};
use crate::schema::{SERVICE, TOP};
use crate::scope::{MOST_MADE, Scope};
use crate::trace::Trace;
use crate::tree::{Entry, Map, Node, Value};
use crate::{Files, Input, check, complete, dotenv, interpolate, normalize, parse, relations};

/// Files that include each other, or services that extend each other, in a row.
const LONGEST_CHAIN: usize = 50;

/// One file, read and parsed.
pub(crate) struct Parsed {
    pub(crate) file: FileId,
    pub(crate) documents: Vec<Node>,
}

/// What a set of files is read with.
pub(crate) struct Surroundings {
    /// What relative paths start from.
    pub(crate) directory: PathBuf,
    pub(crate) environment: Rc<BTreeMap<String, String>>,
    /// The files that include this one, with the places that do.
    pub(crate) chain: Vec<(PathBuf, Span)>,
}

/// Reads files and puts them together.
pub(crate) struct Assembler<'a> {
    pub(crate) input: &'a Input,
    pub(crate) files: &'a dyn Files,
    pub(crate) sources: Sources,
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Where values come from.
    pub(crate) origins: Origins,
    /// Variables that have been warned about.
    warned: HashSet<String>,
    /// Whether some file could not be used at all, so that what seems missing may have been in it.
    pub(crate) incomplete: bool,
    /// Services of files that are extended from.
    bases: HashMap<PathBuf, Option<Rc<Map>>>,
    /// What is wrong with each of them; told when it is extended.
    faults: HashMap<(PathBuf, String), Vec<Diagnostic>>,
    /// Files of variables and labels that services name, which are read once for all of them.
    shared: HashMap<PathBuf, FileId>,
    /// Contents of included secrets and configs that only the include's own variables give.
    pub(crate) contents: Vec<Content>,
    /// Whether `!reset` or `!override` may be in some file.
    marked: bool,
    /// Values that short forms and `extends` have made.
    made: usize,
    /// What happened to values, if that is asked for.
    pub(crate) trace: Option<Trace>,
}

/// What a variable of an include gives a secret or config.
pub(crate) struct Content {
    /// `secrets` or `configs`.
    pub(crate) section: &'static str,
    pub(crate) key: String,
    /// The variable that `environment` names.
    pub(crate) variable: String,
    pub(crate) value: String,
}

/// A service under resolution: its file (`None`: the document at hand), its name, the place that asked.
type Link = (Option<PathBuf>, String, Span);

impl<'a> Assembler<'a> {
    pub(crate) fn new(input: &'a Input, files: &'a dyn Files) -> Self {
        Self {
            input,
            files,
            sources: Sources::new(),
            diagnostics: Vec::new(),
            origins: Origins::default(),
            warned: HashSet::new(),
            incomplete: false,
            bases: HashMap::new(),
            faults: HashMap::new(),
            shared: HashMap::new(),
            contents: Vec::new(),
            marked: false,
            made: 0,
            trace: input.options.trace.then(Trace::default),
        }
    }

    pub(crate) fn scope(&mut self) -> Scope<'_> {
        Scope {
            sources: &self.sources,
            diagnostics: &mut self.diagnostics,
            interpolated: self.input.options.interpolate,
            made: &mut self.made,
            trace: self.trace.as_mut(),
        }
    }

    pub(crate) fn base<'b>(&self, surroundings: &'b Surroundings) -> Base<'b> {
        let home = surroundings.environment.get("HOME").map(String::as_str);
        Base { directory: &surroundings.directory, home }
    }

    /// A path as people know it: relative to where they are, if it is below.
    pub(crate) fn shown(&self, path: &Path) -> String {
        let relative =
            path.strip_prefix(&self.input.shown_from).ok().filter(|rest| !rest.as_os_str().is_empty());
        relative.unwrap_or(path).display().to_string()
    }

    /// Reads a text and keeps it. What cannot be read is told, at `asked`.
    pub(crate) fn text(&mut self, path: &Path, what: &str, asked: Span) -> Option<FileId> {
        let shown = if path == Path::new("-") { "<stdin>".to_owned() } else { self.shown(path) };
        let told = |reason: String| {
            Diagnostic::error("unreadable-file", format!("cannot read the {what} `{shown}`: {reason}"))
                .at(asked, "asked for here")
        };
        match self.files.read(path) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => {
                    let file = self.sources.add(shown, text);
                    self.origins.asked.insert(file, asked);
                    return Some(file);
                }
                Err(error) => {
                    self.diagnostics.push(told(not_text(&error)).help("save it as UTF-8 in the editor"))
                }
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => self.diagnostics.push(
                Diagnostic::error("file-not-found", format!("the {what} `{shown}` does not exist"))
                    .at(asked, "asked for here"),
            ),
            Err(error) => {
                let is_folder = self.files.is_dir(path);
                let reason = if is_folder { "it is a folder".to_owned() } else { error.to_string() };
                let told = told(reason);
                self.diagnostics.push(if is_folder { told.help("name a file in it") } else { told });
            }
        }
        None
    }

    /// The text of a file that several services may name; what is wrong in it is told of its one place.
    pub(crate) fn shared_text(&mut self, path: &Path, what: &str, asked: Span) -> Option<FileId> {
        if let Some(file) = self.shared.get(path) {
            return Some(*file);
        }
        let file = self.text(path, what, asked)?;
        self.shared.insert(path.to_owned(), file);
        Some(file)
    }

    /// Reads and parses a Compose file.
    pub(crate) fn parsed(&mut self, path: &Path, asked: Span) -> Option<Parsed> {
        if let Some(text) = path.to_str().filter(|text| paths::is_remote(text)) {
            self.remote("remote-file", format!("`{text}` cannot be read"), asked);
            return None;
        }
        let file = self.text(path, "Compose file", asked);
        let documents = file.and_then(|file| {
            self.marked |= self.sources.shared_text(file).as_bytes().contains(&b'!');
            let documents = parse::documents(&self.sources, file, &mut self.diagnostics)?;
            Some(Parsed { file, documents })
        });
        self.incomplete |= documents.is_none();
        documents
    }

    /// Merges files in order into one model, with its defaults and absolute paths.
    pub(crate) fn model(&mut self, files: Vec<Parsed>, around: &Surroundings) -> Node {
        let mut model: Option<Node> = None;
        for parsed in files {
            let mut version_warned = false;
            for mut document in parsed.documents {
                if document.as_map().is_none() {
                    check::document(&mut document, &mut self.scope());
                    self.incomplete = true;
                    continue;
                }
                self.prepare(&mut document, around, &mut version_warned);
                self.include(&mut document, around);
                self.extend(&mut document, around);
                match &mut model {
                    Some(model) => merge::objects(model, document, &TOP, Marks::Apply, &mut self.scope()),
                    None => model = Some(document),
                }
                if let Some(model) = model.as_mut().filter(|_| self.marked) {
                    merge::settle(model);
                }
            }
        }
        let mut model = model.unwrap_or_else(|| Node::map(Span::NOWHERE));
        complete::model(&mut model, &mut self.scope());
        complete::defaults(&mut model);
        relations::model(&mut model, &mut self.scope());
        if self.input.options.resolve_paths {
            paths::model(&mut model, self.base(around));
        }
        model
    }

    /// Replaces variables, checks, and brings into canonical form.
    fn prepare(&mut self, document: &mut Node, around: &Surroundings, version_warned: &mut bool) {
        self.interpolated(document, around);
        if let Some(map) = document.as_map_mut()
            && let Some(version) = map.remove("version")
            && !std::mem::replace(version_warned, true)
        {
            self.diagnostics.push(
                Diagnostic::warning("obsolete-version", "`version` is obsolete and ignored")
                    .at(version.key_span, "")
                    .help("remove it"),
            );
        }
        check::document(document, &mut self.scope());
    }

    fn interpolated(&mut self, document: &mut Node, around: &Surroundings) {
        if self.input.options.interpolate {
            let values = &around.environment;
            self.origins.environments.insert(document.span.file, values.clone());
            interpolate::tree(document, values, &mut self.warned, &self.sources, &mut self.diagnostics);
        }
    }

    // Includes

    /// Puts what a document includes below it.
    fn include(&mut self, document: &mut Node, around: &Surroundings) {
        let Some(include) = document.as_map_mut().and_then(|map| map.remove("include")) else { return };
        let Value::List(entries) = include.node.value else { return };
        let mut below: Option<Node> = None;
        for entry in entries {
            let Some(mut included) = self.included(&entry, around) else { continue };
            if let Some(map) = included.as_map_mut() {
                map.retain(|key, _| key != "name" && !key.starts_with("x-"));
            }
            if let Some(earlier) = below.take() {
                merge::objects(&mut included, earlier, &TOP, Marks::Apply, &mut self.scope());
            }
            below = Some(included);
        }
        if let Some(mut below) = below {
            let above = std::mem::replace(document, Node::map(document.span));
            merge::objects(&mut below, above, &TOP, Marks::Keep, &mut self.scope());
            *document = Node { span: document.span, ..below };
        }
    }

    /// The model of one entry of `include`.
    fn included(&mut self, entry: &Node, around: &Surroundings) -> Option<Node> {
        let single = [entry.clone()];
        let paths = match entry.get("path") {
            Some(list) => list.as_list().unwrap_or(&[]),
            None => &single,
        };
        self.lacks(entry, "an entry of `include`", "path");
        let mut files = Vec::new();
        let mut chain = around.chain.clone();
        let mut folder = None;
        for node in paths {
            let text = node.as_str()?;
            if paths::is_remote(text) {
                self.remote("remote-include", format!("`{text}` cannot be included"), node.span);
                return None;
            }
            let path = self.base(around).absolute(text);
            if around.chain.iter().any(|(earlier, _)| *earlier == path) {
                self.include_cycle(&path, node.span, around);
                return None;
            }
            if chain.len() > LONGEST_CHAIN {
                self.too_long("files include", node.span);
                return None;
            }
            folder = folder.or_else(|| path.parent().map(Path::to_owned));
            files.push(self.parsed(&path, node.span)?);
            chain.push((path, node.span));
        }
        let directory = match entry.str("project_directory") {
            Some(directory) => self.base(around).absolute(directory),
            None => folder?,
        };
        let environment = self.include_environment(entry, &directory, around);
        let around = Surroundings { directory, environment, chain };
        let mut model = self.model(files, &around);
        if self.input.options.resolve_environment {
            self.resolve_included(&mut model, &around.environment);
        }
        Some(model)
    }

    /// Takes what has no value of its own from the variables of the include, which nobody else sees.
    fn resolve_included(&mut self, model: &mut Node, values: &BTreeMap<String, String>) {
        let services = model.get_mut("services").and_then(Node::as_map_mut);
        for entry in services.into_iter().flat_map(|services| services.values_mut()) {
            if let Some(variables) = entry.node.get_mut("environment") {
                normalize::resolve(variables, values);
            }
        }
        for section in ["secrets", "configs"] {
            for (key, entry) in model.get(section).and_then(Node::as_map).into_iter().flatten() {
                let Some(variable) = entry.node.str("environment") else { continue };
                let Some(value) = values.get(variable).cloned() else { continue };
                let (key, variable) = (key.clone(), variable.to_owned());
                self.contents.push(Content { section, key, variable, value });
            }
        }
    }

    /// Tells that a mapping has no `key`. What is consumed before merging is not looked through afterwards.
    fn lacks(&mut self, node: &Node, what: &str, key: &str) {
        if node.as_map().is_some_and(|map| !map.contains_key(key)) {
            self.incomplete = true;
            self.diagnostics.push(
                Diagnostic::error("missing-key", format!("{what} has no `{key}`"))
                    .at(node.span, format!("`{key}` is missing")),
            );
        }
    }

    fn remote(&mut self, code: &'static str, what: String, span: Span) {
        self.incomplete = true;
        let message = format!("{what}: remote files are not supported yet");
        self.diagnostics.push(Diagnostic::error(code, message).at(span, ""));
    }

    fn too_long(&mut self, what: &str, span: Span) {
        self.incomplete = true;
        let message = format!("more than {LONGEST_CHAIN} {what} each other in a row");
        self.diagnostics.push(Diagnostic::error("too-deep", message).at(span, "this goes too far"));
    }

    /// Tells once that services extend more than there may be.
    fn too_much(&mut self, span: Span) {
        if !std::mem::replace(&mut self.incomplete, true) {
            let message = format!("what services extend is more than {MOST_MADE} values");
            self.diagnostics
                .push(Diagnostic::error("too-many-values", message).at(span, "the limit is reached here"));
        }
    }

    fn include_cycle(&mut self, path: &Path, span: Span, around: &Surroundings) {
        let start = around.chain.iter().position(|(earlier, _)| earlier == path).unwrap_or(0);
        let links = &around.chain[start..];
        let drawn: Vec<_> = links.iter().map(|(path, _)| path.as_path()).chain([path]).collect();
        let drawn: Vec<_> = drawn.into_iter().map(|path| format!("`{}`", self.shown(path))).collect();
        let mut diagnostic = Diagnostic::error(
            "include-cycle",
            format!("files include each other in a circle: {}", drawn.join(" -> ")),
        )
        .at(span, "this closes the circle");
        for (_, place) in &links[1..] {
            diagnostic = diagnostic.at(*place, "by way of this");
        }
        self.incomplete = true;
        self.diagnostics.push(diagnostic);
    }

    /// The environment an include is read with: the outer one over its own files.
    fn include_environment(
        &mut self,
        entry: &Node,
        directory: &Path,
        around: &Surroundings,
    ) -> Rc<BTreeMap<String, String>> {
        let mut files: Vec<(PathBuf, Span)> = Vec::new();
        match entry.get("env_file").and_then(Node::as_list) {
            Some(list) => {
                let named = list.iter().filter_map(|node| Some((node.as_str()?, node.span)));
                let named = named.filter(|(path, _)| *path != "/dev/null");
                files.extend(named.map(|(path, span)| (self.base(around).absolute(path), span)));
            }
            None => {
                let default = directory.join(".env");
                // Beside the project's own files it has been read already, unless `--env-file` took its place.
                let is_read = directory == around.directory && self.input.environment_files.is_empty();
                if !is_read && self.files.is_file(&default) {
                    files.push((default, Span::NOWHERE));
                }
            }
        }
        if files.is_empty() {
            return around.environment.clone();
        }
        let mut values = BTreeMap::new();
        for (path, span) in files {
            let Some(file) = self.text(&path, "environment file", span) else { continue };
            if let Some(trace) = &mut self.trace {
                trace.environments.push(file);
            }
            let outer = |name: &str| around.environment.get(name).cloned();
            dotenv::read(&self.sources, file, &outer, &mut values, &mut self.diagnostics);
        }
        values.extend(around.environment.iter().map(|(name, value)| (name.clone(), value.clone())));
        Rc::new(values)
    }

    // Extends

    /// Resolves `extends` of every service of a document.
    fn extend(&mut self, document: &mut Node, around: &Surroundings) {
        let Some(services) = document.get_mut("services").and_then(Node::as_map_mut) else { return };
        let extending = |map: &Map| -> Vec<String> {
            let has = |entry: &&Entry| entry.node.get("extends").is_some();
            map.iter().filter(|(_, entry)| has(entry)).map(|(name, _)| name.clone()).collect()
        };
        let names = extending(services);
        if names.is_empty() {
            return;
        }
        let mut resolved = Vec::with_capacity(names.len());
        for name in names {
            let mut chain = vec![(None, name.clone(), services[&name].key_span)];
            let node = self.resolved(&services[&name].node, services, None, around, &mut chain);
            resolved.push((name, node));
        }
        for (name, node) in resolved {
            if let Some(entry) = services.get_mut(&name) {
                entry.node = node;
            }
        }
    }

    /// A service of `services` (of `file`, or of the document at hand) with what it extends below it.
    fn resolved(
        &mut self,
        node: &Node,
        services: &Map,
        file: Option<&Path>,
        around: &Surroundings,
        chain: &mut Vec<Link>,
    ) -> Node {
        let mut child = node.clone();
        let Some(extends) = child.as_map_mut().and_then(|map| map.remove("extends")) else { return child };
        let Some(wanted) = extends.node.str("service").map(str::to_owned) else {
            self.lacks(&extends.node, "`extends`", "service");
            // What is wrong with it has been told, and what it would have given is not asked for.
            self.incomplete = true;
            return child;
        };
        let span = extends.node.get("service").map_or(extends.node.span, |node| node.span);
        let other = match extends.node.get("file") {
            Some(node) => match self.extended_file(node, file, around) {
                Some(found) => Some(found),
                None => return child,
            },
            None => None,
        };
        let (their_services, their_file) = match &other {
            Some((path, services)) => (&**services, Some(path.as_path())),
            None => (services, file),
        };
        let link: Link = (their_file.map(Path::to_owned), wanted.clone(), span);
        if chain.iter().any(|(path, name, _)| *path == link.0 && *name == link.1) {
            self.extends_cycle(chain, &link);
            return child;
        }
        if chain.len() > LONGEST_CHAIN {
            self.too_long("services extend", span);
            return child;
        }
        let Some(entry) = their_services.get(&wanted) else {
            self.unknown_base(&wanted, span, their_services, their_file);
            return child;
        };
        if let Some(path) = their_file {
            let faults = self.faults.remove(&(path.to_owned(), wanted.clone()));
            self.diagnostics.extend(faults.unwrap_or_default());
        }
        if self.made > MOST_MADE || !self.scope().make(entry.node.size()) {
            self.too_much(span);
            return child;
        }
        if let Some(trace) = &mut self.trace {
            trace.extended.push((chain[0].1.clone(), entry.node.span, span));
        }
        chain.push(link);
        let mut base = self.resolved(&entry.node, their_services, their_file, around, chain);
        chain.pop();
        if let Some(path) = their_file
            && file != Some(path)
        {
            self.adopted(&mut base, path, around);
        }
        merge::settle(&mut base);
        let over = Node { mark: None, ..child };
        let (span, mark) = (over.span, node.mark);
        if over.as_map().is_some() && base.as_map().is_some() {
            merge::objects(&mut base, over, &SERVICE, Marks::Keep, &mut self.scope());
        }
        Node { span, mark, ..base }
    }

    /// Makes a service of another file fit here: paths of its own folder.
    fn adopted(&self, base: &mut Node, path: &Path, around: &Surroundings) {
        if self.input.options.resolve_paths {
            let home = around.environment.get("HOME").map(String::as_str);
            let directory = path.parent().unwrap_or(Path::new("/"));
            paths::service(base, Base { directory, home });
        }
    }

    /// The services of the file that `extends.file` names, read once.
    fn extended_file(
        &mut self,
        node: &Node,
        from: Option<&Path>,
        around: &Surroundings,
    ) -> Option<(PathBuf, Rc<Map>)> {
        let Some(text) = node.as_str() else {
            self.incomplete = true;
            return None;
        };
        if paths::is_remote(text) {
            self.remote("remote-extends", format!("`{text}` cannot be extended from"), node.span);
            return None;
        }
        let home = around.environment.get("HOME").map(String::as_str);
        let directory = from.and_then(Path::parent).unwrap_or(&around.directory);
        let path = Base { directory, home }.absolute(text);
        if !self.bases.contains_key(&path) {
            let services = self.read_base(&path, node.span, around);
            self.incomplete |= services.is_none();
            self.bases.insert(path.clone(), services);
        }
        let services = self.bases.get(&path)?.clone()?;
        Some((path, services))
    }

    fn read_base(&mut self, path: &Path, asked: Span, around: &Surroundings) -> Option<Rc<Map>> {
        let parsed = self.parsed(path, asked)?;
        let mut services = Map::new();
        for mut document in parsed.documents {
            self.interpolated(&mut document, around);
            let Some(map) = document.get_mut("services").and_then(Node::as_map_mut) else { continue };
            for (name, mut entry) in std::mem::take(map) {
                let told = self.diagnostics.len();
                check::service(&mut entry.node, &name, &mut self.scope());
                let faults = self.diagnostics.split_off(told);
                self.faults.entry((path.to_owned(), name.clone())).or_default().extend(faults);
                match services.get_mut(&name) {
                    Some(Entry { node, .. }) => {
                        merge::objects(node, entry.node, &SERVICE, Marks::Apply, &mut self.scope());
                    }
                    None => {
                        services.insert(name, entry);
                    }
                }
            }
        }
        if services.is_empty() {
            let name = self.sources.name(parsed.file).to_owned();
            self.diagnostics.push(
                Diagnostic::error("nothing-to-extend", format!("`{name}` has no services to extend"))
                    .at(asked, "asked for here"),
            );
            return None;
        }
        Some(Rc::new(services))
    }

    fn unknown_base(&mut self, wanted: &str, span: Span, services: &Map, file: Option<&Path>) {
        self.incomplete = true;
        let whence = file.map_or("this file".to_owned(), |path| format!("`{}`", self.shown(path)));
        let mut diagnostic = Diagnostic::error(
            "unknown-service",
            format!("the service `{wanted}` to extend is not in {whence}"),
        )
        .at(span, "no service has this name");
        if let Some(near) = nearest(wanted, services.keys().map(String::as_str)) {
            diagnostic = diagnostic.help(format!("a service with a similar name exists: `{near}`"));
        } else if file.is_none() {
            diagnostic = diagnostic.help("a service of another file is named with `file:`");
        }
        self.diagnostics.push(diagnostic);
    }

    fn extends_cycle(&mut self, chain: &[Link], last: &Link) {
        let start = chain.iter().position(|link| link.0 == last.0 && link.1 == last.1).unwrap_or(0);
        self.incomplete = true;
        let names: Vec<_> = chain[start..].iter().chain([last]).map(|link| format!("`{}`", link.1)).collect();
        let circle = names.join(" -> ");
        if self.diagnostics.iter().any(|known| known.code == "extends-cycle") {
            return;
        }
        let mut diagnostic =
            Diagnostic::error("extends-cycle", format!("services extend each other in a circle: {circle}"))
                .at(last.2, "this closes the circle");
        for link in &chain[start + 1..] {
            diagnostic = diagnostic.at(link.2, "by way of this");
        }
        self.diagnostics.push(diagnostic);
    }
}
