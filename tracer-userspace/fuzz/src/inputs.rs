//! The inputs that are made here: seeds to begin from, and worst cases.
//! Takes the variable [`FOLDER`], which `cargo xtask fuzz` sets; writes them there, and ends the program.

use std::{env, fs, io, path::Path, process};

use crate::TARGETS;

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
pub fn write(target: &str) {
    let Some(folder) = env::var_os(FOLDER) else { return };
    let folder = Path::new(&folder);
    if let Err(error) = write_to(folder, target) {
        eprintln!("{error}: is {} a folder that can be written to?", folder.display());
        process::exit(1);
    }
    process::exit(0);
}

fn write_to(folder: &Path, name: &str) -> io::Result<()> {
    let Some(target) = TARGETS.iter().find(|target| target.name == name) else { return Ok(()) };
    for (kind, inputs) in [("seeds", (target.seeds)()), ("worst", (target.worst)())] {
        let folder = folder.join(kind).join(name);
        fs::create_dir_all(&folder)?;
        for input in inputs {
            fs::write(folder.join(input.name), input.bytes)?;
        }
    }
    Ok(())
}
