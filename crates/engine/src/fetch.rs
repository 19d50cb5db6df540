//! Downloads a blob: each byte once and in order, through as many connections as it takes.

use registry::{Bytes, Failure, Layer, Place, Registry, RegistryError};
use std::io::{self, BufRead, Read};
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender};

/// Pieces of a blob that wait for who takes them.
pub(crate) const WAITING: usize = 16;
/// Times in a row that a connection may break without a byte having come.
const ATTEMPTS: u32 = 5;
/// Bytes that make up for a connection that was given up because it was too slow.
const PROGRESS: u64 = 1 << 20;

/// What happens meanwhile.
pub(crate) enum Fetched {
    /// So many bytes have been handed on.
    Bytes(u64),
    /// The connection was cut; it goes on from there.
    Resumed,
}

/// A blob's download.
pub(crate) struct Fetch<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) place: &'a Place,
    pub(crate) tell: &'a (dyn Fn(Fetched) + Sync),
}

impl Fetch<'_> {
    /// Sends the blob's bytes on.
    ///
    /// # Errors
    /// [`RegistryError`]; whoever takes the bytes has been told then that something is missing.
    pub(crate) async fn download(
        &self,
        layer: &Layer,
        sender: Sender<io::Result<Bytes>>,
    ) -> Result<(), RegistryError> {
        let (mut done, mut failures) = (0, 0);
        loop {
            let before = done;
            let cut = match self.stream(layer, &sender, &mut done).await {
                Ok(Some(cut)) => cut,
                Ok(None) => return Ok(()),
                Err(failure) => {
                    // Without this the blob would look like one that is merely too short.
                    let _ = sender.send(Err(io::ErrorKind::ConnectionAborted.into())).await;
                    return Err(failure);
                }
            };
            // One that brings a little and then nothing would be asked for ever.
            let was_slow = matches!(&*cut.source, Failure::Unreachable { source, .. } if source.kind() == io::ErrorKind::TimedOut);
            let enough = if was_slow { PROGRESS } else { 1 };
            failures = if done - before >= enough { 1 } else { failures + 1 };
            if failures > ATTEMPTS {
                let _ = sender.send(Err(io::ErrorKind::ConnectionAborted.into())).await;
                return Err(cut);
            }
            tokio::time::sleep(Duration::from_millis(100) * 2_u32.pow(failures)).await;
            (self.tell)(Fetched::Resumed);
        }
    }

    /// One connection's worth: `None` when nothing more is to come, an error that may pass, or one that
    /// does not.
    async fn stream(
        &self,
        layer: &Layer,
        sender: &Sender<io::Result<Bytes>>,
        done: &mut u64,
    ) -> Result<Option<RegistryError>, RegistryError> {
        let mut blob = match self.registry.blob(self.place, layer, *done).await {
            Ok(blob) => blob,
            Err(error) if error.source.is_passing() => return Ok(Some(error)),
            // There is nothing after the bytes we have: who takes them will say that they are too few.
            Err(error) if matches!(*error.source, Failure::Status { status: 416, .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        loop {
            let cut = match blob.chunk().await {
                Ok(Some(bytes)) => {
                    *done += bytes.len() as u64;
                    (self.tell)(Fetched::Bytes(*done));
                    if sender.send(Ok(bytes)).await.is_err() {
                        return Ok(None); // who took them has failed and says why
                    }
                    continue;
                }
                Ok(None) if *done >= layer.size => return Ok(None),
                Ok(None) => {
                    let ended = format!("it ended after {done} of {} bytes", layer.size);
                    io::Error::new(io::ErrorKind::UnexpectedEof, ended)
                }
                Err(cut) => cut,
            };
            let address = self.place.host().to_owned();
            return Ok(Some(self.place.error(Failure::Unreachable { address, source: cut })));
        }
    }
}

/// A blob's bytes for a thread that may wait for them.
pub(crate) struct Pieces {
    receiver: Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl Pieces {
    pub(crate) fn new(receiver: Receiver<io::Result<Bytes>>) -> Self {
        Self { receiver, piece: Bytes::new() }
    }
}

impl BufRead for Pieces {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => break,
            }
        }
        Ok(&self.piece)
    }

    fn consume(&mut self, amount: usize) {
        // Not `advance`, so that engine needs no crate for it.
        drop(self.piece.split_to(amount));
    }
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut bytes = self.fill_buf()?;
        let length = bytes.read(into)?;
        self.consume(length);
        Ok(length)
    }
}

/// What a blocking task returned; its panic goes on here.
pub(crate) fn joined<T>(result: Result<T, tokio::task::JoinError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
