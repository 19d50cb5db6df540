//! The process's environment, the `.env` files under it, and what both say about how to behave.
//!
//! Nothing is exported back into the process: who needs a variable asks [`Environment`].

use crate::arguments::Globals;
use crate::exit::Failure;
use crate::files;
use crate::output::{falsy, truthy};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Variables that say yes or no.
const SWITCHES: [&str; 8] = [
    "COMPOSE_COMPATIBILITY",
    "COMPOSE_CONVERT_WINDOWS_PATHS",
    "COMPOSE_DISABLE_ENV_FILE",
    "COMPOSE_FROZEN",
    "COMPOSE_IGNORE_ORPHANS",
    "COMPOSE_MENU",
    "COMPOSE_REMOVE_ORPHANS",
    "COMPOSE_STATUS_STDOUT",
];

/// How many pulls, pushes and builds may go on at the same time.
const PARALLEL_LIMIT: &str = "COMPOSE_PARALLEL_LIMIT";

/// Variables, the process's over those of the files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    process: BTreeMap<String, String>,
    from_files: BTreeMap<String, String>,
    /// The files named by `--env-file` or `COMPOSE_ENV_FILES`, absolute.
    pub(crate) named_files: Vec<PathBuf>,
    /// Default `.env` files that were read.
    read: Vec<PathBuf>,
    /// The default `.env` is not read.
    disabled: bool,
}

impl Environment {
    /// Reads the environment and the files that hold before a Compose file is known.
    pub(crate) fn read(globals: &Globals, current: &Path) -> Result<Self, Failure> {
        let mut process: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        process.entry("PWD".to_owned()).or_insert_with(|| current.display().to_string());
        let mut environment = Self { process, ..Self::default() };
        environment.disabled = environment.of_process("COMPOSE_DISABLE_ENV_FILE").is_some_and(truthy);
        let named: Vec<String> = match environment.process.get("COMPOSE_ENV_FILES") {
            _ if !globals.env_files.is_empty() => globals.env_files.clone(),
            Some(list) => {
                list.split(',').map(|file| file.trim().to_owned()).filter(|file| !file.is_empty()).collect()
            }
            None => vec![],
        };
        for file in named {
            let path = environment.expand_home(&file, current);
            environment.add_file(&path)?;
            environment.named_files.push(path);
        }
        if environment.named_files.is_empty() {
            let first = globals.files.first().filter(|file| *file != "-");
            let folder = globals
                .project_directory()
                .map(|folder| files::absolute(folder, current))
                .or_else(|| {
                    first.and_then(|file| {
                        files::absolute(Path::new(file), current).parent().map(Path::to_owned)
                    })
                })
                .unwrap_or_else(|| current.to_owned());
            environment.add_default(&folder)?;
        }
        Ok(environment)
    }

    /// Reads the default `.env` of a folder, under what is known already.
    pub(crate) fn add_default(&mut self, folder: &Path) -> Result<(), Failure> {
        let path = folder.join(".env");
        let is_there = std::fs::metadata(&path).is_ok_and(|found| !found.is_dir());
        if self.disabled || !self.named_files.is_empty() || self.read.contains(&path) || !is_there {
            return Ok(());
        }
        let before = std::mem::take(&mut self.from_files);
        self.add_file(&path)?;
        self.from_files.extend(before);
        self.read.push(path);
        Ok(())
    }

    fn add_file(&mut self, path: &Path) -> Result<(), Failure> {
        let entries = parse(path, &self.variables())?;
        self.from_files.extend(entries);
        Ok(())
    }

    fn expand_home(&self, file: &str, current: &Path) -> PathBuf {
        match (file.strip_prefix("~/"), self.process.get("HOME")) {
            (Some(rest), Some(home)) => Path::new(home).join(rest),
            _ => files::absolute(Path::new(file), current),
        }
    }

    /// Everything that is interpolated: the process's variables over those of the files.
    pub(crate) fn variables(&self) -> BTreeMap<String, String> {
        let mut all = self.from_files.clone();
        all.extend(self.process.iter().map(|(name, value)| (name.clone(), value.clone())));
        all
    }

    /// A variable, from the process or from the files.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.process.get(name).or_else(|| self.from_files.get(name)).map(String::as_str)
    }

    /// The same, when it is set to more than nothing.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// Where a variable comes from: the process, or a line of a file.
    pub(crate) fn origin(&self, name: &str) -> Option<String> {
        if self.process.contains_key(name) {
            return Some("the environment".to_owned());
        }
        self.from_files.get(name)?;
        // The default file read last lies under the others; of named ones the later wins.
        let files = self.named_files.iter().rev().chain(&self.read);
        files.filter_map(|path| place(path, name)).next()
    }

    /// A variable of the process alone.
    pub(crate) fn of_process(&self, name: &str) -> Option<&str> {
        self.process.get(name).map(String::as_str)
    }

    /// Refuses values that mean nothing, whether or not this command would ask for them: what is misspelt in a
    /// profile of the shell is told by the first command. A variable that a flag stands over is not looked at.
    ///
    /// # Errors
    /// The variable, where it is set, and what it may be.
    pub(crate) fn check(&self, globals: &Globals) -> Result<(), Failure> {
        let refused = |name: &str, text: &str, expected: &str| {
            let origin = self.origin(name).filter(|_| !self.process.contains_key(name));
            let place = origin.map_or_else(String::new, |place| format!("{place}: "));
            Err(Failure::new(format!(
                "{place}the environment variable {name} is `{text}`; expected {expected}"
            )))
        };
        for name in SWITCHES {
            if let Some(text) = self.filled(name).filter(|text| !truthy(text) && !falsy(text)) {
                return refused(name, text, "true or false");
            }
        }
        match self.filled(PARALLEL_LIMIT).filter(|_| globals.parallel.is_none()) {
            Some(text) if limit(text).is_none() => {
                refused(PARALLEL_LIMIT, text, "an integer, or -1 for no limit")
            }
            _ => Ok(()),
        }
    }

    /// How many pulls, pushes and builds may go on at the same time, where a variable says so.
    pub(crate) fn parallel_limit(&self) -> Option<i64> {
        self.filled(PARALLEL_LIMIT).and_then(limit)
    }

    /// Whether a variable says yes.
    pub(crate) fn says_yes(&self, name: &str) -> bool {
        self.get(name).is_some_and(truthy)
    }
}

/// A path as seen from here.
fn shown(path: &Path) -> String {
    let current = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&current).unwrap_or(path).display().to_string()
}

/// The line of an environment file that sets `name`: `.env:3`, as seen from here.
fn place(path: &Path, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let shown = shown(path);
    let mut sources = diagnostic::Sources::new();
    let file = sources.add(shown, text);
    compose_spec::dotenv::place(&sources, file, name).map(|span| sources.place(span))
}

fn limit(text: &str) -> Option<i64> {
    text.trim().parse().ok()
}

/// Reads an environment file, whose values may refer to the variables known so far.
///
/// # Errors
/// The file cannot be read, or diagnostics, drawn.
pub(crate) fn parse(
    path: &Path,
    known: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Failure> {
    let shown = shown(path);
    let text = files::read(path)
        .map_err(|error| Failure::because(format!("cannot read the environment file `{shown}`"), error))?;
    let text = String::from_utf8(text).map_err(|error| {
        let reason = compose_spec::not_text(&error);
        Failure::new(format!("cannot read the environment file `{shown}`: {reason}"))
            .hint("save it as UTF-8 in the editor")
    })?;
    let mut sources = diagnostic::Sources::new();
    let file = sources.add(shown, text);
    let (mut values, mut diagnostics) = (BTreeMap::new(), vec![]);
    let outer = |name: &str| known.get(name).cloned();
    compose_spec::dotenv::read(&sources, file, &outer, &mut values, &mut diagnostics);
    if diagnostic::has_errors(&diagnostics) {
        return Err(Failure::Diagnosed(Box::new((sources, diagnostics)), 1));
    }
    Ok(values)
}
