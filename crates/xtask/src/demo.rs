//! `cargo xtask demo`: builds the program and brings up `examples/hello`, whose image is made here
//! from one static program, so that no registry is needed.
//!
//! `cargo xtask test demo` goes the same way, so that what the demo promises stays true.

use crate::ordinary::{self, Ordinary};
use crate::test::Who;
use crate::{Failure, cargo, root};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds, makes the image, brings the stack up and says what to try next.
pub(crate) fn run() -> Result<(), Failure> {
    cargo(&["build", "--release", "--package", "cli"])?;
    let compose = root().join("target/release/compose");
    import_image(Command::new(&compose), &image_folder()?)?;
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

/// Goes through the demo as its reader would, root and an ordinary user or one of them, on an engine of
/// its own, with the program that the tests use.
pub(crate) fn check(only: Option<Who>) -> Result<(), Failure> {
    let image = image_folder()?;
    let wanted = [Who::Root, Who::User].into_iter().filter(|who| only.is_none_or(|only| only == *who));
    wanted
        .map(|who| Place::of(who, &image).and_then(|place| place.check()))
        .find(Result::is_err)
        .unwrap_or(Ok(()))
}

/// Where the demo is gone through, and by whom.
struct Place {
    /// A copy of the project and of the image's folder, and the engine.
    folder: PathBuf,
    /// `None` for root.
    user: Option<Ordinary>,
    port: u16,
}

impl Place {
    fn of(who: Who, image: &Path) -> Result<Self, Failure> {
        let port = free_port().map_err(|error| format!("no free port: {error}"))?;
        let user = if who == Who::User { Some(ordinary::find()?) } else { None };
        // The checkout may be where the user may not look.
        let folder = match &user {
            Some(user) => Path::new("/var/tmp").join(format!("{}-demo", user.name)),
            None => root().join("target/demo"),
        };
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let copied = [root().join("examples/hello"), image.to_owned()];
        crate::run(Command::new("cp").arg("-r").args(copied).arg(&folder))?;
        if let Some(user) = &user {
            crate::run(Command::new("chown").args(["-R", &user.name]).arg(&folder))?;
            crate::run(Command::new("chmod").arg("0700").arg(&folder))?;
        }
        Ok(Self { folder, user, port })
    }

    fn compose(&self) -> Command {
        let program = root().join("target/debug/compose");
        let mut command = match &self.user {
            None => Command::new(program),
            Some(user) => {
                let mut command = Command::new(&user.launcher);
                command.arg(&user.name).arg(program);
                command.env("HOME", &self.folder).env("XDG_RUNTIME_DIR", &self.folder);
                command
            }
        };
        command.current_dir(self.folder.join("hello"));
        command.env("COMPOSE_ENGINE_ROOT", self.folder.join("engine"));
        command.env("HELLO_PORT", self.port.to_string());
        command
    }

    fn check(&self) -> Result<(), Failure> {
        import_image(self.compose(), &self.folder.join(IMAGE_FOLDER))?;
        let visited = visits(&|| self.compose(), self.port);
        // Whatever went wrong, nothing of it may stay.
        let removed = crate::run(self.compose().args(["down", "--volumes"]));
        visited.and(removed)?;
        let left = self.compose().args(["ps", "--all", "--quiet"]).output();
        let left = left.map_err(|error| format!("compose ps: {error}"))?;
        if !left.status.success() || !left.stdout.is_empty() {
            return Err(format!("after `down` there still is {}", String::from_utf8_lossy(&left.stdout)));
        }
        crate::run(self.compose().args(["image", "rm", IMAGE]))?;
        std::fs::remove_dir_all(&self.folder).map_err(|error| format!("{}: {error}", self.folder.display()))
    }
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

/// Name of the folder that becomes the image.
const IMAGE_FOLDER: &str = "hello-image";

/// Links `examples/hello` statically; a folder with that one file.
fn image_folder() -> Result<PathBuf, Failure> {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let link = ["rustc", "--quiet", "--release", "--package", "hello", "--target", &target];
    cargo(&[&link[..], &["--", "-C", "target-feature=+crt-static"]].concat())?;
    let folder = root().join("target").join(IMAGE_FOLDER);
    let program = root().join("target").join(target).join("release/hello");
    let make = || -> std::io::Result<()> {
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(&folder)?;
        std::fs::copy(program, folder.join("hello")).map(drop)
    };
    make().map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}

/// Makes an image of that folder with the given program.
fn import_image(mut compose: Command, folder: &Path) -> Result<(), Failure> {
    let entry = "ENTRYPOINT [\"/hello\"]";
    crate::run(compose.args(["image", "import", "--change", entry]).arg(folder).arg(IMAGE))
}
