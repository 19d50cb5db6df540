//! Scenarios about builds that stand on images in files.

use scenarios::{Depot, scenario};
use serde_json::Value;

scenario! {
    /// A build stands on an image of an OCI layout, takes files from it and mounts it, by its tag, by its digest
    /// or because it is the only one; the image gets no name, it is unpacked once, and what was built on
    /// it can be pushed when it is gone. What is not there is said.
    an_image_in_files_is_built_upon, |world| {
        let depot = Depot::start(None);
        world.compose("build made").ok();
        world.compose("image copy localhost/made oci:layout:one").ok();
        let index: Value = serde_json::from_slice(&std::fs::read(world.project().join("layout/index.json")).unwrap()).unwrap();
        let digest = index["manifests"][0]["digest"].as_str().unwrap();
        world.write(".env", &format!("DIGEST={digest}\nHOST={}\n", depot.host()));
        world.compose("image rm localhost/made").ok();
        world.compose("system prune --all --force").ok();

        world.compose("build web").ok().says("FROM base");
        assert_eq!(world.compose("image ls --quiet").ok().stdout.lines().count(), 1, "the base has no name");
        let seen = "in the layout\nin the layout\nof the layout\nput off\n";
        assert_eq!(world.compose("run --rm -T web").ok().stdout, seen);
        world.compose("build web").ok().says("CACHED");

        // Of two the one that is meant; the tag that is usual needs no saying.
        world.compose(&format!("image copy {}/web oci:layout:latest", depot.host())).ok();
        world.edit("compose.yaml", "layout://layout\n", "layout://layout:none\n");
        world.compose("build web").exits(1).says("no image `none`").says("compose.yaml:14:");
        world.edit("compose.yaml", "layout://layout:none\n", "layout://layout:one\n");
        world.compose("build web").ok().says("CACHED");
        world.edit("compose.yaml", "layout://layout:one\n", "layout://layout\n");
        world.edit("compose.yaml", "cat /files/word >", "test -e /seen && cat /files/word >");
        world.compose("build web").ok().says("RUN --mount=from=files");
        world.write(".env", &format!("DIGEST=sha256:{}\nHOST={}\n", "0".repeat(64), depot.host()));
        world.compose("build web").exits(1).says("this blob is missing");
        world.write(".env", &format!("DIGEST=short\nHOST={}\n", depot.host()));
        world.compose("build web").exits(1).says("`short` is no digest");

        // The layout is gone: its blobs are kept for a push.
        std::fs::remove_dir_all(world.project().join("layout")).unwrap();
        world.compose("system prune --force").ok();
        world.write(".env", &format!("DIGEST={digest}\nHOST={}\n", depot.host()));
        world.compose("push web").ok();
        assert!(depot.manifest("web", "latest").is_some());
        world.compose("build web").exits(1).says("layout");
    }
}
