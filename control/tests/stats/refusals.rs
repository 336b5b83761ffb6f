//! Numbers that cannot answer, and questions that have none: refused with what is wrong, and where.

use crate::stats;

#[test]
fn what_cannot_be_read_is_refused_with_its_place() {
    for (arguments, input, why) in [
        (vec!["proportions", "5/3", "1/2"], "", "5 events among 3 units"),
        (vec!["proportions", "0/10", "0/10"], "", "zero variance"),
        (vec!["proportions", "--input", "-"], "variant,events,units\na,1,2\nb,x,2\n", "line 3: `events` is `x`"),
        (vec!["proportions", "--input", "-"], "variant,events,units\na,1,NaN\nb,1,2\n", "line 2: `units` is `NaN`"),
        (vec!["proportions", "--input", "-"], "variant,events\na,1\nb,1\n", "no column `units`"),
        (vec!["means", "--input", "-"], "variant,value\na,1\n", "two variants are compared"),
        (vec!["means", "--input", "-"], "variant,value\na,1\nb,1\n", "too few values"),
        (vec!["ranks", "--input", "-"], "[{", "no JSON list"),
        (vec!["segments", "--input", "-"], "segment,variant,events,units\ns,a,1,2\nt,b,1,2\n", "one variant alone"),
        (vec!["srm", "600", "400", "--weights", "50,50,50"], "", "belong in pairs"),
        (vec!["srm", "600", "-1", "--weights", "50,50"], "", ""),
    ] {
        let (code, found) = stats(&arguments, input);
        if why.is_empty() {
            assert_eq!(code, 2, "{arguments:?}");
            continue;
        }
        assert_eq!(code, 3, "{arguments:?}: {found}");
        assert!(found["error"].as_str().unwrap().contains(why), "{found}");
    }
}

/// Whatever is wrong with a number, each kind says so, and prints no answer.
#[test]
fn numbers_that_cannot_be_are_refused_by_every_kind() {
    let counts = |a: &str, b: &str| format!("variant,events,units\n{a}\n{b}\n");
    let buckets = |events: &str, units: &str| {
        let mut rows = "variant,bucket,events,units\n".to_owned();
        for bucket in 0..32 {
            rows.push_str(&format!("a,{bucket},3,100\nb,{bucket},{events},{units}\n"));
        }
        rows
    };
    let values = |one: &str| format!("variant,value\na,1\na,2\na,3\nb,{one}\nb,2\nb,5\n");
    let segment = |row: &str| format!("segment,variant,events,units\ns,a,3,10\n{row}\n");
    let epoch = |row: &str| format!("epoch,variant,weight,bucket,units,total\n1,a,0.5,0,10,1\n{row}\n");
    let cases: Vec<(Vec<&str>, String, &str)> = vec![
        // Zero samples.
        (vec!["proportions", "0/0", "1/2"], String::new(), "no data"),
        (vec!["sequential", "0/0", "1/2"], String::new(), "no data"),
        (vec!["srm", "0", "0", "--weights", "1,1"], String::new(), "no data"),
        (vec!["proportions", "--input", "-"], "variant,events,units\n".to_owned(), "no rows"),
        (vec!["sequential", "--input", "-"], buckets("0", "0"), "no data"),
        (vec!["power", "--units", "0", "--baseline", "5%", "--to", "6%"], String::new(), ""),
        // Zero variance, all successes.
        (vec!["proportions", "10/10", "20/20"], String::new(), "zero variance"),
        (vec!["means", "--input", "-"], "variant,value\na,1\na,1\nb,1\nb,1\n".to_owned(), "zero variance"),
        (vec!["segments", "--input", "-"], segment("s,b,0,10").replace("3,10", "0,10"), "zero variance"),
        // Negative and fractional counts.
        (vec!["proportions", "5/10", "2.5/10"], String::new(), "`2.5/10`: 2.5 is no count"),
        (vec!["sequential", "5/10", "2/10.5"], String::new(), "10.5 is no count"),
        (vec!["srm", "600", "400.5", "--weights", "1,1"], String::new(), "400.5 is no count"),
        (vec!["proportions", "--input", "-"], counts("a,1,2", "b,-1,2"), "line 3: a number of events is below zero"),
        (vec!["proportions", "--input", "-"], counts("a,1,2", "b,0.5,2"), "line 3: `events`: 0.5 is no count"),
        (vec!["sequential", "--input", "-"], buckets("-1", "100"), "below zero"),
        (vec!["sequential", "--input", "-"], buckets("0.5", "100"), "0.5 is no count"),
        (vec!["segments", "--input", "-"], segment("s,b,1.5,10"), "1.5 is no count"),
        (vec!["segments", "--input", "-"], segment("s,b,-1,10"), "below zero"),
        // NaN, infinities, no numbers.
        (vec!["means", "--input", "-"], values("NaN"), "line 5: `value` is `NaN`"),
        (vec!["ranks", "--input", "-"], values("inf"), "line 5: `value` is `inf`"),
        (vec!["proportions", "NaN/10", "1/10"], String::new(), "not a finite number"),
        (vec!["sequential", "1/inf", "1/10"], String::new(), "not a finite number"),
        (vec!["adaptive", "--input", "-"], epoch("1,b,0.5,0,ten,1"), "line 3: `units` is `ten`"),
        // Totals below successes.
        (vec!["sequential", "11/10", "1/10"], String::new(), "11 events among 10 units"),
        (vec!["segments", "--input", "-"], segment("s,b,11,10"), "11 events among 10 units"),
        (vec!["sequential", "--input", "-"], buckets("101", "100"), "101 events among 100 units"),
        // p outside of (0, 1).
        (vec!["proportions", "1/10", "5/10", "--alpha", "0"], String::new(), "alpha is 0; it must lie between 0 and 1"),
        (vec!["sequential", "1/10", "5/10", "--alpha", "100%"], String::new(), "alpha is 1; it must lie between"),
        (vec!["sample-size", "--baseline", "0%", "--to", "5%"], String::new(), "must lie between 0 and 1"),
        (vec!["sample-size", "--baseline", "5%", "--to", "6%", "--power", "100%"], String::new(), "the power is 1"),
        (vec!["adaptive", "--input", "-", "--alpha", "0"], epoch("1,b,0.5,0,10,1"), ""),
        (vec!["bandit-sim", "--rates", "5%,100%", "--units", "NaN"], String::new(), "units"),
    ];
    for (arguments, input, why) in cases {
        let (code, found) = stats(&arguments, &input);
        assert_eq!(code, 3, "{arguments:?} {input}: {found}");
        let said = found["error"].as_str().unwrap();
        assert!(said.contains(why) && !said.contains("panicked"), "{arguments:?}: {said}");
        assert!(found["p"].is_null() && found["sentence"].is_null(), "{found}");
    }
    // What is no number of its kind at all is a slip of the pen.
    for arguments in [
        vec!["proportions", "1/10", "5/10", "--alpha", "150%"],
        vec!["bandit-sim", "--rates", "5%,-1%"],
        vec!["bandit-sim", "--rates", "5%,6%", "--shift-at", "3"],
        vec!["bandit-sim", "--rates", "5%,6%", "--seeds", "1"],
        vec!["sample-size", "--baseline", "5%", "--to", "6%", "--design-effect", "0.5"],
        vec!["proportions", "10", "5/10"],
    ] {
        assert_eq!(stats(&arguments, "").0, 2, "{arguments:?}");
    }
}

#[test]
fn data_of_a_bandit_are_refused_by_tests_that_take_weights_for_fixed() {
    let rows = "epoch,variant,segment,bucket,events,units,value\n1,a,s,0,3,10,1\n2,b,s,0,4,10,2\n";
    for kind in ["proportions", "means", "ranks", "segments", "sequential"] {
        let (code, found) = stats(&[kind, "--input", "-"], rows);
        let why = found["error"].as_str().unwrap_or_default();
        assert!(code == 3 && why.contains("weights followed the results"), "{kind}: {found}");
        assert!(why.contains("headgate stats adaptive"), "{why}");
    }
}
