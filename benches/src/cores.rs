//! Which core runs what, and for how long it ran.
//!
//! One core belongs to the one Envoy worker that is measured; everything else (load, upstreams, Envoy's main thread)
//! shares the other one. Time is what the scheduler counted for the worker thread (`/proc/<pid>/task/<tid>/schedstat`,
//! first field, nanoseconds): time in which something else had the core is not in it.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use rustix::thread::{CpuSet, Pid, sched_setaffinity};

/// The core of the measured worker.
const WORKER: usize = 0;
/// The core of everything else.
const REST: usize = 1;

/// Moves the calling thread, and with it all threads and processes that it starts, to the core of the rest.
///
/// # Errors
/// When there are fewer than two cores.
pub(crate) fn rest() -> Result<()> {
    pin(None, REST).context("the benchmark needs two cores, 0 and 1")
}

/// Lets the calling thread stand back for others on its core: the load must not keep Envoy's main thread, which shares it, from
/// taking up a configuration.
///
/// # Errors
/// When the system does not allow it.
pub(crate) fn stand_back() -> Result<()> {
    // On Linux the caller's own thread.
    rustix::process::setpriority_process(None, 10).context("lowering the priority of the load")
}

/// A worker thread of an Envoy.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    schedstat: String,
    stat: String,
}

impl Worker {
    /// Finds the only worker of a process, and pins it to a core of its own.
    ///
    /// # Errors
    /// When the process has not exactly one worker.
    pub(crate) fn pinned(pid: u32) -> Result<Self> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(format!("/proc/{pid}/task"))? {
            let task = entry?.path();
            let name = std::fs::read_to_string(task.join("comm"))?;
            if name.trim_end().starts_with("wrk:worker_") {
                found.push(task);
            }
        }
        let [task] = found.as_slice() else { bail!("Envoy has {} workers, not one", found.len()) };
        let tid = task.file_name().and_then(|name| name.to_str()).unwrap_or_default().parse::<i32>()?;
        pin(Pid::from_raw(tid), WORKER)?;
        let file = |name: &str| task.join(name).display().to_string();
        Ok(Self { schedstat: file("schedstat"), stat: file("stat") })
    }

    /// Waits until it sleeps, a moment at most: what it does after its last answer is counted, too.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub(crate) fn rests(&self) -> Result<()> {
        for _ in 0..1_000 {
            let text = std::fs::read_to_string(&self.stat).context(self.stat.clone())?;
            // The state is what comes after the name, which is in parentheses.
            if text.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S')) {
                break;
            }
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Nanoseconds for which it has run. Exact while it sleeps; while it runs, up to a scheduler tick old.
    ///
    /// # Errors
    /// When the kernel does not count (`CONFIG_SCHED_INFO`).
    pub(crate) fn nanoseconds(&self) -> Result<u64> {
        let text = std::fs::read_to_string(Path::new(&self.schedstat)).context(self.schedstat.clone())?;
        text.split(' ').next().unwrap_or_default().parse().context("schedstat has no time")
    }
}

fn pin(thread: Option<Pid>, core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(thread, &set)?)
}
