//! Containers, networks and volumes as files and bridges; nothing is started.

use crate::world::{World, volume, words};
use engine::EngineError;
use resource::{ContainerId, Mount, MountSpec, Predecessor, Propagation, VolumeSpec};
use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

pub(crate) fn looking_writes_nothing() {
    let world = World::empty();
    assert_eq!(world.engine.observe(&world.scope()).unwrap(), resource::Observed::default());
    assert_eq!(world.engine.pods().unwrap(), []);
    world.wait(world.engine.adopt(&world.pod)).unwrap();
    assert_eq!(std::fs::read_dir(world.folder.path()).unwrap().count(), 0);
}

pub(crate) fn a_failed_creation_leaves_nothing() {
    let world = World::with_image();
    let engine = &world.engine;
    let record = engine.create_network(&world.network("net")).unwrap();
    let gateway = record.subnets[0].1.to_string();
    let keeper = engine.create_container(&world.connected("keeper", "net", None), None).unwrap();
    let before = world.paths();
    let missing = world.folder.path().join("not/there");
    let bind = |create| MountSpec::Bind {
        source: missing.clone(),
        target: "/mnt".to_owned(),
        read_only: false,
        create,
        recursive: true,
        propagation: Propagation::Rprivate,
    };

    let mut spec = world.connected("other", "net", None);
    spec.mounts = vec![volume(None, "/anonymous"), volume(Some("named"), "/named"), bind(false)];
    let error = engine.create_container(&spec, None).unwrap_err();
    assert!(matches!(&error, EngineError::BindMissing { path, .. } if *path == missing), "{error:?}");
    assert_eq!(world.paths(), before);

    let taken = engine.create_container(&world.spec("keeper"), None).unwrap_err();
    assert!(matches!(taken, EngineError::NameTaken { .. }), "{taken:?}");
    let unusable =
        engine.create_container(&world.connected("other", "net", Some(&gateway)), None).unwrap_err();
    assert!(matches!(unusable, EngineError::AddressUnusable { .. }), "{unusable:?}");
    let mut nobody = world.spec("other");
    nobody.process.user = Some("nobody-here".to_owned());
    assert!(matches!(engine.create_container(&nobody, None).unwrap_err(), EngineError::Resolve { .. }));
    assert_eq!(world.paths(), before);
    assert!(!missing.exists());

    spec.mounts = vec![bind(true)];
    let id = engine.create_container(&spec, None).unwrap();
    assert!(missing.is_dir());
    for id in [keeper, id] {
        world.wait(engine.remove_container(&world.pod, &id, true)).unwrap();
    }
    assert!(missing.is_dir(), "the host's own stays");
}

pub(crate) fn addresses_are_leased_once() {
    let world = World::with_image();
    let engine = &world.engine;
    let record = engine.create_network(&world.network("net")).unwrap();
    let make = |name: &str, fixed: Option<&str>| {
        let id = engine.create_container(&world.connected(name, "net", fixed), None)?;
        Ok::<_, EngineError>((id.clone(), world.observed(&id).record.endpoints.remove(0)))
    };
    let (one, first) = make("one", None).unwrap();
    let (_, second) = make("two", None).unwrap();
    assert_ne!(first.addresses, second.addresses);
    assert!(record.subnets[0].0.contains(first.addresses[0].0));
    assert_eq!(first.gateways, [record.subnets[0].1]);
    assert_eq!((first.interface.as_str(), first.default_route), ("eth0", true));
    let address = first.addresses[0].0.to_string();
    let taken = make("three", Some(&address)).unwrap_err();
    assert!(matches!(&taken, EngineError::AddressTaken { owner, .. } if owner.contains("`one`")), "{taken}");
    world.wait(engine.remove_container(&world.pod, &one, true)).unwrap();
    let (_, third) = make("three", Some(&address)).unwrap();
    assert_eq!(third.mac, first.mac, "the hardware address follows the address");

    let observed = engine.observe(&world.scope()).unwrap();
    let names: Vec<_> =
        observed.containers.iter().map(|one| one.record.spec.name.as_str().to_owned()).collect();
    assert_eq!(names, ["three", "two"]);
    assert!(observed.networks[0].up);
    assert_eq!(observed.networks[0].used_by_others, []);
}

pub(crate) fn a_replacement_takes_over_volumes_and_addresses() {
    let world = World::with_image();
    let engine = &world.engine;
    let record = engine.create_network(&world.network("net")).unwrap();
    let fixed = record.subnets[0].1.to_string().replace(".0.1", ".0.77");
    let mut spec = world.connected("web", "net", Some(&fixed));
    spec.mounts = vec![volume(None, "/anonymous")];
    let old = engine.create_container(&spec, None).unwrap();
    spec.name = "web-new".into();
    let in_place_of = |id: &ContainerId, renew_anonymous| Predecessor { id: id.clone(), renew_anonymous };
    let new = engine.create_container(&spec, Some(&in_place_of(&old, false))).unwrap();
    let volume_of = |id| match &world.observed(id).record.mounts[0] {
        Mount::Bind { volume, anonymous: true, .. } => volume.clone().unwrap(),
        other => panic!("{other:?}"),
    };
    let kept = volume_of(&old);
    assert_eq!(kept, volume_of(&new));
    world.wait(engine.remove_container(&world.pod, &old, true)).unwrap();
    assert!(engine.volume(&kept).is_some(), "the new one mounts it");
    let again = engine.create_container(&world.connected("third", "net", Some(&fixed)), None).unwrap_err();
    assert!(matches!(again, EngineError::AddressTaken { .. }), "the lease went over: {again:?}");
    world.wait(engine.rename_container(&world.pod, &new, &"web".into())).unwrap();
    assert_eq!(engine.find_container(&"web".into()), Some((world.pod.clone(), new.clone())));
    assert_eq!(engine.find_container(&"web-new".into()), None);
    let other = engine.create_container(&spec, Some(&in_place_of(&new, true))).unwrap();
    assert_ne!(volume_of(&other), kept);
    assert_eq!(world.observed(&other).record.endpoints[0].addresses[0].0.to_string(), fixed);
    for id in [new, other] {
        world.wait(engine.remove_container(&world.pod, &id, true)).unwrap();
    }
    assert_eq!(engine.volume(&kept), None);
}

pub(crate) fn secrets_have_their_mode_and_owner() {
    let world = World::with_image();
    let mut spec = world.spec("web");
    let target = "/run/secrets/a".to_owned();
    spec.mounts =
        vec![MountSpec::Content { content: "hush".to_owned(), target, uid: 7, gid: 8, mode: 0o440 }];
    let id = world.engine.create_container(&spec, None).unwrap();
    let Mount::Bind { source, read_only: true, volume: None, .. } = &world.observed(&id).record.mounts[0]
    else {
        panic!()
    };
    let found = std::fs::metadata(source).unwrap();
    assert_eq!((found.uid(), found.gid(), found.permissions().mode() & 0o7777), (7, 8, 0o440));
    assert_eq!(std::fs::read_to_string(source).unwrap(), "hush");
    world.wait(world.engine.remove_container(&world.pod, &id, true)).unwrap();
    assert!(!source.exists());
}

pub(crate) fn a_fresh_volume_is_filled_from_the_image() {
    let world = World::with_image();
    let mut spec = world.spec("web");
    spec.process.command = Some(words(&["/bin/sleep", "7"]));
    spec.mounts = vec![volume(Some("filled"), "/data"), volume(Some("empty"), "/none")];
    let id = world.engine.create_container(&spec, None).unwrap();
    let file = world.engine.roots().volume(&"filled".into()).join("_data/file");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "from the image");
    std::fs::write(&file, "changed").unwrap();
    world.wait(world.engine.remove_container(&world.pod, &id, true)).unwrap();
    assert!(world.engine.volume(&"filled".into()).is_some(), "a named volume stays");
    world.engine.create_container(&spec, None).unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "changed", "only an empty volume is filled");
}

pub(crate) fn networks_and_volumes_in_use_stay() {
    let world = World::with_image();
    let engine = &world.engine;
    let record = engine.create_network(&world.network("net")).unwrap();
    assert_eq!(engine.create_network(&world.network("net")).unwrap(), record, "twice is once");
    let mut overlapping = world.network("other");
    overlapping.subnets = vec![(record.subnets[0].0, None)];
    assert!(matches!(engine.create_network(&overlapping).unwrap_err(), EngineError::SubnetTaken { .. }));
    let data = VolumeSpec {
        name: "data".into(),
        external: false,
        driver: "local".to_owned(),
        options: BTreeMap::new(),
        labels: BTreeMap::new(),
    };
    engine.create_volume(&data).unwrap();
    let mut spec = world.connected("web", "net", None);
    spec.mounts = vec![volume(Some("data"), "/mnt")];
    let id = engine.create_container(&spec, None).unwrap();
    assert!(matches!(engine.remove_network(&"net".into()).unwrap_err(), EngineError::NetworkInUse { .. }));
    assert!(matches!(engine.remove_volume(&"data".into()).unwrap_err(), EngineError::VolumeInUse { .. }));
    world.wait(engine.remove_container(&world.pod, &id, false)).unwrap();
    engine.remove_network(&"net".into()).unwrap();
    engine.remove_volume(&"data".into()).unwrap();
    assert!(!std::path::Path::new("/sys/class/net").join(&record.bridge).exists());
    engine.remove_network(&"net".into()).unwrap();
    engine.remove_volume(&"data".into()).unwrap();
    let mut external = world.network("net");
    external.external = true;
    assert!(matches!(engine.create_network(&external).unwrap_err(), EngineError::NoNetwork(_)));
}

pub(crate) fn a_crash_in_the_making_is_cleared() {
    let world = World::with_image();
    let engine = &world.engine;
    let data = &engine.roots().data;
    engine.create_pod(&world.pod, &BTreeMap::new()).unwrap();
    let id = "c".repeat(64);
    std::fs::create_dir_all(data.join("pods/world/making").join(&id).join("upper")).unwrap();
    std::fs::create_dir_all(data.join("names")).unwrap();
    std::os::unix::fs::symlink(format!("../pods/world/containers/{id}"), data.join("names/web")).unwrap();
    let lock = world.wait(engine.lock(&world.pod, || ())).unwrap();
    assert_eq!(std::fs::read_dir(data.join("pods/world/making")).unwrap().count(), 0);
    assert!(data.join("names/web").symlink_metadata().is_err());
    engine.create_container(&world.spec("web"), None).unwrap();
    drop(lock);
}
