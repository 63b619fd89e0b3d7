//! One exchange in few words: what identifies it, and the size and checksum of its two bodies.
//! Takes bytes; gives values that are equal where the exchanges are.
//! Written as a line of JSON by the servers, in whatever language they are.

use std::{collections::HashMap, fs, path::Path};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

/// A body, decoded: how long it is, and its CRC-32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Print {
    pub bytes: u64,
    pub crc: u32,
}

impl Print {
    pub fn of(body: &[u8]) -> Self {
        Self { bytes: body.len() as u64, crc: crc32fast::hash(body) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// The same in the request's head, its body, the response's head and its body.
    pub id: String,
    pub method: String,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub protocol: String,
    pub request: Print,
    pub status: u16,
    /// `Content-Encoding` of the response.
    pub coding: Option<String>,
    pub response: Print,
}

impl Exchange {
    /// A server's log, by id.
    ///
    /// # Errors
    /// It can't be read, or an id was asked for twice.
    pub fn logged(log: &Path) -> Result<HashMap<String, Self>> {
        let mut exchanges = HashMap::new();
        let lines = fs::read_to_string(log).with_context(|| log.display().to_string())?;
        for line in lines.lines() {
            let exchange: Self = serde_json::from_str(line)?;
            let id = exchange.id.clone();
            ensure!(exchanges.insert(id, exchange).is_none(), "asked for twice: {line}");
        }
        Ok(exchanges)
    }
}
