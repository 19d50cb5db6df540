//! The plan itself: steps, what each comes after, and why it is there. petgraph stays in here.
//!
//! A step only ever comes after steps that were added before it, so the order of addition is a
//! topological order and there can be no cycle.

use crate::{Await, Failure, Question, Reason, Step, Warning};
use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use std::fmt;

/// Names a step of one plan; in its text form, and from [`StepId::number`], they count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId(NodeIndex);

impl StepId {
    /// Its number in the plan's text, from 1.
    pub fn number(self) -> usize {
        self.0.index() + 1
    }

    /// Its place in the order of [`Plan::steps`], from 0.
    pub fn index(self) -> usize {
        self.0.index()
    }
}

/// A step and why it is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// What is to be done.
    pub step: Step,
    /// Why.
    pub reason: Reason,
}

/// What has to happen, in which order, and why; and what cannot happen.
///
/// Steps that can be done are done even when there are failures: what is behind a failure is
/// left out of the plan. The caller applies the plan, then reports the failures.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    graph: DiGraph<Planned, ()>,
    /// Worth telling.
    pub warnings: Vec<Warning>,
    /// What stands in the way of what is wanted; the command ends with the first of them.
    pub failures: Vec<Failure>,
}

impl Plan {
    /// Adds a step that comes after the given ones.
    pub(crate) fn add(
        &mut self,
        step: Step,
        reason: Reason,
        after: impl IntoIterator<Item = StepId>,
    ) -> StepId {
        let node = self.graph.add_node(Planned { step, reason });
        for before in after {
            self.graph.update_edge(before.0, node, ());
        }
        StepId(node)
    }

    /// Nothing is to be done: no step but questions.
    pub fn is_empty(&self) -> bool {
        self.graph.node_weights().all(|planned| matches!(planned.step, Step::Ask(_)))
    }

    /// How many steps there are, questions included.
    pub fn len(&self) -> usize {
        self.graph.node_count()
    }

    /// Every step, in an order in which they could be done one by one.
    pub fn steps(&self) -> impl Iterator<Item = (StepId, &Planned)> {
        self.graph.node_indices().map(|node| (StepId(node), &self.graph[node]))
    }

    /// One step.
    pub fn get(&self, id: StepId) -> &Planned {
        &self.graph[id.0]
    }

    /// The steps that have to be done before this one, in order.
    pub fn before(&self, id: StepId) -> Vec<StepId> {
        let mut before: Vec<_> =
            self.graph.neighbors_directed(id.0, Direction::Incoming).map(StepId).collect();
        before.sort_unstable();
        before
    }

    /// The steps that wait for this one, in order.
    pub fn after(&self, id: StepId) -> Vec<StepId> {
        let mut after: Vec<_> =
            self.graph.neighbors_directed(id.0, Direction::Outgoing).map(StepId).collect();
        after.sort_unstable();
        after
    }

    /// What the plan asks consent for.
    pub fn questions(&self) -> impl Iterator<Item = &Question> {
        self.graph.node_weights().filter_map(|planned| match &planned.step {
            Step::Ask(question) => Some(question),
            _ => None,
        })
    }

    /// What the plan waits for.
    pub fn awaits(&self) -> impl Iterator<Item = &Await> {
        self.graph.node_weights().filter_map(|planned| match &planned.step {
            Step::Await(wait) => Some(wait),
            _ => None,
        })
    }
}

/// One line a step: `4 await shop-db-1 healthy [after 3] because web depends on db`; then warnings
/// and failures, a line each.
impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (id, planned) in self.steps() {
            write!(formatter, "{} {}", id.number(), planned.step)?;
            let before = self.before(id);
            if !before.is_empty() {
                let numbers: Vec<_> = before.iter().map(|before| before.number().to_string()).collect();
                write!(formatter, " [after {}]", numbers.join(", "))?;
            }
            writeln!(formatter, " because {}", planned.reason)?;
        }
        for warning in &self.warnings {
            writeln!(formatter, "warning: {warning}")?;
        }
        for failure in &self.failures {
            writeln!(formatter, "error: {failure}")?;
        }
        Ok(())
    }
}
