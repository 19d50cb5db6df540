//! Scenarios about volumes, binds and limits.

use scenarios::scenario;

scenario! {
    /// Named volumes are filled from the image once and kept; anonymous ones go with their container;
    /// binds show the host's files; tmpfs is empty; read-only is read-only.
    volumes_keep_what_they_should, |world| {
        world.compose("up -d").ok();
        let inside = |service: &str, script: &str| world.run(&["exec", "-T", service, "sh", "-c", script], "");
        assert_eq!(inside("first", "cat /data/from-image").ok().stdout, "from the image\n");
        assert_eq!(inside("first", "stat -c '%u:%a' /data /data/from-image").ok().stdout, "1000:750\n1000:640\n");
        inside("first", "echo changed > /data/from-image").ok();
        assert_eq!(inside("first", "cat /bound/file /fixed/file").ok().stdout, "from the host\nfrom the host\n");
        inside("first", "echo from inside > /bound/file").ok();
        assert_eq!(std::fs::read_to_string(world.project().join("bound/file")).unwrap(), "from inside\n");
        inside("first", "echo no > /fixed/file").exits(1).says("Read-only");
        inside("first", "dd if=/dev/zero of=/scratch/big bs=1M count=2").exits(1).says("No space");
        inside("second", "echo no > /etc/x").exits(1).says("Read-only");
        let options = |path: &str| {
            let mounts = inside("first", "cat /proc/mounts").ok().stdout;
            let of = |line: &str| line.split(' ').nth(1) == Some(path);
            let found = mounts.lines().find(|line| of(line)).unwrap();
            found.split(' ').nth(3).unwrap().split(',').filter(|word| word.starts_with("no")).collect::<Vec<_>>().join(",")
        };
        assert_eq!((options("/plain"), options("/loose")), ("nosuid,nodev,noexec".into(), "nosuid,nodev".into()));
        assert_eq!(inside("first", "stat -c %a /plain /loose").ok().stdout, "1777\n700\n");
        inside("first", "touch /plain/x /scratch/x /data/x").ok();
        world.compose("restart -t 0 first").ok();
        assert_eq!(inside("first", "ls -d /plain/x /scratch/x /data/x").stdout, "/data/x\n", "memory is empty with every start");
        inside("second", "echo own > /data/own").ok();
        let anonymous = || {
            let entries = std::fs::read_dir(world.roots().data.join("volumes")).unwrap().flatten();
            entries.filter(|entry| entry.file_name().len() == 64).count()
        };
        assert_eq!(anonymous(), 1);
        world.compose("run --rm -T second sh -c true").ok();
        assert_eq!(anonymous(), 1, "that of a one-off goes with it");
        world.compose("run -T second sh -c true").ok();
        assert_eq!(anonymous(), 2);
        world.compose("down -t 0 --remove-orphans -v").ok();
        world.compose("up -d").ok();
        inside("second", "echo own > /data/own").ok();
        inside("first", "echo changed > /data/from-image").ok();
        world.compose("up -d --force-recreate -t 0").ok();
        assert_eq!(inside("second", "cat /data/own").ok().stdout, "own\n");
        assert_eq!(anonymous(), 1);
        world.compose("down -t 0").ok();
        world.compose("up -d").ok();
        assert_eq!(inside("first", "cat /data/from-image").ok().stdout, "changed\n");
        let left = anonymous();
        world.compose("down -v -t 0").ok();
        assert_eq!(anonymous(), left - 1);
        world.compose("up -d").ok();
        assert_eq!(inside("first", "cat /data/from-image").ok().stdout, "from the image\n");
    }
}

scenario! {
    /// `down -v` takes all volumes of the file, also those that no service mounts or that one of another profile
    /// has; with names, those of these services and of what they depend on. What is external or was made by
    /// another project stays.
    down_takes_the_volumes_of_the_file, |world| {
        world.compose("-p other -f other.yaml create").ok();
        world.compose("--profile tools create").ok();
        world.compose("run --rm -T --no-deps -v spare:/spare web true").ok();
        let volumes = || {
            let folder = std::fs::read_dir(world.roots().data.join("volumes")).unwrap();
            let mut names: Vec<_> = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        let theirs = ["made-outside", "of-other"];
        let left = |own: &[&str]| assert_eq!(volumes(), [&theirs, own].concat());
        left(&["project_below", "project_spare", "project_tool", "project_web"]);
        world.compose("down -v -t 0 side").ok();
        left(&["project_below", "project_spare", "project_tool", "project_web"]);
        world.compose("down -v -t 0 web").ok().says("project_below").says("still in use");
        left(&["project_below", "project_spare", "project_tool"]);
        world.compose("rm -f").ok();
        world.compose("down -v -t 0 side").ok();
        left(&["project_below", "project_spare", "project_tool"]);
        world.compose("down -v -t 0 web").ok();
        left(&["project_spare", "project_tool"]);
        world.compose("--profile tools rm -f").ok();
        world.compose("down -v -t 0").ok();
        left(&[]);
        world.compose("-p other -f other.yaml down -v -t 0").ok();
    }
}

scenario! {
    /// Limits, capabilities, sysctls and the host name are those of the file, as the kernel reports them.
    limits_are_those_of_the_file, |world| {
        let started = world.compose("up -d").ok();
        let inside = |script: &str| world.run(&["exec", "-T", "web", "sh", "-c", script], "").ok().stdout;
        assert_eq!(inside("ulimit -Sn; ulimit -Hn"), "1000\n2000\n");
        assert_eq!(inside("hostname"), "boxed\n");
        assert_eq!(inside("cat /proc/sys/net/ipv4/tcp_fin_timeout"), "77\n");
        assert_eq!(inside("df -k /dev/shm | tail -n 1 | awk '{print $2}'"), "8192\n");
        assert!(inside("cat /etc/hosts").contains("10.9.8.7\telsewhere"));
        let status = inside("cat /proc/1/status");
        let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:\t")).unwrap();
        assert_eq!(u64::from_str_radix(effective, 16).unwrap() & (1 << 13), 0, "NET_RAW was dropped");
        assert!(status.contains("Seccomp:\t2"), "the filter is on");
        let undelegated = started.stderr.matches("limits that need the controllers").count();
        if !world.has_limits() {
            started.says("limits are not enforced");
            world.compose("run --rm web true").ok().says("limits are not enforced");
            return;
        }
        let pid = world.processes(&world.id("web"))[0];
        let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
        let limit = |controller: &str, file: &str| {
            let of = |line: &str| line.split(':').nth(1).is_some_and(|names| names.split(',').any(|name| name == controller));
            let group = groups.lines().find(|line| of(line)).unwrap().splitn(3, ':').nth(2).unwrap();
            let path = format!("/sys/fs/cgroup/{controller}/{group}/{file}");
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}")).trim().to_owned()
        };
        if std::path::Path::new("/sys/fs/cgroup/memory").exists() {
            assert_eq!(limit("memory", "memory.limit_in_bytes"), (32 << 20).to_string());
            assert_eq!(limit("pids", "pids.max"), "50");
            assert_eq!(limit("cpu", "cpu.cfs_quota_us"), "50000");
            assert_eq!(limit("cpuset", "cpuset.cpus"), "0");
        } else {
            assert_eq!(limit("", "memory.max"), (32 << 20).to_string());
            assert_eq!(limit("", "pids.max"), "50");
            assert_eq!(limit("", "cpu.max"), "50000 100000");
            let has_cpuset = limit("", "cgroup.controllers").contains("cpuset");
            assert_eq!(undelegated, usize::from(!has_cpuset), "said once, for two services");
            assert!(!has_cpuset || limit("", "cpuset.cpus") == "0");
        }
    }
}
