//! How a plan is run: order, width, failure, waiting. The engine is a fake that notes what it is asked.

use apply::{EventKind, Outcome, Perform, Progress, apply};
use plan::{Orphans, Plan, Policy, Step, Verb};
use resource::{Condition, Desired, Observed};
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug, thiserror::Error)]
#[error("it is broken")]
struct Broken;

/// Notes each step as `+step` when it is begun and `-step` when it is done.
#[derive(Default)]
struct Fake {
    log: Mutex<Vec<String>>,
    running: AtomicUsize,
    most: AtomicUsize,
    /// The step that fails.
    fails: Option<&'static str>,
}

impl Fake {
    fn note(&self, text: String) {
        self.log.lock().expect("no test panics while it logs").push(text);
    }

    fn log(&self) -> Vec<String> {
        self.log.lock().expect("no test panics while it logs").clone()
    }
}

impl Perform for Fake {
    type Error = Broken;

    async fn perform(&self, step: &Step, tell: &(dyn Fn(Progress) + Sync)) -> Result<(), Broken> {
        self.note(format!("+{step}"));
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        tell(Progress { text: "half".to_owned(), ..Progress::default() });
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        self.running.fetch_sub(1, Ordering::SeqCst);
        self.note(format!("-{step}"));
        if self.fails == Some(step.to_string().as_str()) { Err(Broken) } else { Ok(()) }
    }
}

fn width(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).expect("tests ask for some")
}

/// `a`, `b` and `c` where `b` depends on `a` in this way.
fn project(condition: Condition) -> Plan {
    let container = |name: &str| {
        format!(
            r#"{{"name":"p-{name}-1","pod":"p","service":"{name}","number":1,"image":"x",
            "process":{{"entrypoint":null,"command":null,"environment":{{}},"working_dir":null,"user":null,
                "groups":[],"tty":false,"stdin_open":false,"init":false}},
            "hostname":null,"domainname":null,"network_mode":"none","endpoints":[],"ports":[],"exposed":[],
            "dns":[],"dns_search":[],"dns_options":[],"extra_hosts":[],"links":[],"mounts":[],"volumes_from":[],
            "restart":"no","healthcheck":{{"test":["true"],"interval":null,"timeout":null,"retries":null,
                "start_period":null,"start_interval":null}},"stop_signal":null,"stop_grace":null,
            "security":{{"privileged":false,"capabilities_added":[],"capabilities_dropped":[],
                "no_new_privileges":false,"seccomp":"default","unconfined_paths":false,"read_only_root":false,
                "sysctls":{{}},"devices":[],"device_rules":[]}},
            "pid":"private","ipc":"private","uts":"private","cgroup":"private",
            "resources":{{"memory":null,"memory_swap":null,"memory_reservation":null,"swappiness":null,
                "oom_kill_disable":false,"oom_score_adj":null,"cpu_quota":null,"cpu_period":null,"cpu_shares":null,
                "cpuset":null,"pids":null,"blkio_weight":null,"read_bps":[],"write_bps":[],"read_iops":[],
                "write_iops":[]}},"rlimits":[],"shm_size":null,
            "log":{{"none":false,"max_size":null,"max_file":1,"mode":"blocking"}},
            "auto_remove":false,"annotations":{{}},"labels":{{}}}}"#
        )
    };
    let condition = serde_json::to_string(&condition).expect("a condition has a JSON form");
    let service = |name: &str, depends: &str| {
        format!(
            r#"{{"name":"{name}","selected":true,"replicas":1,"container":{},"fixed_name":false,"separator":"-",
            "depends_on":[{depends}],"image":{{"reference":"x","platform":null,"policy":"missing","buildable":false,
            "resolved":null,"place":""}},"bound_to":[],"place":""}}"#,
            container(name)
        )
    };
    let edge = format!(r#"{{"service":"a","condition":{condition},"restart":false,"required":true}}"#);
    let desired = format!(
        r#"{{"pod":"p","labels":{{}},"networks":[],"volumes":[],"known_services":[],"services":[{},{},{}]}}"#,
        service("a", ""),
        service("b", &edge),
        service("c", "")
    );
    let desired: Desired = serde_json::from_str(&desired).expect("the text above is a project");
    let policy = Policy {
        orphans: Orphans::Ignore,
        ..Policy::new(Verb::Up, "2026-01-01T00:00:00Z".parse().expect("a time"))
    };
    plan::plan(&desired, &Observed::default(), &policy)
}

#[tokio::test]
async fn each_step_comes_after_those_before_it() {
    let (plan, engine) = (project(Condition::Started), Fake::default());
    let outcome = apply(&plan, &engine, width(16), |_| {}).await.expect("nothing fails");
    assert_eq!(outcome, Outcome::Done);
    let log = engine.log();
    let place = |text: &str| {
        log.iter().position(|line| line == text).unwrap_or_else(|| panic!("no {text} in {log:?}"))
    };
    for (id, planned) in plan.steps() {
        for before in plan.before(id) {
            let before = &plan.get(before).step;
            assert!(place(&format!("-{before}")) < place(&format!("+{}", planned.step)), "{log:?}");
        }
    }
    assert_eq!(log.len(), 2 * plan.len());
    assert_eq!(engine.most.load(Ordering::SeqCst), 3, "the three containers are created side by side");
}

#[tokio::test]
async fn no_more_than_width_run_at_a_time() {
    let engine = Fake::default();
    apply(&project(Condition::Started), &engine, width(2), |_| {}).await.expect("nothing fails");
    assert_eq!(engine.most.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn after_a_failure_nothing_more_is_started_and_what_runs_is_waited_for() {
    let engine = Fake { fails: Some("create p-a-1"), ..Fake::default() };
    let failed =
        apply(&project(Condition::Started), &engine, width(16), |_| {}).await.expect_err("a step fails");
    assert_eq!(failed.to_string(), "could not create p-a-1");
    assert_eq!(failed.planned.step.to_string(), "create p-a-1");
    let log = engine.log();
    let begun = log.iter().filter(|line| line.starts_with('+')).count();
    let ended = log.iter().filter(|line| line.starts_with('-')).count();
    assert_eq!(begun, ended, "{log:?}");
    assert!(!log.iter().any(|line| line == "+start p-a-1" || line == "+start p-b-1"), "{log:?}");

    let engine = Fake { fails: Some("create p-a-1"), ..Fake::default() };
    apply(&project(Condition::Started), &engine, width(1), |_| {}).await.expect_err("a step fails");
    assert_eq!(engine.log().last().map(String::as_str), Some("-create p-a-1"));
}

#[tokio::test]
async fn everything_that_need_not_wait_is_done_before_the_wait_is_told() {
    let engine = Fake::default();
    let outcome =
        apply(&project(Condition::Healthy), &engine, width(16), |_| {}).await.expect("nothing fails");
    let Outcome::Waiting { awaits: waits, .. } = outcome else { panic!("b waits for a") };
    assert_eq!(waits.iter().map(|wait| wait.container.as_str()).collect::<Vec<_>>(), ["p-a-1"]);
    let log = engine.log();
    assert!(log.contains(&"-start p-c-1".to_owned()), "{log:?}");
    assert!(!log.contains(&"+start p-b-1".to_owned()), "{log:?}");
}

#[tokio::test]
async fn events_tell_beginning_progress_and_end_of_each_step() {
    let (plan, engine) =
        (project(Condition::Started), Fake { fails: Some("create p-c-1"), ..Fake::default() });
    let events = Mutex::new(vec![]);
    let tell = |event| events.lock().expect("no test panics while it logs").push(event);
    apply(&plan, &engine, width(1), tell).await.expect_err("a step fails");
    let events = events.into_inner().expect("no test panics while it logs");
    let first: Vec<_> =
        events.iter().filter(|event| event.step.number() == 1).map(|event| &event.kind).collect();
    assert!(matches!(first[..], [EventKind::Begun, EventKind::Progress(_), EventKind::Done]), "{first:?}");
    assert_eq!(events.last().map(|event| event.kind.clone()), Some(EventKind::Failed));
}
