//! Sends containers' lines to log servers, from the log that is kept: a server that is slow or gone holds
//! up no container, and gets what it missed as far as the log reaches back.
//!
//! ```text
//! log --reader--> line --encode--> waiting --socket--> server
//!                                     `--> sent: how far, written down when all that was read is away
//! ```
//! A kill between sending and writing down has lines sent twice, never none. What a connection that is cut took and
//! the other machine has not confirmed is sent again ([`doubt`]).

mod doubt;
mod journal;
mod part;
mod place;
mod secure;
mod session;
mod socket;
mod syslog;

use crate::core::{Slot, Source, Supervisor, Timer, Watched, complain};
use crate::log::{Query, Reader, attributes};
use crate::protocol::{Failure, FailureKind};
use crate::reactor::EventFlags;
use crate::start::cannot;
use doubt::Doubt;
use jiff::tz::TimeZone;
use part::Parts;
use place::PlaceFile;
use resource::{ContainerRecord, LogServer, Part, SyslogAddress};
use rustls::ClientConfig;
use session::PATIENCE;
use socket::{Kind, Way};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
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
    /// How servers by TLS are spoken to; `None` where there is no TLS, or its files are to be read again.
    config: Option<Arc<ClientConfig>>,
    way: Option<Watched<Way>>,
    doubt: Doubt,
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
            config: None,
            way: None,
            doubt: Doubt::default(),
            waiting: vec![],
            gone: 0,
            pausing: false,
            ending: false,
        })
    }

    /// Sends lines until there is a reason to rest.
    fn send(&mut self) -> io::Result<Rest> {
        let Some(way) = &mut self.way else { return Ok(Rest::Full) };
        if !way.prepare()? {
            return Ok(Rest::Full);
        }
        for _ in 0..TURN {
            let Some(way) = &mut self.way else { return Ok(Rest::Full) };
            if self.gone == self.waiting.len() {
                if !way.flush()? {
                    return Ok(Rest::Full);
                }
                (self.waiting, self.gone) = (vec![], 0);
                let at = self.reader.place().unwrap_or_default();
                let Some(line) = self.reader.next()? else {
                    self.note()?;
                    self.reader.rest();
                    return Ok(Rest::Done);
                };
                if way.kind == Kind::Stream {
                    self.doubt.begins(way.taken(), at, || way.confirmed());
                }
                self.waiting = match &self.server {
                    LogServer::Journal => {
                        let part = self.parts.take(&self.facts.id, at, &line);
                        journal::encode(&self.facts, &line, part.as_ref())
                    }
                    LogServer::Syslog(syslog) => {
                        let bytes =
                            syslog::encode(&self.facts, syslog.facility, syslog.format, &line, &self.zone);
                        syslog::frame(bytes, syslog, way.kind)
                    }
                };
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

    /// Writes down how far it is, where that is the end of a line, and of all its pieces, and somebody can be
    /// taken to have them.
    fn note(&mut self) -> io::Result<()> {
        let settled = match &mut self.way {
            Some(way) => way.is_settled() && way.flush()?,
            None => true,
        };
        match self.reader.place() {
            Some(place) if settled && self.gone == self.waiting.len() && !self.parts.is_open() => {
                self.sent.write(place)
            }
            _ => Ok(()),
        }
    }

    /// The socket is gone: the line on its way is sent again as a whole, and those before it that may not have
    /// arrived.
    fn disconnected(&mut self) {
        self.gone = 0;
        let Some(way) = self.way.take() else { return };
        let Some(place) = self.doubt.cut(way.taken(), way.confirmed()) else { return };
        self.waiting = vec![];
        let back = self.reader.go_back(place).and_then(|()| self.sent.write(place));
        back.unwrap_or_else(|error| complain(&error));
    }

    /// Whether everything has been sent, to somebody who can be taken to have it.
    fn is_done(&mut self) -> bool {
        let settled = self.way.as_mut().is_none_or(|way| way.is_settled() && way.flush().unwrap_or(true));
        settled && self.gone == self.waiting.len() && !self.reader.has_more().unwrap_or(false)
    }

    /// Tells why there is no way to the server, once until there is one.
    fn tell(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.pausing, true) {
            let (now, name) = (resource::Timestamp::now(), &self.facts.name);
            match &self.server {
                LogServer::Journal => eprintln!("{now} log server of {name}: {error}"),
                LogServer::Syslog(syslog) => {
                    eprintln!("{now} log server {} of {name}: {error}", syslog.address);
                }
            }
        }
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
        let mut shipper = shipper.map_err(|error| cannot("open its log for sending", &error))?;
        if !adopt
            && let LogServer::Syslog(syslog) = &server
            && let SyslogAddress::Tls(host, _, tls) = &syslog.address
        {
            secure::name(host).map_err(|why| refused(why.to_string(), Part::LogServer))?;
            let config = secure::config(tls);
            shipper.config = Some(config.map_err(|unusable| refused(unusable.text, unusable.part))?);
        }
        self.shippers.insert(slot, shipper);
        if let Err(error) = self.connect_shipper(slot)
            && !adopt
            && socket::is_here(&server)
        {
            self.shippers.remove(&slot);
            let message = match &server {
                LogServer::Journal => journal::missing(Path::new(journal::SOCKET)),
                LogServer::Syslog(syslog) => {
                    format!(
                        "nobody listens at {}: log driver `syslog` needs a server: {error}",
                        syslog.address
                    )
                }
            };
            return Err(refused(message, Part::LogServer));
        }
        Ok(())
    }

    /// Opens the way to a container's log server, in the host's network.
    fn connect_shipper(&mut self, slot: Slot) -> io::Result<()> {
        let Some(shipper) = self.shippers.get_mut(&slot) else { return Ok(()) };
        let (server, known) = (&shipper.server, shipper.known);
        let opened = self.outside.run(|| socket::open(server, known)).and_then(|opened| opened);
        let way = match opened.and_then(|way| secure::secured(way, server, &mut shipper.config)) {
            Ok(way) => way,
            Err(error) => {
                shipper.tell(&error);
                self.reactor.after(PAUSE, Timer::Ship(slot));
                return Err(error);
            }
        };
        if !way.is_settled() {
            self.reactor.after(PATIENCE, Timer::Ship(slot));
        }
        let events = way.events(true);
        let mut way = Watched::silent(way);
        self.reactor.listen(&mut way, events, Source::Ship(slot))?;
        shipper.way = Some(way);
        Ok(())
    }

    /// Sends what there is of a container's lines.
    pub(crate) fn ship(&mut self, slot: Slot) {
        let Some(shipper) = self.shippers.get_mut(&slot) else { return };
        match shipper.send() {
            Ok(rest) => {
                let Some(way) = &shipper.way else { return };
                let done = rest == Rest::Done && way.is_settled();
                way.change(way.events(rest != Rest::Done));
                if done {
                    shipper.pausing = false;
                }
                if done && shipper.ending {
                    self.drop_shipper(slot);
                }
            }
            Err(error) => self.way_lost(slot, error),
        }
    }

    /// A server can take more, has said something, or is gone.
    pub(crate) fn ship_ready(&mut self, slot: Slot, flags: EventFlags) {
        if flags.intersects(EventFlags::ERR | EventFlags::HUP | EventFlags::RDHUP) {
            let way = self.shippers.get(&slot).and_then(|shipper| shipper.way.as_ref());
            // The error of an earlier datagram is taken with the next one.
            let gone = way.filter(|way| way.kind == Kind::Stream || flags.contains(EventFlags::HUP));
            if let Some(error) = gone.map(|way| way.error()) {
                return self.way_lost(slot, error);
            }
        }
        self.ship(slot);
    }

    fn way_lost(&mut self, slot: Slot, error: io::Error) {
        let Some(shipper) = self.shippers.get_mut(&slot) else { return };
        let error = match &mut shipper.way {
            Some(way) => way.fault(error),
            None => error,
        };
        if error.kind() == io::ErrorKind::InvalidData {
            // Whoever mends this may do so in the files.
            shipper.config = None;
        }
        shipper.tell(&error);
        shipper.disconnected();
        self.reactor.after(PAUSE, Timer::Ship(slot));
    }

    /// A server is tried again, or has had its time to answer.
    pub(crate) fn ship_due(&mut self, slot: Slot) {
        let Some(shipper) = self.shippers.get(&slot) else { return };
        if shipper.way.as_ref().is_some_and(|way| way.is_silent()) {
            let text = format!("it does not answer; does it speak TLS? ({} s)", PATIENCE.as_secs());
            return self.way_lost(slot, io::Error::new(io::ErrorKind::TimedOut, text));
        }
        if shipper.way.is_none() && self.connect_shipper(slot).is_err() {
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
        if let Some(way) = self.shippers.remove(&slot).and_then(|shipper| shipper.way) {
            way.into_inner().end();
        }
    }
}

/// A start that fails for its log driver.
fn refused(message: String, part: Part) -> Failure {
    Failure { part: Some(Box::new(part)), ..Failure::new(FailureKind::Other, message) }
}
