//! The project a command is about: its name, its files, what they say.

use super::Session;
use crate::arguments::Globals;
use crate::exit::Failure;
use crate::files::{self, Disk};
use crate::output;
use crate::select;
use crate::terminal;
use crate::view::progress::Mode;
use compose_spec::{Input, Loaded, Options, Project};
use diagnostic::Diagnostic;
use resource::PodName;
use std::path::{Path, PathBuf};

/// What is known of the project that a command is about.
pub(crate) struct Subject {
    /// Its name.
    pub(crate) pod: PodName,
    /// Its model; `None` when only the name is known.
    pub(crate) loaded: Option<(Project, Loaded)>,
}

impl Session {
    /// The project's name from `-p` or the environment, checked.
    pub(crate) fn given_name(&self) -> Result<Option<String>, Failure> {
        let environment = self.environment.borrow();
        let name = match &self.globals.project_name {
            Some(name) => Some(name.clone()),
            None => environment.filled("COMPOSE_PROJECT_NAME").map(str::to_owned),
        };
        match name {
            Some(name) if name != normal(&name) || name.is_empty() => Err(Failure::new(format!(
                "invalid project name `{name}`"
            ))
            .hint("a project name has lower-case letters, digits, `_` and `-`, and begins with a letter or digit")),
            name => Ok(name),
        }
    }

    /// Whether the project goes by another name than its file's for this command: a given one, or a copy's.
    pub(crate) fn is_renamed(&self) -> Result<bool, Failure> {
        Ok(self.given_name()?.is_some() || self.copy()?.is_some())
    }

    /// The name of the copy to work on, from `--as` or the environment, checked.
    fn copy(&self) -> Result<Option<String>, Failure> {
        let environment = self.environment.borrow();
        let given = self.globals.copy.as_deref();
        let name = given.or_else(|| environment.filled("COMPOSE_AS"));
        match name {
            Some(name) if name != normal(name) || name.is_empty() => Err(Failure::new(format!(
                "invalid name of a copy `{name}`"
            ))
            .hint("it has lower-case letters, digits, `_` and `-`, and begins with a letter or digit")),
            name => Ok(name.map(str::to_owned)),
        }
    }

    /// The pod of the project with this name, or of its copy.
    fn pod(&self, name: String) -> Result<PodName, Failure> {
        Ok(PodName(match self.copy()? {
            Some(copy) => format!("{name}-{copy}"),
            None => name,
        }))
    }

    /// The Compose files and the project directory.
    fn sources(&self) -> Result<(Vec<PathBuf>, PathBuf), Failure> {
        let directory = self.globals.project_directory().map(|folder| files::absolute(folder, &self.current));
        let named = if self.globals.files.is_empty() {
            let environment = self.environment.borrow();
            let separator = environment.filled("COMPOSE_PATH_SEPARATOR").unwrap_or(":").to_owned();
            let list = environment
                .filled("COMPOSE_FILE")
                .map(|list| list.split(&separator).map(str::to_owned).collect());
            list.unwrap_or_default()
        } else {
            self.globals.files.clone()
        };
        let files: Vec<PathBuf> = if named.is_empty() {
            let start = directory.clone().unwrap_or_else(|| self.current.clone());
            let found = files::discover(&start);
            if found.files.is_empty() {
                return Err(files::none_found(&start));
            }
            if let Some(warning) = found.warning {
                self.warn(&warning);
            }
            found.files
        } else {
            if named.iter().any(String::is_empty) {
                return Err(self.unnamed_file());
            }
            files::named(&named, &self.current)?
        };
        let first = files.iter().find(|file| file.as_path() != Path::new("-"));
        let directory = directory
            .or_else(|| first.and_then(|file| file.parent().map(Path::to_owned)))
            .unwrap_or_else(|| self.current.clone());
        self.environment.borrow_mut().add_default(&directory)?;
        self.environment.borrow().check(&self.globals)?;
        Ok((files, directory))
    }

    /// What is said of a list of Compose files with an empty name in it.
    fn unnamed_file(&self) -> Failure {
        if !self.globals.files.is_empty() {
            return Failure::new("an empty name of a Compose file was given with `--file`");
        }
        let list = self.environment.borrow().filled("COMPOSE_FILE").unwrap_or_default().to_owned();
        Failure::new(format!(
            "COMPOSE_FILE is `{list}`, which has an empty name of a file between its separators"
        ))
        .hint("leave the separator out that has no file beside it; a variable in the list may be empty")
    }

    /// What the loader is to load. `services` are those named on the command line.
    pub(crate) fn input(&self, services: &[String], options: Options) -> Result<Input, Failure> {
        let (files, project_directory) = self.sources()?;
        let (project_name, copy) = (self.given_name()?, self.copy()?);
        let environment = self.environment.borrow();
        let profiles = if self.globals.profiles.is_empty() {
            let list = environment.filled("COMPOSE_PROFILES").unwrap_or_default();
            list.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
        } else {
            self.globals.profiles.clone()
        };
        Ok(Input {
            files,
            project_directory,
            project_name,
            copy,
            environment: environment.variables(),
            environment_files: environment.named_files.clone(),
            profiles,
            services: services.to_vec(),
            shown_from: self.current.clone(),
            options: Options {
                all_resources: self.globals.all_resources || options.all_resources,
                ..options
            },
        })
    }

    /// Loads the project; warnings go to standard error.
    ///
    /// # Errors
    /// No file, or diagnostics with an error among them.
    pub(crate) fn load(&self, services: &[String]) -> Result<(Project, Loaded), Failure> {
        self.load_with(services, Options::default())
    }

    /// The same with the services of every profile.
    ///
    /// # Errors
    /// As [`Session::load`].
    pub(crate) fn load_whole(&self) -> Result<(Project, Loaded), Failure> {
        let input = self.input(&[], Options::default())?;
        self.load_input(&Input { profiles: vec!["*".to_owned()], ..input })
    }

    /// The same with steps left out.
    pub(crate) fn load_with(
        &self,
        services: &[String],
        options: Options,
    ) -> Result<(Project, Loaded), Failure> {
        self.load_input(&self.input(services, options)?)
    }

    /// The same, of which only these services and what they depend on are looked at; all, when none is named.
    ///
    /// # Errors
    /// *no such service* besides.
    pub(crate) fn load_chosen(
        &self,
        services: &[String],
        options: Options,
    ) -> Result<(Project, Loaded), Failure> {
        let (mut project, loaded) = self.load_with(services, options)?;
        let chosen = select::services(services, project.services.keys().map(String::as_str))?;
        if !chosen.is_empty() {
            project.keep(&chosen, true);
            if !self.globals.all_resources {
                project.drop_unused();
            }
        }
        Ok((project, loaded))
    }

    /// What loading finds, whether it is an error or not.
    ///
    /// # Errors
    /// Nothing could be looked at: there is no file, or an environment file is wrong.
    pub(crate) fn examined(&self, services: &[String], options: Options) -> Result<Loaded, Failure> {
        Ok(compose_spec::load(&self.input(services, options)?, &Disk))
    }

    fn load_input(&self, input: &Input) -> Result<(Project, Loaded), Failure> {
        self.load_telling(input, |_| true)
    }

    fn load_telling(
        &self,
        input: &Input,
        is_told: impl Fn(&Diagnostic) -> bool,
    ) -> Result<(Project, Loaded), Failure> {
        let mut loaded = compose_spec::load(input, &Disk);
        self.timing("project loaded");
        loaded.diagnostics.retain(is_told);
        let drawn = diagnostic::render(&loaded.sources, &loaded.diagnostics, self.colour_errors);
        match loaded.project.take() {
            Some(project) => {
                self.report(&drawn);
                Ok((project, loaded))
            }
            None => Err(self.drawn(drawn + &self.more_about(&loaded))),
        }
    }

    /// Diagnostics as a failure, drawn.
    pub(crate) fn diagnostics(&self, loaded: &Loaded, diagnostics: &[diagnostic::Diagnostic]) -> Failure {
        self.drawn(diagnostic::render(&loaded.sources, diagnostics, self.colour_errors))
    }

    /// Where a person finds more about the first error.
    fn more_about(&self, loaded: &Loaded) -> String {
        let first = loaded.diagnostics.iter().find(|told| told.is_error());
        let code = first.map(|told| told.code).filter(|_| terminal::stderr() && self.mode != Mode::Json);
        code.map_or(String::new(), |code| format!("\nmore about it: compose explain {code}\n"))
    }

    fn drawn(&self, text: String) -> Failure {
        Failure::Drawn(text)
    }

    /// Writes warnings that were drawn. A project may be loaded more than once by a command; what was said
    /// of it is not said again.
    pub(crate) fn report(&self, drawn: &str) {
        if !self.reported.borrow_mut().insert(drawn.to_owned()) {
            return;
        }
        if !drawn.is_empty() && self.mode == Mode::Json {
            self.warn(drawn.trim_end());
        } else if !drawn.is_empty() {
            output::message(drawn);
        }
    }

    /// For verbs that need a project's name only: with `-p`, or `COMPOSE_PROJECT_NAME` in the
    /// process's environment, no file is read.
    pub(crate) fn named(&self) -> Result<Subject, Failure> {
        let from_process =
            self.environment.borrow().of_process("COMPOSE_PROJECT_NAME").is_some_and(|name| !name.is_empty());
        if (self.globals.project_name.is_some() || from_process)
            && let Some(name) = self.given_name()?
        {
            return Ok(Subject { pod: self.pod(name)?, loaded: None });
        }
        self.whole(&[])
    }

    /// For verbs that want the file but can do without: it is read unless `-p` is given without
    /// `-f`; when it cannot be and `COMPOSE_PROJECT_NAME` is set, the name has to do.
    pub(crate) fn subject(&self, services: &[String]) -> Result<Subject, Failure> {
        if self.globals.project_name.is_some()
            && self.globals.files.is_empty()
            && let Some(name) = self.given_name()?
        {
            return Ok(Subject { pod: self.pod(name)?, loaded: None });
        }
        match self.whole(services) {
            Ok(subject) => Ok(subject),
            Err(failure) => match self.given_name()? {
                Some(name) if self.globals.project_name.is_none() => {
                    Ok(Subject { pod: self.pod(name)?, loaded: None })
                }
                _ => Err(failure),
            },
        }
    }

    /// With the file, for commands about what exists; what nothing uses in the file is told by those that work
    /// by the file or look at it.
    fn whole(&self, services: &[String]) -> Result<Subject, Failure> {
        // What exists is not made from environment files; a missing one is no reason to fail. A volume may exist
        // that no enabled service mounts.
        let options = Options { resolve_environment: false, all_resources: true, ..Options::default() };
        let mut input = self.input(&[], options)?;
        let load = |input: &Input| self.load_telling(input, |told| told.code != "unused");
        let (mut project, mut loaded) = load(&input)?;
        // All services stay in sight, those that depend on the named ones too; but naming a service
        // activates its profiles.
        let disabled = services.iter().filter_map(|name| project.disabled_services.get(name));
        let profiles: Vec<String> = disabled.flat_map(|service| service.profiles.clone()).collect();
        if !profiles.is_empty() {
            input.profiles.extend(profiles);
            (project, loaded) = load(&input)?;
        }
        Ok(Subject { pod: PodName(project.name.clone()), loaded: Some((project, loaded)) })
    }
}

impl Globals {
    /// `--project-directory`, or its former spelling.
    pub(crate) fn project_directory(&self) -> Option<&Path> {
        self.project_directory.as_deref().or(self.workdir.as_deref())
    }
}

/// A project name in normal form.
fn normal(name: &str) -> String {
    let kept: String = name
        .to_lowercase()
        .chars()
        .filter(|letter| {
            letter.is_ascii_lowercase() || letter.is_ascii_digit() || matches!(letter, '_' | '-')
        })
        .collect();
    kept.trim_start_matches(['_', '-']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised() {
        assert_eq!(normal("My_App.2"), "my_app2");
        assert_eq!(normal("__x"), "x");
        assert_eq!(normal("…"), "");
    }
}
