//! A few threads that ask many proxies, so that a thousand proxies need no thousand threads. Each rollout has its own: one whose proxies hang
//! takes nobody else's.
//!
//! Threads are started when a job finds none at rest, up to the pool's number, and end after a while without one. Whoever waits for answers waits
//! on a channel of its own with a limit of its own: a proxy that hangs costs a thread its time limit. It knows nothing of what is asked.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

type Job = Box<dyn FnOnce() + Send>;

/// How long a thread waits for a job before it ends.
const REST: Duration = Duration::from_secs(60);

/// The threads, and what waits for one.
#[derive(Clone)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    most: usize,
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    resting: usize,
}

impl Pool {
    /// A pool of at most so many threads, at least one. None is started before there is a job.
    pub(crate) fn new(most: usize) -> Self {
        Self { shared: Arc::new(Shared { most: most.max(1), queue: Mutex::default(), wake: Condvar::new() }) }
    }

    /// Queues a job.
    pub(crate) fn run(&self, job: impl FnOnce() + Send + 'static) {
        let mut queue = self.shared.lock();
        queue.jobs.push_back(Box::new(job));
        if queue.resting >= queue.jobs.len() {
            self.shared.wake.notify_one();
        } else if queue.threads < self.shared.most {
            queue.threads += 1;
            let seat = Seat(Arc::clone(&self.shared));
            drop(queue);
            // The system may have no thread left: the job waits for one that is there, or for the next try.
            let _tried_again = std::thread::Builder::new().name("ask".to_owned()).spawn(move || seat.work());
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread's place, given back however it ends.
struct Seat(Arc<Shared>);

impl Seat {
    fn work(&self) {
        let mut queue = self.0.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                drop(queue);
                // A fault in a job ends that job; what waits behind it is done.
                let _told_by_the_panic = catch_unwind(AssertUnwindSafe(job));
                queue = self.0.lock();
                continue;
            }
            queue.resting += 1;
            let (woken, waited) = self.0.wake.wait_timeout(queue, REST).unwrap_or_else(PoisonError::into_inner);
            queue = woken;
            queue.resting -= 1;
            if waited.timed_out() && queue.jobs.is_empty() {
                return;
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.lock().threads -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn every_job_is_done_and_a_hanging_one_holds_up_only_its_thread() {
        let pool = Pool::new(2);
        let (release, held) = channel::<()>();
        pool.run(move || {
            let _released = held.recv();
        });
        let (sender, answers) = channel();
        for n in 0..50 {
            let sender = sender.clone();
            pool.run(move || sender.send(n).unwrap());
        }
        drop(sender);
        assert_eq!(answers.iter().sum::<i32>(), 1_225);
        drop(release);
    }

    #[test]
    fn there_are_never_more_threads_than_were_asked_for_and_a_fault_ends_its_job_alone() {
        let pool = Pool::new(3);
        let (sender, answers) = channel();
        for n in 0..30 {
            let (sender, shared) = (sender.clone(), Arc::clone(&pool.shared));
            pool.run(move || {
                sender.send(shared.lock().threads).unwrap();
                assert!(n % 3 > 0, "a fault");
            });
        }
        drop(sender);
        let threads: Vec<usize> = answers.iter().collect();
        assert_eq!(threads.len(), 30);
        assert!(threads.iter().all(|n| (1..=3).contains(n)), "{threads:?}");
    }
}
