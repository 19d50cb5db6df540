//! What fuzzing asks of the loader, a function a target. Each takes any bytes and panics when something is
//! not as it must be; an ordinary test replays the seeds through the same functions.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use compose_spec::{Files, Input, Loaded, Options, dotenv, load, render_json, render_yaml, variables};
use diagnostic::{Sources, has_errors, render};

const PROJECT: &str = "/project";

/// A folder with a Compose file and an environment file.
struct Folder<'a> {
    compose: &'a [u8],
    environment: &'a [u8],
}

impl Files for Folder<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match path.strip_prefix(PROJECT).ok().and_then(Path::to_str) {
            Some("compose.yaml" | "base/compose.yaml") => Ok(self.compose.to_vec()),
            Some(".env" | "a.env" | "labels") => Ok(self.environment.to_vec()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
    fn is_file(&self, path: &Path) -> bool {
        self.read(path).is_ok()
    }
    fn is_dir(&self, path: &Path) -> bool {
        path == Path::new(PROJECT)
    }
}

fn input() -> Input {
    let environment = [("SET", "value"), ("EMPTY", ""), ("PORT", "8080")];
    Input {
        files: vec![Path::new(PROJECT).join("compose.yaml")],
        project_directory: PROJECT.into(),
        environment: environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        options: Options { all_resources: true, ..Options::default() },
        ..Input::default()
    }
}

/// Loads, draws what was found and prints what was loaded, which must load as itself.
fn whole(compose: &[u8], environment: &[u8]) {
    let input = input();
    let loaded = load(&input, &Folder { compose, environment });
    drawn(&loaded);
    assert_eq!(loaded.project.is_none(), has_errors(&loaded.diagnostics), "a project or a reason");
    let Some(project) = loaded.project else { return };
    render_json(&project);
    let printed = render_yaml(&project);
    let input = Input { environment: BTreeMap::new(), ..input };
    let again = load(&input, &Folder { compose: printed.as_bytes(), environment: b"" });
    let text = render(&again.sources, &again.diagnostics, false);
    let project =
        again.project.unwrap_or_else(|| panic!("what was printed does not load:\n{text}\n{printed}"));
    assert_eq!(render_yaml(&project), printed, "what was printed loads as something else");
}

/// Draws the diagnostics; nothing that a terminal would act on may be in them.
fn drawn(loaded: &Loaded) {
    let text = render(&loaded.sources, &loaded.diagnostics, false);
    let raw = text.chars().find(|c| c.is_control() && !matches!(c, '\n'));
    assert_eq!(raw, None, "a control character is shown raw: {text:?}");
}

/// Any bytes as a Compose file, looked at no further than its YAML.
pub fn yaml(bytes: &[u8]) {
    drawn(&variables(&input(), &Folder { compose: bytes, environment: b"" }).1);
}

/// Any text as a value with variables.
pub fn interpolation(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let text = quoted(text);
    let compose = format!("name: p\nservices: {{a: {{image: i, labels: {{l: {text}}}}}}}\nx-a: [{text}]\n");
    whole(compose.as_bytes(), b"");
}

/// Any bytes as an environment file, in both formats.
pub fn dotenv(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut sources = Sources::new();
    let file = sources.add("a.env", text);
    let outer = |name: &str| (name == "SET").then(|| "value".to_owned());
    for read in [dotenv::read, dotenv::read_raw] {
        let (mut values, mut diagnostics) = (BTreeMap::new(), Vec::new());
        read(&sources, file, &outer, &mut values, &mut diagnostics);
        assert!(values.keys().all(|key| !key.is_empty()), "a variable without a name");
        drawn(&Loaded { project: None, diagnostics, sources: sources.clone(), trace: None });
    }
}

/// Any text where a short form may stand.
pub fn short_forms(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let text = quoted(&text.replace('$', "$$"));
    let one = |key: &str, value: String| {
        let compose = format!("name: p\nservices: {{a: {{image: i, {key}: {value}}}}}\n");
        whole(compose.as_bytes(), b"");
    };
    let lists = ["ports", "expose", "volumes", "tmpfs", "devices", "extra_hosts", "environment", "labels"];
    lists.into_iter().for_each(|key| one(key, format!("[{text}]")));
    let scalars = ["command", "stop_grace_period", "mem_limit", "restart", "pull_policy", "cpus", "init"];
    scalars.into_iter().for_each(|key| one(key, text.clone()));
    one("build", format!("{{context: ., ssh: [{text}], additional_contexts: [{text}]}}"));
    one("healthcheck", format!("{{test: {text}}}"));
    one("gpus", format!("[{{count: {text}}}]"));
}

/// A whole project: the Compose file, and behind the first NUL its environment file.
pub fn loader(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let (compose, environment) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    whole(compose, environment);
}

/// A text as YAML takes it on one line, between double quotes.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            ' '..='~' => quoted.push(character),
            other => quoted.push_str(&format!("\\U{:08x}", u32::from(other))),
        }
    }
    quoted.push('"');
    quoted
}
