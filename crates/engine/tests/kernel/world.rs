//! An engine of its own for every test, with an image of the host's static busybox in it. It cleans up
//! after itself even when the test fails.

use engine::{Engine, Scope};
use resource::{
    ContainerId, ContainerSpec, EndpointSpec, ImageConfig, MountSpec, NetworkMode, NetworkSpec,
    ObservedContainer, PodName, ProcessSpec, Reference, Roots,
};
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

/// The label that a pod's networks and volumes carry here.
pub(crate) const LABEL: &str = "test.pod";

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) pod: PodName,
    pub(crate) folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
}

impl World {
    pub(crate) fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::open(Roots::below(folder.path())).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { engine, pod: "world".into(), folder, runtime }
    }

    /// With an image called `busybox` whose `/data` is a volume with a file in it.
    pub(crate) fn with_image() -> Self {
        let world = Self::empty();
        let root = tempfile::tempdir().unwrap();
        for name in ["bin", "data", "etc", "tmp"] {
            std::fs::create_dir(root.path().join(name)).unwrap();
        }
        std::fs::copy("/bin/busybox", root.path().join("bin/busybox")).unwrap();
        for name in ["sh", "sleep", "cat", "echo", "true", "id", "trap"] {
            std::os::unix::fs::symlink("busybox", root.path().join("bin").join(name)).unwrap();
        }
        std::fs::write(root.path().join("data/file"), "from the image").unwrap();
        std::fs::write(root.path().join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").unwrap();
        let config = ImageConfig { command: words(&["/bin/sleep", "1000"]), ..ImageConfig::default() };
        world.engine.import(&Reference::parse("busybox").unwrap(), root.path(), &config).unwrap();
        world
    }

    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        let limit = Duration::from_secs(30);
        self.runtime
            .block_on(async { tokio::time::timeout(limit, future).await })
            .expect("it takes no half minute")
    }

    pub(crate) fn spec(&self, name: &str) -> ContainerSpec {
        ContainerSpec {
            process: ProcessSpec { init: true, ..ProcessSpec::default() },
            ..ContainerSpec::new(name, &self.pod, name, Reference::parse("busybox").unwrap())
        }
    }

    /// On a network, with this fixed address if any.
    pub(crate) fn connected(&self, name: &str, network: &str, ipv4: Option<&str>) -> ContainerSpec {
        let endpoint =
            EndpointSpec { ipv4: ipv4.map(|text| text.parse().unwrap()), ..EndpointSpec::new(network) };
        ContainerSpec { network_mode: NetworkMode::Networks, endpoints: vec![endpoint], ..self.spec(name) }
    }

    pub(crate) fn network(&self, name: &str) -> NetworkSpec {
        NetworkSpec {
            labels: BTreeMap::from([(LABEL.to_owned(), self.pod.0.clone())]),
            ..NetworkSpec::new(name)
        }
    }

    pub(crate) fn observed(&self, id: &ContainerId) -> ObservedContainer {
        self.engine.container(&self.pod, id).unwrap()
    }

    pub(crate) fn scope(&self) -> Scope {
        Scope::of(self.pod.clone(), Some((LABEL.to_owned(), self.pod.0.clone())))
    }

    /// Every path below the data root but the image's own and empty folders of the layout.
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut found = vec![];
        walk(&self.engine.roots().data, &mut found);
        let root = self.engine.roots().data.to_str().unwrap().to_owned();
        let own = ["/blobs", "/layers", "/images", "/format"];
        found.retain(|path| !own.iter().any(|name| path[root.len()..].starts_with(name)));
        found.sort();
        found
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // One step that panics must take neither the others nor the report of the test with it.
        let step = |act: &dyn Fn()| drop(catch_unwind(AssertUnwindSafe(act)));
        let (engine, pod) = (&self.engine, &self.pod);
        for container in engine.containers(pod).unwrap_or_default() {
            let id = &container.record.id;
            step(&|| drop(self.wait(engine.stop(pod, id, Some(Duration::ZERO)))));
            step(&|| drop(self.wait(engine.remove_container(pod, id, true))));
        }
        let networks: Vec<_> = engine.networks().into_iter().map(|record| record.spec.name).collect();
        step(&|| drop(self.wait(engine.remove_pod(pod))));
        networks.iter().for_each(|network| step(&|| drop(engine.remove_network(network))));
        step(&|| drop(self.wait(engine.sweep(pod, &networks))));
    }
}

fn walk(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            walk(&path, found);
        } else {
            found.push(path.to_str().unwrap().to_owned());
        }
    }
}

pub(crate) fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}

pub(crate) fn volume(source: Option<&str>, target: &str) -> MountSpec {
    MountSpec::Volume {
        source: source.map(Into::into),
        target: target.to_owned(),
        read_only: false,
        no_copy: false,
        subpath: None,
    }
}
