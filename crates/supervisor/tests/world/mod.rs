//! A pod with roots, a network and a cgroup of its own, cleaned up at the end whatever happens.

use resource::*;
use std::fs::File;
use std::future::Future;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use supervisor::log::{Query, Reader, Watch};
use supervisor::{Client, ExecRequest, Stdio};

pub(crate) struct World {
    _folder: tempfile::TempDir,
    pub(crate) roots: Roots,
    pub(crate) pod: PodName,
    network: NetworkRecord,
    layer: PathBuf,
    next: std::cell::Cell<u8>,
}

impl World {
    pub(crate) fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots::below(folder.path());
        let pod = PodName(format!("{name}{}", std::process::id()));
        let layer = folder.path().join("layer");
        for part in ["bin", "tmp", "etc"] {
            std::fs::create_dir_all(layer.join(part)).unwrap();
        }
        std::fs::copy("/bin/busybox", layer.join("bin/busybox")).unwrap();
        let applets = std::process::Command::new("/bin/busybox").arg("--list").output().unwrap().stdout;
        for applet in String::from_utf8(applets).unwrap().lines().filter(|applet| *applet != "busybox") {
            std::os::unix::fs::symlink("busybox", layer.join("bin").join(applet)).unwrap();
        }
        std::fs::write(layer.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").unwrap();
        let netlink = ::network::Netlink::open().unwrap().owned_by(&roots.cgroup);
        let _lock = ::network::lock().unwrap();
        let subnet = ::network::choose_subnet(&netlink, &[]).unwrap();
        let id = format!("{:064x}", u64::from(std::process::id()) << 32 | u64::from(crc(name)));
        let id: String = id.chars().rev().collect();
        let gateway = ::network::default_gateway(&subnet);
        let spec = NetworkSpec::new(NetworkName(format!("{pod}_default")));
        let bridge = ::network::bridge_name(&id);
        let network = NetworkRecord {
            id,
            spec,
            created: Timestamp::now(),
            bridge,
            subnets: vec![(subnet, gateway)],
            mtu: 1500,
        };
        ::network::bridge_up(&netlink, &network).unwrap();
        Self { _folder: folder, roots, pod, network, layer, next: std::cell::Cell::new(2) }
    }

    /// Runs a test in it; then no supervisor, process or chain of it may be left.
    pub(crate) fn run(self, test: impl AsyncFnOnce(&Self)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test(&self));
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect_or_spawn(&self.roots, &self.pod).await.unwrap()
    }

    pub(crate) fn name(&self, service: &str) -> String {
        format!("{}-{service}-1", self.pod)
    }

    pub(crate) fn id(&self, service: &str) -> ContainerId {
        ContainerId(format!("{:08x}{:056x}", crc(service), crc(&self.pod.0)))
    }

    /// Makes a container that runs a shell script.
    pub(crate) fn container(
        &self,
        service: &str,
        script: &str,
        change: impl FnOnce(&mut ContainerRecord),
    ) -> ContainerId {
        let address = self.next.replace(self.next.get() + 1);
        let mut record = self.record(service, address);
        record.process.argv = vec!["/bin/sh".into(), "-c".into(), script.into()];
        change(&mut record);
        let home = self.roots.container(&self.pod, &record.id);
        sys::file::create_private_folder(&home).unwrap();
        sys::file::replace(&home.join("container.json"), &document::encode(&record).unwrap()).unwrap();
        record.id
    }

    pub(crate) fn address(&self, service: &str) -> IpAddr {
        let path = self.roots.container(&self.pod, &self.id(service)).join("container.json");
        let record: ContainerRecord = document::decode(&std::fs::read(path).unwrap()).unwrap();
        record.endpoints[0].addresses[0].0
    }

    fn record(&self, service: &str, address: u8) -> ContainerRecord {
        let (subnet, gateway) = self.network.subnets[0];
        let IpAddr::V4(base) = subnet.address else { panic!() };
        let ip = Ipv4Addr::from(u32::from(base) + u32::from(address));
        let spec = serde_json::json!({
            "name": self.name(service), "pod": self.pod, "service": service, "number": 1,
            "image": Reference::parse("busybox").unwrap(), "process": ProcessSpec::default(),
            "hostname": null, "domainname": null, "network_mode": NetworkMode::Networks, "endpoints": [],
            "ports": [], "exposed": [], "dns": [], "dns_search": [], "dns_options": [], "extra_hosts": [],
            "links": [], "mounts": [], "volumes_from": [], "restart": RestartPolicy::No, "healthcheck": null,
            "stop_signal": null, "stop_grace": null, "security": SecuritySpec::default(),
            "pid": IdentityShare::Private, "ipc": IdentityShare::Private, "uts": IdentityShare::Private,
            "cgroup": IdentityShare::Private, "resources": Resources::default(), "rlimits": [],
            "shm_size": null, "log": LogConfig::default(), "auto_remove": false, "annotations": {}, "labels": {},
        });
        let endpoint = EndpointSpec {
            aliases: vec![service.to_owned()],
            ..EndpointSpec::new(self.network.spec.name.clone())
        };
        ContainerRecord {
            id: self.id(service),
            spec: serde_json::from_value(spec).unwrap(),
            created: Timestamp::now(),
            image: Digest::of_sha256(&[0; 32]),
            manifest: Digest::of_sha256(&[0; 32]),
            layers: vec![self.layer.clone()],
            process: Process {
                argv: vec![],
                environment: vec!["PATH=/bin".into()],
                working_dir: "/".into(),
                uid: 0,
                gid: 0,
                groups: vec![],
                tty: false,
                stdin_open: false,
                init: false,
            },
            mounts: vec![],
            endpoints: vec![Endpoint {
                spec: endpoint,
                bridge: self.network.bridge.clone(),
                driver: resource::NetworkDriver::Bridge,
                interface: "eth0".into(),
                mac: ::network::hardware_address(ip),
                addresses: vec![(IpAddr::V4(ip), subnet.prefix)],
                gateways: vec![gateway],
                routed: vec![],
                former: vec![],
                default_route: true,
                internal: false,
                mtu: 1500,
            }],
            healthcheck: None,
            stop_signal: 15,
            log_server: None,
            injected: resource::Injected::default(),
        }
    }

    pub(crate) fn state(&self, id: &ContainerId) -> ContainerState {
        document::decode(&std::fs::read(self.roots.state(&self.pod, id)).unwrap()).unwrap()
    }

    fn log_path(&self, service: &str) -> PathBuf {
        self.roots.pod(&self.pod).join("logs").join(format!("{service}-1.log"))
    }

    pub(crate) fn log(&self, service: &str) -> Vec<String> {
        let mut reader = Reader::open(&self.log_path(service), Query::default()).unwrap();
        std::iter::from_fn(|| reader.next().unwrap()).map(|line| line.text).collect()
    }

    /// Waits for a line in a log.
    pub(crate) async fn logged(&self, service: &str, line: &str) {
        self.logged_times(service, line, 1).await;
    }

    /// Waits until a line is in a log so many times.
    pub(crate) async fn logged_times(&self, service: &str, line: &str, mut times: u32) {
        let path = self.log_path(service);
        let watch = Watch::new(path.parent().unwrap()).unwrap();
        let mut reader = Reader::open(&path, Query::default()).unwrap();
        loop {
            match reader.next().unwrap() {
                Some(found) if found.text == line && times == 1 => return,
                Some(found) => times -= u32::from(found.text == line),
                None => timely(watch.changed()).await.unwrap(),
            }
        }
    }

    /// Runs a script in a container: exit code and what it printed.
    pub(crate) async fn exec(&self, client: &Client, id: &ContainerId, script: &str) -> (i32, String) {
        let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
        let stdio = Stdio::Files {
            stdin: File::open("/dev/null").unwrap().into(),
            stdout: writer.try_clone().unwrap(),
            stderr: writer,
        };
        let argv = vec!["/bin/sh".into(), "-c".into(), script.into()];
        let mut exec = client.exec(id, ExecRequest { argv, ..ExecRequest::default() }, stdio).await.unwrap();
        let code = timely(exec.wait()).await.unwrap();
        (code, read_all(reader))
    }

    pub(crate) fn kill(&self, pid: i32) {
        sys::process::kill(pid, 9).unwrap();
    }

    /// SIGKILLs a process and waits for its end.
    pub(crate) fn end(&self, pid: i32) {
        let pidfd = sys::pidfd::open(pid).unwrap();
        self.kill(pid);
        wait_for(pidfd);
    }

    /// The pid of the supervisor, by the lock it holds.
    pub(crate) async fn supervisor(&self, _client: &Client) -> i32 {
        self.supervisor_pid().unwrap()
    }

    fn supervisor_pid(&self) -> Option<i32> {
        self.players().first().copied()
    }

    /// The supervisor and the copies of itself that it has made, in the order of their numbers.
    pub(crate) fn players(&self) -> Vec<i32> {
        let pod = self.pod.0.as_bytes();
        let mut players: Vec<_> = std::fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter_map(|entry| {
                let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
                let line = std::fs::read(entry.path().join("cmdline")).ok()?;
                let mut words = line.split(|byte| *byte == 0);
                let role = words.nth(1)? == supervisor::ROLE.as_bytes();
                (role && words.any(|word| word == pod)).then_some(pid)
            })
            .collect();
        players.sort_unstable();
        players
    }

    /// SIGKILLs the supervisor and waits for its end.
    pub(crate) async fn kill_supervisor(&self, client: &Client) {
        self.end(self.supervisor(client).await);
    }

    /// Waits until the supervisor has ended by itself and checks that it has left nothing.
    pub(crate) async fn gone(&self) {
        if let Some(pidfd) = self.supervisor_pid().and_then(|pid| sys::pidfd::open(pid).ok()) {
            wait_for(pidfd);
        }
        assert!(!self.roots.pod_run(&self.pod).join("supervisor.sock").exists());
        let log = std::fs::read_to_string(self.roots.pod_run(&self.pod).join("supervisor.log"));
        assert_eq!(log.unwrap_or_default(), "");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(pid) = self.supervisor_pid() {
            let pidfd = sys::pidfd::open(pid);
            self.kill(pid);
            pidfd.map(wait_for).unwrap();
        }
        if std::thread::panicking() {
            let log = self.roots.pod_run(&self.pod).join("supervisor.log");
            eprintln!("supervisor.log: {}", std::fs::read_to_string(log).unwrap_or_default());
        }
        drop(runtime::cgroup::remove_pod(&self.roots, &self.pod));
        drop(runtime::cgroup::remove_base(&self.roots));
        drop(::network::publish(&format!("{}-{}", self.roots.cgroup, self.pod), &[], None));
        let netlink = ::network::Netlink::open().unwrap().owned_by(&self.roots.cgroup);
        ::network::bridge_down(&netlink, &self.network).unwrap();
    }
}

fn crc(text: &str) -> u32 {
    crc32fast::hash(text.as_bytes())
}

fn wait_for(pidfd: OwnedFd) {
    let mut poll = [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)];
    let limit = rustix::event::Timespec { tv_sec: 20, tv_nsec: 0 };
    assert_eq!(rustix::event::poll(&mut poll, Some(&limit)).unwrap(), 1, "it does not end");
}

/// A test that waits for ever fails instead.
async fn timely<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("in time")
}

/// All of them at the same time, results in order.
pub(crate) async fn join_all<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut futures: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    timely(std::future::poll_fn(|context| {
        let mut pending = false;
        for (future, result) in &mut futures {
            if result.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(value) => *result = Some(value),
                    std::task::Poll::Pending => pending = true,
                }
            }
        }
        if pending { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    }))
    .await;
    futures.into_iter().map(|(_, result)| result.unwrap()).collect()
}

pub(crate) fn read_all(file: OwnedFd) -> String {
    let mut text = String::new();
    File::from(file).read_to_string(&mut text).unwrap();
    text
}

/// Everything printed on a terminal until it is hung up.
pub(crate) fn read_terminal(file: OwnedFd) -> String {
    let (mut file, mut bytes, mut buffer) = (File::from(file), vec![], [0; 4096]);
    while let Ok(count @ 1..) = file.read(&mut buffer) {
        bytes.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8(bytes).unwrap()
}

/// The body of a page; tries until the server listens.
pub(crate) fn fetch(host: &str, port: u16) -> String {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let mut text = String::new();
        let done = TcpStream::connect(format!("{host}:{port}")).and_then(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_secs(2)))?;
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
            stream.read_to_string(&mut text)
        });
        match (done, text.split_once("\r\n\r\n")) {
            (Ok(_), Some((_, body))) => return body.to_owned(),
            (result, _) if Instant::now() > deadline => panic!("{result:?} {text:?}"),
            // Its program has been started but does not listen yet, which no event tells.
            _ => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}
