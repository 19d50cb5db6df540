//! Containers whose documents cannot be read, as lists show them: all that is known is the id, and mostly the
//! name, which tells the service.

use crate::select;
use crate::session::Subject;
use crate::view::row;
use engine::{Damage, Subject as About};
use resource::document::Fault;
use resource::{ContainerId, ContainerName};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The state that lists give them: Docker's word for a container that cannot be brought back.
pub(crate) const STATE: &str = "dead";

/// A container whose document cannot be read.
pub(crate) struct Lost<'a> {
    /// Its id.
    pub(crate) id: &'a ContainerId,
    /// Its service, if its name tells.
    pub(crate) service: Option<String>,
    /// Why the document cannot be read.
    pub(crate) fault: Fault,
    name: Option<&'a ContainerName>,
    damage: &'a Damage,
}

/// The containers among what is damaged; those of the chosen services, or all when none is chosen.
pub(crate) fn containers<'a>(
    damage: &'a [Damage],
    subject: &Subject,
    chosen: &BTreeSet<String>,
) -> Vec<Lost<'a>> {
    let lost = damage.iter().filter_map(|damage| {
        let About::Container(id, name) = &damage.subject else { return None };
        let name = name.as_ref();
        let service = name.and_then(|name| service(name, subject));
        Some(Lost { id, service, fault: damage.fault, name, damage })
    });
    lost.filter(|lost| {
        chosen.is_empty() || lost.service.as_ref().is_some_and(|service| chosen.contains(service))
    })
    .collect()
}

/// The service whose container has this name: by the file, or by the name itself.
fn service(name: &ContainerName, subject: &Subject) -> Option<String> {
    let mut services = subject.loaded.iter().flat_map(|(project, _)| &project.services);
    let fixed = services.find(|(_, service)| service.container_name.as_deref() == Some(name.as_str()));
    let fixed = fixed.map(|(service, _)| service.as_str());
    fixed.or_else(|| select::service_in(name, &subject.pod)).map(str::to_owned)
}

impl Lost<'_> {
    /// Its name, or the beginning of its id.
    pub(crate) fn name(&self) -> String {
        self.name.map_or_else(|| self.id.short().to_owned(), ToString::to_string)
    }

    fn status(&self) -> String {
        let word = match self.fault {
            Fault::Damaged => "Damaged",
            Fault::Newer => "Of a newer program",
        };
        format!("{word} ({})", self.damage.path.display())
    }

    /// Its row, below [`row::HEADER`].
    pub(crate) fn cells(&self) -> Vec<String> {
        let service = self.service.clone().unwrap_or_default();
        let none = String::new;
        vec![self.name(), none(), none(), service, none(), self.status(), none()]
    }

    /// The fields of its JSON object, empty where nothing is known.
    pub(crate) fn fields(&self, subject: &Subject, whole: bool) -> Map<String, Value> {
        let mut fields: Map<String, Value> =
            row::FIELDS.iter().map(|field| ((*field).to_owned(), Value::from(""))).collect();
        let id = if whole { self.id.as_str() } else { self.id.short() };
        let known = [
            ("ExitCode", Value::from(0)),
            ("Publishers", Value::Array(vec![])),
            ("ID", id.into()),
            ("Name", self.name().into()),
            ("Names", self.name().into()),
            ("Project", subject.pod.as_str().into()),
            ("Service", self.service.clone().unwrap_or_default().into()),
            ("State", STATE.into()),
            ("Status", self.status().into()),
        ];
        fields.extend(known.map(|(field, value)| (field.to_owned(), value)));
        fields
    }
}
