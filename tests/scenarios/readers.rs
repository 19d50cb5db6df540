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
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    (child.wait().unwrap().code().unwrap(), text)
}

/// How many of the numbers from 1 on stand there, each on a line of its own behind the one before.
fn numbers(text: &str) -> usize {
    let numbers = text.lines().filter_map(|line| line.parse::<usize>().ok());
    numbers.fold(0, |last, number| if number == last + 1 { number } else { last })
}
