//! Rollout files, good and bad, as people write them.

use super::*;
use crate::cli::init::Strategy;
use crate::init::{Names, starter};

fn read(text: &str) -> Result<Loaded, Failure> {
    of(&Document::parse("r.yaml", text).unwrap(), Path::new("r.yaml"), None)
}

fn findings(text: &str) -> Vec<Finding> {
    read(text).expect_err("this is refused").findings
}

const GOOD: &str = "\
apiVersion: headgate.dev/v1
kind: Rollout
metadata: {name: shop-v2}
spec:
  target: target.yaml
  route: shop
  strategy: {canary: {}}
";

#[test]
fn every_starter_is_a_good_rollout_file() {
    for (strategy, first) in [
        (Strategy::Canary, "1%"),
        (Strategy::BlueGreen, "observe"),
        (Strategy::Shadow, "shadow"),
        (Strategy::Bandit, "bandit"),
        (Strategy::Ab, "test"),
    ] {
        let names = Names { name: "shop-v2", target: "edge/target.yaml", route: "shop", file: "rollout.yaml" };
        let text = starter(strategy, names);
        assert!(!text.contains("{{name}}") && !text.contains("{{file}}"), "{text}");
        let loaded = read(&text).unwrap_or_else(|f| panic!("{strategy:?}: {:#?}", f.findings));
        assert_eq!(loaded.plan.name, "shop-v2");
        assert_eq!(loaded.target_path(), Path::new("edge/target.yaml"));
        if strategy == Strategy::Bandit {
            assert_eq!(loaded.plan.variants(), ["stable", "canary"]);
            continue;
        }
        if strategy == Strategy::Ab {
            let test = loaded.plan.test().unwrap();
            assert_eq!((test.alpha, test.power, test.effect, test.min_per_arm), (0.05, 0.8, 0.02, 1_000));
            assert_eq!(loaded.plan.steps[0].duration_ms, Some(48 * 3_600_000));
            continue;
        }
        assert!(loaded.plan.steps.len() >= 2, "{first}: {:?}", loaded.plan.steps);
        assert!(loaded.plan.steps.iter().any(|s| s.weights.canary == 10_000), "{strategy:?}");
    }
}

/// What the starters say in comments is true too: each commented line that is YAML in its place is checked with its comment
/// sign taken away.
#[test]
fn the_examples_in_comments_are_good_too() {
    let names = Names { name: "shop-v2", target: "target.yaml", route: "shop", file: "rollout.yaml" };
    let text = starter(Strategy::Canary, names);
    let mut seen = 0;
    for example in
        ["# - { shadow:", "# - { weight: 5%", "# - { pause:", "# - { gate:", "# maxWeight:", "# holdLimit:", "# drill:"]
    {
        let line = text.lines().find(|l| l.trim_start().starts_with(example)).unwrap_or_else(|| panic!("no {example}"));
        let mut without = line.replacen("# ", "", 1);
        if let Some(at) = without.find("       #") {
            without.truncate(at);
        }
        let mut changed = text.replacen(line, &without, 1);
        if example.contains("weight: 5%") {
            // It stands for the step after it.
            changed = changed.replacen("        - { weight: 5%, duration: 30m }\n", "", 1);
        }
        if let Err(failure) = read(&changed) {
            panic!("{example}: {:#?}", failure.findings);
        }
        seen += 1;
    }
    assert_eq!(seen, 7);
}

#[test]
fn the_defaults_are_five_steps_of_thirty_minutes() {
    let plan = read(GOOD).unwrap().plan;
    let weights: Vec<u32> = plan.steps.iter().map(|s| s.weights.canary).collect();
    assert_eq!(weights, [100, 500, 2_500, 5_000, 10_000]);
    assert!(plan.steps.iter().all(|s| s.duration_ms == Some(1_800_000)));
}

#[test]
fn structure_and_meaning_are_told_together_each_with_its_line_and_the_way_out() {
    let text = "\
apiVersion: headgate.dev/v2
kind: Rollout
metadata: {name: shop-v2}
spec:
  target: target.yaml
  rout: shop
  route: shop
  strategy:
    canary:
      steps:
        - { weigth: 1% }
        - { weight: 5, duration: 30 }
        - { weight: 25%, duration: 30m, gate: { name: x } }
        - { weight: 100% }
  analysis:
    alpha: 2
    criteria:
      - { metric: errorrate, max: 2% }
      - { metric: latencyP95, max: fast }
  onFail: explode
";
    let found = findings(text);
    let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
    let all = shown.join("\n");
    for line in [
        "r.yaml:1:1 apiVersion: is `headgate.dev/v2`",
        "r.yaml:6:3 spec.rout: unknown field `rout`: did you mean `route`?",
        "r.yaml:11:13 spec.strategy.canary.steps[0].weigth: unknown field `weigth`: did you mean `weight`?",
        "r.yaml:12:13 spec.strategy.canary.steps[1].weight: must be a share",
        "r.yaml:12:24 spec.strategy.canary.steps[1].duration: must be a length of time",
        "r.yaml:13:11 spec.strategy.canary.steps[2]: ",
        "r.yaml:16:5 spec.analysis.alpha: is 2",
        "r.yaml:18:11 spec.analysis.criteria[0].metric: must be one of",
        "r.yaml:19:31 spec.analysis.criteria[1].max: must be an amount",
        "r.yaml:20:3 spec.onFail: must be one of",
    ] {
        assert!(shown.iter().any(|s| s.starts_with(line)), "missing: {line}\nfound:\n{all}");
    }
    assert!(all.contains("did you mean `errorRate`?"), "{all}");
    assert!(found.iter().all(|f| f.snippet.is_some()), "{found:#?}");
    let version = found.iter().find(|f| f.path == "apiVersion").unwrap();
    assert_eq!(version.fix.as_deref(), Some("write `headgate.dev/v1`"));
}

#[test]
fn a_broken_yaml_is_told_with_its_line() {
    let failure = Document::parse("r.yaml", "apiVersion: [\nkind: Rollout\n").unwrap_err();
    assert!(failure.findings[0].line.is_some() && failure.findings[0].snippet.is_some(), "{:?}", failure.findings);
}

#[test]
fn what_can_be_forced_is_refused_with_that_way_out_and_passes_when_forced() {
    let text = GOOD.replace(
        "{canary: {}}",
        "{canary: {steps: [{shadow: {share: 10%, duration: 1h}}, {weight: 100%, duration: 1h}]}}",
    );
    let found = findings(&text);
    assert!(found.iter().any(|f| f.fix.as_deref().is_some_and(|fix| fix.contains("--force --reason"))), "{found:#?}");
    let force = Force { actor: "ana".to_owned(), reason: "the old version is on fire".to_owned() };
    let document = Document::parse("r.yaml", &text).unwrap();
    let plan = of(&document, Path::new("r.yaml"), Some(&force)).unwrap().plan;
    assert!(!plan.forced.is_empty() && plan.forced_because.contains("on fire"), "{plan:?}");
}

#[test]
fn a_rollout_is_told_from_a_plugin_configuration() {
    let is = |text: &str| is_rollout(&Document::parse("x", text).unwrap());
    assert!(is(GOOD));
    assert!(is("apiVersion: headgate.dev/v1\nkind: Rolout\nspec: {}\n"));
    assert!(!is("routes: []\n"));
}

#[test]
fn files_of_providers_are_looked_for_beside_the_rollout_file() {
    let text = format!(
        "{GOOD}  providers: {{truth: {{outcomes: {{file: truth.jsonl}}}}, far: {{outcomes: {{file: /var/far.jsonl}}}}}}\n"
    );
    let document = Document::parse("r.yaml", &text).unwrap();
    let plan = of(&document, Path::new("/etc/rollouts/r.yaml"), None).unwrap().plan;
    let file = |name: &str| plan.providers[name].outcomes.as_ref().unwrap().file.clone().unwrap();
    assert_eq!((file("truth").as_str(), file("far").as_str()), ("/etc/rollouts/truth.jsonl", "/var/far.jsonl"));
}
