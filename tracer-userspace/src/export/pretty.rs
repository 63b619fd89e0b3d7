//! Calls for people: a line a call, in columns, as wide as the terminal.
//! Takes [`Span`]s; gives text that is safe to write to a terminal.
//! What went wrong stands in words beneath its call, and message content where it was asked for.

mod cells;
mod content;

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use jiff::{Timestamp, tz::TimeZone};
use opentelemetry::trace::Status;

use super::{service::service_name, text};
use crate::{
    http::{Ended, Role},
    trace::Span,
};
use cells::{Outcome, count, duration, outcome, remarks, seconds_to_first_chunk};

/// Columns of the terminal where its width is not known, and the least that is laid out for.
pub const USUAL_WIDTH: usize = 120;
const LEAST_WIDTH: usize = 66;

/// From this width on there is room for the time of day.
const WIDTH_WITH_TIME: usize = 100;

/// Columns of the numbers: wide enough for their headings and the usual values.
const TIME: usize = 8;
const DURATION: usize = 6;
const TOKENS: usize = 7;
const GAP: &str = "  ";

/// Lines that words about a failure may take.
const FAILURE_LINES: usize = 3;

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();
const MODEL: Style = AnsiColor::Cyan.on_default();
const GOOD: Style = AnsiColor::Green.on_default();
const UNSURE: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default();

/// Lays out calls for one terminal.
#[derive(Debug)]
pub struct Pretty {
    columns: Columns,
    color: bool,
    zone: TimeZone,
    has_heading: bool,
}

/// Widths that depend on the terminal's.
#[derive(Clone, Copy, Debug)]
struct Columns {
    width: usize,
    has_time: bool,
    service: usize,
    call: usize,
    outcome: usize,
}

impl Columns {
    fn new(width: usize) -> Self {
        let width = width.max(LEAST_WIDTH);
        let has_time = width >= WIDTH_WITH_TIME;
        let numbers = 2 * DURATION + 2 * TOKENS + 4 * GAP.len();
        let time = if has_time { TIME + GAP.len() } else { 0 };
        // The arrow before the service, the gap behind it, and the gap behind the call.
        let rest = width.saturating_sub(numbers + time + 2 + 2 * GAP.len());
        let service = (rest / 4).clamp(6, 20);
        let call = ((rest - service) * 3 / 5).clamp(8, 40);
        Self { width, has_time, service, call, outcome: rest.saturating_sub(service + call).max(8) }
    }

    /// Where the call stands, which is where everything beneath it begins.
    fn indent(self) -> usize {
        let time = if self.has_time { TIME + GAP.len() } else { 0 };
        time + 2 + self.service + GAP.len()
    }
}

impl Pretty {
    /// For a terminal of so many columns; the caller decides whether it takes colours.
    pub fn new(width: usize, color: bool) -> Self {
        Self { columns: Columns::new(width), color, zone: TimeZone::system(), has_heading: false }
    }

    /// The call's lines, each with its line feed; the first time with the columns' headings.
    pub fn render(&mut self, span: &Span) -> String {
        let mut out = String::new();
        if !self.has_heading {
            self.has_heading = true;
            self.heading(&mut out);
        }
        self.call(&mut out, span);
        self.failure(&mut out, span);
        if let Some(content) = &span.operation.content {
            for (role, words) in content::messages(content) {
                self.message(&mut out, &role, &words);
            }
        }
        out
    }

    fn heading(&self, out: &mut String) {
        let columns = self.columns;
        let mut line = String::new();
        if columns.has_time {
            line += &(text::left("TIME", TIME) + GAP);
        }
        line += &text::left("  SERVICE", columns.service + 2);
        line += GAP;
        line += &text::left("CALL", columns.call);
        for (name, width) in
            [("FIRST", DURATION), ("TOTAL", DURATION), ("TOK IN", TOKENS), ("TOK OUT", TOKENS)]
        {
            line += GAP;
            line += &text::right(name, width);
        }
        line += GAP;
        line += "ENDED";
        self.put(out, DIM, &line);
        out.push('\n');
    }

    fn call(&self, out: &mut String, span: &Span) {
        let (columns, operation) = (self.columns, &span.operation);
        if columns.has_time {
            self.put(out, DIM, &self.time_of_day(span));
            out.push_str(GAP);
        }
        // A call goes out of a client and comes in at a server.
        let arrow = match operation.role {
            Role::Client => "→ ",
            Role::Server => "← ",
        };
        self.put(out, DIM, arrow);
        self.put(out, BOLD, &text::left(&service_name(&span.process), columns.service));
        out.push_str(GAP);
        self.name(out, span);
        let total = span.end.duration_since(span.start).ok();
        let usage = operation.usage;
        for (cell, width) in [
            (duration(seconds_to_first_chunk(operation)), DURATION),
            (duration(total.map(|total| total.as_secs_f64())), DURATION),
            (count(usage.input_tokens), TOKENS),
            (count(usage.output_tokens), TOKENS),
        ] {
            out.push_str(GAP);
            let style = if cell == cells::UNKNOWN { DIM } else { Style::new() };
            self.put(out, style, &text::right(&cell, width));
        }
        out.push_str(GAP);
        self.outcome(out, span);
        out.push('\n');
    }

    /// Operation and model, or method and tool, of which the second gives way.
    fn name(&self, out: &mut String, span: &Span) {
        let width = self.columns.call;
        let (name, model) = match &span.operation.mcp {
            Some(call) => (call.method.as_str(), call.target()),
            None => (span.operation.name.as_str(), span.operation.request.model.as_deref()),
        };
        let operation = text::fit(name, width);
        let used = text::width(&operation);
        self.put(out, DIM, &operation);
        if used < width {
            out.push(' ');
            self.put(out, MODEL, &text::left(model.unwrap_or_default(), width - used - 1));
        }
    }

    /// How it ended and, as far as there is room, what is worth a remark; the rest goes beneath.
    fn outcome(&self, out: &mut String, span: &Span) {
        let room = self.columns.outcome;
        let outcome = outcome(&span.operation);
        let words = text::fit(&outcome.words, room);
        self.put(out, style_of(&outcome), &words);
        let remarks = remarks(&span.operation).join(" · ");
        if remarks.is_empty() {
            return;
        }
        if text::width(&words) + 3 + text::width(&remarks) <= room {
            self.put(out, DIM, &format!(" · {remarks}"));
        } else {
            let indent = self.columns.indent();
            let beneath = text::fit(&remarks, self.columns.width.saturating_sub(indent));
            let _ = write!(out, "\n{:indent$}", "");
            self.put(out, DIM, &beneath);
        }
    }

    /// The provider's words, or what happened to the transport; before them the kind of error where
    /// its cell was too narrow.
    fn failure(&self, out: &mut String, span: &Span) {
        let Status::Error { description } = &span.status else { return };
        let operation = &span.operation;
        let kind = cells::failure(operation);
        let is_cut = text::width(&outcome(operation).words) > self.columns.outcome;
        let is_said_already =
            operation.error.is_none() && matches!(operation.end.how, Ended::ClientGone);
        let words = match (is_cut, is_said_already) {
            (true, _) => &format!("{kind}: {description}"),
            (false, true) => return,
            (false, false) => &description.to_string(),
        };
        let indent = self.columns.indent();
        for line in text::wrap(words, self.columns.width.saturating_sub(indent), FAILURE_LINES) {
            let _ = write!(out, "{:indent$}", "");
            self.put(out, BAD, &line);
            out.push('\n');
        }
    }

    fn message(&self, out: &mut String, role: &str, words: &str) {
        let indent = self.columns.indent();
        let room = self.columns.width.saturating_sub(indent + 2);
        let role = text::right(role, indent.saturating_sub(1));
        for (index, line) in text::wrap(words, room, content::LINES).iter().enumerate() {
            let label = if index == 0 { role.clone() } else { " ".repeat(text::width(&role)) };
            self.put(out, DIM, &format!("{label} ▏{line}"));
            out.push('\n');
        }
    }

    /// The local time at which the call began.
    fn time_of_day(&self, span: &Span) -> String {
        match Timestamp::try_from(span.start) {
            Ok(time) => time.to_zoned(self.zone.clone()).strftime("%H:%M:%S").to_string(),
            Err(_) => text::left(cells::UNKNOWN, TIME),
        }
    }

    fn put(&self, out: &mut String, style: Style, words: &str) {
        // Writing to a string cannot fail.
        let _ = if self.color && style != Style::new() {
            write!(out, "{style}{words}{style:#}")
        } else {
            write!(out, "{words}")
        };
    }
}

fn style_of(outcome: &Outcome) -> Style {
    match outcome.kind {
        cells::Kind::Good => GOOD,
        cells::Kind::Unsure => UNSURE,
        cells::Kind::Bad => BAD,
    }
}

#[cfg(test)]
mod tests;
