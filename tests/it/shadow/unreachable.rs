//! A shadow that nobody can reach is left in peace but for a trial now and then, and copied to again once it is there. Each request
//! that was not copied meanwhile is the shadow's failure, and accounted for.

use headgate_tests::{Bootstrap, Client, Conduct, Envoy, Metrics, Result, Upstream};
use serde_json::json;
use tokio::net::TcpSocket;

use super::world::{World, quiet};

const USER: [(&str, &str); 1] = [("x-user-id", "alice")];

/// A port at which nobody listens, and that nobody else gets.
fn silent() -> Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.bind("127.0.0.1:0".parse()?)?;
    Ok(socket)
}

fn failed(metrics: &Metrics, reason: &str) -> u64 {
    metrics.sum("headgate_shadow_failed", &[("reason", reason)])
}

/// What one of Envoy's own counters says.
async fn counter(envoy: &Envoy, name: &str) -> Result<u64> {
    let text = envoy.admin().get(&format!("/stats?filter=^{name}$")).await?;
    Ok(text.trim().rsplit(' ').next().unwrap_or_default().parse()?)
}

/// One request, and so many that were sampled until then.
async fn ask(client: &mut Client, envoy: &Envoy, sampled: &mut u64) -> Result<Metrics> {
    client.get("/", &USER).await?;
    *sampled += 1;
    Ok(quiet(envoy, *sampled).await?.1)
}

/// Asks until a request makes this more than it was, and how much it then is.
async fn until_more(client: &mut Client, envoy: &Envoy, sampled: &mut u64, what: fn(&Metrics) -> u64) -> Result<u64> {
    let before = what(&envoy.metrics().await?);
    for _ in 0..10_000 {
        let now = what(&ask(client, envoy, sampled).await?);
        if now > before {
            return Ok(now);
        }
    }
    panic!("it never became more than {before}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_that_is_down_is_left_in_peace_until_it_is_there() -> Result<()> {
    for workers in [1, 2] {
        let world = World::start().await?;
        let socket = silent()?;
        let envoy = world.envoy(json!({}))?.cluster("model-v2", socket.local_addr()?);
        let envoy = envoy.concurrency(workers).start().await?;
        let mut clients = Vec::new();
        for _ in 0..2 * workers {
            clients.push(envoy.http1().await?);
        }
        let mut sampled = 0;
        // Not before the fifth in succession.
        for n in 1..=5 {
            let metrics = ask(&mut clients[0], &envoy, &mut sampled).await?;
            assert_eq!((failed(&metrics, "unreachable"), failed(&metrics, "backed_off")), (n, 0));
        }
        // What the user gets is looked at all the same.
        world.stable.behave(Conduct { failing: 1, ..Conduct::default() });
        for client in &mut clients {
            until_more(client, &envoy, &mut sampled, |metrics| failed(metrics, "backed_off")).await?;
        }
        let metrics = envoy.metrics().await?;
        assert_eq!(failed(&metrics, "unreachable") + failed(&metrics, "backed_off"), sampled);
        let connected = counter(&envoy, "cluster.model-v2.upstream_cx_connect_fail").await?;
        assert_eq!(connected, failed(&metrics, "unreachable"), "what is backed off opens no connection");
        assert_eq!(metrics.sum("headgate_shadow_replicate_pairs", &[]), sampled);
        let failures =
            ["primary", "shadow"].map(|side| metrics.sum("headgate_shadow_replicate_failures", &[("side", side)]));
        assert_eq!(failures, [sampled - 5, sampled], "{workers} workers");
        // It comes back.
        world.stable.behave(Conduct::default());
        let shadow = Upstream::on(socket.listen(64)?, "model")?;
        let mut compared = 0;
        for client in &mut clients {
            // Each worker finds out by itself.
            compared = until_more(client, &envoy, &mut sampled, |metrics| metrics.sum("headgate_shadow_compared", &[]))
                .await?;
        }
        for _ in 0..5 {
            for client in &mut clients {
                ask(client, &envoy, &mut sampled).await?;
                compared += 1;
            }
        }
        let (account, metrics) = quiet(&envoy, sampled).await?;
        assert_eq!((account.compared, account.failed), (compared, sampled - compared), "{workers} workers");
        assert_eq!(metrics.sum("headgate_shadow_compared", &[("verdict", "matched")]), compared);
        assert_eq!(shadow.count() as u64, compared);
        assert_eq!(world.stable.count() as u64, sampled);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_copy_that_nobody_takes_does_not_stop_the_first() -> Result<()> {
    for workers in [1, 2] {
        let world = World::start().await?;
        let socket = silent()?;
        let mut bootstrap = Bootstrap::filter_state()?;
        bootstrap.add_cluster("model-v1", "again", socket.local_addr()?)?;
        let envoy =
            world.behind(bootstrap, json!({"noise": {"cluster": "again"}}))?.concurrency(workers).start().await?;
        let mut client = envoy.http1().await?;
        let mut sampled = 0;
        while sampled < 5 || counter(&envoy, "cluster.again.upstream_cx_connect_fail").await? == sampled {
            ask(&mut client, &envoy, &mut sampled).await?;
        }
        let (account, metrics) = quiet(&envoy, sampled).await?;
        assert_eq!(
            (account.compared, metrics.sum("headgate_shadow_noise", &[("result", "failed")])),
            (sampled, sampled)
        );
        assert_eq!(world.shadow.count() as u64, sampled);
    }
    Ok(())
}
