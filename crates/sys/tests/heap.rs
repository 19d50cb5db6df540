//! What readies the heap, seen from the first thread, whose memory it is about: so without a harness, which
//! runs tests on others.

#![expect(clippy::unwrap_used, reason = "a test")]

fn main() {
    if cfg!(not(target_env = "gnu")) {
        return;
    }
    let before = heap();
    sys::memory::expect(32 << 20);
    let (size, advised) = heap();
    assert!(size >= before.0 + (32 << 20), "{before:?}, then {size}");
    assert!(advised >= before.1 + (32 << 20), "large pages were asked for {advised} bytes of {size}");
    sys::memory::expect(64 << 20);
    assert_eq!(heap(), (size, advised), "taken again");
    // More than all of it: the heap goes on where it ends.
    let blocks: Vec<Vec<u8>> = (0..64).map(|byte| vec![byte; 1 << 20]).collect();
    assert!(blocks.iter().zip(0..).all(|(block, byte)| block.iter().all(|found| *found == byte)));
}

/// Bytes of the heap, and those of which large pages were asked for.
fn heap() -> (usize, usize) {
    let mut found = (0, 0);
    let mut size = None;
    for line in std::fs::read_to_string("/proc/self/smaps").unwrap().lines() {
        let first = line.split_ascii_whitespace().next().unwrap_or("");
        if let Some((from, to)) = first.split_once('-') {
            let at = |text| usize::from_str_radix(text, 16).unwrap();
            size = line.ends_with("[heap]").then(|| at(to) - at(from));
            found.0 += size.unwrap_or(0);
        } else if line.starts_with("VmFlags:") && line.split_ascii_whitespace().any(|flag| flag == "hg") {
            found.1 += size.unwrap_or(0);
        }
    }
    found
}
