//! What networks, volumes, secrets, configs and models may hold.

use super::{EXTERNAL, Kind, Object, field, flag, int, labels, options, text};
use crate::merge::Merge;

pub(super) static EXTERNAL_NAME: Object =
    Object { name: "`external`", required: &[], fields: &[text("name")] };

pub(super) static NETWORK: Object = Object {
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

pub(super) static VOLUME: Object = Object {
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

pub(super) static SECRET: Object = Object {
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

pub(super) static CONFIG: Object = Object {
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

pub(super) static MODEL: Object = Object {
    name: "a model",
    required: &[&["model"]],
    fields: &[
        int("context_size"),
        text("model"),
        text("name"),
        field("runtime_flags", Kind::List(&Kind::Text)),
    ],
};
