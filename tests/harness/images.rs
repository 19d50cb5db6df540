//! The images that the scenarios run: one static busybox, and a few configurations of it.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::io::Write;
use std::process::Command;

/// An image as a registry keeps it.
#[derive(Debug)]
pub struct Image {
    /// Repository and tag: `library/busybox:latest`.
    pub name: &'static str,
    /// Manifest, with its media type inside.
    pub manifest: Vec<u8>,
    /// Digest of the manifest.
    pub digest: String,
    /// Layers, lowest first, and then the configuration; each with its digest.
    pub blobs: Vec<(String, Vec<u8>)>,
}

/// Every image there is.
pub(crate) fn all() -> Vec<Image> {
    let base = base_layer();
    let data = layer(|tar| {
        folder(tar, "data/", 0o750, 1000);
        file(tar, "data/from-image", b"from the image\n", 0o640, 1000);
    });
    let plain = json!({"Cmd": ["sh"], "Env": ["PATH=/bin", "FROM_IMAGE=yes"]});
    let health = json!({"Cmd": ["sleep", "1000"], "Env": ["PATH=/bin"], "Healthcheck": {
        "Test": ["CMD-SHELL", "test -e /tmp/healthy"], "Interval": 100_000_000, "Retries": 3}});
    let volume = json!({"Cmd": ["sleep", "1000"], "Env": ["PATH=/bin"], "Volumes": {"/data": {}}});
    let entry = json!({"Entrypoint": ["echo", "entry"], "Cmd": ["command"], "Env": ["PATH=/bin"],
        "User": "1000:1000", "WorkingDir": "/work"});
    vec![
        image("library/busybox:latest", &plain, &[&base]),
        image("library/health:latest", &health, &[&base]),
        image("library/volume:latest", &volume, &[&base, &data]),
        image(
            "library/several:latest",
            &plain,
            &[&data, &layer(|tar| file(tar, "data/above", b"above\n", 0o644, 0))],
        ),
        image("library/entry:latest", &entry, &[&base]),
    ]
}

/// `library/big:latest`: five layers of 40 MB of files each, the programs and libraries of this machine.
pub fn big() -> Image {
    let mut sources: Vec<_> = ["/usr/bin", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"]
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
        .filter(|path| path.symlink_metadata().is_ok_and(|data| data.is_file() && data.len() < 8 << 20))
        .collect();
    sources.sort();
    let mut sources = sources.into_iter().cycle();
    let layers: Vec<Vec<u8>> = (0..5)
        .map(|number| {
            layer(|tar| {
                folder(tar, &format!("layer{number}/"), 0o755, 0);
                let mut bytes = 0;
                for count in 0.. {
                    let content = std::fs::read(sources.next().unwrap()).unwrap();
                    bytes += content.len();
                    file(tar, &format!("layer{number}/{count}"), &content, 0o644, 0);
                    if bytes > 40_000_000 {
                        break;
                    }
                }
            })
        })
        .collect();
    image("library/big:latest", &json!({"Cmd": ["/layer0/0"]}), &layers.iter().collect::<Vec<_>>())
}

/// Busybox with a file `/told` of this text, for an architecture; without one for that of this machine.
pub fn telling(name: &'static str, text: &str, of: Option<&str>) -> Image {
    let (base, told) = (base_layer(), layer(|tar| file(tar, "told", text.as_bytes(), 0o644, 0)));
    let config = json!({"Cmd": ["sleep", "1000"], "Env": ["PATH=/bin"]});
    let diff_ids = [digest(&base), digest(&told)];
    made_for(of.unwrap_or(architecture()), name, &config, &[&base, &told], &diff_ids)
}

/// Busybox with these layers above it, lowest first. An entry is a path with what it is: `FOLDER/` with nothing, a
/// file with its content, a symbolic link with `-> TARGET`, a hard link with `= TARGET`.
pub fn layered(name: &'static str, layers: &[&[(&str, &str)]]) -> Image {
    let write = |tar: &mut tar::Builder<Vec<u8>>, (path, content): (&str, &str)| {
        let linked = [("-> ", tar::EntryType::Symlink), ("= ", tar::EntryType::Link)];
        let linked = linked.iter().find_map(|(mark, kind)| Some((content.strip_prefix(mark)?, *kind)));
        match linked {
            None if path.ends_with('/') => folder(tar, path, 0o755, 0),
            None => file(tar, path, content.as_bytes(), 0o644, 0),
            Some((target, kind)) => {
                let mut header = tar::Header::new_ustar();
                header.set_entry_type(kind);
                header.set_size(0);
                tar.append_link(&mut header, path, target).unwrap();
            }
        }
    };
    let above = layers.iter().map(|entries| layer(|tar| entries.iter().for_each(|entry| write(tar, *entry))));
    let layers: Vec<Vec<u8>> = std::iter::once(base_layer()).chain(above).collect();
    let config = json!({"Cmd": ["sleep", "1000"], "Env": ["PATH=/bin"]});
    image(name, &config, &layers.iter().collect::<Vec<_>>())
}

/// An index of images for these architectures, which are served beside it.
pub fn index(name: &'static str, images: &[(&str, &Image)]) -> Image {
    let manifests: Vec<Value> = images
        .iter()
        .map(|(architecture, image)| {
            json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": image.digest,
                "size": image.manifest.len(), "platform": {"os": "linux", "architecture": architecture}})
        })
        .collect();
    let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": manifests});
    let manifest = serde_json::to_vec(&index).unwrap();
    Image { name, digest: digest(&manifest), manifest, blobs: vec![] }
}

/// Busybox whose configuration promises another layer than the one that its manifest names.
pub(crate) fn misdescribed() -> Image {
    let (base, other) = (base_layer(), digest(b"other bytes"));
    described("library/busybox:latest", &json!({"Cmd": ["sh"], "Env": ["PATH=/bin"]}), &[&base], &[other])
}

fn image(name: &'static str, config: &Value, layers: &[&Vec<u8>]) -> Image {
    let diff_ids: Vec<String> = layers.iter().map(|layer| digest(layer)).collect();
    described(name, config, layers, &diff_ids)
}

/// An image whose configuration names these digests of unpacked layers.
fn described(name: &'static str, config: &Value, layers: &[&Vec<u8>], diff_ids: &[String]) -> Image {
    made_for(architecture(), name, config, layers, diff_ids)
}

fn made_for(
    architecture: &str,
    name: &'static str,
    config: &Value,
    layers: &[&Vec<u8>],
    diff_ids: &[String],
) -> Image {
    // buildah and podman add layers to an image only if it says where each of those it has comes from.
    let history: Vec<Value> = layers.iter().map(|_| json!({"created_by": "files"})).collect();
    let config = json!({"architecture": architecture, "os": "linux", "config": config, "history": history,
        "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    let config = serde_json::to_vec(&config).unwrap();
    let mut blobs = vec![];
    let mut described = vec![];
    for layer in layers {
        let mut packed = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
        packed.write_all(layer).unwrap();
        let packed = packed.finish().unwrap();
        described.push(json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
            "digest": digest(&packed), "size": packed.len()}));
        blobs.push((digest(&packed), packed));
    }
    let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": digest(&config), "size": config.len()},
        "layers": described});
    blobs.push((digest(&config), config));
    let manifest = serde_json::to_vec(&manifest).unwrap();
    Image { name, digest: digest(&manifest), manifest, blobs }
}

/// The architecture of this machine, as images name it.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// `sha256:…` of some bytes.
pub(crate) fn digest(bytes: &[u8]) -> String {
    let hash: [u8; 32] = Sha256::digest(bytes).into();
    resource::Digest::of_sha256(&hash).to_string()
}

fn base_layer() -> Vec<u8> {
    let busybox = std::fs::read("/bin/busybox").expect("the package busybox-static is installed");
    let applets = Command::new("/bin/busybox").arg("--list").output().unwrap();
    let applets = String::from_utf8(applets.stdout).unwrap();
    layer(|tar| {
        for path in ["bin/", "etc/", "tmp/", "root/"] {
            folder(tar, path, if path == "tmp/" { 0o1777 } else { 0o755 }, 0);
        }
        file(tar, "bin/busybox", &busybox, 0o755, 0);
        for applet in applets.lines().filter(|applet| *applet != "busybox") {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            tar.append_link(&mut header, format!("bin/{applet}"), "busybox").unwrap();
        }
        file(tar, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nweb:x:33:33:web:/srv:/bin/sh\n", 0o644, 0);
        file(tar, "etc/group", b"root:x:0:\nweb:x:33:\nextra:x:44:web\n", 0o644, 0);
        file(tar, "etc/not-executable", b"no program\n", 0o644, 0);
    })
}

fn layer(fill: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
    let mut tar = tar::Builder::new(vec![]);
    fill(&mut tar);
    tar.into_inner().unwrap()
}

fn folder(tar: &mut tar::Builder<Vec<u8>>, path: &str, mode: u32, owner: u64) {
    append(tar, path, b"", mode, owner, tar::EntryType::Directory);
}

fn file(tar: &mut tar::Builder<Vec<u8>>, path: &str, content: &[u8], mode: u32, owner: u64) {
    append(tar, path, content, mode, owner, tar::EntryType::Regular);
}

fn append(
    tar: &mut tar::Builder<Vec<u8>>,
    path: &str,
    content: &[u8],
    mode: u32,
    owner: u64,
    kind: tar::EntryType,
) {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(owner);
    header.set_gid(owner);
    header.set_mtime(1_700_000_000);
    header.set_size(content.len() as u64);
    tar.append_data(&mut header, path, content).unwrap();
}
