//! What the tracer costs a client: the same client does the same work with and without it, by turns.
//! Takes the number of rounds, and a file to write to; started by `cargo xtask bench overhead`.
//! A third turn, again without the tracer, shows how much of a difference is noise.

use std::{
    fs,
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    process::{ChildStdin, Command, ExitCode},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use llmtap_tests::{Attached, Lab, Running, records};
use rustix::process::Signal;

const BATCH: Duration = Duration::from_secs(120);
/// Kinds of work: the client's name for it, ours, and calls a turn.
const WORK: [(&str, &str, u32); 2] =
    [("json", "small JSON calls", 1500), ("stream", "streams of 200 chunks", 100)];
const BEGIN: &str = "<!-- begin: cargo xtask bench overhead --write -->";
const END: &str = "<!-- end -->";

#[derive(Debug, Parser)]
struct Arguments {
    #[arg(long, default_value_t = 15)]
    rounds: u32,
    /// File whose marked section gets the figures
    #[arg(long)]
    write: Option<PathBuf>,
}

/// One turn's figures: calls a second, milliseconds.
#[derive(Clone, Copy, Debug)]
struct Turn {
    rate: f64,
    p50: f64,
    p99: f64,
}

/// The three turns of one round.
#[derive(Clone, Copy, Debug)]
struct Round {
    without: Turn,
    with: Turn,
    again: Turn,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("overhead: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    ensure!(arguments.rounds > 0, "no rounds, no figures");
    let mut bench = Bench::start()?;
    let mut table = String::from(HEADER);
    for (kind, name, calls) in WORK {
        let mut rounds = Vec::new();
        for number in 0..arguments.rounds {
            let end = if std::io::stderr().is_terminal() { "\r" } else { "\n" };
            eprint!("• {name}: round {} of {}{end}", number + 1, arguments.rounds);
            rounds.push(bench.round(kind, calls, number)?);
        }
        table += &rows(name, &rounds);
    }
    print!("{table}");
    if let Some(file) = &arguments.write {
        write(file, &format!("{}\n\n{table}", conditions(arguments.rounds)))?;
    }
    Ok(())
}

struct Bench {
    lab: Lab,
    client: Running,
    input: ChildStdin,
    number: u32,
    _server: Running,
}

impl Bench {
    fn start() -> Result<Self> {
        let lab = Lab::open()?;
        let mut server = Command::new(&lab.parts.python);
        server
            .arg(llmtap_tests::Parts::program("python/bench_server.py"))
            .args([&lab.authority.certificate, &lab.authority.key]);
        // Its own copies of the TLS library: a probe sits on the file, so otherwise the server
        // would be slowed down as well, and the client would wait for it.
        let libraries = libraries(&lab)?;
        server.env("LD_LIBRARY_PATH", &libraries);
        let server = Running::start(server)?;
        let port = server.port()?.to_string();
        let maps = fs::read_to_string(format!("/proc/{}/maps", server.pid()))?;
        let own = libraries.to_string_lossy();
        ensure!(maps.contains(own.as_ref()), "the server does not use its own TLS library");
        let (client, input) = Running::start_with_input(lab.python("bench_client.py", &[&port]))?;
        client.output.wait_for(BATCH, |line| line == "up")?;
        Ok(Self { lab, client, input, number: 0, _server: server })
    }

    /// The order changes from round to round, so that a drift of the machine falls on all alike.
    fn round(&mut self, kind: &str, calls: u32, number: u32) -> Result<Round> {
        Ok(match number % 3 {
            0 => {
                let without = self.turn(kind, calls)?;
                let with = self.traced_turn(kind, calls)?;
                Round { without, with, again: self.turn(kind, calls)? }
            }
            1 => {
                let with = self.traced_turn(kind, calls)?;
                let again = self.turn(kind, calls)?;
                Round { without: self.turn(kind, calls)?, with, again }
            }
            _ => {
                let again = self.turn(kind, calls)?;
                let without = self.turn(kind, calls)?;
                Round { without, with: self.traced_turn(kind, calls)?, again }
            }
        })
    }

    fn turn(&mut self, kind: &str, calls: u32) -> Result<Turn> {
        self.number += 1;
        let number = self.number;
        writeln!(self.input, "{number} {kind} {calls}").context("the client is gone")?;
        let mark = format!("{{\"number\": {number},");
        let line = self
            .client
            .output
            .wait_for(BATCH, |line| line.starts_with(&mark))
            .with_context(|| self.client.errors.text())?;
        let record = records(&line).pop().context("no figures")?;
        let figure = |name: &str| record[name].as_f64().context("a figure is missing");
        Ok(Turn { rate: figure("rate")?, p50: figure("p50")?, p99: figure("p99")? })
    }

    fn traced_turn(&mut self, kind: &str, calls: u32) -> Result<Turn> {
        let mut command = self.lab.llmtap(&["trace", "--output", "none", "--pid"]);
        command.arg(self.client.pid().to_string());
        let tracer = Running::start(command)?;
        tracer.errors.wait_for(Attached::READY, |line| line.starts_with("llmtap: ready"))?;
        let turn = self.turn(kind, calls)?;
        tracer.signal(Signal::INT)?;
        let ended = tracer.finish(Attached::READY)?;
        ensure!(ended.status.success(), "{}: {}", ended.status, ended.errors);
        // A tracer that saw nothing would look fast.
        let seen = ended.errors.contains(&(calls + (calls / 10).max(1)).to_string());
        ensure!(seen, "the tracer did not see all calls: {}", ended.errors);
        Ok(turn)
    }
}

/// A folder with copies of the TLS library that Python uses.
fn libraries(lab: &Lab) -> Result<PathBuf> {
    let maps = "import ssl; print(open('/proc/self/maps').read())";
    let mut python = Command::new(&lab.parts.python);
    python.args(["-c", maps]);
    let maps = Running::start(python)?.finish(BATCH)?.success()?.output;
    let folder = lab.file("libraries");
    fs::create_dir(&folder)?;
    for path in maps.lines().filter_map(|line| line.split_whitespace().nth(5)).map(Path::new) {
        let Some(name) = path.file_name() else { continue };
        let text = name.to_string_lossy();
        if text.starts_with("libssl") || text.starts_with("libcrypto") {
            fs::copy(path, folder.join(name)).with_context(|| path.display().to_string())?;
        }
    }
    Ok(folder)
}

/// One of a turn's figures.
type Figure = fn(&Turn) -> f64;

const HEADER: &str = "\
| work | figure | without | with | with : without | without again : without |
|---|---|---|---|---|---|
";

fn rows(name: &str, rounds: &[Round]) -> String {
    let figures: [(&str, &str, Figure); 3] = [
        ("calls a second", "", |turn| turn.rate),
        ("median", " ms", |turn| turn.p50),
        ("99th percentile", " ms", |turn| turn.p99),
    ];
    let mut table = String::new();
    for (figure, unit, of) in figures {
        let absolute = |turn: fn(&Round) -> &Turn| {
            median(rounds.iter().map(|round| of(turn(round))).collect())
        };
        let ratio = |turn: fn(&Round) -> &Turn| {
            let mut ratios: Vec<_> =
                rounds.iter().map(|round| of(turn(round)) / of(&round.without)).collect();
            ratios.sort_by(f64::total_cmp);
            let quarter = ratios.len() / 4;
            format!(
                "{:.2} ({:.2}–{:.2})",
                median(ratios.clone()),
                ratios[quarter],
                ratios[ratios.len() - 1 - quarter]
            )
        };
        table += &format!(
            "| {name} | {figure} | {:.3}{unit} | {:.3}{unit} | {} | {} |\n",
            absolute(|round| &round.without),
            absolute(|round| &round.with),
            ratio(|round| &round.with),
            ratio(|round| &round.again),
        );
    }
    table
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    }
}

/// What the figures were taken on.
fn conditions(rounds: u32) -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let work: Vec<_> = WORK.iter().map(|(_, name, calls)| format!("{calls} {name}")).collect();
    format!(
        "{}, {cores} cores, Linux {}. {rounds} rounds; a turn is {}. Ratios are medians over the rounds, \
         in brackets their quartiles.",
        model.trim_start_matches([' ', '\t', ':']),
        // What follows the number names who built it.
        release.trim().split('-').next().unwrap_or_default(),
        work.join(" or ")
    )
}

/// Puts the text between the marks of the file, which must be there.
fn write(file: &Path, text: &str) -> Result<()> {
    let old = fs::read_to_string(file).with_context(|| format!("can't read {}", file.display()))?;
    let (before, rest) =
        old.split_once(BEGIN).context("the mark of the section's begin is gone")?;
    let (_, after) = rest.split_once(END).context("the mark of the section's end is gone")?;
    fs::write(file, format!("{before}{BEGIN}\n\n{text}\n{END}{after}"))
        .with_context(|| format!("can't write {}", file.display()))
}
