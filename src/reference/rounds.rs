//! Stacks side by side that start their clients together.
//!
//! The start of forty interpreters takes the processors for many seconds, and a stack that is measured meanwhile would show
//! it. So runs come in rounds: nobody's time 0 comes before everybody's clients are there, and nobody starts while somebody
//! is measured.

use std::sync::Mutex;
use std::time::Duration;

use super::{Error, Interrupt};

/// How often those who wait look.
const LOOK: Duration = Duration::from_millis(20);

#[derive(Debug, Default)]
struct Counts {
    starting: usize,
    measuring: usize,
}

/// How many stacks start, and how many are measured.
#[derive(Debug, Default)]
pub struct Rounds(Mutex<Counts>);

/// A stack's part in a round; dropped, it is over.
#[derive(Debug)]
pub struct Part<'a> {
    rounds: &'a Rounds,
    measuring: bool,
}

impl Rounds {
    fn when<T>(&self, interrupt: &Interrupt, mut take: impl FnMut(&mut Counts) -> Option<T>) -> Result<T, Error> {
        loop {
            let mut counts = self.0.lock().expect("nothing panics while it holds the counts");
            if let Some(taken) = take(&mut counts) {
                return Ok(taken);
            }
            drop(counts);
            interrupt.wait(LOOK)?;
        }
    }

    /// Begins to start, as soon as nobody is measured.
    ///
    /// # Errors
    /// If it is interrupted.
    pub fn begin(&self, interrupt: &Interrupt) -> Result<Part<'_>, Error> {
        self.when(interrupt, |counts| {
            (counts.measuring == 0).then(|| {
                counts.starting += 1;
                Part { rounds: self, measuring: false }
            })
        })
    }
}

impl Part<'_> {
    /// It has started: goes on when all have.
    ///
    /// # Errors
    /// If it is interrupted.
    pub(super) fn started(&mut self, interrupt: &Interrupt) -> Result<(), Error> {
        self.rounds.when(interrupt, |counts| {
            // Counted as measured from now on, so that nobody begins to start in between.
            if !std::mem::replace(&mut self.measuring, true) {
                counts.starting -= 1;
                counts.measuring += 1;
            }
            (counts.starting == 0).then_some(())
        })
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        if let Ok(mut counts) = self.rounds.0.lock() {
            match self.measuring {
                true => counts.measuring -= 1,
                false => counts.starting -= 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_measured_while_somebody_starts() {
        let (rounds, interrupt) = (Rounds::default(), Interrupt::default());
        let trace = Mutex::new(Vec::new());
        let say = |what: &str| trace.lock().expect("nobody panics").push(what.to_owned());
        std::thread::scope(|scope| {
            let mut first = rounds.begin(&interrupt).expect("nobody is measured");
            let mut second = rounds.begin(&interrupt).expect("nobody is measured");
            let one = scope.spawn(|| {
                first.started(&interrupt).expect("no interrupt");
                say("measured");
                drop(first);
            });
            std::thread::sleep(LOOK * 3);
            say("the other has started");
            second.started(&interrupt).expect("no interrupt");
            one.join().expect("it ends");
            let third = scope.spawn(|| rounds.begin(&interrupt).map(|_| say("a third starts")));
            std::thread::sleep(LOOK * 3);
            say("the other is done");
            drop(second);
            third.join().expect("it ends").expect("no interrupt");
        });
        let trace = trace.into_inner().expect("nobody panics");
        assert_eq!(trace, ["the other has started", "measured", "the other is done", "a third starts"]);
    }
}
