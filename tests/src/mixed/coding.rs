//! Content codings (RFC 9110 §8.4) as a sender applies them, flushed behind every piece.
//! Takes pieces of a body; gives as many encoded ones, or a body decoded.
//! Uses the encoders of others: llmtap has only decoders.

use std::{
    io::{self, Read as _, Write},
    mem,
};

use flate2::{
    Compression,
    read::{GzDecoder, ZlibDecoder},
    write::{GzEncoder, ZlibEncoder},
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Coding {
    Identity,
    Gzip,
    Deflate,
    Br,
    Zstd,
}

impl Coding {
    pub const ALL: [Self; 5] = [Self::Identity, Self::Gzip, Self::Deflate, Self::Br, Self::Zstd];

    /// As `Content-Encoding` names it; nothing where there is no coding.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Deflate => Some("deflate"),
            Self::Br => Some("br"),
            Self::Zstd => Some("zstd"),
        }
    }

    pub fn of_name(name: Option<&str>) -> Option<Self> {
        Self::ALL.into_iter().find(|coding| coding.name() == name)
    }
}

/// Quality and window of brotli: the smallest that flushes well.
const BROTLI_QUALITY: u32 = 3;
const BROTLI_WINDOW: u32 = 18;
const BUFFER: usize = 4096;

/// Each piece can be decoded as soon as it has come.
///
/// # Errors
/// An encoder failed, though it writes to memory.
pub fn encode(coding: Coding, pieces: &[Vec<u8>]) -> io::Result<Vec<Vec<u8>>> {
    match coding {
        Coding::Identity => Ok(pieces.to_vec()),
        Coding::Gzip => {
            let encoder = GzEncoder::new(Vec::new(), Compression::fast());
            flushed(encoder, pieces, GzEncoder::get_mut, GzEncoder::finish)
        }
        Coding::Deflate => {
            let encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
            flushed(encoder, pieces, ZlibEncoder::get_mut, ZlibEncoder::finish)
        }
        Coding::Br => {
            let encoder =
                brotli::CompressorWriter::new(Vec::new(), BUFFER, BROTLI_QUALITY, BROTLI_WINDOW);
            flushed(encoder, pieces, brotli::CompressorWriter::get_mut, |it| Ok(it.into_inner()))
        }
        Coding::Zstd => {
            let encoder = zstd::Encoder::new(Vec::new(), 1)?;
            flushed(encoder, pieces, zstd::Encoder::get_mut, zstd::Encoder::finish)
        }
    }
}

fn flushed<E: Write>(
    mut encoder: E,
    pieces: &[Vec<u8>],
    output: impl Fn(&mut E) -> &mut Vec<u8>,
    finish: impl FnOnce(E) -> io::Result<Vec<u8>>,
) -> io::Result<Vec<Vec<u8>>> {
    let mut encoded = Vec::new();
    for piece in pieces {
        encoder.write_all(piece)?;
        encoder.flush()?;
        encoded.push(mem::take(output(&mut encoder)));
    }
    encoded.push(finish(encoder)?);
    Ok(encoded)
}

/// # Errors
/// It is not in this coding.
pub fn decode(coding: Coding, body: &[u8]) -> io::Result<Vec<u8>> {
    let mut decoded = Vec::new();
    match coding {
        Coding::Identity => decoded.extend_from_slice(body),
        Coding::Gzip => drop(GzDecoder::new(body).read_to_end(&mut decoded)?),
        Coding::Deflate => drop(ZlibDecoder::new(body).read_to_end(&mut decoded)?),
        Coding::Br => drop(brotli::Decompressor::new(body, BUFFER).read_to_end(&mut decoded)?),
        Coding::Zstd => zstd::stream::copy_decode(body, &mut decoded)?,
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_pieces_are_one_body() {
        let pieces = [b"one ".to_vec(), b"two ".repeat(1000), b"three".to_vec()];
        for coding in Coding::ALL {
            let encoded = encode(coding, &pieces).unwrap().concat();
            assert_eq!(decode(coding, &encoded).unwrap(), pieces.concat(), "{coding:?}");
            assert_eq!(Coding::of_name(coding.name()), Some(coding));
        }
    }
}
