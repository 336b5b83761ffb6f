//! Numbers as people read them.

use crate::file::WHOLE;

/// `5 %` of parts of [`WHOLE`].
pub(crate) fn percent(parts: u32) -> String {
    format!("{} %", trimmed(f64::from(parts) * 100.0 / f64::from(WHOLE), 2))
}

/// `2.5 %` of a share.
pub(crate) fn share(value: f64) -> String {
    let value = value * 100.0;
    format!("{} %", trimmed(value, if value.abs() < 0.1 { 4 } else { 2 }))
}

/// `150 ms` of microseconds.
pub(crate) fn micros(value: f64) -> String {
    if value >= 1e6 {
        format!("{} s", trimmed(value / 1e6, 2))
    } else if value >= 1e3 {
        format!("{} ms", trimmed(value / 1e3, if value < 1e4 { 2 } else { 1 }))
    } else {
        format!("{} us", trimmed(value, 0))
    }
}

/// `1h30m` of milliseconds.
pub(crate) fn span(ms: u64) -> String {
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    let mut rest = ms;
    let mut out = String::new();
    let mut shown = 0;
    for (unit, size) in units {
        if rest >= size && shown < 2 {
            out.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
            shown += 1;
        } else if shown > 0 {
            break;
        }
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}

/// A number without needless zeros behind the point.
pub(crate) fn trimmed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(percent(1), "0.01 %");
        assert_eq!(percent(500), "5 %");
        assert_eq!(share(0.025), "2.5 %");
        assert_eq!(share(0.0002), "0.02 %");
        assert_eq!(micros(150_000.0), "150 ms");
        assert_eq!(micros(1_530_000.0), "1.53 s");
        assert_eq!(span(5_400_000), "1h30m");
        assert_eq!(span(86_400_000), "1d");
        assert_eq!(span(0), "0s");
        assert_eq!(span(1_200), "1s200ms");
    }
}
