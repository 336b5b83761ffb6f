//! Waiting for conditions.

use std::future::Future;
use std::time::{Duration, Instant};

use crate::Result;
use crate::fault::fault;

/// How long a condition may take before it is held to never come true. Generous: no test measures time with it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks `condition` every 5 ms until it is `true`. `what` completes the sentence "waited in vain until ...".
pub async fn wait_until<F, Fut>(what: &str, mut condition: F) -> Result<()>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<bool>>,
{
    let end = Instant::now() + PATIENCE;
    loop {
        let last = condition().await;
        if matches!(last, Ok(true)) {
            return Ok(());
        }
        if Instant::now() > end {
            let why = last.err().map(|fault| format!(" ({fault})")).unwrap_or_default();
            return Err(fault(format!("waited in vain until {what}{why}")));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
