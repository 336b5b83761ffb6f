//! One line of a file of comparisons: what it says, or why it says nothing.

use std::borrow::Cow;

use headgate_contract::limits::REPLICATES;
use headgate_rollout::shadow::{Answer, Difference, Observed};
use headgate_routing::split::{Bucketer, purpose};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::fields::{Fields, Found, Scalar, Slot};
use super::lines::End;

/// What stands before a record in a proxy's log.
const MARK: &[u8] = b"headgate-shadow ";

/// What some editors put at the beginning of a file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads lines into comparisons.
pub(crate) struct Reader {
    fields: Fields,
    /// Whether it reads another tool's log, and compares what stands there.
    foreign: bool,
    /// Microseconds of one unit of latency.
    micros: f64,
    absolute: f64,
    relative: f64,
    buckets: Bucketer,
}

/// How another tool's log is read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mapping {
    /// `NAME=PATH`; none: these are the proxies' records.
    pub(crate) maps: Vec<String>,
    /// Microseconds of one unit of latency.
    pub(crate) micros: f64,
    /// Numbers that differ by at most this agree.
    pub(crate) absolute: f64,
    /// Numbers that differ by at most this part of the larger agree.
    pub(crate) relative: f64,
}

/// Why a line was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Skipped {
    /// It ends in the middle of a record.
    Cut,
    /// It is no JSON object.
    Malformed,
    /// It is one, but no comparison.
    Foreign,
    /// It is longer than any record.
    TooLong,
}

impl Skipped {
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Cut => "cut off",
            Self::Malformed => "not JSON objects",
            Self::Foreign => "without a comparison",
            Self::TooLong => "too long",
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Cut => "cutOff",
            Self::Malformed => "malformed",
            Self::Foreign => "withoutComparison",
            Self::TooLong => "tooLong",
        }
    }
}

#[derive(Debug, Deserialize)]
struct Written<'a> {
    #[serde(borrow)]
    path: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "present")]
    primary: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    shadow: Option<&'a RawValue>,
}

/// `null` is a value; absent is none.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(from: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

impl Reader {
    /// # Errors
    /// In words, when the mapping cannot be.
    pub(crate) fn new(mapping: &Mapping) -> Result<Self, String> {
        let foreign = !mapping.maps.is_empty();
        let fields = if foreign { Fields::mapped(&mapping.maps)? } else { Fields::records() };
        let micros = if foreign { mapping.micros } else { 1.0 };
        let buckets = Bucketer::new("shadow", purpose::REPLICATE);
        Ok(Self { fields, foreign, micros, absolute: mapping.absolute, relative: mapping.relative, buckets })
    }

    /// Reads a line.
    ///
    /// # Errors
    /// Why it is skipped.
    pub(crate) fn read<'a>(&self, line: &'a [u8], end: End) -> Result<Observed<'a>, Skipped> {
        if end == End::TooLong {
            return Err(Skipped::TooLong);
        }
        let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        let line = match line.first() {
            Some(b'{') => line,
            // A line of Envoy's log.
            _ => {
                memchr::memmem::find(line, MARK).and_then(|at| line.get(at + MARK.len()..)).ok_or(Skipped::Malformed)?
            }
        };
        let found = self.fields.read(line).map_err(|e| if e.is_eof() { Skipped::Cut } else { Skipped::Malformed })?;
        if self.foreign { self.compare(found) } else { self.observed(found) }.ok_or(Skipped::Foreign)
    }

    /// What both kinds have in common.
    fn common<'a>(&self, found: &mut Found<'a>) -> Observed<'a> {
        let bucket = match (found.number(Slot::Bucket), found.get(Slot::Key)) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 0 to 31")]
            (Some(bucket), _) if (0.0..f64::from(REPLICATES)).contains(&bucket) => Some(bucket as usize),
            (_, Some(Scalar::Text(key))) if !key.is_empty() => self.bucket(key.as_bytes()),
            (_, Some(Scalar::Number(key))) => self.bucket(key.to_string().as_bytes()),
            _ => None,
        };
        let error = match found.take(Slot::Error) {
            Some(Scalar::Text(text)) if !text.is_empty() => Some(clean(text)),
            Some(Scalar::Truth(true)) => Some("error".into()),
            _ => None,
        };
        // Another clock's nonsense is no latency.
        let latency =
            |slot| found.number(slot).map(|value| value * self.micros).filter(|micros| (0.0..1e300).contains(micros));
        let primary = Answer {
            status: status(found, Slot::OldStatus),
            micros: latency(Slot::OldLatency),
            grpc: status(found, Slot::OldGrpc),
            error: None,
        };
        let shadow = Answer {
            status: status(found, Slot::NewStatus),
            micros: latency(Slot::NewLatency),
            grpc: status(found, Slot::NewGrpc),
            error,
        };
        Observed {
            bucket,
            primary,
            shadow,
            difference: found.number(Slot::Difference),
            share: found.number(Slot::Share).unwrap_or(1.0),
            id: words(found.take(Slot::Id)),
            segment: words(found.take(Slot::Segment)).filter(|segment| !segment.is_empty()),
            ..Observed::default()
        }
    }

    fn bucket(&self, key: &[u8]) -> Option<usize> {
        usize::try_from(self.buckets.bucket(key, u64::from(REPLICATES))).ok()
    }

    /// A record of the proxies.
    fn observed<'a>(&self, mut found: Found<'a>) -> Option<Observed<'a>> {
        // What differs by itself does not count.
        let noise = truth(found.get(Slot::OnlyNoise)) == Some(true);
        let agrees = truth(found.get(Slot::Agrees)).map(|agrees| agrees || noise);
        let mut seen = self.common(&mut found);
        seen.incomparable = words(found.take(Slot::Incomparable));
        if agrees.is_none() && seen.incomparable.is_none() && seen.shadow.error.is_none() {
            return None;
        }
        seen.agrees = agrees;
        seen.numbers = found.number(Slot::Old).zip(found.number(Slot::New));
        if let Some(raw) = found.differences {
            let list: Vec<Written<'a>> = serde_json::from_str(raw.get()).unwrap_or_default();
            let value = |raw: Option<&'a RawValue>| raw.map(|raw| clean(Cow::Borrowed(raw.get())));
            seen.differences = list
                .into_iter()
                .map(|d| Difference { path: clean(d.path), primary: value(d.primary), shadow: value(d.shadow) })
                .collect();
        }
        if let Some(raw) = found.noise {
            seen.noise = serde_json::from_str::<Option<Vec<String>>>(raw.get())
                .unwrap_or_default()
                .map(|paths| paths.into_iter().map(|path| clean(Cow::Owned(path))).collect());
        }
        Some(seen)
    }

    /// A line of another tool's: whether the answers agree is said there, or found here.
    fn compare<'a>(&self, mut found: Found<'a>) -> Option<Observed<'a>> {
        let said = truth(found.get(Slot::Agrees));
        let mut seen = self.common(&mut found);
        let (old, new) = (found.take(Slot::Old), found.take(Slot::New));
        seen.numbers = match (&old, &new) {
            (Some(Scalar::Number(old)), Some(Scalar::Number(new))) => Some((*old, *new)),
            _ => None,
        };
        seen.agrees = said.or_else(|| match (&old, &new, seen.numbers, seen.difference) {
            (_, _, Some((old, new)), _) => {
                Some((new - old).abs() <= self.absolute.max(self.relative * old.abs().max(new.abs())))
            }
            (Some(old), Some(new), ..) => Some(old == new),
            (_, _, None, Some(difference)) => Some(difference.abs() <= self.absolute),
            _ => None,
        });
        if seen.agrees.is_none() && seen.shadow.error.is_none() {
            return None;
        }
        if seen.agrees == Some(false) && (old.is_some() || new.is_some()) {
            let side = |value: Option<Scalar<'a>>| value.map(|v| clean(Cow::Owned(json(&v))));
            seen.differences =
                vec![Difference { path: Cow::Borrowed("answer"), primary: side(old), shadow: side(new) }];
        }
        Some(seen)
    }
}

fn json(value: &Scalar<'_>) -> String {
    match value {
        Scalar::Number(number) => number.to_string(),
        Scalar::Text(text) => serde_json::Value::from(text.as_ref()).to_string(),
        Scalar::Truth(truth) => truth.to_string(),
    }
}

fn truth(value: Option<&Scalar<'_>>) -> Option<bool> {
    match value? {
        Scalar::Truth(truth) => Some(*truth),
        Scalar::Number(number) => Some(*number != 0.0),
        Scalar::Text(text) => text.parse().ok(),
    }
}

/// A text without what would move a terminal's cursor: control characters are written as JSON has them.
fn clean(text: Cow<'_, str>) -> Cow<'_, str> {
    // Those beyond ASCII are two bytes, of which the first is 0xC2.
    if !text.bytes().any(|b| b < b' ' || b == 0x7f || b == 0xc2) {
        return text;
    }
    let written = |c: char| match c.is_control() {
        true => format!("\\u{:04x}", u32::from(c)),
        false => c.to_string(),
    };
    Cow::Owned(text.chars().map(written).collect())
}

fn words(value: Option<Scalar<'_>>) -> Option<Cow<'_, str>> {
    match value? {
        Scalar::Text(text) => Some(clean(text)),
        Scalar::Number(number) => Some(Cow::Owned(number.to_string())),
        Scalar::Truth(truth) => Some(Cow::Owned(truth.to_string())),
    }
}

fn status(found: &Found<'_>, slot: Slot) -> Option<u16> {
    let status = found.number(slot)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 0 to 999")]
    (0.0..1_000.0).contains(&status).then_some(status as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> Reader {
        Reader::new(&Mapping::default()).unwrap()
    }

    fn foreign(maps: &[&str], absolute: f64) -> Reader {
        let maps = maps.iter().map(|m| (*m).to_owned()).collect();
        Reader::new(&Mapping { maps, micros: 1_000.0, absolute, relative: 0.0 }).unwrap()
    }

    #[test]
    fn a_record_of_the_proxies() {
        let line = br#"{"record":1,"time":1,"route":"shop","segment":"mobile","requestId":"r-1","key":"00ff","bucket":7,"primary":{"status":200,"us":1200},"shadow":{"status":503,"us":90},"agrees":false,"kinds":["status"],"difference":0.5,"number":{"primary":1.0,"shadow":1.5},"differences":[{"path":"/a","kind":"value","primary":null,"shadow":"x"},{"path":"status"}],"noise":["/t"],"share":0.5}"#;
        let seen = ours().read(line, End::Feed).unwrap();
        assert_eq!((seen.id.as_deref(), seen.bucket, seen.segment.as_deref()), (Some("r-1"), Some(7), Some("mobile")));
        assert_eq!((seen.primary.micros, seen.shadow.status, seen.shadow.failed()), (Some(1200.0), Some(503), true));
        assert_eq!(
            (seen.agrees, seen.numbers, seen.difference, seen.share),
            (Some(false), Some((1.0, 1.5)), Some(0.5), 0.5)
        );
        let [first, second] = &seen.differences[..] else { panic!("{seen:?}") };
        assert_eq!((first.primary.as_deref(), first.shadow.as_deref()), (Some("null"), Some("\"x\"")));
        assert_eq!((&*second.path, &second.primary), ("status", &None));
        assert_eq!(seen.noise.unwrap(), ["/t"]);
        let log = b"[2026-11-21 10:00:00][12][info][wasm] wasm log: headgate-shadow {\"agrees\":true,\"bucket\":0}";
        assert_eq!(ours().read(log, End::Feed).unwrap().agrees, Some(true));
    }

    #[test]
    fn what_is_skipped_is_told_apart() {
        for (line, end, why) in [
            (&br#"{"agrees":tr"#[..], End::File, Skipped::Cut),
            (br#"{"agrees":true,"#, End::Feed, Skipped::Cut),
            (b"{agrees}", End::Feed, Skipped::Malformed),
            (b"[1]", End::Feed, Skipped::Malformed),
            (b"\xff\xfe", End::Feed, Skipped::Malformed),
            (br#"{"level":"info"}"#, End::Feed, Skipped::Foreign),
            (br#"{"agrees":true}"#, End::TooLong, Skipped::TooLong),
        ] {
            assert_eq!(ours().read(line, end).unwrap_err(), why, "{}", String::from_utf8_lossy(line));
        }
        let timeout = ours().read(br#"{"shadow":{"error":"timeout"}}"#, End::File).unwrap();
        assert_eq!((timeout.agrees, timeout.shadow.error.as_deref()), (None, Some("timeout")));
    }

    #[test]
    fn nothing_that_was_logged_moves_a_terminals_cursor() {
        let line = "{\"requestId\":\"a\\u001b[2J\",\"segment\":\"\u{9b}1mö\",\"agrees\":false,\"noise\":[\"/\\u0007\"],\"differences\":[{\"path\":\"/\\nb\",\"primary\":\"\u{7f}\"}]}";
        let seen = ours().read(line.as_bytes(), End::Feed).unwrap();
        assert_eq!((seen.id.as_deref(), seen.segment.as_deref()), (Some("a\\u001b[2J"), Some("\\u009b1mö")));
        let difference = &seen.differences[0];
        assert_eq!((&*difference.path, difference.primary.as_deref()), ("/\\u000ab", Some("\"\\u007f\"")));
        assert_eq!(seen.noise.as_deref().unwrap_or_default(), ["/\\u0007"]);
        let seen = foreign(&["old=a", "new=b"], 0.0);
        let seen = seen.read("{\"a\":\"\u{9b}\",\"b\":\"\\t\"}".as_bytes(), End::Feed).unwrap();
        assert_eq!(seen.differences[0].primary.as_deref(), Some("\"\\u009b\""));
    }

    #[test]
    fn another_tools_log_is_compared_here() {
        let reader = foreign(&["old=p.champion", "new=p.challenger", "key=user", "new-latency=ms"], 0.1);
        let seen = reader.read(br#"{"p":{"champion":0.5,"challenger":0.55},"user":42,"ms":12.5}"#, End::Feed).unwrap();
        assert_eq!((seen.agrees, seen.numbers, seen.shadow.micros), (Some(true), Some((0.5, 0.55)), Some(12_500.0)));
        assert!(seen.bucket.unwrap() < 32);
        let seen = reader.read(br#"{"p":{"champion":"cat","challenger":"dog"}}"#, End::Feed).unwrap();
        let change = &seen.differences[0];
        assert_eq!(
            (seen.agrees, change.primary.as_deref(), change.shadow.as_deref()),
            (Some(false), Some("\"cat\""), Some("\"dog\""))
        );
        assert_eq!(seen.bucket, None);
        assert_eq!(reader.read(br#"{"p":{"champion":1}}"#, End::Feed).unwrap_err(), Skipped::Foreign);
        // What is no latency is none.
        for ms in ["-1", "\"NaN\"", "\"inf\"", "1e308", "null", "[1]"] {
            let line = format!(r#"{{"p":{{"champion":1,"challenger":1}},"ms":{ms}}}"#);
            assert_eq!(reader.read(line.as_bytes(), End::Feed).unwrap().shadow.micros, None, "{ms}");
        }
        let said = foreign(&["agrees=same", "error=err"], 0.0);
        assert_eq!(said.read(br#"{"same":"false"}"#, End::Feed).unwrap().agrees, Some(false));
        assert!(said.read(br#"{"err":"boom"}"#, End::Feed).unwrap().shadow.failed());
    }
}
