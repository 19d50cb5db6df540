//! `compose events`: shows what happens to containers while it happens.

use crate::exit::{Exit, Failure};
use crate::runtime::{self, Size};
use crate::session::Session;
use crate::view::duration;
use crate::{output, select};
use engine::{Event, EventKind};
use resource::{ExitStatus, HealthStatus, Observed, Timestamp};
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

/// Shows events until it is interrupted.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    if args.since.is_some() {
        return Err(Failure::unsupported("`--since` of `compose events`")
            .hint("events are shown from now on; none are kept"));
    }
    let now = Timestamp::now();
    let until = match &args.until {
        None => None,
        Some(text) => Some(
            duration::point(text, now)
                .ok_or_else(|| Failure::new(format!("invalid value for --until: `{text}`")))?,
        ),
    };
    let subject = session.subject(&[])?;
    let pod = &subject.pod;
    let observed = session.containers(pod)?;
    let chosen = select::services(&args.services, subject.known(&observed))?;
    runtime::interruptible(Size::One, async {
        let engine = session.engine()?;
        let failed = |error| Failure::because("cannot follow the events", error);
        let mut events = engine.events(pod).await.map_err(failed)?;
        let show = async {
            while let Some(event) = events.next().await {
                if event.number.is_none() || !(chosen.is_empty() || chosen.contains(&event.service)) {
                    continue;
                }
                let observed = session.containers(pod)?;
                output::result(&text(&event, &observed, args.json))?;
            }
            Ok(Exit::Success)
        };
        match until.and_then(|until| std::time::Duration::try_from(until.duration_since(now)).ok()) {
            None => show.await,
            Some(limit) => tokio::time::timeout(limit, show).await.unwrap_or(Ok(Exit::Success)),
        }
    })
}

/// The words for what happened; what one event stands for may have several.
fn actions(kind: &EventKind) -> Vec<(String, Option<(&'static str, String)>)> {
    let plain = |action: &str| vec![(action.to_owned(), None)];
    match kind {
        EventKind::Started { .. } => plain("start"),
        EventKind::Died { exit, .. } => {
            let code = match exit {
                ExitStatus::Code(code) => code.to_string(),
                ExitStatus::Unknown => "unknown".to_owned(),
            };
            vec![("die".to_owned(), Some(("exitCode", code)))]
        }
        EventKind::Stopped => plain("stop"),
        EventKind::Killed { signal } => vec![("kill".to_owned(), Some(("signal", signal.to_string())))],
        EventKind::Health(status) => plain(match status {
            HealthStatus::Starting => "health_status: starting",
            HealthStatus::Healthy => "health_status: healthy",
            HealthStatus::Unhealthy => "health_status: unhealthy",
        }),
        EventKind::Paused => plain("pause"),
        EventKind::Unpaused => plain("unpause"),
        EventKind::Oom => plain("oom"),
        EventKind::StartFailed { message } => {
            vec![("start_failed".to_owned(), Some(("error", message.clone())))]
        }
        EventKind::Removed => plain("destroy"),
    }
}

fn text(event: &Event, observed: &Observed, as_json: bool) -> String {
    let record = observed
        .containers
        .iter()
        .map(|container| &container.record)
        .find(|record| record.id == event.container);
    let mut attributes = Map::new();
    if let Some(record) = record {
        let labels = record.spec.labels.iter().filter(|(key, _)| !key.starts_with("com.docker.compose."));
        attributes.extend(labels.map(|(key, value)| (key.clone(), Value::from(value.clone()))));
        attributes.insert("image".to_owned(), record.spec.image.familiar().into());
    }
    attributes.insert("name".to_owned(), event.name.as_str().into());
    let mut text = String::new();
    for (action, more) in actions(&event.kind) {
        let mut attributes = attributes.clone();
        attributes.extend(more.map(|(key, value)| (key.to_owned(), Value::from(value))));
        if as_json {
            let object = json!({
                "time": crate::view::logs::stamp(event.time), "type": "container", "service": event.service,
                "id": event.container.as_str(), "action": action, "attributes": attributes,
            });
            text.push_str(&format!("{object}\n"));
        } else {
            let list: Vec<String> = attributes
                .iter()
                .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
                .collect();
            let time = event.time.strftime("%Y-%m-%d %H:%M:%S.%6f");
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
        assert_eq!(
            text(&event, &Observed::default(), false),
            "2026-03-01 12:00:00.500000 container die abc (exitCode=3, name=shop-web-1)\n\n"
        );
        let object = text(&event, &Observed::default(), true);
        assert!(object.contains("\"action\":\"die\"") && object.contains("\"exitCode\":\"3\""), "{object}");
    }
}
