//! What the filter counts: the names of its series and the values of their labels.
//!
//! A series' name carries its labels in front, as Istio's `extraStatTags` and Envoy's `stats_tags` extract them:
//! `route=.=shop;.;variant=.=canary;.;headgate_requests`. Names and label values are the contract's names, so nothing
//! needs escaping. It does not count: that is the module `counters`.

use headgate_contract::Replicate;

/// The series' name of `metric` with `labels`.
pub(crate) fn name(metric: &str, labels: &[(&str, &str)]) -> String {
    let len = metric.len() + labels.iter().map(|(label, value)| label.len() + value.len() + 6).sum::<usize>();
    let mut out = String::with_capacity(len);
    for (label, value) in labels {
        out.push_str(label);
        out.push_str("=.=");
        out.push_str(value);
        out.push_str(";.;");
    }
    out.push_str(metric);
    out
}

/// Label `class` of `headgate_responses`, by index.
pub(crate) const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// Index in [`CLASSES`] of 4xx.
pub(crate) const CLIENT_ERROR: usize = 4;

/// A response's `:status`, which is three digits (RFC 9110, section 15).
pub(crate) fn status(text: &[u8]) -> Option<u16> {
    let [_, _, _] = text else { return None };
    let digits = text.iter().all(u8::is_ascii_digit);
    digits.then(|| text.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0')))
}

/// Index in [`CLASSES`] of a status code; 0, a reset without an answer, is `none`.
pub(crate) const fn class(status: u16) -> usize {
    match status {
        100..=599 => (status / 100) as usize,
        _ => 0,
    }
}

/// Label `status` of `headgate_grpc`, by index.
pub(crate) const GRPC: [&str; 18] =
    ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "other"];

/// Index in [`GRPC`] of a status; one that is absent or beyond 16 is `other`.
pub(crate) fn grpc(status: Option<u64>) -> usize {
    status.and_then(|status| usize::try_from(status).ok()).filter(|status| *status < 17).unwrap_or(17)
}

/// Whether a request failed by its version's fault: a 5xx answer, none at all, or a gRPC status (index in [`GRPC`])
/// UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE or DATA_LOSS, or no such status.
pub(crate) const fn failed(class: usize, grpc: Option<usize>) -> bool {
    matches!(class, 0 | 5) || matches!(grpc, Some(2 | 4 | 12 | 13 | 14 | 15 | 17))
}

/// Bits of Envoy's `response.flags` (`StreamInfo::CoreResponseFlag`): the upstream's timeout for a request, its longest
/// stream duration, and the time that a stream may be idle.
const UPSTREAM_TIMEOUT: u64 = 1 << 2 | 1 << 19;
const IDLE_TIMEOUT: u64 = 1 << 16;

/// Whether an upstream did not answer in time. A stream that was idle while the client still had to send its request
/// (status 408) is the client's fault.
pub(crate) const fn timed_out(flags: u64, status: u16) -> bool {
    flags & UPSTREAM_TIMEOUT != 0 || (flags & IDLE_TIMEOUT != 0 && status != 408)
}

/// The metrics that are kept by replicate bucket, by index.
pub(crate) const REPLICATES: [(Replicate, &str); 6] = [
    (Replicate::Requests, "headgate_replicate_requests"),
    (Replicate::Finished, "headgate_replicate_finished"),
    (Replicate::Failures, "headgate_replicate_failures"),
    (Replicate::Timeouts, "headgate_replicate_timeouts"),
    (Replicate::Latency, "headgate_replicate_latency_us"),
    (Replicate::ClientErrors, "headgate_replicate_client_errors"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stand_in_front_in_their_order() {
        assert_eq!(
            name("headgate_requests", &[("route", "shop"), ("variant", "v1.2")]),
            "route=.=shop;.;variant=.=v1.2;.;headgate_requests"
        );
        assert_eq!(name("headgate_unmatched", &[]), "headgate_unmatched");
    }

    #[test]
    fn a_status_has_its_class_and_everything_else_is_none() {
        for (status, expect) in [(0, "none"), (99, "none"), (101, "1xx"), (204, "2xx"), (304, "3xx"), (499, "4xx")] {
            assert_eq!(CLASSES[class(status)], expect, "{status}");
        }
        assert_eq!(CLASSES[class(599)], "5xx");
        assert_eq!(CLASSES[class(600)], "none");
        assert_eq!(CLASSES[CLIENT_ERROR], "4xx");
    }

    #[test]
    fn a_status_is_three_digits() {
        for (text, expect) in [("200", Some(200)), ("599", Some(599)), ("999", Some(999)), ("007", Some(7))] {
            assert_eq!(status(text.as_bytes()), expect, "{text}");
        }
        for text in ["", "20", "2000", "+20", "2x0", " 20", "2\u{660}"] {
            assert_eq!(status(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_grpc_status_is_itself_or_other() {
        for (status, expect) in [(Some(0), "0"), (Some(16), "16"), (Some(17), "other"), (Some(u64::MAX), "other")] {
            assert_eq!(GRPC[grpc(status)], expect, "{status:?}");
        }
        assert_eq!(GRPC[grpc(None)], "other");
    }

    #[test]
    fn only_an_upstream_is_late() {
        assert!(timed_out(1 << 2, 504) && timed_out(1 << 2 | 1 << 15, 200) && timed_out(1 << 16, 200));
        assert!(!timed_out(1 << 16, 408) && !timed_out(1 << 4, 503) && !timed_out(0, 504));
    }

    #[test]
    fn a_clients_fault_is_no_failure() {
        assert!(!failed(class(404), None));
        assert!(failed(class(503), None));
        assert!(failed(class(0), None));
        assert!(!failed(class(200), Some(grpc(Some(5)))));
        assert!(failed(class(200), Some(grpc(Some(14)))));
    }
}
