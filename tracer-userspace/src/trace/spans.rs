//! Puts an operation into its trace: who called it, whether it is kept, when it was by the clock.
//! Takes an [`Operation`] with its process and what carried it; gives a [`Span`].
//! What the span says is decided in `semconv`.

use std::sync::Arc;

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags};

use super::{
    Clock, Ids, Offset, Prices, Sampler, Span, Transport,
    context::{Caller, Context},
    resends::Resends,
    semconv::{self, Conventions},
    tokens::{Estimate, Estimator},
};
use crate::{discover::Process, genai::Operation};

/// Makes spans: a sampler, a clock and a source of ids.
#[derive(Debug, Default)]
pub struct Spans {
    sampler: Sampler,
    clock: Clock,
    ids: Ids,
    conventions: Conventions,
    resends: Resends,
    prices: Option<Prices>,
    estimator: Option<Estimator>,
}

impl Spans {
    pub fn new(sampler: Sampler, clock: Clock, ids: Ids) -> Self {
        Self { sampler, clock, ids, ..Self::default() }
    }

    /// By which conventions spans and their events speak.
    #[must_use]
    pub fn speaking(self, conventions: Conventions) -> Self {
        Self { conventions, ..self }
    }

    /// With what each call cost, where it is known.
    #[must_use]
    pub fn priced(self, prices: Option<Prices>) -> Self {
        Self { prices, ..self }
    }

    /// With an estimate of tokens that nobody reported, for which operations must come with their
    /// content. Where that is told nowhere, it is forgotten here.
    #[must_use]
    pub fn estimating_tokens(self) -> Self {
        Self { estimator: Some(Estimator::new()), ..self }
    }

    pub fn conventions(&self) -> Conventions {
        self.conventions
    }

    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// The operation as a span; `None` where the sampler does not keep it.
    ///
    /// Where the request's headers name a span it is that span's child, in that trace and under that
    /// sampling decision; where they name a trace alone it is a root in that trace; otherwise it is
    /// the root of a trace of its own. `offset`: by which all that is told of the operation has its
    /// times.
    pub fn span(
        &mut self,
        mut operation: Operation,
        process: &Arc<Process>,
        transport: Transport,
        offset: Offset,
    ) -> Option<Span> {
        let resent = self.resends.of(&operation, process.id);
        let context = Context::of(&operation.http);
        let caller = context.caller.as_ref();
        let trace = match caller {
            Some(caller) => caller.trace,
            None => self.ids.trace(operation.exchange, operation.turn),
        };
        let decided = caller.and_then(Caller::decided);
        if !self.sampler.keeps(decided.as_ref(), trace) {
            return None;
        }
        let state = caller.map(|caller| caller.state.clone()).unwrap_or_default();
        let parent = caller.and_then(|caller| caller.span);
        let estimate = self.estimate(&mut operation);
        let cost = self.prices.as_ref().and_then(|prices| prices.cost(&operation));
        let id = self.ids.span(operation.exchange, operation.turn);
        let start = offset.system_time(operation.timing.start);
        let mut attributes = semconv::attributes(&operation, transport, self.conventions);
        attributes.extend(semconv::beside(resent, estimate, cost));
        attributes.extend(semconv::place(&context));
        Some(Span {
            context: SpanContext::new(trace, id, TraceFlags::SAMPLED, false, state),
            parent: parent.unwrap_or(SpanId::INVALID),
            parent_is_remote: parent.is_some(),
            name: semconv::name(&operation),
            kind: semconv::kind(&operation),
            start,
            end: offset.system_time(operation.timing.end).max(start),
            status: semconv::status(&operation),
            links: context.links(semconv::PARENT_EVIDENCE),
            attributes,
            events: semconv::events(&operation, transport, self.conventions),
            process: Arc::clone(process),
            operation: Arc::new(operation),
        })
    }

    fn estimate(&self, operation: &mut Operation) -> Option<Estimate> {
        let estimate = self.estimator?.of(operation);
        if !self.conventions.content.is_kept() {
            operation.content = None;
        }
        estimate
    }
}

#[cfg(test)]
mod tests;
