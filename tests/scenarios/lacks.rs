//! What keeps an ordinary user from having containers at all: a sentence for each, with what to do.

use crate::rootless::{on_a_machine, said};
use scenarios::{ordinary_user, scenario};
use std::os::unix::fs::MetadataExt;

/// The kernel refuses user namespaces, and nothing in /proc/sys tells why.
const NO_NAMESPACES: &str =
    "mount -t tmpfs tmpfs /proc/sys/kernel && export COMPOSE_TEST_LACKING='272 1 268435456'";

scenario! {
    /// Where nothing can run, the command says what stands in the way, and what to do about it.
    what_stands_in_a_users_way_is_named, user_only = "root needs none of it", |world| {
        let folder = world.project().parent().unwrap().to_string_lossy().into_owned();
        let (user, uid) = (ordinary_user(), std::fs::metadata(world.project()).unwrap().uid());
        let forbidden = format!("{NO_NAMESPACES} && echo 0 > /proc/sys/kernel/unprivileged_userns_clone");
        let others = format!(
            "mount -t tmpfs tmpfs /mnt && echo {user}:{uid}:10 > /mnt/subuid && mount --bind /mnt/subuid /etc/subuid"
        );
        // The machine's /tmp is others', too, and the world lies in it.
        let shared = format!(
            "mount --bind {folder} /mnt && mount -t tmpfs tmpfs /tmp && mkdir -p {folder} && \
             mount --move /mnt {folder} && mkdir -m 777 /tmp/compose-{uid} && \
             unset XDG_RUNTIME_DIR COMPOSE_ENGINE_ROOT"
        );
        let home = "unset HOME XDG_DATA_HOME COMPOSE_ENGINE_ROOT";
        let read_only = "mount -t tmpfs -o ro tmpfs /mnt && unset XDG_DATA_HOME COMPOSE_ENGINE_ROOT && export HOME=/mnt";
        for (setup, sentence, help) in [
            (
                forbidden.as_str(),
                "user namespaces are forbidden here: kernel.unprivileged_userns_clone is 0",
                "as root: sysctl -w kernel.unprivileged_userns_clone=1",
            ),
            (NO_NAMESPACES, "cannot make a user namespace", "a container or service around this command may forbid it"),
            (&others, "newuidmap cannot give this user its subordinate ids", "with ranges that nobody else has"),
            (&shared, "is not a folder that only this user can use", "set XDG_RUNTIME_DIR to a folder of this user"),
            (home, "no folder to keep images and volumes in: HOME is not set", "set HOME or XDG_DATA_HOME"),
            (read_only, "cannot use /mnt/.local/share/compose", "name another folder with --root"),
        ] {
            let output = on_a_machine(world, setup, &["up", "-d"]);
            assert_eq!(output.status.code(), Some(1), "{setup}: {output:?}");
            said(&output, &[sentence, help]);
            assert!(!world.roots().data.exists() && !world.roots().run.exists(), "{setup}: something is left");
        }
    }
}
