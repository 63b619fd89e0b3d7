//! Which spans are kept, as `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG` say.
//! Takes their values and the context of the calling span; gives yes or no.
//! The decisions are `opentelemetry_sdk`'s, so that a trace is kept or dropped whole.

use opentelemetry::{
    Context,
    trace::{SpanContext, SpanKind, TraceContextExt, TraceId},
};
use opentelemetry_sdk::trace::{ParentBasedSampler, SamplingDecision, ShouldSample};

/// A value of the sampler's variables that is not understood; another choice was made instead.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownSampler {
    #[error(
        "OTEL_TRACES_SAMPLER: no sampler is called {0:?} (known: always_on, always_off, \
         traceidratio, and each with parentbased_ in front); using parentbased_always_on"
    )]
    Name(String),
    #[error("OTEL_TRACES_SAMPLER_ARG: {0:?} is no ratio from 0 to 1; using 1")]
    Ratio(String),
}

/// A sampling decision that every tool of OpenTelemetry makes alike.
#[derive(Clone, Debug)]
pub struct Sampler(Box<dyn ShouldSample>);

impl Default for Sampler {
    /// `parentbased_always_on`, the specification's default.
    fn default() -> Self {
        Self(Box::new(ParentBasedSampler::new(opentelemetry_sdk::trace::Sampler::AlwaysOn)))
    }
}

impl Sampler {
    /// From the values of `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG` (specification
    /// "General SDK Configuration"). An unset or empty name is the default; an unknown one as well,
    /// with what to tell the user beside it. A ratio that is absent is 1.
    pub fn from_variables(
        name: Option<&str>,
        argument: Option<&str>,
    ) -> (Self, Option<UnknownSampler>) {
        use opentelemetry_sdk::trace::Sampler as Root;
        let name = name.unwrap_or_default().trim().to_ascii_lowercase();
        let (root_name, parent_based) = match name.strip_prefix("parentbased_") {
            Some(root) => (root, true),
            None => (name.as_str(), false),
        };
        let (root, unknown) = match root_name {
            "" if !parent_based => return (Self::default(), None),
            "always_on" => (Root::AlwaysOn, None),
            "always_off" => (Root::AlwaysOff, None),
            "traceidratio" => {
                let (ratio, unknown) = ratio(argument);
                (Root::TraceIdRatioBased(ratio), unknown)
            }
            _ => return (Self::default(), Some(UnknownSampler::Name(name))),
        };
        let sampler: Box<dyn ShouldSample> =
            if parent_based { Box::new(ParentBasedSampler::new(root)) } else { Box::new(root) };
        (Self(sampler), unknown)
    }

    /// Whether to keep a span of this trace whose parent, if there is one, is `parent`.
    pub(super) fn keeps(&self, parent: Option<&SpanContext>, trace: TraceId) -> bool {
        let context = parent.map(|parent| Context::new().with_remote_span_context(parent.clone()));
        // Name, kind and attributes matter to none of the samplers that can be named.
        let result = self.0.should_sample(context.as_ref(), trace, "", &SpanKind::Client, &[], &[]);
        result.decision == SamplingDecision::RecordAndSample
    }
}

fn ratio(argument: Option<&str>) -> (f64, Option<UnknownSampler>) {
    let Some(argument) = argument.map(str::trim).filter(|argument| !argument.is_empty()) else {
        return (1.0, None);
    };
    match argument.parse::<f64>() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => (ratio, None),
        _ => (1.0, Some(UnknownSampler::Ratio(argument.to_owned()))),
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanId, TraceFlags, TraceState};

    use super::*;

    fn parent(sampled: bool) -> SpanContext {
        let flags = if sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
        SpanContext::new(TraceId::from(7), SpanId::from(7), flags, true, TraceState::NONE)
    }

    fn kept(name: &str, argument: Option<&str>, parent: Option<&SpanContext>) -> bool {
        let (sampler, unknown) = Sampler::from_variables(Some(name), argument);
        assert_eq!(unknown, None);
        sampler.keeps(parent, TraceId::from(7))
    }

    #[test]
    fn each_named_sampler_decides_by_specification() {
        let (yes, no) = (parent(true), parent(false));
        for (name, root, sampled, unsampled) in [
            ("always_on", true, true, true),
            ("always_off", false, false, false),
            ("parentbased_always_on", true, true, false),
            ("parentbased_always_off", false, true, false),
            ("parentbased_traceidratio", true, true, false),
            ("traceidratio", true, true, true),
            ("", true, true, false),
            ("Always_OFF", false, false, false),
        ] {
            assert_eq!(kept(name, None, None), root, "{name} root");
            assert_eq!(kept(name, None, Some(&yes)), sampled, "{name} sampled parent");
            assert_eq!(kept(name, None, Some(&no)), unsampled, "{name} unsampled parent");
        }
    }

    #[test]
    fn ratio_keeps_its_share_of_traces() {
        let (sampler, _) = Sampler::from_variables(Some("traceidratio"), Some("0.25"));
        let kept = (0..4000_u128)
            .map(|n| TraceId::from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834)))
            .filter(|trace| sampler.keeps(None, *trace))
            .count();
        assert!((800..1200).contains(&kept), "{kept}");
        assert!(!kept_at_zero());
    }

    fn kept_at_zero() -> bool {
        kept("traceidratio", Some("0"), None)
    }

    #[test]
    fn unknown_values_fall_back_and_are_told() {
        let (sampler, unknown) = Sampler::from_variables(Some("xray"), None);
        assert_eq!(unknown, Some(UnknownSampler::Name("xray".into())));
        assert!(sampler.keeps(None, TraceId::from(1)));
        for bad in ["many", "1.5", "-0.1", "NaN"] {
            let (sampler, unknown) = Sampler::from_variables(Some("traceidratio"), Some(bad));
            assert_eq!(unknown, Some(UnknownSampler::Ratio(bad.into())));
            assert!(sampler.keeps(None, TraceId::from(1)));
        }
    }
}
