//! What a bandit's arms earn, and policies against each other.

use std::fmt::Write as _;

use serde_json::Value;

use crate::{close, stats};

/// Two epochs of 32 buckets: in the second, A has a tenth of the users. Everybody's rewards are as they were.
fn epochs() -> String {
    let mut rows = "epoch,variant,weight,bucket,units,total\n".to_owned();
    for bucket in 0..32 {
        let more = bucket % 4;
        writeln!(rows, "1,a,5000,{bucket},100,{}", 9 + more).unwrap();
        writeln!(rows, "1,b,5000,{bucket},100,{}", 19 + more).unwrap();
        writeln!(rows, "2,a,1000,{bucket},20,2").unwrap();
        writeln!(rows, "2,b,9000,{bucket},180,{}", 36 + more).unwrap();
    }
    rows
}

#[test]
fn what_each_arm_earns_by_weight_epoch() {
    let (code, found) = stats(&["adaptive", "--input", "-"], &epochs());
    assert_eq!(code, 0, "{found}");
    let [a, b] = found["variants"].as_array().unwrap().as_slice() else { panic!("{found}") };
    // By hand: A scores .105 in the first epoch, and .1 in the second with its mean so far as control; weights sqrt(.5) and sqrt(.1) times the units.
    let (first, second) = (0.5f64.sqrt() * 200.0, 0.1f64.sqrt() * 200.0);
    close(&a["value"], (first * 0.105 + second * (0.105 + (2.0 - 0.105 * 20.0) / 0.1 / 200.0)) / (first + second));
    let (low, high) = (b["lead"]["low"].as_f64().unwrap(), b["lead"]["high"].as_f64().unwrap());
    assert!(low > 0.0 && high < 0.2, "{found}");
    assert!(found["sentence"].as_str().unwrap().contains("b earns more than a"), "{found}");
    // The other way round, and at every look: wider.
    let (_, turned) = stats(&["adaptive", "--input", "-", "--baseline", "b", "--looks", "100"], &epochs());
    assert_eq!((turned["variants"][0]["variant"].as_str(), turned["always"].as_bool()), (Some("b"), Some(true)));
    let width = |of: &Value| of["high"].as_f64().unwrap() - of["low"].as_f64().unwrap();
    assert!(width(&turned["variants"][1]) > width(a), "{turned}");
    assert!(turned["sentence"].as_str().unwrap().contains("a earns less than b"), "{turned}");
    // The same from JSON.
    let rows: Vec<Value> = epochs()
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            let number = |at: usize| cells[at].parse::<f64>().unwrap();
            serde_json::json!({"epoch": cells[0], "variant": cells[1], "weight": number(2), "bucket": cells[3].parse::<u64>().unwrap(),
                "units": number(4), "total": number(5)})
        })
        .collect();
    let (_, of_json) = stats(&["adaptive", "--input", "-"], &Value::from(rows).to_string());
    assert_eq!(of_json["variants"], found["variants"]);
}

#[test]
fn an_epoch_has_one_weight_for_each_arm() {
    let (code, found) = stats(&["adaptive", "--input", "-"], &epochs().replace("1,a,5000,7", "1,a,4000,7"));
    assert!(code == 3 && found["error"].as_str().unwrap().contains("two weights"), "{found}");
    let (code, found) =
        stats(&["adaptive", "--input", "-"], "epoch,variant,weight,bucket,units,total\n1,a,1,0,5,1\n1,b,1,0,5,1\n");
    assert!(code == 3 && found["error"].as_str().unwrap().contains("too few buckets of users"), "{found}");
}

#[test]
fn policies_of_a_bandit_over_many_seeds() {
    let asked =
        ["bandit-sim", "--rates", "5%,6%,12%", "--units", "600", "--batches", "30", "--seeds", "30", "--seed", "5"];
    let (code, found) = stats(&asked, "");
    assert_eq!(code, 0, "{found}");
    let policies = found["policies"].as_array().unwrap();
    let regret = |at: usize| policies[at]["regret"].as_f64().unwrap();
    assert_eq!(policies.len(), 3, "{found}");
    // Everybody divided equally gives up (0.07 + 0.06) / 3 of all units, whatever comes.
    assert!((regret(0) / (0.13 / 3.0 * 600.0 * 30.0) - 1.0).abs() < 0.1, "{}", regret(0));
    assert!(regret(2) < regret(0), "{found}");
    assert!(
        found["sentence"].as_str().unwrap().starts_with("Over 30 seeds of 30 batches, thompson gives up least"),
        "{found}"
    );
    let shares = policies[2]["bestShare"].as_array().unwrap();
    assert!(shares.len() == 30 && shares[29].as_f64() > shares[0].as_f64(), "{shares:?}");
    // Equal arguments, equal answers; another seed, another.
    assert_eq!(stats(&asked, "").1["policies"], found["policies"]);
    let mut other = asked;
    other[10] = "6";
    assert_ne!(stats(&other, "").1["policies"], found["policies"]);
    // Tastes that turn round: who forgets gives up less.
    let shifting = |half_life: &[&str]| {
        let mut asked =
            vec!["bandit-sim", "--rates", "5%,10%", "--shift-at", "20", "--shifted", "10%,5%", "--batches", "50"];
        asked.extend(["--policy", "thompson", "--seeds", "20", "--floor", "3%"]);
        asked.extend(half_life);
        stats(&asked, "").1["policies"][0]["regret"].as_f64().unwrap()
    };
    assert!(shifting(&["--half-life", "4"]) < shifting(&[]));
}
