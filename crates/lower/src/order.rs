//! Services in an order in which each comes after all it depends on, otherwise by name.

use resource::DesiredService;
use std::collections::{BTreeMap, BTreeSet};

/// Sorts by dependency, then name. The loader refuses cycles; were there one, its members would come
/// last, by name.
pub(crate) fn dependencies_first(services: Vec<DesiredService>) -> Vec<DesiredService> {
    let mut left: BTreeMap<String, DesiredService> =
        services.into_iter().map(|service| (service.name.clone(), service)).collect();
    let names: BTreeSet<String> = left.keys().cloned().collect();
    let mut missing: BTreeMap<&str, usize> = BTreeMap::new();
    let mut dependents: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let edges: Vec<(String, Vec<String>)> = left
        .values()
        .map(|service| {
            let on = service.depends_on.iter().map(|dependency| dependency.service.clone());
            (service.name.clone(), on.filter(|on| names.contains(on)).collect())
        })
        .collect();
    for (name, on) in &edges {
        missing.insert(name, on.len());
        for on in on {
            dependents.entry(on).or_default().push(name);
        }
    }
    let mut ready: BTreeSet<&str> =
        missing.iter().filter(|(_, count)| **count == 0).map(|(name, _)| *name).collect();
    let mut sorted = Vec::with_capacity(left.len());
    while let Some(name) = ready.pop_first() {
        sorted.extend(left.remove(name));
        for dependent in dependents.get(name).into_iter().flatten() {
            if let Some(count) = missing.get_mut(dependent) {
                *count -= 1;
                if *count == 0 {
                    ready.insert(dependent);
                }
            }
        }
    }
    sorted.extend(left.into_values());
    sorted
}
