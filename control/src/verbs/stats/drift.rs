//! Has a distribution moved? From counts in the same bins of a reference window and of now.

use headgate_rollout::stats::drift::{Ask, FEWEST_IN_BIN, population_stability, smirnov};
use headgate_rollout::stats::histogram::Histogram;
use serde_json::json;

use super::{input, number, percent, refused};
use crate::answer::{Answer, table};
use crate::chart::{self, Chart, Line};
use crate::cli::drift::Moved;
use crate::exit::{Exit, Failure};

pub(super) fn drift(args: &Moved) -> Result<Answer, Failure> {
    let (names, reference, now) = counts(args)?;
    if let Some(count) = reference.iter().chain(&now).find(|count| count.is_finite() && count.fract() != 0.0) {
        return Err(Failure::new(Exit::Refused, format!("{count} is no count: write how many values lie in each bin")));
    }
    let ask = Ask { alpha: args.alpha, reference_effect: args.design_effect, now_effect: args.design_effect };
    let psi = population_stability(&reference, &now, &ask).map_err(refused)?;
    // Places of bins stand for their edges: the distance only needs their order.
    let edges: Vec<f64> = (1..reference.len()).map(|at| at as f64).collect();
    let ks = match args.classes {
        true => None,
        false => {
            let of = |counts: &[f64]| Histogram::new(edges.clone(), counts.to_vec()).map_err(refused);
            Some(smirnov(&of(&reference)?, &of(&now)?, &ask).map_err(refused)?)
        }
    };
    let (n, m): (f64, f64) = (reference.iter().sum(), now.iter().sum());
    let bins: Vec<Vec<String>> = names
        .iter()
        .zip(reference.iter().zip(&now))
        .map(|(name, (was, is))| vec![name.clone(), number(*was), number(*is), percent(was / n), percent(is / m)])
        .collect();
    let found = [
        ("psi", "population stability index", Some(psi), args.psi),
        ("ks", "Kolmogorov-Smirnov distance", ks, args.ks),
    ];
    let measured = || found.iter().filter_map(|(key, name, found, limit)| Some((*key, *name, (*found)?, *limit)));
    let moved = measured().any(|(_, _, found, limit)| found.moved(limit));
    let said: Vec<String> = measured()
        .map(|(_, name, found, limit)| {
            let (size, noise) = (number(found.size), number(found.noise));
            let verdict = match (found.moved(limit), found.size >= limit) {
                (true, _) => format!(
                    "from {} on it is drift, and chance alone exceeds {noise} in {} of windows only",
                    number(limit),
                    percent(args.alpha)
                ),
                (false, true) => format!("that reaches {}, but chance alone may make {noise}", number(limit)),
                (false, false) => format!("below {}", number(limit)),
            };
            format!("the {name} is {size}: {verdict}")
        })
        .collect();
    let thin = reference.iter().chain(&now).any(|count| *count < FEWEST_IN_BIN * args.design_effect);
    let sentence = format!(
        "{}: {}.{}",
        if moved { "The distribution has moved" } else { "That the distribution has moved is not shown" },
        said.join("; "),
        if thin {
            " Some bins hold fewer than 5 independent values, so what chance makes is a rough figure: put bins together."
        } else {
            ""
        }
    );
    let measures: Vec<_> = measured()
        .map(|(key, _, found, limit)| {
            json!({"measure": key, "size": found.size, "atMost": found.at_most, "limit": limit, "noise": found.noise,
                "p": found.p, "moved": found.moved(limit)})
        })
        .collect();
    let json = json!({"bins": names, "reference": reference, "now": now, "measures": measures, "moved": moved,
        "alpha": args.alpha, "thin": thin, "sentence": sentence});
    let headings = ["bin", "reference", "now", "share then", "share now"];
    if let Some(file) = &args.html {
        let chart = Chart {
            title: "How much lies in each bin, then and now".to_owned(),
            note: "Each bin's share of the reference's values, and of those now.".to_owned(),
            x: (1..=names.len()).map(|i| i as f64).collect(),
            x_label: "bin".to_owned(),
            names: names.clone(),
            percent: true,
            lines: vec![
                Line::plain("reference", reference.iter().map(|count| Some(count / n)).collect()),
                Line::plain("now", now.iter().map(|count| Some(count / m)).collect()),
            ],
            ..Chart::default()
        };
        chart::write(file, &chart::page("Drift", &sentence, &headings, &bins, &[chart]))?;
    }
    let bins = table(&headings, &bins);
    Ok(Answer::done(json, format!("{bins}\n{sentence}")))
}

type Counts = (Vec<String>, Vec<f64>, Vec<f64>);

fn counts(args: &Moved) -> Result<Counts, Failure> {
    let Some(file) = &args.input else {
        if args.reference.len() != args.now.len() {
            let (n, m) = (args.reference.len(), args.now.len());
            return Err(Failure::new(
                Exit::Usage,
                format!("--reference has {n} bins and --now {m}: they are the same bins"),
            ));
        }
        let names = (1..=args.now.len()).map(|at| format!("bin {at}")).collect();
        return Ok((names, args.reference.clone(), args.now.clone()));
    };
    let rows = input::rows(file)?;
    let (mut names, mut reference, mut now) = (Vec::new(), Vec::new(), Vec::new());
    for row in &rows {
        names.push(row.need("bin")?.to_owned());
        reference.push(row.number("reference")?);
        now.push(row.number("now")?);
    }
    Ok((names, reference, now))
}
