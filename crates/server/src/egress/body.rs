//! What is sent, whole or piece by piece, and what comes back: the answer read whole, or its body piece by piece, both within a limit.

use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use amalgam_protocol::Pieces;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{BoxStream, StreamExt as _};
use http::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use hyper::body::{Body, Frame, SizeHint};

use super::{
    error::{EgressError, EgressErrorKind, from_body},
    link::Link,
};

/// The body of a request.
pub enum Payload {
    /// At hand, so that it can be sent again.
    Whole(Pieces),
    /// Piece by piece, once; and how many bytes are left of it.
    Stream(BoxStream<'static, io::Result<Bytes>>, u64),
}

impl Body for Payload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body).poll_frame(context).map_err(|never| match never {}),
            Self::Stream(pieces, left) => Poll::Ready(ready!(pieces.poll_next_unpin(context)).map(|piece| {
                let piece = piece?;
                *left = left.saturating_sub(u64::try_from(piece.len()).unwrap_or(u64::MAX));
                Ok(Frame::data(piece))
            })),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(body) if body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Stream(_, left) => SizeHint::with_exact(*left),
        }
    }
}

/// What came of a request whose answer may be a file.
pub enum Arrived {
    /// An answer to read.
    Whole(Incoming),
    /// A file, whose body is still on its way.
    File(IncomingStream),
}

/// An answer, read whole.
pub struct Incoming {
    /// The status, never 1xx.
    pub status: StatusCode,
    /// The headers, at most 100.
    pub headers: HeaderMap,
    /// The body, not longer than the request's `max_response_bytes`.
    pub body: Bytes,
}

impl Incoming {
    /// Whether it says that its body is JSON, by itself or as one of the types that are written in it (RFC 6839 section 3.1).
    pub fn is_json(&self) -> bool {
        let kind = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
    }
}

/// An answer whose body is still on its way.
pub struct IncomingStream {
    /// The status, never 1xx.
    pub status: StatusCode,
    /// The headers, at most 100.
    pub headers: HeaderMap,
    /// The body.
    pub body: IncomingBody,
}

// Answers carry secrets, and so do URLs: neither is shown by mistake.
impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Incoming({}, {} bytes)", self.status, self.body.len())
    }
}

impl fmt::Debug for IncomingStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IncomingStream({})", self.status)
    }
}

/// A body of limited length, read piece by piece. Dropping it before its end closes the connection.
pub struct IncomingBody {
    body: hyper::body::Incoming,
    /// What it comes through, until its end.
    link: Option<Box<Link>>,
    /// Pieces until others have their turn.
    turn: u8,
    left: usize,
    limit: usize,
    host: Arc<str>,
}

/// Room that is made at once for what a platform announces, in bytes: it may announce what never comes.
const ROOM: usize = 1024 * 1024;
/// A platform that sends without end would keep a thread to itself: after so many pieces the call steps back.
const TURN: u8 = 8;

impl IncomingBody {
    /// Refuses at once a body that announces more than `limit` bytes.
    pub(super) fn new(body: hyper::body::Incoming, link: Box<Link>, limit: usize, host: Arc<str>) -> Result<Self, EgressError> {
        let mut this = Self { body, link: Some(link), turn: TURN, left: limit, limit, host }.within(limit)?;
        this.release();
        Ok(this)
    }

    /// Nothing comes after the end: the connection is free.
    fn release(&mut self) {
        if self.body.is_end_stream()
            && let Some(link) = self.link.take()
        {
            link.release();
        }
    }

    /// The same body, of at most `limit` bytes from here on.
    pub fn within(mut self, limit: usize) -> Result<Self, EgressError> {
        (self.left, self.limit) = (limit, limit);
        if usize::try_from(self.body.size_hint().lower()).map_or(true, |bytes| bytes > limit) {
            return Err(self.too_large());
        }
        Ok(self)
    }

    /// The next piece as it came from the socket, `None` at the end. Safe to cancel: an unfinished wait loses nothing.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, EgressError> {
        loop {
            self.turn -= 1;
            if self.turn == 0 {
                self.turn = TURN;
                tokio::task::yield_now().await;
            }
            let frame = std::future::poll_fn(|context| {
                // What has come already is taken before more is asked for.
                match (Pin::new(&mut self.body).poll_frame(context), &mut self.link) {
                    (Poll::Pending, Some(link)) => link.drive(context),
                    (polled, _) => return polled,
                }
                Pin::new(&mut self.body).poll_frame(context)
            });
            let Some(frame) = frame.await else { break };
            let frame = frame.map_err(|cause| from_body(&cause, &self.host))?;
            self.release();
            // Trailers say nothing that we need.
            let Ok(data) = frame.into_data() else {
                continue;
            };
            self.left = self.left.checked_sub(data.len()).ok_or_else(|| self.too_large())?;
            return Ok(Some(data));
        }
        if let Some(link) = self.link.take() {
            link.release();
        }
        Ok(None)
    }

    /// Reads to the end. Pieces are copied together, because a platform that sends single bytes would otherwise cost
    /// a buffer for each; the usual answer is one piece and is not copied.
    pub async fn whole(mut self) -> Result<Bytes, EgressError> {
        let Some(first) = self.chunk().await? else {
            return Ok(Bytes::new());
        };
        if self.body.is_end_stream() {
            return Ok(first);
        }
        let Some(second) = self.chunk().await? else {
            return Ok(first);
        };
        let announced = usize::try_from(self.body.size_hint().lower()).unwrap_or(usize::MAX);
        let mut whole = BytesMut::with_capacity(first.len() + second.len() + announced.min(ROOM).max(first.len()));
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&second);
        while let Some(data) = self.chunk().await? {
            whole.extend_from_slice(&data);
        }
        Ok(whole.freeze())
    }

    fn too_large(&self) -> EgressError {
        EgressError::new(EgressErrorKind::TooLarge(self.limit), &self.host)
    }
}
