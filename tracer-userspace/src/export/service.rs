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
    let executable = file_name(&executable(process)?.to_string_lossy())?;
    let arguments = process.command.get(1..).unwrap_or_default();
    let script = interpreter(&executable).and_then(|interpreter| interpreter.script(arguments).1);
    Some(script.unwrap_or(executable))
}

/// The arguments that [`service_name`] looks at, from the first on: up to the script.
pub fn naming_arguments(process: &Process) -> &[String] {
    let executable =
        executable(process).and_then(|executable| file_name(&executable.to_string_lossy()));
    let interpreter = executable.and_then(|executable| interpreter(&executable));
    let arguments = process.command.get(1..).unwrap_or_default();
    let read = interpreter.map_or(0, |interpreter| interpreter.script(arguments).0);
    &process.command[..process.command.len().min(1 + read)]
}

fn executable(process: &Process) -> Option<&Path> {
    process.executable.as_deref().or(process.command.first().map(Path::new))
}

fn interpreter(executable: &str) -> Option<&'static Interpreter> {
    INTERPRETERS.iter().find(|interpreter| interpreter.is_named(executable))
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

    /// How many arguments were looked at, and the name of the script among them; `None` where the
    /// program comes from elsewhere (standard input, the command line itself).
    fn script(&self, arguments: &[String]) -> (usize, Option<String>) {
        let mut at = 0;
        while let Some(argument) = arguments.get(at).map(String::as_str) {
            at += 1;
            let next = arguments.get(at).map(String::as_str);
            if self.inline.contains(&argument) || argument.is_empty() || argument == "-" {
                return (at, None);
            }
            if self.runs.contains(&argument) || argument == "--" {
                return (at + usize::from(next.is_some()), next.and_then(file_name));
            }
            if self.with_value.contains(&argument) {
                at += usize::from(next.is_some());
            } else if !argument.starts_with(['-', '+']) && !self.commands.contains(&argument) {
                return (at, file_name(argument));
            }
        }
        (at, None)
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
            let mut named = process(Some(executable), command);
            named.command = naming_arguments(&named).to_vec();
            assert_eq!(service_name(&named), expected, "{:?}", named.command);
        }
    }

    #[test]
    fn arguments_behind_the_script_name_nothing() {
        for (executable, command, expected) in [
            ("/usr/bin/python3.11", &["python", "-u", "a.py", "--api-key", "sk-1"][..], 3),
            ("/usr/bin/python3.11", &["python", "-c", "key = 'sk-1'", "x"], 2),
            ("/usr/bin/python3.11", &["python", "-m", "agent", "--key=sk-1"], 3),
            ("/usr/bin/node", &["node", "--", "a.js", "sk-1"], 3),
            ("/usr/bin/curl", &["curl", "-H", "Authorization: Bearer sk-1"], 1),
            ("/usr/bin/curl", &[], 0),
        ] {
            let process = process(Some(executable), command);
            assert_eq!(naming_arguments(&process), &process.command[..expected]);
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
