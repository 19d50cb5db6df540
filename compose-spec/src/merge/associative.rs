//! Merging three files gives the same whichever two are merged first: for every merge rule but that of
//! `logging`, whose outcome depends on the driver named last (`spec.md` replaces it where drivers differ).

use std::collections::BTreeSet;

use diagnostic::{Sources, Span};
use proptest::prelude::*;

use super::{Marks, objects};
use crate::schema::TOP;
use crate::scope::Scope;
use crate::tree::{Entry, Map, Node, Value};

fn node(value: Value) -> Node {
    Node::new(value, Span::NOWHERE)
}

fn word() -> impl Strategy<Value = Node> {
    prop::sample::select(vec!["a", "b", "c"]).prop_map(|word| Node::string(word, Span::NOWHERE))
}

fn number() -> impl Strategy<Value = Node> {
    (0..3i64).prop_map(|number| node(Value::Int(number)))
}

fn list(item: impl Strategy<Value = Node> + 'static) -> BoxedStrategy<Node> {
    prop::collection::vec(item, 0..4).prop_map(|items| node(Value::List(items))).boxed()
}

/// A list whose items differ in `key`, or as texts, as those of one file do.
fn set(item: impl Strategy<Value = Node> + 'static, key: &'static str) -> BoxedStrategy<Node> {
    let name = move |item: &Node| item.str(key).or(item.as_str()).unwrap_or_default().to_owned();
    let distinct = move |items: Vec<Node>| {
        let mut seen = BTreeSet::new();
        node(Value::List(items.into_iter().filter(|item| seen.insert(name(item))).collect()))
    };
    prop::collection::vec(item, 0..4).prop_map(distinct).boxed()
}

/// A mapping that has each key or not, or, if it may, has it empty.
fn map(keys: &[(&'static str, BoxedStrategy<Node>)], empty: bool) -> BoxedStrategy<Node> {
    let entry = |(key, value): &(&'static str, BoxedStrategy<Node>)| {
        let null = Just(Some(node(Value::Null)));
        let key = *key;
        let value = prop_oneof![
            2 => Just(None),
            3 => value.clone().prop_map(Some),
            u32::from(empty) => null,
        ];
        value.prop_map(move |value| Some((key.to_owned(), Entry { key_span: Span::NOWHERE, node: value? })))
    };
    let entries: Vec<_> = keys.iter().map(entry).collect();
    entries.prop_map(|entries| node(Value::Map(entries.into_iter().flatten().collect::<Map>()))).boxed()
}

fn required(
    key: &'static str,
    fixed: BoxedStrategy<Node>,
    others: BoxedStrategy<Node>,
) -> BoxedStrategy<Node> {
    (fixed, others)
        .prop_map(move |(fixed, mut others)| {
            others.set(key, fixed);
            others
        })
        .boxed()
}

fn file() -> impl Strategy<Value = Node> {
    let word = || word().boxed();
    let texts = || map(&[("K", word()), ("L", word())], true);
    let mount = required("target", word(), map(&[("source", word()), ("type", word())], false));
    let port =
        required("target", number().boxed(), map(&[("published", word()), ("host_ip", word())], false));
    let hosts = map(&[("h", set(word(), "")), ("i", set(word(), ""))], false);
    let limit = map(&[("soft", number().boxed()), ("hard", number().boxed())], false);
    let service = map(
        &[
            ("image", word()),
            ("command", list(word())),
            ("cap_add", set(word(), "")),
            ("environment", texts()),
            ("extra_hosts", hosts),
            ("healthcheck", map(&[("test", list(word())), ("retries", number().boxed())], true)),
            (
                "ports",
                list(port)
                    .prop_map(|mut ports| {
                        super::unique(&mut ports, crate::forms::by_port);
                        ports
                    })
                    .boxed(),
            ),
            ("pre_stop", list(map(&[("user", word())], false))),
            ("ulimits", map(&[("nofile", limit)], true)),
            ("volumes", set(mount, "target")),
        ],
        true,
    );
    let block = required("subnet", word(), map(&[("gateway", word())], false));
    let network =
        map(&[("ipam", map(&[("config", set(block, "subnet"))], false)), ("labels", texts())], true);
    map(
        &[
            ("name", word()),
            ("services", map(&[("s", service.clone()), ("t", service)], false)),
            ("networks", map(&[("n", network)], true)),
        ],
        true,
    )
}

fn merged(mut base: Node, over: Node) -> Node {
    let (sources, mut diagnostics) = (Sources::new(), Vec::new());
    let mut scope = Scope {
        sources: &sources,
        diagnostics: &mut diagnostics,
        interpolated: true,
        made: &mut 0,
        trace: None,
    };
    objects(&mut base, over, &TOP, Marks::Apply, &mut scope);
    assert!(diagnostics.is_empty(), "shapes that fit merge");
    base
}

proptest! {
    #[test]
    fn it_does_not_matter_which_two_are_merged_first(a in file(), b in file(), c in file()) {
        let left = merged(merged(a.clone(), b.clone()), c.clone());
        prop_assert_eq!(left, merged(a, merged(b, c)));
    }
}
