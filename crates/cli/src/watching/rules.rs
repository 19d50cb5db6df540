//! What the Compose file says is watched, read into rules.

use crate::exit::Failure;
use crate::session::Session;
use compose_spec::model::{Hook, MountKind};
use compose_spec::tree::Node;
use compose_spec::{Loaded, Project, Service};
use diagnostic::{Diagnostic, Sources};
use dockerfile::Ignore;
use engine::ExecRequest;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use watch::{Action, Rule, Watched};

/// Folders that hold programs made for one system; a container's own are better not replaced by the host's.
const OF_ONE_SYSTEM: [&str; 5] = ["node_modules", ".venv", "venv", "target", "__pycache__"];

/// A service whose sources are watched.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its rules.
    pub(crate) watched: Watched,
    /// The commands of rules with `sync+exec`, by the rules' places.
    pub(crate) commands: BTreeMap<usize, ExecRequest>,
}

/// The rules of the services named, or of all; what is surely a mistake is told.
///
/// # Errors
/// *none of the selected services is configured for watch*; diagnostics.
pub(crate) fn read(
    session: &Session,
    (project, loaded): &(Project, Loaded),
    names: &[String],
) -> Result<Vec<Source>, Failure> {
    let chosen = crate::select::services(names, project.services.keys().map(String::as_str))?;
    let mut found = Found::default();
    let selected = |name: &String| names.is_empty() || chosen.contains(name);
    let sources: Vec<Source> = project
        .services
        .values()
        .filter(|service| selected(&service.name))
        .filter_map(|service| source(service, &mut found))
        .collect();
    if !found.of_files.is_empty() {
        return Err(Failure::Drawn(diagnostic::render(
            &found.sources,
            &found.of_files,
            session.colour_errors,
        )));
    }
    let (errors, warnings): (Vec<_>, Vec<_>) = found.diagnostics.into_iter().partition(Diagnostic::is_error);
    session.report(&diagnostic::render(&loaded.sources, &warnings, session.colour_errors));
    if !errors.is_empty() {
        return Err(session.diagnostics(loaded, &errors));
    }
    if sources.is_empty() {
        return Err(Failure::new("none of the selected services is configured for watch")
            .hint("say under `develop.watch` of a service what is to be watched"));
    }
    Ok(sources)
}

#[derive(Default)]
struct Found {
    /// Of the Compose files.
    diagnostics: Vec<Diagnostic>,
    /// Of `.dockerignore` files, which are these.
    of_files: Vec<Diagnostic>,
    sources: Sources,
}

fn source(service: &Service, found: &mut Found) -> Option<Source> {
    let entries = service.develop.as_ref()?.get("watch")?.as_list()?;
    let mut watched =
        Watched { service: service.name.clone(), rules: vec![], context: context(service, found) };
    let mut commands = BTreeMap::new();
    for entry in entries {
        let Some(rule) = rule(service, entry, found) else { continue };
        if let Some(hook) = entry.get("exec").filter(|_| rule.action == Action::SyncExec) {
            let hook = lower::hook(&Hook::read(hook));
            commands.insert(watched.rules.len(), ExecRequest::from(&hook));
        }
        warn_of_foreign_folders(&rule, entry, watched.context.as_ref(), found);
        watched.rules.push(rule);
    }
    (!watched.rules.is_empty()).then_some(Source { watched, commands })
}

fn rule(service: &Service, entry: &Node, found: &mut Found) -> Option<Rule> {
    let text = |key: &str| entry.get(key).and_then(Node::as_str);
    let path = PathBuf::from(text("path")?);
    let action = match text("action")? {
        "sync" => Action::Sync,
        "rebuild" => Action::Rebuild,
        "restart" => Action::Restart,
        "sync+restart" => Action::SyncRestart,
        "sync+exec" => Action::SyncExec,
        _ => return None,
    };
    let span = entry.get("path").map_or(entry.span, |node| node.span);
    if action == Action::Rebuild && service.build.is_none() {
        let action = entry.get("action").map_or(entry.span, |node| node.span);
        let message = format!("service `{}` is to be rebuilt, but has no `build`", service.name);
        let error = Diagnostic::error("watch-without-build", message).at(action, "");
        found.diagnostics.push(error.help("add a `build`, or choose `restart` or `sync`"));
        return None;
    }
    if let Some(bind) = action.syncs().then(|| bind_over(service, &path)).flatten() {
        let message = format!(
            "`{}` is mounted into service `{}` already, so nothing is synced",
            path.display(),
            service.name
        );
        let help =
            format!("the bind mount of `{}` shows every change at once; drop one of the two", bind.display());
        found.diagnostics.push(Diagnostic::warning("watch-bind-overlap", message).at(span, "").help(help));
        return None;
    }
    let mut patterns = |key: &str| {
        let lines: Vec<&Node> = match entry.get(key) {
            Some(node) => node.as_list().map_or_else(|| vec![node], |list| list.iter().collect()),
            None => vec![],
        };
        let mut good = vec![];
        for line in lines {
            let Some(text) = line.as_str() else { continue };
            match Ignore::of([text]) {
                Ok(_) => good.push(text),
                Err(why) => found.diagnostics.push(Diagnostic::error("bad-pattern", why).at(line.span, "")),
            }
        }
        Ignore::of(good).unwrap_or_default()
    };
    let (ignore, include) = (patterns("ignore"), patterns("include"));
    Some(Rule {
        path: resolved(&path),
        action,
        target: text("target").map(PathBuf::from).unwrap_or_default(),
        include: Some(include).filter(|include| !include.is_empty()),
        ignore,
        initial_sync: entry.get("initial_sync").and_then(Node::as_bool).unwrap_or(false),
    })
}

/// The path with links followed, as far as it is there: the kernel tells of changes by real paths.
fn resolved(path: &Path) -> PathBuf {
    for above in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (above.canonicalize(), path.strip_prefix(above)) {
            // Joining nothing would add a slash.
            return if rest.as_os_str().is_empty() { real } else { real.join(rest) };
        }
    }
    path.to_owned()
}

/// The source of a bind mount that shows this path in the container.
fn bind_over<'a>(service: &'a Service, path: &Path) -> Option<&'a Path> {
    let binds = service.volumes.iter().filter(|mount| mount.kind == MountKind::Bind);
    let sources = binds.filter_map(|mount| mount.source.as_deref().map(Path::new));
    sources.filter(|source| path.starts_with(source)).max_by_key(|source| source.as_os_str().len())
}

/// The folder the image is built from, with what its `.dockerignore` says.
fn context(service: &Service, found: &mut Found) -> Option<(PathBuf, Ignore)> {
    let build = service.build.as_ref()?;
    let folder = resolved(Path::new(&build.context));
    if !folder.is_dir() {
        return None;
    }
    let dockerfile = folder.join(build.dockerfile.as_deref().unwrap_or("Dockerfile"));
    let own = PathBuf::from(format!("{}.dockerignore", dockerfile.display()));
    let file = if own.is_file() { own } else { folder.join(".dockerignore") };
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(_) => return Some((folder, Ignore::default())),
    };
    let file = found.sources.add(file.display().to_string(), text.clone());
    let patterns = Ignore::parse(file, &text).unwrap_or_else(|faults| {
        found.of_files.extend(faults);
        Ignore::default()
    });
    Some((folder, patterns))
}

/// Warns where the host's folder of programs would go over the container's.
fn warn_of_foreign_folders(
    rule: &Rule,
    entry: &Node,
    context: Option<&(PathBuf, Ignore)>,
    found: &mut Found,
) {
    if !rule.action.syncs() || rule.include.is_some() {
        return;
    }
    for name in OF_ONE_SYSTEM {
        let folder = rule.path.join(name);
        if folder.is_dir() && rule.enters(&folder, context) {
            let span = entry.get("path").map_or(entry.span, |node| node.span);
            let message = format!("`{name}/` of the host is synced over the container's own");
            let warning = Diagnostic::warning("watch-foreign-folder", message).at(span, "");
            found.diagnostics.push(warning.help(format!("leave it out with `ignore: [{name}/]`")));
        }
    }
}
