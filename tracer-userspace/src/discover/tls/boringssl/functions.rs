//! The functions around addresses of interest, with their facts.
//! Takes an [`Image`] and addresses of instructions; gives each function's start and [`Facts`].
//! Starts come from the unwind table; of code that it leaves out, from calls and pointers to it. A
//! start counts only if the flow from there reaches the instruction.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    facts::{self, FUNCTION_LIMIT, Facts},
    starts::Starts,
};
use crate::discover::{Image, pointers::Pointers, tls::scan, unwind};

/// Starts before an instruction that are tried.
const TRIED: usize = 16;

/// Callers of a function that are looked at; of those that matter there are three.
const CALLERS_LIMIT: usize = 256;

/// Functions that are looked into, and instructions that are followed in all of them. BoringSSL needs
/// a hundred, and less than a hundred thousand.
const KNOWN_LIMIT: usize = 1024;
const STEPS_LIMIT: usize = 1 << 19;

pub(super) struct Functions<'i, 'f> {
    image: &'i Image<'f>,
    pointers: &'i Pointers,
    unwind: Option<unwind::Functions<'i, 'f>>,
    /// Read when the unwind table leaves something out.
    starts: Option<Starts>,
    is_file: &'i dyn Fn(u64) -> bool,
    /// By their starts. `None`: no function.
    known: BTreeMap<u64, Option<Facts>>,
    steps: usize,
}

impl<'i, 'f> Functions<'i, 'f> {
    pub(super) fn new(
        image: &'i Image<'f>,
        pointers: &'i Pointers,
        is_file: &'i dyn Fn(u64) -> bool,
    ) -> Self {
        let unwind = unwind::Functions::read(image);
        Self { image, pointers, unwind, starts: None, is_file, known: BTreeMap::new(), steps: 0 }
    }

    pub(super) fn facts(&self, start: u64) -> Option<&Facts> {
        self.known.get(&start)?.as_ref()
    }

    /// Starts of the functions that the instructions are in.
    pub(super) fn around(&mut self, instructions: &BTreeSet<u64>) -> BTreeSet<u64> {
        instructions
            .iter()
            .filter_map(|at| self.unwound(*at).or_else(|| self.called(*at)))
            .collect()
    }

    fn unwound(&mut self, at: u64) -> Option<u64> {
        let (start, end) = self.unwind.as_ref()?.around(at)?;
        self.reaches(start, end, at).then_some(start)
    }

    fn called(&mut self, at: u64) -> Option<u64> {
        let (image, pointers) = (self.image, self.pointers);
        let starts = self.starts.get_or_insert_with(|| Starts::read(image, pointers));
        let candidates = starts.before(image, at);
        let mut tried = candidates.into_iter().take(TRIED);
        tried.find(|(start, end)| self.reaches(*start, *end, at)).map(|(start, _)| start)
    }

    /// Whether the function from `start` on, which another follows at `end`, has the instruction.
    fn reaches(&mut self, start: u64, end: u64, at: u64) -> bool {
        if at.wrapping_sub(start) >= FUNCTION_LIMIT as u64 {
            return false;
        }
        if !self.known.contains_key(&start) {
            if self.known.len() >= KNOWN_LIMIT || self.steps >= STEPS_LIMIT {
                return false;
            }
            let facts = self.read(start, end);
            self.steps += facts.as_ref().map_or(0, |facts| facts.steps);
            self.known.insert(start, facts);
        }
        self.facts(start).is_some_and(|facts| facts.has(start, at))
    }

    fn read(&self, start: u64, end: u64) -> Option<Facts> {
        let len = end.saturating_sub(start).min(FUNCTION_LIMIT as u64);
        self.image.code_offset(start)?;
        facts::of(start, &self.image.bytes(start, len as usize)?, self.is_file)
    }

    /// Functions that call, or end in, the one that begins at an address.
    pub(super) fn callers(&mut self, callee: u64) -> BTreeSet<u64> {
        let mut calls = BTreeSet::new();
        let wanted = callee..callee.saturating_add(1);
        scan::operands(self.image, &wanted, &mut |operand| {
            let is_branch = matches!(operand.before, [.., 0xe8 | 0xe9]);
            if operand.relative && is_branch && calls.len() < CALLERS_LIMIT {
                calls.insert(operand.at.wrapping_sub(1));
            }
        });
        self.around(&calls)
    }
}
