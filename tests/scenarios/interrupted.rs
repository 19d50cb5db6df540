//! Scenarios in which a command that works on images is killed at any of its steps: every image that is listed is
//! whole, and the same command again succeeds.

use scenarios::{Depot, Ending, MovingRegistry, World, kill_points, scenario, telling_image as telling};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

scenario! {
    /// A `load`, an `import`, a bundle's `load` and a `push` that are killed at any step leave no image that is not
    /// whole, and are finished by the next, with which goes what is half-made; what stays whole goes with the first
    /// clearing.
    images_survive_a_kill_at_any_step, |world| {
        let (registry, depot) = (MovingRegistry::new(), Depot::start(None));
        world.write(".env", &format!("REGISTRY={}\n", registry.address()));
        registry.put(telling("team/told:1", "hello\n", None));
        world.compose("pull").ok();
        let name = format!("{}/team/told:1", registry.address());
        world.compose(&format!("image save -o told.tar {name}")).ok();
        world.compose("bundle -o bundle.tar").ok();
        std::fs::create_dir(world.project().join("files")).unwrap();
        world.write("files/one", "one\n");
        registry.go_away();

        killed(world, "image load -i told.tar", |_| {}, &|world| whole_layers(world) == 2);
        killed(world, "image import files localhost/files:1", |_| {}, &|world| whole_layers(world) == 1);
        killed(world, "load bundle.tar there", |_| {}, &|world| {
            world.project().join("there/compose.yaml").is_file() && whole_layers(world) == 2
        });
        let import = |world: &World| drop(world.compose("image import files localhost/files:1").ok());
        let push = format!("image copy localhost/files:1 docker://{}/team/files:1", depot.host());
        killed(world, &push, import, &|_| depot.manifest("team/files", "1").is_some());
        clear(world);
    }
}

/// Kills the command at its steps, one after the other, each time in an empty store and after `before`.
fn killed(world: &World, command: &str, before: impl Fn(&World), done: &dyn Fn(&World) -> bool) {
    let begin = || {
        clear(world);
        drop(std::fs::remove_dir_all(world.project().join("there")));
        before(world);
    };
    begin();
    let Ending::Finished(steps) = world.killed_at(command, usize::MAX) else { unreachable!() };
    assert!(done(world), "{command}");
    let good = layers(world);
    for step in kill_points(steps) {
        begin();
        let ending = world.killed_at(command, step);
        eprintln!("`{command}` at step {step} of {steps}: {ending:?}");
        assert_whole(world, &good);
        world.compose(command).ok();
        assert!(done(world) && layers(world) == good, "{command}");
        // What is pushed is not made here.
        if !command.contains("docker://") {
            world.assert_nothing_half_made();
        }
    }
}

/// Empties the store, and finds that nothing half-made stays in it.
fn clear(world: &World) {
    world.compose("system prune --all --force").ok();
    for folder in ["images", "layers", "blobs/sha256", "tmp"] {
        let entries = std::fs::read_dir(world.roots().data.join(folder)).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let left: Vec<_> = names.filter(|name| !name.starts_with("empty")).collect();
        assert!(left.is_empty(), "left in {folder}: {left:?}");
    }
}

/// Each layer that is there is as it is when nobody is killed, and each image that is listed has all of its own.
fn assert_whole(world: &World, good: &BTreeMap<String, String>) {
    let there = layers(world);
    for (layer, content) in &there {
        assert_eq!(good.get(layer), Some(content), "layer {layer}");
    }
    let ids = world.compose("image ls -q").ok().stdout;
    if ids.is_empty() {
        return;
    }
    let shown = world.compose(&format!("image inspect {}", ids.replace('\n', " "))).ok().stdout;
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    for image in shown.as_array().unwrap() {
        let layers = image["RootFS"]["Layers"].as_array().unwrap();
        assert!(!layers.is_empty());
        for layer in layers {
            let hex = layer.as_str().unwrap().trim_start_matches("sha256:");
            assert!(there.contains_key(hex), "{image} lacks layer {hex}");
        }
    }
}

fn whole_layers(world: &World) -> usize {
    layers(world).len()
}

/// Every layer of the store by its name there, and a digest of all that is in it.
fn layers(world: &World) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(world.roots().data.join("layers")).into_iter().flatten().flatten();
    let content = |path: &Path| {
        let mut hash = Sha256::new();
        digest_below(path, &mut hash);
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    entries
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), content(&entry.path().join("tree"))))
        .collect()
}

fn digest_below(path: &Path, hash: &mut Sha256) {
    let status = std::fs::symlink_metadata(path).unwrap();
    let line = format!(
        "{} {:o} {} {} {} {}\n",
        path.file_name().unwrap().to_string_lossy(),
        status.mode(),
        status.uid(),
        status.gid(),
        if status.is_dir() { 0 } else { status.size() },
        // No archive says when the root folder was changed.
        if path.ends_with("tree") { 0 } else { status.mtime() },
    );
    hash.update(line);
    if status.is_dir() {
        let mut entries: Vec<_> =
            std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        entries.iter().for_each(|entry| digest_below(entry, hash));
    } else if status.is_file() {
        hash.update(std::fs::read(path).unwrap());
    }
}
