//! Which files make the project: candidate names, their order, `.env`, and the name of the project.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use diagnostic::{Diagnostic, Sources};

use crate::encoding::not_text;
use crate::forms::clean;
use crate::paths::is_remote;
use crate::{Files, Input, Options, dotenv};

/// Names of a Compose file, the first that exists is taken.
pub const FILE_NAMES: [&str; 4] =
    ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];

/// Names of the override file beside it.
pub const OVERRIDE_NAMES: [&str; 4] = [
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

/// What the command line and the process say.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `--file`, in order.
    pub files: Vec<String>,
    /// `--project-name`.
    pub project_name: Option<String>,
    /// `--as`.
    pub copy: Option<String>,
    /// `--project-directory`.
    pub project_directory: Option<String>,
    /// `--env-file`, in order.
    pub env_files: Vec<String>,
    /// `--profile`; replaces `COMPOSE_PROFILES` if not empty.
    pub profiles: Vec<String>,
    /// Services named on the command line.
    pub services: Vec<String>,
    /// The current folder, absolute.
    pub current: PathBuf,
    /// The environment of the process.
    pub environment: BTreeMap<String, String>,
    /// What to leave undone.
    pub options: Options,
}

/// The outcome of looking around.
#[derive(Debug)]
pub struct Found {
    /// What to load; `files` is empty if there is no Compose file (then the search is among the
    /// diagnostics as an error with the code `no-file`).
    pub input: Input,
    /// Errors and warnings.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts read (environment files).
    pub sources: Sources,
}

/// A name in normal form: lower case, of `a-z0-9_-`, not starting with `_` or `-`. It may be empty.
pub fn normalized_name(name: &str) -> String {
    let lower = name.chars().flat_map(char::to_lowercase);
    let kept: String =
        lower.filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-')).collect();
    kept.trim_start_matches(['_', '-']).to_owned()
}

/// Whether a name is that of a file here: neither standard input nor something to fetch.
fn is_local(file: &str) -> bool {
    file != "-" && !is_remote(file)
}

/// Finds files, environment, profiles and project directory.
pub fn find(request: &Request, files: &dyn Files) -> Found {
    let mut finder = Finder { request, files, sources: Sources::new(), diagnostics: Vec::new() };
    let input = finder.input();
    Found { input, diagnostics: finder.diagnostics, sources: finder.sources }
}

struct Finder<'a> {
    request: &'a Request,
    files: &'a dyn Files,
    sources: Sources,
    diagnostics: Vec<Diagnostic>,
}

impl Finder<'_> {
    fn absolute(&self, path: &str) -> PathBuf {
        let home = self.request.environment.get("HOME");
        let path = match (path.strip_prefix("~/"), home) {
            (Some(rest), Some(home)) => format!("{home}/{rest}"),
            _ => path.to_owned(),
        };
        let joined = self.request.current.join(path);
        joined.to_str().map_or_else(|| joined.clone(), |text| PathBuf::from(clean(text)))
    }

    fn input(&mut self) -> Input {
        let request = self.request;
        let directory = request.project_directory.as_ref().map(|path| self.absolute(path));
        let mut environment = request.environment.clone();
        // The first look: beside the first `-f`, in the given directory, or here.
        let first = request.files.iter().find(|file| is_local(file)).map(|file| self.absolute(file));
        let beside = first.as_deref().and_then(Path::parent).map(Path::to_owned);
        let start = directory.clone().or(beside).unwrap_or_else(|| request.current.clone());
        let named = self.named_env_files();
        let use_default = named.is_empty() && !self.env_file_disabled();
        if named.is_empty() {
            if use_default {
                self.default_env_file(&start, &mut environment);
            }
        } else {
            self.env_files(&named, &mut environment);
        }
        let listed = self.listed_files(&environment);
        let files = if listed.is_empty() {
            let start = directory.clone().unwrap_or_else(|| request.current.clone());
            self.discovered(&start)
        } else {
            listed
        };
        let of_files = files.iter().find(|path| path.is_absolute()).and_then(|path| path.parent());
        let project_directory =
            directory.or(of_files.map(Path::to_owned)).unwrap_or_else(|| request.current.clone());
        // The second look: where the file was found.
        if use_default && project_directory != start {
            self.default_env_file(&project_directory, &mut environment);
        }
        let given = request.project_name.clone().filter(|name| !name.is_empty());
        let of_environment =
            || environment.get("COMPOSE_PROJECT_NAME").cloned().filter(|name| !name.is_empty());
        let project_name = given.or_else(of_environment);
        let profiles = self.profiles(&environment);
        Input {
            files,
            project_directory,
            project_name,
            copy: request.copy.clone(),
            environment,
            environment_files: named,
            profiles,
            services: request.services.clone(),
            shown_from: request.current.clone(),
            options: request.options.clone(),
        }
    }

    fn env_file_disabled(&mut self) -> bool {
        match self.request.environment.get("COMPOSE_DISABLE_ENV_FILE").map(String::as_str) {
            None | Some("" | "0" | "f" | "F" | "false" | "False" | "FALSE") => false,
            Some("1" | "t" | "T" | "true" | "True" | "TRUE") => true,
            Some(other) => {
                let message = format!("COMPOSE_DISABLE_ENV_FILE is `{other}`, which is no boolean");
                self.diagnostics.push(
                    Diagnostic::error("bad-variable-value", message).help("set it to `true` or `false`"),
                );
                false
            }
        }
    }

    fn named_env_files(&self) -> Vec<PathBuf> {
        if !self.request.env_files.is_empty() {
            return self.request.env_files.iter().map(|path| self.absolute(path)).collect();
        }
        let list = self.request.environment.get("COMPOSE_ENV_FILES").map_or("", String::as_str);
        list.split(',')
            .map(str::trim)
            .filter(|path| !path.is_empty())
            .map(|path| self.absolute(path))
            .collect()
    }

    fn default_env_file(&mut self, folder: &Path, environment: &mut BTreeMap<String, String>) {
        let path = folder.join(".env");
        if self.files.is_file(&path) {
            self.env_files(&[path], environment);
        }
    }

    /// Reads files in order, later over earlier, and puts them below `environment`.
    fn env_files(&mut self, paths: &[PathBuf], environment: &mut BTreeMap<String, String>) {
        let mut values = BTreeMap::new();
        for path in paths {
            let shown = path.strip_prefix(&self.request.current).unwrap_or(path).display().to_string();
            let text = self.files.read(path).map(String::from_utf8);
            let reason = match text {
                Ok(Ok(text)) => {
                    let file = self.sources.add(shown, text);
                    let outer = |name: &str| environment.get(name).cloned();
                    dotenv::read(&self.sources, file, &outer, &mut values, &mut self.diagnostics);
                    continue;
                }
                Ok(Err(error)) => not_text(&error),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => "it does not exist".to_owned(),
                Err(error) => error.to_string(),
            };
            let message = format!("cannot read the environment file `{shown}`: {reason}");
            self.diagnostics.push(Diagnostic::error("env-file-not-found", message));
        }
        for (name, value) in values {
            environment.entry(name).or_insert(value);
        }
    }

    /// The files of `--file`, else of `COMPOSE_FILE`.
    fn listed_files(&self, environment: &BTreeMap<String, String>) -> Vec<PathBuf> {
        let place = |file: &str| if is_local(file) { self.absolute(file) } else { PathBuf::from(file) };
        if !self.request.files.is_empty() {
            return self.request.files.iter().map(|file| place(file)).collect();
        }
        let separator = environment.get("COMPOSE_PATH_SEPARATOR").filter(|text| !text.is_empty());
        let separator = separator.map_or(":", String::as_str);
        let list = environment.get("COMPOSE_FILE").map_or("", String::as_str);
        list.split(separator).filter(|file| !file.is_empty()).map(place).collect()
    }

    /// The Compose file of `start` or the nearest folder above it, and the override file beside it.
    fn discovered(&mut self, start: &Path) -> Vec<PathBuf> {
        for folder in start.ancestors() {
            let there = |names: &[&str]| -> Vec<PathBuf> {
                names.iter().map(|name| folder.join(name)).filter(|path| self.files.is_file(path)).collect()
            };
            let (base, over) = (there(&FILE_NAMES), there(&OVERRIDE_NAMES));
            let Some(first) = base.first().cloned() else { continue };
            self.several(&base);
            self.several(&over);
            return std::iter::once(first).chain(over.into_iter().next()).collect();
        }
        let names = FILE_NAMES.map(|name| format!("`{name}`")).join(", ");
        let diagnostic = Diagnostic::error("no-file", "no configuration file provided: not found")
            .note(format!("looked for {names} in `{}` and every folder above it", start.display()))
            .help("go to the folder of the project, or name the file: `compose --file PATH …`");
        self.diagnostics.push(diagnostic);
        Vec::new()
    }

    fn several(&mut self, found: &[PathBuf]) {
        if let [first, _, ..] = found {
            let shown = |path: &PathBuf| format!("`{}`", path.display());
            let all: Vec<_> = found.iter().map(shown).collect();
            self.diagnostics.push(
                Diagnostic::warning(
                    "several-files",
                    format!("found several Compose files: {}", all.join(", ")),
                )
                .help(format!("{} is used; remove the others", shown(first))),
            );
        }
    }

    fn profiles(&self, environment: &BTreeMap<String, String>) -> Vec<String> {
        if !self.request.profiles.is_empty() {
            return self.request.profiles.clone();
        }
        let list = environment.get("COMPOSE_PROFILES").map_or("", String::as_str);
        list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised() {
        for (name, normal) in [("My App", "myapp"), ("_-a_b-1", "a_b-1"), ("ÄÖ", ""), ("x.y", "xy")] {
            assert_eq!(normalized_name(name), normal);
        }
    }
}
