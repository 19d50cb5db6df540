//! The places that were asked for an image in vain, and what is told when none is left.

use crate::conf::{Endpoint, Spot};
use crate::{Act, Failure, RegistryError};
use resource::Reference;

/// What was asked so far.
#[derive(Debug)]
pub(crate) struct Tried<'a> {
    reference: &'a Reference,
    failures: Vec<(Endpoint, Failure)>,
    /// How many of them are of names that are settled.
    settled: usize,
}

impl<'a> Tried<'a> {
    pub(crate) fn new(reference: &'a Reference) -> Self {
        Self { reference, failures: vec![], settled: 0 }
    }

    /// Another place did not give it.
    ///
    /// # Errors
    /// What is told when no other name may be asked for: which is the first registry that has an image is
    /// only known where those before it say that they have none.
    pub(crate) fn add(&mut self, spot: &Spot, failure: Failure) -> Result<(), RegistryError> {
        self.failures.push((spot.endpoint.clone(), failure));
        if spot.is_last {
            let told = self.best(self.settled);
            if !self.failures[told].1.is_absence() {
                return Err(self.take(told));
            }
            self.settled = self.failures.len();
        }
        Ok(())
    }

    /// What is told when no place is left.
    pub(crate) fn told(mut self) -> RegistryError {
        let told = self.best(0);
        self.take(told)
    }

    /// The failure that says most: the place itself comes last, but a mirror that was reached knows better
    /// than one that was not.
    fn best(&self, from: usize) -> usize {
        let reached = |failure: &Failure| !matches!(failure, Failure::Unreachable { .. });
        let found = self.failures[from..].iter().rposition(|(_, failure)| reached(failure));
        found.map_or(self.failures.len() - 1, |found| from + found)
    }

    fn take(&mut self, told: usize) -> RegistryError {
        let (endpoint, source) = self.failures.remove(told);
        let before = std::mem::take(&mut self.failures).into_iter();
        RegistryError {
            act: Act::Get,
            image: self.reference.familiar(),
            endpoint: endpoint.host().to_owned(),
            registry: endpoint.registry,
            source: Box::new(source),
            before: before.map(|(endpoint, failure)| (endpoint.host().to_owned(), failure)).collect(),
        }
    }
}
