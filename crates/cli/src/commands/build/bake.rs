//! The bake file that `build --print` prints: what Docker's buildx would be given for the same builds.

use resource::{
    BuildCache, BuildContext, BuildNetwork, BuildSecret, BuildSpec, CacheSource, CacheTarget,
    DockerfileSource,
};
use serde_json::{Map, Value, json};

/// All builds as one file; `wanted` are those that a plain `bake` builds.
pub(super) fn file(builds: &[BuildSpec], wanted: &[String]) -> Value {
    let targets: Map<String, Value> =
        builds.iter().map(|build| (build.name.clone(), target(build))).collect();
    json!({ "group": { "default": { "targets": wanted } }, "target": targets })
}

fn target(build: &BuildSpec) -> Value {
    let mut target = Map::new();
    let mut put = |key: &str, value: Value| {
        let empty = match &value {
            Value::Null | Value::Bool(false) => true,
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
            Value::String(text) => text.is_empty(),
            _ => false,
        };
        if !empty {
            target.insert(key.to_owned(), value);
        }
    };
    put("context", context(&build.context).into());
    match &build.dockerfile {
        DockerfileSource::File(path) => put("dockerfile", path.display().to_string().into()),
        DockerfileSource::Inline { text, .. } => put("dockerfile-inline", text.as_str().into()),
    }
    put("args", json!(build.args));
    put("labels", json!(build.labels));
    put("tags", build.references.iter().map(|reference| reference.to_string()).collect());
    put("target", json!(build.target));
    let contexts: Map<String, Value> =
        build.contexts.iter().map(|(name, from)| (name.clone(), context(from).into())).collect();
    put("contexts", contexts.into());
    put("no-cache", build.no_cache.into());
    put("no-cache-filter", json!(build.no_cache_stages));
    let from = build.cache_from.iter().map(|source| match source {
        CacheSource::Folder(folder) => format!("type=local,src={}", folder.display()),
        CacheSource::Registry(reference) => format!("type=registry,ref={reference}"),
    });
    put("cache-from", from.collect());
    let to = build.cache_to.iter().map(|BuildCache { target, all }| {
        let mode = if *all { "max" } else { "min" };
        match target {
            CacheTarget::Folder(folder) => format!("type=local,dest={},mode={mode}", folder.display()),
            CacheTarget::Registry(reference) => format!("type=registry,ref={reference},mode={mode}"),
            CacheTarget::Inline => "type=inline".to_owned(),
        }
    });
    put("cache-to", to.collect());
    put("pull", build.pull.into());
    put("secret", build.secrets.iter().map(|(id, secret)| self::secret(id, secret)).collect());
    put("ssh", build.ssh.iter().map(|(id, path)| format!("{id}={}", path.display())).collect());
    put("platforms", build.platform.iter().chain(&build.also_for).map(ToString::to_string).collect());
    put("network", network(&build.network).into());
    put("shm-size", build.shm_size.map(|size| size.to_string()).into());
    let limits = build.rlimits.iter();
    put("ulimits", limits.map(|limit| format!("{}={}:{}", limit.name, limit.soft, limit.hard)).collect());
    let mut entitlements = vec![];
    if build.allow_host_network {
        entitlements.push("network.host");
    }
    if build.allow_insecure {
        entitlements.push("security.insecure");
    }
    if build.allow_devices {
        entitlements.push("device");
    }
    put("entitlements", entitlements.into());
    put("output", json!(["type=docker"]));
    target.into()
}

fn context(context: &BuildContext) -> String {
    match context {
        BuildContext::Folder(path) => path.display().to_string(),
        BuildContext::Image(reference) => format!("docker-image://{reference}"),
        BuildContext::Build(name) => format!("target:{name}"),
        BuildContext::Remote(url) => url.clone(),
        BuildContext::Layout(layout) => layout.to_string(),
    }
}

fn secret(id: &str, secret: &BuildSecret) -> Value {
    match secret {
        BuildSecret::File(path) => format!("id={id},type=file,src={}", path.display()).into(),
        // Its content is for nobody to see.
        BuildSecret::Content(_) => format!("id={id},type=env").into(),
    }
}

fn network(network: &BuildNetwork) -> &str {
    match network {
        BuildNetwork::Default => "",
        BuildNetwork::None => "none",
        BuildNetwork::Host => "host",
        BuildNetwork::Network(name) => name.as_str(),
    }
}
