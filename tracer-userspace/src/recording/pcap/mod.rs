//! Packet captures of plain HTTP as a source to replay: pcap and pcapng.
//! Takes a file as tcpdump, Wireshark and their like write it; gives capture's events.
//! Knows link types, IP and TCP. IP fragments are counted and passed over, not put together.

mod connections;
mod link;
mod stream;

use std::io::BufRead;

use etherparse::{LaxIpSlice, TcpSlice, ip_number};
use pcap_parser::{
    Block, PcapBlockOwned, PcapError as Failure, create_reader,
    traits::{PcapNGPacketBlock as _, PcapReaderIterator},
};

use self::connections::{Connections, Packet};
use super::Start;
use crate::capture::{Event, Timestamp};

/// Bytes of the file that are held at first: room for any packet.
const BUFFER: usize = 1 << 20;

/// Bytes of the largest block that is read.
const BLOCK_LIMIT: usize = 32 << 20;

/// Interfaces of a section of a pcapng file.
const INTERFACE_LIMIT: usize = 4096;

/// Bytes at the file's start that its seed is made of: headers and the first packet's time.
const SEED_BYTES: usize = 256;

/// First bytes of each format: pcap in both byte orders with micro- and nanoseconds, and pcapng.
const MAGICS: [[u8; 4]; 5] = [
    [0xa1, 0xb2, 0xc3, 0xd4],
    [0xd4, 0xc3, 0xb2, 0xa1],
    [0xa1, 0xb2, 0x3c, 0x4d],
    [0x4d, 0x3c, 0xb2, 0xa1],
    [0x0a, 0x0d, 0x0d, 0x0a],
];

/// Kind of the block that begins a section of a pcapng file; the same in both byte orders.
const SECTION_HEADER: [u8; 4] = MAGICS[4];

/// Bytes of the smallest block of a pcapng file: its kind, and its length at both ends.
const BLOCK_LEAST: u32 = 12;

const NANOS: u128 = 1_000_000_000;

/// Why a capture can't be read, or not further.
#[derive(Debug, thiserror::Error)]
pub enum PcapError {
    #[error("its beginning is no packet capture's")]
    BadStart,
    #[error("it cannot be read")]
    Read,
    #[error("it ends in the middle of a packet")]
    Truncated,
    #[error("it is corrupt: a block of more than {BLOCK_LIMIT} bytes")]
    BlockTooLarge,
    #[error("it is corrupt: a block is broken")]
    BrokenBlock,
    #[error("more than {INTERFACE_LIMIT} interfaces are described")]
    TooManyInterfaces,
}

/// What was met, of which not everything could be followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets of TCP, which were followed.
    pub packets: u64,
    /// Packets of anything else.
    pub other: u64,
    /// Of link types that are not known.
    pub unknown_link: u64,
    /// Without a time, or of an interface that was not described.
    pub unplaced: u64,
    /// Parts of IP packets that were sent in several.
    pub fragments: u64,
    /// Connections beyond those that are followed at a time.
    pub unfollowed_connections: u64,
    /// Bytes of connections whose beginning was not captured, before a message began.
    pub unfollowed_bytes: u64,
}

impl Counts {
    /// What the user should know of.
    pub(super) fn passed_over(&self) -> Vec<String> {
        let told = [
            (self.unknown_link, "packets of a link type that is not known"),
            (self.unplaced, "packets without time or interface"),
            (self.fragments, "IP fragments"),
            (self.unfollowed_connections, "connections beyond those followed at a time"),
            (self.unfollowed_bytes, "bytes of connections joined in the middle of a message"),
        ];
        let met = told.iter().filter(|(count, _)| *count > 0);
        met.map(|(count, what)| format!("{count} {what}")).collect()
    }
}

/// The first bytes of a file are those of a packet capture.
pub(super) fn begins_capture(bytes: &[u8]) -> bool {
    MAGICS.iter().any(|magic| bytes.starts_with(magic))
}

/// A packet capture.
pub struct Packets {
    reader: Box<dyn PcapReaderIterator>,
    start: Start,
    tracks: Tracks,
    /// Byte order of the section of a pcapng file.
    big_endian: Option<bool>,
    counts: Counts,
    connections: Connections,
    latest: Timestamp,
}

/// How the packets of each interface are to be read.
#[derive(Debug, Default)]
struct Tracks {
    interfaces: Vec<Interface>,
    /// Byte order of the section of pcapng.
    big_endian: bool,
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link: i32,
    /// Units of a time a second; `None` where the file gives none that makes sense.
    resolution: Option<u64>,
    /// Seconds to add.
    offset: i64,
}

/// A frame, wherever it came from.
struct Frame<'a> {
    link: i32,
    time: Timestamp,
    bytes: &'a [u8],
    /// Bytes that the frame had on the wire.
    wire: usize,
}

impl Packets {
    /// Reads the start of a capture.
    ///
    /// # Errors
    /// If it is none.
    pub fn open(mut source: impl BufRead + Send + 'static) -> Result<Self, PcapError> {
        let first = source.fill_buf().map_err(|_| PcapError::Read)?;
        // FNV-1a: any function will do that gives the same for the same file.
        let seed = first.iter().take(SEED_BYTES).fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let reader = create_reader(BUFFER, source).map_err(|_| PcapError::BadStart)?;
        Ok(Self {
            reader,
            start: Start { seed, ..Start::default() },
            tracks: Tracks::default(),
            big_endian: None,
            counts: Counts::default(),
            connections: Connections::default(),
            latest: Timestamp::default(),
        })
    }

    pub fn start(&self) -> &Start {
        &self.start
    }

    pub fn counts(&self) -> Counts {
        let connections::Unfollowed { connections, bytes } = self.connections.unfollowed;
        Counts { unfollowed_connections: connections, unfollowed_bytes: bytes, ..self.counts }
    }

    /// Gives the events of all connections, until `sink` says no more.
    ///
    /// # Errors
    /// If the rest is missing or broken. What was given before stands, and every connection that is
    /// open is closed.
    pub fn play(&mut self, sink: &mut dyn FnMut(&Event<'_>) -> bool) -> Result<(), PcapError> {
        let mut goes_on = true;
        let result = loop {
            if !goes_on {
                break Ok(());
            }
            match self.block(&mut |event| goes_on &= sink(event)) {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.connections.stop(self.latest, &mut |event| {
            sink(event);
        });
        result
    }

    /// Reads the next block; false where there is none.
    fn block(&mut self, sink: &mut dyn FnMut(&Event<'_>)) -> Result<bool, PcapError> {
        let Self { reader, tracks, big_endian, counts, connections, latest, .. } = self;
        // The library subtracts from it.
        if big_endian.is_some_and(|big_endian| is_too_short(reader.data(), big_endian)) {
            return Err(PcapError::BrokenBlock);
        }
        let more = match reader.next() {
            Ok((len, block)) => {
                if let PcapBlockOwned::NG(Block::SectionHeader(section)) = &block {
                    *big_endian = Some(section.big_endian());
                }
                let frame = tracks.frame(&block, counts)?;
                if let Some(frame) = frame {
                    *latest = frame.time.max(*latest);
                    match tcp(&frame, counts) {
                        Some(packet) => connections.packet(&packet, sink),
                        None => counts.other += 1,
                    }
                }
                reader.consume(len);
                return Ok(true);
            }
            Err(Failure::Eof) => return Ok(false),
            Err(Failure::Incomplete(needed)) => needed,
            Err(Failure::BufferTooSmall) => 0,
            Err(Failure::UnexpectedEof) => return Err(PcapError::Truncated),
            Err(Failure::ReadError) => return Err(PcapError::Read),
            Err(_) => return Err(PcapError::BrokenBlock),
        };
        let held = reader.data().len();
        if more == 0 || held + more >= BUFFER {
            if held + more > BLOCK_LIMIT {
                return Err(PcapError::BlockTooLarge);
            }
            reader.grow((2 * (held + more)).max(2 * BUFFER));
        }
        if reader.reader_exhausted() {
            return if held == 0 { Ok(false) } else { Err(PcapError::Truncated) };
        }
        reader.refill().map_err(|_| PcapError::Read)?;
        Ok(true)
    }
}

impl Tracks {
    /// The frame in a block, if there is one that can be placed.
    fn frame<'a>(
        &mut self,
        block: &'a PcapBlockOwned<'a>,
        counts: &mut Counts,
    ) -> Result<Option<Frame<'a>>, PcapError> {
        match block {
            PcapBlockOwned::LegacyHeader(header) => {
                let nanoseconds = header.is_nanosecond_precision();
                let resolution = if nanoseconds { 1_000_000_000 } else { 1_000_000 };
                let (link, resolution) = (header.network.0, Some(resolution));
                self.interfaces = vec![Interface { link, resolution, offset: 0 }];
            }
            PcapBlockOwned::Legacy(packet) => {
                let Some(interface) = self.interfaces.first() else {
                    counts.unplaced += 1;
                    return Ok(None);
                };
                let resolution = interface.resolution.unwrap_or(1);
                let units = u64::from(packet.ts_sec) * resolution + u64::from(packet.ts_usec);
                let bytes = captured(packet.data, packet.caplen);
                return Ok(interface.frame(units, bytes, packet.origlen, counts));
            }
            // Interfaces are numbered anew in each section.
            PcapBlockOwned::NG(Block::SectionHeader(header)) => {
                self.interfaces.clear();
                self.big_endian = header.big_endian();
            }
            PcapBlockOwned::NG(Block::InterfaceDescription(described)) => {
                if self.interfaces.len() == INTERFACE_LIMIT {
                    return Err(PcapError::TooManyInterfaces);
                }
                // pcap-parser 0.17 reads it in little-endian order whatever the section's.
                let offset = described.ts_offset();
                self.interfaces.push(Interface {
                    link: described.linktype.0,
                    resolution: resolution(described.if_tsresol),
                    offset: if self.big_endian { offset.swap_bytes() } else { offset },
                });
            }
            PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                let Some(interface) = self.interfaces.get(packet.if_id as usize) else {
                    counts.unplaced += 1;
                    return Ok(None);
                };
                let units = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
                let bytes = captured(packet.packet_data(), packet.caplen);
                return Ok(interface.frame(units, bytes, packet.origlen, counts));
            }
            // It has no time.
            PcapBlockOwned::NG(Block::SimplePacket(_)) => counts.unplaced += 1,
            PcapBlockOwned::NG(_) => {}
        }
        Ok(None)
    }
}

/// Units of time a second by `if_tsresol` (pcapng §4.2): a power of 10, or of 2 with the highest bit.
/// pcap-parser 0.17 refuses the latter.
fn resolution(code: u8) -> Option<u64> {
    let exponent = u32::from(code & 0x7f);
    if code & 0x80 == 0 { 10_u64.checked_pow(exponent) } else { 1_u64.checked_shl(exponent) }
}

/// A block of a pcapng file says that it is shorter than any can be.
fn is_too_short(data: &[u8], big_endian: bool) -> bool {
    let Some((kind, rest)) = data.split_first_chunk::<4>() else { return false };
    let Some(len) = rest.first_chunk::<4>() else { return false };
    let len = if big_endian { u32::from_be_bytes(*len) } else { u32::from_le_bytes(*len) };
    *kind != SECTION_HEADER && len < BLOCK_LEAST
}

fn captured(bytes: &[u8], len: u32) -> &[u8] {
    bytes.get(..len as usize).unwrap_or(bytes)
}

impl Interface {
    fn frame<'a>(
        &self,
        units: u64,
        bytes: &'a [u8],
        wire: u32,
        counts: &mut Counts,
    ) -> Option<Frame<'a>> {
        if !link::is_known(self.link) {
            counts.unknown_link += 1;
            return None;
        }
        let time = self.resolution.and_then(|resolution| {
            let nanos = u128::from(units) * NANOS / u128::from(resolution);
            let nanos = i128::try_from(nanos).ok()? + i128::from(self.offset) * NANOS as i128;
            u64::try_from(nanos).ok().map(Timestamp)
        });
        let Some(time) = time else {
            counts.unplaced += 1;
            return None;
        };
        Some(Frame { link: self.link, time, bytes, wire: wire as usize })
    }
}

/// The TCP packet in a frame.
fn tcp<'a>(frame: &Frame<'a>, counts: &mut Counts) -> Option<Packet<'a>> {
    let packet = link::packet(frame.link, frame.bytes)?;
    let (ip, _) = LaxIpSlice::from_slice(packet).ok()?;
    let payload = ip.payload();
    if payload.ip_number != ip_number::TCP {
        return None;
    }
    if payload.fragmented {
        counts.fragments += 1;
        return None;
    }
    let tcp = TcpSlice::from_slice(payload.payload).ok()?;
    counts.packets += 1;
    // Only where the packet was cut does the frame's length tell of bytes of its payload: else what
    // is behind it is the link's padding.
    let cut = if payload.incomplete { frame.wire.saturating_sub(frame.bytes.len()) } else { 0 };
    Some(Packet {
        time: frame.time,
        from: (ip.source_addr(), tcp.source_port()).into(),
        to: (ip.destination_addr(), tcp.destination_port()).into(),
        sequence: tcp.sequence_number(),
        acknowledges: tcp.ack().then(|| tcp.acknowledgment_number()),
        syn: tcp.syn(),
        fin: tcp.fin(),
        rst: tcp.rst(),
        bytes: tcp_payload(payload.payload, &tcp),
        cut: cut as u64,
    })
}

/// As [`TcpSlice::payload`], for as long as the frame lives.
fn tcp_payload<'a>(segment: &'a [u8], tcp: &TcpSlice<'_>) -> &'a [u8] {
    segment.get(usize::from(tcp.data_offset()) * 4..).unwrap_or_default()
}

#[cfg(test)]
mod tests;
