//! Where the nodes of a picture stand, and which way its lines take: in layers, as Sugiyama has it.
//!
//! A column holds what is one step further than the furthest of those that need it. A line that goes past columns
//! has a waypoint in each, which lines to the same node share; so lines run between boxes, never through them. Nodes
//! and waypoints of a column are put into the order in which the fewest lines cross, and then as level with their
//! neighbours as those above and below leave room for.

use super::Graph;
use std::collections::{BTreeMap, BTreeSet};

/// Rounds of ordering, each from the left or from the right; the best of them counts.
const ROUNDS: usize = 16;
/// Half the height of a box.
pub(super) const HALF: i64 = 24;
/// Half the height of a waypoint.
const HALF_WAY: i64 = 5;
/// Room between two that stand one above the other.
const BETWEEN: i64 = 20;

/// A node or a waypoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stop {
    /// The column.
    pub(super) column: usize,
    /// The node that stands there, or to which what passes here goes.
    pub(super) node: usize,
}

/// Where everything is.
#[derive(Debug)]
pub(super) struct Layout {
    /// The column of each node.
    pub(super) columns: Vec<usize>,
    /// The height of every node's and waypoint's middle, the uppermost being about [`HALF`].
    pub(super) heights: BTreeMap<Stop, i64>,
    /// The pieces of lines, each from one column to the next.
    pub(super) pieces: BTreeSet<(Stop, Stop)>,
}

impl Layout {
    pub(super) fn of(graph: &Graph) -> Self {
        let columns = columns(graph);
        let pieces = pieces(graph, &columns);
        let orders = ordered(&columns, &pieces);
        let heights = heights(&columns, &orders, &pieces);
        Self { columns, heights, pieces }
    }

    /// Whether nothing stands at a stop: lines only pass.
    pub(super) fn is_way(&self, stop: Stop) -> bool {
        self.columns[stop.node] != stop.column
    }
}

/// The column of each node. The loader has refused cycles, so as many rounds as there are nodes are enough.
fn columns(graph: &Graph) -> Vec<usize> {
    let mut columns = vec![0; graph.nodes.len()];
    for _ in 0..graph.nodes.len() {
        let before = columns.clone();
        for edge in &graph.edges {
            columns[edge.to] = columns[edge.to].max(columns[edge.from] + 1).min(graph.nodes.len());
        }
        if columns == before {
            break;
        }
    }
    columns
}

/// Every line in pieces, those that lines to one node share only once.
fn pieces(graph: &Graph, columns: &[usize]) -> BTreeSet<(Stop, Stop)> {
    let of_edge = |from: usize, to: usize| {
        (columns[from]..columns[to]).map(move |column| {
            let node = if column == columns[from] { from } else { to };
            (Stop { column, node }, Stop { column: column + 1, node: to })
        })
    };
    graph.edges.iter().flat_map(|edge| of_edge(edge.from, edge.to)).collect()
}

/// Who is linked with whom, in both directions.
struct Neighbours(BTreeMap<Stop, Vec<Stop>>);

impl Neighbours {
    fn of(pieces: &BTreeSet<(Stop, Stop)>) -> Self {
        let mut all: BTreeMap<Stop, Vec<Stop>> = BTreeMap::new();
        for &(from, to) in pieces {
            all.entry(from).or_default().push(to);
            all.entry(to).or_default().push(from);
        }
        Self(all)
    }

    fn of_stop(&self, stop: Stop) -> impl Iterator<Item = Stop> {
        self.0.get(&stop).into_iter().flatten().copied()
    }
}

/// The stops of each column from above, so that few lines cross.
fn ordered(columns: &[usize], pieces: &BTreeSet<(Stop, Stop)>) -> Vec<Vec<Stop>> {
    let mut orders: Vec<Vec<Stop>> = vec![vec![]; columns.iter().max().map_or(0, |last| last + 1)];
    let nodes = columns.iter().enumerate().map(|(node, &column)| Stop { column, node });
    let stops: BTreeSet<Stop> = nodes.chain(pieces.iter().flat_map(|&(from, to)| [from, to])).collect();
    stops.into_iter().for_each(|stop| orders[stop.column].push(stop));
    let neighbours = Neighbours::of(pieces);
    let mut best = (crossings(&orders, pieces), orders.clone());
    for round in 0..ROUNDS {
        let to_the_right = round % 2 == 0;
        let last = orders.len().saturating_sub(1);
        for step in 0..last {
            let (column, other) =
                if to_the_right { (step + 1, step) } else { (last - step - 1, last - step) };
            level(&mut orders, column, other, &neighbours);
        }
        let count = crossings(&orders, pieces);
        if count < best.0 {
            best = (count, orders.clone());
        }
    }
    best.1
}

/// Orders a column by where the neighbours in another one stand on average.
fn level(orders: &mut [Vec<Stop>], column: usize, other: usize, neighbours: &Neighbours) {
    const FINE: usize = 1024;
    let places = places(&orders[other]);
    let mut keyed: Vec<(usize, Stop)> = vec![];
    for (at, &stop) in orders[column].iter().enumerate() {
        let beside: Vec<usize> =
            neighbours.of_stop(stop).filter_map(|stop| places.get(&stop)).copied().collect();
        // What has none there stays about where it is.
        let key = match beside.len() {
            0 => at * FINE,
            many => beside.iter().sum::<usize>() * FINE / many,
        };
        keyed.push((key, stop));
    }
    keyed.sort_by_key(|(key, _)| *key);
    orders[column] = keyed.into_iter().map(|(_, stop)| stop).collect();
}

fn places(order: &[Stop]) -> BTreeMap<Stop, usize> {
    order.iter().enumerate().map(|(at, &stop)| (stop, at)).collect()
}

/// How many pairs of pieces cross.
fn crossings(orders: &[Vec<Stop>], pieces: &BTreeSet<(Stop, Stop)>) -> usize {
    let places: Vec<_> = orders.iter().map(|order| places(order)).collect();
    let mut ends: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
    for (from, to) in pieces {
        let pair = (places[from.column][from], places[to.column][to]);
        ends.entry(from.column).or_default().push(pair);
    }
    let in_gap = |mut pairs: Vec<(usize, usize)>| {
        pairs.sort_unstable();
        let mut above: Vec<usize> = vec![];
        let mut count = 0;
        for (_, end) in pairs {
            let at = above.partition_point(|&earlier| earlier <= end);
            count += above.len() - at;
            above.insert(at, end);
        }
        count
    };
    ends.into_values().map(in_gap).sum()
}

/// The heights of all stops: near the mean of those they are linked with, in their order, and not too near each
/// other.
fn heights(columns: &[usize], orders: &[Vec<Stop>], pieces: &BTreeSet<(Stop, Stop)>) -> BTreeMap<Stop, i64> {
    let neighbours = Neighbours::of(pieces);
    let half = |stop: &Stop| if columns[stop.node] == stop.column { HALF } else { HALF_WAY };
    let apart = |upper: &Stop, lower: &Stop| half(upper) + half(lower) + BETWEEN;
    let mut heights: BTreeMap<Stop, i64> = BTreeMap::new();
    for order in orders {
        let mut y = 0;
        let mut above: Option<&Stop> = None;
        for stop in order {
            y += above.map_or(0, |above| apart(above, stop));
            heights.insert(*stop, y);
            above = Some(stop);
        }
    }
    for round in 0..ROUNDS {
        let of_round: Vec<&Vec<Stop>> =
            if round % 2 == 0 { orders.iter().collect() } else { orders.iter().rev().collect() };
        for order in of_round {
            let wished: Vec<i64> = order.iter().map(|stop| mean(*stop, &neighbours, &heights)).collect();
            // From above each stands as wished or lower, from below as wished or higher: between the two there is
            // room, too.
            let mut lower = wished.clone();
            let mut upper = wished;
            for at in 1..order.len() {
                lower[at] = lower[at].max(lower[at - 1] + apart(&order[at - 1], &order[at]));
            }
            for at in (1..order.len()).rev() {
                upper[at - 1] = upper[at - 1].min(upper[at] - apart(&order[at - 1], &order[at]));
            }
            for ((stop, low), high) in order.iter().zip(lower).zip(upper) {
                heights.insert(*stop, i64::midpoint(low, high));
            }
        }
    }
    let least = heights.values().copied().min().unwrap_or(0);
    heights.into_iter().map(|(stop, y)| (stop, y - least + HALF)).collect()
}

fn mean(stop: Stop, neighbours: &Neighbours, heights: &BTreeMap<Stop, i64>) -> i64 {
    let (sum, count) =
        neighbours.of_stop(stop).fold((0, 0), |(sum, count), it| (sum + heights[&it], count + 1));
    if count == 0 { heights[&stop] } else { sum / count }
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::super::{Edge, Kind, Node};
    use super::*;

    fn graph(count: usize, edges: &[(usize, usize)]) -> Graph {
        let node = |at: usize| Node { kind: Kind::Service, name: format!("s{at}"), state: None };
        let edge = |&(from, to): &(usize, usize)| Edge { from, to, label: String::new() };
        Graph { nodes: (0..count).map(node).collect(), edges: edges.iter().map(edge).collect() }
    }

    #[test]
    fn what_is_needed_stands_further_on() {
        let layout = Layout::of(&sample());
        assert_eq!(layout.columns, [1, 0, 2, 2]);
        let heights = |column| layout.heights.iter().filter(move |(stop, _)| stop.column == column);
        assert_eq!(heights(1).count(), 2, "db, and the way of web to the network");
        assert!(heights(1).any(|(stop, _)| layout.is_way(*stop)));
    }

    #[test]
    fn lines_that_need_not_cross_do_not() {
        // Both ways of drawing four boxes, one of which crosses.
        for edges in [[(0, 3), (1, 2)], [(0, 2), (1, 3)]] {
            let graph = graph(4, &edges);
            let columns = columns(&graph);
            let pieces = pieces(&graph, &columns);
            assert_eq!(crossings(&ordered(&columns, &pieces), &pieces), 0);
        }
    }

    #[test]
    fn nothing_stands_where_something_else_does() {
        let edges: Vec<(usize, usize)> = (0..40)
            .flat_map(|from| [(from, from + 5), (from, from * 3 + 7)])
            .filter(|edge| edge.1 < 40)
            .collect();
        let layout = Layout::of(&graph(40, &edges));
        for (stop, y) in &layout.heights {
            let half = |stop: &Stop| if layout.is_way(*stop) { HALF_WAY } else { HALF };
            for (other, other_y) in layout.heights.range(..stop).filter(|it| it.0.column == stop.column) {
                assert!((y - other_y).abs() >= half(stop) + half(other) + BETWEEN, "{stop:?} {other:?}");
            }
        }
        assert!(layout.pieces.iter().all(|(from, to)| from.column + 1 == to.column));
    }
}
