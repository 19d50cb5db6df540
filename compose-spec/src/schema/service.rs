//! What a service may hold.

use super::build::{BUILD, DEVELOP};
use super::deploy::DEPLOY;
use super::{
    COMMAND, COUNT_OR_ALL, EXTRA_HOSTS, FILE_MOUNTS, Field, Fields, Kind, Object, ULIMITS, bytes, count,
    duration, field, flag, int, labels, one_or_more, options, set, text, variables,
};
use crate::forms;
use crate::merge::Merge;

/// A service.
pub(crate) static SERVICE: Object = Object {
    name: "a service",
    required: &[],
    fields: Fields::of(&[
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
        one_or_more("label_file").form(forms::listed),
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
    ]),
};

pub(super) static ULIMIT: Object = Object {
    name: "a limit",
    required: &[&["hard"], &["soft"]],
    fields: Fields::of(&[field("hard", Kind::Int(-1, i64::MAX)), field("soft", Kind::Int(-1, i64::MAX))]),
};

pub(super) static FILE_MOUNT: Object = Object {
    name: "a mounted file",
    required: &[&["source"]],
    fields: Fields::of(&[
        field("gid", Kind::TextOrNumber),
        field("mode", Kind::TextOrNumber).form(forms::file_mode),
        text("source"),
        text("target"),
        field("uid", Kind::TextOrNumber),
    ]),
};

static CREDENTIAL_SPEC: Object = Object {
    name: "`credential_spec`",
    required: &[],
    fields: Fields::of(&[text("config"), text("file"), text("registry")]),
};

static DEPENDENCY: Object = Object {
    name: "an entry of `depends_on`",
    required: &[&["condition"]],
    fields: Fields::of(&[
        field(
            "condition",
            Kind::Enum(&["service_started", "service_healthy", "service_completed_successfully"]),
        ),
        flag("required"),
        flag("restart"),
    ]),
};

static EXTENDS: Object = Object {
    name: "`extends`",
    required: &[&["service"]],
    fields: Fields::of(&[text("file"), text("service")]),
};

static ENV_FILE: Object = Object {
    name: "an entry of `env_file`",
    required: &[&["path"]],
    fields: Fields::of(&[field("format", Kind::Checked(&forms::ENV_FORMAT)), text("path"), flag("required")]),
};

static DEVICE: Object = Object {
    name: "a device",
    required: &[&["source"]],
    fields: Fields::of(&[text("permissions"), text("source"), text("target")]),
};

static GPU: Object =
    Object { name: "a GPU request", required: &[], fields: Fields::of(DEVICE_REQUEST_FIELDS) };

pub(super) static DEVICE_REQUEST: Object = Object {
    name: "a device request",
    required: &[&["capabilities", "driver"]],
    fields: Fields::of(DEVICE_REQUEST_FIELDS),
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
    fields: Fields::of(&[
        flag("disable"),
        duration("interval").form(forms::probe_time),
        count("retries"),
        duration("start_interval").form(forms::probe_time),
        duration("start_period").form(forms::probe_time),
        field("test", COMMAND).merge(Merge::Replace).form(forms::health_test),
        duration("timeout").form(forms::probe_time),
    ]),
};

static LOGGING: Object = Object {
    name: "`logging`",
    required: &[],
    fields: Fields::of(&[text("driver"), field("options", Kind::Map(&Kind::Scalar))]),
};

static MODEL_USE: Object = Object {
    name: "a use of a model",
    required: &[],
    fields: Fields::of(&[text("endpoint_var"), text("model_var")]),
};

static ATTACHMENT: Object = Object {
    name: "a service's network",
    required: &[],
    fields: Fields::of(&[
        set("aliases"),
        options("driver_opts"),
        field("gw_priority", Kind::Number),
        text("interface_name"),
        text("ipv4_address"),
        text("ipv6_address"),
        set("link_local_ips"),
        text("mac_address"),
        field("priority", Kind::Number),
    ]),
};

static PORT: Object = Object {
    name: "a port",
    required: &[&["target"]],
    fields: Fields::of(&[
        text("app_protocol"),
        field("host_ip", Kind::Checked(&forms::ADDRESS)),
        text("mode"),
        text("name"),
        text("protocol"),
        field("published", Kind::TextOrNumber),
        field("target", Kind::Int(1, 65535)),
    ]),
};

pub(super) static HOOK: Object = Object {
    name: "a hook",
    required: &[&["command"]],
    fields: Fields::of(&[
        field("command", COMMAND).merge(Merge::Replace).form(forms::command),
        variables("environment"),
        flag("privileged"),
        text("user"),
        text("working_dir"),
    ]),
};

static START_HOOK: Object = Object {
    name: "a `pre_start` hook",
    required: &[],
    fields: Fields::of(&[
        field("command", COMMAND).merge(Merge::Replace).form(forms::command),
        variables("environment"),
        text("image"),
        flag("per_replica"),
        flag("privileged"),
        text("user"),
        text("working_dir"),
    ]),
};

static PROVIDER: Object = Object {
    name: "a provider",
    required: &[&["type"]],
    fields: Fields::of(&[
        field("options", Kind::Map(&Kind::Shapes(&Kind::Scalar, &Kind::List(&Kind::Scalar), &Kind::Never)))
            .form(forms::lists),
        text("type"),
    ]),
};

/// An entry of a service's `volumes`.
static MOUNT: Object = Object {
    name: "a mount",
    required: &[&["type"], &["target"]],
    fields: Fields::of(&[
        field("bind", Kind::Object(&BIND)),
        text("consistency"),
        field("image", Kind::Object(&IMAGE_MOUNT)),
        flag("read_only"),
        text("source"),
        text("target"),
        field("tmpfs", Kind::Object(&TMPFS)),
        field("type", Kind::Enum(&["bind", "volume", "tmpfs", "image", "npipe", "cluster"])),
        field("volume", Kind::Object(&VOLUME_MOUNT)),
    ]),
};

static BIND: Object = Object {
    name: "`bind`",
    required: &[],
    fields: Fields::of(&[
        flag("create_host_path"),
        text("propagation"),
        field("recursive", Kind::Enum(&["enabled", "disabled", "writable", "readonly"])),
        field("selinux", Kind::Enum(&["z", "Z"])),
    ]),
};

static IMAGE_MOUNT: Object =
    Object { name: "`image`", required: &[], fields: Fields::of(&[text("subpath")]) };

static TMPFS: Object = Object {
    name: "`tmpfs`",
    required: &[],
    fields: Fields::of(&[field("mode", Kind::TextOrNumber).form(forms::tmpfs_mode), bytes("size")]),
};

static VOLUME_MOUNT: Object = Object {
    name: "`volume`",
    required: &[],
    fields: Fields::of(&[labels("labels"), flag("nocopy"), text("subpath")]),
};

const RATES: Kind = Kind::List(&Kind::Object(&RATE));

static BLKIO: Object = Object {
    name: "`blkio_config`",
    required: &[],
    fields: Fields::of(&[
        field("device_read_bps", RATES),
        field("device_read_iops", RATES),
        field("device_write_bps", RATES),
        field("device_write_iops", RATES),
        field("weight", Kind::Int(10, 1000)),
        field("weight_device", Kind::List(&Kind::Object(&WEIGHT))),
    ]),
};

static RATE: Object = Object {
    name: "a rate",
    required: &[&["path"], &["rate"]],
    fields: Fields::of(&[text("path"), bytes("rate")]),
};
static WEIGHT: Object = Object {
    name: "a weight",
    required: &[&["path"], &["weight"]],
    fields: Fields::of(&[text("path"), field("weight", Kind::Int(10, 1000))]),
};
