//! Kernel times as times of day.
//! Takes [`Timestamp`]s of `CLOCK_BOOTTIME`; gives [`SystemTime`]s.
//! One offset converts all times of a span, so that setting the clock never changes a duration.

use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::capture::Timestamp;

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// Pairs of readings of which the closest is taken: being preempted between two readings would
/// otherwise shift a span by the length of a time slice.
const READINGS: usize = 3;

/// Where the kernel's clock stands against the time of day.
#[derive(Clone, Copy, Debug, Default)]
pub enum Clock {
    /// Asks the running kernel for each span: the clock may be set or slewed while llmtap runs.
    #[default]
    Running,
    /// The Unix time in nanoseconds at which `CLOCK_BOOTTIME` was 0 when a recording began: for its
    /// replay, on any machine and under any boot, and for spans that shall be the same as in one.
    Recorded { boot: i64 },
}

impl Clock {
    /// The conversion to use for every time of one span.
    pub fn measure(self) -> Offset {
        match self {
            Self::Running => Offset { boot: measured_boot() },
            Self::Recorded { boot } => Offset { boot },
        }
    }
}

/// A conversion between the two clocks, as it was at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Offset {
    /// Unix time, in nanoseconds, at which `CLOCK_BOOTTIME` was 0.
    boot: i64,
}

impl Offset {
    /// The time of day of a kernel time; never before 1970.
    pub fn system_time(self, time: Timestamp) -> SystemTime {
        let nanos = i128::from(self.boot) + i128::from(time.0);
        SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::try_from(nanos.max(0)).unwrap_or(0))
    }
}

/// The Unix time in nanoseconds at which this machine's `CLOCK_BOOTTIME` was 0, as its clock is now.
pub fn measured_boot() -> i64 {
    let closest = (0..READINGS)
        .map(|_| {
            let before = nanos(clock_gettime(ClockId::Boottime));
            let now = nanos(clock_gettime(ClockId::Realtime));
            let after = nanos(clock_gettime(ClockId::Boottime));
            (after - before, now - (before + (after - before) / 2))
        })
        .min_by_key(|(uncertainty, _)| *uncertainty);
    closest.map_or(0, |(_, boot)| boot)
}

fn nanos(time: Timespec) -> i64 {
    time.tv_sec * NANOS_PER_SECOND + time.tv_nsec
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boottime() -> Timestamp {
        Timestamp(u64::try_from(nanos(clock_gettime(ClockId::Boottime))).unwrap())
    }

    #[test]
    fn now_is_now() {
        let converted = Clock::Running.measure().system_time(boottime());
        let difference =
            SystemTime::now().duration_since(converted).unwrap_or_else(|error| error.duration());
        assert!(difference < Duration::from_millis(50), "{difference:?}");
    }

    #[test]
    fn recorded_offset_is_exact() {
        let clock = Clock::Recorded { boot: 1_700_000_000_000_000_001 };
        assert_eq!(
            clock.measure().system_time(Timestamp(5)),
            SystemTime::UNIX_EPOCH + Duration::from_nanos(1_700_000_000_000_000_006)
        );
    }

    #[test]
    fn impossible_times_stay_representable() {
        let before_epoch = Clock::Recorded { boot: -10 }.measure();
        assert_eq!(before_epoch.system_time(Timestamp(3)), SystemTime::UNIX_EPOCH);
        Clock::Recorded { boot: i64::MAX }.measure().system_time(Timestamp(u64::MAX));
    }
}
