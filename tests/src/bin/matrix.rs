//! The page of the matrix, made of what the last runs of its tests left.
//! Takes the file of its parts; prints the page, or puts it into a file.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use clap::Parser;
use llmtap_tests::matrix::{Parts, page};

#[derive(Debug, Parser)]
struct Arguments {
    /// What `cargo xtask` says that there is
    parts: PathBuf,
    /// The page
    #[arg(long)]
    write: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let page = page(&Parts::read(&arguments.parts)?)?;
    match arguments.write {
        Some(file) => {
            fs::write(&file, page).with_context(|| format!("can't write {}", file.display()))
        }
        None => {
            print!("{page}");
            Ok(())
        }
    }
}
