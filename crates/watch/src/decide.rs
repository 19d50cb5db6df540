//! Changed paths and rules in, actions out.

use crate::observer::Batch;
use crate::rule::{Action, Rule, Watched};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A path whose state on the host is to become its state in the containers of a service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sync {
    /// On the host; it may be gone.
    pub host: PathBuf,
    /// In the container, absolute.
    pub inside: PathBuf,
    /// A folder whose mode or owner changed: the container's gets them, though it is there.
    pub redressed: bool,
    /// The rule, by its place among the service's.
    pub rule: usize,
}

/// What one batch of changes asks of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actions {
    /// Its image is to be built anew.
    pub rebuild: bool,
    /// What is to be written, by rule and path.
    pub sync: Vec<Sync>,
    /// Its containers are to be restarted.
    pub restart: bool,
    /// Rules whose command is to run, each once.
    pub exec: BTreeSet<usize>,
}

impl Actions {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What a batch asks of a service: every rule that matches a path acts on it.
pub fn decide(watched: &Watched, batch: &Batch) -> Actions {
    let mut actions = Actions::default();
    let context = watched.context.as_ref();
    for (index, rule) in watched.rules.iter().enumerate() {
        // A folder that is gone took with it whatever the rule picked there, which no longer has names.
        let gone =
            batch.folders_gone.iter().filter(|folder| has(rule, folder) && rule.enters(folder, context));
        let picked = batch.changed.iter().filter(|path| rule.picks(path, context));
        let paths: BTreeSet<&PathBuf> = picked.chain(gone).collect();
        if paths.is_empty() {
            continue;
        }
        match rule.action {
            Action::Rebuild => actions.rebuild = true,
            Action::Restart | Action::SyncRestart => actions.restart = true,
            Action::SyncExec => drop(actions.exec.insert(index)),
            Action::Sync => {}
        }
        if rule.action.syncs() {
            let sync = paths.into_iter().filter_map(|host| {
                // The place that a rule names is the container's own.
                let redressed = *host != rule.path && batch.folders_redressed.contains(host);
                Some(Sync { host: host.clone(), inside: rule.inside(host)?, redressed, rule: index })
            });
            actions.sync.extend(sync);
        }
    }
    actions
}

fn has(rule: &Rule, path: &Path) -> bool {
    path.starts_with(&rule.path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::tests::{patterns, rule, watched};

    fn batch(changed: &[&str], gone: &[&str]) -> Batch {
        let paths = |list: &[&str]| list.iter().map(PathBuf::from).collect();
        Batch { changed: paths(changed), folders_gone: paths(gone), ..Batch::default() }
    }

    #[test]
    fn every_rule_that_matches_acts() {
        let mut rules = vec![rule(Path::new("/src"), &["*.md"]), rule(Path::new("/src/web"), &[])];
        rules[1].target = "/var/www".into();
        rules.push(Rule { action: Action::Rebuild, ..rule(Path::new("/src/package.json"), &[]) });
        rules.push(Rule { action: Action::SyncExec, ..rule(Path::new("/src/conf"), &[]) });
        let watched = watched(rules);
        let actions = decide(&watched, &batch(&["/src/web/a", "/src/README.md", "/elsewhere"], &[]));
        let sync = |host: &str, inside: &str, rule| Sync {
            host: host.into(),
            inside: inside.into(),
            redressed: false,
            rule,
        };
        assert_eq!(actions.sync, [sync("/src/web/a", "/app/web/a", 0), sync("/src/web/a", "/var/www/a", 1)]);
        assert!(!actions.rebuild && !actions.restart && actions.exec.is_empty());
        let actions = decide(&watched, &batch(&["/src/package.json", "/src/conf/x"], &[]));
        assert!(actions.rebuild);
        assert_eq!(actions.exec, [3].into());
        assert_eq!(decide(&watched, &batch(&["/src/README.md"], &[])), Actions::default());
    }

    #[test]
    fn a_folder_with_another_mode_is_sent_as_one_but_for_the_place_of_the_rule() {
        let watched = watched(vec![rule(Path::new("/src"), &[])]);
        let redressed = ["/src", "/src/sub"].map(PathBuf::from).into();
        let batch = Batch { folders_redressed: redressed, ..batch(&["/src", "/src/sub", "/src/new"], &[]) };
        let told =
            decide(&watched, &batch).sync.into_iter().map(|sync| (sync.host, sync.redressed)).collect();
        let expected: std::collections::BTreeMap<PathBuf, bool> =
            [("/src", false), ("/src/sub", true), ("/src/new", false)]
                .map(|(path, is)| (path.into(), is))
                .into();
        assert_eq!(expected, told);
    }

    #[test]
    fn a_watched_file_stands_for_its_target() {
        let mut only = rule(Path::new("/src/app.conf"), &[]);
        only.target = "/etc/app.conf".into();
        let actions = decide(&watched(vec![only]), &batch(&["/src/app.conf"], &[]));
        assert_eq!(actions.sync[0].inside.as_os_str(), "/etc/app.conf");
    }

    #[test]
    fn a_folder_that_is_gone_counts_though_include_names_files() {
        let mut some = rule(Path::new("/src"), &["skip"]);
        some.include = Some(patterns(&["**/*.py"]));
        let watched = watched(vec![some]);
        assert_eq!(decide(&watched, &batch(&["/src/sub"], &[])), Actions::default());
        assert_eq!(decide(&watched, &batch(&[], &["/src/sub"])).sync.len(), 1);
        assert_eq!(decide(&watched, &batch(&[], &["/src/skip"])), Actions::default());
        assert_eq!(decide(&watched, &batch(&["/src/sub/a.py", "/src/b.js"], &[])).sync.len(), 1);
    }

    #[test]
    fn what_the_image_leaves_out_is_not_watched() {
        let mut watched = watched(vec![rule(Path::new("/src/app"), &[])]);
        watched.context = Some(("/src".into(), patterns(&["app/logs", "**/*.tmp"])));
        assert!(decide(&watched, &batch(&["/src/app/logs/x", "/src/app/a.tmp"], &[])).is_empty());
        assert!(!decide(&watched, &batch(&["/src/app/a"], &[])).is_empty());
    }
}
