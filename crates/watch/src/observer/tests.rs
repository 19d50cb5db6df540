//! Real folders and the real kernel.

use super::*;
use crate::rule::tests::{patterns, rule, watched};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

struct Bed {
    folder: tempfile::TempDir,
    observer: Observer,
    /// What polling may tell of once more, because it was young when it was looked at.
    young: BTreeSet<PathBuf>,
}

impl Bed {
    /// Watches `src` of a new folder, which has `src/a` and `src/skip/` already.
    fn watched() -> Self {
        Self::of(Observer::new)
    }

    /// The same where the kernel gives no watcher.
    fn polled() -> Self {
        let none = |_| Err(notify::Error::new(notify::ErrorKind::MaxFilesWatch));
        let mut bed =
            Self::of(|services| Observer::with(services, none, Poll::every(Duration::from_millis(5))));
        assert!(matches!(bed.observer.notices()[..], [Notice::Deaf(_)]));
        assert!(bed.observer.notices().is_empty() && bed.observer.folders.is_empty());
        bed.young.insert(bed.at("src/a"));
        bed
    }

    fn of(observe: impl FnOnce(Arc<[Watched]>) -> Observer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("src/skip")).unwrap();
        std::fs::write(folder.path().join("src/a"), "").unwrap();
        let mut rules = vec![rule(&folder.path().join("src"), &["skip", "*.tmp"])];
        rules.push(rule(&folder.path().join("later/deep"), &[]));
        rules[1].include = Some(patterns(&["*.txt"]));
        let observer = observe([watched(rules)].into());
        Self { folder, observer, young: BTreeSet::new() }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str) {
        let path = self.at(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "text").unwrap();
    }

    /// Batches until these paths are all told of; nothing else may be.
    async fn tells(&mut self, names: &[&str]) -> Batch {
        let wanted: BTreeSet<PathBuf> = names.iter().map(|name| self.at(name)).collect();
        let mut all = Batch::default();
        while !all.changed.is_superset(&wanted) {
            let batch = self.observer.next().await;
            all.changed.extend(batch.changed);
            all.folders_gone.extend(batch.folders_gone);
            all.folders_redressed.extend(batch.folders_redressed);
        }
        all.changed.retain(|path| wanted.contains(path) || !self.young.contains(path));
        assert_eq!(all.changed, wanted);
        if self.observer.kernel.is_none() {
            self.young.extend(wanted);
        }
        all
    }
}

#[tokio::test]
async fn only_what_a_rule_picks_is_told() {
    for mut bed in [Bed::watched(), Bed::polled()] {
        bed.write("src/x.tmp");
        bed.write("src/skip/y");
        bed.write("src/.a.swp");
        bed.write("src/a");
        bed.tells(&["src/a"]).await;
        assert!(!bed.observer.folders.contains_key(&bed.at("src/skip")));
        std::fs::remove_file(bed.at("src/a")).unwrap();
        bed.tells(&["src/a"]).await;
    }
}

#[tokio::test]
async fn folders_that_come_and_go_are_followed() {
    for mut bed in [Bed::watched(), Bed::polled()] {
        bed.write("made/sub/b");
        std::fs::rename(bed.at("made"), bed.at("src/made")).unwrap();
        bed.tells(&["src/made", "src/made/sub", "src/made/sub/b"]).await;
        bed.write("src/made/sub/c");
        bed.tells(&["src/made/sub/c"]).await;
        std::fs::rename(bed.at("src/made"), bed.at("src/other")).unwrap();
        let moved = ["src/made", "src/other", "src/other/sub", "src/other/sub/b", "src/other/sub/c"];
        let batch = bed.tells(&moved).await;
        assert!(batch.folders_gone.contains(&bed.at("src/made")));
        bed.write("src/other/sub/c");
        bed.tells(&["src/other/sub/c"]).await;
    }
}

#[tokio::test]
async fn a_folder_is_redressed_by_another_mode_alone() {
    for mut bed in [Bed::watched(), Bed::polled()] {
        let sub = bed.at("src/sub");
        std::fs::create_dir(&sub).unwrap();
        assert!(bed.tells(&["src/sub"]).await.folders_redressed.is_empty());
        std::fs::set_permissions(&sub, PermissionsExt::from_mode(0o710)).unwrap();
        assert_eq!(bed.tells(&["src/sub"]).await.folders_redressed, [sub.clone()].into());
        bed.write("src/sub/b");
        assert!(bed.tells(&["src/sub/b"]).await.folders_redressed.is_empty());
    }
}

#[tokio::test]
async fn what_is_not_there_yet_is_waited_for() {
    for mut bed in [Bed::watched(), Bed::polled()] {
        bed.write("later/deep/no.md");
        bed.write("later/deep/yes.txt");
        bed.tells(&["later/deep/yes.txt"]).await;
        std::fs::remove_dir_all(bed.at("later")).unwrap();
        bed.tells(&["later/deep/yes.txt"]).await;
        bed.write("later/deep/again.txt");
        bed.tells(&["later/deep/again.txt"]).await;
    }
}

/// Folders are made by somebody who does not wait for the observer, at every distance in time.
#[tokio::test]
async fn what_is_made_while_it_is_looked_for_is_found() {
    for turns in (0..60_000).step_by(1_000) {
        let mut bed = Bed::watched();
        let (above, deep) = (bed.at("later"), bed.at("later/deep"));
        let maker = std::thread::spawn(move || {
            std::fs::create_dir(above).unwrap();
            (0..turns).for_each(|_| std::hint::spin_loop());
            std::fs::create_dir(&deep).unwrap();
            std::fs::write(deep.join("yes.txt"), "text").unwrap();
        });
        bed.tells(&["later/deep/yes.txt"]).await;
        maker.join().unwrap();
    }
}
