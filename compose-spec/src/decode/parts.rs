//! Parts of a service, and the smaller things of the top level.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{bytes, each, entries, flag, int, items, text, text_map, texts, variables};
use crate::model::{
    AddressPool, BindOptions, Blkio, Device, DeviceRequest, EnvFile, FileMount, FileObject, Healthcheck,
    Hook, Logging, Mount, MountKind, Port, Protocol, TmpfsOptions, Ulimit, Volume, VolumeOptions,
};
use crate::tree::{Entry, Node};
use crate::units;

pub(super) fn duration(node: &Node, key: &str) -> Option<Duration> {
    units::duration(node.str(key)?).ok()
}

pub(super) fn port(node: &Node) -> Option<Port> {
    let target = u16::try_from(int(node, "target")?).ok()?;
    let published = node.str("published").filter(|text| !text.is_empty()).and_then(|text| {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Some((first.parse().ok()?, last.parse().ok()?))
    });
    let protocol = match node.str("protocol").map(str::to_ascii_lowercase).as_deref() {
        None | Some("tcp") => Protocol::Tcp,
        Some("udp") => Protocol::Udp,
        Some("sctp") => Protocol::Sctp,
        Some(other) => Protocol::Other(other.to_owned()),
    };
    Some(Port {
        target,
        published,
        host_ip: node.str("host_ip").and_then(|text| text.parse().ok()),
        protocol,
        mode: text(node, "mode").unwrap_or_else(|| "ingress".to_owned()),
        name: text(node, "name"),
        app_protocol: text(node, "app_protocol"),
        span: node.span,
    })
}

pub(super) fn mount(node: &Node) -> Option<Mount> {
    let kind = match node.str("type")? {
        "bind" => MountKind::Bind,
        "volume" => MountKind::Volume,
        "tmpfs" => MountKind::Tmpfs,
        "image" => MountKind::Image,
        "npipe" => MountKind::Npipe,
        _ => MountKind::Cluster,
    };
    let bind = node.get("bind").map(|bind| BindOptions {
        propagation: text(bind, "propagation"),
        create_host_path: bind.get("create_host_path").and_then(Node::as_bool).unwrap_or(true),
        recursive: text(bind, "recursive"),
        selinux: text(bind, "selinux"),
    });
    let volume = node.get("volume").map(|volume| VolumeOptions {
        nocopy: flag(volume, "nocopy"),
        subpath: text(volume, "subpath"),
        labels: text_map(volume, "labels"),
    });
    let tmpfs = node.get("tmpfs").map(|tmpfs| TmpfsOptions {
        size: bytes(tmpfs, "size"),
        mode: int(tmpfs, "mode").and_then(|mode| u32::try_from(mode).ok()),
    });
    Some(Mount {
        kind,
        source: text(node, "source").filter(|source| !source.is_empty()),
        target: text(node, "target")?,
        read_only: flag(node, "read_only"),
        bind: bind.unwrap_or_default(),
        volume: volume.unwrap_or_default(),
        tmpfs: tmpfs.unwrap_or_default(),
        image_subpath: node.get("image").and_then(|image| text(image, "subpath")),
        span: node.span,
    })
}

pub(super) fn file_mounts(node: &Node, key: &str) -> Vec<FileMount> {
    let read = |item: &Node| {
        Some(FileMount {
            source: text(item, "source")?,
            target: text(item, "target"),
            uid: text(item, "uid"),
            gid: text(item, "gid"),
            mode: item.str("mode").and_then(|mode| u32::from_str_radix(mode, 8).ok()),
            span: item.get("source").map_or(item.span, |source| source.span),
        })
    };
    each(node, key, read)
}

pub(super) fn device(node: &Node) -> Option<Device> {
    let source = text(node, "source")?;
    Some(Device {
        target: text(node, "target").unwrap_or_else(|| source.clone()),
        permissions: text(node, "permissions").unwrap_or_else(|| "rwm".to_owned()),
        source,
        span: node.span,
    })
}

pub(super) fn device_request(node: &Node) -> DeviceRequest {
    DeviceRequest {
        capabilities: texts(node, "capabilities"),
        count: int(node, "count"),
        device_ids: texts(node, "device_ids"),
        driver: text(node, "driver"),
        options: text_map(node, "options"),
    }
}

pub(super) fn healthcheck(node: &Node) -> Healthcheck {
    Healthcheck {
        test: node.get("test").and_then(Node::as_list).map(|_| texts(node, "test")),
        interval: duration(node, "interval"),
        timeout: duration(node, "timeout"),
        retries: int(node, "retries").and_then(|retries| u32::try_from(retries).ok()),
        start_period: duration(node, "start_period"),
        start_interval: duration(node, "start_interval"),
        disable: flag(node, "disable"),
    }
}

pub(super) fn logging(node: &Node) -> Logging {
    Logging { driver: text(node, "driver"), options: text_map(node, "options") }
}

pub(super) fn env_files(node: &Node) -> Vec<EnvFile> {
    let read = |item: &Node| {
        Some(EnvFile {
            path: item.str("path")?.into(),
            required: item.get("required").and_then(Node::as_bool).unwrap_or(true),
            raw: item.str("format") == Some("raw"),
            span: item.span,
        })
    };
    items(node, "env_file").iter().filter_map(read).collect()
}

pub(super) fn hooks(node: &Node, key: &str) -> Vec<Hook> {
    items(node, key).iter().map(Hook::read).collect()
}

impl Hook {
    /// Reads a hook in its normal form.
    pub fn read(item: &Node) -> Self {
        Self {
            command: item.get("command").and_then(Node::as_list).map(|_| texts(item, "command")),
            image: text(item, "image"),
            user: text(item, "user"),
            privileged: flag(item, "privileged"),
            working_dir: text(item, "working_dir"),
            environment: variables(item, "environment"),
            per_replica: flag(item, "per_replica"),
            span: Some(item.span),
        }
    }
}

pub(super) fn extra_hosts(node: &Node) -> Vec<(String, String)> {
    let hosts = entries(node, "extra_hosts");
    let addresses = |(host, entry): (&String, &Entry)| {
        let list = entry.node.as_list().unwrap_or(&[]).iter();
        list.filter_map(|item| Some((host.clone(), item.as_str()?.to_owned()))).collect::<Vec<_>>()
    };
    hosts.flat_map(addresses).collect()
}

pub(super) fn ulimits(node: &Node) -> BTreeMap<String, Ulimit> {
    let read = |(name, entry): (&String, &Entry)| {
        let node = &entry.node;
        let both = node.as_int().map(|value| Ulimit { soft: value, hard: value });
        let limit = both.or_else(|| Some(Ulimit { soft: int(node, "soft")?, hard: int(node, "hard")? }))?;
        Some((name.clone(), limit))
    };
    entries(node, "ulimits").filter_map(read).collect()
}

pub(super) fn blkio(node: &Node) -> Blkio {
    let weight = |node: &Node| int(node, "weight").and_then(|weight| u16::try_from(weight).ok());
    let rates = |key: &str| {
        items(node, key).iter().filter_map(|item| Some((text(item, "path")?, bytes(item, "rate")?))).collect()
    };
    let weights = items(node, "weight_device").iter();
    Blkio {
        weight: weight(node),
        weight_device: weights.filter_map(|item| Some((text(item, "path")?, weight(item)?))).collect(),
        device_read_bps: rates("device_read_bps"),
        device_write_bps: rates("device_write_bps"),
        device_read_iops: rates("device_read_iops"),
        device_write_iops: rates("device_write_iops"),
    }
}

pub(super) fn address_pool(node: &Node) -> AddressPool {
    AddressPool {
        subnet: text(node, "subnet"),
        ip_range: text(node, "ip_range"),
        gateway: text(node, "gateway"),
        aux_addresses: text_map(node, "aux_addresses"),
        span: Some(node.span),
    }
}

pub(super) fn volume(entry: &Entry) -> Volume {
    let node = &entry.node;
    Volume {
        name: text(node, "name").unwrap_or_default(),
        driver: text(node, "driver"),
        driver_opts: text_map(node, "driver_opts"),
        external: flag(node, "external"),
        labels: text_map(node, "labels"),
        span: Some(entry.key_span),
    }
}

pub(super) fn file_object(entry: &Entry, environment: &BTreeMap<String, String>) -> FileObject {
    let node = &entry.node;
    let variable = text(node, "environment");
    let value = variable.as_ref().and_then(|name| environment.get(name).cloned());
    FileObject {
        name: text(node, "name").unwrap_or_default(),
        name_span: node.get("name").map(|name| name.span).filter(|span| *span != entry.key_span),
        file: text(node, "file"),
        content: value.or_else(|| text(node, "content")),
        environment: variable,
        external: flag(node, "external"),
        labels: text_map(node, "labels"),
        driver: text(node, "driver"),
        template_driver: text(node, "template_driver"),
        span: Some(entry.key_span),
    }
}
