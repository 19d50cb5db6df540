//! The bare kernel work for some containers: one bridge with its rules, and for each container cgroup
//! folders, namespaces, a veth pair with an address and a route, an overlay, `/proc` and an exec; then
//! the end of all of it. `floor N` prints milliseconds up (until every program runs) and down.
//!
//! Nothing a container engine adds is in here: no files to read, no documents, no output to keep, no
//! names, no capabilities, filters, masks or devices, no health, nobody who watches.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]

use resource::{ContainerId, Endpoint, EndpointSpec, NetworkRecord, NetworkSpec, PodName, Subnet};
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_change, unmount};
use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Instant;
use sys::process::{Child, Texts};

const NAMESPACES: i32 =
    libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS | libc::CLONE_NEWCGROUP;

/// One container of the floor.
struct Container {
    child: Child,
    _network: OwnedFd,
    cgroups: Vec<PathBuf>,
}

fn main() {
    let count: u32 = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(1);
    let scratch = tempfile::Builder::new().prefix("compose-floor-").tempdir_in("/dev/shm").unwrap();
    let layer = scratch.path().join("layer");
    for folder in ["bin", "proc", "old"] {
        std::fs::create_dir_all(layer.join(folder)).unwrap();
    }
    std::fs::copy("/bin/busybox", layer.join("bin/busybox")).unwrap();
    let hierarchies = hierarchies();
    let record = record();
    let (up, containers) = timed(|| start(count, scratch.path(), &layer, &hierarchies, &record));
    let (down, ()) = timed(|| stop(containers, &hierarchies, &record));
    println!("{up:.3} {down:.3}");
}

fn timed<T>(act: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let result = act();
    (start.elapsed().as_secs_f64() * 1000.0, result)
}

fn start(
    count: u32,
    scratch: &Path,
    layer: &Path,
    hierarchies: &[PathBuf],
    record: &NetworkRecord,
) -> Vec<Container> {
    let netlink = network::Netlink::open().unwrap();
    network::bridge_up(&netlink, record).unwrap();
    let address = |number: u32| Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 213, 0, 10)) + number);
    let rules: Vec<_> = (0..count).map(|number| rule(record, number, address(number))).collect();
    network::publish("floor", &rules, None).unwrap();
    let (mut ready, gate) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map(|(r, w)| (File::from(r), w)).unwrap();
    let containers = (0..count)
        .map(|number| {
            let network = network::new_namespace().unwrap();
            let id = ContainerId(format!("{number:04x}{:060x}", std::process::id()));
            let endpoint = endpoint(record, address(number));
            network::attach(&netlink, network.as_fd(), &PodName::from("floor"), &id, 0, &endpoint).unwrap();
            let upper = scratch.join(number.to_string());
            std::fs::create_dir_all(upper.join("upper")).unwrap();
            std::fs::create_dir_all(upper.join("work")).unwrap();
            let cgroups: Vec<_> = hierarchies.iter().map(|folder| folder.join(number.to_string())).collect();
            cgroups.iter().for_each(|cgroup| std::fs::create_dir(cgroup).unwrap());
            let options = format!(
                "lowerdir={},upperdir={},workdir={}",
                layer.display(),
                upper.join("upper").display(),
                upper.join("work").display()
            );
            let plan = Plan {
                network: network.as_raw_fd(),
                tasks: cgroups.iter().map(|cgroup| cgroup.join("tasks")).collect(),
                options: CString::new(options).unwrap(),
                root: upper.join("work").parent().unwrap().to_owned(),
                argv: Texts::new([c"sleep", c"1000"].map(Into::into).to_vec()),
                none: Texts::new(vec![]),
            };
            let child =
                sys::process::clone_child(NAMESPACES as u64, None, |_| plan.run(network.as_fd())).unwrap();
            Container { child, _network: network, cgroups }
        })
        .collect();
    drop(gate);
    // The write end is closed by every exec: the read ends when the last program runs.
    assert_eq!(ready.read(&mut [0]).unwrap(), 0);
    containers
}

/// What a child does between its clone and its program.
struct Plan {
    network: i32,
    tasks: Vec<PathBuf>,
    options: CString,
    root: PathBuf,
    argv: Texts,
    none: Texts,
}

impl Plan {
    fn run(&self, network: std::os::fd::BorrowedFd<'_>) -> i32 {
        debug_assert_eq!(network.as_raw_fd(), self.network);
        for tasks in &self.tasks {
            File::options().write(true).open(tasks).unwrap().write_all(b"0").unwrap();
        }
        rustix::thread::move_into_link_name_space(network, None).unwrap();
        mount_change(
            "/",
            rustix::mount::MountPropagationFlags::REC | rustix::mount::MountPropagationFlags::PRIVATE,
        )
        .unwrap();
        mount("overlay", &self.root, "overlay", MountFlags::empty(), Some(self.options.as_c_str())).unwrap();
        std::env::set_current_dir(&self.root).unwrap();
        rustix::process::pivot_root(".", "old").unwrap();
        mount("proc", "/proc", "proc", MountFlags::empty(), None).unwrap();
        unmount("/old", UnmountFlags::DETACH).unwrap();
        drop(sys::process::execute(c"/bin/busybox", &self.argv, &self.none));
        1
    }
}

fn stop(containers: Vec<Container>, hierarchies: &[PathBuf], record: &NetworkRecord) {
    for container in &containers {
        sys::process::kill(container.child.pid, libc::SIGKILL).unwrap();
    }
    let mut cgroups = vec![];
    for container in containers {
        sys::process::wait(container.child.pidfd.as_fd()).unwrap();
        cgroups.extend(container.cgroups);
    }
    cgroups.iter().for_each(|cgroup| std::fs::remove_dir(cgroup).unwrap());
    hierarchies.iter().for_each(|folder| std::fs::remove_dir(folder).unwrap());
    network::publish("floor", &[], None).unwrap();
    network::bridge_down(&network::Netlink::open().unwrap(), record).unwrap();
}

/// A folder of ours in every cgroup v1 hierarchy; none on v2, where the floor has no cgroups.
fn hierarchies() -> Vec<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let version_1 = mounts.lines().filter(|line| line.contains(" - cgroup "));
    let folders = version_1.map(|line| Path::new(line.split(' ').nth(4).unwrap()).join("compose-floor"));
    let folders: Vec<_> = folders.collect();
    for folder in &folders {
        std::fs::create_dir(folder).unwrap();
        if folder.join("cpuset.cpus").exists() {
            std::fs::write(folder.join("cgroup.clone_children"), "1").unwrap();
            for file in ["cpuset.cpus", "cpuset.mems"] {
                let parent = folder.parent().unwrap().join(file);
                std::fs::write(folder.join(file), std::fs::read(parent).unwrap()).unwrap();
            }
        }
    }
    folders
}

fn record() -> NetworkRecord {
    let subnet = Subnet::parse("10.213.0.0/16").unwrap();
    let gateway = IpAddr::from([10, 213, 0, 1]);
    let spec = NetworkSpec { subnets: vec![(subnet, Some(gateway))], ..NetworkSpec::new("floor") };
    let id = format!("{:064x}", std::process::id());
    let bridge = format!("floor{}", std::process::id());
    NetworkRecord {
        id,
        spec,
        created: resource::Timestamp::UNIX_EPOCH,
        bridge,
        subnets: vec![(subnet, gateway)],
        mtu: 1500,
    }
}

fn rule(record: &NetworkRecord, number: u32, address: Ipv4Addr) -> network::PortRule {
    network::PortRule {
        protocol: resource::Protocol::Tcp,
        host_ip: Some(IpAddr::from([127, 0, 0, 1])),
        host_port: 30_000 + number as u16,
        target_ip: address.into(),
        target_port: 80,
        bridge: record.bridge.clone(),
    }
}

fn endpoint(record: &NetworkRecord, address: Ipv4Addr) -> Endpoint {
    let spec = EndpointSpec::new(record.spec.name.clone());
    let [a, b, c, d] = address.octets();
    Endpoint {
        spec,
        bridge: record.bridge.clone(),
        driver: resource::NetworkDriver::Bridge,
        interface: "eth0".to_owned(),
        mac: [2, 0x42, a, b, c, d],
        addresses: vec![(address.into(), 16)],
        gateways: vec![record.subnets[0].1],
        routed: vec![],
        former: vec![],
        default_route: true,
        internal: false,
        mtu: 1500,
    }
}
