//! The pump against real FIFOs, rotation, a full disk and SIGKILL.

use super::*;
use crate::log::{Query, Reader};
use std::io::Write;
use std::process::{Command, Stdio};

const FOLDER: &str = "COMPOSE_TEST_PUMP_FOLDER";

fn config(max_size: Option<u64>, max_file: u32) -> LogConfig {
    LogConfig { max_size, max_file, ..LogConfig::default() }
}

fn lines(path: &Path) -> Vec<(Stream, String)> {
    let mut reader = Reader::open(path, Query::default()).unwrap();
    std::iter::from_fn(|| reader.next().unwrap()).map(|line| (line.stream, line.text)).collect()
}

/// Everything in the FIFOs that were written to.
fn drain(pump: &mut Pump, fifos: &[OwnedFd; 2]) {
    let scratch = &mut vec![];
    while pump.take(Stream::Stdout, &fifos[0], scratch) == Moved::Some {}
    while pump.take(Stream::Stderr, &fifos[1], scratch) == Moved::Some {}
}

#[test]
fn lines_of_both_streams_are_logged_and_unfinished_ones_wait_for_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web-1.log");
    let fifos = ["stdout", "stderr"].map(|name| open_fifo(folder.path(), name, false).unwrap());
    let mut writers =
        ["stdout", "stderr"].map(|name| File::from(open_fifo(folder.path(), name, true).unwrap()));
    let mut pump = Pump::open(folder.path(), &path, &config(None, 1), vec![], false).unwrap();
    writers[0].write_all(b"one\ntwo").unwrap();
    writers[1].write_all(b"bad\n").unwrap();
    drain(&mut pump, &fifos);
    assert_eq!(lines(&path), [(Stream::Stdout, "one\n".into()), (Stream::Stderr, "bad\n".into())]);
    writers[0].write_all(b" and\nthree").unwrap();
    pump.finish([Some(&fifos[0]), Some(&fifos[1])], &mut vec![]).unwrap();
    assert_eq!(lines(&path)[2..], [(Stream::Stdout, "two and\n".into()), (Stream::Stdout, "three".into())]);
    // A container made anew goes on after what is there.
    drop(pump);
    let mut pump = Pump::open(folder.path(), &path, &config(None, 1), vec![], false).unwrap();
    writers[0].write_all(b"four\n").unwrap();
    drain(&mut pump, &fifos);
    assert_eq!(lines(&path).last().unwrap().1, "four\n");
    assert_eq!(lines(&path).len(), 5);
}

#[test]
fn a_long_line_is_split_and_can_be_put_together() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web-1.log");
    let mut pump = Pump::open(folder.path(), &path, &config(None, 1), vec![], false).unwrap();
    let text = "é".repeat(30_000) + "\n";
    pump.feed(text.as_bytes(), &mut vec![]).unwrap();
    let lines = lines(&path);
    assert_eq!(lines.iter().map(|line| line.1.len()).collect::<Vec<_>>(), [16384, 16384, 16384, 10849]);
    assert_eq!(lines.into_iter().map(|line| line.1).collect::<String>(), text);
}

#[test]
fn files_are_rotated_by_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web-1.log");
    let mut pump = Pump::open(folder.path(), &path, &config(Some(1000), 3), vec![], false).unwrap();
    for number in 0..100 {
        pump.feed(format!("{number}\n").as_bytes(), &mut vec![]).unwrap();
    }
    let found = lines(&path);
    assert_eq!(found.last().unwrap().1, "99\n");
    assert!(found.len() > 24 && found.len() < 45, "{}", found.len());
    assert!(rotated(&path, 2).exists() && !rotated(&path, 3).exists());
    assert!(std::fs::metadata(&path).unwrap().len() < 1100);
}

#[test]
fn a_log_that_cannot_be_written_blocks_or_drops_as_configured() {
    let folder = tempfile::tempdir().unwrap();
    let full = Path::new("/dev/full");
    for mode in [LogMode::Blocking, LogMode::NonBlocking(1)] {
        let fifo = open_fifo(folder.path(), "stdout", false).unwrap();
        let config = LogConfig { mode, ..LogConfig::default() };
        let mut pump = Pump::open(folder.path(), full, &config, vec![], false).unwrap();
        let mut taken = 0;
        for _ in 0..100 {
            taken += rustix::io::write(&fifo, &[b'\n'; 65536]).unwrap_or(0);
            // As its reader has it done: as long as there is something and it is not stalled.
            while rustix::io::ioctl_fionread(&fifo).unwrap() > 0
                && pump.take(Stream::Stdout, &fifo, &mut vec![]) != Moved::Stalled
            {}
        }
        if mode == LogMode::Blocking {
            assert_eq!(pump.take(Stream::Stdout, &fifo, &mut vec![]), Moved::Stalled);
            assert!(taken as u64 <= BACKLOG + 3 * 65536, "{taken}");
        } else {
            assert_eq!(taken, 100 * 65536);
        }
    }
}

/// Not a test of its own: the process that the next test kills.
#[test]
#[ignore = "played by a process that the kill test starts"]
fn pump_role() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let fifos = ["stdout", "stderr"].map(|name| open_fifo(&folder, name, false).unwrap());
    let mut pump =
        Pump::open(&folder, &folder.join("web-1.log"), &config(Some(300_000), 1000), vec![], true).unwrap();
    let scratch = &mut vec![];
    pump.retry(scratch).unwrap();
    loop {
        let mut ready: Vec<_> =
            fifos.iter().map(|fifo| rustix::event::PollFd::new(fifo, rustix::event::PollFlags::IN)).collect();
        rustix::event::poll(&mut ready, None).unwrap();
        pump.take(Stream::Stdout, &fifos[0], scratch);
        pump.take(Stream::Stderr, &fifos[1], scratch);
    }
}

#[test]
fn a_pump_killed_any_time_loses_and_doubles_no_line() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("web-1.log");
    let start = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "log::pump::tests::pump_role", "--ignored"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    };
    // Like a container: the descriptors are held open for both directions over every kill.
    let mut writers =
        ["stdout", "stderr"].map(|name| File::from(open_fifo(folder.path(), name, true).unwrap()));
    let stop = std::sync::atomic::AtomicBool::new(false);
    let (kills, written) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut number = 0_u64;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                for writer in &mut writers {
                    let mut lines = vec![];
                    for _ in 0..20 {
                        writeln!(lines, "{number} {}", "x".repeat((number % 97) as usize)).unwrap();
                        number += 1;
                    }
                    writer.write_all(&lines).unwrap();
                }
            }
            number
        });
        let mut kills = 0;
        for round in 0..120_u64 {
            let mut pump = start();
            // Long enough to have begun, at another place each time.
            let seed = round.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            std::thread::sleep(std::time::Duration::from_micros(6_000 + seed % 9_000));
            pump.kill().unwrap();
            pump.wait().unwrap();
            kills += 1;
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let mut last = start();
        let written = writer.join().unwrap();
        last.kill().unwrap();
        last.wait().unwrap();
        (kills, written)
    });
    assert!(kills >= 100);
    let fifos = ["stdout", "stderr"].map(|name| open_fifo(folder.path(), name, false).unwrap());
    let mut pump = Pump::open(folder.path(), &log, &config(Some(300_000), 1000), vec![], true).unwrap();
    pump.finish([Some(&fifos[0]), Some(&fifos[1])], &mut vec![]).unwrap();
    let mut last = [None; 2];
    let mut count = 0;
    for (stream, text) in lines(&log) {
        let (number, filler) = text.trim_end_matches('\n').split_once(' ').unwrap();
        let number: u64 = number.parse().unwrap();
        assert_eq!(filler.len() as u64, number % 97, "{text}");
        assert_eq!(number / 20 % 2, stream as u64);
        let expected = match last[stream as usize] {
            None => stream as u64 * 20,
            Some(last) if (last + 1) % 20 == 0 => last + 21,
            Some(last) => last + 1,
        };
        assert_eq!(number, expected, "after {count} lines of {written}");
        last[stream as usize] = Some(number);
        count += 1;
    }
    assert_eq!(count, written);
    eprintln!("{kills} kills, {written} lines");
}
