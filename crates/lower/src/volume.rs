//! The named volumes of the selected services.

use crate::lowering::{Lowering, hash};
use diagnostic::{Severity, Span};
use resource::{DesiredService, MountSpec, VolumeName, VolumeSpec, label};
use std::collections::{BTreeMap, BTreeSet};

impl Lowering<'_> {
    /// Every named volume some container mounts, in order of name.
    pub(crate) fn volumes(&mut self, services: &[DesiredService]) -> Vec<VolumeSpec> {
        let mounts = services.iter().flat_map(|service| &service.container.mounts);
        let used: BTreeSet<&VolumeName> = mounts
            .filter_map(|mount| match mount {
                MountSpec::Volume { source: Some(source), .. } => Some(source),
                _ => None,
            })
            .collect();
        let project = self.project;
        let declared = |name: &VolumeName| project.volumes.iter().find(|(_, volume)| volume.name == name.0);
        let mut volumes = vec![];
        for name in used {
            let Some((key, volume)) = declared(name) else { continue };
            let driver = volume
                .driver
                .clone()
                .filter(|driver| !driver.is_empty())
                .unwrap_or_else(|| "local".to_owned());
            if driver != "local" && !volume.external {
                let message = format!("volume `{key}`: driver `{driver}` is not supported, only `local` is");
                self.tell(
                    Severity::Error,
                    "unusable-value",
                    volume.span.unwrap_or(Span::NOWHERE),
                    message,
                    "",
                );
            }
            let spec = VolumeSpec {
                name: name.clone(),
                external: volume.external,
                driver,
                options: volume.driver_opts.clone(),
                labels: volume.labels.clone(),
            };
            volumes.push(if spec.external { spec } else { self.labelled(spec, key) });
        }
        volumes
    }

    /// A volume that the file does not declare: as if it stood there with this name and nothing else.
    pub(crate) fn volume_named(&self, name: &VolumeName) -> VolumeSpec {
        let (external, driver) = (false, "local".to_owned());
        let (options, labels) = (BTreeMap::new(), resource::Labels::new());
        self.labelled(VolumeSpec { name: name.clone(), external, driver, options, labels }, name.as_str())
    }

    fn labelled(&self, mut spec: VolumeSpec, key: &str) -> VolumeSpec {
        let hash = hash(serde_json::to_string(&spec).unwrap_or_default());
        spec.labels.extend(self.everywhere());
        spec.labels.insert(label::VOLUME.to_owned(), key.to_owned());
        spec.labels.insert(label::CONFIG_HASH.to_owned(), hash);
        spec
    }
}
