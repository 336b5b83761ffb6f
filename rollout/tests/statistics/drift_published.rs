//! Drift against published figures, to at least five significant digits. "scipy" is 1.17.1; the call is named.

use headgate_rollout::stats::Reason;
use headgate_rollout::stats::drift::{self, Ask};
use headgate_rollout::stats::histogram::Histogram;

use crate::published::{close, within};

#[test]
fn drift_of_distributions() {
    // scipy.stats.kstwobign.sf, and SciPy's tests of special.kolmogorov (test_kolmogorov.py).
    for (x, p) in
        [(0.5, 0.9639452437), (0.8, 0.5441424116), (1.0, 0.2699996717), (1.36, 0.04948587676), (2.0, 0.0006709252558)]
    {
        close(drift::kolmogorov_sf(x), p);
    }
    // Kullback 1959, "Information Theory and Statistics", example 2.1 of chapter 1: a binomial (2, .4) and a uniform distribution, whose
    // divergences are .0852996 and .097455 (Wikipedia, "Kullback-Leibler divergence", which also has them as logarithms: (32 ln 2 +
    // 55 ln 3 - 50 ln 5) / 25 and (6 ln 5 - 4 ln 2 - 6 ln 3) / 3). Their sum is Jeffreys' divergence, the index.
    let kullback = drift::psi(&[900.0, 1_200.0, 400.0], &[100.0, 100.0, 100.0]).unwrap();
    within(kullback.size, 0.0852996 + 0.097455, 5e-7);
    let (two, three, five) = (2f64.ln(), 3f64.ln(), 5f64.ln());
    let (there, back) =
        ((32.0 * two + 55.0 * three - 50.0 * five) / 25.0, (6.0 * five - 4.0 * two - 6.0 * three) / 3.0);
    close(kullback.size, there + back);
    // It is the same in either direction.
    close(drift::psi(&[100.0, 100.0, 100.0], &[900.0, 1_200.0, 400.0]).unwrap().size, there + back);
    // SciPy's tests of ks_2samp (test_stats.py, TestKSTwoSamples.testLargeBoth): 10,000 and 11,000 evenly spaced values, D = 563/110,000.
    let spaced = |from: f64, n: u32, less: f64| -> Vec<f64> {
        (0..n).map(|i| from + (200.0 - from) * f64::from(i) / f64::from(n - 1) - less).collect()
    };
    let (x, y) = (spaced(1.0, 10_000, 1.0 / 1.1e8 / 4.0), spaced(2.0, 11_000, 0.0));
    let mut edges: Vec<f64> = x.iter().chain(&y).copied().collect();
    edges.sort_by(f64::total_cmp);
    edges.dedup();
    let counted = |values: &[f64]| {
        let mut counts = vec![0.0; edges.len() + 1];
        values.iter().for_each(|value| counts[edges.partition_point(|edge| edge < value)] += 1.0);
        Histogram::new(edges.clone(), counts).unwrap()
    };
    close(drift::kolmogorov_smirnov(&counted(&x), &counted(&y)).unwrap().size, 563.0 / 110_000.0);
    // By hand: shares .5 .3 .2 against .4 .4 .2 of 1000: -.1 ln .8 + .1 ln(4/3).
    let found = drift::psi(&[500.0, 300.0, 200.0], &[400.0, 400.0, 200.0]).unwrap();
    close(found.size, -0.1 * 0.8f64.ln() + 0.1 * (4f64 / 3.0).ln());
    let histogram = |counts: [f64; 3]| Histogram::new(vec![1.0, 2.0], counts.to_vec()).unwrap();
    let found = drift::kolmogorov_smirnov(&histogram([50.0, 30.0, 20.0]), &histogram([40.0, 40.0, 20.0])).unwrap();
    close(found.size, 0.1);
    close(found.p, drift::kolmogorov_sf(0.1 * 50f64.sqrt()));
    assert!(drift::psi(&[10.0, 0.0, 90.0], &[10.0, 5.0, 85.0]).unwrap().size.is_finite());
    close(drift::decline(0.8, 0.76).unwrap(), 0.05);
    // Fisher 1935: three of four cups of tea told rightly, 17/70; and R's help page of fisher.test, convictions of twins: 0.0004652.
    close(drift::fisher([1, 4], [3, 4]), 17.0 / 70.0);
    within(drift::fisher([2, 17], [10, 13]), 0.0004652, 1e-4);
}

#[test]
fn what_chance_makes_of_drift() {
    // scipy.stats.kstwobign.isf; 1.358 and 1.628 stand in every table of two-sample critical values (Massey 1951).
    for (alpha, x) in
        [(0.1, 1.2238478702), (0.05, 1.3580986393), (0.01, 1.6276236115), (0.001, 1.9494746035), (1e-6, 2.6933861345)]
    {
        close(drift::kolmogorov_isf(alpha), x);
    }
    // scipy.stats.ks_2samp of two samples of 100 with these counts: D = 0.15; kstwobign.sf(D sqrt(50)) = 0.2105516327.
    let histogram = |counts: [f64; 6]| Histogram::new(vec![1.0, 2.0, 3.0, 4.0, 5.0], counts.to_vec()).unwrap();
    let (a, b) = (histogram([12., 18., 25., 20., 15., 10.]), histogram([8., 12., 20., 25., 20., 15.]));
    let found = drift::smirnov(&a, &b, &Ask::at(0.05)).unwrap();
    close(found.size, 0.15);
    close(found.p, 0.2105516327);
    close(found.noise, 1.3580986393 / 50f64.sqrt());
    // Within the fourth bin one sample may have .75 while the other still has .40.
    close(found.at_most, 0.35);
    // Yurdakul and Naranjo 2020: chi-square's quantile times 1/n + 1/m; for ten bins and two thousand values, 16.91897760 * 0.002.
    let flat = [100.0; 10];
    let found = drift::population_stability(&flat, &flat, &Ask::at(0.05)).unwrap();
    close(found.noise, 16.9189776046 * 0.002);
    assert!(found.size.abs() < 1e-12 && !found.moved(0.0));
    let clustered = Ask { reference_effect: 3.0, now_effect: 5.0, ..Ask::at(0.05) };
    close(drift::population_stability(&flat, &flat, &clustered).unwrap().noise, 16.9189776046 * 0.008);
    close(
        (1..=100_000).map(|look| drift::share_of_alpha(0.05, look)).sum::<f64>() + 0.05 * 6.0 / 9.8696044 / 1e5,
        0.05,
    );
}

#[test]
fn bins_hold_a_tenth_each_and_stay_whole() {
    let edges = |n: usize| (1..n).map(|e| e as f64).collect::<Vec<_>>();
    let bins = |counts: &[f64]| {
        let histogram = Histogram::new(edges(counts.len()), counts.to_vec()).unwrap();
        drift::Bins::new(&histogram, 10).map(|bins| bins.counts(&histogram).unwrap())
    };
    assert_eq!(bins(&[1.0; 80]).unwrap(), [8.0; 10]);
    // One bin that holds half of all stays one; what is empty is nobody's bin.
    let half = bins(&[0.0, 50.0, 0.0, 10.0, 10.0, 10.0, 10.0, 10.0, 0.0]).unwrap();
    assert_eq!(half, [50.0, 10.0, 10.0, 10.0, 10.0, 10.0]);
    assert!(matches!(bins(&[0.0, 7.0, 0.0]), Err(Reason::TooFew { .. })));
    assert!(matches!(bins(&[0.0, 0.0]), Err(Reason::NoData(_))));
}
