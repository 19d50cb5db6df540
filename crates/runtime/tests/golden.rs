//! The specification made of a record, whole: a change of a default must be seen in a diff.

#![expect(clippy::unwrap_used, reason = "the records are shared with a harness that is not cargo's")]

#[path = "real/bed.rs"]
#[expect(dead_code, reason = "only records are made here")]
mod bed;

use resource::{IdentityShare, Mapping, Mount, NetworkMode, Propagation, Rlimit};
use runtime::spec::{Surroundings, generate};
use serde_json::Value;

fn around() -> Surroundings {
    Surroundings {
        hosts: "/run/c/hosts".into(),
        hostname_file: "/run/c/hostname".into(),
        resolv_conf: "/run/c/resolv.conf".into(),
        hostname: "web".to_owned(),
        host_queues: true,
        devices: vec![],
        apparmor: true,
        mapping: Mapping::Host,
    }
}

/// As JSON with sets in order.
fn json(record: &resource::ContainerRecord) -> Value {
    let mut value = serde_json::to_value(generate(record, &around())).unwrap();
    for set in value["process"]["capabilities"].as_object_mut().unwrap().values_mut() {
        set.as_array_mut().unwrap().sort_by_key(|name| name.as_str().unwrap().to_owned());
    }
    value
}

#[test]
fn a_container_without_wishes_is_dockers() {
    insta::assert_json_snapshot!(json(&bed::record(&"a".repeat(64), "shop", &["/bin/app", "serve"])));
}

#[test]
fn a_container_with_every_wish() {
    let mut record = bed::record(&"b".repeat(64), "shop", &["app"]);
    (record.process.uid, record.process.gid, record.process.groups) = (33, 34, vec![4]);
    record.process.tty = true;
    let security = &mut record.spec.security;
    security.capabilities_added = vec!["NET_ADMIN".to_owned()];
    security.capabilities_dropped = vec!["ALL".to_owned()];
    security.no_new_privileges = true;
    security.apparmor = Some("shop-app".to_owned());
    security.read_only_root = true;
    security.unconfined_paths = true;
    security.sysctls.insert("net.core.somaxconn".to_owned(), "1024".to_owned());
    security.device_rules = vec!["c 10:* rw".to_owned()];
    record.spec.network_mode = NetworkMode::Host;
    record.spec.ipc = IdentityShare::Host;
    record.spec.uts = IdentityShare::Host;
    record.spec.resources.oom_score_adj = Some(-500);
    record.spec.rlimits = vec![Rlimit { name: "nofile".to_owned(), soft: 1024, hard: 4096 }];
    let bind = |target: &str, read_only, recursive| Mount::Bind {
        source: "/srv".into(),
        target: target.to_owned(),
        read_only,
        recursive,
        propagation: Propagation::Rslave,
        volume: None,
        anonymous: false,
    };
    record.mounts = vec![
        bind("/deep/in/it", true, true),
        bind("/srv", false, false),
        bind("/etc/hosts", true, false),
        Mount::Tmpfs { target: "/dev/shm".to_owned(), options: vec!["size=1m".to_owned()] },
    ];
    insta::assert_json_snapshot!(json(&record));
}

#[test]
fn a_privileged_container() {
    let mut record = bed::record(&"c".repeat(64), "shop", &["app"]);
    record.spec.security.privileged = true;
    let value = json(&record);
    assert_eq!(value["process"]["capabilities"]["effective"].as_array().unwrap().len(), 41);
    assert_eq!(value["linux"]["maskedPaths"], Value::Array(vec![]));
    assert_eq!(
        value["linux"]["resources"]["devices"],
        serde_json::json!([{"allow": true, "type": "a", "access": "rwm"}])
    );
    let writable = |target: &str| {
        let mounts = value["mounts"].as_array().unwrap();
        let mount = mounts.iter().find(|mount| mount["destination"] == target).unwrap();
        mount["options"].as_array().unwrap().contains(&"rw".into())
    };
    assert!(writable("/sys") && writable("/sys/fs/cgroup"));
}

/// What an ordinary user's container has besides: the host's devices bound, what only the owner of a
/// namespace can mount bound as well, and no device rules.
#[test]
fn a_container_of_an_ordinary_user() {
    let mut record = bed::record(&"d".repeat(64), "shop", &["app"]);
    record.spec.network_mode = NetworkMode::Host;
    record.spec.pid = IdentityShare::Host;
    let mounts = |mapping| {
        let spec = generate(&record, &Surroundings { mapping, ..around() });
        let linux = spec.linux().as_ref().unwrap();
        assert_eq!(linux.devices().as_deref(), Some(&[][..]));
        assert_eq!(linux.resources().as_ref().unwrap().devices(), &None);
        let text = |mount: &oci_spec::runtime::Mount| {
            let source = mount.source().as_ref().unwrap().display().to_string();
            let options = mount.options().as_ref().unwrap().join(",");
            format!("{} on {} ({options})", source, mount.destination().display())
        };
        spec.mounts().iter().flatten().map(text).collect::<Vec<_>>()
    };
    let subordinate = mounts(Mapping::Subordinate);
    insta::assert_snapshot!(subordinate.join("\n"));
    let single = mounts(Mapping::Single);
    let different: Vec<_> = single.iter().filter(|line| !subordinate.contains(line)).collect();
    assert_eq!(
        different,
        ["devpts on /dev/pts (nosuid,noexec,newinstance,ptmxmode=0666,mode=0620)"],
        "there is no group `tty`"
    );
}
