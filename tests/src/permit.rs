//! At most two Envoys at once in one process: a machine with two cores has no use for more.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Result;
use crate::fault::fault;

static ENVOYS: std::sync::LazyLock<Arc<Semaphore>> = std::sync::LazyLock::new(|| Arc::new(Semaphore::new(2)));

/// The right to run an Envoy, given back when it is dropped.
pub type Permit = OwnedSemaphorePermit;

/// Waits for `n` (1 or 2) permits at once. A test with two Envoys takes both here before it starts the first (with
/// [`crate::Builder::permit`]): two tests that each hold one and wait for another would wait for ever.
pub async fn permits(n: u32) -> Result<Permit> {
    if n > 2 {
        return Err(fault("at most two Envoys run at once"));
    }
    Ok(Arc::clone(&ENVOYS).acquire_many_owned(n).await?)
}
