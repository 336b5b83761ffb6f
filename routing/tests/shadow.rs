//! Which requests a shadow samples, and which of those are not copied.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must stop"
)]
#![cfg(all(feature = "shadow", not(target_arch = "wasm32")))]

mod support;

use headgate_routing::{RoutingTable, Sampled, split};
use support::Request;

const KEY: &str = r#","key":{"sources":[{"header":"x-user"}]}"#;
const GOLD: &str =
    r#","segments":[{"name":"gold","match":{"headers":[{"name":"x-tier","exact":"gold"}]},"weights":{"stable":1}}]"#;

/// A route with a shadow of a share, and the fields given.
fn table(share: u32, shadow: &str, fields: &str) -> RoutingTable {
    let json = format!(
        r#"{{"contract":1,"revision":1,"routes":[{{"name":"shop","stable":"stable",
        "variants":[{{"name":"stable","weight":1}},{{"name":"canary","weight":1}}],
        "shadow":{{"cluster":"v2","share":{share}{shadow}}}{fields}}}]}}"#
    );
    support::table(&json).unwrap_or_else(|problems| panic!("{problems}"))
}

fn sampled(table: &RoutingTable, request: &Request) -> Option<Sampled> {
    support::decide(table, request).decision.unwrap().shadow
}

fn refused(table: &RoutingTable, request: Request) -> Option<&'static str> {
    sampled(table, &request).unwrap().refused.map(headgate_routing::CopyRefusal::as_str)
}

/// A user whom the hash gives this variant.
fn user(table: &RoutingTable, variant: usize) -> String {
    let is = |name: &String| {
        let request = Request::get("/").header("x-user", name);
        support::decide(table, &request).decision.unwrap().variant == variant
    };
    (0..1_000).map(|n| format!("user-{n}")).find(is).unwrap()
}

#[test]
fn what_stable_serves_is_sampled_with_the_keys_hash_and_bucket() {
    let t = table(10_000, "", KEY);
    let (stable, canary) = (user(&t, 0), user(&t, 1));
    let bucket = split::Bucketer::new("shop", split::purpose::REPLICATE).bucket(stable.as_bytes(), 32);
    let expect = Sampled {
        segment: 0,
        bucket: u8::try_from(bucket).unwrap(),
        key: Some(split::list_hash(stable.as_bytes())),
        refused: None,
    };
    assert_eq!(sampled(&t, &Request::get("/").header("x-user", &stable)), Some(expect));
    assert_eq!(sampled(&t, &Request::get("/").header("x-user", &canary)), None);
    // Without a key each request is a user of its own, and without randomness there is no bucket for it.
    let nobody = sampled(&t, &Request::get("/").random(u128::from(u64::MAX))).unwrap();
    assert_eq!((nobody.bucket, nobody.key), (31, None));
    assert_eq!(sampled(&t, &Request::get("/").no_random()), None);
    for kill in [
        r#","killSwitch":true"#,
        r#","overrides":[{"header":"x-v","present":true,"variant":"canary","openToAnyone":true}]"#,
    ] {
        let t = table(10_000, "", &format!("{KEY}{}", kill.replace(r#","present":true"#, r#","prefix":"""#)));
        let request = Request::get("/").header("x-user", &stable).header("x-v", "1");
        assert_eq!(sampled(&t, &request), None, "{kill}");
    }
}

#[test]
fn a_share_goes_by_user_or_at_random() {
    let chosen = |t: &RoutingTable, n: u32, random: u128| {
        sampled(t, &Request::get("/").header("x-user", n.to_string()).random(random)).is_some()
    };
    let by_user = table(3_000, "", KEY);
    let stable = |n: &u32| {
        support::decide(&by_user, &Request::get("/").header("x-user", n.to_string())).decision.unwrap().variant == 0
    };
    let users: Vec<u32> = (0..4_000).filter(stable).collect();
    let sent = users.iter().filter(|&&n| chosen(&by_user, n, 0)).count();
    assert!((450..750).contains(&sent), "{sent} of {} at 30 %", users.len());
    assert!(users.iter().all(|&n| chosen(&by_user, n, 0) == chosen(&by_user, n, u128::MAX)));
    let expected = split::Bucketer::new("shop", split::purpose::SHADOW);
    assert!(
        users.iter().all(|&n| chosen(&by_user, n, 0) == (expected.bucket(n.to_string().as_bytes(), 10_000) < 3_000))
    );
    let random = table(3_000, r#","by":"random""#, KEY);
    assert!(chosen(&random, users[0], 0) && !chosen(&random, users[0], u128::MAX));
    assert!(!chosen(&table(0, "", KEY), users[0], 0));
}

#[test]
fn a_segments_own_share_counts_also_where_its_weights_do_not() {
    // No key: the segment's weights decide nothing.
    let fields = format!("{KEY}{GOLD}");
    let gold = || Request::get("/").header("x-tier", "gold");
    let t = table(10_000, r#","segments":{"gold":0}"#, &fields);
    assert_eq!(sampled(&t, &gold()), None);
    assert_eq!(sampled(&t, &Request::get("/")).unwrap().segment, 0);
    let t = table(0, r#","segments":{"gold":10000}"#, &fields);
    assert_eq!(sampled(&t, &gold()).unwrap().segment, 1);
    assert_eq!(sampled(&t, &gold().header("x-user", "u1")).unwrap().segment, 1);
    assert_eq!(sampled(&t, &Request::get("/")), None);
}

#[test]
fn what_could_hurt_is_refused() {
    let t = table(10_000, r#","methods":["GET","POST"],"maxBodyBytes":1000"#, "");
    let post = || Request::get("/").header(":method", "POST").body();
    assert_eq!(refused(&t, Request::get("/")), None);
    assert_eq!(refused(&t, Request::get("/").header("x-headgate-copy", "")), Some("marked"));
    assert_eq!(refused(&t, Request::get("/").header(":authority", "a-shadow")), Some("marked"));
    assert_eq!(refused(&t, Request::get("/").header("upgrade", "websocket")), Some("upgrade"));
    assert_eq!(refused(&t, Request::get("/").header(":method", "CONNECT")), Some("upgrade"));
    assert_eq!(refused(&t, Request::get("/").header(":method", "PUT")), Some("method"));
    assert_eq!(refused(&t, post()), Some("unknown_length"));
    assert_eq!(refused(&t, post().header("content-length", "1000")), None);
    assert_eq!(refused(&t, post().header("content-length", "1001")), Some("too_large"));
    // Messages of gRPC say their own length.
    assert_eq!(refused(&t, post().header("content-type", "application/grpc+proto")), None);
    let unnamed = table(10_000, "", "");
    assert_eq!(refused(&unnamed, post().header("content-length", "1")), Some("method"));
}

#[test]
fn who_is_not_in_the_share_is_asked_for_nothing_more_and_the_trace_says_so() {
    let asked = |t: &RoutingTable, request: Request| {
        support::decide(t, &request);
        request.asked()
    };
    let t = table(1, "", KEY);
    let who = user(&t, 0);
    assert_eq!(asked(&t, Request::get("/").header("x-user", &who)), ["x-user"]);
    assert_eq!(asked(&table(0, "", ""), Request::get("/")), [""; 0]);
    let steps = support::decide_traced(&t, &Request::get("/").header("x-user", &who)).1;
    assert!(steps.contains(&"routes[0].shadow: not in the share".to_owned()), "{steps:?}");
    let steps = support::decide_traced(&table(10_000, "", ""), &Request::get("/").header(":method", "PUT")).1;
    assert!(steps.contains(&"routes[0].shadow: in the share, but not copied: method".to_owned()), "{steps:?}");
}
