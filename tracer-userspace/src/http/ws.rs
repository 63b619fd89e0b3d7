//! WebSocket (RFC 6455) with permessage-deflate (RFC 7692), both directions of one connection.
//! Takes the bytes behind the handshake split anywhere; gives the messages' bytes, unmasked and
//! decompressed, their ends and the Close frames. Pings, pongs and their payloads are passed over.

mod deflate;
mod frame;

use http::{HeaderMap, header::SEC_WEBSOCKET_EXTENSIONS};

use self::{
    deflate::{Extension, Inflater},
    frame::{FrameError, FrameReader, Header, Piece, opcode},
};
use super::{
    Ended, MessageKind,
    open::{Open, Side},
    output::Output,
};

#[derive(Debug)]
pub(super) struct Socket {
    client: Half,
    server: Half,
}

/// One direction.
#[derive(Debug)]
struct Half {
    frames: FrameReader,
    /// `None` where no compression was agreed on.
    inflater: Option<Inflater>,
    /// The message that a continuation frame goes on with.
    message: Option<Message>,
    /// Payload of a Close frame as far as it matters.
    close: Vec<u8>,
    /// A Close frame passed, or the framing is lost: nothing more is read.
    over: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Message {
    kind: MessageKind,
    compressed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Malformed {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("message begins within another, or goes on without one")]
    Continuation,
    #[error("compressed frame without an extension for it")]
    Compressed,
}

impl Socket {
    /// By the server's answer to the handshake, which says what both agreed on.
    pub(super) fn new(response: &HeaderMap) -> Self {
        let extension = response
            .get_all(SEC_WEBSOCKET_EXTENSIONS)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .find_map(Extension::parse);
        let half = |keeps_context: fn(&Extension) -> bool| Half {
            frames: FrameReader::new(),
            inflater: extension.as_ref().map(|it| Inflater::new(keeps_context(it))),
            message: None,
            close: Vec::new(),
            over: false,
        };
        Self {
            client: half(|extension| extension.client_keeps_context),
            server: half(|extension| extension.server_keeps_context),
        }
    }

    fn half(&mut self, side: Side) -> &mut Half {
        match side {
            Side::Request => &mut self.client,
            Side::Response => &mut self.server,
        }
    }

    /// True once `side` has sent its Close frame, or can't be read any more.
    pub(super) fn is_over(&self, side: Side) -> bool {
        match side {
            Side::Request => self.client.over,
            Side::Response => self.server.over,
        }
    }

    /// Nothing that follows on `side` can be read.
    pub(super) fn lose(&mut self, side: Side) {
        self.half(side).over = true;
    }

    pub(super) fn feed(
        &mut self,
        side: Side,
        mut input: &[u8],
        open: &mut Open,
        out: &mut Output<'_>,
    ) {
        let half = self.half(side);
        if !half.over
            && let Err(error) = half.read(side, &mut input, open, out)
        {
            tracing::debug!(%error, "malformed WebSocket");
            out.counts.malformed_messages += 1;
            half.over = true;
            open.lose(side, Ended::Malformed);
        }
        out.counts.skipped_bytes += input.len() as u64;
    }

    /// `missing` bytes were not captured. Beyond the frame under way no other can be found.
    pub(super) fn gap(&mut self, side: Side, missing: u64, open: &mut Open, out: &mut Output<'_>) {
        open.gap(side, missing, out);
        let half = self.half(side);
        if half.over {
            return;
        }
        match half.frames.skip(missing) {
            Some(header) => {
                if let (Some(Message { compressed: true, .. }), Some(inflater)) =
                    (half.message.filter(|_| !header.is_control()), &mut half.inflater)
                    && let Err(reason) = inflater.spoil()
                {
                    open.tell_unreadable(side, reason, out);
                }
                // What the gap reached the end of.
                self.feed(side, &[], open, out);
            }
            None => {
                half.over = true;
                open.lose(side, Ended::Gap);
            }
        }
    }
}

impl Half {
    fn read(
        &mut self,
        side: Side,
        input: &mut &[u8],
        open: &mut Open,
        out: &mut Output<'_>,
    ) -> Result<(), Malformed> {
        while let Some(piece) = self.frames.next(input)? {
            match piece {
                Piece::Header(header) => {
                    self.begin(&header)?;
                    // A message that goes on with the context of one that could not be read.
                    if header.compressed
                        && let Some(reason) = self.inflater.as_ref().and_then(Inflater::spoilt)
                    {
                        open.tell_unreadable(side, reason, out);
                    }
                }
                Piece::Payload(header, bytes) if header.opcode == opcode::CLOSE => {
                    // Two bytes of code (RFC 6455 §5.5.1), then a reason for people.
                    self.close.extend(bytes.iter().take(2 - self.close.len().min(2)));
                }
                Piece::Payload(header, bytes) if !header.is_control() => {
                    payload(self.message, &mut self.inflater, bytes, side, open, out);
                }
                Piece::Payload(..) => {}
                Piece::End(header) => {
                    self.end(side, &header, open, out);
                    if self.over {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    fn begin(&mut self, header: &Header) -> Result<(), Malformed> {
        if header.is_control() {
            return Ok(());
        }
        // RFC 6455 §5.4; RFC 7692 §6: the first frame of a message says if it is compressed.
        let kind = match (header.opcode, self.message) {
            (opcode::CONTINUATION, Some(_)) if !header.compressed => return Ok(()),
            (opcode::TEXT, None) => MessageKind::Text,
            (opcode::BINARY, None) => MessageKind::Binary,
            _ => return Err(Malformed::Continuation),
        };
        if header.compressed && self.inflater.is_none() {
            return Err(Malformed::Compressed);
        }
        self.message = Some(Message { kind, compressed: header.compressed });
        Ok(())
    }

    fn end(&mut self, side: Side, header: &Header, open: &mut Open, out: &mut Output<'_>) {
        if header.opcode == opcode::CLOSE {
            let code = self.close.first_chunk().map(|code| u16::from_be_bytes(*code));
            open.tell_close(side, code, out);
            self.over = true;
            return;
        }
        if header.is_control() || !header.fin {
            return;
        }
        let Some(message) = self.message.take() else { return };
        if let (true, Some(inflater)) = (message.compressed, &mut self.inflater) {
            let result = inflater.end_message(&mut |part| open.tell_body(side, part, out));
            if let Err(reason) = result {
                open.tell_unreadable(side, reason, out);
            }
        }
        open.tell_message_end(side, message.kind, out);
    }
}

fn payload(
    message: Option<Message>,
    inflater: &mut Option<Inflater>,
    bytes: &[u8],
    side: Side,
    open: &Open,
    out: &mut Output<'_>,
) {
    let (Some(Message { compressed: true, .. }), Some(inflater)) = (message, inflater) else {
        return open.tell_body(side, bytes, out);
    };
    let result = inflater.inflate(bytes, &mut |part| open.tell_body(side, part, out));
    if let Err(reason) = result {
        open.tell_unreadable(side, reason, out);
    }
}

#[cfg(test)]
mod tests;
