//! Decompresses a blob in a thread of its own while another writes files: both cores have work.
//!
//! ```text
//! bytes -> [digest of the blob -> decompress] -> chunks -> [digest of the archive -> unpack]
//!           decoding thread                      bounded    calling thread
//! ```

use crate::beside::StreamHasher;
use crate::error::UnpackError;
use resource::Digest;
use std::io::{self, BufRead, Cursor, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

/// Bytes handed from one thread to the other at once.
const CHUNK: usize = 256 * 1024;
/// Chunks that may wait between the threads.
const WAITING: usize = 8;

/// How a layer's blob is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    /// Not at all.
    None,
    /// One or more members.
    Gzip,
    /// One or more frames.
    Zstd,
    /// One or more streams; only archives of users have it, as the next.
    Bzip2,
    /// One or more streams.
    Xz,
}

/// KiB of memory that decompressing xz may take: what its strongest usual level takes, four times over.
const XZ_MEMORY: u32 = 256 << 10;

impl Compression {
    /// By the first bytes of a blob: manifests are wrong about this often enough.
    pub(crate) fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // A frame, or a skippable frame in front of it.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Self::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            _ => Self::None,
        }
    }
}

/// Whether a file is a tar archive, compressed or not: whether what it begins with is the header of a member.
pub fn begins_an_archive(file: impl Read) -> bool {
    let mut file = io::BufReader::new(file);
    let Ok(start) = file.fill_buf() else { return false };
    let compression = Compression::of(start);
    let mut header = vec![];
    let read = match compression {
        Compression::None => file.take(HEADER).read_to_end(&mut header),
        Compression::Gzip => flate2::bufread::MultiGzDecoder::new(file).take(HEADER).read_to_end(&mut header),
        Compression::Bzip2 => bzip2::bufread::MultiBzDecoder::new(file).take(HEADER).read_to_end(&mut header),
        Compression::Xz => {
            let decoder = lzma_rust2::XzReader::new_mem_limit(file, true, XZ_MEMORY);
            decoder.take(HEADER).read_to_end(&mut header)
        }
        Compression::Zstd => zstd::stream::read::Decoder::with_buffer(file)
            .and_then(|decoder| decoder.take(HEADER).read_to_end(&mut header)),
    };
    read.is_ok() && is_header(&header)
}

/// Bytes of a member's header.
const HEADER: u64 = 512;

/// Whether these bytes have the sum that they say, the sum itself counted as spaces.
fn is_header(bytes: &[u8]) -> bool {
    let Some(sum) = bytes.get(148..156).filter(|_| bytes.len() as u64 == HEADER) else { return false };
    let digits = String::from_utf8_lossy(sum);
    let said = u32::from_str_radix(digits.trim_matches([' ', '\0']), 8);
    let others = bytes[..148].iter().chain(&bytes[156..]).map(|byte| u32::from(*byte)).sum::<u32>();
    said == Ok(others + 8 * u32::from(b' '))
}

/// What the decoding thread hands over.
enum Chunk {
    Bytes(Vec<u8>),
    End,
}

/// Runs `consume` on the uncompressed archive in `blob`, checks the blob against its promised digest and
/// length, and returns the digest of the archive with what `consume` made of it. The consumer must read
/// the archive to its end.
pub(crate) fn decode<R: BufRead + Send, T>(
    blob: R,
    promised: Option<&(Digest, u64)>,
    consume: impl FnOnce(Uncompressed) -> Result<(Uncompressed, T), UnpackError>,
) -> Result<(Digest, T), UnpackError> {
    let (chunks, taken) = sync_channel(WAITING);
    let (used, spare) = channel();
    let given_up = AtomicBool::new(false);
    let limit = promised.map(|(_, length)| *length);
    std::thread::scope(|scope| {
        let given_up = &given_up;
        let decoder = scope.spawn(move || {
            let mut blob =
                Digesting { inner: blob, hasher: StreamHasher::default(), length: 0, limit, failed: false };
            let pumped = pump(&mut blob, chunks, &spare);
            // What does not decompress or parse was most likely damaged on its way: its digest tells.
            let drained = if blob.failed { Ok(()) } else { drain(&mut blob, given_up) };
            (pumped.and(drained), blob.failed, blob.hasher.finish(), blob.length)
        });
        let archive = Uncompressed {
            taken,
            used,
            chunk: vec![],
            position: 0,
            ended: false,
            hasher: StreamHasher::default(),
        };
        let consumed =
            consume(archive).inspect_err(|error| given_up.store(error.is_of_entry(), Ordering::Relaxed));
        let (pumped, cut, found, length) = match decoder.join() {
            Ok(decoded) => decoded,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        match (pumped, consumed) {
            (_, Err(error)) if error.is_of_entry() => Err(error),
            (Err(error), _) if cut => Err(UnpackError::Read(error)),
            (pumped, consumed) => {
                verify(promised, found, length)?;
                pumped.map_err(UnpackError::Decompress)?;
                let (archive, value) = consumed?;
                Ok((archive.hasher.finish(), value))
            }
        }
    })
}

fn verify(promised: Option<&(Digest, u64)>, found: Digest, length: u64) -> Result<(), UnpackError> {
    match promised {
        Some((_, expected)) if *expected != length => {
            Err(UnpackError::WrongSize { expected: *expected, found: length })
        }
        Some((expected, _)) if *expected != found => {
            Err(UnpackError::WrongDigest { what: "digest", expected: expected.clone(), found })
        }
        _ => Ok(()),
    }
}

/// Reads the blob to its end for its digest alone.
fn drain<R: BufRead>(blob: &mut Digesting<R>, given_up: &AtomicBool) -> io::Result<()> {
    while !given_up.load(Ordering::Relaxed) {
        let length = match blob.fill_buf() {
            Ok(bytes) => bytes.len(),
            Err(error) => {
                // Else it is longer than promised, which its length shows.
                return if blob.failed { Err(error) } else { Ok(()) };
            }
        };
        if length == 0 {
            break;
        }
        blob.consume(length);
    }
    Ok(())
}

/// Decompresses all of the blob into chunks. Ends early, and well, when nobody takes them any more.
fn pump<R: BufRead>(
    blob: &mut Digesting<R>,
    chunks: SyncSender<Chunk>,
    spare: &Receiver<Vec<u8>>,
) -> io::Result<()> {
    let mut start = Vec::with_capacity(6);
    (&mut *blob).take(6).read_to_end(&mut start)?;
    let compression = Compression::of(&start);
    let mut whole = Cursor::new(start).chain(blob);
    let whole = match compression {
        Compression::None => feed(&mut whole, &chunks, spare)?,
        Compression::Gzip => feed(&mut flate2::bufread::MultiGzDecoder::new(&mut whole), &chunks, spare)?,
        Compression::Bzip2 => feed(&mut bzip2::bufread::MultiBzDecoder::new(&mut whole), &chunks, spare)?,
        Compression::Xz => {
            let mut decoder = lzma_rust2::XzReader::new_mem_limit(&mut whole, true, XZ_MEMORY);
            feed(&mut decoder, &chunks, spare)?
        }
        Compression::Zstd => {
            feed(&mut zstd::stream::read::Decoder::with_buffer(&mut whole)?, &chunks, spare)?
        }
    };
    if whole {
        // A consumer that is gone has its own error to tell.
        let _ = chunks.send(Chunk::End);
    }
    Ok(())
}

fn feed(from: &mut impl Read, chunks: &SyncSender<Chunk>, spare: &Receiver<Vec<u8>>) -> io::Result<bool> {
    loop {
        let mut chunk = spare.try_recv().unwrap_or_else(|_| vec![0; CHUNK]);
        chunk.resize(CHUNK, 0);
        let mut filled = 0;
        while filled < CHUNK {
            match from.read(&mut chunk[filled..]) {
                Ok(0) => break,
                Ok(length) => filled += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        chunk.truncate(filled);
        if filled == 0 {
            return Ok(true);
        }
        if chunks.send(Chunk::Bytes(chunk)).is_err() {
            return Ok(false);
        }
    }
}

/// A blob that is digested as it is read.
struct Digesting<R> {
    inner: R,
    hasher: StreamHasher,
    length: u64,
    limit: Option<u64>,
    /// The error came from below, not from what reads this.
    failed: bool,
}

impl<R: BufRead> BufRead for Digesting<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.limit.is_some_and(|limit| self.length > limit) {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let Self { inner, failed, .. } = self;
        inner.fill_buf().inspect_err(|_| *failed = true)
    }

    fn consume(&mut self, amount: usize) {
        // Below there is the buffer that `fill_buf` gave a moment ago.
        if let Ok(bytes) = self.inner.fill_buf() {
            self.hasher.update(&bytes[..amount]);
        }
        self.inner.consume(amount);
        self.length += amount as u64;
    }
}

impl<R: BufRead> Read for Digesting<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut bytes = self.fill_buf()?;
        let length = bytes.read(into)?;
        self.consume(length);
        Ok(length)
    }
}

/// The uncompressed archive, as the other thread makes it.
pub(crate) struct Uncompressed {
    taken: Receiver<Chunk>,
    used: Sender<Vec<u8>>,
    chunk: Vec<u8>,
    position: usize,
    ended: bool,
    hasher: StreamHasher,
}

impl BufRead for Uncompressed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.position == self.chunk.len() && !self.ended {
            match self.taken.recv() {
                Ok(Chunk::Bytes(chunk)) => {
                    self.hasher.update(&chunk);
                    let used = std::mem::replace(&mut self.chunk, chunk);
                    self.position = 0;
                    // The decoder may have ended already; then nobody needs the memory.
                    let _ = self.used.send(used);
                }
                Ok(Chunk::End) => self.ended = true,
                Err(_) => return Err(io::ErrorKind::ConnectionAborted.into()),
            }
        }
        Ok(&self.chunk[self.position..])
    }

    fn consume(&mut self, amount: usize) {
        self.position += amount;
    }
}

impl Read for Uncompressed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut bytes = self.fill_buf()?;
        let length = bytes.read(into)?;
        self.consume(length);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn decoded(blob: &[u8], promised: Option<&(Digest, u64)>) -> Result<(Digest, Vec<u8>), UnpackError> {
        decode(io::BufReader::with_capacity(7, blob), promised, |mut archive| {
            let mut bytes = vec![];
            archive.read_to_end(&mut bytes).map_err(UnpackError::Read)?;
            Ok((archive, bytes))
        })
    }

    fn promise(blob: &[u8]) -> (Digest, u64) {
        (crate::digest_of(blob), blob.len() as u64)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_compression_gives_the_same_archive() {
        let archive: Vec<u8> = (0..1_000_000_u32).map(|number| (number / 7) as u8).collect();
        let members = [gzip(&archive[..300_000]), gzip(&archive[300_000..])].concat();
        let frame = |part: &[u8]| zstd::encode_all(part, 1).unwrap();
        // What zstd's readers pass over: its length, and bytes of anybody's.
        let skippable = |kind: u8| [&[kind, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"any"].concat();
        let frames = frame(&archive);
        let parts = [
            skippable(0x50),
            frame(&archive[..400_000]),
            skippable(0x5f),
            frame(&archive[400_000..]),
            skippable(0x51),
        ];
        for blob in [archive.clone(), members, frames, parts.concat()] {
            let (diff_id, bytes) = decoded(&blob, Some(&promise(&blob))).unwrap();
            assert!(bytes == archive);
            assert_eq!(diff_id, crate::digest_of(&archive));
        }
    }

    #[test]
    fn damage_shows_as_a_wrong_digest_and_only_unpromised_damage_as_damage() {
        let blob = gzip(&[7; 100_000]);
        let mut damaged = blob.clone();
        damaged[blob.len() - 6] ^= 1; // in its checksum
        assert!(matches!(decoded(&damaged, Some(&promise(&blob))), Err(UnpackError::WrongDigest { .. })));
        let error = decoded(&damaged, Some(&promise(&damaged)));
        assert!(matches!(error, Err(UnpackError::Decompress(_))));
        let longer = [blob.as_slice(), b"more"].concat();
        assert!(matches!(decoded(&longer, Some(&promise(&blob))), Err(UnpackError::WrongSize { .. })));
        let shorter = &blob[..blob.len() - 5];
        assert!(matches!(decoded(shorter, Some(&promise(&blob))), Err(UnpackError::WrongSize { .. })));
    }

    #[test]
    fn an_empty_blob_is_an_empty_archive() {
        let (diff_id, bytes) = decoded(&[], Some(&promise(&[]))).unwrap();
        assert!(bytes.is_empty());
        assert_eq!(diff_id, crate::digest_of(&[]));
    }

    #[test]
    fn a_failing_consumer_ends_the_decoder() {
        let blob = gzip(&vec![1; 50_000_000]);
        let error = decode::<_, ()>(blob.as_slice(), None, |_| {
            Err(UnpackError::Archive { offset: 0, reason: "test" })
        });
        assert!(matches!(error, Err(UnpackError::Archive { .. })));
    }
}
