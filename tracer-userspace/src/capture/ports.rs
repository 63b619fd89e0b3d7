//! TCP ports from one to another, as filters name them.
//! Takes `443` or `8000-8100`; gives what the kernel side and the session compare.

use std::{fmt, str::FromStr};

use serde::Deserialize;

/// Both ends are included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PortRange {
    first: u16,
    last: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortRangeError {
    #[error("{0} is no port: they go from 1 to 65535")]
    NoPort(String),
    #[error("the ports {0} end before they begin")]
    Backwards(String),
}

impl PortRange {
    /// `None`: 0 is no port, or the end comes first.
    pub fn new(first: u16, last: u16) -> Option<Self> {
        (first != 0 && first <= last).then_some(Self { first, last })
    }

    pub fn first(self) -> u16 {
        self.first
    }

    pub fn last(self) -> u16 {
        self.last
    }

    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

impl FromStr for PortRange {
    type Err = PortRangeError;

    fn from_str(text: &str) -> Result<Self, PortRangeError> {
        let port = |text: &str| {
            let port = text.trim().parse().ok().filter(|port: &u16| *port != 0);
            port.ok_or_else(|| PortRangeError::NoPort(text.to_owned()))
        };
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (port(first)?, port(last)?);
        Self::new(first, last).ok_or_else(|| PortRangeError::Backwards(text.to_owned()))
    }
}

impl TryFrom<String> for PortRange {
    type Error = PortRangeError;

    fn try_from(text: String) -> Result<Self, PortRangeError> {
        text.parse()
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(text, "{}", self.first)
        } else {
            write!(text, "{}-{}", self.first, self.last)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<PortRange, PortRangeError> {
        text.parse()
    }

    #[test]
    fn one_port_and_several_are_read() {
        let range = |first, last| Ok(PortRange { first, last });
        assert_eq!(parsed("443"), range(443, 443));
        assert_eq!(parsed("8000-8100"), range(8000, 8100));
        assert_eq!(parsed("1 - 65535"), range(1, 65535));
        let range = PortRange::new(8000, 8100).unwrap();
        assert!(range.contains(8000) && range.contains(8100));
        assert!(!range.contains(7999) && !range.contains(8101));
        assert_eq!(range.to_string(), "8000-8100");
    }

    #[test]
    fn others_are_refused() {
        for text in ["0", "65536", "-1", "http", "", "1-", "-", "0-5", "1-65536"] {
            assert!(matches!(parsed(text), Err(PortRangeError::NoPort(_))), "{text}");
        }
        assert_eq!(parsed("9-8"), Err(PortRangeError::Backwards("9-8".into())));
    }
}
