//! Which edition of the GenAI conventions is spoken, and where message content goes.
//! Takes the words of users and of the standard variables; gives [`Conventions`].
//! Knows the editions' names; no attribute's.

use serde::Deserialize;

/// Where the edition is chosen: a comma-separated list (semantic conventions v1.37 to v1.41).
pub const OPT_IN: &str = "OTEL_SEMCONV_STABILITY_OPT_IN";

/// Which names attributes and metrics have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Profile {
    /// Those of semantic-conventions-genai, which has no release yet.
    #[default]
    #[serde(rename = "latest")]
    Latest,
    /// Those of semantic-conventions v1.41, the last release with GenAI in it.
    #[serde(rename = "v1.41")]
    #[value(name = "v1.41")]
    V1_41,
    /// Both.
    #[serde(rename = "dup")]
    Dup,
}

/// The profiles that something belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edition {
    Both,
    V1_41,
    Latest,
}

impl Profile {
    pub fn speaks(self, edition: Edition) -> bool {
        !matches!((self, edition), (Self::Latest, Edition::V1_41) | (Self::V1_41, Edition::Latest))
    }

    /// The profile that the members of [`OPT_IN`] name together, `None` where none is GenAI's; and
    /// those that begin like GenAI's and are not known.
    ///
    /// `gen_ai_latest_experimental` is the conventions' own value. The others follow the pattern of
    /// the other conventions (`http/dup`): `gen_ai/latest`, `gen_ai/v1.41`, `gen_ai/dup`, each also
    /// without `gen_ai/`. Both editions asked for are [`Profile::Dup`].
    pub fn from_opt_in(list: &str) -> (Option<Self>, Vec<String>) {
        let mut chosen = None;
        let mut unknown = Vec::new();
        for member in list.split(',').map(str::trim) {
            let lower = member.to_ascii_lowercase();
            let named = match lower.strip_prefix("gen_ai/").unwrap_or(&lower) {
                "gen_ai_latest_experimental" | "latest" => Self::Latest,
                "v1.41" => Self::V1_41,
                "gen_ai_latest_experimental/dup" | "dup" => Self::Dup,
                _ => {
                    if lower.starts_with("gen_ai") {
                        unknown.push(member.to_owned());
                    }
                    continue;
                }
            };
            chosen = match chosen {
                Some(other) if other != named => Some(Self::Dup),
                _ => Some(named),
            };
        }
        (chosen, unknown)
    }
}

/// Where the text of prompts and answers goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContentPlace {
    #[default]
    Nowhere,
    Spans,
    Events,
    Both,
}

impl ContentPlace {
    /// The words of `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`, in any case; `true` is on
    /// spans, `false` nowhere. `None`: it is none of them.
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "true" | "span_only" => Self::Spans,
            "event_only" => Self::Events,
            "span_and_event" => Self::Both,
            "false" | "no_content" => Self::Nowhere,
            _ => return None,
        })
    }

    /// Whether it is kept at all.
    pub fn is_kept(self) -> bool {
        self != Self::Nowhere
    }

    pub(super) fn on_spans(self) -> bool {
        matches!(self, Self::Spans | Self::Both)
    }

    pub fn on_events(self) -> bool {
        matches!(self, Self::Events | Self::Both)
    }
}

/// What is told of an operation, as far as users can choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conventions {
    pub profile: Profile,
    pub content: ContentPlace,
    /// An event with the details of each inference, beside its span.
    pub details: bool,
}

impl Default for Conventions {
    /// The content that an operation has is told on its span.
    fn default() -> Self {
        Self { profile: Profile::Latest, content: ContentPlace::Spans, details: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opt_in_names_a_profile() {
        for (list, expected) in [
            ("", None),
            ("http,database/dup", None),
            ("gen_ai_latest_experimental", Some(Profile::Latest)),
            ("http/dup, GEN_AI_LATEST_EXPERIMENTAL ", Some(Profile::Latest)),
            ("gen_ai/v1.41", Some(Profile::V1_41)),
            ("v1.41", Some(Profile::V1_41)),
            ("latest", Some(Profile::Latest)),
            ("dup", Some(Profile::Dup)),
            ("gen_ai/dup", Some(Profile::Dup)),
            ("gen_ai_latest_experimental/dup", Some(Profile::Dup)),
            ("gen_ai/v1.41,gen_ai_latest_experimental", Some(Profile::Dup)),
            ("dup,latest", Some(Profile::Dup)),
        ] {
            assert_eq!(Profile::from_opt_in(list), (expected, vec![]), "{list}");
        }
        let (chosen, unknown) = Profile::from_opt_in("gen_ai/v1.36, gen_ai_beta,latest,other");
        assert_eq!(chosen, Some(Profile::Latest));
        assert_eq!(unknown, ["gen_ai/v1.36", "gen_ai_beta"]);
    }

    #[test]
    fn profiles_speak_their_editions() {
        for (profile, v1_41, latest) in [
            (Profile::Latest, false, true),
            (Profile::V1_41, true, false),
            (Profile::Dup, true, true),
        ] {
            assert!(profile.speaks(Edition::Both));
            assert_eq!(profile.speaks(Edition::V1_41), v1_41);
            assert_eq!(profile.speaks(Edition::Latest), latest);
        }
    }

    #[test]
    fn content_goes_where_the_word_says() {
        for (word, kept, spans, events) in [
            ("true", true, true, false),
            ("SPAN_ONLY", true, true, false),
            ("event_only", true, false, true),
            ("Span_And_Event", true, true, true),
            ("no_content", false, false, false),
            ("false", false, false, false),
        ] {
            let place = ContentPlace::from_word(word).unwrap();
            let found = (place.is_kept(), place.on_spans(), place.on_events());
            assert_eq!(found, (kept, spans, events), "{word}");
        }
        assert_eq!(ContentPlace::from_word("yes please"), None);
    }
}
