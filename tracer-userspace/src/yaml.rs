//! YAML that a person wrote: its values, or what is wrong and where.
//! Takes a file's text; gives a type's value, or a [`Fault`] with its place.
//! Knows nothing of what the values mean: `config` and `trace::prices` say that.

use serde::de::DeserializeOwned;
use serde_saphyr::Location;

/// What is wrong in a file.
#[derive(Debug)]
pub(crate) struct Fault {
    /// `LINE:COLUMN:`, from 1, or empty where it is the file as a whole.
    pub(crate) place: String,
    pub(crate) words: String,
}

impl Fault {
    pub(crate) fn at(place: Location, words: &str) -> Self {
        let place = if place == Location::UNKNOWN {
            String::new()
        } else {
            format!("{}:{}:", place.line(), place.column())
        };
        Self { place, words: words.to_owned() }
    }
}

/// # Errors
/// If it is no YAML, or has a key or a value that the type does not know.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, Fault> {
    serde_saphyr::from_str(text).map_err(|wrong| {
        let place = wrong.location().unwrap_or(Location::UNKNOWN);
        let words = wrong.without_snippet().to_string();
        // The library says the place behind its words, we before them.
        let behind = format!(" at line {}, column {}", place.line(), place.column());
        Fault::at(place, words.strip_suffix(&behind).unwrap_or(&words))
    })
}
