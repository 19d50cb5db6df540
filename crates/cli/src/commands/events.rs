//! `compose events`: shows what happens to containers while it happens.

use crate::exit::{Exit, Failure};
use crate::runtime::{self, Size};
use crate::session::Session;
use crate::view::{duration, time};
use crate::{output, select};
use engine::{EventKind, EventQuery, Note};
use jiff::tz::TimeZone;
use resource::{ExitStatus, HealthStatus, Timestamp};
use serde_json::{Map, Value, json};

/// Flags of `events`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Events since this time
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Events until this time
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Services, all by default
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
}

/// Shows events until it is interrupted, or until the time that was given.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let query = query(args, Timestamp::now())?;
    let zone = time::zone();
    let subject = session.subject(&[])?;
    let pod = &subject.pod;
    let observed = session.containers(pod)?;
    let chosen = select::services(&args.services, subject.known(&observed))?;
    session.supervise(pod, &observed);
    runtime::interruptible(Size::One, async {
        let failed = |error| Failure::because("cannot follow the events", error);
        let mut events = session.engine()?.journal(pod, query).map_err(failed)?;
        loop {
            let note = events.next().await;
            let note = note.map_err(|error| Failure::because("cannot follow the events", error))?;
            let Some(note) = note else { return Ok(Exit::Success) };
            let event = &note.event;
            if event.number.is_some() && (chosen.is_empty() || chosen.contains(&event.service)) {
                output::result(&text(&note, args.json, &zone))?;
            }
        }
    })
}

/// The times that were given.
fn query(args: &Args, now: Timestamp) -> Result<EventQuery, Failure> {
    let point = |flag: &str, text: Option<&String>| match text {
        None => Ok(None),
        Some(text) => duration::point(text, now).map(Some).ok_or_else(|| {
            Failure::new(format!("invalid value for --{flag}: `{text}`"))
                .hint("use a time such as `2026-01-02T15:04:05Z`, or a duration such as `42m`")
        }),
    };
    Ok(EventQuery {
        since: point("since", args.since.as_ref())?,
        until: point("until", args.until.as_ref())?,
    })
}

/// The words for what happened; what one event stands for may have several.
fn actions(kind: &EventKind) -> Vec<(String, Vec<(&'static str, String)>)> {
    let plain = |action: &str| vec![(action.to_owned(), vec![])];
    match kind {
        EventKind::Started { .. } => plain("start"),
        EventKind::Died { exit, ran, .. } => {
            let code = match exit {
                ExitStatus::Code(code) => code.to_string(),
                ExitStatus::Unknown => "unknown".to_owned(),
            };
            let ran = ran.as_secs().to_string();
            vec![("die".to_owned(), vec![("exitCode", code), ("execDuration", ran)])]
        }
        EventKind::Stopped => plain("stop"),
        EventKind::Killed { signal } => vec![("kill".to_owned(), vec![("signal", signal.to_string())])],
        EventKind::Health(status) => plain(match status {
            HealthStatus::Starting => "health_status: starting",
            HealthStatus::Healthy => "health_status: healthy",
            HealthStatus::Unhealthy => "health_status: unhealthy",
        }),
        EventKind::Paused => plain("pause"),
        EventKind::Unpaused => plain("unpause"),
        EventKind::Oom => plain("oom"),
        EventKind::StartFailed { message } => {
            vec![("start_failed".to_owned(), vec![("error", message.clone())])]
        }
        EventKind::Removed => plain("destroy"),
        EventKind::Created => plain("create"),
        EventKind::Restarted => plain("restart"),
        // The one name that Docker tells as it keeps it.
        EventKind::Renamed { from } => vec![("rename".to_owned(), vec![("oldName", format!("/{from}"))])],
        EventKind::ExecStarted { id, argv } => ["exec_create", "exec_start"]
            .map(|action| (format!("{action}: {}", argv.join(" ")), vec![("execID", id.clone())]))
            .into(),
        EventKind::ExecDied { id, code } => {
            vec![("exec_die".to_owned(), vec![("execID", id.clone()), ("exitCode", code.to_string())])]
        }
    }
}

fn text(note: &Note, as_json: bool, zone: &TimeZone) -> String {
    let event = &note.event;
    let labels = note.labels.iter().filter(|(key, _)| !key.starts_with("com.docker.compose."));
    let mut attributes: Map<String, Value> =
        labels.map(|(key, value)| (key.clone(), Value::from(value.clone()))).collect();
    attributes.insert("image".to_owned(), note.image.clone().into());
    attributes.insert("name".to_owned(), event.name.as_str().into());
    let mut text = String::new();
    for (action, more) in actions(&event.kind) {
        let mut attributes = attributes.clone();
        attributes.extend(more.into_iter().map(|(key, value)| (key.to_owned(), Value::from(value))));
        if as_json {
            let object = json!({
                "time": time::instant(event.time, zone), "type": "container", "service": event.service,
                "id": event.container.as_str(), "action": action, "attributes": attributes,
            });
            text.push_str(&format!("{object}\n"));
        } else {
            let list: Vec<String> = attributes
                .iter()
                .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
                .collect();
            let time = time::happened(event.time, zone);
            text.push_str(&format!(
                "{time} container {action} {} ({})\n\n",
                event.container,
                list.join(", ")
            ));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::Event;
    use resource::Labels;

    #[test]
    fn an_event_is_a_line_or_an_object() {
        let event = Event {
            time: "2026-03-01T12:00:00.5Z".parse().unwrap(),
            container: "abc".into(),
            name: "shop-web-1".into(),
            service: "web".into(),
            number: Some(1),
            kind: EventKind::Died {
                exit: ExitStatus::Code(3),
                restarting: false,
                ran: std::time::Duration::ZERO,
            },
        };
        let labels: Labels = [("a", "b"), ("com.docker.compose.service", "web")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        let note = Note { event, image: "busybox".to_owned(), labels };
        assert_eq!(
            text(&note, false, &TimeZone::UTC),
            "2026-03-01 12:00:00.500000 container die abc (a=b, execDuration=0, exitCode=3, image=busybox, \
             name=shop-web-1)\n\n"
        );
        let object = text(&note, true, &TimeZone::fixed(jiff::tz::offset(2)));
        assert!(object.contains("\"action\":\"die\"") && object.contains("\"exitCode\":\"3\""), "{object}");
        assert!(object.contains("\"time\":\"2026-03-01T14:00:00.500000000+02:00\""), "{object}");
    }
}
