//! What a Compose file may hold: one table of keys, kinds, merge rules and short forms.
//!
//! `check` walks a tree by it, `merge` merges by it, `complete` looks for what is missing by it. The fields
//! of an object are sorted by name, as they are found by bisection; a test watches over that.

mod about;
mod json;

use crate::forms;
use crate::merge::Merge;
use crate::scope::Scope;
use crate::tree::{Map, Node, compare};

pub use json::json_schema;

/// Turns a checked value into its canonical form.
pub(crate) type Form = fn(&mut Node, &mut Scope<'_>);

/// A text with a grammar of its own.
pub(crate) struct Grammar {
    /// Says what is wrong with a text; the words complete "`x` …".
    pub(crate) check: fn(&str) -> Result<(), String>,
    /// A regular expression for editors that takes every text that passes, and perhaps more.
    pub(crate) pattern: &'static str,
}

/// What a value must be.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Anything.
    Any,
    /// Never: a shape that [`Kind::Shapes`] does not allow.
    Never,
    /// A string.
    Text,
    /// A string that passes a check.
    Checked(&'static Grammar),
    /// A string, number or boolean; becomes a string.
    Scalar,
    /// A string or a number; becomes a string.
    TextOrNumber,
    /// A boolean or a text that means one.
    Bool,
    /// A boolean proper.
    StrictBool,
    /// A whole number within bounds, or a text that holds one.
    Int(i64, i64),
    /// A number, or a text that holds one.
    Number,
    /// A time span; becomes canonical text.
    Duration,
    /// A size; becomes a decimal text.
    Bytes,
    /// One of a few words.
    Enum(&'static [&'static str]),
    /// A list.
    List(&'static Kind),
    /// A mapping with keys of the user.
    Map(&'static Kind),
    /// The same, where keys are names of services, volumes and the like.
    Named(&'static Kind),
    /// A mapping with fixed keys.
    Object(&'static Object),
    /// By shape: a scalar, a list or a mapping.
    Shapes(&'static Kind, &'static Kind, &'static Kind),
}

/// A mapping with fixed keys.
pub(crate) struct Object {
    /// As messages call it, with its article: "a service".
    pub(crate) name: &'static str,
    /// Its keys, sorted.
    pub(crate) fields: &'static [Field],
    /// The keys it must have after merging: of each group one at least.
    pub(crate) required: &'static [&'static [&'static str]],
}

/// One key of an object.
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) merge: Merge,
    pub(crate) form: Option<Form>,
    /// Whether it may be null after merging.
    pub(crate) null: bool,
}

impl Field {
    const fn merge(mut self, merge: Merge) -> Self {
        self.merge = merge;
        self
    }
    const fn form(mut self, form: Form) -> Self {
        self.form = Some(form);
        self
    }
    const fn null(mut self) -> Self {
        self.null = true;
        self
    }
}

impl Object {
    /// Whether an entry of a mapping of these may be empty.
    pub(crate) fn may_be_null(&self) -> bool {
        matches!(self.name, "a network" | "a volume" | "a service's network" | "a use of a model")
    }

    /// The groups of required keys that a mapping has none of.
    pub(crate) fn missing(&self, map: &Map) -> impl Iterator<Item = &'static [&'static str]> {
        self.required.iter().copied().filter(|keys| !keys.iter().any(|key| map.contains_key(key)))
    }

    pub(crate) fn field(&self, name: &str) -> Option<&'static Field> {
        self.position(name).map(|at| &self.fields[at])
    }

    /// Where a key stands among the fields.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.fields.binary_search_by(|field| compare(field.name, name)).ok()
    }
}

const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, merge: Merge::Deep, form: None, null: false }
}
const fn text(name: &'static str) -> Field {
    field(name, Kind::Text)
}
const fn flag(name: &'static str) -> Field {
    field(name, Kind::Bool)
}
const fn int(name: &'static str) -> Field {
    field(name, Kind::Int(i64::MIN, i64::MAX))
}
const fn count(name: &'static str) -> Field {
    field(name, Kind::Int(0, i64::MAX))
}
const fn bytes(name: &'static str) -> Field {
    field(name, Kind::Bytes)
}
const fn duration(name: &'static str) -> Field {
    field(name, Kind::Duration)
}
/// A list of strings without duplicates.
const fn set(name: &'static str) -> Field {
    field(name, Kind::List(&Kind::Text)).merge(Merge::Unique(forms::by_text))
}
/// A string or a list of strings; becomes a list.
const fn one_or_more(name: &'static str) -> Field {
    field(name, Kind::Shapes(&Kind::Text, &Kind::List(&Kind::Text), &Kind::Never)).form(forms::list)
}
/// `K=V` list or mapping; becomes a mapping of texts, a missing value being the empty text.
const fn labels(name: &'static str) -> Field {
    field(name, LIST_MAP).merge(Merge::Entries).form(forms::labels)
}
/// `K=V` list or mapping; becomes a mapping of texts or null.
const fn variables(name: &'static str) -> Field {
    field(name, LIST_MAP).merge(Merge::Entries).form(forms::variables)
}
/// A mapping of string or number; becomes a mapping of texts.
const fn options(name: &'static str) -> Field {
    field(name, Kind::Map(&Kind::TextOrNumber))
}

const LIST_MAP: Kind = Kind::Shapes(&Kind::Never, &Kind::List(&Kind::Text), &Kind::Map(&Kind::Scalar));
const COMMAND: Kind = Kind::Shapes(&Kind::Text, &Kind::List(&Kind::Text), &Kind::Never);
const ULIMITS: Kind =
    Kind::Map(&Kind::Shapes(&Kind::Int(-1, i64::MAX), &Kind::Never, &Kind::Object(&ULIMIT)));
const FILE_MOUNTS: Kind = Kind::List(&Kind::Shapes(&Kind::Text, &Kind::Never, &Kind::Object(&FILE_MOUNT)));
const EXTRA_HOSTS: Kind = Kind::Shapes(
    &Kind::Never,
    &Kind::List(&Kind::Text),
    &Kind::Map(&Kind::Shapes(&Kind::Text, &Kind::List(&Kind::Text), &Kind::Never)),
);
const EXTERNAL: Kind = Kind::Shapes(&Kind::Bool, &Kind::Never, &Kind::Object(&EXTERNAL_NAME));
const COUNT_OR_ALL: Kind = Kind::TextOrNumber;

/// The whole file.
pub(crate) static TOP: Object = Object {
    name: "a Compose file",
    required: &[],
    fields: &[
        field("configs", Kind::Named(&Kind::Object(&CONFIG))),
        field("include", Kind::List(&Kind::Shapes(&Kind::Text, &Kind::Never, &Kind::Object(&INCLUDE)))),
        field("models", Kind::Named(&Kind::Object(&MODEL))),
        text("name"),
        field("networks", Kind::Named(&Kind::Object(&NETWORK))),
        field("secrets", Kind::Named(&Kind::Object(&SECRET))),
        field("services", Kind::Named(&Kind::Object(&SERVICE))),
        field("version", Kind::Any).merge(Merge::Replace),
        field("volumes", Kind::Named(&Kind::Object(&VOLUME))),
    ],
};

static INCLUDE: Object = Object {
    name: "an entry of `include`",
    required: &[&["path"]],
    fields: &[one_or_more("env_file"), one_or_more("path"), text("project_directory")],
};

/// A service.
pub(crate) static SERVICE: Object = Object {
    name: "a service",
    required: &[],
    fields: &[
        labels("annotations"),
        flag("attach"),
        field("blkio_config", Kind::Object(&BLKIO)),
        field("build", Kind::Shapes(&Kind::Text, &Kind::Never, &Kind::Object(&BUILD))).form(forms::build),
        set("cap_add"),
        set("cap_drop"),
        field("cgroup", Kind::Enum(&["host", "private"])),
        text("cgroup_parent"),
        field("command", COMMAND).merge(Merge::Replace).form(forms::command).null(),
        field("configs", FILE_MOUNTS).merge(Merge::Unique(forms::by_config_target)).form(forms::file_mounts),
        field("container_name", Kind::Checked(&forms::CONTAINER_NAME)),
        count("cpu_count"),
        field("cpu_percent", Kind::Number).form(forms::percent),
        int("cpu_period"),
        int("cpu_quota"),
        int("cpu_rt_period"),
        int("cpu_rt_runtime"),
        int("cpu_shares"),
        field("cpus", Kind::Number),
        text("cpuset"),
        field("credential_spec", Kind::Object(&CREDENTIAL_SPEC)),
        field(
            "depends_on",
            Kind::Shapes(&Kind::Never, &Kind::List(&Kind::Text), &Kind::Map(&Kind::Object(&DEPENDENCY))),
        )
        .form(forms::depends_on),
        field("deploy", Kind::Object(&DEPLOY)).null(),
        field("develop", Kind::Object(&DEVELOP)).null(),
        set("device_cgroup_rules"),
        field("devices", Kind::List(&Kind::Shapes(&Kind::Text, &Kind::Never, &Kind::Object(&DEVICE))))
            .merge(Merge::Unique(forms::by_target))
            .form(forms::devices),
        one_or_more("dns").merge(Merge::Unique(forms::by_text)).form(forms::dns),
        set("dns_opt").merge(Merge::Unique(forms::by_key)),
        one_or_more("dns_search").merge(Merge::Unique(forms::by_text)),
        text("domainname"),
        field("entrypoint", COMMAND).merge(Merge::Replace).form(forms::command).null(),
        field(
            "env_file",
            Kind::Shapes(
                &Kind::Text,
                &Kind::List(&Kind::Shapes(&Kind::Text, &Kind::Never, &Kind::Object(&ENV_FILE))),
                &Kind::Never,
            ),
        )
        .merge(Merge::Unique(forms::by_path))
        .form(forms::env_files),
        variables("environment"),
        field("expose", Kind::List(&Kind::TextOrNumber))
            .merge(Merge::Unique(forms::by_text))
            .form(forms::expose),
        field("extends", Kind::Shapes(&Kind::Text, &Kind::Never, &Kind::Object(&EXTENDS)))
            .merge(Merge::Replace)
            .form(forms::extends),
        set("external_links"),
        field("extra_hosts", EXTRA_HOSTS).merge(Merge::Lists).form(forms::extra_hosts),
        field("gpus", Kind::Shapes(&Kind::Enum(&["all"]), &Kind::List(&Kind::Object(&GPU)), &Kind::Never))
            .form(forms::gpus),
        field("group_add", Kind::List(&Kind::TextOrNumber)).merge(Merge::Unique(forms::by_text)),
        field("healthcheck", Kind::Object(&HEALTHCHECK)),
        text("hostname"),
        text("image"),
        flag("init"),
        field("ipc", Kind::Checked(&forms::IPC)),
        text("isolation"),
        one_or_more("label_file"),
        labels("labels"),
        set("links"),
        field("logging", Kind::Object(&LOGGING)).merge(Merge::Logging),
        text("mac_address"),
        bytes("mem_limit"),
        bytes("mem_reservation"),
        bytes("mem_swappiness"),
        bytes("memswap_limit"),
        field(
            "models",
            Kind::Shapes(&Kind::Never, &Kind::List(&Kind::Text), &Kind::Map(&Kind::Object(&MODEL_USE))),
        )
        .form(forms::keys),
        text("network_mode").merge(Merge::Replace),
        field(
            "networks",
            Kind::Shapes(&Kind::Never, &Kind::List(&Kind::Text), &Kind::Map(&Kind::Object(&ATTACHMENT))),
        )
        .form(forms::keys),
        flag("oom_kill_disable"),
        field("oom_score_adj", Kind::Int(-1000, 1000)),
        text("pid").null(),
        int("pids_limit"),
        text("platform"),
        field("ports", Kind::List(&Kind::Shapes(&Kind::TextOrNumber, &Kind::Never, &Kind::Object(&PORT))))
            .merge(Merge::Unique(forms::by_port))
            .form(forms::ports),
        field("post_start", Kind::List(&Kind::Object(&HOOK))),
        field("pre_start", Kind::List(&Kind::Object(&START_HOOK))),
        field("pre_stop", Kind::List(&Kind::Object(&HOOK))),
        flag("privileged"),
        set("profiles"),
        field("provider", Kind::Object(&PROVIDER)),
        field("pull_policy", Kind::Checked(&forms::PULL_POLICY)),
        text("pull_refresh_after"),
        flag("read_only"),
        field("restart", Kind::Text).form(forms::restart),
        text("runtime"),
        count("scale"),
        field("secrets", FILE_MOUNTS).merge(Merge::Unique(forms::by_secret_target)).form(forms::file_mounts),
        set("security_opt"),
        bytes("shm_size"),
        flag("stdin_open"),
        duration("stop_grace_period"),
        text("stop_signal"),
        field("storage_opt", Kind::Map(&Kind::Scalar)),
        variables("sysctls"),
        one_or_more("tmpfs").merge(Merge::Unique(forms::by_tmpfs)),
        flag("tty"),
        field("ulimits", ULIMITS).merge(Merge::Entries),
        field("use_api_socket", Kind::StrictBool),
        text("user"),
        text("userns_mode"),
        text("uts"),
        field("volumes", Kind::List(&Kind::Shapes(&Kind::Text, &Kind::Never, &Kind::Object(&MOUNT))))
            .merge(Merge::Unique(forms::by_target))
            .form(forms::mounts),
        set("volumes_from"),
        text("working_dir"),
    ],
};

static ULIMIT: Object = Object {
    name: "a limit",
    required: &[&["hard"], &["soft"]],
    fields: &[field("hard", Kind::Int(-1, i64::MAX)), field("soft", Kind::Int(-1, i64::MAX))],
};

static FILE_MOUNT: Object = Object {
    name: "a mounted file",
    required: &[&["source"]],
    fields: &[
        field("gid", Kind::TextOrNumber),
        field("mode", Kind::TextOrNumber).form(forms::file_mode),
        text("source"),
        text("target"),
        field("uid", Kind::TextOrNumber),
    ],
};

static CREDENTIAL_SPEC: Object = Object {
    name: "`credential_spec`",
    required: &[],
    fields: &[text("config"), text("file"), text("registry")],
};

static DEPENDENCY: Object = Object {
    name: "an entry of `depends_on`",
    required: &[&["condition"]],
    fields: &[
        field(
            "condition",
            Kind::Enum(&["service_started", "service_healthy", "service_completed_successfully"]),
        ),
        flag("required"),
        flag("restart"),
    ],
};

static EXTENDS: Object =
    Object { name: "`extends`", required: &[&["service"]], fields: &[text("file"), text("service")] };

static ENV_FILE: Object = Object {
    name: "an entry of `env_file`",
    required: &[&["path"]],
    fields: &[field("format", Kind::Checked(&forms::ENV_FORMAT)), text("path"), flag("required")],
};

static DEVICE: Object = Object {
    name: "a device",
    required: &[&["source"]],
    fields: &[text("permissions"), text("source"), text("target")],
};

static GPU: Object = Object { name: "a GPU request", required: &[], fields: DEVICE_REQUEST_FIELDS };

static DEVICE_REQUEST: Object = Object {
    name: "a device request",
    required: &[&["capabilities", "driver"]],
    fields: DEVICE_REQUEST_FIELDS,
};

const DEVICE_REQUEST_FIELDS: &[Field] = &[
    set("capabilities"),
    field("count", COUNT_OR_ALL).form(forms::count_or_all),
    set("device_ids"),
    text("driver"),
    labels("options"),
];

static HEALTHCHECK: Object = Object {
    name: "a healthcheck",
    required: &[],
    fields: &[
        flag("disable"),
        duration("interval").form(forms::probe_time),
        count("retries"),
        duration("start_interval").form(forms::probe_time),
        duration("start_period").form(forms::probe_time),
        field("test", COMMAND).merge(Merge::Replace).form(forms::health_test),
        duration("timeout").form(forms::probe_time),
    ],
};

static LOGGING: Object = Object {
    name: "`logging`",
    required: &[],
    fields: &[text("driver"), field("options", Kind::Map(&Kind::Scalar))],
};

static MODEL_USE: Object =
    Object { name: "a use of a model", required: &[], fields: &[text("endpoint_var"), text("model_var")] };

static ATTACHMENT: Object = Object {
    name: "a service's network",
    required: &[],
    fields: &[
        set("aliases"),
        options("driver_opts"),
        field("gw_priority", Kind::Number),
        text("interface_name"),
        text("ipv4_address"),
        text("ipv6_address"),
        set("link_local_ips"),
        text("mac_address"),
        field("priority", Kind::Number),
    ],
};

static PORT: Object = Object {
    name: "a port",
    required: &[&["target"]],
    fields: &[
        text("app_protocol"),
        field("host_ip", Kind::Checked(&forms::ADDRESS)),
        text("mode"),
        text("name"),
        text("protocol"),
        field("published", Kind::TextOrNumber),
        field("target", Kind::Int(1, 65535)),
    ],
};

static HOOK: Object = Object {
    name: "a hook",
    required: &[&["command"]],
    fields: &[
        field("command", COMMAND).merge(Merge::Replace).form(forms::command),
        variables("environment"),
        flag("privileged"),
        text("user"),
        text("working_dir"),
    ],
};

static START_HOOK: Object = Object {
    name: "a `pre_start` hook",
    required: &[],
    fields: &[
        field("command", COMMAND).merge(Merge::Replace).form(forms::command),
        variables("environment"),
        text("image"),
        flag("per_replica"),
        flag("privileged"),
        text("user"),
        text("working_dir"),
    ],
};

static PROVIDER: Object = Object {
    name: "a provider",
    required: &[&["type"]],
    fields: &[
        field("options", Kind::Map(&Kind::Shapes(&Kind::Scalar, &Kind::List(&Kind::Scalar), &Kind::Never)))
            .form(forms::lists),
        text("type"),
    ],
};

/// An entry of a service's `volumes`.
static MOUNT: Object = Object {
    name: "a mount",
    required: &[&["type"], &["target"]],
    fields: &[
        field("bind", Kind::Object(&BIND)),
        text("consistency"),
        field("image", Kind::Object(&IMAGE_MOUNT)),
        flag("read_only"),
        text("source"),
        text("target"),
        field("tmpfs", Kind::Object(&TMPFS)),
        field("type", Kind::Enum(&["bind", "volume", "tmpfs", "image", "npipe", "cluster"])),
        field("volume", Kind::Object(&VOLUME_MOUNT)),
    ],
};

static BIND: Object = Object {
    name: "`bind`",
    required: &[],
    fields: &[
        flag("create_host_path"),
        text("propagation"),
        field("recursive", Kind::Enum(&["enabled", "disabled", "writable", "readonly"])),
        field("selinux", Kind::Enum(&["z", "Z"])),
    ],
};

static IMAGE_MOUNT: Object = Object { name: "`image`", required: &[], fields: &[text("subpath")] };

static TMPFS: Object = Object {
    name: "`tmpfs`",
    required: &[],
    fields: &[field("mode", Kind::TextOrNumber).form(forms::tmpfs_mode), bytes("size")],
};

static VOLUME_MOUNT: Object =
    Object { name: "`volume`", required: &[], fields: &[labels("labels"), flag("nocopy"), text("subpath")] };

const RATES: Kind = Kind::List(&Kind::Object(&RATE));

static BLKIO: Object = Object {
    name: "`blkio_config`",
    required: &[],
    fields: &[
        field("device_read_bps", RATES),
        field("device_read_iops", RATES),
        field("device_write_bps", RATES),
        field("device_write_iops", RATES),
        field("weight", Kind::Int(10, 1000)),
        field("weight_device", Kind::List(&Kind::Object(&WEIGHT))),
    ],
};

static RATE: Object =
    Object { name: "a rate", required: &[&["path"], &["rate"]], fields: &[text("path"), bytes("rate")] };
static WEIGHT: Object = Object {
    name: "a weight",
    required: &[&["path"], &["weight"]],
    fields: &[text("path"), field("weight", Kind::Int(10, 1000))],
};

static BUILD: Object = Object {
    name: "`build`",
    required: &[],
    fields: &[
        variables("additional_contexts").form(forms::contexts),
        variables("args"),
        field("cache_from", Kind::List(&Kind::Text)),
        field("cache_to", Kind::List(&Kind::Text)),
        text("context"),
        text("dockerfile"),
        text("dockerfile_inline"),
        field("entitlements", Kind::List(&Kind::Text)),
        field("extra_hosts", EXTRA_HOSTS).merge(Merge::Lists).form(forms::extra_hosts),
        text("isolation"),
        labels("labels"),
        text("network"),
        flag("no_cache"),
        one_or_more("no_cache_filter"),
        set("platforms"),
        flag("privileged"),
        field("provenance", Kind::Scalar),
        flag("pull"),
        field("sbom", Kind::Scalar),
        field("secrets", FILE_MOUNTS).form(forms::file_mounts),
        bytes("shm_size"),
        field("ssh", LIST_MAP).merge(Merge::Entries).form(forms::ssh),
        set("tags"),
        text("target"),
        field("ulimits", ULIMITS).merge(Merge::Entries),
    ],
};

static DEPLOY: Object = Object {
    name: "`deploy`",
    required: &[],
    fields: &[
        text("endpoint_mode"),
        labels("labels"),
        text("mode"),
        field("placement", Kind::Object(&PLACEMENT)),
        count("replicas"),
        field("resources", Kind::Object(&RESOURCES)),
        field("restart_policy", Kind::Object(&RESTART_POLICY)),
        field("rollback_config", Kind::Object(&UPDATE)),
        field("update_config", Kind::Object(&UPDATE)),
    ],
};

static PLACEMENT: Object = Object {
    name: "`placement`",
    required: &[],
    fields: &[
        field("constraints", Kind::List(&Kind::Text)),
        count("max_replicas_per_node"),
        field("preferences", Kind::List(&Kind::Object(&PREFERENCE))),
    ],
};
static PREFERENCE: Object = Object { name: "a preference", required: &[], fields: &[text("spread")] };

static RESOURCES: Object = Object {
    name: "`resources`",
    required: &[],
    fields: &[
        field("limits", Kind::Object(&RESOURCE_LIMITS)),
        field("reservations", Kind::Object(&RESERVATIONS)),
    ],
};
static RESOURCE_LIMITS: Object = Object {
    name: "`limits`",
    required: &[],
    fields: &[field("cpus", Kind::Number), bytes("memory"), int("pids")],
};
static RESERVATIONS: Object = Object {
    name: "`reservations`",
    required: &[],
    fields: &[
        field("cpus", Kind::Number),
        field("devices", Kind::List(&Kind::Object(&DEVICE_REQUEST))),
        field("generic_resources", Kind::List(&Kind::Object(&GENERIC_RESOURCE))),
        bytes("memory"),
    ],
};
static GENERIC_RESOURCE: Object = Object {
    name: "a generic resource",
    required: &[],
    fields: &[field("discrete_resource_spec", Kind::Object(&DISCRETE_RESOURCE))],
};
static DISCRETE_RESOURCE: Object = Object {
    name: "`discrete_resource_spec`",
    required: &[],
    fields: &[text("kind"), field("value", Kind::Number)],
};
static RESTART_POLICY: Object = Object {
    name: "`restart_policy`",
    required: &[],
    fields: &[
        text("condition").form(forms::restart_condition),
        duration("delay"),
        count("max_attempts"),
        duration("window"),
    ],
};
static UPDATE: Object = Object {
    name: "`update_config`",
    required: &[],
    fields: &[
        duration("delay"),
        text("failure_action"),
        field("max_failure_ratio", Kind::Number),
        duration("monitor"),
        field("order", Kind::Enum(&["start-first", "stop-first"])),
        count("parallelism"),
    ],
};

static DEVELOP: Object =
    Object { name: "`develop`", required: &[], fields: &[field("watch", Kind::List(&Kind::Object(&WATCH)))] };
static WATCH: Object = Object {
    name: "an entry of `watch`",
    required: &[&["path"], &["action"]],
    fields: &[
        field("action", Kind::Enum(&["sync", "rebuild", "restart", "sync+restart", "sync+exec"])),
        field("exec", Kind::Object(&HOOK)),
        one_or_more("ignore"),
        one_or_more("include"),
        flag("initial_sync"),
        field("path", Kind::Checked(&forms::NOT_BLANK)),
        text("target"),
    ],
};

static EXTERNAL_NAME: Object = Object { name: "`external`", required: &[], fields: &[text("name")] };

static NETWORK: Object = Object {
    name: "a network",
    required: &[],
    fields: &[
        flag("attachable"),
        text("driver"),
        options("driver_opts"),
        flag("enable_ipv4"),
        flag("enable_ipv6"),
        field("external", EXTERNAL),
        flag("internal"),
        field("ipam", Kind::Object(&IPAM)),
        labels("labels"),
        text("name"),
    ],
};
static IPAM: Object = Object {
    name: "`ipam`",
    required: &[],
    fields: &[
        field("config", Kind::List(&Kind::Object(&ADDRESS_POOL))).merge(Merge::Subnets),
        text("driver"),
        field("options", Kind::Map(&Kind::Scalar)),
    ],
};
static ADDRESS_POOL: Object = Object {
    name: "an address block",
    required: &[],
    fields: &[
        field("aux_addresses", Kind::Map(&Kind::Text)),
        text("gateway"),
        text("ip_range"),
        text("subnet"),
    ],
};

static VOLUME: Object = Object {
    name: "a volume",
    required: &[],
    fields: &[
        text("driver"),
        options("driver_opts"),
        field("external", EXTERNAL),
        labels("labels"),
        text("name"),
    ],
};

static SECRET: Object = Object {
    name: "a secret",
    required: &[],
    fields: &[
        text("driver"),
        options("driver_opts"),
        text("environment"),
        field("external", EXTERNAL),
        text("file"),
        labels("labels"),
        text("name"),
        text("template_driver"),
    ],
};

static CONFIG: Object = Object {
    name: "a config",
    required: &[],
    fields: &[
        text("content"),
        text("environment"),
        field("external", EXTERNAL),
        text("file"),
        labels("labels"),
        text("name"),
        text("template_driver"),
    ],
};

static MODEL: Object = Object {
    name: "a model",
    required: &[&["model"]],
    fields: &[
        int("context_size"),
        text("model"),
        text("name"),
        field("runtime_flags", Kind::List(&Kind::Text)),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(object: &Object) {
        assert!(object.fields.is_sorted_by(|a, b| a.name < b.name), "{} is not sorted", object.name);
        for required in object.required.iter().copied().flatten() {
            assert!(object.field(required).is_some(), "{} requires {required}", object.name);
        }
        let words = about::TABLE.iter().find(|(name, _)| *name == object.name).map(|(_, keys)| *keys);
        let described: Vec<_> = words.unwrap_or_default().iter().map(|(key, _)| *key).collect();
        let keys: Vec<_> = object.fields.iter().map(|field| field.name).collect();
        assert_eq!(described, keys, "the words for {}", object.name);
        for field in object.fields {
            below(&field.kind);
        }
    }

    fn below(kind: &Kind) {
        match kind {
            Kind::Object(object) => sorted(object),
            Kind::List(inner) | Kind::Map(inner) | Kind::Named(inner) => below(inner),
            Kind::Shapes(scalar, list, map) => [scalar, list, map].into_iter().for_each(|kind| below(kind)),
            _ => {}
        }
    }

    #[test]
    fn the_fields_of_every_object_are_sorted_and_described() {
        sorted(&TOP);
    }
}
