//! A list of attributes in the making.
//! Takes names and values that may be unknown; gives those that are known, and that the profile has.
//! Knows the types of OTLP; no attribute's name.

use opentelemetry::{Array, Key, KeyValue, StringValue, Value};

use super::{declared, profile::Profile};

pub(super) struct Attributes {
    pub profile: Profile,
    pub all: Vec<KeyValue>,
}

impl Attributes {
    pub(super) fn new(profile: Profile) -> Self {
        Self { profile, all: Vec::with_capacity(32) }
    }

    /// An attribute that is not declared is a mistake, which every test that sets it finds.
    pub(super) fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        let declared = declared::find(key);
        debug_assert!(declared.is_some(), "{key} is not declared");
        if declared.is_some_and(|attribute| self.profile.speaks(attribute.edition)) {
            self.all.push(KeyValue::new(Key::from_static_str(key), value));
        }
    }

    pub(super) fn text(&mut self, key: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.set(key, value.to_owned());
        }
    }

    /// OTLP's integers are signed: a number that none of them can be is not known.
    pub(super) fn int(&mut self, key: &'static str, value: Option<impl TryInto<i64>>) {
        if let Some(value) = value.and_then(|value| value.try_into().ok()) {
            self.set(key, value);
        }
    }

    pub(super) fn double(&mut self, key: &'static str, value: Option<f64>) {
        if let Some(value) = value {
            self.set(key, value);
        }
    }

    /// For attributes that are there only where they hold.
    pub(super) fn flag(&mut self, key: &'static str, holds: bool) {
        if holds {
            self.set(key, true);
        }
    }

    pub(super) fn texts(&mut self, key: &'static str, values: &[String]) {
        if !values.is_empty() {
            let values = values.iter().cloned().map(StringValue::from).collect();
            self.set(key, Value::Array(Array::String(values)));
        }
    }
}
