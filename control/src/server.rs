//! What the controller answers over HTTP: signed links of gates, and the intake of outcomes.
//!
//! `GET` of a link shows what it would do and does nothing (mail programs and chat bots open links by themselves); the `POST` of the form
//! does it, once. Outcomes come as JSON, a list or one on a line. The server runs on a thread of its own; nothing a caller sends can hold up
//! a decision. It knows nothing of weights and steps.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use crate::exit::Failure;
use crate::links::{self, Word};

/// What a request may ask of the process.
pub(crate) trait Desk: Send + Sync + 'static {
    /// The key that gates of this rollout are signed with; `None` when it has no links.
    fn key(&self, rollout: &str) -> Option<Vec<u8>>;
    /// What a gate waits for, in words; `None` when it does not wait.
    fn waits(&self, rollout: &str, run: i64, gate: &str) -> Option<String>;
    /// Answers a gate; `false` when it was answered already or does not wait.
    fn answer(&self, word: &Word, actor: &str) -> Result<bool, String>;
    /// Takes outcomes of a rollout; gives how many were new and what was wrong with the others.
    fn outcomes(&self, rollout: &str, body: &str) -> Result<(usize, Vec<String>), String>;
    /// The token that senders of outcomes must show, when one is asked for.
    fn outcomes_token(&self, rollout: &str) -> Option<String>;
    /// Unix milliseconds.
    fn now(&self) -> i64;
}

/// Listens on an address (port 0: any) and answers until the process ends; gives the address it got. `records` takes in what proxies compared.
///
/// # Errors
/// When the address cannot be had.
pub(crate) fn start(at: &str, desk: Arc<dyn Desk>, records: Option<Router>) -> Result<SocketAddr, Failure> {
    let app = Router::new()
        .route("/gates/{rollout}/{run}/{gate}/{answer}", get(show).post(act))
        .route("/outcomes/{rollout}", post(take))
        .layer(DefaultBodyLimit::max(16 << 20))
        .with_state(desk);
    serve(at, records.into_iter().fold(app, Router::merge))
}

/// Answers at an address until the process ends, on a thread of its own.
///
/// # Errors
/// When the address cannot be had.
pub(crate) fn serve(at: &str, app: Router) -> Result<SocketAddr, Failure> {
    let failed = |e: std::io::Error| Failure::failed(format!("cannot listen on {at}: {e}"));
    let listener = TcpListener::bind(at).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(failed)?;
    std::thread::spawn(move || {
        runtime.block_on(async move {
            if let Ok(listener) = tokio::net::TcpListener::from_std(listener) {
                let _ended = axum::serve(listener, app).await;
            }
        });
    });
    Ok(addr)
}

#[derive(Debug, Deserialize)]
struct Signed {
    expires: i64,
    signature: String,
}

type Place = Path<(String, i64, String, String)>;

fn page(status: StatusCode, title: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><body style=\"font:16px/1.5 system-ui;max-width:36em;margin:4em auto;padding:0 1em\">\
         <h1 style=\"font-size:1.3em\">{title}</h1>{body}"
    );
    let guard = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (status, guard, Html(html)).into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The word a link stands for, if it is signed as it should be.
fn word(desk: &dyn Desk, Path((rollout, run, gate, answer)): Place, signed: &Signed) -> Result<Word, Box<Response>> {
    let refuse =
        |why: &str| Box::new(page(StatusCode::FORBIDDEN, "This link does nothing", &format!("<p>{}", escaped(why))));
    let Some(key) = desk.key(&rollout) else { return Err(refuse("no rollout of this name takes signed links here")) };
    let word = Word { rollout, run, gate, answer, expires: signed.expires };
    links::check(&key, &word, &signed.signature, desk.now()).map_err(refuse)?;
    if !["approve", "reject"].contains(&word.answer.as_str()) {
        return Err(refuse("a gate is approved or rejected, nothing else"));
    }
    Ok(word)
}

async fn show(State(desk): State<Arc<dyn Desk>>, place: Place, Query(signed): Query<Signed>) -> Response {
    let word = match word(&*desk, place, &signed) {
        Ok(word) => word,
        Err(refused) => return *refused,
    };
    let title = format!("Rollout {}: gate {}", escaped(&word.rollout), escaped(&word.gate));
    match desk.waits(&word.rollout, word.run, &word.gate) {
        Some(what) => page(
            StatusCode::OK,
            &title,
            &format!(
                "<p>{}</p><form method=\"post\"><button style=\"font:inherit;padding:.5em 1.5em\">{}</button></form>",
                escaped(&what),
                word.answer
            ),
        ),
        None => page(StatusCode::GONE, &title, "<p>It does not wait for an answer, or has got one already."),
    }
}

async fn act(State(desk): State<Arc<dyn Desk>>, place: Place, Query(signed): Query<Signed>) -> Response {
    let word = match word(&*desk, place, &signed) {
        Ok(word) => word,
        Err(refused) => return *refused,
    };
    let title = format!("Rollout {}: gate {}", escaped(&word.rollout), escaped(&word.gate));
    match desk.answer(&word, "holder of a signed link") {
        Ok(true) => page(StatusCode::OK, &title, &format!("<p>Taken: {}.", word.answer)),
        Ok(false) => page(StatusCode::CONFLICT, &title, "<p>It does not wait for an answer, or has got one already."),
        Err(e) => page(StatusCode::SERVICE_UNAVAILABLE, &title, &format!("<p>Not taken: {}", escaped(&e))),
    }
}

async fn take(
    State(desk): State<Arc<dyn Desk>>,
    Path(rollout): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let json = |status: StatusCode, value: serde_json::Value| (status, axum::Json(value)).into_response();
    if let Some(token) = desk.outcomes_token(&rollout) {
        let given = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default();
        if !same(given, &format!("Bearer {token}")) {
            return json(StatusCode::UNAUTHORIZED, serde_json::json!({"error": "outcomes need the bearer token"}));
        }
    }
    match desk.outcomes(&rollout, &body) {
        Ok((kept, problems)) => {
            let status = if problems.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
            json(status, serde_json::json!({"kept": kept, "problems": problems}))
        }
        Err(e) => json(StatusCode::SERVICE_UNAVAILABLE, serde_json::json!({"error": e})),
    }
}

/// Compares without telling by its time where the first difference is.
pub(crate) fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |d, (x, y)| d | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    struct Fake {
        answered: Mutex<Vec<Word>>,
    }

    impl Desk for Fake {
        fn key(&self, rollout: &str) -> Option<Vec<u8>> {
            (rollout == "shop").then(|| b"key".to_vec())
        }
        fn waits(&self, _: &str, _: i64, gate: &str) -> Option<String> {
            self.answered.lock().unwrap().is_empty().then(|| format!("{gate} & <all>"))
        }
        fn answer(&self, word: &Word, _: &str) -> Result<bool, String> {
            let mut answered = self.answered.lock().unwrap();
            answered.push(word.clone());
            Ok(answered.len() == 1)
        }
        fn outcomes(&self, _: &str, body: &str) -> Result<(usize, Vec<String>), String> {
            Ok((body.lines().count(), vec![]))
        }
        fn outcomes_token(&self, rollout: &str) -> Option<String> {
            (rollout == "shop").then(|| "t".to_owned())
        }
        fn now(&self) -> i64 {
            50
        }
    }

    fn ask(method: &str, url: &str, body: &str, token: &str) -> (u16, String) {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let answer = match method {
            "GET" => agent.get(url).call(),
            _ => agent.post(url).header("authorization", token).header("content-type", "text/plain").send(body),
        };
        let answer = answer.unwrap();
        (answer.status().as_u16(), answer.into_body().read_to_string().unwrap())
    }

    #[test]
    fn looking_at_a_link_does_nothing_and_the_button_acts_once() {
        let desk = Arc::new(Fake { answered: Mutex::default() });
        let at = start("127.0.0.1:0", desk.clone(), None).unwrap();
        let word = Word { rollout: "shop".into(), run: 1, gate: "half".into(), answer: "approve".into(), expires: 100 };
        let url = links::link(&format!("http://{at}"), b"key", &word).unwrap();
        let (status, text) = ask("GET", &url, "", "");
        assert!(status == 200 && text.contains("half &amp; &lt;all&gt;") && text.contains("<form"), "{status} {text}");
        assert!(desk.answered.lock().unwrap().is_empty());
        assert_eq!(ask("POST", &url, "", "").0, 200);
        assert_eq!(ask("POST", &url, "", "").0, 409);
        assert_eq!(ask("GET", &url, "", "").0, 410);
        assert_eq!(ask("POST", &url.replace("approve", "reject"), "", "").0, 403);
        assert_eq!(ask("POST", &url.replace("expires=100", "expires=200"), "", "").0, 403);
        assert_eq!(desk.answered.lock().unwrap()[0], word);
    }

    #[test]
    fn outcomes_are_taken_from_those_who_show_the_token() {
        let at = start("127.0.0.1:0", Arc::new(Fake { answered: Mutex::default() }), None).unwrap();
        let url = format!("http://{at}/outcomes/shop");
        assert_eq!(ask("POST", &url, "a\nb", "Bearer x").0, 401);
        let (status, text) = ask("POST", &url, "a\nb", "Bearer t");
        assert_eq!((status, text.as_str()), (200, r#"{"kept":2,"problems":[]}"#));
    }
}
