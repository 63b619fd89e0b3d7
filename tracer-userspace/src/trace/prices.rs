//! What a call cost, by a price list that the user gives.
//! Takes an operation's usage, in exact decimals; gives a [`Cost`], or nothing where a count or a price is not known.
//! Knows no price by itself, and no rounding.

mod file;

use rust_decimal::Decimal;

pub use file::PricesError;

use crate::genai::{Modalities, Operation, OperationName, Usage};

/// Prices are for so many tokens.
const TOKENS: u32 = 1_000_000;

/// More tokens than this no call has: its cost would not be exact, and is not told. A price has at
/// most 15 digits (`file`), and 28 fit into a decimal.
const MAX_TOKENS: u64 = 1_000_000_000_000;

/// A price list.
#[derive(Clone, Debug, PartialEq)]
pub struct Prices {
    /// Of the list, as it is written: `2026-11-20`.
    date: String,
    /// ISO 4217.
    currency: String,
    /// In the order of the file: the first that a call belongs to counts.
    rows: Vec<Row>,
}

/// Prices of one provider's models, of so many tokens.
#[derive(Clone, Debug, Default, PartialEq)]
struct Row {
    provider: String,
    models: Vec<String>,
    /// `None`: for the usual tier alone.
    service_tier: Option<String>,
    /// For calls with at most so many input tokens.
    max_input_tokens: Option<u64>,
    input: Decimal,
    output: Option<Decimal>,
    cache_read: Option<Decimal>,
    cache_write: Option<Decimal>,
    /// Default: as other output.
    reasoning: Option<Decimal>,
    audio_input: Option<Decimal>,
    audio_output: Option<Decimal>,
    /// Default: as other input.
    image_input: Option<Decimal>,
    image_output: Option<Decimal>,
}

/// What a call cost.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cost {
    pub total: Decimal,
    pub currency: String,
    /// Of the price list.
    pub date: String,
}

impl Prices {
    /// `None`: no row is for it, its usage was not reported, or a part of it has no price.
    pub(super) fn cost(&self, operation: &Operation) -> Option<Cost> {
        let usage = operation.usage;
        let row = self.row(operation)?;
        let input = row.input(usage)?;
        // These make no tokens, so none are reported.
        let reads_alone = matches!(
            operation.name,
            OperationName::Embeddings
                | OperationName::Rerank
                | OperationName::Moderation
                | OperationName::Classification
        );
        let output = match usage.output_tokens {
            None if reads_alone => Decimal::ZERO,
            _ => row.output(usage)?,
        };
        let total = input.checked_add(output)?.checked_div(TOKENS.into())?.normalize();
        Some(Cost { total, currency: self.currency.clone(), date: self.date.clone() })
    }

    /// The model that answered goes before the one that was asked for, which may be an alias.
    fn row(&self, operation: &Operation) -> Option<&Row> {
        let models = [&operation.response.model, &operation.request.model];
        models
            .into_iter()
            .flatten()
            .find_map(|model| self.rows.iter().find(|row| row.is_for(operation, model)))
    }
}

impl Row {
    fn is_for(&self, operation: &Operation, model: &str) -> bool {
        let tier = operation.response.service_tier.as_deref();
        let same_tier = match &self.service_tier {
            Some(wanted) => tier == Some(wanted),
            None => matches!(tier, None | Some("default" | "standard")),
        };
        let input = operation.usage.input_tokens;
        self.provider == operation.provider
            && self.models.iter().any(|known| known == model)
            && same_tier
            && self.max_input_tokens.is_none_or(|most| input.is_some_and(|input| input <= most))
    }

    fn input(&self, usage: Usage) -> Option<Decimal> {
        let read = usage.cache_read_input_tokens.unwrap_or(0);
        let written = usage.cache_write_input_tokens.unwrap_or(0);
        let Modalities { audio, image, .. } = usage.input;
        let audio = audio.unwrap_or(0);
        // How much of the audio was read from the cache has a price of its own at some providers.
        if audio > 0 && read > 0 {
            return None;
        }
        // Of images none are told apart where they cost as text, or where some may be cached.
        let image = match self.image_input {
            Some(_) if image.is_some_and(|image| image > 0) && read > 0 => return None,
            Some(_) => image.unwrap_or(0),
            None => 0,
        };
        sum(
            usage.input_tokens?,
            Some(self.input),
            [
                (read, self.cache_read),
                (written, self.cache_write),
                (audio, self.audio_input),
                (image, self.image_input),
            ],
        )
    }

    fn output(&self, usage: Usage) -> Option<Decimal> {
        let image = self.image_output.and(usage.output.image).unwrap_or(0);
        let reasoning = self.reasoning.and(usage.reasoning_output_tokens).unwrap_or(0);
        sum(
            usage.output_tokens?,
            self.output,
            [
                (reasoning, self.reasoning),
                (usage.output.audio.unwrap_or(0), self.audio_output),
                (image, self.image_output),
                (0, None),
            ],
        )
    }
}

/// Tokens, of which some are of a kind with a price of its own; `None` where a price is missing or
/// the parts are more than the whole.
fn sum(tokens: u64, price: Option<Decimal>, parts: [(u64, Option<Decimal>); 4]) -> Option<Decimal> {
    let cost = |tokens: u64, price: Option<Decimal>| match tokens {
        0 => Some(Decimal::ZERO),
        1..=MAX_TOKENS => price?.checked_mul(tokens.into()),
        _ => None,
    };
    let mut rest = tokens;
    let mut total = Decimal::ZERO;
    for (tokens, price) in parts {
        rest = rest.checked_sub(tokens)?;
        total = total.checked_add(cost(tokens, price)?)?;
    }
    total.checked_add(cost(rest, price)?)
}

#[cfg(test)]
mod tests;
