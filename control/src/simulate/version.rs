//! How a version behaves, as it is said on the command line: `error=3%,p95=+40%`.
//!
//! A canary's values may be relative to stable's: `+40%`, `2x`, `+20ms`, `-5points`. Only reading is done here.

use headgate_rollout::simulate::Version;

/// What can be said of a version.
pub(crate) const NAMES: [&str; 13] = [
    "error",
    "clientError",
    "timeout",
    "hang",
    "p50",
    "p95",
    "success",
    "conversion",
    "value",
    "agreement",
    "cpu",
    "memory",
    "custom",
];

/// Reads `name=value,…`; what is not named is as `like`.
///
/// # Errors
/// Which part cannot be read, and how to write one.
pub(crate) fn read(text: &str, like: &Version) -> Result<Version, String> {
    let mut out = *like;
    let mut named_p95 = false;
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (name, value) = part
            .split_once('=')
            .ok_or_else(|| format!("`{part}` is no `name=value`: write for example `error=3%` or `p95=+40%`"))?;
        let (name, value) = (name.trim(), value.trim());
        let (old, field) = match name {
            "error" => (like.error, &mut out.error),
            "clientError" => (like.client_error, &mut out.client_error),
            "timeout" => (like.timeout, &mut out.timeout),
            "hang" => (like.hang, &mut out.hang),
            "p50" => (like.p50_ms, &mut out.p50_ms),
            "p95" => (like.p95_ms, &mut out.p95_ms),
            "agreement" => (like.agreement, &mut out.agreement),
            "success" => (like.success, &mut out.success),
            "conversion" => (like.conversion, &mut out.conversion),
            "value" => (like.value, &mut out.value),
            "cpu" => (like.cpu, &mut out.cpu),
            "memory" => (like.memory, &mut out.memory),
            "custom" => (like.custom, &mut out.custom),
            _ => {
                let hint = crate::structure::way_out(name, &NAMES);
                return Err(format!("`{name}` is nothing that can be said of a version: {hint}"));
            }
        };
        let new = match name {
            "p50" | "p95" => time(value, old),
            "value" | "cpu" | "memory" | "custom" => plain(value, old),
            _ => share(value, old),
        };
        *field = new.map_err(|why| format!("{name}={value}: {why}"))?;
        named_p95 |= name == "p95";
    }
    // A median that moves takes the rest of the distribution along.
    if !named_p95 && like.p50_ms > 0.0 {
        out.p95_ms = like.p95_ms * out.p50_ms / like.p50_ms;
    }
    whole(out)
}

fn whole(v: Version) -> Result<Version, String> {
    let failed = v.error + v.client_error + v.timeout + v.hang;
    if failed > 1.0 + 1e-9 {
        return Err(format!(
            "error, clientError, timeout and hang make {:.0} % together, more than all",
            failed * 100.0
        ));
    }
    if v.p50_ms <= 0.0 || v.p95_ms < v.p50_ms {
        return Err(format!("p50={}ms and p95={}ms: p50 is above 0 and p95 not below it", v.p50_ms, v.p95_ms));
    }
    Ok(v)
}

/// A share: `3%`, `0.03`, `2x` or `+40%` of what it was, `+2points`.
fn share(value: &str, old: f64) -> Result<f64, String> {
    let wrong = || "write a share such as `3%`, or `2x`, `+40%` or `-5points` of stable's".to_owned();
    let new = if let Some(points) = strip_any(value, &["points", "point"]) {
        old + number(points).ok_or_else(wrong)? / 100.0
    } else if let Some(factor) = relative(value) {
        old * factor
    } else {
        match value.strip_suffix('%') {
            Some(percent) => number(percent).ok_or_else(wrong)? / 100.0,
            None => number(value).ok_or_else(wrong)?,
        }
    };
    if (0.0..=1.0).contains(&new) { Ok(new) } else { Err(format!("is {:.2} %; a share is 0 to 100 %", new * 100.0)) }
}

/// A time in milliseconds: `150ms`, `1.2s`, `2x` or `+40%` of what it was, `+20ms`.
fn time(value: &str, old: f64) -> Result<f64, String> {
    let wrong = || "write a time such as `150ms`, or `2x`, `+40%` or `+20ms` of stable's".to_owned();
    let new = if let Some(factor) = relative(value) {
        old * factor
    } else {
        let (text, factor) = match (value.strip_suffix("ms"), value.strip_suffix('s')) {
            (Some(text), _) => (text, 1.0),
            (None, Some(text)) => (text, 1_000.0),
            (None, None) => return Err(wrong()),
        };
        let ms = number(text).ok_or_else(wrong)? * factor;
        if value.starts_with(['+', '-']) { old + ms } else { ms }
    };
    if new > 0.0 && new <= 3_600_000.0 {
        Ok(new)
    } else {
        Err(format!("is {new} ms; a time is above 0 and at most an hour"))
    }
}

/// A number: `0.5`, `512MiB`, `2x` or `+40%` of what it was.
fn plain(value: &str, old: f64) -> Result<f64, String> {
    const UNITS: [(&str, f64); 5] =
        [("KiB", 1024.0), ("MiB", 1_048_576.0), ("GiB", 1_073_741_824.0), ("MB", 1e6), ("GB", 1e9)];
    let unit = UNITS.iter().find_map(|(unit, factor)| Some((value.strip_suffix(unit)?, factor)));
    let new = match (relative(value), unit) {
        (Some(factor), _) => Some(old * factor),
        (None, Some((text, factor))) => number(text).map(|n| n * factor),
        (None, None) => number(value),
    };
    new.ok_or_else(|| "write a number such as `0.5` or `512MiB`, or `2x` or `+40%` of stable's".to_owned())
}

/// `2x` as 2, `+40%` as 1.4, `-10%` as 0.9.
fn relative(value: &str) -> Option<f64> {
    if let Some(factor) = value.strip_suffix('x') {
        return number(factor);
    }
    if value.starts_with(['+', '-']) {
        return Some(1.0 + number(value.strip_suffix('%')?)? / 100.0);
    }
    None
}

fn strip_any<'t>(text: &'t str, ends: &[&str]) -> Option<&'t str> {
    ends.iter().find_map(|end| text.strip_suffix(end))
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|n: &f64| n.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Version {
        read(text, &Version::default()).unwrap()
    }

    #[test]
    fn values_are_absolute_or_relative_to_the_other_version() {
        let t = said("error=3%, p95=+40%,success=-5points");
        assert_eq!((t.error, t.p50_ms), (0.03, 20.0));
        assert!((t.p95_ms - 112.0).abs() < 1e-9 && (t.success - 0.85).abs() < 1e-9, "{t:?}");
        let t = said("conversion=2x,value=+20%");
        assert!((t.conversion - 0.2).abs() < 1e-9 && (t.value - 1.2).abs() < 1e-9, "{t:?}");
        assert!((said("error=2x").error - 0.01).abs() < 1e-12);
        assert!((said("error=+100%").error - 0.01).abs() < 1e-12);
        assert_eq!(said("p95=1.5s").p95_ms, 1_500.0);
        assert_eq!(said("p95=+20ms").p95_ms, 100.0);
        assert_eq!(said("hang=0.5").hang, 0.5);
        assert!((said("cpu=+40%").cpu - 0.7).abs() < 1e-9);
        assert_eq!((said("memory=512MiB").memory, said("custom=-3").custom), (536_870_912.0, -3.0));
    }

    #[test]
    fn a_median_takes_the_rest_along_unless_it_is_named() {
        assert_eq!((said("p50=2x").p50_ms, said("p50=2x").p95_ms), (40.0, 160.0));
        assert_eq!(said("p95=90ms,p50=2x").p95_ms, 90.0);
    }

    #[test]
    fn what_cannot_be_read_is_told_with_a_way_out() {
        for (text, part) in [
            ("eror=3%", "did you mean `error`?"),
            ("error", "no `name=value`"),
            ("error=many", "write a share"),
            ("error=150%", "0 to 100 %"),
            ("p95=40", "write a time"),
            ("p95=10ms", "not below"),
            ("error=60%,timeout=60%", "more than all"),
            ("error=NaN", "write a share"),
            ("p50=-200%", "above 0"),
            ("memory=much", "write a number"),
        ] {
            let reason = read(text, &Version::default()).unwrap_err();
            assert!(reason.contains(part), "{text}: {reason}");
        }
    }
}
