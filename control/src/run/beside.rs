//! What is asked beside the counters: whether the new side answers as it must, whether the fail-safe route reaches it, what a gate's webhook
//! says. Each is asked on a thread of its own, one question at a time; a tick takes what has come.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use headgate_rollout::file::{ReadinessRequest, Webhook};
use headgate_rollout::tick::{Answer, GateAnswer};
use serde_json::{Value, json};

use super::ask::{span, webhook_manner};
use super::failsafe::{self, Seen};
use crate::pool::Pool;
use crate::proxy::{Client, each};
use crate::target::Target;
use crate::web::Web;

/// A question that is asked again each interval while it is wanted.
pub(crate) struct Beside<T> {
    sender: Sender<T>,
    answers: Receiver<T>,
    asked: Option<(Instant, bool)>,
}

impl<T: Send + 'static> Beside<T> {
    pub(crate) fn new() -> Self {
        let (sender, answers) = channel();
        Self { sender, answers, asked: None }
    }

    /// Asks when it is due; gives the answer that came since the last call.
    pub(crate) fn ask(
        &mut self,
        pool: &Pool,
        every: Duration,
        question: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let answer = self.answers.try_recv().ok();
        if let (Some(_), Some(asked)) = (&answer, self.asked.as_mut()) {
            asked.1 = true;
        }
        if self.asked.is_none_or(|(at, ended)| ended && at.elapsed() >= every) {
            self.asked = Some((Instant::now(), false));
            let sender = self.sender.clone();
            // Nobody listens when the rollout is over.
            pool.run(move || drop(sender.send(question())));
        }
        answer
    }
}

/// Whether all requests get the answers that are expected.
pub(crate) fn readiness(requests: &[ReadinessRequest]) -> Answer {
    let mut wrong = Vec::new();
    for request in requests {
        if let Err(e) = ready(request) {
            wrong.push(format!(
                "{} {}: {e}",
                request.method.as_deref().unwrap_or("GET"),
                crate::web::place(&request.url)
            ));
        }
    }
    if wrong.is_empty() {
        Answer { holds: true, detail: format!("{} of {} requests", requests.len(), requests.len()) }
    } else {
        Answer { holds: false, detail: wrong.join("; ") }
    }
}

fn ready(request: &ReadinessRequest) -> Result<(), String> {
    let limit = span(request.expect.within.as_ref(), Duration::from_secs(5));
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(limit))
        .http_status_as_error(false)
        .max_redirects(0)
        .user_agent(concat!("headgate/", env!("CARGO_PKG_VERSION")));
    let agent: ureq::Agent = config.build().into();
    let mut built = ureq::http::Request::builder().method(request.method.as_deref().unwrap_or("GET")).uri(&request.url);
    for (name, value) in &request.headers {
        built = built.header(name, value);
    }
    let sent = built.body(request.body.clone().unwrap_or_default()).map_err(|e| e.to_string())?;
    let answer = agent.run(sent).map_err(|e| e.to_string())?;
    let status = answer.status().as_u16();
    let wanted = request.expect.status.unwrap_or(200);
    if status != wanted {
        return Err(format!("status {status}, not {wanted}"));
    }
    if let Some(text) = &request.expect.contains {
        let body = answer.into_body().read_to_string().map_err(|e| e.to_string())?;
        if !body.contains(text.as_str()) {
            return Err(format!("its body does not contain `{text}`"));
        }
    }
    Ok(())
}

/// Whether the fail-safe route of every proxy reaches the wanted cluster.
pub(crate) fn failsafe(target: &Target, client: &Client, clusters: &[String], wanted: &str) -> Answer {
    let known: Vec<&str> = clusters.iter().map(String::as_str).collect();
    let seen = each(&target.proxies, |proxy| {
        let Some(base) = proxy.admin_base() else {
            return Err(format!(
                "its routes cannot be seen: name its `admin` in the target file and run this again; its default route (in Istio: the VirtualService's route \
                 without a match) must lead to `{wanted}`"
            ));
        };
        let page = client.get(&format!("{base}/config_dump"))?;
        let dump: Value = serde_json::from_str(&page).map_err(|e| format!("its config dump is no JSON: {e}"))?;
        match failsafe::look(&dump, &known, wanted) {
            Seen::Reached => Ok(()),
            Seen::Elsewhere(what) => Err(what.join("; ")),
            Seen::NotFound => Err(format!("it has no route to {} or {wanted}", known.join(", "))),
        }
    });
    let wrong: Vec<String> = target
        .proxies
        .iter()
        .zip(seen)
        .filter_map(|(proxy, seen)| seen.err().map(|e| format!("{}: {e}", proxy.name)))
        .collect();
    if target.proxies.is_empty() {
        return Answer { holds: false, detail: "the target file names no proxies".to_owned() };
    }
    if wrong.is_empty() {
        return Answer { holds: true, detail: format!("`{wanted}` on {} proxies", target.proxies.len()) };
    }
    Answer { holds: false, detail: wrong.join("; ") }
}

/// A gate's webhook: `{"approved": true|false, "reason": "…"}`; anything else is no answer yet.
pub(crate) fn gate(webhook: &Webhook, gate: &str, body: &Value) -> Result<Option<GateAnswer>, String> {
    let web = Web::new(webhook_manner(webhook))?;
    let headers: Vec<(String, String)> = webhook.headers.iter().map(|(n, v)| (n.clone(), v.clone())).collect();
    let said = web.post(&webhook.url, &headers, body)?;
    if !(200..300).contains(&said.status) {
        return Err(format!("{} answered {}", crate::web::place(&webhook.url), said.status));
    }
    let answer: Value = serde_json::from_str(&said.body)
        .map_err(|e| format!("{} answered no JSON: {e}", crate::web::place(&webhook.url)))?;
    Ok(answer.get("approved").and_then(Value::as_bool).map(|approved| GateAnswer {
        gate: gate.to_owned(),
        approved,
        actor: format!("webhook {}", crate::web::place(&webhook.url)),
        reason: answer.get("reason").and_then(Value::as_str).unwrap_or_default().to_owned(),
    }))
}

/// What a gate's webhook is told.
pub(crate) fn gate_body(rollout: &str, run: i64, gate: &str, question: &str, since_ms: u64) -> Arc<Value> {
    Arc::new(json!({"rollout": rollout, "run": run, "gate": gate, "question": question, "since": since_ms}))
}
