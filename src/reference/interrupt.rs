//! Ending early and cleanly: signals set a flag, and every wait looks at it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::Error;

/// How long a wait goes on before it looks at the flag again.
const LOOK: Duration = Duration::from_millis(50);

/// Whether someone wants this to end.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// A flag that SIGINT, SIGTERM and SIGHUP set; a second such signal changes nothing, since cleaning up is short.
    pub fn on_signals() -> io::Result<Interrupt> {
        let interrupt = Interrupt::default();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, interrupt.0.clone())?;
        }
        Ok(interrupt)
    }

    /// Sets the flag.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Fails if the flag is set.
    pub fn check(&self) -> Result<(), Error> {
        if self.0.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// Sleeps until `until`; fails as soon as the flag is set.
    pub fn wait_until(&self, until: Instant) -> Result<(), Error> {
        loop {
            self.check()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(LOOK));
        }
    }

    /// Sleeps for `time`; fails as soon as the flag is set.
    pub fn wait(&self, time: Duration) -> Result<(), Error> {
        self.wait_until(Instant::now() + time)
    }
}
