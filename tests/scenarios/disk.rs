//! Disks that scenarios mount for themselves, to fill them or to mount them in some way.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A disk of its own, mounted at a folder until it is dropped: ext4 on an image, since the file system
/// in memory keeps attributes of users from Linux 6.6 on only.
pub(crate) struct Disk<'a> {
    folder: &'a Path,
    /// Bytes.
    size: u64,
    _image: tempfile::NamedTempFile,
}

impl<'a> Disk<'a> {
    /// A disk of 64 MiB that belongs to this user; options as mount(8) has them, `loop` among them.
    pub(crate) fn mount(folder: &'a Path, owner: u32, options: &str) -> Self {
        let size = 64 << 20;
        let image = tempfile::NamedTempFile::new().unwrap();
        image.as_file().set_len(size).unwrap();
        let quick = ["-q", "-F", "-t", "ext4", "-m", "0", "-O", "^has_journal"];
        run(Command::new("/usr/sbin/mke2fs").args(quick).arg(image.path()));
        run(Command::new("mount").args(["-o", options]).arg(image.path()).arg(folder));
        std::fs::remove_dir(folder.join("lost+found")).unwrap();
        std::os::unix::fs::chown(folder, Some(owner), Some(owner)).unwrap();
        Self { folder, size, _image: image }
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }

    /// Fills it but for so many bytes, whatever it was filled with before.
    pub(crate) fn leave(&self, bytes: u64) {
        let mut file = std::fs::File::options().append(true).create(true).open(self.filler()).unwrap();
        // Room is taken without writing, as far as it comes in large pieces; the rest is written.
        let mut piece = self.size;
        while piece >= 64 << 10 {
            let end = file.metadata().unwrap().len();
            if rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), end, piece).is_err() {
                piece /= 2;
            }
        }
        let chunk = vec![0u8; 4 << 10];
        while std::io::Write::write_all(&mut file, &chunk).is_ok() {}
        file.sync_all().unwrap();
        file.set_len(file.metadata().unwrap().len().saturating_sub(bytes)).unwrap();
    }

    /// Takes out what fills it.
    pub(crate) fn clear(&self) {
        drop(std::fs::remove_file(self.filler()));
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.folder).status());
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
