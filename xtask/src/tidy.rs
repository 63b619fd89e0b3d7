//! The house rules that no compiler checks.
//! Takes the tracked Rust files; gives each breach as `file:line: sentence`.
//! Rules read text, not syntax: they hold for code that rustfmt has formatted.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{step, workspace::Workspace};

/// Lines of a file; what is longer has more than one job.
const FILE_LINES: usize = 600;
/// Lines of a function outside tests: one screen.
const FUNCTION_LINES: usize = 80;
/// The stages that data passes through. `discover` and `capture` are one rank: capture's events name
/// processes, and discovery answers to them.
const RANKS: [&[&str]; 6] =
    [&["discover", "capture"], &["http"], &["genai"], &["trace"], &["meter"], &["export"]];
/// Values of `gen_ai.provider.name`, and hosts: what makes code depend on a provider.
const PROVIDERS: [&str; 18] = [
    "\"anthropic\"",
    "\"aws.bedrock\"",
    "\"azure.ai.inference\"",
    "\"azure.ai.openai\"",
    "\"cohere\"",
    "\"deepseek\"",
    "\"gcp.gemini\"",
    "\"gcp.vertex_ai\"",
    "\"groq\"",
    "\"mistral_ai\"",
    "\"ollama\"",
    "\"openai\"",
    "\"perplexity\"",
    "\"x_ai\"",
    "api.anthropic.com",
    "api.openai.com",
    "googleapis.com",
    "amazonaws.com",
];
const USERSPACE: &str = "tracer-userspace/src/";

/// # Errors
/// There are breaches; the error lists them.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut git = Command::new("git");
    // With new files too, so that a breach is told before it is committed.
    git.current_dir(workspace.root()).args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "*.rs",
    ]);
    let files = step::answer(&mut git).context("can't list the files: is this a git checkout?")?;
    let mut texts = Vec::new();
    for name in files.lines().filter(|name| workspace.file(name).exists()) {
        let text = fs::read_to_string(workspace.file(name))
            .with_context(|| format!("can't read {name}"))?;
        texts.push((name, text));
    }
    let tests: HashSet<_> =
        texts.iter().flat_map(|(name, text)| test_modules(name, text)).collect();
    let found: Vec<_> = texts
        .iter()
        .flat_map(|(name, text)| {
            breaches(name, text, name.ends_with("tests.rs") || tests.contains(Path::new(name)))
        })
        .collect();
    if !found.is_empty() {
        bail!("house rules:\n  {}", found.join("\n  "));
    }
    Ok(())
}

/// The files of modules that are declared for tests only.
fn test_modules(name: &str, text: &str) -> Vec<PathBuf> {
    let file = Path::new(name);
    let folder = match file.file_name().and_then(|name| name.to_str()) {
        Some("mod.rs" | "lib.rs" | "main.rs") => file.with_file_name(""),
        _ => file.with_extension(""),
    };
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    lines
        .windows(2)
        .filter(|pair| pair[0] == "#[cfg(test)]")
        .filter_map(|pair| pair[1].strip_suffix(';')?.split_once("mod "))
        .flat_map(|(_, module)| {
            [folder.join(format!("{module}.rs")), folder.join(module).join("mod.rs")]
        })
        .collect()
}

/// `tests`: the whole file is for tests, which its name says in place of a head.
fn breaches(name: &str, text: &str, tests: bool) -> Vec<String> {
    let lines: Vec<_> = text.lines().collect();
    let mut found = Vec::new();
    if !tests && !lines.first().is_some_and(|line| line.starts_with("//!")) {
        found
            .push(format!("{name}:1: begins without `//!`: its job, what it takes, what it gives"));
    }
    if lines.len() > FILE_LINES {
        found.push(format!("{name}:{FILE_LINES}: {} lines are too many", lines.len()));
    }
    let code = if tests { &[] } else { outside_tests(name, &lines) };
    found.extend(long_functions(name, code));
    if let Some(inside) = name.strip_prefix(USERSPACE) {
        let stage = Path::new(inside).iter().next().and_then(|part| part.to_str()).unwrap_or("");
        found.extend(upward_uses(name, stage.trim_end_matches(".rs"), code));
        if stage != "genai" {
            found.extend(provider_names(name, code));
        }
    }
    found
}

/// The lines before a file's own tests; none of a file below a folder of tests.
fn outside_tests<'a>(name: &str, lines: &'a [&'a str]) -> &'a [&'a str] {
    if name.contains("/tests/") {
        return &[];
    }
    let end = lines.iter().position(|line| line.trim() == "#[cfg(test)]").unwrap_or(lines.len());
    &lines[..end]
}

/// rustfmt closes a function with a brace at the indentation of its first line.
fn long_functions(name: &str, lines: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let declaration = line.trim_start();
        if !declares_function(declaration) || declaration.ends_with(';') {
            continue;
        }
        let end = format!("{}}}", &line[..line.len() - declaration.len()]);
        let length = lines[start..].iter().position(|line| *line == end).map_or(1, |at| at + 1);
        if length > FUNCTION_LINES {
            found.push(format!("{name}:{}: a function of {length} lines", start + 1));
        }
    }
    found
}

fn declares_function(line: &str) -> bool {
    let is_qualifier = |word: &&str| {
        word.starts_with("pub") || ["async", "const", "unsafe", "extern", "\"C\""].contains(word)
    };
    line.split(' ').find(|word| !is_qualifier(word)) == Some("fn")
}

fn rank(module: &str) -> Option<usize> {
    RANKS.iter().position(|stages| stages.contains(&module))
}

/// Uses of a later stage from an earlier one.
fn upward_uses(name: &str, stage: &str, lines: &[&str]) -> Vec<String> {
    let Some(own) = rank(stage) else { return Vec::new() };
    let mut found = Vec::new();
    let mut in_group = false;
    for (number, line) in lines.iter().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        let mut modules: Vec<&str> = code.split("crate::").skip(1).map(leading_name).collect();
        // `use crate::{` with one module a line, indented once.
        if in_group && line.starts_with("    ") && !line.starts_with("     ") {
            modules.push(leading_name(code.trim_start()));
        }
        if let Some((_, group)) = code.split_once("use crate::{") {
            in_group = !group.contains('}');
            modules.extend(group.split([',', '{']).map(|part| leading_name(part.trim_start())));
        } else if code.starts_with('}') {
            in_group = false;
        }
        for module in modules {
            if rank(module).is_some_and(|other| other > own) {
                found.push(format!("{name}:{}: `{stage}` uses the later `{module}`", number + 1));
            }
        }
    }
    found
}

fn leading_name(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

fn provider_names(name: &str, lines: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        if line.trim_start().starts_with("//") {
            continue;
        }
        for provider in PROVIDERS.iter().filter(|provider| line.contains(*provider)) {
            found.push(format!("{name}:{}: {provider} belongs into `genai`", number + 1));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_head_is_told() {
        assert_eq!(breaches("xtask/src/a.rs", "use std::fs;\n", false).len(), 1);
        assert!(breaches("xtask/src/a.rs", "//! Job.\n", false).is_empty());
    }

    #[test]
    fn long_file_is_told() {
        let text = format!("//! Job.\n{}", "\n".repeat(FILE_LINES));
        assert_eq!(breaches("xtask/src/a.rs", &text, false).len(), 1);
    }

    #[test]
    fn long_function_is_told() {
        let body = "    let a = 1;\n".repeat(FUNCTION_LINES);
        for head in ["fn f() {", "pub(crate) async fn f(", "pub fn f<T>(a: T) {"] {
            let text = format!("//! Job.\n{head}\n{body}}}\n");
            assert_eq!(breaches("xtask/src/a.rs", &text, false).len(), 1, "{head}");
        }
        let short = "//! Job.\nfn f() {\n}\nfn g() {\n}\n";
        assert!(breaches("xtask/src/a.rs", short, false).is_empty());
    }

    #[test]
    fn upward_use_is_told() {
        let file = "tracer-userspace/src/http/h1.rs";
        for line in [
            "use crate::genai::Operation;",
            "use crate::{capture::Event, trace::Span};",
            "use crate::{\n    capture::{Event, Segment},\n    export::Otlp,\n};",
            "fn f(a: crate::trace::Span) {}",
        ] {
            assert_eq!(breaches(file, &format!("//! Job.\n{line}\n"), false).len(), 1, "{line}");
        }
        let fine = "//! Job.\nuse crate::{\n    capture::{Event, Segment},\n    http::End,\n};\n";
        assert!(breaches(file, fine, false).is_empty());
    }

    #[test]
    fn provider_outside_genai_is_told() {
        let text = "//! Job.\nconst A: &str = \"openai\";\n";
        assert_eq!(breaches("tracer-userspace/src/trace/a.rs", text, false).len(), 1);
        assert!(breaches("tracer-userspace/src/genai/a.rs", text, false).is_empty());
        assert!(breaches("tracer-userspace/src/trace/a/tests.rs", text, true).is_empty());
    }

    #[test]
    fn test_modules_are_found() {
        let text = "mod a;\n#[cfg(test)]\npub(crate) mod sample;\n";
        let of = |name: &str| test_modules(name, text).remove(0);
        assert_eq!(of("x/src/trace/mod.rs"), Path::new("x/src/trace/sample.rs"));
        assert_eq!(of("x/src/trace/context.rs"), Path::new("x/src/trace/context/sample.rs"));
        assert!(test_modules("x/src/lib.rs", "#[cfg(test)]\nmod tests {\n").is_empty());
    }
}
