//! What `build` and `develop` of a service may hold.

use super::service::HOOK;
use super::{
    EXTRA_HOSTS, FILE_MOUNTS, Fields, Kind, LIST_MAP, Object, ULIMITS, bytes, field, flag, labels,
    one_or_more, set, text, variables,
};
use crate::forms;
use crate::merge::Merge;

pub(super) static BUILD: Object = Object {
    name: "`build`",
    required: &[],
    fields: Fields::of(&[
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
    ]),
};

pub(super) static DEVELOP: Object = Object {
    name: "`develop`",
    required: &[],
    fields: Fields::of(&[field("watch", Kind::List(&Kind::Object(&WATCH)))]),
};
static WATCH: Object = Object {
    name: "an entry of `watch`",
    required: &[&["path"], &["action"]],
    fields: Fields::of(&[
        field("action", Kind::Enum(&["sync", "rebuild", "restart", "sync+restart", "sync+exec"])),
        field("exec", Kind::Object(&HOOK)),
        one_or_more("ignore"),
        one_or_more("include"),
        flag("initial_sync"),
        field("path", Kind::Checked(&forms::NOT_BLANK)),
        text("target"),
    ]),
};
