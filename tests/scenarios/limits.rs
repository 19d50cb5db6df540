//! Scenarios about what containers may use of the machine, each alone and all of a pod together.

use scenarios::{Who, scenario, until};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

scenario! {
    /// Every limit, weight and reservation of a service, and those of the pod, are in the files of the
    /// kernel's cgroups; what this kernel does not have is said once, with its place, and does not stop anything.
    use_of_the_machine_is_limited_as_asked, |world| {
        let disk = disk();
        world.write(".env", &format!("DISK={}\n", disk.as_ref().map_or("/dev/null".into(), |disk| disk.0.display().to_string())));
        let started = world.compose("up -d").ok();
        let told: Vec<_> = started.stderr.lines().filter(|line| line.contains("(compose.yaml:")).map(str::to_owned).collect();
        // Told once for all that nobody hands the controller down.
        let lacking = started.stderr.split_once("that need the controllers ").map_or("", |(_, rest)| rest);
        let io_is_lacking = lacking.split([' ', ',']).take_while(|word| *word != "are").any(|word| word == "io");
        assert!(disk.is_some() || started.stderr.contains("/dev/null is not a block device"));
        if !world.has_limits() {
            started.says("limits are not enforced");
            return;
        }
        assert!(started.stderr.lines().filter(|line| line.contains("real-time CPU time")).count() <= 2, "once each");
        let group = |service: &str| Group::of(world.processes(&world.id(service))[0]);
        let (memory, cpu, deployed) = (group("memory"), group("cpu"), group("deployed"));
        let pod = deployed.above();
        if deployed.is_v2 {
            let started = started.says("swappiness: cgroup v2 does not have it").says("(compose.yaml:");
            let started = started.says("oom_kill_disable: cgroup v2 does not have it");
            assert_eq!(memory.read("", &["memory.max", "memory.low"]), ["67108864", "33554432"]);
            assert_eq!(memory.read("", &["memory.swap.max"]), ["16777216"], "swap alone");
            assert_eq!(cpu.read("", &["cpu.weight", "cpu.max"]), ["20", "20000 50000"]);
            assert_eq!(deployed.read("", &["memory.max", "memory.low", "cpu.max", "pids.max"]), ["50331648", "16777216", "50000 100000", "20"]);
            assert_eq!(pod.read("", &["memory.swap.max"]), ["104857600"], "swap alone");
            assert_eq!(pod.read("", &["memory.max", "memory.low", "cpu.max", "cpu.weight", "pids.max"]), ["314572800", "50331648", "150000 100000", "12", "90"], "the kernel heeds what members reserve as far as the pod does");
            world.compose("stop -t 0 deployed").ok();
            until("the pod reserves less", || (pod.read("", &["memory.low"]) == ["33554432"]).then_some(()));
            world.compose("start deployed").ok();
            assert_eq!(pod.read("", &["memory.low"]), ["50331648"]);
            let engine = pod.above();
            if world.who() == Who::Root {
                assert_eq!(engine.read("", &["memory.low"]), ["50331648"]);
            } else {
                assert!(started.stderr.contains("memory reservation: it holds against others of the pod only"));
            }
        } else {
            assert_eq!(memory.read("memory", &["memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.soft_limit_in_bytes", "memory.swappiness"]), ["67108864", "83886080", "33554432", "10"]);
            assert!(memory.read("memory", &["memory.oom_control"])[0].contains("oom_kill_disable 1"));
            assert_eq!(cpu.read("cpu", &["cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us"]), ["512", "20000", "50000"]);
            assert_eq!(deployed.read("memory", &["memory.limit_in_bytes", "memory.soft_limit_in_bytes"]), ["50331648", "16777216"]);
            assert_eq!(deployed.read("cpu", &["cpu.cfs_quota_us"]), ["50000"]);
            assert_eq!(deployed.read("pids", &["pids.max"]), ["20"]);
            assert_eq!(pod.read("memory", &["memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.soft_limit_in_bytes"]), ["314572800", "419430400", "20971520"]);
            assert_eq!(pod.read("cpu", &["cpu.cfs_quota_us", "cpu.shares"]), ["150000", "300"]);
            assert_eq!(pod.read("pids", &["pids.max"]), ["90"]);
        }
        if let Some((_, number)) = &disk {
            rates(&group("disk"), number);
        }
        // What not every kernel takes is there, or it was told, with its line, that it is not.
        let number = disk.as_ref().map_or("", |(_, number)| number.as_str());
        let (bfq, io) = (["blkio.bfq.weight", "io.weight", "io.bfq.weight"], format!("{number} 200"));
        for (service, controller, files, value, words) in [
            ("cpu", "cpu", ["cpu.rt_runtime_us"].as_slice(), "1000", "real-time CPU time"),
            ("cpu", "cpu", &["cpu.rt_period_us"], "100000", "real-time CPU time"),
            ("disk", "blkio", &["blkio.weight", bfq[0], bfq[1], bfq[2]], "300", "block I/O weight"),
            ("disk", "blkio", &["blkio.weight_device", "blkio.bfq.weight_device", bfq[1], bfq[2]], &io, "block I/O weight"),
        ] {
            let is_told = told.iter().any(|line| line.contains(words)) || io_is_lacking && controller == "blkio";
            assert!(is_told || group(service).has(controller, files, value), "{value} of {files:?}: {told:#?}");
        }
        world.compose("pod inspect project").ok().says("\"memory_limit\": 314572800").says("\"pids_limit\": 90");

        // What the pod may use changes while its containers go on; what it says no more is without limit.
        let ids = || ["memory", "cpu", "disk", "deployed"].map(|service| world.id(service));
        let before = ids();
        world.edit("compose.yaml", "mem_limit: 300m, memswap_limit: 400m, mem_reservation: 20m, pids_limit: 90", "mem_limit: 600m");
        world.compose("up -d --dry-run").ok().says("limit pod project").says("what it may use changed");
        world.compose("up -d").ok().says("Pod project");
        assert_eq!(ids(), before);
        let now = if pod.is_v2 { pod.read("", &["memory.max", "memory.low", "pids.max"]) } else { [pod.read("memory", &["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"]), pod.read("pids", &["pids.max"])].concat() };
        assert_eq!(now, if pod.is_v2 { ["629145600", "50331648", "max"] } else { ["629145600", "1258291200", "max"] });
        world.compose("up -d --dry-run").ok().says("nothing to do");

        // What is in use is not taken away: nobody is killed, and the limit stays.
        let hold = "x=$(head -c 20000000 /dev/zero | tr '\\0' x); sleep 1000; echo $x";
        world.run(&["exec", "-d", "deployed", "sh", "-c", hold], "").ok();
        let one = |group: &Group, v1: &str, v2: &str| if group.is_v2 { group.read("", &[v2]) } else { group.read("memory", &[v1]) }.remove(0);
        let used = || one(&pod, "memory.usage_in_bytes", "memory.current").parse::<u64>().unwrap();
        until("memory is in use", || (used() > 20_000_000).then_some(()));
        world.edit("compose.yaml", "mem_limit: 600m", "mem_limit: 8m");
        world.compose("up -d").ok().says("pod: memory limit: ").says("bytes are in use");
        assert_eq!((ids(), one(&pod, "memory.limit_in_bytes", "memory.max").as_str()), (before, "629145600"));
        world.edit("compose.yaml", "mem_limit: 8m", "mem_limit: 500m");
        assert!(!world.compose("up -d").ok().stderr.contains("bytes are in use"));
        assert_eq!(one(&pod, "memory.limit_in_bytes", "memory.max"), "524288000");

        // A smaller share of the processors for all, and for the one that would have more.
        world.edit("compose.yaml", "cpus: 1.5", "cpus: 0.3");
        world.compose("up -d").exits(1).says("0.5 CPUs are more than the 0.3 of `x-pod.cpus`").says("compose.yaml:");
        world.edit("compose.yaml", "cpus: \"0.5\"", "cpus: \"0.2\"");
        world.edit("compose.yaml", "cpu_quota: 20000", "cpu_quota: 10000");
        world.compose("up -d -t 0").ok();
        let quota = |group: &Group| if group.is_v2 { group.read("", &["cpu.max"]) } else { group.read("cpu", &["cpu.cfs_quota_us"]) };
        assert_eq!((quota(&pod)[0].split(' ').next(), quota(&group("deployed"))[0].split(' ').next()), (Some("30000"), Some("20000")));
        world.edit("compose.yaml", "cpus: 0.3", "cpus: none");
        world.compose("up -d").exits(1).says("`x-pod.cpus` must be a number of CPUs").says("compose.yaml:");
        world.edit("compose.yaml", "cpus: none", "cpus: 0.3");
    }
}

/// A disk of this machine and its number, as far as it has one.
fn disk() -> Option<(PathBuf, String)> {
    let disks = std::fs::read_dir("/sys/block").ok()?.flatten();
    let mut names: Vec<_> =
        disks.map(|disk| disk.file_name()).filter(|name| name.to_string_lossy().starts_with("vd")).collect();
    names.sort();
    let path = Path::new("/dev").join(names.first()?);
    let stat = std::fs::metadata(&path).ok().filter(|stat| stat.file_type().is_block_device())?;
    Some((path, format!("{}:{}", rustix::fs::major(stat.rdev()), rustix::fs::minor(stat.rdev()))))
}

/// The rates for a disk, where the kernel was given the controller.
fn rates(group: &Group, disk: &str) {
    if group.is_v2 {
        if group.read("", &["cgroup.controllers"])[0].contains("io") {
            assert_eq!(
                group.read("", &["io.max"]),
                [format!("{disk} rbps=1048576 wbps=2097152 riops=30 wiops=40")]
            );
        }
        return;
    }
    let files = ["read_bps", "write_bps", "read_iops", "write_iops"]
        .map(|rate| format!("blkio.throttle.{rate}_device"));
    let files = files.each_ref().map(String::as_str);
    assert_eq!(
        group.read("blkio", &files),
        ["1048576", "2097152", "30", "40"].map(|rate| format!("{disk} {rate}"))
    );
}

/// The cgroups of a process.
struct Group {
    lines: Vec<String>,
    levels: usize,
    is_v2: bool,
}

impl Group {
    fn of(pid: i32) -> Self {
        let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
        let is_v2 = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        Self { lines: text.lines().map(str::to_owned).collect(), levels: 0, is_v2 }
    }

    /// The cgroup above.
    fn above(&self) -> Self {
        Self { lines: self.lines.clone(), levels: self.levels + 1, is_v2: self.is_v2 }
    }

    /// Whether one of these files of a controller of v1, or of v2, has a line that ends so.
    fn has(&self, controller: &str, files: &[&str], value: &str) -> bool {
        let folder = self.folder(if self.is_v2 { "" } else { controller });
        let texts = files.iter().filter_map(|file| std::fs::read_to_string(folder.join(file)).ok());
        texts.into_iter().any(|text| text.lines().any(|line| line.ends_with(value)))
    }

    fn folder(&self, controller: &str) -> PathBuf {
        let of = |line: &&String| {
            line.split(':').nth(1).is_some_and(|names| names.split(',').any(|name| name == controller))
        };
        let path = self.lines.iter().find(of).unwrap().splitn(3, ':').nth(2).unwrap();
        let folder = Path::new("/sys/fs/cgroup").join(controller).join(path.trim_start_matches('/'));
        folder.ancestors().nth(self.levels).unwrap().to_owned()
    }

    /// What files of a controller say; of v2 none is named.
    fn read(&self, controller: &str, files: &[&str]) -> Vec<String> {
        let folder = self.folder(controller);
        let read = |file: &&str| {
            std::fs::read_to_string(folder.join(file))
                .unwrap_or_else(|error| panic!("{}/{file}: {error}", folder.display()))
        };
        files.iter().map(read).map(|text| text.trim().to_owned()).collect()
    }
}
