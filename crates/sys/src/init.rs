//! Process 1 of a container that asked for one: passes signals on, reaps, and ends as its child ends.
//!
//! It is a copy of the supervisor that never executes anything, so it also holds a copy of what the
//! supervisor knows of other containers: [`Secrets`] is the memory it lets go of first.

use crate::memory::page_size;
use crate::process::{InChild, exit_now, kill, next_signal, reap_any};
use std::io;

/// Stretches of memory at most; a process that has more keeps the rest, see [`Secrets::find`].
const STRETCHES: usize = 64;

/// Bytes that the C library keeps of a thread above its thread-local variables, and more.
const THREAD: usize = 4096;

/// The memory of this process that may hold what a container must not see: heap and other private
/// memory without a file. Not the stack, not the thread's own, not what continues a program's data.
#[derive(Clone, Copy, Debug)]
pub struct Secrets {
    stretches: [(usize, usize); STRETCHES],
    count: usize,
    /// Where the command line is, which everybody in the pid namespace can read: it says where the
    /// engine keeps its files.
    arguments: (usize, usize),
}

impl Secrets {
    /// Finds them. To be called before the clone: a later allocation is not in it.
    ///
    /// # Errors
    /// What reading /proc/self/maps says; `OutOfMemory` when there are too many to know them all.
    pub fn find() -> io::Result<Self> {
        let thread = thread_pages()?;
        let mut found = Self { stretches: [(0, 0); STRETCHES], count: 0, arguments: arguments()? };
        let mut end_of_file_mapping = 0;
        for line in std::fs::read_to_string("/proc/self/maps")?.lines() {
            let mut fields = line.split_ascii_whitespace();
            let (range, rights) = (fields.next().unwrap_or(""), fields.next().unwrap_or(""));
            let (inode, name) = (fields.nth(2).unwrap_or(""), fields.next().unwrap_or(""));
            let Some((start, end)) = range.split_once('-').and_then(|(start, end)| {
                Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
            }) else {
                continue;
            };
            if inode != "0" {
                end_of_file_mapping = end;
            }
            let heap = name == "[heap]";
            let anonymous = inode == "0" && (name.is_empty() || heap) && rights.starts_with("rw-p");
            if !anonymous || (start == end_of_file_mapping && !heap) {
                continue;
            }
            // The pages of the thread itself are kept. The kernel joins neighbours, so they can be
            // in the middle of a stretch.
            for (start, end) in [(start, end.min(thread.0)), (start.max(thread.1), end)] {
                if start < end {
                    let slot = found.stretches.get_mut(found.count).ok_or(io::ErrorKind::OutOfMemory)?;
                    (*slot, found.count) = ((start, end), found.count + 1);
                }
            }
        }
        Ok(found)
    }

    /// Replaces them by zeros. Nothing that was allocated may be used afterwards.
    pub(crate) fn release(&self) {
        for (start, end) in &self.stretches[..self.count] {
            let start = std::ptr::without_provenance_mut::<libc::c_void>(*start);
            // SAFETY: the callers, `serve` and `sleep`, run in processes of their own, hold nothing but
            // numbers and bytes on their stacks, and neither allocate nor return, so that no live value
            // is in memory of the heap. An unmapped stretch is an error that changes nothing.
            unsafe { libc::madvise(start, end - start.addr(), libc::MADV_DONTNEED) };
        }
    }

    /// The same, and the command line with them.
    fn forget(&self) {
        self.release();
        let (start, end) = self.arguments;
        if end - start <= NAME.len() {
            return;
        }
        let start = std::ptr::with_exposed_provenance_mut::<u8>(start);
        // SAFETY: the kernel says that these bytes are the command line, which it put on the stack of
        // this process for the program to write to. Nobody reads it here, see above. What points to
        // its texts still finds a NUL: the environment or the program's path follows.
        unsafe {
            start.write_bytes(0, end - start.addr());
            start.copy_from_nonoverlapping(NAME.as_ptr(), NAME.len());
            // A last byte that is not NUL makes the kernel show the first text only; proc(5).
            start.add(end - start.addr() - 1).write(b' ');
        }
    }
}

/// Signals that end a process 1 without a child.
const ENDING: [i32; 4] = [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGHUP];

/// What is left of the command line.
const NAME: &[u8] = b"init\0";

/// Where the kernel keeps the command line of this process: fields 48 and 49 of proc_pid_stat(5).
fn arguments() -> io::Result<(usize, usize)> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The second field is a name in parentheses, in which everything may be.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let mut fields = rest.split_ascii_whitespace().skip(45).map(str::parse);
    match (fields.next(), fields.next()) {
        (Some(Ok(start)), Some(Ok(end))) if start <= end => Ok((start, end)),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// The pages of the calling thread's own memory. Of the main thread: from the lowest thread-local
/// variable of any module to the end of what the C library keeps behind the highest. Another thread
/// has those at the end of its stack.
fn thread_pages() -> io::Result<(usize, usize)> {
    extern "C" fn widen(
        module: *mut libc::dl_phdr_info,
        _size: libc::size_t,
        bounds: *mut libc::c_void,
    ) -> libc::c_int {
        // SAFETY: dl_iterate_phdr passes a module that is valid during the call, and the pointer that
        // it was given, which is to the tuple below that nothing else uses meanwhile.
        let (module, bounds) = unsafe { (&*module, &mut *bounds.cast::<(usize, usize)>()) };
        let data = module.dlpi_tls_data.addr();
        if data != 0 {
            // SAFETY: a module's program headers are mapped as long as the module is.
            let headers = unsafe { std::slice::from_raw_parts(module.dlpi_phdr, module.dlpi_phnum.into()) };
            let sizes = headers.iter().filter(|header| header.p_type == libc::PT_TLS);
            let size: usize = sizes.map(|header| header.p_memsz as usize).sum();
            *bounds = (bounds.0.min(data), bounds.1.max(data + size));
        }
        0
    }
    let page = page_size();
    if rustix::thread::gettid() != rustix::process::getpid() {
        // All of it in one mapping, and what comes behind that may be anybody's.
        let stack = stack()?;
        return Ok((stack.0 / page * page, stack.1.next_multiple_of(page)));
    }
    thread_local! { static HERE: std::cell::Cell<u8> = const { std::cell::Cell::new(0) }; }
    let here = HERE.with(|here| std::ptr::from_ref(here).addr());
    let mut bounds = (here, here + 1);
    // SAFETY: `widen` is of the type that is asked for and uses the pointer only during the call.
    unsafe { libc::dl_iterate_phdr(Some(widen), (&raw mut bounds).cast()) };
    Ok((bounds.0 / page * page, (bounds.1 + THREAD).next_multiple_of(page)))
}

/// Where the calling thread's stack is.
fn stack() -> io::Result<(usize, usize)> {
    let (mut start, mut size) = (std::ptr::null_mut::<libc::c_void>(), 0);
    // SAFETY: the attributes are initialised by the first call, and read and destroyed only when it
    // succeeded; all places that are written to live through the calls.
    unsafe {
        let mut attributes: libc::pthread_attr_t = std::mem::zeroed();
        let done = libc::pthread_getattr_np(libc::pthread_self(), &raw mut attributes);
        if done != 0 {
            return Err(io::Error::from_raw_os_error(done));
        }
        libc::pthread_attr_getstack(&raw const attributes, &raw mut start, &raw mut size);
        libc::pthread_attr_destroy(&raw mut attributes);
    }
    Ok((start.addr(), start.addr() + size))
}

/// Serves as process 1 for `child` and never returns: when the child has ended, this process ends
/// with its code, 128 + N after signal N, and the kernel ends what is left of the pid namespace.
/// Without a child it only reaps, and ends when asked to by signal N, with code 128 + N. Every signal
/// must be blocked.
pub fn serve(proof: &InChild, child: Option<i32>, secrets: &Secrets) -> ! {
    // On the stack: the original may be in what is forgotten.
    let secrets = *secrets;
    secrets.forget();
    // Whoever waits for these to close goes on now.
    if crate::process::close_all(proof, 3).is_err() {
        exit_now(125);
    }
    loop {
        match next_signal() {
            libc::SIGCHLD => {
                while let Some((pid, code)) = reap_any() {
                    if Some(pid) == child {
                        exit_now(code);
                    }
                }
            }
            signal => match child {
                // One that is just gone is reaped at the next turn.
                Some(child) => drop(kill(child, signal)),
                None if ENDING.contains(&signal) => exit_now(128 + signal),
                None => {}
            },
        }
    }
}
