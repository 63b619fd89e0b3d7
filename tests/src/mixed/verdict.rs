//! What a recording and the spans have of a load, held against what a server logged.
//! Takes both; gives every difference in words. Knows nothing of how either came about.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use llmtap::http::{Counts, Ended};

use super::{
    answer::answer,
    coding::{Coding, decode, encode},
    exchange::Exchange,
    plan::{Call, Form},
    recorded::{Recorded, Seen},
};
use crate::Span;

/// All that is not as the server has it.
pub fn differences(seen: &Seen, call: &Call, truth: &Exchange) -> Vec<String> {
    let plan = &call.plan;
    let mut found = Vec::new();
    let mut hold = |fits: bool, what: &str| {
        if !fits {
            found.push(format!("{}: {what}: {seen:?}\n  the server has {truth:?}", plan.id));
        }
    };
    hold(seen.ids == (plan.id.clone(), plan.id.clone()), "the response is another request's");
    hold(seen.end.missing_request + seen.end.missing_response == 0, "bytes are missing");
    hold(!seen.end.joined_late, "joined late");
    let messages = if plan.status == 101 { plan.pieces } else { 0 };
    hold(seen.messages == (messages, messages), "messages of the WebSocket");
    if !plan.hangs {
        hold(seen.exchange == *truth, "not what was sent");
        hold(seen.end.how == Ended::Complete, "not whole");
        return found;
    }
    let so_far = Exchange { response: seen.exchange.response, ..truth.clone() };
    hold(seen.exchange == so_far, "not what was sent");
    // Lost: data that still came made the library fail while the client was closing.
    let left =
        matches!(seen.end.how, Ended::ClientGone | Ended::StreamReset(8) | Ended::ConnectionLost);
    hold(left, "the client left");
    found
}

/// The pieces that the server sent of an answer, before their coding.
fn sent(call: &Call) -> Result<Vec<Vec<u8>>> {
    let coding = call.headers.iter().find(|(name, _)| name == "content-encoding");
    let coding = Coding::of_name(coding.map(|(_, value)| value.as_str()));
    let request = decode(coding.context("what coding?")?, &call.pieces()?.concat())?;
    answer(&call.plan, &call.method, &request)
}

/// # Errors
/// There are differences; the error has the first of them.
pub fn told(differences: &[String], of: usize) -> Result<()> {
    let shown = &differences[..differences.len().min(10)];
    ensure!(differences.is_empty(), "{} of {of} differ: {shown:#?}", differences.len());
    Ok(())
}

/// Every exchange of the log was seen once, and right; nothing else was met.
///
/// # Errors
/// Not so; the error has the first of what is wrong.
pub fn all_right(
    recorded: &Recorded,
    mut truth: HashMap<String, Exchange>,
    plans: &HashMap<&str, &Call>,
) -> Result<()> {
    let total = truth.len();
    let mut wrong = Vec::new();
    // What may come of a stream after its client has reset it belongs to no exchange (RFC 9113 §5.1).
    let mut in_flight = 0;
    for seen in &recorded.seen {
        let id = &seen.exchange.id;
        let (Some(truth), Some(call)) = (truth.remove(id), plans.get(id.as_str())) else {
            wrong.push(format!("seen twice, or never asked: {seen:?}"));
            continue;
        };
        wrong.extend(differences(seen, call, &truth));
        if call.plan.hangs {
            let sent = sent(call)?;
            if !sent.concat().starts_with(&seen.body) {
                wrong.push(format!("not what was sent so far: {seen:?}"));
            }
            in_flight += encode(call.plan.coding, &sent)?.concat().len() as u64;
        }
    }
    wrong.extend(truth.keys().map(|id| format!("{id} was not seen")));
    told(&wrong, total)?;
    ensure!(recorded.left_over == 0, "{} connections are left over", recorded.left_over);
    let Counts { skipped_bytes, .. } = recorded.counts;
    ensure!(skipped_bytes <= in_flight, "{skipped_bytes} bytes were skipped, of {in_flight}");
    let counts = Counts { exchanges: total as u64, skipped_bytes, ..Counts::default() };
    ensure!(recorded.counts == counts, "{:?}", recorded.counts);
    Ok(())
}

/// A gateway was seen to receive and to send every exchange of the log; nothing else was met. Its two
/// sides need not speak the same version of HTTP.
///
/// # Errors
/// Not so; the error has the first of what is wrong.
pub fn both_legs(recorded: &Recorded, truth: &HashMap<String, Exchange>) -> Result<()> {
    let mut legs: HashMap<&str, usize> = HashMap::new();
    let mut wrong = Vec::new();
    for seen in &recorded.seen {
        let id = seen.exchange.id.as_str();
        let Some(truth) = truth.get(id) else {
            wrong.push(format!("never asked: {seen:?}"));
            continue;
        };
        let same = Exchange { protocol: truth.protocol.clone(), ..seen.exchange.clone() };
        if same != *truth || seen.end.missing_request + seen.end.missing_response > 0 {
            wrong.push(format!("not what was sent: {seen:?}\n  the server has {truth:?}"));
        }
        *legs.entry(id).or_default() += 1;
    }
    let legs = |id: &String| legs.get(id.as_str()).copied().unwrap_or_default();
    let missing = truth.keys().filter(|id| legs(id) != 2);
    wrong.extend(missing.map(|id| format!("{id} was seen {} times", legs(id))));
    told(&wrong, truth.len())
}

fn span_differences(span: &Span, call: &Call) -> Vec<String> {
    let plan = &call.plan;
    let (input, output) = plan.tokens();
    let whole = plan.status == 200 && !plan.hangs;
    let mut found = Vec::new();
    let mut hold = |fits: bool, what: &str| {
        if !fits {
            found.push(format!("{}: {what}: {span:#?}", plan.id));
        }
    };
    let model = format!("model-{}", plan.number % 5);
    hold(span.text("gen_ai.request.model") == Some(&model), "model");
    let number = |name| span.number(name).and_then(|number| u64::try_from(number).ok());
    let reported = |count| whole.then_some(count);
    hold(number("gen_ai.usage.input_tokens") == reported(input), "input tokens");
    hold(number("gen_ai.usage.output_tokens") == reported(output), "output tokens");
    let errors: &[_] = match plan.status {
        // Left with its connection, or with its stream alone (as in `differences`).
        200 if plan.hangs => &[Some("cancelled"), Some("stream_reset"), Some("connection_lost")],
        200 => &[None],
        // The code in the answer's body.
        _ => &[Some("told")],
    };
    hold(errors.contains(&span.text("error.type")), "error");
    hold(number("http.response.status_code") == Some(plan.status.into()), "status");
    if whole {
        hold(span.text("gen_ai.response.id") == Some(&plan.response_id()), "response");
        let surplus = |name: &String| name.starts_with("llmtap.capture.") || name == "llmtap.ended";
        hold(!span.attributes.keys().any(surplus), "not whole");
    }
    found
}

/// Every call that is an LLM's has one span, and every span is right.
///
/// # Errors
/// Not so; the error has the first of what is wrong.
pub fn every_span<'a>(spans: &[Span], calls: impl Iterator<Item = &'a Call>) -> Result<()> {
    // The request's bound of tokens is the call's number, which no other call has.
    let mut calls: HashMap<i64, &Call> = calls
        .filter(|call| call.plan.form == Form::Chat)
        .map(|call| (call.plan.number as i64, call))
        .collect();
    let total = calls.len();
    let mut wrong = Vec::new();
    for span in spans {
        let number = span.number("gen_ai.request.max_tokens");
        match number.and_then(|number| calls.remove(&number)) {
            Some(call) => wrong.extend(span_differences(span, call)),
            None => wrong.push(format!("a second span, or of no call: {span:#?}")),
        }
    }
    wrong.extend(calls.values().map(|call| format!("{} has no span", call.plan.id)));
    told(&wrong, total)
}
