//! The exchanges that a recording has, by llmtap's own reading of it.
//! Takes a file of `llmtap record`; gives each exchange with how it ended, and what was met besides.
//! Keeps only what came; what should have come is for the caller to say.

use std::{collections::HashMap, fs::File, io::BufReader, path::Path};

use anyhow::{Context, Result, bail, ensure};
use llmtap::{
    http::{Counts, End, ExchangeEvent, ExchangeId, Exchanges, Kind},
    recording::{Item, Reader},
};

use super::exchange::{Exchange, Print};

#[derive(Debug)]
pub struct Seen {
    pub exchange: Exchange,
    /// The ids of the response's head, and of the answer's plan in the request's.
    pub ids: (String, String),
    /// Messages of a WebSocket, of the client and of the server.
    pub messages: (usize, usize),
    /// Body of the response, as far as it came.
    pub body: Vec<u8>,
    pub end: End,
}

#[derive(Debug)]
pub struct Recorded {
    pub seen: Vec<Seen>,
    pub counts: Counts,
    /// Connections that had not ended when the recording did.
    pub left_over: usize,
}

/// An exchange under way.
#[derive(Debug, Default)]
struct Open {
    exchange: Option<Exchange>,
    planned: String,
    request: Vec<u8>,
    response: Vec<u8>,
    answered: String,
    messages: (usize, usize),
}

impl Recorded {
    /// # Errors
    /// The recording can't be read, or an exchange is not of the load.
    pub fn read(file: &Path) -> Result<Self> {
        let mut reader = Reader::open(BufReader::new(File::open(file)?))?;
        let mut exchanges = Exchanges::new();
        let mut open: HashMap<ExchangeId, Open> = HashMap::new();
        let (mut seen, mut failed) = (Vec::new(), None);
        while let Some(item) = reader.next_item()? {
            let Item::Event(event) = item else { continue };
            exchanges.on(&event, &mut |told| match follow(&mut open, &told) {
                Ok(ended) => seen.extend(ended),
                Err(error) => failed = failed.take().or(Some(error.context(format!("{told:?}")))),
            });
        }
        match failed {
            Some(error) => Err(error),
            None => {
                Ok(Self { seen, counts: exchanges.counts(), left_over: exchanges.connections() })
            }
        }
    }
}

fn follow(open: &mut HashMap<ExchangeId, Open>, told: &ExchangeEvent<'_>) -> Result<Option<Seen>> {
    if let Kind::End(end) = told.kind {
        let ended = open.remove(&told.exchange).context("an end without a beginning")?;
        return ended.seen(end).map(Some);
    }
    if let Kind::Moved(to) = told.kind {
        let moved = open.remove(&told.exchange).context("nothing to move")?;
        ensure!(open.insert(to, moved).is_none(), "moved onto another");
        return Ok(None);
    }
    let exchange = open.entry(told.exchange).or_default();
    match told.kind {
        Kind::Request { head, .. } => {
            let plan = head.headers.get("x-plan").context("a request without a plan")?;
            let plan: serde_json::Value = serde_json::from_slice(plan.as_bytes())?;
            exchange.planned = plan["id"].as_str().context("a plan without an id")?.to_owned();
            exchange.exchange = Some(Exchange {
                id: String::new(),
                method: head.method.to_string(),
                protocol: format!("{:?}", head.version),
                request: Print::default(),
                status: 0,
                coding: None,
                response: Print::default(),
            });
        }
        Kind::Response { head, .. } => {
            let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
            exchange.answered = text("x-id").context("a response without an id")?.to_owned();
            let known = exchange.exchange.as_mut().context("a response without a request")?;
            known.status = head.status.as_u16();
            known.coding = text("content-encoding").map(str::to_owned);
        }
        Kind::RequestBody(bytes) => exchange.request.extend_from_slice(bytes),
        Kind::ResponseBody(bytes) => exchange.response.extend_from_slice(bytes),
        Kind::RequestMessageEnd(_) => exchange.messages.0 += 1,
        Kind::ResponseMessageEnd(_) => exchange.messages.1 += 1,
        Kind::RequestEnd
        | Kind::ResponseEnd
        | Kind::RequestClose(_)
        | Kind::ResponseClose(_)
        | Kind::RequestTrailers(_)
        | Kind::ResponseTrailers(_) => {}
        _ => bail!("of no exchange of this load"),
    }
    Ok(None)
}

impl Open {
    fn seen(self, end: End) -> Result<Seen> {
        let mut exchange = self.exchange.context("an end without a request")?;
        exchange.id.clone_from(&self.planned);
        exchange.request = Print::of(&self.request);
        exchange.response = Print::of(&self.response);
        let (ids, messages, body) = ((self.answered, self.planned), self.messages, self.response);
        Ok(Seen { exchange, ids, messages, body, end })
    }
}
