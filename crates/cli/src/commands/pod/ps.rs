//! `compose pod ps`: lists pods.

use super::choose;
use crate::commands::image::filter::carries;
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::view::template::{self, Format};
use crate::view::{duration, table};
use crate::{output, pattern};
use engine::{Engine, PodSummary};
use resource::{ObservedContainer, Timestamp};
use serde_json::{Map, Value, json};

/// Flags of `pod ps`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Show the ids of containers
    #[arg(long)]
    ctr_ids: bool,
    /// Show the names of containers
    #[arg(long)]
    ctr_names: bool,
    /// Show the states of containers
    #[arg(long)]
    ctr_status: bool,
    /// KEY=VALUE: ctr-ids, ctr-names, ctr-number, ctr-status, id, label, label!, name, network, status, until
    #[arg(short, long = "filter", value_name = "FILTER")]
    filters: Vec<String>,
    /// json, table TEMPLATE, or a template
    #[arg(long, value_name = "FORMAT", conflicts_with = "quiet")]
    format: Option<String>,
    /// Only the pod that was made last
    #[arg(short, long)]
    latest: bool,
    /// Show the cgroup and the shared namespaces
    #[arg(long = "namespace", alias = "ns")]
    namespace: bool,
    /// No line of titles
    #[arg(short, long)]
    noheading: bool,
    /// Whole ids
    #[arg(long)]
    no_trunc: bool,
    /// Only ids
    #[arg(short, long)]
    quiet: bool,
    /// created, id, name, number or status
    #[arg(long, default_value = "created", hide_default_value = true, value_name = "KEY")]
    sort: String,
}

/// Titles of the columns that are not their fields' names.
const TITLES: [(&str, &str); 9] = [
    ("ID", "POD ID"),
    ("Id", "POD ID"),
    ("InfraID", "INFRA ID"),
    ("InfraId", "INFRA ID"),
    ("NumberOfContainers", "# OF CONTAINERS"),
    ("ContainerIds", "IDS"),
    ("ContainerNames", "NAMES"),
    ("ContainerStatuses", "STATUS"),
    ("Namespace", "NAMESPACES"),
];

/// Lists pods, by default the newest first.
pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let now = Timestamp::now();
    let filters = filters(&args.filters, now)?;
    let mut pods = choose::every(session)?;
    if args.latest && !pods.is_empty() {
        pods = vec![choose::latest(pods)?];
    }
    pods.retain(|pod| filters.iter().all(|filter| filter.takes(pod)));
    sort(&mut pods, &args.sort)?;
    output::result(&text(args, &pods, session.engine()?, now)?)?;
    Ok(Exit::Success)
}

fn sort(pods: &mut [PodSummary], key: &str) -> Result<(), Failure> {
    match key {
        "created" => pods.sort_by_key(|pod| std::cmp::Reverse(pod.record.created)),
        "id" => pods.sort_by(|one, other| one.record.id.cmp(&other.record.id)),
        "name" => {} // as they are listed
        "number" => pods.sort_by_key(|pod| pod.containers.len()),
        "status" => pods.sort_by_key(|pod| pod.status().as_str()),
        other => {
            return Err(Failure::new(format!("invalid value for --sort: `{other}`"))
                .hint("it is one of created, id, name, number and status"));
        }
    }
    Ok(())
}

fn text(args: &Args, pods: &[PodSummary], engine: &Engine, now: Timestamp) -> Result<String, Failure> {
    if args.quiet {
        return Ok(pods.iter().map(|pod| format!("{}\n", pod.record.id)).collect());
    }
    let rows = || -> Vec<_> {
        let row = |pod| (fields(pod, engine, now, args.no_trunc), labels(pod));
        pods.iter().map(row).collect()
    };
    let heading = !args.noheading;
    match Format::parse(args.format.as_deref().unwrap_or_default())? {
        Format::Table => Ok(own_table(args, &rows())),
        Format::Json => {
            let objects: Vec<Value> = pods.iter().map(|pod| object(pod, engine)).collect();
            Ok(format!("{:#}\n", Value::Array(objects)))
        }
        Format::TableOf(template) => template::titled(&template, &TITLES, heading, &rows()),
        // The objects of `--format json`, a line each; the other fields are words for people.
        Format::Lines(template) if template.is_json_of_all() => {
            Ok(pods.iter().map(|pod| format!("{}\n", object(pod, engine))).collect())
        }
        Format::Lines(template) => template::rows(&template, false, &rows()),
    }
}

fn labels(pod: &PodSummary) -> &resource::Labels {
    &pod.record.labels
}

/// The table without a template: which columns there are is for the flags to say.
fn own_table(args: &Args, rows: &[(Map<String, Value>, &resource::Labels)]) -> String {
    let mut columns = vec!["ID", "Name", "Status", "Created", "InfraID"];
    let of_containers = [
        (args.ctr_ids, "ContainerIds"),
        (args.ctr_names, "ContainerNames"),
        (args.ctr_status, "ContainerStatuses"),
    ];
    columns.extend(of_containers.iter().filter(|(shown, _)| *shown).map(|(_, column)| *column));
    if args.namespace {
        columns.extend(["Cgroup", "Namespace"]);
    }
    if !of_containers.iter().any(|(shown, _)| *shown) {
        columns.push("NumberOfContainers");
    }
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|(row, _)| columns.iter().map(|column| template::plain(&row[*column])).collect())
        .collect();
    let header: Vec<String> = columns.iter().map(|column| template::title(column, &TITLES)).collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let text = table::table(&header, &cells);
    if args.noheading { table::without_header(&text).to_owned() } else { text }
}

/// What templates can name.
fn fields(pod: &PodSummary, engine: &Engine, now: Timestamp, whole: bool) -> Map<String, Value> {
    let short = |id: &str| if whole { id.to_owned() } else { id.chars().take(12).collect::<String>() };
    let joined = |each: &dyn Fn(&ObservedContainer) -> String| {
        pod.containers.iter().map(each).collect::<Vec<_>>().join(",")
    };
    let (id, infra) = (short(&pod.record.id), short(choose::infra_id(pod)));
    let restarts: u32 = pod.containers.iter().map(|container| container.state.restart_count).sum();
    let fields = json!({
        "ID": id,
        "Id": id,
        "Name": pod.record.name.as_str(),
        "Status": pod.status().as_str(),
        "Created": duration::ago(pod.record.created, now),
        "InfraID": infra,
        "InfraId": infra,
        "NumberOfContainers": pod.containers.len(),
        "ContainerIds": joined(&|container| short(container.record.id.as_str())),
        "ContainerNames": joined(&|container| container.record.spec.name.to_string()),
        "ContainerStatuses": joined(&|container| container.state.status.as_str().to_owned()),
        "Cgroup": choose::cgroup(engine, pod),
        "Namespace": pod.shared_namespaces().join(","),
        "Networks": choose::networks(pod).into_iter().collect::<Vec<_>>().join(","),
        "Labels": pod.record.labels,
        "Restarts": restarts,
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// A pod with `--format json`.
fn object(pod: &PodSummary, engine: &Engine) -> Value {
    let container = |container: &ObservedContainer| {
        json!({
            "Id": container.record.id.as_str(),
            "Names": container.record.spec.name.as_str(),
            "Status": container.state.status.as_str(),
            "RestartCount": container.state.restart_count,
        })
    };
    json!({
        "Cgroup": choose::cgroup(engine, pod),
        "Containers": pod.containers.iter().map(container).collect::<Vec<_>>(),
        "Created": pod.record.created.to_string(),
        "Id": pod.record.id,
        "InfraId": choose::infra_id(pod),
        "Name": pod.record.name.as_str(),
        "Namespace": pod.shared_namespaces().join(","),
        "Networks": choose::networks(pod),
        "Status": pod.status().as_str(),
        "Labels": pod.record.labels,
    })
}

/// A filter: one key with all the values it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Filter {
    key: Key,
    values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    ContainerIds,
    ContainerNames,
    ContainerNumber,
    ContainerStatus,
    Id,
    Label,
    NotLabel,
    Name,
    Network,
    Status,
    Until(Timestamp),
}

/// The states of containers that a filter may name; the last never occurs here.
const CONTAINER_STATES: [&str; 7] =
    ["created", "running", "paused", "stopped", "exited", "restarting", "unknown"];
/// The states of pods that a filter may name; the last never occurs here.
const POD_STATES: [&str; 7] = ["created", "running", "degraded", "paused", "stopped", "exited", "dead"];

/// Reads the filters; values of one key belong together.
fn filters(texts: &[String], now: Timestamp) -> Result<Vec<Filter>, Failure> {
    let mut filters: Vec<Filter> = vec![];
    for text in texts {
        // `label!=x` splits into `label!` and `x`.
        let (word, value) = text
            .split_once('=')
            .ok_or_else(|| Failure::new(format!("invalid filter `{text}`")).hint("a filter is KEY=VALUE"))?;
        let key = key(word, value, now)?;
        match filters.iter_mut().find(|filter| filter.key == key) {
            Some(filter) => filter.values.push(value.to_owned()),
            None => filters.push(Filter { key, values: vec![value.to_owned()] }),
        }
    }
    Ok(filters)
}

fn key(word: &str, value: &str, now: Timestamp) -> Result<Key, Failure> {
    let wrong = |known: &str| {
        Failure::new(format!("invalid filter `{word}={value}`")).hint(format!("known are {known}"))
    };
    Ok(match word {
        "ctr-ids" => Key::ContainerIds,
        "ctr-names" => Key::ContainerNames,
        "ctr-number" if value.parse::<usize>().is_ok() => Key::ContainerNumber,
        "ctr-number" => return Err(wrong("numbers")),
        "ctr-status" if CONTAINER_STATES.contains(&value) => Key::ContainerStatus,
        "ctr-status" => return Err(wrong(&CONTAINER_STATES.join(", "))),
        "id" => Key::Id,
        "label" => Key::Label,
        "label!" => Key::NotLabel,
        "name" => Key::Name,
        "network" => Key::Network,
        "status" if POD_STATES.contains(&value) => Key::Status,
        "status" => return Err(wrong(&POD_STATES.join(", "))),
        "until" => Key::Until(duration::point(value, now).ok_or_else(|| wrong("times and durations"))?),
        _ => {
            return Err(wrong(
                "ctr-ids, ctr-names, ctr-number, ctr-status, id, label, label!, name, network, status and until",
            ));
        }
    })
}

impl Filter {
    /// Whether a pod passes: by any of the values, with labels by all of them.
    fn takes(&self, pod: &PodSummary) -> bool {
        let any = |fits: &dyn Fn(&str) -> bool| self.values.iter().any(|value| fits(value));
        let in_any = |fits: &dyn Fn(&ObservedContainer, &str) -> bool| {
            pod.containers.iter().any(|container| any(&|value| fits(container, value)))
        };
        let is_id = |id: &str, value: &str| id.starts_with(value) || pattern::found(value, id);
        match self.key {
            Key::ContainerIds => in_any(&|container, value| is_id(container.record.id.as_str(), value)),
            Key::ContainerNames => {
                in_any(&|container, value| pattern::found(value, container.record.spec.name.as_str()))
            }
            Key::ContainerNumber => any(&|value| value.parse() == Ok(pod.containers.len())),
            Key::ContainerStatus => in_any(&|container, value| {
                container.state.status.as_str() == if value == "stopped" { "exited" } else { value }
            }),
            Key::Id => any(&|value| is_id(&pod.record.id, value)),
            Key::Label => self.values.iter().all(|value| carries(&pod.record.labels, value)),
            Key::NotLabel => !self.values.iter().all(|value| carries(&pod.record.labels, value)),
            Key::Name => any(&|value| pattern::found(value, pod.record.name.as_str())),
            Key::Network => any(&|value| choose::networks(pod).contains(value)),
            Key::Status => any(&|value| pod.status().as_str().eq_ignore_ascii_case(value)),
            Key::Until(time) => pod.record.created < time,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use resource::{Labels, PodName, PodRecord};

    fn now() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    /// A pod without containers, made an hour ago.
    fn pod() -> PodSummary {
        let labels = Labels::from([("tier".to_owned(), "front".to_owned())]);
        let created = "2026-03-01T11:00:00Z".parse().unwrap();
        let record = PodRecord {
            id: "0123456789abcdef".to_owned(),
            name: PodName("shop".to_owned()),
            labels,
            created,
            command: vec![],
            resources: resource::Resources::default(),
        };
        PodSummary { record, containers: vec![], damage: vec![] }
    }

    fn taken(texts: &[&str]) -> Result<bool, String> {
        let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
        let filters = filters(&texts, now()).map_err(|failure| failure.line())?;
        Ok(filters.iter().all(|filter| filter.takes(&pod())))
    }

    #[test]
    fn values_of_one_key_are_alternatives_and_keys_are_not() {
        assert_eq!(taken(&["name=blog", "name=sh.p"]), Ok(true));
        assert_eq!(taken(&["name=shop", "id=ffff"]), Ok(false));
        assert_eq!(taken(&["id=0123", "status=created", "ctr-number=0"]), Ok(true));
        assert_eq!(taken(&["until=30m"]), Ok(true));
        assert_eq!(taken(&["until=2h"]), Ok(false));
    }

    #[test]
    fn labels_have_to_be_there_all_or_not_all() {
        assert_eq!(taken(&["label=tier=front", "label=tier"]), Ok(true));
        assert_eq!(taken(&["label=tier", "label=x"]), Ok(false));
        assert_eq!(taken(&["label!=tier=back"]), Ok(true));
        assert_eq!(taken(&["label!=tier"]), Ok(false));
    }

    #[test]
    fn what_is_no_filter_is_named() {
        for wrong in
            ["name", "colour=red", "status=happy", "ctr-status=dead", "ctr-number=many", "until=soon"]
        {
            assert!(taken(&[wrong]).unwrap_err().contains(wrong), "{wrong}");
        }
    }
}
