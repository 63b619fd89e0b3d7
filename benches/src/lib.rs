//! Traffic for benchmarks: what passes on connections, made once and fed as often as wanted.
//! Takes sizes and numbers; gives bytes of HTTP/1.1 and HTTP/2 by direction, and runs them.
//! Knows the wire formats by itself, so that nothing is measured with its own output.

pub mod answers;
pub mod h2;
pub mod hostile;
pub mod records;
pub mod traffic;
