//! What Envoy counts, as Prometheus sees it.

use std::collections::BTreeMap;

use crate::Result;
use crate::fault::fault;

/// One reading of `/stats/prometheus`.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    series: BTreeMap<String, Vec<(Labels, f64)>>,
}

/// A series' labels.
pub type Labels = BTreeMap<String, String>;

impl Metrics {
    /// Reads Prometheus' text format.
    pub fn parse(text: &str) -> Result<Self> {
        let mut series: BTreeMap<String, Vec<(Labels, f64)>> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (name, labels, value) =
                one(line).ok_or_else(|| fault(format!("not a line of Prometheus' format: {line}")))?;
            series.entry(name).or_default().push((labels, value));
        }
        Ok(Self { series })
    }

    /// The sum of all counters or gauges of a name that carry these labels, whatever other labels they carry. 0 when there
    /// are none: Envoy shows a counter only once it was defined.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counters are whole and not negative")]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.select(name, labels).map(|(_, value)| value).sum::<f64>() as u64
    }

    /// Every series whose name begins so.
    pub fn of(&self, prefix: &str) -> impl Iterator<Item = (&String, &Vec<(Labels, f64)>)> {
        self.series.iter().filter(move |(name, _)| name.starts_with(prefix))
    }

    /// Every series of a name that carries these labels.
    pub fn select<'m>(&'m self, name: &str, labels: &[(&str, &str)]) -> impl Iterator<Item = (&'m Labels, f64)> {
        let wanted: Vec<(String, String)> = labels.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
        let all = self.series.get(name).map(Vec::as_slice).unwrap_or_default();
        all.iter()
            .filter(move |(have, _)| wanted.iter().all(|(k, v)| have.get(k) == Some(v)))
            .map(|(labels, value)| (labels, *value))
    }

    /// The values of one label of a name, with the sums of what carries them.
    pub fn by(&self, name: &str, label: &str, labels: &[(&str, &str)]) -> BTreeMap<String, u64> {
        let mut sums = BTreeMap::new();
        for (have, value) in self.select(name, labels) {
            let key = have.get(label).cloned().unwrap_or_default();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "counters are whole and positive"
            )]
            let value = value as u64;
            *sums.entry(key).or_insert(0) += value;
        }
        sums
    }

    /// The names that begin so.
    pub fn names(&self, prefix: &str) -> Vec<&str> {
        self.series.keys().map(String::as_str).filter(|name| name.starts_with(prefix)).collect()
    }
}

fn one(line: &str) -> Option<(String, Labels, f64)> {
    let (head, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let Some((name, rest)) = head.split_once('{') else { return Some((head.to_owned(), Labels::new(), value)) };
    let mut rest = rest.strip_suffix('}')?;
    let mut labels = Labels::new();
    while !rest.is_empty() {
        let (label, after) = rest.split_once("=\"")?;
        let mut text = String::new();
        let mut letters = after.char_indices();
        let end = loop {
            match letters.next()? {
                (at, '"') => break at,
                (_, '\\') => text.push(match letters.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, letter) => text.push(letter),
            }
        };
        labels.insert(label.to_owned(), text);
        rest = after.get(end + 1..)?;
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    Some((name.to_owned(), labels, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_values_are_read_and_summed() {
        let text = "# TYPE a counter\na{x=\"1\",y=\"q\\\"\\\\,}\"} 3\na{x=\"2\"} 4\nb 5\nc{} 6\n";
        let metrics = Metrics::parse(text).unwrap();
        assert_eq!(metrics.sum("a", &[]), 7);
        assert_eq!(metrics.sum("a", &[("x", "1"), ("y", "q\"\\,}")]), 3);
        assert_eq!(metrics.sum("b", &[]) + metrics.sum("c", &[]), 11);
        assert_eq!(metrics.sum("d", &[]), 0);
        assert!(Metrics::parse("a{x=\"1} 3").is_err());
    }
}
