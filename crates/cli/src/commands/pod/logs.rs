//! `compose pod logs`: shows what the containers of a pod wrote.

use super::choose::Which;
use crate::commands::logs;
use crate::exit::{Exit, Failure};
use crate::runtime::{self, Size};
use crate::session::Session;
use crate::view::time;
use engine::{LogLine, PodSummary};
use resource::{ObservedContainer, Timestamp};
use std::collections::BTreeMap;

/// Flags of `pod logs`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only this container: its name, its id or the beginning of its id
    #[arg(short, long, value_name = "CONTAINER")]
    container: Option<String>,
    /// Go on with what is written later
    #[arg(short, long)]
    follow: bool,
    /// The pod that was made last
    #[arg(short, long, conflicts_with = "pod")]
    latest: bool,
    /// Names of containers in front of lines, not ids
    #[arg(short, long)]
    names: bool,
    /// Not older than this time, or this duration before now
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Lines from the end of each container's log, or all
    #[arg(long, default_value = "all", value_name = "LINES", allow_hyphen_values = true)]
    tail: String,
    /// Show times
    #[arg(short, long)]
    timestamps: bool,
    /// Older than this time, or this duration before now
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Name, id or beginning of an id
    #[arg(value_name = "POD")]
    pod: Option<String>,
}

/// Shows logs, merged by time.
pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let which = Which { all: false, latest: args.latest, pods: args.pod.iter().cloned().collect() };
    let pods = which.of(session)?;
    let pod = pods.first().ok_or_else(|| Failure::new("there is no pod"))?;
    let query = logs::Query {
        follow: args.follow,
        tail: &args.tail,
        since: args.since.as_ref(),
        until: args.until.as_ref(),
    };
    let query = query.read(Timestamp::now())?;
    let only = args.container.as_deref().map(|word| container(pod, word)).transpose()?;
    let services: Vec<String> = only.iter().map(|one| one.record.spec.service.clone()).collect();
    // What stands in front of a container's lines, by its name.
    let mut ids: BTreeMap<String, String> = BTreeMap::new();
    runtime::interruptible(Size::One, async {
        let engine = session.engine()?;
        let name = &pod.record.name;
        let failed = |error| Failure::because("cannot read the logs", error);
        // Without a supervisor nothing reaches the log.
        engine.adopt(name).await.map_err(failed)?;
        let lines = engine.logs(name, &services, query).map_err(failed)?;
        logs::write(lines, |shown, line| {
            if only.is_some_and(|one| one.record.spec.name != line.container) {
                return;
            }
            let origin = ids.entry(line.container.to_string()).or_insert_with_key(|container| {
                let found = engine.find_container(&line.container).filter(|_| !args.names);
                found.map_or_else(|| container.clone(), |(_, id)| id.short().to_owned())
            });
            shown.push_str(&text(origin, pod, line, args.timestamps));
        })
        .await
    })
}

/// The container of a pod that a word means.
fn container<'a>(pod: &'a PodSummary, word: &str) -> Result<&'a ObservedContainer, Failure> {
    let name = pod.containers.iter().find(|one| one.record.spec.name.as_str() == word);
    let mut ids = pod.containers.iter().filter(|one| one.record.id.as_str().starts_with(word));
    match (name, ids.next(), ids.next()) {
        (Some(one), ..) | (None, Some(one), None) => Ok(one),
        _ => Err(Failure::new(format!("pod `{}` has no container `{word}`", pod.record.name))),
    }
}

/// A line: where it comes from, in a pod with several containers; when, if asked; the text.
fn text(origin: &str, pod: &PodSummary, line: &LogLine, timestamps: bool) -> String {
    let origin = if pod.containers.len() > 1 { format!("{origin} ") } else { String::new() };
    let time = if timestamps { format!("{} ", time::utc(line.time)) } else { String::new() };
    format!("{origin}{time}{}\n", line.text.trim_end_matches(['\n', '\r']))
}
