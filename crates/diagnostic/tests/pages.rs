//! The register of codes is held to the sources: no code without a page, no page without a code.

#![expect(clippy::disallowed_methods, reason = "the test reads the sources of the workspace")]
#![expect(clippy::unwrap_used, reason = "a tree that cannot be read fails the test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use diagnostic::{codes, page};

/// What stands before a code.
const TELLERS: [&str; 8] = [
    "error(",
    "warning(",
    "fault(",
    "remote(",
    "told(",
    "Severity::Error,",
    "Severity::Warning,",
    "\"code\":",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The texts of all crates that tell diagnostics, without their tests.
fn texts() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    for folder in ["compose-spec/src", "crates/lower/src", "crates/dockerfile/src", "crates/cli/src"] {
        sources(&root.join(folder), &mut found);
    }
    let text = |path: PathBuf| {
        let whole = std::fs::read_to_string(&path).unwrap();
        let text = whole.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
        (path, text)
    };
    found.into_iter().map(text).collect()
}

/// The build checks go by BuildKit's names, all others in small letters.
fn is_code(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[test]
fn every_code_in_the_sources_has_a_page() {
    for (path, text) in texts() {
        for teller in TELLERS {
            for behind in text.split(teller).skip(1) {
                let Some(literal) = behind.trim_start().strip_prefix('"') else { continue };
                let code = literal.split('"').next().unwrap();
                let known = !is_code(code) || page(code).is_some();
                assert!(known, "{}: `{code}` needs a page in crates/diagnostic/pages", path.display());
            }
        }
    }
}

#[test]
fn every_page_is_of_a_code_in_the_sources() {
    let texts = texts();
    for (code, summary) in codes() {
        let literal = format!("\"{code}\"");
        assert!(texts.iter().any(|(_, text)| text.contains(&literal)), "nothing tells `{code}`");
        assert!(page(code).unwrap().starts_with(&format!("# {code}: {summary}\n\n")), "the title of {code}");
    }
    let listed: Vec<&str> = codes().map(|(code, _)| code).collect();
    assert!(listed.is_sorted());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pages");
    let files: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert!(files.iter().eq(listed.iter()), "every page is in the register");
}
