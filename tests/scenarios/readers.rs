//! Scenarios about who reads what the program writes slowly, or not at all for a while.

use rustix::io::ioctl_fionread;
use scenarios::{World, scenario, until};
use std::io::Read as _;
use std::process::{Child, Stdio};

/// Bytes that a pipe holds.
const PIPE: u64 = 64 * 1024;

scenario! {
    /// Who does not read holds up no work: containers start and stop meanwhile, and an interrupt ends what only shows.
    /// Who reads later gets every line in its order, and of progress what holds then.
    a_slow_reader_holds_up_no_work, |world| {
        let mut terminal = world.terminal_that_waits("up -d", 24, 80);
        until("what nobody reads about runs", || (runs(world, "web") && runs(world, "late")).then_some(()));
        terminal.goes_on();
        terminal.shows("Container project-late-1 Started");
        assert_eq!(terminal.end(), 0);
        assert_eq!(terminal.whole().matches("[+] up").count(), 1, "{}", terminal.whole());

        let mut logs = unread(world, "logs web");
        until("the pipe is full", || is_full(&logs).then_some(()));
        signal(&logs, "INT");
        let status = until("what only shows ends, though nobody reads", || logs.try_wait().unwrap());
        assert_eq!(status.code(), Some(130));
        assert_eq!(numbers(&world.compose("logs --no-log-prefix web").ok().stdout), 20_000);
        world.compose("down -t 0").ok();

        let up = unread(world, "up -t 0 --no-log-prefix");
        until("the pipe is full", || is_full(&up).then_some(()));
        until("what nobody reads about runs", || runs(world, "late").then_some(()));
        signal(&up, "INT");
        until("what nobody reads about is stopped", || (world.state("web") == "exited").then_some(()));
        let (code, shown) = ended(up);
        assert_eq!((code, numbers(&shown)), (130, 20_000));

        let mut terminal = world.terminal_that_waits("up -t 0 --menu=false", 24, 80);
        until("what nobody reads about runs", || (runs(world, "web") && runs(world, "late")).then_some(()));
        terminal.goes_on();
        terminal.shows("web-1   | 20000");
        terminal.signal("INT");
        assert_eq!(terminal.end(), 130);
    }
}

scenario! {
    /// Who does not read what `pull` and `build` tell holds up neither: images arrive and steps end meanwhile, and an
    /// interrupt ends them. Who reads later gets every line in its order; where nobody reads any more, both go on
    /// to their end.
    a_slow_reader_holds_up_no_pull_and_no_build, |world| {
        let has = |image: &str| !world.compose(&format!("image ls -q {image}")).ok().stdout.is_empty();
        let mut terminal = world.terminal_that_waits("pull web", 24, 80);
        until("what nobody reads about is pulled", || has("busybox:latest").then_some(()));
        terminal.goes_on();
        terminal.shows("Image busybox Pulled");
        assert_eq!(terminal.end(), 0);

        let build = untold(world, "build made");
        until("what nobody reads about is built", || has("made:1").then_some(()));
        assert!(ioctl_fionread(build.stderr.as_ref().unwrap()).unwrap() > PIPE / 2, "the pipe is full");
        let (code, told) = ended(build);
        let of_step = |line: &str| Some(format!("{}\n", line.strip_prefix('#')?.rsplit_once(' ')?.1));
        assert_eq!((code, numbers(&told.lines().filter_map(of_step).collect::<String>())), (0, 20_000));

        // More than is kept for a reader: 26 MB, after which the step has a program that is known by its words.
        let mark = format!("1{}", world.port());
        let mut endless = untold(world, &format!("build --build-arg MARK={mark} endless"));
        until("all is said", || is_there(&["sleep", &mark]).then_some(()));
        signal(&endless, "INT");
        let status = until("an interrupt ends a build, though nobody reads", || endless.try_wait().unwrap());
        assert_eq!(status.code(), Some(130));

        world.compose("image rm made:1 busybox:latest").ok();
        for (line, image) in [("pull web", "busybox:latest"), ("build --no-cache made", "made:1")] {
            let mut child = untold(world, line);
            drop(child.stderr.take());
            let status = until("it ends, though its reader is gone", || child.try_wait().unwrap());
            assert_eq!((status.code(), has(image)), (Some(0), true), "{line}");
        }
    }
}

scenario! {
    /// A container that writes without an end, to somebody who reads as quickly, keeps nothing from its turn: an
    /// interrupt stops an attached `up` and ends `logs`.
    a_flood_of_lines_holds_up_nothing, |world| {
        let shown = |name: &str| world.project().join(name);
        // A file takes whatever comes.
        let spawn = |line: &str, name: &str| {
            let mut program = world.program();
            let file = std::fs::File::create(shown(name)).unwrap();
            program.args(line.split(' ')).stdin(Stdio::null()).stdout(file).stderr(Stdio::null());
            let child = program.spawn().unwrap();
            until("it shows lines", || (shown(name).metadata().unwrap().len() > 0).then_some(()));
            child
        };
        let ends = |mut child: Child| {
            signal(&child, "INT");
            until("the interrupt is heard", || child.try_wait().unwrap()).code()
        };
        // With more behind it than is read in a moment: whoever comes now does not catch up.
        world.compose("up -d").ok();
        let log = world.roots().data.join("pods/project/logs/flood-1.log.1");
        until("a full log", || log.exists().then_some(()));
        let up = spawn("up --menu=false", "of-up");
        let logs = spawn("logs -f", "of-logs");
        assert_eq!(ends(logs), Some(130));
        signal(&up, "INT");
        until("the container is stopped", || (world.state("flood") == "exited").then_some(()));
        // Nobody has to wait for the rest of the lines.
        assert_eq!(ends(up), Some(130));
    }
}

fn runs(world: &World, service: &str) -> bool {
    world.rows().iter().any(|row| row["Service"] == service && row["State"] == "running")
}

/// The program with pipes that nobody reads.
fn unread(world: &World, line: &str) -> Child {
    let mut program = world.program();
    program.args(line.split(' ')).stdin(Stdio::null());
    program.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Whether a process with these words is on the machine.
fn is_there(words: &[&str]) -> bool {
    let line: Vec<u8> = words.iter().flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .map(|it| std::fs::read(it.path().join("cmdline")))
        .any(|read| read.is_ok_and(|read| read == line))
}

/// The same of what is told rather than asked for.
fn untold(world: &World, line: &str) -> Child {
    let mut program = world.program();
    program.args(line.split(' ')).stdin(Stdio::null());
    program.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn is_full(child: &Child) -> bool {
    ioctl_fionread(child.stdout.as_ref().unwrap()).unwrap() > PIPE / 2
}

fn signal(child: &Child, name: &str) {
    let status =
        std::process::Command::new("/bin/kill").args([format!("-{name}"), child.id().to_string()]).status();
    assert!(status.unwrap().success());
}

/// Its exit code, and all it has written.
fn ended(mut child: Child) -> (i32, String) {
    let mut text = String::new();
    match (child.stdout.take(), child.stderr.take()) {
        (Some(mut shown), _) => shown.read_to_string(&mut text),
        (None, told) => told.unwrap().read_to_string(&mut text),
    }
    .unwrap();
    (child.wait().unwrap().code().unwrap(), text)
}

/// How many of the numbers from 1 on stand there, each on a line of its own behind the one before.
fn numbers(text: &str) -> usize {
    let numbers = text.lines().filter_map(|line| line.parse::<usize>().ok());
    numbers.fold(0, |last, number| if number == last + 1 { number } else { last })
}
