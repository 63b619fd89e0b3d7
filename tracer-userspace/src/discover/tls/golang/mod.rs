//! Go's `crypto/tls`, in programs with and without symbols, from Go 1.17 (arguments in registers) on.
//! Takes an image; gives the sites of both directions and of the life of connections.
//! Found by the runtime's own table of functions; each site is proven by the function's whole code.
//!
//! No site is a return: what a probe wants to know is in registers where data is handed over, at
//! instructions that the kernel emulates. Go moves stacks while a function runs, so nothing that a
//! probe could remember of a stack at entry would be sure to hold at the return.

mod body;
mod build;
mod pclntab;

use body::Body;
pub(in crate::discover) use build::version;
use pclntab::{Addresses, Functions, Range, Table};

use crate::discover::{Basis, Finding, Function, Image, Site, Stack, pointers::Pointers, site};

/// The functions by name (`src/crypto/tls/conn.go`, `handshake_client.go`, `handshake_server.go`).
const NAMES: [&[u8]; 9] = [
    b"crypto/tls.(*Conn).Read",
    b"crypto/tls.(*Conn).writeRecordLocked",
    b"crypto/tls.(*Conn).Close",
    b"crypto/tls.(*Conn).clientHandshake",
    b"crypto/tls.(*Conn).serverHandshake",
    b"crypto/tls.(*Conn).handleRenegotiation",
    b"crypto/tls.(*Conn).readRecordOrCCS",
    b"crypto/tls.(*Conn).readRecord",
    b"runtime.memmove",
];
/// Places of `runtime.text` that are tried.
const TEXTS_LIMIT: usize = 8;

/// Bytes from `moduledata.minpc` to `maxpc` and to `text` (`src/runtime/symtab.go`).
const MODULE_MAX_PC: u64 = 8;
const MODULE_TEXT: u64 = 16;

pub(super) fn find(image: &Image<'_>) -> Option<Finding> {
    let mut found = pclntab::tables(image)
        .into_iter()
        .filter_map(|table| Some((table, table.look_up(image, &NAMES)?)));
    // Two in one file: no linker makes that.
    let (Some((table, functions)), None) = (found.next(), found.next()) else { return None };
    let sites = texts(image, &table, &functions).find_map(|text| sites(image, &functions, text))?;
    let count = functions.found.iter().flatten().count();
    let evidence = vec![
        format!("table of {} Go functions at {:#x}", table.functions, table.address),
        format!("{count} functions of crypto/tls and the runtime in it, their code whole"),
    ];
    Some(Finding {
        stack: Stack::Go,
        version: version(image),
        basis: Basis::Symbols,
        evidence,
        sites,
    })
}

/// Where `runtime.text` may be, from which the table counts. What is right proves itself: wherever else
/// the functions' code were, it would not be theirs.
fn texts(image: &Image<'_>, table: &Table, functions: &Functions) -> impl Iterator<Item = u64> {
    let (all, addresses) = (functions.all, table.addresses);
    let told = match addresses {
        Addresses::Whole => vec![0],
        Addresses::FromText { text, .. } => {
            // What Go's own linker writes begins with it.
            let section = image.section(".text").map(|section| section.address);
            [(text != 0).then_some(text), section].into_iter().flatten().collect()
        }
    };
    let pointed = move || {
        let Addresses::FromText { slot, .. } = addresses else { return Vec::new() };
        let Some(pointers) = Pointers::read(image) else { return Vec::new() };
        let header = pointers.at(slot);
        let module = pointers.iter().filter_map(|(slot, first)| {
            let text = first.checked_sub(all.start)?;
            let at = |distance| pointers.at(slot.checked_add(distance)?);
            let fits =
                at(MODULE_MAX_PC) == text.checked_add(all.end) && at(MODULE_TEXT) == Some(text);
            fits.then_some(text)
        });
        header.into_iter().chain(module).take(TEXTS_LIMIT).collect()
    };
    told.into_iter().chain(std::iter::once_with(pointed).flatten())
}

/// The sites, if every function's code is what it should be.
fn sites(image: &Image<'_>, functions: &Functions, text: u64) -> Option<Vec<Site>> {
    let [read, write, close, client, server, renegotiation, or_ccs, record, memmove] =
        &functions.found[..]
    else {
        return None;
    };
    let mut sites = Vec::new();
    let mut add = |function, address, reason| {
        sites.push(site::at(image, function, address, reason)?);
        Some(())
    };
    let body = body(image, read, text)?;
    let records = [moved(or_ccs, text)?, moved(record, text)?].concat();
    match (body.copy(&moved(memmove, text)?), body.outcomes(&records)) {
        (Some(copy), Some(outcomes)) => {
            add(Function::GoRead, copy, "the call that copies to the caller's buffer")?;
            for outcome in outcomes {
                add(Function::GoRecordRead, outcome, "the branch on whether a record was read")?;
            }
        }
        // Built for a debugger, the copying is in another function.
        _ => {
            for place in body.returns()? {
                add(Function::GoReadReturn, place, "a return, since the code is not optimised")?;
            }
        }
    }
    let entries = [
        (Function::GoWrite, write, true),
        (Function::GoClose, close, true),
        (Function::GoHandshake, client, server.is_empty()),
        (Function::GoHandshake, server, client.is_empty()),
        (Function::GoRenegotiation, renegotiation, false),
    ];
    for (function, found, needed) in entries {
        if needed || !found.is_empty() {
            let entry = self::body(image, found, text)?.entry();
            add(function, entry, "the branch of the stack check at the function's start")?;
        }
    }
    Some(sites)
}

/// The code of a function, which has one place.
fn body(image: &Image<'_>, found: &[Range], text: u64) -> Option<Body> {
    let [range] = found else { return None };
    let len = Body::len(*range)?;
    let start = range.start.checked_add(text)?;
    let bytes = image.bytes(start, len).filter(|bytes| bytes.len() == len)?;
    Body::read(start, &bytes)
}

/// Places as addresses.
fn moved(found: &[Range], text: u64) -> Option<Vec<u64>> {
    found.iter().map(|range| range.start.checked_add(text)).collect()
}

#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
