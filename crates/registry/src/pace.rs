//! How long a server may take: a connection that brings a byte now and then would hold a pull for days.

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use std::io;
use std::time::{Duration, Instant};

/// Bounds on waiting.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For an answer to begin, and between the pieces of a body.
    pub idle: Duration,
    /// For a small answer in all: a manifest, a configuration, a token.
    pub whole: Duration,
    /// Bytes of a large answer that each `idle` of waiting has to bring.
    pub least: u64,
}

impl Default for Patience {
    /// A minute, two, and 1 KiB a second.
    fn default() -> Self {
        Self { idle: Duration::from_secs(60), whole: Duration::from_secs(120), least: 60 << 10 }
    }
}

/// A body whose server has to keep going. Time that nobody asks for more does not count.
#[derive(Debug)]
pub(crate) struct Paced {
    body: Incoming,
    patience: Patience,
    /// Waited since the last reckoning.
    waited: Duration,
    /// Bytes since then.
    came: u64,
}

impl Paced {
    pub(crate) fn new(body: Incoming, patience: Patience) -> Self {
        Self { body, patience, waited: Duration::ZERO, came: 0 }
    }

    /// The next bytes; `None` at the end.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let begun = Instant::now();
            let frame = tokio::time::timeout(self.patience.idle, self.body.frame()).await;
            let Some(frame) = frame.map_err(|_| slow("nothing came", self.patience.idle))? else {
                return Ok(None);
            };
            self.waited += begun.elapsed();
            if let Ok(bytes) = frame.map_err(io::Error::other)?.into_data() {
                self.came += bytes.len() as u64;
                self.reckon()?;
                return Ok(Some(bytes));
            }
        }
    }

    fn reckon(&mut self) -> io::Result<()> {
        if self.waited < self.patience.idle {
            return Ok(());
        }
        let (came, seconds) = (self.came, self.waited.as_secs_f32());
        if came < self.patience.least {
            let message = format!("only {came} bytes came in {seconds:.1} seconds");
            return Err(io::Error::new(io::ErrorKind::TimedOut, message));
        }
        (self.waited, self.came) = (Duration::ZERO, 0);
        Ok(())
    }
}

/// Reads a whole body of at most `limit` bytes; `None` when it has more.
pub(crate) async fn collect(body: Incoming, limit: usize, patience: Patience) -> io::Result<Option<Bytes>> {
    let mut body = Paced::new(body, Patience { least: 0, ..patience });
    let read = async {
        let mut whole = vec![];
        while let Some(piece) = body.next().await? {
            if whole.len() + piece.len() > limit {
                return Ok(None);
            }
            whole.extend_from_slice(&piece);
        }
        Ok(Some(whole.into()))
    };
    let read = tokio::time::timeout(patience.whole, read).await;
    read.unwrap_or_else(|_| Err(slow("its answer was not whole", patience.whole)))
}

/// Who answers took too long.
pub(crate) fn slow(what: &str, after: Duration) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("{what} after {} seconds", after.as_secs_f32()))
}
