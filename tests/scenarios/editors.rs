//! Scenarios about what is wrong with a project: its place, for people and for editors, and its page.

use scenarios::scenario;
use serde_json::{Value, json};

scenario! {
    /// Faults are told with their places, in `.env` and of images too; every code has a page.
    what_is_wrong_is_told_with_its_place, |world| {
        world.write(".env", "GOOD=1\nBAD=\"open\n");
        let told = world.compose("config --format json-diagnostics").exits(1).stdout;
        let told: Value = serde_json::from_str(&told).unwrap();
        let fault = &told["diagnostics"][0];
        assert_eq!((&fault["code"], &fault["place"]["file"]), (&json!("bad-env-file"), &json!(".env")));
        assert_eq!(fault["place"]["start"], json!({ "line": 2, "column": 5, "offset": 11 }));
        world.compose("config").exits(1).says("error[bad-env-file]").says(" --> .env:2:5");
        world.write(".env", "");

        let pinned = world.compose("config --resolve-image-digests").exits(1);
        pinned.says("service `web` (compose.yaml:5:12): cannot pin the image `No/Such`");

        world.compose("explain error[bad-env-file]:").ok().says("bad-env-file: a line of an environment file");
        world.compose("explain").ok().says("unknown-key").says("a key that is not known here");
        world.compose("explain unknown-kye").exits(1).says("a similar one exists: `unknown-key`");
    }
}
