//! The fuzz targets' way in to parsers that are private to their stage; not there in any other build.
//! Takes nothing; gives each stage's own bridge.

pub use crate::{capture::fuzz as capture, genai::fuzz as genai};
