//! NSS by the table of methods that its SSL layer puts upon a descriptor.
//! Takes an image; gives the sites of both directions and of the life of connections, or nothing where
//! there is not exactly one such table.
//!
//! Programs call `PR_Read` and `PR_Write` of NSPR, which every descriptor has, plain files too, and
//! layers above call the methods below them without NSPR. The SSL layer's own methods see all of it and
//! nothing else. They have no symbols, but what they are in is exported, and their table has a shape.

mod stores;

use std::collections::BTreeSet;

use crate::discover::{Basis, Finding, Function, Image, Site, Stack, pointers::Pointers, site};

/// What makes a descriptor one of SSL; gives it.
const IMPORT: &[u8] = b"SSL_ImportFD";
/// Exported by the same library and by no other that has the name above.
const ALSO: &[u8] = b"SSL_OptionSet";

/// The first word of the table (`PR_DESC_LAYERED` of `prio.h`).
const LAYERED: u32 = 4;

/// Places in the table (`PRIOMethods` of `prio.h`), which are a part of NSPR's interface.
mod slot {
    pub(super) const CLOSE: u64 = 1;
    pub(super) const READ: u64 = 2;
    pub(super) const WRITE: u64 = 3;
    pub(super) const ACCEPT: u64 = 13;
    pub(super) const RECV: u64 = 17;
    pub(super) const SEND: u64 = 18;
    /// The last that is looked at: behind it NSPR's own come between.
    pub(super) const SENDTO: u64 = 20;
}

pub(super) fn find(image: &Image<'_>) -> Option<Finding> {
    if !cfg!(target_arch = "x86_64") {
        return None;
    }
    let (mut import, mut also) = (None, false);
    image.each_function(&mut |symbol| {
        if symbol.name == IMPORT && import.is_none() {
            import = Some(symbol.address);
        }
        also |= symbol.name == ALSO;
    });
    let import = import.filter(|_| also)?;
    let (table, how) = table(image)?;
    let functions = [
        (Function::SslNew, import),
        (Function::SslNew, table.at(slot::ACCEPT)?),
        (Function::SslFree, table.at(slot::CLOSE)?),
        (Function::NssRead, table.at(slot::READ)?),
        (Function::NssRecv, table.at(slot::RECV)?),
        (Function::SslWrite, table.at(slot::WRITE)?),
        (Function::SslWrite, table.at(slot::SEND)?),
    ];
    let sites = functions.into_iter().map(|(function, at)| site::at_entry(image, function, at));
    Some(Finding {
        stack: Stack::Nss,
        basis: Basis::Symbols,
        version: None,
        evidence: vec!["SSL_ImportFD is exported".to_owned(), how.to_owned()],
        sites: sites.collect::<Option<Vec<Site>>>()?,
    })
}

/// The methods of a layer, by their places in its table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Table {
    /// From [`slot::CLOSE`] to [`slot::SENDTO`].
    methods: Vec<u64>,
}

impl Table {
    fn at(&self, slot: u64) -> Option<u64> {
        self.methods.get(usize::try_from(slot - slot::CLOSE).ok()?).copied()
    }

    /// `None`: some method is not there, or the directions are not told apart.
    fn read(method: impl Fn(u64) -> Option<u64>) -> Option<Self> {
        let methods = (slot::CLOSE..=slot::SENDTO).map(method).collect::<Option<Vec<_>>>()?;
        let table = Self { methods };
        let own = [slot::READ, slot::WRITE, slot::RECV, slot::SEND].map(|slot| table.at(slot));
        (BTreeSet::from(own).len() == own.len()).then_some(table)
    }
}

/// The only table there is, whether the file has it as data or as code that fills it in.
fn table(image: &Image<'_>) -> Option<(Table, &'static str)> {
    let mut tables = BTreeSet::new();
    let pointers = Pointers::read(image)?;
    for (first, _) in pointers.iter() {
        let Some(at) = first.checked_sub(8 * slot::CLOSE) else { continue };
        if image.bytes(at, 8).is_some_and(|word| word == u64::from(LAYERED).to_le_bytes())
            && pointers.at(at).is_none()
            && let Some(table) = Table::read(|slot| pointers.at(at.wrapping_add(8 * slot)))
        {
            tables.insert((table, "one table of a layer's methods"));
        }
    }
    let stores = stores::read(image)?;
    for at in stores.constants(LAYERED) {
        if let Some(table) = Table::read(|slot| stores.code(at.wrapping_add(8 * slot))) {
            tables.insert((table, "code that fills in one table of a layer's methods"));
        }
    }
    let only = tables.pop_first()?;
    tables.is_empty().then_some(only)
}
