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

impl Supervisor {
    /// Sets the totals unless they are set.
    pub(crate) fn limit_pod(&mut self) {
        let path = self.roots.pod(&self.pod).join("pod.json");
        let record: Option<PodRecord> = std::fs::read(path).ok().and_then(|bytes| document::decode(&bytes));
        let set = record.map(|record| record.resources).filter(|wanted| *wanted != self.totals.set);
        let Some(set) = set else { return };
        let cgroup = runtime::cgroup::open_pod(&self.roots, &self.pod);
        let not_enforced: Vec<String> = match cgroup.set_totals(&set) {
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
}
