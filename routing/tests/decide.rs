//! What requests get, told as configuration, request and outcome.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must stop"
)]
#![cfg(not(target_arch = "wasm32"))]

mod support;

use headgate_routing::token::{self, Claims};
use headgate_routing::{Event, HeaderOp, RoutingTable, TokenFault, hops};
use support::{NOW, Request, ring, told, trace};

fn table(json: &str) -> RoutingTable {
    support::table(json).unwrap_or_else(|problems| panic!("{problems}"))
}

/// A route over everything, with the fields given.
fn shop(fields: &str) -> String {
    let stable =
        r#""name":"shop","stable":"stable","variants":[{"name":"stable","weight":95},{"name":"canary","weight":5}]"#;
    format!(
        r#"{{"contract":1,"revision":1,
        "tokens":{{"audience":"shop","cookie":"tok","keys":[{{"id":"k1","env":"K1"}}]}},
        "decisions":{{"audience":"mesh","keys":[{{"id":"d1","env":"D1"}}]}},
        "routes":[{{{stable}{fields}}}]}}"#
    )
}

const KEY: &str = r#","key":{"sources":[{"header":"x-user"},{"cookie":"sid"},{"query":"user"}]}"#;

/// `expect` is `variant reason assigned segment copy`, as [`told`] writes it.
#[track_caller]
fn check(table: &RoutingTable, request: Request, expect: &str) {
    let outcome = support::decide(table, &request);
    assert_eq!(told(table, &outcome), expect, "{request:?}\n{}", trace(table, &request));
}

fn token(variant: &str, route: Option<&str>) -> String {
    let claims = Claims { aud: "shop".into(), variant: variant.into(), exp: NOW + 60, route: route.map(Into::into) };
    token::sign(&claims, &ring("k1"), "k1").unwrap()
}

fn pair(route: &str, variant: &str) -> String {
    hops::sign("mesh", route, variant, NOW, &ring("d1"), "d1").unwrap()
}

#[test]
fn the_order_is_kill_override_inbound_lists_segment_hash_and_no_key() {
    let rest = format!(
        r#"{KEY},"overrides":[{{"header":"x-force","exact":"yes","variant":"canary","openToAnyone":true}}],
        "include":[{{"variant":"canary","keys":["qa"]}}],"exclude":[{{"variant":"canary","keys":["vip"]}}],
        "segments":[{{"name":"premium","match":{{"headers":[{{"name":"x-tier","exact":"gold"}}]}},"weights":{{"canary":1}}}}],
        "inbound":{{"accept":true}}"#
    );
    let on = table(&shop(&rest));
    let user = |name: &str| Request::get("/").header("x-user", name);
    let signed = |request: Request| request.header("x-headgate-decisions", pair("shop", "canary"));
    check(&on, signed(user("vip")).header("x-force", "yes"), "canary override forced 0 none");
    check(&on, signed(user("vip")).header("x-force", "no"), "canary inbound forced 0 none");
    check(&on, user("qa").header("x-tier", "gold"), "canary include forced 0 none");
    check(&on, user("u1").header("x-tier", "gold"), "canary hash hash 1 none");
    check(&on, user("u1"), "stable hash hash 0 none");
    check(&on, user("vip"), "stable exclude forced 0 none");
    check(&on, user("vip").header("x-tier", "gold"), "stable fallback forced 1 none");
    check(&on, Request::get("/"), "stable no_key forced 0 none");
    for killed in
        [shop(&format!("{rest},\"killSwitch\":true")), shop(&rest).replacen(":1,", ":1,\"killSwitch\":true,", 1)]
    {
        check(&table(&killed), signed(user("qa")).header("x-force", "yes"), "stable kill forced 0 none");
    }
}

#[test]
fn a_key_comes_from_the_first_source_that_is_not_empty() {
    let t = table(&shop(&format!(r#"{KEY},"include":[{{"variant":"canary","keys":["qa"]}}]"#)));
    check(&t, Request::get("/").header("x-user", "qa"), "canary include forced 0 none");
    check(
        &t,
        Request::get("/").header("x-user", "").header("cookie", "a=1; sid=\"qa\""),
        "canary include forced 0 none",
    );
    check(&t, Request::get("/p?a=1&user=%71a"), "canary include forced 0 none");
    check(&t, Request::get("/?user=qa").header("x-user", "u1"), "stable hash hash 0 none");
    let claim = r#","key":{"sources":[{"claim":{"provider":"p","claim":["id"],"type":"number"}},{"claim":{"provider":"p","claim":["sub"]}},
        {"claim":{"unverified":true,"claim":["sub"]}},{"clientAddress":{"prefixV4":24}}]},"include":[{"variant":"canary","keys":["42","qa","10.1.2.0"]}]"#;
    let t = table(&shop(claim));
    let jwt = |leaf: &str| ["metadata", "filter_metadata", "envoy.filters.http.jwt_authn", "p", leaf].join("/");
    check(&t, Request::get("/").property(&jwt("id"), 42f64.to_le_bytes()), "canary include forced 0 none");
    check(&t, Request::get("/").property(&jwt("sub"), "qa"), "canary include forced 0 none");
    check(
        &t,
        Request::get("/").header("authorization", "Bearer e30.eyJzdWIiOiJxYSJ9.x"),
        "canary include forced 0 none",
    );
    check(&t, Request::get("/").property("source/address", "10.1.2.3:77"), "canary include forced 0 none");
    check(&t, Request::get("/").property("source/address", "[::ffff:10.1.2.9]:77"), "canary include forced 0 none");
    check(&t, Request::get("/"), "stable no_key forced 0 none");
}

#[test]
fn keys_may_be_listed_by_hash() {
    let hash = headgate_routing::split::list_hash(b"qa");
    let t = table(&shop(&format!(r#"{KEY},"include":[{{"variant":"canary","hashes":["{hash:016x}"]}}]"#)));
    check(&t, Request::get("/").header("x-user", "qa"), "canary include forced 0 none");
    assert!(t.config().routes[0].include[0].hashes.is_empty(), "lists are not kept");
}

#[test]
fn an_override_needs_a_token_for_its_variant_unless_it_is_open() {
    let t = table(&shop(
        r#","overrides":[{"query":"v","prefix":"can","variant":"canary"},{"cookie":"open","oneOf":["a","b"],"variant":"canary","openToAnyone":true},{"variant":"stable"}]"#,
    ));
    let asks = || Request::get("/?v=canary");
    check(&t, asks(), "stable no_key forced 0 none");
    check(&t, asks().header("x-headgate-token", token("canary", None)), "canary override forced 0 none");
    check(&t, asks().header("x-headgate-token", token("canary", Some("shop"))), "canary override forced 0 none");
    check(&t, asks().header("x-headgate-token", token("stable", None)), "stable override forced 0 none");
    check(&t, asks().header("cookie", format!("a=1; tok={}", token("canary", None))), "canary override forced 0 none");
    check(&t, Request::get("/").header("cookie", "open=b"), "canary override forced 0 none");
    check(&t, Request::get("/").header("cookie", "open=c"), "stable no_key forced 0 none");
    for (bad, fault) in [
        ("x".to_owned(), TokenFault::Malformed),
        (token("none", None), TokenFault::Variant),
        (token("canary", Some("none")), TokenFault::Variant),
    ] {
        let outcome = support::decide(&t, &asks().header("x-headgate-token", &bad));
        assert_eq!(outcome.events, [Event::BadToken(fault)], "{bad}");
        assert_eq!(told(&t, &outcome), "stable no_key forced 0 none", "{bad}");
    }
}

#[test]
fn tokens_are_cut_off_before_the_upstream_on_every_path() {
    let text = shop("").replace(r#""name":"shop","#, r#""name":"shop","match":{"path":{"prefix":"/in"}},"#);
    let killed = text.replacen(":1,", ":1,\"killSwitch\":true,", 1);
    let route_killed = text.replace(r#""name":"shop","#, r#""name":"shop","killSwitch":true,"#);
    for (json, path) in [(text.clone(), "/in"), (text, "/out"), (killed, "/in"), (route_killed, "/in")] {
        let t = table(&json);
        let request =
            Request::get(path).header("x-headgate-token", "secret").header("cookie", "tok=secret; a=1; tok=2");
        let outcome = support::decide(&t, &request);
        assert_eq!(
            outcome.headers,
            [HeaderOp::Remove("x-headgate-token"), HeaderOp::SetBytes("cookie", b"a=1".to_vec()),]
        );
        let outcome = support::decide(&t, &Request::get(path).header("cookie", "tok=1"));
        assert_eq!(outcome.headers, [HeaderOp::Remove("cookie")]);
    }
}

#[test]
fn forged_headers_are_removed_on_every_path() {
    let own = r#","match":{"path":{"prefix":"/in"}},"output":{"requestHeader":{"name":"x-v","nonce":"abcdefgh"}},
        "mirror":{"share":0,"requestHeader":{"name":"x-m"}}"#;
    let live = shop(own);
    let killed = live.replacen(":1,", ":1,\"killSwitch\":true,", 1);
    let route_killed = shop(&format!("{own},\"killSwitch\":true"));
    for (json, path) in [(live.clone(), "/in"), (live, "/out"), (killed, "/in"), (route_killed, "/in")] {
        let t = table(&json);
        for value in [&b"canary.abcdefgh"[..], b"", b"a, b", b"\xff\xfe"] {
            let outcome =
                support::decide(&t, &Request::get(path).header("x-v", value).header("x_v", value).header("x-m", value));
            assert_eq!(outcome.events, [Event::Forged("x-v"), Event::Forged("x_v"), Event::Forged("x-m")]);
            assert_eq!(
                outcome.headers[..3],
                [HeaderOp::Remove("x-v"), HeaderOp::Remove("x_v"), HeaderOp::Remove("x-m")]
            );
            let set = (path == "/in").then(|| HeaderOp::Set("x-v", "stable.abcdefgh".into()));
            assert_eq!(outcome.headers.get(3), set.as_ref());
        }
        // Near misses are somebody else's.
        let outcome = support::decide(&t, &Request::get(path).header("x-v2", "1").header("x-", "1"));
        assert_eq!(outcome.events, []);
    }
    // Spelled with dashes and underscores in each other's place; the name that was written so is one of them.
    for (name, other) in
        [("x-own-v", "x_own-v"), ("x-own-v", "x-own_v"), ("x_own_v", "x-own-v"), ("x_own_v", "x-own_v")]
    {
        let output = format!(r#","output":{{"requestHeader":{{"name":"{name}"}}}}"#);
        let t = table(&shop(&output));
        let events = |header: &str| support::decide(&t, &Request::get("/").header(header, "canary")).events;
        assert_eq!(events(name), [Event::Forged(name)]);
        assert_eq!(events(other), [Event::Forged(other)]);
    }
    let t = RoutingTable::killed(7, vec!["x-v".to_owned()]);
    let outcome = support::decide(&t, &Request::get("/").header("x-v", "1").header("x-headgate-token", "t"));
    assert_eq!(outcome.headers, [HeaderOp::Remove("x-v"), HeaderOp::Remove("x-headgate-token")]);
    assert_eq!((outcome.decision, t.revision()), (None, 7));
}

#[test]
fn decisions_pass_from_hop_to_hop_and_unsigned_ones_do_not() {
    let (mine, other) = (pair("shop", "canary"), pair("other", "x"));
    let sent = |t: &RoutingTable, header: &str| {
        let outcome = support::decide(t, &Request::get("/").header("x-headgate-decisions", header));
        let ops: Vec<String> = outcome.headers.iter().map(|op| format!("{op:?}")).collect();
        (told(t, &outcome).split(' ').take(2).collect::<Vec<_>>().join(" "), ops.join(";"), outcome.events.len())
    };
    let set = |value: &str| format!("Set(\"x-headgate-decisions\", {value:?})");
    let accepts = table(&shop(r#","inbound":{"accept":true}"#));
    let both = table(&shop(r#","inbound":{"accept":true,"emit":true}"#));
    let neither = table(&shop(""));
    assert_eq!(sent(&accepts, &format!("{other}, {mine}")), ("canary inbound".into(), String::new(), 0));
    assert_eq!(sent(&both, &format!("{mine},{other}")), ("canary inbound".into(), set(&format!("{other}, {mine}")), 0));
    assert_eq!(sent(&neither, &mine), ("stable no_key".into(), String::new(), 0));
    assert_eq!(sent(&accepts, "shop=canary"), ("stable no_key".into(), "Remove(\"x-headgate-decisions\")".into(), 1));
    assert_eq!(sent(&accepts, &format!("shop=canary,{other}")), ("stable no_key".into(), set(&other), 1));
    assert_eq!(sent(&accepts, ""), ("stable no_key".into(), "Remove(\"x-headgate-decisions\")".into(), 0));
    assert_eq!(sent(&accepts, &pair("shop", "gone")).2, 1);
    let killed = table(&shop(r#","inbound":{"accept":true,"emit":true},"killSwitch":true"#));
    assert_eq!(sent(&killed, &format!("{mine},{other}")), ("stable kill".into(), set(&other), 0));
    let all = table(&shop(r#","inbound":{"accept":true,"emit":true}"#).replacen(":1,", ":1,\"killSwitch\":true,", 1));
    assert_eq!(sent(&all, &other), ("stable kill".into(), "Remove(\"x-headgate-decisions\")".into(), 0));
    let fresh = support::decide(&both, &Request::get("/"));
    assert_eq!(format!("{:?}", fresh.headers), format!("[{}]", set(&pair("shop", "stable"))));
}

#[test]
fn without_a_key_a_request_is_stable_random_or_issued_a_cookie() {
    let random = table(&shop(r#","key":{"sources":[],"absent":"random"}"#));
    check(&random, Request::get("/").random(0), "stable random forced 0 none");
    check(&random, Request::get("/").random(u128::from(u64::MAX)), "canary random forced 0 none");
    check(&random, Request::get("/").no_random(), "stable fallback forced 0 none");
    let t = table(&shop(r#","key":{"sources":[{"header":"x-user"}],"absent":"issueCookie"}"#));
    let outcome = support::decide(&t, &Request::get("/").random(0xabc));
    let decision = outcome.decision.unwrap();
    let cookie = decision.cookie.unwrap();
    let value = format!("{:032x}", 0xabc);
    assert_eq!(
        cookie.set_cookie,
        format!("headgate_key={value}; Path=/; Max-Age=2592000; SameSite=Lax; Secure; HttpOnly")
    );
    assert!(cookie.make_private && t.touches_responses());
    // The next request, which brings the cookie, gets the same variant, whichever it was.
    for random in (0..200u128).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)) {
        let first = support::decide(&t, &Request::get("/").random(random)).decision.unwrap();
        let again = Request::get("/").header("cookie", format!("headgate_key={random:032x}"));
        let second = support::decide(&t, &again).decision.unwrap();
        assert_eq!((first.variant, first.reason.as_str(), second.reason.as_str()), (second.variant, "issued", "hash"));
    }
    check(&t, Request::get("/").no_random(), "stable fallback forced 0 none");
}

#[test]
fn the_default_routes_variant_is_told_nothing_and_what_was_forged_still_goes() {
    let output = r#","output":{"requestHeader":{"name":"x-v"},"defaultRoute":"stable"}"#;
    let table = table(&shop(&format!("{KEY}{output}")));
    let outcome = |request: &Request| {
        let outcome = support::decide(&table, request);
        (outcome.state.len(), outcome.headers.clone(), outcome.clear_route_cache)
    };
    let user = |wanted: &str| {
        let mut users = (0..1_000).map(|n| Request::get("/").header("x-user", format!("user-{n}")));
        users.find(|request| told(&table, &support::decide(&table, request)).starts_with(wanted)).unwrap()
    };
    let (stable, canary) = (user("stable hash"), user("canary hash"));
    assert_eq!(outcome(&stable), (0, vec![], false));
    assert_eq!(outcome(&stable.header("x-v", "canary")), (0, vec![HeaderOp::Remove("x-v")], false));
    assert_eq!(outcome(&canary), (1, vec![HeaderOp::Set("x-v", "canary".into())], true));
}

#[test]
fn a_mirror_copies_the_same_users_and_nothing_that_could_hurt() {
    let mirror = |share: u32, by: &str| {
        table(&shop(&format!(r#"{KEY},"mirror":{{"share":{share},"by":"{by}","maxBodyBytes":1000}}"#)))
    };
    let all = mirror(10_000, "hash");
    let user = || Request::get("/").header("x-user", "u1");
    check(&all, user(), "stable hash hash 0 sent");
    assert_eq!(support::decide(&all, &user()).state, [("mirror", "1"), ("variant", "stable")]);
    check(&all, user().header("x-headgate-copy", ""), "stable hash hash 0 marked");
    check(&all, user().header(":authority", "a.example-shadow:80"), "stable hash hash 0 marked");
    check(&all, user().header("upgrade", "websocket"), "stable hash hash 0 upgrade");
    check(&all, user().header(":method", "CONNECT"), "stable hash hash 0 upgrade");
    check(&all, user().body(), "stable hash hash 0 unknown_length");
    check(&all, user().body().header("content-length", "x"), "stable hash hash 0 unknown_length");
    check(&all, user().body().header("content-length", "1000"), "stable hash hash 0 sent");
    check(&all, user().body().header("content-length", "1001"), "stable hash hash 0 too_large");
    let some = mirror(3_000, "hash");
    let copied = |t: &RoutingTable, i: u32, random: u128| {
        let request = Request::get("/").header("x-user", i.to_string()).random(random);
        told(t, &support::decide(t, &request)).ends_with("sent")
    };
    let sent = (0..2_000).filter(|&i| copied(&some, i, 0)).count();
    assert!((500..700).contains(&sent), "{sent} of 2,000 at 30 %");
    assert!((0..2_000).all(|i| copied(&some, i, 0) == copied(&some, i, u128::MAX)), "the share goes by user alone");
    let random = mirror(3_000, "random");
    assert!(copied(&random, 1, 0) && !copied(&random, 1, u128::MAX));
    let killed = table(&shop(r#","mirror":{"share":10000},"killSwitch":true"#));
    check(&killed, user(), "stable kill forced 0 none");
}

#[test]
fn what_a_route_does_not_use_is_never_asked_for_and_nothing_twice() {
    let asked = |json: &str, request: Request| {
        let t = table(json);
        support::decide(&t, &request);
        request.asked()
    };
    let bare = |fields: &str| {
        format!(
            r#"{{"contract":1,"revision":1,"routes":[{{"name":"r","stable":"a","variants":[{{"name":"a","weight":1}}]{fields}}}]}}"#
        )
    };
    assert_eq!(asked(&bare(""), Request::get("/")), [""; 0]);
    let cookie = r#","key":{"sources":[{"cookie":"a"},{"cookie":"b"}]},"overrides":[{"cookie":"c","exact":"1","variant":"a","openToAnyone":true}]"#;
    assert_eq!(asked(&bare(cookie), Request::get("/").header("cookie", "b=1")), ["cookie"]);
    let paths = r#","match":{"hosts":["h.example"],"path":{"prefix":"/"},"query":[{"name":"q","present":true}]},"key":{"sources":[{"query":"q"}]},
        "output":{"requestHeader":{"name":"x-v"}},
        "segments":[{"name":"s","match":{"headers":[{"name":"x-t","exact":"1"}],"notHosts":["i.example"]},"weights":{"a":1}},{"name":"t","match":{"headers":[{"name":"x-t","exact":"2"}]},"weights":{"a":1}}]"#;
    assert_eq!(
        asked(&bare(paths), Request::get("/?q=1").header("x-t", "2")),
        ["x-v", "x_v", ":authority", ":path", "x-t"]
    );
    let reads = table(&bare(paths)).typical_reads();
    assert_eq!((reads.found, reads.missing), (2, 3));
}

#[test]
fn the_host_index_finds_the_route_that_a_walk_in_order_finds() {
    let hosts =
        ["[]", "[\"a.example\"]", "[\"*.example\"]", "[\"*.a.example\",\"b.example\"]", "[\"b.example\"]", "[]"];
    let route = |(i, hosts): (usize, &&str)| {
        format!(
            r#"{{"name":"r{i}","stable":"a","variants":[{{"name":"a","weight":1}}],"match":{{"hosts":{hosts},"path":{{"prefix":"/{i}"}}}}}}"#
        )
    };
    let routes: Vec<String> = hosts.iter().enumerate().map(route).collect();
    let t = table(&format!(r#"{{"contract":1,"revision":1,"routes":[{}]}}"#, routes.join(",")));
    for host in ["a.example", "b.example:80", "X.A.EXAMPLE", "c.example", "example", "", "other"] {
        for path in 0..7 {
            let request = Request::get(&format!("/{path}")).header(":authority", host);
            let walked = support::decide_traced(&t, &request).0;
            assert_eq!(support::decide(&t, &request), walked, "{host} /{path}");
        }
    }
}

#[test]
fn a_trace_tells_every_rule_that_was_passed() {
    let fields = format!(
        r#"{KEY},"match":{{"path":{{"prefix":"/in"}}}},"overrides":[{{"query":"v","exact":"1","variant":"canary"}}],
        "include":[{{"variant":"canary","keys":["qa"]}}],
        "segments":[{{"name":"gold","match":{{"headers":[{{"name":"x-tier","exact":"gold"}}]}},"weights":{{"canary":1}}}}],"mirror":{{"share":0}}"#
    );
    let t = table(&shop(&fields));
    let steps = support::decide_traced(&t, &Request::get("/in?v=1").header("x-user", "u1")).1;
    assert_eq!(
        steps,
        [
            "routes[0].match: holds: this route decides",
            "routes[0].overrides[0]: matches, but there is no valid token for its variant",
            "routes[0].key: `u1`",
            "routes[0].include: the key is not listed",
            "routes[0].segments[0].match.headers[0]: does not hold",
            "routes[0].mirror: not in the share",
            "routes[0]: stable, because: hash",
        ]
    );
    let steps = support::decide_traced(&t, &Request::get("/out")).1;
    assert_eq!(steps, ["routes[0].match.path: does not hold", "routes: no route matches: the request goes its way"]);
}

#[test]
fn a_thousand_hosts_and_a_hundred_thousand_keys_ask_for_no_more_than_one() {
    let route = |i: usize, lists: &str| {
        format!(
            r#"{{"name":"r{i}","stable":"a","variants":[{{"name":"a","weight":1}},{{"name":"b","weight":0}}],"match":{{"hosts":["h{i}.example"]}}{KEY}{lists}}}"#
        )
    };
    let document = |routes: &[String]| format!(r#"{{"contract":1,"revision":1,"routes":[{}]}}"#, routes.join(","));
    let hashes: Vec<String> = (0..100_000)
        .map(|i| format!("\"{:016x}\"", headgate_routing::split::list_hash(format!("u{i}").as_bytes())))
        .collect();
    let lists = format!(r#","include":[{{"variant":"b","hashes":[{}]}}]"#, hashes.join(","));
    let mut many: Vec<String> = (0..999).map(|i| route(i, "")).collect();
    many.push(route(999, &lists));
    let (one, many) = (table(&document(&[route(999, "")])), table(&document(&many)));
    let request = |user: &str| Request::get("/").header(":authority", "h999.example").header("x-user", user);
    for (t, user, expect) in [
        (&one, "u99999", "a hash hash 0 none"),
        (&many, "u99999", "b include forced 0 none"),
        (&many, "u0", "b include forced 0 none"),
        (&many, "u100000", "a hash hash 0 none"),
    ] {
        let request = request(user);
        assert_eq!(told(t, &support::decide(t, &request)), expect);
        assert_eq!(request.asked(), [":authority", "x-user"]);
    }
}
