//! `compose-spec/COVERAGE.md`: every attribute of the model, what it does here and the scenario that shows it;
//! and every case with the attributes it exercises. The attributes are those of `compose.schema.json`; the cases
//! are found by reading their files; what an attribute does is found by lowering a project with it and one
//! without. Nothing is silently ignored: what changes nothing is told, with its place, or does its work
//! outside of lowering and is listed in [`ELSEWHERE`]. What is acted on has a row in `tests/ATTRIBUTES.md`
//! with the words of a scenario that would fail if it were not. `BLESS=1` rewrites the page.
#![expect(clippy::disallowed_methods, reason = "the cases are read from their folders")]
#![expect(clippy::unwrap_used, reason = "a check that cannot read the tree has failed")]

use compose_spec::tree::{Node, Value};
use compose_spec::{Files, Input, documents};
use diagnostic::{Diagnostic, Sources};
use lower::{Options, Selection};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

/// Attributes, with all below them, whose work is not seen in what is wanted of the engine.
const ELSEWHERE: &[(&str, &str)] = &[
    ("networks.*.attachable", "read, not acted on: any container of this machine may join"),
    ("configs.*.name", "read, not acted on: a config is no object of the engine"),
    ("name", "acted on: the name of everything the project has"),
    ("version", "read, not acted on: it is obsolete, which is told"),
    ("include", "acted on when the files are read"),
    ("secrets.*.name", "read, not acted on: a secret is no object of the engine"),
    ("services.*.networks.*.gw_priority", "acted on where there are several networks"),
    ("services.*.networks.*.priority", "acted on where there are several networks"),
    ("models.*.model", "read, not acted on: there is no model runner, which is told"),
    ("services.*.attach", "acted on by `up`"),
    ("services.*.build.secrets[].source", "acted on by builds"),
    ("services.*.env_file[].format", "acted on when the files are read"),
    ("services.*.env_file[].required", "acted on when the files are read"),
    ("services.*.extends", "acted on when the files are read"),
    ("services.*.profiles", "acted on when services are chosen"),
    ("services.*.ports[].app_protocol", "read, not acted on: it informs people"),
    ("services.*.ports[].name", "read, not acted on: it informs people"),
    ("services.*.ports[].mode", "read, not acted on: on one machine both modes are the same"),
    ("services.*.develop", "acted on by `watch`"),
];

/// Values that mean something, where one made from the schema does not.
const SAMPLES: &[(&str, &str)] = &[
    ("configs", r#"{"key": {"content": "text"}}"#),
    ("configs.*.environment", r#""SET""#),
    ("networks.*.enable_ipv4", "false"),
    ("networks.*.ipam.config[].aux_addresses", r#"{"key": "10.8.0.3"}"#),
    ("networks.*.ipam.config[].gateway", r#""10.8.0.2""#),
    ("networks.*.ipam.config[].ip_range", r#""10.8.0.0/28""#),
    ("networks.*.driver", r#""macvlan""#),
    ("networks.*.driver_opts", r#"{"com.docker.network.driver.mtu": "1400"}"#),
    ("services.*.networks.*.driver_opts", r#"{"com.docker.network.endpoint.ifname": "lan0"}"#),
    ("services.*.networks.*.link_local_ips", r#"["169.254.8.1"]"#),
    ("networks.*.ipam.config[].subnet", r#""10.8.0.0/24""#),
    ("secrets", r#"{"key": {"file": "/secret"}}"#),
    ("secrets.*.environment", r#""SET""#),
    ("services.*.build.additional_contexts", r#"{"other": "/other"}"#),
    ("services.*.build.args", r#"{"key": "value"}"#),
    ("services.*.build.entitlements", r#"["network.host"]"#),
    ("services.*.build.extra_hosts", r#"["host=10.9.0.8"]"#),
    ("services.*.build.network", r#""none""#),
    ("services.*.build.platforms", r#"["linux/arm64"]"#),
    ("services.*.build.secrets", r#"["sample"]"#),
    ("services.*.build.secrets[].gid", "\"7\""),
    ("services.*.build.secrets[].mode", "256"),
    ("services.*.build.secrets[].target", "\"other\""),
    ("services.*.build.secrets[].uid", "\"7\""),
    ("services.*.build.ssh", r#"["key=/socket"]"#),
    ("services.*.build.tags", r#"["other:tag"]"#),
    ("services.*.cap_add", r#"["NET_ADMIN"]"#),
    ("services.*.cap_drop", r#"["NET_RAW"]"#),
    ("services.*.cgroup", "\"host\""),
    ("services.*.configs[].gid", "\"7\""),
    ("services.*.configs[].mode", "256"),
    ("services.*.configs[].target", "\"/other\""),
    ("services.*.configs[].uid", "\"7\""),
    ("services.*.depends_on", r#"["base"]"#),
    ("services.*.depends_on.*.condition", "\"service_healthy\""),
    ("services.*.depends_on.*.required", "false"),
    ("services.*.deploy.resources.limits.memory", r#""64m""#),
    ("services.*.deploy.resources.reservations.devices", r#"[{"capabilities": ["gpu"]}]"#),
    ("services.*.deploy.resources.reservations.devices[].capabilities", r#"["gpu"]"#),
    ("services.*.deploy.resources.reservations.devices[].count", "2"),
    ("services.*.deploy.resources.reservations.devices[].driver", r#""vendor.com/class""#),
    ("services.*.deploy.restart_policy.condition", "\"on-failure\""),
    ("services.*.deploy.update_config.failure_action", "\"rollback\""),
    ("services.*.deploy.update_config.order", "\"start-first\""),
    ("services.*.develop.watch", r#"[{"path": "/watched", "action": "rebuild"}]"#),
    ("services.*.develop.watch[].action", r#""rebuild""#),
    ("services.*.device_cgroup_rules", r#"["c 1:3 r"]"#),
    ("services.*.devices[].permissions", r#""r""#),
    ("services.*.devices[].target", "\"/dev/other\""),
    ("services.*.dns", r#""10.9.0.53""#),
    ("services.*.env_file[].format", r#""raw""#),
    ("services.*.expose", r#"["80"]"#),
    ("services.*.extra_hosts", r#"["host=10.9.0.8"]"#),
    ("services.*.gpus[].count", "2"),
    ("services.*.ipc", r#""host""#),
    ("services.*.links", r#"["base"]"#),
    ("services.*.logging.driver", r#""none""#),
    ("services.*.logging.options", r#"{"max-size": "1m"}"#),
    ("services.*.mem_limit", r#""64m""#),
    ("services.*.memswap_limit", r#""256m""#),
    ("services.*.networks", r#"["key"]"#),
    ("services.*.networks.*.ipv4_address", "\"10.9.0.9\""),
    ("services.*.networks.*.ipv6_address", "\"fd09::9\""),
    ("services.*.pid", r#""host""#),
    ("services.*.ports", r#"["80"]"#),
    ("services.*.ports[].host_ip", r#""10.9.0.1""#),
    ("services.*.ports[].protocol", r#""udp""#),
    ("services.*.ports[].published", r#""8080""#),
    ("services.*.pull_policy", r#""always""#),
    ("services.*.restart", r#""always""#),
    ("services.*.secrets[].gid", "\"7\""),
    ("services.*.secrets[].mode", "256"),
    ("services.*.secrets[].target", "\"/other\""),
    ("services.*.secrets[].uid", "\"7\""),
    ("services.*.security_opt", r#"["no-new-privileges"]"#),
    ("services.*.sysctls", r#"{"net.ipv4.ip_forward": "0"}"#),
    ("services.*.uts", r#""host""#),
    ("services.*.volumes[].bind.create_host_path", "false"),
    ("services.*.volumes[].bind.propagation", "\"rshared\""),
    ("services.*.volumes[].bind.recursive", "\"disabled\""),
    ("services.*.volumes[].tmpfs.mode", "448"),
    ("services.*.volumes[].tmpfs.size", "1048576"),
    ("services.*.volumes[].type", "\"volume\""),
    ("services.*.volumes_from", r#"["base"]"#),
    ("x-pod.cpu_shares", "512"),
    ("x-pod.cpus", "1.5"),
    ("x-pod.mem_limit", r#""64m""#),
    ("x-pod.mem_reservation", r#""16m""#),
    ("x-pod.memswap_limit", r#""256m""#),
    ("x-pod.pids_limit", "90"),
];

/// What else an object needs for an attribute, or one below it, to mean something: the attribute, the
/// object, and its further key.
const BESIDE: &[(&str, &str, &str, &str)] = &[
    (
        "services.*.deploy.resources.reservations.devices[].count",
        "services.*.deploy.resources.reservations.devices[]",
        "capabilities",
        r#"["gpu"]"#,
    ),
    (
        "services.*.deploy.resources.reservations.devices[].device_ids",
        "services.*.deploy.resources.reservations.devices[]",
        "capabilities",
        r#"["gpu"]"#,
    ),
    (
        "services.*.deploy.resources.reservations.devices[].options",
        "services.*.deploy.resources.reservations.devices[]",
        "capabilities",
        r#"["gpu"]"#,
    ),
    ("networks.*.ipam.config[].aux_addresses", "networks.*.ipam.config[]", "subnet", r#""10.8.0.0/24""#),
    ("networks.*.ipam.config[].gateway", "networks.*.ipam.config[]", "subnet", r#""10.8.0.0/24""#),
    ("networks.*.ipam.config[].ip_range", "networks.*.ipam.config[]", "subnet", r#""10.8.0.0/24""#),
    ("networks.*.enable_ipv4", "networks.*", "enable_ipv6", "true"),
    ("x-pod.memswap_limit", "x-pod", "mem_limit", r#""64m""#),
    ("services.*.memswap_limit", "services.*", "mem_limit", r#""64m""#),
    ("services.*.healthcheck.start_interval", "services.*.healthcheck", "start_period", r#""17s""#),
    ("configs.*.labels", "configs.*", "file", r#""/file""#),
    ("configs.*.name", "configs.*", "file", r#""/file""#),
    ("configs.*.template_driver", "configs.*", "file", r#""/file""#),
    ("secrets.*.labels", "secrets.*", "file", r#""/file""#),
    ("secrets.*.name", "secrets.*", "file", r#""/file""#),
    ("secrets.*.template_driver", "secrets.*", "file", r#""/file""#),
    ("secrets.*.driver_opts", "secrets.*", "driver", r#""sample""#),
    (
        "services.*.deploy.restart_policy.max_attempts",
        "services.*.deploy.restart_policy",
        "condition",
        "\"on-failure\"",
    ),
    ("services.*.volumes[].bind", "services.*.volumes[]", "type", "\"bind\""),
    ("services.*.volumes[].bind", "services.*.volumes[]", "source", "\"/source\""),
    ("services.*.volumes[].image", "services.*.volumes[]", "type", "\"image\""),
    ("services.*.volumes[].image", "services.*.volumes[]", "source", "\"example\""),
    ("services.*.volumes[].tmpfs", "services.*.volumes[]", "type", "\"tmpfs\""),
];

/// What every project has, for services to refer to.
const SURROUNDINGS: &str = r#"{
    "networks": {
        "key": {"ipam": {"config": [{"subnet": "10.9.0.0/24"}, {"subnet": "fd09::/64"}]}, "enable_ipv6": true}
    },
    "volumes": {"sample": {}},
    "secrets": {"sample": {"environment": "SET"}},
    "configs": {"sample": {"content": "text"}},
    "models": {"key": {"model": "example"}, "sample": {"model": "example"}}
}"#;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn schema() -> Json {
    let text = std::fs::read_to_string(root().join("compose-spec/compose.schema.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The schema and what it is asked.
struct Model(Json);

/// A step from a value to one in it, as paths write it: `.key`, `.*`, `[]`.
type Inside<'a> = Vec<(String, &'a Json)>;

impl Model {
    /// A schema without references and alternatives.
    fn resolved<'a>(&'a self, schema: &'a Json) -> Vec<&'a Json> {
        if let Some(name) = schema["$ref"].as_str().and_then(|name| name.strip_prefix('#')) {
            return self.resolved(self.0.pointer(name).unwrap());
        }
        match schema["anyOf"].as_array() {
            Some(all) => all.iter().flat_map(|schema| self.resolved(schema)).collect(),
            None => vec![schema],
        }
    }

    fn inside<'a>(&'a self, schema: &'a Json) -> Inside<'a> {
        let mut inside = vec![];
        for schema in self.resolved(schema) {
            let properties = schema["properties"].as_object().into_iter().flatten();
            inside.extend(properties.map(|(key, schema)| (format!(".{key}"), schema)));
            let others =
                ["additionalProperties", "items"].map(|key| schema.get(key).filter(|it| it.is_object()));
            let steps = [".*", "[]"].into_iter().zip(others);
            inside.extend(steps.filter_map(|(step, schema)| Some((step.to_owned(), schema?))));
        }
        inside
    }

    /// Whether a value is a mapping with keys of its own, or of such.
    fn holds_others(&self, schema: &Json) -> bool {
        let steps = self.inside(schema).into_iter();
        steps.into_iter().any(|(step, inner)| match step.as_str() {
            ".*" | "[]" => self.holds_others(inner),
            _ => true,
        })
    }

    /// Every attribute, by path, in the order of the alphabet.
    fn attributes(&self) -> BTreeMap<String, &Json> {
        let mut found = BTreeMap::new();
        self.attributes_in("", &self.0, &mut found);
        found
    }

    fn attributes_in<'a>(&'a self, path: &str, schema: &'a Json, found: &mut BTreeMap<String, &'a Json>) {
        for (step, inner) in self.inside(schema) {
            let path = format!("{path}{step}");
            if !step.ends_with('*') && step != "[]" {
                found.insert(path.trim_start_matches('.').to_owned(), inner);
            }
            self.attributes_in(&path, inner, found);
        }
    }

    /// The attributes that a tree has.
    fn used(&self, path: &str, schema: &Json, node: &Node, found: &mut BTreeSet<String>) {
        for (step, inner) in self.inside(schema) {
            let path = format!("{path}{step}");
            match (&node.value, step.as_str()) {
                (Value::Map(map), ".*") => {
                    map.values().for_each(|entry| self.used(&path, inner, &entry.node, found));
                }
                (Value::List(items), "[]") => {
                    items.iter().for_each(|item| self.used(&path, inner, item, found));
                }
                (Value::Map(map), key) => {
                    if let Some(entry) = map.get(&key[1..]) {
                        found.insert(path.trim_start_matches('.').to_owned());
                        self.used(&path, inner, &entry.node, found);
                    }
                }
                _ => {}
            }
        }
    }
}

/// The attributes that the YAML files below a folder have.
fn used_below(model: &Model, folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy();
        if path.is_dir() {
            used_below(model, &path, found);
        } else if name.ends_with(".yaml") && name != "expect.yaml" {
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            let mut sources = Sources::new();
            let file = sources.add("", text);
            for document in documents(&sources, file, &mut vec![]).unwrap_or_default() {
                model.used("", &model.0, &document, found);
            }
        }
    }
}

/// By case, `CHAPTER/NAME`, the attributes that its files have.
fn cases(model: &Model) -> BTreeMap<String, BTreeSet<String>> {
    let suite = root().join("compose-spec/cases");
    let mut cases = BTreeMap::new();
    for chapter in folders(&suite) {
        for case in folders(&chapter) {
            let name = case.strip_prefix(&suite).unwrap().to_str().unwrap().to_owned();
            used_below(model, &case, cases.entry(name).or_default());
        }
    }
    cases
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir()).collect()
}

/// A row of `tests/ATTRIBUTES.md`.
struct Proof {
    scenario: String,
    /// Words of the scenario's source.
    words: String,
}

/// By attribute, the scenario that shows what it does.
fn proofs() -> BTreeMap<String, Proof> {
    let page = std::fs::read_to_string(root().join("tests/ATTRIBUTES.md")).unwrap();
    let rows: Vec<_> =
        page.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix("` |")).collect();
    let mut proofs = BTreeMap::new();
    for row in rows {
        let cells: Vec<_> = row.splitn(3, "` | `").map(str::to_owned).collect();
        let [attribute, scenario, words] = cells.try_into().expect(row);
        let row = proofs.insert(attribute.clone(), Proof { scenario, words });
        assert!(row.is_none(), "two rows of {attribute}");
    }
    proofs
}

/// The sources of the scenarios, by name.
fn scenarios() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(root().join("tests/scenarios")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let begun =
            text.lines().filter_map(|line| line.trim().strip_suffix(", |world| {")?.split(',').next());
        found.extend(begun.map(|name| (name.to_owned(), text.clone())));
    }
    found
}

/// What is wrong with a row of `tests/ATTRIBUTES.md`.
fn fault(
    model: &Model,
    attribute: &str,
    proof: &Proof,
    scenarios: &BTreeMap<String, String>,
) -> Option<String> {
    let Proof { scenario, words } = proof;
    let Some(source) = scenarios.get(scenario) else {
        return Some(format!("{attribute}: there is no scenario `{scenario}`"));
    };
    if !source.contains(words) {
        return Some(format!("{attribute}: the source of `{scenario}` does not say `{words}`"));
    }
    let mut used = BTreeSet::new();
    used_below(model, &root().join("tests/cases").join(scenario.replace('_', "-")), &mut used);
    let key = attribute.rsplit('.').next().unwrap_or(attribute);
    (!used.contains(attribute) && !source.contains(&format!("{key}:")))
        .then(|| format!("{attribute}: no file of `{scenario}` has it"))
}

/// A project of one file; any other file is there and holds a line.
struct Project(String);

impl Files for Project {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match path.to_str() {
            Some("/project/compose.yaml") => Ok(self.0.clone().into_bytes()),
            Some("/project/other.yaml") => Ok(b"services: {base: {image: example, labels: {a: b}}}".to_vec()),
            _ => Ok(b"A=1\n".to_vec()),
        }
    }
    fn is_file(&self, path: &Path) -> bool {
        !path.ends_with(".env")
    }
    fn is_dir(&self, _: &Path) -> bool {
        false
    }
}

/// What became of a project.
struct Outcome {
    /// What is wanted of the engine, without hashes.
    desired: Json,
    /// What was said: places and messages.
    told: Vec<String>,
    is_error: bool,
    is_loaded: bool,
}

fn outcome(project: &Json) -> Outcome {
    let files = Project(project.to_string());
    let input = Input {
        files: vec!["/project/compose.yaml".into()],
        project_directory: "/project".into(),
        environment: [("SET".to_owned(), "value".to_owned())].into(),
        ..Input::default()
    };
    let loaded = compose_spec::load(&input, &files);
    let mut told = loaded.diagnostics;
    let mut desired = Json::Null;
    if let Some(project) = &loaded.project {
        let options = Options {
            sources: &loaded.sources,
            files: &files,
            compatibility: false,
            single_id: false,
            version: "1.2.3",
        };
        match lower::lower(project, &Selection::all(), &options) {
            Ok(lowered) => {
                desired = serde_json::to_value(&lowered.desired).unwrap();
                told.extend(lowered.warnings);
            }
            Err(diagnostics) => told.extend(diagnostics),
        }
    }
    without_hashes(&mut desired);
    let show = |diagnostic: &Diagnostic| {
        assert!(!diagnostic.span().is_nowhere(), "told without a place: {}", diagnostic.message);
        diagnostic.message.to_string()
    };
    let is_error = diagnostic::has_errors(&told);
    let told = told.iter().map(show).collect();
    Outcome { desired, told, is_error, is_loaded: loaded.project.is_some() }
}

/// Places and hashes differ whatever a file says.
fn without_hashes(json: &mut Json) {
    match json {
        Json::Object(map) => {
            map.retain(|key, _| !key.contains("hash") && key != "place");
            map.values_mut().for_each(without_hashes);
        }
        Json::Array(items) => items.iter_mut().for_each(without_hashes),
        _ => {}
    }
}

impl Model {
    fn sample(&self, path: &str, schema: &Json) -> Json {
        if let Some((_, text)) = SAMPLES.iter().find(|(known, _)| *known == path) {
            return serde_json::from_str(text).unwrap();
        }
        let schema = self.resolved(schema).into_iter().next().unwrap();
        if let Some(words) = schema["enum"].as_array() {
            return words.last().unwrap().clone();
        }
        let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
        match kind {
            Some("object") if schema.get("properties").is_some() => {
                let required = schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str);
                let sample = |key: &str| self.sample(&format!("{path}.{key}"), &schema["properties"][key]);
                required.map(|key| (key.to_owned(), sample(key))).collect()
            }
            Some("object") => {
                json!({ "key": self.sample(&format!("{path}.*"), &schema["additionalProperties"]) })
            }
            Some("array") => json!([self.sample(&format!("{path}[]"), &schema["items"])]),
            Some("integer") => {
                schema.get("minimum").filter(|least| least.as_i64() > Some(0)).cloned().unwrap_or(json!(7))
            }
            Some("number") => json!(0.5),
            Some("boolean") => json!(true),
            _ if schema["pattern"].as_str().is_some_and(|pattern| pattern.contains("ms|s")) => json!("17s"),
            _ => json!("sample"),
        }
    }

    /// Two values that differ in the attribute at the end of `steps`: without it and with it.
    fn pair(&self, path: &str, schema: &Json, steps: &[&str], attribute: &str) -> (Json, Json) {
        let Some((step, rest)) = steps.split_first() else {
            return (Json::Null, self.sample(path.trim_start_matches('.'), schema));
        };
        let inside = self.inside(schema);
        let (_, inner) = inside.iter().find(|(known, _)| known == step).unwrap();
        let path = format!("{path}{step}");
        let (without, with) = self.pair(&path, inner, rest, attribute);
        if *step == "[]" {
            return (json!([without]), json!([with]));
        }
        let parent = path.strip_suffix(step).unwrap().trim_start_matches('.');
        let object = self.resolved(schema).into_iter().find(|schema| schema["properties"].is_object());
        let mut pair = match object.filter(|_| *step != ".*") {
            Some(object) => [(); 2].map(|()| self.sample_of(parent, object, attribute)),
            None => [json!({}), json!({})],
        };
        let key = match *step {
            ".*" if parent.ends_with("depends_on") => "base",
            ".*" => "key",
            step => &step[1..],
        };
        pair[1][key] = with;
        match without {
            Json::Null => drop(pair[0].as_object_mut().unwrap().remove(key)),
            without => pair[0][key] = without,
        }
        let [without, with] = pair;
        (without, with)
    }

    fn sample_of(&self, path: &str, object: &Json, attribute: &str) -> Json {
        let required = object["required"].as_array().into_iter().flatten().filter_map(Json::as_str);
        let mut made: serde_json::Map<_, _> = required
            .map(|key| (key.to_owned(), self.sample(&format!("{path}.{key}"), &object["properties"][key])))
            .collect();
        let beside =
            BESIDE.iter().filter(|(below, object, ..)| *object == path && is_below(attribute, below));
        made.extend(beside.map(|(_, _, key, text)| ((*key).to_owned(), serde_json::from_str(text).unwrap())));
        if path == "services.*" {
            made.insert("image".to_owned(), json!("example"));
        }
        Json::Object(made)
    }
}

/// Whether an attribute is this one or one below it.
fn is_below(attribute: &str, above: &str) -> bool {
    attribute.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// What an attribute does.
enum Effect {
    Acted,
    Told(String),
    Nothing,
}

fn effect(model: &Model, attribute: &str) -> Effect {
    let dotted = attribute.replace("[]", ".[]");
    let steps: Vec<String> = dotted
        .split('.')
        .map(|step| if step == "[]" { step.to_owned() } else { format!(".{step}") })
        .collect();
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    let (without, with) = model.pair("", &model.0, &steps, attribute);
    let whole = |mut part: Json| {
        // Something to run, which uses what else is there.
        let used =
            ["networks", "volumes", "secrets", "configs", "models"].map(|key| (key, part[key].is_object()));
        let service = &mut part["services"]["key"];
        service["image"] =
            service.get("image").filter(|image| image.is_string()).cloned().unwrap_or(json!("example"));
        for (key, _) in used.into_iter().filter(|(_, is_used)| *is_used) {
            service[key] = if key == "volumes" { json!(["key:/v"]) } else { json!(["key"]) };
        }
        part["services"]["base"] = json!({ "image": "example", "healthcheck": {"test": "true"} });
        let surroundings: Json = serde_json::from_str(SURROUNDINGS).unwrap();
        for (section, things) in surroundings.as_object().into_iter().flatten() {
            for (key, thing) in things.as_object().into_iter().flatten() {
                if part[section].get(key).is_none() {
                    part[section][key] = thing.clone();
                }
            }
        }
        part
    };
    let (without, with) = (outcome(&whole(without)), outcome(&whole(with)));
    assert!(with.is_loaded, "{attribute} needs a sample: {:?}", with.told);
    // That something else of the sample is not used is only told of a project without errors.
    let is_about = |message: &&String| !message.starts_with("no service uses");
    let new = with.told.iter().filter(is_about).find(|message| !without.told.contains(message));
    let both = with.is_error && without.is_error;
    let new = new.or(with.told.iter().find(is_about).filter(|_| both));
    match new {
        Some(message) if with.is_error || with.desired == without.desired => Effect::Told(message.clone()),
        _ if with.desired != without.desired => Effect::Acted,
        _ => Effect::Nothing,
    }
}

#[test]
fn the_page_is_current_and_nothing_is_silently_ignored() {
    let model = Model(schema());
    let (cases, proofs) = (cases(&model), proofs());
    let exercised: BTreeSet<&String> = cases.values().flatten().collect();
    let mut page = HEAD.to_owned();
    let (mut silent, mut without_case, mut without_proof) = (vec![], vec![], vec![]);
    let mut told: Vec<(String, String)> = vec![];
    let attributes = model.attributes();
    for (attribute, schema) in &attributes {
        let elsewhere = ELSEWHERE.iter().find(|(path, _)| is_below(attribute, path));
        let above = told.iter().rev().find(|(path, _)| is_below(attribute, path));
        let found = elsewhere.map_or_else(|| effect(&model, attribute), |_| Effect::Nothing);
        let effect = match (elsewhere, found, above) {
            (Some((_, what)), ..) => (*what).to_owned(),
            (None, Effect::Acted, _) => "acted on".to_owned(),
            (None, Effect::Told(message), _) => {
                let what = format!("read, not acted on: {}", message.replace('|', "\\|").replace('\n', " "));
                told.push((attribute.clone(), what.clone()));
                what
            }
            (None, Effect::Nothing, Some((_, what))) => what.clone(),
            (None, Effect::Nothing, None) if model.holds_others(schema) => "as what it holds".to_owned(),
            (None, Effect::Nothing, None) => {
                silent.push(attribute.clone());
                continue;
            }
        };
        if !exercised.contains(attribute) {
            without_case.push(attribute.clone());
        }
        let proof = proofs.get(attribute);
        if effect.starts_with("acted on") && proof.is_none() {
            without_proof.push(attribute.clone());
        }
        let shown = proof.map_or("–".to_owned(), |proof| format!("`{}`", proof.scenario));
        writeln!(page, "| `{attribute}` | {shown} | {effect} |").unwrap();
    }
    assert!(silent.is_empty(), "silently ignored:\n{}", silent.join("\n"));
    page.push_str(CASES);
    for (case, used) in &cases {
        writeln!(page, "- {case}: {}", innermost(used)).unwrap();
    }
    let path = root().join("compose-spec/COVERAGE.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    assert!(
        std::fs::read_to_string(path).unwrap_or_default() == page,
        "COVERAGE.md is not current; BLESS=1 rewrites it"
    );
    assert!(without_case.is_empty(), "no case exercises\n{}", without_case.join("\n"));
    let scenarios = scenarios();
    let mut faults: Vec<_> =
        proofs.iter().filter_map(|(attribute, proof)| fault(&model, attribute, proof, &scenarios)).collect();
    let unknown = proofs.keys().filter(|attribute| !attributes.contains_key(*attribute));
    faults.extend(unknown.map(|attribute| format!("{attribute}: the model has no such attribute")));
    faults.extend(
        without_proof.iter().map(|attribute| format!("{attribute}: acted on, and shown by no scenario")),
    );
    assert!(faults.is_empty(), "tests/ATTRIBUTES.md:\n{}", faults.join("\n"));
}

/// Attributes without those that another one among them is in; what services and networks have without
/// `services.*` and the like.
fn innermost(used: &BTreeSet<String>) -> String {
    let holds = |attribute: &&String| {
        let mut below = used.iter().filter(|other| *other != *attribute);
        !below.any(|other| is_below(other, attribute))
    };
    let shown: Vec<_> = used
        .iter()
        .filter(holds)
        .map(|attribute| attribute.strip_prefix("services.*.").unwrap_or(attribute))
        .collect();
    if shown.is_empty() { "–".to_owned() } else { shown.join(", ") }
}

const HEAD: &str = "# Coverage

Generated by `BLESS=1 cargo test -p lower --test coverage`, which also holds this page to the repository.

## Attributes

*Effect* is found by asking for it: `acted on` changes what is wanted of the engine; what is not acted on is
told, in the words shown. *Shown by* is the scenario of `tests/` that would fail if the attribute did
not have its effect in running containers; `tests/ATTRIBUTES.md` says by which of its words, and every
attribute that is acted on has one there.

| attribute | shown by | effect |
|---|---|---|
";

const CASES: &str = "
## Cases

Every folder of `compose-spec/cases` and the attributes that its files have, those of services without
`services.*`. Every attribute has one.

";
