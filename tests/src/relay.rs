//! A port that is known before the address behind it is: Envoy's bootstrap names its admin interface as the upstream of the
//! read-only listener, but with port 0 the interface's own port is known only once Envoy runs.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::Result;

/// Passes connections on to an address that is told later. Ends when dropped.
#[derive(Debug)]
pub(crate) struct Relay {
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    target: watch::Sender<Option<SocketAddr>>,
    task: tokio::task::JoinHandle<()>,
}

impl Relay {
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let (target, known) = watch::channel(None);
        let task = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut known = known.clone();
                tokio::spawn(async move {
                    let Ok(addr) = known.wait_for(Option::is_some).await.map(|addr| *addr) else { return };
                    let Some(addr) = addr else { return };
                    if let Ok(mut server) = TcpStream::connect(addr).await {
                        // A side that goes away is how such a connection ends.
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        Ok(Self { addr, target, task })
    }

    pub(crate) fn pass_to(&self, addr: SocketAddr) {
        self.target.send_replace(Some(addr));
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}
