//! The order of the steps; see the reference in `loading.md`.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::rc::Rc;

use diagnostic::{Diagnostic, Severity, Sources, Span, has_errors};

use crate::assemble::{Assembler, Parsed, Surroundings};
use crate::model::{Project, Service};
use crate::scope::MOST_TOLD;
use crate::trace::Trace;
use crate::tree::{Map, Node, Value};
use crate::{
    Files, Input, Loaded, advice, consistency, copy, decode, discovery, environment, interpolate, normalize,
    paths, select,
};

/// Services of one project. Ten thousand fill 250 MB.
const MOST_SERVICES: usize = 10_000;

/// Loads a project. All independent errors are told at once.
pub fn load(input: &Input, files: &dyn Files) -> Loaded {
    let mut assembler = Assembler::new(input, files);
    let project = project(&mut assembler);
    let mut diagnostics = std::mem::take(&mut assembler.diagnostics);
    let project = project.filter(|_| !has_errors(&diagnostics));
    order(&mut diagnostics, &assembler.sources);
    assembler.origins.note(&mut diagnostics, input, files, &assembler.sources);
    let trace = assembler.trace.map(|trace| Trace { asked: assembler.origins.asked, ..trace });
    Loaded { project, diagnostics, sources: assembler.sources, trace }
}

/// Where a value is wrong that also looks damaged, the damage is the error.
fn explain(diagnostics: &mut Vec<Diagnostic>) {
    let damaged: Vec<Span> = diagnostics
        .iter()
        .filter(|told| !told.is_error() && ["odd-quotes", "odd-blank", "stray-quote"].contains(&told.code))
        .map(Diagnostic::span)
        .collect();
    for place in damaged {
        let within =
            |span: Span| span.file == place.file && place.start <= span.start && span.end <= place.end;
        let told = diagnostics.len();
        diagnostics.retain(|diagnostic| !diagnostic.is_error() || !within(diagnostic.span()));
        if diagnostics.len() < told {
            for diagnostic in diagnostics.iter_mut().filter(|diagnostic| diagnostic.span() == place) {
                diagnostic.severity = Severity::Error;
            }
        }
    }
}

/// Keeps as many diagnostics as anybody reads, errors before warnings; returns one that says so.
fn shorten(diagnostics: &mut Vec<Diagnostic>) -> Option<Diagnostic> {
    if diagnostics.len() <= MOST_TOLD {
        return None;
    }
    // Stable: what is found first stays first.
    diagnostics.sort_by_key(|diagnostic| !diagnostic.is_error());
    let message = format!("there are more than {MOST_TOLD} messages; the rest is not shown");
    let is_error = diagnostics[MOST_TOLD].is_error();
    let told: fn(_, String) -> _ = if is_error { Diagnostic::error } else { Diagnostic::warning };
    diagnostics.truncate(MOST_TOLD);
    let told = told("more-diagnostics", message);
    Some(told.help("mend what is shown first; much of the rest may follow from it"))
}

/// Brings diagnostics into the order of their places, each once: also where a file is read twice, as one of the
/// project and as one that is extended from.
fn order(diagnostics: &mut Vec<Diagnostic>, sources: &Sources) {
    let left_out = shorten(diagnostics);
    explain(diagnostics);
    let mut seen = Vec::<Diagnostic>::with_capacity(diagnostics.len());
    diagnostics.sort_by_key(|diagnostic| {
        let span = diagnostic.span();
        (span.is_nowhere(), span)
    });
    for diagnostic in diagnostics.drain(..) {
        let is_told =
            |earlier: &Diagnostic| *earlier == diagnostic || is_of_a_twin(earlier, &diagnostic, sources);
        if !seen.iter().any(is_told) {
            seen.push(diagnostic);
        }
    }
    *diagnostics = seen;
    diagnostics.extend(left_out);
}

/// Whether two diagnostics say the same of one place of a file that has been read twice.
fn is_of_a_twin(a: &Diagnostic, b: &Diagnostic, sources: &Sources) -> bool {
    let (here, there) = (a.span(), b.span());
    (a.code, &a.message, &a.help) == (b.code, &b.message, &b.help)
        && (here.start, here.end) == (there.start, there.end)
        && here.file != there.file
        && !here.is_nowhere()
        && !there.is_nowhere()
        && sources.name(here.file) == sources.name(there.file)
}

fn project(assembler: &mut Assembler<'_>) -> Option<Project> {
    let input = assembler.input;
    let mut parsed = Vec::with_capacity(input.files.len());
    for path in &input.files {
        parsed.extend(assembler.parsed(path, Span::NOWHERE));
    }
    let all_empty = parsed.iter().all(|file: &Parsed| file.documents.is_empty());
    if all_empty && !assembler.incomplete {
        let diagnostic = Diagnostic::error("empty-file", "the Compose file is empty")
            .help("it needs at least one service: `services: {web: {image: nginx}}`");
        let first = parsed.first().map(|file| Span::new(file.file, 0, 0));
        assembler.diagnostics.push(diagnostic.at(first.unwrap_or(Span::NOWHERE), "nothing is here"));
        return None;
    }
    let origin = name(assembler, &parsed)?;
    let name = input.copy.as_deref().map_or_else(|| origin.clone(), |copy| copy::name(&origin, copy));
    let mut values = input.environment.clone();
    values.insert("COMPOSE_PROJECT_NAME".to_owned(), name.clone());
    let values = Rc::new(values);
    let chain = input.files.iter().map(|path| (path.clone(), Span::NOWHERE)).collect();
    let around =
        Surroundings { directory: input.project_directory.clone(), environment: values.clone(), chain };
    let mut model = assembler.model(parsed, &around);
    finish(&mut model, &name, &values, assembler)
}

/// Steps D and E: from the merged model to the project.
fn finish(
    model: &mut Node,
    name: &str,
    values: &Rc<BTreeMap<String, String>>,
    assembler: &mut Assembler<'_>,
) -> Option<Project> {
    let input = assembler.input;
    if let Some(services) =
        model.get("services").and_then(Node::as_map).filter(|map| map.len() > MOST_SERVICES)
    {
        let message =
            format!("a project has at most {MOST_SERVICES} services; this one has {}", services.len());
        let place = services.values().next().map_or(Span::NOWHERE, |entry| entry.key_span);
        assembler.diagnostics.push(Diagnostic::error("too-many-services", message).at(place, "the first"));
        return None;
    }
    model.set("name", Node::string(name, Span::NOWHERE));
    if values.get("COMPOSE_CONVERT_WINDOWS_PATHS").is_some_and(|text| is_yes(text)) {
        paths::convert_windows(model);
    }
    if input.options.normalize {
        normalize::model(model, name, values);
    }
    let copy = input.copy.as_ref().map(|copy| copy::set_apart(model, name, copy, &mut assembler.diagnostics));
    let profiles = select::active(model, &input.profiles, &input.services);
    let needed = select::needed(model, &profiles, &input.services);
    resolve_environment(model, values, &profiles, &needed, assembler);

    let known = consistency::Known::of(model);
    let mut project = decode::project(model, name, input, values, profiles);
    project.copy = copy;
    for crate::assemble::Content { section, key, variable, value } in std::mem::take(&mut assembler.contents)
    {
        let objects = if section == "secrets" { &mut project.secrets } else { &mut project.configs };
        if let Some(object) = objects.get_mut(&key)
            && object.environment.as_ref() == Some(&variable)
        {
            object.content.get_or_insert(value);
        }
    }
    consistency::check(&project, &known, assembler);
    if input.options.check_consistency && !assembler.incomplete && !has_errors(&assembler.diagnostics) {
        advice::advise(&project, assembler);
    }
    if !input.options.all_resources {
        project.drop_unused();
    }
    Some(project)
}

fn resolve_environment(
    model: &mut Node,
    values: &BTreeMap<String, String>,
    profiles: &BTreeSet<String>,
    needed: &Option<BTreeSet<String>>,
    assembler: &mut Assembler<'_>,
) {
    if !assembler.input.options.resolve_environment {
        return;
    }
    let Some(services) = model.get_mut("services").and_then(Node::as_map_mut) else { return };
    for (name, entry) in services {
        if assembler.input.options.interpolate
            && select::is_enabled(select::profiles_of(&entry.node), profiles)
        {
            let needed = needed.as_ref().is_none_or(|needed| needed.contains(name));
            environment::files(&mut entry.node, values, needed, assembler);
        }
        if let Some(variables) = entry.node.get_mut("environment") {
            normalize::resolve(variables, values);
        }
    }
}

/// The project's name: given, or of the files, or of the folder.
fn name(assembler: &mut Assembler<'_>, parsed: &[Parsed]) -> Option<String> {
    let input = assembler.input;
    if let Some(given) = input.project_name.as_deref().filter(|name| !name.is_empty()) {
        let normal = discovery::normalized_name(given);
        if normal == given {
            return Some(normal);
        }
        let diagnostic = Diagnostic::error(
            "bad-project-name",
            format!("`{given}` cannot be the name of a project"),
        )
        .help("a name is made of lower-case letters, digits, `-` and `_`, and starts with a letter or digit");
        let offered = (!normal.is_empty()).then(|| format!("`{normal}` would do"));
        assembler.diagnostics.push(offered.into_iter().fold(diagnostic, Diagnostic::help));
        return None;
    }
    let documents = parsed.iter().flat_map(|file| &file.documents);
    let mut written = None;
    for node in documents.filter_map(|document| document.get("name")) {
        let mut node = node.clone();
        if input.options.interpolate {
            let mut ignored = (HashSet::new(), Vec::new());
            interpolate::tree(
                &mut node,
                &input.environment,
                &mut ignored.0,
                &assembler.sources,
                &mut ignored.1,
            );
        }
        if let Value::String(text) = &node.value {
            let normal = discovery::normalized_name(text);
            written = if normal.is_empty() { written } else { Some(normal) };
        }
    }
    let name = written.unwrap_or_else(|| folder_name(&input.project_directory));
    if name.is_empty() {
        assembler.diagnostics.push(
            Diagnostic::error("no-project-name", "the project has no name, and its folder's name gives none")
                .help("set `name:` at the top of the file, or `--project-name`"),
        );
        return None;
    }
    Some(name)
}

/// Whether the text of a variable says yes, as Go reads a boolean.
fn is_yes(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "1" | "t" | "true" | "y" | "yes" | "on")
}

fn folder_name(directory: &Path) -> String {
    let name = directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    discovery::normalized_name(&name)
}

/// The variables that the files refer to, by name: neither interpolated nor checked.
pub fn variables(input: &Input, files: &dyn Files) -> (Vec<interpolate::Variable>, Loaded) {
    let mut assembler = Assembler::new(input, files);
    let mut found = BTreeMap::new();
    let mut parsed = Vec::with_capacity(input.files.len());
    for path in &input.files {
        parsed.extend(assembler.parsed(path, Span::NOWHERE));
    }
    for document in parsed.iter().flat_map(|file: &Parsed| &file.documents) {
        interpolate::variables(document, &mut found);
    }
    // For what is included or extended. What else is wrong with the files does not matter here.
    let told = assembler.diagnostics.len();
    let chain = input.files.iter().map(|path| (path.clone(), Span::NOWHERE)).collect();
    let environment = Rc::new(input.environment.clone());
    let around = Surroundings { directory: input.project_directory.clone(), environment, chain };
    let model = assembler.model(parsed, &around);
    interpolate::variables(&model, &mut found);
    assembler.diagnostics.truncate(told);
    let mut diagnostics = std::mem::take(&mut assembler.diagnostics);
    order(&mut diagnostics, &assembler.sources);
    (
        found.into_values().collect(),
        Loaded { project: None, diagnostics, sources: assembler.sources, trace: None },
    )
}

impl Project {
    /// Leaves only the named services and, if asked, what they depend on; the rest becomes disabled.
    pub fn keep(&mut self, names: &BTreeSet<String>, dependencies: bool) {
        let mut kept = names.clone();
        let mut queue: Vec<String> = names.iter().cloned().collect();
        while dependencies && let Some(name) = queue.pop() {
            let Some(service) = self.services.get(&name) else { continue };
            for dependency in service.depends_on.keys() {
                if kept.insert(dependency.clone()) {
                    queue.push(dependency.clone());
                }
            }
        }
        let services = std::mem::take(&mut self.services);
        for (name, service) in services {
            let place = if kept.contains(&name) { &mut self.services } else { &mut self.disabled_services };
            place.insert(name, service);
        }
    }

    /// Drops networks, volumes, secrets, configs and models that no enabled service uses.
    pub fn drop_unused(&mut self) {
        let mut used = select::Used::default();
        self.services.values().for_each(|service| used.add(service));
        self.built_from().into_iter().for_each(|service| used.add_build(service));
        self.networks.retain(|key, _| used.networks.contains(key));
        self.volumes.retain(|key, _| used.volumes.contains(key));
        self.secrets.retain(|key, _| used.secrets.contains(key));
        self.configs.retain(|key, _| used.configs.contains(key));
        self.models.retain(|key, _| used.models.contains(key));
    }

    /// Services whose profiles are not active, but whose builds those of enabled services take files from,
    /// directly or by way of others; by name.
    pub(crate) fn built_from(&self) -> Vec<&Service> {
        let mut found: BTreeMap<&str, &Service> = BTreeMap::new();
        let mut queue: Vec<&Service> = self.services.values().map(AsRef::as_ref).collect();
        while let Some(service) = queue.pop() {
            for context in service.build.iter().flat_map(|build| build.additional_contexts.values()) {
                let other =
                    context.strip_prefix("service:").and_then(|name| self.disabled_services.get(name));
                if let Some(other) = other.filter(|other| !other.profiles.is_empty())
                    && found.insert(&other.name, other).is_none()
                {
                    queue.push(other);
                }
            }
        }
        found.into_values().collect()
    }

    /// The enabled services, each after those it depends on.
    pub fn in_dependency_order(&self) -> Vec<&str> {
        let mut done: BTreeSet<&str> = BTreeSet::new();
        let mut order = Vec::with_capacity(self.services.len());
        for name in self.services.keys() {
            let mut stack = vec![(name.as_str(), false)];
            while let Some((name, children_done)) = stack.pop() {
                if children_done {
                    order.push(name);
                    continue;
                }
                let Some(service) = self.services.get(name).filter(|_| done.insert(name)) else { continue };
                stack.push((name, true));
                stack.extend(service.depends_on.keys().rev().map(|dependency| (dependency.as_str(), false)));
            }
        }
        order
    }

    /// Every profile some service names, sorted.
    pub fn profile_names(&self) -> BTreeSet<&str> {
        let services = self.services.values().chain(self.disabled_services.values());
        services.flat_map(|service| service.profiles.iter().map(String::as_str)).collect()
    }

    /// Whether a network, volume, secret, config or model is part of the project.
    pub(crate) fn has(&self, section: &str, name: &str) -> bool {
        match section {
            "networks" => self.networks.contains_key(name),
            "volumes" => self.volumes.contains_key(name),
            "secrets" => self.secrets.contains_key(name),
            "configs" => self.configs.contains_key(name),
            _ => self.models.contains_key(name),
        }
    }

    /// The top-level keys of a mapping, for rendering.
    pub(crate) fn section(&self, key: &str) -> Option<&Map> {
        self.tree.get(key).and_then(Node::as_map)
    }
}
