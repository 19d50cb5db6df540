//! The named volumes of the selected services, and all that the file declares.

use crate::Options;
use crate::lowering::{Lowering, hash};
use compose_spec::Project;
use compose_spec::model::Volume;
use diagnostic::{Diagnostic, Span};
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
            let place = |path: &str| project.volume_place(key, path);
            let (spec, found) = volume_alone(key, volume, &place);
            self.found.extend(found);
            volumes.push(self.owned(spec, key));
        }
        volumes
    }

    /// With the managed labels, unless it is somebody else's.
    fn owned(&self, spec: VolumeSpec, key: &str) -> VolumeSpec {
        if spec.external { spec } else { self.labelled(spec, key) }
    }

    /// Where the file declares these volumes, those that it does.
    pub(crate) fn volume_places(&self, volumes: &[VolumeSpec]) -> BTreeMap<VolumeName, String> {
        let declared = self.project.volumes.values();
        let places = declared.filter_map(|volume| Some((&volume.name, volume.span?)));
        places
            .filter(|(name, _)| volumes.iter().any(|volume| volume.name.0 == **name))
            .map(|(name, span)| (VolumeName(name.clone()), self.options.sources.place(span)))
            .filter(|(_, place)| !place.is_empty())
            .collect()
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

/// Every volume that the file declares, whether or not a service mounts it.
pub fn declared_volumes(project: &Project, options: &Options<'_>) -> Vec<VolumeSpec> {
    let lowering = Lowering::new(project, options);
    project.volumes.iter().map(|(key, volume)| lowering.owned(spec(volume), key)).collect()
}

/// What is wanted of a volume by itself, without a project's labels, and what is wrong with it. `place` tells
/// where the volume says what a path names: `driver`, `driver_opts`, `driver_opts.device`.
pub fn volume_alone(
    key: &str,
    volume: &Volume,
    place: &dyn Fn(&str) -> Span,
) -> (VolumeSpec, Vec<Diagnostic>) {
    let spec = spec(volume);
    let driver = spec.driver.as_str();
    let mut found = vec![];
    if driver != "local" && !volume.external {
        let message = format!("volume `{key}`: driver `{driver}` is not supported, only `local` is");
        found.push(Diagnostic::error("unusable-value", message).at(place("driver"), ""));
    }
    let fault = fault(&volume.driver_opts).filter(|_| driver == "local" && !volume.external);
    found.extend(fault.map(|fault| {
        let option = fault.option.map(|name| format!("driver_opts.{name}"));
        let message = format!("volume `{key}`: {}", fault.what);
        let span = place(option.as_deref().unwrap_or("driver_opts"));
        Diagnostic::error("unusable-value", message).at(span, "").help(fault.help)
    }));
    (spec, found)
}

fn spec(volume: &Volume) -> VolumeSpec {
    let driver = volume.driver.clone().filter(|driver| !driver.is_empty());
    VolumeSpec {
        name: VolumeName(volume.name.clone()),
        external: volume.external,
        driver: driver.unwrap_or_else(|| "local".to_owned()),
        options: volume.driver_opts.clone(),
        labels: volume.labels.clone(),
    }
}

/// What is wrong with the options of a volume.
#[derive(Debug, PartialEq, Eq)]
struct Fault<'a> {
    /// The one it is about; `None` for all together.
    option: Option<&'a str>,
    what: String,
    help: &'static str,
}

/// What of these options the driver `local` cannot do: they are those of mount(8), so that it makes a mount, or
/// none.
fn fault(options: &BTreeMap<String, String>) -> Option<Fault<'_>> {
    if let Some(name) = options.keys().find(|name| !matches!(name.as_str(), "type" | "o" | "device")) {
        let (what, help) = match name.as_str() {
            "size" => (
                "`size` is not supported: a volume is as large as its disk, project quotas are not set"
                    .to_owned(),
                "leave it out, or keep the volume in memory: `type: tmpfs, device: tmpfs, o: size=10m`",
            ),
            _ => (
                format!("the driver `local` has no option `{name}`"),
                "it has `type`, `device` and `o`, as mount(8)",
            ),
        };
        return Some(Fault { option: Some(name), what, help });
    }
    let option = |name: &str| options.get(name).map(String::as_str).unwrap_or_default();
    let binds = option("o").split(',').any(|word| matches!(word, "bind" | "rbind"));
    let mounts = !matches!(option("type"), "" | "none" | "bind");
    let what = match (binds, mounts) {
        _ if options.is_empty() => return None,
        (true, _) if option("device").starts_with('/') => return None,
        (false, true) => return None,
        (true, _) => "a folder that is bound is a `device` with an absolute path",
        (false, false) => "these options make no mount",
    };
    let help = "give a `type` and a `device`, or `o: bind` and a `device` that is an absolute path";
    Some(Fault { option: None, what: what.to_owned(), help })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_make_a_mount_or_are_refused() {
        let about = |pairs: &[(&str, &str)]| {
            let options =
                pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            fault(&options).map(|fault| (fault.option.map(str::to_owned), fault.what))
        };
        for sound in [
            &[][..],
            &[("type", "none"), ("o", "bind"), ("device", "/srv")],
            &[("o", "ro,rbind"), ("device", "/srv")],
            &[("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=1m")],
            &[("type", "nfs"), ("device", ":/export"), ("o", "addr=host")],
        ] {
            assert_eq!(about(sound), None);
        }
        let (option, what) = about(&[("type", "tmpfs"), ("device", "tmpfs"), ("size", "1m")]).unwrap();
        assert!(option.as_deref() == Some("size") && what.contains("quotas"), "{what}");
        assert_eq!(about(&[("mountpoint", "/srv")]).unwrap().0.as_deref(), Some("mountpoint"));
        assert!(about(&[("o", "bind"), ("device", "./srv")]).unwrap().1.contains("absolute"));
        assert!(about(&[("type", "none"), ("device", "/srv")]).unwrap().1.contains("no mount"));
    }
}
