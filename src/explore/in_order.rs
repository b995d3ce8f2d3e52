//! Many pieces of work side by side, their results one after the other.
//!
//! Runs share nothing, but sums and files depend on the order in which runs are added. So each thread takes the next
//! number, works, and puts the result into its place in a line; whoever fills the front of the line adds what stands
//! there. Nobody waits for a batch to be complete, and the line is short: a thread that is far ahead waits for the front.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// So many numbers may be taken beyond the first that is not added yet.
const AHEAD: u64 = 64;

/// Results on their way from those who work to the one who adds.
struct Line<T, E, A> {
    next: u64,
    added: u64,
    waiting: BTreeMap<u64, T>,
    add: A,
    failure: Option<E>,
    /// A piece of work failed or panicked: nobody takes another.
    is_over: bool,
}

/// Does `work` for every number on all threads of the present pool, and gives the results to `add` in the order of the
/// numbers. Ends early with the failure of either.
///
/// # Errors
/// The first failure.
pub fn in_order<T, E, A>(numbers: Range<u64>, work: impl Fn(u64) -> Result<T, E> + Sync, add: A) -> Result<(), E>
where
    T: Send,
    E: Send,
    A: FnMut(T) -> Result<(), E> + Send,
{
    let (next, end) = (numbers.start, numbers.end);
    let line = Mutex::new(Line { next, added: next, waiting: BTreeMap::new(), add, failure: None, is_over: false });
    let (line, moved) = (&line, &Condvar::new());
    let work = &work;
    rayon::scope(|scope| {
        for _ in 0..rayon::current_num_threads() {
            scope.spawn(move |_| {
                while let Some(number) = take(line, moved, end) {
                    let panics = EndOnPanic { line, moved };
                    put(line, moved, number, work(number));
                    std::mem::forget(panics);
                }
            });
        }
    });
    match lock(line).failure.take() {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

fn lock<L>(line: &Mutex<L>) -> MutexGuard<'_, L> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The next number, as soon as it is not too far ahead.
fn take<T, E, A>(line: &Mutex<Line<T, E, A>>, moved: &Condvar, end: u64) -> Option<u64> {
    let far_ahead = |line: &mut Line<T, E, A>| !line.is_over && line.next < end && line.next - line.added >= AHEAD;
    let mut line = moved.wait_while(lock(line), far_ahead).unwrap_or_else(PoisonError::into_inner);
    if line.is_over || line.next == end {
        return None;
    }
    line.next += 1;
    Some(line.next - 1)
}

/// A result takes its place; what is at the front of the line is added.
fn put<T, E, A: FnMut(T) -> Result<(), E>>(
    line: &Mutex<Line<T, E, A>>,
    moved: &Condvar,
    number: u64,
    result: Result<T, E>,
) {
    let line = &mut *lock(line);
    let mut done = result.map(|item| {
        line.waiting.insert(number, item);
    });
    while done.is_ok()
        && let Some(item) = line.waiting.remove(&line.added)
    {
        line.added += 1;
        done = (line.add)(item);
    }
    if let Err(failure) = done {
        line.failure.get_or_insert(failure);
        line.is_over = true;
    }
    moved.notify_all();
}

/// Lets the others go if a piece of work panics: the front of the line would never come.
struct EndOnPanic<'a, T, E, A> {
    line: &'a Mutex<Line<T, E, A>>,
    moved: &'a Condvar,
}

impl<T, E, A> Drop for EndOnPanic<'_, T, E, A> {
    fn drop(&mut self) {
        lock(self.line).is_over = true;
        self.moved.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn with_threads<R: Send>(threads: usize, run: impl FnOnce() -> R + Send) -> R {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads").install(run)
    }

    #[test]
    fn results_come_in_order_and_not_too_many_wait() {
        for threads in [1, 4] {
            let (mut added, begun, most) = (Vec::new(), AtomicU64::new(0), AtomicU64::new(0));
            let done = AtomicU64::new(0);
            let work = |number: u64| {
                let ahead = begun.fetch_add(1, Ordering::SeqCst) + 1 - done.load(Ordering::SeqCst);
                most.fetch_max(ahead, Ordering::SeqCst);
                // The first of each hundred takes long: the others must wait for it.
                if number.is_multiple_of(100) {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
                Ok::<u64, ()>(number)
            };
            let add = |number| {
                added.push(number);
                done.fetch_add(1, Ordering::SeqCst);
                Ok(())
            };
            with_threads(threads, || in_order(5..1_005, work, add)).expect("nothing fails");
            assert!(added.iter().copied().eq(5..1_005));
            assert!(most.into_inner() <= AHEAD, "with {threads} threads");
        }
    }

    #[test]
    fn a_failure_ends_it() {
        let work = |number| if number == 700 { Err("no") } else { Ok(number) };
        let mut sum = 0;
        let add = |number: u64| {
            sum += number;
            Ok(())
        };
        assert_eq!(with_threads(3, || in_order(0..1_000_000, work, add)), Err("no"));
        assert!(sum <= (0..700).sum(), "nothing after it is added");
        let add = |number| if number == 10 { Err("full") } else { Ok(()) };
        assert_eq!(with_threads(3, || in_order(0..1_000_000, Ok, add)), Err("full"));
    }

    #[test]
    #[should_panic(expected = "broken")]
    fn a_panic_ends_it() {
        let work = |number: u64| {
            assert_ne!(number, 3, "broken");
            Ok::<u64, ()>(number)
        };
        let _ = with_threads(3, || in_order(0..1_000, work, |_| Ok(())));
    }
}
