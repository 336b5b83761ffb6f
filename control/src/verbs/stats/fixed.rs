//! Tests for one look: proportions, means, ranks.

use headgate_rollout::bandit::Posterior;
use headgate_rollout::stats::bayes::{Mean, Rate};
use headgate_rollout::stats::fixed::intervals::{newcombe, wilson};
use headgate_rollout::stats::fixed::lift::Lift;
use headgate_rollout::stats::fixed::means::{Moments, welch};
use headgate_rollout::stats::fixed::noninferiority;
use headgate_rollout::stats::fixed::proportions::{Proportion, Spread, z_test};
use headgate_rollout::stats::fixed::ranks::{Law, mann_whitney};
use headgate_rollout::stats::fixed::{Alternative, Look};
use serde_json::{Value, json};

use super::{confidence, input, number, percent, points, refused};
use crate::answer::{Answer, table};
use crate::chart::{self, Chart, Line};
use crate::cli::stats::{Two, Values};
use crate::exit::Failure;

fn look(interim: bool) -> Look {
    if interim { Look::Repeated } else { Look::Only }
}

/// What a p-value means, in words.
fn chance(p: f64) -> String {
    format!("p = {}: identical versions show as much in {} of such tests", number(p), percent(p))
}

pub(super) fn proportions(args: &Two) -> Result<Answer, Failure> {
    let (names, a, b) = match (&args.input, args.counts.as_slice()) {
        (Some(file), _) => {
            let rows = input::rows(file)?;
            input::one_epoch(&rows)?;
            let names = input::two(&rows, args.baseline.as_deref())?;
            let [a, b] = &names;
            let (a, b) = (input::proportion(&rows, a)?, input::proportion(&rows, b)?);
            (names, a, b)
        }
        (None, [a, b]) => (["A".to_owned(), "B".to_owned()], input::ratio(a)?, input::ratio(b)?),
        (None, _) => return Err(Failure::new(crate::exit::Exit::Usage, "two counts are compared: EVENTS/UNITS twice")),
    };
    let test = z_test(a, b, Spread::Pooled, Alternative::TwoSided, look(args.interim)).map_err(refused)?;
    let [low, high] = newcombe(a, b, args.alpha).map_err(refused)?;
    let lift = Lift::of_proportions(a, b).and_then(|lift| Ok((lift.value, lift.interval(args.alpha)?)));
    let choice = Rate::choose(
        &Rate::new(a.events, a.units, 1.0).map_err(refused)?,
        &Rate::new(b.events, b.units, 1.0).map_err(refused)?,
    );
    let [of_a, of_b] = &names;
    let (rate_a, rate_b) = (a.rate(), b.rate());
    let row = |name: &str, of: Proportion| {
        let [low, high] = wilson(of, args.alpha).map_err(refused)?;
        Ok::<_, Failure>(vec![
            name.to_owned(),
            number(of.events),
            number(of.units),
            percent(of.rate()),
            percent(low),
            percent(high),
        ])
    };
    let rows = [row(of_a, a)?, row(of_b, b)?];
    let sure = confidence(args.alpha);
    let mut sentence = format!(
        "{of_b} has {} where {of_a} has {}: {} ({sure} interval {} to {}); {}.",
        percent(rate_b),
        percent(rate_a),
        points(rate_b - rate_a),
        points(low),
        points(high),
        chance(test.p)
    );
    let relative = match &lift {
        Ok((value, [low, high])) => {
            sentence.push_str(&format!(
                " Relative: {:+.2} % ({:+.2} to {:+.2} %).",
                value * 100.0,
                low * 100.0,
                high * 100.0
            ));
            json!({"value": value, "low": low, "high": high})
        }
        Err(reason) => json!({"reason": reason.to_string()}),
    };
    sentence.push_str(&format!(" The chance that {of_b}'s rate is higher is {}.", percent(choice.chance_to_win)));
    let mut not_worse = Value::Null;
    if let Some(margin) = args.margin {
        let test = noninferiority::rates(a, b, margin, look(args.interim)).map_err(refused)?;
        let verdict = if test.p <= args.alpha { "It is shown" } else { "It is not shown" };
        sentence.push_str(&format!(
            " {verdict} that {of_b}'s rate is less than {} above {of_a}'s (p = {}, one-sided).",
            points(margin).trim_start_matches('+'),
            number(test.p)
        ));
        not_worse = json!({"margin": margin, "z": test.statistic, "p": test.p, "shown": test.p <= args.alpha});
    }
    let json = json!({
        "a": {"name": of_a, "events": a.events, "units": a.units, "rate": rate_a},
        "b": {"name": of_b, "events": b.events, "units": b.units, "rate": rate_b},
        "difference": rate_b - rate_a, "low": low, "high": high, "z": test.statistic, "p": test.p, "relative": relative,
        "chanceHigher": choice.chance_to_win, "notWorse": not_worse, "alpha": args.alpha, "sentence": sentence,
    });
    let headings = ["variant", "events", "units", "rate", "low", "high"];
    if let Some(file) = &args.html {
        let known = |name: &String, of: Proportion| {
            Ok::<_, Failure>((name.clone(), Posterior::Rate(Rate::new(of.events, of.units, 1.0).map_err(refused)?)))
        };
        let charts = [chart::densities("What is known of both rates", true, &[known(of_a, a)?, known(of_b, b)?])];
        chart::write(file, &chart::page("Two proportions", &sentence, &headings, &rows, &charts))?;
    }
    Ok(Answer::done(json, format!("{}\n{sentence}", table(&headings, &rows))))
}

/// Two versions and their values.
struct Sets {
    of_a: String,
    of_b: String,
    a: Vec<f64>,
    b: Vec<f64>,
}

fn two_sets(args: &Values) -> Result<Sets, Failure> {
    let rows = input::rows(&args.input)?;
    input::one_epoch(&rows)?;
    let names = input::two(&rows, args.baseline.as_deref())?;
    let [of_a, of_b] = names;
    Ok(Sets { a: input::values(&rows, &of_a)?, b: input::values(&rows, &of_b)?, of_a, of_b })
}

pub(super) fn means(args: &Values) -> Result<Answer, Failure> {
    let Sets { of_a, of_b, a, b } = two_sets(args)?;
    let (a, b) = (Moments::of(&a).map_err(refused)?, Moments::of(&b).map_err(refused)?);
    let (test, [low, high]) = welch(a, b, args.alpha, Alternative::TwoSided, look(args.interim)).map_err(refused)?;
    let row = |name: &str, of: Moments| {
        vec![name.to_owned(), number(of.n), number(of.mean), number(of.variance.sqrt()), number(of.error().sqrt())]
    };
    let sentence = format!(
        "{of_b}'s mean is {} where {of_a}'s is {}: {:+.5} ({} interval {} to {}); {}.",
        number(b.mean),
        number(a.mean),
        b.mean - a.mean,
        confidence(args.alpha),
        number(low),
        number(high),
        chance(test.p)
    );
    let side = |name: &str, of: Moments| json!({"name": name, "n": of.n, "mean": of.mean, "variance": of.variance});
    let json = json!({"a": side(&of_a, a), "b": side(&of_b, b), "difference": b.mean - a.mean, "low": low, "high": high,
        "t": test.statistic, "df": test.df, "p": test.p, "alpha": args.alpha, "sentence": sentence});
    let rows = [row(&of_a, a), row(&of_b, b)];
    let headings = ["variant", "values", "mean", "deviation", "standard error"];
    if let Some(file) = &args.html {
        let known = |name: &String, of: Moments| {
            let mean = Mean::new(of.mean, of.error().sqrt(), None).map_err(refused)?;
            Ok::<_, Failure>((name.clone(), Posterior::Mean(mean)))
        };
        let charts = [chart::densities("What is known of both means", false, &[known(&of_a, a)?, known(&of_b, b)?])];
        chart::write(file, &chart::page("Two means", &sentence, &headings, &rows, &charts))?;
    }
    Ok(Answer::done(json, format!("{}\n{sentence}", table(&headings, &rows))))
}

pub(super) fn ranks(args: &Values) -> Result<Answer, Failure> {
    let Sets { of_a, of_b, mut a, mut b } = two_sets(args)?;
    let test = mann_whitney(&mut a, &mut b, Law::Auto, Alternative::TwoSided, look(args.interim)).map_err(refused)?;
    let pairs = a.len() as f64 * b.len() as f64;
    let higher = 1.0 - test.statistic / pairs;
    // Sorted by now.
    let median = |values: &[f64]| {
        let at = |i: usize| values.get(i).copied().unwrap_or_default();
        0.5 * (at(values.len() / 2) + at((values.len() - 1) / 2))
    };
    let sentence = format!(
        "A value of {of_b} is higher than one of {of_a} in {} of all pairs (ties half); {}.",
        percent(higher),
        chance(test.p)
    );
    let row = |name: &str, values: &[f64]| vec![name.to_owned(), values.len().to_string(), number(median(values))];
    let rows = [row(&of_a, &a), row(&of_b, &b)];
    let json = json!({"a": {"name": of_a, "n": a.len(), "median": median(&a)}, "b": {"name": of_b, "n": b.len(), "median": median(&b)},
        "u": test.statistic, "p": test.p, "shareHigher": higher, "alpha": args.alpha, "sentence": sentence});
    let headings = ["variant", "values", "median"];
    if let Some(file) = &args.html {
        let charts = [distributions([(&of_a, &a), (&of_b, &b)])];
        chart::write(file, &chart::page("Ranks", &sentence, &headings, &rows, &charts))?;
    }
    Ok(Answer::done(json, format!("{}\n{sentence}", table(&headings, &rows))))
}

/// For each per cent of the values, up to which value it reaches: of both, sorted.
fn distributions(sets: [(&String, &Vec<f64>); 2]) -> Chart {
    const PARTS: usize = 200;
    let line = |(name, values): (&String, &Vec<f64>)| {
        let last = values.len().saturating_sub(1);
        Line::plain(name.clone(), (0..=PARTS).map(|i| values.get(i * last / PARTS).copied()).collect())
    };
    Chart {
        title: "Values by their rank".to_owned(),
        note: "Of each version, the value below which so many per cent of its values lie.".to_owned(),
        x: (0..=PARTS).map(|i| 100.0 * i as f64 / PARTS as f64).collect(),
        x_label: "per cent of the values".to_owned(),
        lines: sets.map(line).to_vec(),
        ..Chart::default()
    }
}
