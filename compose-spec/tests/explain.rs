//! Where values come from: through variables, overrides, `extends`, includes and environment files.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use compose_spec::{Explanation, Files, Input, Options, explain, load};

struct Texts(BTreeMap<&'static str, &'static str>);

impl Files for Texts {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let text = path.to_str().and_then(|path| self.0.get(path));
        text.map(|text| text.as_bytes().to_vec()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
    fn is_file(&self, path: &Path) -> bool {
        path.to_str().is_some_and(|path| self.0.contains_key(path))
    }
    fn is_dir(&self, _: &Path) -> bool {
        false
    }
}

/// Explains what is at `path` of the project in `files`, of which `compose.yaml` and `override.yaml` are
/// merged; `PORT` is 8080.
fn explained(files: &[(&'static str, &'static str)], path: &str) -> Vec<String> {
    let files = Texts(files.iter().copied().collect());
    let both = ["/p/compose.yaml", "/p/override.yaml"];
    let input = Input {
        files: both.iter().filter(|path| files.0.contains_key(*path)).map(Into::into).collect(),
        project_directory: "/p".into(),
        shown_from: "/p".into(),
        environment: [("PORT".to_owned(), "8080".to_owned())].into(),
        options: Options { trace: true, ..Options::default() },
        ..Input::default()
    };
    let loaded = load(&input, &files);
    let drawn = diagnostic::render(&loaded.sources, &loaded.diagnostics, false);
    let project = loaded.project.clone().unwrap_or_else(|| panic!("{drawn}"));
    let origin = |name: &str| (name == "PORT").then(|| ".env:3:1".to_owned());
    explain(&project, &loaded, path, &origin).iter().map(line).collect()
}

fn line(explanation: &Explanation) -> String {
    let mut line = format!("{}={}", explanation.path, explanation.value);
    match &explanation.written {
        Some(written) if explanation.is_default => line.push_str(&format!(" default at {}", written.place)),
        Some(written) => line.push_str(&format!(" <- {} {}", written.text, written.place)),
        None => line.push_str(" implied"),
    }
    for used in &explanation.variables {
        line.push_str(&format!(" ${}={:?} {:?}", used.name, used.value, used.from));
    }
    explanation
        .overrides
        .iter()
        .for_each(|written| line.push_str(&format!(" over {} {}", written.text, written.place)));
    explanation.through.iter().for_each(|place| line.push_str(&format!(" by {place}")));
    line
}

#[test]
fn a_variable_is_told_with_its_origin_and_what_it_overrides() {
    let files = [
        ("/p/compose.yaml", "services:\n  web:\n    image: a\n    ports: [\"81:80\"]\n"),
        ("/p/override.yaml", "services:\n  web:\n    image: b:${TAG:-${PORT}}\n    ports: ['${PORT}:80']\n"),
    ];
    assert_eq!(
        explained(&files, "services.web.image"),
        ["services.web.image=b:8080 <- b:${TAG:-${PORT}} override.yaml:3:12 $TAG=None None \
          $PORT=Some(\"8080\") Some(\".env:3:1\") over a compose.yaml:3:12"]
    );
    let published = explained(&files, "services.web.ports[1].published");
    assert_eq!(
        published,
        ["services.web.ports[1].published=8080 <- '${PORT}:80' override.yaml:4:13 $PORT=Some(\"8080\") \
          Some(\".env:3:1\")"]
    );
}

#[test]
fn extends_and_includes_are_the_way_by_which_a_value_came() {
    let files = [
        (
            "/p/compose.yaml",
            "include: [i/inc.yaml]\nservices:\n  web:\n    extends: {file: o.yaml, service: o}\n  own:\n    \
             extends: web\n    labels: {l: 2}\n",
        ),
        ("/p/o.yaml", "services:\n  o:\n    image: x\n    labels: {l: 1}\n"),
        ("/p/i/inc.yaml", "services:\n  inc:\n    image: y:${V}\n"),
        ("/p/i/.env", "# first\nV=3\n"),
    ];
    assert_eq!(
        explained(&files, "services.web.image"),
        ["services.web.image=x <- x o.yaml:3:12 by compose.yaml:4:38"]
    );
    assert_eq!(
        explained(&files, "services.own.labels"),
        ["services.own.labels.l=2 <- 2 compose.yaml:7:17 over 1 o.yaml:4:17"]
    );
    assert_eq!(
        explained(&files, "services.inc.image"),
        [
            "services.inc.image=y:3 <- y:${V} i/inc.yaml:3:12 $V=None Some(\"i/.env:2:1\") by compose.yaml:1:11"
        ]
    );
}

#[test]
fn lines_of_environment_files_and_implied_values_are_told() {
    let files = [
        (
            "/p/compose.yaml",
            "services:\n  web:\n    image: x\n    env_file: [a.env, b.env]\n    environment: {OWN: 1}\n    \
             volumes:\n      - {type: bind, source: /s, target: /t, bind: {}}\n",
        ),
        ("/p/a.env", "A=1\nB=1\n"),
        ("/p/b.env", "\nexport B=2\n"),
    ];
    assert_eq!(
        explained(&files, "services.web.environment"),
        [
            "services.web.environment.A=1 <- A=1 a.env:1:1 by compose.yaml:4:16",
            "services.web.environment.B=2 <- B=2 b.env:2:8 by compose.yaml:4:23",
            "services.web.environment.OWN=1 <- 1 compose.yaml:5:24",
        ]
    );
    assert_eq!(
        explained(&files, "services.web.volumes[0].bind"),
        ["services.web.volumes[0].bind.create_host_path=true default at compose.yaml:7:52"]
    );
    assert_eq!(explained(&files, "networks"), ["networks.default.name=p_default implied"]);
    assert!(explained(&files, "services.w").is_empty());
}

#[test]
fn an_alias_and_a_merge_key_bring_a_value_from_where_its_anchor_stands() {
    let files = [(
        "/p/compose.yaml",
        "x-env: &env\n  A: one\n  B: two\nx-more: &more {A: more, C: '${PORT}'}\nservices:\n  web:\n    image: &image \
         x\n    environment:\n      <<: [*env, *more]\n      B: own\n  other:\n    image: *image\n    environment: *env\n    \
         labels: {<<: *env}\n",
    )];
    assert_eq!(
        explained(&files, "services.web.environment"),
        [
            "services.web.environment.A=one <- one compose.yaml:2:6",
            "services.web.environment.B=own <- own compose.yaml:10:10",
            "services.web.environment.C=8080 <- '${PORT}' compose.yaml:4:28 $PORT=Some(\"8080\") \
             Some(\".env:3:1\")",
        ]
    );
    assert_eq!(
        explained(&files, "services.other.environment.B"),
        ["services.other.environment.B=two <- two compose.yaml:3:6"]
    );
    assert_eq!(
        explained(&files, "services.other.labels.A"),
        ["services.other.labels.A=one <- one compose.yaml:2:6"]
    );
    assert_eq!(
        explained(&files, "services.other.image"),
        ["services.other.image=x <- &image x compose.yaml:7:12"]
    );
}

#[test]
fn a_value_of_several_lines_does_not_move_the_places_behind_it() {
    let files = [
        ("/p/compose.yaml", "include: [i/inc.yaml]\nservices:\n  web:\n    image: x\n    env_file: a.env\n"),
        (
            "/p/a.env",
            "A=\"first\nsecond\"\nB=$A-tail\nC='x\ny # no comment\n\nz' # comment\nD=last\nexport E\n",
        ),
        ("/p/i/inc.yaml", "services:\n  inc:\n    image: y:${V}\n    command: [\"${LONG}\"]\n"),
        ("/p/i/.env", "LONG='1\nV=2\n3'\nV=4\nMORE=\"\nV=5\n\"\n"),
    ];
    assert_eq!(
        explained(&files, "services.web.environment"),
        [
            "services.web.environment.A=first\nsecond <- A=\"first … a.env:1:1 by compose.yaml:5:15",
            "services.web.environment.B=first\nsecond-tail <- B=$A-tail a.env:3:1 $A=None Some(\"a.env:1:1\") by compose.yaml:5:15",
            "services.web.environment.C=x\ny # no comment\n\nz <- C='x … a.env:4:1 by compose.yaml:5:15",
            "services.web.environment.D=last <- D=last a.env:8:1 by compose.yaml:5:15",
        ]
    );
    assert_eq!(
        explained(&files, "services.inc.image"),
        [
            "services.inc.image=y:4 <- y:${V} i/inc.yaml:3:12 $V=None Some(\"i/.env:4:1\") by compose.yaml:1:11"
        ]
    );
}
