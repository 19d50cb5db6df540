//! A supervisor on the real kernel. The test program plays the supervisor itself when it is started
//! in that role, which is why it has its own `main`. Needs root and busybox.

#![expect(clippy::unwrap_used, reason = "a test panics to fail")]

mod world;

use resource::{
    Condition, ContainerState, ExitStatus, HealthCheck, HealthStatus, LogMode, PortSpec, Protocol,
    RestartPolicy, Status,
};
use std::io::Write;
use std::time::{Duration, Instant};
use supervisor::{ClientError, EventKind, ExecRequest, FailureKind, Stdio};
use world::World;

fn main() -> std::process::ExitCode {
    let mut arguments = std::env::args_os();
    if arguments.nth(1).is_some_and(|first| first == supervisor::ROLE) {
        return supervisor::serve(arguments, |_| {});
    }
    let tests: &[(&str, fn())] = &[
        ("runs, logs, and goes away", runs_logs_and_goes_away),
        ("a batch starts together and names resolve", names_resolve),
        ("a program that is missing", missing_program),
        ("stop, grace and kill", stop_grace_and_kill),
        ("restarts by policy in place", restarts_by_policy),
        ("on-failure gives up", on_failure_gives_up),
        ("health", health),
        ("exec", exec),
        ("attached", attached),
        ("terminal", terminal),
        ("ports", ports),
        ("pause", pause),
        ("a killed supervisor is replaced", adoption),
        ("what makes namespaces ends with its supervisor", makers_end),
        ("removes itself", removes_itself),
        ("small", small),
    ];
    let only: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let mut failed = 0;
    for (name, test) in tests {
        if !only.is_empty() && !only.iter().any(|only| name.contains(only.as_str())) {
            continue;
        }
        let began = Instant::now();
        let result = std::panic::catch_unwind(test);
        println!(
            "{} {name} ({} ms)",
            if result.is_ok() { "ok    " } else { "FAILED" },
            began.elapsed().as_millis()
        );
        failed += u8::from(result.is_err());
    }
    std::process::ExitCode::from(failed)
}

fn code(state: &ContainerState) -> Option<i32> {
    state.exit.and_then(ExitStatus::code)
}

fn runs_logs_and_goes_away() {
    World::new("logs").run(async |world| {
        let id = world.container("web", "echo one; echo two >&2; printf three; exit 7", |_| {});
        let client = world.client().await;
        let mut events = client.events().await.unwrap();
        let state = client.start(&id, None).await.unwrap();
        assert_eq!(state.status, Status::Running);
        let state = client.wait(&id, Condition::Exited).await.unwrap();
        assert_eq!((state.status, code(&state)), (Status::Exited, Some(7)));
        assert!(matches!(events.next().await.unwrap().kind, EventKind::Started { restart: false }));
        let died = events.next().await.unwrap();
        assert!(matches!(died.kind, EventKind::Died { exit: ExitStatus::Code(7), restarting: false, .. }));
        let mut lines = world.log("web");
        lines.sort();
        assert_eq!(lines, ["one\n", "three", "two\n"]);
        // Once more: the log goes on.
        client.start(&id, None).await.unwrap();
        client.wait(&id, Condition::Exited).await.unwrap();
        assert_eq!(world.log("web").len(), 6);
        client.forget(&id).await.unwrap();
        assert!(!world.roots.container_run(&world.pod, &id).exists());
        drop(events);
        drop(client);
        world.gone().await;
    });
}

fn names_resolve() {
    World::new("names").run(async |world| {
        let db = world.container("db", "sleep 60", |record| {
            record.endpoints[0].spec.aliases.push("database".into());
        });
        let web = world.container("web", "sleep 60", |_| {});
        let client = world.client().await;
        let (first, second) = tokio::join!(client.start(&db, None), client.start(&web, None));
        first.unwrap();
        second.unwrap();
        let address = world.address("db").to_string();
        let (code, text) =
            world.exec(&client, &web, "nslookup database; nslookup nowhere.invalid; cat /etc/hosts").await;
        assert!(text.contains(&address), "{code} {text}");
        let (code, text) = world.exec(&client, &web, "ping -c 1 -W 2 db").await;
        assert_eq!(code, 0, "{text}");
        client.stop(&db, None, Some(Duration::ZERO)).await.unwrap();
        let (code, text) = world.exec(&client, &web, "nslookup database").await;
        assert_ne!(code, 0, "{text}");
        client.stop(&web, None, Some(Duration::ZERO)).await.unwrap();
    });
}

fn missing_program() {
    World::new("missing").run(async |world| {
        let id = world.container("web", "", |record| record.process.argv = vec!["/no/such".into()]);
        let client = world.client().await;
        let waiting = client.wait(&id, Condition::Healthy);
        let (state, started) = tokio::join!(waiting, client.start(&id, None));
        let Err(ClientError::Failed(failure)) = started else { panic!("{started:?}") };
        assert_eq!((failure.kind, failure.exit_code), (FailureKind::NotFound, 127));
        let state = state.unwrap();
        assert_eq!((state.status, code(&state)), (Status::Created, Some(127)));
        assert!(state.error.unwrap().contains("/no/such"));
        let unknown = client.start(&"ab".into(), None).await;
        let Err(ClientError::Failed(failure)) = unknown else { panic!("{unknown:?}") };
        assert_eq!(failure.kind, FailureKind::NoSuchContainer);
    });
}

fn stop_grace_and_kill() {
    World::new("stop").run(async |world| {
        let polite = world.container("polite", "trap 'exit 3' TERM; while :; do sleep 0.05; done", |_| {});
        let deaf = world.container("deaf", "trap '' TERM; echo up; while :; do sleep 0.05; done", |_| {});
        let client = world.client().await;
        client.start(&polite, None).await.unwrap();
        client.start(&deaf, None).await.unwrap();
        world.logged("deaf", "up\n").await;
        world.exec(&client, &polite, "sleep 0.2").await;
        let began = Instant::now();
        let grace = Some(Duration::from_millis(500));
        let (first, second) =
            tokio::join!(client.stop(&polite, None, grace), client.stop(&deaf, None, grace));
        assert_eq!((first.unwrap(), second.unwrap()), (ExitStatus::Code(3), ExitStatus::Code(137)));
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(500) && took < Duration::from_millis(1500), "{took:?}");
        assert_eq!(client.stop(&polite, None, None).await.unwrap(), ExitStatus::Code(3));
        let failed = client.kill(&polite, 15).await;
        assert!(
            matches!(failed, Err(ClientError::Failed(failure)) if failure.kind == FailureKind::NotRunning)
        );
        client.start(&deaf, None).await.unwrap();
        client.kill(&deaf, 9).await.unwrap();
        let state = client.wait(&deaf, Condition::Exited).await.unwrap();
        assert!(state.stopped_by_hand);
    });
}

fn restarts_by_policy() {
    World::new("restart").run(async |world| {
        let id = world.container(
            "db",
            "ip addr show eth0; ls -l /proc/self/ns/net; echo up; exec sleep 60",
            |record| {
                record.spec.restart = RestartPolicy::Always;
            },
        );
        let client = world.client().await;
        let mut events = client.events().await.unwrap();
        let first = client.start(&id, None).await.unwrap();
        events.next().await.unwrap();
        for count in 1..=2 {
            world.logged_times("db", "up\n", count).await;
            let pid = world.state(&id).process.unwrap().pid;
            let began = Instant::now();
            world.kill(pid);
            let died = events.next().await.unwrap().kind;
            assert!(
                matches!(died, EventKind::Died { restarting: true, exit: ExitStatus::Code(137), .. }),
                "{died:?}"
            );
            assert!(matches!(events.next().await.unwrap().kind, EventKind::Started { restart: true }));
            assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
            assert_eq!(world.state(&id).restart_count, count);
        }
        assert_ne!(world.state(&id).process, first.process);
        world.logged_times("db", "up\n", 3).await;
        // The same namespace each time, and nothing is undone by a restart that was pending.
        let spaces: std::collections::BTreeSet<_> = world
            .log("db")
            .into_iter()
            .filter(|line| line.contains("net:["))
            .map(|line| line.split("net:[").nth(1).unwrap().to_owned())
            .collect();
        assert_eq!(spaces.len(), 1, "{spaces:?}");
        world.kill(world.state(&id).process.unwrap().pid);
        assert!(matches!(events.next().await.unwrap().kind, EventKind::Died { .. }));
        assert_eq!(world.state(&id).status, Status::Restarting);
        client.stop(&id, None, None).await.unwrap();
        assert!(matches!(events.next().await.unwrap().kind, EventKind::Stopped));
        let state = world.state(&id);
        assert!(state.status == Status::Exited && state.stopped_by_hand);
    });
}

fn on_failure_gives_up() {
    World::new("failure").run(async |world| {
        let id = world.container("job", "exit 4", |record| {
            record.spec.restart = RestartPolicy::OnFailure { limit: Some(2) };
        });
        let client = world.client().await;
        client.start(&id, None).await.unwrap();
        let state = client.wait(&id, Condition::Exited).await.unwrap();
        assert_eq!((state.restart_count, code(&state), state.stopped_by_hand), (2, Some(4), false));
    });
}

fn health() {
    World::new("health").run(async |world| {
        let check = |test: &str| HealthCheck {
            test: vec!["/bin/sh".into(), "-c".into(), test.into()],
            interval: Some(Duration::from_millis(100)),
            timeout: Some(Duration::from_millis(300)),
            retries: Some(2),
            start_period: None,
            start_interval: None,
        };
        let good = world.container("good", "sleep 60", |record| {
            record.healthcheck =
                Some(check("echo fine; head -c 9000 /dev/zero | tr '\\0' x; test -e /ready || touch /ready"));
        });
        let slow = world
            .container("slow", "sleep 60", |record| record.healthcheck = Some(check("echo begun; sleep 60")));
        let none = world.container("none", "sleep 60", |_| {});
        let client = world.client().await;
        for id in [&good, &slow, &none] {
            assert!(client.start(id, None).await.is_ok());
        }
        let (good, slow, none) = tokio::join!(
            client.wait(&good, Condition::Healthy),
            client.wait(&slow, Condition::Healthy),
            client.wait(&none, Condition::Healthy)
        );
        let report = good.unwrap().health.unwrap();
        assert_eq!((report.status, report.probes[0].exit_code), (HealthStatus::Healthy, 0));
        assert!(report.probes[0].output.starts_with("fine\n"));
        assert_eq!(report.probes[0].output.len(), 4096);
        let report = slow.unwrap().health.unwrap();
        assert_eq!(
            (report.status, report.failing_streak, report.probes[0].exit_code),
            (HealthStatus::Unhealthy, 2, -1)
        );
        assert!(report.probes[0].output.starts_with("begun\n"), "{:?}", report.probes[0].output);
        let none = none.unwrap();
        assert!(none.health.is_none() && none.status == Status::Running);
    });
}

fn exec() {
    World::new("exec").run(async |world| {
        let id = world.container("web", "sleep 60", |_| {});
        let client = world.client().await;
        client.start(&id, None).await.unwrap();
        assert_eq!(world.exec(&client, &id, "echo $0 $$; exit 5").await.0, 5);
        let missing = ExecRequest { argv: vec!["/no/such".into()], ..ExecRequest::default() };
        let failed = client.exec(&id, missing, Stdio::Null).await;
        let Err(ClientError::Failed(failure)) = failed else { panic!("{failed:?}") };
        assert_eq!(failure.exit_code, 127);
        let request = ExecRequest {
            argv: vec![
                "/bin/sh".into(),
                "-c".into(),
                "test -t 0 && stty size && id -u && pwd && echo $X".into(),
            ],
            environment: vec!["X=hello".into()],
            working_dir: Some("/tmp".into()),
            user: Some("1234".into()),
            ..ExecRequest::default()
        };
        let terminal = Stdio::Terminal { rows: 33, columns: 77 };
        let mut exec = client.exec(&id, request, terminal).await.unwrap();
        let text = world::read_terminal(exec.terminal.take().unwrap());
        assert_eq!(exec.wait().await.unwrap(), 0, "{text}");
        assert_eq!(text, "33 77\r\n1234\r\n/tmp\r\nhello\r\n");
        // Many at once on one connection.
        let all = (0..10).map(|number| world.exec(&client, &id, ["exit 1", "exit 2"][number % 2]));
        for (number, (code, _)) in world::join_all(all).await.into_iter().enumerate() {
            assert_eq!(code, 1 + number as i32 % 2);
        }
        client.stop(&id, None, Some(Duration::ZERO)).await.unwrap();
        let failed = client
            .exec(&id, ExecRequest { argv: vec!["true".into()], ..ExecRequest::default() }, Stdio::Null)
            .await;
        assert!(
            matches!(failed, Err(ClientError::Failed(failure)) if failure.kind == FailureKind::NotRunning)
        );
    });
}

fn attached() {
    World::new("attached").run(async |world| {
        let id = world.container("once", "read line; echo got $line; echo bad >&2; exit 9", |_| {});
        let client = world.client().await;
        let [input, output, errors] =
            std::array::from_fn(|_| rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap());
        let stdio = Stdio::Files { stdin: input.0, stdout: output.1, stderr: errors.1 };
        assert!(client.start_attached(&id, stdio, None).await.unwrap().is_none());
        std::fs::File::from(input.1).write_all(b"hello\n").unwrap();
        let state = client.wait(&id, Condition::Exited).await.unwrap();
        assert_eq!(code(&state), Some(9));
        assert_eq!(world::read_all(output.0), "got hello\n");
        assert_eq!(world::read_all(errors.0), "bad\n");
        assert!(world.log("once").is_empty());
    });
}

fn terminal() {
    World::new("terminal").run(async |world| {
        let logged = world
            .container("logged", "test -t 1 && echo terminal; sleep 60", |record| record.process.tty = true);
        let client = world.client().await;
        client.start(&logged, None).await.unwrap();
        world.logged("logged", "terminal\r\n").await;
        let id = world.container("shell", "stty size; exit 2", |record| record.process.tty = true);
        let terminal = client
            .start_attached(&id, Stdio::Terminal { rows: 12, columns: 34 }, None)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(world::read_terminal(terminal), "12 34\r\n");
        assert_eq!(code(&client.wait(&id, Condition::Exited).await.unwrap()), Some(2));
    });
}

fn ports() {
    World::new("ports").run(async |world| {
        let publish = |published| PortSpec { host_ip: None, published, target: 80, protocol: Protocol::Tcp };
        let serve = "mkdir /www; echo page > /www/index.html; exec httpd -f -p 80 -h /www";
        let web = world.container("web", serve, |record| record.spec.ports = vec![publish(None)]);
        let client = world.client().await;
        let state = client.start(&web, None).await.unwrap();
        assert_eq!(state.ports.len(), 2, "{:?}", state.ports);
        let port = state.ports[0].host_port;
        for host in ["127.0.0.1", "[::1]"] {
            assert_eq!(world::fetch(host, port), "page\n", "{host}");
        }
        let other =
            world.container("other", serve, |record| record.spec.ports = vec![publish(Some((port, port)))]);
        let failed = client.start(&other, None).await;
        let Err(ClientError::Failed(failure)) = failed else { panic!("{failed:?}") };
        assert!(matches!(failure.kind, FailureKind::PortTaken(_)));
        assert!(
            failure.message.contains("already allocated") && failure.message.contains("-web-1"),
            "{failure}"
        );
        assert_eq!(world.state(&other).status, Status::Created);
        let range = world
            .container("range", serve, |record| record.spec.ports = vec![publish(Some((port, port + 20)))]);
        let state = client.start(&range, None).await.unwrap();
        assert_ne!(state.ports[0].host_port, port);
        client.stop(&web, None, Some(Duration::ZERO)).await.unwrap();
        assert!(world.state(&web).ports.is_empty());
        client.start(&other, None).await.unwrap();
        assert_eq!(world::fetch("127.0.0.1", port), "page\n");
    });
}

fn pause() {
    World::new("pause").run(async |world| {
        let id =
            world.container("web", "sleep 60", |record| record.spec.log.mode = LogMode::NonBlocking(65536));
        let client = world.client().await;
        client.start(&id, None).await.unwrap();
        client.pause(&id).await.unwrap();
        assert_eq!(world.state(&id).status, Status::Paused);
        let request = ExecRequest { argv: vec!["true".into()], ..ExecRequest::default() };
        let failed = client.exec(&id, request, Stdio::Null).await;
        assert!(matches!(failed, Err(ClientError::Failed(failure)) if failure.kind == FailureKind::Paused));
        client.unpause(&id).await.unwrap();
        assert_eq!(world.exec(&client, &id, "true").await.0, 0);
        client.pause(&id).await.unwrap();
        let exit = client.stop(&id, Some(15), Some(Duration::from_millis(200))).await.unwrap();
        assert!(matches!(exit, ExitStatus::Code(137 | 143)), "{exit:?}");
    });
}

fn adoption() {
    World::new("adopt").run(async |world| {
        let publish = PortSpec { host_ip: None, published: None, target: 80, protocol: Protocol::Tcp };
        let lives = world.container(
            "lives",
            "mkdir /www; echo page > /www/index.html; httpd -p 80 -h /www; n=0; while [ $n -lt 300 ]; do echo $n; n=$((n+1)); sleep 0.01; done; exit 6",
            |record| record.spec.ports = vec![publish],
        );
        let dies = world.container("dies", "sleep 60", |record| record.spec.restart = RestartPolicy::Always);
        let ends = world.container("ends", "sleep 60", |_| {});
        let client = world.client().await;
        let port = client.start(&lives, None).await.unwrap().ports[0].host_port;
        let before = client.start(&dies, None).await.unwrap();
        let ended = client.start(&ends, None).await.unwrap();
        world.kill_supervisor(&client).await;
        let failed = client.wait(&lives, Condition::Exited).await;
        assert!(matches!(failed, Err(ClientError::Gone { .. })), "{failed:?}");
        world.end(before.process.unwrap().pid);
        world.end(ended.process.unwrap().pid);
        let client = world.client().await;
        let state = client.wait(&ends, Condition::Exited).await.unwrap();
        assert_eq!((state.status, state.exit), (Status::Exited, Some(ExitStatus::Unknown)));
        let state = client.wait(&dies, Condition::Started).await.unwrap();
        assert!(state.status == Status::Restarting || state.restart_count == 1, "{state:?}");
        for host in ["127.0.0.1", "[::1]"] {
            assert_eq!(world::fetch(host, port), "page\n", "{host}");
        }
        let (status, text) = world.exec(&client, &lives, &format!("nslookup {}", world.name("lives"))).await;
        assert_eq!(status, 0, "{text}");
        world.kill_supervisor(&client).await;
        let client = world.client().await;
        let state = client.wait(&lives, Condition::Exited).await.unwrap();
        assert_eq!(code(&state), Some(6));
        let expected: Vec<_> = (0..300).map(|number| format!("{number}\n")).collect();
        assert_eq!(world.log("lives"), expected);
        assert_eq!(client.wait(&dies, Condition::Started).await.unwrap().restart_count, 1);
    });
}

/// A maker that waits for its orders ends with its supervisor, killed or not.
fn makers_end() {
    World::new("maker").run(async |world| {
        for ends in [false, true] {
            let client = world.client().await;
            // Nothing says when it is there, nor when it is gone.
            let deadline = Instant::now() + Duration::from_secs(10);
            while world.players().len() != 2 {
                assert!(Instant::now() < deadline, "a new supervisor has no maker: {:?}", world.players());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let supervisor = rustix::process::Pid::from_raw(world.supervisor(&client).await).unwrap();
            if !ends {
                rustix::process::kill_process(supervisor, rustix::process::Signal::KILL).unwrap();
            }
            drop(client);
            while !world.players().is_empty() {
                assert!(Instant::now() < deadline, "its maker outlives a supervisor: {:?}", world.players());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    });
}

fn removes_itself() {
    World::new("remove").run(async |world| {
        let id = world.container("once", "exit 3", |record| record.spec.auto_remove = true);
        let client = world.client().await;
        let (started, state) = tokio::join!(client.start(&id, None), client.wait(&id, Condition::Exited));
        started.unwrap();
        assert_eq!(code(&state.unwrap()), Some(3));
        assert_eq!(code(&client.wait(&id, Condition::Exited).await.unwrap()), Some(3));
        assert!(!world.roots.container(&world.pod, &id).exists());
        assert!(!world.roots.container_run(&world.pod, &id).exists());
    });
}

/// Prints what a supervisor of ten containers weighs, and holds it to its bound.
fn small() {
    World::new("small").run(async |world| {
        let ids: Vec<_> =
            (0..10).map(|number| world.container(&format!("s{number}"), "sleep 60", |_| {})).collect();
        let client = world.client().await;
        let began = Instant::now();
        for started in world::join_all(ids.iter().map(|id| client.start(id, None))).await {
            started.unwrap();
        }
        let started = began.elapsed();
        let supervisor = world.supervisor(&client).await;
        let kilobytes = |key: &str| -> u64 {
            let text = std::fs::read_to_string(format!("/proc/{supervisor}/smaps_rollup")).unwrap();
            let line = text.lines().find(|line| line.starts_with(key)).unwrap();
            line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
        };
        let busy = kilobytes("Pss:");
        // It says nothing when it has given memory back, so that is looked for.
        let deadline = Instant::now() + Duration::from_secs(10);
        while kilobytes("Pss:") >= 2048 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let (idle, private) = (kilobytes("Pss:"), kilobytes("Private_Dirty:"));
        println!(
            "       ten started in {started:?}; PSS {busy} kB, at rest {idle} kB, {private} kB of it dirty"
        );
        assert!(idle < 2048);
        let began = Instant::now();
        for stopped in world::join_all(ids.iter().map(|id| client.stop(id, None, Some(Duration::ZERO)))).await
        {
            stopped.unwrap();
        }
        println!("       ten stopped in {:?}", began.elapsed());
    });
}
