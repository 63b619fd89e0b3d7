//! rustls, from 0.22 on, with and without symbols: its `encrypt` and `decrypt` by the tables that their
//! trait objects have, chained by the functions that make them; else by their names.
//! Takes an image; gives the sites of each pair. What does not chain is refused.
//!
//! rustls calls the two through `dyn`, so they stay functions of their own in every build, while all
//! else that has plaintext is inlined in one or another.

mod code;
mod names;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use code::Leads;
use names::Named;
use tracer_ebpf::{Layout, RustlsSite};

use super::scan;
use crate::discover::{
    Basis, Finding, Function, Image, Segment, Site, Stack,
    pointers::{Pointers, Window},
    site, unwind,
};

/// Tables of the shape that an encrypter's has, before anything else is asked of them. Without rustls
/// there are a handful.
const TABLES_LIMIT: usize = 256;
/// Instructions that load their addresses.
const REFERENCES_LIMIT: usize = 4096;
/// rustls has up to eight pairs in a program, two providers of it twice as many.
const PAIRS_LIMIT: usize = 32;

/// What stands before the methods of a trait object: how to drop it, its size and alignment (layout of
/// the compiler, the same since it has `dyn`).
const METHODS: u64 = 24;
/// Sizes of what holds a key and a nonce.
const SIZES: Range<u64> = 16..1 << 16;
/// Size of an algorithm's constant: nothing, or a reference and some numbers.
const ALGORITHM_LIMIT: u64 = 64;
const ALIGNMENTS: [u64; 7] = [1, 2, 4, 8, 16, 32, 64];

pub(super) fn find(image: &Image<'_>) -> Option<Finding> {
    if !cfg!(target_arch = "x86_64") {
        return None;
    }
    let functions = unwind::Functions::read(image)?;
    let named = names::find(image);
    let pairs = pairs(image, functions).unwrap_or_default();
    if pairs.is_empty() {
        by_names(image, functions, &named)
    } else {
        by_tables(image, &pairs, &named)
    }
}

fn pairs(image: &Image<'_>, functions: unwind::Functions<'_, '_>) -> Option<Vec<Pair>> {
    let pointers = Pointers::read(image)?;
    let encrypters = encrypters(image, &pointers);
    if encrypters.is_empty() || encrypters.len() > TABLES_LIMIT {
        return None;
    }
    let search = Search { image, pointers: &pointers, functions };
    let makers = search.makers(&encrypters)?;
    let slots = search.slots_to(&makers.values().flatten().copied().collect());
    let pairs: Vec<_> = makers
        .into_iter()
        .filter_map(|(table, makers)| search.pair(table, &encrypters[&table], &makers, &slots))
        .collect();
    (pairs.len() <= PAIRS_LIMIT).then_some(pairs)
}

/// A table of the shape of an encrypter's.
#[derive(Clone, Copy, Debug)]
struct Encrypter {
    encrypt: u64,
    added: u8,
}

/// What an encrypter and its decrypter are probed by.
#[derive(Clone, Copy, Debug)]
struct Pair {
    encrypter: u64,
    decrypter: u64,
    encrypt: u64,
    decrypt: u64,
    decrypt_return: u64,
    added: u8,
    layout: Layout,
}

/// Tables by their address: `drop, size, align, encrypt, encrypted_payload_len`.
fn encrypters(image: &Image<'_>, pointers: &Pointers) -> BTreeMap<u64, Encrypter> {
    let mut window = Window::new(image);
    let mut shaped: Vec<(u64, u64, u64)> = Vec::new();
    for (slot, first, second) in pointers.pairs() {
        let Some(table) = slot.checked_sub(METHODS) else { continue };
        if is_table(pointers, &mut window, table) {
            shaped.push((second, table, first));
        }
    }
    // In the order of the code, of which a piece is in memory.
    shaped.sort_unstable();
    let mut window = Window::new(image);
    let mut last = None;
    let mut found = BTreeMap::new();
    for (length, table, encrypt) in shaped {
        let added = match last {
            Some((same, added)) if same == length => added,
            _ => code::added(length, window.bytes(length, code::LENGTH_LIMIT)),
        };
        last = Some((length, added));
        if let Some(added) = added {
            found.insert(table, Encrypter { encrypt, added });
        }
    }
    found
}

/// Whether a trait object's table, of something that holds a key, may begin at an address.
fn is_table(pointers: &Pointers, window: &mut Window<'_, '_>, table: u64) -> bool {
    let is_word = |at: u64| pointers.at(at).is_none();
    if !is_word(table + 8) || !is_word(table + 16) {
        return false;
    }
    let dropped = !is_word(table) || window.word(table) == Some(0);
    let (size, align) = (window.word(table + 8), window.word(table + 16));
    dropped
        && size.is_some_and(|size| SIZES.contains(&size))
        && align.is_some_and(|align| ALIGNMENTS.contains(&align))
        && size.zip(align).is_some_and(|(size, align)| size.is_multiple_of(align))
}

struct Search<'i, 'f> {
    image: &'i Image<'f>,
    pointers: &'i Pointers,
    functions: unwind::Functions<'i, 'f>,
}

impl Search<'_, '_> {
    /// The functions that load each table's address, by the table.
    fn makers(&self, tables: &BTreeMap<u64, Encrypter>) -> Option<BTreeMap<u64, BTreeSet<u64>>> {
        let (first, last) = (tables.first_key_value()?.0, tables.last_key_value()?.0);
        let mut references = Vec::new();
        scan::operands(self.image, &(*first..*last + 1), &mut |operand| {
            let loads = match operand.before {
                // lea r64, [rip + d]; mov r32, imm32
                [.., 0x48 | 0x4c, 0x8d, mode] => operand.relative && mode & 0xc7 == 0x05,
                [.., 0xb8..=0xbf] => !operand.relative,
                _ => false,
            };
            if loads && tables.contains_key(&operand.target) && references.len() <= REFERENCES_LIMIT
            {
                references.push((operand.target, operand.at));
            }
        });
        if references.len() > REFERENCES_LIMIT {
            return None;
        }
        let mut makers: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
        for (table, at) in references {
            let Some((start, _)) = self.functions.around(at) else { continue };
            // Decoded from its start, the hit is an instruction.
            if self.code(start).is_some_and(|bytes| code::loaded(start, &bytes).contains(&table)) {
                makers.entry(table).or_default().insert(start);
            }
        }
        Some(makers)
    }

    fn code(&self, start: u64) -> Option<Vec<u8>> {
        whole(self.image, self.functions, start)
    }

    /// Where a function goes on that does no more than that.
    fn leads(&self, start: u64) -> Option<u64> {
        self.resolved(code::leads(start, &self.image.bytes(start, code::LENGTH_LIMIT)?)?)
    }

    fn resolved(&self, leads: Leads) -> Option<u64> {
        match leads {
            Leads::To(target) => Some(target),
            Leads::Through(slot) => self.pointers.at(slot),
        }
    }

    /// The pair that an encrypter's table is a part of.
    fn pair(
        &self,
        table: u64,
        encrypter: &Encrypter,
        makers: &BTreeSet<u64>,
        slots: &[(u64, u64)],
    ) -> Option<Pair> {
        let decrypters: BTreeSet<u64> = slots
            .iter()
            .filter(|(_, maker)| makers.contains(maker))
            .filter_map(|(slot, _)| self.pointers.at(slot.checked_add(8)?))
            .flat_map(|maker| self.decrypters(maker))
            .filter(|decrypter| *decrypter != table)
            .collect();
        let mut sites = decrypters.into_iter().filter_map(|decrypter| {
            let decrypt = self.pointers.at(decrypter + METHODS)?;
            let decrypt_return = code::only_return(decrypt, &self.code(decrypt)?)?;
            Some((decrypter, decrypt, decrypt_return))
        });
        let (decrypter, decrypt, decrypt_return) = sites.next()?;
        if sites.next().is_some() {
            return None;
        }
        let layout = code::layout(encrypter.encrypt, &self.code(encrypter.encrypt)?)?;
        let Encrypter { encrypt, added } = *encrypter;
        Some(Pair { encrypter: table, decrypter, encrypt, decrypt, decrypt_return, added, layout })
    }

    /// Slots of algorithms' tables that lead to one of the functions, itself or by one that goes on
    /// there; with the function.
    fn slots_to(&self, makers: &BTreeSet<u64>) -> Vec<(u64, u64)> {
        let mut window = Window::new(self.image);
        let mut firsts: Vec<(u64, u64)> = Vec::new();
        for (slot, target, _) in self.pointers.pairs() {
            let Some(table) = slot.checked_sub(METHODS) else { continue };
            if self.is_algorithm(&mut window, table) {
                firsts.push((target, slot));
            }
        }
        // In the order of the code, of which a piece is in memory.
        firsts.sort_unstable();
        let mut window = Window::new(self.image);
        let to = |target: u64| makers.contains(&target).then_some(target);
        let maker = |target: u64, bytes: &[u8]| {
            to(target).or_else(|| to(self.resolved(code::leads(target, bytes)?)?))
        };
        let mut slots = Vec::new();
        for (target, slot) in firsts {
            if let Some(maker) = maker(target, window.bytes(target, code::LENGTH_LIMIT)) {
                slots.push((slot, maker));
            }
        }
        slots
    }

    /// Whether the table of an algorithm may begin at an address: it is a constant, which nothing drops,
    /// without content or with a reference.
    fn is_algorithm(&self, window: &mut Window<'_, '_>, table: u64) -> bool {
        let is_word = |at: u64| self.pointers.at(at).is_none();
        let mut word = |at: u64| window.word(at).filter(|_| is_word(at));
        word(table) == Some(0)
            && word(table + 8).is_some_and(|size| size <= ALGORITHM_LIMIT)
            && word(table + 16).is_some_and(|align| ALIGNMENTS.contains(&align))
    }

    /// Tables of the shape of a decrypter's that a function loads, or the one that it goes on in.
    fn decrypters(&self, maker: u64) -> BTreeSet<u64> {
        let mut window = Window::new(self.image);
        let mut of = |start: u64| -> BTreeSet<u64> {
            let loaded = self.code(start).map(|bytes| code::loaded(start, &bytes));
            let tables = loaded.unwrap_or_default().into_iter().filter(|table| {
                let method = table.checked_add(METHODS).and_then(|at| self.pointers.at(at));
                method.is_some() && is_table(self.pointers, &mut window, *table)
            });
            tables.collect()
        };
        let direct = of(maker);
        if direct.is_empty() { self.leads(maker).map(of).unwrap_or_default() } else { direct }
    }
}

/// A function's code up to the next one.
fn whole(image: &Image<'_>, functions: unwind::Functions<'_, '_>, start: u64) -> Option<Vec<u8>> {
    image.code_offset(start)?;
    let (begin, end) = functions.around(start)?;
    let len = usize::try_from(end - start).ok()?;
    (begin == start && len <= code::FUNCTION_LIMIT).then(|| image.bytes(start, len))?
}

/// Sites, each once: what is the same in two algorithms may be one function.
struct Sites<'i, 'f> {
    image: &'i Image<'f>,
    sites: Vec<Site>,
}

impl Sites<'_, '_> {
    fn encrypt(&mut self, address: u64, parameter: i64) -> Option<()> {
        self.add(Function::RustlsEncrypt, address, parameter, "the entry of `encrypt`")
    }

    fn decrypt(&mut self, address: u64, at_return: u64, parameter: i64) -> Option<()> {
        self.add(Function::RustlsDecrypt, address, parameter, "the entry of `decrypt`")?;
        let reason = "the one return of `decrypt`";
        self.add(Function::RustlsDecryptReturn, at_return, parameter, reason)
    }

    fn add(
        &mut self,
        function: Function,
        address: u64,
        parameter: i64,
        reason: &'static str,
    ) -> Option<()> {
        let site = Site { parameter, ..site::at(self.image, function, address, reason)? };
        if !self.sites.iter().any(|have| have.offset == site.offset) {
            self.sites.push(site);
        }
        Some(())
    }
}

fn by_tables(image: &Image<'_>, pairs: &[Pair], named: &Named) -> Option<Finding> {
    let mut sites = Sites { image, sites: Vec::new() };
    let mut evidence = Vec::new();
    for pair in pairs {
        let parameter = RustlsSite { layout: pair.layout, added: pair.added }.parameter();
        sites.encrypt(pair.encrypt, parameter)?;
        sites.decrypt(pair.decrypt, pair.decrypt_return, parameter)?;
        evidence.push(format!(
            "encrypter at {:#x} (+{}, {}) chains to decrypter at {:#x}",
            pair.encrypter, pair.added, pair.layout, pair.decrypter
        ));
    }
    let basis = if pairs.iter().all(|pair| named.encrypt.contains_key(&pair.encrypt)) {
        evidence.push("the functions' names say so too".into());
        Basis::Symbols
    } else {
        Basis::Inference
    };
    let (sites, version) = (sites.sites, version(image));
    Some(Finding { stack: Stack::Rustls, basis, version, evidence, sites })
}

/// Without tables that say enough: all that have the names, if their code shows one layout.
fn by_names(
    image: &Image<'_>,
    functions: unwind::Functions<'_, '_>,
    named: &Named,
) -> Option<Finding> {
    let code = |start: u64| whole(image, functions, start);
    let mut layouts = BTreeMap::new();
    for start in named.encrypt.keys() {
        layouts.insert(*start, code::layout(*start, &code(*start)?)?);
    }
    let layout = *layouts.values().next()?;
    if named.decrypt.is_empty() || layouts.values().any(|other| *other != layout) {
        return None;
    }
    let mut sites = Sites { image, sites: Vec::new() };
    for (start, added) in &named.encrypt {
        sites.encrypt(*start, RustlsSite { layout, added: *added }.parameter())?;
    }
    for start in &named.decrypt {
        let at_return = code::only_return(*start, &code(*start)?)?;
        sites.decrypt(*start, at_return, RustlsSite { layout, added: 0 }.parameter())?;
    }
    let (encrypt, decrypt) = (named.encrypt.len(), named.decrypt.len());
    Some(Finding {
        stack: Stack::Rustls,
        basis: Basis::Symbols,
        version: version(image),
        evidence: vec![format!("{encrypt} encrypters and {decrypt} decrypters by name ({layout})")],
        sites: sites.sites,
    })
}

/// The version by the path of its source, which places of panics tell.
fn version(image: &Image<'_>) -> Option<String> {
    /// Longer than any version.
    const LIMIT: usize = 24;
    let mut found = BTreeSet::new();
    let constant = |segment: &Segment| !segment.writable && !segment.executable;
    scan::places(image, constant, b"/rustls-0.", &mut |_, around, at| {
        let text = &around[at + b"/rustls-".len()..];
        let end = text.iter().take(LIMIT).position(|byte| *byte == b'/');
        let version = end.and_then(|end| std::str::from_utf8(&text[..end]).ok());
        let is_version =
            |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        found.extend(version.filter(is_version).map(str::to_owned));
    });
    // Two of them: it is not known whose the functions are.
    found.pop_first().filter(|_| found.is_empty())
}
