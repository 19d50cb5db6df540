//! The conformance suite: every folder of `cases/` is a project and what loading it must give.
//!
//! `expect.yaml` is the project as `config` prints it, `expect.json` (looked at only where there is one) the
//! same with `--format json`; `expect.txt` are the diagnostics as they are drawn. An
//! absent file expects none. `request` holds flags (`--profile x`), names of services and `NAME=value` of
//! the process, one per line; `--current x` goes to a folder of the case. The file `stdin` is what `-` reads. `BLESS=1` rewrites the expectations; read that diff as code.
//!
//! The case folder appears as `/project` to the loader. Whatever loads must load again from its own YAML and
//! from its own JSON, and give the same.

#![expect(clippy::disallowed_methods, reason = "the harness reads the case folders that the loader is given")]

mod case;

use std::io;
use std::path::Path;

use case::{Folder, request};
use compose_spec::discovery::find;
use compose_spec::{Files, Input, Options, load, render_json, render_yaml};
use diagnostic::{has_errors, render};

/// One file alone, for the way back.
struct Rendered<'a>(&'a str);

impl Files for Rendered<'_> {
    fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
        Ok(self.0.as_bytes().to_vec())
    }
    fn is_file(&self, _: &Path) -> bool {
        false
    }
    fn is_dir(&self, _: &Path) -> bool {
        false
    }
}

fn case(compose_file: &Path) -> datatest_stable::Result<()> {
    let folder = Folder(compose_file.parent().ok_or("no folder")?.to_owned());
    let request = request(&folder);
    let found = find(&request, &folder);
    let loaded = load(&found.input, &folder);
    let mut text = render(&found.sources, &found.diagnostics, false);
    if !text.is_empty() && !loaded.diagnostics.is_empty() {
        text.push('\n');
    }
    text.push_str(&render(&loaded.sources, &loaded.diagnostics, false));
    let project = loaded.project.filter(|_| !has_errors(&found.diagnostics));
    let yaml = project.as_ref().map(render_yaml).unwrap_or_default();
    let json = project.as_ref().map(render_json).unwrap_or_default();
    if !yaml.is_empty() && request.options == Options::default() {
        again(&found.input, &yaml, &yaml)?;
        again(&found.input, &json, &yaml)?;
    }
    let mut same =
        expect(&folder.0.join("expect.yaml"), &yaml)? & expect(&folder.0.join("expect.txt"), &text)?;
    let expected_json = folder.0.join("expect.json");
    if expected_json.exists() {
        same &= expect(&expected_json, &json)?;
    }
    if same { Ok(()) } else { Err("not as expected; see above".into()) }
}

/// Loads `written` and looks whether that gives `yaml`.
fn again(input: &Input, written: &str, yaml: &str) -> datatest_stable::Result<()> {
    let input = Input {
        files: vec!["/project/compose.yaml".into()],
        environment: [].into(),
        copy: None,
        ..input.clone()
    };
    let loaded = load(&input, &Rendered(written));
    let drawn = render(&loaded.sources, &loaded.diagnostics, false);
    let project =
        loaded.project.ok_or_else(|| format!("what was written does not load:\n{drawn}\n{written}"))?;
    let second = render_yaml(&project);
    if second == yaml {
        Ok(())
    } else {
        Err(format!("what was written loads as something else:\n{written}\n--- became ---\n{second}").into())
    }
}

fn expect(path: &Path, text: &str) -> datatest_stable::Result<bool> {
    if std::env::var_os("BLESS").is_some() {
        if text.is_empty() {
            let _ = std::fs::remove_file(path);
        } else {
            std::fs::write(path, text)?;
        }
        return Ok(true);
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    if expected == text {
        return Ok(true);
    }
    eprintln!("{} expects\n{expected}\n--- but there is ---\n{text}", path.display());
    Ok(false)
}

datatest_stable::harness! { { test = case, root = "cases", pattern = r"^[^/]+/[^/]+/compose\.yaml$" } }
