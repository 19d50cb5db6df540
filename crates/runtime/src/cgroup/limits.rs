//! Limits: from a container's resources to what is written to which file. [`v1`] and [`v2`] decide,
//! [`apply`] writes.

use super::tree::CONTROLLERS;
use super::{CgroupError, Hierarchies, Warning};
use resource::Resources;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// One file to write.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Write {
    controller: &'static str,
    /// Names of the file; kernels differ.
    files: &'static [&'static str],
    value: String,
    /// Another file with a scale of its own, for the same: which of both counts depends on the device, so
    /// both are written.
    also: Option<(&'static str, String)>,
    /// What the user calls it, for a warning.
    what: &'static str,
}

/// A device and a number for it: `8:0`, rate or weight.
type Rate = (String, u64);

/// Rates and weights by device number.
#[derive(Debug, Default)]
struct Rates {
    weights: Vec<Rate>,
    read_bps: Vec<Rate>,
    write_bps: Vec<Rate>,
    read_iops: Vec<Rate>,
    write_iops: Vec<Rate>,
}

/// What a list of processors is called.
const CPUSET: &str = "cpuset";

/// The processors of a cgroup, on v2 and on v1.
const PROCESSORS: [&str; 2] = ["cpuset.cpus.effective", "cpuset.effective_cpus"];

/// What the user calls the limit of swap.
const SWAP: &str = "swap limit";
/// What the user calls the time for real-time scheduling. The kernel takes it where the groups above have it.
const REAL_TIME: &str = "real-time CPU time";

/// What the user calls weights of block I/O.
const WEIGHT: &str = "block I/O weight";

/// The user's manager of systemd is in a cgroup whose name begins so.
const USER_MANAGER: &str = "user@";

/// Sets all limits.
pub(super) fn apply(
    hierarchies: &Hierarchies,
    path: &Path,
    wanted: &Resources,
    warnings: &mut Vec<Warning>,
) -> Result<(), CgroupError> {
    let weights = wanted.blkio_weight_devices.iter();
    let weights: Vec<_> = weights.map(|(path, weight)| (path.clone(), u64::from(*weight))).collect();
    let rates = Rates {
        weights: rates(&weights, warnings),
        read_bps: rates(&wanted.read_bps, warnings),
        write_bps: rates(&wanted.write_bps, warnings),
        read_iops: rates(&wanted.read_iops, warnings),
        write_iops: rates(&wanted.write_iops, warnings),
    };
    let unified = hierarchies.is_v2();
    let writes = if unified { v2(wanted, &rates, warnings) } else { v1(wanted, &rates) };
    let missing = match (&hierarchies.v2, unified) {
        (Some(mount), true) => lacking(&mount.join(path)),
        _ => vec![],
    };
    let mut undelegated = false;
    for write in writes {
        let mount = match (&hierarchies.v2, unified) {
            (Some(mount), true) => Some(mount),
            _ => hierarchies.v1.iter().find(|each| each.has(write.controller)).map(|each| &each.path),
        };
        let Some(mount) = mount else {
            let Write { what, controller, .. } = write;
            warnings
                .push(Warning(format!("{what}: this machine has no {controller} controller; not limited")));
            continue;
        };
        let folder = mount.join(path);
        if missing.contains(&write.controller) {
            undelegated = true;
        } else {
            let mut said = vec![];
            put(&folder, &write, &mut said)?;
            // Swap is limited unasked with memory, as far as that goes.
            let asked = write.what != SWAP || wanted.memory_swap.is_some();
            warnings.extend(said.into_iter().filter(|_| asked));
        }
    }
    if undelegated {
        warnings.push(Warning(not_delegated(path, &missing)));
    }
    Ok(())
}

/// The controllers that the folder above did not hand down to this one; v1 has no such list.
fn lacking(folder: &Path) -> Vec<&'static str> {
    let list = fs::read_to_string(folder.join("cgroup.controllers")).unwrap_or_default();
    let has = |name: &&str| list.split_whitespace().any(|each| each == *name);
    CONTROLLERS.into_iter().filter(|name| !has(name)).collect()
}

/// The sentence for a cgroup that lacks these controllers: the same for every container beside it.
fn not_delegated(path: &Path, controllers: &[&str]) -> String {
    let (last, others) = controllers.split_last().unwrap_or((&"", &[]));
    let names =
        if others.is_empty() { (*last).to_owned() } else { format!("{} and {last}", others.join(", ")) };
    let is_users = path.iter().any(|part| part.to_string_lossy().starts_with(USER_MANAGER));
    let (of, help) = match is_users {
        true => (
            "systemd does not delegate",
            format!(
                "; as root: have `Delegate={}` below `[Service]` in \
                 /etc/systemd/system/user@.service.d/delegate.conf, systemctl daemon-reload, and log in again",
                CONTROLLERS.join(" ")
            ),
        ),
        false => ("this engine was not given", String::new()),
    };
    format!("limits that need the controllers {names} are not enforced: {of} them{help}")
}

/// Writes to the first of the files that exists, and to the one of another scale. It is set where one of
/// them takes it.
fn put(folder: &Path, write: &Write, warnings: &mut Vec<Warning>) -> Result<(), CgroupError> {
    let same = write.files.iter().map(|file| (folder.join(file), &write.value));
    let also = write.also.iter().map(|(file, value)| (folder.join(file), value));
    let exists = |(file, _): &(PathBuf, &String)| file.exists();
    let files = same.filter(exists).take(1).chain(also.filter(exists));
    let mut outcomes: Vec<_> = files.map(|(file, value)| (fs::write(&file, value), file)).collect();
    if outcomes.iter().any(|(outcome, _)| outcome.is_ok()) {
        return Ok(());
    }
    let Some((Err(error), file)) = outcomes.pop() else {
        let Write { what, files, .. } = write;
        warnings.push(Warning(format!("{what}: the kernel has no {}; not limited", files[0])));
        return Ok(());
    };
    if write.what == REAL_TIME && error.kind() == io::ErrorKind::InvalidInput {
        let text = format!("{REAL_TIME}: the cgroups above have none to give; not set");
        warnings.push(Warning(text));
        return Ok(());
    }
    if unsupported(&error) {
        warnings.push(Warning(format!("{}: {error}; not limited", write.what)));
        return Ok(());
    }
    let error = if write.what == CPUSET { not_there(folder, write, &error) } else { error };
    Err(CgroupError::new("set a limit of", &file)(error))
}

/// Why the kernel refuses a list of processors: some of them are none of this machine's, or of the cgroup's above.
fn not_there(folder: &Path, write: &Write, error: &io::Error) -> io::Error {
    let above = folder.parent().into_iter();
    let of_cgroup = above.flat_map(|above| PROCESSORS.iter().map(|file| above.join(file)));
    let mut files = of_cgroup.chain([PathBuf::from("/sys/devices/system/cpu/online")]);
    let there = files.find_map(|file| fs::read_to_string(file).ok().filter(|list| !list.trim().is_empty()));
    let text = match there {
        Some(there) => format!("it asks for the processors {}, and there are {}", write.value, there.trim()),
        None => format!("it asks for the processors {}, which are not all there", write.value),
    };
    io::Error::new(error.kind(), text)
}

/// Whether an error means that this kernel, or our rights, do not reach so far.
fn unsupported(error: &io::Error) -> bool {
    use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem, Unsupported};
    matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem | Unsupported)
        || error.raw_os_error() == Some(rustix::io::Errno::OPNOTSUPP.raw_os_error())
}

/// Device numbers for the paths of rates and weights.
fn rates(wanted: &[(PathBuf, u64)], warnings: &mut Vec<Warning>) -> Vec<Rate> {
    let mut found = vec![];
    for (path, rate) in wanted {
        match fs::metadata(path) {
            Ok(device) if device.file_type().is_block_device() => {
                let (major, minor) = (rustix::fs::major(device.rdev()), rustix::fs::minor(device.rdev()));
                found.push((format!("{major}:{minor}"), *rate));
            }
            _ => warnings.push(Warning(format!("{} is not a block device; not limited", path.display()))),
        }
    }
    found
}

/// Bytes of memory and swap together; without a wish, twice the memory as Docker has it.
fn memory_and_swap(wanted: &Resources) -> Option<i64> {
    match (wanted.memory, wanted.memory_swap) {
        (_, Some(total)) if total != 0 => Some(total),
        (Some(memory), _) => Some(i64::try_from(memory.saturating_mul(2)).unwrap_or(-1)),
        (None, _) => None,
    }
}

/// `max` for −1 and 0.
fn pids(limit: i64) -> String {
    if limit > 0 { limit.to_string() } else { "max".to_owned() }
}

/// What is written on v1, in order: memory before memory with swap, the period before the quota.
fn v1(wanted: &Resources, rates: &Rates) -> Vec<Write> {
    let mut writes = vec![];
    let mut add = |controller, files, what, value: Option<String>| {
        writes.extend(value.map(|value| Write { controller, files, value, also: None, what }));
    };
    let text = |number: Option<u64>| number.map(|number| number.to_string());
    add("memory", &["memory.limit_in_bytes"], "memory limit", text(wanted.memory));
    let total = memory_and_swap(wanted).map(|total| total.to_string());
    add("memory", &["memory.memsw.limit_in_bytes"], SWAP, total);
    let reservation = text(wanted.memory_reservation);
    add("memory", &["memory.soft_limit_in_bytes"], "memory reservation", reservation);
    add("memory", &["memory.swappiness"], "swappiness", text(wanted.swappiness));
    let disable = wanted.oom_kill_disable.then(|| "1".to_owned());
    add("memory", &["memory.oom_control"], "oom_kill_disable", disable);
    add("cpu", &["cpu.cfs_period_us"], "CPU period", text(wanted.cpu_period));
    let quota = wanted.cpu_quota.map(|quota| quota.to_string());
    add("cpu", &["cpu.cfs_quota_us"], "CPU quota", quota);
    add("cpu", &["cpu.rt_period_us"], REAL_TIME, text(wanted.cpu_rt_period));
    let runtime = wanted.cpu_rt_runtime.map(|runtime| runtime.to_string());
    add("cpu", &["cpu.rt_runtime_us"], REAL_TIME, runtime);
    add("cpu", &["cpu.shares"], "CPU shares", text(wanted.cpu_shares));
    add("cpuset", &["cpuset.cpus"], CPUSET, wanted.cpuset.clone());
    add("pids", &["pids.max"], "limit of processes", wanted.pids.map(pids));
    let weight = wanted.blkio_weight.map(|weight| weight.to_string());
    add("blkio", &["blkio.weight", "blkio.bfq.weight"], WEIGHT, weight);
    for (device, weight) in &rates.weights {
        let files = &["blkio.weight_device", "blkio.bfq.weight_device"];
        add("blkio", files, WEIGHT, Some(format!("{device} {weight}")));
    }
    let throttles: [(&'static [&'static str], _); 4] = [
        (&["blkio.throttle.read_bps_device"], &rates.read_bps),
        (&["blkio.throttle.write_bps_device"], &rates.write_bps),
        (&["blkio.throttle.read_iops_device"], &rates.read_iops),
        (&["blkio.throttle.write_iops_device"], &rates.write_iops),
    ];
    for (files, rates) in throttles {
        for (device, rate) in rates {
            add("blkio", files, "block I/O rate", Some(format!("{device} {rate}")));
        }
    }
    writes
}

/// What is written on v2, in its own scales.
fn v2(wanted: &Resources, rates: &Rates, warnings: &mut Vec<Warning>) -> Vec<Write> {
    let mut writes = vec![];
    let mut add = |controller, files, what, value: Option<String>| {
        writes.extend(value.map(|value| Write { controller, files, value, also: None, what }));
    };
    let text = |number: Option<u64>| number.map(|number| number.to_string());
    add("memory", &["memory.max"], "memory limit", text(wanted.memory));
    // Here swap is counted alone.
    let swap = memory_and_swap(wanted).map(|total| match u64::try_from(total) {
        Ok(total) => total.saturating_sub(wanted.memory.unwrap_or(0)).to_string(),
        Err(_) => "max".to_owned(),
    });
    add("memory", &["memory.swap.max"], SWAP, swap);
    add("memory", &["memory.low"], "memory reservation", text(wanted.memory_reservation));
    let quota = match (wanted.cpu_quota, wanted.cpu_period) {
        (None, None) => None,
        (Some(quota), period) if quota > 0 => Some(format!("{quota} {}", period.unwrap_or(100_000))),
        (_, period) => Some(format!("max {}", period.unwrap_or(100_000))),
    };
    add("cpu", &["cpu.max"], "CPU quota", quota);
    add(
        "cpu",
        &["cpu.weight"],
        "CPU shares",
        wanted.cpu_shares.map(|shares| weight_of_shares(shares).to_string()),
    );
    add("cpuset", &["cpuset.cpus"], CPUSET, wanted.cpuset.clone());
    add("pids", &["pids.max"], "limit of processes", wanted.pids.map(pids));
    let weights = wanted.blkio_weight.map(|weight| ("default", u64::from(weight)));
    let devices = rates.weights.iter().map(|(device, weight)| (device.as_str(), *weight));
    for (of, weight) in weights.into_iter().chain(devices) {
        writes.push(Write {
            controller: "io",
            files: &["io.weight"],
            value: format!("{of} {}", weight_of_blkio(weight)),
            // A disk's scheduler reads one of them: BFQ its own, blk-iocost the other.
            also: Some(("io.bfq.weight", format!("{of} {weight}"))),
            what: WEIGHT,
        });
    }
    let mut add = |controller, files, what, value: Option<String>| {
        writes.extend(value.map(|value| Write { controller, files, value, also: None, what }));
    };
    let maxima = [
        ("rbps", &rates.read_bps),
        ("wbps", &rates.write_bps),
        ("riops", &rates.read_iops),
        ("wiops", &rates.write_iops),
    ];
    for (key, rates) in maxima {
        for (device, rate) in rates {
            add("io", &["io.max"], "block I/O rate", Some(format!("{device} {key}={rate}")));
        }
    }
    if wanted.swappiness.is_some() {
        warnings.push(Warning("swappiness: cgroup v2 does not have it; not set".to_owned()));
    }
    if wanted.cpu_rt_runtime.is_some() || wanted.cpu_rt_period.is_some() {
        warnings.push(Warning(format!("{REAL_TIME}: cgroup v2 does not have it; not set")));
    }
    if wanted.oom_kill_disable {
        warnings.push(Warning("oom_kill_disable: cgroup v2 does not have it; not set".to_owned()));
    }
    writes
}

/// 2…262144 of v1 to 1…10000 of v2, linear, as OCI runtimes do it; 0 is the default.
fn weight_of_shares(shares: u64) -> u64 {
    let shares = if shares == 0 { 1024 } else { shares.clamp(2, 262_144) };
    1 + ((shares - 2) * 9999) / 262_142
}

/// 10…1000 of v1 to 1…10000 of v2.
fn weight_of_blkio(weight: u64) -> u64 {
    1 + (weight.clamp(10, 1000) - 10) * 9999 / 990
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(writes: &[Write]) -> Vec<String> {
        writes.iter().map(|write| format!("{} = {}", write.files[0], write.value)).collect()
    }

    fn wanted() -> Resources {
        Resources {
            memory: Some(64 << 20),
            memory_reservation: Some(32 << 20),
            cpu_quota: Some(50_000),
            cpu_period: Some(100_000),
            cpu_rt_runtime: Some(5000),
            cpu_rt_period: Some(1_000_000),
            cpu_shares: Some(1024),
            cpuset: Some("0".into()),
            pids: Some(-1),
            blkio_weight: Some(500),
            swappiness: Some(10),
            ..Resources::default()
        }
    }

    #[test]
    fn a_user_is_told_which_controllers_to_have_delegated() {
        let users = Path::new("user.slice/user@1000.service/app.slice/compose-shop.scope/shop/7");
        let said = not_delegated(users, &["cpuset", "io"]);
        assert!(said.starts_with("limits that need the controllers cpuset and io are not enforced: systemd"));
        assert!(said.contains("`Delegate=cpu cpuset io memory pids`"), "{said}");
        let said = not_delegated(Path::new("compose/shop/7"), &["io"]);
        assert!(said.ends_with("controllers io are not enforced: this engine was not given them"), "{said}");
    }

    #[test]
    fn limits_on_v1() {
        let expected = [
            "memory.limit_in_bytes = 67108864",
            "memory.memsw.limit_in_bytes = 134217728",
            "memory.soft_limit_in_bytes = 33554432",
            "memory.swappiness = 10",
            "cpu.cfs_period_us = 100000",
            "cpu.cfs_quota_us = 50000",
            "cpu.rt_period_us = 1000000",
            "cpu.rt_runtime_us = 5000",
            "cpu.shares = 1024",
            "cpuset.cpus = 0",
            "pids.max = max",
            "blkio.weight = 500",
            "blkio.weight_device = 8:0 200",
        ];
        let rates = Rates { weights: vec![("8:0".into(), 200)], ..Rates::default() };
        assert_eq!(lines(&v1(&wanted(), &rates)), expected);
    }

    #[test]
    fn limits_on_v2_and_what_it_lacks() {
        let expected = [
            "memory.max = 67108864",
            "memory.swap.max = 67108864",
            "memory.low = 33554432",
            "cpu.max = 50000 100000",
            "cpu.weight = 39",
            "cpuset.cpus = 0",
            "pids.max = max",
            "io.weight = default 4950",
            "io.weight = 8:0 1920",
            "io.max = 8:0 rbps=1024",
        ];
        let (weights, read_bps) = (vec![("8:0".into(), 200)], vec![("8:0".into(), 1024)]);
        let rates = Rates { weights, read_bps, ..Rates::default() };
        let mut warnings = vec![];
        let writes = v2(&wanted(), &rates, &mut warnings);
        assert_eq!(lines(&writes), expected);
        let others: Vec<_> = writes.iter().filter_map(|write| write.also.clone()).collect();
        let of_bfq = ["default 500", "8:0 200"].map(|value| ("io.bfq.weight", value.to_owned()));
        assert_eq!(others, of_bfq, "in the scale of the file");
        assert_eq!(warnings.len(), 2);
    }

    #[test]
    fn a_weight_is_set_for_whichever_scheduler_a_disk_has() {
        let folder = tempfile::tempdir().unwrap();
        let rates = Rates { weights: vec![("8:0".into(), 200)], ..Rates::default() };
        let writes = v2(&Resources::default(), &rates, &mut vec![]);
        let set = || {
            let mut warnings = vec![];
            writes.iter().for_each(|write| put(folder.path(), write, &mut warnings).unwrap());
            warnings.len()
        };
        assert_eq!(set(), 1, "neither file is there");
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        fs::write(folder.path().join("io.bfq.weight"), "").unwrap();
        assert_eq!((set(), read("io.bfq.weight").as_str()), (0, "8:0 200"));
        fs::write(folder.path().join("io.weight"), "").unwrap();
        assert_eq!((set(), read("io.weight").as_str()), (0, "8:0 1920"));
        fs::write(folder.path().join("io.bfq.weight"), "").unwrap();
        assert_eq!((set(), read("io.bfq.weight").as_str()), (0, "8:0 200"), "beside the other");
    }

    #[test]
    fn swap_without_end_and_weights_at_their_ends() {
        let wanted = Resources { memory: Some(1 << 20), memory_swap: Some(-1), ..Resources::default() };
        let writes = v2(&wanted, &Rates::default(), &mut vec![]);
        assert_eq!(lines(&writes)[1], "memory.swap.max = max");
        assert_eq!([weight_of_shares(2), weight_of_shares(262_144)], [1, 10_000]);
        assert_eq!([weight_of_blkio(10), weight_of_blkio(1000)], [1, 10_000]);
    }
}
