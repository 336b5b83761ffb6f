//! The HTTP service around a model: `POST /predict`, `GET /healthz`, and `GET /counts`, what it was asked so far.
//!
//! Its counts are the demo's second witness beside Envoy's: which copies reached it, and which of Headgate's headers. It keeps no
//! rows and writes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use crate::{Model, Version};

/// At most so many different values of headers are remembered: the headers are anybody's.
const HEADERS_KEPT: usize = 200;

/// The body of `POST /predict`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// 64 pixels, row by row from the top, 0 (white) to 16 (black).
    pub features: Vec<f64>,
}

/// The answer to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The digit, 0 to 9.
    pub prediction: u8,
    /// Its probability in the model's eyes, above 0 and at most 1.
    pub score: f64,
    /// The version that answered.
    pub model: Version,
}

/// What a server was asked since it started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Predictions whose answers somebody waits for.
    pub requests: u64,
    /// Predictions that were copies (`x-headgate-copy`), whose answers are dropped.
    pub copies: u64,
    /// Users (`x-user-id`) whose requests were copied.
    pub copied_users: BTreeSet<String>,
    /// Headers that begin with `x-headgate-`, as `name: value`, and how often they came; of at most 200 different ones.
    pub headers: BTreeMap<String, u64>,
}

/// What is wrong with a version that should not be released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Fault {
    /// Every answer comes 60 ms late.
    Slow,
    /// Every eighth request is answered with 503.
    Failing,
    /// Pictures come to the model mirrored, as after a mistake in the step before it.
    Inaccurate,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Slow, Self::Failing, Self::Inaccurate];
    /// How late a slow answer is.
    const LATE: Duration = Duration::from_millis(60);
    /// Of so many requests one fails.
    const EVERY: u64 = 8;

    /// Its name on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Failing => "failing",
            Self::Inaccurate => "inaccurate",
        }
    }
}

#[derive(Debug)]
struct Shared {
    model: Model,
    fault: Option<Fault>,
    asked: AtomicU64,
    counts: Mutex<Counts>,
}

/// The service of one model, with a fault or without.
pub fn service(model: Model, fault: Option<Fault>) -> Router {
    let shared = Arc::new(Shared { model, fault, asked: AtomicU64::new(0), counts: Mutex::default() });
    Router::new()
        .route("/predict", post(predict))
        .route("/healthz", get(async || "ok"))
        .route("/counts", get(counts))
        .with_state(shared)
}

async fn predict(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Json(mut question): Json<Question>,
) -> Response {
    count(&mut shared.counts.lock().unwrap_or_else(PoisonError::into_inner), &headers);
    match shared.fault {
        Some(Fault::Slow) => tokio::time::sleep(Fault::LATE).await,
        Some(Fault::Failing) if shared.asked.fetch_add(1, Ordering::Relaxed) % Fault::EVERY == 0 => {
            return (StatusCode::SERVICE_UNAVAILABLE, "out of order").into_response();
        }
        Some(Fault::Inaccurate) => question.features.reverse(),
        _ => {}
    }
    match shared.model.predict(&question.features) {
        Ok(prediction) => {
            Json(Answer { prediction: prediction.digit, score: prediction.score, model: shared.model.version() })
                .into_response()
        }
        Err(e) => (StatusCode::UNPROCESSABLE_ENTITY, Json(serde_json::json!({"error": e.to_string()}))).into_response(),
    }
}

async fn counts(State(shared): State<Arc<Shared>>) -> Json<Counts> {
    Json(shared.counts.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

fn count(counts: &mut Counts, headers: &HeaderMap) {
    if headers.contains_key("x-headgate-copy") {
        counts.copies += 1;
        let user = headers.get("x-user-id").map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        if counts.copied_users.len() < 100_000 {
            counts.copied_users.extend(user);
        }
    } else {
        counts.requests += 1;
    }
    for (name, value) in headers.iter().filter(|(name, _)| name.as_str().starts_with("x-headgate-")) {
        let line = format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()));
        if counts.headers.len() < HEADERS_KEPT || counts.headers.contains_key(&line) {
            *counts.headers.entry(line).or_insert(0) += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;
    use crate::data::{rows, teachers, users};

    async fn ask(service: &Router, request: Request<Body>) -> (StatusCode, Vec<u8>) {
        let answer = service.clone().oneshot(request).await.unwrap();
        (answer.status(), answer.into_body().collect().await.unwrap().to_bytes().to_vec())
    }

    fn post(body: String, headers: &[(&str, &str)]) -> Request<Body> {
        let mut request = Request::post("/predict").header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::from(body)).unwrap()
    }

    #[tokio::test]
    async fn it_answers_as_the_model_and_counts_copies_and_headers() {
        let rows = rows().unwrap();
        let model = Model::learn(Version::V1, teachers(&rows));
        let service = service(model.clone(), None);
        let features: Vec<f64> = users(&rows).next().unwrap().pixels.iter().copied().map(f64::from).collect();
        let expected = model.predict(&features).unwrap();
        let body = serde_json::to_string(&Question { features }).unwrap();

        let (status, bytes) = ask(&service, post(body.clone(), &[("x-headgate-variant", "stable")])).await;
        let answer: Answer = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(status, StatusCode::OK);
        assert_eq!(answer, Answer { prediction: expected.digit, score: expected.score, model: Version::V1 });

        ask(&service, post(body, &[("x-headgate-copy", "1"), ("x-user-id", "user-0001")])).await;
        let (_, bytes) = ask(&service, Request::get("/counts").body(Body::empty()).unwrap()).await;
        let counts: Counts = serde_json::from_slice(&bytes).unwrap();
        assert_eq!((counts.requests, counts.copies), (1, 1));
        assert_eq!(counts.copied_users, BTreeSet::from(["user-0001".to_owned()]));
        assert_eq!(counts.headers.get("x-headgate-variant: stable"), Some(&1));
    }

    #[tokio::test]
    async fn each_fault_is_one_of_its_kind_alone() {
        let rows = rows().unwrap();
        let model = Model::learn(Version::V2, teachers(&rows));
        let people: Vec<_> = users(&rows).take(80).collect();
        let mut seen = Vec::new();
        for fault in [None, Some(Fault::Failing), Some(Fault::Inaccurate)] {
            let service = service(model.clone(), fault);
            let (mut failed, mut right) = (0, 0);
            for person in &people {
                let features = person.pixels.iter().copied().map(f64::from).collect();
                let body = serde_json::to_string(&Question { features }).unwrap();
                let (status, bytes) = ask(&service, post(body, &[])).await;
                failed += u32::from(status == StatusCode::SERVICE_UNAVAILABLE);
                let answer = serde_json::from_slice::<Answer>(&bytes);
                right += u32::from(answer.is_ok_and(|answer| answer.prediction == person.digit));
            }
            seen.push((failed, right));
        }
        assert_eq!((seen[0].0, seen[1].0, seen[2].0), (0, 10, 0), "{seen:?}");
        assert!(seen[2].1 * 2 < seen[0].1 && seen[1].1 * 10 > seen[0].1 * 7, "{seen:?}");
    }

    #[tokio::test]
    async fn what_is_no_picture_gets_an_error_and_not_a_guess() {
        let rows = rows().unwrap();
        let service = service(Model::learn(Version::V1, teachers(&rows)), None);
        let (status, bytes) = ask(&service, post(r#"{"features":[1,2]}"#.to_owned(), &[])).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(String::from_utf8(bytes).unwrap().contains("a picture has 64"));
        let (status, _) = ask(&service, post("{".to_owned(), &[])).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
    }
}
