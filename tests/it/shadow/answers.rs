//! Whatever a shadow answers, users get what they would have got, and the pair is accounted for.

use std::io::Write as _;

use headgate_tests::{Answer, Bootstrap, Metrics, Result, wait_until};
use http_body_util::BodyExt as _;
use hyper::Method;
use serde_json::{Value, json};

use super::script::{Script, Two};
use super::world::{World, quiet};

const USER: [(&str, &str); 1] = [("x-user-id", "alice")];
const BODY: &str = r#"{"score":0.5,"items":[1,2,3]}"#;

/// What a pair came to: compared as what and in what, or failed and why.
fn ending(metrics: &Metrics, before: &Metrics) -> String {
    let mut found = Vec::new();
    for (series, label) in [("compared", "verdict"), ("mismatches", "kind"), ("failed", "reason")] {
        let name = format!("headgate_shadow_{series}");
        let earlier = before.by(&name, label, &[]);
        for (value, count) in metrics.by(&name, label, &[]) {
            match count - earlier.get(&value).copied().unwrap_or(0) {
                0 => {}
                1 => found.push(value),
                more => found.push(format!("{more} {value}")),
            }
        }
    }
    found.join(" ")
}

fn unharmed(answer: &Answer, what: &str) {
    assert_eq!((answer.status, answer.body.as_ref()), (200, BODY.as_bytes()), "{what}");
    assert_eq!(answer.header("content-length"), Some(BODY.len().to_string().as_str()), "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_shadow_says_users_get_their_answer_and_the_pair_its_ending() -> Result<()> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![b' '; 16 << 20])?;
    let bomb = encoder.finish()?;
    let head = "HTTP/1.1 200 OK\r\ncontent-length: ";
    let answers = [
        ("the same", Script::ok(BODY), "matched"),
        ("the same, written otherwise", Script::ok(r#" {"items": [1, 2.0, 3], "score": 5e-1}"#), "matched"),
        ("another value", Script::ok(BODY.replace("0.5", "0.6")), "mismatched json"),
        ("a value less", Script::ok(r#"{"items":[1,2,3]}"#), "mismatched missing_field"),
        ("garbage", Script::ok(b"\xff{\"score\":\0".as_slice()), "mismatched unreadable"),
        ("half of it", Script::ok(&BODY[..10]), "mismatched unreadable"),
        ("deep", Script::ok("[".repeat(100_000)), "mismatched unreadable"),
        ("nothing", Script::ok(""), "mismatched unreadable"),
        ("no content", Script::answer(204, &[], ""), "mismatched status unreadable"),
        ("an error of its own", Script::answer(503, &[], BODY), "mismatched status"),
        ("a length that is too great", Script::breaks(format!("{head}1000\r\n\r\n{BODY}")), "incomplete"),
        ("a length that is too small", Script::breaks(format!("{head}2\r\n\r\n{BODY}")), "mismatched unreadable"),
        ("half a head", Script::breaks("HTTP/1.1 200 OK\r\ncontent-"), "unreachable"),
        ("a reset", Script::breaks(""), "unreachable"),
        ("gzip", Script::answer(200, &[("content-encoding", "gzip")], gzip(BODY)?), "matched"),
        (
            "what only claims to be gzip",
            Script::answer(200, &[("content-encoding", "gzip")], BODY),
            "mismatched unreadable",
        ),
        ("a gzip bomb", Script::answer(200, &[("content-encoding", "gzip")], bomb), "mismatched too_large"),
        ("a coding that nobody knows", Script::answer(200, &[("content-encoding", "x-own")], "?"), "incomparable"),
        ("4 MiB", Script::ok(vec![b'x'; 4 << 20]), "mismatched too_large"),
        // The bootstrap's `http.async_response_buffer_limit`.
        ("8 MiB", Script::ok(vec![b'x'; 8 << 20]), "mismatched too_large"),
        ("more than Envoy holds", Script::ok(vec![b'x'; (8 << 20) + 1]), "incomplete"),
        ("32 MiB", Script::ok(vec![b'x'; 32 << 20]), "incomplete"),
        ("no end", Script::endless(), "incomplete"),
    ];
    for workers in [1, 2] {
        let two = Two::start().await?;
        let envoy = two.envoy(&json!({"body": "json"}))?.concurrency(workers).start().await?;
        two.stable.say(Script::ok(BODY));
        let mut client = envoy.http1().await?;
        let mut before = envoy.metrics().await?;
        for (n, (what, script, expected)) in (1..).zip(&answers) {
            two.shadow.say(script.clone());
            unharmed(&client.get("/", &USER).await?, what);
            let (_, metrics) = quiet(&envoy, n).await?;
            assert_eq!(ending(&metrics, &before), *expected, "{what}, {workers} workers");
            before = metrics;
        }
        // The filter is as well as before.
        two.shadow.say(Script::ok(BODY));
        unharmed(&client.get("/", &USER).await?, "afterwards");
        let (_, metrics) = quiet(&envoy, answers.len() as u64 + 1).await?;
        assert_eq!(ending(&metrics, &before), "matched");
        assert_eq!(two.stable.asked(), answers.len() + 1);
    }
    Ok(())
}

fn gzip(text: &str) -> Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes())?;
    Ok(encoder.finish()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_user_gets_passes_unchanged_and_the_pair_has_its_ending() -> Result<()> {
    for workers in [1, 2] {
        let large: Vec<u8> = (0..32_u32 << 20).map(|n| (n % 251) as u8).collect();
        let two = Two::start().await?;
        let envoy = two.envoy(&json!({}))?.concurrency(workers).start().await?;
        two.shadow.say(Script::ok("x"));
        let answers = [
            (large.as_slice(), 200, "mismatched too_large"),
            (b"".as_slice(), 200, "mismatched body"),
            (b"x", 404, "mismatched status"),
            (b"\0\xff\r\n", 200, "mismatched body"),
        ];
        let mut client = envoy.http1().await?;
        let mut before = envoy.metrics().await?;
        for (n, (body, status, expected)) in (1..).zip(answers) {
            two.stable.say(Script::answer(status, &[], body));
            let answer = client.get("/", &USER).await?;
            assert_eq!((answer.status, answer.body.len()), (status, body.len()));
            assert!(answer.body == body, "a body of {} bytes was changed", body.len());
            let (_, metrics) = quiet(&envoy, n).await?;
            assert_eq!(ending(&metrics, &before), expected, "{} bytes", body.len());
            before = metrics;
        }
        // One that breaks off is the user's loss with and without a shadow, and no comparison.
        two.stable.say(Script::breaks("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"));
        assert!(client.get("/", &USER).await.is_err());
        let (_, metrics) = quiet(&envoy, answers.len() as u64 + 1).await?;
        assert_eq!(ending(&metrics, &before), "aborted");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_never_held_up_while_it_comes() -> Result<()> {
    for workers in [1, 2] {
        let world = World::start().await?;
        let envoy = world.envoy(json!({"compare": {"body": "text"}}))?.concurrency(workers).start().await?;
        let mut client = envoy.http1().await?;
        let request = client.build(Method::GET, "/sse", &USER, headgate_tests::empty())?;
        let mut events = client.open(request).await?.into_body();
        // Each event is here before the server may send the next one.
        for n in 0..5 {
            let frame = events.frame().await.expect("the stream has not ended")?;
            assert_eq!(frame.data_ref().map(AsRef::as_ref), Some(format!("data: {n}\n\n").as_bytes()));
            world.stable.release();
            world.shadow.release();
        }
        drop((events, client));
        let (account, metrics) = quiet(&envoy, 1).await?;
        assert_eq!((account.failed, metrics.sum("headgate_shadow_failed", &[("reason", "aborted")])), (1, 1));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_without_bodies_are_compared_by_what_they_have() -> Result<()> {
    for workers in [1, 2] {
        let world = World::start().await?;
        let envoy = world
            .envoy(json!({"compare": {"body": "json", "headers": ["content-length"]}}))?
            .concurrency(workers)
            .start()
            .await?;
        for mut client in [envoy.http1().await?, envoy.http2().await?] {
            let answer = client.request(Method::HEAD, "/", &USER, headgate_tests::empty()).await?;
            assert_eq!((answer.status, answer.body.len()), (200, 0));
        }
        let (_, metrics) = quiet(&envoy, 2).await?;
        assert_eq!(metrics.sum("headgate_shadow_compared", &[("verdict", "matched")]), 2);
        assert_eq!(world.shadow.last()?.method, "HEAD");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_is_compared_by_status_and_messages() -> Result<()> {
    for workers in [1, 2] {
        let world = World::start().await?;
        // A copy has no downstream whose protocol its cluster could take on.
        let bootstrap = Bootstrap::filter_state()?.edit(|document| {
            let clusters = document["static_resources"]["clusters"].as_array_mut().unwrap();
            let cluster = clusters.iter_mut().find(|cluster| cluster["name"] == "model-v2").unwrap();
            let options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
            let options = &mut cluster["typed_extension_protocol_options"][options];
            options.as_object_mut().unwrap().remove("use_downstream_protocol_config");
            options["explicit_http_config"] = json!({"http2_protocol_options": {}});
        });
        let envoy = world.behind(bootstrap, json!({"methods": ["POST"]}))?.concurrency(workers).start().await?;
        let mut client = envoy.http2().await?;
        for status in ["0", "5", "14"] {
            let headers =
                [USER[0], ("content-type", "application/grpc"), ("te", "trailers"), ("x-grpc-status", status)];
            let message = headgate_tests::body(b"\0\0\0\0\x02hi".as_slice());
            let answer = client.request(Method::POST, "/model.Score/Once", &headers, message).await?;
            assert_eq!(answer.trailers.get("grpc-status").map(|value| value.as_bytes()), Some(status.as_bytes()));
        }
        let (account, metrics) = quiet(&envoy, 3).await?;
        assert_eq!(account.compared, 3, "{account:?}");
        assert_eq!(metrics.sum("headgate_shadow_compared", &[("verdict", "matched")]), 3);
        for side in ["primary", "shadow"] {
            assert_eq!(metrics.sum("headgate_shadow_replicate_failures", &[("side", side)]), 1, "{side}: of status 14");
        }
        wait_until("the copies' messages have come", || async { Ok(world.shadow.last()?.body_bytes == 7) }).await?;
    }
    Ok(())
}

/// A comparison that is refused is told with its place, and what was in force stays.
#[tokio::test(flavor = "multi_thread")]
async fn rules_that_contradict_are_refused_and_what_was_in_force_compares_on() -> Result<()> {
    for workers in [1, 2] {
        let world = World::start().await?;
        let envoy = world.envoy(json!({}))?.concurrency(workers).start().await?;
        let wrong: [(Value, &str); 4] = [
            (json!({"json": {}}), "routes[0].shadow.compare.json"),
            (
                json!({"body": "json", "json": {"only": ["/a/b"], "ignore": ["/a"]}}),
                "routes[0].shadow.compare.json.only[0]",
            ),
            (json!({"body": "number", "number": {"field": "score"}}), "routes[0].shadow.compare.number.field"),
            (
                json!({"body": "json", "json": {"ignore": ["/a"], "tolerances": [{"path": "/a/b", "absolute": 1}]}}),
                "routes[0].shadow.compare.json.tolerances[0].path",
            ),
        ];
        for (revision, (compare, path)) in (2..).zip(&wrong) {
            let configuration = super::world::shadowed(revision, json!({"compare": compare}));
            envoy.push_refused(&configuration.to_string()).await?;
            assert!(envoy.log()?.contains(path), "{path}");
        }
        let mut client = envoy.http1().await?;
        assert_eq!(client.get("/", &USER).await?.status, 200);
        assert_eq!(quiet(&envoy, 1).await?.0.compared, 1);
    }
    Ok(())
}
