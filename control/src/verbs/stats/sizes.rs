//! Sample size and power.

use headgate_rollout::stats::fixed::{noninferiority, power};
use serde_json::json;

use super::{number, percent, points, refused};
use crate::answer::{Answer, table};
use crate::chart::{self, Chart, Line};
use crate::cli::stats::Sizes;
use crate::exit::{Exit, Failure};

/// What is to be told apart.
enum Question {
    Rates { a: f64, b: f64 },
    NotWorse { rate: f64, margin: f64 },
    Means { difference: f64, deviation: f64 },
}

fn question(args: &Sizes) -> Result<Question, Failure> {
    let usage = |message: &str| Failure::new(Exit::Usage, message);
    if let (Some(difference), Some(deviation)) = (args.difference, args.deviation) {
        return Ok(Question::Means { difference, deviation });
    }
    let a = args.baseline.ok_or_else(|| usage("--baseline is missing: the rate that is there now"))?;
    match (args.to, args.relative, args.margin) {
        (Some(b), None, None) => Ok(Question::Rates { a, b }),
        (None, Some(relative), None) => Ok(Question::Rates { a, b: a * (1.0 + relative) }),
        (None, None, Some(margin)) => Ok(Question::NotWorse { rate: a, margin }),
        _ => Err(usage("say what is to be told from the baseline: --to RATE, --relative CHANGE or --margin POINTS")),
    }
}

/// The power of a test with so many independent users in each version.
fn power_at(question: &Question, units: f64, args: &Sizes) -> Option<f64> {
    match question {
        Question::Rates { a, b } => power::of_proportions(units, *a, *b, args.alpha, sides(args)).ok(),
        Question::NotWorse { rate, margin } => noninferiority::power(units, *rate, *margin, args.alpha).ok(),
        Question::Means { difference, deviation } => {
            power::of_means(units, *difference, *deviation, args.alpha, sides(args)).ok()
        }
    }
}

/// Power by size, up to twice this one.
fn curve(question: &Question, size: f64, args: &Sizes) -> Result<Chart, Failure> {
    const POINTS: usize = 80;
    let effect = effect(args)?;
    let x: Vec<f64> = (1..=POINTS).map(|i| (2.0 * size * i as f64 / POINTS as f64).max(1.0)).collect();
    Ok(Chart {
        title: "Power by size".to_owned(),
        note: format!("The chance that {} at alpha {}.", words(question), percent(args.alpha)),
        x_label: "in each version".to_owned(),
        percent: true,
        lines: vec![
            Line::plain("power", x.iter().map(|units| power_at(question, units / effect, args)).collect()),
            Line::boundary("asked for", vec![Some(args.power); x.len()]),
        ],
        x,
        ..Chart::default()
    })
}

fn words(question: &Question) -> String {
    match question {
        Question::Rates { a, b } => format!("a rate of {} told from {}", percent(*b), percent(*a)),
        Question::NotWorse { rate, margin } => {
            format!(
                "a rate of {} shown not to be worse by {} or more",
                percent(*rate),
                points(*margin).trim_start_matches('+')
            )
        }
        Question::Means { difference, deviation } => {
            format!("a difference of {} at a standard deviation of {}", number(*difference), number(*deviation))
        }
    }
}

fn sides(args: &Sizes) -> power::Sides {
    if args.one_sided { power::Sides::One } else { power::Sides::Two }
}

fn effect(args: &Sizes) -> Result<f64, Failure> {
    if args.design_effect.is_finite() && args.design_effect >= 1.0 {
        return Ok(args.design_effect);
    }
    Err(Failure::new(Exit::Usage, "--design-effect is at least 1: users who come back never make a variance smaller"))
}

pub(super) fn sample_size(args: &Sizes) -> Result<Answer, Failure> {
    let asked = question(args)?;
    let size = match asked {
        Question::Rates { a, b } => power::size_of_proportions(a, b, args.alpha, args.power, sides(args)),
        Question::NotWorse { rate, margin } => noninferiority::sample_size(rate, margin, args.alpha, args.power),
        Question::Means { difference, deviation } => {
            power::size_of_means(difference, deviation, args.alpha, args.power, sides(args))
        }
    }
    .map_err(refused)?;
    let size = (size * effect(args)?).ceil();
    let days = args.per_day.filter(|per_day| *per_day > 0.0).map(|per_day| 2.0 * size / per_day);
    let mut sentence = format!(
        "{size:.0} in each version, {:.0} in all: {}, with {} power at alpha {}.",
        2.0 * size,
        words(&asked),
        percent(args.power),
        percent(args.alpha)
    );
    if let Some(days) = days {
        sentence
            .push_str(&format!(" At {} a day that takes {days:.1} days.", number(args.per_day.unwrap_or_default())));
    }
    let rows = [
        vec!["in each version".to_owned(), format!("{size:.0}")],
        vec!["in all".to_owned(), format!("{:.0}", 2.0 * size)],
        vec!["days".to_owned(), days.map_or_else(|| "-".to_owned(), |days| format!("{days:.1}"))],
    ];
    let json = json!({"perVersion": size, "inAll": 2.0 * size, "days": days, "alpha": args.alpha, "power": args.power,
        "designEffect": args.design_effect, "sentence": sentence});
    let headings = ["sample", "size"];
    if let Some(file) = &args.html {
        let charts = [curve(&asked, size, args)?];
        chart::write(file, &chart::page("Sample size", &sentence, &headings, &rows, &charts))?;
    }
    Ok(Answer::done(json, format!("{}\n{sentence}", table(&headings, &rows))))
}

pub(super) fn power_of(args: &Sizes) -> Result<Answer, Failure> {
    let asked = question(args)?;
    let units = args.units.ok_or_else(|| Failure::new(Exit::Usage, "--units is missing: users in each version"))?;
    let effective = units / effect(args)?;
    let found = match asked {
        Question::Rates { a, b } => power::of_proportions(effective, a, b, args.alpha, sides(args)),
        Question::NotWorse { rate, margin } => noninferiority::power(effective, rate, margin, args.alpha),
        Question::Means { difference, deviation } => {
            power::of_means(effective, difference, deviation, args.alpha, sides(args))
        }
    }
    .map_err(refused)?;
    let sentence = format!(
        "With {units:.0} in each version, {} is shown in {} of all tests at alpha {}.",
        words(&asked),
        percent(found),
        percent(args.alpha)
    );
    let rows = [vec![format!("{units:.0}"), percent(found)]];
    let json = json!({"power": found, "units": units, "alpha": args.alpha, "designEffect": args.design_effect, "sentence": sentence});
    let headings = ["in each version", "power"];
    if let Some(file) = &args.html {
        let charts = [curve(&asked, units, args)?];
        chart::write(file, &chart::page("Power", &sentence, &headings, &rows, &charts))?;
    }
    Ok(Answer::done(json, format!("{}\n{sentence}", table(&headings, &rows))))
}
