//! The version of Go that built a program (`.go.buildinfo`), for people.
//! Takes an [`Image`]; gives the text that `go version` prints, with bounds.
//! Layouts of Go 1.13 and 1.18 (`src/debug/buildinfo/buildinfo.go` there).

use crate::discover::Image;

const MAGIC: &[u8] = b"\xff Go buildinf:";

/// Where the flags are, behind the magic number and the size of a pointer.
const FLAGS: usize = 15;
/// The bytes are in the order of the largest first.
const BIG_ENDIAN: u8 = 1;
/// The texts follow, each after its length; otherwise pointers to them do.
const INLINE: u8 = 2;

/// Where the texts or pointers begin.
const POINTERS: usize = 16;
const TEXTS: usize = 32;

/// Bytes of a version. `go1.26.6 X:nodwarf5,arenas` names experiments too.
const VERSION_LIMIT: usize = 128;

/// Bytes at the start of the data in which a file without sections has it.
const SEARCH: usize = 64 << 10;

/// `None`: not said, or not in a way that is known.
pub(in crate::discover) fn version(image: &Image<'_>) -> Option<String> {
    let address = match image.section(".go.buildinfo") {
        Some(section) => section.address,
        None => {
            let data = image.segments.iter().find(|segment| segment.writable)?;
            let bytes = image.bytes(data.address, SEARCH)?;
            data.address + memchr::memmem::find(&bytes, MAGIC)? as u64
        }
    };
    let info = image.bytes(address, TEXTS + 1 + VERSION_LIMIT)?;
    let flags = *info.get(FLAGS)?;
    if !info.starts_with(MAGIC) || flags & BIG_ENDIAN != 0 {
        return None;
    }
    if flags & INLINE != 0 {
        // Its length takes one byte, as every number below 128.
        let len = usize::from(*info.get(TEXTS)?);
        return (len < VERSION_LIMIT)
            .then(|| text(info.get(TEXTS + 1..TEXTS + 1 + len)?))
            .flatten();
    }
    let text_at = word(&info, POINTERS)?;
    let header = image.bytes(text_at, 16)?;
    let len = usize::try_from(word(&header, 8)?).ok().filter(|len| *len <= VERSION_LIMIT)?;
    text(&image.bytes(word(&header, 0)?, len)?)
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn text(bytes: &[u8]) -> Option<String> {
    let plain = bytes.iter().all(|byte| (b' '..=b'~').contains(byte)) && !bytes.is_empty();
    plain.then(|| String::from_utf8_lossy(bytes).into_owned())
}
