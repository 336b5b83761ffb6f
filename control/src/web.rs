//! Questions to other systems over HTTP: time limits, retries with backoff, a bearer token, a certificate authority of one's own.
//!
//! Proxies are not asked with this (`proxy.rs` is): they answer at once or count as missing. It knows nothing of what is asked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use ureq::tls::{PemItem, RootCerts, TlsConfig};

/// Where a bearer token is found. It is never shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// An environment variable.
    Env(String),
    /// A file, which may be replaced while the process runs.
    File(PathBuf),
}

impl Token {
    /// The token.
    ///
    /// # Errors
    /// In words, when it is not there or empty.
    pub(crate) fn read(&self) -> Result<String, String> {
        let (found, place) = match self {
            Self::Env(name) => (std::env::var(name).ok(), format!("the environment variable {name}")),
            Self::File(path) => (std::fs::read_to_string(path).ok(), format!("the file {}", path.display())),
        };
        let token = found.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
        token.ok_or_else(|| format!("{place} holds no token"))
    }
}

/// How a system is asked.
#[derive(Debug, Clone)]
pub(crate) struct Manner {
    /// Of one attempt, answer included.
    pub(crate) timeout: Duration,
    /// Attempts after the first.
    pub(crate) retries: u32,
    /// Pause before the second attempt; doubles with each, up to a hundredfold.
    pub(crate) backoff: Duration,
    /// Where a bearer token is found; looked up for each question.
    pub(crate) bearer: Option<Token>,
    /// PEM file with the authorities to trust instead of the usual ones.
    pub(crate) ca_file: Option<PathBuf>,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            retries: 3,
            backoff: Duration::from_millis(200),
            bearer: None,
            ca_file: None,
        }
    }
}

/// Asks one system.
#[derive(Debug, Clone)]
pub(crate) struct Web {
    agent: ureq::Agent,
    manner: Manner,
}

/// An answer of any status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Web {
    /// A client.
    ///
    /// # Errors
    /// In words, when the authorities' file cannot be read.
    pub(crate) fn new(manner: Manner) -> Result<Self, String> {
        let mut config = ureq::Agent::config_builder()
            .timeout_global(Some(manner.timeout))
            .http_status_as_error(false)
            .user_agent(concat!("headgate/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &manner.ca_file {
            config = config.tls_config(TlsConfig::builder().root_certs(authorities(path)?).build());
        }
        Ok(Self { agent: config.build().into(), manner })
    }

    /// `GET`, again and again until an answer comes that another attempt would not change.
    ///
    /// # Errors
    /// In words, with the address without its query.
    pub(crate) fn get(&self, url: &str, headers: &[(String, String)]) -> Result<Said, String> {
        self.insist(url, || self.once(url, headers, None))
    }

    /// `POST` of JSON, likewise.
    ///
    /// # Errors
    /// In words, with the address without its query.
    pub(crate) fn post(&self, url: &str, headers: &[(String, String)], body: &Value) -> Result<Said, String> {
        self.insist(url, || self.once(url, headers, Some(body)))
    }

    fn insist(&self, url: &str, ask: impl Fn() -> Result<Said, String>) -> Result<Said, String> {
        let mut pause = self.manner.backoff;
        let mut attempt = 0;
        loop {
            let answer = ask();
            let again = match &answer {
                Ok(said) => said.status >= 500 || said.status == 429 || said.status == 408,
                Err(_) => true,
            };
            if !again || attempt >= self.manner.retries {
                let place = place(url);
                return match answer {
                    Ok(said) if again => {
                        Err(format!("{place} answered {} in each of {} attempts", said.status, attempt + 1))
                    }
                    Ok(said) => Ok(said),
                    Err(e) => Err(format!("{place}: {e} ({} attempts)", attempt + 1)),
                };
            }
            attempt += 1;
            std::thread::sleep(pause);
            pause = (pause * 2).min(self.manner.backoff * 100);
        }
    }

    fn once(&self, url: &str, headers: &[(String, String)], body: Option<&Value>) -> Result<Said, String> {
        let said = |e: ureq::Error| e.to_string();
        let token = self.token()?;
        let all = headers.iter().map(|(n, v)| (n.clone(), v.clone())).chain(token.map(|t| ("authorization".into(), t)));
        let answer = match body {
            None => all.fold(self.agent.get(url), |r, (n, v)| r.header(n, v)).call().map_err(said)?,
            Some(body) => all
                .fold(self.agent.post(url).header("content-type", "application/json"), |r, (n, v)| r.header(n, v))
                .send(body.to_string())
                .map_err(said)?,
        };
        let status = answer.status().as_u16();
        let body = answer.into_body().into_with_config().limit(16 << 20).read_to_string().map_err(said)?;
        Ok(Said { status, body })
    }

    fn token(&self) -> Result<Option<String>, String> {
        self.manner.bearer.as_ref().map(|token| token.read().map(|t| format!("Bearer {t}"))).transpose()
    }
}

/// An address as it may be shown: without the query and without user and password.
pub(crate) fn place(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or(url);
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').map_or((rest, String::new()), |(h, p)| (h, format!("/{p}")));
            format!("{scheme}://{}{path}", host.rsplit('@').next().unwrap_or(host))
        }
        None => url.to_owned(),
    }
}

fn authorities(path: &Path) -> Result<RootCerts, String> {
    let at = |e: String| format!("the authorities in {} cannot be used: {e}", path.display());
    let pem = std::fs::read(path).map_err(|e| at(e.to_string()))?;
    let mut found = Vec::new();
    for item in ureq::tls::parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|e| at(e.to_string()))? {
            found.push(certificate);
        }
    }
    if found.is_empty() {
        return Err(at("it holds no certificate in PEM form".to_owned()));
    }
    Ok(RootCerts::new_with_certs(&found))
}

/// Percent-encodes all but unreserved characters (RFC 3986).
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::sync::mpsc;

    /// A server that gives these answers (status, body) one after the other, and what it was asked (request line with the headers,
    /// body).
    pub(crate) fn server(answers: Vec<(u16, String)>) -> (String, mpsc::Receiver<(String, String)>) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            for (status, body) in answers {
                let Ok((stream, _)) = listener.accept() else { return };
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let (mut head, mut length) = (String::new(), 0);
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = n.trim().parse().unwrap();
                    }
                    if line.trim().is_empty() {
                        break;
                    }
                    head.push_str(&line);
                }
                let mut sent = vec![0; length];
                reader.read_exact(&mut sent).unwrap();
                let mut stream = stream;
                write!(
                    stream,
                    "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                )
                .unwrap();
                let _gone = sender.send((head, String::from_utf8(sent).unwrap()));
            }
        });
        (url, receiver)
    }

    fn quick() -> Manner {
        Manner { backoff: Duration::from_millis(1), ..Manner::default() }
    }

    #[test]
    fn it_asks_again_while_that_may_help() {
        let (url, asked) = server(vec![(503, String::new()), (429, String::new()), (200, "yes".into())]);
        let said = Web::new(quick()).unwrap().get(&format!("{url}/a?b"), &[]).unwrap();
        assert_eq!(said, Said { status: 200, body: "yes".into() });
        assert_eq!(asked.iter().take(3).count(), 3);
        let (url, asked) = server(vec![(404, "no".into())]);
        assert_eq!(Web::new(quick()).unwrap().get(&url, &[]).unwrap().status, 404);
        assert_eq!(asked.iter().take(1).count(), 1);
    }

    #[test]
    fn what_never_answers_is_named_without_its_secrets() {
        let (url, _) = server(vec![]);
        let url = url.replace("http://", "http://me:secret@");
        let manner = Manner { retries: 1, ..quick() };
        let said = Web::new(manner).unwrap().get(&format!("{url}/x?token=secret"), &[]).unwrap_err();
        assert!(said.contains("2 attempts") && said.contains("/x") && !said.contains("secret"), "{said}");
    }

    #[test]
    fn a_token_is_sent_and_one_that_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let (url, asked) = server(vec![(200, String::new())]);
        let web = |path: &Path| {
            Web::new(Manner { bearer: Some(Token::File(path.to_owned())), retries: 0, ..quick() }).unwrap()
        };
        assert!(web(&path).get(&url, &[]).unwrap_err().contains("holds no token"));
        std::fs::write(&path, "s3cret\n").unwrap();
        web(&path).get(&url, &[]).unwrap();
        assert!(asked.recv().unwrap().0.contains("authorization: Bearer s3cret"));
    }

    #[test]
    fn authorities_that_are_none_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, "nothing").unwrap();
        let manner = Manner { ca_file: Some(path), ..Manner::default() };
        assert!(Web::new(manner).unwrap_err().contains("no certificate"));
    }
}
