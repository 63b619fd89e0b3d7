//! A report for people.
//! Takes a [`Report`] and how to write it; gives lines of text.

use std::fmt;

use anstyle::{AnsiColor, Style as Colour};

use super::{Ability, Connections, Coverage, Library, Program, Report};
use crate::discover::{Basis, Cost};

/// How it is written.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    pub colours: bool,
    /// Columns; longer sentences go on in the next line.
    pub width: usize,
    /// The evidence and every probe as well.
    pub verbose: bool,
}

/// Where the text of a line begins, behind its mark.
const INDENT: &str = "               ";

struct Pen<'a, 'f> {
    text: &'a mut fmt::Formatter<'f>,
    style: Style,
}

impl Report {
    /// The report as text.
    pub fn in_style(&self, style: Style) -> impl fmt::Display {
        Written { report: self, style }
    }
}

struct Written<'r> {
    report: &'r Report,
    style: Style,
}

impl fmt::Display for Written<'_> {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut pen = Pen { text, style: self.style };
        pen.heading("Kernel and privileges")?;
        self.report.kernel.iter().try_for_each(|ability| pen.ability(ability))?;
        writeln!(pen.text)?;
        let programs = &self.report.programs;
        pen.heading(&match programs.len() {
            0 => "No process with TCP connections".to_owned(),
            1 => "1 process".to_owned(),
            count => format!("{count} processes"),
        })?;
        programs.iter().try_for_each(|program| pen.program(program))?;
        if self.report.not_readable > 0 {
            let count = self.report.not_readable;
            let text = format!("{count} processes ended meanwhile, or only root may look at them");
            pen.line("unknown", AnsiColor::Yellow, &text)?;
        }
        Ok(())
    }
}

impl Pen<'_, '_> {
    fn heading(&mut self, text: &str) -> fmt::Result {
        let bold = if self.style.colours { Colour::new().bold() } else { Colour::new() };
        writeln!(self.text, "{bold}{text}{bold:#}")
    }

    /// A mark, and a text that goes on below itself.
    fn line(&mut self, mark: &str, colour: AnsiColor, said: &str) -> fmt::Result {
        let style = if self.style.colours { colour.on_default() } else { Colour::new() };
        let pad = INDENT.len() - 2;
        write!(self.text, "  {style}{mark:<pad$}{style:#}")?;
        let room = self.style.width.saturating_sub(INDENT.len()).max(20);
        for (number, line) in textwrap::wrap(said, room).iter().enumerate() {
            if number > 0 {
                write!(self.text, "{INDENT}")?;
            }
            writeln!(self.text, "{line}")?;
        }
        Ok(())
    }

    fn ability(&mut self, ability: &Ability) -> fmt::Result {
        let (mark, colour) = match ability.available {
            Some(true) => ("yes", AnsiColor::Green),
            Some(false) => ("missing", AnsiColor::Red),
            None => ("unknown", AnsiColor::Yellow),
        };
        self.line(mark, colour, &format!("{}: {}", ability.name, ability.meaning))
    }

    fn program(&mut self, program: &Program) -> fmt::Result {
        writeln!(self.text)?;
        let mut about = vec![format!("pid {}", program.pid)];
        about.extend(program.tcp_connections.map(connections));
        about.extend(program.container_id.as_ref().map(|id| format!("container {id:.12}")));
        self.heading(&format!("{}  ({})", program.name, about.join(", ")))?;
        let (mark, colour) = match program.coverage {
            Coverage::Covered => ("covered", AnsiColor::Green),
            Coverage::Partly => ("partly", AnsiColor::Yellow),
            Coverage::NotCovered => ("not covered", AnsiColor::Red),
        };
        self.line(mark, colour, &program.why)?;
        if let Some(plaintext) = &program.plaintext {
            self.line("connections", AnsiColor::Cyan, &plaintext.to_string())?;
        }
        program.libraries.iter().try_for_each(|library| self.library(library))
    }

    fn library(&mut self, library: &Library) -> fmt::Result {
        let how = match library.found_by {
            Basis::Symbols => "by symbols",
            Basis::Inference => "inferred from its code",
            Basis::Told => "by addresses that were given",
        };
        let cheap = library.probes.iter().filter(|probe| probe.cost == Cost::Emulated).count();
        let dear = library.probes.len() - cheap;
        let version = library.version.as_deref().map(|version| format!(" {version}"));
        let said = format!(
            "{}{}, {how}, in {}: {} probes, {cheap} emulated by the kernel, {dear} in single step",
            library.stack,
            version.unwrap_or_default(),
            library.path.display(),
            library.probes.len(),
        );
        self.line("library", AnsiColor::Cyan, &said)?;
        if !self.style.verbose {
            return Ok(());
        }
        for evidence in &library.evidence {
            self.line("evidence", AnsiColor::Cyan, evidence)?;
        }
        for probe in &library.probes {
            let cost = match probe.cost {
                Cost::Emulated => "emulated",
                Cost::SingleStep => "single step",
            };
            let said =
                format!("{} at {:#x}, {cost}: {}", probe.function, probe.offset, probe.reason);
            self.line("probe", AnsiColor::Cyan, &said)?;
        }
        Ok(())
    }
}

fn connections(connections: Connections) -> String {
    let Connections { established, listening } = connections;
    format!("{established} TCP connections, listens on {listening}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        discover::Stack,
        doctor::{Plaintext, Probe},
    };

    fn report() -> Report {
        let probe = |cost| Probe {
            function: "SslRead".into(),
            offset: 0x1234,
            cost,
            reason: "cheap".into(),
        };
        let library = Library {
            path: "/lib/libssl.so.3".into(),
            stack: Stack::OpenSsl,
            version: Some("3.0.17".into()),
            found_by: Basis::Symbols,
            evidence: vec!["10 symbols".into()],
            probes: vec![probe(Cost::Emulated), probe(Cost::SingleStep)],
        };
        let program = Program {
            pid: 42,
            name: "python3".into(),
            executable: None,
            command: Vec::new(),
            container_id: Some("0123456789abcdef".into()),
            tcp_connections: Some(Connections { established: 2, listening: 1 }),
            plaintext: Some(Plaintext { connections: 2, ..Plaintext::default() }),
            libraries: vec![library],
            coverage: Coverage::Covered,
            why: "what passes OpenSSL 3.0.17 is seen".into(),
        };
        let kernel =
            vec![Ability { name: "uprobes", available: Some(false), meaning: "needed".into() }];
        Report { kernel, programs: vec![program], not_readable: 3 }
    }

    #[test]
    fn everything_is_told() {
        let style = Style { colours: false, width: 60, verbose: true };
        let text = report().in_style(style).to_string();
        for part in [
            "  missing      uprobes: needed\n",
            "python3  (pid 42, 2 TCP connections, listens on 1, container 0123456789ab)",
            "  covered      what passes OpenSSL 3.0.17 is seen\n",
            "SslRead at 0x1234, single step",
            "  connections  2 TLS connections are followed\n",
            "  evidence     10 symbols\n",
            "  unknown      3 processes ended meanwhile",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
        assert!(!text.contains('\x1b'));
    }

    #[test]
    fn colours_and_details_are_chosen() {
        let style = Style { colours: true, width: 100, verbose: false };
        let text = report().in_style(style).to_string();
        assert!(text.contains('\x1b') && !text.contains("evidence"), "{text}");
    }
}
