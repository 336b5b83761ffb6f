//! Published figures, to at least five significant digits. "statsmodels" and "scipy" are 0.15.0 and 1.17.1; the call is named.

use headgate_rollout::stats::Reason;
use headgate_rollout::stats::bayes::{Mean, Rate};
use headgate_rollout::stats::fixed::intervals::{newcombe, wilson};
use headgate_rollout::stats::fixed::lift::Lift;
use headgate_rollout::stats::fixed::means::{Moments, welch};
use headgate_rollout::stats::fixed::power::{self, Sides};
use headgate_rollout::stats::fixed::proportions::{Proportion, Spread, z_test};
use headgate_rollout::stats::fixed::ranks::{Law, mann_whitney};
use headgate_rollout::stats::fixed::{Alternative, Look, noninferiority, tables};
use headgate_rollout::stats::multiple::{benjamini_hochberg, e_benjamini_hochberg, holm};
use headgate_rollout::stats::normal;
use headgate_rollout::stats::segments::{Pair, Reversal, breslow_day, mantel_haenszel, reversal};
use headgate_rollout::stats::sequential::spending::{Spending, bounds};
use headgate_rollout::stats::sequential::{confidence, msprt, multinomial};

/// Equal to six significant digits, or to as many as `expected` is written with.
#[track_caller]
pub(crate) fn close(found: f64, expected: f64) {
    within(found, expected, 1e-6);
}

#[track_caller]
pub(crate) fn within(found: f64, expected: f64, relative: f64) {
    assert!((found - expected).abs() <= relative * expected.abs(), "{found} instead of {expected}");
}

fn of(events: f64, units: f64) -> Proportion {
    Proportion { events, units }
}

#[test]
fn tails_of_the_normal_distribution() {
    // scipy.stats.norm.isf(1e-10), isf(5e-4), logcdf(-40), logcdf(-30.5)
    close(normal::isf(1e-10), 6.361340902);
    close(normal::isf(5e-4), 3.290526731);
    close(normal::ln_cdf(-40.0), -804.608442);
    close(normal::ln_cdf(-30.5), -469.4627373);
    // norm.isf(t.sf(4, 31)) and (8, 31): Wallace's approximation is good to 0.5 % of z.
    within(normal::from_t(4.0, 31.0), 3.563957553, 0.005);
    within(normal::from_t(8.0, 31.0), 5.849171886, 0.005);
    within(normal::from_t(3.0, 5.0), 2.168781875, 0.005);
    close(normal::to_t(normal::from_t(7.5, 9.0), 9.0), 7.5);
}

#[test]
fn two_proportions() {
    let (a, b) = (of(90.0, 980.0), of(120.0, 1000.0));
    // statsmodels proportions_ztest([120, 90], [1000, 980]); test_proportions_2indep(.., method="wald")
    let pooled = z_test(a, b, Spread::Pooled, Alternative::TwoSided, Look::Only).unwrap();
    close(pooled.statistic, 2.034849805);
    close(pooled.p, 0.04186598796);
    let wald = z_test(a, b, Spread::Unpooled, Alternative::TwoSided, Look::Only).unwrap();
    close(wald.statistic, 2.039398719);
    close(wald.p, 0.04141025019);
    let one = z_test(a, b, Spread::Pooled, Alternative::Greater, Look::Only).unwrap();
    close(one.p, 0.04186598796 / 2.0);
    assert_eq!(z_test(a, b, Spread::Pooled, Alternative::Greater, Look::Repeated), Err(Reason::Peeking));
}

#[test]
fn intervals_of_newcombe_1998() {
    // Table I of "Two-sided confidence intervals for the single proportion", method 3, with more digits by statsmodels
    // proportion_confint(method="wilson").
    for (events, units, low, high) in [
        (81.0, 263.0, 0.2552885199, 0.366209577),
        (15.0, 148.0, 0.06238639953, 0.1604872417),
        (0.0, 20.0, 0.0, 0.1611251581),
        (1.0, 29.0, 0.006113214293, 0.1717552188),
    ] {
        let [found_low, found_high] = wilson(of(events, units), 0.05).unwrap();
        close(found_low, low);
        close(found_high, high);
    }
    // Table II of "Interval estimation for the difference", method 10: contrasts (a) 56/70-48/80, (d) 9/10-3/10, (h) 10/10-0/20;
    // statsmodels confint_proportions_2indep(method="newcomb").
    for (b, a, low, high) in [
        ((56.0, 70.0), (48.0, 80.0), 0.0524314724, 0.333872654),
        ((9.0, 10.0), (3.0, 10.0), 0.1705227239, 0.8090179735),
        ((10.0, 10.0), (0.0, 20.0), 0.6790860371, 1.0),
    ] {
        let [found_low, found_high] = newcombe(of(a.0, a.1), of(b.0, b.1), 0.05).unwrap();
        close(found_low, low);
        close(found_high, high);
    }
}

#[test]
fn welch_on_textbook_data() {
    // Student's sleep data (R's `sleep`): R and scipy.stats.ttest_ind(equal_var=False).
    let first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0];
    let second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4];
    let (a, b) = (Moments::of(&second).unwrap(), Moments::of(&first).unwrap());
    let (test, [low, high]) = welch(a, b, 0.05, Alternative::TwoSided, Look::Only).unwrap();
    close(test.statistic, -1.860813467);
    close(test.df, 17.77647352);
    close(test.p, 0.07939414019);
    close(low, -3.365483231);
    close(high, 0.2054832307);
    // The first example of Wikipedia's article on Welch's test: scipy as above.
    let a = Moments::new(15.0, 22.986666666666668, 3.812666666666667).unwrap();
    let b = Moments::new(15.0, 20.82, 7.867428571428572).unwrap();
    let (test, [low, high]) = welch(a, b, 0.05, Alternative::TwoSided, Look::Only).unwrap();
    close(test.statistic, -2.455356398);
    close(test.df, 24.98852929);
    close(test.p, 0.02137800146);
    close(low, -3.984096267);
    close(high, -0.3492370662);
    let sums = Moments::from_sums(10.0, first.iter().sum(), first.iter().map(|x| x * x).sum()).unwrap();
    close(sums.variance, Moments::of(&first).unwrap().variance);
}

#[test]
fn ranks() {
    // Hollander and Wolfe 1973, p. 69 (R's help of wilcox.test: W = 35, p = 0.1272), scipy.stats.mannwhitneyu(method="exact").
    let x = || [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46];
    let y = || [1.15, 0.88, 0.90, 0.74, 1.21];
    for (alternative, p) in
        [(Alternative::TwoSided, 0.2544122544), (Alternative::Less, 0.1272061272), (Alternative::Greater, 0.8967698968)]
    {
        let found = mann_whitney(&mut x(), &mut y(), Law::Auto, alternative, Look::Only).unwrap();
        assert_eq!(found.statistic, 35.0);
        close(found.p, p);
    }
    // With ties: the sleep data, with and without continuity correction.
    let first = || [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0];
    let second = || [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4];
    for (law, p) in [
        (Law::Auto, 0.06932757543),
        (Law::Normal { continuity: true }, 0.06932757543),
        (Law::Normal { continuity: false }, 0.06372225016),
    ] {
        let found = mann_whitney(&mut first(), &mut second(), law, Alternative::TwoSided, Look::Only).unwrap();
        assert_eq!(found.statistic, 25.5);
        close(found.p, p);
    }
    assert!(matches!(
        mann_whitney(&mut first(), &mut second(), Law::Exact, Alternative::TwoSided, Look::Only),
        Err(Reason::OutOfRange { .. })
    ));
    // scipy's documentation: males and females.
    let (males, females) = (|| [19.0, 22.0, 16.0, 29.0, 24.0], || [20.0, 11.0, 17.0, 12.0]);
    for (law, p) in [
        (Law::Exact, 0.1111111111),
        (Law::Normal { continuity: true }, 0.1113468865),
        (Law::Normal { continuity: false }, 0.08641073297),
    ] {
        let found = mann_whitney(&mut males(), &mut females(), law, Alternative::TwoSided, Look::Only).unwrap();
        assert_eq!(found.statistic, 17.0);
        within(found.p, p, 1e-8);
    }
}

#[test]
fn chi_square() {
    // Agresti 2007, table 2.5 (party and gender; R's help of chisq.test): scipy.stats.chi2_contingency.
    let found = tables::independence(&[&[762.0, 327.0, 468.0], &[484.0, 239.0, 477.0]], false, Look::Only).unwrap();
    close(found.statistic, 30.0701491);
    close(found.p, 2.953589183e-07);
    let found = tables::independence(&[&[10.0, 20.0], &[30.0, 15.0]], true, Look::Only).unwrap();
    close(found.statistic, 6.752232143);
    close(found.p, 0.009363047638);
    // scipy.stats.chisquare's documentation; then the sample ratio checker of lukasvermeer.nl/srm.
    let found = tables::agreement(&[16.0, 18.0, 16.0, 14.0, 12.0, 12.0], &[1.0; 6], Look::Only).unwrap();
    close(found.statistic, 2.0);
    close(found.p, 0.8491450361);
    close(tables::agreement(&[600.0, 400.0], &[1.0, 1.0], Look::Only).unwrap().p, 2.539628589e-10);
    close(tables::agreement(&[502.0, 498.0], &[0.5, 0.5], Look::Only).unwrap().p, 0.8993431886);
}

#[test]
fn power_and_sample_size() {
    // R's help of power.prop.test.
    close(power::of_proportions(50.0, 0.5, 0.75, 0.05, Sides::Two).unwrap(), 0.7401659);
    within(power::size_of_proportions(0.5, 0.75, 0.05, 0.9, Sides::Two).unwrap(), 76.7, 5e-4);
    within(power::size_of_proportions(0.5, 0.75, 0.05, 0.9, Sides::Two).unwrap(), 76.707, 1e-5);
    close(power::of_proportions(50.0, 0.5, 0.802_630_581_8, 0.05, Sides::Two).unwrap(), 0.9);
    // Evan Miller's calculator, as it rounds.
    assert_eq!(power::size_from_first_rate(0.20, 0.25, 0.05, 0.8, Sides::Two).unwrap().round(), 1030.0);
    within(power::size_from_first_rate(0.20, 0.25, 0.05, 0.8, Sides::Two).unwrap(), 1030.2, 5e-5);
    assert_eq!(power::size_from_first_rate(0.05, 0.06, 0.05, 0.8, Sides::Two).unwrap().round(), 7663.0);
    assert_eq!(power::size_from_first_rate(0.05, 0.08, 0.05, 0.8, Sides::Two).unwrap().round(), 894.0);
    // statsmodels proportion_effectsize(.105, .10), NormalIndPower().solve_power: per arm, the factor 2 is in (it adds the far tail: 2e-6).
    let h = power::cohen_h(0.10, 0.105);
    close(h, 0.01648622059);
    within(power::size_of_effect(h, 0.05, 0.8, Sides::Two).unwrap(), 57755.63901, 5e-6);
    // R's help of power.t.test: power 0.8689528, n 22.02110 (two-sided); statsmodels TTestIndPower 17.84712 (one-sided).
    close(power::of_means(20.0, 1.0, 1.0, 0.05, Sides::Two).unwrap(), 0.8689528017);
    close(power::size_of_means(1.0, 1.0, 0.05, 0.9, Sides::Two).unwrap(), 22.021_10);
    close(power::size_of_means(1.0, 1.0, 0.05, 0.9, Sides::One).unwrap(), 17.84712048);
    // R: power.t.test(delta = .5, power = .8) gives n = 63.76576 (strict = FALSE, without the far tail).
    within(power::size_of_means(0.5, 1.0, 0.05, 0.8, Sides::Two).unwrap(), 63.76576, 2e-7);
    // Kayenta's tests.
    let (a, b) = (
        Moments::of(&[1.0, 1.0, 1.0, 2.0, 2.0, 2.0]).unwrap(),
        Moments::of(&[5.0, 5.0, 5.0, 10.0, 10.0, 10.0]).unwrap(),
    );
    within(power::cohen_d(a, b).unwrap(), 3.03821, 3e-6);
}

#[test]
fn non_inferiority() {
    // The cubic of Farrington and Manning by numpy.roots, confirmed by maximising the likelihood with scipy.optimize.minimize_scalar.
    // (statsmodels 0.15.0, test_proportions_2indep(method="score"), stops short of the maximum: 3.1178 for the first.)
    for (b, a, margin, z, p) in [
        ((83.0, 100.0), (69.0, 76.0), 0.1, 3.131778846, 0.0008687535099),
        ((30.0, 400.0), (25.0, 380.0), 0.05, 2.165253492, 0.01518413893),
        ((0.0, 50.0), (0.0, 50.0), 0.1, 2.357022604, 0.009211062727),
        ((12.0, 300.0), (12.0, 300.0), 0.02, 1.218959603, 0.1114297628),
    ] {
        let found = noninferiority::rates(of(a.0, a.1), of(b.0, b.1), margin, Look::Only).unwrap();
        close(found.statistic, z);
        close(found.p, p);
    }
    // Blackwelder's formula by hand: (1.644854 + 0.841621)^2 * 2 * 0.05 * 0.95 / 0.02^2.
    within(noninferiority::sample_size(0.05, 0.02, 0.05, 0.8).unwrap(), 1468.357, 1e-6);
}

#[test]
fn repeated_looks() {
    // GrowthBook's gbstats tests: sequential relative lift of 1396/3000 against 2422/3461, N* = 5000.
    let lift = Lift::of_proportions(of(1396.0, 3000.0), of(2422.0, 3461.0)).unwrap();
    let rho = confidence::tuning(0.05, 5000.0).unwrap();
    let [low, high] = confidence::interval(lift.value, lift.variance.sqrt(), 6461.0, rho, 0.05).unwrap();
    within(lift.value, 0.50386, 1e-5);
    within(low, 0.40098, 1e-5);
    within(high, 0.60675, 1e-5);
    // R package mixtureSPRT: tau for horizons of 10000 and 200.
    within(msprt::best_variance(0.05, 1.0, 10_000.0).unwrap().sqrt(), 0.277777, 2e-6);
    within(msprt::best_variance(0.05, 1.0, 200.0).unwrap().sqrt(), 0.799948, 2e-6);
    // At its half width the difference has exactly the p-value alpha.
    let half = msprt::half_width(0.3, 0.5, 0.05).unwrap();
    close(msprt::p(half, 0.3, 0.5).unwrap(), 0.05);
}

#[test]
fn spending_bounds() {
    // Five equal looks, two-sided 0.05: DeMets and Lan 1994 and the R package ldbounds print O'Brien-Fleming 4.8769 3.3569 2.6803 2.2898
    // 2.0310 and Pocock 2.4380 2.4268 2.4101 2.3966 2.3859, from a coarser grid: right to 1.1e-4. The digits here are from a recursion
    // of Gauss-Legendre rules of 600 points (numpy), whose second bound scipy.integrate.quad confirms to 12 digits.
    let looks = [0.2, 0.4, 0.6, 0.8, 1.0];
    for (spending, expected, printed) in [
        (
            Spending::OBrienFleming,
            [4.876884948790762, 3.3570119215746366, 2.6802800645449825, 2.289816767711945, 2.031032043310048],
            [4.8769, 3.3569, 2.6803, 2.2898, 2.0310],
        ),
        (
            Spending::Pocock,
            [2.437976688050011, 2.4268138581501066, 2.4101938402713183, 2.396645400648732, 2.385984571622549],
            [2.4380, 2.4268, 2.4101, 2.3966, 2.3859],
        ),
    ] {
        let found = bounds(&looks, 0.05, spending, true).unwrap();
        for ((bound, expected), printed) in found.iter().zip(expected).zip(printed) {
            within(*bound, expected, 1e-9);
            assert!((bound - printed).abs() < 1.5e-4, "{found:?}");
        }
    }
    // Looks that lie close together, by the same recursion of 4,000 points a look (numpy).
    for (looks, alpha, spending, two_sided, expected) in [
        (
            [0.15, 0.43, 0.43002, 0.82],
            0.05,
            Spending::Pocock,
            false,
            [2.274568512558, 2.070375971991, 2.086178162113, 1.970527752159],
        ),
        (
            [0.1, 0.3, 0.301, 0.9],
            0.01,
            Spending::OBrienFleming,
            true,
            [8.799158954365, 4.992725563943, 5.027133369788, 2.738336744229],
        ),
    ] {
        let found = bounds(&looks, alpha, spending, two_sided).unwrap();
        for (bound, expected) in found.iter().zip(expected) {
            within(*bound, expected, 1e-9);
        }
    }
    // One look spends all of alpha.
    close(bounds(&[1.0], 0.05, Spending::Pocock, true).unwrap()[0], 1.959963985);
    assert!(bounds(&[0.5, 0.5], 0.05, Spending::Pocock, true).is_err());
}

#[test]
fn counts_in_categories() {
    // arXiv 2011.03567, eq. 5, by scipy.special.gammaln.
    close(multinomial::p(&[600.0, 400.0], &[1.0, 1.0]).unwrap(), 4.638541982e-08);
    close(multinomial::ln_bayes_factor(&[10.0, 20.0, 35.0], &[1.0; 3], &[0.2, 0.3, 0.5]).unwrap(), -3.033595765);
    // A gamma mixture of shape 1 by hand: 3 events, exposure 1, rate 1: integral of x^3 e^-x e^-(x-1) dx = e * 3! / 2^4.
    close(multinomial::ln_poisson(3.0, 1.0, 1.0, 1.0).unwrap(), (std::f64::consts::E * 6.0 / 16.0).ln());
}

#[test]
fn several_tests() {
    // Benjamini and Hochberg 1995, section 3.1: 15 p-values; statsmodels multipletests.
    let p = [
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590,
        1.0,
    ];
    let found = benjamini_hochberg(&p).unwrap();
    assert_eq!(found.iter().filter(|p| **p <= 0.05).count(), 4, "as in the paper");
    for (found, expected) in found.iter().zip([
        0.0015,
        0.003,
        0.0095,
        0.035625,
        0.0603,
        0.0638571429,
        0.0638571429,
        0.0645,
        0.0765,
        0.486,
        0.5811818182,
        0.714875,
        0.7532307692,
        0.8132142857,
        1.0,
    ]) {
        close(*found, expected);
    }
    for (found, expected) in
        holm(&p).unwrap().iter().zip([0.0015, 0.0056, 0.0247, 0.114, 0.2211, 0.278, 0.278, 0.278, 0.3213, 1.0])
    {
        close(*found, expected);
    }
    // In the order given.
    for (found, expected) in holm(&[0.01, 0.04, 0.03, 0.005]).unwrap().iter().zip([0.03, 0.06, 0.06, 0.02]) {
        close(*found, expected);
    }
    assert_eq!(e_benjamini_hochberg(&[4.0, 2.0, 0.0, 4.2], 0.05), [true, false, false, true]);
    assert!(matches!(holm(&[0.5, 1.5]), Err(Reason::NotAProbability { .. })));
}

#[test]
fn segments_of_a_mixture() {
    // Kohavi's ramp: Friday 1 % on B, Saturday half.
    let ramp = [
        Pair { a: of(20_000.0, 990_000.0), b: of(230.0, 10_000.0) },
        Pair { a: of(5_000.0, 500_000.0), b: of(6_000.0, 500_000.0) },
    ];
    let found = mantel_haenszel(&ramp, 0.05).unwrap();
    within(found.pooled, 0.725, 1e-3);
    close(found.odds_ratio, 1.197981541);
    close(found.interval[0], 1.15533496);
    close(found.interval[1], 1.242202325);
    let Reversal::Reversed { text, .. } = reversal(&ramp, 0.05, ["stable", "canary", "days"]).unwrap() else {
        panic!("not reversed")
    };
    assert!(text.contains("lower rate than stable") && text.contains("within the days it is higher"), "{text}");
    // Admissions at Berkeley, 1973 (R's UCBAdmissions; mantelhaen.test, statsmodels StratifiedTable).
    let berkeley: Vec<Pair> = [
        [512.0, 313.0, 89.0, 19.0],
        [353.0, 207.0, 17.0, 8.0],
        [120.0, 205.0, 202.0, 391.0],
        [138.0, 279.0, 131.0, 244.0],
        [53.0, 138.0, 94.0, 299.0],
        [22.0, 351.0, 24.0, 317.0],
    ]
    .iter()
    .map(|[a, b, c, d]| Pair { b: of(*a, a + b), a: of(*c, c + d) })
    .collect();
    let found = mantel_haenszel(&berkeley, 0.05).unwrap();
    close(found.odds_ratio, 0.9046968283);
    close(found.interval[0], 0.7719073618);
    close(found.interval[1], 1.060329764);
    close(found.error, 0.08098890966);
    close(found.chi_square, 1.52460666);
    close(found.pooled, 1.841080037);
    let (chi, df, p) = breslow_day(&berkeley, found.odds_ratio).unwrap();
    close(chi, 18.82551371);
    assert_eq!(df, 5.0);
    close(p, 0.00207139035);
    // Pooled far above 1, within below it but not certain: no reversal is claimed.
    assert_eq!(reversal(&berkeley, 0.05, ["women", "men", "departments"]).unwrap(), Reversal::None);
}

#[test]
fn bayesian() {
    // Evan Miller's closed form: Beta(121, 81) for B, Beta(101, 101) for A; losses by scipy.integrate.quad.
    let (a, b) = (Rate { a: 101.0, b: 101.0 }, Rate { a: 121.0, b: 81.0 });
    let found = Rate::choose(&a, &b);
    close(found.chance_to_win, 0.9775863633);
    close(found.loss_of_b, 0.0004131639537);
    close(found.loss_of_a, 0.09942306494);
    // Beta(1, 1) priors, 49 and 51 of 100: quad over scipy.stats.beta.
    let (a, b) = (Rate::new(49.0, 100.0, 1.0).unwrap(), Rate::new(51.0, 100.0, 1.0).unwrap());
    let found = Rate::choose(&a, &b);
    close(found.chance_to_win, 0.6107705227);
    close(found.loss_of_b, 0.0191164612);
    close(found.loss_of_a, 0.03872430434);
    let [low, high] = b.interval(0.05).unwrap();
    close(low, 0.4132834747);
    close(high, 0.6059600395);
    let [low, high] = Rate { a: 3.5, b: 7.25 }.interval(0.05).unwrap();
    close(low, 0.0953269323506);
    close(high, 0.616849205929);
    // Poles at 0: Beta(0.5, 10.5) against Beta(3.5, 7.5); and a small difference among many.
    close(Rate::choose(&Rate { a: 0.5, b: 10.5 }, &Rate { a: 3.5, b: 7.5 }).chance_to_win, 0.9762504912);
    // GrowthBook's gbstats tests: 49 of 100 against 51 of 100, flat prior, relative effect as normal: .60918.
    let lift = Lift::of_proportions(of(49.0, 100.0), of(51.0, 100.0)).unwrap();
    let posterior = Mean::new(lift.value, lift.variance.sqrt(), None).unwrap();
    let nothing = Mean { mean: 0.0, deviation: 0.0 };
    within(Mean::choose(&nothing, &posterior).chance_to_win, 0.60918, 1e-5);
    // Gelman et al. 2013, eq. 2.12 by hand: prior N(0, 1), estimate 2 with error 1.
    let mean = Mean::new(2.0, 1.0, Some(Mean { mean: 0.0, deviation: 1.0 })).unwrap();
    close(mean.mean, 1.0);
    close(mean.deviation, 0.5f64.sqrt());
}
