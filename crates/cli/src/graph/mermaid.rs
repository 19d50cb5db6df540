//! The graph for Mermaid, which web pages of repositories draw.

use super::{Graph, Health, Kind};
use std::fmt::Write as _;

/// A flowchart. Nodes are numbered: names may have letters that Mermaid does not take.
pub(crate) fn write(graph: &Graph) -> String {
    let mut text = String::from("flowchart LR\n");
    for (place, node) in graph.nodes.iter().enumerate() {
        let state =
            node.state.as_ref().map_or_else(String::new, |(words, _)| format!("<br/>{}", escaped(words)));
        let label = format!("\"{}{state}\"", escaped(&node.name));
        let shape = match node.kind {
            Kind::Service => format!("[{label}]"),
            Kind::Network => format!("([{label}])"),
            Kind::Volume => format!("[({label})]"),
        };
        let class = node.state.as_ref().map_or("", |(_, health)| class(*health));
        let _ = writeln!(text, "  n{place}{shape}{class}");
    }
    for edge in &graph.edges {
        let line = if graph.nodes[edge.to].kind == Kind::Service { "-->" } else { "-.->" };
        let label =
            if edge.label.is_empty() { String::new() } else { format!("|\"{}\"|", escaped(&edge.label)) };
        let _ = writeln!(text, "  n{} {line}{label} n{}", edge.from, edge.to);
    }
    for (name, colour) in
        [("well", "#2e7d32"), ("between", "#ef6c00"), ("ill", "#c62828"), ("down", "#757575")]
    {
        let _ = writeln!(text, "  classDef {name} stroke:{colour}");
    }
    text
}

fn class(health: Health) -> &'static str {
    match health {
        Health::Well => ":::well",
        Health::Between => ":::between",
        Health::Ill => ":::ill",
        Health::Down => ":::down",
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "#amp;").replace('"', "#quot;").replace('<', "#lt;").replace('>', "#gt;")
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn kinds_have_shapes() {
        let text = write(&sample());
        for line in [
            "  n1[\"web<br/>exited (1)\"]:::ill",
            "  n2([\"back\"])",
            "  n3[(\"data\")]",
            "  n1 -->|\"healthy\"| n0",
            "  n0 -.->|\"/var/lib\"| n3",
            "  n1 -.-> n2",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
        }
        assert_eq!(escaped("<\"&"), "#lt;#quot;#amp;");
    }
}
