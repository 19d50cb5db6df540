//! Limits and weights; what `deploy` says wins.

use crate::lowering::Lowering;
use compose_spec::Service;
use diagnostic::{Severity, Span};
use resource::Resources;
use std::path::PathBuf;

/// The least memory a container can be limited to.
const LEAST_MEMORY: u64 = 6 << 20;

impl Lowering<'_> {
    pub(crate) fn resources(&mut self, service: &Service) -> Resources {
        let some = |number: Option<i64>| {
            number.and_then(|number| u64::try_from(number).ok()).filter(|number| *number > 0)
        };
        self.check_numbers(service);
        let memory = some(service.memory_limit());
        let (cpu_quota, cpu_period) = self.cpu(service);
        let own = cpu_quota.map(|quota| quota as f64 / cpu_period.unwrap_or(PERIOD) as f64);
        let all = self.project.pod_limits().cpus;
        if let Some((own, all)) = own.zip(all).filter(|(own, all)| own > all) {
            let path = if service.cpu_limit().is_some() { cpus_path(service) } else { "cpu_quota" };
            self.error(service, path, format!("{own} CPUs are more than the {all} of `x-pod.cpus`"));
        }
        let mut resources = Resources {
            memory,
            memory_swap: self.memory_swap(service, memory),
            memory_reservation: some(service.memory_reservation()),
            swappiness: some(service.mem_swappiness),
            oom_kill_disable: service.oom_kill_disable,
            oom_score_adj: service
                .oom_score_adj
                .and_then(|value| i32::try_from(value).ok())
                .filter(|value| *value != 0),
            cpu_quota,
            cpu_period,
            cpu_rt_runtime: service.cpu_rt_runtime.filter(|runtime| *runtime != 0),
            cpu_rt_period: some(service.cpu_rt_period),
            cpu_shares: some(service.cpu_shares),
            cpuset: service.cpuset.clone().filter(|set| !set.is_empty()),
            pids: service.pids().filter(|pids| *pids != 0),
            parent: self.cgroup_parent(service),
            ..Resources::default()
        };
        if memory.is_some_and(|memory| memory < LEAST_MEMORY) {
            self.error(service, memory_path(service), "the least memory limit is 6 MiB");
        }
        if memory.zip(resources.memory_reservation).is_some_and(|(limit, reserved)| reserved > limit) {
            self.error(service, "mem_reservation", "more memory is reserved than the limit allows");
        }
        self.block_io(service, &mut resources);
        resources
    }

    /// Numbers that mean nothing where they stand. −1 and 0 are no limit.
    fn check_numbers(&mut self, service: &Service) {
        if service.cpu_limit().is_some_and(|cpus| cpus < 0.0) {
            self.error(service, cpus_path(service), "a number of CPUs cannot be negative");
        }
        if service.memory_limit().is_some_and(|memory| memory < -1) {
            self.error(service, memory_path(service), "a limit of memory cannot be negative");
        }
        if service.cpu_shares.is_some_and(|shares| shares < 0) {
            self.error(service, "cpu_shares", "shares of CPU time cannot be negative");
        }
        if service.mem_swappiness.is_some_and(|share| !(-1..=100).contains(&share)) {
            self.error(service, "mem_swappiness", "swappiness is from 0 to 100");
        }
        if let Some(set) = service.cpuset.as_ref().filter(|set| !is_cpuset(set)) {
            let message = format!("`{set}` is no list of CPUs, such as `0-3` or `0,2`");
            self.error(service, "cpuset", message);
        }
    }

    /// The parent's path without what says that it begins at the root: everything does.
    fn cgroup_parent(&mut self, service: &Service) -> Option<String> {
        let text = service.cgroup_parent.as_deref().filter(|text| !text.is_empty())?;
        let plain = text.trim_matches('/');
        let is_name = |part: &str| !matches!(part, "" | "." | "..");
        if !plain.split('/').all(is_name) {
            self.error(
                service,
                "cgroup_parent",
                format!("`{text}` is no path of a cgroup, such as `/team/apps`"),
            );
            return None;
        }
        Some(plain.to_owned())
    }

    /// What all services together may use: `x-pod`.
    pub(crate) fn pod_resources(&mut self) -> Resources {
        let limits = self.project.pod_limits();
        let some = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
        let memory = some(limits.mem_limit);
        let reservation = some(limits.mem_reservation);
        let swap = limits.memswap_limit;
        let is_less = |total: i64, memory| u64::try_from(total).is_ok_and(|total| total < memory);
        for (key, is_wrong, message) in [
            (
                "mem_limit",
                memory.is_some_and(|memory| memory < LEAST_MEMORY),
                "the least memory limit is 6 MiB",
            ),
            (
                "mem_reservation",
                memory.zip(reservation).is_some_and(|(limit, reserved)| reserved > limit),
                "more memory is reserved than the limit allows",
            ),
            ("memswap_limit", swap.is_some() && memory.is_none(), "`memswap_limit` needs a memory limit"),
            (
                "memswap_limit",
                swap.zip(memory).is_some_and(|(total, memory)| is_less(total, memory)),
                "`memswap_limit` counts memory and swap: it is below the memory limit",
            ),
        ] {
            if is_wrong {
                let place = self.project.pod_limit_place(key).unwrap_or(Span::NOWHERE);
                self.tell(Severity::Error, "unusable-value", place, format!("`x-pod`: {message}"), "");
            }
        }
        Resources {
            memory,
            memory_swap: swap.or_else(|| i64::try_from(memory?.saturating_mul(2)).ok()),
            memory_reservation: reservation,
            cpu_quota: limits.cpus.map(quota_of),
            cpu_period: limits.cpus.map(|_| PERIOD),
            cpu_shares: some(limits.cpu_shares),
            pids: limits.pids_limit,
            ..Resources::default()
        }
    }

    /// Memory and swap together: twice the memory unless it is said.
    fn memory_swap(&mut self, service: &Service, memory: Option<u64>) -> Option<i64> {
        let total = service.memswap_limit.filter(|total| *total != 0);
        match (total, memory) {
            (None, None) => None,
            (None, Some(memory)) => i64::try_from(memory.saturating_mul(2)).ok(),
            (Some(total), _) if total < 0 => Some(-1),
            (Some(_), None) => {
                self.error(service, "memswap_limit", "`memswap_limit` needs a memory limit");
                None
            }
            (Some(total), Some(memory)) => {
                if u64::try_from(total).is_ok_and(|total| total < memory) {
                    self.error(
                        service,
                        "memswap_limit",
                        "`memswap_limit` counts memory and swap: it is below the memory limit",
                    );
                }
                Some(total)
            }
        }
    }

    /// Quota and period, µs.
    fn cpu(&mut self, service: &Service) -> (Option<i64>, Option<u64>) {
        let quota = service.cpu_quota.filter(|quota| *quota != 0);
        let period =
            service.cpu_period.and_then(|period| u64::try_from(period).ok()).filter(|period| *period > 0);
        if period.is_some_and(|period| !PERIODS.contains(&period)) {
            let (first, last) = (PERIODS.start(), PERIODS.end());
            self.error(service, "cpu_period", format!("a period is from {first} to {last} µs"));
        }
        if quota.is_some_and(|quota| (1..LEAST_QUOTA).contains(&quota)) {
            self.error(service, "cpu_quota", format!("the least quota is {LEAST_QUOTA} µs"));
        }
        match service.cpu_limit().filter(|cpus| *cpus > 0.0) {
            None => (quota, period),
            Some(_) if quota.is_some() || period.is_some() => {
                self.error(service, "cpus", "`cpus` and `cpu_quota` or `cpu_period` exclude one another");
                (quota, period)
            }
            Some(cpus) => (Some(quota_of(cpus)), Some(PERIOD)),
        }
    }

    fn block_io(&mut self, service: &Service, resources: &mut Resources) {
        let Some(blkio) = &service.blkio_config else { return };
        resources.blkio_weight = blkio.weight.filter(|weight| *weight > 0);
        for (place, (device, weight)) in blkio.weight_device.iter().enumerate() {
            if !(10..=1000).contains(weight) {
                let path = format!("blkio_config.weight_device.{place}.weight");
                self.error(service, &path, format!("the weight of {device} must be from 10 to 1000"));
            }
        }
        let weights = blkio.weight_device.iter();
        resources.blkio_weight_devices = weights.map(|(path, weight)| (path.into(), *weight)).collect();
        let mut rates = |key: &str, list: &[(String, i64)]| -> Vec<(PathBuf, u64)> {
            let mut rates = vec![];
            for (place, (path, rate)) in list.iter().enumerate() {
                match u64::try_from(*rate) {
                    Ok(rate) => rates.push((PathBuf::from(path), rate)),
                    Err(_) => {
                        let place = format!("blkio_config.{key}.{place}.rate");
                        self.error(service, &place, format!("the rate of {path} cannot be negative"));
                    }
                }
            }
            rates
        };
        resources.read_bps = rates("device_read_bps", &blkio.device_read_bps);
        resources.write_bps = rates("device_write_bps", &blkio.device_write_bps);
        resources.read_iops = rates("device_read_iops", &blkio.device_read_iops);
        resources.write_iops = rates("device_write_iops", &blkio.device_write_iops);
    }
}

/// Where the limit of memory stands that holds.
fn memory_path(service: &Service) -> &'static str {
    let deployed = service.deploy.as_ref().and_then(|deploy| deploy.limit_memory);
    if deployed.is_some() { "deploy.resources.limits.memory" } else { "mem_limit" }
}

/// Where the number of CPUs stands that holds.
fn cpus_path(service: &Service) -> &'static str {
    let deployed = service.deploy.as_ref().and_then(|deploy| deploy.limit_cpus);
    if deployed.is_some() { "deploy.resources.limits.cpus" } else { "cpus" }
}

/// Whether a text lists CPUs as cpuset(7) has it, `0-3,5`; an empty one is no wish.
fn is_cpuset(text: &str) -> bool {
    let is_part = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.trim().parse::<u16>().ok();
        number(first).zip(number(last)).is_some_and(|(first, last)| first <= last)
    };
    text.trim().is_empty() || text.split(',').all(is_part)
}

/// The periods of CPU time that the kernel takes, µs.
const PERIODS: std::ops::RangeInclusive<u64> = 1000..=1_000_000;

/// The least CPU time in a period that the kernel takes, µs.
const LEAST_QUOTA: i64 = 1000;

/// The length of a period of CPU time where only a number of CPUs is given, µs.
const PERIOD: u64 = 100_000;

/// The time that so many CPUs have in such a period, µs; the kernel takes no less than a millisecond.
fn quota_of(cpus: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "a number of CPUs is small; a cast saturates")]
    let quota = (cpus * 100_000.0).round() as i64;
    quota.max(LEAST_QUOTA)
}

/// Reads a size of `tmpfs`, `64m`; base 1024 as mount(8) has it.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    scaled(text, 1024)
}

/// Reads `10`, `10k`, `10m`, `10g`, with `b` or `B` behind it or not, and a base for the letters.
pub(crate) fn scaled(text: &str, base: u64) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let text = text.strip_suffix("ib").or_else(|| text.strip_suffix('b')).unwrap_or(&text);
    let (number, power) = match text.chars().last()? {
        'k' => (&text[..text.len() - 1], 1),
        'm' => (&text[..text.len() - 1], 2),
        'g' => (&text[..text.len() - 1], 3),
        't' => (&text[..text.len() - 1], 4),
        _ => (text, 0),
    };
    number.trim().parse::<u64>().ok()?.checked_mul(base.checked_pow(power)?)
}

#[cfg(test)]
mod tests {
    use super::{is_cpuset, scaled};

    #[test]
    fn cpus_are_listed_by_numbers_and_ranges() {
        for good in ["", "0", "0-3", "0,2", "0-1,4-7"] {
            assert!(is_cpuset(good), "{good}");
        }
        for bad in ["x", "3-1", "0,", "-1", "0-", "1-2-3"] {
            assert!(!is_cpuset(bad), "{bad}");
        }
    }

    #[test]
    fn sizes_of_logs_are_decimal_and_those_of_mounts_are_not() {
        assert_eq!(scaled("10m", 1000), Some(10_000_000));
        assert_eq!(scaled("10MB", 1000), Some(10_000_000));
        assert_eq!(scaled("64k", 1024), Some(65_536));
        assert_eq!(scaled("7", 1024), Some(7));
        assert_eq!(scaled("x", 1024), None);
        assert_eq!(scaled("", 1024), None);
        assert_eq!(scaled("99999999999999t", 1024), None);
    }
}
