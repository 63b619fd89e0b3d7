//! The stages that make spans, set up as the settings say.
//! Takes the configuration, the standard variables, a clock and ids; gives [`Calls`] and [`Spans`].
//! Knows nothing of where events come from, nor where spans go.

use crate::{
    config::Config,
    export::Variables,
    genai::{self, Calls},
    trace::{Clock, Ids, Prices, PricesError, Sampler, Spans},
};

/// # Errors
/// The price list cannot be used.
pub(super) fn stages(
    config: &Config,
    variables: &Variables,
    clock: Clock,
    ids: Ids,
) -> Result<(Calls, Spans), PricesError> {
    let prices = config.prices.as_deref().map(Prices::read).transpose()?;
    let conventions = config.conventions(variables);
    // What is counted must be kept until it is.
    let capture_content = conventions.content.is_kept() || config.estimate_tokens;
    let calls = Calls::new(genai::Options { capture_content }).naming(config.providers.clone());
    let spans = Spans::new(sampler(variables), clock, ids).speaking(conventions).priced(prices);
    Ok((calls, if config.estimate_tokens { spans.estimating_tokens() } else { spans }))
}

fn sampler(variables: &Variables) -> Sampler {
    let value = |name| variables.get(name);
    let (sampler, unknown) =
        Sampler::from_variables(value("OTEL_TRACES_SAMPLER"), value("OTEL_TRACES_SAMPLER_ARG"));
    if let Some(unknown) = unknown {
        tracing::warn!("{unknown}");
    }
    sampler
}
