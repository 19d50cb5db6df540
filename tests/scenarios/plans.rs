//! Scenarios about plans: what would be done, why, and doing just that.

use scenarios::scenario;

scenario! {
    /// `plan` shows what `up` would do and does nothing; `apply` does what a kept plan says and nothing else;
    /// `why` names the values that a change comes from, with their places, and tells no secret.
    a_plan_is_kept_and_applied, |world| {
        let plan = world.compose("plan -o first.plan").ok();
        plan.says("create project-web-1").says("because it does not exist");
        assert!(world.rows().is_empty(), "a plan does nothing");
        world.compose("why web").ok().says("web: created, because it does not exist");
        world.compose("apply first.plan").ok();
        assert_eq!((world.state("web"), world.state("db")), ("running".to_owned(), "running".to_owned()));
        world.compose("plan").ok().says("nothing to do");
        world.compose("why").ok().says("web: nothing would be done").says("db: nothing would be done");

        // What was planned is done already.
        let moved = world.compose("apply first.plan").exits(1).says("the world has moved");
        moved.says("- ").says("compose plan -o");

        world.edit("compose.yaml", "SHAPE: round", "SHAPE: square-secret");
        world.write(".env", "# of the day\nCOLOUR=blue\n");
        let why = world.compose("why web").ok();
        assert!(!why.stdout.contains("secret"), "{why:?}");
        let why = why.says("web: recreated, because environment of `web` changed: COLOUR, SHAPE");
        let why = why.says("services.web.environment.SHAPE at compose.yaml:8:14");
        why.says("services.web.environment.COLOUR at compose.yaml:7:15").says("with COLOUR from .env:2");
        let before = (world.id("web"), world.id("db"));
        world.compose("plan -o second.plan web").ok();
        // The plan is a promise about the file of its time, too.
        world.edit("compose.yaml", "SHAPE: square-secret", "SHAPE: flat");
        world.compose("apply second.plan").ok();
        assert_ne!(world.id("web"), before.0);
        assert_eq!(world.id("db"), before.1);
        let shape = world.run(&["exec", "-T", "web", "sh", "-c", "echo $SHAPE; echo $COLOUR"], "").ok().stdout;
        assert_eq!(shape, "square-secret\nblue\n");

        world.compose("plan -o third.plan").ok().says("web");
        world.compose("stop -t 0 db").ok();
        world.compose("apply third.plan").exits(1).says("the world has moved").says("+ ");
        assert_eq!(world.state("db"), "exited");
        let text = std::fs::read_to_string(world.project().join("third.plan")).unwrap();
        world.write("third.plan", &text.replace("flat", "wide"));
        world.compose("apply third.plan").exits(1).says("is no plan, is damaged");
        world.compose("apply nowhere.plan").exits(1).says("cannot read");
        world.compose("down -v -t 0").ok();
    }
}
