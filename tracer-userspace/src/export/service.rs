//! What a traced process is called: its `service.name`.
//! Takes a [`Process`]; gives the name it was given, else its script's, else its executable's.
//! Knows the options of interpreters as far as needed to tell the script from their values.

use std::path::Path;

use super::variables::pairs;
use crate::discover::Process;

/// `service.name` of a process: `OTEL_SERVICE_NAME` of its environment, else `service.name` of its
/// `OTEL_RESOURCE_ATTRIBUTES`, else the script that an interpreter runs, else the executable.
/// Where nothing of this is known, `unknown_service` (resource semantic conventions).
pub fn service_name(process: &Process) -> String {
    process
        .otel_service_name
        .clone()
        .or_else(|| named_in_attributes(process))
        .or_else(|| program(process))
        .unwrap_or_else(|| "unknown_service".to_owned())
}

fn named_in_attributes(process: &Process) -> Option<String> {
    let attributes = pairs(process.otel_resource_attributes.as_deref()?).ok()?;
    let (_, name) = attributes.into_iter().rfind(|(key, _)| key == "service.name")?;
    Some(name).filter(|name| !name.is_empty())
}

/// File name of the script, or of the executable.
fn program(process: &Process) -> Option<String> {
    let executable = process.executable.as_deref().or(process.command.first().map(Path::new))?;
    let executable = file_name(&executable.to_string_lossy())?;
    let interpreter = INTERPRETERS.iter().find(|interpreter| interpreter.is_named(&executable));
    let script = interpreter
        .and_then(|interpreter| interpreter.script(process.command.get(1..).unwrap_or_default()));
    Some(script.unwrap_or(executable))
}

fn file_name(path: &str) -> Option<String> {
    Some(Path::new(path).file_name()?.to_string_lossy().into_owned())
}

/// How an interpreter is told what to run.
struct Interpreter {
    /// Names of its executable, before a version.
    names: &'static [&'static str],
    /// Options whose value is the next argument.
    with_value: &'static [&'static str],
    /// Options whose value is the program's text: there is no script.
    inline: &'static [&'static str],
    /// Options whose value names the module or file to run.
    runs: &'static [&'static str],
    /// Words between the interpreter and its script.
    commands: &'static [&'static str],
}

const INTERPRETERS: [Interpreter; 8] = [
    Interpreter {
        names: &["python", "pypy"],
        with_value: &["-W", "-X", "-Q", "--check-hash-based-pycs"],
        inline: &["-c"],
        runs: &["-m"],
        commands: &[],
    },
    Interpreter {
        names: &["node", "nodejs"],
        with_value: &[
            "-r",
            "--require",
            "--import",
            "--loader",
            "--experimental-loader",
            "-C",
            "--conditions",
            "--env-file",
            "--title",
            "--input-type",
        ],
        inline: &["-e", "--eval", "-p", "--print", "-pe"],
        runs: &[],
        commands: &[],
    },
    Interpreter {
        names: &["bun"],
        with_value: &["-r", "--preload", "--cwd", "--env-file", "-c", "--config"],
        inline: &["-e", "--eval", "-p", "--print"],
        runs: &[],
        commands: &["run"],
    },
    Interpreter {
        names: &["deno"],
        with_value: &["-c", "--config", "--import-map", "--cert"],
        inline: &[],
        runs: &[],
        commands: &["run"],
    },
    Interpreter {
        names: &["ruby"],
        with_value: &["-r", "-I", "-C", "-E", "--encoding"],
        inline: &["-e"],
        runs: &[],
        commands: &[],
    },
    Interpreter {
        names: &["perl"],
        with_value: &["-I"],
        inline: &["-e", "-E"],
        runs: &[],
        commands: &[],
    },
    Interpreter {
        names: &["php", "php-fpm", "php-cgi"],
        with_value: &["-c", "-d", "-t", "-S", "-z", "-g", "-y"],
        inline: &["-r", "-B", "-R", "-E"],
        runs: &["-f", "--file", "-F"],
        commands: &[],
    },
    Interpreter {
        names: &["bash", "sh", "dash", "zsh", "ksh"],
        with_value: &["-o", "+o", "-O", "+O", "--rcfile", "--init-file"],
        inline: &["-c"],
        runs: &[],
        commands: &[],
    },
];

impl Interpreter {
    /// With any version behind the name: `python3.12`, `ruby3.1`, `php8`.
    fn is_named(&self, executable: &str) -> bool {
        let is_version =
            |rest: &str| rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        self.names.iter().any(|name| executable.strip_prefix(name).is_some_and(is_version))
    }

    /// Name of the script among the arguments; `None` where the program comes from elsewhere
    /// (standard input, the command line itself).
    fn script(&self, arguments: &[String]) -> Option<String> {
        let mut arguments = arguments.iter().map(String::as_str).peekable();
        while let Some(argument) = arguments.next() {
            if self.inline.contains(&argument) {
                return None;
            }
            if self.runs.contains(&argument) {
                return file_name(arguments.next()?);
            }
            if self.with_value.contains(&argument) {
                arguments.next();
            } else if argument == "--" {
                return file_name(arguments.next()?);
            } else if argument.is_empty() || argument == "-" {
                return None;
            } else if !argument.starts_with(['-', '+']) && !self.commands.contains(&argument) {
                return file_name(argument);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::ProcessId;

    fn process(executable: Option<&str>, command: &[&str]) -> Process {
        Process {
            id: ProcessId { pid: 1, incarnation: 1 },
            parent_pid: None,
            executable: executable.map(Into::into),
            command: command.iter().map(|argument| (*argument).to_owned()).collect(),
            uid: None,
            otel_service_name: None,
            otel_resource_attributes: None,
        }
    }

    #[test]
    fn scripts_are_found_behind_options() {
        for (executable, command, expected) in [
            ("/usr/bin/python3.11", &["python", "agent.py"][..], "agent.py"),
            ("/usr/bin/python3.11", &["python", "-u", "/srv/app/agent.py", "x"], "agent.py"),
            ("/usr/bin/python3.11", &["python", "-X", "dev", "-W", "error", "a.py"], "a.py"),
            ("/usr/bin/python3.11", &["python", "-Xdev", "a.py"], "a.py"),
            ("/usr/bin/python3.11", &["python", "-m", "uvicorn", "app:app"], "uvicorn"),
            ("/usr/bin/python3.11", &["python", "/usr/bin/gunicorn", "app"], "gunicorn"),
            ("/usr/bin/python3.11", &["python", "-c", "import x", "y"], "python3.11"),
            ("/usr/bin/python3.11", &["python", "-"], "python3.11"),
            ("/usr/bin/python3.11", &["python"], "python3.11"),
            ("/usr/bin/python3.11", &["python", "srv/"], "srv"),
            ("/usr/bin/node", &["node", "--require", "x.js", "server.mjs"], "server.mjs"),
            ("/usr/bin/node", &["node", "--inspect=0", "--", "server.mjs"], "server.mjs"),
            ("/usr/bin/node", &["node", "-e", "fetch('x')"], "node"),
            ("/usr/bin/bun", &["bun", "run", "index.ts"], "index.ts"),
            ("/usr/bin/deno", &["deno", "run", "--allow-net", "main.ts"], "main.ts"),
            ("/usr/bin/ruby3.1", &["ruby", "-I", "lib", "bot.rb"], "bot.rb"),
            ("/usr/bin/perl", &["perl", "-w", "t.pl"], "t.pl"),
            ("/usr/bin/php8.2", &["php", "-d", "a=b", "-f", "x.php"], "x.php"),
            ("/usr/bin/bash", &["bash", "-e", "deploy.sh"], "deploy.sh"),
            ("/usr/bin/dash", &["sh", "-c", "curl x"], "dash"),
            ("/usr/bin/curl", &["curl", "https://x"], "curl"),
            ("/opt/pythonic", &["pythonic", "a.py"], "pythonic"),
        ] {
            let name = service_name(&process(Some(executable), command));
            assert_eq!(name, expected, "{command:?}");
        }
    }

    #[test]
    fn given_names_win() {
        let mut process = process(Some("/usr/bin/curl"), &["curl"]);
        process.otel_resource_attributes = Some("service.name=by%20attributes,a=b".into());
        assert_eq!(service_name(&process), "by attributes");
        process.otel_service_name = Some("by name".into());
        assert_eq!(service_name(&process), "by name");
    }

    #[test]
    fn broken_attributes_name_nothing() {
        let mut process = process(Some("/usr/bin/curl"), &["curl"]);
        process.otel_resource_attributes = Some("service.name=x,broken".into());
        assert_eq!(service_name(&process), "curl");
    }

    #[test]
    fn without_executable_the_command_names_it() {
        assert_eq!(service_name(&process(None, &["/bin/agent", "x"])), "agent");
        assert_eq!(service_name(&process(None, &[])), "unknown_service");
    }
}
