//! What every parser is held to: the same bytes give the same, however they are cut into pieces.
//! Takes a body and a reading of it; gives what the reading of the whole gave.
//! For tests alone.

use std::fmt::Debug;

use proptest::{
    collection,
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};

/// Single splits that are tried of one body; of a longer one an even choice of them.
const SINGLE: usize = 2000;

/// Bodies up to here are read byte by byte too.
const BY_BYTE: usize = 64 << 10;

/// Random ways of cutting a body into many pieces.
const RANDOM: usize = 8;

/// Reads `body` whole, at every single split, byte by byte and in random pieces.
#[track_caller]
pub(crate) fn check<T: Debug + PartialEq>(body: &[u8], read: impl Fn(&[&[u8]]) -> T) -> T {
    let whole = read(&[body]);
    for at in (0..=body.len()).step_by(1 + body.len() / SINGLE) {
        let (left, right) = body.split_at(at);
        assert_eq!(read(&[left, right]), whole, "split at {at} of {}", body.len());
    }
    if body.len() <= BY_BYTE {
        assert_eq!(read(&body.chunks(1).collect::<Vec<_>>()), whole, "byte by byte");
    }
    check_random(body, RANDOM, &whole, read);
    whole
}

/// Reads `body` in so many random ways of cutting it into many pieces, empty ones among them.
#[track_caller]
pub(crate) fn check_random<T: Debug + PartialEq>(
    body: &[u8],
    ways: usize,
    whole: &T,
    read: impl Fn(&[&[u8]]) -> T,
) {
    let mut runner = TestRunner::deterministic();
    // Pieces of all sizes: most of a few bytes, some of thousands.
    let size = (0u32..14).prop_flat_map(|bits| 0usize..1 << bits);
    for _ in 0..ways {
        let sizes = collection::vec(size.clone(), 4..40).new_tree(&mut runner);
        let sizes = sizes.expect("no filters").current();
        let pieces = pieces(body, &sizes);
        assert_eq!(read(&pieces), *whole, "in pieces of {sizes:?}");
    }
}

/// `body` in pieces of the given sizes, over and over.
pub(crate) fn pieces<'a>(mut body: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let step = sizes.iter().sum::<usize>().max(1);
    for size in sizes.iter().cycle().take(sizes.len() * (1 + body.len() / step)) {
        let (piece, rest) = body.split_at((*size).min(body.len()));
        pieces.push(piece);
        body = rest;
    }
    pieces.push(body);
    pieces
}
