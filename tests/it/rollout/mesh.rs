//! A proxy of a mesh: routes and clusters by the names and in the form that istiod pushes them, changed while the rollout waits for it.
//!
//! Real are Envoy, its config dump, the filter, `headgate`, and that routes come by discovery. Not real is istiod: what it would push is written here by
//! hand after Istio 1.30's dumps of an ingress gateway, and comes by file instead of by ADS; the plugin configuration comes by ECDS file too, and not by
//! a `TrafficExtension`.

use headgate_tests::{Bootstrap, Envoy, Result};
use serde_json::{Value, json};

use super::routes::{routes_by_file, write_routes};
use super::world::World;
use crate::fixture::{Versions, route};

const V1: &str = "outbound|8080|v1|model.shop.svc.cluster.local";
const V2: &str = "outbound|8080|v2|model.shop.svc.cluster.local";
const NONCE: &str = "6f1d2c9ab4e87350";

/// A route of the VirtualService `model` in the namespace `shop`, as istiod makes it.
fn of_virtual_service(name: &str, header: Option<&str>, action: Value) -> Value {
    let mut matches = json!({"prefix": "/", "case_sensitive": true});
    if let Some(value) = header {
        matches["headers"] = json!([{"name": "x-headgate-variant", "string_match": {"exact": value}}]);
    }
    let mut route = json!({
        "name": name, "match": matches, "route": action,
        "metadata": {"filter_metadata": {"istio":
            {"config": "/apis/networking.istio.io/v1/namespaces/shop/virtual-service/model"}}},
        "decorator": {"operation": "model.shop.svc.cluster.local:8080/*"},
        "request_headers_to_remove": ["x-headgate-variant", "x-headgate-mirror"],
    });
    route["route"]["timeout"] = json!("0s");
    route["route"]["retry_policy"] = json!({
        "retry_on": "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes", "num_retries": 2,
        "retry_host_predicate": [{"name": "envoy.retry_host_predicates.previous_hosts", "typed_config":
            {"@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"}}],
        "host_selection_retry_max_attempts": "5",
    });
    route["route"]["max_grpc_timeout"] = json!("0s");
    route
}

/// The gateway's routes, with this default.
fn gateway(default: Value) -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": "http.80",
        "virtual_hosts": [{
            "name": "model.example:80",
            "domains": ["model.example"],
            "routes": [
                of_virtual_service("canary", Some(&format!("canary.{NONCE}")), json!({"cluster": V2})),
                of_virtual_service("stable", None, default),
            ],
            "include_request_attempt_count": true,
        }],
        "validate_clusters": false,
        "ignore_port_in_host_matching": true,
        "max_direct_response_body_size_bytes": 1_048_576,
    })
}

/// What a gateway has beside: the inbound side, whose routes are part of its listener.
fn inbound(bootstrap: &mut Value) {
    let listeners = bootstrap["static_resources"]["listeners"].as_array_mut().unwrap();
    let mut listener = listeners.iter().find(|l| l["name"] == "stats").cloned().unwrap();
    listener["name"] = json!("virtualInbound");
    let manager = listener.pointer_mut("/filter_chains/0/filters/0/typed_config").unwrap();
    manager["stat_prefix"] = json!("inbound_0.0.0.0_8080");
    manager["route_config"] = json!({
        "name": "inbound|8080||", "validate_clusters": false,
        "virtual_hosts": [{"name": "inbound|http|8080", "domains": ["*"], "routes":
            [{"name": "default", "match": {"prefix": "/"}, "route": {"cluster": "inbound|8080||", "timeout": "0s"}}]}],
    });
    listeners.push(listener);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_waits_until_the_mesh_s_proxy_shows_the_changed_virtual_service() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("routes.json");
    let versions = Versions::start().await?;
    let bootstrap = Bootstrap::header()?.edit(|bootstrap| {
        bootstrap["stats_flush_interval"] = json!("0.2s");
        routes_by_file(bootstrap, &path);
        let manager = bootstrap.pointer_mut("/static_resources/listeners/0/filter_chains/0/filters/0/typed_config");
        manager.unwrap()["rds"]["route_config_name"] = json!("http.80");
        inbound(bootstrap);
        for (old, new) in [("model-v1", V1), ("model-v2", V2)] {
            let clusters = bootstrap["static_resources"]["clusters"].as_array_mut().unwrap();
            let cluster = clusters.iter_mut().find(|c| c["name"] == old).unwrap();
            cluster["name"] = json!(new);
            cluster["load_assignment"]["cluster_name"] = json!(new);
        }
    });
    write_routes(&path, &gateway(json!({"cluster": V1})))?;
    let mut ours = route(1, 0);
    ours["variants"][0]["cluster"] = json!(V1);
    ours["variants"][1]["cluster"] = json!(V2);
    ours["output"] = json!({"filterState": null, "requestHeader": {"name": "x-headgate-variant", "nonce": NONCE}});
    let envoy = Envoy::builder(bootstrap).cluster(V1, versions.stable.addr()).cluster(V2, versions.canary.addr());
    let world = World::on(versions, envoy.concurrency(2).start().await?, json!({"routes": [ours]})).await?;
    let load = world.load().await?;
    load.more(100).await?;
    let file = world.rollout(|file| {
        file["spec"]["strategy"]["canary"]["steps"] =
            json!([{"weight": "50%", "duration": "2s"}, {"weight": "100%", "duration": "1s"}]);
        file["spec"]["finalising"] = json!({});
    })?;
    let running = world.run(&file, &[])?;
    let waits = |s: &Value| s["phase"] == "Finalising" && s["state"]["failsafe"]["reached"] == false;
    let held = world.is("it waits for the VirtualService", waits).await?;
    assert_eq!(held["keepOldVersion"], true, "{held}");
    let detail = |status: &Value| status["state"]["failsafe"]["detail"].as_str().unwrap_or_default().to_owned();
    let said = detail(&held);
    let change = "in VirtualService `model` of namespace `shop`, give that route the one destination `host: model.shop.svc.cluster.local`, `subset: v2`";
    assert!(
        said.contains("route configuration `http.80`, virtual host `model.example:80`, the route `stable`"),
        "{said}"
    );
    assert!(said.contains(&format!("goes to `{V1}`: {change}")), "{said}");
    // Half of the way is not the way.
    let half = json!({"weighted_clusters": {"total_weight": 100, "clusters": [
        {"name": V1, "weight": 10, "request_headers_to_remove": ["x-headgate-variant"]}, {"name": V2, "weight": 90}]}});
    write_routes(&path, &gateway(half.clone()))?;
    let pushed = |default: &Value| {
        let named = default["weighted_clusters"].is_object();
        let envoy = &world.envoy;
        async move {
            headgate_tests::wait_until("the proxy shows the routes", || async {
                let dump = envoy.admin().get("/config_dump").await?;
                Ok(dump.contains("weighted_clusters") == named)
            })
            .await
        }
    };
    pushed(&half).await?;
    assert_eq!(world.status().await?["phase"], "Finalising");
    let new = json!({"cluster": V2});
    write_routes(&path, &gateway(new.clone()))?;
    pushed(&new).await?;
    let ran = running.ended().await?;
    assert_eq!((ran.code, world.published()?), (0, 10_000), "{}{}", ran.out, ran.err);
    let ended = world.status().await?;
    assert_eq!((&ended["keepOldVersion"], &ended["phase"]), (&json!(false), &json!("Succeeded")), "{ended}");
    let seen = load.stop().await?;
    assert!(seen.failed().is_empty(), "{:?}", seen.failed());
    // Who served is known by the mesh's names of clusters too.
    assert_eq!(world.envoy.metrics().await?.sum("headgate_misrouted", &[]), 0);
    Ok(())
}
