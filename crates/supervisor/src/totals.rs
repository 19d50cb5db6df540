//! What the containers of the pod together may use: set before the first of them starts, and again before
//! a start when the pod's document says something else.

use crate::core::{Supervisor, chain};
use resource::{PodRecord, Resources, Timestamp, document};

/// What was set, and what of it is not enforced here.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    set: Resources,
    pub(crate) not_enforced: Vec<String>,
}

impl Totals {
    /// Bytes of memory that all may use.
    pub(crate) fn memory(&self) -> Option<u64> {
        self.set.memory
    }
}

impl Supervisor {
    /// Sets the totals unless they are set.
    pub(crate) fn limit_pod(&mut self) {
        let Some(set) = self.pod_resources().filter(|wanted| *wanted != self.totals.set) else { return };
        let cgroup = runtime::cgroup::open_pod(&self.roots, &self.pod);
        let not_enforced: Vec<String> = match cgroup.set_totals(&self.roots, &set) {
            Err(error) => vec![format!("pod: {}", chain(&error))],
            Ok(warnings) if cgroup.is_kept() => {
                warnings.into_iter().map(|warning| format!("pod: {}", warning.0)).collect()
            }
            Ok(warnings) if self.unsettled.is_empty() => {
                warnings.into_iter().map(|warning| warning.0).collect()
            }
            // Why there is no cgroup is known better here.
            Ok(_) => self.unsettled.clone(),
        };
        for warning in &not_enforced {
            eprintln!("{} {}: {warning}", Timestamp::now(), self.pod);
        }
        self.totals = Totals { set, not_enforced };
    }

    /// What the pod's document says now.
    fn pod_resources(&self) -> Option<Resources> {
        let path = self.roots.pod(&self.pod).join("pod.json");
        let record: Option<PodRecord> = std::fs::read(path).ok().and_then(|bytes| document::decode(&bytes));
        record.map(|record| record.resources)
    }

    /// Has the pod's cgroup reserve the memory that its containers' do, after one of those has come or gone.
    /// Gives back what of a container's reservation does not hold.
    pub(crate) fn carry_reservations(&self) -> Option<String> {
        let own = self.pod_resources().and_then(|resources| resources.memory_reservation).unwrap_or(0);
        let cgroup = runtime::cgroup::open_pod(&self.roots, &self.pod);
        let carried = cgroup.carry_reservations(&self.roots, own);
        let said = carried.unwrap_or_else(|error| Some(runtime::cgroup::Warning(chain(&error))));
        said.map(|warning| warning.0)
    }
}
