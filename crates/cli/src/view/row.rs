//! A container as `ps` shows it: the columns, the words of its status, the fields of its JSON.

use super::{duration, ports, time};
use resource::{ContainerState, HealthStatus, Labels, Mount, ObservedContainer, PortBinding, Status, label};
use serde_json::{Map, Value, json};

/// Whether a container was made by `run`.
pub(crate) fn is_one_off(container: &ObservedContainer) -> bool {
    container.record.spec.number.is_none()
        || container.record.spec.labels.get(label::ONE_OFF).is_some_and(|value| value == "True")
}

/// `Up 2 seconds (healthy)`, `Exited (0) 5 minutes ago`, `Created`.
pub(crate) fn status(state: &ContainerState, now: resource::Timestamp) -> String {
    let up = || {
        state
            .started
            .map_or_else(|| "Up".to_owned(), |at| format!("Up {}", duration::human(now.duration_since(at))))
    };
    let ended = || state.finished.map_or_else(String::new, |at| format!(" {}", duration::ago(at, now)));
    let code = || {
        state
            .exit
            .and_then(resource::ExitStatus::code)
            .map_or_else(|| "?".to_owned(), |code| code.to_string())
    };
    match state.status {
        Status::Created => "Created".to_owned(),
        Status::Paused => format!("{} (Paused)", up()),
        Status::Restarting => format!("Restarting ({}){}", code(), ended()),
        Status::Exited => format!("Exited ({}){}", code(), ended()),
        Status::Running => match health(state) {
            "" => up(),
            "starting" => format!("{} (health: starting)", up()),
            health => format!("{} ({health})", up()),
        },
    }
}

/// `starting`, `healthy`, `unhealthy`, or nothing.
pub(crate) fn health(state: &ContainerState) -> &'static str {
    match state.health.as_ref().filter(|_| state.status == Status::Running).map(|report| report.status) {
        None => "",
        Some(HealthStatus::Starting) => "starting",
        Some(HealthStatus::Healthy) => "healthy",
        Some(HealthStatus::Unhealthy) => "unhealthy",
    }
}

/// Why a container is not up, or not well; empty when it is, or when its exit code says all.
pub(crate) fn why(state: &ContainerState) -> String {
    let first_line =
        |text: &str| text.lines().find(|line| !line.trim().is_empty()).map(|line| line.trim().to_owned());
    let failed = state.error.as_deref().and_then(first_line);
    match state.status {
        Status::Created | Status::Exited | Status::Restarting if failed.is_some() => {
            failed.unwrap_or_default()
        }
        Status::Exited | Status::Restarting if state.oom_killed => "out of memory".to_owned(),
        Status::Running if health(state) == "unhealthy" => {
            let probe = state.health.as_ref().and_then(|report| report.probes.last());
            probe.map_or_else(String::new, |probe| {
                first_line(&probe.output)
                    .unwrap_or_else(|| format!("its health check ends with {}", probe.exit_code))
            })
        }
        _ => String::new(),
    }
}

/// What is wrong with a container that is unhealthy or waits to be restarted, behind the word for its state.
pub(crate) fn ailment(state: &ContainerState, now: resource::Timestamp) -> String {
    let status = status(state, now);
    let what = match state.status {
        Status::Restarting => format!("{}{}", status.trim_start_matches("Restarting "), restarts(state)),
        _ => health(state).to_owned(),
    };
    let why = why(state);
    if why.is_empty() { what } else { format!("{what}: {why}") }
}

/// `, restarted twice`; nothing of one that never was.
fn restarts(state: &ContainerState) -> String {
    match state.restart_count {
        0 => String::new(),
        1 => ", restarted once".to_owned(),
        count => format!(", restarted {count} times"),
    }
}

/// What a person wants to know of a container that is not as it should be: why it is not up or not well, and
/// how often it was restarted. Nothing of one that was stopped, or ended with exit code 0.
pub(crate) fn trouble(name: &str, state: &ContainerState, now: resource::Timestamp) -> Option<String> {
    let why = why(state);
    let is_down = match state.status {
        Status::Created => !why.is_empty(),
        Status::Exited => {
            !state.stopped_by_hand && state.exit.and_then(resource::ExitStatus::code) != Some(0)
        }
        Status::Restarting => true,
        Status::Running | Status::Paused => false,
    };
    let restarts = restarts(state);
    let reason = if why.is_empty() { String::new() } else { format!(": {why}") };
    if is_down {
        return Some(format!("{name} is not up, {}{restarts}{reason}", status(state, now)));
    }
    if health(state) == "unhealthy" {
        return Some(format!("{name} is unhealthy{restarts}{reason}"));
    }
    (!restarts.is_empty()).then(|| format!("{name} is up{restarts}"))
}

/// The command line in quotes, cut to 20 characters unless it is wanted whole.
pub(crate) fn command(argv: &[String], whole: bool) -> String {
    let text = argv.join(" ");
    let text = if whole { text } else { shorten(&text, 20) };
    format!("\"{text}\"")
}

fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most - 1).collect();
    short.push('…');
    short
}

/// Ports of a container; only those of one that runs are published.
pub(crate) fn port_text(container: &ObservedContainer) -> String {
    let state = &container.state;
    if !matches!(state.status, Status::Running | Status::Paused) {
        return String::new();
    }
    ports::text(&state.ports, &container.record.spec.exposed)
}

/// The header of [`cells`].
pub(crate) const HEADER: [&str; 7] = ["NAME", "IMAGE", "COMMAND", "SERVICE", "CREATED", "STATUS", "PORTS"];

/// The cells of a container's row.
pub(crate) fn cells(
    container: &ObservedContainer,
    image: String,
    now: resource::Timestamp,
    whole: bool,
) -> Vec<String> {
    let record = &container.record;
    vec![
        record.spec.name.to_string(),
        image,
        command(&record.process.argv, whole),
        record.spec.service.clone(),
        duration::ago(record.created, now),
        status(&container.state, now),
        port_text(container),
    ]
}

/// The names of [`fields`].
pub(crate) const FIELDS: [&str; 21] = [
    "Command",
    "CreatedAt",
    "Engine",
    "ExitCode",
    "Health",
    "ID",
    "Image",
    "Labels",
    "LocalVolumes",
    "Mounts",
    "Name",
    "Names",
    "Networks",
    "Ports",
    "Project",
    "Publishers",
    "RunningFor",
    "Service",
    "Size",
    "State",
    "Status",
];

/// The fields of a container's JSON object and of templates.
pub(crate) fn fields(
    container: &ObservedContainer,
    image: String,
    now: resource::Timestamp,
    whole: bool,
) -> Map<String, Value> {
    let (record, state) = (&container.record, &container.state);
    let spec = &record.spec;
    let id = if whole { record.id.as_str() } else { record.id.short() };
    let (mounts, local_volumes) = mounts(&record.mounts, whole);
    let networks: Vec<&str> =
        record.endpoints.iter().map(|endpoint| endpoint.spec.network.as_str()).collect();
    let object = json!({
        "Command": command(&record.process.argv, whole),
        "CreatedAt": created_at(record.created),
        "Engine": spec.labels.get("com.docker.compose.engine").map_or("", String::as_str),
        "ExitCode": state.exit.filter(|_| state.status == Status::Exited).and_then(resource::ExitStatus::code).unwrap_or(0),
        "Health": health(state),
        "ID": id,
        "Image": image,
        "Labels": label_text(&spec.labels),
        "LocalVolumes": local_volumes.to_string(),
        "Mounts": mounts,
        "Name": spec.name.as_str(),
        "Names": spec.name.as_str(),
        "Networks": networks.join(","),
        "Ports": port_text(container),
        "Project": spec.pod.as_str(),
        "Publishers": publishers(state, &spec.exposed),
        "RunningFor": duration::ago(record.created, now),
        "Service": spec.service,
        "Size": "0B",
        "State": state.status.as_str(),
        "Status": status(state, now),
    });
    match object {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// `2026-03-01 13:00:00 +0100 CET`.
pub(crate) fn created_at(time: resource::Timestamp) -> String {
    time::made(time, &time::zone())
}

fn label_text(labels: &Labels) -> String {
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

fn mounts(mounts: &[Mount], whole: bool) -> (String, usize) {
    let mut names = vec![];
    let mut volumes = 0;
    for mount in mounts {
        let name = match (mount, mount.volume()) {
            (_, Some((volume, _))) => volume.to_string(),
            (Mount::Bind { source, .. }, None) => source.display().to_string(),
            _ => continue,
        };
        volumes += usize::from(mount.volume().is_some());
        names.push(if whole { name } else { shorten(&name, 15) });
    }
    (names.join(","), volumes)
}

fn publishers(state: &ContainerState, exposed: &[String]) -> Vec<Value> {
    if !matches!(state.status, Status::Running | Status::Paused) {
        return vec![];
    }
    let mut bindings: Vec<&PortBinding> = state.ports.iter().collect();
    bindings.sort_by_key(|binding| (binding.target, binding.host_ip, binding.host_port));
    let mut publishers: Vec<Value> = bindings
        .iter()
        .map(|binding| {
            json!({
                "URL": binding.host_ip.to_string(),
                "TargetPort": binding.target,
                "PublishedPort": binding.host_port,
                "Protocol": binding.protocol.as_str(),
            })
        })
        .collect();
    for text in exposed {
        let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let Ok(target) = port.parse::<u16>() else { continue };
        if !bindings.iter().any(|binding| binding.target == target && binding.protocol.as_str() == protocol) {
            publishers
                .push(json!({ "URL": "", "TargetPort": target, "PublishedPort": 0, "Protocol": protocol }));
        }
    }
    publishers
}

#[cfg(test)]
mod tests {
    use super::*;
    use resource::{ExitStatus, HealthProbe, HealthReport};

    fn at(seconds: i64) -> resource::Timestamp {
        resource::Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    #[test]
    fn the_status_says_what_a_container_is_doing() {
        let running = ContainerState { status: Status::Running, started: Some(at(0)), ..Default::default() };
        assert_eq!(status(&running, at(2)), "Up 2 seconds");
        let report = |status| Some(HealthReport { status, failing_streak: 0, probes: vec![] });
        let healthy = ContainerState { health: report(HealthStatus::Healthy), ..running.clone() };
        assert_eq!(status(&healthy, at(90)), "Up About a minute (healthy)");
        let starting = ContainerState { health: report(HealthStatus::Starting), ..running.clone() };
        assert_eq!(status(&starting, at(2)), "Up 2 seconds (health: starting)");
        let paused = ContainerState { status: Status::Paused, ..running };
        assert_eq!(status(&paused, at(2)), "Up 2 seconds (Paused)");
        let exited = ContainerState {
            status: Status::Exited,
            finished: Some(at(0)),
            exit: Some(ExitStatus::Code(137)),
            ..Default::default()
        };
        assert_eq!(status(&exited, at(300)), "Exited (137) 5 minutes ago");
        assert_eq!(
            status(&ContainerState { exit: Some(ExitStatus::Unknown), ..exited }, at(1)),
            "Exited (?) 1 second ago"
        );
        assert_eq!(status(&ContainerState::default(), at(0)), "Created");
    }

    #[test]
    fn what_is_not_well_has_a_reason() {
        assert_eq!(why(&ContainerState::default()), "");
        let failed = ContainerState { error: Some("\n no such file\nmore".to_owned()), ..Default::default() };
        assert_eq!(why(&failed), "no such file");
        assert_eq!(why(&ContainerState { status: Status::Running, ..failed }), "");
        let killed = ContainerState { status: Status::Exited, oom_killed: true, ..Default::default() };
        assert_eq!(why(&killed), "out of memory");
        let probe = |output: &str| HealthProbe {
            started: at(0),
            ended: at(1),
            exit_code: 7,
            output: output.to_owned(),
        };
        let ill = |output: &str| ContainerState {
            status: Status::Running,
            health: Some(HealthReport {
                status: HealthStatus::Unhealthy,
                failing_streak: 3,
                probes: vec![probe("older"), probe(output)],
            }),
            ..Default::default()
        };
        assert_eq!(why(&ill("connection refused\n")), "connection refused");
        assert_eq!(why(&ill("")), "its health check ends with 7");
    }

    #[test]
    fn trouble_says_what_is_not_as_it_should_be() {
        let told = |state: &ContainerState| trouble("shop-web-1", state, at(60)).unwrap_or_default();
        let exited = |code| ContainerState {
            status: Status::Exited,
            finished: Some(at(0)),
            exit: Some(ExitStatus::Code(code)),
            ..Default::default()
        };
        assert_eq!(told(&exited(0)), "");
        assert_eq!(told(&exited(3)), "shop-web-1 is not up, Exited (3) About a minute ago");
        assert_eq!(told(&ContainerState { stopped_by_hand: true, ..exited(137) }), "");
        let killed = ContainerState { oom_killed: true, restart_count: 2, ..exited(137) };
        assert_eq!(
            told(&killed),
            "shop-web-1 is not up, Exited (137) About a minute ago, restarted 2 times: out of memory"
        );
        let restarting = ContainerState { status: Status::Restarting, restart_count: 1, ..exited(1) };
        assert_eq!(
            told(&restarting),
            "shop-web-1 is not up, Restarting (1) About a minute ago, restarted once"
        );
        assert_eq!(told(&ContainerState::default()), "");
        let failed = ContainerState { error: Some("no such file".to_owned()), ..Default::default() };
        assert_eq!(told(&failed), "shop-web-1 is not up, Created: no such file");
        let running = ContainerState { status: Status::Running, started: Some(at(0)), ..Default::default() };
        assert_eq!(told(&running), "");
        let again = ContainerState { restart_count: 3, ..running.clone() };
        assert_eq!(told(&again), "shop-web-1 is up, restarted 3 times");
        let report = HealthReport { status: HealthStatus::Unhealthy, failing_streak: 3, probes: vec![] };
        let ill = ContainerState { health: Some(report), ..running };
        assert_eq!(told(&ill), "shop-web-1 is unhealthy");
    }

    #[test]
    fn a_long_command_is_cut() {
        let argv = ["docker-entrypoint.sh".to_owned(), "mysqld".to_owned()];
        assert_eq!(command(&argv, false), "\"docker-entrypoint.s…\"");
        assert_eq!(command(&argv, true), "\"docker-entrypoint.sh mysqld\"");
    }
}
