//! The program `llmtap`; everything is in the library.

fn main() -> std::process::ExitCode {
    llmtap::cli::main()
}
