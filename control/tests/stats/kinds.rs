//! What each kind answers, from arguments, CSV and JSON.

use serde_json::Value;

use crate::{close, stats};

#[test]
fn sizes_and_power() {
    let (code, found) =
        stats(&["sample-size", "--difference", "1", "--deviation", "1", "--power", "90%", "--per-day", "10"], "");
    assert_eq!((code, found["perVersion"].as_f64()), (0, Some(23.0)), "22.02 rounded up");
    close(&found["days"], 4.6);
    let (_, found) = stats(&["power", "--units", "50", "--baseline", "50%", "--to", "75%"], "");
    close(&found["power"], 0.7401659);
    let (_, doubled) =
        stats(&["power", "--units", "100", "--baseline", "50%", "--to", "75%", "--design-effect", "2"], "");
    assert_eq!(found["power"], doubled["power"]);
    assert_eq!(stats(&["sample-size", "--baseline", "5%"], "").0, 2);
    assert_eq!(stats(&["sample-size", "--baseline", "5%", "--to", "5%"], "").0, 3);
}

#[test]
fn tests_for_one_look() {
    let (code, found) = stats(&["proportions", "90/980", "120/1000"], "");
    assert_eq!(code, 0);
    close(&found["p"], 0.04186598796);
    assert!(found["sentence"].as_str().unwrap().contains("+2.816 points"), "{found}");
    let csv = "variant,events,units\n# Friday\nnew, 100, 900\nold, 90, 980\nnew, 20, 100\n";
    let (_, of_file) = stats(&["proportions", "--input", "-", "--baseline", "old"], csv);
    assert_eq!(of_file["p"], found["p"]);
    let json = r#"[{"variant": "a", "value": 19}, {"variant": "a", "value": 22}, {"variant": "a", "value": 16},
        {"variant": "a", "value": 29}, {"variant": "a", "value": 24}, {"variant": "b", "value": 20},
        {"variant": "b", "value": 11}, {"variant": "b", "value": 17}, {"variant": "b", "value": "12"}]"#;
    close(&stats(&["ranks", "--input", "-"], json).1["p"], 1.0 / 9.0);
    let (_, found) = stats(&["means", "--input", "-"], json);
    close(&found["difference"], -7.0);
}

#[test]
fn a_test_for_one_look_is_not_for_peeking() {
    let (code, found) = stats(&["proportions", "90/980", "120/1000", "--interim"], "");
    assert_eq!(code, 3);
    let why = found["error"].as_str().unwrap();
    assert!(why.contains("single look") && why.contains("headgate stats sequential"), "{why}");
}

#[test]
fn what_may_be_looked_at_again_and_again() {
    let (_, found) = stats(&["srm", "600", "400", "--weights", "50,50"], "");
    close(&found["p"], 4.638541982e-08);
    assert_eq!(found["mismatch"], true);
    let (_, found) = stats(&["sequential", "5/1000", "80/1000", "--ratio", "2", "--floor", "0.5%"], "");
    assert_eq!((found["exceeded"].as_bool(), found["method"].as_str()), (Some(true), Some("exact")), "{found}");
    // 32 buckets of requests: one bucket of the new version has a heavy user with all its failures.
    let mut rows = "variant,bucket,events,units\n".to_owned();
    for bucket in 0..32 {
        rows.push_str(&format!("old,{bucket},{},1000\n", 4 + bucket % 3));
        rows.push_str(&format!("new,{bucket},{},1000\n", if bucket == 7 { 900 } else { 4 + bucket % 3 }));
    }
    let (_, found) = stats(&["sequential", "--input", "-"], &rows);
    assert_eq!(
        (found["exceeded"].as_bool(), found["method"].as_str()),
        (Some(false), Some("exact and between buckets"))
    );
    assert_eq!(stats(&["srm", "--input", "-", "--weights", "1,1"], &rows).1["mismatch"], false);
    let everywhere = rows.lines().map(|line| match line.strip_prefix("new,") {
        Some(rest) => format!("new,{},60,1000\n", rest.split(',').next().unwrap()),
        None => format!("{line}\n"),
    });
    let (_, found) = stats(&["sequential", "--input", "-"], &everywhere.collect::<String>());
    assert_eq!(found["exceeded"], true, "{found}");
}

#[test]
fn segments_that_turn_a_result_round() {
    let csv =
        "segment,variant,events,units\nfri,A,20000,990000\nfri,B,230,10000\nsat,A,5000,500000\nsat,B,6000,500000\n";
    let (_, found) = stats(&["segments", "--input", "-"], csv);
    close(&found["oddsRatio"], 1.197981541);
    assert_eq!(found["reversed"], true);
    assert!(found["sentence"].as_str().unwrap().contains("Believe the comparison within"));
}

#[test]
fn drift_of_distributions() {
    let (code, found) = stats(&["drift", "--reference", "500,300,200", "--now", "400,400,200"], "");
    assert_eq!(code, 0);
    // By hand: -.1 ln .8 + .1 ln(4/3); chi-square's 99 % quantile with 2 degrees of freedom, 9.21034, times 2/1000.
    close(&found["measures"][0]["size"], 0.1 * (5.0 / 3.0_f64).ln());
    close(&found["measures"][0]["noise"], 9.210340372 * 0.002);
    close(&found["measures"][1]["size"], 0.1);
    assert_eq!(found["moved"], false, "{found}");
    let csv = "bin,reference,now\nlow,800,200\nhigh,200,800\n";
    let (_, found) = stats(&["drift", "--input", "-"], csv);
    assert_eq!((&found["moved"], &found["thin"]), (&Value::Bool(true), &Value::Bool(false)), "{found}");
    assert!(found["sentence"].as_str().unwrap().starts_with("The distribution has moved: "), "{found}");
    let (_, classes) = stats(&["drift", "--input", "-", "--classes"], csv);
    assert_eq!(classes["measures"].as_array().unwrap().len(), 1, "{classes}");
    // Large, but so few that chance alone may do it.
    let (_, few) = stats(&["drift", "--reference", "4,2", "--now", "2,4"], "");
    assert_eq!((&few["moved"], &few["thin"]), (&Value::Bool(false), &Value::Bool(true)), "{few}");
    assert_eq!(stats(&["drift", "--reference", "1,2", "--now", "1,2,3"], "").0, 2);
    for wrong in ["0,0", "-1,2", "1.5,2", "NaN,1"] {
        assert_eq!(stats(&["drift", &format!("--reference={wrong}"), "--now=1,2"], "").0, 3, "{wrong}");
    }
    assert_eq!(stats(&["drift", "--input", "-"], "bin,reference\na,1\n").0, 3);
}
