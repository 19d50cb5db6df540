//! Scenarios about where images are looked for: short names, mirrors, other places, and what is forbidden.

use scenarios::{MovingRegistry, World, scenario, telling_image as telling};

const TOLD: &str = "team/told:1";

scenario! {
    /// A name without a registry is an alias, or of the first registry to be searched that has it; a name with one is
    /// where the longest prefix says; mirrors are asked for what they are for; a blocked registry is not asked, and a
    /// configuration that leaves a name open, or makes no sense, is said.
    registries_are_found_as_configured, |world| {
        let (near, far) = (MovingRegistry::new(), MovingRegistry::new());
        let (of_near, of_far) = (telling(TOLD, "near\n", None), telling(TOLD, "far\n", None));
        let digests = [of_near.digest.clone(), of_far.digest.clone()];
        near.put(of_near);
        far.put(of_far);
        far.put(telling("team/only:1", "far\n", None));
        configure(world, &near, &far, "");
        // Digest of what comes, and whether each of the two was asked for it.
        let found = |name: &str| {
            let said = world.compose(&format!("image inspect --remote {name}")).ok().stdout;
            let said: serde_json::Value = serde_json::from_str(&said).unwrap();
            let digest = said[0]["RepoDigests"][0].as_str().unwrap().split_once('@').unwrap().1.to_owned();
            (digest, !near.asked().is_empty(), !far.asked().is_empty())
        };
        let from = |at: usize, near: bool, far: bool| (digests[at].clone(), near, far);
        assert_eq!(found(TOLD), from(0, true, false));
        assert_eq!(found("team/only:1"), from(1, true, true));
        assert_eq!(found("told-short:1"), from(1, false, true));
        assert_eq!(found("a.corp.example.com:5000/team/told:1"), from(0, true, false));
        assert_eq!(found("hub.example.com/moved/told:1"), from(1, false, true));
        assert_eq!(found("digests.example.com/team/told:1"), from(1, false, true));
        assert_eq!(found(&format!("digests.example.com/team/told@{}", digests[0])), from(0, true, false));
        assert_eq!(found("tags.example.com/team/told:1"), from(0, true, false));
        assert_eq!(found(&format!("tags.example.com/team/told@{}", digests[1])), from(1, false, true));
        let refused = |name: &str| {
            let said = world.compose(&format!("image inspect --remote {name}")).exits(1);
            assert!(near.asked().is_empty() && far.asked().is_empty());
            said
        };
        refused("hub.example.com/team/told:1").says("blocks it");
        assert_eq!(world.compose("run --rm -T app").ok().stdout, "far\n");

        configure(world, &near, &far, "short-name-mode = 'enforcing'\n");
        near.asked();
        far.asked();
        refused(TOLD).says(&near.address()).says(&far.address()).says("short-name-mode");
        assert_eq!(found("told-short:1"), from(1, false, true));
        world.write("../registries.conf", "[[registry]]\nlocation = 'https://example.com'\n");
        refused(TOLD).says("registries.conf").says("has a scheme");
        world.write("../registries.conf", "[registries.search]\nregistries = ['example.com']\n");
        refused(TOLD).says("version 1");
    }
}

/// Writes the configuration, of which the first line is given.
fn configure(world: &World, near: &MovingRegistry, far: &MovingRegistry, first: &str) {
    let (near, far) = (near.address(), far.address());
    let mirrored = |prefix: &str, kind: &str| {
        format!(
            "[[registry]]\nprefix = '{prefix}'\nlocation = '{far}'\n\
             [[registry.mirror]]\nlocation = '{near}'\npull-from-mirror = '{kind}'\n"
        )
    };
    let text = format!(
        "{first}unqualified-search-registries = ['{near}', '{far}']\n\
         [aliases]\n'told-short' = '{far}/team/told'\n\
         [[registry]]\nprefix = '*.corp.example.com'\nlocation = '{near}'\n\
         [[registry]]\nlocation = 'hub.example.com'\nblocked = true\n\
         [[registry]]\nprefix = 'hub.example.com/moved'\nlocation = '{far}/team'\n{}{}",
        mirrored("digests.example.com", "digest-only"),
        mirrored("tags.example.com", "tag-only"),
    );
    world.write("../registries.conf", &text);
}
