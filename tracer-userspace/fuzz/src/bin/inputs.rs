//! Writes what is made for the targets, or runs their worst cases and says what they cost.
//! Takes `write FOLDER` or `time`; gives files below the folder, or a table.

use std::{env, fs, io, path::Path, process::ExitCode};

use llmtap_fuzz::{Input, TARGETS, meter};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["write", folder] => match write(Path::new(folder)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("inputs: {error}: is {folder} a folder that can be written?");
                ExitCode::FAILURE
            }
        },
        ["time"] => {
            time();
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("usage: inputs write FOLDER | inputs time");
            ExitCode::FAILURE
        }
    }
}

fn write(folder: &Path) -> io::Result<()> {
    let all = |folder: &Path, inputs: &[Input]| {
        fs::create_dir_all(folder)?;
        inputs.iter().try_for_each(|input| fs::write(folder.join(&input.name), &input.bytes))
    };
    for target in TARGETS {
        all(&folder.join("seeds").join(target.name), &(target.seeds)())?;
        all(&folder.join("worst").join(target.name), &(target.worst)())?;
    }
    Ok(())
}

fn time() {
    println!("{:<12} {:<26} {:>8} {:>10} {:>10}", "target", "input", "KiB", "ms", "heap KiB");
    for target in TARGETS {
        for input in (target.worst)() {
            meter::forget();
            (target.run)(&input.bytes);
            let worst = meter::worst();
            println!(
                "{:<12} {:<26} {:>8} {:>10.1} {:>10}",
                target.name,
                input.name,
                input.bytes.len() >> 10,
                worst.time.as_secs_f64() * 1e3,
                worst.heap >> 10
            );
        }
    }
}
