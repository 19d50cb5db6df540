//! The graph as a picture: a column for each step of the way from what nothing depends on.

use super::{Graph, Health, Kind, Node};
use std::fmt::Write as _;

const WIDTH: usize = 190;
const HEIGHT: usize = 48;
const GAP_X: usize = 90;
const GAP_Y: usize = 24;
const MARGIN: usize = 20;

/// Letters of the usual size that fit into a box.
const FITTING: usize = 24;

/// A document of its own, without scripts or fonts from elsewhere.
pub(crate) fn write(graph: &Graph) -> String {
    let places = places(graph);
    let right = places.iter().map(|(x, _)| x + WIDTH).max().unwrap_or(0) + MARGIN;
    let bottom = places.iter().map(|(_, y)| y + HEIGHT).max().unwrap_or(0) + MARGIN;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{right}\" height=\"{bottom}\" viewBox=\"0 0 {right} {bottom}\" font-family=\"sans-serif\" font-size=\"13\">\n"
    );
    text.push_str("<defs><marker id=\"to\" markerWidth=\"9\" markerHeight=\"7\" refX=\"9\" refY=\"3.5\" orient=\"auto\"><path d=\"M0 0L9 3.5L0 7z\" fill=\"#555\"/></marker></defs>\n");
    for edge in &graph.edges {
        let ((from_x, from_y), (to_x, to_y)) = (places[edge.from], places[edge.to]);
        let (x1, y1, x2, y2) = (from_x + WIDTH, from_y + HEIGHT / 2, to_x, to_y + HEIGHT / 2);
        let dash = if graph.nodes[edge.to].kind == Kind::Service { "" } else { " stroke-dasharray=\"4 3\"" };
        let (bend1, bend2) = (x1 + GAP_X / 2, x2.saturating_sub(GAP_X / 2));
        let _ = writeln!(
            text,
            "<path d=\"M{x1} {y1}C{bend1} {y1} {bend2} {y2} {x2} {y2}\" fill=\"none\" stroke=\"#555\"{dash} marker-end=\"url(#to)\"/>"
        );
        if !edge.label.is_empty() {
            let (x, y) = (usize::midpoint(x1, x2), usize::midpoint(y1, y2).saturating_sub(4));
            let label = escaped(&edge.label);
            let _ = writeln!(
                text,
                "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\" font-size=\"11\" fill=\"#333\">{label}</text>"
            );
        }
    }
    for (node, (x, y)) in graph.nodes.iter().zip(&places) {
        draw(node, *x, *y, &mut text);
    }
    text.push_str("</svg>\n");
    text
}

fn draw(node: &Node, x: usize, y: usize, text: &mut String) {
    let round = match node.kind {
        Kind::Service => 4,
        Kind::Network => HEIGHT / 2,
        Kind::Volume => 14,
    };
    let colour = node.state.as_ref().map_or("#1565c0", |(_, health)| colour(*health));
    let second = match &node.state {
        Some((words, _)) => words.as_str(),
        None => node.kind.as_str(),
    };
    let (middle, first_y, second_y) = (x + WIDTH / 2, y + 20, y + 38);
    let (name, second) = (escaped(&shortened(&node.name)), escaped(&shortened(second)));
    let _ = writeln!(
        text,
        "<g><title>{} {}</title><rect x=\"{x}\" y=\"{y}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"{round}\" fill=\"#fff\" stroke=\"{colour}\" stroke-width=\"2\"/><text x=\"{middle}\" y=\"{first_y}\" text-anchor=\"middle\">{name}</text><text x=\"{middle}\" y=\"{second_y}\" text-anchor=\"middle\" font-size=\"11\" fill=\"{colour}\">{second}</text></g>",
        node.kind.as_str(),
        escaped(&node.name)
    );
}

/// The upper left corner of each node.
fn places(graph: &Graph) -> Vec<(usize, usize)> {
    let columns = columns(graph);
    let mut heights = vec![MARGIN; columns.iter().max().map_or(0, |last| last + 1)];
    columns
        .into_iter()
        .map(|column| {
            let y = heights[column];
            heights[column] += HEIGHT + GAP_Y;
            (MARGIN + column * (WIDTH + GAP_X), y)
        })
        .collect()
}

/// The column of each node: one further than the furthest of those that need it. The loader has refused
/// cycles, so as many rounds as there are nodes are enough.
fn columns(graph: &Graph) -> Vec<usize> {
    let mut columns = vec![0; graph.nodes.len()];
    for _ in 0..graph.nodes.len() {
        for edge in &graph.edges {
            columns[edge.to] = columns[edge.to].max(columns[edge.from] + 1).min(graph.nodes.len());
        }
    }
    columns
}

fn colour(health: Health) -> &'static str {
    match health {
        Health::Well => "#2e7d32",
        Health::Between => "#ef6c00",
        Health::Ill => "#c62828",
        Health::Down => "#757575",
    }
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= FITTING {
        return text.to_owned();
    }
    text.chars().take(FITTING - 1).chain(['…']).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn what_is_needed_stands_to_the_right() {
        let graph = sample();
        assert_eq!(columns(&graph), [1, 0, 2, 2]);
        let places = places(&graph);
        assert_ne!(places[2], places[3]);
        let text = write(&graph);
        assert_eq!(text.matches("<rect").count(), 4);
        assert_eq!(text.matches("marker-end").count(), 4);
        assert!(text.contains(">exited (1)<") && text.contains(">volume<"), "{text}");
    }

    #[test]
    fn names_cannot_break_out() {
        assert_eq!(escaped("<a&\"b>"), "&lt;a&amp;&quot;b&gt;");
        assert_eq!(shortened(&"x".repeat(30)).chars().count(), FITTING);
    }
}
