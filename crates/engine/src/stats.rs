//! What containers and pods use: their cgroups' counters, and what went through their interfaces.

use crate::Engine;
use resource::{NetworkMode, ObservedContainer, PodName, Status};
use runtime::cgroup::Usage;
use std::time::Duration;

/// What something uses at one moment. What the kernel does not count for it is absent: everything of
/// what does not run, the cgroup's part where the engine has no cgroups, the network's with the host's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Memory, processor time, processes and block devices.
    pub usage: Option<Usage>,
    /// Its interfaces.
    pub traffic: Option<Traffic>,
}

/// Bytes that went through the interfaces of a network namespace, loopback left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes that came.
    pub received: u64,
    /// Bytes that went.
    pub sent: u64,
}

impl Engine {
    /// What a container uses now.
    pub fn sample(&self, container: &ObservedContainer) -> Sample {
        let spec = &container.record.spec;
        if !matches!(container.state.status, Status::Running | Status::Paused) {
            return Sample::default();
        }
        let pid = container.state.process.filter(|_| spec.network_mode != NetworkMode::Host);
        let devices =
            pid.and_then(|process| std::fs::read_to_string(format!("/proc/{}/net/dev", process.pid)).ok());
        Sample {
            usage: self.usage(&spec.pod, &container.record.id).and_then(counted),
            traffic: devices.map(|text| traffic(&text)),
        }
    }

    /// What all containers of a pod use together now, by the pod's own cgroup; `None` when nothing runs
    /// in it, or without cgroups.
    pub fn pod_usage(&self, pod: &PodName) -> Option<Usage> {
        runtime::cgroup::open_pod(self.roots(), pod).usage().and_then(counted)
    }
}

/// The usage, if the kernel counts it at all: where something runs there is at least one process.
fn counted(usage: Usage) -> Option<Usage> {
    (usage.pids > 0).then_some(usage)
}

/// What a `/proc/PID/net/dev` tells.
fn traffic(text: &str) -> Traffic {
    let mut sum = Traffic::default();
    for (name, numbers) in text.lines().filter_map(|line| line.split_once(':')) {
        if name.trim() == "lo" {
            continue;
        }
        let numbers: Vec<&str> = numbers.split_ascii_whitespace().collect();
        let number = |index: usize| numbers.get(index).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        sum.received += number(0);
        sum.sent += number(8);
    }
    sum
}

/// Percent of one processor that this much processor time (ns) is of a span of time.
#[expect(clippy::cast_precision_loss, reason = "a few digits are shown")]
pub fn processor_percent(used: u64, span: Duration) -> f64 {
    let span = span.as_nanos();
    if span == 0 { 0.0 } else { used as f64 * 100.0 / span as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_is_that_of_all_interfaces_but_loopback() {
        let text = "Inter-|   Receive                                                |  Transmit\n \
             face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets\n    \
             lo:    500       5    0    0    0     0          0         0      500       5    0\n  \
             eth0: 1000      10    0    0    0     0          0         0     2000      20    0\n  \
             eth1:7 1 0 0 0 0 0 0 8 1 0\n";
        assert_eq!(traffic(text), Traffic { received: 1007, sent: 2008 });
    }

    #[test]
    fn nothing_counted_is_not_zero_used() {
        assert_eq!(counted(Usage::default()), None);
        let usage = Usage { pids: 1, ..Usage::default() };
        assert_eq!(counted(usage), Some(usage));
    }

    #[test]
    fn a_processor_in_full_is_a_hundred_percent() {
        assert!((processor_percent(1_500_000_000, Duration::from_secs(1)) - 150.0).abs() < 1e-9);
        assert!(processor_percent(1, Duration::ZERO).abs() < 1e-9);
    }
}
