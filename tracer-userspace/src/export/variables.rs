//! The standard variables of llmtap's own environment, and the list format they share.
//! Takes the environment once; gives values by name, where an empty value is an unset one.
//! What a variable means is known where it is used.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;

/// Names of the variables that are kept.
const PREFIX: &str = "OTEL_";

/// `OTEL_*` as they were when llmtap started.
#[derive(Clone, Debug, Default)]
pub struct Variables(HashMap<String, String>);

impl Variables {
    /// Those of this process. A value that is no UTF-8 is treated as unset.
    pub fn of_this_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// The value of a variable; `None` if it is unset or empty (specification "Environment Variable
    /// Specification": an empty value is treated as unset).
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Variables {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self(variables.filter(|(name, _): &(String, String)| name.starts_with(PREFIX)).collect())
    }
}

/// A list of `key=value` that is none. The text is not shown: header values are credentials.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("member {position} of the list is not key=value with %XX for special characters")]
pub struct NoPair {
    /// Counts the members from 1.
    pub position: usize,
}

/// `key1=value1,key2=value2`, values percent-decoded: the form of `OTEL_RESOURCE_ATTRIBUTES` and
/// `OTEL_EXPORTER_OTLP_HEADERS` (W3C Baggage without properties). Empty members are skipped.
///
/// # Errors
///
/// At the first member without a key or an equals sign, or whose decoded value is no UTF-8.
pub fn pairs(list: &str) -> Result<Vec<(String, String)>, NoPair> {
    list.split(',')
        .enumerate()
        .map(|(index, member)| (index + 1, member.trim()))
        .filter(|(_, member)| !member.is_empty())
        .map(|(position, member)| pair(member).ok_or(NoPair { position }))
        .collect()
}

fn pair(member: &str) -> Option<(String, String)> {
    let (key, value) = member.split_once('=')?;
    let decode =
        |text: &str| Some(percent_decode_str(text.trim()).decode_utf8().ok()?.into_owned());
    Some((decode(key).filter(|key| !key.is_empty())?, decode(value)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_variables_are_unset() {
        let variables: Variables =
            [("OTEL_A", ""), ("OTEL_B", " b "), ("PATH", "/")].into_iter().collect();
        assert_eq!(variables.get("OTEL_A"), None);
        assert_eq!(variables.get("OTEL_B"), Some("b"));
        assert_eq!(variables.get("PATH"), None);
    }

    #[test]
    fn lists_are_split_and_decoded() {
        let read = pairs("a=1, b = two%20words%2C ,,c=x=y,d=").unwrap();
        let expected = [("a", "1"), ("b", "two words,"), ("c", "x=y"), ("d", "")];
        assert_eq!(read, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(pairs("").unwrap(), []);
    }

    #[test]
    fn broken_members_are_pointed_at() {
        for (list, position) in [("a=1,b", 2), ("=1", 1), ("a=1,b=2,c=%ff", 3)] {
            assert_eq!(pairs(list), Err(NoPair { position }), "{list}");
        }
    }
}
