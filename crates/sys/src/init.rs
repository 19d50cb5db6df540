//! Process 1 of a container that asked for one: passes signals on, reaps, and ends as its child ends.

use crate::process::{InChild, exit_now, kill, next_signal, reap_any};

/// Serves as process 1 for `child` and never returns: when the child has ended, this process ends
/// with its code, 128 + N after signal N, and the kernel ends what is left of the pid namespace.
/// Every signal must be blocked.
pub fn serve(_proof: &InChild, child: i32) -> ! {
    loop {
        match next_signal() {
            libc::SIGCHLD => {
                while let Some((pid, code)) = reap_any() {
                    if pid == child {
                        exit_now(code);
                    }
                }
            }
            // A child that is just gone is reaped at the next turn.
            signal => drop(kill(child, signal)),
        }
    }
}
