//! How long a start takes: `cargo run --release -p runtime --example start [COUNT]`, as root. From the
//! first call to the program's execve(2), with every namespace, overlay, cgroups, filter and masks.

use oci_spec::runtime::Spec;
use resource::{ContainerId, PodName, Resources, Roots, SecuritySpec};
use runtime::{Launch, Share, Stdio, cgroup, seccomp};
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count: usize = std::env::args().nth(1).map_or(Ok(200), |count| count.parse())?;
    let folder = std::env::temp_dir().join(format!("runtime-start-{}", std::process::id()));
    let layer = folder.join("layer");
    for below in ["bin", "dev", "proc", "sys"] {
        fs::create_dir_all(layer.join(below))?;
    }
    fs::copy("/bin/busybox", layer.join("bin/true"))?;
    let spec: Spec = serde_json::from_str(include_str!("start.json"))?;
    let compile = Instant::now();
    let program = seccomp::compile(&SecuritySpec::default())?;
    println!("compile the filter {:>8.3} ms", compile.elapsed().as_secs_f64() * 1000.0);
    let layers = [layer];
    let roots = Roots::at(folder.clone(), folder.clone(), "compose-runtime-bench".to_owned());
    let pod = PodName::from("pod");
    for (name, filtered, network) in [
        ("everything", true, Share::Private),
        ("without seccomp", false, Share::Private),
        ("in the host's network", true, Share::Host),
    ] {
        let mut times = [vec![], vec![], vec![], vec![], vec![]];
        for number in 0..count {
            let upper: PathBuf = folder.join(format!("{number}/upper"));
            let work = folder.join(format!("{number}/work"));
            fs::create_dir_all(&upper)?;
            let id = ContainerId(format!("{number:064x}"));
            let begin = Instant::now();
            let cgroup = cgroup::Placement::of(&roots, &pod).container(&pod, &id);
            cgroup.create(&Resources::default(), &spec)?;
            let created = Instant::now();
            let null = File::options().read(true).write(true).open("/dev/null")?;
            let launch = Launch {
                spec: &spec,
                layers: &layers,
                upper: &upper,
                work: &work,
                volatile: false,
                network,
                pid: Share::Private,
                ipc: Share::Private,
                uts: Share::Private,
                cgroup_namespace: true,
                stdio: Stdio::Files { stdin: null.as_fd(), stdout: null.as_fd(), stderr: null.as_fd() },
                cgroup: &cgroup,
                seccomp: program.as_ref().filter(|_| filtered),
                init: false,
                mapping: roots.mapping,
            };
            let starting = runtime::spawn(&launch)?;
            let cloned = Instant::now();
            let started = starting.finish()?;
            let running = Instant::now();
            sys::process::wait(started.pidfd.as_fd());
            let ended = Instant::now();
            cgroup.remove()?;
            let parts =
                [running - begin, created - begin, cloned - created, running - cloned, ended.elapsed()];
            for (times, part) in times.iter_mut().zip(parts) {
                times.push(part);
            }
        }
        let parts = ["running", "cgroup", "clone", "child", "remove"];
        let texts: Vec<_> = parts.iter().zip(&mut times).map(|(part, times)| summary(part, times)).collect();
        println!("{name:<22} median (min): {}", texts.join("  "));
    }
    cgroup::remove_pod(&roots, &pod)?;
    cgroup::remove_base(&roots)?;
    fs::remove_dir_all(folder)?;
    Ok(())
}

fn summary(part: &str, times: &mut [Duration]) -> String {
    times.sort_unstable();
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    format!("{part} {:.2} ({:.2})", ms(times[times.len() / 2]), ms(times[0]))
}
