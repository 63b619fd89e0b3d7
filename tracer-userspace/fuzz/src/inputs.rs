//! The inputs that are made here: seeds to begin from, and worst cases.
//! Takes the variable [`FOLDER`], which `cargo xtask fuzz` sets; writes them there, and ends the program.

use std::{env, fs, io, path::Path, process};

/// Names the folder to write to.
const FOLDER: &str = "LLMTAP_FUZZ_INPUTS";

/// An input.
#[derive(Clone, Debug)]
pub struct Input {
    pub name: String,
    pub bytes: Vec<u8>,
}

impl Input {
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }
}

/// Writes the inputs of a target, if that is what the program was started for.
pub fn write(target: &str, seeds: fn() -> Vec<Input>, worst: fn() -> Vec<Input>) {
    let Some(folder) = env::var_os(FOLDER) else { return };
    let folder = Path::new(&folder);
    if let Err(error) = write_to(folder, target, &[("seeds", seeds), ("worst", worst)]) {
        eprintln!("{error}: is {} a folder that can be written to?", folder.display());
        process::exit(1);
    }
    process::exit(0);
}

/// A kind of inputs, and what makes them.
type Kind = (&'static str, fn() -> Vec<Input>);

fn write_to(folder: &Path, target: &str, kinds: &[Kind]) -> io::Result<()> {
    for (kind, make) in kinds {
        let folder = folder.join(kind).join(target);
        fs::create_dir_all(&folder)?;
        for input in make() {
            fs::write(folder.join(input.name), input.bytes)?;
        }
    }
    Ok(())
}
