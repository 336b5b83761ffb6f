//! Providers that are asked over TLS by an authority of one's own, with a bearer token.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use headgate_tests::Result;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use super::world::World;

/// A webhook and a Prometheus in one, for whoever shows the token.
struct Guarded {
    addr: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Guarded {
    /// Starts it with a certificate of an authority that is written to `authority`.
    fn start(authority: &Path) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        std::fs::write(authority, issuer.pem())?;
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec!["localhost".to_owned()])?.signed_by(&key, &issuer)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        let (config, asked) = (Arc::new(config), Arc::<Mutex<Vec<String>>>::default());
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let addr = listener.local_addr()?;
        let seen = Arc::clone(&asked);
        // It ends with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, seen) = (Arc::clone(&config), Arc::clone(&seen));
                // Whoever does not trust it goes away.
                std::thread::spawn(move || drop(answer(stream, config, &seen)));
            }
        });
        Ok(Self { addr, asked })
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.addr.port())
    }

    /// Each request's path and token.
    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn answer(stream: TcpStream, config: Arc<ServerConfig>, seen: &Mutex<Vec<String>>) -> Result<()> {
    let mut reader = BufReader::new(StreamOwned::new(ServerConnection::new(config)?, stream));
    let (mut first, mut token, mut length) = (String::new(), String::new(), 0);
    reader.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            match name.to_ascii_lowercase().as_str() {
                "authorization" => token = value.trim().to_owned(),
                "content-length" => length = value.trim().parse()?,
                _ => {}
            }
        }
    }
    reader.read_exact(&mut vec![0; length])?;
    let path = first.split(' ').nth(1).unwrap_or_default().split('?').next().unwrap_or_default().to_owned();
    let known = token == "Bearer s3cret";
    let body = match (known, path.as_str()) {
        (false, _) => json!({"error": "who are you?"}),
        (true, "/api/v1/query") => {
            json!({"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [0, "5"]}]}})
        }
        (true, _) => json!({"value": 5}),
    };
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{path} {token}"));
    let (status, body) = (if known { 200 } else { 401 }, body.to_string());
    let stream = reader.get_mut();
    write!(stream, "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())?;
    stream.conn.send_close_notify();
    Ok(stream.flush()?)
}

/// Judged by both alone.
fn judged_by(file: &mut Value, guarded: &Guarded, how: &Value) {
    let with = |mut provider: Value| {
        for (name, value) in how.as_object().into_iter().flatten() {
            provider[name] = value.clone();
        }
        provider
    };
    file["spec"]["providers"] = json!({
        "score": {"webhook": with(json!({"url": guarded.url("/score"), "retries": 0}))},
        "prom": {"prometheus": with(json!({"address": guarded.url("")}))},
    });
    file["spec"]["analysis"]["criteria"] = json!([
        {"name": "score", "metric": "custom", "provider": "score", "min": 4},
        {"name": "mood", "metric": "custom", "provider": "prom", "query": "mood", "min": 4},
    ]);
    file["spec"]["strategy"]["canary"]["steps"] =
        json!([{"weight": "50%", "duration": "2s"}, {"weight": "100%", "duration": "1s"}]);
    file["spec"]["monitoring"] = json!({"duration": "0s"});
    file["spec"]["holdLimit"] = json!("300ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn providers_are_asked_over_tls_with_a_token_and_nobody_else_is_believed() -> Result<()> {
    let world = World::start().await?;
    let authority = world.path("authority.pem");
    let guarded = Guarded::start(&authority)?;
    std::fs::write(world.path("token"), "s3cret\n")?;
    std::fs::write(world.path("empty"), "\n")?;
    let load = world.load().await?;
    load.more(100).await?;
    let (token, empty) = (json!({"file": world.text("token")}), json!({"file": world.text("empty")}));
    for (name, how, reason) in [
        ("unknown-authority", json!({"bearer": token}), "certificate"),
        ("no-token", json!({"caFile": world.text("authority.pem")}), "401"),
        ("empty-token", json!({"caFile": world.text("authority.pem"), "bearer": empty}), "holds no token"),
    ] {
        let file = world.rollout(|file| {
            judged_by(file, &guarded, &how);
            file["metadata"]["name"] = json!(name);
        })?;
        let ran = world.run(&file, &[])?.ended().await?;
        assert_eq!((ran.code, world.published()?), (11, 5_000), "{name}: {}{}", ran.out, ran.err);
        assert!(ran.out.to_lowercase().contains(reason), "{name}: {}", ran.out);
        let back = world.headgate(&["rollback", name, "--json"]).await?;
        assert_eq!(back.code, 0, "{name}: {back:?}");
        assert_eq!(world.run(&file, &[])?.ended().await?.code, 10, "{name}");
    }
    assert!(guarded.asked().iter().all(|asked| !asked.contains("s3cret")), "{:?}", guarded.asked());
    let how = json!({"caFile": world.text("authority.pem"), "bearer": token});
    let file = world.rollout(|file| judged_by(file, &guarded, &how))?;
    let ran = world.run(&file, &[])?.ended().await?;
    assert_eq!((ran.code, world.published()?), (0, 10_000), "{}{}", ran.out, ran.err);
    for path in ["/score", "/api/v1/query"] {
        assert!(guarded.asked().contains(&format!("{path} Bearer s3cret")), "{:?}", guarded.asked());
    }
    let history = world.history().await?;
    assert!(!format!("{}{}{history:?}", ran.out, ran.err).contains("s3cret"), "a token is never shown");
    load.stop().await?;
    Ok(())
}
