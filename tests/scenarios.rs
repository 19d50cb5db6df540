//! Whole-program scenarios: the built `compose` against the kernel. Each owns a folder in `cases/`,
//! states what the program owes its user, and looks at what is there afterwards.

#![expect(clippy::unwrap_used, reason = "a scenario that cannot go on has failed")]

#[path = "scenarios/addresses.rs"]
mod addresses;
#[path = "scenarios/archives.rs"]
mod archives;
#[path = "scenarios/attributes.rs"]
mod attributes;
#[path = "scenarios/bombs.rs"]
mod bombs;
#[path = "scenarios/borders.rs"]
mod borders;
#[path = "scenarios/build_failures.rs"]
mod build_failures;
#[path = "scenarios/build_keys.rs"]
mod build_keys;
#[path = "scenarios/builds.rs"]
mod builds;
#[path = "scenarios/caches.rs"]
mod caches;
#[path = "scenarios/cgroups.rs"]
mod cgroups;
#[path = "scenarios/contents.rs"]
mod contents;
#[path = "scenarios/copies.rs"]
mod copies;
#[path = "scenarios/damage.rs"]
mod damage;
#[path = "scenarios/dashboard.rs"]
mod dashboard;
#[path = "scenarios/dependencies.rs"]
mod dependencies;
#[path = "scenarios/disk.rs"]
mod disk;
#[path = "scenarios/dockerfiles.rs"]
mod dockerfiles;
#[path = "scenarios/editors.rs"]
mod editors;
#[path = "scenarios/emulators.rs"]
mod emulators;
#[path = "scenarios/externals.rs"]
mod externals;
#[path = "scenarios/faults.rs"]
mod faults;
#[path = "scenarios/files.rs"]
mod files;
#[path = "scenarios/firewall.rs"]
mod firewall;
#[path = "scenarios/flags.rs"]
mod flags;
#[path = "scenarios/gateways.rs"]
mod gateways;
#[path = "scenarios/graph.rs"]
mod graph;
#[path = "scenarios/guide.rs"]
mod guide;
#[path = "scenarios/happenings.rs"]
mod happenings;
#[path = "scenarios/hooks.rs"]
mod hooks;
#[path = "scenarios/hostile.rs"]
mod hostile;
#[path = "scenarios/idle.rs"]
mod idle;
#[path = "scenarios/images.rs"]
mod images;
#[path = "scenarios/input.rs"]
mod input;
#[path = "scenarios/interrupted.rs"]
mod interrupted;
#[path = "scenarios/keys.rs"]
mod keys;
#[path = "scenarios/kills.rs"]
mod kills;
#[path = "scenarios/lacks.rs"]
mod lacks;
#[path = "scenarios/layouts.rs"]
mod layouts;
#[path = "scenarios/life.rs"]
mod life;
#[path = "scenarios/limits.rs"]
mod limits;
#[path = "scenarios/locks.rs"]
mod locks;
#[path = "scenarios/logins.rs"]
mod logins;
#[path = "scenarios/logs.rs"]
mod logs;
#[path = "scenarios/mounts.rs"]
mod mounts;
#[path = "scenarios/names.rs"]
mod names;
#[path = "scenarios/neighbours.rs"]
mod neighbours;
#[path = "scenarios/network.rs"]
mod network;
#[path = "scenarios/networks.rs"]
mod networks;
#[path = "scenarios/outside.rs"]
mod outside;
#[path = "scenarios/plans.rs"]
mod plans;
#[path = "scenarios/platforms.rs"]
mod platforms;
#[path = "scenarios/pods.rs"]
mod pods;
#[path = "scenarios/process.rs"]
mod process;
#[path = "scenarios/providers.rs"]
mod providers;
#[path = "scenarios/pulls.rs"]
mod pulls;
#[path = "scenarios/pushing.rs"]
mod pushing;
#[path = "scenarios/rare.rs"]
mod rare;
#[path = "scenarios/reach.rs"]
mod reach;
#[path = "scenarios/readers.rs"]
mod readers;
#[path = "scenarios/refusals.rs"]
mod refusals;
#[path = "scenarios/registries.rs"]
mod registries;
#[path = "scenarios/remotes.rs"]
mod remotes;
#[path = "scenarios/rootless.rs"]
mod rootless;
#[path = "scenarios/runtimes.rs"]
mod runtimes;
#[path = "scenarios/screens.rs"]
mod screens;
#[path = "scenarios/seldom.rs"]
mod seldom;
#[path = "scenarios/sharing.rs"]
mod sharing;
#[path = "scenarios/shells.rs"]
mod shells;
#[path = "scenarios/storage.rs"]
mod storage;
#[path = "scenarios/swaps.rs"]
mod swaps;
#[path = "scenarios/typing.rs"]
mod typing;
#[path = "scenarios/units.rs"]
mod units;
#[path = "scenarios/variables.rs"]
mod variables;
#[path = "scenarios/watch.rs"]
mod watch;
#[path = "scenarios/watch_faults.rs"]
mod watch_faults;
#[path = "scenarios/words.rs"]
mod words;
