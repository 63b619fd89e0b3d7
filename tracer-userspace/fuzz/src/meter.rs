//! What a piece of work costs: bytes of the heap at its peak, and time on the processor.
//! Takes the work and its bounds; gives its result, or panics, which the fuzzer takes for a finding.
//! Prints each new worst, for `cargo xtask fuzz` to tell of.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

/// Counts what the program allocates. C libraries (zstd) allocate beside it.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// A single allocation beyond this is a finding, whatever the input's size.
const ALLOCATION_LIMIT: usize = 256 << 20;

fn add(bytes: usize) {
    PEAK.fetch_max(LIVE.fetch_add(bytes, Relaxed) + bytes, Relaxed);
}

// SAFETY: every call goes to the system's allocator with the arguments unchanged; or, for what is
// too large, gives null, which the interface allows.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > ALLOCATION_LIMIT {
            return std::ptr::null_mut();
        }
        add(layout.size());
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.size() > ALLOCATION_LIMIT {
            return std::ptr::null_mut();
        }
        add(layout.size());
        // SAFETY: as the caller promised.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if size > ALLOCATION_LIMIT {
            return std::ptr::null_mut();
        }
        // Both are there while the bytes move.
        add(size);
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.realloc(block, layout, size) }
    }
}

/// How much slower than in a release build the code may run here: the fuzzer's counters and the
/// checks for overflow cost some factor of 5, and other programs take the cache.
const SLACK: u32 = 20;

/// Time for 1 MiB of any input in a release build.
const MEBIBYTE: Duration = Duration::from_millis(50);

/// And for each piece that it comes in: a million segments a second.
const PIECE: Duration = Duration::from_micros(1);

/// What any work may take: shorter times are not told apart from noise.
const LEAST: Duration = Duration::from_millis(50);

/// What the work is.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// Bytes that it takes in, or gives where that is more.
    pub bytes: usize,
    /// Pieces in which they come.
    pub pieces: usize,
    /// Bytes of the heap that it may hold at a time.
    pub heap: usize,
}

impl Work {
    fn time_limit(&self) -> Duration {
        let bytes = MEBIBYTE.mul_f64(self.bytes as f64 / f64::from(1 << 20));
        let pieces = PIECE.mul_f64(self.pieces as f64);
        LEAST + (bytes + pieces) * SLACK
    }
}

/// What it cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    pub heap: usize,
    pub time: Duration,
}

/// # Panics
/// The work took more than its bounds.
pub fn within<T>(work: impl Fn(&T) -> Work, run: impl FnOnce() -> T) -> T {
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let start = processor_time();
    let result = run();
    let time = processor_time().saturating_sub(start);
    let cost = Cost { heap: PEAK.load(Relaxed).saturating_sub(before), time };
    let work = work(&result);
    tell(cost, work);
    assert!(cost.heap <= work.heap, "heap: {} KiB for {work:?}", cost.heap >> 10);
    let limit = work.time_limit();
    assert!(cost.time <= limit, "time: {:?}, limit {limit:?}, for {work:?}", cost.time);
    result
}

static SLOWEST: AtomicU64 = AtomicU64::new(0);
static LARGEST: AtomicUsize = AtomicUsize::new(0);

/// Times below this are not told.
const WORTH_TELLING: u64 = 1000;

/// Prints what is worse than all before by a tenth.
fn tell(cost: Cost, work: Work) {
    let Work { bytes, pieces, .. } = work;
    let micros = cost.time.as_micros() as u64;
    let slowest = SLOWEST.load(Relaxed);
    if micros > slowest + slowest / 10 {
        SLOWEST.store(micros, Relaxed);
        if micros >= WORTH_TELLING {
            eprintln!("METER slowest us={micros} bytes={bytes} pieces={pieces}");
        }
    }
    let largest = LARGEST.load(Relaxed);
    if cost.heap > largest + largest / 10 {
        LARGEST.store(cost.heap, Relaxed);
        eprintln!("METER heap kib={} bytes={bytes} pieces={pieces}", cost.heap >> 10);
    }
}

/// The worst that was measured since [`forget`], by more than a tenth.
pub fn worst() -> Cost {
    let time = Duration::from_micros(SLOWEST.load(Relaxed));
    Cost { heap: LARGEST.load(Relaxed), time }
}

pub fn forget() {
    SLOWEST.store(0, Relaxed);
    LARGEST.store(0, Relaxed);
}

/// Time that this thread has had, whatever else the machine does.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes to the place that it is given, which lives.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
