//! A text in the pieces in which it lies at hand: what is long goes from one message into another without a copy.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// From this length on a part is not copied, in bytes: one piece more costs about as much as copying so many.
const LONG: usize = 4096;

/// Room for what stands around long parts, in bytes.
const AROUND: usize = 512;

/// A part of `source` as a share of it; `None` where it lies elsewhere.
#[must_use]
pub fn share(source: &Bytes, part: &str) -> Option<Bytes> {
    let start = (part.as_ptr() as usize).checked_sub(source.as_ptr() as usize)?;
    let end = start.checked_add(part.len())?;
    (end <= source.len()).then(|| source.slice(start..end))
}

/// Bytes in one or more pieces. As a body they have a known length.
#[derive(Clone, Debug, Default)]
pub struct Pieces {
    /// Empty only where all are.
    first: Bytes,
    rest: VecDeque<Bytes>,
}

impl Pieces {
    /// How many bytes there are in all.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rest.iter().fold(self.first.len(), |sum, piece| sum + piece.len())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// All of them as one, copied where they are several.
    #[must_use]
    pub fn join(self) -> Bytes {
        if self.rest.is_empty() {
            return self.first;
        }
        let mut all = Vec::with_capacity(self.len());
        for piece in [self.first].iter().chain(&self.rest) {
            all.extend_from_slice(piece);
        }
        all.into()
    }
}

impl From<Bytes> for Pieces {
    fn from(bytes: Bytes) -> Self {
        Self { first: bytes, rest: VecDeque::new() }
    }
}

impl From<Vec<u8>> for Pieces {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Pieces {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}

impl From<Pieces> for Bytes {
    fn from(pieces: Pieces) -> Self {
        pieces.join()
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.rest.pop_front().unwrap_or_default();
        let piece = mem::replace(&mut self.first, next);
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len() as u64)
    }
}

/// Where JSON is written.
pub trait Sink {
    /// What is written next goes here.
    fn text(&mut self) -> &mut Vec<u8>;

    /// Appends what is at hand.
    fn part(&mut self, part: &str) {
        self.text().extend_from_slice(part.as_bytes());
    }
}

impl Sink for Vec<u8> {
    fn text(&mut self) -> &mut Vec<u8> {
        self
    }
}

/// Writes [`Pieces`]: long parts of `source` are kept as they are, all else is copied together.
#[derive(Debug)]
pub struct Writer<'s> {
    source: Option<&'s Bytes>,
    pieces: VecDeque<Bytes>,
    text: Vec<u8>,
}

impl<'s> Writer<'s> {
    /// With room for `size` bytes, where they are copied.
    #[must_use]
    pub fn new(source: Option<&'s Bytes>, size: usize) -> Self {
        // What is longer has most of it in one part of its source.
        let room = if size < LONG || source.is_none() { size } else { AROUND };
        Self { source, pieces: VecDeque::new(), text: Vec::with_capacity(room) }
    }

    /// What was written.
    #[must_use]
    pub fn finish(mut self) -> Pieces {
        if !self.text.is_empty() {
            self.pieces.push_back(self.text.into());
        }
        Pieces { first: self.pieces.pop_front().unwrap_or_default(), rest: self.pieces }
    }
}

impl Sink for Writer<'_> {
    fn text(&mut self) -> &mut Vec<u8> {
        &mut self.text
    }

    fn part(&mut self, part: &str) {
        match self.source.filter(|_| part.len() >= LONG).and_then(|source| share(source, part)) {
            Some(piece) => {
                if !self.text.is_empty() {
                    self.pieces.push_back(mem::take(&mut self.text).into());
                }
                self.pieces.push_back(piece);
            }
            None => self.text.extend_from_slice(part.as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(source: &Bytes, parts: &[&str]) -> Pieces {
        let mut writer = Writer::new(Some(source), parts.iter().map(|part| part.len()).sum());
        for part in parts {
            writer.part(part);
        }
        writer.finish()
    }

    #[test]
    fn long_parts_of_the_source_are_not_copied() {
        let (source, long) = (Bytes::from("x".repeat(2 * LONG)), "y".repeat(LONG));
        let text = std::str::from_utf8(&source).unwrap();
        let pieces = write(&source, &["{", &text[1..=LONG], "}", &text[..5], &long, &text[3..]]);
        assert_eq!(pieces.len(), 7 + 2 * LONG + text.len() - 3);
        let all: Vec<&Bytes> = [&pieces.first].into_iter().chain(&pieces.rest).collect();
        assert_eq!(all.len(), 4);
        assert_eq!(all[1].as_ptr(), source[1..].as_ptr());
        assert_eq!(all[3].as_ptr(), source[3..].as_ptr());
        assert_eq!(pieces.join(), ["{", &text[1..=LONG], "}xxxxx", &long, &text[3..]].concat());
    }

    #[test]
    fn as_a_body_they_come_in_order_and_end() {
        let source = Bytes::from("x".repeat(LONG));
        let text = std::str::from_utf8(&source).unwrap();
        let mut context = Context::from_waker(std::task::Waker::noop());
        for (parts, count) in [(&[][..], 0), (&["a"], 1), (&[text], 1), (&["a", text, "b"], 3)] {
            let mut pieces = write(&source, parts);
            assert_eq!(pieces.size_hint().exact(), Some(parts.concat().len() as u64));
            let mut heard = Vec::new();
            let mut frames = 0;
            while !pieces.is_end_stream() {
                let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut pieces).poll_frame(&mut context) else { panic!("no frame") };
                heard.extend_from_slice(&frame.into_data().unwrap());
                frames += 1;
            }
            assert!(matches!(Pin::new(&mut pieces).poll_frame(&mut context), Poll::Ready(None)));
            assert_eq!((String::from_utf8(heard).unwrap(), frames), (parts.concat(), count));
        }
    }
}
