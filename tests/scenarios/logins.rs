//! Scenarios about registries that speak TLS, and those that want to know who reads.

use scenarios::{Depot, Ending, Gate, Output, World, certificate, kill_points, scenario};
use std::collections::BTreeSet;
use std::process::{Command, Stdio};

/// `user:secret`, as HTTP has it.
const LOGIN: &str = "dXNlcjpzZWNyZXQ=";

scenario! {
    /// A registry is believed by the authority that `certs.d` has for its host and port, and by no other; what is wrong
    /// with its certificate is said, and what to do; it is shown the client's where it wants one. In the clear
    /// nobody is spoken to but the machine itself, and who is said to be insecure.
    registries_prove_who_they_are, |world| {
        world.compose("pull plain").ok();
        let depot = with("server.crt");
        let hint = format!("certs.d/{}/ca.crt", depot.distant());
        push(world, &depot).exits(1).says("is of an authority that is not known here").says(&hint);
        pull(world, &depot).exits(1).says("compose.yaml:6:12").says(&hint);
        login(world, &depot, "secret").exits(1).says("is not known here").says(&hint);
        give(world, &depot, &["second.crt"]);
        push(world, &depot).exits(1).says("is of an authority that is not known here");
        give(world, &depot, &["ca.crt"]);
        push(world, &depot).ok();
        pull(world, &depot).ok();

        let expired = with("expired.crt");
        give(world, &expired, &["second.crt"]);
        push(world, &expired).exits(1).says("its certificate has expired");
        let other = with("named.crt");
        give(world, &other, &["second.crt"]);
        push(world, &other).exits(1).says("its certificate is for other.example.com alone");

        let choosy = Gate { certificate: Some("server.crt"), wants_certificate: true, ..Gate::default() };
        let choosy = Depot::behind(choosy);
        give(world, &choosy, &["ca.crt"]);
        push(world, &choosy).exits(1);
        give(world, &choosy, &["client.cert"]);
        push(world, &choosy).exits(1).says("client.key");
        give(world, &choosy, &["client.key"]);
        push(world, &choosy).ok();

        let plain = Depot::start(None);
        let refused = push(world, &plain).exits(1).says("it does not speak TLS");
        refused.says(&format!("`insecure = true` of `{}`", plain.distant()));
        let conf = std::fs::read_to_string(world.project().join("../registries.conf")).unwrap();
        let insecure = format!("[[registry]]\nlocation = '{}'\ninsecure = true\n", plain.distant());
        world.write("../registries.conf", &format!("{conf}\n{insecure}"));
        push(world, &plain).ok();
    }
}

scenario! {
    /// Where reading needs a login, too, one that is proved lets in who pushes, pulls and locks, at the registry
    /// itself or by way of its token service, until it is forgotten; a token that was given in its place does
    /// the same. Whoever has none is told at which registry to log in.
    registries_let_in_who_may, |world| {
        world.compose("pull plain").ok();
        let guarded = Gate { login: Some(LOGIN), reading: true, certificate: Some("server.crt"), ..Gate::default() };
        for gate in [guarded, Gate { basic: true, ..guarded }] {
            let depot = Depot::behind(gate);
            give(world, &depot, &["ca.crt"]);
            let hint = format!("`compose login {}`", depot.distant());
            push(world, &depot).exits(1).says("login").says(&hint);
            login(world, &depot, "wrong").exits(1).says("does not accept this name and password");
            login(world, &depot, "secret").ok();
            push(world, &depot).ok();
            pull(world, &depot).ok();
            asking(world, &["lock"]).ok();
            asking(world, &["pull", "--frozen", "copied"]).ok();
            asking(world, &["logout", &depot.distant()]).ok().says("Removed login credentials");
            pull(world, &depot).exits(1).says("login").says(&hint);
            push(world, &depot).exits(1).says("login").says(&hint);
            std::fs::remove_file(world.project().join("compose.lock")).unwrap();
        }

        let refreshed = Gate { login: None, refresh: Some("whispered"), ..guarded };
        let depot = Depot::behind(refreshed);
        give(world, &depot, &["ca.crt"]);
        let keep = |token: &str| {
            let kept = format!("{{\"auths\":{{\"{}\":{{\"identitytoken\":\"{token}\"}}}}}}", depot.distant());
            world.write("auth.json", &kept);
        };
        keep("whispered");
        push(world, &depot).ok();
        pull(world, &depot).ok();
        keep("shouted");
        pull(world, &depot).exits(1).says("does not accept the stored credentials");

        // What a file that is named does not have, the user's own has.
        let named = std::fs::read_to_string(world.project().join("auth.json")).unwrap();
        std::fs::create_dir_all(world.project().join("settings/containers")).unwrap();
        world.write("settings/containers/auth.json", &named.replace("shouted", "whispered"));
        world.write("auth.json", "{}");
        let mut command = world.program();
        command.env("XDG_CONFIG_HOME", world.project().join("settings"));
        command.env("REGISTRY_AUTH_FILE", world.project().join("auth.json")).args(["pull", "copied"]);
        world.finish(command, "").ok();
    }
}

scenario! {
    /// Logins and logouts at the same time lose nothing of each other. One that is killed at any step leaves the file of
    /// credentials whole, and beside it nothing that the next does not clear away.
    credentials_survive_others_and_kills, |world| {
        let gate = Gate { login: Some(LOGIN), basic: true, ..Gate::default() };
        let depots: Vec<Depot> = (0..8).map(|_| Depot::behind(gate)).collect();
        let hosts: BTreeSet<String> = depots.iter().map(Depot::host).collect();
        let auth = world.project().join("auth.json");
        let kept = || -> BTreeSet<String> {
            let kept: serde_json::Value = serde_json::from_slice(&std::fs::read(&auth).unwrap()).unwrap();
            kept["auths"].as_object().unwrap().keys().cloned().collect()
        };
        let command = |verb: &str, host: &str| {
            let mut command = world.program();
            command.env("REGISTRY_AUTH_FILE", &auth).arg(verb);
            command.args(if verb == "login" { &["-u", "user", "-p", "secret"][..] } else { &[] }).arg(host);
            command
        };
        let at_once = |commands: Vec<Command>| {
            let running: Vec<_> = commands
                .into_iter()
                .map(|mut command| command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
                .collect();
            for mut child in running {
                assert!(child.wait().unwrap().success());
            }
        };
        at_once(hosts.iter().map(|host| command("login", host)).collect());
        assert_eq!(kept(), hosts);
        let (some, others): (Vec<_>, Vec<_>) = (depots[..4].iter().collect(), depots[4..].iter().collect());
        let each = |verb: &'static str, depots: &[&Depot]| -> Vec<Command> {
            depots.iter().map(|depot| command(verb, &depot.host())).collect()
        };
        at_once(each("logout", &some));
        at_once(each("login", &some).into_iter().chain(each("logout", &others)).collect());
        assert_eq!(kept(), some.iter().map(|depot| depot.host()).collect());

        let host = depots[0].host();
        let login = command("login", &host);
        let other = r#"{"auths":{"kept.example.com":{"auth":"b3RoZXI6c2VjcmV0"}},"credHelpers":{}}"#;
        world.write("auth.json", other);
        let Ending::Finished(steps) = world.finished_or_killed(&login, usize::MAX) else { unreachable!() };
        // The file is written at the end.
        for step in kill_points(steps).into_iter().chain(steps.saturating_sub(9).max(1)..steps) {
            world.write("auth.json", other);
            let ending = world.finished_or_killed(&login, step);
            eprintln!("step {step} of {steps}: {ending:?}");
            assert!(kept().contains("kept.example.com"), "{ending:?}");
            at_once(vec![command("logout", &host)]);
            assert_eq!(kept(), BTreeSet::from(["kept.example.com".to_owned()]), "{ending:?}");
            let names = std::fs::read_dir(world.project()).unwrap().map(|entry| entry.unwrap().file_name());
            let names = names.map(|name| name.into_string().unwrap()).filter(|name| name.starts_with("auth"));
            assert_eq!(names.collect::<Vec<_>>(), ["auth.json"], "{ending:?}");
        }
    }
}

fn with(certificate: &'static str) -> Depot {
    Depot::behind(Gate { certificate: Some(certificate), ..Gate::default() })
}

/// Puts files of the tests' authorities where the client looks for those of this registry.
fn give(world: &World, depot: &Depot, files: &[&str]) {
    let folder = format!("../.config/containers/certs.d/{}", depot.distant());
    std::fs::create_dir_all(world.project().join(&folder)).unwrap();
    for file in files {
        let text = std::fs::read_to_string(certificate(file)).unwrap();
        world.write(&format!("{folder}/{file}"), &text);
    }
}

fn push(world: &World, depot: &Depot) -> Output {
    asking(world, &["image", "push", "busybox", &format!("{}/copies/busybox:1", depot.distant())])
}

/// Pulls what was pushed, and nothing that is here helps.
fn pull(world: &World, depot: &Depot) -> Output {
    world.write(".env", &format!("COPY={}\n", depot.distant()));
    asking(world, &["pull", "copied"])
}

fn login(world: &World, depot: &Depot, password: &str) -> Output {
    let mut command = world.program();
    command.env("REGISTRY_AUTH_FILE", world.project().join("auth.json"));
    command.args(["login", "-u", "user", "--password-stdin", &depot.distant()]);
    world.finish(command, password)
}

/// Runs `compose` with the credentials that the project has.
fn asking(world: &World, arguments: &[&str]) -> Output {
    let mut command = world.program();
    command.env("REGISTRY_AUTH_FILE", world.project().join("auth.json")).args(arguments);
    world.finish(command, "")
}
