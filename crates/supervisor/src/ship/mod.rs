//! Sends containers' lines to log servers, from the log that is kept: a server that is slow or gone holds
//! up no container, and gets what it missed as far as the log reaches back.
//!
//! ```text
//! log --reader--> line --encode--> waiting --socket--> server
//!                                     `--> sent: how far, written down when all that was read is away
//! ```
//! A kill between sending and writing down has lines sent twice, never none.

mod journal;
mod part;
mod place;
mod socket;
mod syslog;

use crate::core::{Slot, Source, Supervisor, Timer, Watched, complain};
use crate::log::{Query, Reader, attributes};
use crate::protocol::{Failure, FailureKind};
use crate::reactor::EventFlags;
use crate::start::cannot;
use jiff::tz::TimeZone;
use part::Parts;
use place::PlaceFile;
use resource::{ContainerRecord, LogServer};
use socket::{Kind, Way};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// Lines sent in one go; others have their turn after that.
const TURN: usize = 256;
/// How long a server that cannot be reached is left alone.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the lines of a container that has ended are still tried to be sent.
const LAST: Duration = Duration::from_secs(2);

/// What is the same in all lines of a container.
#[derive(Clone, Debug, Default)]
struct Facts {
    id: String,
    short_id: String,
    name: String,
    image: String,
    tag: String,
    host: String,
    /// Number of this process, as servers expect one.
    process: String,
    attributes: BTreeMap<String, String>,
}

/// What sends one container's lines.
pub(crate) struct Shipper {
    server: LogServer,
    known: Option<SocketAddr>,
    facts: Facts,
    zone: TimeZone,
    reader: Reader,
    sent: PlaceFile,
    parts: Parts,
    way: Option<Watched<Way>>,
    /// A line on its way, and how much of it has gone.
    waiting: Vec<u8>,
    gone: usize,
    /// It cannot be reached; it will be tried again.
    pausing: bool,
    /// The container has ended.
    ending: bool,
}

/// Why no more is sent for the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// There is nothing more.
    Done,
    /// There is more, and others come first.
    Turn,
    /// The socket takes no more.
    Full,
}

impl Shipper {
    fn open(folder: &Path, log: &Path, record: &ContainerRecord, server: &LogServer) -> io::Result<Self> {
        let (sent, place) = PlaceFile::open(&folder.join("sent"))?;
        let at_end = || Reader::open(log, Query { tail: Some(0), ..Query::default() });
        let reader = place.map_or_else(at_end, |place| Reader::resume(log, place))?;
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let facts = Facts {
            id: record.id.0.clone(),
            short_id: record.id.short().to_owned(),
            name: record.spec.name.to_string(),
            image: record.spec.image.written(),
            tag: attributes::tag_of(record),
            host,
            process: std::process::id().to_string(),
            attributes: attributes::named(record),
        };
        Ok(Self {
            server: server.clone(),
            known: record.log_server,
            facts,
            zone: TimeZone::system(),
            reader,
            sent,
            parts: Parts::default(),
            way: None,
            waiting: vec![],
            gone: 0,
            pausing: false,
            ending: false,
        })
    }

    /// Sends lines until there is a reason to rest.
    fn send(&mut self) -> io::Result<Rest> {
        let Some(way) = &self.way else { return Ok(Rest::Full) };
        for _ in 0..TURN {
            if self.gone == self.waiting.len() {
                (self.waiting, self.gone) = (vec![], 0);
                let at = self.reader.place().unwrap_or_default();
                let Some(line) = self.reader.next()? else {
                    self.note()?;
                    self.reader.rest();
                    return Ok(Rest::Done);
                };
                self.waiting = match &self.server {
                    LogServer::Journal => {
                        let part = self.parts.take(&self.facts.id, at, &line);
                        journal::encode(&self.facts, &line, part.as_ref())
                    }
                    LogServer::Syslog(syslog) => {
                        syslog::encode(&self.facts, syslog.facility, syslog.format, &line, &self.zone)
                    }
                };
                if way.kind == Kind::Stream {
                    self.waiting.push(b'\n');
                }
            }
            let rest = &self.waiting[self.gone..];
            let outcome = match self.server {
                LogServer::Journal => journal::send(&way.socket, rest).map(|()| rest.len()),
                LogServer::Syslog(_) => way.send(rest),
            };
            match outcome {
                Ok(count) => self.gone += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Rest::Full),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.note()?;
        Ok(Rest::Turn)
    }

    /// Writes down how far it is, where that is the end of a line, and of all its pieces.
    fn note(&self) -> io::Result<()> {
        match self.reader.place() {
            Some(place) if self.gone == self.waiting.len() && !self.parts.is_open() => self.sent.write(place),
            _ => Ok(()),
        }
    }

    /// The socket is gone: the line on its way is sent again as a whole.
    fn disconnected(&mut self) {
        self.gone = 0;
        self.way = None;
    }

    /// Whether everything has been sent.
    fn is_done(&mut self) -> bool {
        self.gone == self.waiting.len() && !self.reader.has_more().unwrap_or(false)
    }
}

impl Supervisor {
    /// Begins to send a container's lines, where its log has a server.
    ///
    /// # Errors
    /// That nobody listens on this machine, when the container is being started rather than adopted.
    pub(crate) fn open_shipper(&mut self, slot: Slot, adopt: bool) -> Result<(), Failure> {
        let Some(container) = self.containers.get(&slot) else { return Ok(()) };
        let Some(server) = attributes::server(&container.record).cloned() else { return Ok(()) };
        if let Some(shipper) = self.shippers.get_mut(&slot) {
            shipper.ending = false;
            return Ok(());
        }
        let record = &container.record;
        let folder = self.roots.container_run(&self.pod, &record.id);
        let log = self.roots.log(&record.spec, &record.id);
        let shipper = Shipper::open(&folder, &log, record, &server);
        let shipper = shipper.map_err(|error| cannot("open its log for sending", &error))?;
        self.shippers.insert(slot, shipper);
        if let Err(error) = self.connect_shipper(slot)
            && !adopt
            && socket::is_here(&server)
        {
            self.shippers.remove(&slot);
            let message = match &server {
                LogServer::Journal => journal::missing(Path::new(journal::SOCKET)),
                LogServer::Syslog(_) => {
                    format!(
                        "nobody listens at its syslog address on this machine, `/dev/log` by default: {error}"
                    )
                }
            };
            return Err(Failure::new(FailureKind::Other, message));
        }
        Ok(())
    }

    /// Opens the way to a container's log server, in the host's network.
    fn connect_shipper(&mut self, slot: Slot) -> io::Result<()> {
        let Some(shipper) = self.shippers.get_mut(&slot) else { return Ok(()) };
        let (server, known) = (&shipper.server, shipper.known);
        let opened = self.outside.run(|| socket::open(server, known)).and_then(|opened| opened);
        let way = match opened {
            Ok(way) => way,
            Err(error) => {
                if !std::mem::replace(&mut shipper.pausing, true) {
                    eprintln!("{} log server of {}: {error}", resource::Timestamp::now(), shipper.facts.name);
                }
                self.reactor.after(PAUSE, Timer::Ship(slot));
                return Err(error);
            }
        };
        let mut way = Watched::silent(way);
        self.reactor.listen(&mut way, EventFlags::OUT, Source::Ship(slot))?;
        shipper.way = Some(way);
        Ok(())
    }

    /// Sends what there is of a container's lines.
    pub(crate) fn ship(&mut self, slot: Slot) {
        let Some(shipper) = self.shippers.get_mut(&slot) else { return };
        match shipper.send() {
            Ok(rest) => {
                if rest == Rest::Done {
                    shipper.pausing = false;
                }
                let over = rest == Rest::Done && shipper.ending;
                let what =
                    if rest == Rest::Done { EventFlags::RDHUP } else { EventFlags::OUT | EventFlags::RDHUP };
                if let Some(way) = &shipper.way {
                    way.change(what);
                }
                if over {
                    self.drop_shipper(slot);
                }
            }
            Err(error) => self.way_lost(slot, &error),
        }
    }

    /// A server can take more, or is gone.
    pub(crate) fn ship_ready(&mut self, slot: Slot, flags: EventFlags) {
        if flags.intersects(EventFlags::ERR | EventFlags::HUP | EventFlags::RDHUP) {
            let datagrams =
                |shipper: &Shipper| shipper.way.as_ref().is_some_and(|way| way.kind == Kind::Datagram);
            // The error of an earlier datagram is taken with the next one.
            if !self.shippers.get(&slot).is_some_and(datagrams) || flags.contains(EventFlags::HUP) {
                return self.way_lost(slot, &io::ErrorKind::ConnectionReset.into());
            }
        }
        self.ship(slot);
    }

    fn way_lost(&mut self, slot: Slot, error: &io::Error) {
        let Some(shipper) = self.shippers.get_mut(&slot) else { return };
        if !std::mem::replace(&mut shipper.pausing, true) {
            complain(error);
        }
        shipper.disconnected();
        self.reactor.after(PAUSE, Timer::Ship(slot));
    }

    /// A server is tried again.
    pub(crate) fn ship_due(&mut self, slot: Slot) {
        let lost = self.shippers.get(&slot).is_some_and(|shipper| shipper.way.is_none());
        if lost && self.connect_shipper(slot).is_err() {
            return;
        }
        self.ship(slot);
    }

    /// A container has ended for good: its last lines are sent, for as long as that may take.
    pub(crate) fn end_shipper(&mut self, slot: Slot) {
        self.ship(slot);
        let Some(shipper) = self.shippers.get_mut(&slot) else { return };
        if shipper.is_done() {
            return self.drop_shipper(slot);
        }
        shipper.ending = true;
        self.reactor.after(LAST, Timer::ShipEnd(slot));
    }

    /// Nothing more is sent for a container that has ended.
    pub(crate) fn shipper_over(&mut self, slot: Slot) {
        if self.shippers.get(&slot).is_some_and(|shipper| shipper.ending) {
            self.drop_shipper(slot);
        }
    }

    /// Nothing more is sent.
    pub(crate) fn drop_shipper(&mut self, slot: Slot) {
        self.shippers.remove(&slot);
    }
}
