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
    /// a container or a network is named, also by `ps`, which lists the container, and stands in the way until
    /// `rm` or `down` has removed what it was about, with process, mounts, cgroup, addresses and bridge; images and layers are pulled again.
    /// What a newer program wrote is refused by name and left alone.
    damaged_documents_are_mended_or_named, |world| {
        for (index, damage) in DAMAGES.into_iter().enumerate() {
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

            spoil(&documents.pod, damage);
            world.compose("ls").ok().says(documents.pod.to_str().unwrap()).says("damaged: running(1)");
            for path in [&documents.network, &documents.container] {
                spoil(path, damage);
                let told = world.compose("up -d").exits(1).says(path.to_str().unwrap());
                told.says("is damaged").says("compose down");
            }
            listed(world, &documents.container);
            world.compose("pod inspect worn").ok().says("damaged").says("worn-web-1");
            world.compose("rm -f").ok().says("No stopped containers");
            if index == 0 {
                world.compose("rm --force --stop web").ok().says("the container was removed");
                assert!(!documents.container.exists(), "and nothing of it runs, which the end of all tells");
            }
            let down = world.compose("down").ok().says("the network is removed");
            assert!(index == 0 || down.stderr.contains("the container was removed"), "{}", down.stderr);
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

/// `ps -a` has a row for the damaged container, with the fields of every other.
fn listed(world: &World, path: &Path) {
    let (path, table) = (path.to_str().unwrap(), world.compose("ps -a").ok().says("is damaged"));
    let row = table.stdout.lines().find(|line| line.starts_with("worn-web-1 ")).expect("it has a row");
    assert!(row.contains(" web ") && row.contains("Damaged (") && row.contains(path), "{row}");
    let rows = world.rows();
    assert_eq!((rows[0]["State"].as_str(), rows[0]["Service"].as_str()), (Some("dead"), Some("web")));
    assert_eq!(world.compose("ps -aq other").exits(1).stdout, "");
    assert_eq!(world.compose("ps --status exited -q").ok().stdout, "");
}

/// The documents of images, and those of layers.
fn pulled(world: &World) -> Vec<PathBuf> {
    let entries = |folder: &str| fs::read_dir(world.roots().data.join(folder)).unwrap().map(Result::unwrap);
    let layers = entries("layers").map(|entry| entry.path().join("layer.json"));
    entries("images").map(|entry| entry.path()).chain(layers).collect()
}

/// Documents of images and layers count as absent.
fn pull_again(world: &World, damage: Fault) {
    pulled(world).iter().for_each(|path| spoil(path, damage));
    world.compose("up -d").ok().says("Pulled");
    world.compose("down").ok();
}

scenario! {
    /// A damaged layer that is pulled again stays for those who run on it, whoever collects what nobody needs,
    /// and goes with the last of them.
    a_replaced_layer_stays_for_who_runs_on_it, |world| {
        world.compose("up -d").ok();
        let aside = || {
            let entries = fs::read_dir(world.roots().data.join("tmp")).unwrap().map(Result::unwrap);
            entries.filter(|entry| entry.file_name().to_str().unwrap().starts_with("aside-")).count()
        };
        let layers: Vec<_> = pulled(world).into_iter().filter(|path| path.ends_with("layer.json")).collect();
        layers.iter().for_each(|path| spoil(path, DAMAGES[0]));
        world.compose("pull").ok().says("Pulled");
        assert_eq!(aside(), layers.len());
        world.compose("image prune -f").ok();
        world.compose("-p other down --rmi local").ok();
        // A program that was not looked up yet, below a folder that was not listed yet.
        world.run(&["exec", "-T", "web", "sh", "-c", "ls -R /bin /etc > /dev/null && cat /etc/passwd"], "").ok().says("root");
        assert_eq!(aside(), layers.len());
        world.compose("restart").ok();
        world.run(&["exec", "-T", "web", "cat", "/etc/passwd"], "").ok().says("root");
        world.compose("down").ok();
        assert_eq!(aside(), 0);
    }
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
    world.compose("down").ok();
    for path in pulled(world) {
        let before = fs::read(&path).unwrap();
        put(&path, &newer);
        world.compose("pull").exits(1).says(path.to_str().unwrap()).says("newer version");
        if path.ends_with("layer.json") {
            // The image names the layer, and that will do.
            world.compose("image prune -f").ok();
        } else {
            world.compose("up -d").exits(1).says(path.to_str().unwrap()).says("newer version");
            world.compose("image prune -f").exits(1).says(path.to_str().unwrap()).says("none was removed");
        }
        assert_eq!(fs::read(&path).unwrap(), newer);
        put(&path, &before);
    }
    world.compose("up -d").ok();
}
