//! The graph for Graphviz.

use super::{Graph, Health, Kind};
use std::fmt::Write as _;

/// A `digraph`; node names are those of the Compose file with their kind in front.
pub(crate) fn write(graph: &Graph) -> String {
    let mut text = String::from("digraph project {\n  rankdir=LR;\n  node [fontname=\"sans-serif\"];\n");
    for node in &graph.nodes {
        let shape = match node.kind {
            Kind::Service => "box",
            Kind::Network => "ellipse",
            Kind::Volume => "cylinder",
        };
        let (state, colour) = match &node.state {
            None => (String::new(), "black"),
            Some((words, health)) => (format!("\\n{}", escaped(words)), colour(*health)),
        };
        let name = escaped(&node.name);
        let _ = writeln!(
            text,
            "  \"{}:{name}\" [label=\"{name}{state}\", shape={shape}, color={colour}];",
            node.kind.as_str()
        );
    }
    for edge in &graph.edges {
        let (from, to) = (&graph.nodes[edge.from], &graph.nodes[edge.to]);
        let style = if to.kind == Kind::Service { "solid" } else { "dashed" };
        let _ = writeln!(
            text,
            "  \"{}:{}\" -> \"{}:{}\" [label=\"{}\", style={style}];",
            from.kind.as_str(),
            escaped(&from.name),
            to.kind.as_str(),
            escaped(&to.name),
            escaped(&edge.label)
        );
    }
    text.push_str("}\n");
    text
}

fn colour(health: Health) -> &'static str {
    match health {
        Health::Well => "green4",
        Health::Between => "orange3",
        Health::Ill => "red3",
        Health::Down => "gray50",
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn nodes_and_edges_are_statements() {
        let text = write(&sample());
        assert!(
            text.contains("\"service:web\" [label=\"web\\nexited (1)\", shape=box, color=red3];"),
            "{text}"
        );
        assert!(
            text.contains("\"service:web\" -> \"service:db\" [label=\"healthy\", style=solid];"),
            "{text}"
        );
        assert!(
            text.contains("\"service:db\" -> \"volume:data\" [label=\"/var/lib\", style=dashed];"),
            "{text}"
        );
        assert_eq!(text.matches('{').count(), text.matches('}').count());
        assert_eq!(escaped("a\"b\\"), "a\\\"b\\\\");
    }
}
