//! The rows of coding agents: one is given a task, calls a tool as the model says, and ends.
//! Takes what the server said in each answer; gives what the spans have otherwise.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{Lab, Parts, Record, Running, Span, compare::one_to_one, mixed::told, records};

const TASK: &str = "Call your tool once, then say that you are done.";

/// An agent in a home and a folder of its own, with a key that nobody knows.
#[derive(Clone, Copy, Debug)]
pub struct Agent {
    /// The server that answers in its protocol, of `tests/programs`.
    server: &'static str,
    command: fn(&Lab, &Path, u16) -> Result<Command>,
}

pub(super) const CLAUDE_CODE: Agent =
    Agent { server: "matrix/agent_server.py", command: claude_code };
pub const CODEX: Agent = Agent { server: "matrix/responses_server.py", command: codex };

impl Agent {
    /// Its server, and the file that this logs to.
    ///
    /// # Errors
    /// It did not start.
    pub fn serve(&self, lab: &Lab) -> Result<(Running, PathBuf)> {
        let mut server = Command::new(&lab.parts.python);
        server.arg(Parts::program(self.server));
        lab.serve(server)
    }

    /// The agent at its task, which calls the server at `port`.
    ///
    /// # Errors
    /// Its home could not be made.
    pub fn command(&self, lab: &Lab, program: &Path, port: u16) -> Result<Command> {
        (self.command)(lab, program, port)
    }
}

/// The program in a home of its own.
fn at_home(lab: &Lab, program: &Path) -> Result<(Command, PathBuf)> {
    let home = lab.file("home");
    fs::create_dir(&home)?;
    let mut command = Command::new("env");
    command.arg("-C").arg(&home).arg(program);
    lab.authority.trust(&mut command);
    command.env("HOME", &home);
    Ok((command, home))
}

fn codex(lab: &Lab, program: &Path, port: u16) -> Result<Command> {
    let (mut command, home) = at_home(lab, program)?;
    let configuration = format!(
        "model = \"model-1\"\nmodel_provider = \"test\"\n[model_providers.test]\nname = \"test\"\n\
         base_url = \"https://localhost:{port}/v1\"\nwire_api = \"responses\"\nenv_key = \"TEST_KEY\"\n\
         request_max_retries = 0\nstream_max_retries = 0\n"
    );
    fs::write(home.join("config.toml"), configuration)?;
    // Its own sandbox needs more of the kernel than every machine has; the tool only says a word.
    command.args(["exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]);
    command.arg(TASK).env("CODEX_HOME", &home).env("TEST_KEY", "not-a-key");
    command.env("CODEX_CA_CERTIFICATE", &lab.authority.root);
    Ok(command)
}

fn claude_code(lab: &Lab, program: &Path, port: u16) -> Result<Command> {
    let (mut command, _) = at_home(lab, program)?;
    command.args(["-p", TASK, "--allowedTools", "Bash", "--output-format", "json"]);
    command.env("ANTHROPIC_BASE_URL", format!("https://localhost:{port}"));
    command.env("ANTHROPIC_API_KEY", "not-a-key");
    // Nothing but the calls of the task, and to nobody else.
    for name in
        ["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_TELEMETRY", "DISABLE_AUTOUPDATER"]
    {
        command.env(name, "1");
    }
    Ok(command)
}

/// Every answer has one span that is right; one of them called the tool, and one came after that.
/// Gives their number.
///
/// # Errors
/// Not so; the error has the first of what is wrong.
pub fn every_answer(spans: &[Span], log: &Path) -> Result<usize> {
    let answers = records(&fs::read_to_string(log)?);
    let called = answers.iter().position(|answer| !answer["tool"].is_null());
    let called = called.context("the agent was never told to call its tool")?;
    ensure!(called + 1 < answers.len(), "the agent did not come back with what its tool gave");
    let wrong = one_to_one(spans, &answers, "id", differences);
    told(&wrong, answers.len())?;
    Ok(answers.len())
}

fn differences(found: &mut Vec<String>, span: &Span, answer: &Record) {
    let tools = answer["tool"].as_str().map_or(Value::Null, |tool| json!([tool]));
    let stream = if answer["stream"] == true { json!(true) } else { Value::Null };
    let finish = json!([answer["finish"]]);
    let wanted = [
        ("gen_ai.request.model", &answer["model"]),
        ("gen_ai.request.stream", &stream),
        ("gen_ai.usage.input_tokens", &answer["input_tokens"]),
        ("gen_ai.usage.output_tokens", &answer["output_tokens"]),
        ("gen_ai.response.finish_reasons", &finish),
        ("llmtap.response.tool_calls", &tools),
    ];
    found.extend(wanted.into_iter().filter_map(|(name, should)| {
        let is = span.attribute(name).unwrap_or(&Value::Null);
        (is != should).then(|| format!("{name} is {is}: {answer}"))
    }));
}
