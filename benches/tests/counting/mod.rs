//! An allocator that counts: what is held, the most that was, and how much was asked for how often.
//! Takes every allocation of the test; gives numbers. C libraries allocate beside it.

// Each test uses a part of it.
#![allow(dead_code)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static ASKED: AtomicUsize = AtomicUsize::new(0);
static TOTAL: AtomicUsize = AtomicUsize::new(0);

fn add(bytes: usize) {
    PEAK.fetch_max(HELD.fetch_add(bytes, Relaxed) + bytes, Relaxed);
    ASKED.fetch_add(1, Relaxed);
    TOTAL.fetch_add(bytes, Relaxed);
}

// SAFETY: all is left to the system's allocator, which keeps the trait's rules. The default
// `realloc` goes through these two.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: the caller keeps the rules of this same function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller keeps the rules of this same function.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that are held now.
pub(crate) fn held() -> usize {
    HELD.load(Relaxed)
}

/// How often memory was asked for so far.
pub(crate) fn asked() -> usize {
    ASKED.load(Relaxed)
}

/// What a piece of work took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    /// The most that it held at a time.
    pub(crate) peak: usize,
    /// All that it asked for, one after the other: work grows with it.
    pub(crate) total: usize,
    pub(crate) times: usize,
}

pub(crate) fn taken<T>(work: impl FnOnce() -> T) -> (T, Taken) {
    let (before, total, times) = (held(), TOTAL.load(Relaxed), asked());
    PEAK.store(before, Relaxed);
    let result = work();
    let peak = PEAK.load(Relaxed).saturating_sub(before);
    (result, Taken { peak, total: TOTAL.load(Relaxed) - total, times: asked() - times })
}
