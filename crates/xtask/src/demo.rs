//! `cargo xtask demo`: builds the program and brings up `examples/hello`, whose image is made here
//! from one static program, so that no registry is needed.
//!
//! `cargo xtask test demo` goes the same way, so that what the demo promises stays true.

use crate::{Failure, cargo, is_root, root};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

/// Builds, makes the image, brings the stack up and says what to try next.
pub(crate) fn run() -> Result<(), Failure> {
    if !is_root() {
        return Err("the demo needs root for now; try: sudo -E cargo xtask demo".to_owned());
    }
    cargo(&["build", "--release", "--package", "cli"])?;
    let compose = root().join("target/release/compose");
    import_image(Command::new(&compose))?;
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

/// Goes through the demo as its reader would, on an engine of its own below `target/`, with the
/// program that the tests use.
pub(crate) fn check() -> Result<(), Failure> {
    let engine = root().join("target/demo-engine");
    let port = free_port().map_err(|error| format!("no free port: {error}"))?;
    let compose = || {
        let mut command = Command::new(root().join("target/debug/compose"));
        command.current_dir(root().join("examples/hello"));
        command.env("COMPOSE_ENGINE_ROOT", &engine).env("HELLO_PORT", port.to_string());
        command
    };
    import_image(compose())?;
    let visited = visits(&compose, port);
    // Whatever went wrong, nothing of it may stay.
    let removed = crate::run(compose().args(["down", "--volumes"]));
    visited.and(removed)?;
    let left = compose().args(["ps", "--all", "--quiet"]).output();
    let left = left.map_err(|error| format!("compose ps: {error}"))?;
    if !left.status.success() || !left.stdout.is_empty() {
        return Err(format!("after `down` there still is {}", String::from_utf8_lossy(&left.stdout)));
    }
    crate::run(compose().args(["image", "rm", IMAGE]))?;
    std::fs::remove_dir_all(&engine).map_err(|error| format!("{}: {error}", engine.display()))
}

/// The page counts, and goes on counting after `down` and another `up`.
fn visits(compose: &dyn Fn() -> Command, port: u16) -> Result<(), Failure> {
    for expected in [1..=2, 3..=4] {
        crate::run(compose().args(["up", "-d", "--wait"]))?;
        for count in expected {
            let page = page(port).map_err(|error| format!("http://127.0.0.1:{port}/: {error}"))?;
            if !page.ends_with(&format!("Visits: {count}\n")) {
                return Err(format!("visit {count} was answered with: {page}"));
            }
        }
        crate::run(compose().arg("down"))?;
    }
    Ok(())
}

/// The whole answer to one request.
fn page(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// A port that nobody listened on a moment ago.
fn free_port() -> std::io::Result<u16> {
    TcpListener::bind("0.0.0.0:0")?.local_addr().map(|address| address.port())
}

const IMAGE: &str = "localhost/hello:latest";

/// Links `examples/hello` statically and makes an image of that one file with the given program.
fn import_image(mut compose: Command) -> Result<(), Failure> {
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
    crate::run(compose.args(["image", "import", "--change", entry]).arg(&folder).arg(IMAGE))
}
