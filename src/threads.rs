//! Locks and threads, in the forms that this program uses.
//!
//! A lock does not stay poisoned: the panic of the thread that held it reaches the thread that waits
//! for it, and from there the caller.

use std::io;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel, sync_channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, ScopedJoinHandle};
use std::time::Duration;

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The value of a mutex that nobody shares any more.
pub(crate) fn into_inner<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Gives the lock up until `changed` is notified.
pub(crate) fn wait<'a, T>(changed: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    changed.wait(guard).unwrap_or_else(PoisonError::into_inner)
}

/// Runs `work` on each item, each on a thread of its own. Returns the results in the order of the
/// items once all threads have ended.
///
/// # Panics
/// With the panic of a thread, the first one in the order of the items; and when the machine starts
/// no more threads.
pub(crate) fn on_each<T: Send, R: Send>(
    items: impl IntoIterator<Item = T>,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> = items
            .into_iter()
            .map(|item| scope.spawn(move || work(item)))
            .collect();
        threads.into_iter().map(join).collect()
    })
}

/// Runs `work` on each item, on at most `threads` threads: each takes the next item when it is done with one.
/// With one thread, the caller works. Returns the results in the order of the items.
///
/// # Panics
/// As [`on_each`].
pub(crate) fn on_threads<T: Send, R: Send>(
    threads: usize,
    items: Vec<T>,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let threads = threads.min(items.len());
    if threads <= 1 {
        return items.into_iter().map(work).collect();
    }
    let waiting = Mutex::new(items.into_iter().enumerate());
    let done_by_thread = on_each(vec![(); threads], |()| {
        std::iter::from_fn(|| lock(&waiting).next())
            .map(|(n, item)| (n, work(item)))
            .collect::<Vec<_>>()
    });
    let mut done: Vec<(usize, R)> = done_by_thread.into_iter().flatten().collect();
    done.sort_by_key(|(n, _)| *n);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Runs `foreground` on the caller's thread while each of `background` has a thread of its own.
/// Returns once all of them have ended. So `foreground` must let the others end by a value that it owns and
/// that is dropped where it panics, or where a thread cannot start.
///
/// # Panics
/// As [`on_each`]; with the panic of `foreground` first.
pub(crate) fn beside<B: FnOnce() + Send, R>(
    background: impl IntoIterator<Item = B>,
    foreground: impl FnOnce() -> R,
) -> R {
    thread::scope(|scope| {
        let threads: Vec<_> = background
            .into_iter()
            .map(|work| scope.spawn(work))
            .collect();
        let result = foreground();
        threads.into_iter().for_each(join);
        result
    })
}

/// Runs two pieces of work at the same time, the first on a thread of its own.
///
/// # Panics
/// As [`beside`].
pub(crate) fn side_by_side<A: Send, B>(
    first: impl FnOnce() -> A + Send,
    second: impl FnOnce() -> B,
) -> (A, B) {
    thread::scope(|scope| {
        let first = scope.spawn(first);
        let second = second();
        (join(first), second)
    })
}

/// Gives `consume` the results of `work` on each item, in the order of the items. `threads` threads
/// work ahead, and each holds at most one result. With one thread, the caller works.
///
/// # Errors
/// The first error of `consume`; then no further work is begun.
///
/// # Panics
/// As [`beside`].
pub(crate) fn in_order<T: Send, R: Send, E>(
    threads: usize,
    items: Vec<T>,
    work: impl Fn(T) -> R + Sync,
    mut consume: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let (count, threads) = (items.len(), threads.min(items.len()));
    if threads <= 1 {
        return items.into_iter().map(work).try_for_each(consume);
    }
    // Items are dealt like cards, so the next result always comes from the next thread.
    let mut hands: Vec<Vec<T>> = (0..threads).map(|_| Vec::new()).collect();
    for (n, item) in items.into_iter().enumerate() {
        hands[n % threads].push(item);
    }
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..threads).map(|_| sync_channel(0)).unzip();
    let work = &work;
    let works = hands.into_iter().zip(senders).map(|(hand, sender)| {
        move || {
            // Nobody receives any more after an error.
            let _ = hand
                .into_iter()
                .try_for_each(|item| sender.send(work(item)));
        }
    });
    beside(works, move || {
        let next = |n: usize| receivers[n % threads].recv();
        // Without a result, its thread has panicked, and so will this one.
        (0..count)
            .map_while(|n| next(n).ok())
            .try_for_each(&mut consume)
    })
}

/// Cuts so many items into ranges of at most `most` each.
pub(crate) fn ranges(count: usize, most: usize) -> Vec<Range<usize>> {
    let firsts = (0..count).step_by(most);
    firsts.map(|first| first..count.min(first + most)).collect()
}

fn join<R>(thread: ScopedJoinHandle<'_, R>) -> R {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// A thread that repeats its work until this is dropped; the drop waits for its end.
pub(crate) struct Repeating {
    /// Dropping it wakes the thread.
    hang_up: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Repeating {
    /// Works after each pause, as long as the work returns `true`.
    ///
    /// # Errors
    /// When the machine starts no more threads.
    pub(crate) fn start(
        name: &str,
        pause: Duration,
        mut work: impl FnMut() -> bool + Send + 'static,
    ) -> io::Result<Repeating> {
        let (hang_up, hung_up) = channel();
        let thread = thread::Builder::new().name(name.into()).spawn(move || {
            while hung_up.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) && work() {}
        })?;
        Ok(Repeating {
            hang_up: Some(hang_up),
            thread: Some(thread),
        })
    }
}

impl Drop for Repeating {
    fn drop(&mut self) {
        drop(self.hang_up.take());
        if let Some(thread) = self.thread.take() {
            // A panic was noted where it happened, and has ended this work only.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items_and_a_panic_is_passed_on_as_it_was() {
        assert_eq!(on_each([3, 1, 2], |n| n * 10), [30, 10, 20]);
        for threads in [1, 2, 9] {
            assert_eq!(on_threads(threads, vec![3, 1, 2], |n| n * 10), [30, 10, 20]);
        }
        assert_eq!(side_by_side(|| 1, || "two"), (1, "two"));
        let panic = catch_unwind(|| on_each([3, 1], |n| assert_ne!(n, 1, "a pear"))).unwrap_err();
        let message = panic.downcast_ref::<String>().unwrap();
        assert!(message.contains("a pear"), "{message}");
    }

    #[test]
    fn background_work_has_ended_when_the_foreground_returns_its_result() {
        let done = AtomicUsize::new(0);
        let work = || {
            done.fetch_add(1, Ordering::Relaxed);
        };
        assert_eq!(beside([work; 3], || 7), 7);
        assert_eq!(done.into_inner(), 3);
    }

    /// Sends when it is dropped.
    struct Told(Sender<()>);

    impl Drop for Told {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
        }
    }

    #[test]
    fn what_the_foreground_owns_is_dropped_when_a_background_thread_cannot_start() {
        let (send, dropped) = channel();
        let told = Told(send);
        let waits = std::iter::once(move || dropped.recv().unwrap());
        let background = waits.chain(std::iter::from_fn(|| panic!("no more threads")));
        let started = AssertUnwindSafe(|| beside(background, || drop(told)));
        let panic = catch_unwind(started).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"no more threads"));
    }

    #[test]
    fn results_are_consumed_in_the_order_of_the_items_until_one_is_refused() {
        for threads in [1, 2, 3, 9] {
            let worked = AtomicUsize::new(0);
            let mut seen = vec![];
            let work = |n: usize| {
                worked.fetch_add(1, Ordering::Relaxed);
                n * 10
            };
            let refused = in_order(threads, (0..7).collect(), work, |result| {
                seen.push(result);
                if result == 30 { Err("no 30") } else { Ok(()) }
            });
            assert_eq!((seen, refused), (vec![0, 10, 20, 30], Err("no 30")));
            // One ahead of each other thread at most, and one that was being sent.
            assert!(worked.into_inner() <= 4 + threads, "{threads} threads");
        }
    }

    #[test]
    fn ranges_cover_all_items_and_the_last_one_may_be_shorter() {
        assert_eq!(ranges(5, 2), [0..2, 2..4, 4..5]);
        assert!(ranges(0, 2).is_empty());
    }

    #[test]
    fn a_panic_of_work_ahead_is_passed_on() {
        let work = |n: i32| assert_ne!(n, 2, "a pear");
        let panic = catch_unwind(|| in_order(2, vec![0, 1, 2, 3], work, |()| Ok::<_, ()>(())));
        let panic = panic.unwrap_err();
        let message = panic.downcast_ref::<String>().unwrap();
        assert!(message.contains("a pear"), "{message}");
    }

    #[test]
    fn a_lock_outlives_the_panic_of_its_holder() {
        let numbers = Mutex::new(vec![1]);
        let _ = catch_unwind(|| {
            let _held = lock(&numbers);
            panic!("while the lock is held");
        });
        lock(&numbers).push(2);
        assert_eq!(into_inner(numbers), [1, 2]);
    }

    #[test]
    fn repeated_work_ends_by_itself_or_when_it_is_dropped() {
        let (done, seen) = channel();
        let mut left = 3;
        let repeating = Repeating::start("test", Duration::ZERO, move || {
            done.send(left).unwrap();
            left -= 1;
            left > 0
        })
        .unwrap();
        assert_eq!(seen.iter().collect::<Vec<_>>(), [3, 2, 1]);
        drop(repeating);
        drop(Repeating::start("test", Duration::from_secs(3600), || true).unwrap());
    }
}
