//! The graph as a picture: a column for each step of the way from what nothing depends on.

use super::layout::{HALF, Layout, Stop};
use super::{Edge, Graph, Health, Kind, Node};
use std::fmt::Write as _;
use unicode_width::UnicodeWidthStr as _;

const MARGIN: i64 = 20;
/// Columns, and the gaps between them, are at least as wide.
const NARROWEST: i64 = 110;
const NARROWEST_GAP: i64 = 80;
/// The most that a letter takes on average, of the usual size and of the small one.
const LETTER: i64 = 8;
const SMALL_LETTER: i64 = 7;
/// From one small line to the next.
const SMALL_LINE: i64 = 13;

/// A document of its own, without scripts or fonts from elsewhere.
pub(crate) fn write(graph: &Graph) -> String {
    let layout = Layout::of(graph);
    let grid = Grid::of(graph, &layout);
    let (right, bottom) = grid.size();
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{right}\" height=\"{bottom}\" viewBox=\"0 0 {right} {bottom}\" font-family=\"sans-serif\" font-size=\"13\">\n"
    );
    text.push_str("<defs><marker id=\"to\" markerWidth=\"9\" markerHeight=\"7\" refX=\"9\" refY=\"3.5\" orient=\"auto\"><path d=\"M0 0L9 3.5L0 7z\" fill=\"#555\"/></marker></defs>\n");
    for &(from, to) in &layout.pieces {
        let dash = if graph.nodes[to.node].kind == Kind::Service { "" } else { " stroke-dasharray=\"4 3\"" };
        let end = if layout.is_way(to) { "" } else { " marker-end=\"url(#to)\"" };
        let path = grid.path(from, to);
        let _ = writeln!(text, "<path d=\"{path}\" fill=\"none\" stroke=\"#555\"{dash}{end}/>");
    }
    for (edge, (x, y)) in grid.labels(graph) {
        let label = escaped(&edge.label);
        let _ = writeln!(
            text,
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\" font-size=\"11\" fill=\"#333\" stroke=\"#fff\" stroke-width=\"4\" paint-order=\"stroke\">{label}</text>"
        );
    }
    for (number, node) in graph.nodes.iter().enumerate() {
        draw(node, grid.frame(number), &mut text);
    }
    text.push_str("</svg>\n");
    text
}

/// The layout in units of the picture.
struct Grid<'a> {
    layout: &'a Layout,
    /// The left edge of each column, and its width.
    columns: Vec<(i64, i64)>,
}

impl<'a> Grid<'a> {
    /// Columns in which every name has room, with gaps in which every word at a line has.
    fn of(graph: &Graph, layout: &'a Layout) -> Self {
        let count = layout.columns.iter().max().map_or(0, |last| last + 1);
        let (mut widths, mut gaps) = (vec![NARROWEST; count], vec![NARROWEST_GAP; count]);
        for (node, &column) in graph.nodes.iter().zip(&layout.columns) {
            let widest = wide(&node.name, LETTER).max(wide(beneath(node), SMALL_LETTER)) + 24;
            widths[column] = widths[column].max(widest);
        }
        for edge in &graph.edges {
            let gap = &mut gaps[layout.columns[edge.from]];
            *gap = (*gap).max(wide(&edge.label, SMALL_LETTER) + 50);
        }
        let mut x = MARGIN;
        let mut columns = vec![];
        for (width, gap) in widths.into_iter().zip(gaps) {
            columns.push((x, width));
            x += width + gap;
        }
        Self { layout, columns }
    }

    /// The whole picture's.
    fn size(&self) -> (i64, i64) {
        let right = self.columns.last().map_or(0, |(x, width)| x + width);
        let lowest = self.layout.heights.values().max().map_or(0, |y| y + HALF);
        (right + MARGIN, lowest + 2 * MARGIN)
    }

    fn height(&self, stop: Stop) -> i64 {
        self.layout.heights[&stop] + MARGIN
    }

    /// The left edge, the upper edge and the width of a node's box.
    fn frame(&self, node: usize) -> (i64, i64, i64) {
        let column = self.layout.columns[node];
        let (x, width) = self.columns[column];
        (x, self.height(Stop { column, node }) - HALF, width)
    }

    /// Where a piece leaves a column, and where it comes to the next one.
    fn ends(&self, from: Stop, to: Stop) -> ((i64, i64), (i64, i64)) {
        let (x, width) = self.columns[from.column];
        ((x + width, self.height(from)), (self.columns[to.column].0, self.height(to)))
    }

    /// A curve through the gap, behind a straight line past the column where nothing stands.
    fn path(&self, from: Stop, to: Stop) -> String {
        let ((x1, y1), (x2, y2)) = self.ends(from, to);
        let middle = i64::midpoint(x1, x2);
        let curve = format!("C{middle} {y1} {middle} {y2} {x2} {y2}");
        match self.layout.is_way(from) {
            true => format!("M{} {y1}H{x1}{curve}", self.columns[from.column].0),
            false => format!("M{x1} {y1}{curve}"),
        }
    }

    /// The words at lines: in the middle of the first gap, each above or below those that are there already.
    fn labels<'g>(&self, graph: &'g Graph) -> Vec<(&'g Edge, (i64, i64))> {
        let mut placed: Vec<(&Edge, (i64, i64))> = vec![];
        for edge in graph.edges.iter().filter(|edge| !edge.label.is_empty()) {
            let column = self.layout.columns[edge.from];
            let from = Stop { column, node: edge.from };
            let ((x1, y1), (x2, y2)) = self.ends(from, Stop { column: column + 1, node: edge.to });
            let (x, wished) = (i64::midpoint(x1, x2), i64::midpoint(y1, y2) - 4);
            let is_free = |y: &i64| placed.iter().all(|(_, it)| it.0 != x || (it.1 - y).abs() >= SMALL_LINE);
            let by = (0..).flat_map(|step| [step, -step]);
            let free = by.map(|by| wished + by).find(is_free).expect("there are more heights than words");
            placed.push((edge, (x, free)));
        }
        placed
    }
}

fn draw(node: &Node, (x, y, width): (i64, i64, i64), text: &mut String) {
    let height = 2 * HALF;
    let round = match node.kind {
        Kind::Service => 4,
        Kind::Network => HALF,
        Kind::Volume => 14,
    };
    let colour = node.state.as_ref().map_or("#1565c0", |(_, health)| colour(*health));
    let (middle, first_y, second_y) = (x + width / 2, y + 20, y + 38);
    let (name, second) = (escaped(&node.name), escaped(beneath(node)));
    let kind = node.kind.as_str();
    let _ = writeln!(
        text,
        "<g><title>{kind} {name}</title><rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"{round}\" fill=\"#fff\" stroke=\"{colour}\" stroke-width=\"2\"/><text x=\"{middle}\" y=\"{first_y}\" text-anchor=\"middle\">{name}</text><text x=\"{middle}\" y=\"{second_y}\" text-anchor=\"middle\" font-size=\"11\" fill=\"{colour}\">{second}</text></g>"
    );
}

/// What stands beneath a node's name.
fn beneath(node: &Node) -> &str {
    node.state.as_ref().map_or(node.kind.as_str(), |(words, _)| words)
}

/// The width of a text whose letters have this one.
fn wide(text: &str, letter: i64) -> i64 {
    i64::try_from(text.width()).unwrap_or(i64::from(u16::MAX)) * letter
}

fn colour(health: Health) -> &'static str {
    match health {
        Health::Well => "#2e7d32",
        Health::Between => "#ef6c00",
        Health::Ill => "#c62828",
        Health::Down => "#757575",
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn everything_is_drawn_once() {
        let text = write(&sample());
        assert_eq!(text.matches("<rect").count(), 4);
        // The ways of `web` and of `db` to the network end in an arrow each.
        assert_eq!(text.matches("marker-end").count(), 4);
        assert!(text.contains(">exited (1)<") && text.contains(">volume<"), "{text}");
    }

    #[test]
    fn names_are_whole_and_cannot_break_out() {
        let mut graph = sample();
        let long = "x".repeat(100);
        graph.nodes[0].name.clone_from(&long);
        let text = write(&graph);
        let room = |line: &&str| line.split("width=\"").nth(1)?.split('"').next()?.parse::<i64>().ok();
        let boxed = text.lines().find(|line| line.contains(&format!(">{long}<"))).unwrap();
        assert!(room(&boxed).unwrap() > wide(&long, LETTER), "{boxed}");
        assert_eq!(escaped("<a&\"b>"), "&lt;a&amp;&quot;b&gt;");
    }

    #[test]
    fn words_at_lines_do_not_cover_each_other() {
        let mut graph = sample();
        graph.edges[2].label = "healthy, optional".to_owned();
        graph.edges[3].label = "else".to_owned();
        let layout = Layout::of(&graph);
        let labels = Grid::of(&graph, &layout).labels(&graph);
        for (at, (_, (x, y))) in labels.iter().enumerate() {
            assert!(
                labels[..at].iter().all(|(_, it)| it.0 != *x || (it.1 - y).abs() >= SMALL_LINE),
                "{labels:?}"
            );
        }
    }
}
