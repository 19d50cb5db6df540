//! `tests/ATTRIBUTES.md`: which scenario shows what an attribute does, and by which of its words.

use crate::model::{Model, used_below};
use crate::root;
use std::collections::{BTreeMap, BTreeSet};

/// A row of `tests/ATTRIBUTES.md`.
pub(crate) struct Proof {
    pub(crate) scenario: String,
    /// Words of the scenario's source.
    pub(crate) words: String,
}

/// By attribute, the scenario that shows what it does.
pub(crate) fn proofs() -> BTreeMap<String, Proof> {
    let page = std::fs::read_to_string(root().join("tests/ATTRIBUTES.md")).unwrap();
    let rows: Vec<_> =
        page.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix("` |")).collect();
    let mut proofs = BTreeMap::new();
    for row in rows {
        let cells: Vec<_> = row.splitn(3, "` | `").map(str::to_owned).collect();
        let [attribute, scenario, words] = cells.try_into().expect(row);
        let row = proofs.insert(attribute.clone(), Proof { scenario, words });
        assert!(row.is_none(), "two rows of {attribute}");
    }
    proofs
}

/// The sources of the scenarios, by name.
pub(crate) fn scenarios() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(root().join("tests/scenarios")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let begun =
            text.lines().filter_map(|line| line.trim().strip_suffix(", |world| {")?.split(',').next());
        found.extend(begun.map(|name| (name.to_owned(), text.clone())));
    }
    found
}

/// What is wrong with a row of `tests/ATTRIBUTES.md`.
pub(crate) fn fault(
    model: &Model,
    attribute: &str,
    proof: &Proof,
    scenarios: &BTreeMap<String, String>,
) -> Option<String> {
    let Proof { scenario, words } = proof;
    let Some(source) = scenarios.get(scenario) else {
        return Some(format!("{attribute}: there is no scenario `{scenario}`"));
    };
    if !source.contains(words) {
        return Some(format!("{attribute}: the source of `{scenario}` does not say `{words}`"));
    }
    let mut used = BTreeSet::new();
    used_below(model, &root().join("tests/cases").join(scenario.replace('_', "-")), &mut used);
    let key = attribute.rsplit('.').next().unwrap_or(attribute);
    (!used.contains(attribute) && !source.contains(&format!("{key}:")))
        .then(|| format!("{attribute}: no file of `{scenario}` has it"))
}
