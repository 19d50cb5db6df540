//! Which services come along, and what `run` makes of one.

use compose_spec::{Files, Input, Loaded};
use lower::{OneOff, Options, Selection, lower, one_off};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// One Compose file.
struct Text(&'static str);

impl Files for Text {
    fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
        Ok(self.0.as_bytes().to_vec())
    }
    fn is_file(&self, path: &Path) -> bool {
        path == Path::new("/p/compose.yaml")
    }
    fn is_dir(&self, _: &Path) -> bool {
        false
    }
}

const FILE: Text = Text(
    "name: p
services:
  db: {image: redis, networks: {default: {ipv4_address: 10.1.0.9}}}
  api: {image: busybox, depends_on: [db], environment: {A: '1', B: '2'}, ports: ['8080:80'], restart: always}
  web: {image: busybox, depends_on: {api: {condition: service_started, restart: true}}}
  tool: {image: busybox, group_add: [audio]}
  hidden: {image: busybox, profiles: [x]}
networks: {default: {ipam: {config: [{subnet: 10.1.0.0/24}]}}}
volumes: {data: {}}
",
);

fn load() -> Loaded {
    load_text(&FILE)
}

fn load_text(text: &Text) -> Loaded {
    let input = Input {
        files: vec!["/p/compose.yaml".into()],
        project_directory: "/p".into(),
        options: compose_spec::Options { all_resources: true, ..compose_spec::Options::default() },
        ..Input::default()
    };
    compose_spec::load(&input, text)
}

fn options(loaded: &Loaded) -> Options<'_> {
    Options {
        sources: &loaded.sources,
        files: &FILE,
        compatibility: false,
        single_id: false,
        platform: None,
        version: "1",
    }
}

fn names(select: impl Fn(Selection) -> Selection, services: &[&str]) -> Vec<String> {
    let loaded = load();
    let project = loaded.project.as_ref().expect("the file is right");
    let selection = select(Selection::of(project, services).expect("the services exist"));
    let lowered = lower(project, &selection, &options(&loaded)).expect("the services can be done");
    let shown = |service: &resource::DesiredService| {
        format!("{}{}{}", service.name, if service.selected { "!" } else { "" }, service.replicas)
    };
    lowered.desired.services.iter().map(shown).collect()
}

#[test]
fn dependencies_come_along_first_and_dependents_when_asked_for() {
    assert_eq!(names(|all| all, &[]), ["db!1", "api!1", "tool!1", "web!1"]);
    assert_eq!(names(|one| one, &["web"]), ["db1", "api1", "web!1"]);
    assert_eq!(names(|one| one, &["[dt]*"]), ["db!1", "tool!1"]);
    assert_eq!(names(Selection::without_dependencies, &["web"]), ["web!1"]);
    assert_eq!(names(|one| one.with_dependents().without_dependencies(), &["api"]), ["api!1", "web1"]);
    let scale: BTreeMap<_, _> = [("tool".to_owned(), 3)].into();
    assert_eq!(names(|one| one.scaled(scale.clone()), &["tool"]), ["tool!3"]);
}

#[test]
fn an_unknown_service_is_told_with_the_nearest() {
    let loaded = load();
    let project = loaded.project.as_ref().expect("the file is right");
    let error = Selection::of(project, &["toul"]).expect_err("there is no such service");
    assert_eq!(error.message, "no such service: toul");
    assert_eq!(error.help, ["a service with a similar name exists: `tool`"]);
    let selection = Selection::all().scaled([("nix".to_owned(), 2)].into());
    assert!(lower(project, &selection, &options(&loaded)).is_err());
}

#[test]
fn services_out_of_sight_are_known_and_keep_their_addresses() {
    let loaded = load();
    let project = loaded.project.as_ref().expect("the file is right");
    let selection = Selection::of(project, &["tool"]).expect("the service exists");
    let desired = lower(project, &selection, &options(&loaded)).expect("it can be done").desired;
    assert_eq!(desired.known_services, ["api", "db", "hidden", "tool", "web"]);
    assert_eq!(desired.networks[0].reserved, ["10.1.0.9".parse::<std::net::IpAddr>().expect("an address")]);
}

#[test]
fn run_changes_what_the_command_line_says_and_no_more() {
    let loaded = load();
    let project = loaded.project.as_ref().expect("the file is right");
    let overrides = OneOff {
        slug: "0123456789abcdef".repeat(4),
        command: vec!["sh".to_owned()],
        environment: [("B".to_owned(), None), ("C".to_owned(), Some("3".to_owned()))].into(),
        labels: [("mine".to_owned(), "yes".to_owned())].into(),
        cap_add: vec!["cap_net_admin".to_owned()],
        publish: vec!["9000:90".to_owned()],
        volumes: vec!["data:/data".to_owned(), "./src:/src".to_owned(), "machines:/all".to_owned()],
        directory: "/elsewhere".into(),
        tty: true,
        remove: true,
        ..OneOff::default()
    };
    let made = one_off(project, "api", &overrides, &options(&loaded)).expect("it can be done");
    let lower::OneOffContainer { spec, image, volumes, .. } = made;
    assert_eq!(spec.name.as_str(), "p-api-run-0123456789ab");
    assert_eq!((spec.number, spec.restart, spec.auto_remove), (None, resource::RestartPolicy::No, true));
    assert_eq!(spec.process.command, Some(vec!["sh".to_owned()]));
    let environment: Vec<_> =
        spec.process.environment.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
    assert_eq!(environment, [("A", Some("1")), ("B", None), ("C", Some("3"))]);
    assert_eq!(spec.ports.iter().map(|port| port.target).collect::<Vec<_>>(), [90]);
    assert_eq!(
        spec.mounts.iter().map(resource::MountSpec::target).collect::<Vec<_>>(),
        ["/data", "/src", "/all"]
    );
    assert!(
        matches!(&spec.mounts[1], resource::MountSpec::Bind { source, .. } if source.as_os_str() == "/elsewhere/src")
    );
    assert_eq!(volumes.iter().map(|volume| volume.name.as_str()).collect::<Vec<_>>(), ["p_data", "machines"]);
    assert_eq!(spec.endpoints[0].aliases, [""; 0]);
    assert_eq!(spec.security.capabilities_added, ["NET_ADMIN"]);
    assert_eq!(spec.labels["com.docker.compose.oneoff"], "True");
    assert_eq!(spec.labels["mine"], "yes");
    assert!(!spec.labels.contains_key("com.docker.compose.container-number"));
    assert_eq!(image.reference.familiar(), "busybox:latest");
    let bad = OneOff { volumes: vec!["no/name:/x".to_owned()], ..OneOff::default() };
    assert!(one_off(project, "api", &bad, &options(&loaded)).is_err());
}

#[test]
fn groups_that_a_single_id_cannot_have_are_told() {
    let loaded = load();
    let project = loaded.project.as_ref().expect("the file is right");
    let warnings = |single_id| {
        let options = Options { single_id, ..options(&loaded) };
        let lowered = lower(project, &Selection::all(), &options).expect("the services can be done");
        diagnostic::render(&loaded.sources, &lowered.warnings, false)
    };
    assert_eq!(warnings(false), "");
    let told = warnings(true);
    assert!(told.contains("service `tool`: `group_add` has no effect"), "{told}");
    assert!(told.contains("/p/compose.yaml:6:"), "{told}");
}

#[test]
fn a_platform_by_default_is_for_services_that_name_none_and_has_to_be_built() {
    let loaded = load_text(&Text(
        "name: p
services:
  plain: {image: busybox}
  own: {image: busybox, platform: linux/s390x}
  unset: {image: busybox, platform: ''}
  built: {build: {context: ., platforms: [linux/arm64, linux/amd64]}}
",
    ));
    let project = loaded.project.as_ref().expect("the file is right");
    let lowered = |platform: &str| {
        let options = Options { platform: resource::Platform::parse(platform), ..options(&loaded) };
        lower(project, &Selection::all(), &options)
    };
    let desired = lowered("linux/arm64").expect("all of it can be done").desired;
    let platforms = desired.services.iter().map(|service| {
        let platform = service.image.platform.as_ref().expect("each has one").to_string();
        (service.name.as_str(), platform)
    });
    let platforms: BTreeMap<_, _> = platforms.collect();
    assert_eq!(platforms["plain"], "linux/arm64");
    assert_eq!(platforms["own"], "linux/s390x");
    assert_eq!(platforms["unset"], "linux/arm64");
    assert_eq!(platforms["built"], "linux/arm64");
    let refused = lowered("linux/riscv64").expect_err("it is built for others");
    let told = diagnostic::render(&loaded.sources, &refused, false);
    assert!(told.contains("`build.platforms` lacks `linux/riscv64`"), "{told}");
}
