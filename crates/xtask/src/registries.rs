//! The real registry behind TLS and a login, with layers of every form: what a person does there who has an account.
//!
//! It is asked by a name that is not loopback's, so that it has to prove who it is; its token service is asked by
//! its address. What is pushed stays in the folder of images, where the next run pushes the same.

use crate::fixtures::Place;
use crate::{Failure, run};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// How who asks is known, and the port where that is so. The token service has the next one.
const GATES: [(&str, u16); 2] = [("basic", 5563), ("token", 5564)];
/// The name that the certificate has besides those of loopback.
const NAME: &str = "registry.test";
/// An image that nobody may pull without having logged in.
const PRIVATE: &str = "private/busybox:latest";
/// Images in every form that a manifest, a configuration and a layer have.
const FORMS: [&str; 12] = [
    "torture",
    "zstd",
    "uncompressed",
    "mixed",
    "schema2",
    "multiarch",
    "multiarch:docker",
    "multiarch:attested",
    "config:docker",
    "config:oci",
    "health",
    "manylayers",
];

/// Serves the images behind each gate, and has everything done there that this place's user may do.
pub(crate) fn check(fixtures: &Path, images: &Path, place: &Place) -> Result<(), Failure> {
    for (auth, port) in GATES {
        let port_word = port.to_string();
        let serve = ["--auth", auth, "--tls", "--daemon"];
        run(Command::new(fixtures.join("serve-registry")).arg(images).arg(&port_word).args(serve))?;
        let outcome = Visit::new(place, images, auth, port).and_then(|visit| visit.check());
        let stopped = run(Command::new(fixtures.join("stop-registry")).arg(images).arg(&port_word));
        outcome.and(stopped)?;
    }
    Ok(())
}

/// One user at one registry, with a home, a store and a project of their own.
struct Visit<'a> {
    place: &'a Place,
    folder: PathBuf,
    /// The certificate of the authority.
    authority: PathBuf,
    auth: &'static str,
    /// `registry.test:PORT`
    host: String,
    /// Where the token service is, for `token`.
    service: String,
}

impl<'a> Visit<'a> {
    fn new(place: &'a Place, images: &Path, auth: &'static str, port: u16) -> Result<Self, Failure> {
        let folder = place.folder.join(format!("registry-{auth}"));
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let visit = Self {
            place,
            folder,
            authority: images.join("tls/ca.crt"),
            auth,
            host: format!("{NAME}:{port}"),
            service: format!("127.0.0.1:{}", port + 1),
        };
        // The name is the machine's for these commands alone.
        let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
        visit.write("hosts", &format!("127.0.0.1 {NAME}\n{hosts}"))?;
        let mut services = format!("services:\n  private: {{image: {}/{PRIVATE}}}\n", visit.host);
        services += &format!("  pushed: {{image: '{}/pushed/busybox@${{DIGEST:-}}'}}\n", visit.host);
        for (number, form) in FORMS.iter().enumerate() {
            let _ = writeln!(services, "  form-{number}: {{image: '{}/fixtures/{form}'}}", visit.host);
        }
        visit.write("compose.yaml", &services)?;
        visit.write("registries.conf", "")?;
        visit.give_away()?;
        Ok(visit)
    }

    fn check(&self) -> Result<(), Failure> {
        let (host, is_token) = (self.host.as_str(), self.auth == "token");
        let unknown = |host: &str| {
            format!("put that authority's certificate into /etc/containers/certs.d/{host}/ca.crt")
        };
        let wants_login = format!("`compose login {host}`");
        let copy = format!("{host}/pushed/busybox:{}", self.place.user.as_deref().map_or("root", |_| "user"));
        let private = format!("{host}/{PRIVATE}");

        self.refused(&["pull", "private"], "", &[&unknown(host), "compose.yaml:2:"])?;
        self.refused(&self.login(), "secret", &["is not known here", &unknown(host)])?;
        self.believe(host)?;
        if is_token {
            self.refused(&self.login(), "secret", &["is not known here", &unknown(&self.service)])?;
            self.believe(&self.service)?;
        }
        self.refused(&["pull", "private"], "", &["login", &wants_login, "compose.yaml:2:"])?;
        self.refused(&self.login(), "wrong", &["does not accept this name and password"])?;
        self.holds("nothing is kept of a wrong password", !self.folder.join("auth.json").exists())?;
        self.done(&self.login(), "secret\n")?;
        self.done(&["pull", "private"], "")?;

        // What is pushed, and pulled by its digest once it is gone here, is what it was.
        let id = self.id(&private)?;
        self.done(&["image", "push", &private, &copy], "")?;
        let shown =
            self.done(&["image", "inspect", "--remote", "--format", "{{index .RepoDigests 0}}", &copy], "")?;
        let digest = shown.trim().split_once('@').map(|(_, digest)| digest.to_owned());
        let digest = digest.ok_or_else(|| format!("{copy} has no digest: {shown}"))?;
        self.done(&["image", "rm", "--force", &private], "")?;
        self.write(".env", &format!("DIGEST={digest}\n"))?;
        self.done(&["pull", "pushed"], "")?;
        let pulled = self.id(&format!("{host}/pushed/busybox@{digest}"))?;
        self.holds("what comes back by its digest is what was pushed", pulled == id)?;

        // Once is enough for all of them: what is behind the login is the same.
        let forms = &FORMS[..if is_token { FORMS.len() } else { 2 }];
        let services: Vec<String> = (0..forms.len()).map(|number| format!("form-{number}")).collect();
        let pull: Vec<&str> =
            ["pull", "--quiet"].into_iter().chain(services.iter().map(String::as_str)).collect();
        self.done(&pull, "")?;
        for form in forms {
            self.id(&format!("{host}/fixtures/{form}"))?;
        }
        self.holds("the images in their forms are pulled", true)?;

        let said = self.done(&["logout", host], "")?;
        self.holds("a login is forgotten", said.contains("Removed login credentials"))?;
        self.refused(&["pull", "private"], "", &["login", &wants_login])?;
        self.refused(
            &["image", "push", &format!("{host}/fixtures/zstd"), &copy],
            "",
            &["login", &wants_login],
        )?;
        // A token service gives anybody leave to pull what is not private.
        match is_token {
            true => self.done(&["pull", "form-1"], "").map(drop),
            false => self.refused(&["pull", "form-1"], "", &["login", &wants_login]),
        }
    }

    fn login(&self) -> [&str; 5] {
        ["login", "--username", "fixture", "--password-stdin", &self.host]
    }

    /// Puts the authority's certificate where it is looked for.
    fn believe(&self, host: &str) -> Result<(), Failure> {
        let certificate = std::fs::read_to_string(&self.authority);
        let certificate = certificate.map_err(|error| format!("{}: {error}", self.authority.display()))?;
        self.write(&format!(".config/containers/certs.d/{host}/ca.crt"), &certificate)?;
        self.give_away()
    }

    /// The id of an image that is here.
    fn id(&self, image: &str) -> Result<String, Failure> {
        self.done(&["image", "inspect", "--format", "{{.Id}}", image], "")
    }

    /// What a command says that has to succeed.
    fn done(&self, arguments: &[&str], input: &str) -> Result<String, Failure> {
        let output = self.compose(arguments, input)?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        match output.status.success() {
            true => Ok(said),
            false => Err(self.told(arguments, "failed", &output)),
        }
    }

    /// Has a command fail and say all of this.
    fn refused(&self, arguments: &[&str], input: &str, says: &[&str]) -> Result<(), Failure> {
        let output = self.compose(arguments, input)?;
        let error = String::from_utf8_lossy(&output.stderr);
        if output.status.code() != Some(1) {
            return Err(self.told(arguments, "was to be refused", &output));
        }
        match says.iter().find(|text| !error.contains(**text)) {
            Some(text) => Err(self.told(arguments, &format!("does not say {text:?}"), &output)),
            None => self.holds(&format!("`{}` is refused, and says why", arguments.join(" ")), true),
        }
    }

    fn holds(&self, what: &str, holds: bool) -> Result<(), Failure> {
        if !holds {
            return Err(format!("registry with {}: {what} does not hold", self.auth));
        }
        eprintln!("ok   registry with {}: {what}", self.auth);
        Ok(())
    }

    fn told(&self, arguments: &[&str], what: &str, output: &Output) -> Failure {
        let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        format!("registry with {}: {arguments:?} {what}; {}\n{out}{error}", self.auth, output.status)
    }

    /// Runs the program with nothing of anybody's around it.
    fn compose(&self, arguments: &[&str], input: &str) -> Result<Output, Failure> {
        let mut command = Command::new("unshare");
        let script = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
        command.args(["--mount", "sh", "-c", script]).arg(self.folder.join("hosts"));
        command.args(&self.place.command).arg(&self.place.programs[1]).args(arguments);
        self.place.surround(&mut command);
        command
            .current_dir(&self.folder)
            .env("HOME", &self.folder)
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("DOCKER_CONFIG")
            .env("REGISTRY_AUTH_FILE", self.folder.join("auth.json"))
            .env("CONTAINERS_REGISTRIES_CONF", self.folder.join("registries.conf"))
            .env("COMPOSE_ENGINE_ROOT", self.folder.join("engine"));
        let failed = |error: std::io::Error| format!("{arguments:?}: {error}");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that ends without reading says by its status how it went.
            drop(stdin.write_all(input.as_bytes()));
        }
        child.wait_with_output().map_err(failed)
    }

    fn write(&self, name: &str, content: &str) -> Result<(), Failure> {
        let path = self.folder.join(name);
        let folder = path.parent().unwrap_or(&self.folder);
        let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, content));
        written.map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Everything here is the user's.
    fn give_away(&self) -> Result<(), Failure> {
        match &self.place.user {
            Some(user) => run(Command::new("chown").args(["-R", user]).arg(&self.folder)),
            None => Ok(()),
        }
    }
}
