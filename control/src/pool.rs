//! A few threads that ask many proxies. Shared by all rollouts of a process, so that a thousand proxies need no thousand threads.
//!
//! Whoever waits for answers waits on a channel of its own with a limit of its own: a proxy that hangs costs a worker its time limit, and
//! nobody else anything. It knows nothing of what is asked.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

type Job = Box<dyn FnOnce() + Send>;

/// The threads. They end when the pool is dropped and the queue is empty.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    queue: Sender<Job>,
}

impl Pool {
    /// Starts so many threads, at least one.
    pub(crate) fn new(threads: usize) -> Self {
        let (queue, jobs) = channel::<Job>();
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..threads.max(1) {
            let jobs = Arc::clone(&jobs);
            std::thread::spawn(move || work(&jobs));
        }
        Self { queue }
    }

    /// Queues a job.
    pub(crate) fn run(&self, job: impl FnOnce() + Send + 'static) {
        // The threads outlive the pool: somebody takes it.
        let _taken = self.queue.send(Box::new(job));
    }
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            Ok(job) => job(),
            Err(_) => return,
        }
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
}
