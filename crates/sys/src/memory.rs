//! Giving memory back that a resident process does not need while it waits, and taking much of it at once.

#[cfg(target_env = "gnu")]
use std::sync::Once;

/// Bytes of a large page, with the usual pages of 4 KiB.
#[cfg(target_env = "gnu")]
const LARGE_PAGE: usize = 2 << 20;

/// Readies the heap for about so many bytes more, the first time it is called: they are taken from the kernel
/// at once, and large pages are asked for. Page by page, the kernel needs a quarter as long to hand memory out
/// as a loader to fill it. Where there are no large pages, or another thread than the first takes the memory,
/// nothing is lost. What is not used stays the kernel's; where so much cannot be had, as under a limit of
/// `ulimit -v`, the heap grows as it always does.
pub fn expect(bytes: usize) {
    #[cfg(target_env = "gnu")]
    {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| take(bytes));
    }
    #[cfg(not(target_env = "gnu"))]
    let _ = bytes;
}

/// Bytes that the end of a heap has no room for, unless it has been readied.
#[cfg(target_env = "gnu")]
const MORE: usize = 256 << 10;

#[cfg(target_env = "gnu")]
fn take(bytes: usize) {
    // The first large page begins somewhere behind the end of the heap, the last one may be cut off.
    let step = libc::c_int::try_from(bytes + 2 * LARGE_PAGE).unwrap_or(libc::c_int::MAX);
    // SAFETY: the calls take numbers and lock the allocator themselves.
    unsafe {
        // What is larger than that has a mapping of its own; 32 MiB is the most that can be said.
        libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX);
        libc::mallopt(libc::M_TOP_PAD, step);
    }
    // More than there is at the end of the heap, so that it grows; then its end again.
    let mut grown = Vec::<u8>::new();
    let is_granted = grown.try_reserve_exact(MORE).is_ok();
    let from = std::hint::black_box(&grown).as_ptr().addr();
    drop(grown);
    // SAFETY: as above.
    unsafe { libc::mallopt(libc::M_TOP_PAD, MORE as libc::c_int) };
    if !is_granted {
        return;
    }
    // SAFETY: nothing moves: this asks for the end of the heap.
    let end = unsafe { libc::sbrk(0) }.addr();
    // Right behind it the allocator has written: a page that is there keeps a large one away.
    let first = (from + MORE).next_multiple_of(LARGE_PAGE);
    // Another thread's memory is elsewhere, behind the heap.
    if first >= end {
        return;
    }
    // SAFETY: these pages are the heap's, and the advice leaves what is in them as it is.
    unsafe { libc::madvise(std::ptr::without_provenance_mut(first), end - first, libc::MADV_HUGEPAGE) };
    // What lies before the first large page is passed over. Nobody touches it, so it takes no memory.
    std::mem::forget(std::hint::black_box(Vec::<u8>::with_capacity((first - from).saturating_sub(64))));
}

/// Gives back what this process has no use for at the moment: free memory of the heap, and its share
/// of the pages of the program and its libraries, which the kernel maps sixteen at a time around each
/// one that is touched. They stay in the page cache: whatever is touched again costs a minor fault.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the call takes a number and locks the allocator itself.
    unsafe {
        libc::malloc_trim(0)
    };
    // SAFETY: `unmap_clean` is of the type that is asked for and uses no data.
    unsafe { libc::dl_iterate_phdr(Some(unmap_clean), std::ptr::null_mut()) };
}

/// Memory of the running program that a process can do without which does nothing but system calls:
/// its code and constants, which are in its file, and the constants that hold addresses, which were
/// written once as it was loaded. The addresses by which functions of libraries are called (the `.got`)
/// come after `.dynamic` in the same segment and are not among them. Empty stretches fill the rest.
pub(crate) fn dispensable() -> [(usize, usize); DISPENSABLE] {
    extern "C" fn first(
        module: *mut libc::dl_phdr_info,
        _size: libc::size_t,
        found: *mut libc::c_void,
    ) -> libc::c_int {
        // SAFETY: dl_iterate_phdr passes a module that is valid during the call, and the pointer that
        // it was given, which is to the array below that nothing else uses meanwhile.
        let (module, found) = unsafe { (&*module, &mut *found.cast::<[(usize, usize); DISPENSABLE]>()) };
        // SAFETY: a module's program headers are mapped as long as the module is.
        let headers = unsafe { std::slice::from_raw_parts(module.dlpi_phdr, module.dlpi_phnum.into()) };
        let place = |address: u64| (module.dlpi_addr + address) as usize;
        let page = page_size();
        let written = |header: &&libc::Elf64_Phdr| header.p_flags & libc::PF_W != 0;
        let loaded = headers.iter().filter(|header| header.p_type == libc::PT_LOAD && !written(header));
        let clean = loaded.map(|header| {
            let end = place(header.p_vaddr + header.p_memsz).next_multiple_of(page);
            (place(header.p_vaddr) / page * page, end)
        });
        let start = |kind| Some(place(headers.iter().find(|header| header.p_type == kind)?.p_vaddr));
        let constants = start(libc::PT_GNU_RELRO).zip(start(libc::PT_DYNAMIC));
        let constants = constants.map(|(start, end)| (start.next_multiple_of(page), end / page * page));
        let stretches = clean.chain(constants).filter(|(start, end)| start < end);
        found.iter_mut().zip(stretches).for_each(|(slot, stretch)| *slot = stretch);
        // The first module is the program; more are not wanted.
        1
    }
    let mut found = [(0, 0); DISPENSABLE];
    // SAFETY: `first` is of the type that is asked for and uses the pointer only during the call.
    unsafe { libc::dl_iterate_phdr(Some(first), (&raw mut found).cast()) };
    found
}

/// Stretches at most: a program has three segments that are not written to, and those constants.
pub(crate) const DISPENSABLE: usize = 6;

/// Bytes in a page.
pub(crate) fn page_size() -> usize {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE);
    size.ok().flatten().and_then(|size| usize::try_from(size).ok()).unwrap_or(4096)
}

/// Lets go of a module's segments that are never written to. Relocations are written to others only,
/// to those that are read-only afterwards (`PT_GNU_RELRO`) as well.
extern "C" fn unmap_clean(
    module: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    _data: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: dl_iterate_phdr passes a module that is valid during the call.
    let module = unsafe { &*module };
    // SAFETY: a module's program headers are mapped as long as the module is.
    let headers = unsafe { std::slice::from_raw_parts(module.dlpi_phdr, module.dlpi_phnum.into()) };
    let page = page_size() as u64;
    for header in headers {
        if header.p_type != libc::PT_LOAD || header.p_flags & libc::PF_W != 0 {
            continue;
        }
        let start = (module.dlpi_addr + header.p_vaddr) / page * page;
        let end = (module.dlpi_addr + header.p_vaddr + header.p_memsz).next_multiple_of(page);
        let address = std::ptr::without_provenance_mut::<libc::c_void>(start as usize);
        // SAFETY: the pages are a private mapping of a file, or the kernel's own (the vDSO), and equal
        // to it: the segment was never writable and has no relocations in it. So the next access can
        // only bring the same bytes back. Segments that can be written to have pages of their own.
        unsafe { libc::madvise(address, (end - start) as usize, libc::MADV_DONTNEED) };
    }
    0
}

#[cfg(test)]
mod tests {
    /// Kilobytes of a kind of memory of this process.
    fn resident(kind: &str) -> u64 {
        let text = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
        let line = text.lines().find(|line| line.starts_with(kind)).unwrap();
        line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
    }

    #[test]
    fn the_program_goes_on_with_less() {
        let before = resident("Rss:");
        super::give_back();
        let after = resident("Rss:");
        assert!(after < before, "{before} kB, then {after} kB");
    }
}
