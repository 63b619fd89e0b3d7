//! A configuration that is edited while its run goes on.
//! Takes the file, now and then and on SIGHUP; gives its filters to the run, and says what became of it.
//! What cannot be used changes nothing.

use std::{io, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{MissedTickBehavior, interval},
};

use super::sentence;
use crate::{
    config::{Config, Look, Watch},
    session::{Board, Filters, Session},
};

/// From one look at the file to the next.
const PERIOD: Duration = Duration::from_secs(1);

/// What follows a configuration's file.
pub(super) struct Reload {
    watch: Watch,
    /// What is in force: the filters as they were last applied, all else as it was at the start.
    config: Config,
    hangup: Signal,
    board: Option<Board>,
}

impl Reload {
    /// SIGHUP no longer ends llmtap from here on; within a runtime.
    pub(super) fn new(watch: Watch, config: Config, board: Option<Board>) -> io::Result<Self> {
        Ok(Self { watch, config, hangup: signal(SignalKind::hangup())?, board })
    }

    /// Follows the file until it is dropped.
    pub(super) async fn follow(&mut self, session: &Session) {
        let mut looks = interval(PERIOD);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let how = tokio::select! {
                _ = self.hangup.recv() => Look::AtOnce,
                _ = looks.tick() => Look::Patient,
            };
            let Some(read) = self.watch.look(how) else {
                if how == Look::AtOnce {
                    tracing::info!(
                        "{} says what it said when it was last read",
                        self.watch.path().display()
                    );
                }
                continue;
            };
            let applied = read.map_err(Into::into).and_then(|new| self.apply(new, session));
            if let Err(error) = &applied {
                tracing::warn!("{}; the filters stay as they are", sentence(&**error));
            }
            if let Some(board) = &self.board {
                board.reloaded(applied.is_ok());
            }
        }
    }

    fn apply(&mut self, new: Config, session: &Session) -> Result<(), Box<dyn std::error::Error>> {
        let path = self.watch.path().display();
        let fixed = self.config.fixed_changes(&new);
        if new.filters != self.config.filters {
            let (filters, gone) = Filters::check_again(new.filters.clone())
                .map_err(|error| format!("{path}: {error}"))?;
            for pid in gone {
                tracing::warn!("{path}: there is no process {pid} any more");
            }
            session.refilter(filters)?;
            self.config.filters = new.filters;
        }
        tracing::info!(
            "{path}: filters in force: {}; tracing {} processes, probes in {} TLS libraries",
            self.config.filters,
            session.alive().count(),
            session.libraries().len()
        );
        if !fixed.is_empty() {
            tracing::warn!(
                "{path}: changes of {} take effect when llmtap is started again",
                fixed.join(", ")
            );
        }
        Ok(())
    }
}
