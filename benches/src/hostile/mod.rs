//! Input that was made to be slow or to take memory: so many bytes of each kind, for `http` and `genai`.
//! Takes a size; gives traffic of about that many bytes.

mod bodies;
mod http1;
mod http2;
mod websocket;

use crate::traffic::Part;

/// Makes so many bytes of traffic, or a little more.
pub type Make = fn(usize) -> Vec<Part>;

/// Each kind with its name.
pub fn cases() -> impl Iterator<Item = (&'static str, Make)> {
    let all = [http1::CASES, http2::CASES, websocket::CASES, bodies::CASES];
    all.into_iter().flatten().copied()
}

/// One pattern, over and over.
fn repeated(pattern: &[u8], size: usize) -> Vec<u8> {
    pattern.iter().copied().cycle().take(size.next_multiple_of(pattern.len())).collect()
}
