//! The fuzz targets' way in to parsers that are private to their stage; not there in any other build.
//! Takes nothing; gives each stage's own bridge.

pub use crate::genai::fuzz as genai;
