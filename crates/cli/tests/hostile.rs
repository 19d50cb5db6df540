//! Input that is no input: the whole program answers with an error, in 256 MiB of address space.
//!
//! A named pipe without a writer would be waited for and `/dev/zero` read for ever; then the test never ends.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::process::Command;

const KIBIBYTES: u32 = 256 * 1024;

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("compose-hostile-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("compose.yaml"), "services: {web: {image: nginx}}\n").unwrap();
        Self(path)
    }

    fn pipe(&self, name: &str) {
        assert!(Command::new("mkfifo").arg(self.0.join(name)).status().unwrap().success());
    }

    /// What `compose ARGUMENTS config --quiet` says; it must fail with 1.
    fn refused(&self, arguments: &str) -> String {
        let script = format!("ulimit -v {KIBIBYTES}; exec \"$0\" {arguments} config --quiet");
        let output = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_compose")])
            .current_dir(&self.0)
            .env("COMPOSE_ENGINE_ROOT", self.0.join("root"))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments}: {text}");
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
        text
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_is_no_file_is_refused() {
    let folder = Folder::new("kinds");
    folder.pipe("pipe");
    let write = |name: &str, file: &str| {
        let text = format!("services: {{web: {{image: nginx, env_file: {file}}}}}\n");
        std::fs::write(folder.0.join(name), text).unwrap();
    };
    write("pipe.yaml", "pipe");
    write("zero.yaml", "/dev/zero");
    write("folder.yaml", ".");
    for (arguments, reason) in [
        ("-f pipe", "it is a pipe, not a file"),
        ("-f /dev/zero", "it is a device, not a file"),
        ("-f .", "is a folder"),
        ("--env-file pipe", "it is a pipe, not a file"),
        ("--env-file /dev/zero", "it is a device, not a file"),
        ("--env-file .", "it is a folder"),
        ("-f pipe.yaml", "it is a pipe, not a file"),
        ("-f zero.yaml", "it is a device, not a file"),
        ("-f folder.yaml", "is a folder"),
    ] {
        let text = folder.refused(arguments);
        assert!(text.contains(reason), "{arguments}: {text}");
    }
}

#[test]
fn an_env_file_that_is_no_file_is_refused() {
    let folder = Folder::new("env");
    folder.pipe(".env");
    assert!(folder.refused("").contains("it is a pipe, not a file"));
    std::fs::remove_file(folder.0.join(".env")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", folder.0.join(".env")).unwrap();
    assert!(folder.refused("").contains("it is a device, not a file"));
}

#[test]
fn what_is_too_large_is_refused() {
    let folder = Folder::new("large");
    let make = |name: &str, text: &str| std::fs::write(folder.0.join(name), text).unwrap();
    let sparse = |path: &Path| std::fs::File::create(path).unwrap().set_len(100 << 20).unwrap();
    sparse(&folder.0.join("sparse.yaml"));
    make("deep.yaml", &format!("x-a: {}", "[".repeat(100_000)));
    make(
        "deep-blocks.yaml",
        &(0..4_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect::<String>(),
    );
    make("many.yaml", &format!("x-a:\n{}", " - a: b\n".repeat(1_900_000)));
    make("damaged.yaml", &format!("x-a:\n{}b; c\nd:\n", " - a: b\n".repeat(25_000)));
    let bomb = (1..12).fold("x-a0: &a0 [a, a, a, a, a, a, a, a, a]\n".to_owned(), |text, level| {
        let alias = format!("*a{}", level - 1);
        format!("{text}x-a{level}: &a{level} [{}]\n", vec![alias; 9].join(", "))
    });
    make("bomb.yaml", &bomb);
    for (file, reason) in [
        ("sparse.yaml", "it is larger than 16 MiB"),
        ("deep.yaml", "too deep"),
        ("deep-blocks.yaml", "deep"),
        ("many.yaml", "too-many-values"),
        ("damaged.yaml", "error["),
        ("bomb.yaml", "too-many-values"),
    ] {
        let text = folder.refused(&format!("-f {file}"));
        assert!(text.contains(reason), "{file}: {text}");
        assert!(text.len() < 20_000, "{file} says too much");
    }
}
