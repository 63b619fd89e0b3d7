//! A body that is sent piece by piece, each flushed by itself, and that may never end.
//! Takes pieces; gives frames to hyper, with a pause of one turn between two.
//! Of one piece the length is told before (`Content-Length`), of more it is not.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

#[derive(Debug)]
pub struct Pieces {
    left: VecDeque<Bytes>,
    /// Behind the last piece comes nothing, not even an end.
    hangs: bool,
    /// The last turn gave a piece: what writes has a turn to flush it.
    pauses: bool,
}

impl Pieces {
    pub fn new(pieces: Vec<Vec<u8>>, hangs: bool) -> Self {
        let left = pieces.into_iter().filter(|piece| !piece.is_empty()).map(Bytes::from).collect();
        Self { left, hangs, pauses: false }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left.is_empty() {
            return if self.hangs { Poll::Pending } else { Poll::Ready(None) };
        }
        self.pauses = !self.pauses;
        if !self.pauses {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.left.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && !self.hangs
    }

    fn size_hint(&self) -> SizeHint {
        match self.left.len() {
            0 | 1 if !self.hangs => {
                SizeHint::with_exact(self.left.iter().map(|piece| piece.len() as u64).sum())
            }
            _ => SizeHint::default(),
        }
    }
}
