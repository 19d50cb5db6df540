//! What `config` prints is read again as itself: generated projects, full of texts that look like YAML.
//!
//! The generator is a counter-fed hash, so a failure names the seed that shows it again.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use compose_spec::{Files, Input, Project, load, render_json, render_yaml};
use diagnostic::render;

const PROJECTS: u64 = 300;

/// Pieces that texts are made of: what YAML, variables and short forms give a meaning.
const PIECES: &[&str] = &[
    "a",
    "B",
    "0",
    "7",
    "17",
    "1.5",
    "e3",
    "x",
    "_",
    "-",
    "--",
    "---",
    ".",
    "...",
    ":",
    ": ",
    " ",
    "  ",
    "#",
    " #",
    "'",
    "\"",
    "\\",
    "\n",
    "\n\n",
    "\n ",
    " \n",
    "\t",
    "\r",
    "$",
    "${",
    "}",
    "{",
    "[",
    "]",
    ",",
    "&",
    "*",
    "!",
    "|",
    ">",
    "%",
    "@",
    "`",
    "?",
    "=",
    "~",
    "null",
    "true",
    "no",
    "on",
    "y",
    "<<",
    "é",
    "日",
    "🎉",
    "\u{7}",
    "\u{85}",
    "\u{a0}",
    "\u{2028}",
    "\u{feff}",
    "2024-05-01",
    "12:30",
    "0x1f",
    "0o17",
    ".inf",
    "+",
    "1_0",
];

struct Random(u64);

impl Random {
    /// A number below `end` (splitmix64).
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as usize % end
    }

    fn text(&mut self) -> String {
        (0..self.below(6)).map(|_| PIECES[self.below(PIECES.len())]).collect()
    }

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

/// `text` as JSON, which every YAML reader reads; its dollars doubled.
fn quoted(text: &str) -> String {
    serde_json::to_string(&text.replace('$', "$$")).expect("a text is JSON")
}

fn project(random: &mut Random) -> String {
    let mut source = "services:\n".to_owned();
    for index in 0..=random.below(3) {
        service(&mut source, index, random);
    }
    source.push_str("networks: {front: {}, back: {internal: true}}\nvolumes: {data: }\n");
    let _ =
        writeln!(source, "x-any: {{text: {}, list: [{}]}}", quoted(&random.text()), quoted(&random.text()));
    source
}

fn service(source: &mut String, index: usize, random: &mut Random) {
    let image = random.pick(&[
        "nginx",
        "docker.io/library/redis:7",
        "quay.io/a/b@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ]);
    let _ = writeln!(source, "  s{index}:\n    image: {image}");
    if random.below(2) == 0 {
        let _ = writeln!(source, "    command: [{}, {}]", quoted(&random.text()), quoted(&random.text()));
    }
    if random.below(2) == 0 {
        source.push_str("    environment:\n");
        for at in 0..random.below(4) {
            let _ = writeln!(source, "      {}: {}", quoted(&format!("K{at}")), quoted(&random.text()));
        }
        let _ =
            writeln!(source, "      LAST: {}", random.pick(&["", "1", "1.50", "true", "~", "010", "1e7"]));
    }
    let _ = writeln!(source, "    labels: [{}]", quoted(&format!("l.{index}={}", random.text())));
    if index > 0 && random.below(2) == 0 {
        let _ = writeln!(
            source,
            "    depends_on: {}",
            random.pick(&["[s0]", "{s0: {condition: service_healthy}}"])
        );
    }
    let ports = ["80", "\"8080:80\"", "\"127.0.0.1:0:80/udp\"", "{target: 80, published: 9000-9005}"];
    let _ = writeln!(source, "    ports: [{}]", random.pick(&ports));
    let volumes =
        ["data:/d", "./x:/x:ro", "/anon", "{type: tmpfs, target: /t, tmpfs: {size: 1m, mode: 0700}}"];
    let _ = writeln!(source, "    volumes: [\"/fixed\", {}]", random.pick(&volumes));
    let _ = writeln!(
        source,
        "    networks: {}",
        random.pick(&["[front]", "{back: {aliases: [x]}, front: }", "[]"])
    );
    let health =
        ["{disable: true}", "{test: a b, interval: 90s, retries: 0}", "{test: [CMD, a, 'b c'], timeout: 1h}"];
    let _ = writeln!(source, "    healthcheck: {}", random.pick(&health));
    let deploy =
        ["", "{replicas: 0}", "{resources: {limits: {cpus: '0.25', memory: 1g}}}", "{placement: {}}"];
    let _ = writeln!(source, "    deploy: {}", random.pick(&deploy));
    let _ = writeln!(source, "    stop_grace_period: {}", random.pick(&["0s", "1h1m", "1.5s", "1w"]));
}

struct One<'a>(&'a str);

impl Files for One<'_> {
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

fn loaded(text: &str, seed: u64) -> Project {
    let input = Input {
        files: vec!["/project/compose.yaml".into()],
        project_directory: "/project".into(),
        shown_from: "/project".into(),
        ..Input::default()
    };
    let loaded = load(&input, &One(text));
    let drawn = render(&loaded.sources, &loaded.diagnostics, false);
    loaded.project.unwrap_or_else(|| panic!("seed {seed} does not load:\n{text}\n{drawn}"))
}

#[test]
fn what_is_printed_is_read_as_itself() {
    for seed in 0..PROJECTS {
        let source = project(&mut Random(seed));
        let first = loaded(&source, seed);
        let yaml = render_yaml(&first);
        let second = loaded(&yaml, seed);
        assert_eq!(render_yaml(&second), yaml, "seed {seed} of\n{source}");
        let third = loaded(&render_json(&first), seed);
        assert_eq!(render_yaml(&third), yaml, "seed {seed}, as JSON, of\n{source}");
        for (name, service) in &first.services {
            assert_eq!(service.environment, second.services[name].environment, "seed {seed}");
            assert_eq!(service.command, second.services[name].command, "seed {seed}");
        }
    }
}
