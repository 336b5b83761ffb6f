//! `model-server`: one version of the model behind HTTP. Says where it listens in its first line of output, then serves until it
//! is interrupted or terminated.

use std::net::SocketAddr;

use clap::Parser;
use headgate_demo::{Fault, Model, Version, rows, service, teachers};

/// Serves one version of the demo's model: POST /predict, GET /healthz, GET /counts.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The version to serve
    #[arg(long, value_enum, env = "MODEL_VERSION")]
    model: Version,
    /// What is wrong with it; nothing, when left out
    #[arg(long, value_enum)]
    fault: Option<Fault>,
    /// Where to listen; port 0 lets the system choose one
    #[arg(long, default_value = "127.0.0.1:0", env = "MODEL_LISTEN")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    match serve(Arguments::parse()).await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("model-server: {e}");
            std::process::ExitCode::FAILURE
        }
    }
}

async fn serve(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let rows = rows()?;
    let model = Model::learn(arguments.model, teachers(&rows));
    let listener = tokio::net::TcpListener::bind(arguments.listen)
        .await
        .map_err(|e| format!("cannot listen on {}: {e}; choose another --listen", arguments.listen))?;
    println!("{} listens on {}", arguments.model.as_str(), listener.local_addr()?);
    axum::serve(listener, service(model, arguments.fault)).with_graceful_shutdown(stopped()).await?;
    Ok(())
}

/// Ends when the process is asked to stop, by Ctrl-C or (in a container) by SIGTERM.
async fn stopped() {
    let interrupted = tokio::signal::ctrl_c();
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminated) => {
            tokio::select! {
                _ = interrupted => {}
                _ = terminated.recv() => {}
            }
        }
        Err(_) => {
            let _ = interrupted.await;
        }
    }
}
