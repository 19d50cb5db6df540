//! What an attribute does, found by lowering a project with it and one without.

use crate::is_below;
use crate::model::Model;
use compose_spec::{Files, Input};
use diagnostic::Diagnostic;
use lower::{Options, Selection};
use serde_json::{Value as Json, json};
use std::io;
use std::path::Path;

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
    ("volumes.*.driver_opts", r#"{"type": "tmpfs", "device": "tmpfs"}"#),
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
    ("services.*.build.ulimits", r#"{"nofile": 7}"#),
    ("services.*.build.ulimits.*.hard", "90"),
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
    ("services.*.cpuset", r#""0""#),
    ("services.*.mac_address", r#""02:42:0a:09:00:09""#),
    ("services.*.mem_limit", r#""64m""#),
    ("services.*.memswap_limit", r#""256m""#),
    ("services.*.networks", r#"["key"]"#),
    ("services.*.runtime", r#""/usr/bin/crun""#),
    ("services.*.networks.*.mac_address", r#""02:42:0a:09:00:09""#),
    ("services.*.platform", r#""linux/arm64""#),
    ("services.*.stop_signal", r#""SIGINT""#),
    ("services.*.tmpfs", r#""/run""#),
    ("services.*.ulimits", r#"{"nofile": 7}"#),
    ("services.*.ulimits.*.hard", "90"),
    ("services.*.working_dir", r#""/app""#),
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
    ("services.*.cpu_period", "50000"),
    ("services.*.cpu_quota", "20000"),
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
    ("models", "models.*", "x-endpoint", r#""http://h/v1""#),
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
    "models": {"key": {"model": "example", "x-endpoint": "http://h/v1"}, "sample": {"model": "example"}}
}"#;

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
            platform: None,
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
            ".*" if parent.ends_with("ulimits") => "nofile",
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

/// What an attribute does.
pub(crate) enum Effect {
    Acted,
    Told(String),
    Nothing,
}

pub(crate) fn effect(model: &Model, attribute: &str) -> Effect {
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
