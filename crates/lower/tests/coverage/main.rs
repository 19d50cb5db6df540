//! `compose-spec/COVERAGE.md`: every attribute of the model, what it does here and the scenario that shows it;
//! and every case with the attributes it exercises. The attributes are those of `compose.schema.json`; the cases
//! are found by reading their files; what an attribute does is found by lowering a project with it and one
//! without. Nothing is silently ignored: what changes nothing is told, with its place, or does its work
//! outside of lowering and is listed in [`ELSEWHERE`]. What is acted on has a row in `tests/ATTRIBUTES.md`
//! with the words of a scenario that would fail if it were not. `BLESS=1` rewrites the page.
#![expect(clippy::disallowed_methods, reason = "the cases are read from their folders")]
#![expect(clippy::unwrap_used, reason = "a check that cannot read the tree has failed")]

mod effect;
mod model;
mod proofs;

use effect::{Effect, effect};
use model::{Model, schema, used_below};
use proofs::{fault, proofs, scenarios};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Attributes, with all below them, whose work is not seen in what is wanted of the engine.
const ELSEWHERE: &[(&str, &str)] = &[
    ("networks.*.attachable", "read, not acted on: any container of this machine may join"),
    ("name", "acted on: the name of everything the project has"),
    ("version", "read, not acted on: it is obsolete, which is told"),
    ("include", "acted on when the files are read"),
    ("services.*.networks.*.gw_priority", "acted on where there are several networks"),
    ("services.*.networks.*.priority", "acted on where there are several networks"),
    ("services.*.attach", "acted on by `up`"),
    ("services.*.build.secrets[].source", "acted on by builds"),
    ("services.*.env_file[].format", "acted on when the files are read"),
    ("services.*.env_file[].required", "acted on when the files are read"),
    ("services.*.extends", "acted on when the files are read"),
    ("services.*.profiles", "acted on when services are chosen"),
    ("services.*.ports[].app_protocol", "read, not acted on: it informs people"),
    ("services.*.ports[].name", "read, not acted on: it informs people"),
    ("services.*.ports[].mode", "read, not acted on: on one machine both modes are the same"),
    ("services.*.develop", "acted on by `watch`"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// By case, `CHAPTER/NAME`, the attributes that its files have.
fn cases(model: &Model) -> BTreeMap<String, BTreeSet<String>> {
    let suite = root().join("compose-spec/cases");
    let mut cases = BTreeMap::new();
    for chapter in folders(&suite) {
        for case in folders(&chapter) {
            let name = case.strip_prefix(&suite).unwrap().to_str().unwrap().to_owned();
            used_below(model, &case, cases.entry(name).or_default());
        }
    }
    cases
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir()).collect()
}

/// Whether an attribute is this one or one below it.
fn is_below(attribute: &str, above: &str) -> bool {
    attribute.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

#[test]
fn the_page_is_current_and_nothing_is_silently_ignored() {
    let model = Model(schema());
    let (cases, proofs) = (cases(&model), proofs());
    let exercised: BTreeSet<&String> = cases.values().flatten().collect();
    let mut page = HEAD.to_owned();
    let (mut silent, mut without_case, mut without_proof) = (vec![], vec![], vec![]);
    let mut told: Vec<(String, String)> = vec![];
    let attributes = model.attributes();
    for (attribute, schema) in &attributes {
        let elsewhere = ELSEWHERE.iter().find(|(path, _)| is_below(attribute, path));
        let above = told.iter().rev().find(|(path, _)| is_below(attribute, path));
        let found = elsewhere.map_or_else(|| effect(&model, attribute), |_| Effect::Nothing);
        let effect = match (elsewhere, found, above) {
            (Some((_, what)), ..) => (*what).to_owned(),
            (None, Effect::Acted, _) => "acted on".to_owned(),
            (None, Effect::Told(message), _) => {
                let what = format!("read, not acted on: {}", message.replace('|', "\\|").replace('\n', " "));
                told.push((attribute.clone(), what.clone()));
                what
            }
            (None, Effect::Nothing, Some((_, what))) => what.clone(),
            (None, Effect::Nothing, None) if model.holds_others(schema) => "as what it holds".to_owned(),
            (None, Effect::Nothing, None) => {
                silent.push(attribute.clone());
                continue;
            }
        };
        if !exercised.contains(attribute) {
            without_case.push(attribute.clone());
        }
        let proof = proofs.get(attribute);
        if effect.starts_with("acted on") && proof.is_none() {
            without_proof.push(attribute.clone());
        }
        let shown = proof.map_or("–".to_owned(), |proof| format!("`{}`", proof.scenario));
        writeln!(page, "| `{attribute}` | {shown} | {effect} |").unwrap();
    }
    assert!(silent.is_empty(), "silently ignored:\n{}", silent.join("\n"));
    page.push_str(CASES);
    for (case, used) in &cases {
        writeln!(page, "- {case}: {}", innermost(used)).unwrap();
    }
    let path = root().join("compose-spec/COVERAGE.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    assert!(
        std::fs::read_to_string(path).unwrap_or_default() == page,
        "COVERAGE.md is not current; BLESS=1 rewrites it"
    );
    assert!(without_case.is_empty(), "no case exercises\n{}", without_case.join("\n"));
    let scenarios = scenarios();
    let mut faults: Vec<_> =
        proofs.iter().filter_map(|(attribute, proof)| fault(&model, attribute, proof, &scenarios)).collect();
    let unknown = proofs.keys().filter(|attribute| !attributes.contains_key(*attribute));
    faults.extend(unknown.map(|attribute| format!("{attribute}: the model has no such attribute")));
    faults.extend(
        without_proof.iter().map(|attribute| format!("{attribute}: acted on, and shown by no scenario")),
    );
    assert!(faults.is_empty(), "tests/ATTRIBUTES.md:\n{}", faults.join("\n"));
}

/// Attributes without those that another one among them is in; what services and networks have without
/// `services.*` and the like.
fn innermost(used: &BTreeSet<String>) -> String {
    let holds = |attribute: &&String| {
        let mut below = used.iter().filter(|other| *other != *attribute);
        !below.any(|other| is_below(other, attribute))
    };
    let shown: Vec<_> = used
        .iter()
        .filter(holds)
        .map(|attribute| attribute.strip_prefix("services.*.").unwrap_or(attribute))
        .collect();
    if shown.is_empty() { "–".to_owned() } else { shown.join(", ") }
}

const HEAD: &str = "# Coverage

Generated by `BLESS=1 cargo test -p lower --test coverage`, which also holds this page to the repository.

## Attributes

*Effect* is found by asking for it: `acted on` changes what is wanted of the engine; what is not acted on is
told, in the words shown. *Shown by* is the scenario of `tests/` that would fail if the attribute did
not have its effect in running containers; `tests/ATTRIBUTES.md` says by which of its words, and every
attribute that is acted on has one there.

| attribute | shown by | effect |
|---|---|---|
";

const CASES: &str = "
## Cases

Every folder of `compose-spec/cases` and the attributes that its files have, those of services without
`services.*`. Every attribute has one.

";
