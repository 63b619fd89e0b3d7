//! When the reading thread looks into the ring: a wake-up for each record would cost the traced
//! programs more than the record does.
//! Takes how many records there were each time; gives how long to wait, and whether to be woken.
//!
//! While records come it looks by itself every few milliseconds. After a while without any it sleeps
//! until the kernel side wakes it.

use std::time::Duration;

/// From one look to the next while records come. Times of what is told are the kernel side's, so this
/// only puts off when it is told; an eighth of the ring wakes the thread before.
const LOOK: Duration = Duration::from_millis(4);

/// Looks without a record before the thread sleeps.
const EMPTY_LOOKS: u32 = 16;

/// The longest sleep. A record that was on its way when the kernel side was told to wake the thread may
/// not do so.
const SLEEP: Duration = Duration::from_millis(250);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// There is more to read.
    AtOnce,
    /// Looks by itself; so many looks found nothing.
    Looking(u32),
    /// Every record wakes it.
    Sleeping,
}

impl Pace {
    /// The pace after so many records were read of at most `limit`.
    pub(super) fn after(self, taken: usize, limit: usize) -> Self {
        match (taken, self) {
            (taken, _) if taken >= limit => Self::AtOnce,
            (1.., _) | (0, Self::AtOnce) => Self::Looking(0),
            (0, Self::Looking(empty)) if empty + 1 < EMPTY_LOOKS => Self::Looking(empty + 1),
            (0, Self::Looking(_) | Self::Sleeping) => Self::Sleeping,
        }
    }

    pub(super) fn wait(self) -> Duration {
        match self {
            Self::AtOnce => Duration::ZERO,
            Self::Looking(_) => LOOK,
            Self::Sleeping => SLEEP,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paces(taken: &[usize]) -> Vec<Pace> {
        let mut pace = Pace::Sleeping;
        let mut next = |taken: &usize| {
            pace = pace.after(*taken, 10);
            pace
        };
        taken.iter().map(&mut next).collect()
    }

    #[test]
    fn looks_go_on_while_records_come() {
        use Pace::{AtOnce, Looking};
        let expected = [Looking(0), Looking(1), Looking(0), AtOnce, Looking(0), Looking(1)];
        assert_eq!(paces(&[1, 0, 9, 10, 0, 0]), expected);
    }

    #[test]
    fn sleep_comes_after_a_while_and_stays() {
        let mut taken = vec![3];
        taken.extend([0; EMPTY_LOOKS as usize + 1]);
        let paces = paces(&taken);
        let (last, before) = paces.split_last().unwrap();
        assert_eq!((*last, before.last()), (Pace::Sleeping, Some(&Pace::Sleeping)));
        assert!(before[..before.len() - 1].iter().all(|pace| *pace != Pace::Sleeping));
    }
}
