//! Every chore of the project as a cargo command: `cargo xtask <command>`.
//! Takes a command line; each command is one module, and sets up what it needs by itself.
//! Knows nothing of the tracer's inside.

mod build;
mod setup;
mod step;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use workspace::Workspace;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "The project's chores")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install what the other commands need (they do so themselves; this only does it ahead)
    Setup,
    /// Build the BPF object and `llmtap`
    Build(build::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = Workspace::find().and_then(|workspace| match arguments.command {
        Command::Setup => setup::everything(&workspace),
        Command::Build(arguments) => build::run(&workspace, &arguments),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
