//! Every folder of `cases` holds a `compose.yaml` and what it is lowered to: `expect.json`, or
//! `expect.txt` with the diagnostics; `copy` names a copy (`--as`). `BLESS=1` rewrites; read that diff as code.
#![expect(clippy::disallowed_methods, reason = "a test reads its cases and says so")]

use compose_spec::{Files, Input};
use lower::{Options, Selection};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// The folder of a case, seen as `/project`.
struct Folder(PathBuf);

impl Folder {
    fn real(&self, path: &Path) -> PathBuf {
        self.0.join(path.strip_prefix("/project").unwrap_or(path))
    }
}

impl Files for Folder {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(self.real(path))
    }
    fn is_file(&self, path: &Path) -> bool {
        self.real(path).is_file()
    }
    fn is_dir(&self, path: &Path) -> bool {
        self.real(path).is_dir()
    }
}

fn case(compose_file: &Path) -> datatest_stable::Result<()> {
    let folder = Folder(compose_file.parent().ok_or("a case is in a folder")?.to_owned());
    let environment = [("INLINE", "from the environment"), ("HOME", "/home/u")];
    let input = Input {
        files: vec!["/project/compose.yaml".into()],
        project_directory: "/project".into(),
        shown_from: "/project".into(),
        project_name: None,
        copy: std::fs::read_to_string(folder.0.join("copy")).ok().map(|name| name.trim().to_owned()),
        environment: environment.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        environment_files: vec![],
        profiles: vec![],
        services: vec![],
        options: compose_spec::Options::default(),
    };
    let loaded = compose_spec::load(&input, &folder);
    let drawn = |diagnostics: &[_]| diagnostic::render(&loaded.sources, diagnostics, false);
    let project = loaded.project.as_ref().ok_or_else(|| drawn(&loaded.diagnostics))?;
    let options = Options {
        sources: &loaded.sources,
        files: &folder,
        compatibility: false,
        single_id: false,
        platform: None,
        version: "1.2.3",
    };
    let mut found: BTreeMap<&str, String> = BTreeMap::new();
    match lower::lower(project, &Selection::all(), &options) {
        Ok(lowered) => {
            found.insert("expect.json", serde_json::to_string_pretty(&lowered.desired)? + "\n");
            if !lowered.warnings.is_empty() {
                found.insert("expect.txt", drawn(&lowered.warnings));
            }
        }
        Err(diagnostics) => {
            found.insert("expect.txt", drawn(&diagnostics));
        }
    }
    for name in ["expect.json", "expect.txt"] {
        let path = folder.0.join(name);
        let found = found.get(name);
        if std::env::var_os("BLESS").is_some() {
            match found {
                Some(text) => std::fs::write(&path, text)?,
                None if path.is_file() => std::fs::remove_file(&path)?,
                None => {}
            }
        }
        let expected = std::fs::read_to_string(&path).ok();
        if expected.as_ref() != found {
            let found = found.map_or("nothing", String::as_str);
            return Err(format!("{} is not what came out:\n{found}", path.display()).into());
        }
    }
    Ok(())
}

datatest_stable::harness! { { test = case, root = "tests/cases", pattern = r"compose\.yaml$" } }
