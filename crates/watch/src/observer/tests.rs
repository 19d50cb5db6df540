//! Real folders and the real kernel.

use super::*;
use crate::rule::tests::{patterns, rule, watched};

struct Bed {
    folder: tempfile::TempDir,
    observer: Observer,
}

impl Bed {
    /// Watches `src` of a new folder, which has `src/a` and `src/skip/` already.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("src/skip")).unwrap();
        std::fs::write(folder.path().join("src/a"), "").unwrap();
        let mut rules = vec![rule(&folder.path().join("src"), &["skip", "*.tmp"])];
        rules.push(rule(&folder.path().join("later/deep"), &[]));
        rules[1].include = Some(patterns(&["*.txt"]));
        let observer = Observer::new([watched(rules)].into()).unwrap();
        Self { folder, observer }
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
        }
        assert_eq!(all.changed, wanted);
        all
    }
}

#[tokio::test]
async fn only_what_a_rule_picks_is_told() {
    let mut bed = Bed::new();
    bed.write("src/x.tmp");
    bed.write("src/skip/y");
    bed.write("src/.a.swp");
    bed.write("src/a");
    bed.tells(&["src/a"]).await;
    assert!(!bed.observer.folders.contains(&bed.at("src/skip")));
    std::fs::remove_file(bed.at("src/a")).unwrap();
    bed.tells(&["src/a"]).await;
}

#[tokio::test]
async fn folders_that_come_and_go_are_followed() {
    let mut bed = Bed::new();
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

#[tokio::test]
async fn what_is_not_there_yet_is_waited_for() {
    let mut bed = Bed::new();
    bed.write("later/deep/no.md");
    bed.write("later/deep/yes.txt");
    bed.tells(&["later/deep/yes.txt"]).await;
    std::fs::remove_dir_all(bed.at("later")).unwrap();
    bed.tells(&["later/deep/yes.txt"]).await;
    bed.write("later/deep/again.txt");
    bed.tells(&["later/deep/again.txt"]).await;
}
