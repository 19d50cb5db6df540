//! `cargo xtask demo`: builds the program and brings up `examples/hello`, whose image is made here
//! from one static program, so that no registry is needed.

use crate::{Failure, cargo, is_root, root};
use std::path::Path;
use std::process::Command;

/// Builds, makes the image, brings the stack up and says what to try next.
pub(crate) fn run() -> Result<(), Failure> {
    if !is_root() {
        return Err("the demo needs root for now; try: sudo -E cargo xtask demo".to_owned());
    }
    cargo(&["build", "--release", "--package", "cli"])?;
    let compose = root().join("target/release/compose");
    import_image(&compose)?;
    let project = root().join("examples/hello");
    crate::run(Command::new(&compose).args(["up", "-d", "--wait"]).current_dir(&project))?;
    eprintln!(
        "
The stack is up: http://127.0.0.1:8088/ counts its visits. To try next:

    cd examples/hello
    alias compose={}
    curl http://127.0.0.1:8088/
    compose ps
    compose logs -f          (Ctrl-C ends it)
    compose down             (the count stays in its volume; `down -v` removes that too)

Then `cd ../wordpress` and `compose up -d`: WordPress with its database on port 8080.",
        compose.display()
    );
    Ok(())
}

/// Links `examples/hello` statically and makes an image of that one file.
pub(crate) fn import_image(compose: &Path) -> Result<(), Failure> {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let link = ["rustc", "--quiet", "--release", "--package", "hello", "--target", &target];
    cargo(&[&link[..], &["--", "-C", "target-feature=+crt-static"]].concat())?;
    let folder = root().join("target/hello-image");
    let program = root().join("target").join(target).join("release/hello");
    let make = || -> std::io::Result<()> {
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(&folder)?;
        std::fs::copy(program, folder.join("hello")).map(drop)
    };
    make().map_err(|error| format!("{}: {error}", folder.display()))?;
    let entry = "ENTRYPOINT [\"/hello\"]";
    let import = ["image", "import", "--change", entry];
    crate::run(Command::new(compose).args(import).arg(&folder).arg("localhost/hello:latest"))
}
