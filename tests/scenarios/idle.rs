//! What of an ordinary user's world comes to be only when there is work for it: scenarios run commands on
//! a machine where it cannot come to be, and which therefore fail if they try.

use crate::rootless::without_user_namespaces;
use scenarios::{World, scenario, until};

scenario! {
    /// A command that turns out to make no sense, and one that only looks, start neither infra nor pasta.
    what_fails_or_looks_makes_nothing, user_only = "root has no such processes", |world| {
        for (line, sentence) in [
            ("up -d nobody", "nobody"),
            ("up -d --pull never", "image busybox:latest of service \"web\" is not here"),
            ("create --pull never", "image busybox:latest of service \"web\" is not here"),
            ("scale nobody=2", "nobody"),
            ("run --pull never web true", "image busybox:latest of service `web` (compose.yaml:3:12) is not here"),
            ("up --bad-flag", "--bad-flag"),
            ("up -d --pull sometimes", "invalid value for --pull: `sometimes`"),
            ("pod stop nobody", "no pod with name or id `nobody`"),
            ("image rm nothing", "nothing"),
            ("network create -d overlay x", "overlay"),
            ("network rm nothing", "there is no network `nothing`"),
            ("volume create -d nfs x", "nfs"),
            ("volume rm nothing", "there is no volume `nothing`"),
        ] {
            fails(world, line, sentence);
        }
        world.compose("create").ok();
        until("nothing runs", || world.recorded("infra.json").is_none().then_some(()));
        for verb in ["start", "stop", "restart", "kill", "pause", "unpause", "rm -f", "down", "build", "pull", "push"] {
            fails(world, &format!("{verb} nobody"), "no such service: nobody");
        }
        for (line, sentence) in [
            ("exec nobody true", "no such service: nobody"),
            ("exec web true", "service \"web\" is not running"),
            ("attach web", "service \"web\" is not running"),
            ("run nobody true", "nobody"),
            ("cp nobody:/etc .", "no such service: nobody"),
            ("cp compose.yaml nobody:/etc", "no such service: nobody"),
            ("export nobody", "no such service: nobody"),
            ("commit nobody", "no such service: nobody"),
            ("commit -c nonsense web", "--change `nonsense`"),
            ("watch nobody", "nobody"),
            ("watch", "none of the selected services is configured for watch"),
            ("kill -s nonsense", "`nonsense` is not a signal"),
            ("up -d --pull never other", "image busybox:2 of service \"other\" is not here"),
            ("pod stop nobody", "no pod with name or id `nobody`"),
            ("pod rm nobody", "no pod with name or id `nobody`"),
            ("image rm nothing", "nothing"),
            ("image tag nothing other", "nothing"),
            ("image push nothing", "nothing"),
            ("image save -o archive nothing", "nothing"),
        ] {
            fails(world, line, sentence);
        }
        for line in [
            "ps -a", "ls -a", "images", "logs", "volumes", "config -q", "pod ps", "pod inspect project",
            "pod exists project", "pod logs project", "image ls", "image inspect busybox", "image history busybox",
            "network ls", "network inspect project_default", "network rm -f nothing", "volume ls",
            "volume rm -f nothing", "volume prune", "--dry-run network create x", "--dry-run volume create x",
        ] {
            let output = there(world, line);
            assert_eq!(output.status.code(), Some(0), "{line}: {output:?}");
        }
        // What does need the user's world says what stands in its way.
        fails(world, "start", "user.max_user_namespaces is 0");
    }
}

fn there(world: &World, line: &str) -> std::process::Output {
    without_user_namespaces(world, &line.split_whitespace().collect::<Vec<_>>())
}

/// Asserts that a command fails for its own reason, and not because nothing could be started.
fn fails(world: &World, line: &str, sentence: &str) {
    let output = there(world, line);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains(sentence), "{line}: {output:?}");
}
