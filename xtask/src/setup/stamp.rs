//! Remembers what a folder was made from, so that nothing is made twice.
//! Takes the inputs as text (versions, lock files); gives whether the folder still fits them.
//! The stamp is the text itself: equal means equal, with no hash between.

use std::{fs, path::Path};

use anyhow::{Context, Result};

const NAME: &str = ".made-from";

pub(crate) fn fits(folder: &Path, inputs: &str) -> bool {
    fs::read_to_string(folder.join(NAME)).is_ok_and(|made_from| made_from == inputs)
}

/// # Errors
/// The stamp could not be written.
pub(crate) fn set(folder: &Path, inputs: &str) -> Result<()> {
    let file = folder.join(NAME);
    fs::write(&file, inputs).with_context(|| format!("can't write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_inputs_do_not_fit() {
        let folder = std::env::temp_dir().join(format!("xtask-stamp-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        assert!(!fits(&folder, "a"));
        set(&folder, "a").unwrap();
        assert!(fits(&folder, "a"));
        assert!(!fits(&folder, "a\n"));
        fs::remove_dir_all(&folder).unwrap();
    }
}
