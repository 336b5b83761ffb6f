//! What is done with any bytes, for each fuzz target: nothing may panic, and the answers must keep what they promise.
//!
//! `cargo fuzz` runs these with bytes that it invents; an ordinary test of `headgate-routing` (`tests/corpora.rs`)
//! runs them with every file of `fuzz/corpus/`.

use std::borrow::Cow;
use std::sync::OnceLock;

use headgate_compare::{Rules, Verdict, Wanted};
use headgate_contract::{Comparison, Problems};
use headgate_routing::token::{self, Claims};
use headgate_routing::{Env, HeaderOp, Keyring, Ring, RoutingTable, Trace, View, cookie, hops, jwt, query};

/// What is done with bytes.
pub type Target = fn(&[u8]);

/// The targets by name.
pub const TARGETS: [(&str, Target); 8] = [
    ("compare", compare),
    ("contract", contract),
    ("compile", compile),
    ("decide", decide),
    ("cookies", cookies),
    ("query", queries),
    ("jwt", jwts),
    ("tokens", tokens),
];

const NOW: u64 = 1_800_000_000;
const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

/// Reads a configuration in every way.
pub fn contract(data: &[u8]) {
    let envelope = headgate_contract::envelope(data);
    let read = headgate_contract::read(data);
    if let Ok(read) = &read {
        let envelope = envelope.as_ref().ok();
        assert_eq!(
            envelope.map(|e| (e.revision, e.kill_switch)),
            Some((read.config.revision, read.config.kill_switch))
        );
    }
    assert!(headgate_contract::read_strict(data).is_err() || read.is_ok_and(|read| read.unknown.is_empty()));
    for name in headgate_contract::salvage_headers(data) {
        assert!(headgate_contract::check_header_name(&name).is_ok());
    }
}

/// Compares two answers. The first byte says how they are coded, the second chooses the rules, the third is the size of
/// pieces; two bytes `\xff\xfe` stand between the bodies.
pub fn compare(data: &[u8]) {
    static RULES: OnceLock<Vec<Rules>> = OnceLock::new();
    let rules = RULES.get_or_init(|| {
        let all: Vec<Comparison> = serde_json::from_slice(include_bytes!("comparisons.json")).unwrap_or_default();
        all.iter().map(|comparison| Rules::compile(comparison, "", &mut Problems::default())).collect()
    });
    let [coding, choice, piece, bodies @ ..] = data else { return };
    let Some(rules) = rules.get(usize::from(*choice) % rules.len().max(1)) else { unreachable!("there are rules") };
    let between = bodies.windows(2).position(|pair| pair == b"\xff\xfe");
    let (a, b) = between.map_or((bodies, bodies), |at| bodies.split_at(at));
    let b = b.strip_prefix(b"\xff\xfe").unwrap_or(b);
    let side = |body: &[u8], bits: u8, piece: usize| {
        let mut side = rules.side(if bits & 8 == 0 { 200 } else { 503 }, |name| match name {
            "content-encoding" if bits & 1 != 0 => Some(b"gzip".to_vec()),
            "content-encoding" if bits & 4 != 0 => Some(b"br".to_vec()),
            "content-type" if bits & 2 != 0 => Some(b"application/grpc".to_vec()),
            "grpc-encoding" => Some(b"gzip".to_vec()),
            _ => None,
        });
        body.chunks(piece.max(1)).for_each(|chunk| side.chunk(chunk));
        side.trailer("grpc-status", body.get(..1).unwrap_or_default());
        assert!(side.held() < 256 << 10);
        side.finish();
        side
    };
    let wanted = Wanted { values: true };
    let (x, y) = (side(a, *coding, usize::MAX), side(b, coding >> 4, usize::MAX));
    let outcome = rules.compare(&x, &y, wanted);
    let (x, y) = (side(a, *coding, usize::from(*piece)), side(b, coding >> 4, usize::from(*piece)));
    assert_eq!(outcome, rules.compare(&x, &y, wanted), "pieces make no difference");
    let other = rules.compare(&y, &x, wanted);
    assert_eq!((outcome.verdict, outcome.kinds, outcome.count), (other.verdict, other.kinds, other.count));
    assert!(rules.compare(&x, &x, wanted).verdict != Verdict::Mismatched, "an answer is like itself");
}

/// Compiles what can be read, and decides a few requests by it; compiling twice says the same.
pub fn compile(data: &[u8]) {
    let Ok(read) = headgate_contract::read(data) else { return };
    match (headgate_routing::compile(read.config.clone()), headgate_routing::compile(read.config)) {
        (Ok(table), Ok(_)) => {
            for line in [&b":path: /\n"[..], b":authority: a.example\n:path: /p?user=1\ncookie: sid=1\nx-user: 1\n"] {
                decide_by(&table, line);
            }
        }
        (Err(one), Err(other)) => assert!(one == other && !one.0.is_empty()),
        _ => unreachable!("the result depends on the configuration alone"),
    }
}

/// Decides a request whose first byte says what else is true of it, and whose lines are its headers; a line that begins with `@` is a property.
pub fn decide(data: &[u8]) {
    static TABLE: OnceLock<Option<RoutingTable>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let config = headgate_contract::read_strict(include_bytes!("everything.json")).ok()?;
        headgate_routing::compile(config).ok()
    });
    decide_by(table.as_ref().unwrap_or_else(|| unreachable!("everything.json is sound")), data);
}

/// Reads cookies, and cuts one out.
pub fn cookies(data: &[u8]) {
    for name in ["sid", "", "a b"] {
        let _ = cookie::find(data, name);
        if let Some(kept) = cookie::without(data, name) {
            assert!(name.is_empty() || cookie::find(&kept, name).is_none());
            assert!(cookie::without(&kept, name).is_none() || name.is_empty());
        }
    }
}

/// Reads query parameters.
pub fn queries(data: &[u8]) {
    assert!(!query::path_of(data).contains(&b'?'));
    assert!(query::decode(data).len() <= data.len());
    let _ = query::find(data, "user");
}

/// Reads claims of tokens that nobody verified.
pub fn jwts(data: &[u8]) {
    for number in [false, true] {
        for path in [vec!["sub".to_owned()], vec!["a".to_owned(), "b".to_owned()], vec![]] {
            assert!(jwt::unverified(data, &path, number).is_none_or(|key| !key.is_empty()));
        }
        assert!(jwt::from_property(data.to_vec(), number).is_none_or(|key| !key.is_empty()));
    }
}

/// Believes no token and no pair that it has not signed, and every one that it has.
pub fn tokens(data: &[u8]) {
    let ring = Ring::new([("k1", SECRET)]);
    if let Ok(claims) = token::verify(data, &ring, "shop", NOW) {
        assert!(claims.aud == "shop" && claims.exp > NOW);
    }
    let (pairs, _) = hops::verify(data, "mesh", NOW, &ring);
    assert!(pairs.len() <= data.len());
    let text = String::from_utf8_lossy(data);
    let claims =
        Claims { aud: "shop".to_owned(), variant: text.chars().take(100).collect(), exp: NOW + 1, route: None };
    let signed = token::sign(&claims, &ring, "k1").unwrap_or_default();
    assert_eq!(token::verify(signed.as_bytes(), &ring, "shop", NOW), Ok(claims));
}

/// Decides, and checks what every decision promises.
pub fn decide_by(table: &RoutingTable, data: &[u8]) {
    let request = Request::new(data);
    let keyring = Keyring::load(table, &|_| Some(SECRET.to_vec()));
    let env = |trace| Env { now: &|| NOW, random: &|| None, keyring: &keyring, trace };
    let outcome = table.decide(&request, &env(None));
    assert_eq!(outcome, table.decide(&request, &env(Some(&Silent))), "a trace changes nothing");
    if let Some(decision) = &outcome.decision {
        let route = table.route(decision.route).map(|route| (route.variants.len(), route.segments.len()));
        assert!(route.is_some_and(|(variants, segments)| decision.variant < variants && decision.segment <= segments));
        assert!(decision.replicate.is_none_or(|bucket| bucket < 32));
    }
    for route in &table.config().routes {
        let Some(header) = &route.output.request_header else { continue };
        let sent = request.header(&header.name).is_some();
        let touched = outcome.headers.iter().any(|op| match op {
            HeaderOp::Remove(name) | HeaderOp::Set(name, _) | HeaderOp::SetBytes(name, _) => *name == header.name,
        });
        assert!(!sent || touched, "a client's {} goes through", header.name);
    }
}

struct Silent;

impl Trace for Silent {
    fn step(&self, _rule: &str, _result: &str) {}
}

/// Headers and properties by name.
struct Request<'d> {
    body: bool,
    fields: Vec<(&'d [u8], &'d [u8])>,
}

impl<'d> Request<'d> {
    fn new(data: &'d [u8]) -> Self {
        let field = |line: &'d [u8]| {
            let colon = line.iter().skip(1).position(|&b| b == b':')? + 1;
            Some((line.get(..colon)?, line.get(colon + 1..)?.trim_ascii_start()))
        };
        Self { body: data.first() == Some(&b'!'), fields: data.split(|&b| b == b'\n').filter_map(field).collect() }
    }

    fn get(&self, name: &str) -> Option<&'d [u8]> {
        self.fields.iter().find(|(field, _)| *field == name.as_bytes()).map(|(_, value)| *value)
    }
}

impl View for Request<'_> {
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.get(name).map(Cow::Borrowed)
    }

    fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
        self.get(&format!("@{}", path.last()?)).map(<[u8]>::to_vec)
    }

    fn ends_with_headers(&self) -> bool {
        !self.body
    }
}
