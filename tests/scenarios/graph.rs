//! Scenarios about what is drawn and generated: the graph of a project, completions, manual pages.

use scenarios::scenario;
use std::process::Command;

scenario! {
    /// The graph names services, networks and volumes, in every form, and says how containers are.
    a_graph_shows_what_depends_on_what, |world| {
        let drawn = world.compose("graph").ok().stdout;
        assert_eq!(drawn, "\
web  [not created]
├─ db (healthy)  [not created]
│  ├─ network back
│  └─ volume data at /var/lib/db
└─ network back
");
        world.compose("up -d").ok();
        let graph = world.compose("graph").ok();
        graph.says("web  [running]").says("db (healthy)  [2 running, healthy]");
        world.compose("kill web").ok();
        scenarios::until("web is gone", || (world.state("web") == "exited").then_some(()));
        world.compose("graph").ok().says("web  [exited (137)]");
        assert!(!world.compose("graph --no-state").ok().stdout.contains('['));
        world.compose("graph --format dot").ok().says("\"service:web\" -> \"service:db\" [label=\"healthy\"");
        world.compose("graph --format mermaid").ok().says("flowchart LR").says(":::ill");
        world.compose("graph --format svg db").ok().says("<svg xmlns=").says("</svg>");
        let drawn = world.compose("graph --no-state db").ok().stdout;
        assert_eq!(drawn, "db\n├─ network back\n└─ volume data at /var/lib/db\n");
        world.compose("graph bd").exits(1).says("no such service: bd").says("`db`");
        let named = world.compose("config db").ok().stdout;
        assert!(named.contains("  db:\n") && !named.contains("  web:\n"), "{named}");
        assert_eq!(world.compose("config --images web").ok().stdout.lines().count(), 2, "with what it needs");
        assert!(!world.compose("config --explain services d*").ok().stdout.contains("services.web"));
        world.compose("config bd").exits(1).says("no such service: bd");
        world.compose("graph --format png").exits(1).says("possible values: text, dot, mermaid, svg");
        world.compose("down -t 0").ok();

        // bash completes with what it is given; for the others the kind of script has to do.
        let script = world.compose("completion bash").ok().stdout;
        let ask = format!(
            "{script}\nCOMP_WORDS=(compose up --force-r); COMP_CWORD=2\n\
             _compose compose --force-r up; echo \"${{COMPREPLY[*]}}\""
        );
        world.write("ask.sh", &ask);
        let ask = world.project().join("ask.sh");
        let answer = Command::new("bash").arg("--norc").arg(ask).output().unwrap().stdout;
        assert_eq!(String::from_utf8_lossy(&answer), "--force-recreate\n");
        world.compose("completion zsh").ok().says("#compdef compose");
        world.compose("completion fish").ok().says("complete -c compose");
        world.compose("man pages").ok();
        let page = std::fs::read_to_string(world.project().join("pages/compose-up.1")).unwrap();
        assert!(page.contains("force\\-recreate"));
    }
}
