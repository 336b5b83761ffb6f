//! `--html`: each kind writes one page with its sentence, its table and a chart, which needs no network.

use serde_json::Value;

use crate::stats;

/// Writes the page of these arguments, and gives its charts.
#[track_caller]
fn charts(arguments: &[&str], input: &str) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.html");
    let mut all = arguments.to_vec();
    let path = page.display().to_string();
    all.extend(["--html", &path]);
    let (code, found) = stats(&all, input);
    assert_eq!(code, 0, "{arguments:?}: {found}");
    let html = std::fs::read_to_string(&page).unwrap();
    let sentence = found["sentence"]
        .as_str()
        .unwrap()
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('\'', "&#39;");
    assert!(html.contains(&sentence), "{arguments:?}: the page has not the sentence: {sentence}");
    assert!(html.contains("<table") && html.contains("uPlot"), "{arguments:?}");
    assert!(!html.contains("src=\"http") && !html.contains("href=\"http"), "{arguments:?}: it would fetch something");
    let (_, rest) = html.split_once("<script type=\"application/json\" id=\"charts\">").unwrap();
    let charts: Vec<Value> = serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap();
    for chart in &charts {
        let points = chart["x"].as_array().unwrap().len();
        assert!(points > 0, "{chart}");
        for line in chart["lines"].as_array().unwrap() {
            let values = line["values"].as_array().unwrap();
            assert_eq!(values.len(), points, "{chart}");
            assert!(values.iter().any(Value::is_number), "{arguments:?}: an empty line {line}");
        }
    }
    assert!(!charts.is_empty(), "{arguments:?}");
    charts
}

#[track_caller]
fn has_line(charts: &[Value], label: &str) -> Vec<f64> {
    let lines = charts.iter().flat_map(|chart| chart["lines"].as_array().unwrap());
    let line = lines.clone().find(|line| line["label"] == label);
    let line = line.unwrap_or_else(|| panic!("no {label} in {:?}", lines.map(|l| &l["label"]).collect::<Vec<_>>()));
    line["values"].as_array().unwrap().iter().filter_map(Value::as_f64).collect()
}

#[test]
fn sizes() {
    for asked in [
        vec!["sample-size", "--baseline", "5%", "--to", "6%"],
        vec!["sample-size", "--baseline", "2%", "--margin", "0.2%"],
        vec!["sample-size", "--difference", "3", "--deviation", "12"],
    ] {
        let power = has_line(&charts(&asked, ""), "power");
        assert!(power.is_sorted() && power[0] < 0.2, "{power:?}");
        // Half way along the size itself has the power that was asked for.
        assert!((power[power.len() / 2 - 1] - 0.8).abs() < 0.005, "{asked:?}: {power:?}");
    }
    has_line(&charts(&["power", "--units", "2000", "--baseline", "5%", "--to", "6%"], ""), "asked for");
    has_line(&charts(&["power", "--units", "2000", "--baseline", "5%", "--margin", "1%"], ""), "power");
}

#[test]
fn one_look() {
    charts(&["proportions", "90/980", "120/1000"], "");
    let values = "variant,value\na,1\na,2\na,4\na,3\nb,3\nb,2\nb,5\nb,7\n";
    charts(&["means", "--input", "-"], values);
    charts(&["ranks", "--input", "-"], values);
}

#[test]
fn sample_ratios() {
    let found = charts(&["srm", "600", "400", "--weights", "50,50"], "");
    assert_eq!(has_line(&found, "share"), [0.6, 0.4]);
    assert_eq!(has_line(&found, "by weight"), [0.5, 0.5]);
    assert!(has_line(&found, "low")[0] > 0.5, "{found:?}");
}

#[test]
fn a_difference_over_the_looks_with_what_is_allowed() {
    charts(&["sequential", "12/4000", "31/4000", "--ratio", "2"], "");
    let mut rows = "look,variant,bucket,events,units\n".to_owned();
    for look in 1..=5 {
        for bucket in 0..32 {
            rows.push_str(&format!("{look},old,{bucket},4,200\n{look},new,{bucket},{},200\n", 12 + bucket % 3));
        }
    }
    // From a file and from standard input alike.
    let found = charts(&["sequential", "--input", "-"], &rows);
    let (low, high) = (has_line(&found, "low"), has_line(&found, "high"));
    assert_eq!((low.len(), high.len()), (5, 5), "{found:?}");
    assert!(high[4] - low[4] < high[0] - low[0] && low[4] > 0.0, "{low:?} {high:?}");
    assert_eq!(has_line(&found, "allowed"), [0.0; 5]);
}

#[test]
fn segments_and_bandits() {
    let csv = "segment,variant,events,units\nfri,A,200,9900\nfri,B,23,1000\nsat,A,50,5000\nsat,B,60,5000\n";
    let found = charts(&["segments", "--input", "-"], csv);
    assert_eq!(has_line(&found, "difference").len(), 2);
    let mut rows = "epoch,variant,weight,bucket,units,total\n".to_owned();
    for bucket in 0..32 {
        for epoch in 1..=3 {
            rows.push_str(&format!(
                "{epoch},a,1,{bucket},50,{}\n{epoch},b,1,{bucket},50,{}\n",
                4 + bucket % 3,
                5 + bucket % 2
            ));
        }
    }
    assert_eq!(charts(&["adaptive", "--input", "-"], &rows).len(), 2);
    let found = charts(&["bandit-sim", "--rates", "5%,12%", "--seeds", "4", "--batches", "10"], "");
    assert_eq!(has_line(&found, "thompson").len(), 10);
}

#[test]
fn two_distributions_beside_each_other() {
    let csv = "bin,reference,now\nlow,800,200\nhigh,200,800\n";
    for more in [&["--classes"][..], &[]] {
        let found = charts(&[&["drift", "--input", "-"], more].concat(), csv);
        assert_eq!(has_line(&found, "reference"), [0.8, 0.2]);
        assert_eq!(has_line(&found, "now"), [0.2, 0.8]);
        assert_eq!(found[0]["names"], serde_json::json!(["low", "high"]));
    }
}
