//! Which hosts' calls to show, by the host that the client asked for.
//! Takes patterns; says of an authority (`Host`, `:authority`) whether it fits.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Patterns for hosts; without any every host fits.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    patterns: Vec<String>,
    set: GlobSet,
}

impl Hosts {
    /// # Errors
    /// A pattern is not understood.
    pub fn new(patterns: Vec<String>) -> Result<Self, globset::Error> {
        let mut builder = GlobSetBuilder::new();
        for pattern in &patterns {
            builder.add(GlobBuilder::new(pattern).case_insensitive(true).build()?);
        }
        Ok(Self { set: builder.build()?, patterns })
    }

    /// As they were given.
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// `authority`: host, and port where one was named; one that is not known does not fit.
    pub fn matches(&self, authority: Option<&str>) -> bool {
        self.patterns.is_empty()
            || authority
                .and_then(|authority| authority.parse::<http::uri::Authority>().ok())
                .is_some_and(|authority| self.set.is_match(authority.host()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_go_without_port_and_case() {
        let hosts = Hosts::new(vec!["api.openai.com".into(), "*.amazonaws.com".into()]).unwrap();
        assert!(hosts.matches(Some("api.openai.com")));
        assert!(hosts.matches(Some("API.OpenAI.com:443")));
        assert!(hosts.matches(Some("bedrock-runtime.us-east-1.amazonaws.com")));
        assert!(!hosts.matches(Some("api.anthropic.com")));
        assert!(!hosts.matches(Some("api.openai.com.example.org")));
        assert!(!hosts.matches(Some("not an authority")));
        assert!(!hosts.matches(None));
        assert!(Hosts::default().matches(None));
    }
}
