//! The metrics of operations: who reads them, and when those are collected that are pushed.
//! Takes finished operations, and what time it is; gives points for the outputs. Metrics for
//! Prometheus wait in a meter of their own until they are asked for.
//!
//! The time is that of the events: a live run has the kernel's clock, a replay what was recorded.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use crate::{
    capture::{ProcessId, Timestamp},
    discover::Process,
    export::{MetricsReading, Resources, Service},
    genai::Operation,
    meter::{Bounds, Collected, Meter, Overflow, Temporality},
    trace::{
        Clock, Transport,
        semconv::{self, Profile},
    },
};

/// Points of processes, as they are pushed.
pub(super) type Points = Vec<Collected<ProcessId, Arc<Process>>>;

/// Attributes of a service beside its name.
pub type About = Vec<(String, String)>;

/// The metrics that Prometheus asks for, by service: processes come and go.
#[derive(Clone, Debug)]
pub struct Scrape(Arc<Mutex<Meter<Service, About>>>);

impl Scrape {
    pub fn new() -> Self {
        let meter = Meter::new(Bounds::default(), Temporality::Cumulative);
        Self(Arc::new(Mutex::new(meter)))
    }

    /// All points as they are now.
    pub fn read(&self) -> Vec<Collected<Service, About>> {
        self.with(|meter| meter.collect(SystemTime::now(), |_| true))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Meter<Service, About>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Default for Scrape {
    fn default() -> Self {
        Self::new()
    }
}

/// Measures operations for all readers.
#[derive(Debug)]
pub struct Measuring {
    profile: Profile,
    clock: Clock,
    pushed: Option<Pushed>,
    scrape: Option<Scrape>,
}

#[derive(Debug)]
struct Pushed {
    meter: Meter<ProcessId, Arc<Process>>,
    interval: Duration,
    /// When the points are to be collected next; `None` before the first event.
    due: Option<Timestamp>,
}

impl Measuring {
    /// For nobody, to begin with.
    pub fn new(profile: Profile, clock: Clock) -> Self {
        Self { profile, clock, pushed: None, scrape: None }
    }

    /// Collects points now and then, for outputs.
    #[must_use]
    pub fn pushing(self, reading: MetricsReading) -> Self {
        let meter = Meter::new(Bounds::default(), reading.temporality);
        Self { pushed: Some(Pushed { meter, interval: reading.interval, due: None }), ..self }
    }

    #[must_use]
    pub fn scraped(self, scrape: Scrape) -> Self {
        Self { scrape: Some(scrape), ..self }
    }

    pub(super) fn operation(
        &mut self,
        operation: &Operation,
        transport: Transport,
        process: &Arc<Process>,
        resources: &Resources,
        start: SystemTime,
    ) {
        if self.pushed.is_none() && self.scrape.is_none() {
            return;
        }
        let measurements = semconv::measurements(operation, transport, self.profile);
        if let Some(Pushed { meter, .. }) = &mut self.pushed {
            meter.record((process.id, || Arc::clone(process)), start, &measurements);
        }
        if let Some(scrape) = &self.scrape {
            let service = resources.service(process);
            let about = || resources.of_service(process);
            scrape.with(|meter| meter.record((service, about), start, &measurements));
        }
    }

    /// The points, where it is time for them. `lives` tells which processes do.
    pub(super) fn tick(
        &mut self,
        now: Timestamp,
        lives: impl Fn(&ProcessId) -> bool,
    ) -> Option<(Points, SystemTime, Temporality)> {
        let pushed = self.pushed.as_mut()?;
        let next = Timestamp(now.0.saturating_add(nanos(pushed.interval)));
        let due = *pushed.due.get_or_insert(next);
        if now < due {
            return None;
        }
        pushed.due = Some(next);
        self.collect(now, lives)
    }

    /// The points as they are at the end.
    pub(super) fn collect(
        &mut self,
        now: Timestamp,
        lives: impl Fn(&ProcessId) -> bool,
    ) -> Option<(Points, SystemTime, Temporality)> {
        let time = self.clock.measure().system_time(now);
        let meter = &mut self.pushed.as_mut()?.meter;
        Some((meter.collect(time, lives), time, meter.temporality()))
    }

    /// How long until there is something to collect.
    pub(super) fn patience(&self, now: Timestamp) -> Option<Duration> {
        let due = self.pushed.as_ref()?.due?;
        Some(Duration::from_nanos(due.0.saturating_sub(now.0)))
    }

    /// What had no place of its own, in the meter where that is most.
    pub(super) fn overflow(&self) -> Overflow {
        let pushed = self.pushed.as_ref().map(|pushed| pushed.meter.overflow());
        let scraped = self.scrape.as_ref().map(|scrape| scrape.with(|meter| meter.overflow()));
        let (pushed, scraped) = (pushed.unwrap_or_default(), scraped.unwrap_or_default());
        Overflow {
            without_attributes: pushed.without_attributes.max(scraped.without_attributes),
            lost: pushed.lost.max(scraped.lost),
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
