//! Keeps the other core awake while CPU is measured.
//!
//! A write to a socket whose reader sleeps wakes its core, and in a virtual machine that interrupt is the dearest part of the write
//! (1 to 3 us); it is charged to the writer, here the measured worker. How often the reader sleeps depends on
//! how far the worker lags behind: a slower side would pay for more wake-ups than a faster one, beside its own work. So
//! client and upstreams ask again instead of sleeping, giving the core to each other in between.

use std::sync::atomic::{AtomicBool, Ordering};

static KEPT: AtomicBool = AtomicBool::new(false);

/// Ends with its life.
pub(crate) struct Awake;

/// Nobody sleeps while the answer lives.
pub(crate) fn keep() -> Awake {
    KEPT.store(true, Ordering::Relaxed);
    Awake
}

/// Whether somebody keeps the core awake.
pub(crate) fn kept() -> bool {
    KEPT.load(Ordering::Relaxed)
}

impl Drop for Awake {
    fn drop(&mut self) {
        KEPT.store(false, Ordering::Relaxed);
    }
}
