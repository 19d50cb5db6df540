//! A terminal in front of the program: a pseudo-terminal that is its controlling one, and the screen that a
//! person would see there.

use crate::world::{kill, patience};
use crate::{World, until};
use rustix::process::{Pid, WaitOptions, waitpid};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize};
use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};
use std::sync::mpsc;
use std::time::Instant;

/// Lines that have left the screen and are still known.
const SCROLLBACK: usize = 1000;

/// The program on a terminal; killed when dropped.
pub struct Terminal {
    child: Child,
    /// Our side: what is typed goes in, what is drawn comes out.
    master: OwnedFd,
    /// The program's side, held so that its settings outlive it.
    slave: File,
    drawn: mpsc::Receiver<Vec<u8>>,
    /// Kept as long as nobody reads what is drawn.
    waits: Option<mpsc::Sender<()>>,
    parser: vt100::Parser,
}

impl World {
    /// Starts `compose` with words separated by blanks on a terminal of so many lines and columns.
    pub fn terminal(&self, line: &str, rows: u16, columns: u16) -> Terminal {
        self.terminal_with(line, rows, columns, &[])
    }

    /// The same with more variables in its environment.
    pub fn terminal_with(&self, line: &str, rows: u16, columns: u16, more: &[(&str, &str)]) -> Terminal {
        let mut terminal = self.terminal_of(line, (rows, columns), more, false);
        terminal.goes_on();
        terminal
    }

    /// The same on a terminal that takes nothing more until it [goes on](Terminal::goes_on), as after Ctrl-S.
    pub fn terminal_that_waits(&self, line: &str, rows: u16, columns: u16) -> Terminal {
        self.terminal_of(line, (rows, columns), &[], true)
    }

    fn terminal_of(
        &self,
        line: &str,
        (rows, columns): (u16, u16),
        more: &[(&str, &str)],
        is_full: bool,
    ) -> Terminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, vec![]).unwrap().into_string().unwrap();
        let slave = File::options().read(true).write(true).open(&name).unwrap();
        tcsetwinsize(&slave, window(rows, columns)).unwrap();
        if is_full {
            fill(&name);
        }
        let program = self.program();
        // A session of its own, with this terminal in control: Ctrl-C and changes of size reach it.
        let child = Command::new("setsid")
            .arg("--ctty")
            .arg(program.get_program())
            .args(program.get_args())
            .args(line.split_whitespace())
            .current_dir(self.project())
            .env_clear()
            .envs(program.get_envs().filter_map(|(name, value)| value.map(|value| (name, value))))
            .env("TERM", "xterm-256color")
            .envs(more.iter().copied())
            .stdin(slave.try_clone().unwrap())
            .stdout(slave.try_clone().unwrap())
            .stderr(slave.try_clone().unwrap())
            .spawn()
            .unwrap();
        let (send, drawn) = mpsc::channel();
        let mut output = File::from(master.try_clone().unwrap());
        let (waits, go) = mpsc::channel();
        std::thread::spawn(move || {
            // It goes on when nobody has the other end any more.
            let _: Result<(), _> = go.recv();
            let mut buffer = [0; 64 * 1024];
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                if send.send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Terminal {
            child,
            master,
            slave,
            drawn,
            waits: Some(waits),
            parser: vt100::Parser::new(some(rows), some(columns), SCROLLBACK),
        }
    }
}

/// Writes to a terminal what is not seen, until it takes no more.
fn fill(name: &str) {
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap();
    let mut full = File::options().write(true).custom_flags(flags).open(name).unwrap();
    while full.write(b"\x1b]0;\x07").is_ok() {}
}

fn some(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).unwrap()
}

fn window(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

impl Terminal {
    /// Waits until the screen is as asked.
    fn wait(&mut self, what: &str, is_so: impl Fn(&vt100::Screen) -> bool) {
        let end = Instant::now() + patience();
        while !is_so(self.parser.screen()) {
            match self.drawn.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.parser.process(&bytes),
                Err(_) => panic!("the screen never {what}; it is:\n{}", self.screen()),
            }
        }
    }

    /// Waits until the screen shows a text.
    pub fn shows(&mut self, text: &str) {
        self.wait(&format!("shows {text:?}"), |screen| screen.contents().contains(text));
    }

    /// Waits until the screen does not show a text any more.
    pub fn lacks(&mut self, text: &str) {
        self.wait(&format!("lacks {text:?}"), |screen| !screen.contents().contains(text));
    }

    /// Waits until a line of the screen that contains the text is so many characters long.
    pub fn is_wide(&mut self, text: &str, columns: usize) {
        self.wait(&format!("shows {text:?} {columns} wide"), |screen| {
            let shown = screen.contents();
            shown.lines().any(|line| line.contains(text) && line.chars().count() == columns)
        });
    }

    /// Whether anything on the screen has a colour. Of a program that has ended.
    pub fn is_coloured(&mut self) -> bool {
        self.drawn_to_the_end();
        let screen = self.parser.screen();
        let (rows, columns) = screen.size();
        let cells = (0..rows.get()).flat_map(|row| (0..columns.get()).map(move |column| (row, column)));
        let mut coloured = cells.filter_map(|(row, column)| screen.cell(row, column));
        coloured.any(|cell| cell.fgcolor() != vt100::Color::Default)
    }

    /// The screen as it was drawn last.
    pub fn screen(&self) -> String {
        self.parser.screen().contents()
    }

    /// Everything that has been written, what has left the screen first. Of a program that has ended.
    pub fn whole(&mut self) -> String {
        self.drawn_to_the_end();
        let (_, columns) = self.parser.screen().size();
        let mut lines = vec![];
        self.parser.screen_mut().set_scrollback(usize::MAX);
        for left in (1..=self.parser.screen().scrollback()).rev() {
            self.parser.screen_mut().set_scrollback(left);
            lines.extend(self.parser.screen().rows(0, columns.get()).next());
        }
        self.parser.screen_mut().set_scrollback(0);
        lines.push(self.screen());
        lines.join("\n")
    }

    /// Reads what is drawn from now on.
    pub fn goes_on(&mut self) {
        self.waits = None;
    }

    /// Types.
    pub fn keys(&self, keys: &str) {
        File::from(self.master.try_clone().unwrap()).write_all(keys.as_bytes()).unwrap();
    }

    /// Gives the terminal another size.
    pub fn resize(&mut self, rows: u16, columns: u16) {
        self.parser.screen_mut().set_size(some(rows), some(columns));
        tcsetwinsize(&self.master, window(rows, columns)).unwrap();
    }

    /// Makes the terminal narrower while a line with this text is drawn as wide as it is but for one column.
    /// What is on its way is of the former width, so the screen is narrow once that line has been drawn so.
    pub fn narrow(&mut self, columns: u16, text: &str) {
        let (rows, _) = self.parser.screen().size();
        tcsetwinsize(&self.master, window(rows.get(), columns)).unwrap();
        self.is_wide(text, usize::from(columns) - 1);
        self.parser.screen_mut().set_size(rows, some(columns));
    }

    /// Writes lines that were on the terminal before. Of a program that has only just been started.
    pub fn begins_with(&mut self, text: &str) {
        self.parser.process(text.as_bytes());
    }

    /// Waits until the program is stopped.
    pub fn is_stopped(&self) {
        let child = Pid::from_child(&self.child);
        let asked = || waitpid(Some(child), WaitOptions::UNTRACED | WaitOptions::NOHANG).unwrap();
        let status = until("the program on the terminal stops", asked);
        assert!(status.1.stopped(), "{status:?}");
    }

    /// Puts the terminal to lines with echo on the first screen, as a shell does when its program is stopped.
    pub fn as_a_shell_wants_it(&mut self) {
        let mut settings = tcgetattr(&self.slave).unwrap();
        settings.local_modes |= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
        tcsetattr(&self.slave, OptionalActions::Now, &settings).unwrap();
        (&self.slave).write_all(b"\x1b[?1049l\x1b[?25h\x1b[2J").unwrap();
        self.lacks("CONTAINER");
    }

    /// Gives the terminal another width, as one that breaks its lines anew then (tmux, kitty, those of desktops).
    /// The program is stopped meanwhile: all it has drawn is of the former width, and it learns of the new one when
    /// the terminal has it.
    pub fn reflow(&mut self, columns: u16) {
        self.signal("STOP");
        self.is_stopped();
        self.drawn_to_the_end();
        self.parser = broken_anew(&mut self.parser, columns);
        let (rows, _) = self.parser.screen().size();
        tcsetwinsize(&self.master, window(rows.get(), columns)).unwrap();
        self.signal("CONT");
    }

    /// Sends the program a signal.
    pub fn signal(&self, name: &str) {
        kill(i32::try_from(self.child.id()).unwrap(), name);
    }

    /// Waits for the program's end and returns its exit code; 128 + n for a signal.
    pub fn end(&mut self) -> i32 {
        let status = until("the program on the terminal ends", || self.child.try_wait().unwrap());
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap())
    }

    /// Asserts that the terminal is as a shell wants it: lines, echo, a cursor, the first screen.
    pub fn assert_given_back(&mut self) {
        self.drawn_to_the_end();
        let modes = tcgetattr(&self.slave).unwrap().local_modes;
        assert!(modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG), "{modes:?}");
        let screen = self.parser.screen();
        assert!(!screen.alternate_screen() && !screen.hide_cursor(), "{}", self.screen());
    }

    /// Takes in what an ended program has drawn: a mark written after it is read behind all of that.
    fn drawn_to_the_end(&mut self) {
        const MARK: &[u8] = b"\x1b]0;the end\x07";
        (&self.slave).write_all(MARK).unwrap();
        let mut last = vec![];
        while !last.ends_with(MARK) {
            let bytes = self.drawn.recv_timeout(patience()).unwrap();
            self.parser.process(&bytes);
            last.extend(bytes);
        }
    }
}

/// The same lines on a terminal of so many columns, with the cursor before the same character; colours are lost.
fn broken_anew(parser: &mut vt100::Parser, columns: u16) -> vt100::Parser {
    let (rows, before) = parser.screen().size();
    let (row, column) = parser.screen().cursor_position();
    let mut old = vec![];
    parser.screen_mut().set_scrollback(usize::MAX);
    for left in (1..=parser.screen().scrollback()).rev() {
        parser.screen_mut().set_scrollback(left);
        old.push((parser.screen().rows(0, before.get()).next().unwrap(), parser.screen().row_wrapped(0)));
    }
    parser.screen_mut().set_scrollback(0);
    let cursor = old.len() + usize::from(row);
    let screen = parser.screen();
    old.extend(screen.rows(0, before.get()).zip((0..).map(|row| screen.row_wrapped(row))));
    let used = old.iter().rposition(|(text, _)| !text.is_empty()).map_or(0, |last| last + 1);
    old.truncate(used.max(cursor + 1));

    let (mut lines, mut line, mut place) = (vec![], String::new(), (0, 0));
    for (at, (text, wrapped)) in old.iter().enumerate() {
        if at == cursor {
            place = (lines.len(), line.chars().count() + usize::from(column));
        }
        line.push_str(text);
        if !wrapped {
            lines.push(std::mem::take(&mut line));
        }
    }
    lines.extend((!line.is_empty()).then_some(line));
    let width = usize::from(columns);
    let taken = |lines: &[String]| {
        lines.iter().map(|line| line.chars().count().div_ceil(width).max(1)).sum::<usize>()
    };
    // What does not fit leaves the screen at its top, and a cursor there stays on it.
    let gone = taken(&lines).saturating_sub(usize::from(rows.get()));
    let row = (taken(&lines[..place.0]) + place.1 / width).checked_sub(gone);
    let (row, column) = row.map_or((0, 0), |row| (row, place.1 % width));
    let mut anew = vt100::Parser::new(rows, some(columns), SCROLLBACK);
    anew.process(format!("{}\x1b[{};{}H", lines.join("\r\n"), row + 1, column + 1).as_bytes());
    anew
}

impl Drop for Terminal {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
