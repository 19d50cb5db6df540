//! No text makes the loader panic: every case's file, cut short and with parts taken out or swapped, and
//! every seed of the fuzz targets.

#![expect(clippy::disallowed_methods, reason = "the texts are those of the case folders")]

use std::io;
use std::path::Path;

use compose_spec::{Files, Input, load, render_json, render_yaml};
use diagnostic::{has_errors, render};

#[path = "../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "a crate elsewhere")]
mod targets;

struct Text(String);

impl Files for Text {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if self.is_file(path) { Ok(self.0.clone().into_bytes()) } else { Err(io::ErrorKind::NotFound.into()) }
    }
    fn is_file(&self, path: &Path) -> bool {
        path == Path::new("/project/compose.yaml") || path == Path::new("/project/base/compose.yaml")
    }
    fn is_dir(&self, _: &Path) -> bool {
        false
    }
}

fn check(text: String) {
    let input = Input {
        files: vec!["/project/compose.yaml".into()],
        project_directory: "/project".into(),
        ..Input::default()
    };
    let loaded = load(&input, &Text(text));
    assert_eq!(loaded.project.is_none(), has_errors(&loaded.diagnostics), "a project or a reason");
    render(&loaded.sources, &loaded.diagnostics, false);
    if let Some(project) = loaded.project {
        render_yaml(&project);
        render_json(&project);
    }
}

#[test]
fn no_text_makes_the_loader_panic() {
    let mut texts = Vec::new();
    for chapter in std::fs::read_dir("cases").unwrap() {
        for case in std::fs::read_dir(chapter.unwrap().path()).unwrap() {
            // Some cases are of files that are no text.
            let bytes = std::fs::read(case.unwrap().path().join("compose.yaml"));
            texts.extend(bytes.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()));
        }
    }
    assert!(texts.len() > 80);
    for text in texts.iter().filter(|text| text.len() < 1500 && !text.contains("&e [")) {
        let boundaries: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        for (step, &at) in boundaries.iter().enumerate().step_by(23) {
            let (before, after) = text.split_at(at);
            check(before.to_owned());
            let rest = after.chars().skip(3).collect::<String>();
            check(format!("{before}{rest}"));
            let odd = ["$", "{", "]", ": ", "\t", "é", "!reset ", "- ", "&a ", "*a", "\"", "~"][step % 12];
            check(format!("{before}{odd}{after}"));
        }
    }
}

#[test]
fn depth_is_limited() {
    check(format!("x-a: {}", "[".repeat(100_000)));
    check(format!("x-a: {}{}", "[".repeat(100_000), "]".repeat(100_000)));
    check((0..5_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect());
    check(format!("x-a: \"{}\"", "${A:-".repeat(50_000)));
}

/// The codes of what is wrong with a text.
fn codes(text: String) -> Vec<&'static str> {
    let files = vec!["/project/compose.yaml".into()];
    let input = Input { files, project_directory: "/project".into(), ..Input::default() };
    let loaded = load(&input, &Text(text));
    assert!(loaded.project.is_none());
    loaded.diagnostics.iter().map(|told| told.code).collect()
}

#[test]
fn what_no_project_needs_is_refused_before_it_is_made() {
    let repeat = |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<String>();
    let services = repeat(10_001, &|at| format!("  s{at}: {{image: a}}\n"));
    assert_eq!(codes(format!("services:\n{services}")), ["too-many-services"]);
    let base = repeat(5_000, &|at| format!("      k{at}: v\n"));
    let heirs = repeat(100, &|at| format!("  s{at}: {{extends: base}}\n"));
    let extended = format!("services:\n  base:\n    image: a\n    environment:\n{base}{heirs}");
    assert_eq!(codes(extended), ["too-many-values"]);
    let ports = repeat(3, &|at| format!("      - 10.0.0.{at}:1-65535:1-65535\n"));
    let ports = codes(format!("services:\n  web:\n    image: a\n    ports:\n{ports}"));
    assert_eq!(ports, ["bad-value", "bad-value"]);
    for (head, line) in [
        ("x-a:\n", "  k: 1\n"),
        ("services:\n  a:\n    image: a\n", "    n#: 1\n"),
        ("services:\n  a:\n    image: a\n    ports:\n", "    - x#\n"),
        ("services:\n  a:\n    image: a\n    networks:\n", "    - n#\n"),
    ] {
        let found = codes(format!("{head}{}", repeat(2_000, &|at| line.replace('#', &at.to_string()))));
        assert_eq!((found.len(), found.last()), (501, Some(&"more-diagnostics")), "{line}");
    }
}

#[test]
fn the_seeds_of_the_fuzz_targets_hold() {
    type Target = fn(&[u8]);
    let targets: [(&str, Target); 5] = [
        ("yaml", targets::yaml),
        ("interpolation", targets::interpolation),
        ("dotenv", targets::dotenv),
        ("short_forms", targets::short_forms),
        ("loader", targets::loader),
    ];
    for (name, target) in targets {
        let seeds = std::fs::read_dir(Path::new("fuzz/seeds").join(name)).unwrap();
        let paths: Vec<_> = seeds.map(|seed| seed.unwrap().path()).collect();
        assert!(!paths.is_empty());
        for path in paths {
            eprintln!("{}", path.display());
            target(&std::fs::read(path).unwrap());
        }
    }
}
