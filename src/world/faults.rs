//! Faults: an event source of their own.
//!
//! A fault comes from outside of the run: out of the file of the scenario, or from somebody who has a world before him and
//! says what happens next. Both must be the same run, to the last bit of the digest. So nothing in a run counts its
//! faults but they themselves: a fault is named by its instant and its place among those of that instant, it has no cause
//! in the run, and it comes after all that happens at its instant. A fault that is added becomes a line of the world's
//! scenario, which says at any time what file would have led here.

use std::fmt;

use serde::Serialize;

use super::{Deed, Event, World};
use crate::kernel::{Span, Time};
use crate::scenario::units::SignedSpan;
use crate::scenario::{Action, ScenarioError};

/// Why a fault cannot be added.
#[derive(Debug)]
pub enum NotAdded {
    /// Its time is over.
    Past {
        /// When it was to happen, after time 0.
        at: Span,
        /// When it is now.
        now: SignedSpan,
    },
    /// No file could say so.
    Refused(ScenarioError),
}

impl fmt::Display for NotAdded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotAdded::Past { at, now } => write!(
                f,
                "a fault at {at} comes too late: it is {now} after time 0; clone the world before that time and add it there"
            ),
            NotAdded::Refused(error) => {
                error.fmt(f)?;
                for problem in error.problems() {
                    let remedy = problem.remedy().map_or(String::new(), |remedy| format!(" ({remedy})"));
                    write!(f, ": {problem}{remedy}")?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for NotAdded {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            NotAdded::Past { .. } => None,
            NotAdded::Refused(error) => Some(error),
        }
    }
}

impl World {
    /// Now, counted from time 0, once it is known when that is.
    pub fn script_time(&self) -> Option<SignedSpan> {
        self.origin.map(|origin| SignedSpan(self.kernel.now().0 as i64 - origin.0 as i64))
    }

    /// Does something to the stack at `at` after time 0: now or later. The run is the one that a file with this fault leads to,
    /// whenever it is added; what is at the same instant already comes before it. [`World::scenario`] has it from now on, so
    /// that [`Scenario::to_toml`](crate::scenario::Scenario::to_toml) is that file.
    ///
    /// The names in `action` may be texts ("redis-2", "@master") or checked ones. It is checked as a file is:
    /// whatever a file may not say is refused, and nothing changes.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use sim::kernel::Span;
    /// use sim::scenario::{Action, Scenario};
    /// use sim::units::SignedSpan;
    /// use sim::world::{Keep, World};
    ///
    /// let calm = Arc::new(Scenario::parse("calm.toml", "duration = '10s'").expect("a good file"));
    /// let mut world = World::new(calm, 7, Keep { records: true, trace: false });
    /// assert!(world.run_to(SignedSpan(2_000_000_000)));
    /// let kill = Action::Kill { node: "@master" };
    /// world.add_fault(Span::from_secs(2), &kill).expect("it is 2 s after time 0, and there is a master");
    /// assert!(world.add_fault(Span::from_secs(1), &kill).is_err());
    /// world.run();
    /// assert_ne!(world.finish().recording.header.final_master.as_deref(), Some("redis-1"));
    /// ```
    pub fn add_fault<N: Serialize>(&mut self, at: Span, action: &Action<N>) -> Result<(), NotAdded> {
        if let Some(now) = self.script_time().filter(|now| (at.0 as i64) < now.0) {
            return Err(NotAdded::Past { at, now });
        }
        let place = self.scenario.faults.partition_point(|fault| fault.at <= at);
        self.scenario = self.scenario.with_fault(at, action).map_err(NotAdded::Refused)?.into();
        assert_eq!(self.scenario.faults[place].at, at, "a fault comes after those of its instant");
        self.give_fault(place);
        Ok(())
    }

    /// All faults of the scenario, now that it is known when time 0 is.
    pub(super) fn give_faults(&mut self) {
        (0..self.scenario.faults.len()).for_each(|place| self.give_fault(place));
    }

    fn give_fault(&mut self, place: usize) {
        let Some(origin) = self.origin else { return };
        let faults = &self.scenario.faults;
        let at = faults[place].at;
        let first = faults.partition_point(|fault| fault.at < at);
        self.kernel.schedule_outside(origin + at, (place - first) as u64, Event::Fault);
    }

    /// The next fault of the scenario: they come in its order, for none is added before one that was.
    pub(super) fn next_fault(&mut self) {
        let place = self.faults_done;
        self.faults_done += 1;
        self.write_deed(Deed::Fault(place));
        self.fault(place, self.kernel.now());
    }

    /// Runs to the instant `at` after time 0, or before it if `at` is negative, with all that happens at it. Returns
    /// whether it stands there now: it does not if the instant is over, if time 0 was not known yet (it is at least 3 s
    /// before), if the run ends before it, or if the stack never gets ready.
    pub fn run_to(&mut self, at: SignedSpan) -> bool {
        while self.origin.is_none() {
            if self.run_events(1) {
                return false;
            }
        }
        let to = Time(self.origin.map_or(0, |origin| origin.0.saturating_add_signed(at.0)));
        if to < self.now() {
            return false;
        }
        self.run_until(to);
        self.now() == to
    }
}
