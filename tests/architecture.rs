//! Holds the repository to its own map: which room leans on which, where `unsafe` may be, that every
//! scenario has its folder and every folder its scenario, and that files open with their duty.

#![expect(clippy::unwrap_used, reason = "a check that cannot read the tree has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Every room and the rooms it may lean on: the table of ARCHITECTURE.md.
const ROOMS: [(&str, &[&str]); 21] = [
    ("diagnostic", &[]),
    ("resource", &[]),
    ("sys", &[]),
    ("compose-spec", &["diagnostic"]),
    ("lower", &["compose-spec", "diagnostic", "resource"]),
    ("plan", &["resource"]),
    ("apply", &["plan", "resource"]),
    ("tls", &[]),
    ("registry", &["resource", "sys", "tls"]),
    ("store", &["resource", "sys"]),
    ("network", &["resource", "sys"]),
    ("dns", &["resource"]),
    ("dockerfile", &["diagnostic", "resource"]),
    ("runtime", &["resource", "sys"]),
    ("supervisor", &["runtime", "network", "dns", "resource", "sys", "tls"]),
    ("builder", &["dockerfile", "diagnostic", "store", "runtime", "resource", "sys"]),
    ("engine", &["builder", "registry", "store", "network", "runtime", "supervisor", "resource", "sys"]),
    ("watch", &["dockerfile"]),
    ("ui", &[]),
    (
        "cli",
        &[
            "compose-spec",
            "diagnostic",
            "lower",
            "plan",
            "apply",
            "engine",
            "resource",
            "sys",
            "dockerfile",
            "watch",
            "ui",
        ],
    ),
    ("xtask", &[]),
];

#[test]
fn a_room_leans_only_on_those_below_it() {
    let allowed: BTreeMap<&str, &[&str]> = ROOMS.into_iter().collect();
    for manifest in manifests() {
        let text = std::fs::read_to_string(&manifest).unwrap();
        let table: toml::Table = text.parse().unwrap();
        let name = table["package"]["name"].as_str().unwrap();
        let allowed = allowed.get(name).unwrap_or_else(|| panic!("the room `{name}` is not in the table"));
        let dependencies = table.get("dependencies").and_then(toml::Value::as_table);
        for dependency in dependencies.into_iter().flatten().map(|(key, _)| key.as_str()) {
            let is_room = ROOMS.iter().any(|(room, _)| *room == dependency);
            assert!(!is_room || allowed.contains(&dependency), "`{name}` may not lean on `{dependency}`");
        }
    }
}

#[test]
fn unsafe_lives_in_sys_alone() {
    for file in sources().into_iter().filter(|file| !file.starts_with(root().join("crates/sys"))) {
        let text = std::fs::read_to_string(&file).unwrap();
        let offending = text.lines().find(|line| {
            let code = line.trim_start();
            !code.starts_with("//") && (code.contains("unsafe {") || code.contains("unsafe fn"))
        });
        assert!(
            offending.is_none() || file.ends_with("architecture.rs"),
            "{}: {offending:?}",
            file.display()
        );
    }
}

#[test]
fn every_file_opens_with_its_duty() {
    for file in sources() {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//!"), "{} does not say what it is for", file.display());
    }
}

#[test]
fn every_scenario_has_its_folder_and_every_folder_its_scenario() {
    let tests = root().join("tests");
    let mut named = BTreeSet::new();
    for file in files(&tests.join("scenarios")) {
        let text = std::fs::read_to_string(&file).unwrap();
        named.extend(text.lines().filter_map(scenario_in).map(|name| name.replace('_', "-")));
    }
    let folders: BTreeSet<String> = std::fs::read_dir(tests.join("cases"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(named, folders);
}

#[test]
fn the_table_names_every_scenario_that_differs_for_a_user() {
    let tests = root().join("tests");
    let mut differing = BTreeSet::new();
    for file in files(&tests.join("scenarios")) {
        let mut name = String::new();
        for line in std::fs::read_to_string(file).unwrap().lines() {
            name = scenario_in(line).map_or(name, str::to_owned);
            let marks = ["root_only = ", "user_only = ", "world.who() ==", "world.has_limits()"];
            if marks.iter().any(|mark| line.contains(mark)) {
                differing.insert(name.clone());
            }
        }
    }
    let page = std::fs::read_to_string(tests.join("README.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    assert_eq!(rows.map(str::to_owned).collect::<BTreeSet<_>>(), differing);
}

#[test]
fn the_contract_names_scenarios_that_are_there() {
    let tests = root().join("tests");
    let mut known = BTreeSet::new();
    for file in files(&tests.join("scenarios")) {
        let text = std::fs::read_to_string(file).unwrap();
        known.extend(text.lines().filter_map(scenario_in).map(str::to_owned));
    }
    let page = std::fs::read_to_string(tests.join("CONTRACT.md")).unwrap();
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        let last = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let is_known = |word: &str| {
            let name = word.strip_prefix('`').and_then(|word| word.strip_suffix('`'));
            name.is_some_and(|name| known.contains(name))
        };
        let is_head = last == "scenarios";
        assert!(is_head || last == "—" || last.split(", ").all(is_known), "{row}");
    }
}

/// The commands whose flags `FLAGS.md` does not tell: they run nothing.
const WITHOUT_CONTAINERS: [&str; 4] = ["compose", "config", "build", "version"];

#[test]
fn every_flag_has_the_words_that_show_it() {
    let tests = root().join("tests");
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let mut sources = BTreeMap::new();
    for file in files(&tests.join("scenarios")) {
        let mut name = String::new();
        for line in read(&file).lines() {
            name = scenario_in(line).map_or(name, str::to_owned);
            *sources.entry(name.clone()).or_insert_with(String::new) += &format!("{line}\n");
        }
    }
    let quoted = |text: &str| text.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let mut wanted = BTreeSet::new();
    let commands = read(&tests.join("COMMANDS.md"));
    let table = commands.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    for row in table.take_while(|line| line.starts_with('|')) {
        let words = quoted(row);
        let (command, flags) = words.split_first().unwrap();
        if !WITHOUT_CONTAINERS.contains(&command.as_str()) {
            wanted.extend(flags.iter().map(|flag| (command.clone(), flag.clone())));
        }
    }
    let mut told = BTreeSet::new();
    for row in read(&tests.join("FLAGS.md")).lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.trim_matches('|').splitn(4, '|').map(str::trim).collect();
        let [command, flag, scenario, words] = cells[..] else { panic!("not four cells: {row}") };
        let plain = |cell: &str| cell.trim_matches('`').to_owned();
        assert!(told.insert((plain(command), plain(flag))), "twice: {row}");
        let shown = sources.get(&plain(scenario)).is_some_and(|source| source.contains(&plain(words)));
        assert!(shown, "the scenario does not say this: {row}");
    }
    assert_eq!(told, wanted);
}

/// The name of the scenario that begins in this line.
fn scenario_in(line: &str) -> Option<&str> {
    let name = line.trim().strip_suffix(", |world| {")?.split(',').next()?;
    name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_').then_some(name)
}

#[test]
fn the_folders_that_readers_are_sent_to_are_there() {
    let mut folders = 0;
    for page in ["README.md", "examples/README.md"] {
        let text = std::fs::read_to_string(root().join(page)).unwrap();
        for folder in text.lines().filter_map(|line| line.strip_prefix("$ cd ")) {
            let folder = folder.split(" #").next().unwrap_or(folder).trim();
            assert!(root().join(folder).is_dir(), "{page}: {folder}");
            folders += 1;
        }
    }
    assert!(folders > 0, "no page has its reader enter a folder");
}

#[test]
fn the_top_level_is_the_agreed_one() {
    const AGREED: [&str; 12] = [
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE",
        "README.md",
        "compose-spec",
        "crates",
        "examples",
        "target",
        "tests",
        "",
    ];
    for entry in std::fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        assert!(name.starts_with('.') || AGREED.contains(&name.as_str()), "`{name}` at the top level");
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn manifests() -> Vec<PathBuf> {
    let crates = std::fs::read_dir(root().join("crates")).unwrap();
    let rooms = crates.map(|room| room.unwrap().path().join("Cargo.toml"));
    rooms.chain([root().join("compose-spec/Cargo.toml")]).filter(|manifest| manifest.exists()).collect()
}

fn sources() -> Vec<PathBuf> {
    ["crates", "compose-spec", "examples", "tests"]
        .iter()
        .flat_map(|below| files(&root().join(below)))
        .collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            // What a build has made is nobody's source.
            if entry.file_name() != "target" {
                found.extend(files(&entry.path()));
            }
        } else if entry.path().extension().is_some_and(|extension| extension == "rs") {
            found.push(entry.path());
        }
    }
    found
}
