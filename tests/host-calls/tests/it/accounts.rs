//! Whatever comes in whatever order: every sampled request is compared, refused, dropped or failed, once, and holds nothing afterwards.

use headgate_host_calls::{Header, Proxy, Way};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{config, configured, headers, route};

/// Requests that may be copied at a time.
const IN_FLIGHT: u32 = 3;

/// What happens next. Numbers choose among what there is at that time.
#[derive(Debug, Clone)]
enum Event {
    /// A stream begins; of a request with a body it may be told how long that is.
    Open {
        post: bool,
        length: Option<u16>,
        other_method: bool,
    },
    /// More of a request, or its end by trailers.
    Asks {
        stream: usize,
        bytes: u16,
        ends: bool,
        trailers: bool,
    },
    /// More of a response: first its headers.
    Answers {
        stream: usize,
        status: u16,
        bytes: u16,
        ends: bool,
        trailers: bool,
    },
    /// A stream is over.
    Closes {
        stream: usize,
    },
    /// A call is answered: by the shadow, or by Envoy instead.
    Called {
        call: usize,
        how: u8,
        bytes: u16,
    },
    /// Milliseconds go by.
    Wait(u32),
    Tick,
    /// A configuration comes.
    Push(u8),
    /// The oldest one before goes.
    Forget,
}

fn any_event() -> impl Strategy<Value = Event> {
    let any_bytes = || prop_oneof![3 => 0..300_u16, 1 => 300..3_000_u16];
    prop_oneof![
        6 => (any::<bool>(), prop::option::of(any_bytes()), prop::bool::weighted(0.1))
            .prop_map(|(post, length, other_method)| Event::Open { post, length, other_method }),
        4 => (any::<usize>(), any_bytes(), any::<bool>(), prop::bool::weighted(0.1))
            .prop_map(|(stream, bytes, ends, trailers)| Event::Asks { stream, bytes, ends, trailers }),
        8 => (any::<usize>(), prop::sample::select(vec![200, 404, 503]), any_bytes(), any::<bool>(), prop::bool::weighted(0.1))
            .prop_map(|(stream, status, bytes, ends, trailers)| Event::Answers { stream, status, bytes, ends, trailers }),
        4 => any::<usize>().prop_map(|stream| Event::Closes { stream }),
        6 => (any::<usize>(), 0..6_u8, any_bytes()).prop_map(|(call, how, bytes)| Event::Called { call, how, bytes }),
        2 => (0..400_u32).prop_map(Event::Wait),
        1 => Just(Event::Tick),
        1 => (0..5_u8).prop_map(Event::Push),
        1 => Just(Event::Forget),
    ]
}

/// A configuration; some kill.
fn configuration(revision: u64, which: u8) -> Value {
    let mut route = route();
    route["variants"] = json!([{"name": "stable", "weight": 1}]);
    route["overrides"] = json!([]);
    route["shadow"] = json!({
        "cluster": "shop-v2", "share": 10_000, "methods": ["GET", "POST"], "maxBodyBytes": 1_000,
        "noise": {"cluster": "shop-v1", "share": 5_000}, "compare": {"body": if which == 1 { "json" } else { "digest" }}
    });
    route["killSwitch"] = json!(which == 2);
    let mut config = config(route);
    config["revision"] = json!(revision);
    config["killSwitch"] = json!(which == 3);
    config["shadowing"] = json!({
        "budget": {"inFlight": IN_FLIGHT, "bytes": 65_536},
        "records": {"cluster": "headgate", "everyMs": 10, "batchBytes": 2_048, "recordBytes": 2_048}
    });
    config
}

fn status(status: u16, upstream: bool) -> Vec<Header> {
    let mut headers = vec![(b":status".to_vec(), status.to_string().into_bytes())];
    if upstream {
        headers.push((b"x-envoy-upstream-service-time".to_vec(), b"1".to_vec()));
    }
    headers
}

/// A stream as far as it came.
#[derive(Debug, Clone, Copy)]
struct Stream {
    id: u32,
    asked: bool,
    began: bool,
    answered: bool,
}

struct World {
    proxy: Proxy,
    streams: Vec<Stream>,
    roots: Vec<u32>,
    revision: u64,
    /// Whether nobody can reach the shadow.
    down: bool,
}

impl World {
    fn happens(&mut self, event: &Event) {
        let Self { proxy, streams, .. } = self;
        let count = streams.len();
        let at = |index: &usize| index.checked_rem(count).unwrap_or_default();
        match event {
            Event::Open { post, length, other_method } => {
                let mut request = headers(&[("x-user-id", "alice")]);
                let method = if *other_method {
                    "PUT"
                } else if *post {
                    "POST"
                } else {
                    "GET"
                };
                request[0].1 = method.as_bytes().to_vec();
                if let (true, Some(length)) = (*post, length) {
                    request.push((b"content-length".to_vec(), length.to_string().into_bytes()));
                }
                let id = proxy.open(&request, !post).unwrap();
                streams.push(Stream { id, asked: !post, began: false, answered: false });
            }
            Event::Asks { stream: index, bytes, ends, trailers } => {
                let Some(stream) = streams.get_mut(at(index)).filter(|stream| !stream.asked) else { return };
                if *trailers {
                    proxy.trailers(stream.id, Way::Request).unwrap();
                } else {
                    proxy.piece(stream.id, Way::Request, &vec![b'a'; usize::from(*bytes)], *ends).unwrap();
                }
                stream.asked = *trailers || *ends;
            }
            Event::Answers { stream: index, status: code, bytes, ends, trailers } => {
                let Some(stream) = streams.get_mut(at(index)).filter(|stream| !stream.answered) else { return };
                if !stream.began {
                    proxy.respond(stream.id, &status(*code, true), *ends).unwrap();
                    (stream.began, stream.answered) = (true, *ends);
                } else if *trailers {
                    proxy.trailers(stream.id, Way::Response).unwrap();
                    stream.answered = true;
                } else {
                    proxy.piece(stream.id, Way::Response, &vec![b'a'; usize::from(*bytes)], *ends).unwrap();
                    stream.answered = *ends;
                }
            }
            Event::Closes { stream: index } => {
                let Some(index) = index.checked_rem(count) else { return };
                proxy.close(streams.swap_remove(index).id).unwrap();
            }
            Event::Called { call, how, bytes } => {
                let sent = &proxy.host().sent;
                let Some(token) = call.checked_rem(sent.len()).and_then(|index| sent.get(index).copied()) else {
                    return;
                };
                let answer = match how {
                    _ if self.down => status(503, false),
                    0 => Vec::new(),
                    1 => status(503, false),
                    2 => status(504, false),
                    3 => status(503, true),
                    _ => status(200, true),
                };
                proxy.answer(token, &answer, &vec![b'a'; usize::from(*bytes)]).unwrap();
            }
            Event::Wait(milliseconds) => proxy.host().wait(u64::from(*milliseconds) * 1_000),
            Event::Tick => proxy.tick().unwrap(),
            Event::Push(which) => {
                self.revision += 1;
                let configuration = configuration(self.revision, *which).to_string();
                let (taken, before) = proxy.push(configuration.as_bytes()).unwrap();
                assert!(taken, "{:?}", proxy.host().log);
                self.roots.push(before);
            }
            Event::Forget => {
                if !self.roots.is_empty() {
                    proxy.forget(self.roots.remove(0)).unwrap();
                }
            }
        }
    }

    /// Counters of shadows, all labels together.
    fn sum(&mut self, what: &str) -> u64 {
        let name = format!("headgate_shadow_{what}");
        self.proxy.counted().unwrap().sum(&name)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_sampled_request_ends_once_and_holds_nothing_afterwards(events in vec(any_event(), 0..250), down in prop::bool::weighted(0.3)) {
        let proxy = configured(&headgate_tests::shadow_wasm().unwrap(), &configuration(1, 0));
        let mut world = World { proxy, streams: Vec::new(), roots: Vec::new(), revision: 1, down };
        for event in &events {
            world.happens(event);
            let ended: u64 = ["compared", "refused", "dropped", "failed"].map(|what| world.sum(what)).iter().sum();
            let sampled = world.sum("sampled");
            prop_assert!(ended <= sampled && sampled <= ended + u64::from(IN_FLIGHT), "{} of {}", ended, sampled);
        }
        // All come to their end.
        while !world.streams.is_empty() {
            world.happens(&Event::Closes { stream: 0 });
        }
        while !world.proxy.host().sent.is_empty() {
            world.happens(&Event::Called { call: 0, how: 5, bytes: 1 });
        }
        let ended: u64 = ["compared", "refused", "dropped", "failed"].map(|what| world.sum(what)).iter().sum();
        prop_assert_eq!(ended, world.sum("sampled"));
        world.down = false;
        // Nothing is held: as many as may be are copied again, once one has shown that the shadow is there.
        world.happens(&Event::Push(0));
        world.happens(&Event::Wait(11_000));
        let open = Event::Open { post: false, length: None, other_method: false };
        world.happens(&open);
        while !world.proxy.host().sent.is_empty() {
            world.happens(&Event::Called { call: 0, how: 5, bytes: 1 });
        }
        world.happens(&Event::Closes { stream: 0 });
        while !world.proxy.host().sent.is_empty() {
            world.happens(&Event::Called { call: 0, how: 5, bytes: 1 });
        }
        let dropped = world.sum("dropped");
        for _ in 0..IN_FLIGHT {
            world.happens(&open);
        }
        prop_assert_eq!(world.sum("dropped"), dropped);
        prop_assert!(world.proxy.host().sent.len() >= IN_FLIGHT as usize);
        world.happens(&open);
        prop_assert_eq!(world.sum("dropped"), dropped + 1);
    }
}
