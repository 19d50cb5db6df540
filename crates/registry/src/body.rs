//! What a request carries: bytes that are all here, or a stream of them that is sent once.

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use tokio::sync::mpsc::Receiver;

/// The body of a request.
#[derive(Debug)]
pub(crate) enum Body {
    /// All of it; nothing, once it was sent.
    Whole(Option<Bytes>),
    /// Pieces as they come.
    Stream {
        /// They end with the channel.
        pieces: Receiver<io::Result<Bytes>>,
        /// How many bytes are still to come, when known.
        left: Option<u64>,
        /// How many have been taken, for whoever looks whether it goes on.
        taken: Arc<AtomicU64>,
    },
}

impl Body {
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(Some(bytes.into()).filter(|bytes: &Bytes| !bytes.is_empty()))
    }

    pub(crate) fn stream(pieces: Receiver<io::Result<Bytes>>, length: Option<u64>) -> Self {
        Self::Stream { pieces, left: length, taken: Arc::default() }
    }

    /// The same once more; `None` of a stream, which cannot be sent twice.
    pub(crate) fn again(&self) -> Option<Self> {
        match self {
            Self::Whole(bytes) => Some(Self::Whole(bytes.clone())),
            Self::Stream { .. } => None,
        }
    }

    /// Counts what of it has been taken to be sent.
    pub(crate) fn progress(&self) -> Arc<AtomicU64> {
        match self {
            Self::Whole(_) => Arc::default(),
            Self::Stream { taken, .. } => taken.clone(),
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream { pieces, left, taken } => {
                let polled = pieces.poll_recv(context);
                if let Poll::Ready(Some(Ok(bytes))) = &polled {
                    taken.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                    *left = left.map(|left| left.saturating_sub(bytes.len() as u64));
                }
                polled.map(|piece| piece.map(|piece| piece.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Stream { left: Some(left), .. } => SizeHint::with_exact(*left),
            Self::Stream { left: None, .. } => SizeHint::default(),
        }
    }
}
