//! Scenarios about images that are small to send and large to have.

use scenarios::{Image, MovingRegistry, World, image_index as index, scenario};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::io::Write as _;
use std::process::Command;

const BOMB: &str = "team/bomb:1";
/// Bytes of the largest.
const HUGE: u64 = 100 << 30;

scenario! {
    /// An image that would fill a disk or memory is refused for what it is, with little memory, and nothing of it
    /// stays: a layer that expands a thousandfold, a file that is mostly a hole, a manifest of 100 MB, indexes in
    /// indexes.
    bombs_are_refused_in_words, |world| {
        let registry = MovingRegistry::new();
        world.write(".env", &format!("REGISTRY={}\n", registry.address()));
        let refused = |image: Image, said: &[&str]| {
            registry.put(image);
            let output = frugally(world, &["pull"]);
            for text in said {
                assert!(output.contains(text), "{text:?} is not in:\n{output}");
            }
            assert_eq!(world.compose("image ls -q").ok().stdout, "");
            let left = |folder: &str| {
                let entries = std::fs::read_dir(world.roots().data.join(folder)).into_iter().flatten().flatten();
                let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
                names.filter(|name| !name.starts_with("empty")).collect::<Vec<_>>()
            };
            assert!(left("layers").is_empty() && left("tmp").is_empty(), "{:?} {:?}", left("layers"), left("tmp"));
        };
        refused(of_layer(&[gzip(&[header(|_| ()), zeros(12 << 30)])]), &["`file` is refused", "10 GiB", "200 times"]);
        let hole = header(|header| {
            header.set_size(0);
            let gnu = header.as_gnu_mut().unwrap();
            gnu.typeflag = [b'S'];
            gnu.set_real_size(HUGE);
            gnu.sparse[0].set_offset(HUGE);
            gnu.sparse[0].set_length(0);
        });
        refused(of_layer(&[gzip(&[hole, vec![0; 1024]])]), &["`file` is refused", "10 GiB"]);
        let mut fat = of_layer(&[gzip(&[vec![0; 1024]])]);
        fat.manifest.resize(100 << 20, b' ');
        fat.digest = digest(&fat.manifest);
        refused(fat, &["the manifest has more than 4194304 bytes"]);
        let plain = of_layer(&[gzip(&[vec![0; 1024]])]);
        let (own, mut nested) = (scenarios::architecture(), Image { name: "", ..plain });
        for name in ["", "", BOMB] {
            let around = index(name, &[(own, &nested)]);
            registry.put(nested);
            nested = around;
        }
        refused(nested, &["index of indexes"]);
    }
}

/// Runs a command that has to fail, with 512 MiB of memory for its data; gives what it said.
fn frugally(world: &World, arguments: &[&str]) -> String {
    let program = world.program();
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "ulimit -d 524288 && exec \"$0\" \"$@\""]).arg(program.get_program());
    command.args(program.get_args()).args(arguments).current_dir(world.project()).env_clear();
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    world.finish(command, "").exits(1).stderr
}

/// An image of these blobs of layers, whose archives nobody will see whole.
fn of_layer(layers: &[Vec<u8>]) -> Image {
    let diff_ids: Vec<String> =
        layers.iter().map(|layer| digest(&[layer, b"unpacked".as_slice()].concat())).collect();
    let config = json!({"architecture": scenarios::architecture(), "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids}})
    .to_string()
    .into_bytes();
    let described = |kind: &str, bytes: &[u8]| json!({"mediaType": format!("application/vnd.oci.image.{kind}"), "digest": digest(bytes), "size": bytes.len()});
    let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": described("config.v1+json", &config),
        "layers": layers.iter().map(|layer| described("layer.v1.tar+gzip", layer)).collect::<Vec<_>>()})
    .to_string()
    .into_bytes();
    let mut blobs: Vec<_> = layers.iter().map(|layer| (digest(layer), layer.clone())).collect();
    blobs.push((digest(&config), config));
    Image { name: BOMB, digest: digest(&manifest), manifest, blobs }
}

/// The header of a file of twelve GiB, or of another form.
fn header(form: impl Fn(&mut tar::Header)) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path("file").unwrap();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(12 << 30);
    form(&mut header);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// One member after the other; a piece that is compressed already is as it is.
fn gzip(pieces: &[Vec<u8>]) -> Vec<u8> {
    let member =
        |piece: &Vec<u8>| if piece.starts_with(&[0x1f, 0x8b]) { piece.clone() } else { member(piece) };
    pieces.iter().flat_map(member).collect()
}

fn member(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(vec![], flate2::Compression::best());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

/// So many zeros, compressed.
fn zeros(count: usize) -> Vec<u8> {
    let piece = 4 << 20;
    member(&vec![0; piece]).repeat(count / piece)
}

fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
