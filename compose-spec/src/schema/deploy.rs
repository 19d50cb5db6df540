//! What `deploy` of a service may hold.

use super::service::DEVICE_REQUEST;
use super::{Fields, Kind, Object, bytes, count, duration, field, int, labels, text};
use crate::forms;

pub(super) static DEPLOY: Object = Object {
    name: "`deploy`",
    required: &[],
    fields: Fields::of(&[
        text("endpoint_mode"),
        labels("labels"),
        text("mode"),
        field("placement", Kind::Object(&PLACEMENT)),
        count("replicas"),
        field("resources", Kind::Object(&RESOURCES)),
        field("restart_policy", Kind::Object(&RESTART_POLICY)),
        field("rollback_config", Kind::Object(&UPDATE)),
        field("update_config", Kind::Object(&UPDATE)),
    ]),
};

static PLACEMENT: Object = Object {
    name: "`placement`",
    required: &[],
    fields: Fields::of(&[
        field("constraints", Kind::List(&Kind::Text)),
        count("max_replicas_per_node"),
        field("preferences", Kind::List(&Kind::Object(&PREFERENCE))),
    ]),
};
static PREFERENCE: Object =
    Object { name: "a preference", required: &[], fields: Fields::of(&[text("spread")]) };

static RESOURCES: Object = Object {
    name: "`resources`",
    required: &[],
    fields: Fields::of(&[
        field("limits", Kind::Object(&RESOURCE_LIMITS)),
        field("reservations", Kind::Object(&RESERVATIONS)),
    ]),
};
static RESOURCE_LIMITS: Object = Object {
    name: "`limits`",
    required: &[],
    fields: Fields::of(&[field("cpus", Kind::Number), bytes("memory"), int("pids")]),
};
static RESERVATIONS: Object = Object {
    name: "`reservations`",
    required: &[],
    fields: Fields::of(&[
        field("cpus", Kind::Number),
        field("devices", Kind::List(&Kind::Object(&DEVICE_REQUEST))),
        field("generic_resources", Kind::List(&Kind::Object(&GENERIC_RESOURCE))),
        bytes("memory"),
    ]),
};
static GENERIC_RESOURCE: Object = Object {
    name: "a generic resource",
    required: &[],
    fields: Fields::of(&[field("discrete_resource_spec", Kind::Object(&DISCRETE_RESOURCE))]),
};
static DISCRETE_RESOURCE: Object = Object {
    name: "`discrete_resource_spec`",
    required: &[],
    fields: Fields::of(&[text("kind"), field("value", Kind::Number)]),
};
static RESTART_POLICY: Object = Object {
    name: "`restart_policy`",
    required: &[],
    fields: Fields::of(&[
        text("condition").form(forms::restart_condition),
        duration("delay"),
        count("max_attempts"),
        duration("window"),
    ]),
};
static UPDATE: Object = Object {
    name: "`update_config`",
    required: &[],
    fields: Fields::of(&[
        duration("delay"),
        text("failure_action"),
        field("max_failure_ratio", Kind::Number),
        duration("monitor"),
        field("order", Kind::Enum(&["start-first", "stop-first"])),
        count("parallelism"),
    ]),
};
