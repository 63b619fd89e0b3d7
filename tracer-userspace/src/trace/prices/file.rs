//! The price list as it is written: YAML, of which JSON is a part.
//! Takes the file; gives [`Prices`], or a sentence with the line and column of what is wrong.
//! docs/prices.md describes the format.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
};

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_saphyr::{Location, Spanned};

use super::{Prices, Row};
use crate::yaml::{self, Fault};

/// Digits behind the point that a price may have, and its highest: what is multiplied with a count
/// of tokens then stays exact.
const MAX_SCALE: u32 = 9;
const MAX_PRICE: u32 = 1_000_000;

/// A price list that cannot be used. The words are for the user.
#[derive(Debug, thiserror::Error)]
pub enum PricesError {
    #[error("cannot read the prices {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    /// `place` is `LINE:COLUMN:`, from 1, or empty where it is the file as a whole.
    #[error("{path}:{place} {words}")]
    Value { path: PathBuf, place: String, words: String },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    date: Spanned<String>,
    currency: Spanned<String>,
    prices: Vec<Spanned<RawRow>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRow {
    provider: String,
    model: Models,
    #[serde(default)]
    service_tier: Option<String>,
    #[serde(default)]
    max_input_tokens: Option<u64>,
    input: Price,
    #[serde(default)]
    output: Option<Price>,
    #[serde(default)]
    cache_read: Option<Price>,
    #[serde(default)]
    cache_write: Option<Price>,
    #[serde(default)]
    reasoning: Option<Price>,
    #[serde(default)]
    audio_input: Option<Price>,
    #[serde(default)]
    audio_output: Option<Price>,
    #[serde(default)]
    image_input: Option<Price>,
    #[serde(default)]
    image_output: Option<Price>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Models {
    One(String),
    Several(Vec<String>),
}

/// As it is written, so that no digit of it is lost in a binary number.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Price(Decimal);

impl TryFrom<String> for Price {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let price = Decimal::from_str_exact(&text).ok().filter(|price| {
            !price.is_sign_negative()
                && price.scale() <= MAX_SCALE
                && *price <= Decimal::from(MAX_PRICE)
        });
        price.map(Self).ok_or_else(|| {
            format!(
                "{text:?} is no price: a decimal number from 0 to {MAX_PRICE} with at most \
                 {MAX_SCALE} digits behind the point is needed, per million tokens"
            )
        })
    }
}

impl Prices {
    /// Reads and checks a file.
    ///
    /// # Errors
    ///
    /// If it cannot be read, is no YAML, or has a key or a value that is not known.
    pub fn read(path: &Path) -> Result<Self, PricesError> {
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path),
            Err(source) => Err(PricesError::Read { path: path.to_owned(), source }),
        }
    }

    pub(super) fn parse(text: &str, path: &Path) -> Result<Self, PricesError> {
        let fault = |Fault { place, words }: Fault| PricesError::Value {
            path: path.to_owned(),
            place,
            words,
        };
        let error = |place: Location, words: &str| fault(Fault::at(place, words));
        let raw: Raw = yaml::read(text).map_err(fault)?;
        if raw.date.value.parse::<Date>().is_err() {
            let words = "date: the day of the prices is needed, as 2026-11-20";
            return Err(error(raw.date.defined, words));
        }
        if raw.currency.value.len() != 3
            || !raw.currency.value.bytes().all(|byte| byte.is_ascii_uppercase())
        {
            let words = "currency: three capital letters are needed, as USD (ISO 4217)";
            return Err(error(raw.currency.defined, words));
        }
        let mut known = HashMap::new();
        let mut rows = Vec::with_capacity(raw.prices.len());
        for Spanned { value, defined, .. } in raw.prices {
            let row = value.row();
            if row.models.is_empty() {
                return Err(error(defined, "model: at least one name is needed"));
            }
            for model in &row.models {
                let key = (
                    row.provider.clone(),
                    model.clone(),
                    row.service_tier.clone(),
                    row.max_input_tokens,
                );
                if let Some(line) = known.insert(key, defined.line()) {
                    let words = format!(
                        "the prices of {model:?} of {:?} are given in line {line} already; \
                         take one out, or tell them apart by service_tier or max_input_tokens",
                        row.provider
                    );
                    return Err(error(defined, &words));
                }
            }
            rows.push(row);
        }
        Ok(Self { date: raw.date.value, currency: raw.currency.value, rows })
    }
}

impl RawRow {
    fn row(self) -> Row {
        let price = |price: Option<Price>| price.map(|price| price.0);
        Row {
            provider: self.provider,
            models: match self.model {
                Models::One(model) => vec![model],
                Models::Several(models) => models,
            },
            service_tier: self.service_tier,
            max_input_tokens: self.max_input_tokens,
            input: self.input.0,
            output: price(self.output),
            cache_read: price(self.cache_read),
            cache_write: price(self.cache_write),
            reasoning: price(self.reasoning),
            audio_input: price(self.audio_input),
            audio_output: price(self.audio_output),
            image_input: price(self.image_input),
            image_output: price(self.image_output),
        }
    }
}
