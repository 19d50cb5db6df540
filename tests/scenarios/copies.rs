//! Copies of a project beside it: `--as NAME`.

use scenarios::{World, http, scenario, until};
use std::net::TcpListener;

/// Where the page of a copy is published.
fn place(world: &World, copy: &str) -> String {
    world.compose(&format!("{copy} port web 80")).ok().stdout.trim().to_owned()
}

scenario! {
    /// A copy of a project runs beside it with everything of its own, fixed names, ports and addresses
    /// included; its ports are the same each time, told, and the next ones when somebody else has them.
    copies_stand_side_by_side, |world| {
        world.compose("up -d").ok();
        let written = format!("Port web {}", world.port());
        world.compose("up -d --as b").ok().says(&written);
        let (own, moved) = (place(world, ""), place(world, "--as b"));
        assert_eq!(own, format!("127.0.0.1:{}", world.port()));
        until("the project answers", || http(&own, "page").filter(|page| page == "project\n"));
        until("the copy answers", || http(&moved, "page").filter(|page| page == "project-b\n"));
        world.compose("--as b exec -T web ip -4 addr").ok().says(".5/24");
        world.compose("--as b ps").ok().says("front-b").says("project-b-friend-1");
        world.compose("--as b config").ok().says("name: kept-b");
        let listed = world.compose("ls").ok().stdout;
        let row = listed.lines().find(|line| line.starts_with("project-b ")).unwrap();
        assert!(row.contains(" project ") && row.contains(&format!("{moved}->80/tcp")), "{listed}");
        // The same again, named by a file.
        world.write(".env", "COMPOSE_AS=b\n");
        world.compose("up -d").ok().says("nothing to do").says(&moved);
        world.compose("down").ok();
        world.write(".env", "");
        assert!(http(&own, "page").is_some());
        let taken = TcpListener::bind(&moved).unwrap();
        world.compose("up -d --as b").ok();
        let (_, next) = moved.rsplit_once(':').unwrap();
        assert_eq!(place(world, "--as b"), format!("127.0.0.1:{}", next.parse::<u16>().unwrap() + 1));
        drop(taken);
        world.compose("--as b down -v").ok();
        // In the foreground it is told, too.
        let mut up = world.background("--as c up");
        up.line(&written);
        up.signal("INT");
        assert_eq!(up.end(), 130);
        world.compose("-p project --as c down -v").ok();
        world.compose("--as C! ps").exits(1).says("invalid name of a copy");
        assert!(http(&own, "page").is_some());
        world.compose("down -v").ok();
    }
}
