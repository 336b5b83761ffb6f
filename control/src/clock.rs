//! The system's clock, read in one place, and times as people read them.
//!
//! Times are Unix milliseconds; the pure crate gets them as arguments. A clock that jumps shows in the state machine, which counts
//! measured time alone.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Now, Unix milliseconds; 0 when the system's clock stands before 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// `2026-11-21T07:03:05Z`.
pub(crate) fn shown(at: i64) -> String {
    let time = UNIX_EPOCH + Duration::from_millis(u64::try_from(at).unwrap_or(0));
    humantime::format_rfc3339_seconds(time).to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_are_shown_in_utc() {
        assert_eq!(super::shown(1_700_000_000_999), "2023-11-14T22:13:20Z");
        assert!(super::now() > 1_700_000_000_000);
    }
}
