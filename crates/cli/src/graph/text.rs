//! The graph as trees: each service that nothing depends on, with what it needs below it.

use super::{Graph, Kind};
use std::collections::BTreeSet;

/// Draws trees, with lines of ASCII when the terminal has no others. What was drawn before is named once
/// more, and not drawn again.
pub(crate) fn write(graph: &Graph, ascii: bool) -> String {
    let mut drawing = Drawing { graph, ascii, drawn: BTreeSet::new(), text: String::new() };
    for top in graph.tops() {
        drawing.text.push_str(&drawing.words(top, ""));
        drawing.text.push('\n');
        drawing.below(top, "");
    }
    drawing.text
}

struct Drawing<'a> {
    graph: &'a Graph,
    ascii: bool,
    drawn: BTreeSet<usize>,
    text: String,
}

impl Drawing<'_> {
    fn below(&mut self, node: usize, indent: &str) {
        if !self.drawn.insert(node) {
            return;
        }
        let needs: Vec<_> = self.graph.needs(node).cloned().collect();
        for (place, edge) in needs.iter().enumerate() {
            let is_last = place + 1 == needs.len();
            let (branch, trunk) = match (self.ascii, is_last) {
                (false, false) => ("├─ ", "│  "),
                (false, true) => ("└─ ", "   "),
                (true, false) => ("|- ", "|  "),
                (true, true) => ("`- ", "   "),
            };
            let again = self.drawn.contains(&edge.to) && self.graph.needs(edge.to).next().is_some();
            let more = if again { if self.ascii { " (see above)" } else { " …" } } else { "" };
            let words = self.words(edge.to, &edge.label);
            self.text.push_str(&format!("{indent}{branch}{words}{more}\n"));
            self.below(edge.to, &format!("{indent}{trunk}"));
        }
    }

    fn words(&self, node: usize, label: &str) -> String {
        let node = &self.graph.nodes[node];
        let name = match node.kind {
            Kind::Service => node.name.clone(),
            kind => format!("{} {}", kind.as_str(), node.name),
        };
        let state = node.state.as_ref().map_or_else(String::new, |(words, _)| format!("  [{words}]"));
        let label = match (label, node.kind) {
            ("", _) => String::new(),
            (label, Kind::Volume) => format!(" at {label}"),
            (label, _) => format!(" ({label})"),
        };
        format!("{name}{label}{state}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn services_are_trees() {
        let expected = "\
web  [exited (1)]
├─ db (healthy)  [running, healthy]
│  ├─ network back
│  └─ volume data at /var/lib
└─ network back
";
        assert_eq!(write(&sample(), false), expected);
        let ascii = write(&sample(), true);
        assert!(ascii.is_ascii() && ascii.contains("`- network back"), "{ascii}");
    }
}
