//! Resident memory of Envoy while pairs are compared, one after the other, for long.

use anyhow::{Result, ensure};
use headgate_tests::Envoy;

use super::server::{Servers, whole};
use super::setting::{Filter, Rules, all_matched, envoy, requests, roomy};
use crate::Settings;
use crate::load::Client;

/// MB (10^6 bytes).
pub(super) struct Growth {
    /// Pairs that were compared.
    pub(super) pairs: usize,
    /// After the first tenth.
    pub(super) before: f64,
    /// After all.
    pub(super) after: f64,
}

impl Growth {
    /// As a part of what was there.
    pub(super) fn growth(&self) -> f64 {
        self.after / self.before - 1.0
    }
}

pub(super) async fn measure(settings: &Settings, servers: Servers) -> Result<Growth> {
    let side = |rules| Filter::Shadow { cluster: "model-v2", rules };
    let sides = [("digest", side(Rules::Digest)), ("json", side(Rules::Json))];
    let envoy = envoy(servers, &sides, &roomy()).await?;
    let mut clients = Vec::new();
    for (name, _) in sides {
        let requests = requests("GET", &format!("/{name}"), 0);
        clients.push((Client::connect(envoy.listener(name)?, 32)?.read_by(whole), requests));
    }
    let mut growth = Growth { pairs: 0, before: 0.0, after: 0.0 };
    while growth.pairs < settings.pairs {
        for (client, requests) in &mut clients {
            let samples = client.closed(requests, 0, settings.pairs / 20)?;
            ensure!(samples.iter().all(|sample| sample.version.is_some()), "a request failed");
            growth.pairs += samples.len();
        }
        if growth.before == 0.0 {
            growth.before = megabytes(&envoy)?;
        }
    }
    all_matched(&envoy, growth.pairs).await?;
    growth.after = megabytes(&envoy)?;
    eprintln!("  {} pairs: {:.1} to {:.1} MB", growth.pairs, growth.before, growth.after);
    Ok(growth)
}

fn megabytes(envoy: &Envoy) -> Result<f64> {
    #[expect(clippy::cast_precision_loss, reason = "memory is below 2^53 bytes")]
    Ok(envoy.resident_bytes()? as f64 / 1e6)
}
