//! Goals: who is credited with what, before and after the answer is there.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's helpers may panic")]

mod support;

use headgate_routing::{Outcome, RoutingTable, split};
use support::{Request, decide, decide_traced, table};

/// A shop whose checkout is a route of its own, and pages that no route takes.
const CONFIG: &str = r#"{"contract":1,"revision":1,"routes":[
    {"name":"shop","stable":"a","match":{"path":{"prefix":"/shop"}},
     "variants":[{"name":"a","weight":1},{"name":"b","weight":1}],
     "key":{"sources":[{"header":"x-user"}]},
     "overrides":[{"header":"x-tester","exact":"b","variant":"b","openToAnyone":true}],
     "exclude":[{"variant":"b","keys":["vip"]}],
     "segments":[{"name":"gold","match":{"headers":[{"name":"x-tier","exact":"gold"}]},"weights":{"b":1}}],
     "goals":[
        {"name":"cart","match":{"path":{"prefix":"/shop/cart"}}},
        {"name":"purchase","match":{"path":{"exact":"/checkout"},"methods":["POST"]},"status":["201","3xx"],
         "responseHeaders":[{"name":"x-order","present":true}]},
        {"name":"help","match":{"path":{"exact":"/help"}}}]},
    {"name":"checkout","stable":"x","match":{"path":{"prefix":"/checkout"}},"variants":[{"name":"x","weight":1}]}]}"#;

/// `goal variant segment` of what a request may reach.
fn credits(table: &RoutingTable, outcome: &Outcome<'_>) -> Vec<String> {
    let told = outcome.credits.iter().map(|credit| {
        let route = table.route(credit.route).unwrap();
        format!("{} {} {}", route.goals[credit.index].name, route.variants[credit.variant].name, credit.segment)
    });
    told.collect()
}

fn check(request: Request, expect: &[&str]) {
    let table = table(CONFIG).unwrap();
    assert_eq!(credits(&table, &decide(&table, &request)), expect);
}

/// Where a user stands by the split alone.
fn variant(key: &str) -> &'static str {
    let split = split::Split::new("shop", [("a", 1), ("b", 1)]);
    ["a", "b"][split.choose(key.as_bytes()).unwrap()]
}

#[test]
fn a_key_is_credited_with_the_version_that_the_goals_own_route_gives_it() {
    for n in 0..50 {
        let user = format!("user-{n}");
        let on = |path: &str| Request::get(path).header("x-user", &user);
        let at = variant(&user);
        check(on("/shop/cart/7"), &[&format!("cart {at} 0")]);
        // On another route, and on none.
        check(on("/checkout").header(":method", "POST"), &[&format!("purchase {at} 0")]);
        check(on("/help"), &[&format!("help {at} 0")]);
        check(on("/shop"), &[]);
        check(on("/checkout"), &[]);
    }
}

#[test]
fn the_bucket_is_that_of_the_exposure() {
    let table = table(CONFIG).unwrap();
    let of = |path: &str| decide(&table, &Request::get(path).header("x-user", "u"));
    let exposed = of("/shop/cart").decision.unwrap().replicate.unwrap();
    assert_eq!(of("/help").credits[0].replicate, exposed);
    assert_eq!(of("/shop/cart").credits[0].replicate, exposed);
}

#[test]
fn only_what_the_hash_alone_decides_is_credited() {
    for path in ["/shop/cart", "/help"] {
        let on = || Request::get(path);
        check(on(), &[]);
        check(on().header("x-user", "u").header("x-tester", "b"), &[]);
        check(on().header("x-user", "vip"), &[]);
        let goal = if path == "/help" { "help" } else { "cart" };
        check(on().header("x-user", "u").header("x-tier", "gold"), &[&format!("{goal} b 1")]);
    }
    for kill in ["\"revision\":1", "\"name\":\"shop\""] {
        let killed = table(&CONFIG.replacen(kill, &format!("{kill},\"killSwitch\":true"), 1)).unwrap();
        let outcome = decide(&killed, &Request::get("/help").header("x-user", "u"));
        assert!(outcome.credits.is_empty(), "{kill}");
    }
}

#[test]
fn the_answer_decides() {
    let table = table(CONFIG).unwrap();
    let request = Request::get("/checkout").header(":method", "POST").header("x-user", "u");
    let credit = decide(&table, &request).credits[0];
    let order = |name: &str| (name == "x-order").then(|| b"7".to_vec());
    for (status, reached) in [(201, true), (303, true), (200, false), (400, false), (500, false), (0, false)] {
        assert_eq!(table.reached(&credit, status, &order), reached, "{status}");
    }
    assert!(!table.reached(&credit, 201, &|_| None));
    // Without conditions on the answer, any below 400 will do.
    let help = decide(&table, &Request::get("/help").header("x-user", "u")).credits[0];
    let nobody = |name: &str| -> Option<Vec<u8>> { panic!("{name} was asked for") };
    for (status, reached) in [(204, true), (302, true), (404, false), (503, false)] {
        assert_eq!(table.reached(&help, status, &nobody), reached, "{status}");
    }
}

#[test]
fn without_goals_nothing_more_is_asked_for() {
    let bare = CONFIG.split("\"goals\"").next().unwrap().trim_end().trim_end_matches(',').to_owned();
    let bare = format!("{bare}}},{{{}", CONFIG.split("]},\n    {").last().unwrap());
    let bare = table(&bare).unwrap();
    let request = Request::get("/other").header("x-user", "u");
    decide(&bare, &request);
    let asked = request.asked();
    decide(&table(CONFIG).unwrap(), &request);
    assert_eq!(asked, [":path"]);
    assert!(request.asked().len() >= 2);
}

#[test]
fn explain_tells_which_goals_may_be_reached() {
    let table = table(CONFIG).unwrap();
    let (_, steps) = decide_traced(&table, &Request::get("/help").header("x-user", "u"));
    assert!(steps.contains(&"routes[0].goals[2]: may be reached, if the answer fits".to_owned()), "{steps:?}");
}

#[test]
fn mistakes_are_told_with_the_way_out() {
    let wrong = CONFIG
        .replace("\"201\"", "\"2xy\"")
        .replace("\"help\"", "\"cart\"")
        .replace("\"x-order\",\"present\":true", "\"X-Order\"")
        .replace("\"key\":{\"sources\":[{\"header\":\"x-user\"}]},", "")
        .replace(r#""exclude":[{"variant":"b","keys":["vip"]}],"#, "");
    let problems = table(&wrong).unwrap_err();
    let told: Vec<&str> = problems.0.iter().map(|p| p.path.as_str()).collect();
    for path in [
        "routes[0].goals",
        "routes[0].goals[1].status[0]",
        "routes[0].goals[1].responseHeaders[0].name",
        "routes[0].goals[1].responseHeaders[0]",
        "routes[0].goals[2].name",
    ] {
        assert!(told.contains(&path), "{path}: {problems}");
    }
    let empty = CONFIG.replace(r#"["201","3xx"]"#, "[]");
    assert_eq!(table(&empty).unwrap_err().0[0].path, "routes[0].goals[1].status");
}
