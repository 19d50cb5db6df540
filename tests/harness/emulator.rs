//! An emulator: the kernel hands it programs of an architecture that no machine here is of (binfmt_misc).

use crate::Who;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

const HANDLERS: &str = "/proc/sys/fs/binfmt_misc";

/// A registered emulator, which takes a program's text for a shell script. Dropping it takes it back.
#[derive(Debug)]
pub struct Emulator {
    folder: tempfile::TempDir,
    name: String,
    architecture: &'static str,
    /// What programs begin with, elf(5).
    start: [u8; 20],
}

impl Emulator {
    /// Registers one, for another architecture for root's scenario than for a user's, which run side by side;
    /// `None` on a kernel that takes none.
    pub fn register(who: Who) -> Option<Self> {
        if !show() {
            return None;
        }
        let (architecture, machine) = match who {
            Who::Root => ("loong64", [2, 1]),
            Who::User => ("mips64le", [8, 0]),
        };
        let mut start = *b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\0\0";
        start[18..].copy_from_slice(&machine);
        let folder = tempfile::Builder::new().prefix("compose-emulator-").tempdir().unwrap();
        let name = format!("compose-test-{architecture}");
        let emulator = Self { folder, name, architecture, start };
        // One that a killed test left.
        emulator.unregister();
        // The name tells busybox what to be. A copy could not be executed while a process that another test
        // is starting has it open from the writing.
        let program = emulator.folder.path().join("sh");
        std::os::unix::fs::symlink("/bin/busybox", &program).unwrap();
        let magic: String = start.iter().map(|byte| format!("\\x{byte:02x}")).collect();
        let line = format!(":{}:M::{magic}::{}:F", emulator.name, program.display());
        std::fs::write(Path::new(HANDLERS).join("register"), line).unwrap();
        Some(emulator)
    }

    /// The architecture, in Go's spelling.
    pub fn architecture(&self) -> &'static str {
        self.architecture
    }

    /// A program for it that does this, in a shell's words.
    pub fn program(&self, script: &str) -> String {
        format!("{}\n{script}", str::from_utf8(&self.start).unwrap())
    }

    /// Switches it off.
    pub fn switch_off(&self) {
        std::fs::write(self.handler(), "0").unwrap();
    }

    /// Whether the machine has no other one for the same architecture.
    pub fn is_alone(&self) -> bool {
        let digits: String = self.start[16..].iter().map(|byte| format!("{byte:02x}")).collect();
        let takes = |path: PathBuf| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            text.lines().any(|line| line.starts_with("magic ") && line.get(38..46) == Some(&digits))
        };
        let handlers = std::fs::read_dir(HANDLERS).unwrap().flatten();
        handlers.filter(|handler| takes(handler.path())).count() == 1
    }

    fn handler(&self) -> PathBuf {
        Path::new(HANDLERS).join(&self.name)
    }

    fn unregister(&self) {
        drop(std::fs::write(self.handler(), "-1"));
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.unregister();
        let mut shown = SHOWN.lock().unwrap();
        shown.by -= 1;
        if shown.by == 0 && shown.is_ours {
            rustix::mount::unmount(HANDLERS, rustix::mount::UnmountFlags::DETACH).unwrap();
        }
    }
}

/// For how many emulators of this process the kernel's handlers are shown, and whether that is our doing.
struct Shown {
    by: usize,
    is_ours: bool,
}

static SHOWN: Mutex<Shown> = Mutex::new(Shown { by: 0, is_ours: false });

/// Has the handlers shown; whether the kernel does so.
fn show() -> bool {
    let mut shown = SHOWN.lock().unwrap();
    if shown.by == 0 {
        let none = rustix::mount::MountFlags::empty();
        shown.is_ours = match rustix::mount::mount("binfmt_misc", HANDLERS, "binfmt_misc", none, None) {
            Ok(()) => true,
            // They are shown there already.
            Err(rustix::io::Errno::BUSY) => false,
            // There is no such file system, or no such place.
            Err(rustix::io::Errno::NODEV | rustix::io::Errno::NOENT) => return false,
            Err(error) => panic!("{HANDLERS}: {error}"),
        };
    }
    shown.by += 1;
    true
}
