//! Scenarios about documents that cannot be read.

use scenarios::{World, scenario};
use std::fs;
use std::path::{Path, PathBuf};

/// What becomes of a document's bytes.
type Fault = fn(&[u8]) -> Vec<u8>;

/// Other bytes, a half of them, none.
const DAMAGES: [Fault; 3] =
    [|_| b"\xff\x00 no document\n{".to_vec(), |whole| whole[..whole.len() / 2].to_vec(), |_| vec![]];

/// The documents of the one container, and of what it needs.
struct Documents {
    container: PathBuf,
    state: PathBuf,
    network: PathBuf,
    volume: PathBuf,
    pod: PathBuf,
}

impl Documents {
    fn of(world: &World) -> Self {
        let (data, run) = (&world.roots().data, &world.roots().run);
        let id = world.id("web");
        Self {
            container: data.join("pods/worn/containers").join(&id).join("container.json"),
            state: run.join("pods/worn/containers").join(&id).join("state.json"),
            network: data.join("networks/worn_default/network.json"),
            volume: data.join("volumes/worn_data/volume.json"),
            pod: data.join("pods/worn/pod.json"),
        }
    }

    fn all(&self) -> [&Path; 5] {
        [&self.container, &self.state, &self.network, &self.volume, &self.pod]
    }
}

/// Puts other bytes in the place of a document, as the engine does: by another file.
fn put(path: &Path, bytes: &[u8]) {
    let beside = path.with_extension("damaged");
    fs::write(&beside, bytes).unwrap();
    fs::rename(beside, path).unwrap();
}

fn spoil(path: &Path, damage: Fault) {
    put(path, &damage(&fs::read(path).unwrap()));
}

scenario! {
    /// A damaged document of a pod, a volume or a state is named and written anew, and what runs goes on; one of
    /// a container or a network is named, also by `ps`, and stands in the way until `down` has removed what it
    /// was about, with process, mounts, cgroup, addresses and bridge; images and layers are pulled again.
    /// What a newer program wrote is refused by name and left alone.
    damaged_documents_are_mended_or_named, |world| {
        for damage in DAMAGES {
            world.compose("up -d").ok();
            world.run(&["exec", "-T", "web", "sh", "-c", "echo kept >> /data/file"], "").ok();
            let (documents, id) = (Documents::of(world), world.id("web"));
            for (path, done) in [
                (&documents.pod, "it was written anew"),
                (&documents.volume, "the volume's data is as it was"),
                (&documents.state, "it was taken from the supervisor"),
            ] {
                spoil(path, damage);
                world.compose("up -d").ok().says(path.to_str().unwrap()).says("is damaged").says(done);
            }
            world.compose("up -d").ok().says("nothing to do");
            assert_eq!((world.id("web"), world.state("web").as_str()), (id, "running"));

            for path in [&documents.network, &documents.container] {
                spoil(path, damage);
                let told = world.compose("up -d").exits(1).says(path.to_str().unwrap());
                told.says("is damaged").says("compose down");
            }
            world.compose("ps -a").ok().says("container `worn-web-1`").says("is damaged");
            world.compose("pod inspect worn").ok().says("damaged").says("worn-web-1");
            world.compose("down").ok().says("the container was removed").says("the network is removed");
            assert_eq!(world.rows().len(), 0);
            pull_again(world, damage);
        }
        let kept = world.compose("run --rm -T web cat /data/file").ok().stdout;
        assert_eq!(kept, "kept\nkept\nkept\n");
        refuse_newer(world);
        world.compose("down -v").ok();
        world.assert_nothing_left();
    }
}

/// Documents of images and layers count as absent.
fn pull_again(world: &World, damage: Fault) {
    let data = &world.roots().data;
    for (folder, document) in [("images", ""), ("layers", "layer.json")] {
        for entry in fs::read_dir(data.join(folder)).unwrap().map(Result::unwrap) {
            let path = if document.is_empty() { entry.path() } else { entry.path().join(document) };
            spoil(&path, damage);
        }
    }
    world.compose("up -d").ok().says("Pulled");
    world.compose("down").ok();
}

/// Whole, but of another form.
fn refuse_newer(world: &World) {
    world.compose("up -d").ok();
    let newer = resource::document::encode(&["a form of tomorrow"]).unwrap();
    for path in Documents::of(world).all() {
        let before = fs::read(path).unwrap();
        put(path, &newer);
        for line in ["up -d", "down -v"] {
            world.compose(line).exits(1).says(path.to_str().unwrap()).says("newer program");
        }
        assert_eq!(fs::read(path).unwrap(), newer);
        put(path, &before);
    }
    world.compose("up -d").ok().says("nothing to do");
}
