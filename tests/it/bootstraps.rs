//! Every bootstrap that users copy, in a real Envoy.

use headgate_tests::{Bootstrap, Envoy, Result, Upstream};

#[tokio::test(flavor = "multi_thread")]
async fn without_a_filter_every_bootstrap_serves_stable_at_once() -> Result<()> {
    for bootstrap in [Bootstrap::filter_state()?, Bootstrap::header()?] {
        let stable = Upstream::start("stable").await?;
        let envoy = Envoy::builder(bootstrap)
            .cluster("model-v1", stable.addr())
            .wasm("/nowhere/headgate.wasm".as_ref())
            .without_waiting_for_filter()
            .start()
            .await?;
        let mut client = envoy.http1().await?;
        assert_eq!(client.get("/", &[("x-headgate-variant", "canary")]).await?.upstream(), "stable");
        assert_eq!(stable.last()?.header("x-headgate-variant"), None);
        assert!(envoy.rejected().await? > 0, "{}", envoy.admin().get("/stats?filter=extension_config").await?);
    }
    Ok(())
}
