//! What nobody has read of a request's body. A refusal often comes before the body does; a connection on which the body is still to come
//! cannot take the next request, and closing it without a word breaks that request.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// As much is read and thrown away; more is not worth the connection. In bytes.
const MOST: u64 = 64 * 1024;
/// It has this long to arrive.
const TIMEOUT: Duration = Duration::from_secs(1);

/// A body that its handler and we hold.
#[derive(Clone)]
pub(super) struct Unread(Arc<Mutex<Incoming>>);

impl Unread {
    pub(super) fn new(body: Incoming) -> Self {
        Self(Arc::new(Mutex::new(body)))
    }

    fn body(&self) -> MutexGuard<'_, Incoming> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what is left, or says that the connection ends with this answer.
    pub(super) async fn finish(mut self, expects: bool, answer: &mut HeaderMap) {
        if self.is_end_stream() {
            return;
        }
        // Who expects to be told to go on has sent nothing yet, and reading would tell it.
        let is_small = !expects && self.size_hint().exact().is_none_or(|length| length <= MOST);
        let read = async {
            let mut left = MOST;
            while let Some(frame) = self.frame().await {
                let length = frame.ok()?.into_data().map_or(0, |data| data.len() as u64);
                left = left.checked_sub(length)?;
            }
            Some(())
        };
        if !is_small || !matches!(tokio::time::timeout(TIMEOUT, read).await, Ok(Some(()))) {
            answer.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

impl Body for Unread {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut *self.body()).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body().size_hint()
    }
}
