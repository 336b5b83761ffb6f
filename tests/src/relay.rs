//! A port that is known before the address behind it is: Envoy's bootstrap names its admin interface as the upstream of the
//! read-only listener, but with port 0 the interface's own port is known only once Envoy runs. So is the port of a `headgate` that proxies of a bootstrap shall send to.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::Result;

/// Passes connections on to an address that is told later. Ends when dropped.
#[derive(Debug)]
pub struct Relay {
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    target: watch::Sender<Option<SocketAddr>>,
    task: tokio::task::JoinHandle<()>,
}

impl Relay {
    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Listens on a port of its own; connections wait until an address is told.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> Result<Self> {
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

    /// Passes on to this address from now on.
    pub fn pass_to(&self, addr: SocketAddr) {
        self.target.send_replace(Some(addr));
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}
