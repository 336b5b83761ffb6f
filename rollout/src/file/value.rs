//! Values as people write them: `30m`, `5%`, `150ms`, `0.80`.
//!
//! They are kept as written and read when the file is checked, so that a file with three misspelt durations gets three
//! messages. What they mean is documented at each reading function.

use serde::{Deserialize, Serialize};

/// Parts of the whole: 10,000 are 100 %.
pub const WHOLE: u32 = 10_000;

/// A number or a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Scalar {
    Number(f64),
    Text(String),
}

impl Scalar {
    fn shown(&self) -> String {
        match self {
            Self::Number(n) => n.to_string(),
            Self::Text(t) => t.clone(),
        }
    }
}

/// A length of time: `500ms`, `30s`, `30m`, `24h`, `7d`, or several together: `1h30m`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(Scalar);

/// A share of the whole in steps of 0.01 %: `5%`, `0.01%`, `100%`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Percent(Scalar);

/// An amount with or without a unit: `2%`, `150ms`, `0.5 points`, `0.80`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Quantity(Scalar);

/// What a [`Quantity`] says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Amount {
    /// A share; 0.02 is 2 %.
    Share(f64),
    /// A time in microseconds.
    Micros(f64),
    /// A bare number.
    Number(f64),
}

impl Span {
    /// From text such as `30m`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Scalar::Text(text.into()))
    }

    /// Milliseconds, at most 10 years.
    ///
    /// # Errors
    /// Why it is no length of time, and how to write one.
    pub fn ms(&self) -> Result<u64, String> {
        const LONGEST: f64 = 10.0 * 365.0 * 86_400_000.0;
        let text = self.0.shown();
        let wrong = || format!("`{text}` is no length of time: write `30s`, `30m`, `24h`, `7d` or `1h30m`");
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(wrong());
        }
        if rest == "0" {
            return Ok(0);
        }
        let mut total = 0.0;
        while !rest.is_empty() {
            let (number, after) = rest.split_at(rest.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(wrong)?);
            let (unit, after) = after.split_at(after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len()));
            let factor = match unit {
                "ms" => 1.0,
                "s" => 1e3,
                "m" => 60e3,
                "h" => 3_600e3,
                "d" => 86_400e3,
                _ => return Err(wrong()),
            };
            let number: f64 =
                number.trim().parse().ok().filter(|n: &f64| n.is_finite() && *n >= 0.0).ok_or_else(wrong)?;
            total += number * factor;
            rest = after.trim_start();
        }
        if total > LONGEST {
            return Err(format!("`{text}` is longer than 10 years"));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 10 years in milliseconds")]
        Ok(total.round() as u64)
    }
}

impl Percent {
    /// From text such as `5%`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Scalar::Text(text.into()))
    }

    /// Parts of [`WHOLE`]: `5%` is 500, `0.01%` is 1.
    ///
    /// # Errors
    /// Why it is no share, and how to write one.
    pub fn parts(&self) -> Result<u32, String> {
        let text = match &self.0 {
            Scalar::Number(0.0) => return Ok(0),
            Scalar::Number(n) => return Err(format!("{n} has no unit: write `{n}%` if that is what you mean")),
            Scalar::Text(text) => text.trim(),
        };
        let wrong = || format!("`{text}` is no percentage from 0% to 100%: write `5%` or `0.01%`");
        let number: f64 = text.strip_suffix('%').and_then(|n| n.trim().parse().ok()).ok_or_else(wrong)?;
        if !(0.0..=100.0).contains(&number) {
            return Err(wrong());
        }
        let parts = number * 100.0;
        if (parts - parts.round()).abs() > 1e-6 {
            return Err(format!("`{text}` is finer than 0.01 %, the smallest step"));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 10,000")]
        Ok(parts.round() as u32)
    }
}

impl Quantity {
    /// From text such as `2%` or `150ms`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Scalar::Text(text.into()))
    }

    /// From a bare number.
    pub fn number(value: f64) -> Self {
        Self(Scalar::Number(value))
    }

    /// What it says. `%` and `points` are shares (1 point is 0.01), `us`, `ms`, `s` are times, a trailing `x` is a factor.
    ///
    /// # Errors
    /// Why it is no amount, and how to write one.
    pub fn amount(&self) -> Result<Amount, String> {
        let text = match &self.0 {
            Scalar::Number(n) if n.is_finite() => return Ok(Amount::Number(*n)),
            Scalar::Number(n) => return Err(format!("{n} is no number to compare with")),
            Scalar::Text(text) => text.trim(),
        };
        type Make = fn(f64) -> Amount;
        let units: [(&str, Make); 9] = [
            ("%", |n| Amount::Share(n / 100.0)),
            ("points", |n| Amount::Share(n / 100.0)),
            ("point", |n| Amount::Share(n / 100.0)),
            ("us", Amount::Micros),
            ("µs", Amount::Micros),
            ("ms", |n| Amount::Micros(n * 1e3)),
            ("s", |n| Amount::Micros(n * 1e6)),
            ("x", Amount::Number),
            ("", Amount::Number),
        ];
        units
            .iter()
            .find_map(|(unit, make)| {
                let number: f64 = text.strip_suffix(unit)?.trim().parse().ok()?;
                number.is_finite().then(|| make(number))
            })
            .ok_or_else(|| format!("`{text}` is no amount: write `2%`, `0.5 points`, `150ms`, `2x` or a bare number"))
    }
}

#[cfg(feature = "schema")]
mod schema {
    //! How the values look in JSON Schema.

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::{Percent, Quantity, Span};

    impl JsonSchema for Span {
        fn schema_name() -> std::borrow::Cow<'static, str> {
            "Span".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "description": "A length of time: `500ms`, `30s`, `30m`, `24h`, `7d`, or several together: `1h30m`.",
                "type": "string",
                "pattern": r"^\s*(0|([0-9]+(\.[0-9]+)?\s*(ms|s|m|h|d)\s*)+)$",
                "examples": ["30s", "30m", "24h"]
            })
        }
    }

    impl JsonSchema for Percent {
        fn schema_name() -> std::borrow::Cow<'static, str> {
            "Percent".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "description": "A share in steps of 0.01 %: `5%`, `0.01%`, `100%`.",
                "type": "string",
                "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*%\s*$",
                "examples": ["1%", "0.01%", "100%"]
            })
        }
    }

    impl JsonSchema for Quantity {
        fn schema_name() -> std::borrow::Cow<'static, str> {
            "Quantity".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "description": "An amount: `2%`, `0.5 points`, `150ms`, `2x`, or a bare number.",
                "anyOf": [
                    { "type": "number" },
                    { "type": "string", "pattern": r"^\s*-?[0-9]+(\.[0-9]+)?\s*(%|points?|us|µs|ms|s|x)?\s*$" }
                ],
                "examples": ["2%", "150ms", 0.8]
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_with_units_and_refused_without() {
        for (text, ms) in [("30s", 30_000), ("1h30m", 5_400_000), ("0.5s", 500), ("7d", 604_800_000), ("0", 0)] {
            assert_eq!(Span::new(text).ms(), Ok(ms), "{text}");
        }
        for text in ["", "30", "30q", "m", "-1s", "1h-2m", "nan s", "99999d"] {
            assert!(Span::new(text).ms().is_err(), "{text}");
        }
    }

    #[test]
    fn percentages_go_down_to_a_hundredth() {
        for (text, parts) in [("5%", 500), ("0.01%", 1), ("100 %", 10_000), ("33.33%", 3_333), ("0%", 0)] {
            assert_eq!(Percent::new(text).parts(), Ok(parts), "{text}");
        }
        for text in ["5", "0.001%", "101%", "-1%", "NaN%", "%"] {
            assert!(Percent::new(text).parts().is_err(), "{text}");
        }
        assert!(Percent(Scalar::Number(5.0)).parts().unwrap_err().contains("5%"));
    }

    #[test]
    fn amounts_know_their_units() {
        let cases = [
            ("2%", Amount::Share(0.02)),
            ("0.5 points", Amount::Share(0.005)),
            ("1 point", Amount::Share(0.01)),
            ("150ms", Amount::Micros(150_000.0)),
            ("1.5s", Amount::Micros(1_500_000.0)),
            ("20us", Amount::Micros(20.0)),
            ("2x", Amount::Number(2.0)),
            ("0.80", Amount::Number(0.8)),
        ];
        for (text, amount) in cases {
            assert_eq!(Quantity::new(text).amount(), Ok(amount), "{text}");
        }
        for text in ["", "fast", "2 apples", "inf", "NaN%"] {
            assert!(Quantity::new(text).amount().is_err(), "{text}");
        }
    }
}
