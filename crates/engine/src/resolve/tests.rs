//! The rules of `runtime.md` §9 and §11, one by one.

use super::*;
use resource::{Digest, Mount, MountSpec, Platform, Propagation, Reference, VolumeName};
use std::collections::BTreeMap;
use std::time::Duration;

fn list(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn image(config: ImageConfig) -> Image {
    let digest = Digest::of_sha256(&[7; 32]);
    Image {
        id: digest.clone(),
        manifest: digest,
        reference: Reference::parse("busybox").unwrap(),
        platform: Platform::host(),
        layers: vec![],
        size: 0,
        created: None,
        tagged: resource::Timestamp::UNIX_EPOCH,
        config,
        passwd: "root:x:0:0:root:/root:/bin/sh\nwww:x:33:34:www:/var/www:/bin/sh\n".to_owned(),
        group: "root:x:0:\nwww:x:34:\nlog:x:50:www\n".to_owned(),
    }
}

fn words(entrypoint: Option<&[&str]>, command: Option<&[&str]>) -> Result<Vec<String>, ResolveError> {
    let config =
        ImageConfig { entrypoint: list(&["/entry"]), command: list(&["serve"]), ..ImageConfig::default() };
    let spec = ProcessSpec {
        entrypoint: entrypoint.map(list),
        command: command.map(list),
        ..ProcessSpec::default()
    };
    argv(&spec, &config)
}

#[test]
fn entrypoint_and_command_combine_as_in_docker() {
    assert_eq!(words(None, None).unwrap(), ["/entry", "serve"]);
    assert_eq!(words(None, Some(&["x"])).unwrap(), ["/entry", "x"]);
    assert_eq!(words(Some(&["/mine"]), None).unwrap(), ["/mine"], "the image's command is dropped");
    assert_eq!(words(Some(&["/mine"]), Some(&["x"])).unwrap(), ["/mine", "x"]);
    assert_eq!(words(Some(&[]), None).unwrap(), ["serve"], "an empty entrypoint drops the image's alone");
    assert_eq!(words(Some(&[]), Some(&["x"])).unwrap(), ["x"]);
    assert_eq!(words(None, Some(&[])).unwrap(), ["/entry", "serve"], "an empty command clears nothing");
}

#[test]
fn nothing_to_run_is_an_error() {
    let empty = argv(&ProcessSpec::default(), &ImageConfig::default());
    assert!(matches!(empty, Err(ResolveError::NoCommand)));
}

#[test]
fn the_environment_is_the_containers_over_the_images() {
    let config = ImageConfig {
        command: list(&["sh"]),
        environment: list(&["PATH=/image", "KEPT=1", "OVER=image", "GONE=1", "EMPTY="]),
        ..ImageConfig::default()
    };
    let environment = BTreeMap::from([
        ("OVER".to_owned(), Some("mine".to_owned())),
        ("GONE".to_owned(), None),
        ("NEW".to_owned(), Some("a=b".to_owned())),
    ]);
    let spec = ProcessSpec { environment, tty: true, ..ProcessSpec::default() };
    let process = process(&spec, &image(config), "box").unwrap();
    let expected = [
        "PATH=/image",
        "HOSTNAME=box",
        "TERM=xterm",
        "NEW=a=b",
        "OVER=mine",
        "KEPT=1",
        "EMPTY=",
        "HOME=/root",
    ];
    assert_eq!(process.environment, expected);
}

#[test]
fn a_variable_without_a_value_also_removes_what_the_engine_sets() {
    let config = ImageConfig { command: list(&["sh"]), ..ImageConfig::default() };
    let environment = BTreeMap::from([("HOSTNAME".to_owned(), None)]);
    let spec = ProcessSpec { environment, ..ProcessSpec::default() };
    let process = process(&spec, &image(config), "box").unwrap();
    assert_eq!(process.environment, [DEFAULT_PATH, "HOME=/root"]);
}

#[test]
fn the_user_is_looked_up_in_the_image_and_brings_home_and_groups() {
    let config = ImageConfig { command: list(&["sh"]), user: "www".to_owned(), ..ImageConfig::default() };
    let process = process(&ProcessSpec::default(), &image(config.clone()), "box").unwrap();
    assert_eq!((process.uid, process.gid), (33, 34));
    assert!(process.groups.contains(&50));
    assert!(process.environment.contains(&"HOME=/var/www".to_owned()));
    let nobody = ProcessSpec { user: Some("nobody-here".to_owned()), ..ProcessSpec::default() };
    assert!(matches!(super::process(&nobody, &image(config), "box"), Err(ResolveError::User(_))));
}

#[test]
fn the_working_directory_is_absolute_and_clean() {
    let of = |mine: Option<&str>, theirs: &str| {
        let spec = ProcessSpec { working_dir: mine.map(str::to_owned), ..ProcessSpec::default() };
        working_dir(&spec, &ImageConfig { working_dir: theirs.to_owned(), ..ImageConfig::default() })
    };
    assert_eq!(of(None, "").unwrap(), "/");
    assert_eq!(of(None, "/srv/").unwrap(), "/srv");
    assert_eq!(of(Some("/a/../b//c"), "/srv").unwrap(), "/b/c");
    assert!(matches!(of(Some("relative"), "/srv"), Err(ResolveError::WorkingDir(_))));
}

fn check(test: &[&str], retries: Option<u32>) -> HealthCheck {
    let interval = Some(Duration::from_secs(1));
    let test = list(test);
    HealthCheck { test, interval, timeout: None, retries, start_period: None, start_interval: None }
}

#[test]
fn a_health_check_inherits_field_by_field_and_can_be_switched_off() {
    let config = ImageConfig { healthcheck: Some(check(&["probe"], Some(9))), ..ImageConfig::default() };
    let mut spec = container();
    assert_eq!(healthcheck(&spec, &config), config.healthcheck);
    spec.healthcheck = Some(Some(check(&[], None)));
    assert_eq!(healthcheck(&spec, &config), Some(check(&["probe"], Some(9))));
    spec.healthcheck = Some(None);
    assert_eq!(healthcheck(&spec, &config), None);
    spec.healthcheck = Some(Some(check(&[], None)));
    assert_eq!(healthcheck(&spec, &ImageConfig::default()), None, "a check without a test is none");
}

#[test]
fn the_stop_signal_is_the_containers_then_the_images_then_term() {
    let config = ImageConfig { stop_signal: Some("SIGQUIT".to_owned()), ..ImageConfig::default() };
    let mut spec = container();
    assert_eq!(stop_signal(&spec, &ImageConfig::default()).unwrap(), 15);
    assert_eq!(stop_signal(&spec, &config).unwrap(), 3);
    spec.stop_signal = Some("USR1".to_owned());
    assert_eq!(stop_signal(&spec, &config).unwrap(), 10);
    spec.stop_signal = Some("NOPE".to_owned());
    assert!(matches!(stop_signal(&spec, &config), Err(ResolveError::Signal(_))));
}

fn container() -> ContainerSpec {
    crate::test_support::container_spec("t", "box")
}

fn volume(source: Option<&str>, target: &str) -> MountSpec {
    MountSpec::Volume {
        source: source.map(VolumeName::from),
        target: target.to_owned(),
        read_only: false,
        no_copy: false,
        subpath: None,
    }
}

fn mounted(volume: &str, target: &str, anonymous: bool) -> Mount {
    Mount::Bind {
        source: "/v".into(),
        target: target.to_owned(),
        read_only: false,
        recursive: true,
        propagation: Propagation::Rprivate,
        volume: Some(volume.into()),
        anonymous,
    }
}

fn content(target: &str) -> MountSpec {
    MountSpec::Content { content: "x".to_owned(), target: target.to_owned(), uid: 0, gid: 0, mode: 0o444 }
}

fn targets(planned: &[PlannedMount]) -> Vec<&str> {
    planned.iter().map(PlannedMount::target).collect()
}

#[test]
fn parents_are_mounted_before_what_lies_below_them() {
    let specs =
        [volume(Some("c"), "/a/b/c"), volume(Some("a"), "/a/"), volume(Some("b"), "/a/b"), content("/z")];
    let planned = mounts(&specs, &ImageConfig::default(), &[], &[]).unwrap();
    assert_eq!(targets(&planned), ["/a", "/z", "/a/b", "/a/b/c"]);
    assert_eq!(planned[1], PlannedMount::Content { index: 3, target: "/z".to_owned() });
}

#[test]
fn an_image_volume_gets_an_anonymous_one_unless_something_is_mounted_there() {
    let config = ImageConfig { volumes: list(&["/data", "/cache/"]), ..ImageConfig::default() };
    let planned = mounts(&[volume(Some("mine"), "/data")], &config, &[], &[]).unwrap();
    assert_eq!(targets(&planned), ["/data", "/cache"]);
    assert!(matches!(&planned[1], PlannedMount::Volume { name: None, anonymous: true, copy: true, .. }));
}

#[test]
fn an_anonymous_volume_goes_on_in_the_container_that_replaces_its_owner() {
    let config = ImageConfig { volumes: list(&["/data"]), ..ImageConfig::default() };
    let replaced = [mounted("old", "/data", true), mounted("other", "/else", true)];
    let planned = mounts(&[volume(None, "/mine")], &config, &[], &replaced).unwrap();
    let names: Vec<_> = planned
        .iter()
        .map(|mount| match mount {
            PlannedMount::Volume { name, anonymous: true, .. } => name.as_ref().map(VolumeName::as_str),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(targets(&planned), ["/mine", "/data"]);
    assert_eq!(names, [None, Some("old")]);
}

#[test]
fn mounts_taken_over_yield_to_own_ones_and_belong_to_the_other() {
    let taken = [(mounted("theirs", "/data", true), true), (mounted("hidden", "/own", false), false)];
    let planned = mounts(&[volume(Some("own"), "/own")], &ImageConfig::default(), &taken, &[]).unwrap();
    assert_eq!(targets(&planned), ["/own", "/data"]);
    let PlannedMount::Ready(Mount::Bind { read_only, anonymous, volume, .. }) = &planned[1] else { panic!() };
    assert_eq!((*read_only, *anonymous, volume.as_ref().unwrap().as_str()), (true, false, "theirs"));
}

#[test]
fn a_volume_beats_a_secret_at_the_same_target() {
    let specs = [content("/run/secrets/a"), volume(Some("v"), "/run/secrets/a")];
    let planned = mounts(&specs, &ImageConfig::default(), &[], &[]).unwrap();
    assert!(matches!(&planned[..], [PlannedMount::Volume { .. }]));
}

#[test]
fn tmpfs_has_dockers_options_less_what_is_contradicted() {
    let options = |size, mode, given: &[&str], read_only| {
        let specs =
            [MountSpec::Tmpfs { target: "/t".to_owned(), size, mode, options: list(given), read_only }];
        match mounts(&specs, &ImageConfig::default(), &[], &[]).unwrap().remove(0) {
            PlannedMount::Ready(Mount::Tmpfs { options, .. }) => options.join(","),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(options(None, None, &[], false), "noexec,nosuid,nodev,mode=1777");
    assert_eq!(
        options(Some(64), Some(0o700), &["exec", "uid=33"], true),
        "nosuid,nodev,size=64,mode=700,ro,exec,uid=33"
    );
    assert_eq!(options(None, None, &["mode=755", "size=1m"], false), "noexec,nosuid,nodev,mode=755,size=1m");
}

#[test]
fn the_root_and_relative_paths_cannot_be_mounted_on() {
    for target in ["/", "//..", "data"] {
        let planned = mounts(&[volume(None, target)], &ImageConfig::default(), &[], &[]);
        assert!(matches!(planned, Err(ResolveError::Target(_))), "{target}");
    }
}
