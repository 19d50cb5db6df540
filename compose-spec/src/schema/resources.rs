//! What networks, volumes, secrets, configs and models may hold.

use super::{EXTERNAL, Fields, Kind, Object, field, flag, int, labels, options, text};
use crate::merge::Merge;

pub(super) static EXTERNAL_NAME: Object =
    Object { name: "`external`", required: &[], fields: Fields::of(&[text("name")]) };

pub(super) static NETWORK: Object = Object {
    name: "a network",
    required: &[],
    fields: Fields::of(&[
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
    ]),
};
static IPAM: Object = Object {
    name: "`ipam`",
    required: &[],
    fields: Fields::of(&[
        field("config", Kind::List(&Kind::Object(&ADDRESS_POOL))).merge(Merge::Subnets),
        text("driver"),
        field("options", Kind::Map(&Kind::Scalar)),
    ]),
};
static ADDRESS_POOL: Object = Object {
    name: "an address block",
    required: &[],
    fields: Fields::of(&[
        field("aux_addresses", Kind::Map(&Kind::Text)),
        text("gateway"),
        text("ip_range"),
        text("subnet"),
    ]),
};

pub(super) static VOLUME: Object = Object {
    name: "a volume",
    required: &[],
    fields: Fields::of(&[
        text("driver"),
        options("driver_opts"),
        field("external", EXTERNAL),
        labels("labels"),
        text("name"),
    ]),
};

pub(super) static SECRET: Object = Object {
    name: "a secret",
    required: &[],
    fields: Fields::of(&[
        text("driver"),
        options("driver_opts"),
        text("environment"),
        field("external", EXTERNAL),
        text("file"),
        labels("labels"),
        text("name"),
        text("template_driver"),
    ]),
};

pub(super) static CONFIG: Object = Object {
    name: "a config",
    required: &[],
    fields: Fields::of(&[
        text("content"),
        text("environment"),
        field("external", EXTERNAL),
        text("file"),
        labels("labels"),
        text("name"),
        text("template_driver"),
    ]),
};

pub(super) static MODEL: Object = Object {
    name: "a model",
    required: &[&["model"]],
    fields: Fields::of(&[
        int("context_size"),
        text("model"),
        text("name"),
        field("runtime_flags", Kind::List(&Kind::Text)),
    ]),
};
