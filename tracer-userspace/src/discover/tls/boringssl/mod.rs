//! BoringSSL without symbols: its functions by the errors that they put, the methods that they call
//! and the table of these methods. Takes an image; gives the sites of both directions and of the life
//! of connections, or nothing where three ways of finding them do not agree.

mod facts;
mod functions;
#[cfg(test)]
mod sample;
mod starts;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, ops::Range};

use facts::Facts;
use functions::Functions;

use super::scan;
use crate::discover::{
    Basis, Finding, Function, Image, Segment, Site, Stack, pointers::Pointers, site,
};

/// Names of BoringSSL's source files, which its errors carry, with the NUL behind; before them is a
/// path that each builder chooses.
const API_FILE: &[u8] = b"ssl_lib.cc\0";
const RECORD_FILE: &[u8] = b"s3_pkt.cc\0";

/// Bytes of such a path that are looked at.
const PATH_LIMIT: usize = 200;

/// References to the files, of instructions; BoringSSL has some 200.
const REFERENCES_LIMIT: usize = 2048;

/// Different places of a file's name; one is usual.
const NAMES_LIMIT: usize = 8;

/// Reasons of errors (BoringSSL's `ssl.h`; the numbers are a part of its interface).
const SSL_HANDSHAKE_FAILURE: u64 = 215;
const UNINITIALIZED: u64 = 226;
const SHOULD_NOT_HAVE_BEEN_CALLED: u64 = 0x42; // ERR_R_…
const BAD_LENGTH: u64 = 111;

/// Offsets in the table of methods (`SSL_PROTOCOL_METHOD` in `ssl/internal.h`), since 2020.
mod slot {
    pub(super) const SSL_NEW: u64 = 0x08;
    pub(super) const SSL_FREE: u64 = 0x10;
    pub(super) const GET_MESSAGE: u64 = 0x18;
    pub(super) const NEXT_MESSAGE: u64 = 0x20;
    pub(super) const OPEN_APP_DATA: u64 = 0x40;
    pub(super) const WRITE_APP_DATA: u64 = 0x48;
    /// Least number of methods.
    pub(super) const METHODS: u64 = 17;
}

pub(super) fn find(image: &Image<'_>) -> Option<Finding> {
    if !cfg!(target_arch = "x86_64") {
        return None;
    }
    let api = names(image, API_FILE)?;
    let record = names(image, RECORD_FILE)?;
    let in_any = |names: &[Range<u64>], at: u64| names.iter().any(|name| name.contains(&at));
    let is_file = |at: u64| in_any(&api, at) || in_any(&record, at);
    let pointers = Pointers::read(image)?;
    let mut functions = Functions::new(image, &pointers, &is_file);
    let by_errors = by_errors(image, &mut functions, &api)?;
    let table = table(image, &mut functions, &pointers, &record)?;
    let by_shape = by_shape(image, &mut functions)?;
    if (by_errors.write, by_errors.read_impl) != by_shape {
        return None;
    }
    let sites = [
        (Function::SslWrite, Some(by_errors.write)),
        (Function::SslRead, Some(by_errors.read)),
        (Function::TlsNew, pointers.at(table.wrapping_add(slot::SSL_NEW))),
        (Function::TlsFree, pointers.at(table.wrapping_add(slot::SSL_FREE))),
    ];
    let mut finding = Finding {
        stack: Stack::BoringSsl,
        basis: Basis::Inference,
        version: None,
        evidence: by_errors.evidence,
        sites: Vec::new(),
    };
    for (function, address) in sites {
        let site = site::at_entry(image, function, address?)?;
        // The distance of the table from the probed instruction, however the file is loaded.
        let parameter = table.wrapping_sub(address?) as i64;
        finding.sites.push(Site { parameter, ..site });
    }
    finding.evidence.push(format!("table of methods at {table:#x}"));
    Some(finding)
}

/// Where the printable text is that ends with one of the library's file names. `None`: nowhere.
fn names(image: &Image<'_>, file: &[u8]) -> Option<Vec<Range<u64>>> {
    let mut found = BTreeSet::new();
    let constant = |segment: &Segment| !segment.writable;
    scan::places(image, constant, file, &mut |address, around, at| {
        let printable = |byte: &&u8| matches!(**byte, 0x20..=0x7e);
        let before = around[..at].iter().rev().take(PATH_LIMIT).take_while(printable).count();
        if found.len() <= NAMES_LIMIT {
            let end = address.saturating_add(file.len() as u64 - 1);
            found.insert((address.saturating_sub(before as u64), end));
        }
    });
    let found: Vec<_> = found.into_iter().map(|(start, end)| start..end).collect();
    (!found.is_empty() && found.len() <= NAMES_LIMIT).then_some(found)
}

/// Functions with an instruction that says an address in one of `names`.
fn referring(
    image: &Image<'_>,
    functions: &mut Functions<'_, '_>,
    names: &[Range<u64>],
) -> Option<BTreeSet<u64>> {
    let mut references = BTreeSet::new();
    for name in names {
        scan::operands(image, name, &mut |operand| {
            let len = match operand.before {
                // lea r64, [rip + d]; mov r32, imm32
                [.., 0x48 | 0x4c, 0x8d, mode] if operand.relative && mode & 0xc7 == 0x05 => 3,
                [.., 0x41, 0xb8..=0xbf] if !operand.relative => 2,
                [.., 0xb8..=0xbf] if !operand.relative => 1,
                _ => return,
            };
            if references.len() <= REFERENCES_LIMIT {
                references.insert(operand.at.wrapping_sub(len));
            }
        });
    }
    let bounded = !references.is_empty() && references.len() <= REFERENCES_LIMIT;
    bounded.then(|| functions.around(&references))
}

struct ByErrors {
    write: u64,
    read: u64,
    read_impl: u64,
    evidence: Vec<String>,
}

/// The first way: by the errors that functions put with the name of their source file.
fn by_errors(
    image: &Image<'_>,
    functions: &mut Functions<'_, '_>,
    api: &[Range<u64>],
) -> Option<ByErrors> {
    let all = referring(image, functions, api)?;
    let write = only(functions, &all, |facts| {
        let puts = |reason| facts.reasons.contains(&reason);
        puts(UNINITIALIZED) && puts(SSL_HANDSHAKE_FAILURE) && writes(facts)
    })?;
    let read_impl = only(functions, &all, |facts| {
        let puts = |reason| facts.reasons.contains(&reason);
        puts(UNINITIALIZED) && !puts(BAD_LENGTH) && reads(facts)
    })?;
    let read = read(functions, read_impl)?;
    let evidence = vec![
        format!("{} functions put errors of ssl_lib.cc", all.len()),
        format!("SSL_write at {write:#x}, SSL_read at {read:#x} over {read_impl:#x}"),
    ];
    Some(ByErrors { write, read, read_impl, evidence })
}

fn writes(facts: &Facts) -> bool {
    let calls = |slot| facts.slots.contains(&slot);
    calls(slot::WRITE_APP_DATA) && !calls(slot::OPEN_APP_DATA)
}

fn reads(facts: &Facts) -> bool {
    let calls = |slot| facts.slots.contains(&slot);
    calls(slot::GET_MESSAGE) && calls(slot::NEXT_MESSAGE) && !calls(slot::WRITE_APP_DATA)
}

/// `SSL_read` and `SSL_peek` put at most one error and call `ssl_read_impl` (older ones: `SSL_read`
/// calls `SSL_peek`); `SSL_read` alone takes what it gives out of the connection's buffer.
fn read(functions: &mut Functions<'_, '_>, read_impl: u64) -> Option<u64> {
    let is_wrapper = |facts: &Facts| {
        facts.reasons.iter().all(|reason| *reason == SHOULD_NOT_HAVE_BEEN_CALLED)
            && facts.slots.is_empty()
    };
    let callers = functions.callers(read_impl);
    let direct = all_of(functions, &callers, is_wrapper);
    let taking = all_of(functions, &direct, |facts| facts.stores);
    match (one(&taking), one(&direct)) {
        (Some(read), _) => Some(read),
        (None, Some(peek)) if taking.is_empty() => {
            let callers = functions.callers(peek);
            only(functions, &callers, |facts| is_wrapper(facts) && facts.stores)
        }
        _ => None,
    }
}

/// The second way: the table of methods, two of which put errors of the record layer. Its address.
fn table(
    image: &Image<'_>,
    functions: &mut Functions<'_, '_>,
    pointers: &Pointers,
    record: &[Range<u64>],
) -> Option<u64> {
    let methods = referring(image, functions, record)?;
    let mut tables = BTreeSet::new();
    for (at, first, second) in pointers.pairs() {
        if !(methods.contains(&first) && methods.contains(&second)) {
            continue;
        }
        let Some(table) = at.checked_sub(slot::OPEN_APP_DATA) else { continue };
        // `is_dtls`, which is false.
        let is_tls = image.bytes(table, 8).is_some_and(|word| word == [0; 8]);
        let full =
            (1..=slot::METHODS).all(|index| pointers.at(table.wrapping_add(8 * index)).is_some());
        if is_tls && pointers.at(table).is_none() && full {
            tables.insert(table);
        }
    }
    one(&tables)
}

/// The third way, without names: instructions that put the library and the reason "uninitialized",
/// and what the functions around them call. Gives `SSL_write` and `ssl_read_impl`.
fn by_shape(image: &Image<'_>, functions: &mut Functions<'_, '_>) -> Option<(u64, u64)> {
    /// `mov edi, 16`
    const LIBRARY: &[u8] = &[0xbf, 16, 0, 0, 0];
    /// Bytes between the two instructions.
    const NEAR: usize = 24;
    /// Places like that; there are three to five.
    const SHAPES_LIMIT: usize = 64;
    let mut found = BTreeSet::new();
    scan::places(image, |segment| segment.executable, LIBRARY, &mut |address, around, at| {
        let near = &around[at.saturating_sub(NEAR)..around.len().min(at + LIBRARY.len() + NEAR)];
        let [low, high, ..] = UNINITIALIZED.to_le_bytes();
        // mov esi or edx, 226
        let puts = |five: &[u8]| matches!(five[0], 0xba | 0xbe) && five[1..] == [low, high, 0, 0];
        if near.windows(5).any(puts) && found.len() <= SHAPES_LIMIT {
            found.insert(address);
        }
    });
    if found.len() > SHAPES_LIMIT {
        return None;
    }
    let all = functions.around(&found);
    Some((only(functions, &all, writes)?, only(functions, &all, reads)?))
}

fn all_of(
    functions: &Functions<'_, '_>,
    among: &BTreeSet<u64>,
    is: impl Fn(&Facts) -> bool,
) -> BTreeSet<u64> {
    let fits = |start: &&u64| functions.facts(**start).is_some_and(&is);
    among.iter().filter(fits).copied().collect()
}

/// The only one that fits.
fn only(
    functions: &Functions<'_, '_>,
    among: &BTreeSet<u64>,
    is: impl Fn(&Facts) -> bool,
) -> Option<u64> {
    one(&all_of(functions, among, is))
}

fn one(of: &BTreeSet<u64>) -> Option<u64> {
    of.first().copied().filter(|_| of.len() == 1)
}
