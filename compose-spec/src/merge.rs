//! Merging two trees in canonical form: an earlier file or extended service, and what comes on top.

#[cfg(test)]
mod associative;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;

use diagnostic::{Diagnostic, Span};

use crate::forms;
use crate::schema::{Kind, Object};
use crate::scope::Scope;
use crate::tree::{Entry, Map, Mark, Node, Value};

/// How two values of one key are put together.
#[derive(Clone, Copy)]
pub(crate) enum Merge {
    /// Mappings key by key, lists one after the other, the later scalar.
    Deep,
    /// The later one.
    Replace,
    /// Mappings by key, but each entry as a whole, null too.
    Entries,
    /// Lists one after the other; of items with one key the later, in the place of the earlier.
    Unique(fn(&Node) -> String),
    /// Mappings of lists; a list holds no text twice.
    Lists,
    /// Deep, unless the drivers differ.
    Logging,
    /// Address blocks: deep by `subnet`.
    Subnets,
}

/// Whether marks stay in the result, for the merge with yet earlier files.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marks {
    /// The result is final.
    Apply,
    /// The result is going to be merged onto something.
    Keep,
}

/// What is inside a mapping.
enum Inside {
    Fields(&'static Object),
    Entries(&'static Kind),
    Anything,
}

fn inside(kind: &Kind) -> Inside {
    match kind {
        Kind::Object(object) => Inside::Fields(object),
        Kind::Map(inner) | Kind::Named(inner) => Inside::Entries(inner),
        Kind::Shapes(_, _, map) => inside(map),
        _ => Inside::Anything,
    }
}

/// Merges `over` onto `base`, both mappings with the keys of `object`.
pub(crate) fn objects(
    base: &mut Node,
    over: Node,
    object: &'static Object,
    marks: Marks,
    scope: &mut Scope<'_>,
) {
    if let (Value::Map(base), Value::Map(over)) = (&mut base.value, over.value) {
        maps(base, over, &Inside::Fields(object), marks, scope);
    }
}

fn maps(base: &mut Map, over: Map, inside: &Inside, marks: Marks, scope: &mut Scope<'_>) {
    for (key, entry) in over {
        if entry.node.mark == Some(Mark::Reset) && marks == Marks::Apply {
            base.remove(&key);
            continue;
        }
        match base.get_mut(&key) {
            Some(earlier) if entry.node.mark.is_none() => {
                if !entry.node.is_null() {
                    earlier.key_span = entry.key_span;
                }
                let (kind, merge) = match inside {
                    Inside::Fields(object) => object
                        .field(&key)
                        .map_or((&Kind::Any, Merge::Deep), |field| (&field.kind, field.merge)),
                    Inside::Entries(kind) => (*kind, Merge::Deep),
                    Inside::Anything => (&Kind::Any, Merge::Deep),
                };
                values(&mut earlier.node, entry.node, kind, merge, marks, scope);
            }
            earlier => {
                if let Some(earlier) = earlier {
                    replaced(&earlier.node, &entry.node, scope);
                }
                base.insert(key, entry);
            }
        }
    }
}

fn values(base: &mut Node, over: Node, kind: &Kind, merge: Merge, marks: Marks, scope: &mut Scope<'_>) {
    if over.is_null() && !matches!(merge, Merge::Entries) {
        return;
    }
    if base.is_null() || matches!(base.value, Value::Bad) || matches!(over.value, Value::Bad) {
        let mark = base.mark;
        *base = over;
        base.mark = base.mark.or(mark);
        return;
    }
    match merge {
        Merge::Replace => replace(base, over, scope),
        Merge::Logging if differ(base, &over) => replace(base, over, scope),
        Merge::Entries => entries(base, over, marks, scope),
        Merge::Unique(key) => {
            concatenate(base, over, scope);
            unique_telling(base, key, &mut |winner, loser| scope.overrides(winner, loser));
        }
        Merge::Lists => lists(base, over, marks, scope),
        Merge::Subnets => subnets(base, over, marks, scope),
        Merge::Deep | Merge::Logging => deep(base, over, kind, marks, scope),
    }
}

fn replace(base: &mut Node, mut over: Node, scope: &mut Scope<'_>) {
    replaced(base, &over, scope);
    over.mark = over.mark.or(base.mark);
    *base = over;
}

/// Keeps that `over` takes the place of `base`, and so does every value in it.
fn replaced(base: &Node, over: &Node, scope: &mut Scope<'_>) {
    if scope.trace.is_none() {
        return;
    }
    match &over.value {
        Value::Map(map) => map.values().for_each(|entry| replaced(base, &entry.node, scope)),
        Value::List(items) => items.iter().for_each(|item| replaced(base, item, scope)),
        _ => scope.overrides(over.span, base.span),
    }
}

fn differ(base: &Node, over: &Node) -> bool {
    matches!((base.str("driver"), over.str("driver")), (Some(a), Some(b)) if a != b)
}

fn deep(base: &mut Node, over: Node, kind: &Kind, marks: Marks, scope: &mut Scope<'_>) {
    let over_span = over.span;
    match (&mut base.value, over.value) {
        (Value::Map(base), Value::Map(over)) => maps(base, over, &inside(kind), marks, scope),
        (Value::List(base), Value::List(over)) => base.extend(over),
        (Value::Map(_) | Value::List(_), value) | (_, value @ (Value::Map(_) | Value::List(_))) => {
            let (earlier, kinds) = (base.span, (base.kind(), Node::new(value, over_span).kind()));
            scope.tell(
                Diagnostic::error("cannot-merge", format!("{} cannot be merged onto {}", kinds.1, kinds.0))
                    .at(over_span, format!("this is {}", kinds.1))
                    .at(earlier, format!("this is {}", kinds.0))
                    .help("`!override` replaces the earlier value"),
            );
        }
        (base_value, value) => {
            *base_value = value;
            scope.overrides(over_span, base.span);
            base.span = over_span;
        }
    }
}

fn entries(base: &mut Node, mut over: Node, marks: Marks, scope: &mut Scope<'_>) {
    if matches!(base.value, Value::List(_)) || matches!(over.value, Value::List(_)) {
        // An item is a variable that has not been replaced, so that nobody knows its key.
        assignments(base);
        assignments(&mut over);
        concatenate(base, over, scope);
        return unique_telling(base, forms::by_key, &mut |winner, loser| scope.overrides(winner, loser));
    }
    let (Value::Map(base), Value::Map(over)) = (&mut base.value, over.value) else { return };
    for (key, entry) in over {
        if entry.node.mark == Some(Mark::Reset) && marks == Marks::Apply {
            base.remove(&key);
        } else {
            if let Some(earlier) = base.get(&key) {
                replaced(&earlier.node, &entry.node, scope);
            }
            base.insert(key, entry);
        }
    }
}

/// Turns a mapping into a list of `KEY=value`; a value that is a list gives an item for each of its texts.
fn assignments(node: &mut Node) {
    let Value::Map(map) = &mut node.value else { return };
    let mut items = Vec::with_capacity(map.len());
    for (key, Entry { node, .. }) in std::mem::take(map) {
        let values = match node.value {
            _ if node.mark == Some(Mark::Reset) => continue,
            Value::List(values) => values,
            _ => vec![node],
        };
        items.extend(values.into_iter().map(|value| {
            let text = value.scalar_text().map_or_else(|| key.clone(), |text| format!("{key}={text}"));
            Node::string(text, value.span)
        }));
    }
    node.value = Value::List(items);
}

fn concatenate(base: &mut Node, over: Node, scope: &mut Scope<'_>) {
    deep(base, over, &Kind::Any, Marks::Apply, scope);
}

/// Of the items of a list with one key, keeps the last, in the place of the first.
pub(crate) fn unique(node: &mut Node, key: fn(&Node) -> String) {
    unique_telling(node, key, &mut |_, _| {});
}

/// The same; `tell` hears the places of what is kept and of what it takes the place of.
fn unique_telling(node: &mut Node, key: fn(&Node) -> String, tell: &mut dyn FnMut(Span, Span)) {
    let Value::List(items) = &mut node.value else { return };
    if items.len() < 2 {
        return;
    }
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut kept: Vec<Node> = Vec::with_capacity(items.len());
    for item in items.drain(..) {
        if matches!(item.value, Value::Bad) {
            kept.push(item);
            continue;
        }
        match places.entry(key(&item)) {
            Place::Occupied(place) => {
                let earlier = &mut kept[*place.get()];
                told(&item, earlier.span, tell);
                *earlier = item;
            }
            Place::Vacant(place) => {
                place.insert(kept.len());
                kept.push(item);
            }
        }
    }
    *items = kept;
}

/// Tells of every value in `item` that it takes the place of what is at `earlier`.
fn told(item: &Node, earlier: Span, tell: &mut dyn FnMut(Span, Span)) {
    match &item.value {
        Value::Map(map) => map.values().for_each(|entry| told(&entry.node, earlier, tell)),
        Value::List(items) => items.iter().for_each(|item| told(item, earlier, tell)),
        _ => tell(item.span, earlier),
    }
}

fn lists(base: &mut Node, mut over: Node, marks: Marks, scope: &mut Scope<'_>) {
    if matches!(base.value, Value::List(_)) || matches!(over.value, Value::List(_)) {
        assignments(base);
        assignments(&mut over);
        concatenate(base, over, scope);
        return unique(base, forms::by_text);
    }
    deep(base, over, &Kind::Any, marks, scope);
    if let Some(map) = base.as_map_mut() {
        for entry in map.values_mut() {
            unique(&mut entry.node, forms::by_text);
        }
    }
}

fn subnets(base: &mut Node, over: Node, marks: Marks, scope: &mut Scope<'_>) {
    let (Value::List(base), Value::List(over)) = (&mut base.value, over.value) else { return };
    for item in over {
        let same = item
            .str("subnet")
            .and_then(|subnet| base.iter().position(|earlier| earlier.str("subnet") == Some(subnet)));
        match same {
            Some(at) => deep(&mut base[at], item, &Kind::Any, marks, scope),
            None => base.push(item),
        }
    }
}

/// Takes the marks off a tree, and what is marked `!reset` out of it.
pub(crate) fn settle(node: &mut Node) {
    node.mark = None;
    match &mut node.value {
        Value::Map(map) => {
            map.retain(|_, entry| entry.node.mark != Some(Mark::Reset));
            map.values_mut().for_each(|entry| settle(&mut entry.node));
        }
        Value::List(items) => items.iter_mut().for_each(settle),
        _ => {}
    }
}
