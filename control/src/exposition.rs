//! Prometheus' text format, read without copying: a page of a thousand series costs no allocation.
//!
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/#text-format-details>.) Read is what Envoy writes; lines that are no sample are
//! passed over. What the series mean is not known here.

/// One sample of a page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sample<'t> {
    pub(crate) name: &'t str,
    pub(crate) labels: Labels<'t>,
    pub(crate) value: f64,
}

/// The labels between the braces, as they stand there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Labels<'t>(&'t str);

impl<'t> Labels<'t> {
    /// Without the last label if it is this one, and that one's value: histograms have `le` last.
    pub(crate) fn split_last(self, name: &str) -> Option<(Self, &'t str)> {
        let (rest, value) = self.0.rsplit_once(',').unwrap_or(("", self.0));
        let value = value.strip_prefix(name)?.strip_prefix("=\"")?.strip_suffix('"')?;
        Some((Self(rest), value))
    }

    /// Name and value of each. Escapes (`\"`, `\\`, `\n`) are left as they are: none of ours has any.
    pub(crate) fn iter(self) -> impl Iterator<Item = (&'t str, &'t str)> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            // One byte is found sooner than two.
            let (name, after) = rest.split_once('=')?;
            let after = after.strip_prefix('"')?;
            let bytes = after.as_bytes();
            let mut end = 0;
            // To the first quote that is not escaped.
            while *bytes.get(end)? != b'"' {
                end += if bytes.get(end) == Some(&b'\\') { 2 } else { 1 };
            }
            let value = after.get(..end)?;
            rest = after.get(end + 1..)?.trim_start_matches(',');
            Some((name.trim(), value))
        })
    }
}

/// The part of a name that is the filter's own: Istio and plain Envoy differ in what they put before it.
pub(crate) fn ours(name: &str) -> Option<&str> {
    if name.starts_with("headgate_") { Some(name) } else { name.get(name.rfind("headgate_")?..) }
}

/// A number as it stands in a page. Most are counts, which are read without regard to fractions; below 10^15 those are exact.
pub(crate) fn number(text: &str) -> Option<f64> {
    if text.len() > 15 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok();
    }
    let count = text.bytes().fold(0_u64, |so_far, digit| so_far * 10 + u64::from(digit - b'0'));
    #[expect(clippy::cast_precision_loss, reason = "of at most 15 digits: exact")]
    (!text.is_empty()).then_some(count as f64)
}

/// The samples of a page.
pub(crate) fn samples(page: &str) -> impl Iterator<Item = Sample<'_>> {
    page.lines().filter_map(sample)
}

/// The sample of a line; `None` where it has none.
pub(crate) fn sample(line: &str) -> Option<Sample<'_>> {
    if line.starts_with('#') {
        return None;
    }
    let (series, value) = match line.split_once('{') {
        // A label's value may hold a brace: the last one ends them.
        Some((name, rest)) => {
            let end = rest.rfind('}')?;
            ((name, rest.get(..end)?), rest.get(end + 1..)?)
        }
        None => {
            let (name, value) = line.split_once(' ')?;
            ((name, ""), value)
        }
    };
    // A time stamp may follow.
    let value = number(value.split_ascii_whitespace().next()?)?;
    Some(Sample { name: series.0.trim_end(), labels: Labels(series.1), value })
}

/// A line up to the value of its last label. Most lines of a page begin as the one above does, as far as that.
pub(crate) fn head(line: &str) -> Option<&str> {
    line.get(..line.rfind("=\"")? + 2)
}

/// What a page goes on with, if that begins as `head` and ends in a count: the last label's value, the count, and the page after that line.
/// `None` means nothing but that the line is to be read as any other.
pub(crate) fn alike<'t>(page: &'t str, head: &str) -> Option<(&'t str, f64, &'t str)> {
    let rest = page.strip_prefix(head)?;
    let end = rest.bytes().position(|b| b == b'"' || b == b'\n')?;
    let (value, rest) = rest.split_at_checked(end)?;
    let rest = rest.strip_prefix("\"} ")?;
    let (count, rest) = rest.split_at_checked(rest.bytes().position(|b| !b.is_ascii_digit())?)?;
    Some((value, number(count)?, rest.strip_prefix('\n')?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_as_they_stand() {
        let page = "# TYPE a counter\na{x=\"1\",y=\"q\\\"}\"} 2\nb 1.5 1700000000\nc{} NaN\nrubbish\nd{le=\"10\"} 3\n\
                    e_bucket{v=\"c\",le=\"+Inf\"} 4\n";
        let all: Vec<Sample<'_>> = samples(page).collect();
        assert_eq!(all.iter().map(|s| s.name).collect::<Vec<_>>(), ["a", "b", "c", "d", "e_bucket"]);
        assert_eq!(all[0].labels.iter().collect::<Vec<_>>(), [("x", "1"), ("y", "q\\\"}")]);
        assert!((all[1].value - 1.5).abs() < 1e-9 && all[2].value.is_nan());
        assert_eq!(all[3].labels.split_last("le").map(|(l, le)| (l.0, le)), Some(("", "10")));
        assert_eq!(all[4].labels.split_last("le").map(|(l, le)| (l.0, le)), Some(("v=\"c\"", "+Inf")));
        assert_eq!(all[0].labels.split_last("le"), None);
    }

    #[test]
    fn counts_and_fractions_are_read_as_they_are_everywhere() {
        for text in ["0", "7", "00012", "999999999999999", "1000000000000001", "1.5", "1e3", "-2", "+Inf"] {
            assert_eq!(number(text), text.parse().ok(), "{text}");
        }
        assert!(number("").is_none() && number("x1").is_none() && number("NaN").is_some_and(f64::is_nan));
    }

    #[test]
    fn a_line_like_the_one_above_is_read_as_any_other_or_left_to_that() {
        let page = "a{x=\"1\",le=\"5\"} 7\na{x=\"1\",le=\"+Inf\"} 12\n";
        let head = head(page.lines().next().unwrap()).unwrap();
        assert_eq!(head, "a{x=\"1\",le=\"");
        let (le, value, rest) = alike(page, head).unwrap();
        assert_eq!((le, value.to_bits()), ("5", 7.0_f64.to_bits()));
        assert_eq!(
            alike(rest, head).map(|(le, value, rest)| (le, value.to_bits(), rest)),
            Some(("+Inf", 12.0_f64.to_bits(), ""))
        );
        for other in [
            "",
            "b{le=\"5\"} 7\n",
            "5",
            "5\n\"} 7\n",
            "5\"} 7",
            "5\"} 7.5\n",
            "5\"} 7 1\n",
            "5\"} \n",
            "5\",y=\"\"} 7\n",
        ] {
            assert_eq!(alike(&format!("{head}{other}"), head), None, "{other}");
        }
        assert_eq!(alike("5\"} 7\n", head), None);
    }

    #[test]
    fn broken_pages_end_in_nothing() {
        for page in ["a{x=\"1", "a{x=\"1\\", "a{x=\"1\"}", "{", "a{x}", "a{x=\"\\\"} 1", "\u{0}"] {
            let _all: Vec<_> = samples(page).map(|s| s.labels.iter().count()).collect();
        }
    }
}
