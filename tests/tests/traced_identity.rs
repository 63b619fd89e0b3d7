//! TLS objects that are shared, handed over, copied or reused: each call stays one call, and whole.

use std::{collections::HashSet, io::Write as _, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use llmtap::http::{Counts, Ended};
use llmtap_tests::{
    Lab, OPENSSL, Running, Span,
    mixed::{Exchange, Print, Recorded},
    no_bytes_lost,
};

const LIMIT: Duration = Duration::from_secs(60);

fn program(lab: &Lab) -> Result<Command> {
    let [ssl, crypto] = OPENSSL;
    Ok(Command::new(lab.compile_c("identity.c", &[ssl, crypto, "-pthread"])?))
}

/// What a case of `identity.c` is to show: calls, all whole but for those named.
#[derive(Default)]
struct Expected {
    calls: u64,
    /// Directions of connections that were joined later than their first byte.
    joined_late: u64,
    /// Calls whose answer the program never read.
    unread: &'static [u64],
}

fn id(number: u64) -> String {
    format!("i{number}x")
}

fn is_shown(case: &str, expected: &Expected) -> Result<()> {
    let lab = Lab::open()?;
    let (server, log) = lab.serve(Command::new(env!("CARGO_BIN_EXE_mixed_server")))?;
    let mut command = program(&lab)?;
    command.args([case, &server.port()?.to_string()]);
    let file = lab.file("identity.rec");
    let ended = Running::start(lab.recorder(&file, &command))?.finish(LIMIT)?.success()?;
    no_bytes_lost(&ended.errors)?;
    let truth = Exchange::logged(&log)?;
    let recorded = Recorded::read(&file)?;
    let ids: HashSet<_> = recorded.seen.iter().map(|seen| seen.exchange.id.clone()).collect();
    ensure!(ids == (1..=expected.calls).map(id).collect(), "{ids:?}");
    ensure!(recorded.seen.len() == ids.len(), "{:#?}", recorded.seen);
    for seen in &recorded.seen {
        let listed = |numbers: &[u64]| numbers.iter().any(|number| id(*number) == seen.exchange.id);
        let truth = truth.get(&seen.exchange.id).context("not asked for")?;
        ensure!(!seen.end.joined_late, "{seen:#?}");
        if listed(expected.unread) {
            ensure!(seen.exchange.request == truth.request, "{seen:#?}");
            ensure!(seen.exchange.response == Print::default(), "{seen:#?}");
            ensure!(seen.end.how == Ended::ClientGone, "{seen:#?}");
        } else {
            ensure!(seen.exchange == *truth, "{seen:#?}\n{truth:#?}");
            ensure!(seen.ids == (truth.id.clone(), truth.id.clone()), "{seen:#?}");
            ensure!(seen.end.how == Ended::Complete, "{seen:#?}");
        }
    }
    ensure!(recorded.left_over == 0, "{} connections are left over", recorded.left_over);
    let (exchanges, resynchronised) = (expected.calls, expected.joined_late);
    let counts = Counts { exchanges, resynchronised, ..Counts::default() };
    ensure!(recorded.counts == counts, "{:?}", recorded.counts);
    Ok(())
}

#[test]
fn child_goes_on_with_connection() -> Result<()> {
    is_shown("fork-child", &Expected { calls: 3, ..Expected::default() })
}

#[test]
fn parent_goes_on_with_connection() -> Result<()> {
    is_shown("fork-parent", &Expected { calls: 4, ..Expected::default() })
}

#[test]
fn parent_and_child_close_connection() -> Result<()> {
    is_shown("fork-both", &Expected { calls: 1, ..Expected::default() })
}

#[test]
fn copy_is_not_what_its_address_became() -> Result<()> {
    is_shown("fork-address", &Expected { calls: 3, joined_late: 2, ..Expected::default() })
}

#[test]
fn object_goes_from_thread_to_thread() -> Result<()> {
    is_shown("threads", &Expected { calls: 201, ..Expected::default() })
}

#[test]
fn cleared_object_is_another_connection() -> Result<()> {
    is_shown("clear", &Expected { calls: 50, ..Expected::default() })
}

/// What was told of the handshake that failed is not told of the next: its call ends as it was left.
#[test]
fn object_cleared_after_a_failed_handshake_is_another_connection() -> Result<()> {
    is_shown("clear-after-failure", &Expected { calls: 3, unread: &[3], ..Expected::default() })
}

#[test]
fn exec_ends_open_connection() -> Result<()> {
    is_shown("exec", &Expected { calls: 3, unread: &[2], ..Expected::default() })
}

#[test]
fn referenced_object_outlives_its_release() -> Result<()> {
    is_shown("reference", &Expected { calls: 5, ..Expected::default() })
}

/// The span belongs to the call whose number is its bound of tokens.
fn is_whole(span: &Span, number: u64) -> bool {
    let number_of = |name| span.number(name).and_then(|number| u64::try_from(number).ok());
    span.text("gen_ai.request.model") == Some(&format!("model-{}", number % 5))
        && span.text("gen_ai.response.id") == Some(&format!("chatcmpl-{}", id(number)))
        && number_of("gen_ai.request.max_tokens") == Some(number)
        && number_of("gen_ai.usage.input_tokens") == Some(1000 + number)
        && number_of("gen_ai.usage.output_tokens") == Some(2000 + 3 * number)
        && span.status == 0
}

#[test]
fn reused_address_is_another_connection() -> Result<()> {
    let lab = Lab::open()?;
    let (server, _) = lab.serve(Command::new(env!("CARGO_BIN_EXE_mixed_server")))?;
    let mut command = program(&lab)?;
    command.args(["reuse", &server.port()?.to_string()]);
    let trace = lab.tracer().run(&command)?;
    ensure!(trace.status.success(), "{}", trace.errors);
    ensure!(trace.spans.len() == 1000, "{} spans", trace.spans.len());
    for (number, span) in (1..).zip(&trace.spans) {
        ensure!(is_whole(span, number), "{number}: {span:#?}");
    }
    trace.nothing_lost()
}

#[test]
fn connection_from_before_is_whole_from_its_next_message() -> Result<()> {
    let lab = Lab::open()?;
    let (server, _) = lab.serve(Command::new(env!("CARGO_BIN_EXE_mixed_server")))?;
    let mut command = program(&lab)?;
    command.args(["late", &server.port()?.to_string()]);
    let (client, mut go) = Running::start_with_input(command)?;
    client.output.wait_for(LIMIT, |line| line == "waiting")?;
    let tracer = lab.tracer().arg("--pid").arg(client.pid().to_string()).attach()?;
    go.write_all(b"\n")?;
    client.finish(LIMIT)?.success()?;
    tracer.wait_for_spans(3, LIMIT)?;
    let trace = tracer.stop()?;
    for number in 4..=6 {
        let span = trace.span(&format!("chatcmpl-{}", id(number)))?;
        ensure!(is_whole(span, number), "{span:#?}");
    }
    // Of the call under way nothing may be told but what its answer says.
    for span in &trace.spans {
        let response = span.text("gen_ai.response.id").unwrap_or_default();
        let known = (4..=6).any(|number| response == format!("chatcmpl-{}", id(number)));
        ensure!(known || span.attribute("gen_ai.request.max_tokens").is_none(), "{span:#?}");
    }
    no_bytes_lost(&trace.errors)
}
