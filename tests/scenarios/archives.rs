//! Scenarios about images in files: written, read, copied, and refused.

use scenarios::{Depot, MovingRegistry, World, scenario, telling_image as telling};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

const TOLD: &str = "team/told:1";

scenario! {
    /// An image that goes through a file comes back with its digests, whatever the file's form: the pulled one
    /// from blobs of its registry, the built one packed anew, a loaded one without any registry, and then the file
    /// is the same to the byte. Compressed archives are read, from files and from standard input.
    images_go_through_files_and_stay_the_same, |world| {
        let registry = MovingRegistry::new();
        world.write(".env", &format!("REGISTRY={}\n", registry.address()));
        registry.put(telling(TOLD, "hello\n", None));
        world.compose("pull pulled").ok();
        world.compose("build built").ok();
        let pulled = format!("{}/{TOLD}", registry.address());
        let both = [pulled.as_str(), "localhost/built:1"];
        let before = both.map(|name| known(world, name));
        for (form, to) in [("oci-archive", "oci.tar"), ("docker-archive", "docker.tar"), ("oci-dir", "layout")] {
            world.compose(&format!("image save --format {form} -o {to} {pulled} localhost/built:1")).ok();
        }
        assert_layout(&entries(world, "oci.tar"), &both.map(str::to_owned), &before.clone().map(|(_, manifest)| manifest));
        let saved = parsed(&entries(world, "docker.tar")["manifest.json"]);
        assert_eq!(saved[1]["RepoTags"], serde_json::json!(["localhost/built:1"]));
        assert_eq!(saved[0]["Config"], format!("{}.json", before[0].0.trim_start_matches("sha256:")));
        registry.go_away();
        world.compose(&format!("image copy {pulled} oci-archive:never.tar")).exits(1).says("cannot be reached");
        assert!(!world.project().join("never.tar").exists(), "half an archive is none");

        for (load, again) in [
            ("oci.tar", Some("--format oci-archive -o again.tar")),
            ("docker.tar", Some("--format docker-archive -o again.tar")),
            ("layout", None),
            ("oci.tar.gz", None),
            ("oci.tar.zst", None),
            ("oci.tar.xz", None),
        ] {
            let (plain, kind) = load.rsplit_once('.').unwrap_or((load, ""));
            match kind {
                "gz" => compress(world, plain, load),
                "zst" => put(world, load, &zstd::encode_all(read(world, plain).as_slice(), 1).unwrap()),
                "xz" => {
                    let packed = std::process::Command::new("xz").arg("-ck0").arg(world.project().join(plain)).output();
                    put(world, load, &packed.unwrap().stdout);
                }
                _ => {}
            }
            clear(world);
            if load.ends_with(".gz") {
                let mut command = world.program();
                let archive = std::fs::File::open(world.project().join(load)).unwrap();
                let said = command.args(["image", "load"]).stdin(archive).output().unwrap();
                assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
            } else {
                world.compose(&format!("image load -i {load}")).ok().says("Loaded image: localhost/built:1");
            }
            let ids = both.map(|name| known(world, name).0);
            assert_eq!(ids, before.clone().map(|(id, _)| id), "{load}");
            if load != "docker.tar" {
                assert_eq!(both.map(|name| known(world, name)), before, "{load}");
            }
            if let Some(flags) = again {
                world.compose(&format!("image save {flags} {pulled} localhost/built:1")).ok();
                assert!(read(world, load) == read(world, "again.tar"), "{load} comes out as it went in");
            }
        }
        assert_eq!(world.compose("run --rm -T pulled").ok().stdout, "hello\n");
        assert_eq!(world.compose("run --rm -T built").ok().stdout, "hello\nservus\n");
        // What was kept goes with the image.
        clear(world);
        assert_eq!(std::fs::read_dir(world.roots().data.join("blobs/sha256")).unwrap().count(), 0);
    }
}

scenario! {
    /// An image whose registry is away is saved and bundled with its files, under other digests, and that is said; it
    /// runs the same, held to the bundle's lock as well, and from then on its archive comes out as it went in. Under
    /// a name that has its digest, where that would be a lie, it is not saved.
    images_are_saved_without_their_registry, |world| {
        let registry = MovingRegistry::new();
        world.write(".env", &format!("REGISTRY={}\n", registry.address()));
        registry.put(telling(TOLD, "hello\n", None));
        world.compose("pull pulled").ok();
        let pulled = format!("{}/{TOLD}", registry.address());
        let before = known(world, &pulled);
        let pinned = format!("{}/team/told@{}", registry.address(), before.1);
        world.compose(&format!("image copy docker://{pinned} {pinned}")).ok();
        registry.go_away();
        for (form, file) in [("oci-archive", "oci.tar"), ("docker-archive", "docker.tar"), ("oci-archive", "again.tar")] {
            let saved = world.compose(&format!("image save --format {form} -o {file} {pulled}")).ok();
            saved.says("is packed anew").says("another id and digest").says("cannot be reached");
        }
        assert!(read(world, "oci.tar") == read(world, "again.tar"), "the same every time");
        world.compose(&format!("image save -o never.tar {pinned}")).exits(1).says("cannot be reached");
        assert!(!world.project().join("never.tar").exists());
        world.compose("bundle -o bundle.tar").ok().says("is packed anew");
        for file in ["docker.tar", "oci.tar"] {
            clear(world);
            world.compose(&format!("image load -i {file}")).ok();
            let after = known(world, &pulled);
            assert!(after.0 != before.0 && after.1 != before.1, "{before:?} {after:?}");
            assert_eq!(world.compose("run --rm -T pulled").ok().stdout, "hello\n");
        }
        let again = world.compose(&format!("image save -o again.tar {pulled}")).ok();
        assert!(!again.stderr.contains("anew"), "{}", again.stderr);
        assert!(read(world, "oci.tar") == read(world, "again.tar"), "nothing is packed anew twice");
        clear(world);
        world.compose("load bundle.tar there").ok();
        let mut command = world.program();
        command.current_dir(world.project().join("there")).args(["run", "--rm", "--frozen", "-T", "pulled"]);
        assert_eq!(world.finish(command, "").ok().stdout, "hello\n");
        clear(world);
    }
}

scenario! {
    /// A damaged, cut off or hostile archive is refused with the part that is wrong, and no image is there after
    /// it, also not of those in it that were whole; nothing is written under a name of the archive's.
    a_damaged_archive_changes_nothing, |world| {
        world.compose("pull").ok();
        let names = "busybox several";
        let image = |line: &str| world.compose(&format!("image {line}"));
        world.compose("image copy docker://busybox busybox").ok();
        for (form, file) in [("oci-archive", "oci.tar"), ("docker-archive", "docker.tar")] {
            image(&format!("save --format {form} -o {file} {names}")).ok();
        }
        clear(world);
        let whole = entries(world, "oci.tar");
        let docker = entries(world, "docker.tar");
        let index = parsed(&whole["index.json"]);
        let last = index["manifests"][1]["digest"].as_str().unwrap().replace("sha256:", "blobs/sha256/");
        let manifest = parsed(&whole[&last]);
        let layer = manifest["layers"][1]["digest"].as_str().unwrap().replace("sha256:", "blobs/sha256/");
        let config = manifest["config"]["digest"].as_str().unwrap().replace("sha256:", "blobs/sha256/");
        let refused = |files: &BTreeMap<String, Vec<u8>>, said: &str| {
            write(world, "bad.tar", files);
            image("load -i bad.tar").exits(1).says(said);
            assert_eq!(image("ls --quiet").ok().stdout, "", "{said}");
        };
        let with = |files: &BTreeMap<String, Vec<u8>>, name: &str, change: &dyn Fn(&mut Vec<u8>)| {
            let mut files = files.clone();
            change(files.get_mut(name).unwrap());
            files
        };
        let flip = |bytes: &mut Vec<u8>| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        };
        refused(&with(&whole, &layer, &flip), &layer);
        refused(&with(&whole, &layer, &|bytes| bytes.truncate(100)), "should have");
        refused(&with(&whole, &config, &flip), "its digest is");
        refused(&with(&whole, &last, &flip), &last);
        refused(&with(&whole, "index.json", &|bytes| bytes.truncate(20)), "index.json");
        let without = |files: &BTreeMap<String, Vec<u8>>, name: &str| {
            let mut files = files.clone();
            files.remove(name);
            files
        };
        refused(&without(&whole, &layer), "missing");
        refused(&without(&whole, "index.json"), "holds no images");
        let saved = parsed(&docker["manifest.json"]);
        let tar = saved[1]["Layers"][1].as_str().unwrap();
        refused(&with(&docker, tar, &flip), tar);
        refused(&without(&docker, saved[1]["Config"].as_str().unwrap()), "missing");

        // Cut off, and what is no archive at all.
        let bytes = read(world, "oci.tar");
        put(world, "cut.tar", &bytes[..bytes.len() / 2]);
        image("load -i cut.tar").exits(1).says("it ends inside a file");
        world.write("text", "this is no archive, and it is long enough to have a header.\n".repeat(20).as_str());
        image("load -i text").exits(1).says("damaged");
        image("load -i nowhere.tar").exits(1).says("nowhere.tar");

        // Names that lead elsewhere are names only.
        let mut hostile = docker.clone();
        let mut saved = parsed(&docker["manifest.json"]);
        saved[1]["Layers"][1] = "../../../etc/passwd".into();
        hostile.insert("manifest.json".to_owned(), saved.to_string().into_bytes());
        refused(&hostile, "missing");
        std::fs::create_dir(world.project().join("layout")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", world.project().join("layout/index.json")).unwrap();
        image("load -i layout").exits(1).says("holds no images");

        assert_eq!(image("ls --quiet").ok().stdout, "");
        image("load -i oci.tar").ok().says("Loaded image: several:latest");
    }
}

scenario! {
    /// An image is copied between registries, files and the store with the digest that it has; from registry to
    /// registry, and from registry to file, nothing of it comes into the store; a foreign platform is copied when
    /// it is asked for.
    images_are_copied_from_place_to_place, |world| {
        let (registry, depot) = (MovingRegistry::new(), Depot::start(None));
        registry.put(telling(TOLD, "told\n", None));
        let (from, host) = (registry.address(), depot.host());
        let copy = |source: &str, target: &str| world.compose(&format!("image copy {source} {target}"));
        let digest = copy(&format!("docker://{from}/{TOLD}"), &format!("docker://{host}/a/told:1")).ok().stdout;
        let manifest = depot.manifest("a/told", "1").unwrap();
        assert_eq!(Some(&manifest), depot.manifest("a/told", digest.trim()).as_ref());
        let same = |source: &str, target: &str| assert_eq!(copy(source, target).ok().stdout, digest, "{source} {target}");
        same(&format!("docker://{host}/a/told:1"), "oci-archive:told.tar:localhost/told:1");
        same("oci-archive:told.tar", "oci:layout:one");
        same("oci:layout:one", "oci:layout:two");
        depot.asked();
        same("oci:layout:two", &format!("docker://{host}/b/told:1"));
        assert!(depot.asked().iter().any(|line| line.starts_with("PATCH")), "another repository has none of it");
        copy("oci:layout", &format!("docker://{host}/b/told:2")).exits(1).says("several images");
        assert_eq!(world.compose("image ls --quiet").ok().stdout, "", "the store has taken no part");
        assert_eq!(parsed(&read(world, "layout/index.json"))["manifests"].as_array().unwrap().len(), 2);

        copy("oci:layout:three", "localhost/copy:1").exits(1).says("`one`, `two`");
        copy("dir:layout", "localhost/copy:1").exits(1).says("oci:FOLDER");
        copy("localhost/nobody", "oci:other").exits(1).says("is not here");
        same("oci:layout:two", "localhost/copy:1");
        assert_eq!(world.compose("run --rm -T web").ok().stdout, "told\n");
        same("localhost/copy:1", "localhost/copy:2");
        same("localhost/copy:2", &format!("docker://{host}/c/told:1"));
        assert_eq!(depot.manifest("c/told", "1").as_ref(), Some(&manifest));
        same(&format!("docker://{host}/c/told:1"), "localhost/copy:3");
        copy("localhost/copy:3", "docker-archive:docker.tar").ok();
        assert_eq!(parsed(&entries(world, "docker.tar")["manifest.json"])[0]["RepoTags"][0], "localhost/copy:3");
        world.compose("image load -i docker.tar --name localhost/copy:4").ok();
        assert_eq!(known(world, "localhost/copy:4"), known(world, "localhost/copy:3"));
        clear(world);
    }
}

scenario! {
    /// A bundle has all that a project needs but its secrets, as it was loaded: in an empty store, another folder and
    /// without any registry it runs the same, also when images are held to its lock. Files that are there are not
    /// written over; a damaged bundle changes neither folder nor store; with secrets it is for its owner alone.
    a_bundle_runs_without_a_registry, |world| {
        let registry = MovingRegistry::new();
        world.write(".env", &format!("REGISTRY={}\nWORD='$said'\n", registry.address()));
        registry.put(telling(TOLD, "told\n", None));
        world.compose("bundle -o early.tar").exits(1).says("there is no image").says("compose build");
        assert!(!world.project().join("early.tar").exists());
        world.compose("--profile extra build").ok();
        let before = world.compose("run --rm -T web").ok().stdout;
        assert_eq!(before, "told\ngrüß $Gott\na=$b\n$saidhidden\n$said file\n");
        world.compose("bundle -o plain.tar").ok();
        world.compose("bundle -o whole.tar --with-secrets").ok();
        let mode = |path: &str| std::fs::metadata(world.project().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("whole.tar"), 0o600);
        let files = entries(world, "plain.tar");
        assert!(!files.values().any(|bytes| bytes.windows(6).any(|part| part == b"hidden")), "secrets stay out");
        world.compose("down -v -t 0").ok();
        registry.go_away();
        clear(world);

        let there = |arguments: &[&str], folder: &str| {
            let mut command = world.program();
            command.current_dir(world.project().join(folder)).args(arguments);
            world.finish(command, "")
        };
        let bytes = read(world, "plain.tar");
        put(world, "cut.tar", &bytes[..bytes.len() / 2]);
        world.compose("load cut.tar cut").exits(1).says("cut.tar");
        assert_eq!(std::fs::read_dir(world.project().join("cut")).unwrap().count(), 0);
        world.compose("load plain.tar").exits(1).says("`compose.yaml`").says("--force");
        assert_eq!(world.compose("image ls --quiet").ok().stdout, "");
        world.compose("load plain.tar plain").ok().says("Wrote compose.yaml").says("`secret/word` is not in the bundle");
        assert!(!world.project().join("plain/secret/word").exists());
        world.compose("load plain.tar plain").ok();

        world.compose("load whole.tar whole").ok().says("Wrote secret/word");
        for line in ["run --rm -T web", "run --rm --frozen -T web"] {
            let words: Vec<&str> = line.split(' ').collect();
            assert_eq!(there(&words, "whole").ok().stdout, before, "{line}");
        }
        for line in ["run --rm -T built", "run --rm --frozen -T built"] {
            let words: Vec<&str> = line.split(' ').collect();
            assert_eq!(there(&words, "whole").ok().stdout, "grüß $Gott\n", "{line}");
        }
        there(&["up", "-d", "--frozen"], "whole").ok();
        there(&["down", "-v", "-t", "0"], "whole").ok();
        clear(world);
    }
}

fn clear(world: &World) {
    world.compose("system prune --all --force").ok();
    assert_eq!(world.compose("image ls --quiet").ok().stdout, "");
}

/// Id and digest of the manifest of an image here.
fn known(world: &World, name: &str) -> (String, String) {
    let shown = world.compose(&format!("image inspect {name}")).ok().stdout;
    let shown = parsed(shown.as_bytes());
    let digests: Vec<&str> =
        shown[0]["RepoDigests"].as_array().unwrap().iter().map(|digest| digest.as_str().unwrap()).collect();
    let digest = digests[0].split_once('@').unwrap().1;
    (shown[0]["Id"].as_str().unwrap().to_owned(), digest.to_owned())
}

/// Every blob has the digest that it is named after, and the index has these images under these digests.
fn assert_layout(files: &BTreeMap<String, Vec<u8>>, names: &[String], digests: &[String]) {
    for (name, bytes) in files.iter().filter(|(name, _)| name.starts_with("blobs/")) {
        let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(*name, format!("blobs/sha256/{hex}"));
    }
    assert_eq!(parsed(&files["oci-layout"])["imageLayoutVersion"], "1.0.0");
    let index = parsed(&files["index.json"]);
    let entries = index["manifests"].as_array().unwrap();
    let of = |key: &str| -> Vec<String> {
        let value = |entry: &Value| {
            if key == "digest" { entry[key].clone() } else { entry["annotations"][key].clone() }
        };
        entries.iter().map(|entry| value(entry).as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(of("org.opencontainers.image.ref.name"), names);
    assert_eq!(of("digest"), digests);
    for digest in digests {
        let manifest = parsed(&files[&digest.replace("sha256:", "blobs/sha256/")]);
        let layers = manifest["layers"].as_array().unwrap().iter();
        for part in layers.chain([&manifest["config"]]) {
            let blob = &files[&part["digest"].as_str().unwrap().replace("sha256:", "blobs/sha256/")];
            assert_eq!(part["size"], blob.len());
        }
    }
}

fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn read(world: &World, path: &str) -> Vec<u8> {
    std::fs::read(world.project().join(path)).unwrap()
}

/// Writes bytes for anybody to read.
fn put(world: &World, path: impl AsRef<Path>, bytes: &[u8]) {
    std::fs::write(world.project().join(path), bytes).unwrap();
}

fn entries(world: &World, path: &str) -> BTreeMap<String, Vec<u8>> {
    let bytes = read(world, path);
    let mut archive = tar::Archive::new(bytes.as_slice());
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut bytes = vec![];
        entry.read_to_end(&mut bytes).unwrap();
        (entry.path().unwrap().to_str().unwrap().to_owned(), bytes)
    });
    entries.collect()
}

fn write(world: &World, path: &str, files: &BTreeMap<String, Vec<u8>>) {
    let mut archive = tar::Builder::new(vec![]);
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    put(world, path, &archive.into_inner().unwrap());
}

fn compress(world: &World, from: &str, to: &str) {
    let mut packed = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    packed.write_all(&read(world, from)).unwrap();
    put(world, to, &packed.finish().unwrap());
}
