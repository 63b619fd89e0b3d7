//! Every chore of the project as a cargo command: `cargo xtask <command>`.
//! Takes a command line; each command is one module, and sets up what it needs by itself.
//! Knows nothing of the tracer's inside.

mod build;
mod fuzz;
mod lab;
mod lint;
mod pipeline;
mod setup;
mod step;
mod test;
mod tidy;
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
    /// Show a real LLM's calls live: a local model behind TLS, unmodified clients, the tracer
    Demo(lab::DemoArguments),
    /// Run every test
    Test(test::Arguments),
    /// Fuzz everything that reads bytes from outside
    Fuzz(fuzz::Arguments),
    /// Measure
    #[command(subcommand)]
    Bench(lab::Bench),
    /// Make the table of TLS coverage of what `test traced_matrix` has left
    Matrix(lab::MatrixArguments),
    /// Check formatting, lints and house rules
    Lint,
    /// Check the house rules alone
    Tidy,
    /// Build the BPF object and `llmtap`
    Build(build::Arguments),
    /// Install what the other commands need (they do so themselves; this only does it ahead)
    Setup,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = Workspace::find().and_then(|workspace| match arguments.command {
        Command::Demo(arguments) => lab::demo(&workspace, &arguments),
        Command::Test(arguments) => test::run(&workspace, &arguments),
        Command::Fuzz(arguments) => fuzz::run(&workspace, &arguments),
        Command::Bench(bench) => lab::bench(&workspace, &bench),
        Command::Matrix(arguments) => lab::matrix(&workspace, &arguments),
        Command::Lint => lint::run(&workspace),
        Command::Tidy => tidy::run(&workspace),
        Command::Build(arguments) => build::run(&workspace, &arguments),
        Command::Setup => setup::everything(&workspace),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
