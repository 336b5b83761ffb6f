//! Telling people: events go to webhooks (generic JSON, or in Slack's form) from a thread of their own.
//!
//! A decision never waits for a notification: [`Notifier::tell`] puts it into a queue and returns. Each receiver has its own queue and
//! thread, so that a dead one does not hold up the others; what could not be delivered after all attempts is handed to `undelivered`, which
//! writes it into the audit. A [`Ticket`] says when everybody was told, or given up: until then the event stands in the rollout's state, and
//! a process that is started anew tells it again. So an event may be told twice, and is never forgotten.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::web::Web;

/// How many events wait for one receiver at most.
const QUEUE: usize = 1_000;

/// In which form a receiver wants an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// The event as JSON.
    Json,
    /// `{"text": …}`, as Slack's incoming webhooks (and those that copy them) take it.
    Slack,
}

/// Who is told.
#[derive(Debug, Clone)]
pub(crate) struct Hearer {
    /// Name, for people.
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) form: Form,
    /// Kinds of events; empty is all.
    pub(crate) on: Vec<String>,
    pub(crate) web: Web,
}

/// What is told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    /// `start`, `step`, `gate`, `rollback`, `promotion`, `stale`, `drill`, …
    pub(crate) kind: String,
    pub(crate) rollout: String,
    pub(crate) run: i64,
    /// In words.
    pub(crate) text: String,
    /// Unix milliseconds.
    pub(crate) at: i64,
    /// What was measured, links, and so on.
    pub(crate) data: Value,
}

impl Event {
    fn body(&self, form: Form) -> Value {
        match form {
            Form::Json => json!({
                "event": self.kind, "rollout": self.rollout, "run": self.run, "text": self.text, "at": self.at,
                "time": crate::clock::shown(self.at), "data": self.data,
            }),
            Form::Slack => {
                let mut text = format!("*{}* ({}): {}", slack(&self.rollout), self.kind, slack(&self.text));
                for (name, link) in self.data.get("links").and_then(Value::as_object).into_iter().flatten() {
                    if let Some(link) = link.as_str() {
                        text.push_str(&format!("\n<{link}|{name}>"));
                    }
                }
                json!({"text": text})
            }
        }
    }
}

/// Slack's three special characters (<https://docs.slack.dev/messaging/formatting-message-text/#escaping>).
fn slack(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Sends its number once the last copy of it is gone: whoever tells an event holds one.
#[derive(Debug)]
pub(crate) struct Ticket {
    id: u64,
    over: Sender<u64>,
}

impl Ticket {
    /// A ticket that sends `id` to `over` in the end.
    pub(crate) fn new(id: u64, over: Sender<u64>) -> Arc<Self> {
        Arc::new(Self { id, over })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // Nobody listens when the rollout is over.
        let _over = self.over.send(self.id);
    }
}

/// An event on its way to one receiver.
type Queued = (Event, Option<Arc<Ticket>>);

/// Told of an event that could not be delivered: receiver, event, why.
pub(crate) type Undelivered = Arc<dyn Fn(&str, &Event, &str) + Send + Sync>;

/// The queues.
pub(crate) struct Notifier {
    receivers: Vec<(Hearer, SyncSender<Queued>)>,
    threads: Vec<JoinHandle<()>>,
    undelivered: Undelivered,
}

impl Notifier {
    /// Starts one thread for each receiver.
    pub(crate) fn start(receivers: Vec<Hearer>, undelivered: Undelivered) -> Self {
        let mut threads = Vec::new();
        let receivers = receivers
            .into_iter()
            .map(|receiver| {
                let (sender, queue) = sync_channel(QUEUE);
                let (one, failed) = (receiver.clone(), Arc::clone(&undelivered));
                threads.push(std::thread::spawn(move || deliver(&one, &queue, &failed)));
                (receiver, sender)
            })
            .collect();
        Self { receivers, threads, undelivered }
    }

    /// Queues an event for everybody who wants its kind; returns at once.
    pub(crate) fn tell(&self, event: &Event) {
        self.tell_with(event, None);
    }

    /// As [`Self::tell`], with a ticket that is kept until all were told or given up.
    pub(crate) fn tell_with(&self, event: &Event, ticket: Option<&Arc<Ticket>>) {
        for (receiver, queue) in &self.receivers {
            if !receiver.on.is_empty() && !receiver.on.contains(&event.kind) {
                continue;
            }
            match queue.try_send((event.clone(), ticket.cloned())) {
                Ok(()) => {}
                Err(TrySendError::Full(_)) => {
                    (self.undelivered)(&receiver.name, event, &format!("{QUEUE} events wait for this receiver already"))
                }
                Err(TrySendError::Disconnected(_)) => {
                    (self.undelivered)(&receiver.name, event, "its thread has ended");
                }
            }
        }
    }

    /// Lets what is queued go out, at most for `patience`.
    pub(crate) fn finish(&mut self, patience: Duration) {
        self.receivers.clear();
        let end = Instant::now() + patience;
        for thread in self.threads.drain(..) {
            while !thread.is_finished() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

fn deliver(receiver: &Hearer, queue: &Receiver<Queued>, undelivered: &Undelivered) {
    for (event, _held_until_told) in queue {
        let sent = receiver.web.post(&receiver.url, &receiver.headers, &event.body(receiver.form));
        match sent {
            Ok(said) if said.status < 300 => {}
            Ok(said) => undelivered(&receiver.name, &event, &format!("it answered {}", said.status)),
            Err(e) => undelivered(&receiver.name, &event, &e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::{Manner, tests::server};
    use std::sync::Mutex;

    fn event(kind: &str) -> Event {
        Event {
            kind: kind.to_owned(),
            rollout: "shop".to_owned(),
            run: 2,
            text: "errors 3 % > 2 %".to_owned(),
            at: 1_700_000_000_000,
            data: json!({"links": {"approve": "http://x/a"}}),
        }
    }

    fn receiver(url: &str, form: Form, on: &[&str]) -> Hearer {
        let manner = Manner { retries: 1, backoff: Duration::from_millis(1), ..Manner::default() };
        Hearer {
            name: "ops".to_owned(),
            url: url.to_owned(),
            headers: vec![],
            form,
            on: on.iter().map(|&k| k.to_owned()).collect(),
            web: Web::new(manner).unwrap(),
        }
    }

    #[test]
    fn each_receiver_gets_the_kinds_it_wants_in_its_form() {
        let (json, json_asked) = server(vec![(500, String::new()), (200, String::new())]);
        let (slack, slack_asked) = server(vec![(200, String::new())]);
        let receivers = vec![receiver(&json, Form::Json, &[]), receiver(&slack, Form::Slack, &["rollback"])];
        let mut notifier = Notifier::start(receivers, Arc::new(|_, _, _| {}));
        notifier.tell(&event("rollback"));
        let (_, first) = json_asked.recv().unwrap();
        let (_, again) = json_asked.recv().unwrap();
        assert_eq!(first, again, "an event that was not taken is sent again");
        let body: Value = serde_json::from_str(&again).unwrap();
        assert_eq!((&body["event"], &body["run"], &body["rollout"]), (&json!("rollback"), &json!(2), &json!("shop")));
        let (_, text) = slack_asked.recv().unwrap();
        let text: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(text["text"], "*shop* (rollback): errors 3 % &gt; 2 %\n<http://x/a|approve>");
        notifier.finish(Duration::from_secs(5));
    }

    #[test]
    fn what_could_not_be_delivered_is_told_and_nobody_waits_for_it() {
        let (url, _) = server(vec![]);
        let told = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&told);
        let undelivered: Undelivered =
            Arc::new(move |who, event, why| seen.lock().unwrap().push(format!("{who} {} {why}", event.kind)));
        let mut notifier = Notifier::start(vec![receiver(&url, Form::Json, &["step"])], undelivered);
        let (over, ended) = std::sync::mpsc::channel();
        notifier.tell_with(&event("step"), Some(&Ticket::new(7, over.clone())));
        assert_eq!(ended.recv(), Ok(7), "the ticket is given back when it is given up");
        notifier.tell_with(&event("start"), Some(&Ticket::new(8, over)));
        assert_eq!(ended.try_recv(), Ok(8), "nobody wanted it");
        notifier.finish(Duration::from_secs(30));
        let told = told.lock().unwrap();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("ops step ") && told[0].contains("2 attempts"), "{told:?}");
    }
}
