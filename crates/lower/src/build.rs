//! `build`: what a service's image is made of, and the builds of other services that it takes files from.

use crate::inline;
use crate::lowering::Lowering;
use compose_spec::Service;
use compose_spec::model::{Build, FileMount, Ulimit};
use diagnostic::nearest;
use resource::mount::clean;
use resource::{
    BuildContext, BuildNetwork, BuildSecret, BuildSpec, DockerfileSource, ImageNeed, Labels, NetworkName,
    OciLayout, Platform, Reference, Rlimit, label,
};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// What `entitlements` may name.
const ENTITLEMENTS: [&str; 3] = ["network.host", "security.insecure", "device"];

impl Lowering<'_> {
    /// The build of a service's image, and after it the builds of services it refers to, whether those
    /// are enabled or not; empty when it is not built.
    pub(crate) fn builds(&mut self, service: &Service, image: &ImageNeed) -> Vec<BuildSpec> {
        let mut builds: Vec<BuildSpec> = self.build(service, image).into_iter().collect();
        let mut next = 0;
        while let Some(build) = builds.get(next) {
            next += 1;
            let referred: Vec<String> = build
                .contexts
                .values()
                .filter_map(|context| match context {
                    BuildContext::Build(name) => Some(name.clone()),
                    _ => None,
                })
                .collect();
            for name in referred {
                if builds.iter().any(|build| build.name == name) {
                    continue;
                }
                let project = self.project;
                let found = project.services.get(&name).or_else(|| project.disabled_services.get(&name));
                let Some(found) = found else { continue };
                let Some(image) = self.image(found) else { continue };
                builds.extend(self.build(found, &image));
            }
        }
        builds
    }

    fn build(&mut self, service: &Service, image: &ImageNeed) -> Option<BuildSpec> {
        let build = service.build.as_ref()?;
        self.tell_ignored_of_build(service, build);
        self.check_entitlements(service, build);
        let mut references = vec![image.reference.clone()];
        for tag in &build.tags {
            match Reference::parse(tag) {
                Ok(reference) if references.contains(&reference) => {}
                Ok(reference) => references.push(reference),
                Err(error) => self.error(service, "build.tags", error.to_string()),
            }
        }
        let mut platforms = self.platforms(service, build);
        let own = service.platform.as_deref().filter(|text| !text.is_empty());
        if let (None, Some(asked)) = (own, &self.options.platform)
            && !platforms.is_empty()
            && !platforms.contains(asked)
        {
            let message =
                format!("`build.platforms` lacks `{asked}`, which DOCKER_DEFAULT_PLATFORM asks for");
            self.error(service, "build.platforms", message);
        }
        let platform = image.platform.clone().or_else(|| platforms.first().cloned());
        platforms.retain(|other| Some(other) != platform.as_ref());
        let entitled = |name: &str| build.entitlements.iter().any(|entitlement| entitlement == name);
        Some(BuildSpec {
            name: service.name.clone(),
            references,
            named: service.image.is_some(),
            context: context(&build.context),
            dockerfile: match (&build.dockerfile_inline, &build.dockerfile) {
                (Some(text), _) => DockerfileSource::Inline {
                    text: text.clone(),
                    place: inline::place(
                        text,
                        service.place("build.dockerfile_inline"),
                        self.options.sources,
                    ),
                },
                (None, Some(path)) => DockerfileSource::File(PathBuf::from(path)),
                (None, None) => DockerfileSource::File(PathBuf::from("Dockerfile")),
            },
            target: build.target.clone().filter(|target| !target.is_empty()),
            args: build.args.clone(),
            given_args: vec![],
            contexts: build
                .additional_contexts
                .iter()
                .map(|(name, text)| (name.clone(), self.named_context(service, text)))
                .collect(),
            secrets: self.build_secrets(service, &build.secrets),
            ssh: build.ssh.iter().map(|(id, path)| (id.clone(), PathBuf::from(path))).collect(),
            labels: self.image_labels(service, build),
            platform,
            also_for: platforms,
            network: match build.network.as_deref() {
                None | Some("" | "default" | "bridge") => BuildNetwork::Default,
                Some("none") => BuildNetwork::None,
                Some("host") => BuildNetwork::Host,
                Some(name) => BuildNetwork::Network(NetworkName(name.to_owned())),
            },
            extra_hosts: self.build_hosts(service, build),
            shm_size: build.shm_size.and_then(|size| u64::try_from(size).ok()).filter(|size| *size > 0),
            rlimits: rlimits(&build.ulimits),
            allow_insecure: build.privileged || entitled("security.insecure"),
            allow_host_network: entitled("network.host") || build.network.as_deref() == Some("host"),
            allow_devices: entitled("device"),
            pull: build.pull,
            no_cache: build.no_cache,
            no_cache_stages: build.no_cache_filter.clone(),
            locked: None,
            cache_from: self.cache_from(service, build),
            cache_to: self.cache_to(service, build),
            place: self.options.sources.place(service.place("build")),
        })
    }

    /// What `build.platforms` names, each once: this machine's first.
    fn platforms(&mut self, service: &Service, build: &Build) -> Vec<Platform> {
        let mut platforms: Vec<Platform> = vec![];
        for text in &build.platforms {
            match Platform::parse(text) {
                Some(platform) if platforms.contains(&platform) => {}
                Some(platform) => platforms.push(platform),
                None => {
                    let message = format!("`{text}` is not a platform such as `linux/amd64`");
                    self.error(service, "build.platforms", message);
                }
            }
        }
        let host = Platform::host();
        let ours =
            |platform: &Platform| (&platform.os, &platform.architecture) == (&host.os, &host.architecture);
        platforms.sort_by_key(|platform| !ours(platform));
        platforms
    }

    fn named_context(&mut self, service: &Service, text: &str) -> BuildContext {
        if let Some(name) = text.strip_prefix("service:") {
            return BuildContext::Build(name.to_owned());
        }
        let named = if let Some(image) = text.strip_prefix("docker-image://") {
            Reference::parse(image).map(BuildContext::Image).map_err(|error| error.to_string())
        } else if let Some(layout) = text.strip_prefix(OciLayout::SCHEME) {
            OciLayout::parse(layout).map(|mut layout| {
                layout.path =
                    PathBuf::from(clean(&self.project.directory.join(layout.path).to_string_lossy()));
                BuildContext::Layout(layout)
            })
        } else {
            Ok(context(text))
        };
        named.unwrap_or_else(|why| {
            self.error(service, "build.additional_contexts", why);
            context(text)
        })
    }

    fn build_secrets(&mut self, service: &Service, secrets: &[FileMount]) -> BTreeMap<String, BuildSecret> {
        let mut known = BTreeMap::new();
        for secret in secrets {
            let Some(object) = self.project.secrets.get(&secret.source) else { continue };
            let id = secret.target.clone().unwrap_or_else(|| secret.source.clone());
            let name = &secret.source;
            if object.external || object.driver.is_some() || object.template_driver.is_some() {
                let which = if object.external { "external" } else { "with a driver" };
                let message = format!("secret `{name}` is {which}, which is not supported");
                self.error(service, "build.secrets", message);
            } else if let Some(path) = &object.file {
                known.insert(id, BuildSecret::File(path.into()));
            } else if let Some(content) = &object.content {
                known.insert(id, BuildSecret::Content(content.clone()));
            }
            // A variable that is not set is a secret that is not there: steps say whether they need it.
        }
        known
    }

    /// The user's labels, then the managed ones, which win.
    fn image_labels(&self, service: &Service, build: &Build) -> Labels {
        let mut labels = build.labels.clone();
        labels.extend(self.everywhere());
        labels.insert(label::SERVICE.to_owned(), service.name.clone());
        labels
    }

    fn build_hosts(&mut self, service: &Service, build: &Build) -> Vec<(String, Option<IpAddr>)> {
        let mut hosts = vec![];
        for (host, address) in &build.extra_hosts {
            match address.trim().parse() {
                Ok(address) => hosts.push((host.clone(), Some(address))),
                Err(_) if address == "host-gateway" => hosts.push((host.clone(), None)),
                Err(_) => {
                    let message = format!("`{address}` is not an address");
                    self.error(service, "build.extra_hosts", message);
                }
            }
        }
        hosts
    }

    /// Refuses what a build cannot be allowed.
    fn check_entitlements(&mut self, service: &Service, build: &Build) {
        for name in build.entitlements.iter().filter(|name| !ENTITLEMENTS.contains(&name.as_str())) {
            let near = nearest(name, ENTITLEMENTS).map_or_else(
                || format!("there are {}", ENTITLEMENTS.join(", ")),
                |near| format!("one with a similar name exists: `{near}`"),
            );
            self.error(service, "build.entitlements", format!("there is no entitlement `{name}`; {near}"));
        }
    }

    fn tell_ignored_of_build(&mut self, service: &Service, build: &Build) {
        let asked =
            |value: &Option<String>| value.as_deref().is_some_and(|value| !matches!(value, "" | "false"));
        let isolation = service.tree.get("build").and_then(|build| build.str("isolation"));
        let owners = build
            .secrets
            .iter()
            .any(|secret| secret.uid.is_some() || secret.gid.is_some() || secret.mode.is_some());
        let table = [
            ("build.isolation", isolation.is_some(), "it is for Windows"),
            ("build.provenance", asked(&build.provenance), "no attestations are made"),
            ("build.sbom", asked(&build.sbom), "no attestations are made"),
            ("build.secrets", owners, "`uid`, `gid` and `mode` are for the step that mounts it to say"),
        ];
        for (path, present, why) in table {
            if present {
                self.ignored(service, path, why);
            }
        }
    }
}

/// A folder, unless it is an address.
fn context(text: &str) -> BuildContext {
    let prefixes = ["git@", "github.com/"];
    if text.contains("://") || prefixes.iter().any(|prefix| text.starts_with(prefix)) {
        return BuildContext::Remote(text.to_owned());
    }
    BuildContext::Folder(Path::new(text).to_owned())
}

/// setrlimit(2) limits as the engine has them.
pub(crate) fn rlimits(limits: &BTreeMap<String, Ulimit>) -> Vec<Rlimit> {
    let number = |value: i64| u64::try_from(value).unwrap_or(u64::MAX);
    let limit = |(name, limit): (&String, &Ulimit)| Rlimit {
        name: name.clone(),
        soft: number(limit.soft),
        hard: number(limit.hard),
    };
    limits.iter().map(limit).collect()
}
