//! Rows of a CSV with a header line, or of a JSON list of objects: by the names of their columns.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use headgate_rollout::stats::fixed::proportions::Proportion;
use headgate_rollout::stats::{Arm, Reason};
use serde_json::Value;

use crate::exit::{Exit, Failure};

/// One row: a text for each column.
#[derive(Clone)]
pub(super) struct Row {
    /// Where it stands, for people: `line 3` or `item 2`.
    place: String,
    cells: BTreeMap<String, String>,
}

/// Reads all rows of a file or of standard input. What begins with `[` is JSON.
pub(super) fn rows(file: &Path) -> Result<Vec<Row>, Failure> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|mut open| open.read_to_string(&mut text))
    };
    read.map_err(|e| Failure::failed(format!("{}: {e}", file.display())))?;
    let refused = |why: String| Failure::new(Exit::Refused, format!("{}: {why}", file.display()));
    let rows = if text.trim_start().starts_with('[') { of_json(&text) } else { of_csv(&text) }.map_err(refused)?;
    if rows.is_empty() { Err(refused("no rows".to_owned())) } else { Ok(rows) }
}

fn of_json(text: &str) -> Result<Vec<Row>, String> {
    let items: Vec<BTreeMap<String, Value>> =
        serde_json::from_str(text).map_err(|e| format!("no JSON list of objects: {e}"))?;
    let cell = |(name, value): (String, Value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (name, text)
    };
    let row = |(at, item): (usize, BTreeMap<String, Value>)| Row {
        place: format!("item {}", at + 1),
        cells: item.into_iter().map(cell).collect(),
    };
    Ok(items.into_iter().enumerate().map(row).collect())
}

fn of_csv(text: &str) -> Result<Vec<Row>, String> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).comment(Some(b'#')).from_reader(text.as_bytes());
    let names = reader.headers().map_err(|e| e.to_string())?.clone();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| e.to_string())?;
        let line = record.position().map_or(0, csv::Position::line);
        let cells = names.iter().zip(&record).map(|(name, cell)| (name.to_owned(), cell.to_owned())).collect();
        rows.push(Row { place: format!("line {line}"), cells });
    }
    Ok(rows)
}

impl Row {
    /// The text of a column, if it is there.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.cells.get(name).map(String::as_str)
    }

    /// The text of a column that has to be there.
    pub(super) fn need(&self, name: &str) -> Result<&str, Failure> {
        let columns: Vec<&str> = self.cells.keys().map(String::as_str).collect();
        self.text(name).ok_or_else(|| {
            let message = format!("{}: no column `{name}`; there are {}", self.place, columns.join(", "));
            Failure::new(Exit::Refused, message)
        })
    }

    /// The number in a column that has to be there.
    pub(super) fn number(&self, name: &str) -> Result<f64, Failure> {
        let text = self.need(name)?;
        let value: Option<f64> = text.parse().ok().filter(|value: &f64| value.is_finite());
        value.ok_or_else(|| {
            let message = format!("{}: `{name}` is `{text}`, which is not a finite number", self.place);
            Failure::new(Exit::Refused, message)
        })
    }

    /// The count in a column that has to be there.
    pub(super) fn count(&self, name: &str) -> Result<f64, Failure> {
        let value = self.number(name)?;
        whole(value).map_err(|why| Failure::new(Exit::Refused, format!("{}: `{name}`: {why}", self.place)))
    }

    /// A refusal that says where.
    fn refused(&self, reason: &Reason) -> Failure {
        Failure::new(Exit::Refused, format!("{}: {reason}", self.place))
    }
}

/// The versions in the order of their first appearance; the one compared with first, if it is named.
pub(super) fn variants(rows: &[Row], baseline: Option<&str>) -> Result<Vec<String>, Failure> {
    let mut names: Vec<String> = Vec::new();
    for row in rows {
        let name = row.need("variant")?;
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    if let Some(baseline) = baseline {
        let at = names.iter().position(|name| name == baseline).ok_or_else(|| {
            Failure::new(Exit::Refused, format!("no row is of variant `{baseline}`; there are {}", names.join(", ")))
        })?;
        let first = names.remove(at);
        names.insert(0, first);
    }
    Ok(names)
}

/// Exactly two versions.
pub(super) fn two(rows: &[Row], baseline: Option<&str>) -> Result<[String; 2], Failure> {
    let names = variants(rows, baseline)?;
    <[String; 2]>::try_from(names).map_err(|names| {
        let message = format!("two variants are compared, and the rows have {}: {}", names.len(), names.join(", "));
        Failure::new(Exit::Refused, message)
    })
}

/// The sum of `events` and `units` of a version.
pub(super) fn proportion(rows: &[Row], variant: &str) -> Result<Proportion, Failure> {
    let mut sum = Proportion::default();
    for row in rows.iter().filter(|row| row.text("variant") == Some(variant)) {
        let one = Proportion::new(row.count("events")?, row.count("units")?).map_err(|reason| row.refused(&reason))?;
        sum.events += one.events;
        sum.units += one.units;
    }
    Ok(sum)
}

/// The values of a version.
pub(super) fn values(rows: &[Row], variant: &str) -> Result<Vec<f64>, Failure> {
    rows.iter().filter(|row| row.text("variant") == Some(variant)).map(|row| row.number("value")).collect()
}

/// The buckets of a version, in one segment if it is given; `total` is the column of events, if there is one.
pub(super) fn arm(rows: &[Row], variant: &str, segment: Option<&str>, total: Option<&str>) -> Result<Arm, Failure> {
    let mut arm = Arm::default();
    let of_segment = |row: &&Row| segment.is_none_or(|segment| row.text("segment").unwrap_or("default") == segment);
    for row in rows.iter().filter(|row| row.text("variant") == Some(variant)).filter(of_segment) {
        let bucket = bucket(row)?;
        let total = total.map_or(Ok(0.0), |name| row.count(name))?;
        arm.add(bucket, row.count("units")?, total);
    }
    Ok(arm)
}

/// Refuses what is no count of users or requests. What was divided by something belongs to no test of counts.
pub(super) fn whole(count: f64) -> Result<f64, String> {
    if count.is_finite() && count.fract() != 0.0 {
        return Err(format!("{count} is no count: write how many there are, not a rate, a share or a mean of them"));
    }
    Ok(count)
}

/// The bucket of users that a row is about.
pub(super) fn bucket(row: &Row) -> Result<usize, Failure> {
    let text = row.need("bucket")?;
    text.parse().ok().filter(|bucket| *bucket < 4096).ok_or_else(|| {
        Failure::new(Exit::Refused, format!("{}: bucket `{text}` is no whole number from 0 to 4095", row.place))
    })
}

/// Refuses a bandit's data to tests that take the weights for fixed: rows of several weight epochs.
pub(super) fn one_epoch(rows: &[Row]) -> Result<(), Failure> {
    let epochs: std::collections::BTreeSet<&str> = rows.iter().filter_map(|row| row.text("epoch")).collect();
    if epochs.len() > 1 { Err(super::refused(Reason::Adaptive)) } else { Ok(()) }
}

/// `EVENTS/UNITS` from the command line.
pub(super) fn ratio(text: &str) -> Result<Proportion, Failure> {
    let wrong = || Failure::new(Exit::Usage, format!("`{text}` is not EVENTS/UNITS, like 90/980"));
    let (events, units) = text.split_once('/').ok_or_else(wrong)?;
    let number = |text: &str| text.trim().parse::<f64>().map_err(|_| wrong());
    let (events, units) = (number(events)?, number(units)?);
    for count in [events, units] {
        whole(count).map_err(|why| Failure::new(Exit::Refused, format!("`{text}`: {why}")))?;
    }
    Proportion::new(events, units).map_err(|reason| Failure::new(Exit::Refused, format!("`{text}`: {reason}")))
}
