//! Where a wrong value comes from: notes about the variables in it, where they were set, and who asked for
//! the file it stands in. Worked out only for what is told.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::rc::Rc;

use diagnostic::{Diagnostic, FileId, Sources, Span};

use crate::{Files, Input, dotenv, interpolate};

/// What was noted while files were read.
#[derive(Default)]
pub(crate) struct Origins {
    /// The variables each Compose file was interpolated with.
    pub(crate) environments: HashMap<FileId, Rc<BTreeMap<String, String>>>,
    /// The places that asked for files.
    pub(crate) asked: HashMap<FileId, Span>,
}

impl Origins {
    /// Adds notes to the errors among `diagnostics`.
    pub(crate) fn note(
        &self,
        diagnostics: &mut [Diagnostic],
        input: &Input,
        files: &dyn Files,
        sources: &Sources,
    ) {
        let mut settings = None;
        for diagnostic in diagnostics.iter_mut().filter(|diagnostic| diagnostic.is_error()) {
            let span = diagnostic.span();
            let is_value = !matches!(diagnostic.code, "bad-variable" | "required-variable");
            if let Some(environment) = self.environments.get(&span.file).filter(|_| is_value) {
                let settings = settings.get_or_insert_with(|| Settings::read(input, files));
                let line = surrounding(sources, span);
                let notes = interpolate::names(line).into_iter().map(|(name, whole)| {
                    let is_own = environment.get(&name) != input.environment.get(&name);
                    settings.described(&name, &whole, environment.get(&name).map(String::as_str), is_own)
                });
                diagnostic.notes.extend(notes.map(Into::into));
            }
            let is_new = |asked: &&Span| {
                !asked.is_nowhere() && diagnostic.labels.iter().all(|label| label.span != **asked)
            };
            if let Some(asked) = self.asked.get(&span.file).filter(is_new) {
                let (file, place) = (sources.name(span.file), sources.place(*asked));
                diagnostic.notes.push(format!("`{file}` is asked for at {place}").into());
            }
        }
    }
}

/// The text at a place, if that is a part of its line: the word around it, too, as a place may be narrower
/// than the value.
fn surrounding(sources: &Sources, span: Span) -> &str {
    let (text, start, end) = (sources.text(span.file), span.start as usize, span.end as usize);
    let (Some(before), Some(behind)) = (text.get(..start), text.get(end..)) else { return "" };
    if sources.slice(span).contains('\n') {
        return "";
    }
    let first = before.rfind(char::is_whitespace).map_or(0, |at| at + 1);
    let last = behind.find(char::is_whitespace).map_or(text.len(), |at| end + at);
    text.get(first..last).unwrap_or("")
}

/// The default environment files, with the line of each variable.
struct Settings {
    /// Value and place.
    variables: BTreeMap<String, (String, String)>,
}

impl Settings {
    fn read(input: &Input, files: &dyn Files) -> Self {
        let paths: Vec<PathBuf> = match input.environment_files.as_slice() {
            [] => vec![input.project_directory.join(".env")],
            named => named.to_vec(),
        };
        let mut variables = BTreeMap::new();
        for path in paths.iter().filter(|path| files.is_file(path)) {
            let Some(text) = files.read(path).ok().and_then(|bytes| String::from_utf8(bytes).ok()) else {
                continue;
            };
            let shown = path.strip_prefix(&input.shown_from).unwrap_or(path).display().to_string();
            let mut sources = Sources::new();
            let file = sources.add(shown.as_str(), text.as_str());
            let (mut values, mut ignored) = (BTreeMap::new(), Vec::new());
            let outer = |name: &str| input.environment.get(name).cloned();
            dotenv::read(&sources, file, &outer, &mut values, &mut ignored);
            for (name, value) in values {
                if let Some(span) = dotenv::place(&sources, file, &name) {
                    let place = sources.place(span);
                    let line = place.rsplit_once(':').map_or(place.as_str(), |(line, _)| line);
                    variables.insert(name, (value, line.to_owned()));
                }
            }
        }
        Self { variables }
    }

    /// Says what a variable is; `is_own` if the file that asks has it from an environment file of its own.
    fn described(&self, name: &str, whole: &str, value: Option<&str>, is_own: bool) -> String {
        match (value, self.variables.get(name)) {
            (Some(value), _) if is_own && name != "COMPOSE_PROJECT_NAME" => {
                format!("`{whole}`: `{name}` is `{value}`, set in an environment file of the include")
            }
            (Some(value), Some((set, place))) if set == value => {
                format!("`{whole}`: `{name}` is `{value}`, set in {place}")
            }
            (Some(value), _) => format!("`{whole}`: `{name}` is `{value}`, set in the environment"),
            (None, _) => format!("`{whole}`: `{name}` is not set"),
        }
    }
}
