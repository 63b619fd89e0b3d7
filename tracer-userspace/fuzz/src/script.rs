//! An input as a script: steps, each a byte that says what it is, and bytes that belong to it.
//! Takes the bytes of the fuzzer; gives the steps, and makes such inputs of steps.
//! A mark separates the steps, so that a byte more or less in one leaves the others as they are.

use std::mem;

/// Begins a step. Behind it a byte of the step's kind, or [`LITERAL`].
const MARK: u8 = 0xf5;

/// Behind a [`MARK`]: no step, but that byte itself.
const LITERAL: u8 = 0;

/// Steps of one input at most, so that scripts of nothing but marks stay quick.
const STEPS_LIMIT: usize = 100_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub kind: u8,
    pub bytes: Vec<u8>,
}

/// What stands before the first mark belongs to a step of kind 1.
pub fn read(data: &[u8]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut step = Step { kind: 1, bytes: Vec::new() };
    let mut bytes = data.iter();
    while let Some(byte) = bytes.next() {
        let next = if *byte == MARK { bytes.next() } else { None };
        match next.filter(|kind| **kind != LITERAL) {
            Some(kind) if steps.len() < STEPS_LIMIT => {
                steps.push(mem::replace(&mut step, Step { kind: *kind, bytes: Vec::new() }));
            }
            _ => step.bytes.push(*byte),
        }
    }
    steps.push(step);
    steps
}

/// The input of such steps.
pub fn write<B: AsRef<[u8]>>(steps: impl IntoIterator<Item = (u8, B)>) -> Vec<u8> {
    let mut data = Vec::new();
    for (kind, bytes) in steps {
        assert_ne!(kind, LITERAL);
        data.extend([MARK, kind]);
        for byte in bytes.as_ref() {
            data.push(*byte);
            if *byte == MARK {
                data.push(LITERAL);
            }
        }
    }
    data
}
