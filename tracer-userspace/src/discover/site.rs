//! Where a probe on a function goes: the cheapest instruction that is still right.
//! Takes a function's address in an [`Image`]; gives a [`Site`] with its cost and the reason.
//! Every site is the first byte of an instruction, by decoding from the function's first.

use super::{
    Cost, Function, Image, Site,
    code::{self, Code64},
};

/// The function's first instruction.
pub(super) fn at_entry(image: &Image<'_>, function: Function, address: u64) -> Option<Site> {
    at(image, function, address, "the function's first instruction")
}

/// An instruction that the function's decoded code has at `address`.
pub(super) fn at(
    image: &Image<'_>,
    function: Function,
    address: u64,
    reason: &'static str,
) -> Option<Site> {
    let offset = image.code_offset(address)?;
    let bytes = image.bytes(address, code::LOOK).unwrap_or_default();
    let cheap = code::emulated_entry(Code64 { address, bytes: &bytes });
    let cost = if cheap { Cost::Emulated } else { Cost::SingleStep };
    Some(Site { function, offset, cost, parameter: 0, reason: reason.into() })
}
