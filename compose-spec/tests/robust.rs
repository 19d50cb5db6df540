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
